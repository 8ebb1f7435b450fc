package web_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/web"
	"github.com/fedora-infra/fedmsg-go/query"
)

// noon is the time of all tests that need one.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// A site is pages without a server.
type site struct {
	t    testing.TB
	mux  *nethttp.ServeMux
	kept archive
}

func newSite(t testing.TB, kept archive, d fedmsg.Describer) site {
	t.Helper()
	pages, err := web.New(web.Config{Archive: kept, Counter: kept, Describer: d, Name: "Exam bus", Now: func() time.Time { return noon },
		Status: func(context.Context) []web.Part { return parts(noon) }}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := site{t, nethttp.NewServeMux(), kept}
	pages.Routes(s.mux)
	s.mux.Handle("GET /{$}", http.Packed(pages.Front().ServeHTTP))
	return s
}

// lively is a site with a month of history.
func lively(t testing.TB, n int) site {
	d := told(t)
	kept := newArchive(d)
	fill(t, kept, newWorld(), n, 30*24*time.Hour, noon)
	return newSite(t, kept, d)
}

// A document is an answer, taken apart.
type document struct {
	status   int
	header   nethttp.Header
	body     string
	text     string // what is to be read
	elements []string
	attrs    []string // element and attribute
	hrefs    []string
}

func (s site) get(path string) document {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), nethttp.MethodGet, path, nil)
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r)
	return readDocument(s.t, path, w.Result())
}

func readDocument(t testing.TB, path string, resp *nethttp.Response) document {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	doc := document{status: resp.StatusCode, header: resp.Header, body: string(body)}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return doc
	}
	d := xml.NewDecoder(strings.NewReader(doc.body))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var text strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			doc.elements = append(doc.elements, token.Name.Local)
			for _, a := range token.Attr {
				doc.attrs = append(doc.attrs, token.Name.Local+" "+a.Name.Local)
				if a.Name.Local == "href" || a.Name.Local == "src" || a.Name.Local == "action" {
					doc.hrefs = append(doc.hrefs, a.Value)
				}
			}
		case xml.CharData:
			text.Write(token)
		}
	}
	doc.text = strings.Join(strings.Fields(text.String()), " ")
	return doc
}

// safe fails if a page holds what the policy forbids, or leads astray.
func (doc document) safe(t testing.TB, path string) {
	t.Helper()
	for _, a := range doc.attrs {
		if _, name, _ := strings.Cut(a, " "); name == "style" || strings.HasPrefix(name, "on") {
			t.Errorf("%s has an attribute %q", path, a)
		}
	}
	for _, href := range doc.hrefs {
		if !strings.HasPrefix(href, "/") && !strings.HasPrefix(href, "#") && !strings.HasPrefix(href, "http://") && !strings.HasPrefix(href, "https://") || strings.HasPrefix(href, "//") {
			t.Errorf("%s leads to %q", path, href)
		}
	}
	if strings.Contains(doc.body, "ZgotmplZ") {
		t.Errorf("%s: a template was refused a value", path)
	}
	if i := strings.IndexFunc(doc.body, func(r rune) bool {
		return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
	}); i >= 0 {
		t.Errorf("%s has the character %q", path, doc.body[i:i+3])
	}
	if n := slices.Index(doc.elements, "style"); n >= 0 {
		t.Errorf("%s has an element style", path)
	}
}

var everyPage = []string{
	"/", "/?q=category:bodhi", "/?q=(", "/?q=after:1d", "/history", "/history?q=user:ralph", "/history?q=%22no+such+words%22", "/history?q=(", "/history?nope=1",
	"/statistics", "/statistics?days=7", "/statistics?user=ralph", "/statistics?package=kernel&days=365", "/topics", "/topics?category=bodhi", "/status", "/messages/nope",
}

func TestPages(t *testing.T) {
	s := lively(t, 600)
	for _, path := range everyPage {
		doc := s.get(path)
		doc.safe(t, path)
		if doc.status != 200 && !strings.Contains(path, "(") && !strings.Contains(path, "nope") && path != "/?q=after:1d" {
			t.Errorf("GET %s = %d", path, doc.status)
		}
		for _, want := range []string{"Exam bus", "Live", "History", "Statistics", "Topics", "Status"} {
			if !strings.Contains(doc.text, want) {
				t.Errorf("%s does not have %q", path, want)
			}
		}
		for _, href := range doc.hrefs {
			if known := regexp.MustCompile(`^/(history|messages/[\w.-]+|statistics(/\w+\.(svg|csv))?|topics|status|assets/[^/]+/[\w.]+|api/v1/\w+(/[\w.-]+)?|feed\.(atom|json)|openapi\.json)?(\?|#|$)|^#|^https?:`); !known.MatchString(href) {
				t.Errorf("%s leads to %q", path, href)
			}
		}
	}
}

// Each address on a page that is one of ours must be good.
func TestPagesLeadSomewhere(t *testing.T) {
	s := lively(t, 300)
	seen := make(map[string]bool)
	for _, path := range everyPage {
		n := make(map[string]int) // of the kind, on this page
		for _, href := range s.get(path).hrefs {
			if strings.HasPrefix(href, "/api/") || strings.HasPrefix(href, "/feed") || strings.HasPrefix(href, "/openapi") || !strings.HasPrefix(href, "/") || seen[href] {
				continue
			}
			kind, _, _ := strings.Cut(strings.TrimPrefix(href, "/"), "/")
			kind, _, _ = strings.Cut(kind, "?")
			if n[kind]++; n[kind] > 12 {
				continue // they are made alike
			}
			seen[href] = true
			if doc := s.get(href); doc.status != 200 && doc.status != 303 {
				t.Errorf("%s leads to %s, which answers %d: %s", path, href, doc.status, doc.text)
			}
		}
	}
}

func TestLive(t *testing.T) {
	s := lively(t, 400)
	doc := s.get("/")
	if n := strings.Count(doc.body, `class="row"`); n != 30 {
		t.Errorf("the front page has %d rows, want 30", n)
	}
	for _, want := range []string{"What the project is doing, as it happens", "builds", "Listen yourself", "/api/v1/stream?after=2026-11-24T11%3A59%3A45Z&amp;meta=subtitle%2Cagent", "curl -N"} {
		if !strings.Contains(doc.body, want) {
			t.Errorf("the front page does not have %q", want)
		}
	}
	one := s.get("/?q=category:bodhi+-user:nobody")
	if n := strings.Count(one.body, `class="cat c2"`); strings.Count(one.body, `class="row"`) != n || n == 0 {
		t.Errorf("of one service there are %d rows, %d of them of bodhi", strings.Count(one.body, `class="row"`), n)
	}
	if !strings.Contains(one.body, "&amp;q=category%3Abodhi&#43;-user%3Anobody") {
		t.Error("the stream is not of the service alone")
	}
	for path, want := range map[string]string{ // what cannot be live is kept, and told what is wrong with it
		"/?q=user:ralph+after:1d": "What is live has no times", "/?q=user:ralph+order:oldest": "What is live has no times", "/?q=user:ralph+(": "This parenthesis is never closed", "/?q=usr:a": "Did you mean user",
	} {
		if doc := s.get(path); doc.status != 400 || !strings.Contains(doc.text, want) || strings.Contains(doc.body, "data-stream") || !strings.Contains(doc.body, `id="filter" value="us`) {
			t.Errorf("GET %s = %d %s, want %q", path, doc.status, doc.text, want)
		}
	}
	if doc := s.get("/?category=bodhi"); doc.status != 303 || doc.header.Get("Location") != "/?q=category%3Abodhi" {
		t.Errorf("a service's old address = %d %s", doc.status, doc.header.Get("Location"))
	}
	if doc := s.get("/?category=a%20b"); doc.status != 404 {
		t.Errorf("a service that cannot be = %d, want 404", doc.status)
	}
	d := engine(t)
	if doc := newSite(t, newArchive(d), d).get("/"); doc.status != 200 || !strings.Contains(doc.text, "Nothing has passed yet") {
		t.Errorf("an empty bus = %d %s", doc.status, doc.text)
	}
}

// The first page, and those that Older leads to, have each message once; Newer leads
// back.
func TestHistoryTurnsPages(t *testing.T) {
	s := lively(t, 150)
	id := regexp.MustCompile(`id="m-([^"]+)"`)
	turn := regexp.MustCompile(`<a href="([^"]+)" rel="(next|prev)"`)
	seen, path, pages := make(map[string]bool), "/history?q=category:buildsys,git,bodhi+after:40d", 0
	back := ""
	for path != "" && pages < 20 {
		doc := s.get(path)
		for _, m := range id.FindAllStringSubmatch(doc.body, -1) {
			if seen[m[1]] {
				t.Errorf("%s is there twice", m[1])
			}
			seen[m[1]] = true
		}
		path, back = "", ""
		for _, m := range turn.FindAllStringSubmatch(doc.body, -1) {
			if to := html.UnescapeString(m[1]); m[2] == "next" {
				path = to
			} else {
				back = to
			}
		}
		pages++
	}
	q, _ := query.Parse("category:buildsys,git,bodhi", noon)
	q.Limit = 1000
	all, err := s.kept.Search(t.Context(), q)
	if err != nil || len(seen) != len(all.Entries) || pages < 2 {
		t.Errorf("%d messages on %d pages, want %d, %v", len(seen), pages, len(all.Entries), err)
	}
	if back == "" || s.get(back).status != 200 {
		t.Errorf("no way back: %q", back)
	}
	if doc := s.get("/history?cursor=abc"); doc.status != 400 || !strings.Contains(doc.text, "address was cut") {
		t.Errorf("a wrong cursor = %d %s", doc.status, doc.text)
	}
}

func TestHistorySays(t *testing.T) {
	s := lively(t, 400)
	tests := []struct {
		path   string
		status int
		wants  []string
	}{
		{"/history?q=user:ralph", 200, []string{"newest first", "messages", ">user:ralph</code>", `data-term="category:buildsys"`, "category%3Abuildsys"}},
		{"/history?q=user:ralph+order:oldest", 200, []string{"oldest first"}},
		{"/history?user=ralph&package=kernel", 200, []string{`value="user:ralph package:kernel"`}},
		{"/history?q=user:ralhp", 200, []string{"Nothing matches", "Did you mean user:ralph?"}},
		{"/history?q=ralhp", 200, []string{"Did you mean user:ralph?"}},
		{"/history?q=category:buildsys+after:2026-11-23T23:59+before:2026-11-24T00:00", 200, []string{"Messages a minute"}},
		{"/history?q=user:ralph+%22no+such+words+at+all%22", 200, []string{"Without &#34;no such words at all&#34;"}},
		{"/history?q=user:ralph+%28", 400, []string{"<mark>", "parenthesis", `value="user:ralph ("`}},
		{"/history?q=usr:ralph", 400, []string{"Did you mean user"}},
		{"/history?rows=1", 400, []string{"In the address, rows"}},
		{"/history?q=%ff", 400, []string{"UTF-8"}},
		{"/history?q=%zz", 400, []string{"malformed"}},
		{"/history?q=" + strings.Repeat("a", 5000), 400, []string{"5000"}},
		{"/history?limit=5", 200, []string{"limit=5"}},
	}
	for _, tt := range tests {
		doc := s.get(tt.path)
		doc.safe(t, tt.path)
		if doc.status != tt.status {
			t.Errorf("GET %.80s = %d, want %d", tt.path, doc.status, tt.status)
		}
		for _, want := range tt.wants {
			if !strings.Contains(doc.body, want) {
				t.Errorf("GET %.80s does not have %q: %.600s", tt.path, want, doc.text)
			}
		}
	}
	for range 2 { // what the range beside the box makes of a line
		for path, want := range map[string]string{
			"/history?q=user:ralph&range=1d":             "user:ralph after:1d",
			"/history?q=user:ralph+after:1w&range=1d":    "user:ralph after:1d",
			"/history?q=user:ralph+after:1w&range=":      "user:ralph",
			"/history?q=a+OR+b&range=1d":                 "(a OR b) after:1d",
			"/history?q=after:2026-11-01&range=other":    "after:2026-11-01",
			"/history?q=on:2026-11-01+user:ralph&range=": "on:2026-11-01 user:ralph",
			"/history?q=&range=1h":                       "after:1h",
		} {
			doc := s.get(path)
			u, err := url.Parse(doc.header.Get("Location"))
			if err != nil || doc.status != 303 || u.Query().Get("q") != want {
				t.Errorf("GET %s leads to %v, want %q", path, u, want)
			}
		}
	}
}

// One who does the same many times is folded.
func TestHistoryFolds(t *testing.T) {
	d := told(t)
	kept := newArchive(d)
	w := newWorld()
	var all []fedmsg.Entry
	for i := range 15 {
		body := object{"name": fmt.Sprintf("rust-%d", i), "version": "1", "release": "1", "owner": "releng", "old": 0, "new": 1, "build_id": i, "instance": "primary", "attribute": "state"}
		all = append(all, fedmsg.Entry{Message: w.say(t, "org.fedoraproject.prod.buildsys.build.state.change", body, noon.Add(-time.Duration(i)*time.Second), "koji")})
	}
	if _, err := kept.Deliver(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	doc := newSite(t, kept, d).get("/history")
	if !strings.Contains(doc.text, "and 14 others like it") || strings.Count(doc.body, `class="row"`) != 15 {
		t.Errorf("a rebuild is not folded: %s", doc.text)
	}
}

// A tired archive gives up early.
type tired struct{ archive }

func (a tired) Search(ctx context.Context, q fedmsg.Query) (fedmsg.Page, error) {
	page, err := a.archive.Search(ctx, q)
	page.ScannedTo, page.Next = noon.Add(-48*time.Hour), "abc"
	page.Entries = nil
	return page, err
}

func (a tired) Count(ctx context.Context, q fedmsg.Query, by fedmsg.Grouping) (fedmsg.Counts, error) {
	c, err := a.archive.Count(ctx, q, by)
	c.Estimate = true
	return c, err
}

// A broken archive is down.
type broken struct{ archive }

var errDown = errors.New("disk on fire at /var/lib/secret")

func (broken) Search(context.Context, fedmsg.Query) (fedmsg.Page, error) {
	return fedmsg.Page{}, errDown
}

func (broken) Find(context.Context, string) (fedmsg.Entry, error) { return fedmsg.Entry{}, errDown }

func (broken) Count(context.Context, fedmsg.Query, fedmsg.Grouping) (fedmsg.Counts, error) {
	return fedmsg.Counts{}, errDown
}

func (broken) Terms(context.Context, fedmsg.Field, string, int) ([]fedmsg.Term, error) {
	return nil, errDown
}

func TestPagesOfATiredArchive(t *testing.T) {
	s := lively(t, 100)
	d := told(t)
	doc := newSite(t, tired{s.kept}, d).get("/history?q=user:ralph")
	if !strings.Contains(doc.text, "Searched back to Sunday, 22 November 2026") || !strings.Contains(doc.body, `rel="next">Go on`) {
		t.Errorf("what is partial is not said: %s", doc.text)
	}
	down := newSite(t, broken{s.kept}, d)
	for _, path := range []string{"/", "/history", "/messages/2026-1", "/topics", "/statistics/volume.svg"} {
		doc := down.get(path)
		if doc.status != 503 || !strings.Contains(doc.text, "archive does not answer") || strings.Contains(doc.body, "secret") {
			t.Errorf("GET %s = %d %s", path, doc.status, doc.text)
		}
	}
	for _, path := range []string{"/status", "/statistics"} {
		if doc := down.get(path); doc.status != 200 || strings.Contains(doc.body, "secret") || !strings.Contains(doc.text, "irc") && !strings.Contains(doc.text, "does not answer") {
			t.Errorf("GET %s = %d %s", path, doc.status, doc.text)
		}
	}
}

func TestNewNeedsAll(t *testing.T) {
	if _, err := web.New(web.Config{}, nil); err == nil {
		t.Error("New without an archive does not fail")
	}
	kept := newArchive(plain{})
	if _, err := web.New(web.Config{Archive: kept, Counter: kept, Describer: plain{}, URL: "bus.example.org"}, nil); err == nil {
		t.Error("New with a URL that is none does not fail")
	}
}
