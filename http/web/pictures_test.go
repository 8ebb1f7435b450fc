package web_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPictures takes pictures of the pages that TestLook serves at the address in
// FEDMSG_PICTURES, into the folder in FEDMSG_PICTURES_DIR.
func TestPictures(t *testing.T) {
	base, dir := os.Getenv("FEDMSG_PICTURES"), os.Getenv("FEDMSG_PICTURES_DIR")
	if base == "" || dir == "" {
		t.Skip("FEDMSG_PICTURES=http://127.0.0.1:8399 FEDMSG_PICTURES_DIR=/tmp/pictures takes pictures")
	}
	b := openBrowser(t)
	pages := map[string]string{
		"live": "/", "category": "/?category=bodhi", "history": "/history", "search": "/history?q=user:ralph+package:kernel+after:30d",
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
	for _, width := range []int{1280, 360} {
		for _, dark := range []bool{false, true} {
			high := map[int]int{1280: 1000, 360: 1500}[width]
			tb := b.open(width, min(high, 900), dark, true)
			for name, path := range pages {
				tb.goTo(base + path)
				time.Sleep(1500 * time.Millisecond)
				shade := map[bool]string{true: "dark", false: "light"}[dark]
				tb.picture(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, shade)), width, high)
				if over := tb.eval(`document.documentElement.scrollWidth > innerWidth`); over == "true" {
					t.Errorf("%s at %d scrolls sideways: %s", name, width, tb.eval(`[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map(e => e.outerHTML.slice(0, 120)).join("\n")`))
				}
				tb.healthy(fmt.Sprintf("%s at %d", name, width))
			}
			if os.Getenv("FEDMSG_PICTURES_ONLY") == "" {
				tb.goTo(base + "/history?q=category:bodhi")
				tb.eval(`document.querySelector("a.say").click()`)
				tb.wait()
				time.Sleep(500 * time.Millisecond)
				tb.picture(filepath.Join(dir, fmt.Sprintf("message-%d-%v.png", width, dark)), width, high)
				tb.healthy("message")
			}
		}
	}
}
