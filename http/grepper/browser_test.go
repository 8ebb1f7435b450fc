package grepper_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest/chromium"
)

// On a page of somebody else's the widget stands where its script does, and what
// messages say stays text; a chart is an image there.
func TestWidgetInBrowser(t *testing.T) {
	r := start(t)
	r.keep(t, 3*time.Hour, "org.fedoraproject.prod.x.y", `{"users":["ralph"],"sentence":"ralph said <b>hi</b>","link":"https://example.org/x"}`)
	r.keep(t, 2*time.Hour, "org.fedoraproject.prod.x.y", `{"users":["alice"],"sentence":"alice said hi","link":"javascript:alert(1)"}`)
	r.keep(t, time.Hour, "org.fedoraproject.prod.x.y", `{"users":["bob"],"sentence":"bob said hi"}`)
	base := serve(t, r)
	file := filepath.Join(t.TempDir(), "blog.html")
	html := fmt.Sprintf(`<!doctype html><html lang="en"><meta charset="utf-8"><title>A blog</title><h1>What I do</h1>
<script src="%s/widget.js?css=true" id="datagrepper-widget" data-user="ralph,alice" data-rows_per_page="40" data-order="asc"></script>
<img src="%[1]s/charts/bar?delta=14400&amp;N=4&amp;width=500&amp;height=200" alt="Activity"><footer>Bye</footer></html>`, base)
	if err := os.WriteFile(file, []byte(html), 0o600); err != nil {
		t.Fatal(err)
	}
	page := chromium.Open(t).Page(t, 800, 600)
	page.Go(t, "file://"+file)
	page.Wait(t, "document.querySelectorAll('.message-card').length === 2")
	for expression, want := range map[string]string{
		"[...document.querySelectorAll('.message-card')].map(c => c.textContent).join('|')": "ralph said <b>hi</b>|alice said hi",
		"[...document.querySelectorAll('.message-card a')].map(a => a.href).join('|')":      "https://example.org/x",
		"[...document.querySelectorAll('time.datetime')].map(c => c.textContent).join('|')": "3 hours ago|2 hours ago",
		"document.querySelector('.datagrepper-widget').nextElementSibling.id":               "datagrepper-widget",
		"document.querySelector('img').naturalWidth + ' ' + document.styleSheets.length":    "500 1",
	} {
		if got := page.Text(t, expression); got != want {
			t.Errorf("%s is %q, want %q", expression, got, want)
		}
	}
	page.Screenshot(t, "widget")
	if problems := page.Problems(); len(problems) > 0 {
		t.Errorf("the browser complains: %q", problems)
	}
	// By itself a chart has its colours, as its policy lets its style in.
	page.Go(t, base+"/charts/bar?delta=14400&N=4")
	if got := page.Text(t, "getComputedStyle(document.querySelector('.title')).fontSize"); got != "15px" {
		t.Errorf("the title of a chart is %s high, want 15px", got)
	}
	if problems := page.Problems(); len(problems) > 0 {
		t.Errorf("the browser complains of a chart: %q", problems)
	}
}
