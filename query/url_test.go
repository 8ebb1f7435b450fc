package query_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/query"
)

func TestFromURL(t *testing.T) {
	tests := []struct{ params, want string }{
		{"", ""},
		{"q=", ""},
		{"q=user:ralph+-category:ansible", "user:ralph -category:ansible"},
		{"user=ralph", "user:ralph"},
		{"user=ralph&user=toshio&category=git", "category:git user:ralph,toshio"},
		{"service=git&category=bodhi&pkg=bash&not_pkg=zsh", "category:bodhi,git package:bash -package:zsh"},
		{"not_user=a&not_user=b", "-user:a,b"},
		{"topic=bodhi.%23&topic=*.build.*", "topic:bodhi.#,*.build.*"},
		{"object=a,b&agent=with+space", `agent:"with space" object:"a,b"`},
		{"text=free+text", "free text"},
		{"text=%22free+text%22&text=kernel", `text:"free text",kernel`},
		{"text=a.b+-+%22c", `"a.b" "\"c"`},
		{"not_text=kernel+bash", "-(kernel bash)"},
		{"id=2026-1&verified=x509", "id:2026-1 verified:x509"},
		{"q=a.b+OR+kernel&user=ralph", `text:"a.b",kernel user:ralph`},
		{"q=(user:x+kernel)+OR+id:1&user=ralph", `(user:x kernel OR id:1) user:ralph`},
		{"since=2d&until=2026-11-24&order=oldest", "after:2026-11-22T10:20:30.4Z before:2026-11-24 order:oldest"},
		{"after=2026-11-24T10:00%2B02:00", "after:2026-11-24T08:00Z"},
		{"q=after:2d&since=1d&on=2026", "after:2026-11-23T10:20:30.4Z before:2027-01-01"},
		{"q=-()", "-()"},
		{"q=()&user=a", "user:a"},
		{"order=desc", ""},
	}
	for _, tt := range tests {
		values, err := url.ParseQuery(tt.params)
		if err != nil {
			t.Fatal(err)
		}
		q, err := query.FromURL(values, now)
		if got := query.String(q); err != nil || got != tt.want {
			t.Errorf("FromURL(%s)\n = %s, %v\nwant %s", tt.params, got, err, tt.want)
		}
	}

	q, err := query.FromURL(url.Values{"limit": {"1000"}, "cursor": {"abc"}, "fields": {"id"}}, now, "fields")
	if err != nil || q.Limit != 1000 || q.Cursor != "abc" {
		t.Errorf("FromURL = %+v, %v, want limit and cursor", q, err)
	}
}

func TestFromURLErrors(t *testing.T) {
	tests := []struct {
		params, param, text, hint string
		pos                       int
	}{
		{"usr=ralph", "usr", "query: parameter usr: there is no such parameter", "did you mean user?", 0},
		{"rows_per_page=5", "rows_per_page", "no such parameter", "the parameters are q, ", 0},
		{"q=a+usr:x", "q", `query: parameter q: character 3: there is no key "usr"`, "did you mean user?", 2},
		{"q=a&q=b", "q", "is there 2 times", "once", 0},
		{"since=1d&since=2d", "since", "is there 2 times", "", 0},
		{"user=", "user", "query: parameter user: is empty", "for example ralph", 0},
		{"since=", "since", "is empty", "for example 2d", 0},
		{"topic=a..b", "topic", "character 2: pattern", "", 1},
		{"topic=git.*,bodhi.*", "topic", "neither a word nor", "several times", 4},
		{"category=git.x", "category", "character 4: a category is one word", "topic=", 3},
		{"text=...", "text", "no letter and no digit", "", 0},
		{"text=-+-", "text", "no letter and no digit", "", 0},
		{"since=soon", "since", `"soon" is no time`, "90m", 0},
		{"since=2026-11-24T10:00+02:00", "since", "is no time", "%2B", 0},
		{"since=1d&until=2d", "until", "no time is both", "", 0},
		{"on=1d", "on", "not a day", "", 0},
		{"order=random", "order", "no order", "", 0},
		{"q=order:oldest&order=newest", "order", "another order", "", 0},
		{"limit=0", "limit", "must be a number from 1 to 1000", "", 0},
		{"limit=1001", "limit", "must be", "", 0},
		{"limit=-1", "limit", "must be", "", 0},
		{"limit=abc", "limit", "must be", "", 0},
		{"limit=", "limit", "must be", "", 0},
		{"user=%ff", "user", "not UTF-8", "", 0},
	}
	for _, tt := range tests {
		values, err := url.ParseQuery(tt.params)
		if err != nil {
			t.Fatal(err)
		}
		q, err := query.FromURL(values, now)
		e, ok := errors.AsType[*query.Error](err)
		if !ok || !errors.Is(err, fedmsg.ErrInvalid) {
			t.Errorf("FromURL(%s) = %+v, %v, want a query.Error", tt.params, q, err)
			continue
		}
		hint := strings.Replace(tt.hint, "topic=", "topic:git.*", 1)
		if e.Param != tt.param || !strings.Contains(e.Error(), tt.text) || !strings.Contains(e.Hint, hint) || e.Pos != tt.pos {
			t.Errorf("FromURL(%s): %v, hint %q, at %d; want %q, hint %q, at %d", tt.params, e, e.Hint, e.Pos, tt.text, hint, tt.pos)
		}
	}
	many := url.Values{}
	for range 257 {
		many.Add("not_topic", "git.#")
	}
	if _, err := query.FromURL(many, now); err == nil || !strings.Contains(err.Error(), "more than 256 conditions") {
		t.Errorf("FromURL of 257 values: %v", err)
	}
}

func TestCheck(t *testing.T) {
	deep := has("user", "a")
	for range 2000 {
		deep = not(deep)
	}
	tests := []struct {
		q    fedmsg.Query
		want string
	}{
		{fedmsg.Query{}, ""},
		{fedmsg.Query{Filter: any(all(has("text", "two words"), has("agent", "")), not(not(in("body", "a b", fedmsg.Less, "<"))))}, ""},
		{fedmsg.Query{Filter: has("colour", "red")}, `no field "colour"`},
		{fedmsg.Query{Filter: has("user", "")}, "missing"},
		{fedmsg.Query{Filter: has("user", "\xff")}, "UTF-8"},
		{fedmsg.Query{Filter: in("user", "", fedmsg.Less, "a")}, "relation"},
		{fedmsg.Query{Filter: in("user", "a", 0, "a")}, "has no path"},
		{fedmsg.Query{Filter: in("body", "a", fedmsg.Phrase, "a")}, "relation"},
		{fedmsg.Query{Filter: in("body", "", 0, "a")}, "path is missing"},
		{fedmsg.Query{Filter: in("body", strings.Repeat("a.", 32)+"a", 0, "a")}, "more than 32 names"},
		{fedmsg.Query{Filter: fedmsg.Filter{Op: fedmsg.Not}}, "not one branch"},
		{fedmsg.Query{Filter: fedmsg.Filter{Op: 9}}, "unknown operation"},
		{fedmsg.Query{Filter: fedmsg.Filter{Op: fedmsg.Has, Of: []fedmsg.Filter{{}}}}, "with branches"},
		{fedmsg.Query{Filter: deep}, "too deep"},
		{fedmsg.Query{Since: now, Until: now.Add(-time.Hour)}, "no time is both"},
		{fedmsg.Query{Since: time.Unix(-1, 0)}, "1970"},
	}
	for _, tt := range tests {
		err := query.Check(tt.q)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !errors.Is(err, fedmsg.ErrInvalid)) {
			t.Errorf("Check(%s) = %v, want %q", query.String(tt.q), err, tt.want)
		}
	}
}

func TestWithin(t *testing.T) {
	at := time.Date(2026, 11, 24, 10, 0, 0, 5_000_000, time.UTC)
	q := fedmsg.Query{Since: at, Until: at.Add(time.Millisecond)}
	for _, tt := range []struct {
		t    time.Time
		want bool
	}{{at, true}, {at.Add(999 * time.Microsecond), true}, {at.Add(time.Millisecond), false}, {at.Add(-time.Nanosecond), false}} {
		if got := query.Within(q, tt.t); got != tt.want {
			t.Errorf("Within(%s) = %v, want %v", tt.t, got, tt.want)
		}
	}
	if !query.Within(fedmsg.Query{}, time.Time{}) {
		t.Error("without bounds a time is out of them")
	}
}
