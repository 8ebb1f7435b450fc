package query_test

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/naive"
	"github.com/fedora-infra/fedmsg-go/query"
)

// A describer has words, and counts how often it was asked.
type describer struct {
	words fedmsg.Words
	asked int
}

func (d *describer) Describe(context.Context, *fedmsg.Message) fedmsg.Words {
	d.asked++
	return d.words
}

func decode(t testing.TB, text string) *fedmsg.Message {
	t.Helper()
	m, err := fedmsg.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func matcher(t testing.TB, line string, words fedmsg.Describer) *query.Matcher {
	t.Helper()
	q, err := query.Parse(line, now)
	if err != nil {
		t.Fatal(err)
	}
	return query.NewMatcher(q.Filter, words)
}

const comment = `{"topic":"org.fedoraproject.prod.bodhi.update.comment","msg_id":"2026-1","timestamp":1767225600,"headers":{"severity":20},
	"msg":{"update":{"alias":"FEDORA-2026-1","karma":-1,"builds":[{"nvr":"kernel-6.12.5-300.fc44"},{"nvr":"bash-5.3-1.fc44"}]},
	"text":"Works for me","rev":"0123456789abcdef0123456789abcdef01234567","id":12345}}`

func TestMatch(t *testing.T) {
	entry := fedmsg.Entry{Verified: "x509:bodhi-app01", Message: decode(t, comment)}
	words := fedmsg.Words{Agent: "ralph", Usernames: []string{"kevin", "ralph"}, Packages: []string{"bash", "kernel"}, Objects: []string{"packages/bash"}}
	tests := []struct {
		line  string
		want  bool
		asked int // how often for words
	}{
		{"", true, 0},
		{"-()", false, 0},
		{"topic:org.fedoraproject.*.bodhi.#", true, 0},
		{"topic:bodhi.update.*", true, 0},
		{"topic:update.comment", false, 0},
		{"topic:#.comment", true, 0},
		{"category:bodhi", true, 0},
		{"category:update", false, 0},
		{"id:2026-1 verified:x509 verified:x509:bodhi-app01", true, 0},
		{"verified:x509:bodhi", false, 0},
		{"agent:ralph user:kevin package:kernel object:packages/bash", true, 1},
		{"agent:kevin", false, 1},
		{"user:ralph,nobody", true, 1},
		{"-user:kevin", false, 1},
		{"user:ralph category:git", false, 0}, // the cheaper first
		{"user:ralph OR category:bodhi", true, 0},
		{"WORKS bodhi 12345", true, 0},
		{"work", false, 0},
		{`"works for me"`, true, 0},
		{`"for works"`, false, 0},
		{"kernel-6.12.5-300.fc44", true, 0},
		{"0123456789abcdef0123456789abcdef01234567", true, 0},
		{"alias", false, 0},
		{"body.update.builds.nvr:bash-5.3-1.fc44", true, 0},
		{"body.update.builds.0.nvr:bash-5.3-1.fc44", false, 0},
		{"body.update.karma:<0 body.update.karma:>=-1 -body.update.karma:>-1", true, 0},
		{"body.missing:1", false, 0},
		{"header.severity:20 -header.none:1", true, 0},
	}
	for _, tt := range tests {
		d := &describer{words: words}
		if got := matcher(t, tt.line, d).Match(t.Context(), entry); got != tt.want || d.asked != tt.asked {
			t.Errorf("%s: Match = %v and asked %d times for words, want %v and %d", tt.line, got, d.asked, tt.want, tt.asked)
		}
	}
	if !matcher(t, "-user:ralph", nil).Match(t.Context(), entry) {
		t.Error("without words a message concerns somebody")
	}
}

func TestPatterns(t *testing.T) {
	tests := []struct{ line, want string }{
		{"", ""},
		{"user:ralph", ""},
		{"topic:git.receive", "git.receive *.*.*.git.receive"},
		{"category:git", "*.*.*.git.#"},
		{"category:git user:ralph topic:git.*,bodhi.*", "*.*.*.git.#"}, // the fewer
		{"category:git,bodhi", "*.*.*.git.# *.*.*.bodhi.#"},
		{"category:git OR user:ralph", ""},
		{"category:git OR topic:git.#", "*.*.*.git.# git.# *.*.*.git.#"},
		{"-category:git", ""},
		{"topic:#", ""},
		{"topic:#.build category:git,bodhi,bugzilla", "*.*.*.git.# *.*.*.bodhi.# *.*.*.bugzilla.#"},
		{"topic:" + strings.Repeat("a", 250), ""},
		{"topic:a.*,b.*,c.*" + strings.Repeat(",x.#,y.z,d.#", 40), "a.* *.*.*.a.* b.* *.*.*.b.* c.* *.*.*.c.* x.# *.*.*.x.# y.z *.*.*.y.z d.# *.*.*.d.#"},
	}
	for _, tt := range tests {
		var got []string
		for _, p := range matcher(t, tt.line, nil).Patterns() {
			got = append(got, string(p))
		}
		if want := slices.Compact(strings.Fields(tt.want)); strings.Join(got, " ") != strings.Join(dedupe(want), " ") {
			t.Errorf("%.60s: Patterns = %q, want %q", tt.line, got, want)
		}
	}
}

func dedupe(list []string) (once []string) {
	for _, s := range list {
		if !slices.Contains(once, s) {
			once = append(once, s)
		}
	}
	return once
}

// A second reading of queries, made apart from this one, finds the same; a query's
// line means what it does; its patterns lose nothing.
func TestMatchAgreesWithNaive(t *testing.T) {
	passed := 0
	for seed := range uint64(12) {
		random := naive.NewRandom(seed)
		entries := random.Entries(60)
		for range 50 {
			q := random.Query()
			switch err := query.Check(q); {
			case err == nil:
			case strings.Contains(err.Error(), "a category is one word"), strings.Contains(err.Error(), "no time"), strings.Contains(err.Error(), "a time is not"):
				continue // no line says so, and no message passes
			default:
				t.Fatalf("seed %d: Check(%s): %v", seed, naive.Show(q), err)
			}
			again, err := query.Parse(query.String(q), time.Time{})
			if err != nil || query.String(again) != query.String(q) {
				t.Fatalf("seed %d: %s\nParse(%s)\n = %s, %v", seed, naive.Show(q), query.String(q), naive.Show(again), err)
			}
			m, of := query.NewMatcher(q.Filter, naive.Describer{}), query.NewMatcher(again.Filter, naive.Describer{})
			for _, e := range entries {
				want := naive.Passes(q.Filter, e, naive.Describer{}.Describe(t.Context(), e.Message))
				if got, line := m.Match(t.Context(), e), of.Match(t.Context(), e); got != want || line != want {
					t.Fatalf("seed %d: %s\n%s\nMatch = %v, of its line %v, naive %v", seed, naive.Show(q), e.Message.Bytes(), got, line, want)
				}
				if want && !fedmsg.MatchAny(m.Patterns(), e.Message.Topic) {
					t.Fatalf("seed %d: %s\nPatterns %q lose %s", seed, naive.Show(q), m.Patterns(), e.Message.Topic)
				}
				if want {
					passed++
				}
			}
		}
	}
	if passed < 300 {
		t.Errorf("only %d passed", passed)
	}
}

// FuzzParse holds for any line: either it is an Error with a place in the line, or
// the line of the query is the same query, and chips put together are too.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`topic:*.build.* user:ralph -category:ansible after:2d "free text" body.build_id:123`,
		`(a OR -b,c) AND NOT text:"x \" y",z body."odd key":>=2,<"3" order:oldest`, "on:2026 service:git,bodhi -()", `user:"\u00e9\U0001f600"`,
		"a OR b after:1d", "((", `"`, "-", "after:1700000000.5 before:2026-11-24T10:00:00+02:00", "-(a (b OR c)) OR ()", `text:OR,"AND" "NOT"`, "\u00a0\u3000x\u200b", `agent:""`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		q, err := query.Parse(line, now)
		if err != nil {
			e, ok := err.(*query.Error)
			if !ok || e.Pos < 0 || e.Len < 0 || e.Pos+e.Len > len(line) || e.Text == "" {
				t.Fatalf("Parse(%q): %#v", line, err)
			}
			if e.Show() == "" || strings.Count(e.Show(), "\n") != 1 {
				t.Fatalf("Show = %q", e.Show())
			}
			return
		}
		if err := query.Check(q); err != nil {
			t.Fatalf("Check(Parse(%q)): %v", line, err)
		}
		text := query.String(q)
		again, err := query.Parse(text, time.Time{})
		if err != nil || !reflect.DeepEqual(again, q) || query.String(again) != text {
			t.Fatalf("Parse(%q)\n = %+v\nParse(%q)\n = %+v, %v", line, q, text, again, err)
		}
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) {
			t.Fatalf("String = %q", text)
		}
		chips, err := query.Chips(line, now)
		if err != nil {
			t.Fatal(err)
		}
		var parts []string
		for _, c := range chips {
			parts = append(parts, c.Text)
			if _, err := query.Parse(c.Without, now); err != nil {
				t.Fatalf("Chips(%q): without %q: %v", line, c.Text, err)
			}
		}
		if whole, err := query.Parse(strings.Join(parts, " "), now); err != nil || !reflect.DeepEqual(whole, q) {
			t.Fatalf("Chips(%q) = %q: %+v, %v, want %+v", line, parts, whole, err, q)
		}
	})
}

// FuzzMatch holds for any line and body: the second reading agrees, and patterns
// lose nothing.
func FuzzMatch(f *testing.F) {
	f.Add("works -body.a.b:>1 topic:*.git.#", "org.fedoraproject.prod.git.receive", `{"a":{"b":[1,2.5,"x"]},"agent":"ralph","text":"It works."}`)
	f.Add(`text:"a b",c OR agent:ralph user:x`, "a.b", `{"a.b":"A-b","users":["x"]}`)
	f.Fuzz(func(t *testing.T, line, topic, body string) {
		q, err := query.Parse(line, now)
		if err != nil {
			return
		}
		raw, err := json.Marshal(map[string]interface{}{"topic": topic, "msg_id": "2026-1", "timestamp": 1})
		if err != nil {
			return
		}
		m, err := fedmsg.Decode([]byte(strings.TrimSuffix(string(raw), "}") + `,"msg":` + body + "}"))
		if err != nil {
			return
		}
		e := fedmsg.Entry{Verified: "none", Message: m}
		matcher := query.NewMatcher(q.Filter, naive.Describer{})
		got, want := matcher.Match(t.Context(), e), naive.Passes(q.Filter, e, naive.Describer{}.Describe(t.Context(), m))
		if got != want {
			t.Fatalf("%s\n%s\nMatch = %v, naive %v", query.String(q), m.Bytes(), got, want)
		}
		if got && !fedmsg.MatchAny(matcher.Patterns(), m.Topic) {
			t.Fatalf("Patterns %q lose %s", matcher.Patterns(), m.Topic)
		}
	})
}

const benchLine = `topic:*.build.* user:ralph -category:ansible after:2d "free text" body.build_id:123`

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := query.Parse(benchLine, now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkString(b *testing.B) {
	q, err := query.Parse(benchLine, now)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		query.String(q)
	}
}

// BenchmarkMatch measures one message of each kind, in the mean.
func BenchmarkMatch(b *testing.B) {
	var entries []fedmsg.Entry
	for i := range 6 {
		entries = append(entries, fedmsg.Entry{Message: fedmsgtest.Message(i)})
	}
	for name, line := range map[string]string{
		"topic": "topic:git.#,bodhi.update.*", "category": "-category:ansible,git", "text": "works kernel", "phrase": `"works for me"`,
		"body": "body.build_id:>5", "user": "user:ralph", "example": benchLine,
	} {
		m := matcher(b, line, &describer{})
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m.Match(b.Context(), entries[i%len(entries)])
			}
		})
	}
}
