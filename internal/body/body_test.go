package body_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/internal/body"
)

const topic fedmsg.Topic = "org.fedoraproject.prod.git.receive"

func TestWords(t *testing.T) {
	long := strings.Repeat("x", 40)
	tests := []struct {
		body string
		want string // behind the words of the topic
	}{
		{`{}`, ""},
		{`{"key":"Value","n":{"key2":["more words","AND Value"]}}`, "value more words and"},
		{`{"a":"kernel-6.12.5-300.fc44_x86"}`, "kernel 12 300 fc44 x86"}, // one letter is no word
		{`{"a":"prod"}`, ""}, // of the topic already
		{`{"a":` + `"` + long + ` ` + long + `y"}`, long},
		{`{"a":"0123456789abcde 0123456789abcdef DEADBEEFDEADBEEF 0123456789abcdeg"}`, "0123456789abcde 0123456789abcdeg"},
		{`{"a":[12,123,-4567,123456789012,1234567890123,123.5,1e100,true,null]}`, "123 4567 123456789012"},
		{`{"a":"12 1234567890123"}`, "12 1234567890123"},                                      // in a string all digits are a run
		{`{"a":"tab\tline\nquote\"slash\/\u00c9ric\u0020x\\y"}`, "tab line quote slash éric"}, // x and y are short
		{`{"a":"\ud83d\ude00ok \ud800bad"}`, "ok bad"},
		{`{"a":"Zażółć ΣΊΣΥΦΟΣ naïve"}`, "zażółć σίσυφοσ naïve"},
		{`{"a":"fedora\u4e2d\u6587 \u30d5\u30a7"}`, "fedora 中 文 フ ェ"},
		{`{"a":"cafe\u0301 \u0301x"}`, "cafe\u0301"}, // a mark belongs to its letter, and begins nothing
		{`{"a" : "spaced" , "b" :	"key"}`, "spaced key"},
		{`"text"`, "text"},
		{`{"a":"cut o`, "cut"},
		{``, ""},
	}
	for _, tt := range tests {
		t.Run(tt.body, func(t *testing.T) {
			want := append(strings.Split(string(topic), "."), strings.Fields(tt.want)...)
			if got := slices.Collect(body.Words(topic, []byte(tt.body))); !slices.Equal(got, want) {
				t.Errorf("Words(%s)\n = %q\nwant %q", tt.body, got, want)
			}
		})
	}
}

func TestWordsIn(t *testing.T) {
	tests := []struct{ text, words, runs string }{
		{"Free text, free", "free text", "free text free"},
		{"kernel-6.12", "kernel 12", "kernel 6 12"},
		{"a 0123456789abcdef", "", "a 0123456789abcdef"},
		{"-- !", "", ""},
	}
	for _, tt := range tests {
		if got := strings.Join(body.WordsIn(tt.text), " "); got != tt.words {
			t.Errorf("WordsIn(%q) = %q, want %q", tt.text, got, tt.words)
		}
		if got := strings.Join(body.Runs(tt.text), " "); got != tt.runs {
			t.Errorf("Runs(%q) = %q, want %q", tt.text, got, tt.runs)
		}
	}
}

func TestHasPhrase(t *testing.T) {
	const text = `{"key":"One two-three, ONE TWO four","list":["alpha","beta"],"rev":"0123456789abcdef0123456789abcdef01234567","build":12345,"n":7,"q":"say \"hi\" now"}`
	tests := []struct {
		phrase string
		want   bool
	}{
		{"one two four", true}, // after a false start
		{"two three one", true},
		{"Two.Three", true},
		{"one three", false},
		{"four alpha", false}, // not over the end of a value
		{"alpha beta", false},
		{"key", false},
		{"git receive", true}, // the topic is a text
		{"0123456789ABCDEF0123456789abcdef01234567", true},
		{"0123456789abcdef", false},
		{"12345", true},
		{"7", false}, // as for words, 3 digits are the least
		{"say hi now", true},
		{"", false},
		{"...", false},
	}
	for _, tt := range tests {
		if got := body.HasPhrase(topic, []byte(text), tt.phrase); got != tt.want {
			t.Errorf("HasPhrase(%q) = %v, want %v", tt.phrase, got, tt.want)
		}
	}
	again := `{"a":"` + strings.Repeat("a ", 30) + `b"}`
	if !body.HasPhrase(topic, []byte(again), strings.Repeat("a ", 10)+"b") {
		t.Error("a phrase that begins over and over is not found")
	}
}

func TestFind(t *testing.T) {
	found := make([]bool, 3)
	body.Find(topic, []byte(`{"a":"Kernel bash"}`), map[string]int{"kernel": 0, "git": 1, "emacs": 2}, found)
	if want := []bool{true, true, false}; !slices.Equal(found, want) {
		t.Errorf("Find = %v, want %v", found, want)
	}
}

func TestValues(t *testing.T) {
	const text = ` { "update" : {"alias":"FEDORA-2026-1","karma":-2,"ratio":1.50,"open":true,"none":null,
		"builds":[{"nvr":"a-1","tags":["x","y"]},{"nvr":"b-2","tags":[]}]},
		"matrix":[[1,2],[3]], "a.b":{"c.d":"dotted"}, "a":{"b":"plain","b":"last"}, "0":"zero", "":"empty key", "e":"", "\u00e9":"\u00e9\n" } `
	tests := []struct {
		path string
		want []string
	}{
		{"update.alias", []string{"FEDORA-2026-1"}},
		{"update.karma", []string{"-2"}},
		{"update.ratio", []string{"1.50"}}, // as it is spelled
		{"update.open", []string{"true"}},
		{"update.none", nil},
		{"update", nil},
		{"update.alias.x", nil},
		{"update.builds.nvr", []string{"a-1", "b-2"}},
		{"update.builds.1.nvr", []string{"b-2"}},
		{"update.builds.2.nvr", nil},
		{"update.builds.tags", []string{"x", "y"}},
		{"update.builds.0.tags.1", []string{"y"}},
		{"matrix", []string{"1", "2", "3"}},
		{"matrix.0", []string{"1", "2"}},
		{"matrix.99999999999999999999", nil},
		{"a.b.c.d", []string{"dotted"}},
		{"a.b", []string{"last"}},
		{"0", []string{"zero"}},
		{"", []string{"empty key"}},
		{"e", []string{""}},
		{"é", []string{"é\n"}},
		{"nothing", nil},
	}
	for _, tt := range tests {
		if got := body.Values([]byte(text), tt.path); !slices.Equal(got, tt.want) {
			t.Errorf("Values(%q) = %q, want %q", tt.path, got, tt.want)
		}
	}
	for _, broken := range []string{"", "{", `{"a"`, `{"a":`, `{"a":[`, `{"a":[1`, `{"a":[:`, `{"a":[1 2`, `[`, `{"a":"x`, `{"a":{}`, "]", "NaN"} {
		body.Values([]byte(broken), "a") // returns
	}
}

func TestHolds(t *testing.T) {
	tests := []struct {
		value    string
		relation fedmsg.Relation
		want     string
		holds    bool
	}{
		{"10", fedmsg.More, "9", true},
		{"10", fedmsg.AtLeast, "1e1", true},
		{"10", fedmsg.AtMost, "10.0", true},
		{"-2", fedmsg.Less, "-1", true},
		{"9007199254740993", fedmsg.More, "9007199254740992", true}, // beyond float64
		{"1e999", fedmsg.More, "5", true},
		{"10", fedmsg.Less, "9a", true}, // bytes
		{"010", fedmsg.Less, "9", true}, // no number, as JSON has it
		{"0x10", fedmsg.More, "9", false},
		{"FEDORA-2026-2", fedmsg.AtLeast, "FEDORA-2026-1", true},
		{"1.0", fedmsg.Equal, "1", false},
		{"1", fedmsg.Equal, "1", true},
		{"1", fedmsg.Phrase, "1", false},
	}
	for _, tt := range tests {
		if got := body.Holds([]string{"other", tt.value}[1:], tt.relation, tt.want); got != tt.holds {
			t.Errorf("Holds(%q, %d, %q) = %v, want %v", tt.value, tt.relation, tt.want, got, tt.holds)
		}
	}
	if body.Holds(nil, fedmsg.Equal, "") {
		t.Error("no value is equal to something")
	}
}

// FuzzBody holds for any body: each word is a word of itself; a word's own text is
// found as a phrase; words of a phrase that is there are there; and of JSON, each
// value that encoding/json finds lies at its path.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{`{"a":"Free text","b":[1,{"c":123}]}`, `{"a.b":{"a":"\ud83d\ude00é"},"a":[[["x"]]]}`, `{"a":"中文 İstanbul ǅ"}`, `{"a":"` + "\xff" + `"}`, `[{"":1e5}]`} {
		f.Add([]byte(seed), "free text")
	}
	f.Fuzz(func(t *testing.T, text []byte, phrase string) {
		words := slices.Collect(body.Words(topic, text))
		for _, w := range words {
			if in := body.WordsIn(w); !slices.Equal(in, []string{w}) {
				t.Fatalf("WordsIn(%q) = %q", w, in)
			}
			if !body.HasPhrase(topic, text, w) {
				t.Fatalf("the word %q is not found as a phrase", w)
			}
		}
		if body.HasPhrase(topic, text, phrase) {
			for _, w := range body.WordsIn(phrase) {
				if !slices.Contains(words, w) {
					t.Fatalf("the phrase %q is there, its word %q is not", phrase, w)
				}
			}
		}
		var v any
		if json.Unmarshal(text, &v) == nil && !hasTwice(text) {
			checkValues(t, text, v)
		}
	})
}

// hasTwice reports whether keys are equal, or may be once invalid UTF-8 is replaced.
func hasTwice(text []byte) bool {
	_, err := fedmsg.Decode([]byte(`{"topic":"a","msg_id":"a","timestamp":1,"msg":{"a":` + string(text) + `}}`))
	return err != nil
}

func checkValues(t *testing.T, text []byte, v any, path ...string) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for key, below := range v {
			checkValues(t, text, below, append(slices.Clip(path), key)...)
		}
	case []any:
		for _, below := range v {
			checkValues(t, text, below, path...)
		}
	case string:
		dotted := strings.Join(path, ".")
		if got := body.Values(text, dotted); len(path) > 0 && !slices.Contains(got, v) {
			t.Fatalf("%s\nValues(%q) = %q, without %q", text, dotted, got, v)
		}
	}
}

// The corpus of real messages: what is in it is found.
func TestCorpus(t *testing.T) {
	var bodies, words int
	for _, row := range fedmsgtest.Rows[struct{ Msg json.RawMessage }](t, fedmsgtest.CorpusDir(t)+"/corpus.jsonl") {
		m, err := fedmsg.DecodeHistory(row.Msg)
		if err != nil {
			continue
		}
		bodies++
		for range body.Words(m.Topic, m.Body) {
			words++
		}
		var v any
		if json.Unmarshal(m.Body, &v) == nil {
			checkValues(t, m.Body, v)
		}
	}
	if bodies < 100 || words < 10*bodies {
		t.Errorf("%d bodies, %d words", bodies, words)
	}
	t.Logf("%d bodies, %d words", bodies, words)
}

func BenchmarkWords(b *testing.B) {
	m := fedmsgtest.Message(1)
	b.SetBytes(int64(len(m.Body)))
	b.ReportAllocs()
	for b.Loop() {
		for range body.Words(m.Topic, m.Body) {
		}
	}
}

func BenchmarkValues(b *testing.B) {
	m := fedmsgtest.Message(1)
	b.ReportAllocs()
	for b.Loop() {
		body.Values(m.Body, "commit.stats.total.lines")
	}
}
