package feed_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// A badCase is a line of http.jsonl that is about feeds.
type badCase struct {
	Name  string
	Input struct {
		BusMessage struct {
			Msg json.RawMessage
		} `json:"bus_message"`
		Get string `json:"then_get"`
	}
	Must struct {
		WellFormed bool   `json:"xml_well_formed"`
		Entries    int    `json:"xml_entries"`
		TitleType  string `json:"atom_title_type"`
	}
}

func TestBadInputsFeeds(t *testing.T) {
	cases := 0
	for _, c := range fedmsgtest.Rows[json.RawMessage](t, filepath.Join(fedmsgtest.BadInputDir(t), "http.jsonl")) {
		var name struct{ Name string }
		if err := json.Unmarshal(c, &name); err != nil || !strings.HasPrefix(name.Name, "feed-") {
			continue
		}
		var bad badCase
		if err := json.Unmarshal(c, &bad); err != nil {
			t.Fatal(err)
		}
		cases++
		t.Run(bad.Name, func(t *testing.T) {
			r := start(t)
			r.say(t, string(bad.Input.BusMessage.Msg))
			for _, path := range append([]string{bad.Input.Get}, paths...) {
				body := r.good(t, path).Body.Bytes()
				if path != "/feed.json" {
					wellFormed(t, body)
				}
				p := parse(t, path, body) // which checks the type of Atom's titles
				if len(p.Entries) != 1 || bad.Must.Entries > 1 || !bad.Must.WellFormed {
					t.Errorf("%s has the entries %+v, want one", path, p.Entries)
				}
				want := map[string]string{"feed-xml-illegal-chars": "abc", "feed-cdata-end": "]]><x/>", "feed-html-title": "<b>x</b>"}[bad.Name]
				if got := p.Entries[0].Title; got != want {
					t.Errorf("%s: title %q, want %q", path, got, want)
				}
				if want := bad.Must.TitleType; want != "" && path == "/feed.atom" && !bytes.Contains(body, []byte(`<title type="`+want+`">&lt;b&gt;`)) {
					t.Errorf("a title is not of the type %s: %s", want, body)
				}
			}
		})
	}
	if cases < 3 {
		t.Errorf("only %d cases are about feeds", cases)
	}
}

// wellFormed reads XML by every rule that Go knows, and looks for elements that
// are none of a feed.
func wellFormed(t *testing.T, body []byte) {
	t.Helper()
	if !utf8.Valid(body) {
		t.Error("not UTF-8")
	}
	known := " feed id title updated published author contributor name generator link category entry content rss channel description language lastBuildDate ttl item guid pubDate creator "
	for dec := xml.NewDecoder(bytes.NewReader(body)); ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("not well-formed: %v in %q", err, body)
		}
		if e, ok := token.(xml.StartElement); ok && !strings.Contains(known, " "+e.Name.Local+" ") {
			t.Errorf("an element %s", e.Name.Local)
		}
	}
}

func TestFeedHostileLinks(t *testing.T) {
	r := start(t)
	page := "http://bus.example/messages/"
	for n, tt := range []struct{ link, want string }{
		{"javascript:alert(1)", ""}, {"JaVa\\tScRiPt:alert(1)", ""}, {"data:text/html;base64,PHNjcmlwdD4=", ""}, {" javascript:alert(1)", ""},
		{"//evil.example/x", ""}, {"/x", ""}, {"http:evil", ""}, {"http:\\\\\\\\evil.example", ""}, {"http://", ""}, {"http://:80/", ""}, {"https://user:password@evil.example/", ""},
		{"file:///etc/passwd", ""}, {"http://evil.example/\\u0000", ""}, {"http://evil.example/" + strings.Repeat("x", 3000), ""},
		{"HTTPS://good.example/x", "https://good.example/x"}, {" http://good.example/a b\\n", "http://good.example/a%20b"},
		{"https://good.example/\\\"><script>?q=<b>&x='y'", ""}, {"https://good.example/é?x=1&y=2#z", "https://good.example/%C3%A9?x=1&y=2#z"},
	} {
		r.say(t, `{"link":"`+tt.link+`","icon":"`+tt.link+`","avatar":"`+tt.link+`","agent":"ralph"}`)
		for _, path := range paths {
			body := r.good(t, path+"?limit=1").Body.Bytes()
			got := parse(t, path, body).Entries[0].Link
			if want := tt.want; got != want && !(want == "" && got == page+fedmsgtest.ID(n)) {
				t.Errorf("%s: link %q is %q, want %q", path, tt.link, got, want)
			}
			for _, bad := range []string{"script:", "data:", "evil"} {
				if bytes.Contains(bytes.ToLower(body), []byte(bad)) {
					t.Errorf("%s: link %q is somewhere in %s", path, tt.link, body)
				}
			}
		}
	}
}

func TestFeedHostileTexts(t *testing.T) {
	r := start(t)
	for _, tt := range []struct{ title, want string }{
		{`\u202eadmin\u202c x`, "admin x"}, {`a\n\n\tb  c`, "a b c"}, {`\u0007\u001b[31mred\u009b0m`, "[31mred0m"}, {`\ud83d\ude00`, "😀"},
		{`\u0000`, "org.example.dev.exam.said"}, {`a\ufdd0\uffff\ud83f\udffeb`, "ab"}, {strings.Repeat("A", 100_000), strings.Repeat("A", 399) + "…"},
		{strings.Repeat("é", 401), strings.Repeat("é", 399) + "…"}, {strings.Repeat("é", 400), strings.Repeat("é", 400)},
		{`<script>alert(1)</script>&amp;`, "<script>alert(1)</script>&amp;"}, {`{{constructor}}`, "{{constructor}}"},
	} {
		r.say(t, `{"title":"`+tt.title+`","agent":"`+tt.title+`","users":["`+tt.title+`"],"packages":["`+tt.title+`"]}`)
		for _, path := range paths {
			w := r.good(t, path+"?limit=1")
			if path != "/feed.json" {
				wellFormed(t, w.Body.Bytes())
			}
			e := parse(t, path, w.Body.Bytes()).Entries[0]
			if e.Title != tt.want {
				t.Errorf("%s: title %.80q, want %.80q", path, e.Title, tt.want)
			}
			if strings.Contains(e.HTML, "<script") || len(e.HTML) > 110_000 {
				t.Errorf("%s: content %.200s", path, e.HTML)
			}
		}
	}
}

// Whatever messages hold, feeds are well-formed, and have an entry for each.
func TestFeedAnyText(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pool := []rune("]]><!-- &amp; '\"\x00\x01\x0b\x1f\x7f\u0080\u0085\u2028\u202e\ufffd\ufffe\uffff\U0001fffe😀é\r\n\t<b></entry>")
	text := func() string {
		var b strings.Builder
		for range random.IntN(30) {
			b.WriteRune(pool[random.IntN(len(pool))])
		}
		return b.String()
	}
	r := start(t)
	const n = 100
	for range n {
		body, err := json.Marshal(map[string]any{"title": text(), "long": text(), "agent": text(), "link": "http://" + text(), "icon": text(),
			"users": []string{text()}, "packages": []string{text(), text()}})
		if err != nil {
			t.Fatal(err)
		}
		r.say(t, string(body))
	}
	for _, path := range paths {
		body := r.good(t, path+"?limit=200").Body.Bytes()
		if path != "/feed.json" {
			wellFormed(t, body)
		}
		if p := parse(t, path, body); len(p.Entries) != n {
			t.Errorf("%s has %d entries, want %d", path, len(p.Entries), n)
		}
	}
}

// History holds what no gate would let in today.
func TestFeedOldMessages(t *testing.T) {
	r := start(t)
	for _, text := range []string{
		`{"topic":"a.b","msg_id":"x","timestamp":1e13,"msg":{}}`, `{"topic":"\u0001\ud800","msg_id":"<y> \n/?#","timestamp":-1e12,"msg":1}`,
		`{"msg_id":"\ud800z","msg":[]}`,
	} {
		m, err := fedmsg.DecodeHistory([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		r.keep(t, m)
	}
	for _, path := range paths {
		body := r.good(t, path).Body.Bytes()
		if path != "/feed.json" {
			wellFormed(t, body)
		}
		p := parse(t, path, body)
		if len(p.Entries) != 3 {
			t.Errorf("%s has %d entries, want 3", path, len(p.Entries))
		}
		for _, e := range p.Entries {
			if len(e.Date) != len("2026-01-01T00:00:00Z") || strings.ContainsAny(e.ID+e.Link, "<> \n") || e.Title == "" {
				t.Errorf("%s: %+v", path, e)
			}
		}
	}
}
