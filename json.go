package fedmsg

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Limits of what [Decode] takes; also the limits of AppendCanonical where
// Python has the same.
const (
	// MaxMessageSize is the largest encoded message, in bytes, that the bus takes.
	MaxMessageSize = 1 << 20 // 1 MiB
	// MaxDepth is how deep arrays and objects may nest in a message.
	MaxDepth = 128
	// maxPythonDepth is about where Python's recursion limit ends json.loads.
	maxPythonDepth = 990
	// maxIntDigits is where Python (3.11 and later) ends an integer.
	maxIntDigits = 4300
)

// A node is one JSON value, or one member of an object. Half a million of them
// fit into a message, so it is small.
type node struct {
	kind       byte  // '{', '[', '"', 'i' integer, 'f' float, 't' true, 'F' false, 'n' null, 'N' NaN and infinities
	escaped    bool  // a string that holds escapes, or more than printable ASCII
	start, end int32 // the value's text, src[start:end]
	keyStart   int32 // the name's text with quotes, if a member
	keyEnd     int32
	first      int32 // first child, 0 for none: node 0 is the root and nobody's child
	next       int32 // next sibling, 0 for none
}

// blockSize is how many nodes are allocated at once: an ordinary message has
// less, and a large one is not copied as it grows.
const blockSize = 32

// A parser reads one JSON text into nodes. Loosely it takes what Python's
// json.loads takes; strictly it takes what every reader understands alike.
type parser struct {
	src    []byte
	pos    int
	depth  int
	strict bool
	// shallow makes no nodes below the members of the root. It is for text that
	// was parsed strictly before: what it passes over it does not check.
	shallow bool
	plain   bool // so far, no white space between tokens and only printable ASCII
	count   int32
	blocks  [][]node
}

// node returns the node with a number.
func (p *parser) node(i int32) *node { return &p.blocks[i/blockSize][i%blockSize] }

// key returns a member's name as it is meant.
func (p *parser) key(n *node) []byte {
	if text := p.src[n.keyStart:n.keyEnd]; isPlain(text) {
		return text[1 : len(text)-1]
	}
	q := parser{src: p.src, pos: int(n.keyStart)}
	text, _ := q.str() // it was read before, so it is good
	return text
}

// parse reads src, which must be exactly one JSON value. The root is node 0.
func parse(src []byte, strict bool) (*parser, error) {
	p := &parser{src: src, strict: strict, plain: true}
	return p, p.run()
}

// run reads all of the text.
func (p *parser) run() error {
	if !utf8.Valid(p.src) {
		return Refuse(BadUTF8, "byte %d is not UTF-8", invalidUTF8(p.src)+1)
	}
	p.space()
	if _, err := p.value(); err != nil {
		return err
	}
	p.space()
	if p.pos < len(p.src) {
		return p.bad("more text after the JSON value")
	}
	return nil
}

func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(b)
}

// refuse makes a refusal that tells the present line and column.
func (p *parser) refuse(reason Reason, what string) error {
	at := p.src[:min(p.pos, len(p.src))]
	line := 1 + bytes.Count(at, []byte{'\n'})
	column := 1 + utf8.RuneCount(at[bytes.LastIndexByte(at, '\n')+1:])
	return Refuse(reason, "line %d column %d: %s", line, column, what)
}

func (p *parser) bad(what string) error { return p.refuse(BadJSON, what) }

func (p *parser) space() {
	for p.pos < len(p.src) {
		switch p.src[p.pos] {
		case ' ', '\t', '\r', '\n':
			p.plain = false
			p.pos++
		default:
			return
		}
	}
}

func (p *parser) add(n node) int32 {
	i := p.count
	if i%blockSize == 0 {
		p.blocks = append(p.blocks, make([]node, blockSize))
	}
	*p.node(i) = n
	p.count++
	return i
}

// value reads one value and returns its node.
func (p *parser) value() (int32, error) {
	if p.pos >= len(p.src) {
		return 0, p.bad("the text ends where a value should be")
	}
	start := int32(p.pos)
	switch c := p.src[p.pos]; {
	case c == '{' || c == '[':
		return p.container(c)
	case c == '"':
		escaped, err := p.skipStr()
		if err != nil {
			return 0, err
		}
		return p.add(node{kind: '"', escaped: escaped, start: start, end: int32(p.pos)}), nil
	case c == '-' || '0' <= c && c <= '9':
		if p.word("-Infinity") {
			return p.notANumber(start)
		}
		return p.number()
	case p.word("true"):
		return p.add(node{kind: 't', start: start, end: int32(p.pos)}), nil
	case p.word("false"):
		return p.add(node{kind: 'F', start: start, end: int32(p.pos)}), nil
	case p.word("null"):
		return p.add(node{kind: 'n', start: start, end: int32(p.pos)}), nil
	case p.word("NaN"), p.word("Infinity"):
		return p.notANumber(start)
	}
	return 0, p.bad("no JSON value starts here")
}

func (p *parser) word(w string) bool {
	if bytes.HasPrefix(p.src[p.pos:], []byte(w)) {
		p.pos += len(w)
		return true
	}
	return false
}

func (p *parser) notANumber(start int32) (int32, error) {
	if p.strict {
		p.pos = int(start)
		return 0, p.bad("NaN and Infinity are not JSON")
	}
	return p.add(node{kind: 'N', start: start, end: int32(p.pos)}), nil
}

func (p *parser) number() (int32, error) {
	start, kind := p.pos, byte('i')
	if p.src[p.pos] == '-' {
		p.pos++
	}
	switch digits := p.digits(); {
	case digits == 0:
		return 0, p.bad("a digit should be here")
	case digits > 1 && p.src[p.pos-digits] == '0':
		p.pos += 1 - digits // 01 is 0, and then something else
	}
	if end := p.pos; p.pos < len(p.src) && p.src[p.pos] == '.' {
		p.pos++
		if p.digits() == 0 {
			p.pos = end
		} else {
			kind = 'f'
		}
	}
	if end := p.pos; p.pos < len(p.src) && (p.src[p.pos] == 'e' || p.src[p.pos] == 'E') {
		p.pos++
		if p.pos < len(p.src) && (p.src[p.pos] == '+' || p.src[p.pos] == '-') {
			p.pos++
		}
		if p.digits() == 0 {
			p.pos = end
		} else {
			kind = 'f'
		}
	}
	if kind == 'i' && p.pos-start > maxIntDigits {
		return 0, p.bad("an integer of more than 4300 digits")
	}
	if p.strict && kind == 'f' && isOverflow(p.src[start:p.pos]) {
		return 0, p.bad("a number beyond the range of a float")
	}
	return p.add(node{kind: kind, start: int32(start), end: int32(p.pos)}), nil
}

func (p *parser) digits() int {
	start := p.pos
	for p.pos < len(p.src) && '0' <= p.src[p.pos] && p.src[p.pos] <= '9' {
		p.pos++
	}
	return p.pos - start
}

func (p *parser) container(open byte) (int32, error) {
	limit := maxPythonDepth
	if p.strict {
		limit = MaxDepth
	}
	if p.depth++; p.depth > limit {
		return 0, p.refuse(TooDeep, "arrays and objects nest too deep")
	}
	defer func() { p.depth-- }()
	if p.shallow && p.depth > 1 {
		return p.passOver(open)
	}

	self := p.add(node{kind: open, start: int32(p.pos)})
	shut := open + 2 // in ASCII: ']' is '[' + 2, '}' is '{' + 2
	p.pos++
	p.space()
	if p.pos < len(p.src) && p.src[p.pos] == shut {
		p.pos++
		p.node(self).end = int32(p.pos)
		return self, nil
	}
	var last, count int32
	for {
		child, err := p.member(open)
		if err != nil {
			return 0, err
		}
		if last == 0 {
			p.node(self).first = child
		} else {
			p.node(last).next = child
		}
		last = child
		count++
		p.space()
		if p.pos >= len(p.src) {
			return 0, p.bad("the text ends inside an array or object")
		}
		switch p.src[p.pos] {
		case shut:
			p.pos++
			p.node(self).end = int32(p.pos)
			if p.strict && open == '{' {
				if key, dup := p.duplicate(self, int(count)); dup {
					return 0, p.refuse(DupKey, "the object that ends here has the key "+quote(key)+" twice")
				}
			}
			return self, nil
		case ',':
			p.pos++
			p.space()
		default:
			return 0, p.bad("a comma or the end of the array or object should be here")
		}
	}
}

// passOver goes to the end of an array or object that is known to be good.
func (p *parser) passOver(open byte) (int32, error) {
	start := p.pos
	for level := 0; p.pos < len(p.src); {
		switch p.src[p.pos] {
		case '"':
			if _, err := p.skipStr(); err != nil {
				return 0, err
			}
			continue
		case '{', '[':
			level++
		case '}', ']':
			if level--; level == 0 {
				p.pos++
				return p.add(node{kind: open, start: int32(start), end: int32(p.pos)}), nil
			}
		case ' ', '\t', '\r', '\n':
			p.plain = false
		}
		p.pos++
	}
	return 0, p.bad("the text ends inside an array or object")
}

// member reads an element of an array, or a name and value of an object.
func (p *parser) member(open byte) (int32, error) {
	if open == '[' {
		return p.value()
	}
	start := int32(p.pos)
	if p.pos >= len(p.src) || p.src[p.pos] != '"' {
		return 0, p.bad("a name in double quotes should be here")
	}
	if _, err := p.skipStr(); err != nil {
		return 0, err
	}
	end := int32(p.pos)
	p.space()
	if p.pos >= len(p.src) || p.src[p.pos] != ':' {
		return 0, p.bad("a colon should be here")
	}
	p.pos++
	p.space()
	child, err := p.value()
	if err != nil {
		return 0, err
	}
	n := p.node(child)
	n.keyStart, n.keyEnd = start, end
	return child, nil
}

// duplicate looks for two members of the same name.
func (p *parser) duplicate(object int32, count int) (key []byte, dup bool) {
	if count <= 12 {
		var keys [12][]byte
		n := 0
		for a := p.node(object).first; a != 0; a = p.node(a).next {
			keys[n] = p.key(p.node(a))
			for _, k := range keys[:n] {
				if bytes.Equal(k, keys[n]) {
					return k, true
				}
			}
			n++
		}
		return nil, false
	}
	seen := make(map[string]struct{}, count)
	for a := p.node(object).first; a != 0; a = p.node(a).next {
		k := p.key(p.node(a))
		if _, ok := seen[string(k)]; ok {
			return k, true
		}
		seen[string(k)] = struct{}{}
	}
	return nil, false
}

// str reads a string. text is what it means; a lone surrogate is kept as the
// three bytes that UTF-8 would have for it, so that bytes sort like code points.
func (p *parser) str() (text []byte, err error) {
	open := p.pos
	escaped, err := p.skipStr()
	if err != nil {
		return nil, err
	}
	if inner := p.src[open+1 : p.pos-1 : p.pos-1]; !escaped || bytes.IndexByte(inner, '\\') < 0 {
		return inner, nil
	}
	q := parser{src: p.src[:p.pos], pos: open + 1}
	text = make([]byte, 0, p.pos-open)
	for q.src[q.pos] != '"' {
		if q.src[q.pos] != '\\' {
			text = append(text, q.src[q.pos])
			q.pos++
			continue
		}
		r, _ := q.escape() // it was read before, so it is good
		text = appendWTF8(text, r)
	}
	return text, nil
}

// skipStr reads a string without finding out what it means. escaped says that it
// is not plain printable ASCII.
func (p *parser) skipStr() (escaped bool, err error) {
	open := p.pos
	p.pos++
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; {
		case c == '"':
			p.pos++
			return escaped, nil
		case c == '\\':
			escaped = true
			if p.pos+1 >= len(p.src) {
				p.pos = open
				return false, p.bad("a string without end starts here")
			}
			if _, err := p.escape(); err != nil {
				return false, err
			}
			continue
		case c < ' ':
			return false, p.bad("a control character in a string must be escaped")
		case c > '~':
			escaped = true
			p.plain = false
		}
		p.pos++
	}
	p.pos = open
	return false, p.bad("a string without end starts here")
}

// escape reads one escape; a pair of surrogates counts as one.
func (p *parser) escape() (rune, error) {
	c := p.src[p.pos+1]
	if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
		p.pos += 2
		return rune("\"\\/\b\f\n\r\t"[i]), nil
	}
	if c != 'u' {
		return 0, p.bad("no such escape")
	}
	r, ok := hex4(p.src, p.pos+2)
	if !ok {
		return 0, p.bad(`\u must be followed by four hexadecimal digits`)
	}
	if high := r; 0xD800 <= high && high < 0xDC00 && bytes.HasPrefix(p.src[p.pos+6:], []byte(`\u`)) {
		low, ok := hex4(p.src, p.pos+8)
		if !ok {
			p.pos += 6
			return 0, p.bad(`\u must be followed by four hexadecimal digits`)
		}
		if 0xDC00 <= low && low < 0xE000 {
			p.pos += 12
			return 0x10000 + (high-0xD800)<<10 + (low - 0xDC00), nil
		}
	}
	if p.strict && 0xD800 <= r && r < 0xE000 {
		return 0, p.refuse(BadUTF8, "half of a surrogate pair cannot be written in UTF-8")
	}
	p.pos += 6
	return r, nil
}

func hex4(b []byte, i int) (rune, bool) {
	if i+4 > len(b) {
		return 0, false
	}
	var r rune
	for _, c := range b[i : i+4] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// appendWTF8 is utf8.AppendRune that writes surrogates too.
func appendWTF8(dst []byte, r rune) []byte {
	if 0xD800 <= r && r < 0xE000 {
		return append(dst, 0xE0|byte(r>>12), 0x80|byte(r>>6)&0xBF, 0x80|byte(r)&0xBF)
	}
	return utf8.AppendRune(dst, r)
}

// decodeWTF8 is utf8.DecodeRune that reads surrogates too.
func decodeWTF8(b []byte) (rune, int) {
	r, n := utf8.DecodeRune(b)
	if n == 1 && r == utf8.RuneError && len(b) >= 3 && b[0] == 0xED {
		return rune(b[0]&0x0F)<<12 | rune(b[1]&0x3F)<<6 | rune(b[2]&0x3F), 3
	}
	return r, n
}

// text returns what a string node means.
func (p *parser) text(n *node) []byte {
	q := parser{src: p.src, pos: int(n.start)}
	text, _ := q.str() // it was read before, so it is good
	return text
}

// lookup returns the last member of the object with that name, or nil.
func (p *parser) lookup(object int32, name string) *node {
	var found *node
	for a := p.node(object).first; a != 0; a = p.node(a).next {
		if n := p.node(a); string(p.key(n)) == name {
			found = n
		}
	}
	return found
}

// Member is a name and the JSON text of its value.
type Member struct {
	Name string
	JSON json.RawMessage
}

// DecodeObject reads one JSON object, as strictly as [Decode], into its
// members, in the order given. The values share memory with b.
func DecodeObject(b []byte) ([]Member, error) {
	p, err := parse(b, true)
	if err != nil {
		return nil, err
	}
	if p.node(0).kind != '{' {
		return nil, Refuse(NotObject, "a JSON object should be here")
	}
	var members []Member
	for i := p.node(0).first; i != 0; i = p.node(i).next {
		n := p.node(i)
		members = append(members, Member{string(p.key(n)), b[n.start:n.end:n.end]})
	}
	return members, nil
}

// DecodeString reads one JSON string; ok is false if text is anything else.
func DecodeString(text []byte) (s string, ok bool) {
	p := parser{src: text, strict: true}
	if len(text) == 0 || text[0] != '"' || !utf8.Valid(text) {
		return "", false
	}
	b, err := p.str()
	return string(b), err == nil && p.pos == len(text)
}
