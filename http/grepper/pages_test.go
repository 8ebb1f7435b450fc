package grepper_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fedora-infra/fedmsg-go/http/grepper"
)

func TestJSONP(t *testing.T) {
	r := start(t)
	m := r.keep(t, time.Minute, "org.fedoraproject.prod.x.y", `{"n":1,"s":"</script>\u2028 `+"\u2028\u2029"+`"}`)
	for _, path := range []string{"/raw?", "/v2/search?", "/id?id=" + m.ID + "&", "/v2/id?id=" + m.ID + "&", "/messagecount?"} {
		w := r.get(t, path+"callback=jQuery.cb_1&_=17", "Accept", "text/html")
		body, ok := strings.CutPrefix(w.Body.String(), "/**/jQuery.cb_1(")
		if body, ok2 := strings.CutSuffix(body, ");\n"); !ok || !ok2 || !json.Valid([]byte(body)) || strings.ContainsAny(body, "\u2028\u2029") {
			t.Errorf("%s gives %s", path, w.Body)
		}
		if w.Code != 200 || w.Header().Get("Content-Type") != "application/javascript" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s = %d %v", path, w.Code, w.Header())
		}
		for _, bad := range []string{"", "alert(1)", "a;b", "1a", "a\nb", "a/*", strings.Repeat("a", 65), "<script>", "é", ".a", "a-b"} {
			if w := r.get(t, path+"callback="+url.QueryEscape(bad)); w.Code != 400 || !strings.Contains(w.Body.String(), `"field":"callback"`) {
				t.Errorf("%scallback=%q = %d %s", path, bad, w.Code, w.Body)
			}
		}
	}
}

// People get a page, programs JSON.
func TestAccept(t *testing.T) {
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	r := start(t)
	m := r.keep(t, 3*time.Hour, "org.fedoraproject.prod.x.y", `{"sentence":"<script>alert(1)</script>","link":"javascript:alert(1)"}`)
	for accept, page := range map[string]bool{
		"": false, "*/*": false, "application/json": false, browser: true, "text/html": true, "application/json, text/html": false, "application/pdf": false,
		"text/html;q=0.5, application/json;q=0.4": true, "TEXT/HTML ; q=0.9 , */*;q=0.1": true, "text/html;q=x": false, ",;,": false,
	} {
		w := r.get(t, "/raw", "Accept", accept)
		if got := strings.HasPrefix(w.Header().Get("Content-Type"), "text/html"); got != page || w.Code != 200 {
			t.Errorf("Accept %q = %d %s, want a page %v", accept, w.Code, w.Header().Get("Content-Type"), page)
		}
	}
	for path, frame := range map[string]bool{"/raw": true, "/raw?chrome=false": false, "/id?id=" + m.ID: true, "/id?is_raw=true&chrome=false&size=small&id=" + m.ID: false} {
		body := r.get(t, path, "Accept", browser).Body.String()
		if strings.Contains(body, "<script") || strings.Contains(body, "javascript:") || !strings.Contains(body, "3 hours ago") || strings.Contains(body, "<!doctype") != frame {
			t.Errorf("%s gives\n%s", path, body)
		}
	}
	r = start(t, func(c *grepper.Config) { c.History, c.Message = "/history", "/messages/" })
	m = r.keep(t, time.Hour, "org.fedoraproject.prod.x.y", `{}`)
	for path, want := range map[string]string{
		"/raw?user=ralph&not_topic=a.b&order=asc": "/history?q=user%3Aralph+-topic%3Aa.b+order%3Aoldest",
		"/raw?delta=3600&contains=two+words":      "/history?q=%22two+words%22+after%3A2026-11-22T11%3A00Z+before%3A2026-11-22T12%3A00%3A00.001Z",
		"/v2/id?id=" + m.ID:                       "/messages/" + m.ID,
	} {
		if w := r.get(t, path, "Accept", browser); w.Code != 302 || w.Header().Get("Location") != want {
			t.Errorf("%s = %d, leads to %s, want %s", path, w.Code, w.Header().Get("Location"), want)
		}
	}
	if w := r.get(t, "/raw?chrome=false", "Accept", browser); w.Code != 200 {
		t.Errorf("a page without a frame = %d, want a list", w.Code)
	}
}

func TestAgo(t *testing.T) {
	r := start(t)
	for _, tt := range []struct {
		before time.Duration
		want   string
	}{
		{0, "just now"}, {30 * time.Second, "30 seconds ago"}, {time.Minute, "a minute ago"}, {5 * time.Minute, "5 minutes ago"}, {time.Hour, "an hour ago"},
		{26 * time.Hour, "a day ago"}, {3 * 24 * time.Hour, "3 days ago"}, {8 * 24 * time.Hour, "a week ago"}, {40 * 24 * time.Hour, "a month ago"},
		{100 * 24 * time.Hour, "3 months ago"}, {370 * 24 * time.Hour, "a year ago"}, {3650 * 24 * time.Hour, "10 years ago"}, {-5 * time.Minute, "in 5 minutes"},
	} {
		m := r.keep(t, tt.before, "org.fedoraproject.prod.x.y", `{}`)
		var row struct{ Meta struct{ Date string } }
		if err := json.Unmarshal(r.get(t, "/id?meta=date&id="+m.ID).Body.Bytes(), &row); err != nil || row.Meta.Date != tt.want {
			t.Errorf("%s before is %q, want %q (%v)", tt.before, row.Meta.Date, tt.want, err)
		}
	}
}

func TestWidget(t *testing.T) {
	r := start(t)
	w := r.get(t, "/widget.js?css=true")
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/javascript" {
		t.Errorf("/widget.js = %d %v", w.Code, w.Header())
	}
	for _, never := range []string{"innerHTML", "jQuery", "eval(", "document.write", "http://"} {
		if strings.Contains(w.Body.String(), never) {
			t.Errorf("the widget has %q", never)
		}
	}
	if w := r.get(t, "/widget.css"); w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/css") {
		t.Errorf("/widget.css = %d %v", w.Code, w.Header())
	}
}
