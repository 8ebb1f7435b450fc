package main

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLineLength is the longest line, in characters, that is shown to people.
const maxLineLength = 4096

// cleanLine returns s as one line that is safe to show: what a terminal would
// obey, what turns the direction of text, and what cannot be seen is spelled
// \uXXXX; what is too long is cut. All that people are shown passes here.
func cleanLine(s string) string {
	if strings.IndexFunc(s, isUnsafe) >= 0 || !utf8.ValidString(s) {
		var b strings.Builder
		for _, r := range s {
			switch {
			case !isUnsafe(r):
				b.WriteRune(r)
			case r <= 0xFFFF:
				fmt.Fprintf(&b, `\u%04x`, r)
			default:
				fmt.Fprintf(&b, `\U%08x`, r)
			}
		}
		s = b.String()
	}
	if len(s) <= maxLineLength {
		return s
	}
	n := utf8.RuneCountInString(s)
	if n <= maxLineLength {
		return s
	}
	note := fmt.Sprintf("… (%d characters in all)", n)
	keep, at := maxLineLength-utf8.RuneCountInString(note), 0
	for range keep {
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	return s[:at] + note
}

// cleanText cleans a text that we laid out in lines.
func cleanText(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = cleanLine(line)
	}
	return strings.Join(lines, "\n")
}

// isUnsafe reports control characters (C0, DEL, C1), line separators, and the
// format characters of Unicode, among them the bidirectional controls and the
// zero-width ones.
func isUnsafe(r rune) bool {
	return r < ' ' || r > '~' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}
