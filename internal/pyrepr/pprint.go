package pyrepr

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// columns is the width that pprint keeps to where it can.
const columns = 80

// AppendPretty appends the value as Python's pprint lays it out: keys sorted,
// what does not fit into 80 columns broken up, long strings split at blanks.
func (v Value) AppendPretty(dst []byte) []byte {
	p := printer{dst: dst}
	p.format(v, 0, 0, 0)
	return p.dst
}

// A printer lays values out. Its methods follow those of Python's PrettyPrinter:
// indent is the column of the value, allowance what must fit behind it on its
// last line, level how deep it stands.
type printer struct {
	dst []byte
}

func (p *printer) format(v Value, indent, allowance, level int) {
	if v.reprWidth() > columns-indent-allowance {
		switch v.kind {
		case '{', '[':
			p.container(v, indent, allowance+1, level+1)
			return
		case '"':
			p.str(v.str, indent, allowance, level+1)
			return
		}
	}
	p.dst = v.appendRepr(p.dst, true)
}

func (p *printer) container(v Value, indent, allowance, level int) {
	p.dst = append(p.dst, v.kind)
	indent++
	order := v.order(true)
	for n, i := range order {
		if n > 0 {
			p.dst = append(p.dst, ',')
			p.newline(indent)
		}
		behind := 1 // the comma
		if n == len(order)-1 {
			behind = allowance
		}
		at := indent
		if v.kind == '{' {
			p.dst = append(appendQuoted(p.dst, v.keys[i].str), ": "...)
			at += v.keys[i].width + 2
		}
		p.format(v.items[i], at, behind, level)
	}
	p.dst = append(p.dst, v.kind+2)
}

func (p *printer) newline(indent int) {
	p.dst = append(p.dst, '\n')
	p.dst = append(p.dst, bytes.Repeat([]byte{' '}, indent)...)
}

// str writes a string in pieces: at the ends of its lines, and where these are
// too long, behind white space.
func (p *printer) str(s []rune, indent, allowance, level int) {
	if len(s) == 0 {
		p.dst = appendQuoted(p.dst, s)
		return
	}
	top := level == 1 // pieces need parentheses unless they stand in a container
	if top {
		indent++
		allowance++
	}
	chunks := split(s, columns-indent, allowance)
	if top && len(chunks) > 1 {
		p.dst = append(p.dst, '(')
	}
	for i, chunk := range chunks {
		if i > 0 {
			p.newline(indent)
		}
		p.dst = append(p.dst, chunk...)
	}
	if top && len(chunks) > 1 {
		p.dst = append(p.dst, ')')
	}
}

// split returns the literals of the pieces of s.
func split(s []rune, width, allowance int) (chunks [][]byte) {
	lines := pieces(s, lineEnd)
	for i, line := range lines {
		last := i == len(lines)-1
		fits := width
		if last {
			fits -= allowance
		}
		literal := appendQuoted(nil, line)
		if utf8.RuneCount(literal) <= fits {
			chunks = append(chunks, literal)
			continue
		}
		var current, written []rune
		parts := pieces(line, wordEnd)
		for j, part := range parts {
			limit := width
			if last && j == len(parts)-1 {
				limit -= allowance
			}
			candidate := slices.Concat(current, part)
			if utf8.RuneCount(appendQuoted(nil, candidate)) <= limit {
				current = candidate
				continue
			}
			if len(current) > 0 {
				chunks = append(chunks, appendQuoted(nil, current))
				written = current
			}
			current = part
		}
		if len(current) > 0 || len(written) == 0 {
			chunks = append(chunks, appendQuoted(nil, current))
		}
	}
	return chunks
}

// pieces cuts s up: end tells how long the first piece of the rest is.
func pieces(s []rune, end func([]rune) int) (all [][]rune) {
	for len(s) > 0 {
		n := end(s)
		all = append(all, s[:n:n])
		s = s[n:]
	}
	return all
}

// lineEnd is the length of a line, with what ends it, for Python's splitlines.
func lineEnd(s []rune) int {
	for i, r := range s {
		switch {
		case r == '\r' && i+1 < len(s) && s[i+1] == '\n':
			return i + 2
		case '\n' <= r && r <= '\r', 0x1C <= r && r <= 0x1E, r == 0x85, r == 0x2028, r == 0x2029:
			return i + 1
		}
	}
	return len(s)
}

// wordEnd is the length of a word with the white space after it.
func wordEnd(s []rune) int {
	i := 0
	for i < len(s) && !isSpace(s[i]) {
		i++
	}
	for i < len(s) && isSpace(s[i]) {
		i++
	}
	return i
}

// isSpace is Python's notion of white space: Unicode's, and the separators of
// ASCII.
func isSpace(r rune) bool {
	switch {
	case '\t' <= r && r <= '\r', 0x1C <= r && r <= ' ', r == 0x85, r == 0xA0, r == 0x1680,
		0x2000 <= r && r <= 0x200A, r == 0x2028, r == 0x2029, r == 0x202F, r == 0x205F, r == 0x3000:
		return true
	}
	return false
}
