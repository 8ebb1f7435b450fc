package meta

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/fedora-infra/fedmsg-go/meta/template"
)

// maxLine is the longest field of one line, in bytes.
const maxLine = 4 << 10

// oneLine makes text safe to print on one line: no controls, and nothing that
// turns the direction of what follows.
func oneLine(s string) string {
	return strings.TrimSpace(limit(clean(s, false), maxLine))
}

// paragraphs makes text of several lines safe to print.
func paragraphs(s string) string {
	return limit(clean(strings.ReplaceAll(s, "\r\n", "\n"), true), template.MaxField)
}

func clean(s string, lines bool) string {
	if isPrintable(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			if lines {
				return r
			}
			return ' '
		case r == '\r' || r == '\u2028' || r == '\u2029' || r == '\u0085':
			return ' '
		case unicode.IsControl(r) || isBidi(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// isBidi reports whether r turns the direction of writing.
func isBidi(r rune) bool {
	return r == '\u061C' || r == '\u200E' || r == '\u200F' || '\u202A' <= r && r <= '\u202E' || '\u2066' <= r && r <= '\u2069'
}

// limit cuts text to n bytes, between characters.
func limit(s string, n int) string {
	if len(s) <= n {
		return s
	}
	cut := n - len("…")
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// schemes are those of addresses that may become links.
var schemes = []string{"http", "https", "ftp", "irc", "ircs", "mailto"}

// address makes a link safe to follow: of a known scheme, or of none.
func address(s string) string {
	s = oneLine(s)
	scheme, _, ok := strings.Cut(s, ":")
	if !ok || strings.ContainsAny(scheme, "/?#") {
		return s
	}
	for _, known := range schemes {
		if strings.EqualFold(scheme, known) {
			return s
		}
	}
	return ""
}
