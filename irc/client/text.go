package client

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Formatting, as mIRC made it and https://modern.ircdocs.horse/formatting.html has it.
const (
	bold          = '\x02'
	colour        = '\x03' // and one or two digits, and again behind a comma
	hexColour     = '\x04' // the same with six hexadecimal digits
	plainAgain    = '\x0f'
	monospace     = '\x11'
	reverse       = '\x16'
	italic        = '\x1d'
	strikethrough = '\x1e'
	underline     = '\x1f'
)

func isFormatting(r rune) bool {
	switch r {
	case bold, colour, hexColour, plainAgain, monospace, reverse, italic, strikethrough, underline:
		return true
	}
	return false
}

// Clean makes text of strangers safe to be part of a line: one line, without control
// characters, without formatting of its own, without characters that turn the direction
// of text, and valid UTF-8. Line ends and tabs become blanks.
func Clean(text string) string { return clean(text, false) }

// clean is Clean; it leaves formatting if it is ours.
func clean(text string, formatting bool) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\r\n", " "), "\uFFFD")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\r', r == '\t', unicode.In(r, unicode.Zl, unicode.Zp):
			return ' '
		case formatting && isFormatting(r):
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, text)
}

// Plain takes the formatting out of a text.
func Plain(text string) string {
	if strings.IndexFunc(text, isFormatting) < 0 {
		return text
	}
	var b strings.Builder
	for text != "" {
		n := unitLength(text)
		if !isFormatting(rune(text[0])) {
			b.WriteString(text[:n])
		}
		text = text[n:]
	}
	return b.String()
}

// unitLength is the length, in bytes, of what must not be broken at the start of a text
// that is not empty: a character, or a colour with its digits.
func unitLength(text string) int {
	digits, is := 2, func(c byte) bool { return c >= '0' && c <= '9' }
	switch text[0] {
	case colour:
	case hexColour:
		digits, is = 6, func(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }
	default:
		_, n := utf8.DecodeRuneInString(text)
		return n
	}
	number := func(at int) int {
		n := 0
		for n < digits && at+n < len(text) && is(text[at+n]) {
			n++
		}
		return n
	}
	n := 1 + number(1)
	if n > 1 && n < len(text) && text[n] == ',' {
		if second := number(n + 1); second > 0 {
			n += 1 + second
		}
	}
	return n
}

// longestUnit is the most that [unitLength] returns.
const longestUnit = 1 + 6 + 1 + 6

// Split breaks a text into pieces of at most room bytes, at a blank where there is one
// in the last half of a piece, and never within a character or a colour. The blank is
// left out. room must be at least 14, what a colour may take.
func Split(text string, room int) []string {
	room = max(room, longestUnit)
	var pieces []string
	for len(text) > room {
		end, blank := 0, -1
		for {
			n := unitLength(text[end:])
			if text[end] == ' ' && end >= room/2 && end <= room {
				blank = end
			}
			if end+n > room {
				break
			}
			end += n
		}
		if blank >= 0 {
			pieces, text = append(pieces, text[:blank]), text[blank+1:]
			continue
		}
		pieces, text = append(pieces, text[:end]), text[end:]
	}
	if text != "" || pieces == nil {
		pieces = append(pieces, text)
	}
	return pieces
}
