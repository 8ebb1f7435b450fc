package feed_test

import (
	"context"
	"io"
	nethttp "net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
)

// noBus is a bus that nobody asks.
type noBus struct {
	fedmsg.Publisher
	fedmsg.Reader
	fedmsg.Log
}

// Feeds behind the server's guard.
func TestFeedServed(t *testing.T) {
	r := start(t)
	r.say(t, `{"title":"hello"}`)
	server, err := http.Listen(http.Config{Addr: "127.0.0.1:0", Routes: []func(*nethttp.ServeMux){r.feeds.Routes}}, noBus{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	for _, tt := range []struct {
		method, target string
		status         int
		media          string
	}{
		{"GET", "/feed.atom", 200, "application/atom+xml; charset=utf-8"}, {"HEAD", "/feed.rss", 200, "application/rss+xml; charset=utf-8"},
		{"GET", "/feed.json", 200, "application/feed+json; charset=utf-8"}, {"GET", "/feed.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/feed.atom?usr=x", 400, "application/problem+json"}, {"POST", "/feed.atom", 405, "application/problem+json"},
		{"GET", "/feed.xml", 404, "application/problem+json"},
	} {
		req, err := nethttp.NewRequestWithContext(t.Context(), tt.method, "http://"+server.Addr()+tt.target, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := nethttp.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != tt.status || resp.Header.Get("Content-Type") != tt.media || resp.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s %s = %d %v %s, %v", tt.method, tt.target, resp.StatusCode, resp.Header, body, err)
		}
		if (tt.method == "HEAD") != (len(body) == 0) {
			t.Errorf("%s %s has %d bytes", tt.method, tt.target, len(body))
		}
	}
	nethttp.DefaultClient.CloseIdleConnections()
}

// docs/feeds.md names everything that the element has.
func TestDocsFeeds(t *testing.T) {
	page, err := os.ReadFile("../../docs/feeds.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("feed.js")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{"theme": true}
	for _, re := range []string{`make\("\w+", "(\w+)"`, `getAttribute\("(\w+)"\)`, `var\((--fedmsg-\w+)`, `CustomEvent\("([\w-]+)"`} {
		found := regexp.MustCompile(re).FindAllStringSubmatch(string(code), -1)
		if len(found) == 0 {
			t.Errorf("the element has nothing like %s", re)
		}
		for _, m := range found {
			named[m[1]] = true
		}
	}
	for name := range named {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/feeds.md does not name %s", name)
		}
	}
	for _, path := range append([]string{"/feed.js"}, paths...) {
		if !strings.Contains(string(page), path) {
			t.Errorf("docs/feeds.md does not name %s", path)
		}
	}
}
