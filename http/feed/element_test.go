package feed_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	nethttp "net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest/chromium"
)

func TestElementCode(t *testing.T) {
	r := start(t)
	w := r.good(t, "/feed.js")
	if w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" || w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("header %v", w.Header())
	}
	if again := r.get(t, "/feed.js", "If-None-Match", w.Header().Get("ETag")); again.Code != 304 {
		t.Errorf("again = %d, want 304", again.Code)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(w.Body.Bytes()); err != nil || z.Close() != nil || packed.Len() > 5<<10 {
		t.Errorf("%d bytes come over the wire, at most 5 KiB are meant; %v", packed.Len(), err)
	}
	for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "import "} {
		if strings.Contains(w.Body.String(), bad) {
			t.Errorf("the element uses %s", bad)
		}
	}
}

// rowsOf are the rows that an element shows, as text; shadow is its inside.
const (
	shadow = "document.querySelector('fedmsg-feed').shadowRoot"
	rowsOf = "[...document.querySelector('fedmsg-feed').shadowRoot.querySelectorAll('li')]"
	shown  = rowsOf + ".length"
)

// page writes a page of somebody else's to a file, and returns its address.
func page(t *testing.T, server, head, attributes, inner string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page.html")
	html := fmt.Sprintf(`<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>A page of others</title>%s
<script src="%s/feed.js" defer></script><body style="margin:16px"><h1>Elsewhere</h1><fedmsg-feed %s>%s</fedmsg-feed></body></html>`, head, server, attributes, inner)
	if err := os.WriteFile(file, []byte(html), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file://" + file
}

// busServer is a bus that can be cut off.
func busServer(t *testing.T, r *rig) (url string, cut *atomic.Bool) {
	t.Helper()
	cut = new(atomic.Bool)
	server := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, req *nethttp.Request) {
		switch {
		case cut.Load() && req.URL.Path == "/feed.json":
			panic(nethttp.ErrAbortHandler)
		case req.URL.Path == "/icon.svg":
			w.Header().Set("Content-Type", "image/svg+xml")
			fmt.Fprint(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20"><rect width="20" height="20" rx="4" fill="#3c6eb4"/></svg>`)
		default:
			r.mux.ServeHTTP(w, req)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, cut
}

func TestElement(t *testing.T) {
	r := start(t)
	url, cut := busServer(t, r)
	for n := range 12 {
		r.say(t, fmt.Sprintf(`{"title":"ralph built number %d","link":"https://koji.example/build?id=%d","icon":"%s/icon.svg","agent":"ralph"}`, n, n, url))
	}
	r.say(t, `{"title":"<img src=x onerror=alert(1)> & <b>bold</b>","link":"javascript:alert(1)","icon":"javascript:alert(1)"}`)
	b := chromium.Open(t)

	t.Run("on a page from a file", func(t *testing.T) {
		p := b.Page(t, 480, 640)
		p.Go(t, page(t, url, "", `bus="`+url+`" count="5"`, `<a href="`+url+`/history">What happens</a>`))
		p.Wait(t, shown+" === 5")
		var titles []string
		p.Eval(t, rowsOf+".map(r => r.querySelector('[part=sentence]').textContent)", &titles)
		if want := []string{"<img src=x onerror=alert(1)> & <b>bold</b>", "ralph built number 11"}; !slices.Equal(titles[:2], want) {
			t.Errorf("it shows %q, want first %q", titles, want)
		}
		var hrefs []string
		p.Eval(t, "[..."+shadow+".querySelectorAll('a')].map(a => a.href)", &hrefs)
		if !strings.HasPrefix(hrefs[0], url+"/messages/") || hrefs[1] != "https://koji.example/build?id=11" || !slices.Contains(hrefs, url+"/history") {
			t.Errorf("its links are %q", hrefs)
		}
		var images, loaded int
		p.Wait(t, "[..."+shadow+".querySelectorAll('img')].every(i => i.complete)")
		p.Eval(t, "[..."+shadow+".querySelectorAll('img')].length", &images)
		p.Eval(t, "[..."+shadow+".querySelectorAll('img')].filter(i => i.naturalWidth > 0 && i.alt === '').length", &loaded)
		if images != 4 || loaded != 4 {
			t.Errorf("%d images, %d of them seen, want 4: one message has none", images, loaded)
		}
		if at := p.Text(t, rowsOf+"[1].querySelector('time').dateTime"); at != "2026-01-01T00:00:11.000Z" {
			t.Errorf("a time is %s", at)
		}
		var height int
		if p.Eval(t, "document.querySelector('fedmsg-feed a').getBoundingClientRect().height", &height); height != 0 {
			t.Errorf("what the page said before is still seen")
		}
		if said := p.Problems(); len(said) > 0 {
			t.Errorf("the browser complains: %q", said)
		}
		p.Screenshot(t, "element-light")
	})

	t.Run("by keyboard and to a screen reader", func(t *testing.T) {
		p := b.Page(t, 480, 640)
		p.Go(t, page(t, url, "", `bus="`+url+`" count="2" query="exam" theme="dark"`, ""))
		p.Wait(t, shown+" === 2")
		active := shadow + ".activeElement.textContent"
		var seen []string
		for range 4 {
			p.Press(t, "Tab")
			seen = append(seen, p.Text(t, active))
		}
		if want := []string{"<img src=x onerror=alert(1)> & <b>bold</b>", "ralph built number 11", "All messages", "Pause"}; !slices.Equal(seen, want) {
			t.Errorf("Tab reaches %q, want %q", seen, want)
		}
		if ring := p.Text(t, "getComputedStyle("+shadow+".activeElement).outlineStyle"); ring != "solid" {
			t.Errorf("the focus is drawn %s", ring)
		}
		p.Press(t, "Enter")
		if got := p.Text(t, active); got != "Go on" {
			t.Errorf("the button pressed says %q, want Go on", got)
		}
		p.Screenshot(t, "element-dark")
		tree := string(p.Do(t, "Accessibility.getFullAXTree", nil))
		for _, part := range []string{`"value":"The bus: exam"`, `"value":"region"`, `"value":"list"`, `"value":"listitem"`, `"value":"status"`} {
			if !strings.Contains(tree, part) {
				t.Errorf("a screen reader is not told %s", part)
			}
		}
	})

	t.Run("new messages", func(t *testing.T) {
		p := b.Page(t, 480, 640)
		p.Do(t, "Network.setCacheDisabled", map[string]any{"cacheDisabled": true}) // a feed is good for a minute
		p.Go(t, page(t, url, "", `bus="`+url+`" count="3"`, ""))
		p.Wait(t, shown+" === 3")
		r.say(t, `{"title":"the newest"}`)
		p.Do(t, "Input.dispatchMouseEvent", map[string]any{"type": "mouseMoved", "x": 100, "y": 120})
		p.Wait(t, shadow+".querySelector('ul').matches(':hover')")
		p.Eval(t, "document.querySelector('fedmsg-feed')._load().then(() => null)", new(any))
		if first := p.Text(t, rowsOf+"[0].querySelector('[part=sentence]').textContent"); first == "the newest" {
			t.Error("rows move under the pointer")
		}
		p.Do(t, "Input.dispatchMouseEvent", map[string]any{"type": "mouseMoved", "x": 100, "y": 630})
		p.Wait(t, rowsOf+"[0].textContent.includes('the newest')")
		if said := p.Text(t, shadow+".querySelector('[role=status]').textContent"); said != "1 new message" {
			t.Errorf("a screen reader is told %q, want 1 new message", said)
		}
		p.Eval(t, "document.querySelector('fedmsg-feed').setAttribute('query', 'user:nobody')", new(any))
		p.Wait(t, shown+" === 0")
		if said := p.Text(t, shadow+".querySelector('[role=status]').textContent"); said != "No messages yet." {
			t.Errorf("of nothing it says %q", said)
		}
	})

	t.Run("under a strict policy", func(t *testing.T) {
		p := b.Page(t, 480, 640)
		policy := `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src ` + url + `; connect-src ` + url + `; img-src ` + url + `">`
		p.Go(t, strings.Replace(page(t, url, policy, `count="3"`, ""), "style=", "x=", 1))
		p.Wait(t, shown+" === 3") // of the bus that the script is from
		if display := p.Text(t, "getComputedStyle("+shadow+".querySelector('li')).display"); display != "grid" {
			t.Errorf("without inline styles a row is %s, want grid", display)
		}
	})

	t.Run("without network", func(t *testing.T) {
		p := b.Page(t, 480, 640)
		p.Do(t, "Network.setCacheDisabled", map[string]any{"cacheDisabled": true}) // a feed is good for a minute
		cut.Store(true)
		defer cut.Store(false)
		p.Go(t, page(t, url, "", `bus="`+url+`" count="3"`, `<a href="`+url+`/history">What happens</a>`))
		status := shadow + ".querySelector('[role=status]')"
		p.Wait(t, status+".textContent === 'The bus cannot be reached.'")
		var rect struct{ Height, Quiet float64 }
		p.Eval(t, "({height: document.querySelector('fedmsg-feed a').getBoundingClientRect().height, quiet: "+status+".getBoundingClientRect().height})", &rect)
		if rect.Height < 10 || rect.Quiet > 1 {
			t.Errorf("what the page says itself is %v high, the complaint %v", rect.Height, rect.Quiet)
		}
		cut.Store(false)
		p.Eval(t, "dispatchEvent(new Event('online'))", new(any))
		p.Wait(t, shown+" === 3")
		cut.Store(true)
		p.Eval(t, "document.querySelector('fedmsg-feed')._load().then(() => null)", new(any))
		if said := p.Text(t, status+".textContent"); said != "The bus cannot be reached. These messages are older." {
			t.Errorf("cut off later it says %q", said)
		}
		var rows int
		if p.Eval(t, shown, &rows); rows != 3 {
			t.Errorf("cut off later it shows %d messages, want the 3 of before", rows)
		}
	})

	t.Run("what is no query", func(t *testing.T) {
		p := b.Page(t, 480, 640)
		p.Go(t, page(t, url, "", `bus="`+url+`" query="usr:ralph"`, ""))
		p.Wait(t, shadow+".querySelector('[role=status]').textContent.includes('did you mean user?')")
		p.Go(t, page(t, url, "", `bus="javascript:alert(1)"`, ""))
		p.Wait(t, shadow+".querySelector('[role=status]').textContent.includes('no http(s) address')")
	})
}

// A bus may be anybody's: what it answers is not trusted.
func TestElementHostileBus(t *testing.T) {
	const answers = `{"title":{},"home_page_url":"javascript:alert(1)","items":[null,1,"x",[],{"title":{"a":1},"url":["http://x"],"date_published":"never","_fedmsg":7},
		{"id":"<b>","title":"<script>document.title='bad'</script>","url":"JaVaScRiPt:document.title='bad'","date_published":"2026-01-01T00:00:00Z","_fedmsg":{"icon":"data:image/svg+xml,<svg onload=alert(1)>","category":{}}},
		{"title":"good","url":"https://user:pass@evil.example/"}]}`
	r := start(t)
	server := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, req *nethttp.Request) {
		if req.URL.Path != "/feed.json" {
			r.mux.ServeHTTP(w, req)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", "*")
		fmt.Fprint(w, answers)
	}))
	defer server.Close()
	p := chromium.Open(t).Page(t, 480, 640)
	p.Go(t, page(t, server.URL, "", `bus="`+server.URL+`"`, ""))
	p.Wait(t, shown+" > 0")
	var rows []string
	p.Eval(t, rowsOf+".map(r => r.querySelector('[part=sentence]').textContent)", &rows)
	if want := []string{"A message", "A message", "<script>document.title='bad'</script>", "good"}; !slices.Equal(rows, want) {
		t.Errorf("it shows %q, want %q", rows, want)
	}
	var links, scripts int
	p.Eval(t, shadow+".querySelectorAll('a[href], img').length", &links)
	p.Eval(t, shadow+".querySelectorAll('script').length", &scripts)
	if links != 0 || scripts != 0 || p.Text(t, "document.title") != "A page of others" {
		t.Errorf("%d links and images, %d scripts, want none", links, scripts)
	}
	if said := p.Problems(); len(said) > 0 {
		t.Errorf("the browser complains: %q", said)
	}
}
