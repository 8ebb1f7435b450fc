// Package example reads, checks and rewrites the examples that stand beside rule
// files: messages, and the words that the rules must find for them.
//
// SERVICE.jsonl beside SERVICE.toml has an object a line. {"msg": MESSAGE,
// "expected": {FIELD: VALUE}} is one message and some of its words; {"msgs":
// [MESSAGE], "expected": [{FIELD: VALUE}]} are several and the lines that a digest
// makes of them.
package example

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/meta"
)

// An Example is a line of examples.
type Example struct {
	Messages []*fedmsg.Message
	Line     int  // of the file, from 1
	Group    bool // whether it is about what a digest makes of the messages

	text     string // the whole line
	expected json.RawMessage
}

// line is how an example is written.
type line struct {
	About    string          `json:"about"` // for readers
	Msg      json.RawMessage `json:"msg"`
	Msgs     json.RawMessage `json:"msgs"`
	Expected json.RawMessage `json:"expected"`
}

// Read reads a file of examples. The problems are of lines that are none.
func Read(file string, src []byte) (examples []*Example, problems []meta.Problem) {
	for i, text := range strings.Split(string(src), "\n") {
		if strings.TrimSpace(text) == "" {
			continue
		}
		ex, err := read(text)
		if err != nil {
			problems = append(problems, meta.Problem{File: file, Line: i + 1, Text: err.Error()})
			continue
		}
		ex.Line = i + 1
		examples = append(examples, ex)
	}
	return examples, problems
}

func read(text string) (*Example, error) {
	var l line
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		var bare struct{ Topic, Message json.RawMessage }
		if json.Unmarshal([]byte(text), &bare) == nil && (bare.Topic != nil || bare.Message != nil) {
			return nil, errors.New(`is no example: a message stands in one, {"msg": {"topic": ..., "msg": {...}}}`)
		}
		return nil, fmt.Errorf("is no example: %w", err)
	}
	if dec.More() || (l.Msg == nil) == (l.Msgs == nil) {
		return nil, errors.New("is no example: it must be one object with msg or msgs, and expected")
	}
	ex := &Example{text: text, expected: l.Expected, Group: l.Msgs != nil}
	texts := []json.RawMessage{l.Msg}
	if ex.Group {
		if err := json.Unmarshal(l.Msgs, &texts); err != nil {
			return nil, fmt.Errorf("msgs: %w", err)
		}
	}
	if len(texts) == 0 {
		return nil, errors.New("msgs: there is no message")
	}
	for _, text := range texts {
		m, err := fedmsg.Decode(text)
		if err != nil {
			return nil, fmt.Errorf("%w (msg is a whole message: with topic, msg, msg_id and timestamp)", err)
		}
		ex.Messages = append(ex.Messages, m)
	}
	return ex, nil
}

// Fields that every example shows, and those it shows if there is something to see.
var (
	shownWords    = []string{"title", "subtitle", "link", "usernames", "packages", "objects"}
	optionalWords = []string{"secondary_icon", "agent", "long_form"}
	shownGroup    = []string{"members", "subtitle", "link", "usernames", "packages", "secondary_icon"}
)

// Check returns what the rules make otherwise than the example expects.
func (ex *Example) Check(ctx context.Context, engine *meta.Engine) (wrong []error) {
	got, err := ex.results(ctx, engine)
	if err != nil {
		return []error{err}
	}
	want, err := ex.wanted()
	if err != nil {
		return []error{fmt.Errorf("expected: %w", err)}
	}
	if len(got) != len(want) {
		return []error{fmt.Errorf("a digest has %d lines for it, %d are expected", len(got), len(want))}
	}
	for i := range got {
		which := ""
		if ex.Group {
			which = fmt.Sprintf("line %d: ", i+1)
		}
		if len(want[i]) == 0 {
			wrong = append(wrong, fmt.Errorf("%sexpected says nothing", which))
		}
		for _, w := range want[i] {
			g := find(got[i], w.Name)
			if g == nil {
				wrong = append(wrong, fmt.Errorf("%sexpected: there is no field %q", which, w.Name))
			} else if !same(g, w.JSON) {
				wrong = append(wrong, fmt.Errorf("%s%s: got %s, want %s", which, w.Name, g, w.JSON))
			}
		}
	}
	return wrong
}

// Updated returns the example's line with what the rules make of it now: the
// fields that stood there, or those that an example should show.
func (ex *Example) Updated(ctx context.Context, engine *meta.Engine) (string, error) {
	got, err := ex.results(ctx, engine)
	if err != nil {
		return "", err
	}
	want, err := ex.wanted()
	if err != nil || len(want) != len(got) {
		want = make([][]fedmsg.Member, len(got))
	}
	var all []string
	for i := range got {
		var names []string
		for _, w := range want[i] {
			names = append(names, w.Name)
		}
		if len(names) == 0 {
			names = suggested(got[i], ex.Group)
		}
		all = append(all, object(got[i], names))
	}
	text := strings.Join(all, ", ")
	if ex.Group {
		text = "[" + text + "]"
	}
	return withExpected(ex.text, text)
}

// suggested are the fields that an example should show.
func suggested(got []fedmsg.Member, group bool) []string {
	if group {
		return shownGroup
	}
	names := slices.Clone(shownWords)
	for _, name := range optionalWords {
		text := string(find(got, name))
		if text != "null" && text != `""` && (name != "long_form" || text != string(find(got, "subtitle"))) {
			names = append(names, name)
		}
	}
	return names
}

// results are the fields of what the rules make of the messages: of the words, or
// of each line of a digest.
func (ex *Example) results(ctx context.Context, engine *meta.Engine) ([][]fedmsg.Member, error) {
	texts := [][]byte{engine.Describe(ctx, ex.Messages[0]).AppendJSON(nil)}
	if ex.Group {
		texts = nil
		for _, g := range engine.Group(ctx, ex.Messages) {
			members, err := json.Marshal(g.Members)
			if err != nil {
				return nil, err
			}
			text := g.Words.AppendJSON([]byte(`{"members":` + string(members) + ","))
			texts = append(texts, slices.Delete(text, len(`{"members":,`)+len(members), len(`{"members":,{`)+len(members)))
		}
	}
	var all [][]fedmsg.Member
	for _, text := range texts {
		fields, err := fedmsg.DecodeObject(text)
		if err != nil {
			return nil, err
		}
		all = append(all, fields)
	}
	return all, nil
}

// wanted are the fields that the example expects.
func (ex *Example) wanted() ([][]fedmsg.Member, error) {
	texts := []json.RawMessage{ex.expected}
	if ex.Group {
		texts = nil // else the first would be decoded into the memory of expected
		if err := json.Unmarshal(ex.expected, &texts); err != nil {
			return nil, errors.New("is no list; --update fills it in")
		}
	}
	var all [][]fedmsg.Member
	for _, text := range texts {
		fields, err := fedmsg.DecodeObject(text)
		if err != nil {
			return nil, errors.New("is no object; --update fills it in")
		}
		all = append(all, fields)
	}
	return all, nil
}

func find(fields []fedmsg.Member, name string) json.RawMessage {
	for _, f := range fields {
		if f.Name == name {
			return f.JSON
		}
	}
	return nil
}

// same compares JSON values; null and "" are the same.
func same(a, b json.RawMessage) bool {
	plain := func(text json.RawMessage) string {
		var v any
		if json.Unmarshal(text, &v) != nil || v == nil {
			return `""`
		}
		out, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		return string(out)
	}
	return plain(a) == plain(b)
}

// object writes fields in one line that reads well.
func object(fields []fedmsg.Member, names []string) string {
	var members []string
	for _, name := range names {
		text := find(fields, name)
		if text == nil {
			continue
		}
		var list []json.RawMessage
		if json.Unmarshal(text, &list) == nil && list != nil {
			items := make([]string, len(list))
			for i, item := range list {
				items[i] = readable(item)
			}
			text = []byte("[" + strings.Join(items, ", ") + "]")
		}
		members = append(members, `"`+name+`": `+readable(text))
	}
	return "{" + strings.Join(members, ", ") + "}"
}

// readable writes a string without the escapes that only web pages need.
func readable(text json.RawMessage) string {
	var s string
	if json.Unmarshal(text, &s) != nil {
		return string(text)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) != nil {
		return string(text)
	}
	return strings.TrimSpace(b.String())
}

// withExpected replaces the value of expected in a line, or adds it. All else of
// the line stays as it is written.
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
			return line[:end-len(value)] + expected + line[end:], nil
		}
	}
	end := strings.LastIndexByte(line, '}')
	return line[:end] + `, "expected": ` + expected + line[end:], nil
}

// A Coverage tells which rules and groups of a file the examples show.
type Coverage struct{ rules, groups map[int]bool }

// Add counts what an example shows.
func (c *Coverage) Add(ctx context.Context, engine *meta.Engine, ex *Example) {
	if c.rules == nil {
		c.rules, c.groups = make(map[int]bool), make(map[int]bool)
	}
	for _, m := range ex.Messages {
		for _, rule := range engine.Explain(ctx, m).Used {
			c.rules[rule] = true
		}
	}
	if ex.Group {
		for _, g := range engine.Group(ctx, ex.Messages) {
			if g.Line > 0 {
				c.groups[g.Line] = true
			}
		}
	}
}

// Groups makes examples of the groups of a file that no example shows, of messages
// of those that there are.
func (c *Coverage) Groups(ctx context.Context, engine *meta.Engine, file string, examples []*Example) (made []*Example) {
	missing := make(map[int]bool)
	for _, rule := range engine.Rules() {
		missing[rule.Line] = missing[rule.Line] || rule.File == file && rule.Group && !c.groups[rule.Line]
	}
	var all []*fedmsg.Message
	for _, ex := range examples {
		if !ex.Group {
			all = append(all, ex.Messages...)
		}
	}
	for _, g := range engine.Group(ctx, all) {
		if g.File != file || !missing[g.Line] {
			continue
		}
		missing[g.Line] = false
		var texts []string
		ex := &Example{Group: true}
		for _, n := range g.Members {
			ex.Messages = append(ex.Messages, all[n])
			texts = append(texts, string(all[n].Compact()))
		}
		ex.text = `{"msgs": [` + strings.Join(texts, ", ") + `]}`
		made = append(made, ex)
	}
	return made
}

// Missing returns the rules and groups of a file that no example shows.
func (c *Coverage) Missing(engine *meta.Engine, file string) (missing []meta.Problem) {
	for _, rule := range engine.Rules() {
		switch {
		case rule.File != file:
		case rule.Group && !c.groups[rule.Line]:
			missing = append(missing, meta.Problem{File: rule.File, Line: rule.Line, Text: fmt.Sprintf(`no example makes a group of topics %q: add a line {"msgs": [MESSAGE, MESSAGE]} of whole messages that go together`, rule.Patterns)})
		case !rule.Group && !c.rules[rule.Index]:
			missing = append(missing, meta.Problem{File: rule.File, Line: rule.Line, Text: fmt.Sprintf(`no example has anything from the rule for topics %q: add a line {"msg": MESSAGE}`, rule.Patterns)})
		}
	}
	return missing
}
