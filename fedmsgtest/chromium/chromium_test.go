package chromium_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest/chromium"
)

func TestPage(t *testing.T) {
	p := chromium.Open(t).Page(t, 400, 300)
	p.Go(t, "data:text/html,<title>here</title><input id=i><script>console.error('oh')</script>")
	if got := p.Text(t, "document.title"); got != "here" {
		t.Errorf("title %q, want here", got)
	}
	var width int
	if p.Eval(t, "Promise.resolve(innerWidth)", &width); width != 400 {
		t.Errorf("the page is %d wide, want 400", width)
	}
	p.Press(t, "Tab")
	p.Press(t, "j")
	p.Wait(t, "document.getElementById('i').value === 'j'")
	if said := p.Problems(); !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, "oh") }) {
		t.Errorf("problems %q, want the console's", said)
	}
	if png := p.Screenshot(t, "chromium-page"); !strings.HasPrefix(string(png), "\x89PNG") {
		t.Errorf("a screenshot begins with %q", png[:min(8, len(png))])
	}
}
