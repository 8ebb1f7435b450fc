package web_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest/chromium"
)

// TestPictures takes pictures of the pages that TestLook serves at the address in
// FEDMSG_PICTURES, into the folder in FEDMSG_SCREENSHOTS.
func TestPictures(t *testing.T) {
	base := os.Getenv("FEDMSG_PICTURES")
	if base == "" || os.Getenv("FEDMSG_SCREENSHOTS") == "" {
		t.Skip("FEDMSG_PICTURES=http://127.0.0.1:8399 FEDMSG_SCREENSHOTS=/tmp/pictures takes pictures")
	}
	b := chromium.Open(t)
	pages := map[string]string{
		"live": "/", "filtered": "/?q=category:bodhi", "message": "/history?q=category:bodhi", "history": "/history", "search": "/history?q=user:ralph+package:kernel+after:30d",
		"none": "/history?q=user:ralhp+after:1h", "wrong": "/history?q=user:ralph+%28after:5x", "statistics": "/statistics", "person": "/statistics?user=ralph",
		"topics": "/topics", "status": "/status", "missing": "/messages/nope",
	}
	if only := os.Getenv("FEDMSG_PICTURES_ONLY"); only != "" {
		for name := range pages {
			if !strings.Contains(only, name) {
				delete(pages, name)
			}
		}
	}
	for name, path := range pages {
		tb := b.Page(t, 1280, 1000)
		for _, width := range []int{1280, 360} {
			for _, dark := range []bool{false, true} {
				tb.Size(t, width, map[int]int{1280: 1000, 360: 1500}[width])
				tb.Dark(t, dark)
				tb.Go(t, base+path)
				if name == "message" {
					tb.Leave(t, "message", func() {
						var ok any
						tb.Eval(t, `document.querySelector("a.say").click()`, &ok)
					})
				}
				time.Sleep(time.Second) // for what moves
				tb.Screenshot(t, fmt.Sprintf("%s-%d-%s", name, width, map[bool]string{true: "dark", false: "light"}[dark]))
			}
		}
		tb.Go(t, "about:blank")
	}
}
