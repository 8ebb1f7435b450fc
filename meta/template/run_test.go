package template_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fedora-infra/fedmsg-go/meta/template"
)

// A file is what a template sees of a rule file: its variables, in order, its
// tables, and the pages that may be fetched.
type file struct {
	names  []string
	values map[string]template.Value
	tables map[string]map[string]string
	pages  map[string]string
}

func (f *file) Variable(name string, _ bool) (int, bool) {
	i := slices.Index(f.names, name)
	return i, i >= 0
}

func (f *file) Variables() []string { return f.names }

func (f *file) Table(name string) (map[string]string, bool) {
	t, ok := f.tables[name]
	return t, ok
}

// An asker answers a run, as the engine does.
type asker struct{ *file }

func (a asker) Variable(i int) template.Value { return a.values[a.names[i]] }

func (a asker) Fetch(url string) ([]byte, bool) {
	page, ok := a.pages[url]
	return []byte(page), ok
}

// newFile makes a file with variables, given as JSON; "" is one without a value.
func newFile(vars map[string]string) *file {
	f := &file{
		names: slices.Sorted(maps.Keys(vars)), values: make(map[string]template.Value),
		tables: map[string]map[string]string{"state": {"0": "started", "1": "finished", "true": "yes"}},
		pages:  map[string]string{"https://example.org/": "hello", "https://example.org/json": `{"a": [1.50]}`, "https://example.org/html": "<html>"},
	}
	for name, text := range vars {
		f.values[name] = template.ReadJSON([]byte(text))
	}
	return f
}

// clock is the time that all tests have: 2026-01-01 00:00 UTC.
var clock = time.Unix(1767225600, 0)

func newRun(f *file, body template.Value) *template.Run {
	fuel := template.MaxFuel
	return &template.Run{Body: body, Vars: asker{f}, Fuel: &fuel, World: &template.World{
		Now:      func() time.Time { return clock },
		Account:  func(nick string) string { return strings.TrimSuffix(nick, "|away") },
		Settings: map[string]string{"namespace": "modules"},
		Realm:    "example.org",
	}}
}

// testBody is what most templates below are about.
const testBody = `{
	"text": "Some text", "empty": "", "null": null, "yes": true, "no": false,
	"zero": 0, "one": 1, "two": 2, "minus": -3, "half": 0.5, "spelled": 1.10, "long": 12345678901234567890, "huge": 1e400, "tiny": 1e-400,
	"list": ["a", "b", "c"], "numbers": [3, 10, 2, 10], "mixed": ["x", null, 1, {"k": "v"}, ["y"], true], "none": [], "nothing": {},
	"user": {"name": "alice", "e-mail": "alice@example.org", "deep": {"er": [[1, 2], [3]]}},
	"items": [{"n": "foo", "s": 1}, {"n": "bar", "s": 2}, {"s": 1.0}, {"n": "baz", "s": "1"}],
	"umlaut": "Größe ¼ 日本語 🎩", "lines": "one\ntwo\n\nfour", "build": "bash-completion-2.1-3.fc44"
}`

// testFile has variables that templates below use.
func testFile() *file {
	return newFile(map[string]string{"who": `"bob"`, "things": `["p", "q"]`, "gone": "", "zero": "0"})
}

// eval compiles and runs a template on testBody. why tells what could not be filled.
func eval(t testing.TB, src string) (v template.Value, why string) {
	t.Helper()
	f := testFile()
	tmpl, err := template.Compile(src, f)
	if err != nil {
		t.Fatalf("Compile(%s): %v", src, err)
	}
	body := template.ReadJSON([]byte(testBody))
	run := newRun(f, body)
	v = tmpl.Value(run, body)
	return v, run.Why()
}

// within runs a template until it was fast enough, three times at most: a busy
// machine may be slow once. It returns the last run and how long the fastest took.
func within(limit time.Duration, tmpl *template.Template, body template.Value) (v template.Value, run *template.Run, took time.Duration) {
	for try := range 3 {
		run = newRun(testFile(), body)
		start := time.Now()
		v = tmpl.Value(run, body)
		if now := time.Since(start); try == 0 || now < took {
			took = now
		}
		if took <= limit {
			break
		}
	}
	return v, run, took
}

// shown spells a value with its kind: texts stand in quotes, missing is "(missing)".
func shown(v template.Value) string {
	switch v.Kind() {
	case template.Missing:
		return "(missing)"
	case template.Text:
		return `"` + v.String() + `"`
	}
	return v.String()
}

// A row is a template and what it makes of testBody.
type row struct{ src, want string }

func check(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		if v, why := eval(t, r.src); shown(v) != r.want {
			t.Errorf("%s\n = %s (%s)\nwant %s", r.src, shown(v), why, r.want)
		}
	}
}

// checkHelpers checks calls, without the braces around them.
func checkHelpers(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		check(t, []row{{"{{" + r.src + "}}", r.want}})
	}
}
