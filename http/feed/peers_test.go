package feed_test

import (
	"bytes"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// hard is what readers of feeds must get right: signs of XML and HTML, and text that
// is not ASCII.
var hard = []string{
	`{"title":"<b>ralph</b> built \"x\" & ]]> more","long":"One < two.\n\nThree & four.","link":"https://koji.example/build?a=1&b=2","agent":"ralph","users":["ralph"],"packages":["bash"]}`,
	`{"title":"Jean-\u00c9ric edited \u041c\u0438\u0440 \ud83d\ude00","agent":"Jean-\u00c9ric","link":"javascript:alert(1)"}`,
	`{"title":"a\u000bb\u0000c\ufffe"}`,
}

func TestPeerXMLLint(t *testing.T) {
	xmllint := fedmsgtest.Peer(t, "xmllint", "libxml2-utils")
	r := start(t)
	r.say(t, hard...)
	for _, target := range []string{"/feed.atom", "/feed.rss", "/feed.atom?user=nobody", "/feed.rss?user=nobody", "/feed.atom?limit=1", "/feed.rss?limit=1"} {
		cmd := exec.CommandContext(t.Context(), xmllint, "--noout", "--nonet", "--pedantic", "-")
		cmd.Stdin = bytes.NewReader(r.good(t, target).Body.Bytes())
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("xmllint of %s: %v, %s", target, err, out)
		}
	}
}

func TestPeerSfeed(t *testing.T) {
	sfeed := fedmsgtest.Peer(t, "sfeed", "sfeed")
	r := start(t)
	r.say(t, hard...)
	for _, path := range []string{"/feed.atom", "/feed.rss"} {
		cmd := exec.CommandContext(t.Context(), sfeed)
		cmd.Stdin = bytes.NewReader(r.good(t, path).Body.Bytes())
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		// Its columns: time, title, link, content, type of it, ID, author, enclosure, categories.
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if len(lines) != 3 {
			t.Fatalf("sfeed reads %d entries of %s, want 3: %s", len(lines), path, out)
		}
		got := strings.Split(lines[2], "\t")
		want := map[int]string{0: "1767225600", 1: `<b>ralph</b> built "x" & ]]> more`, 2: "https://koji.example/build?a=1&b=2", 4: "html",
			5: "tag:bus.example,2026-01-01:" + fedmsgtest.ID(0), 6: "ralph", 8: "exam|org.example.dev.exam.said|bash"}
		for i, text := range want {
			if got[i] != text {
				t.Errorf("sfeed of %s: column %d is %q, want %q", path, i, got[i], text)
			}
		}
		if !strings.Contains(got[3], "<p>One &lt; two.</p>") {
			t.Errorf("sfeed of %s: the content is %q", path, got[3])
		}
		if got := strings.Split(lines[0], "\t")[1]; got != "abc" {
			t.Errorf("sfeed of %s: the title without what XML forbids is %q, want abc", path, got)
		}
		if got := strings.Split(lines[1], "\t"); got[1] != "Jean-Éric edited Мир 😀" || got[2] != "http://bus.example/messages/"+fedmsgtest.ID(1) {
			t.Errorf("sfeed of %s: %q", path, got)
		}
	}
}

func TestPeerNewsboat(t *testing.T) {
	newsboat := fedmsgtest.Peer(t, "newsboat", "newsboat")
	for _, path := range []string{"/feed.atom", "/feed.rss"} {
		t.Run(path[1:], func(t *testing.T) {
			r := start(t)
			r.say(t, hard...)
			server := httptest.NewServer(r.mux)
			defer server.Close()
			home := t.TempDir()
			for name, text := range map[string]string{"urls": server.URL + path + "?q=after:1d\n", "config": ""} {
				if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			run := func(args ...string) string {
				cmd := exec.CommandContext(t.Context(), newsboat, append([]string{"-u", filepath.Join(home, "urls"),
					"-c", filepath.Join(home, "cache.db"), "-C", filepath.Join(home, "config")}, args...)...)
				cmd.Env = append(os.Environ(), "HOME="+home, "LC_ALL=C.UTF-8", "TERM=dumb")
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("newsboat %q: %v, %s", args, err, out)
				}
				return string(out)
			}
			run("-x", "reload")
			if got := run("-x", "print-unread"); !strings.Contains(got, "3 unread") {
				t.Errorf("newsboat has %q, want 3 unread", got)
			}
			run("-x", "reload") // the same entries: nothing new
			if got := run("-x", "print-unread"); !strings.Contains(got, "3 unread") {
				t.Errorf("after another reload newsboat has %q, want 3 unread", got)
			}
			cache, err := os.ReadFile(filepath.Join(home, "cache.db"))
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{"Jean-Éric edited Мир 😀", "https://koji.example/build?a=1&b=2", "tag:127.0.0.1,2026-01-01:" + fedmsgtest.ID(0), "One &lt; two."} {
				if !bytes.Contains(cache, []byte(text)) {
					t.Errorf("newsboat does not know %q", text)
				}
			}
			if bytes.Contains(cache, []byte("javascript:")) {
				t.Error("newsboat knows a link that is none of the web")
			}
			r.say(t, `{"title":"another"}`)
			run("-x", "reload")
			if got := run("-x", "print-unread"); !strings.Contains(got, "4 unread") {
				t.Errorf("after another message newsboat has %q, want 4 unread", got)
			}
		})
	}
}
