package body

import (
	"iter"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// texts yields the texts of a message. It reads the body from left to right and
// does not recur, so that no nesting costs more than its length.
func texts(topic fedmsg.Topic, body []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		if !yield(string(topic)) {
			return
		}
		src := string(body) // once, so that texts can be parts of it
		for i := 0; i < len(src); {
			switch c := src[i]; {
			case c == '"':
				end, escaped := stringEnd(src, i)
				if next := skipSpace(src, end); next < len(src) && src[next] == ':' {
					i = next + 1 // a key
					continue
				}
				if !yield(unquote(src[i:end], escaped)) {
					return
				}
				i = end
			case '0' <= c && c <= '9':
				end := i
				for end < len(src) && isNumberByte(src[end]) {
					end++
				}
				if n := end - i; n >= minDigits && n <= maxDigits && isDigits(src[i:end]) && !yield(src[i:end]) {
					return
				}
				i = end
			default:
				i++
			}
		}
	}
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func isNumberByte(c byte) bool {
	return '0' <= c && c <= '9' || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E'
}

func skipSpace(src string, i int) int {
	for i < len(src) && (src[i] == ' ' || src[i] == '\t' || src[i] == '\n' || src[i] == '\r') {
		i++
	}
	return i
}

// stringEnd returns where the string ends that begins at a quote, behind its last
// quote, and whether there are escapes in it.
func stringEnd(src string, i int) (end int, escaped bool) {
	for i++; i < len(src); i++ {
		switch src[i] {
		case '"':
			return i + 1, escaped
		case '\\':
			escaped = true
			i++
		}
	}
	return len(src), escaped
}

// unquote returns what a string means. A lone surrogate, which Python writes and
// nothing else reads, becomes U+FFFD.
func unquote(quoted string, escaped bool) string {
	text := strings.TrimPrefix(quoted, `"`)
	if !escaped {
		return strings.TrimSuffix(text, `"`)
	}
	var b strings.Builder
	b.Grow(len(text))
	for i := 0; i < len(text) && text[i] != '"'; i++ {
		if text[i] != '\\' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		switch c := text[i]; c {
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'u':
			r, n := unescape(text[i+1:])
			b.WriteRune(r)
			i += n
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// unescape reads what follows \u: four digits, or a pair of surrogates.
func unescape(s string) (r rune, n int) {
	first, ok := fourDigits(s)
	if !ok {
		return utf8.RuneError, 0
	}
	if !utf16.IsSurrogate(first) {
		return first, 4
	}
	if rest, found := strings.CutPrefix(s[4:], `\u`); found {
		if second, ok := fourDigits(rest); ok {
			if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
				return r, 10
			}
		}
	}
	return utf8.RuneError, 4
}

func fourDigits(s string) (r rune, ok bool) {
	if len(s) < 4 {
		return 0, false
	}
	for i := range 4 {
		c := s[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// valueEnd returns where the value ends that begins at i.
func valueEnd(src string, i int) int {
	if i >= len(src) {
		return len(src)
	}
	switch src[i] {
	case '"':
		end, _ := stringEnd(src, i)
		return end
	case '{', '[':
		for level := 0; i < len(src); i++ {
			switch src[i] {
			case '"':
				end, _ := stringEnd(src, i)
				i = end - 1
			case '{', '[':
				level++
			case '}', ']':
				if level--; level == 0 {
					return i + 1
				}
			}
		}
		return len(src)
	}
	for i < len(src) && !strings.ContainsRune(" \t\r\n,:]}", rune(src[i])) {
		i++
	}
	return i
}
