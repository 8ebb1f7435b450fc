package history_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	nethttp "net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/naive"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/query"
)

// page is the answer of a search.
type page struct {
	Messages   []element
	Next, Prev string
	Query      string
	Complete   bool
}

var linkTo = regexp.MustCompile(`<([^>]+)>; rel="next"`)

// Pages by their links hold what a naive reading of the query finds, in order, once.
func TestSearchFindsWhatIsThere(t *testing.T) { eachArchive(t, testSearchFindsWhatIsThere) }

func testSearchFindsWhatIsThere(t *testing.T, change func(*setup)) {
	r := start(t, change)
	random := naive.NewRandom(1)
	entries := random.Entries(300)
	r.deliver(t, entries)
	for i := range 60 {
		q := random.Query()
		q.Limit, q.Cursor = 0, ""
		if query.Check(q) != nil {
			continue
		}
		want := idsOf(naive.Answer(entries, q))
		path := fmt.Sprintf("/api/v1/messages?%s&limit=%d", line(q), 7+i)
		var got []string
		for path != "" {
			var p page
			a := r.ask(t, path, &p)
			if !p.Complete || len(p.Messages) > 7+i || (p.Next != "") != (a.Header.Get("Link") != "" && linkTo.MatchString(a.Header.Get("Link"))) {
				t.Fatalf("GET %s = %s, Link %s", path, a, a.Header.Get("Link"))
			}
			got = append(got, ids(p.Messages)...)
			path = ""
			if m := linkTo.FindStringSubmatch(a.Header.Get("Link")); m != nil {
				path = m[1]
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s finds %d messages %q,\nwant %d, %q", query.String(q), len(got), got, len(want), want)
		}
	}
}

// The elements of an answer are those of a page of the log.
func TestSearchElements(t *testing.T) {
	r := start(t, nil)
	entries := naive.NewRandom(2).Entries(40)
	r.deliver(t, entries)
	for _, e := range entries {
		a := r.get(t, "/api/v1/messages?id="+e.Message.ID)
		want := append([]byte(`{"messages":[`), http.AppendElement(nil, e)...)
		if !bytes.HasPrefix(a.body, append(want, `],"next":null`...)) {
			t.Errorf("id=%s: %s\nwant %s", e.Message.ID, a, want)
		}
	}
}

// Words and fields are told as they are asked for.
func TestSearchFields(t *testing.T) {
	r := start(t, nil)
	m, err := fedmsg.Decode([]byte(`{"topic":"org.example.test.fields","msg_id":"2026-1","timestamp":1772323200.5,"i":7, "headers":{"priority":3},
		"msg":{"n":1.50,"é":"<&>","list":[{"a":"x"},{"a":"y"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	r.deliver(t, []fedmsg.Entry{{Seq: 9, At: time.Unix(1772323201, 0), Verified: "x509:test", Message: m}})
	tests := []struct{ params, want string }{
		{"fields=msg_id", `{"message":{"msg_id":"2026-1"}}`},
		{"fields=topic,seq&fields=msg", `{"seq":9,"message":{"topic":"org.example.test.fields","msg":{"n":1.50,"\u00e9":"<&>","list":[{"a":"x"},{"a":"y"}]}}}`},
		{"fields=at,verified,username", `{"at":"2026-03-01T00:00:01.000000Z","verified":"x509:test","message":{}}`},
		{"fields=body.list.a,body.no,header.priority", `{"values":{"body.list.a":["x","y"],"body.no":[],"header.priority":["3"]}}`},
		{"fields=seq&meta=title,agent", `{"seq":9,"meta":{"title":"fields","agent":null}}`},
	}
	for _, tt := range tests {
		a := r.get(t, "/api/v1/messages?id=2026-1&"+tt.params)
		if !strings.HasPrefix(string(a.body), `{"messages":[`+tt.want+`],`) {
			t.Errorf("%s = %s\nwant %s", tt.params, a, tt.want)
		}
	}
}

// What is over can be kept, and need not be sent again.
func TestSearchCaching(t *testing.T) {
	r := start(t, nil)
	r.deliver(t, naive.NewRandom(3).Entries(20))
	tests := []struct{ params, caching string }{
		{"until=2026-03-02", "public, max-age=3600"},
		{"until=1h", "public, max-age=60"},
		{"until=2026-12-01", "no-cache"},
		{"order=oldest", "no-cache"},
	}
	for _, tt := range tests {
		a := r.get(t, "/api/v1/messages?"+tt.params)
		tag := a.Header.Get("ETag")
		if got := a.Header.Get("Cache-Control"); got != tt.caching || !strings.HasPrefix(tag, "W/") || a.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: Cache-Control %q, ETag %q, want %q and a tag", tt.params, got, tag, tt.caching)
		}
		for _, list := range []string{tag, `"x", ` + strings.TrimPrefix(tag, "W/"), "*"} {
			if b := r.get(t, "/api/v1/messages?"+tt.params, "If-None-Match", list); b.StatusCode != nethttp.StatusNotModified || len(b.body) > 0 || b.Header.Get("ETag") != tag {
				t.Errorf("%s with If-None-Match %s = %s, want 304", tt.params, list, b)
			}
		}
		if b := r.get(t, "/api/v1/messages?"+tt.params, "If-None-Match", `"x"`); b.StatusCode != 200 {
			t.Errorf("%s with another tag = %s, want 200", tt.params, b)
		}
	}
}

// problem is what is refused.
type problem struct {
	Status       int
	Code, Field  string
	Detail, Line string
	Position     *int
	Hint         string
}

// What is wrong is named: the parameter, the place, what to do.
func TestParametersAreStrict(t *testing.T) {
	r := start(t, nil)
	r.deliver(t, naive.NewRandom(4).Entries(30))
	tests := []struct {
		path     string
		field    string
		position int // -1: none
		hint     string
	}{
		{"messages?q=topic:a.b%20usr:ralph", "q", 10, "did you mean user"},
		{"messages?usr=ralph", "usr", 0, "did you mean user?"},
		{"messages?user=", "user", 0, "leave it out"},
		{"messages?order=x&limit=5", "order", 0, ""},
		{"messages?user=a&limit=1001", "limit", 0, ""},
		{"messages?user=a&limit=+1", "limit", 0, ""},
		{"messages?user=a&cursor=abc", "cursor", -1, "with the query of the answer"},
		{"messages?user=a&fields=tpoic", "fields", 0, "did you mean topic?"},
		{"messages?user=a&fields=", "fields", 0, "one of"},
		{"messages?user=a&fields=body.", "fields", 0, "body. or header."},
		{"messages?user=a&meta=subtitel", "meta", 0, "did you mean subtitle?"},
		{"messages?user=a&format=csv", "format", 0, ""},
		{"messages?q=a&q=b", "q", 0, "once"},
		{"histogram?step=7h", "step", 0, ""},
		{"histogram?step=1m&since=2020", "step", 0, "less time"},
		{"histogram?by=msg", "by", 0, "one of"},
		{"histogram?cursor=x", "cursor", 0, ""},
		{"histogram?limit=0", "limit", 0, ""},
		{"histogram?step=1h&step=2h", "step", 0, "once"},
		{"facets?field=topic,msg", "field", 0, ""},
		{"stats/active?by=object", "by", 0, ""},
		{"stats/cohorts?period=day&since=2026-01-01&until=2026-12-01", "period", 0, "longer"},
		{"stats/calendar?since=1990", "since", 0, "less time"},
		{"stats/top?format=xml", "format", 0, "json, csv"},
		{"terms?field=text", "field", 0, ""},
		{"topics?q=a", "q", 0, ""},
		{"topics?limit=5000", "limit", 0, "sample=no"},
		{"export?format=xlsx", "format", 0, ""},
		{"export?limit=1e3", "limit", 0, ""},
		{"stream?until=2027", "until", 0, ""},
		{"stream?q=before:2027", "q", 0, "no end"},
		{"stream?after=sometime", "after", 0, "2h"},
		{"stream?after=0123456789abcdef-1.2", "after", 0, ""},
	}
	for _, tt := range tests {
		a := r.get(t, "/api/v1/"+tt.path)
		var p problem
		err := json.Unmarshal(a.body, &p)
		position := -1
		if p.Position != nil {
			position = *p.Position
		}
		if err != nil || a.StatusCode != 400 || p.Code != "bad_query" || p.Field != tt.field || position != tt.position ||
			!strings.Contains(p.Hint+p.Detail, tt.hint) || !strings.Contains(p.Detail, tt.field) || a.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("GET %s = %s, %v\nwant field %s, position %d, hint %q", tt.path, a, err, tt.field, tt.position, tt.hint)
		}
	}
	for _, path := range []string{"messages?token=x", "histogram?q=fmt_secret"} {
		if a := r.get(t, "/api/v1/"+path); a.StatusCode != 401 {
			t.Errorf("GET %s = %s, want 401", path, a)
		}
	}
	if a := r.get(t, "/openapi.json?x=1"); a.StatusCode != 400 {
		t.Errorf("GET /openapi.json?x=1 = %s, want 400", a)
	}
}

// One message is found wherever it is, and what happened around it.
func TestNeighbours(t *testing.T) { eachArchive(t, testNeighbours) }

func testNeighbours(t *testing.T, change func(*setup)) {
	r := start(t, change)
	random := naive.NewRandom(5)
	entries := random.Entries(200)
	r.deliver(t, entries)
	sorted := naive.Answer(entries, fedmsg.Query{OldestFirst: true})
	seen := 0
	for i, e := range sorted {
		if i%5 != 0 || r.get(t, "/api/v1/messages/"+e.Message.ID).StatusCode != 200 {
			continue
		}
		var answer struct {
			ID     string
			Groups []struct {
				By            string
				Query         string
				Complete      bool
				Before, After []element
			}
		}
		r.ask(t, "/api/v1/messages/"+e.Message.ID+"/neighbours?limit=3", &answer)
		words := naive.Describer{}.Describe(t.Context(), e.Message)
		for _, g := range answer.Groups {
			f := fedmsg.Filter{Op: fedmsg.Any}
			switch {
			case g.By == "agent" && words.Agent != "":
				f = has(fedmsg.AgentField, words.Agent)
			case g.By == "objects" && len(words.Objects) > 0:
				f.Op = fedmsg.All
				fallthrough
			case g.By == "thread":
				for _, o := range words.Objects {
					f.Of = append(f.Of, has(fedmsg.ObjectField, o))
				}
			}
			var before, after []string
			for j, other := range sorted {
				if !naive.Match(f, other) || j == i {
					continue
				}
				if j < i {
					before = append([]string{other.Message.ID}, before...)
				} else {
					after = append(after, other.Message.ID)
				}
			}
			before, after = before[:min(3, len(before))], after[:min(3, len(after))]
			seen += len(before)
			if !slices.Equal(ids(g.Before), before) || !slices.Equal(ids(g.After), after) || !g.Complete {
				t.Errorf("%s by %s: before %q, after %q\nwant %q, %q", e.Message.ID, g.By, ids(g.Before), ids(g.After), before, after)
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d neighbours in all", seen)
	}
	for _, id := range []string{"2026-none", "%20", strings.Repeat("x", 500)} {
		if a := r.get(t, "/api/v1/messages/"+id+"/neighbours"); a.StatusCode != 404 {
			t.Errorf("neighbours of %.20s = %s, want 404", id, a)
		}
	}
}

func has(f fedmsg.Field, value string) fedmsg.Filter {
	return fedmsg.Filter{Op: fedmsg.Has, Test: fedmsg.Test{Field: f, Value: value}}
}
