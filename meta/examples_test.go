package meta_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/meta"
)

// An example is a line of rules/SERVICE.jsonl: a message of the service, made up by
// us, and what the rules make of it; or several, and the lines that a digest has
// for them.
type example struct {
	About    string // for readers
	Msg      json.RawMessage
	Msgs     []json.RawMessage
	Expected json.RawMessage // {FIELD: VALUE}, of Msgs a list of these

	file string
	line int
}

var (
	// messageFields are what an example shows of a message; what comes after
	// objects only if there is something to see.
	messageFields = []string{
		"title", "subtitle", "link", "usernames", "packages", "objects", "secondary_icon", "agent", "long_form",
	}
	mustShow    = messageFields[:6]
	groupFields = []string{"subtitle", "link", "members", "usernames", "packages", "secondary_icon"}
	groupShow   = groupFields[:3]
)

// Each rule has an example that it says something about, and each example means
// what stands beside it. The clock of an example stands at its first message's
// time, and nobody's nick is known.
//
// UPDATE=1 writes down what the rules make of the examples now: the fields that
// stand there, and those that every example must show. Then read it.
func TestExamples(t *testing.T) {
	var now time.Time
	engine := newEngine(t, meta.Config{Now: func() time.Time { return now }})
	files, err := filepath.Glob(filepath.Join("rules", "*.toml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("rules/*.toml: %d files, %v", len(files), err)
	}
	for _, file := range files {
		service := strings.TrimSuffix(filepath.Base(file), ".toml")
		t.Run(service, func(t *testing.T) {
			used := make(map[int]bool)
			groups := 0
			for _, ex := range readExamples(t, strings.TrimSuffix(file, ".toml")+".jsonl") {
				messages := ex.messages(t)
				if len(messages) == 0 {
					continue
				}
				now = messages[0].Time
				for _, m := range messages {
					for _, rule := range engine.Explain(context.Background(), m).Used {
						used[rule] = true
					}
				}
				if ex.Msgs != nil {
					groups++
				}
				if os.Getenv("UPDATE") != "" {
					ex.update(t, engine, messages)
				} else {
					ex.check(t, engine, messages)
				}
			}
			checkExamplesCover(t, engine, service, file, used, groups)
		})
	}
}

func checkExamplesCover(t *testing.T, engine *meta.Engine, service, file string, used map[int]bool, groups int) {
	for _, rule := range engine.Rules() {
		if rule.Service == service && !used[rule.Index] {
			t.Errorf("%s:%d: no example has anything from this rule (topic %q)", rule.File, rule.Line, rule.Patterns)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range meta.Lint(file, text) {
		t.Error(problem)
	}
	if want := strings.Count("\n"+string(text), "\n[[group]]"); groups < want {
		t.Errorf("%s has %d groups, and %d examples with msgs", file, want, groups)
	}
}

// readExamples reads a file of examples, one a line.
func readExamples(t testing.TB, file string) []*example {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("each rule has an example: %v", err)
		return nil
	}
	var all []*example
	for i, line := range strings.Split(string(text), "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		ex := &example{file: file, line: i + 1}
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(ex); err != nil || dec.More() {
			t.Errorf("%s: not one object of msg or msgs and expected: %v", ex, err)
			continue
		}
		if (ex.Msg == nil) == (ex.Msgs == nil) {
			t.Errorf("%s: has msg or msgs", ex)
			continue
		}
		all = append(all, ex)
	}
	return all
}

func (ex *example) String() string { return fmt.Sprintf("%s:%d", ex.file, ex.line) }

// messages decodes what the example is about, as strictly as an edge does.
func (ex *example) messages(t testing.TB) []*fedmsg.Message {
	t.Helper()
	texts := ex.Msgs
	if ex.Msg != nil {
		texts = []json.RawMessage{ex.Msg}
	}
	var all []*fedmsg.Message
	for _, text := range texts {
		m, err := fedmsg.Decode(text)
		if err != nil {
			t.Errorf("%s: %v", ex, err)
			return nil
		}
		all = append(all, m)
	}
	return all
}

func (ex *example) check(t *testing.T, engine *meta.Engine, messages []*fedmsg.Message) {
	if ex.Msg != nil {
		words := engine.Describe(context.Background(), messages[0])
		for _, wrong := range unfit(words) {
			t.Errorf("%s: %s", ex, wrong)
		}
		ex.compare(t, "", ex.Expected, mustShow, func(field string) any { return wordsField(words, field) })
		return
	}
	var expected []json.RawMessage
	if err := json.Unmarshal(ex.Expected, &expected); err != nil {
		t.Errorf("%s: expected: UPDATE=1 fills it in: %v", ex, err)
		return
	}
	groups := engine.Group(context.Background(), messages)
	if len(groups) != len(expected) {
		t.Errorf("%s: %d groups, want %d", ex, len(groups), len(expected))
		return
	}
	for i, g := range groups {
		ex.compare(t, fmt.Sprintf("group %d: ", i), expected[i], groupShow, func(field string) any { return groupField(g, field) })
	}
}

func (ex *example) compare(t *testing.T, which string, expected json.RawMessage, must []string, field func(string) any) {
	var want map[string]json.RawMessage
	if err := json.Unmarshal(expected, &want); err != nil {
		t.Errorf("%s: %sexpected: UPDATE=1 fills it in: %v", ex, which, err)
		return
	}
	unsaid := slices.DeleteFunc(slices.Clone(must), func(name string) bool { return want[name] != nil })
	if len(unsaid) > 0 {
		t.Errorf("%s: %sexpected does not say %s; UPDATE=1 fills it in", ex, which, strings.Join(unsaid, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		raw, value := want[name], field(name)
		if err, ok := value.(error); ok {
			t.Errorf("%s: %sexpected: %v", ex, which, err)
		} else if got, want := plain(value), plain(decodeAny(raw)); got != want {
			t.Errorf("%s: %s%s: got %q, want %q", ex, which, name, got, want)
		}
	}
}

// update writes what the rules make of the example into its line; all else of the
// line stays as it is.
func (ex *example) update(t *testing.T, engine *meta.Engine, messages []*fedmsg.Message) {
	var text string
	if ex.Msg != nil {
		words := engine.Describe(context.Background(), messages[0])
		shown := append(shownFields(ex.Expected), mustShow...)
		if len(shown) == len(mustShow) {
			shown = slices.Clone(mustShow)
			for _, name := range messageFields[len(mustShow):] {
				value := plain(wordsField(words, name))
				if value != "" && (name != "long_form" || value != words.Subtitle) {
					shown = append(shown, name)
				}
			}
		}
		text = exampleJSON(shown, func(name string) any { return wordsField(words, name) })
	} else {
		var expected []json.RawMessage
		_ = json.Unmarshal(ex.Expected, &expected) // none or nonsense: as if absent
		var all []string
		for i, g := range engine.Group(context.Background(), messages) {
			shown := groupFields
			if i < len(expected) && len(shownFields(expected[i])) > 0 {
				shown = append(shownFields(expected[i]), groupShow...)
			}
			all = append(all, exampleJSON(shown, func(name string) any { return groupField(g, name) }))
		}
		text = "[" + strings.Join(all, ", ") + "]"
	}
	file, err := os.ReadFile(ex.file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(file), "\n")
	line, err := withExpected(lines[ex.line-1], text)
	if err != nil {
		t.Errorf("%s: %v", ex, err)
		return
	}
	if line == lines[ex.line-1] {
		return
	}
	lines[ex.line-1] = line
	if err := os.WriteFile(ex.file, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: now %s", ex, text)
}

// shownFields returns the names of the fields that an example shows, as they
// stand; none if nothing is filled in yet.
func shownFields(expected json.RawMessage) []string {
	var names []string
	filled := false
	dec := json.NewDecoder(bytes.NewReader(expected))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return nil
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil
		}
		names = append(names, name.(string))
		filled = filled || plain(decodeAny(value)) != ""
	}
	if !filled {
		return nil
	}
	return names
}

// withExpected replaces the value of expected in a line, or adds it.
func withExpected(line, expected string) (string, error) {
	dec := json.NewDecoder(strings.NewReader(line))
	if _, err := dec.Token(); err != nil {
		return "", err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return "", err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return "", err
		}
		if name == "expected" {
			end := int(dec.InputOffset())
			end = strings.LastIndex(line[:end], string(value)) + len(value)
			return line[:end-len(value)] + expected + line[end:], nil
		}
	}
	end := strings.LastIndexByte(line, '}')
	return line[:end] + `, "expected": ` + expected + line[end:], nil
}

// exampleJSON writes fields in one line, each once; what is empty is "" or [].
func exampleJSON(names []string, field func(string) any) string {
	var members []string
	seen := make(map[string]bool)
	for _, name := range names {
		if seen[name] {
			continue
		}
		seen[name] = true
		var text string
		switch value := field(name).(type) {
		case error:
			continue // no such field
		case []string:
			var items []string
			for _, item := range value {
				items = append(items, compactJSON(item))
			}
			text = "[" + strings.Join(items, ", ") + "]"
		case []int:
			text = strings.ReplaceAll(fmt.Sprint(value), " ", ", ")
		case map[string]string:
			if text = "{}"; len(value) > 0 {
				text = compactJSON(value)
			}
		default:
			text = compactJSON(value)
		}
		members = append(members, compactJSON(name)+": "+text)
	}
	return "{" + strings.Join(members, ", ") + "}"
}

func TestWithExpected(t *testing.T) {
	tests := []struct{ line, want string }{
		{`{"msg": {"expected": 1,  "n": 1.50}}`, `{"msg": {"expected": 1,  "n": 1.50}, "expected": {}}`},
		{`{"expected":{"a": "}"} , "msg": {"a" :1e2}}`, `{"expected":{} , "msg": {"a" :1e2}}`},
		{`{"msgs": [{}, {}], "expected": []}`, `{"msgs": [{}, {}], "expected": {}}`},
		{`{"msg": {}, "expected": null }`, `{"msg": {}, "expected": {} }`},
	}
	for _, tt := range tests {
		got, err := withExpected(tt.line, "{}")
		if got != tt.want || err != nil {
			t.Errorf("withExpected(%s) = %s, %v, want %s", tt.line, got, err, tt.want)
		}
	}
	text := exampleJSON([]string{"title", "packages", "title", "link"}, func(name string) any {
		return map[string]any{"title": "a<b", "packages": []string{"x", "y"}, "link": ""}[name]
	})
	if want := `{"title": "a<b", "packages": ["x", "y"], "link": ""}`; text != want {
		t.Errorf("exampleJSON: %s, want %s", text, want)
	}
}
