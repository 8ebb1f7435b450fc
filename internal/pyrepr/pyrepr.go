// Package pyrepr writes JSON values as Python 3 writes the objects that its json
// module makes of them: repr, and pprint at 80 columns. It also answers the
// dotted paths of "fedmsg tail --query". People and scripts have read these
// spellings from fedmsg-tail for years.
package pyrepr

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// A Value is one JSON value. The zero Value is Python's None.
type Value struct {
	kind  byte   // '{', '[', '"', or 'x' for what text holds; 0 is None
	text  string // a number or a constant, in Python's spelling
	str   []rune // of a string; halves of surrogate pairs are kept
	keys  []Value
	items []Value
	width int // of the repr, in characters
}

// Parse reads one JSON text, as loosely as Python does. Errors are those of
// [fedmsg.AppendRelayed].
func Parse(json []byte) (Value, error) {
	// What AppendRelayed writes is ASCII, spells numbers as Python does and has no
	// name twice, so that little is left to read.
	text, err := fedmsg.AppendRelayed(make([]byte, 0, len(json)+len(json)/4), json)
	if err != nil {
		return Value{}, err
	}
	r := reader{text: text}
	return r.value(), nil
}

// String makes a Value of a text.
func String(s string) Value { return newString([]rune(s)) }

func newString(s []rune) Value {
	v := Value{kind: '"', str: s}
	v.width = utf8.RuneCount(appendQuoted(nil, s))
	return v
}

// A reader reads what AppendRelayed writes.
type reader struct {
	text []byte
	pos  int
}

func (r *reader) value() Value {
	switch r.text[r.pos] {
	case '{':
		return r.container('}')
	case '[':
		return r.container(']')
	case '"':
		return newString(r.str())
	}
	start := r.pos
	for r.pos < len(r.text) && strings.IndexByte(",]}", r.text[r.pos]) < 0 {
		r.pos++
	}
	text := string(r.text[start:r.pos])
	switch text {
	case "null":
		return Value{}
	case "true":
		text = "True"
	case "false":
		text = "False"
	case "NaN":
		text = "nan"
	case "Infinity":
		text = "inf"
	case "-Infinity":
		text = "-inf"
	}
	return Value{kind: 'x', text: text, width: len(text)}
}

func (r *reader) container(shut byte) Value {
	v := Value{kind: r.text[r.pos], width: 2}
	r.pos++
	for r.text[r.pos] != shut {
		if r.text[r.pos] == ',' {
			r.pos += 2
			v.width += 2
		}
		if shut == '}' {
			key := newString(r.str())
			r.pos += 2
			v.keys = append(v.keys, key)
			v.width += key.width + 2
		}
		item := r.value()
		v.items = append(v.items, item)
		v.width += item.reprWidth()
	}
	r.pos++
	return v
}

func (r *reader) str() []rune {
	var s []rune
	for r.pos++; r.text[r.pos] != '"'; r.pos++ {
		c := rune(r.text[r.pos])
		if c != '\\' {
			s = append(s, c)
			continue
		}
		r.pos++
		if i := strings.IndexByte("bfnrt", r.text[r.pos]); i >= 0 {
			s = append(s, rune("\b\f\n\r\t"[i]))
			continue
		}
		if r.text[r.pos] != 'u' {
			s = append(s, rune(r.text[r.pos]))
			continue
		}
		n, _ := strconv.ParseUint(string(r.text[r.pos+1:r.pos+5]), 16, 16) // four digits, or it would not have been written
		r.pos += 4
		if last := len(s) - 1; last >= 0 {
			if pair := utf16.DecodeRune(s[last], rune(n)); pair != unicode.ReplacementChar {
				s[last] = pair
				continue
			}
		}
		s = append(s, rune(n))
	}
	r.pos++
	return s
}

func (v Value) reprWidth() int {
	if v.kind == 0 {
		return len("None")
	}
	return v.width
}

// Text returns a string as it is, and any other value as its repr: what Python's
// str does.
func (v Value) Text() string {
	if v.kind == '"' {
		return string(v.str)
	}
	return string(v.AppendRepr(nil))
}

// Get returns the value under a key of a dict; ok is false if v has no such key.
func (v Value) Get(key string) (found Value, ok bool) {
	for i, k := range v.keys {
		if string(k.str) == key {
			return v.items[i], true
		}
	}
	return Value{}, false
}

// Number returns a number; ok is false if v is none.
func (v Value) Number() (n float64, ok bool) {
	if v.kind != 'x' || v.text == "True" || v.text == "False" {
		return 0, false
	}
	n, err := strconv.ParseFloat(v.text, 64)
	return n, err == nil
}

// With returns a dict with another value under a key that it has.
func (v Value) With(key string, value Value) Value {
	v.items = slices.Clone(v.items)
	for i, k := range v.keys {
		if string(k.str) == key {
			v.width += value.reprWidth() - v.items[i].reprWidth()
			v.items[i] = value
		}
	}
	return v
}

// Without returns a dict without some keys.
func (v Value) Without(keys ...string) Value {
	w := Value{kind: v.kind, width: 2}
	for i, k := range v.keys {
		if slices.Contains(keys, string(k.str)) {
			continue
		}
		if len(w.keys) > 0 {
			w.width += 2
		}
		w.keys, w.items = append(w.keys, k), append(w.items, v.items[i])
		w.width += k.width + 2 + v.items[i].reprWidth()
	}
	return w
}

// Query answers a comma-separated list of dotted paths with the line that
// fedmsg-tail prints: the values, joined. What is missing is None; a path that
// comes twice counts once; there are no indices into lists.
func (v Value) Query(query string) string {
	var seen, values []string
	for path := range strings.SplitSeq(query, ",") {
		path = strings.TrimSpace(path)
		if slices.Contains(seen, path) {
			continue
		}
		seen = append(seen, path)
		at := v
		for key := range strings.SplitSeq(path, ".") {
			at, _ = at.Get(key)
		}
		values = append(values, at.Text())
	}
	return strings.Join(values, ", ")
}

// AppendRepr appends the value as Python's repr writes it, on one line.
func (v Value) AppendRepr(dst []byte) []byte { return v.appendRepr(dst, false) }

func (v Value) appendRepr(dst []byte, sorted bool) []byte {
	switch v.kind {
	case 0:
		return append(dst, "None"...)
	case '"':
		return appendQuoted(dst, v.str)
	case 'x':
		return append(dst, v.text...)
	}
	dst = append(dst, v.kind)
	for n, i := range v.order(sorted) {
		if n > 0 {
			dst = append(dst, ", "...)
		}
		if v.kind == '{' {
			dst = append(appendQuoted(dst, v.keys[i].str), ": "...)
		}
		dst = v.items[i].appendRepr(dst, sorted)
	}
	return append(dst, v.kind+2) // the closing bracket, in ASCII
}

// order returns the indices of the items in the order to write them.
func (v Value) order(sorted bool) []int {
	order := make([]int, len(v.items))
	for i := range order {
		order[i] = i
	}
	if sorted && v.kind == '{' {
		slices.SortStableFunc(order, func(a, b int) int { return slices.CompareFunc(v.keys[a].str, v.keys[b].str, cmp.Compare) })
	}
	return order
}

// appendQuoted writes a string literal: in single quotes unless that saves
// escapes, and with everything escaped that Python cannot print.
func appendQuoted(dst []byte, s []rune) []byte {
	quote := '\''
	if slices.Contains(s, '\'') && !slices.Contains(s, '"') {
		quote = '"'
	}
	dst = append(dst, byte(quote))
	for _, r := range s {
		switch {
		case r == quote || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case ' ' <= r && r <= '~' || r > 0xA0 && unicode.IsPrint(r):
			dst = utf8.AppendRune(dst, r)
		case r <= 0xFF:
			dst = fmt.Appendf(dst, `\x%02x`, r)
		case r <= 0xFFFF:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = fmt.Appendf(dst, `\U%08x`, r)
		}
	}
	return append(dst, byte(quote))
}
