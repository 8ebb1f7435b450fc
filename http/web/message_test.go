package web_test

import (
	"encoding/json"
	"fmt"
	nethttp "net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/web/tree"
	"github.com/fedora-infra/fedmsg-go/query"
)

func TestMessage(t *testing.T) {
	d := told(t)
	kept := newArchive(d)
	w := newWorld()
	m := w.message(t, noon.Add(-time.Hour), "bodhi")
	all := []fedmsg.Entry{{Seq: 7, At: noon.Add(-time.Hour), Verified: "x509:bodhi-app01.example.org", Message: m}}
	for i := range 20 {
		all = append(all, fedmsg.Entry{Message: w.message(t, noon.Add(-time.Duration(i)*time.Minute), "bodhi")})
	}
	if _, err := kept.Deliver(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, kept, d)
	words := d.Describe(t.Context(), m)
	doc := s.get("/messages/" + m.ID)
	doc.safe(t, m.ID)
	for _, want := range []string{words.Subtitle, "Tuesday, 24 November 2026, 11:00:00 UTC", "1 h ago", "signed", "Signed by bodhi-app01.example.org", "What it says", "alias",
		"By " + words.Agent, "As it came", "curl", "place in the log"} {
		if !strings.Contains(doc.text, want) {
			t.Errorf("the message's page does not have %q: %s", want, doc.text)
		}
	}
	if !strings.Contains(doc.body, `href="`+words.Link+`"`) {
		t.Errorf("the page does not lead to %s", words.Link)
	}
	for stamp, want := range map[string]string{"token:ci": "Published with the token ci", "mtls:gw": "certificate of gw", "none": "unsigned", "": "not checked", "x\u202ey": `x\u202ey`} {
		other := w.message(t, noon, "git")
		if _, err := kept.Deliver(t.Context(), []fedmsg.Entry{{Message: other, Verified: stamp}}); err != nil {
			t.Fatal(err)
		}
		if doc := s.get("/messages/" + other.ID); !strings.Contains(doc.text, want) {
			t.Errorf("stamp %q: no %q in %s", stamp, want, doc.text)
		}
	}
	for _, path := range []string{"/messages/nope", "/messages/..%2f..", "/messages/%00", "/messages/" + strings.Repeat("a", 4000)} {
		if doc := s.get(path); doc.status != 404 || !strings.Contains(doc.text, "no message with this ID") {
			t.Errorf("GET %.40s = %d %s", path, doc.status, doc.text)
		}
	}
}

// From a message one comes to the ones beside it: in the search one comes from, of all, of
// the topic, of the agent; at the ends there is nowhere to go; what is of the same
// millisecond is not left out.
func TestMessageWalks(t *testing.T) {
	d := told(t)
	kept := newArchive(d)
	w := newWorld()
	ids := make(map[string]string)
	for i, said := range []struct{ topic, who string }{{"one", "zoe"}, {"two", "adam"}, {"one", "zoe"}, {"one", "adam"}, {"two", "zoe"}} {
		at := noon.Add(time.Duration(i/3) * time.Second) // the first three are of one moment
		m := w.say(t, "org.fedoraproject.prod.exam."+said.topic, object{"say": "x", "agent": said.who}, at, "")
		ids[m.ID] = fmt.Sprint(i)
		if _, err := kept.Deliver(t.Context(), []fedmsg.Entry{{Message: m}}); err != nil {
			t.Fatal(err)
		}
	}
	byNumber := make(map[string]string)
	for id, n := range ids {
		byNumber[n] = id
	}
	s := newSite(t, kept, d)
	walks := func(n, line string) map[string]string {
		found := make(map[string]string)
		doc := s.get("/messages/" + byNumber[n] + line)
		for _, m := range regexp.MustCompile(`<li>(?:<a href="/messages/([^"?]+)[^"]*" class="newer">|<span class="muted">newest).*?<bdi>([^<]*)</bdi></a> (?:<a href="/messages/([^"?]+)[^"]*" class="older">|<span class="muted">oldest)`).FindAllStringSubmatch(doc.body, -1) {
			found[m[2]] = ids[m[1]] + "<" + n + "<" + ids[m[3]]
		}
		return found
	}
	for _, tt := range []struct{ n, line, what, want string }{
		{"2", "", "of all", "3<2<1"}, {"2", "", "of this topic", "3<2<0"}, {"2", "", "by zoe", "4<2<0"},
		{"0", "", "of all", "1<0<"}, {"4", "", "of all", "<4<3"}, {"4", "", "of this topic", "<4<1"},
		{"3", "?q=agent:adam", "in the search agent:adam", "<3<1"}, {"1", "?q=agent:adam", "in the search agent:adam", "3<1<"},
	} {
		if got := walks(tt.n, tt.line); got[tt.what] != tt.want {
			t.Errorf("from message %s%s the ways are %v, want %s for %q", tt.n, tt.line, got, tt.want, tt.what)
		}
	}
	doc := s.get("/messages/" + byNumber["3"] + "?q=agent:adam+%28")
	if doc.safe(t, "a wrong search"); doc.status != 200 || strings.Contains(doc.text, "in the search") {
		t.Errorf("with a search that cannot be read = %d %s", doc.status, doc.text)
	}
	if rows := s.get("/history?q=agent:adam"); !strings.Contains(rows.body, "/messages/"+byNumber["3"]+"?q=agent%3Aadam") {
		t.Error("the history does not lead to messages with its search")
	}
}

// Each value in a body that leads to a search leads to one that finds the message.
func TestTreeFindsItsMessage(t *testing.T) {
	w := newWorld()
	messages := []*fedmsg.Message{w.say(t, "a.b.c.exam", json.RawMessage(`{"a.b":{"c":"x"},"":{"d":1},"e":[{"f":"g h"},["i",[2.50]]],"q\"uote":"\\\"","t":true,"n":null,"s":"","long":"`+
		strings.Repeat("y", 300)+`","sp ace":{"co:lon":"a:b,c"},"lt":"<5","num":-0.0,"bi":"\u202eabc","nul":"\u0000","u":"\ud83d\ude00","OR":"OR","paren":"(x)","neq":"!=3"}`), noon, "")}
	for _, service := range services {
		messages = append(messages, w.message(t, noon, service.name))
	}
	leaves := 0
	var check func(n *tree.Node, m *fedmsg.Message)
	check = func(n *tree.Node, m *fedmsg.Message) {
		if n.Term != "" {
			leaves++
			q, err := query.Parse(n.Term, noon)
			if err != nil || !query.NewMatcher(q.Filter, nil).Match(t.Context(), fedmsg.Entry{Message: m}) {
				t.Errorf("%s does not find %s, %v", n.Term, m.Body, err)
			}
		}
		for _, kid := range n.Kids {
			check(kid, m)
		}
	}
	for _, m := range messages {
		top, cut := tree.Read(m.Body)
		if top == nil || cut {
			t.Fatalf("tree of %s = %v, %v", m.Body, top, cut)
		}
		check(top, m)
	}
	if leaves < 80 {
		t.Errorf("%d values lead to a search", leaves)
	}
}

// hostile are texts that mean something to one part or another.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</script><script>alert(1)</script>`, `' onmouseover='alert(1)`,
	`javascript:alert(1)`, `data:text/html;base64,PHNjcmlwdD4=`, "\u202eadmin", "a\u0000b\u001b[31mred\u009b", "\u2028\u2029", `{{constructor.constructor("alert(1)")()}}`,
	`{{.}}`, `&lt;b&gt;&#60;`, "]]>", `<!--`, `--><b>`, `%00%0d%0aSet-Cookie: a`, strings.Repeat("W", 3000), strings.Repeat("\u0301", 500), "\xff\xfe", `\`, `"`, "`${1}`", "<svg/onload=alert(1)>", "=1+1", "//evil.example",
}

// Whatever a message holds, the pages have the elements that they have for a
// harmless one.
func TestPagesOfHostileMessages(t *testing.T) {
	pages := []string{"/", "/history", "/topics", "/statistics", "/status", "/statistics?user="}
	elements := func(text string) map[string][]string {
		d := told(t)
		kept := newArchive(d)
		w := newWorld()
		var id string
		for i := range 6 {
			body := object{"say": text, "link": text, "agent": text, "list": []any{text}, "object": object{"k": text, text + "x": 1}}
			m := w.say(t, fmt.Sprintf("org.fedoraproject.prod.exam.t%d", i), body, noon.Add(-time.Duration(i)*time.Minute), "exam")
			id = m.ID
			if _, err := kept.Deliver(t.Context(), []fedmsg.Entry{{Message: m, Verified: "x509:" + text}}); err != nil {
				t.Fatal(err)
			}
		}
		s := newSite(t, kept, d)
		found := make(map[string][]string)
		for _, path := range append(pages, "/messages/"+id) {
			doc := s.get(path)
			if doc.safe(t, path+" of "+text[:min(len(text), 40)]); doc.status != 200 {
				t.Errorf("GET %s of %.40q = %d", path, text, doc.status)
			}
			found[path] = slices.Sorted(slices.Values(slices.Compact(slices.Sorted(slices.Values(doc.elements)))))
		}
		return found
	}
	want := elements("harmless")
	for _, text := range hostile {
		for path, got := range elements(text) {
			for _, e := range got {
				if !slices.Contains(want[path], e) && !slices.Contains([]string{"a", "b", "p", "details", "summary", "ul", "li"}, e) {
					t.Errorf("%s of %.40q has an element %s", path, text, e)
				}
			}
		}
	}
}

// A page of a message of the largest size is no larger than one can load.
func TestPagesAreBounded(t *testing.T) {
	d := told(t)
	kept := newArchive(d)
	w := newWorld()
	long := strings.Repeat("<&\u202e\"", (fedmsg.MaxMessageSize-1000)/16)
	m := w.say(t, "org.fedoraproject.prod.exam.long", object{"text": long}, noon, "exam")
	if _, err := kept.Deliver(t.Context(), []fedmsg.Entry{{Message: m}}); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, kept, d)
	if doc := s.get("/messages/" + m.ID); doc.status != 200 || len(doc.body) > 150<<10 || !strings.Contains(doc.text, "This is not all of it") {
		t.Errorf("a message of %d bytes has a page of %d, %d", len(m.Bytes()), len(doc.body), doc.status)
	}
	s = lively(t, 400)
	for _, path := range []string{"/", "/history", "/history?q=user:ralph", "/topics", "/status", "/statistics"} {
		const wire = 30 << 10 // without the assets, which are kept
		r := httptest.NewRequestWithContext(t.Context(), nethttp.MethodGet, path, nil)
		r.Header.Set("Accept-Encoding", "gzip, zstd")
		w := httptest.NewRecorder()
		if s.mux.ServeHTTP(w, r); w.Header().Get("Content-Encoding") != "zstd" || w.Body.Len() > wire {
			t.Errorf("%s comes as %d bytes, %v; at most %d are meant", path, w.Body.Len(), w.Header(), wire)
		}
		doc := s.get(path)
		size := len(doc.body)
		for _, href := range doc.hrefs {
			if strings.HasPrefix(href, "/assets/") {
				size += len(s.get(href).body)
			}
		}
		if size > 160<<10 || len(doc.body) > 110<<10 {
			t.Errorf("%s has %d bytes, %d of them the page", path, size, len(doc.body))
		}
		t.Logf("%s: %d bytes, %d of them the page", path, size, len(doc.body))
	}
}
