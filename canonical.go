package fedmsg

import (
	"bytes"
	"math"
	"slices"
	"strconv"
)

// A spelling is a way to write JSON.
type spelling struct {
	item, name string // after an item but the last, after a name
	indent     string // of one level; "" writes all on one line
	sorted     bool   // names by code point
	verbatim   bool   // numbers as they were read, and doubled names too
}

// AppendCanonical appends to dst the canonical form of the JSON text src and
// returns the longer slice. The canonical form is the bytes that fedmsg signs:
// what Python's json.dumps(v, sort_keys=True, separators=(",", ":")) makes of
// the parsed text. Keys are sorted, the text is ASCII, and numbers are spelled
// as Python spells them (1e-05, 1.0), which is why encoding/json cannot be used.
//
// It takes what Python's json.loads takes: of equal keys the last one counts,
// and NaN, Infinity and halves of surrogate pairs go through. The error wraps
// [ErrInvalid] if src is not exactly one JSON value in that sense.
func AppendCanonical(dst, src []byte) ([]byte, error) {
	return appendSpelled(dst, src, spelling{item: ",", name: ":", sorted: true})
}

// AppendRelayed appends the JSON text src as a fedmsg 1.x relay writes it:
// ", " and ": " between tokens, keys in the order received, ASCII. Errors are
// those of [AppendCanonical].
func AppendRelayed(dst, src []byte) ([]byte, error) {
	return appendSpelled(dst, src, spelling{item: ", ", name: ": "})
}

// AppendPretty appends the JSON text src as fedmsg's pretty_dumps writes it:
// two blanks a level, keys in the order received, ASCII. Errors are those of
// [AppendCanonical].
func AppendPretty(dst, src []byte) ([]byte, error) {
	return appendSpelled(dst, src, spelling{item: ",", name: ": ", indent: "  "})
}

func appendSpelled(dst, src []byte, s spelling) ([]byte, error) {
	p, err := parse(src, false)
	if err != nil {
		return dst, err
	}
	return p.append(dst, p.node(0), s, 0), nil
}

// append writes n. Members whose name is in without are left out of n itself.
func (p *parser) append(dst []byte, n *node, s spelling, level int, without ...string) []byte {
	switch n.kind {
	case '{', '[':
		return p.appendContainer(dst, n, s, level, without)
	case '"':
		if !n.escaped {
			return append(dst, p.src[n.start:n.end]...)
		}
		return appendString(dst, p.text(n))
	case 'i', 'f':
		if s.verbatim {
			return append(dst, p.src[n.start:n.end]...)
		}
		if n.kind == 'i' {
			return appendInt(dst, p.src[n.start:n.end])
		}
		return appendFloat(dst, p.src[n.start:n.end])
	}
	return append(dst, p.src[n.start:n.end]...)
}

func (p *parser) appendContainer(dst []byte, n *node, s spelling, level int, without []string) []byte {
	dst = append(dst, n.kind)
	item := func(i int, m *node) {
		if i > 0 {
			dst = append(dst, s.item...)
		}
		dst = newline(dst, s, level+1)
		if n.kind == '{' {
			dst = p.appendKey(dst, m)
			dst = append(dst, s.name...)
		}
		dst = p.append(dst, m, s, level+1)
	}
	count := 0
	if n.kind == '{' {
		var room [24]member
		for _, m := range p.order(p.members(room[:0], n, without), s) {
			item(count, p.node(m.at))
			count++
		}
	} else {
		for m := n.first; m != 0; m = p.node(m).next {
			item(count, p.node(m))
			count++
		}
	}
	if count > 0 {
		dst = newline(dst, s, level)
	}
	return append(dst, n.kind+2) // the closing bracket
}

// A member is a node of an object, with its name as it is meant.
type member struct {
	key []byte
	at  int32
}

// members appends the members of an object but those named in without.
func (p *parser) members(dst []member, object *node, without []string) []member {
	for m := object.first; m != 0; m = p.node(m).next {
		if key := p.key(p.node(m)); !slices.Contains(without, string(key)) {
			dst = append(dst, member{key, m})
		}
	}
	return dst
}

func newline(dst []byte, s spelling, level int) []byte {
	if s.indent == "" {
		return dst
	}
	dst = append(dst, '\n')
	for range level {
		dst = append(dst, s.indent...)
	}
	return dst
}

// order puts members into the order of the spelling. Of equal names the last
// value stands, in a Python dict at the place of the first.
func (p *parser) order(members []member, s spelling) []member {
	if s.verbatim {
		return members
	}
	byKey := func(a, b member) int { return bytes.Compare(a.key, b.key) }
	if s.sorted {
		if !slices.IsSortedFunc(members, byKey) {
			slices.SortStableFunc(members, byKey)
		}
		kept := members[:0]
		for i, m := range members {
			if i+1 < len(members) && byKey(m, members[i+1]) == 0 {
				continue
			}
			kept = append(kept, m)
		}
		return kept
	}
	at := make(map[string]int, len(members))
	kept := members[:0]
	for _, m := range members {
		if i, ok := at[string(m.key)]; ok {
			kept[i] = m
			continue
		}
		at[string(m.key)] = len(kept)
		kept = append(kept, m)
	}
	return kept
}

func (p *parser) appendKey(dst []byte, n *node) []byte {
	if text := p.src[n.keyStart:n.keyEnd]; isPlain(text) {
		return append(dst, text...)
	}
	return appendString(dst, p.key(n))
}

// isPlain reports whether a string's text is printable ASCII without escapes.
func isPlain(text []byte) bool {
	for _, c := range text {
		if c == '\\' || c > '~' {
			return false
		}
	}
	return true
}

const hexDigits = "0123456789abcdef"

// appendString writes text in double quotes, in printable ASCII, as Python does.
func appendString(dst, text []byte) []byte {
	dst = append(dst, '"')
	for len(text) > 0 {
		r, n := decodeWTF8(text)
		text = text[n:]
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case ' ' <= r && r <= '~':
			dst = append(dst, byte(r))
		case r == '\b':
			dst = append(dst, `\b`...)
		case r == '\f':
			dst = append(dst, `\f`...)
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r > 0xFFFF:
			r -= 0x10000
			dst = appendU(appendU(dst, 0xD800+r>>10), 0xDC00+r&0x3FF)
		default:
			dst = appendU(dst, r)
		}
	}
	return append(dst, '"')
}

func appendU(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

// quote returns text as a JSON string, for messages to people.
func quote(text []byte) string { return string(appendString(nil, text)) }

func appendInt(dst, text []byte) []byte {
	if string(text) == "-0" {
		return append(dst, '0')
	}
	return append(dst, text...)
}

func isOverflow(text []byte) bool {
	f, _ := strconv.ParseFloat(string(text), 64)
	return math.IsInf(f, 0)
}

// appendFloat writes a number as Python's repr of the float does: the fewest
// digits that read back the same; plain notation for exponents from -4 to 15.
func appendFloat(dst, text []byte) []byte {
	f, _ := strconv.ParseFloat(string(text), 64) // out of range is ±Inf, and so in Python
	switch {
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	e := bytes.IndexByte(dst[start:], 'e') + start
	exponent, _ := strconv.Atoi(string(dst[e+1:]))
	if exponent < -4 || exponent >= 16 {
		return dst // Go and Python agree on two digits and a sign for the exponent
	}
	dst = strconv.AppendFloat(dst[:start], f, 'f', -1, 64)
	if bytes.IndexByte(dst[start:], '.') < 0 {
		dst = append(dst, '.', '0')
	}
	return dst
}
