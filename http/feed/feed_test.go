package feed_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
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
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/http/feed"
	"github.com/fedora-infra/fedmsg-go/mem"
	"github.com/fedora-infra/fedmsg-go/query"
)

// A wordy describer takes words from the body, as they are.
type wordy struct{}

func (wordy) Describe(_ context.Context, m *fedmsg.Message) fedmsg.Words {
	var body struct {
		Title, Long, Link, Icon, Avatar, Agent string
		Users, Packages                        []string
	}
	_ = json.Unmarshal(m.Body, &body) // what is of another type stays empty
	return fedmsg.Words{
		Title: "exam", Subtitle: cmp.Or(body.Title, "Something happened."), LongForm: cmp.Or(body.Long, body.Title), Link: body.Link,
		Icon: body.Icon, Agent: body.Agent, Usernames: body.Users, Packages: body.Packages, Avatars: map[string]string{body.Agent: body.Avatar},
	}
}

// now is the clock of the tests: an hour after the first message.
var now = time.Date(2026, 1, 1, 1, 0, 0, 0, time.UTC)

// A rig is a bus' archive with feeds in front of it.
type rig struct {
	*mem.Archive
	feeds *feed.Feeds
	mux   *nethttp.ServeMux
	n     int
}

func start(t testing.TB, change ...func(*feed.Config)) *rig {
	t.Helper()
	r := &rig{mux: nethttp.NewServeMux()}
	r.Archive = mem.NewArchive(func(f fedmsg.Filter, e fedmsg.Entry) bool {
		return query.NewMatcher(f, wordy{}).Match(context.Background(), e)
	}, wordy{})
	cfg := feed.Config{Archive: r.Archive, Describer: wordy{}, Name: "The bus", Now: func() time.Time { return now }}
	for _, f := range change {
		f(&cfg)
	}
	feeds, err := feed.New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.feeds = feeds
	feeds.Routes(r.mux)
	return r
}

// say archives messages with these bodies, a second apart.
func (r *rig) say(t testing.TB, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		r.keep(t, fedmsgtest.MessageOf(r.n, "org.example.dev.exam.said", body))
	}
}

func (r *rig) keep(t testing.TB, m *fedmsg.Message) {
	t.Helper()
	r.n++
	e := fedmsg.Entry{Seq: fedmsg.Seq(r.n), At: m.Time.Add(100 * time.Millisecond), Verified: "none", Message: m}
	if _, err := r.Deliver(t.Context(), []fedmsg.Entry{e}); err != nil {
		t.Fatal(err)
	}
}

// get asks as a reader does; header is names and values in turn.
func (r *rig) get(t testing.TB, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), "GET", "http://bus.example"+target, nil)
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	r.mux.ServeHTTP(w, req)
	return w
}

// good is get, of what must be there.
func (r *rig) good(t testing.TB, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	w := r.get(t, target, header...)
	if w.Code != 200 {
		t.Fatalf("GET %s = %d %s", target, w.Code, w.Body)
	}
	return w
}

// An entry is what all three forms say of a message.
type entry struct{ ID, Title, Link, HTML, Author, Date string }

// A parsed feed is any of the three, read with other structs than it was written with.
type parsed struct {
	Title, Home, Self, Next, Previous, Updated string
	Entries                                    []entry
}

type link struct {
	Rel  string `xml:"rel,attr"`
	Href string `xml:"href,attr"`
}

func find(links []link, rel string) string {
	for _, l := range links {
		if l.Rel == rel {
			return l.Href
		}
	}
	return ""
}

func parse(t testing.TB, target string, body []byte) parsed {
	t.Helper()
	switch path, _, _ := strings.Cut(target, "?"); path {
	case "/feed.atom":
		return parseAtom(t, body)
	case "/feed.rss":
		return parseRSS(t, body)
	}
	var doc struct {
		Version, Title string
		Home           string `json:"home_page_url"`
		Self           string `json:"feed_url"`
		Next           string `json:"next_url"`
		Items          []struct {
			ID, URL, Title string
			HTML           string `json:"content_html"`
			Date           string `json:"date_published"`
			Authors        []struct{ Name string }
		}
	}
	if err := json.Unmarshal(body, &doc); err != nil || doc.Version != "https://jsonfeed.org/version/1.1" || doc.Items == nil {
		t.Fatalf("%v in %s", err, body)
	}
	p := parsed{Title: doc.Title, Home: doc.Home, Self: doc.Self, Next: doc.Next}
	for _, i := range doc.Items {
		e := entry{ID: i.ID, Title: i.Title, Link: i.URL, HTML: i.HTML, Date: i.Date}
		if len(i.Authors) > 0 {
			e.Author = i.Authors[0].Name
		}
		p.Entries = append(p.Entries, e)
	}
	return p
}

func parseAtom(t testing.TB, body []byte) parsed {
	t.Helper()
	type text struct {
		Type string `xml:"type,attr"`
		Text string `xml:",chardata"`
	}
	var doc struct {
		XMLName xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
		ID      string   `xml:"id"`
		Title   text     `xml:"title"`
		Updated string   `xml:"updated"`
		Author  string   `xml:"author>name"`
		Links   []link   `xml:"link"`
		Entries []struct {
			ID        string `xml:"id"`
			Title     text   `xml:"title"`
			Updated   string `xml:"updated"`
			Published string `xml:"published"`
			Author    string `xml:"author>name"`
			Links     []link `xml:"link"`
			Content   text   `xml:"content"`
		} `xml:"entry"`
	}
	if err := xml.Unmarshal(body, &doc); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if doc.ID == "" || doc.Author == "" || doc.Title.Type != "text" {
		t.Errorf("Atom's feed lacks something: %s", body)
	}
	p := parsed{Title: doc.Title.Text, Home: find(doc.Links, "alternate"), Self: find(doc.Links, "self"),
		Next: find(doc.Links, "next"), Previous: find(doc.Links, "previous"), Updated: doc.Updated}
	for _, e := range doc.Entries {
		if e.Title.Type != "text" || e.Content.Type != "html" || e.Updated != e.Published {
			t.Errorf("entry %+v", e)
		}
		p.Entries = append(p.Entries, entry{e.ID, e.Title.Text, find(e.Links, "alternate"), e.Content.Text, e.Author, e.Updated})
	}
	return p
}

func parseRSS(t testing.TB, body []byte) parsed {
	t.Helper()
	var doc struct {
		XMLName xml.Name `xml:"rss"`
		Channel struct {
			Title string `xml:"title"`
			// One name space each: Atom's link is none of RSS.
			Links []struct {
				XMLName xml.Name
				Text    string `xml:",chardata"`
				link
			} `xml:"link"`
			Description string `xml:"description"`
			Build       string `xml:"lastBuildDate"`
			Items       []struct {
				Title string `xml:"title"`
				Link  string `xml:"link"`
				GUID  struct {
					IsLink bool   `xml:"isPermaLink,attr"`
					ID     string `xml:",chardata"`
				} `xml:"guid"`
				Date    string `xml:"pubDate"`
				Creator string `xml:"http://purl.org/dc/elements/1.1/ creator"`
				HTML    string `xml:"description"`
			} `xml:"item"`
		} `xml:"channel"`
	}
	if err := xml.Unmarshal(body, &doc); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	p := parsed{Title: doc.Channel.Title}
	for _, l := range doc.Channel.Links {
		switch {
		case l.XMLName.Space == "":
			p.Home = l.Text
		case l.XMLName.Space != "http://www.w3.org/2005/Atom":
			t.Errorf("a link of %s", l.XMLName.Space)
		case l.Rel == "self":
			p.Self = l.Href
		case l.Rel == "next":
			p.Next = l.Href
		case l.Rel == "previous":
			p.Previous = l.Href
		}
	}
	if doc.Channel.Build != "" {
		p.Updated = rfc3339(t, doc.Channel.Build)
	}
	if doc.Channel.Description == "" {
		t.Errorf("RSS' channel lacks its description: %s", body)
	}
	for _, i := range doc.Channel.Items {
		if i.GUID.IsLink {
			t.Errorf("the guid %s says that it is an address", i.GUID.ID)
		}
		p.Entries = append(p.Entries, entry{i.GUID.ID, i.Title, i.Link, i.HTML, i.Creator, rfc3339(t, i.Date)})
	}
	return p
}

func rfc3339(t testing.TB, date string) string {
	t.Helper()
	at, err := time.Parse(time.RFC1123Z, date)
	if err != nil {
		t.Errorf("a date of RSS: %v", err)
	}
	return at.UTC().Format(time.RFC3339)
}

var paths = []string{"/feed.atom", "/feed.rss", "/feed.json"}

func TestFeeds(t *testing.T) {
	r := start(t)
	r.say(t, `{"title":"nobody did this"}`,
		`{"title":"ralph built <kernel> & more","long":"First.\n\nSecond, a < b.","link":"https://koji.example/?a=1&b=2","agent":"ralph","users":["alice","ralph"],"packages":["kernel"]}`)
	day := "2026-01-01"
	want := []entry{
		{"tag:bus.example," + day + ":" + fedmsgtest.ID(1), "ralph built <kernel> & more", "https://koji.example/?a=1&b=2", "", "ralph", "2026-01-01T00:00:01Z"},
		{"tag:bus.example," + day + ":" + fedmsgtest.ID(0), "nobody did this", "http://bus.example/messages/" + fedmsgtest.ID(0), "", "", "2026-01-01T00:00:00Z"},
	}
	for i, media := range []string{"application/atom+xml", "application/rss+xml", "application/feed+json"} {
		t.Run(paths[i], func(t *testing.T) {
			w := r.good(t, paths[i]+"?q=after:1d&category=exam")
			got := parse(t, paths[i], w.Body.Bytes())
			for _, h := range [][2]string{{"Content-Type", media + "; charset=utf-8"}, {"Access-Control-Allow-Origin", "*"},
				{"Cache-Control", "public, max-age=60"}, {"Last-Modified", "Thu, 01 Jan 2026 00:00:01 GMT"}} {
				if w.Header().Get(h[0]) != h[1] {
					t.Errorf("%s: %s, want %s", h[0], w.Header().Get(h[0]), h[1])
				}
			}
			if got.Title != "The bus: after:1d category:exam" || got.Home != "http://bus.example/history?category=exam&q=after%3A1d" ||
				got.Self != "http://bus.example"+paths[i]+"?category=exam&q=after%3A1d" || got.Next != "" || got.Previous != "" {
				t.Errorf("the feed is %+v", got)
			}
			if got.Updated != "2026-01-01T00:00:01Z" && paths[i] != "/feed.json" {
				t.Errorf("updated %s, want the time of the newest entry", got.Updated)
			}
			html := got.Entries[0].HTML
			for n := range got.Entries {
				got.Entries[n].HTML = ""
			}
			if !slices.Equal(got.Entries, want) {
				t.Errorf("entries\n\t%+v, want\n\t%+v", got.Entries, want)
			}
			for _, part := range []string{"<p>First.</p>", "<p>Second, a &lt; b.</p>", `<a href="https://koji.example/?a=1&amp;b=2">`,
				"People: alice, ralph", "Packages: kernel", `<a href="http://bus.example/messages/` + fedmsgtest.ID(1) + `">org.example.dev.exam.said</a>`} {
				if !strings.Contains(html, part) {
					t.Errorf("the content lacks %s: %s", part, html)
				}
			}
		})
	}
}

func TestFeedCategories(t *testing.T) {
	r := start(t)
	r.say(t, `{"agent":"ralph","avatar":"https://pictures.example/r.png","users":["alice","ralph"],"packages":["bash","vim"]}`)
	atom := r.good(t, "/feed.atom").Body.String()
	for _, part := range []string{
		`<category term="exam" scheme="tag:bus.example,2026:category">`, `<category term="vim" scheme="tag:bus.example,2026:package">`,
		`<category term="org.example.dev.exam.said" scheme="tag:bus.example,2026:topic">`,
		`<author><name>ralph</name></author><contributor><name>alice</name></contributor><link`,
	} {
		if !strings.Contains(atom, part) {
			t.Errorf("Atom lacks %s: %s", part, atom)
		}
	}
	if rss := r.good(t, "/feed.rss").Body.String(); !strings.Contains(rss, `<category domain="tag:bus.example,2026:package">bash</category>`) {
		t.Errorf("RSS lacks a category: %s", rss)
	}
	body := r.good(t, "/feed.json").Body.String()
	for _, part := range []string{`"tags":["exam","org.example.dev.exam.said","bash","vim"]`, `"authors":[{"name":"ralph","avatar":"https://pictures.example/r.png"}]`,
		`"category":"exam"`, `"usernames":["alice","ralph"]`} {
		if !strings.Contains(body, part) {
			t.Errorf("JSON lacks %s: %s", part, body)
		}
	}
}

func TestFeedEmpty(t *testing.T) {
	r := start(t)
	for _, path := range paths {
		w := r.good(t, path+"?user=nobody")
		if p := parse(t, path, w.Body.Bytes()); len(p.Entries) != 0 || path == "/feed.atom" && p.Updated != "1970-01-01T00:00:00Z" {
			t.Errorf("%s of nothing is %+v", path, p)
		}
		tag := w.Header().Get("ETag")
		if w.Header().Get("Last-Modified") != "" || tag == "" {
			t.Errorf("%s of nothing has the header %v", path, w.Header())
		}
		if again := r.get(t, path+"?user=nobody", "If-None-Match", tag); again.Code != 304 {
			t.Errorf("%s of nothing again = %d, want 304", path, again.Code)
		}
	}
}

func TestFeedConditional(t *testing.T) {
	clock := now
	r := start(t, func(c *feed.Config) { c.Now = func() time.Time { return clock } })
	for range 3 {
		r.say(t, `{"title":"one"}`)
	}
	for _, path := range paths {
		target := path + "?q=after:1d&limit=2" // relative, and with a link to the next page
		first := r.good(t, target)
		tag, modified := first.Header().Get("ETag"), first.Header().Get("Last-Modified")
		clock = clock.Add(time.Minute)
		for _, h := range [][]string{{"If-None-Match", tag}, {"If-None-Match", `"x", ` + tag}, {"If-None-Match", strings.TrimPrefix(tag, "W/")},
			{"If-Modified-Since", modified}, {"If-None-Match", tag, "If-Modified-Since", "Thu, 01 Jan 1970 00:00:01 GMT"}} {
			w := r.get(t, target, h...)
			if w.Code != 304 || w.Body.Len() > 0 || w.Header().Get("ETag") != tag || w.Header().Get("Cache-Control") == "" {
				t.Errorf("%s with %q = %d, %d bytes, %v; want 304", target, h, w.Code, w.Body.Len(), w.Header())
			}
		}
		for _, h := range [][]string{{"If-None-Match", `"x"`}, {"If-None-Match", `"x"`, "If-Modified-Since", modified}, {"If-Modified-Since", "Wed, 31 Dec 2025 00:00:00 GMT"}} {
			if w := r.get(t, target, h...); w.Code != 200 {
				t.Errorf("%s with %q = %d, want 200", target, h, w.Code)
			}
		}
		r.say(t, `{"title":"two"}`)
		if w := r.get(t, target, "If-None-Match", tag); w.Code != 200 {
			t.Errorf("%s after another message = %d, want 200", target, w.Code)
		}
		if w := r.get(t, target, "If-Modified-Since", modified); w.Code != 200 {
			t.Errorf("%s after another message, by date = %d, want 200", target, w.Code)
		}
	}
	clock = time.Date(2026, 1, 1, 0, 0, r.n-1, 500e6, time.UTC) // within the second of the newest
	modified := r.good(t, "/feed.atom").Header().Get("Last-Modified")
	m, err := fedmsg.Draft{Topic: "org.example.dev.exam.said", Body: []byte(`{}`), ID: "another", Time: clock.Truncate(time.Second)}.Message()
	if err != nil {
		t.Fatal(err)
	}
	r.keep(t, m)
	clock = clock.Add(time.Hour)
	if w := r.get(t, "/feed.atom", "If-Modified-Since", modified); w.Code != 200 {
		t.Errorf("after a message in the second of the answer = %d, want 200", w.Code)
	}
}

func TestFeedPages(t *testing.T) {
	r := start(t)
	for i := range 7 {
		r.say(t, fmt.Sprintf(`{"title":"number %d"}`, i))
	}
	for _, path := range paths {
		var titles []string
		target, previous := path+"?q=after:2h+number&limit=3", ""
		for range 3 {
			p := parse(t, path, r.good(t, target).Body.Bytes())
			for _, e := range p.Entries {
				titles = append(titles, e.Title)
			}
			previous = cmp.Or(p.Previous, previous)
			next, ok := strings.CutPrefix(p.Next, "http://bus.example")
			if !ok {
				break
			}
			target = next
		}
		if len(titles) != 7 || titles[0] != "number 6" || titles[6] != "number 0" {
			t.Errorf("%s in pages: %q", path, titles)
		}
		if path == "/feed.json" {
			continue // has no link to the page before
		}
		p := parse(t, path, r.good(t, strings.TrimPrefix(previous, "http://bus.example")).Body.Bytes())
		if len(p.Entries) != 3 || p.Entries[0].Title != "number 3" {
			t.Errorf("%s: the page before the last is %+v", path, p)
		}
	}
	for i := range 60 {
		r.say(t, fmt.Sprintf(`{"title":"more %d"}`, i))
	}
	if p := parse(t, "/feed.atom", r.good(t, "/feed.atom").Body.Bytes()); len(p.Entries) != 50 {
		t.Errorf("a feed has %d entries, want 50", len(p.Entries))
	}
}

func TestFeedRefusals(t *testing.T) {
	r := start(t)
	r.say(t, `{}`)
	for _, tt := range []struct{ query, field string }{
		{"usr=ralph", "usr"}, {"q=usr:ralph", "q"}, {"limit=0", "limit"}, {"limit=201", "limit"}, {"cursor=x", "cursor"},
		{"since=whenever", "since"}, {"%zz", ""}, {"grouped=1", "grouped"},
	} {
		for _, path := range paths {
			w := r.get(t, path+"?"+tt.query)
			var p struct{ Code, Field, Detail string }
			err := json.Unmarshal(w.Body.Bytes(), &p)
			if err != nil || w.Code != 400 || p.Code != "bad_query" || p.Field != tt.field || w.Header().Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s?%s = %d %s", path, tt.query, w.Code, w.Body)
			}
		}
	}
	for _, host := range []string{"a b", "user@bus.example", "bus.example/x", "<b>", "bus.example:99999999"} {
		if w := r.get(t, "/feed.atom", "Host", host); w.Code != 400 {
			t.Errorf("as host %q = %d, want 400", host, w.Code)
		}
	}
}

func TestFeedAddresses(t *testing.T) {
	plain, fixed := start(t), start(t, func(c *feed.Config) {
		c.BaseURL, c.HistoryPath, c.MessagePath = "https://bus.fedora.example/bus/", "/find", "/m/"
	})
	forwarded := []string{"X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https", "Forwarded", "host=evil.example"}
	for _, tt := range []struct {
		rig              *rig
		host             string
		self, home, page string
		id               string
	}{
		{plain, "bus.example", "http://bus.example/feed.atom", "http://bus.example/history", "http://bus.example/messages/", "tag:bus.example,2026-01-01:"},
		{plain, "Bus_1.Example:8330", "http://Bus_1.Example:8330/feed.atom", "http://Bus_1.Example:8330/history", "http://Bus_1.Example:8330/messages/", "tag:bus-1.example,2026-01-01:"},
		{plain, "[::1]:80", "http://[::1]:80/feed.atom", "http://[::1]:80/history", "http://[::1]:80/messages/", "tag:0000-0000-0000-0000-0000-0000-0000-0001,2026-01-01:"},
		{fixed, "internal:8330", "https://bus.fedora.example/bus/feed.atom", "https://bus.fedora.example/bus/find", "https://bus.fedora.example/bus/m/", "tag:bus.fedora.example,2026-01-01:"},
	} {
		if tt.rig.n == 0 {
			tt.rig.say(t, `{}`)
		}
		w := tt.rig.good(t, "/feed.atom", append(forwarded, "Host", tt.host)...)
		p := parse(t, "/feed.atom", w.Body.Bytes())
		if p.Self != tt.self || p.Home != tt.home || p.Entries[0].Link != tt.page+fedmsgtest.ID(0) || p.Entries[0].ID != tt.id+fedmsgtest.ID(0) {
			t.Errorf("as %s: %+v", tt.host, p)
		}
		if strings.Contains(w.Body.String(), "evil") {
			t.Errorf("as %s a header that anybody can send is in the feed: %s", tt.host, w.Body)
		}
	}
}

func TestFeedConfig(t *testing.T) {
	a := start(t).Archive
	for _, cfg := range []feed.Config{
		{}, {Archive: a}, {Archive: a, Describer: wordy{}, BaseURL: "bus.example"}, {Archive: a, Describer: wordy{}, BaseURL: "ftp://bus.example"},
		{Archive: a, Describer: wordy{}, BaseURL: "https://bus.example/?x"}, {Archive: a, Describer: wordy{}, HistoryPath: "history"},
	} {
		if _, err := feed.New(cfg, nil); err == nil {
			t.Errorf("New(%+v) takes it", cfg)
		}
	}
}

func TestFeedGzip(t *testing.T) {
	r := start(t)
	for range 20 {
		r.say(t, `{"title":"the same again and again"}`)
	}
	plain := r.good(t, "/feed.atom").Body.Bytes()
	for _, tt := range []struct {
		accept string
		want   bool
	}{{"gzip, deflate", true}, {"deflate, GZIP;q=0.5", true}, {"gzip;q=0", false}, {"gzip; q=0.000", false}, {"br", false}, {"gzip;q=1.0", true}} {
		w := r.good(t, "/feed.atom", "Accept-Encoding", tt.accept)
		body := w.Body.Bytes()
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != tt.want || w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding: %s: %v, want gzip %v", tt.accept, w.Header(), tt.want)
			continue
		}
		if tt.want {
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(body, plain) {
			t.Errorf("Accept-Encoding: %s gives another feed", tt.accept)
		}
	}
}

func TestFeedLinks(t *testing.T) {
	values := url.Values{"q": {`user:ralph "a & b"`}, "limit": {"20"}, "cursor": {"x"}}
	got := string(feed.Links(`<The> bus`, values))
	if n := strings.Count(got, "<link "); n != 3 || !strings.Contains(got, `<link rel="alternate" type="application/atom+xml" title="&lt;The&gt; bus: user:ralph &#34;a &amp; b&#34; (Atom)" href="/feed.atom?q=user%3Aralph+%22a+%26+b%22">`) {
		t.Errorf("Links = %s", got)
	}
	r := start(t)
	for _, m := range regexp.MustCompile(`href="([^"]+)"`).FindAllStringSubmatch(got, -1) {
		r.good(t, strings.ReplaceAll(m[1], "&amp;", "&"))
	}
	if got := feed.Embed("https://bus.example/", `"x" <y>`); got != `<script src="https://bus.example/feed.js" defer></script>
<fedmsg-feed bus="https://bus.example" query="&#34;x&#34; &lt;y&gt;"></fedmsg-feed>` {
		t.Errorf("Embed = %s", got)
	}
}
