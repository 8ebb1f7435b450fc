package meta_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/meta"
)

// write writes files, given as name and text by turns, into a folder.
func write(t testing.TB, dir string, files ...string) {
	t.Helper()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// describe finds the words for a message of Fedora's with a topic from the fourth word on.
func describe(engine *meta.Engine, title, body string) fedmsg.Words {
	return engine.Describe(context.Background(), fedmsgtest.MessageOf(1, fedmsg.Topic("org.fedoraproject.prod."+title), body))
}

// good stands at the end of each file that is wrong above: a rule that is right.
const good = `
[[rule]]
topic = "good"
subtitle = 'all is good'
`

// A wrongFile is a rule file with something wrong; its first line is the service.
type wrongFile struct {
	name, text string
	problems   []string // LINE: and a part of what is told
	out        bool     // nothing of the file is in force
}

var wrongFiles = []wrongFile{
	{"syntax", "link = \n", []string{"2: "}, true},
	{"syntax further down", "[[rule]]\ntopic = \"x\"\n[[rule]\n", []string{"4: "}, true},
	{"not UTF-8", "link = '\xff'\n", []string{"2: "}, true},
	{"key twice", "link = 'a'\nlink = 'b'\n", []string{"3: "}, true},
	{"escape in double quotes", "link = \"\\q\"\n", []string{"2: "}, true},
	{"unknown key", "lnk = 'a'\n", []string{`2: unknown key "lnk"`}, false},
	{"unknown keys", "[[rule]]\ntopic = \"x\"\nsubtitel = 'a'\nlink = ''\n[rule.vers]\na = 'b'\n", []string{`4: unknown key "rule.subtitel"`, `6: unknown key "rule.vers"`}, false},

	{"unknown key that is nearly one", "[[rule]]\ntopic = \"x\"\nsubtitel = '{{$a}}'\n[rule.vars]\na = 'b'\n", []string{`4: unknown key "rule.subtitel"; did you mean "subtitle"?`}, false},
	{"unknown key unlike any", "[[rule]]\ntopic = \"x\"\nsubtitle = 'a'\ncolour = 'a'\n", []string{`5: unknown key "rule.colour"; here may stand topic, when, vars, subtitle, link, `}, false},
	{"key of a rule at the top", "topic = \"x\"\n", []string{`2: unknown key "topic" here; it stands below [[rule]] or [[group]]`}, false},
	{"an unknown part", "[[rules]]\ntopic = \"x\"\nsubtitle = 'a'\n[rules.vars]\na = 'b'\n", []string{`2: unknown key "rules"; did you mean [[rule]]?`}, false},
	{"one bracket", "[rule]\ntopic = \"x\"\nsubtitle = 'a'\n", []string{`2: write [[rule]] or [[group]], in two brackets`}, false},
	{"no quotes", "[[rule]]\ntopic = \"x\"\nsubtitle = {{.a}}\n", []string{`4: subtitle: put the value in quotes: subtitle = '...'`}, true},
	{"a word without quotes", "name = Shop\n", []string{`2: name: put the value in quotes: name = '...'`}, true},
	{"no closing quote", "link = '{{.a}}\nicon = 'x'\n", []string{`2: link: the closing quote ' is missing`}, true},
	{"a quote in quotes", "subtitle = 'it's {{.a}}'\n", []string{`2: subtitle: the second ' ends the text; if there is one in the text, write '''...'''`}, true},
	{"a list without brackets", "usernames = '{{.a}}'\n", []string{`2: usernames: must be a list, not string; write usernames = ['...']`}, false},
	{"a variable in what has no end", "link = '{{with .a}}{{$b}}'\n[vars]\nb = 'x'\n", []string{`2: link: {{with}} has no {{end}}`}, false},

	{"a wrong field takes its rule with it", "[[rule]]\ntopic = \"good\"\nsubtitle = 'half of a rule'\nlink = '{{nope}}'\n", []string{"5: rule.link: unknown helper"}, false},
	{"so does a wrong element", "[[rule]]\ntopic = \"good\"\nsubtitle = 'half of a rule'\npackages = [5]\n", []string{"5: an element is a template"}, false},
	{"so does a wrong variable", "[[rule]]\ntopic = \"good\"\nsubtitle = 'half of a rule{{$a}}'\n[rule.vars]\na = '{{nope}}'\n", []string{"6: rule.vars.a: unknown helper"}, false},
	{"so does a wrong condition", "[[rule]]\ntopic = \"good\"\nwhen = '{{nope}}'\nsubtitle = 'half of a rule'\n", []string{"4: rule.when: unknown helper"}, false},

	{"no topic", "[[rule]]\nsubtitle = 'x'\n", []string{`2: topic: there is none: write the words after the service, or "#" for all`}, false},
	{"empty list of topics", "[[rule]]\ntopic = []\nsubtitle = 'x'\n", []string{"3: topic: there is none"}, false},
	{"wrong pattern", "\n[[rule]]\nsubtitle = 'x'\ntopic = \"a..b\"\n", []string{`5: topic "a..b": `}, false},
	{"topic is a number", "[[rule]]\ntopic = 5\nsubtitle = 'x'\n", []string{"3: topic: must be text, or a list of texts"}, false},
	{"topics are numbers", "[[rule]]\ntopic = [\"a\", 5]\nsubtitle = 'x'\n", []string{"3: topic: each must be text"}, false},
	{"when is a text", "[[rule]]\ntopic = \"a\"\nwhen = 'x{{.a}}'\nsubtitle = 'x'\n", []string{"4: when must be one action, like {{eq .state 1}}"}, false},
	{"when is an if", "[[rule]]\ntopic = \"a\"\nwhen = '{{if .a}}1{{end}}'\nsubtitle = 'x'\n", []string{"4: when must be one action"}, false},
	{"when without braces", "[[rule]]\ntopic = \"a\"\nwhen = 'eq .a 1'\nsubtitle = 'x'\n", []string{"4: when must be one action"}, false},

	{"unknown helper", "[[rule]]\ntopic = \"a\"\nsubtitle = '{{lowr .a}}'\n", []string{`4: rule.subtitle: unknown helper "lowr"; did you mean "lower"?`}, false},
	{"on the fourth line of a text", "[[rule]]\ntopic = \"a\"\nsubtitle = '''\na\n\n{{nope}}\n'''\n", []string{`7: rule.subtitle: unknown helper "nope"`}, false},
	{"on the first line of a text", "[[rule]]\ntopic = \"a\"\nsubtitle = '''a\n{{nope}}'''\n", []string{`5: rule.subtitle: unknown helper "nope"`}, false},
	{"in a list over lines", "[[rule]]\ntopic = \"a\"\nusernames = [\n  '{{.a}}',\n  '{{nope .b}}',\n]\n", []string{`6: rule.usernames: unknown helper "nope"`}, false},
	{"in variables", "[vars]\na = '{{.a}}'\nb = '{{$a}}{{nope}}'\nc = '{{$b}}{{$c2}}'\n", []string{`4: vars.b: unknown helper "nope"`, `5: vars.c: undefined variable "$c2"`}, false},
	{"in variables of a rule", "[[rule]]\ntopic = \"a\"\nsubtitle = '{{$a}}'\n[rule.vars]\na = '{{'\n", []string{"6: rule.vars.a: "}, false},
	{"at the top", "link = '{{nope}}'\nusernames = ['{{.a}}']\n", []string{`2: link: unknown helper "nope"`}, false},
	{"wrong count of arguments", "link = '{{lower .a .b}}'\n", []string{"2: link: lower takes 1 argument, not 2"}, false},
	{"wrong regular expression", "[[rule]]\ntopic = \"a\"\nsubtitle = '{{match .a \"(\"}}'\n", []string{"4: rule.subtitle: match: error parsing regexp"}, false},
	{"missing table", "[[rule]]\ntopic = \"a\"\nsubtitle = '{{lookup \"state\" .a}}'\n", []string{`4: rule.subtitle: lookup: there is no table "state": write [tables.state]`}, false},
	{"a template that calls itself", "[[rule]]\ntopic = \"a\"\nsubtitle = '{{define \"x\"}}{{template \"x\"}}{{end}}{{template \"x\"}}'\n", []string{"4: rule.subtitle: define and block are not part of the rule language"}, false},
	{"huge template", "[[rule]]\ntopic = \"a\"\nsubtitle = '" + strings.Repeat("x", 16<<10+1) + "'\n", []string{"4: rule.subtitle: the template has 16385 bytes; 16384 is the limit"}, false},

	{"a variable that needs itself", "[vars]\na = '{{$a}}'\n", []string{"3: variables that need themselves: $a -> $a"}, false},
	{"variables that need each other", "[vars]\na = '{{$b}}'\nb = '{{$c}}x'\nc = '{{lower $a}}'\n", []string{"3: variables that need themselves: $a -> $b -> $c -> $a"}, false},
	{"through a condition", "[vars]\nb = '{{$a}}'\n[[rule]]\ntopic = \"a\"\nwhen = '{{$b}}'\n[rule.vars]\na = 'x'\n", []string{"variables that need themselves: $a -> $b -> $a"}, false},
	{"through two rules", "[[rule]]\ntopic = \"a\"\n[rule.vars]\na = '{{$b}}'\n[[rule]]\ntopic = \"b\"\n[rule.vars]\na = 'x'\nb = '{{$a}}'\n", []string{"variables that need themselves: $a -> $b -> $a"}, false},
	{"names of variables", "[vars]\n\"a b\" = 'x'\n1a = 'x'\n\"\" = 'x'\n", []string{`5: variable "": a name is made of letters, digits and _`, `3: variable "a b": a name`, `4: variable "1a": a name`}, false},

	{"element without each", "usernames = [{emit = '{{.a}}'}]\n", []string{"2: an element that is a table needs each and emit"}, false},
	{"element without emit", "[[rule]]\ntopic = \"a\"\npackages = [\n  '{{.b}}',\n  {each = '{{.a}}'},\n]\n", []string{"6: an element that is a table needs each and emit"}, false},
	{"element with another key", "objects = [{each = '{{.a}}', emit = 'x', were = 'y'}]\n", []string{`2: "were": an element is a template, or a table of the templates each, where and emit`}, false},
	{"element is a number", "objects = [5]\n", []string{"2: an element is a template, or a table"}, false},
	{"where is a number", "objects = [{each = '{{.a}}', emit = 'x', where = 5}]\n", []string{`2: "where": an element is`}, false},
	{"in an element", "objects = [\n  {each = '{{.a}}', emit = '{{nope}}'},\n]\n", []string{`3: objects.emit: unknown helper "nope"`}, false},

	{"group without by", "[[group]]\ntopic = \"a\"\nsubtitle = 'x'\n", []string{"2: a group needs either by, what is equal in all its members, or overlap"}, false},
	{"group with both", "[[group]]\ntopic = \"a\"\nby = ['{{.a}}']\noverlap = '{{.b}}'\nsubtitle = 'x'\n", []string{"2: a group needs either by"}, false},
	{"group without a topic", "[[group]]\nby = ['{{.a}}']\nsubtitle = 'x'\n", []string{"2: topic: there is none"}, false},
	{"group without a sentence", "[[group]]\ntopic = \"a\"\nby = ['{{.a}}']\n", []string{"2: a group needs a subtitle"}, false},
	{"in a group", "[[group]]\ntopic = \"a\"\nby = [\n  '{{.a}}',\n  '{{nope}}',\n]\nsubtitle = 'x'\n[group.collect]\nb = '{{nix}}'\n", []string{`6: group.by: unknown helper "nope"`, `10: group.collect.b: unknown helper "nix"`}, false},
	{"by is a text", "[[group]]\ntopic = \"a\"\nby = '{{.a}}'\nsubtitle = 'x'\n[group.collect]\nb = 'x'\n", []string{"4: by: must be a list of texts, not string"}, false},
	{"by is a number", "[[group]]\ntopic = \"a\"\nby = 5\nsubtitle = 'x'\n", []string{"4: by: must be a list of texts, not integer"}, false},
	{"by has a number", "[[group]]\ntopic = \"a\"\nby = [\n  '{{.a}}',\n  5,\n]\nsubtitle = 'x'\n", []string{"6: by: must be text, not integer"}, false},

	{"sentence is a number", "[[rule]]\ntopic = \"good\"\nsubtitle = 5\n[rule.vars]\na = 'x'\n", []string{"4: subtitle: must be text, not integer"}, false},
	{"list is a text", "[[rule]]\ntopic = \"good\"\nusernames = '{{.a}}'\n", []string{"4: usernames: must be a list, not string"}, false},
	{"two of a wrong type", "name = 5\nlink = ['x']\n", []string{"2: name: must be text, not integer", "3: link: must be text, not array"}, false},
	{"variable is a number", "[vars]\na = '{{.a}}'\nb = 5\n", []string{"4: b: must be text, not integer"}, false},
	{"table with a number", "[tables.state]\n0 = \"zero\"\n1 = 1\n", []string{"4: 1: must be text, not integer"}, false},
	{"table that is none", "tables = 5\n", []string{"2: tables: must be "}, false},
	{"prefix is a number", "prefix = 5\n", []string{"2: prefix: must be text, or a list of texts"}, true},
}

// What is wrong in a file is told with file and line, by lint and by an engine
// that gets the file from an operator's folder; all else is in force.
func TestWrongFiles(t *testing.T) {
	for _, tt := range wrongFiles {
		t.Run(tt.name, func(t *testing.T) { checkWrongFile(t, tt, "service = \"shop\"\n"+tt.text+good) })
	}
}

func checkWrongFile(t *testing.T, tt wrongFile, src string) {
	dir := t.TempDir()
	file := filepath.Join(dir, "shop.toml")
	write(t, dir, "shop.toml", src, "bar.toml", "service = \"bar\"\nsubtitle = 'the bar is open'\n")
	var log bytes.Buffer
	engine, err := meta.New(meta.Config{Dir: dir}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, p := range engine.Problems() {
		told = append(told, p.Error())
		if !strings.Contains(log.String(), fmt.Sprintf("%s:%d: ", p.File, p.Line)) && p.Line > 0 {
			t.Errorf("not in the log: %v", p)
		}
	}
	var linted []string
	for _, p := range meta.Lint(file, []byte(src)) {
		linted = append(linted, p.Error())
	}
	if len(told) != len(tt.problems) {
		t.Errorf("the engine tells\n%q, want\n%q", told, tt.problems)
	}
	for _, want := range tt.problems {
		if line, text, _ := strings.Cut(want, ": "); strings.Trim(line, "0123456789") == "" {
			want = file + ":" + line + ": " + text
		}
		for who, found := range map[string][]string{"the engine": told, "lint": linted} {
			if n := strings.Count(strings.Join(found, "\n"), want); n != 1 {
				t.Errorf("%s tells %d times %q:\n%s", who, n, want, strings.Join(found, "\n"))
			}
		}
	}
	for _, p := range told {
		if strings.Contains(p, "meta.") || strings.Contains(p, "struct") {
			t.Errorf("%s: speaks of our types", p)
		}
	}
	got := describe(engine, "shop.good", `{}`).Subtitle
	if in := got == "all is good"; in == tt.out {
		t.Errorf("the rule that is right: %q", got)
	}
	if got := describe(engine, "bar.x", `{}`).Subtitle; got != "the bar is open" {
		t.Errorf("the other file: %q", got)
	}
	for _, title := range []string{"shop.a", "shop.b.c"} {
		for _, wrong := range unfit(describe(engine, title, `{"a": [1, "x"], "b": "y"}`)) {
			t.Errorf("%s: %s", title, wrong)
		}
	}
}

// A file that cannot be of any service is told, and left out.
func TestFilesOfNoService(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"no service", "name = 'x'\n" + good, `: no service: write service = "NAME", the fourth word of its topics`},
		{"nothing", "", ": no service"},
		{"two words", "\nservice = \"a.b\"\n" + good, `:2: service "a.b" must be one word of a topic`},
		{"a pattern", "service = \"*\"\n", `:1: service "*" must be one word`},
		{"a path", "service = \"../x\"\n", `:1: service "../x" must be one word`},
		{"a number", "service = 5\n", ":1: service: must be text, not integer"},
		{"no TOML", "<html>", ":1: "},
		{"too large", "service = \"shop\"\n" + good + strings.Repeat("# much\n", 150_000), ": the file has 10500"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "a.toml", tt.text, "bar.toml", "service = \"bar\"\nsubtitle = 'the bar is open'\n")
			engine := newEngine(t, meta.Config{Dir: dir})
			tells := func(problems []meta.Problem, want string) bool {
				return slices.ContainsFunc(problems, func(p meta.Problem) bool { return strings.HasPrefix(p.Error(), want) })
			}
			if problems := engine.Problems(); !tells(problems, filepath.Join(dir, "a.toml")+tt.want) {
				t.Errorf("problems: %v, want %s", problems, tt.want)
			}
			if lint := meta.Lint("a.toml", []byte(tt.text)); !tells(lint, "a.toml"+tt.want) {
				t.Errorf("lint: %v, want %s", lint, tt.want)
			}
			if got := describe(engine, "bar.x", `{}`).Subtitle; got != "the bar is open" {
				t.Errorf("the other file: %q", got)
			}
			if got := describe(engine, "shop.good", `{}`).Subtitle; got == "all is good" {
				t.Errorf("what has no place has a say: %q", got)
			}
		})
	}
	if _, err := meta.New(meta.Config{Dir: filepath.Join(t.TempDir(), "nope")}, nil); err == nil {
		t.Error("a folder that is not there: no error")
	}
}

// What is right but surely not meant only lint tells.
func TestLintOnly(t *testing.T) {
	rule := func(topic, rest string) string { return fmt.Sprintf("[[rule]]\ntopic = %s\n%s\n", topic, rest) }
	tests := []struct{ name, text, want string }{ // want is "" if there is nothing to tell
		{"unused table", "[tables.state]\n0 = \"x\"\n", `f.toml:2: table "state" is not used`},
		{"used table", "link = '{{lookup \"state\" .a}}'\n[tables.state]\n0 = \"x\"\n", ``},
		{"unused variable", "[vars]\n\na = 'x'\n", `f.toml:4: variable $a is not used`},
		{"unused variable of a rule", rule(`"a"`, "subtitle = 'x'\n[rule.vars]\na = 'x'"), `f.toml:6: variable $a is not used`},
		{"used by another variable", "link = '{{$b}}'\n[vars]\na = 'x'\nb = '{{$a}}'\n", ``},
		{"used by a group", "[vars]\na = 'x'\n[[group]]\ntopic = \"a\"\nby = ['{{$a}}']\nsubtitle = '{{$l}}'\n[group.collect]\nl = '{{.b}}'\n", ``},
		{"unused collection", "[[group]]\ntopic = \"a\"\nby = ['{{.a}}']\nsubtitle = 'x'\n[group.collect]\nl = '{{.b}}'\n", `f.toml:7: variable $l is not used`},
		{"a local of the same name is no use", "link = '{{$a := 1}}{{$a}}'\n[vars]\na = 'x'\n", `f.toml:4: variable $a is not used`},
		{"a field below the variables", "[vars]\nlink = 'x'\n", `f.toml:3: variable $link is not used; if it is meant to be the field, it must stand before [vars] or [rule.vars]`},
		{"a variable that is text", "link = 'https://example.org/$a'\n[vars]\na = 'x'\n", `f.toml:2: $a is only text here; write {{$a}}`},
		{"a path that is text", "link = 'https://example.org/{.a}'\n", `f.toml:2: {.a} is only text here; write {{.a}}`},
		{"what looks like a variable", "link = 'https://example.org/$5{{\"$topic\"}}$nobody{a}'\n", ``},
		{"topic with the service", rule(`"shop.a.b"`, "subtitle = 'x'"), `f.toml:2: topic "shop.a.b": a topic begins after the service: "a.b"`},
		{"topic with all before it", rule(`"org.example.*.shop.a"`, "subtitle = 'x'"), `f.toml:2: topic "org.example.*.shop.a": a topic begins after the service: "a"`},
		{"topic that is the service", rule(`"shop"`, "subtitle = 'x'"), ``},
		{"rule that sets nothing", "\n[[rule]]\ntopic = \"a\"\nwhen = '{{.a}}'\n", `f.toml:3: the rule sets no field and no variable`},
		{"rule that sets only a list", rule(`"a"`, "usernames = []"), ``},

		{"shadowed", rule(`"#"`, "subtitle = 'x'\nlink = 'y'") + rule(`"a"`, "subtitle = 'z'"), `f.toml:6: the rule never has a say: the one on line 2 takes all its topics before, and sets the same`},
		{"shadowed by one of two patterns each", rule(`["a.*", "b.#"]`, "subtitle = 'x'") + rule(`["b", "a.c"]`, "subtitle = 'z'"), `f.toml:5: the rule never has a say`},
		{"shadowed, whatever its condition", rule(`"a"`, "subtitle = 'x'") + rule(`"a"`, "when = '{{.a}}'\nsubtitle = 'z'"), `f.toml:5: the rule never`},
		{"shadowed variable", "link = '{{$v}}'\n" + rule(`"#"`, "[rule.vars]\nv = 'x'") + rule(`"a"`, "[rule.vars]\nv = 'y'"), `f.toml:7: the rule never`},
		{"the earlier one has a condition", rule(`"#"`, "when = '{{.a}}'\nsubtitle = 'x'") + rule(`"a"`, "subtitle = 'z'"), ``},
		{"the earlier one sets less", rule(`"#"`, "subtitle = 'x'") + rule(`"a"`, "subtitle = 'z'\nlink = 'y'"), ``},
		{"the earlier one lacks a variable", "link = '{{$v}}'\n" + rule(`"#"`, "subtitle = 'x'") + rule(`"a"`, "subtitle = 'z'\n[rule.vars]\nv = 'y'"), ``},
		{"the earlier one takes fewer topics", rule(`"a.*"`, "subtitle = 'x'") + rule(`"a.#"`, "subtitle = 'z'"), ``},
		{"the earlier one takes other topics", rule(`"a.b"`, "subtitle = 'x'") + rule(`"a.*"`, "subtitle = 'z'"), ``},
		{"the earlier one takes one of two", rule(`"a"`, "subtitle = 'x'") + rule(`["a", "b"]`, "subtitle = 'z'"), ``},
		{"general after special", rule(`"a"`, "subtitle = 'x'") + rule(`"#"`, "subtitle = 'z'"), ``},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := "service = \"shop\"\n" + tt.text
			problems := meta.Lint("f.toml", []byte(src))
			if tt.want == "" && len(problems) > 0 || tt.want != "" && (len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), tt.want)) {
				t.Errorf("%s\nlint: %v, want %q", src, problems, tt.want)
			}
			dir := t.TempDir()
			write(t, dir, "f.toml", src)
			if told := newEngine(t, meta.Config{Dir: dir}).Problems(); len(told) > 0 {
				t.Errorf("the engine tells %v", told)
			}
		})
	}
}

// Problems stand in the order of the file.
func TestLintOrder(t *testing.T) {
	src := "service = \"a\"\nlink = '{{nope}}'\nicon = '{{nope}}'\nx = 1\nusernames = ['{{nope}}']\n[vars]\nb = 'x'\nc = '{{nope}}{{$b}}{{$c}}'\n[[rule]]\ntopic = \"a..\"\n"
	for range 20 { // Go's maps have another order each time
		last := 0
		for _, p := range meta.Lint("f.toml", []byte(src)) {
			if p.Line < last {
				t.Fatalf("line %d after %d", p.Line, last)
			}
			last = p.Line
		}
	}
}
