package web_test

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/chromium"
)

// A tab is a page of a browser, of a test and on a bus.
type tab struct {
	*chromium.Page
	t *testing.T
	r *rig
	w *world
}

// TestBrowser looks at the pages of one bus with one Chromium: starting either takes
// longer than most of what is looked at.
func TestBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes its time")
	}
	b := chromium.Open(t)
	d := told(t)
	kept := newArchive(d)
	w := newWorld()
	fill(t, kept, w, 300, 40*24*time.Hour, time.Now())
	r := start(t, "127.0.0.1:0", kept, d)
	for _, test := range []struct {
		name string
		look func(tab)
	}{
		{"pages", lookAtPages}, {"live", lookAtLive}, {"live of a search", lookAtLiveSearch}, {"live after a break", lookAtBreak}, {"keys", lookAtKeys},
		{"brush", lookAtBrush}, {"profiles", lookAtProfiles}, {"saved searches", lookAtSaved}, {"without scripts", lookWithoutScripts},
	} {
		t.Run(test.name, func(t *testing.T) {
			tb := tab{b.Page(t, 1280, 900), t, r, w}
			test.look(tb)
			tb.healthy(test.name)
			tb.Go(t, "about:blank") // its stream ends
		})
	}
}

// at loads a page of the bus.
func (tb tab) at(path string) { tb.t.Helper(); tb.Go(tb.t, tb.r.url+path) }

func (tb tab) eval(script string) string {
	tb.t.Helper()
	var v any
	tb.Eval(tb.t, script, &v)
	return fmt.Sprint(v)
}

func (tb tab) until(script string) { tb.t.Helper(); tb.Wait(tb.t, script) }
func (tb tab) press(key string)    { tb.t.Helper(); tb.Press(tb.t, key) }

// leave presses a key that leads to another page.
func (tb tab) leave(key string) {
	tb.t.Helper()
	tb.Leave(tb.t, key, func() { tb.press(key) })
}

// healthy fails if the browser had anything to complain about.
func (tb tab) healthy(what string) {
	tb.t.Helper()
	for _, p := range tb.Problems() {
		tb.t.Errorf("%s: %s", what, p)
	}
}

// searched fails unless the tab is at a path with a search line.
func (tb tab) searched(path, q string) {
	tb.t.Helper()
	u, err := url.Parse(tb.eval(`location.href`))
	if err != nil || u.Path != path || strings.TrimSpace(u.Query().Get("q")) != q {
		tb.t.Errorf("at %v, want %s of %q", u, path, q)
	}
}

// say publishes messages.
func (r *rig) say(t *testing.T, messages ...*fedmsg.Message) {
	t.Helper()
	for _, receipt := range r.gate.Publish(t.Context(), messages...) {
		if receipt.Err != nil {
			t.Fatal(receipt.Err)
		}
	}
}

// exam publishes one with these words.
func (tb tab) exam(topic, text string) {
	tb.t.Helper()
	tb.r.say(tb.t, tb.w.say(tb.t, "org.fedoraproject.prod.exam."+topic, object{"say": text, "agent": "zoe"}, time.Now(), ""))
}

const (
	connected = `document.getElementById("state")?.textContent.startsWith("connected")`
	firstRow  = `document.querySelector("#feed .say")?.textContent`
)

// Every page, wide and narrow, in light and dark, with scripts and without, has nothing to
// complain about and does not scroll sideways; charts are charts by themselves, too.
func lookAtPages(tb tab) {
	var evil []*fedmsg.Message
	for i, text := range hostile[:len(hostile)-1] {
		evil = append(evil, tb.w.say(tb.t, fmt.Sprintf("org.fedoraproject.prod.exam.evil%d", i), object{"say": text, "link": text, "agent": text, text: text}, time.Now(), ""))
	}
	tb.r.say(tb.t, evil...)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := tb.r.archive.Find(tb.t.Context(), evil[len(evil)-1].ID); err == nil {
			break
		} else if time.Now().After(end) {
			tb.t.Fatalf("the archive does not have what was said: %v", err)
		}
	}
	pages := []string{"/", "/?q=category:bodhi", "/history", "/history?q=user:ralph", "/history?q=user:ralhp", "/statistics", "/statistics?user=ralph", "/topics", "/status",
		"/messages/" + evil[0].ID + "?q=category:exam", "/messages/" + evil[16].ID}
	for _, scripts := range []bool{true, false} {
		tb.Scripts(tb.t, scripts)
		for _, path := range pages {
			tb.Size(tb.t, 1280, 900)
			tb.Dark(tb.t, !scripts)
			tb.at(path)
			for _, width := range []int{1280, 360} {
				tb.Size(tb.t, width, 800)
				tb.Dark(tb.t, scripts == (width == 360))
				what := fmt.Sprintf("%s at %d, scripts %v", path, width, scripts)
				if over := tb.eval(`document.documentElement.scrollWidth > innerWidth ? [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map(e => e.outerHTML.slice(0, 120)).join("\n") : ""`); over != "" {
					tb.t.Errorf("%s scrolls sideways: %s", what, over)
				}
				if n := tb.eval(`document.querySelectorAll("main h1").length`); n != "1" {
					tb.t.Errorf("%s has %s headings", what, n)
				}
				tb.healthy(what)
			}
		}
	}
	tb.Scripts(tb.t, true)
	for _, name := range []string{"volume", "weeks", "contributors", "comings", "cohorts", "services", "users", "packages", "topics", "tail", "silent", "calendar"} {
		path := "/statistics/" + name + ".svg?user=ralph"
		if slices.Contains([]string{"contributors", "comings", "cohorts", "silent"}, name) {
			path = "/statistics/" + name + ".svg"
		}
		tb.at(path)
		if got := tb.eval(`document.documentElement.localName + " " + getComputedStyle(document.querySelector(".title")).fontSize + " " + (document.querySelectorAll("rect, path").length > 3)`); got != "svg 15px true" {
			tb.t.Errorf("%s is %q, want svg 15px true", path, got)
		}
		tb.healthy(path)
	}
}

func lookAtLive(tb tab) {
	tb.at("/")
	tb.until(connected)
	tb.exam("one", "zoe did <b>one</b> thing")
	tb.until(firstRow + ` === "zoe did <b>one</b> thing"`)

	// paused, they wait; a click shows them
	tb.press(" ")
	tb.until(`document.getElementById("pause").getAttribute("aria-pressed") === "true"`)
	tb.exam("two", "two")
	tb.exam("three", "three\u202e")
	tb.until(`document.getElementById("fresh").textContent === "2 new" && !document.getElementById("fresh").hidden`)
	if got := tb.eval(firstRow); got != "zoe did <b>one</b> thing" {
		tb.t.Errorf("while paused the first row is %q", got)
	}
	tb.eval(`document.getElementById("fresh").click()`)
	tb.until(firstRow + ` === "three\\u202e" && document.getElementById("fresh").hidden`)
	tb.press(" ")
	tb.until(`document.getElementById("pause").getAttribute("aria-pressed") === "false"`)

	// many at once are sampled, and that is said
	var many []*fedmsg.Message
	for range 60 {
		many = append(many, tb.w.message(tb.t, time.Now(), "buildsys"))
	}
	tb.r.say(tb.t, many...)
	tb.until(`/^showing 1 in \d+$/.test(document.getElementById("sampled").textContent)`)
}

// What is live can be searched as history is.
func lookAtLiveSearch(tb tab) {
	tb.at("/")
	tb.eval(`document.getElementById("filter").value = "agent:zoe -topic:exam.six"; document.getElementById("filter").focus()`)
	tb.leave("Enter")
	tb.searched("/", "agent:zoe -topic:exam.six")
	tb.until(connected)
	tb.r.say(tb.t, tb.w.message(tb.t, time.Now(), "git"))
	tb.exam("six", "six")
	tb.exam("four", "four")
	tb.until(firstRow + ` === "four"`)
	if got := tb.eval(`[...document.querySelectorAll("#feed .say")].filter(a => a.textContent === "six" || !a.closest(".row").textContent.includes("zoe")).length`); got != "0" {
		tb.t.Errorf("%s rows are not of the search", got)
	}
	tb.press("j") // to the row, and into it; there, along the search
	tb.leave("Enter")
	if got := tb.eval(`document.querySelector(".walks li").textContent`); !strings.Contains(got, "in the search agent:zoe") {
		tb.t.Errorf("the first way on is %q", got)
	}
}

// A line between a browser and a bus that can be cut.
type line struct {
	ln   net.Listener
	to   string
	mu   sync.Mutex
	open []net.Conn
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{ln: ln, to: strings.TrimPrefix(to, "http://")}
	go func() {
		for {
			from, err := ln.Accept()
			if err != nil {
				return
			}
			over, err := net.Dial("tcp", l.to)
			if err != nil {
				_ = from.Close()
				continue
			}
			l.mu.Lock()
			l.open = append(l.open, from, over)
			l.mu.Unlock()
			go func() { _, _ = io.Copy(over, from); _ = over.Close() }()
			go func() { _, _ = io.Copy(from, over); _ = from.Close() }()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); l.cut() })
	return l
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.open {
		_ = c.Close()
	}
	l.open = nil
}

// What was said while the line was cut comes when it is there again, once and in order.
func lookAtBreak(tb tab) {
	l := newLine(tb.t, tb.r.url)
	tb.Go(tb.t, "http://"+l.ln.Addr().String()+"/?q=agent:zoe")
	tb.until(connected)
	tb.exam("before", "before the break")
	tb.until(firstRow + ` === "before the break"`)
	l.cut()
	tb.exam("during", "during the break")
	tb.exam("during", "during it, too")
	tb.until(firstRow + ` === "during it, too"`)
	if got := tb.eval(`[...document.querySelectorAll("#feed .say")].slice(0, 3).map(a => a.textContent).join("|")`); got != "during it, too|during the break|before the break" {
		tb.t.Errorf("after the break there are %q", got)
	}
	for _, p := range tb.Problems() { // that the line was cut is one, and no other
		if !strings.Contains(p, "ERR_") {
			tb.t.Errorf("the browser complains of %s", p)
		}
	}
}

// All of a page can be had with keys alone.
func lookAtKeys(tb tab) {
	tb.at("/status")
	tb.press("?")
	tb.until(`document.getElementById("help").open`)
	tb.press("Escape")
	tb.until(`!document.getElementById("help").open`)

	// search, with completion
	tb.press("/")
	tb.until(`document.activeElement.id === "q"`)
	for _, key := range "user:ral" {
		tb.press(string(key))
	}
	tb.until(`document.querySelector("#complete li")?.textContent.startsWith("user:ralph")`)
	tb.press("ArrowDown")
	tb.press("Enter")
	tb.until(`document.getElementById("q").value === "user:ralph "`)
	tb.leave("Enter")
	tb.searched("/history", "user:ralph")

	// only with, without
	tb.press("j")
	tb.until(`document.activeElement.matches(".row a.say")`)
	service := tb.eval(`document.activeElement.closest(".row").querySelector(".cat").dataset.term`)
	tb.leave("f")
	tb.searched("/history", "user:ralph "+service)
	tb.press("k")
	tb.leave("x")
	tb.searched("/history", "user:ralph -"+service)

	// one message, and from there along the search and back
	tb.press("j")
	tb.press("j")
	tb.press("k")
	first := tb.eval(`document.querySelector(".row a.say").textContent`)
	second := tb.eval(`document.querySelectorAll(".row a.say")[1].href`)
	if got := tb.eval(`document.activeElement.textContent`); got != first {
		tb.t.Errorf("j j k leads to %q, want %q", got, first)
	}
	tb.leave("Enter")
	if got := tb.eval(`document.querySelector("h1").textContent`); got != first {
		tb.t.Errorf("enter opens %q, want %q", got, first)
	}
	tb.leave("j")
	if got := tb.eval(`location.href`); got != second {
		tb.t.Errorf("j leads to %s, want %s", got, second)
	}
	tb.leave("k")
	if got := tb.eval(`document.querySelector("h1").textContent`); got != first {
		tb.t.Errorf("k leads back to %q, want %q", got, first)
	}
	tb.press("k") // there is no newer one
	tb.eval(`document.querySelector(".leaf[data-term]").focus()`)
	term := tb.eval(`document.activeElement.dataset.term`)
	tb.until(`document.querySelector(".leaf-tools")`)
	tb.leave("f")
	tb.searched("/history", term)
}

func lookAtBrush(tb tab) {
	tb.at("/history?q=category:buildsys+after:3w")
	var box struct{ Left, Top, Width float64 }
	tb.Eval(tb.t, `document.querySelector("#histogram svg").getBoundingClientRect().toJSON()`, &box)
	tb.Leave(tb.t, "brush", func() { tb.Drag(tb.t, box.Left+box.Width*.25, box.Top+50, box.Left+box.Width*.5, box.Top+60) })
	q := tb.eval(`new URLSearchParams(location.search).get("q")`)
	if !strings.HasPrefix(q, "category:buildsys after:20") || !strings.Contains(q, " before:20") || strings.Contains(q, "3w") {
		tb.t.Errorf("after the brush the search is %q", q)
	}
	if tb.eval(`document.querySelectorAll(".wrong").length`) != "0" {
		tb.t.Error("the search of the brush cannot be read")
	}
	tb.Leave(tb.t, "range", func() {
		tb.eval(`document.getElementById("range").value = "1d"; document.getElementById("range").dispatchEvent(new Event("change", {bubbles: true}))`)
	})
	tb.searched("/history", "category:buildsys after:1d")
}

// click clicks on what a selector finds, and waits for the page that follows.
func (tb tab) click(selector string) {
	tb.t.Helper()
	tb.Leave(tb.t, selector, func() { tb.eval(`document.querySelector('` + selector + `').click()`) })
}

// A profile is a search that a click makes; remembered, the pages begin with it.
func lookAtProfiles(tb tab) {
	tb.at("/history?q=package:kernel")
	tb.click(`[data-profile="quiet"]`)
	tb.searched("/history", "package:kernel -category:buildsys")
	if tb.eval(`document.querySelector('[data-profile="quiet"]').getAttribute("aria-current") + document.querySelectorAll("[data-profile][aria-current]").length`) != "true1" {
		tb.t.Error("the page does not say which profile it has")
	}
	tb.click(`[data-profile="packages"]`)
	tb.searched("/history", "package:kernel category:buildsys,bodhi")
	tb.eval(`document.getElementById("remember").click()`)
	tb.at("/")
	tb.until(`new URLSearchParams(location.search).get("q") === "category:buildsys,bodhi" && document.getElementById("remember")?.checked`)
	tb.at("/history?q=user:ralph") // who asks for something gets that
	tb.searched("/history", "user:ralph")
	tb.at("/?q=")
	if tb.eval(`location.search + document.getElementById("remember").checked`) != "?q=false" {
		tb.t.Errorf("everything cannot be had: %s", tb.eval(`location.href`))
	}
	tb.click(`[data-profile="packages"]`)
	tb.eval(`document.getElementById("remember").click()`)
	tb.at("/")
	if tb.eval(`location.search`) != "" {
		tb.t.Error("what was forgotten is remembered")
	}
}

// Searches are kept in the browser, with names that are the reader's.
func lookAtSaved(tb tab) {
	const q = `user:ralph "a & b" <b>`
	tb.at("/history?q=" + url.QueryEscape(q))
	tb.eval(`document.querySelector("#saved .save").click()`)
	tb.until(`document.activeElement.matches("#saved li input")`)
	tb.eval(`document.activeElement.value = "My <b>builds</b>"; document.activeElement.dispatchEvent(new Event("change"))`)
	tb.until(`document.querySelector("#saved > a[aria-current]").textContent === "My <b>builds</b>"`)
	tb.at("/history")
	for script, want := range map[string]string{
		`document.querySelectorAll("#saved > a").length`:                           "1",
		`document.querySelectorAll("#saved .save").length`:                         "0", // nothing is asked for
		`new URL(document.querySelector("#saved > a").href).searchParams.get("q")`: q,
		`document.querySelector("#saved li a[href^='/feed.atom']").href`:           tb.r.url + "/feed.atom?q=" + strings.NewReplacer("+", "%20", "%2B", "+").Replace(url.QueryEscape(q)),
		`document.querySelectorAll("#saved b").length`:                             "0",
	} {
		if got := tb.eval(script); got != want {
			tb.t.Errorf("%s is %q, want %q", script, got, want)
		}
	}
	tb.click("#saved > a")
	tb.searched("/history", q)
	tb.eval(`document.querySelector("#saved summary").click(); document.querySelector("#saved li button[aria-label^=delete]").click()`)
	tb.until(`!document.querySelector("#saved > a") && document.querySelector("#saved .save")`)
	tb.eval(`localStorage.setItem("fedmsg.searches", '{"not": "ours"}'); localStorage.setItem("fedmsg.profile", "][")`)
	tb.at("/history?q=user:ralph")
	tb.until(`document.querySelector("#saved .save")`)
	tb.eval(`localStorage.clear()`)
}

// Without scripts all can be had but what moves.
func lookWithoutScripts(tb tab) {
	tb.Scripts(tb.t, false)
	tb.at("/")
	for script, want := range map[string]string{
		`document.querySelectorAll("#feed .row").length > 20`:                 "true",
		`getComputedStyle(document.getElementById("pause")).display`:          "none",
		`getComputedStyle(document.querySelector(".remember")).display`:       "none",
		`document.querySelector("noscript").textContent.includes("Load")`:     "true",
		`document.querySelectorAll("a[data-profile]").length >= 3`:            "true",
		`[...document.querySelectorAll("details.table, .listen")].length > 0`: "true",
	} {
		if got := tb.eval(script); got != want {
			tb.t.Errorf("%s is %q, want %q", script, got, want)
		}
	}
	tb.click(`[data-profile="quiet"]`)
	tb.searched("/", "-category:buildsys")
	tb.click(".row a.say")
	older := tb.eval(`document.querySelector(".walks a.older").href`)
	tb.click(".walks a.older")
	if got := tb.eval(`location.href`); got != older {
		tb.t.Errorf("older leads to %s, want %s", got, older)
	}
	tb.at("/history?q=user:ralph")
	if got := tb.eval(`document.querySelector("main noscript").textContent`); !strings.Contains(got, "bookmark its address") || !strings.Contains(got, "feed") {
		tb.t.Errorf("how to keep a search is not said: %q", got)
	}
	tb.click(".facets a.value")
	tb.click(".chip a") // and back
	tb.at("/statistics")
	tb.click("form.subject button")
}
