package meta_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/meta"
)

// A web stands for all sites: a server on the loopback that has pages by the
// addresses that they really have.
type web struct {
	server *httptest.Server
	pages  map[string]string

	mu    sync.Mutex
	asked []string
}

func newWeb(t *testing.T, pages map[string]string) *web {
	w := &web{pages: pages}
	w.server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		page, ok := w.pages["https:/"+r.URL.RequestURI()]
		if !ok {
			http.NotFound(out, r)
			return
		}
		fmt.Fprint(out, page)
	}))
	t.Cleanup(w.server.Close)
	return w
}

// fetch asks the server for a page, by the site's name and the path on it.
func (w *web) fetch(ctx context.Context, url string) ([]byte, error) {
	w.mu.Lock()
	w.asked = append(w.asked, url)
	w.mu.Unlock()
	path, ok := strings.CutPrefix(url, "https:/")
	if !ok {
		return nil, fmt.Errorf("%s: the scheme is not https", url)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server.URL+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := w.server.Client().Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, errors.New(answer.Status)
	}
	return io.ReadAll(answer.Body)
}

// asks returns what was asked for since the last time.
func (w *web) asks() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked := w.asked
	w.asked = nil
	return asked
}

// Real pushes and their patches: the patch is the long form. A page of a site that
// the rules do not name is not asked for.
func TestCorpusEnrichment(t *testing.T) {
	compared := 0
	for _, row := range fedmsgtest.Rows[corpusRow](t, filepath.Join(fedmsgtest.CorpusDir(t), "corpus.jsonl")) {
		if why := row.UnstableFields["long_form"]; !strings.HasPrefix(why, "network") || row.Service == "buildsys" {
			continue // koji's pages are no plain ones
		}
		t.Run(row.ID, func(t *testing.T) {
			var body struct {
				Commit struct {
					Namespace, Repo, Rev string
				}
				Compare string
			}
			m := row.message(t)
			if err := json.Unmarshal(m.Body, &body); err != nil {
				t.Fatal(err)
			}
			want := "From 0123 Mon Sep 17 00:00:00 2001\nSubject: made up"
			if raw := row.UnstableExpected["long_form"]; raw != nil {
				want = decodeAny(raw).(string)
				compared++
			}
			url := body.Compare + ".patch"
			if row.Service == "git" {
				url = "https://src.fedoraproject.org/" + cmp.Or(body.Commit.Namespace, "rpms") + "/" + body.Commit.Repo + "/c/" + body.Commit.Rev + ".patch"
			}
			w := newWeb(t, map[string]string{url: want})
			without := newEngine(t, meta.Config{}).Describe(context.Background(), m)
			got := newEngine(t, meta.Config{Fetch: w.fetch}).Describe(context.Background(), m)
			asked := w.asks()
			if row.Service == "meetbot" { // its minutes are at a place that is nobody's
				if len(asked) != 0 || got.LongForm != without.LongForm {
					t.Errorf("asked for %q, long form %q", asked, got.LongForm)
				}
				return
			}
			if !slices.Equal(asked, []string{url}) {
				t.Errorf("asked for %q, want %q", asked, url)
			}
			if strings.TrimSpace(got.LongForm) != strings.TrimSpace(want) || strings.TrimSpace(without.LongForm) == strings.TrimSpace(want) {
				t.Errorf("long form\n\tgot     %q\n\twant    %q\n\twithout %q", got.LongForm, want, without.LongForm)
			}
			got.LongForm = without.LongForm
			if fmt.Sprint(got) != fmt.Sprint(without) {
				t.Errorf("the page changes other fields: %+v\n\twithout: %+v", got, without)
			}
		})
	}
	if compared < 2 {
		t.Errorf("%d real pages were compared, want 2 at least", compared)
	}
}

// The built-in rules that ask for pages, and what they make of them.
func TestEnrichment(t *testing.T) {
	const (
		patch   = "From 0123 Mon Sep 17 00:00:00 2001\n---\n-a\n+b\n"
		minutes = "==========\n#garden\n==========\n\nPeople Present\n"
		update  = `{"update": {"alias": "FEDORA-2026-0a1b", "builds": [{"nvr": "bash-5.3-1.fc44"}, {"nvr": "perl-Foo-1-2.fc44"}]}}`
	)
	git := `{"commit": {"repo": "bash", "rev": "0123", "branch": "f44", "username": "alice", "email": "alice@example.org", "summary": "New", "message": "New\n\nIt is.", "stats": {"files": {}}}}`
	for _, tt := range []struct {
		name, topic, body string
		url, page         string
		field             string
		with, without     any
	}{
		{"git", "org.fedoraproject.prod.git.receive", git, "https://src.fedoraproject.org/rpms/bash/c/0123.patch", patch,
			"long_form", patch, "New\n\nIt is."},
		{"git, a commit from another branch", "org.fedoraproject.prod.git.receive", strings.Replace(git, `"commit": {`, `"commit": {"seen": true, `, 1), "", "",
			"long_form", "This commit was already in another branch.", "This commit was already in another branch."},
		{"github", "org.fedoraproject.prod.github.push",
			`{"compare": "https://github.com/alice/bash/compare/01...23", "commits": [{"message": "One"}, {"message": "Two"}], "ref": "refs/heads/main", "pusher": {"name": "alice"}, "repository": {"name": "bash", "owner": {"name": "alice"}}}`,
			"https://github.com/alice/bash/compare/01...23.patch", patch, "long_form", patch, "One\n\nTwo"},
		{"meetbot", "org.fedoraproject.prod.meetbot.meeting.complete",
			`{"owner": "alice", "channel": "#garden", "meeting_topic": "spring", "attendees": {"alice": 3}, "url": "http://meetbot.fedoraproject.org/garden/2026-01-01/spring"}`,
			"https://meetbot.fedoraproject.org/garden/2026-01-01/spring.txt", minutes, "long_form", minutes, `alice's "spring" meeting in #garden ended`},
		{"taskotron", "org.fedoraproject.prod.taskotron.result.new",
			`{"task": {"type": "bodhi_update", "item": "FEDORA-2026-0a1b", "name": "dist.upgradepath"}, "result": {"outcome": "PASSED"}}`,
			"https://bodhi.fedoraproject.org/updates/FEDORA-2026-0a1b", update, "packages", []string{"bash", "perl-Foo"}, []string(nil)},
		{"taskotron, not JSON", "org.fedoraproject.prod.taskotron.result.new",
			`{"task": {"type": "bodhi_update", "item": "FEDORA-2026-0a1c", "name": "dist.upgradepath"}, "result": {"outcome": "PASSED"}}`,
			"https://bodhi.fedoraproject.org/updates/FEDORA-2026-0a1c", "<html>", "packages", []string(nil), []string(nil)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := fedmsgtest.MessageOf(1, fedmsg.Topic(tt.topic), tt.body)
			w := newWeb(t, map[string]string{tt.url: tt.page})
			engine := newEngine(t, meta.Config{Fetch: w.fetch})
			for range 2 { // the second time from memory
				if got := wordsField(engine.Describe(context.Background(), m), tt.field); plain(got) != plain(tt.with) {
					t.Errorf("%s: got %q, want %q", tt.field, got, tt.with)
				}
			}
			var want []string
			if tt.url != "" {
				want = []string{tt.url}
			}
			if got := w.asks(); !slices.Equal(got, want) {
				t.Errorf("asked for %q, want %q", got, want)
			}
			gone := newEngine(t, meta.Config{Fetch: newWeb(t, nil).fetch})
			for name, engine := range map[string]*meta.Engine{"not allowed": newEngine(t, meta.Config{}), "not found": gone} {
				if got := wordsField(engine.Describe(context.Background(), m), tt.field); plain(got) != plain(tt.without) {
					t.Errorf("%s: %s: got %q, want %q", name, tt.field, got, tt.without)
				}
			}
		})
	}
}

const pageRules = `
service   = "page"
fetch     = ["https://pages.example.org/", "https://other.example.org/only/", "https://short.example.org", "ftp://files.example.org/"]
long_form = '{{fetch .url}}'
subtitle  = '{{or .user "somebody"}} said {{len (fetch .size)}}'
`

func describePage(ctx context.Context, engine *meta.Engine, body string) fedmsg.Words {
	return engine.Describe(ctx, fedmsgtest.MessageOf(1, "org.example.prod.page.said", body))
}

// Rules may ask for what their file names, and a message must not lead elsewhere.
func TestFetchOnlyWhatIsNamed(t *testing.T) {
	for url, allowed := range map[string]bool{
		"https://pages.example.org/":                           true,
		"https://pages.example.org/a/b?c=d&e=f#g":              true,
		"https://pages.example.org/a...b/c.d":                  true,
		"https://pages.example.org/a%2Fb":                      true,
		"https://other.example.org/only/this":                  true,
		"https://other.example.org/else":                       false,
		"https://other.example.org/only/../else":               false,
		"https://other.example.org/only/..":                    false,
		"https://other.example.org/only/%2e%2e/else":           false,
		"https://other.example.org/only/%2E%2E/else":           false,
		"https://other.example.org/only/.%2e/else":             false,
		"https://other.example.org/only/x%2f..%2felse":         false,
		"https://other.example.org/only/x%5C../else":           false,
		`https://other.example.org/only/x\..\else`:             false,
		"https://evil.example.org/":                            false,
		"https://evil.example.org/?https://pages.example.org/": false,
		"http://pages.example.org/":                            false,
		"HTTPS://pages.example.org/":                           false,
		"https://pages.example.org":                            false,
		"https://pages.example.org.evil.example.org/":          false,
		"https://pages.example.org@evil.example.org/":          false,
		"https://pages.example.org/@evil.example.org":          false,
		"https://alice:pw@pages.example.org/":                  false,
		"https://short.example.org.evil.example.org/":          false,
		"https://short.example.org/":                           false, // the file names no whole site
		"ftp://files.example.org/a":                            false,
		"https://pages.example.org/a b":                        false,
		"https://pages.example.org/a\r\nHost: evil":            false,
		"https://pages.example.org/a\tb":                       false,
		"https://pages.example.org/a\x00b":                     false,
		" https://pages.example.org/":                          false,
		"//pages.example.org/":                                 false,
		"file:///etc/passwd":                                   false,
		"":                                                     false,
	} {
		var asked []string
		fetch := func(_ context.Context, url string) ([]byte, error) {
			asked = append(asked, url)
			return []byte("the page"), nil
		}
		engine := rulesEngine(t, "page", pageRules, meta.Config{Fetch: fetch})
		got := describePage(context.Background(), engine, `{"url":`+compactJSON(url)+`}`).LongForm
		want := "somebody said 0"
		if allowed {
			want = "the page"
		}
		if got != want || allowed != slices.Equal(asked, []string{url}) || !allowed && asked != nil {
			t.Errorf("%q: asked for %q, long form %q; allowed: %t", url, asked, got, allowed)
		}
	}
}

// The rules of one service do not open the sites of another's.
func TestFetchBelongsToItsFile(t *testing.T) {
	w := newWeb(t, nil)
	engine := rulesEngine(t, "page", strings.Replace(pageRules, "fetch ", "home = 'https://pages.example.org/' #", 1), meta.Config{Fetch: w.fetch})
	describePage(context.Background(), engine, `{"url":"https://pages.example.org/a"}`)
	if asked := w.asks(); asked != nil {
		t.Errorf("asked for %q", asked)
	}
}

// A page is kept for ten minutes, and that there is none for one.
func TestFetchIsRemembered(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w := newWeb(t, map[string]string{"https://pages.example.org/a": "A"})
	engine := rulesEngine(t, "page", pageRules, meta.Config{Fetch: w.fetch, Now: func() time.Time { return now }})
	for _, step := range []struct {
		name  string
		after time.Duration
		page  string
		want  string
		asks  int
	}{
		{"the first message", 0, "a", "A", 1},
		{"the second message", time.Second, "a", "A", 0},
		{"another page", 0, "b", "somebody said 0", 1},
		{"that is not there", time.Second, "b", "somebody said 0", 0},
		{"and appears", 58 * time.Second, "b", "somebody said 0", 0},
		{"but is asked for later", time.Second, "b", "B", 1},
		{"the first page still", 8*time.Minute + 58*time.Second, "a", "A", 0},
		{"the first page is old", 2 * time.Second, "a", "A", 1},
	} {
		now = now.Add(step.after)
		if step.name == "and appears" {
			w.pages["https://pages.example.org/b"] = "B"
		}
		got := describePage(context.Background(), engine, `{"url":"https://pages.example.org/`+step.page+`"}`).LongForm
		if asks := len(w.asks()); got != step.want || asks != step.asks {
			t.Errorf("%s: long form %q, asked %d times; want %q, %d", step.name, got, asks, step.want, step.asks)
		}
	}
}

// Memory is bounded, however many pages messages name.
func TestFetchForgets(t *testing.T) {
	var asked int
	fetch := func(context.Context, string) ([]byte, error) { asked++; return []byte("x"), nil }
	engine := rulesEngine(t, "page", pageRules, meta.Config{Fetch: fetch})
	const pages = 1000
	for round := range 2 {
		for i := range pages {
			describePage(context.Background(), engine, fmt.Sprintf(`{"url":"https://pages.example.org/%d"}`, i))
		}
		if round == 0 && asked != pages {
			t.Fatalf("asked %d times for %d pages", asked, pages)
		}
	}
	if again := asked - pages; again < pages-256 {
		t.Errorf("%d of %d pages were kept, want 256 at most", pages-again, pages)
	}
}

// A site that does not answer costs the time that the operator allows, once, and
// the field, not the sentence.
func TestFetchTimeout(t *testing.T) {
	for _, timeout := range []time.Duration{0, 100 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			var asked int
			fetch := func(ctx context.Context, _ string) ([]byte, error) {
				asked++
				<-ctx.Done()
				return []byte("half of a p"), ctx.Err()
			}
			engine := rulesEngine(t, "page", pageRules, meta.Config{Fetch: fetch, FetchTimeout: timeout})
			const body = `{"url":"https://pages.example.org/a","user":"alice"}`
			want := max(timeout, 100*time.Millisecond)
			if timeout == 0 {
				want = 5 * time.Second
			}
			start := time.Now()
			words := describePage(context.Background(), engine, body)
			if took := time.Since(start); took != want {
				t.Errorf("took %s, want %s", took, want)
			}
			if words.Subtitle != "alice said 0" || words.LongForm != words.Subtitle {
				t.Errorf("sentence %q, long form %q", words.Subtitle, words.LongForm)
			}
			if words := describePage(context.Background(), engine, body); asked != 1 || words.LongForm != words.Subtitle {
				t.Errorf("asked %d times within a minute, want once; long form %q", asked, words.LongForm)
			}
			time.Sleep(time.Minute)
			if describePage(context.Background(), engine, body); asked != 2 {
				t.Errorf("asked %d times after a minute, want twice", asked)
			}
		})
	}
}

// A reader who gives up says nothing about the page.
func TestFetchGivenUp(t *testing.T) {
	w := newWeb(t, map[string]string{"https://pages.example.org/a": "A"})
	engine := rulesEngine(t, "page", pageRules, meta.Config{Fetch: w.fetch})
	const body = `{"url":"https://pages.example.org/a"}`
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if got := describePage(gone, engine, body).LongForm; got != "somebody said 0" {
		t.Errorf("given up: %q", got)
	}
	if got := describePage(context.Background(), engine, body).LongForm; got != "A" {
		t.Errorf("after it: %q, want the page", got)
	}
}

// A page is cut to a megabyte, and what becomes a field to much less. What it has
// that a terminal would obey is spelled.
func TestFetchLarge(t *testing.T) {
	large := strings.Repeat("line\x1b\n", 1<<19)
	w := newWeb(t, map[string]string{"https://pages.example.org/a": large})
	engine := rulesEngine(t, "page", pageRules, meta.Config{Fetch: w.fetch})
	words := describePage(context.Background(), engine, `{"size":"https://pages.example.org/a"}`)
	if want := fmt.Sprintf("somebody said %d", 1<<20); words.Subtitle != want {
		t.Errorf("%q, want %q", words.Subtitle, want)
	}
	words = describePage(context.Background(), engine, `{"url":"https://pages.example.org/a"}`)
	for _, wrong := range unfit(words) {
		t.Error(wrong)
	}
	if !strings.HasPrefix(words.LongForm, "line\\u001b\nline") || len(words.LongForm) < 60<<10 {
		t.Errorf("long form of %d bytes: %.40q", len(words.LongForm), words.LongForm)
	}
	if asked := w.asks(); len(asked) != 1 {
		t.Errorf("asked %d times, want once", len(asked))
	}
}
