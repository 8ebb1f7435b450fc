package meta

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/meta/template"
)

const (
	// maxLine is the longest field of one line, in bytes.
	maxLine = 4 << 10
	// maxSet is how many bytes the names of a set have at most: as many as a message,
	// so that whoever is named in one is found.
	maxSet = fedmsg.MaxMessageSize
)

// oneLine makes text safe to print, on one line.
func oneLine(s string) string {
	return strings.TrimSpace(limit(clean(s, false), maxLine))
}

// paragraphs makes text of several lines safe to print.
func paragraphs(s string) string {
	return limit(clean(strings.ReplaceAll(s, "\r\n", "\n"), true), template.MaxField)
}

// clean spells what a terminal would obey, or what turns the direction of text, as
// \uXXXX, so that nobody is deceived and nothing is lost.
func clean(s string, lines bool) string {
	if isPrintable(s) {
		return s
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case lines && (r == '\n' || r == '\t'):
			b.WriteRune(r)
		case r == '\n', r == '\t', r == '\r':
			b.WriteByte(' ')
		case unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
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
