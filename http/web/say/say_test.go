package say_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fedora-infra/fedmsg-go/http/web/say"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestLines(t *testing.T) {
	for _, tt := range []struct{ line, term, want string }{
		{"", "user:a", "user:a"},
		{"user:b", "category:git", "user:b category:git"},
		{"user:a", "user:a", "user:a"},
		{"user:b -user:a", "user:a", "user:b user:a"},
		{"user:a x", "-user:a", "x -user:a"},
		{"a OR b", "user:c", "(a OR b) user:c"},
		{"(a OR b) c", "user:d", "(a OR b) c user:d"},
		{"(", "user:c", "user:c"},
	} {
		if got := say.And(tt.line, tt.term, noon); got != tt.want {
			t.Errorf("And(%q, %q) = %q, want %q", tt.line, tt.term, got, tt.want)
		}
	}
	for _, tt := range []struct{ line, bounds, want string }{
		{"", "after:1d", "after:1d"},
		{"user:a after:2d before:1d", "after:1d", "user:a after:1d"},
		{"on:2026 user:a", "", "user:a"},
		{`"a b" since:2d`, "after:1h before:2h", `"a b" after:1h before:2h`},
	} {
		if got := say.Within(tt.line, tt.bounds, noon); got != tt.want {
			t.Errorf("Within(%q, %q) = %q, want %q", tt.line, tt.bounds, got, tt.want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1\u202f000", 1234567: "1\u202f234\u202f567", -1000: "-1\u202f000", -100: "-100"} {
		if got := say.Count(n); got != want {
			t.Errorf("Number(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "\u202eadmin": `\u202eadmin`, "a\x00b\x1b": `a\u0000b\u001b`, "tab\tline\n": "tab\tline\n", "\u2028": `\u2028`, "\xff": "\uFFFD", "zero\u200bwidth": `zero\u200bwidth`, "e\u0301": "e\u0301",
	} {
		if got := say.Visible(in); got != want {
			t.Errorf("Visible(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[time.Duration]string{
		0: "now", 4 * time.Second: "4 s ago", 90 * time.Second: "1 min ago", 5 * time.Hour: "5 h ago", 30 * time.Hour: "23 Nov 06:00", 400 * 24 * time.Hour: "20 Oct 2025", -time.Hour: "in the future",
	} {
		if got := strings.ReplaceAll(say.Ago(noon.Add(-in), noon), "\u00a0", " "); got != want {
			t.Errorf("Ago(%s) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"https://a.example/x?y=1": "https://a.example/x?y=1", "http://a.example": "http://a.example", "javascript:alert(1)": "", "//a.example": "", "https:a": "", "data:text/html,x": "", "": "", "ftp://a.example": "", "JAVASCRIPT://x/%0aalert(1)": "",
	} {
		if got := say.WebLink(in); got != want {
			t.Errorf("WebLink(%q) = %q, want %q", in, got, want)
		}
	}
	for _, name := range []string{"", "buildsys", "a service that nobody knows"} {
		if h := say.Hue(name); h < 1 || h > 12 {
			t.Errorf("Hue(%q) = %d", name, h)
		}
	}
}

// No two services of one picture look alike, and the first ones look as everywhere.
func TestHues(t *testing.T) {
	got := say.Hues([]string{"pungi", "odcs", "coreos", "git", "github", ""})
	seen := make(map[int]bool)
	for _, hue := range got {
		if seen[hue] || hue < 1 || hue > 12 {
			t.Errorf("the hues are %v", got)
		}
		seen[hue] = true
	}
	if got[0] != say.Hue("pungi") || got[5] != say.Hue("") {
		t.Errorf("the hues are %v, the first is not that of pungi, or the last is not that of the others", got)
	}
}
