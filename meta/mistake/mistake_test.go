package mistake_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/fedora-infra/fedmsg-go/meta/mistake"
)

func TestSyntax(t *testing.T) {
	const said = "expected something"
	for line, want := range map[string]string{
		`link = {{.a}}`:       `link: put the value in quotes: link = '...'`,
		`link = .a`:           `link: put the value in quotes: link = '...'`,
		`link = 'a`:           `link: the closing quote ' is missing`,
		`link = 'it's'`:       `link: the second ' ends the text; if there is one in the text, write '''...'''`,
		`link = '''a`:         said,
		`link = [`:            said,
		`link = {each = '}`:   said,
		`link =`:              said,
		`[[rule`:              said,
		`link = "a\q"`:        said,
		`link = 5.5.5`:        said,
		`link = 2026-13-40`:   said,
		`rule.link = true or`: `rule.link: put the value in quotes: rule.link = '...'`,
	} {
		text := said
		if strings.Contains(line, `\q`) {
			text = "invalid escape"
			want = `invalid escape; in '...' a \ is only a \`
		}
		if got := mistake.Syntax([]byte("# a line\n"+line), 2, text); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
	for _, line := range []int{-1, 0, 2} { // the reader may not know
		if got := mistake.Syntax([]byte("link = a"), line, said); got != said {
			t.Errorf("line %d of one: %s", line, got)
		}
	}
}

func TestOneBracket(t *testing.T) {
	const src = "a = '''\n[rule]\n'''\n[rule] # [x]\n[[rule]]\n[rule.vars]\n [ \"group\" ]\n[other]\n"
	got, lines := mistake.OneBracket([]byte(src))
	if want := "a = '''\n[rule]\n'''\n[[rule]] # [x]\n[[rule]]\n[rule.vars]\n [[ \"group\" ]]\n[other]\n"; string(got) != want || !slices.Equal(lines, []int{4, 7}) {
		t.Errorf("OneBracket: %q, lines %v; want %q, lines 4 and 7", got, lines, want)
	}
}
