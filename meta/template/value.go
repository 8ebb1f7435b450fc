package template

import (
	"math"
	"strconv"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// A Kind is what a Value is.
type Kind uint8

// Missing is a Value that is not there, or null: rules do not tell the two apart.
const (
	Missing Kind = iota
	Bool
	Number
	Text
	List
	Object
)

var kindNames = [...]string{"", "bool", "number", "text", "list", "object"}

// A Value is one JSON value, or what a template made of some. Numbers keep the
// spelling of the message: 1.10 and 12345678901234567890 stay what they are. The
// zero value is [Missing].
type Value struct {
	kind Kind
	text string // of a text; a number's spelling; "true" or "" of a bool
	many *many  // of lists and objects
}

// many is what lists and objects hold.
type many struct {
	keys   []string // of an object, beside its values
	values []Value
	size   int // of all that is in it: about as many bytes as its JSON has, and some
}

// measured returns m with its size.
func (m *many) measured() *many {
	for _, key := range m.keys {
		m.size += len(key) + 1
	}
	for _, v := range m.values {
		m.size = min(m.size+v.size()+4, math.MaxInt32) // lists of lists of lists may seem endless
	}
	return m
}

// size is how much is in a value, in bytes.
func (v Value) size() int {
	if v.many != nil {
		return v.many.size
	}
	return len(v.text)
}

var none Value

// NewText returns a text.
func NewText(s string) Value { return Value{kind: Text, text: s} }

// NewNumber returns a whole number.
func NewNumber(n int) Value { return Value{kind: Number, text: strconv.Itoa(n)} }

// NewList returns a list of values.
func NewList(vs ...Value) Value { return Value{kind: List, many: (&many{values: vs}).measured()} }

// NewTexts returns a list of texts.
func NewTexts(ss ...string) Value { return NewList(mapped(ss, NewText)...) }

// Kind returns what v is.
func (v Value) Kind() Kind { return v.kind }

func mapped[A, B any](from []A, f func(A) B) []B {
	to := make([]B, len(from))
	for i, a := range from {
		to[i] = f(a)
	}
	return to
}

func truth(b bool) Value {
	if b {
		return Value{kind: Bool, text: "true"}
	}
	return Value{kind: Bool}
}

// Items are the values of a list or an object.
func (v Value) Items() []Value {
	if v.many == nil {
		return nil
	}
	return v.many.values
}

// Keys are the names of an object's members.
func (v Value) Keys() []string {
	if v.kind != Object {
		return nil
	}
	return v.many.keys
}

// Get returns the member of an object with that name. The last of equal names
// counts, as in Python. A number is a place in a list, from its end if negative.
func (v Value) Get(key string) Value {
	switch v.kind {
	case Object:
		for i := len(v.many.keys) - 1; i >= 0; i-- {
			if v.many.keys[i] == key {
				return v.many.values[i]
			}
		}
	case List:
		if n, err := strconv.Atoi(key); err == nil {
			return v.at(n)
		}
	}
	return none
}

// at returns an item of a list, counted from its end if n is negative.
func (v Value) at(n int) Value {
	if n < 0 {
		n += len(v.Items())
	}
	if v.kind != List || n < 0 || n >= len(v.Items()) {
		return none
	}
	return v.Items()[n]
}

// IsTrue reports whether a Value counts as true in a condition: what is there,
// and not false, zero or empty.
func (v Value) IsTrue() bool {
	switch v.kind {
	case Bool, Text:
		return v.text != ""
	case Number:
		f, err := strconv.ParseFloat(v.text, 64)
		return err != nil || f != 0
	}
	return len(v.Items()) > 0
}

// IsBlank reports whether there is nothing to show.
func (v Value) IsBlank() bool {
	return v.kind == Missing || v.kind == Text && v.text == "" || v.kind >= List && len(v.Items()) == 0
}

// int returns a whole number, from a number or a text that spells one.
func (v Value) int() (n int, ok bool) {
	if v.kind != Number && v.kind != Text {
		return 0, false
	}
	if n, err := strconv.Atoi(strings.TrimSpace(v.text)); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(v.text, 64)
	if err != nil || !(f >= -1e15 && f <= 1e15) { // also NaN
		return 0, false
	}
	return int(f), true
}

// String is how a Value is printed; containers are compact JSON.
func (v Value) String() string {
	switch v.kind {
	case Text, Number:
		return v.text
	case Bool:
		return strconv.FormatBool(v.text != "")
	case List, Object:
		return string(v.appendJSON(nil, "", 0))
	}
	return ""
}

// appendJSON appends JSON text: on one line without indent, else laid out.
func (v Value) appendJSON(dst []byte, indent string, level int) []byte {
	newline := func(level int) {
		if indent != "" {
			dst = append(dst, '\n')
			dst = append(dst, strings.Repeat(indent, level)...)
		}
	}
	switch v.kind {
	case Missing:
		return append(dst, "null"...)
	case Text:
		return appendQuoted(dst, v.text)
	case Bool, Number:
		return append(dst, v.String()...)
	}
	open, shut := byte('['), byte(']')
	if v.kind == Object {
		open, shut = '{', '}'
	}
	dst = append(dst, open)
	for i, item := range v.Items() {
		if i > 0 {
			dst = append(dst, ',')
		}
		newline(level + 1)
		if v.kind == Object {
			dst = append(appendQuoted(dst, v.many.keys[i]), ": "...)
		}
		dst = item.appendJSON(dst, indent, level+1)
		if len(dst) > MaxField {
			break // the field will be cut there anyway
		}
	}
	if len(v.Items()) > 0 {
		newline(level)
	}
	return append(dst, shut)
}

// appendQuoted appends a JSON string.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r < ' ':
			const hex = "0123456789abcdef"
			dst = append(dst, `\u00`...)
			dst = append(dst, hex[r>>4], hex[r&15])
		default:
			dst = append(dst, string(r)...)
		}
	}
	return append(dst, '"')
}

// ReadJSON reads JSON text that a message was made of. It does not check what
// decoding the message has checked, such as the spelling of strings; of what is
// no JSON by its form it makes a missing value.
func ReadJSON(src []byte) Value {
	r := reader{src: string(src)}
	v := r.value()
	if r.next(); r.bad || r.pos < len(src) {
		return none
	}
	return v
}

// A reader walks through JSON text.
type reader struct {
	src   string
	pos   int
	depth int
	bad   bool
}

func (r *reader) next() byte {
	for ; r.pos < len(r.src); r.pos++ {
		if c := r.src[r.pos]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
	}
	return 0
}

func (r *reader) value() Value {
	switch c := r.next(); c {
	case '{', '[':
		return r.container(c)
	case '"':
		return NewText(r.str())
	case 0:
		r.bad = true
		return none
	}
	start := r.pos
	for r.pos < len(r.src) && !strings.ContainsRune(",]}: \n\t\r", rune(r.src[r.pos])) {
		r.pos++
	}
	switch word := r.src[start:r.pos]; word {
	case "":
		r.bad = true
		return none
	case "null":
		return none
	case "true", "false":
		return truth(word == "true")
	default:
		if !isNumber(word) {
			r.bad = true
			return none
		}
		return Value{kind: Number, text: word}
	}
}

// isNumber reports whether a word is a number of JSON, or one of those that history
// has besides.
func isNumber(word string) bool {
	digits := func(s string) string { return strings.TrimLeft(s, "0123456789") }
	rest := strings.TrimPrefix(word, "-")
	if rest == "Infinity" || word == "NaN" {
		return true
	}
	after := digits(rest)
	if after == rest || rest[0] == '0' && len(rest)-len(after) > 1 {
		return false
	}
	if fraction, ok := strings.CutPrefix(after, "."); ok {
		if after = digits(fraction); after == fraction {
			return false
		}
	}
	if after == "" {
		return true
	}
	power := strings.TrimPrefix(strings.TrimPrefix(after[1:], "-"), "+")
	return (after[0] == 'e' || after[0] == 'E') && len(after)-len(power) <= 2 && power != "" && digits(power) == ""
}

func (r *reader) container(open byte) Value {
	v := Value{kind: List, many: &many{}}
	shut := byte(']')
	if open == '{' {
		v.kind, shut = Object, '}'
	}
	r.pos++
	if r.depth++; r.depth > fedmsg.MaxDepth {
		r.bad = true
	}
	for comma := false; !r.bad; comma = true {
		c := r.next()
		if c == shut {
			break
		}
		if comma {
			if c != ',' {
				r.bad = true
				break
			}
			r.pos++
		}
		if open == '{' {
			if r.next() != '"' {
				r.bad = true
				break
			}
			v.many.keys = append(v.many.keys, r.str())
			if r.next() != ':' {
				r.bad = true
				break
			}
			r.pos++
		}
		v.many.values = append(v.many.values, r.value())
	}
	r.pos++
	r.depth--
	v.many.measured()
	return v
}

// str reads a string; its text shares memory with the source where it can.
func (r *reader) str() string {
	start := r.pos
	for r.pos++; r.pos < len(r.src); r.pos++ {
		switch r.src[r.pos] {
		case '\\':
			return r.escaped(start)
		case '"':
			r.pos++
			return r.src[start+1 : r.pos-1]
		}
	}
	r.bad = true
	return ""
}

// escaped reads a string that has escapes in it.
func (r *reader) escaped(start int) string {
	for ; r.pos < len(r.src); r.pos++ {
		switch r.src[r.pos] {
		case '\\':
			r.pos++
		case '"':
			r.pos++
			s, ok := fedmsg.DecodeString([]byte(r.src[start:r.pos]))
			if !ok {
				// History holds halves of surrogate pairs; what else is in the text still counts.
				s = strings.Trim(r.src[start:r.pos], `"`)
			}
			return s
		}
	}
	r.bad = true
	return ""
}

// Strings are the items of a list as they are printed.
func Strings(vs []Value) []string { return mapped(vs, Value.String) }
