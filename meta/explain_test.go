package meta_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/meta"
)

// inquiryRules have a line for each thing to tell about.
const inquiryRules = `service = "inquiry"
icon = "https://example.org/i.png"
usernames = [
    '{{.user.name}}',
    '{{$who}}',
]

[vars]
who = '{{.who}}'
unasked = '{{.unasked}}'
general = 'general'

[[rule]]
topic = "case.#"
when = '{{.case.open}}'
link = '{{.case.url}}'

[[rule]]
topic = ["case.new", "case.odd"]
subtitle = '''
{{$who}} opened
 case {{.case.id}}, {{.case.title}}'''
long_form = '{{$who}} {{upper .case.text}}'
objects = []
[rule.vars]
who = '{{.case.opener}}'

[[rule]]
topic = "case.*"
subtitle = '{{$general}} {{$who}} again'

[[rule]]
topic = "never"
subtitle = 'x'

[[rule]]
topic = "weather"
[rule.vars]
general = 'asked by nobody'

[[group]]
topic = "case.*"
by = ['{{.case.id}}']
subtitle = 'a case'
`

func lineOf(t *testing.T, text, part string) int {
	t.Helper()
	before, _, ok := strings.Cut(text, part)
	if !ok {
		t.Fatalf("no %q", part)
	}
	return 1 + strings.Count(before, "\n")
}

func explain(t *testing.T, engine *meta.Engine, topic, body string) (meta.Explanation, map[string]meta.FieldOrigin) {
	t.Helper()
	m := fedmsgtest.MessageOf(1, "org.example.prod.inquiry", "{}")
	if topic != "" {
		m = sayings("inquiry", topic+" "+body)[0]
	}
	x := engine.Explain(context.Background(), m)
	origins := make(map[string]meta.FieldOrigin)
	for _, f := range x.Fields {
		origins[f.Field] = f
	}
	if len(origins) != len(x.Fields) {
		t.Errorf("a field is told twice: %+v", x.Fields)
	}
	want := engine.Describe(context.Background(), m)
	if got := fmt.Sprintf("%+v", x.Words); got != fmt.Sprintf("%+v", want) {
		t.Errorf("explained %s\nbut it is %+v", got, want)
	}
	return x, origins
}

// Each field says where it comes from, and each that is empty why.
func TestExplain(t *testing.T) {
	engine := rulesEngine(t, "inquiry", inquiryRules, meta.Config{})
	const file = "rules/inquiry.toml"
	line := func(part string) int { return lineOf(t, inquiryRules, part) }
	const nothing = "the rule says nothing here"
	const guessed = "no rule says this; found by what messages have in common"
	for _, tt := range []struct {
		name, topic, body string
		want              []meta.FieldOrigin
		used              []int
		vars              []meta.VariableInfo
	}{
		{"all is there", "case.new", `{"case":{"open":true,"url":"https://example.org/1","opener":"alice","id":1,"title":"Shoes","text":"red"},"user":{"name":"bob"}}`,
			[]meta.FieldOrigin{
				{"subtitle", "alice opened\n case 1, Shoes", file, line("{{$who}} opened"), ""},
				{"link", "https://example.org/1", file, line("link ="), ""},
				{"icon", "https://example.org/i.png", file, line("icon ="), ""},
				{"long_form", "alice RED", file, line("long_form"), ""},
				{"usernames", `["bob","alice"]`, file, line("usernames ="), ""},
				{"packages", "", "", 0, guessed},
				{"objects", "[]", file, line("objects ="), nothing},
			}, []int{0, 1}, []meta.VariableInfo{{"who", "alice"}}},
		{"a path is missing", "case.new", `{"case":{"open":1,"opener":"alice","id":1}}`,
			[]meta.FieldOrigin{
				{"subtitle", "", file, line("{{$who}} opened"), ".case.title is not there"},
				{"link", "", file, line("link ="), ".case.url is not there"},
				{"icon", "https://example.org/i.png", file, line("icon ="), ""},
				{"long_form", "", file, line("long_form"), "upper .case.text is not there"},
				{"usernames", `["alice"]`, file, line("usernames ="), ""},
				{"packages", "", "", 0, guessed},
				{"objects", "[]", file, line("objects ="), nothing},
			}, []int{0, 1}, []meta.VariableInfo{{"who", "alice"}}},
		{"the first part of a path is missing", "case.odd", `{"who":"carol","component":"bash"}`,
			[]meta.FieldOrigin{
				{"subtitle", "", file, line("{{$who}} opened"), "$who is not there"},
				{"link", "", "", 0, guessed},
				{"icon", "https://example.org/i.png", file, line("icon ="), ""},
				{"long_form", "", file, line("long_form"), "$who is not there"},
				{"usernames", "[]", file, line("usernames ="), ".user is not there"},
				{"packages", "bash", "", 0, guessed},
				{"objects", "[]", file, line("objects ="), nothing},
			}, []int{1}, []meta.VariableInfo{{"who", "(missing)"}}},
		{"a later rule", "case.closed", `{"who":"carol\n\u0007","url":"https://example.org/c"}`,
			[]meta.FieldOrigin{
				{"subtitle", "general carol\n\a again", file, line("subtitle = '{{$general}}"), ""},
				{"link", "https://example.org/c", "", 0, guessed},
				{"icon", "https://example.org/i.png", file, line("icon ="), ""},
				{"usernames", "[\"carol\\n\\u0007\"]", file, line("usernames ="), ""},
				{"packages", "", "", 0, guessed},
			}, []int{2}, []meta.VariableInfo{{"general", "general"}, {"who", `carol \u0007`}}},
		{"no rule", "weather", `{"user":"alice"}`,
			[]meta.FieldOrigin{
				{"subtitle", "inquiry weather (alice)", "", 0, guessed},
				{"link", "", "", 0, guessed},
				{"icon", "https://example.org/i.png", file, line("icon ="), ""},
				{"usernames", "[]", file, line("usernames ="), ".user.name is not there"},
				{"packages", "", "", 0, guessed},
			}, nil, []meta.VariableInfo{{"who", "(missing)"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, _ := explain(t, engine, tt.topic, tt.body)
			if !slices.Equal(x.Fields, tt.want) {
				t.Errorf("fields:\n\tgot  %+v\n\twant %+v", x.Fields, tt.want)
			}
			if !slices.Equal(x.Used, tt.used) {
				t.Errorf("rules %v, want %v", x.Used, tt.used)
			}
			if !slices.Equal(x.Vars, tt.vars) {
				t.Errorf("variables %q, want %q", x.Vars, tt.vars)
			}
			if !slices.Equal(x.Files, []string{file}) {
				t.Errorf("files %q", x.Files)
			}
		})
	}
}

// A service without rules has no file, and agents and usernames are guessed too.
func TestExplainWithoutRules(t *testing.T) {
	engine := newEngine(t, meta.Config{Files: fstest.MapFS{}})
	x, origins := explain(t, engine, "case.new", `{"agent":"alice","nvr":"bash-5.3-1.fc44"}`)
	if x.Files != nil || x.Used != nil || x.Vars != nil {
		t.Errorf("files %q, rules %v, variables %v of no rules", x.Files, x.Used, x.Vars)
	}
	for field, want := range map[string]string{"agent": "alice", "usernames": "alice", "packages": "bash", "subtitle": "alice created case bash-5.3-1.fc44 (inquiry)"} {
		if o := origins[field]; o.Value != want || o.File != "" || o.Why == "" {
			t.Errorf("%s: %+v, want %q", field, o, want)
		}
	}
}

// An operator's file comes first; what it does not say the built-in one does.
func TestExplainTwoFiles(t *testing.T) {
	dir := t.TempDir()
	own := filepath.Join(dir, "mine.toml")
	rules := "service = \"inquiry\"\n\n[[rule]]\ntopic = 'case.new'\nlink = 'https://example.org/mine'\n\n[[rule]]\ntopic = 'other'\n"
	// A line of the other file gives the sentence, not the rule on the same line of this one.
	rules += strings.Repeat("\n", lineOf(t, inquiryRules, "{{$who}} opened")-1-strings.Count(rules, "\n")) + "subtitle = 'x'\n"
	writeFile(t, own, rules)
	engine := rulesEngine(t, "inquiry", inquiryRules, meta.Config{Dir: dir})
	x, origins := explain(t, engine, "case.new", `{"case":{"opener":"alice","id":1,"title":"Shoes","open":true}}`)
	if want := []string{own, "rules/inquiry.toml"}; !slices.Equal(x.Files, want) {
		t.Errorf("files %q, want %q", x.Files, want)
	}
	if o := origins["link"]; o.File != own || o.Line != 5 || o.Value != "https://example.org/mine" {
		t.Errorf("link: %+v", o)
	}
	if o := origins["subtitle"]; o.File != "rules/inquiry.toml" || o.Why != "" {
		t.Errorf("subtitle: %+v", o)
	}
	if !slices.Equal(x.Used, []int{0}) {
		t.Errorf("rules of the first file: %v, want the first", x.Used)
	}
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRules(t *testing.T) {
	engine := rulesEngine(t, "inquiry", inquiryRules, meta.Config{})
	var got, want []string
	for _, r := range engine.Rules() {
		got = append(got, fmt.Sprintf("%s %t %d %s:%d %s", r.Service, r.Group, r.Index, r.File, r.Line, r.Patterns))
	}
	for i, patterns := range []string{"[case.#]", "[case.new case.odd]", "[case.*]", "[never]", "[weather]"} {
		at := 0
		for range i + 1 {
			at += 1 + strings.Index(inquiryRules[at:], "[[rule]]")
		}
		line := 1 + strings.Count(inquiryRules[:at], "\n")
		want = append(want, fmt.Sprintf("inquiry false %d rules/inquiry.toml:%d %s", i, line, patterns))
	}
	want = append(want, fmt.Sprintf("inquiry true 0 rules/inquiry.toml:%d [case.*]", lineOf(t, inquiryRules, "[[group]]")))
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
	if got := engine.Services(); !slices.Equal(got, []string{"inquiry"}) {
		t.Errorf("services %q", got)
	}
}

// What is wrong in an operator's file is told with its line; the rest is in force.
func TestProblems(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "shop.toml"), "service = \"shop\"\n[[rule]]\ntopic = 'a'\nsubtitle = '{{nofun .a}}'\n[[rule]]\ntopic = 'b'\nsubtitle = 'b is told'\nsubtitel = 'x'\n")
	writeFile(t, filepath.Join(dir, "mall.toml"), "service = ")
	writeFile(t, filepath.Join(dir, "shop.a.schema.json"), "[]")
	writeFile(t, filepath.Join(dir, "README"), "no rules")
	engine := rulesEngine(t, "shop", shopRules, meta.Config{Dir: dir})
	var got []string
	for _, p := range engine.Problems() {
		rel, err := filepath.Rel(dir, p.File)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s:%d", rel, p.Line))
		if p.Text == "" || !strings.Contains(p.Error(), p.Text) || !strings.HasPrefix(p.Error(), p.File+":") {
			t.Errorf("%q of %+v", p.Error(), p)
		}
	}
	if want := []string{"mall.toml:1", "shop.a.schema.json:0", "shop.toml:8", "shop.toml:4"}; !slices.Equal(got, want) {
		t.Errorf("problems at %q, want %q: %v", got, want, engine.Problems())
	}
	for event, want := range map[string]string{"a": " did a", "b": "b is told"} {
		m := sayings("shop", event+` {"user":"alice"}`)[0]
		if got := engine.Describe(context.Background(), m).Subtitle; !strings.HasSuffix(got, want) {
			t.Errorf("%s: %q, want %q", event, got, want)
		}
	}
	engine.Problems()[0].Text = "mine now" // a copy
	if engine.Problems()[0].Text == "mine now" {
		t.Error("Problems returns what the engine itself uses")
	}
}

// A rule that is left out is not in force in the copy, and stays in the original.
func TestWithout(t *testing.T) {
	engine := rulesEngine(t, "inquiry", inquiryRules, meta.Config{})
	less := engine.Without("inquiry", 1)
	m := sayings("inquiry", `case.new {"who":"carol","case":{"opener":"alice","id":1,"title":"Shoes"}}`)[0]
	for _, tt := range []struct {
		name   string
		engine *meta.Engine
		want   string
		rules  int
	}{{"whole", engine, "alice opened  case 1, Shoes", 6}, {"less", less, "general carol again", 5}, {"no such service", engine.Without("x", 0), "alice opened  case 1, Shoes", 6}} {
		if got := tt.engine.Describe(context.Background(), m).Subtitle; got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if got := len(tt.engine.Rules()); got != tt.rules {
			t.Errorf("%s: %d rules, want %d", tt.name, got, tt.rules)
		}
	}
}
