package query_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/query"
)

// now is the present of all tests.
var now = time.Date(2026, 11, 24, 10, 20, 30, 400_500_600, time.UTC)

func all(of ...fedmsg.Filter) fedmsg.Filter { return fedmsg.Filter{Op: fedmsg.All, Of: of} }
func any(of ...fedmsg.Filter) fedmsg.Filter { return fedmsg.Filter{Op: fedmsg.Any, Of: of} }
func not(f fedmsg.Filter) fedmsg.Filter {
	return fedmsg.Filter{Op: fedmsg.Not, Of: []fedmsg.Filter{f}}
}
func has(field fedmsg.Field, value string) fedmsg.Filter {
	return fedmsg.Filter{Op: fedmsg.Has, Test: fedmsg.Test{Field: field, Value: value}}
}
func in(field fedmsg.Field, path string, r fedmsg.Relation, value string) fedmsg.Filter {
	return fedmsg.Filter{Op: fedmsg.Has, Test: fedmsg.Test{Field: field, Path: path, Relation: r, Value: value}}
}
func phrase(value string) fedmsg.Filter {
	return in(fedmsg.TextField, "", fedmsg.Phrase, value)
}

func TestParse(t *testing.T) {
	user, category := has("user", "ralph"), has("category", "git")
	tests := []struct {
		line string
		want fedmsg.Filter
		text string // of the query; "=" is the line
	}{
		{"", all(), "="},
		{"  ", all(), ""},
		{"user:ralph", user, "="},
		{"user:ralph category:git", all(user, category), "="},
		{"user:ralph AND category:git", all(user, category), "user:ralph category:git"},
		{"User:ralph service:git pkg:bash", all(user, category, has("package", "bash")), "user:ralph category:git package:bash"},
		{"-user:ralph", not(user), "="},
		{"NOT user:ralph", not(user), "-user:ralph"},
		{"--user:ralph", user, "user:ralph"},
		{"user:ralph OR category:git", any(user, category), "="},
		{"user:ralph category:git OR kernel", any(all(user, category), has("text", "kernel")), "="}, // OR binds weaker
		{"user:ralph (category:git OR kernel)", all(user, any(category, has("text", "kernel"))), "="},
		{"-(user:ralph category:git)", not(all(user, category)), "="},
		{"(user:ralph)", user, "user:ralph"},
		{"((user:ralph) (category:git))", all(user, category), "user:ralph category:git"},
		{"user:ralph,toshio", any(user, has("user", "toshio")), "="},
		{"user:ralph OR user:toshio", any(user, has("user", "toshio")), "user:ralph,toshio"},
		{"-user:ralph,toshio", not(any(user, has("user", "toshio"))), "="},
		{"category:git user:ralph,toshio", all(category, any(user, has("user", "toshio"))), "="},
		{"()", all(), ""},
		{"-()", any(), "="},
		{"user:ralph -()", any(), "-()"},
		{"user:ralph OR ()", all(), ""},

		{"topic:*.build.#", has("topic", "*.build.#"), "="},
		{"topic:git.>", has("topic", "git.#"), "topic:git.#"},
		{"id:2026-1 verified:x509:app01", all(has("id", "2026-1"), has("verified", "x509:app01")), "="},
		{`object:"a b",c`, any(has("object", "a b"), has("object", "c")), "="},
		{`agent:"say \"hi\" \\ \u00e9\n"`, has("agent", "say \"hi\" \\ é\n"), `agent:"say \"hi\" \\ é\n"`},
		{`agent:"\U0001f600\u200b"`, has("agent", "😀\u200b"), `agent:"😀\u200b"`},
		{`user:">5" user:-x`, all(has("user", ">5"), has("user", "-x")), "="},
		{"user:ähm", has("user", "ähm"), "="},
		{`agent:"" category:""`, all(has("agent", ""), has("category", "")), "="}, // nobody, none

		{"kernel", has("text", "kernel"), "="},
		{"Kernel Bash!", all(has("text", "Kernel"), has("text", "bash")), "Kernel bash"},
		{"text:kernel,bash", any(has("text", "kernel"), has("text", "bash")), "="},
		{`"free text"`, phrase("free text"), "="},
		{`text:"free text"`, phrase("free text"), `"free text"`},
		{`text:"free text",kernel`, any(phrase("free text"), has("text", "kernel")), "="},
		{`"kernel"`, has("text", "kernel"), "kernel"},
		{`"OR" "and" NOTE`, all(has("text", "OR"), has("text", "and"), has("text", "NOTE")), `text:OR and NOTE`},
		{"kernel-6.12", phrase("kernel-6.12"), `"kernel-6.12"`}, // one word to people
		{"x", phrase("x"), `"x"`},                               // no word of an index
		{"0123456789abcdef0123456789abcdef01234567", phrase("0123456789abcdef0123456789abcdef01234567"), `"0123456789abcdef0123456789abcdef01234567"`},
		{"10:30", phrase("10:30"), `"10:30"`}, // no letter before the colon

		{"body.build_id:123", in("body", "build_id", 0, "123"), "="},
		{"msg.update.karma:>=2", in("body", "update.karma", fedmsg.AtLeast, "2"), "body.update.karma:>=2"},
		{"body.a:>1 body.a:<2 body.a:<=3", all(in("body", "a", fedmsg.More, "1"), in("body", "a", fedmsg.Less, "2"), in("body", "a", fedmsg.AtMost, "3")), "="},
		{"body.a:1,>=5,b", any(in("body", "a", 0, "1"), in("body", "a", fedmsg.AtLeast, "5"), in("body", "a", 0, "b")), "="},
		{`body.a:">5" body.a:"" body.a:>="b c"`, all(in("body", "a", 0, ">5"), in("body", "a", 0, ""), in("body", "a", fedmsg.AtLeast, "b c")), "="},
		{`body."odd: key.b":x`, in("body", "odd: key.b", 0, "x"), "="},
		{`body."plain":x`, in("body", "plain", 0, "x"), "body.plain:x"},
		{"header.sent-at:2026", in("header", "sent-at", 0, "2026"), "="},
		{"body.a:b:c", in("body", "a", 0, "b:c"), "="},
		{"body.ü.0:x", in("body", "ü.0", 0, "x"), "="},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			got, err := query.Parse(tt.line, now)
			if err != nil || !reflect.DeepEqual(got, fedmsg.Query{Filter: tt.want}) {
				t.Fatalf("Parse(%s)\n = %+v, %v\nwant %+v", tt.line, got, err, tt.want)
			}
			want := tt.text
			if want == "=" {
				want = tt.line
			}
			if text := query.String(got); text != want {
				t.Errorf("String = %s\n  want %s", text, want)
			}
			if again, err := query.Parse(query.String(got), now); err != nil || !reflect.DeepEqual(again, got) {
				t.Errorf("Parse(%s) = %+v, %v, want %+v", query.String(got), again, err, got)
			}
		})
	}
}

func TestParseTimes(t *testing.T) {
	const day = "2026-11-24"
	tests := []struct{ line, want string }{
		{"after:90m", "after:2026-11-24T08:50:30.4Z"},
		{"after:2h", "after:2026-11-24T08:20:30.4Z"},
		{"since:1d12h", "after:2026-11-22T22:20:30.4Z"},
		{"after:2w before:30s", "after:2026-11-10T10:20:30.4Z before:2026-11-24T10:20:00.4Z"},
		{"after:1y", "after:2025-11-24T10:20:30.4Z"},
		{"after:today", "after:" + day},
		{"after:now", "after:2026-11-24T10:20:30.4Z"},
		{"after:" + day, "after:" + day},
		{"before:" + day, "before:" + day},
		{"until:2026-11", "before:2026-11-01"},
		{"after:2026", "after:2026-01-01"},
		{"on:" + day, "after:2026-11-24 before:2026-11-25"},
		{"on:2026-02", "after:2026-02-01 before:2026-03-01"},
		{"on:2026", "after:2026-01-01 before:2027-01-01"},
		{"on:yesterday", "after:2026-11-23 before:2026-11-24"},
		{"on:9999", "after:9999-01-01 before:9999-12-31T23:59:59.999Z"},
		{"on:2026-11-24T10:05", "after:2026-11-24T10:05Z before:2026-11-24T10:06Z"},
		{"after:2026-11-24T10:05:06.7896", "after:2026-11-24T10:05:06.79Z"},
		{"after:2026-11-24T10:05:06+02:00", "after:2026-11-24T08:05:06Z"},
		{`after:"2026-11-24 10:05"`, "after:2026-11-24T10:05Z"},
		{"after:1700000000", "after:2023-11-14T22:13:20Z"},
		{"after:1700000000.25", "after:2023-11-14T22:13:20.25Z"},
		{"after:1700000000250", "after:2023-11-14T22:13:20.25Z"},
		{"after:0", "after:1970-01-01"},
		{"after:3d after:1d before:1h before:2h", "after:2026-11-23T10:20:30.4Z before:2026-11-24T08:20:30.4Z"}, // the narrowest
		{"order:oldest", "order:oldest"},
		{"order:newest", ""},
		{"kernel OR bash", "text:kernel,bash"},
		{"after:today (kernel OR user:x) order:asc", "(kernel OR user:x) after:2026-11-24 order:oldest"},
		{"after:today -()", "-() after:2026-11-24"},
	}
	for _, tt := range tests {
		q, err := query.Parse(tt.line, now)
		if got := query.String(q); err != nil || got != tt.want {
			t.Errorf("Parse(%q) is %q, %v; want %q", tt.line, got, err, tt.want)
		}
		again, err := query.Parse(query.String(q), time.Time{})
		if err != nil || !reflect.DeepEqual(again, q) {
			t.Errorf("Parse(%q) = %+v, %v, want %+v", query.String(q), again, err, q)
		}
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct{ shown, text, hint string }{
		{"usr:ralph\n^^^", `there is no key "usr"`, "did you mean user?"},
		{"a topics:x\n  ^^^^^^", `there is no key "topics"`, "did you mean topic?"},
		{"bodi.a:x\n^^^^^^", `there is no key "bodi.a"`, "did you mean body.a?"},
		{"https://x.org\n^^^^^", `there is no key "https"`, "in quotes"},
		{":x\n^", "no key", "in quotes"},
		{"user:\n     ^", "a value for user is missing", "user:ralph"},
		{"user: ralph\n     ^", "a value for user is missing", "no space"},
		{"user:a,,b\n       ^", "missing", "comma"},
		{"user:a,\n       ^", "missing", ""},
		{"category:(git OR bodhi)\n         ^", "missing", "category:git,bodhi"},
		{`user:""` + "\n     ^^", "missing", ""},
		{"body:x\n^^^^", "needs a path", "body.build_id:123"},
		{"body.:x\n     ^", "a path is missing", ""},
		{"body.a..b:x\n       ^", "empty name", "in quotes"},
		{`body."a"x:1` + "\n     ^^^", "no colon", ""},
		{`body."":1` + "\n     ^^", "a path is missing", ""},
		{"body.a:>=\n       ^^", "a value for body is missing", ""},
		{"body.a:!=2\n       ^^", "there is no !=", "-body.a:…"},
		{"user:>a\n     ^", "is not compared", "quotes"},
		{"topic:a..b\n       ^", "empty word", "# for any number"},
		{"topic:git.re*\n          ^^^", "neither a word nor", ""},
		{"topic:.git\n      ^", "empty word", ""},
		{"topic:git.\n         ^", "empty word", ""},
		{"category:git.x\n            ^", "one word of a topic", "topic:git.*"},
		{`"free text` + "\n^", "never closed", ""},
		{`user:"a\` + "\n     ^", "never closed", ""},
		{`user:"a"b` + "\n        ^", "directly", ""},
		{`ab"c"` + "\n  ^", "inside of a word", ""},
		{"printf(x)\n      ^", "inside of a word", ""},
		{`"a\d"` + "\n  ^^", "no escape", ""},
		{`"\ud800"` + "\n ^^", "no escape", ""},
		{"(a\n^", "never closed", ""},
		{"a (b (c)\n  ^", "never closed", ""},
		{"a)\n ^", "never opened", ""},
		{"a OR\n  ^^", "nothing follows OR", ""},
		{"OR a\n^^", "nothing stands before OR", ""},
		{"(a OR)\n   ^^", "nothing follows OR", ""},
		{"a OR OR b\n  ^^", "nothing follows OR", ""},
		{"AND a\n^^^", "AND stands between", ""},
		{"a AND OR b\n  ^^^", "AND stands between", ""},
		{"a -\n  ^", "nothing follows -", ""},
		{"- a\n^", "nothing follows -", ""},
		{"NOT\n^^^", "nothing follows NOT", ""},
		{"-OR a\n ^^", "a condition is missing before OR", ""},
		{"...\n^^^", "no letter and no digit", ""},
		{"after:soon\n      ^^^^", "is no time", "90m, 2h"},
		{"after:12345\n      ^^^^^", "is no time", ""},
		{"after:2026-02-30\n      ^^^^^^^^^^", "is no time", ""},
		{"after:100y\n      ^^^^", "is no time from 1970", ""},
		{"after:99999999999999y\n      ^^^^^^^^^^^^^^^", "is no time", ""},
		{"on:2d\n   ^^", "not a day", ""},
		{"on:x\n   ^", "is no day", ""},
		{"a OR after:2d\n     ^^^^^^^^", "part of an OR", "(a OR b)"},
		{"after:2d a OR b\n^^^^^^^^", "part of an OR", ""},
		{"(a after:2d)\n   ^^^^^^^^", "in parentheses", ""},
		{"-after:2d\n^^^^^^^^^", "cannot be denied", "before:2d"},
		{"after:1d before:2d\n                ^^", "no time is both", ""},
		{"order:random\n      ^^^^^^", "no order", "newest or oldest"},
		{"order:oldest order:newest\n                   ^^^^^^", "another order", ""},
		{strings.Repeat("(", 33) + "\n" + strings.Repeat(" ", 32) + "^", "more than 32 deep", ""},
	}
	for _, tt := range tests {
		line, _, _ := strings.Cut(tt.shown, "\n")
		t.Run(line, func(t *testing.T) {
			_, err := query.Parse(line, now)
			e, ok := errors.AsType[*query.Error](err)
			if !ok || !errors.Is(err, fedmsg.ErrInvalid) {
				t.Fatalf("Parse(%q): %v, want a query.Error that wraps ErrInvalid", line, err)
			}
			if e.Show() != tt.shown || !strings.Contains(e.Error(), tt.text) || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("%v\n%s\nhint: %s\n\nwant %s\n%s\nhint: %s", err, e.Show(), e.Hint, tt.text, tt.shown, tt.hint)
			}
			if fedmsg.Hint(err) != e.Hint {
				t.Errorf("fedmsg.Hint = %q, want %q", fedmsg.Hint(err), e.Hint)
			}
		})
	}
}

func TestParseLimits(t *testing.T) {
	words := func(n int) string { return strings.TrimSpace(strings.Repeat("user:ab ", n)) }
	nested := func(n int) string { return strings.Repeat("(", n) + "a" + strings.Repeat(")", n) }
	for _, line := range []string{words(256), nested(32), "user:" + strings.Repeat("x", 4091), strings.Repeat("-", 4000) + "user:a", strings.Repeat("NOT ", 1000) + "user:a"} {
		if _, err := query.Parse(line, now); err != nil {
			t.Errorf("Parse of %d bytes: %v", len(line), err)
		}
	}
	for line, want := range map[string]string{
		words(257):                "more than 256 conditions",
		nested(33):                "more than 32 deep",
		strings.Repeat("x", 4097): "has 4097 bytes",
		`user:"` + strings.Repeat("\u00ad", 1500) + `"`: "once it is written out",
		"a\xffb":   "character 2: a byte that is not UTF-8",
		"é\x00b":   "character 2: a control character",
		"é \u0080": "character 3: a control character",
	} {
		if _, err := query.Parse(line, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%.20q): %v, want %s", line, err, want)
		}
	}
}

// A long line is cut around the place, and nothing in it reaches a terminal as a
// control sequence.
func TestErrorShow(t *testing.T) {
	long := strings.Repeat("user:ralph ", 50)
	_, err := query.Parse(long+"usr:x "+long, now)
	e, _ := errors.AsType[*query.Error](err)
	line, mark, _ := strings.Cut(e.Show(), "\n")
	at := strings.IndexByte(mark, '^')
	if shown := []rune(line); len(shown) > 80 || string(shown[at:at+3]) != "usr" || shown[0] != '…' || shown[len(shown)-1] != '…' {
		t.Errorf("Show:\n%s", e.Show())
	}
	_, err = query.Parse("é\x1b[2J", now)
	e, _ = errors.AsType[*query.Error](err)
	if got := e.Show(); got != "é [2J\n ^" {
		t.Errorf("Show = %q", got)
	}
}

func TestChips(t *testing.T) {
	chip := func(text, key, without string) query.Chip {
		return query.Chip{Text: text, Key: key, Not: text[0] == '-', Without: without}
	}
	tests := []struct {
		line string
		want []query.Chip
	}{
		{"", nil},
		{"user:ralph", []query.Chip{chip("user:ralph", "user", "")}},
		{`service:git  AND -body.a:1 (a OR b) after:2d "x y"`, []query.Chip{
			chip("service:git", "category", `-body.a:1 (a OR b) after:2d "x y"`),
			chip("-body.a:1", "body", `service:git (a OR b) after:2d "x y"`),
			chip("(a OR b)", "", `service:git -body.a:1 after:2d "x y"`),
			chip("after:2d", "after", `service:git -body.a:1 (a OR b) "x y"`), // still so long ago
			chip(`"x y"`, "text", `service:git -body.a:1 (a OR b) after:2d`),
		}},
		{" a b OR c ", []query.Chip{chip("a b OR c", "", "")}},
	}
	for _, tt := range tests {
		if got, err := query.Chips(tt.line, now); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("Chips(%q)\n = %+v, %v\nwant %+v", tt.line, got, err, tt.want)
		}
	}
	if _, err := query.Chips("a (", now); err == nil {
		t.Error("Chips of a bad line: no error")
	}
}
