package template_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fedora-infra/fedmsg-go/meta/template"
)

// What is wrong is told with its line, from 0, and in words of the language.
func TestCompileRefuses(t *testing.T) {
	tests := []struct {
		name, src string
		line      int
		text      string // a part of what is told
	}{
		{"unknown helper", `{{lowwer .x}}`, 0, `unknown helper "lowwer"; did you mean "lower"?`},
		{"unlike any helper", `{{qqqqqqqqqqq .x}}`, 0, `unknown helper "qqqqqqqqqqq"`},
		{"helper of another language", `{{printf "%s" .x}}`, 0, `unknown helper "printf"`},
		{"unknown helper, further down", "a\n{{.x}}\n\n{{if .y}}\n{{nope .x}}{{end}}", 4, `unknown helper "nope"`},
		{"in parentheses", "a\n{{lower (\nnope .x)}}", 2, `unknown helper "nope"`},
		{"in a pipe", "\n{{.x | nope}}", 1, `unknown helper "nope"`},
		{"too few arguments", "\n{{replace .x}}", 1, `replace takes 3 arguments, not 1: replace S OLD NEW`},
		{"too many arguments", `{{lower .x .y}}`, 0, `lower takes 1 argument, not 2`},
		{"none at all", `{{lower}}`, 0, `lower takes 1 argument, not 0`},
		{"a range of counts", `{{slice .x}}`, 0, `slice takes 2 to 3 arguments, not 1`},
		{"any count from two", `{{eq .x}}`, 0, `eq takes 2 arguments or more, not 1`},
		{"the piped one counts", `{{.x | lower .y}}`, 0, `lower takes 1 argument, not 2`},
		{"wrong regular expression", "\n\n{{match .x `a(`}}", 2, "match: error parsing regexp: missing closing )"},
		{"regular expression of a message", `{{matches .x .y}}`, 0, "matches: the expression must be given in quotes"},
		{"regular expression that repeats too much", "{{match .x `(a{500}){500}`}}", 0, "match: error parsing regexp"},
		{"missing table", "x\n{{lookup \"nope\" .x}}", 1, `lookup: there is no table "nope": write [tables.nope]`},
		{"table of a message", `{{lookup .x .y}}`, 0, "lookup: the table's name must be given in quotes"},
		{"undefined variable", "\n{{$nope}}", 1, `undefined variable "$nope"`},
		{"undefined variable after its block", "{{if .x}}{{$a := 1}}{{end}}\n{{$a}}", 1, `undefined variable "$a"`},
		{"undefined variable after its loop", "{{range $a := .x}}{{end}}\n\n{{$a}}", 2, `undefined variable "$a"`},
		{"define", "a\n{{define \"x\"}}b{{end}}", 1, "define and block are not part of the rule language"},
		{"define by our own name", "\n{{define \"t\"}}b{{end}}", 1, "define and block are not part"},
		{"block", "a\n\n{{block \"x\" .}}b{{end}}", 2, "define and block are not part"},
		{"template", "a\n{{template \"x\"}}", 1, `template "x": templates cannot call one another`},
		{"a template that calls itself", `{{define "x"}}{{template "x"}}{{end}}{{template "x"}}`, 0, "define and block are not part"},
		{"arguments of a path", "\n{{.x .y}}", 1, ".x is not a helper; it takes no arguments"},
		{"a pipe into a path", `{{"x" | .y}}`, 0, ".y is not a helper"},
		{"assignment to a variable of the file", "\n{{$who = 1}}", 1, "$who is a variable of the file, which does not change; write $who := "},
		{"assignment to another variable by with", `{{$a := 1}}{{with $a = .x}}{{end}}`, 0, "write :="},
		{"assignment by range", "{{$a := 1}}\n{{range $a = .x}}{{end}}", 1, "write :="},
		{"hexadecimal number", `{{add .x 0x10}}`, 0, "number 0x10: write it in decimal"},
		{"character", `{{eq .x 'a'}}`, 0, "number 'a': write it in decimal"},
		{"imaginary number", `{{eq .x 1i}}`, 0, "number 1i: write it in decimal"},
		{"underscores", `{{eq .x 1_000}}`, 0, "number 1_000: write it in decimal"},
		{"number beyond all", `{{eq .x 1e400}}`, 0, "1e400"},
		{"no end", "\n{{if .x}}\n\na", 1, "{{if}} has no {{end}}"},
		{"no end of the outer block", "{{with .x}}\n{{if .y}}{{else}}a{{end}} {{/* {{end}} */}}", 0, "{{with}} has no {{end}}"},
		{"a pipe into a helper of several arguments", `{{.x | replace "a" "b"}}`, 0, `a pipe is for helpers of one argument, it would put .x last; write replace .x "a" "b"`},
		{"a pipe into a helper of any number", `{{.x | lower | or "b"}}`, 0, `write or (lower .x) "b"`},
		{"a field without its dot", `{{user}} came`, 0, `unknown helper "user"; a field of the message is written .user`},
		{"a variable without its sign", `{{who}} came`, 0, `unknown helper "who"; the variable is written $who, a field of the message .who`},
		{"a path without its dot", `{{user.name}}`, 0, `a field of the message is written .user`},
		{"a variable that is nearly there", `{{$whoo}}`, 0, `undefined variable "$whoo"; did you mean $who?`},
		{"a word of another language", `{{elif .x}}`, 0, `did you mean "else if"?`},
		{"a layout of another language", `{{date .x "%Y-%m-%d"}}`, 0, `date: layout "%Y-%m-%d" has no part of a time in it: write it as you would write the time 2006-01-02 15:04:05`},
		{"a zone that nobody knows", `{{date .x "15:04" "Nowhere/Land"}}`, 0, `date: this machine knows no zone "Nowhere/Land"`},
		{"a zone of a message", `{{date .x "15:04" .zone}}`, 0, `date: the zone must be given in quotes`},
		{"one brace at the end", `{{series .}`, 0, "unclosed action; close with }}"},
		{"a name with a dash", `{{.a-b}}`, 0, `write get . "a-b"`},
		{"a place in a list", `{{.list[0]}}`, 0, "write get .list 0"},
		{"a comparison", `{{if .x == "a"}}b{{end}}`, 0, `to compare write eq .a "b"`},
		{"a sum", `{{.x + 1}}`, 0, "there are no operators, but helpers"},
		{"end of nothing", "a\n{{end}}", 1, "unexpected {{end}}"},
		{"open action", "a\n{{.x", 1, "unclosed action"},
		{"open action over lines", "a\n{{.x\n\n", 1, "unclosed action"},
		{"open string", "\n{{lower \"x}}", 1, "unterminated quoted string"},
		{"open comment", `{{/* x`, 0, "unclosed comment"},
		{"break outside of a loop", `{{break}}`, 0, "{{break}} outside {{range}}"},
		{"continue outside of a loop", "\n{{range .x}}{{end}}{{continue}}", 1, "{{continue}} outside {{range}}"},
		{"empty action", "\n\n{{}}", 2, "missing value for command"},
		{"bad character", "{{.x\x01}}", 0, "U+0001"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := template.Compile(tt.src, testFile())
			at, ok := errors.AsType[*template.Error](err)
			if !ok {
				t.Fatalf("Compile(%q): %v, want an *Error", tt.src, err)
			}
			if at.Line != tt.line || !strings.Contains(at.Text, tt.text) {
				t.Errorf("Compile(%q):\n line %d: %s\nwant line %d: ...%s...", tt.src, at.Line, at.Text, tt.line, tt.text)
			}
			if strings.Contains(at.Text, " t:") || strings.Contains(at.Text, "template: ") {
				t.Errorf("Compile(%q): %s: speaks of names that are not the author's", tt.src, at.Text)
			}
			if at.Error() != at.Text {
				t.Errorf("Error() = %q, Text = %q", at.Error(), at.Text)
			}
		})
	}
}

func TestCompileLimit(t *testing.T) {
	if _, err := template.Compile(strings.Repeat("x", template.MaxText), testFile()); err != nil {
		t.Errorf("a template of MaxText bytes: %v", err)
	}
	_, err := template.Compile(strings.Repeat("x", template.MaxText+1), testFile())
	if err == nil || err.Error() != "the template has 16385 bytes; 16384 is the limit" {
		t.Errorf("a template above MaxText: %v", err)
	}
}

// The question whether a variable exists is not its use.
func TestNames(t *testing.T) {
	u := &users{file: testFile(), used: map[string]bool{}}
	const src = `$gone {{$who}} {{$zero := 1}}{{$zero}} {{/* $things */}} {{lookup "state" 1}}`
	if _, err := template.Compile(src, u); err != nil {
		t.Fatal(err)
	}
	if len(u.used) != 1 || !u.used["who"] {
		t.Errorf("used: %v, want only who", u.used)
	}
}

// users notes which variables are used.
type users struct {
	*file
	used map[string]bool
}

func (u *users) Variable(name string, use bool) (int, bool) {
	if use {
		u.used[name] = true
	}
	return u.file.Variable(name, use)
}
