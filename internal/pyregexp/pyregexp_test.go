package pyregexp_test

import (
	"testing"

	"github.com/fedora-infra/fedmsg-go/internal/pyregexp"
)

func TestCompile(t *testing.T) {
	for _, tt := range []struct {
		expr, text string
		want       bool
	}{
		{"git", "a.git.b", true}, // found anywhere
		{"^git", "a.git.b", false},
		{"", "a", true}, // nothing is found everywhere
		{"^((?!git).)*$", "a.git.b", false},
		{"^((?!(git|bodhi)).)*$", "a.koji.b", true},
		{"^(?:(?!git).)*$", "a.koji.b", true},
		{`git\Z`, "a.git", true},
		{`git\Z`, "a.git.b", false},
	} {
		e, err := pyregexp.Compile(tt.expr)
		if got := err == nil && e.Match(tt.text); err != nil || got != tt.want {
			t.Errorf("Compile(%q).Match(%q) = %v, %v, want %v", tt.expr, tt.text, got, err, tt.want)
		}
	}
	for expr, want := range map[string]string{
		"a(b(c":    `"a(b(c", character 4: "(c": missing closing )`,
		"x(?=git)": `"x(?=git)", character 2: "(?=": look-ahead is not supported`,
		"(?<!a)b":  `"(?<!a)b", character 1: "(?<!": look-behind is not supported`,
	} {
		if _, err := pyregexp.Compile(expr); err == nil || err.Error() != want {
			t.Errorf("Compile(%q): %v, want %s", expr, err, want)
		}
	}
}
