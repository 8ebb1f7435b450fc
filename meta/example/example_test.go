package example_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/fedora-infra/fedmsg-go/meta"
	"github.com/fedora-infra/fedmsg-go/meta/example"
)

const rules = `
service   = "garden"
icon      = "https://example.org/garden.png"
usernames = ['{{.user}}']

[[rule]]
topic    = "plant.*"
subtitle = '{{.user}} planted <{{.plant}}> & more'
link     = 'https://example.org/{{.plant}}'

[[rule]]
topic     = "harvest"
subtitle  = '{{.user}} harvested'
long_form = '''{{.user}} harvested
{{.plant}}'''
packages  = ['{{.plant}}']

[[group]]
topic    = "plant.*"
by       = ['{{.plant}}']
subtitle = '{{$count}} of "{{.plant}}" by {{series $usernames}}'

[[group]]
topic    = "harvest"
by       = ['{{.plant}}']
subtitle = '{{$count}} harvests'
`

func newEngine(t *testing.T) *meta.Engine {
	t.Helper()
	engine, err := meta.New(meta.Config{Files: fstest.MapFS{"garden.toml": {Data: []byte(rules)}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(engine.Rules()); got != 4 {
		t.Fatalf("%d rules and groups are in force, want 4", got)
	}
	return engine
}

// message writes a whole message of the garden.
func message(event, body string) string {
	return `{"topic": "org.example.prod.garden.` + event + `", "msg": ` + body + `, "msg_id": "2026-1", "timestamp": 1767225600, "username": "garden", "i": 1}`
}

func readOne(t *testing.T, line string) *example.Example {
	t.Helper()
	examples, problems := example.Read("garden.jsonl", []byte(line))
	if len(examples) != 1 || len(problems) != 0 {
		t.Fatalf("%s: %d examples, problems %v", line, len(examples), problems)
	}
	return examples[0]
}

var planted = message("plant.new", `{"user": "alice", "plant": "rose"}`)

// A line that is no example is told with its number; the others count.
func TestRead(t *testing.T) {
	lines := []struct{ text, problem string }{
		{`{"msg": ` + planted + `, "expected": {}}`, ""},
		{``, ""},
		{`{"msgs": [` + planted + `, ` + planted + `], "about": "two"}`, ""},
		{` ` + "\t\r", ""},
		{`{"msg": ` + planted + "}\r", ""},
		{`{"msg": `, "unexpected EOF"},
		{`roses`, "invalid character"},
		{`[]`, "is no example"},
		{`{"msg": ` + planted + `, "excepted": {}}`, "excepted"},
		{`{"msg": ` + planted + `, "msgs": [` + planted + `]}`, "msg or msgs"},
		{`{"expected": {}}`, "msg or msgs"},
		{`{"msg": ` + planted + `} {}`, "one object"},
		{planted, `a message stands in one, {"msg": `},
		{`{"seq": 1, "at": "x", "message": ` + planted + `}`, `a message stands in one, {"msg": `},
		{`{"msg": {"user": "alice", "plant": "rose"}}`, "msg is a whole message: with topic, msg, msg_id and timestamp"},
		{`{"msgs": []}`, "there is no message"},
		{`{"msgs": null}`, "there is no message"},
		{`{"msgs": ` + planted + `}`, "msgs"},
		{`{"msg": {"topic": "a.b"}}`, "msg"},
		{`{"msg": null}`, "object"},
		{`{"msgs": [` + planted + `, 5]}`, "object"},
	}
	var text []string
	var wantExamples, wantProblems []int
	for i, l := range lines {
		text = append(text, l.text)
		switch {
		case l.problem != "":
			wantProblems = append(wantProblems, i+1)
		case strings.TrimSpace(l.text) != "":
			wantExamples = append(wantExamples, i+1)
		}
	}
	examples, problems := example.Read("garden.jsonl", []byte(strings.Join(text, "\n")))
	var at []int
	for _, ex := range examples {
		at = append(at, ex.Line)
		if wantMembers := strings.Count(lines[ex.Line-1].text, `"topic"`); len(ex.Messages) != wantMembers || ex.Group != (wantMembers > 1) {
			t.Errorf("line %d: %d messages, group %t", ex.Line, len(ex.Messages), ex.Group)
		}
	}
	if !slices.Equal(at, wantExamples) {
		t.Errorf("examples on lines %v, want %v", at, wantExamples)
	}
	at = nil
	for _, p := range problems {
		at = append(at, p.Line)
		if p.File != "garden.jsonl" || !strings.Contains(p.Text, lines[p.Line-1].problem) {
			t.Errorf("%v; want something about %q", p, lines[p.Line-1].problem)
		}
	}
	if !slices.Equal(at, wantProblems) {
		t.Errorf("problems on lines %v, want %v", at, wantProblems)
	}
}

func TestCheck(t *testing.T) {
	engine := newEngine(t)
	harvested := message("harvest", `{"user": "bob", "plant": "rose"}`)
	for _, tt := range []struct {
		name, line string
		want       []string // what must stand in each error
	}{
		{"right", `{"msg": ` + planted + `, "expected": {"subtitle": "alice planted <rose> & more", "link": "https://example.org/rose", "usernames": ["alice"], "packages": []}}`, nil},
		{"spelled otherwise", `{"msg": ` + planted + `, "expected": {"subtitle": "alice planted \u003crose> \u0026 more", "usernames":["alice" ]}}`, nil},
		{"nothing is null", `{"msg": ` + planted + `, "expected": {"secondary_icon": null, "agent": "alice"}}`, nil},
		{"nothing is empty", `{"msg": ` + planted + `, "expected": {"secondary_icon": ""}}`, nil},
		{"another sentence", `{"msg": ` + planted + `, "expected": {"subtitle": "bob planted", "link": "https://example.org/rose"}}`, []string{`subtitle: got "alice planted`}},
		{"two fields", `{"msg": ` + planted + `, "expected": {"link": "x", "usernames": ["alice", "bob"]}}`, []string{`link: got "https://example.org/rose", want "x"`, `usernames: got ["alice"], want ["alice", "bob"]`}},
		{"another order", `{"msg": ` + planted + `, "expected": {"usernames": [["alice"]]}}`, []string{"usernames"}},
		{"no such field", `{"msg": ` + planted + `, "expected": {"sentence": "x"}}`, []string{`no field "sentence"`}},
		{"says nothing", `{"msg": ` + planted + `, "expected": {}}`, []string{"says nothing"}},
		{"not there", `{"msg": ` + planted + `}`, []string{"--update"}},
		{"no object", `{"msg": ` + planted + `, "expected": [{"link": ""}]}`, []string{"no object"}},

		{"group", `{"msgs": [` + planted + `, ` + harvested + `, ` + planted + `], "expected": [{"members": [0, 2], "subtitle": "2 of \"rose\" by alice"}, {"subtitle": "bob harvested", "title": "garden.harvest"}]}`, nil},
		{"wrong in a group", `{"msgs": [` + planted + `, ` + harvested + `], "expected": [{"members": [0]}, {"members": [0]}]}`, []string{"line 2: members: got [1], want [0]"}},
		{"fewer lines", `{"msgs": [` + planted + `, ` + harvested + `], "expected": [{"members": [0, 1]}]}`, []string{"2 lines for it, 1 are expected"}},
		{"a line says nothing", `{"msgs": [` + planted + `, ` + harvested + `], "expected": [{"members": [0]}, {}]}`, []string{"line 2: expected says nothing"}},
		{"group, no list", `{"msgs": [` + planted + `], "expected": {"members": [0]}}`, []string{"no list"}},
		{"group, not there", `{"msgs": [` + planted + `]}`, []string{"--update"}},
		{"group, list of texts", `{"msgs": [` + planted + `], "expected": ["x"]}`, []string{"no object"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wrong := readOne(t, tt.line).Check(context.Background(), engine)
			if len(wrong) != len(tt.want) {
				t.Fatalf("%v, want %d errors", wrong, len(tt.want))
			}
			for i, err := range wrong {
				if !strings.Contains(err.Error(), tt.want[i]) {
					t.Errorf("%q, want %q in it", err, tt.want[i])
				}
			}
		})
	}
}

// What the author wrote stays as it is, to the last blank; only expected is new.
func TestUpdated(t *testing.T) {
	engine := newEngine(t)
	odd := `{ "topic":"org.example.prod.garden.plant.new","msg":{"user":"al\u0069ce","plant":"rose","n":1.10e0,"expected":{"a":"}"}} ,"msg_id":"2026-1","timestamp":1767225600.0}`
	harvested := message("harvest", `{"user": "bob", "plant": "rose"}`)
	words := `{"title": "garden.plant.new", "subtitle": "alice planted <rose> & more", "link": "https://example.org/rose", "usernames": ["alice"], "packages": [], "objects": [], "agent": "alice"}`
	for _, tt := range []struct{ name, line, want string }{
		{"added", `{"msg": ` + planted + `}`, `{"msg": ` + planted + `, "expected": ` + words + `}`},
		{"added, blanks after it", `  {"msg": ` + planted + " }\t\r", `  {"msg": ` + planted + ` , "expected": ` + words + "}\t\r"},
		{"empty", `{"expected": {}, "msg": ` + planted + `}`, `{"expected": ` + words + `, "msg": ` + planted + `}`},
		{"null", `{"expected": null, "msg": ` + planted + `}`, `{"expected": ` + words + `, "msg": ` + planted + `}`},
		{"of another type", `{"expected": "x", "msg": ` + planted + `}`, `{"expected": ` + words + `, "msg": ` + planted + `}`},
		{"odd spelling", `{"about" : "\u003c", "expected" :  {"link":"x"}  , "msg":` + odd + ` }`, `{"about" : "\u003c", "expected" :  {"link": "https://example.org/rose"}  , "msg":` + odd + ` }`},
		{"its own fields, in its own order", `{"msg": ` + planted + `, "expected": {"usernames": [], "nonsense": 1, "agent": null}}`, `{"msg": ` + planted + `, "expected": {"usernames": ["alice"], "agent": "alice"}}`},
		{"paragraphs are shown", `{"msg": ` + harvested + `}`, `{"msg": ` + harvested + `, "expected": {"title": "garden.harvest", "subtitle": "bob harvested", "link": "", "usernames": ["bob"], "packages": ["rose"], "objects": [], "agent": "bob", "long_form": "bob harvested\nrose"}}`},
		{"group", `{"msgs": [` + planted + `, ` + planted + `]}`, `{"msgs": [` + planted + `, ` + planted + `], "expected": [{"members": [0, 1], "subtitle": "2 of \"rose\" by alice", "link": "https://example.org/rose", "usernames": ["alice"], "packages": [], "secondary_icon": "https://example.org/garden.png"}]}`},
		{"group of another number of lines", `{"msgs": [` + planted + `, ` + planted + `], "expected": [{}, {}, {}]}`, `{"msgs": [` + planted + `, ` + planted + `], "expected": [{"members": [0, 1], "subtitle": "2 of \"rose\" by alice", "link": "https://example.org/rose", "usernames": ["alice"], "packages": [], "secondary_icon": "https://example.org/garden.png"}]}`},
		{"group of too few lines", `{"msgs": [` + harvested + `, ` + planted + `], "expected": []}`, `{"msgs": [` + harvested + `, ` + planted + `], "expected": [{"members": [0], "subtitle": "bob harvested", "link": "", "usernames": ["bob"], "packages": ["rose"], "secondary_icon": ""}, {"members": [1], "subtitle": "alice planted <rose> & more", "link": "https://example.org/rose", "usernames": ["alice"], "packages": [], "secondary_icon": ""}]}`},
		{"group of several lines", `{"expected": [{"subtitle": ""}, {"members": [7]}], "msgs": [` + planted + `, ` + harvested + `]}`, `{"expected": [{"subtitle": "alice planted <rose> & more"}, {"members": [1]}], "msgs": [` + planted + `, ` + harvested + `]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readOne(t, tt.line).Updated(context.Background(), engine)
			if err != nil || got != tt.want {
				t.Fatalf("%v\n\tgot  %s\n\twant %s", err, got, tt.want)
			}
			ex := readOne(t, got)
			if wrong := ex.Check(context.Background(), engine); wrong != nil {
				t.Errorf("after it: %v", wrong)
			}
			if again, err := ex.Updated(context.Background(), engine); err != nil || again != got {
				t.Errorf("once more: %v\n\tgot  %s\n\twant %s", err, again, got)
			}
		})
	}
}

// Examples must show each rule and each group; what they do not is told by line.
func TestCoverage(t *testing.T) {
	engine := newEngine(t)
	harvested := message("harvest", `{"user": "bob", "plant": "rose"}`)
	line := func(text string, nth int) int {
		at := 0
		for range nth {
			at += 1 + strings.Index(rules[at:], text)
		}
		return 1 + strings.Count(rules[:at], "\n")
	}
	rule1, rule2, group1, group2 := line("[[rule]]", 1), line("[[rule]]", 2), line("[[group]]", 1), line("[[group]]", 2)
	for _, tt := range []struct {
		name    string
		lines   []string
		missing []int
	}{
		{"none", nil, []int{rule1, rule2, group1, group2}},
		{"another topic", []string{`{"msg": ` + message("weather", `{}`) + `}`}, []int{rule1, rule2, group1, group2}},
		{"one rule", []string{`{"msg": ` + planted + `}`}, []int{rule2, group1, group2}},
		{"both", []string{`{"msg": ` + planted + `}`, `{"msg": ` + harvested + `}`}, []int{group1, group2}},
		{"a group shows its members' rules too", []string{`{"msgs": [` + harvested + `, ` + harvested + `]}`}, []int{rule1, group1}},
		{"no group came about", []string{`{"msgs": [` + planted + `, ` + harvested + `]}`}, []int{group1, group2}},
		{"all", []string{`{"msgs": [` + planted + `, ` + planted + `]}`, `{"msgs": [` + harvested + `, ` + harvested + `]}`}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c example.Coverage
			for _, text := range tt.lines {
				c.Add(context.Background(), engine, readOne(t, text))
			}
			var got []int
			for _, p := range c.Missing(engine, "rules/garden.toml") {
				got = append(got, p.Line)
				if want := fmt.Sprintf("%q", []string{"harvest"}); p.Line == rule2 && !strings.Contains(p.Text, want) {
					t.Errorf("%v, want the topics %s in it", p, want)
				}
			}
			if !slices.Equal(got, tt.missing) {
				t.Errorf("missing on lines %v, want %v", got, tt.missing)
			}
			if other := c.Missing(engine, "rules/other.toml"); other != nil {
				t.Errorf("of another file: %v", other)
			}
		})
	}
}
