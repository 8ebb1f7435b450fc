package web_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// inBrowser starts a bus with history, and a Chromium.
func inBrowser(t *testing.T) (*rig, *browser, *world) {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes its time")
	}
	b := openBrowser(t)
	d := plain{engine(t)}
	kept := newArchive(d)
	w := newWorld()
	fill(t, kept, w, 500, 20*24*time.Hour, time.Now())
	return start(t, "127.0.0.1:0", kept, d), b, w
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

func TestBrowserLive(t *testing.T) {
	r, b, w := inBrowser(t)
	tb := b.open(1280, 900, false, true)
	tb.goTo(r.url + "/")
	tb.until(`document.getElementById("state").textContent.startsWith("connected")`)
	tb.eval(`scrollTo(0, 0)`)
	body := func(text string) object { return object{"say": text, "agent": "zoe"} }
	r.say(t, w.say(t, "org.fedoraproject.prod.exam.one", body("zoe did <b>one</b> thing"), time.Now(), ""))
	tb.until(`document.querySelector("#feed .say").textContent === "zoe did <b>one</b> thing"`)

	// paused, they wait; a click shows them
	tb.press(" ", false)
	tb.until(`document.getElementById("pause").getAttribute("aria-pressed") === "true"`)
	r.say(t, w.say(t, "org.fedoraproject.prod.exam.two", body("two"), time.Now(), ""), w.say(t, "org.fedoraproject.prod.exam.three", body("three\u202e"), time.Now(), ""))
	tb.until(`document.getElementById("fresh").textContent === "2 new" && !document.getElementById("fresh").hidden`)
	if got := tb.eval(`document.querySelector("#feed .say").textContent`); got != "zoe did <b>one</b> thing" {
		t.Errorf("while paused the first row is %q", got)
	}
	tb.eval(`document.getElementById("fresh").click()`)
	tb.until(`document.querySelector("#feed .say").textContent === "three\\u202e" && document.getElementById("fresh").hidden`)
	tb.press(" ", false)
	tb.until(`document.getElementById("pause").getAttribute("aria-pressed") === "false"`)

	// many at once are sampled, and that is said
	var many []*fedmsg.Message
	for range 60 {
		many = append(many, w.message(t, time.Now(), "buildsys"))
	}
	r.say(t, many...)
	tb.until(`/^showing 1 in \d+$/.test(document.getElementById("sampled").textContent)`)
	tb.healthy("live")

	one := b.open(1280, 900, false, true)
	one.goTo(r.url + "/?category=exam")
	one.until(`document.getElementById("state").textContent.startsWith("connected")`)
	r.say(t, w.message(t, time.Now(), "git"), w.say(t, "org.fedoraproject.prod.exam.four", body("four"), time.Now(), ""))
	one.until(`document.querySelector("#feed .say").textContent === "four"`)
	one.healthy("live, one service")
}

// All of a page can be had with keys alone.
func TestBrowserKeys(t *testing.T) {
	r, b, _ := inBrowser(t)
	tb := b.open(1280, 900, true, true)
	tb.goTo(r.url + "/status")
	tb.press("?", false)
	tb.until(`document.getElementById("help").open`)
	tb.press("Escape", false)
	tb.until(`!document.getElementById("help").open`)

	// search, with completion
	tb.press("/", false)
	tb.until(`document.activeElement.id === "q"`)
	for _, key := range "user:ral" {
		tb.press(string(key), false)
	}
	tb.until(`document.querySelector("#complete li")?.textContent.startsWith("user:ralph")`)
	tb.press("ArrowDown", false)
	tb.press("Enter", false)
	tb.until(`document.getElementById("q").value === "user:ralph "`)
	tb.press("Enter", true)
	at := func(q string) {
		t.Helper()
		u, err := url.Parse(tb.eval(`location.href`))
		if err != nil || u.Path != "/history" || strings.TrimSpace(u.Query().Get("q")) != q {
			t.Errorf("at %v, want /history of %q", u, q)
		}
	}
	at("user:ralph")

	// only with, without
	tb.press("j", false)
	tb.until(`document.activeElement.matches(".row a.say")`)
	service := tb.eval(`document.activeElement.closest(".row").querySelector(".cat").dataset.term`)
	tb.press("f", true)
	at("user:ralph " + service)
	tb.press("k", false)
	tb.press("x", true)
	at("user:ralph -" + service)

	// one message
	tb.press("j", false)
	tb.press("j", false)
	tb.press("k", false)
	first := tb.eval(`document.querySelector(".row a.say").textContent`)
	if got := tb.eval(`document.activeElement.textContent`); got != first {
		t.Errorf("j j k leads to %q, want %q", got, first)
	}
	tb.press("Enter", true)
	if got := tb.eval(`document.querySelector("h1").textContent`); got != first {
		t.Errorf("enter opens %q, want %q", got, first)
	}
	tb.eval(`document.querySelector(".leaf[data-term]").focus()`)
	term := tb.eval(`document.activeElement.dataset.term`)
	tb.until(`!!document.querySelector(".leaf-tools")`)
	tb.press("f", true)
	at(term)
	tb.healthy("keys")
}

func TestBrowserBrush(t *testing.T) {
	r, b, _ := inBrowser(t)
	tb := b.open(1280, 900, false, true)
	tb.goTo(r.url + "/history?q=category:buildsys+after:1w")
	rect := func(what string) (n float64) {
		_, _ = fmt.Sscan(tb.eval(`document.querySelector("#histogram svg").getBoundingClientRect().`+what), &n)
		return n
	}
	left, top, width := rect("left"), rect("top"), rect("width")
	tb.drag(left+width*.25, top+50, left+width*.5, top+60)
	q := tb.eval(`new URLSearchParams(location.search).get("q")`)
	if !strings.HasPrefix(q, "category:buildsys after:20") || !strings.Contains(q, " before:20") || strings.Contains(q, "1w") {
		t.Errorf("after the brush the search is %q", q)
	}
	if tb.eval(`document.querySelectorAll(".wrong").length`) != "0" {
		t.Error("the search of the brush cannot be read")
	}
	tb.eval(`document.getElementById("range").value = "1d"; document.getElementById("range").dispatchEvent(new Event("change", {bubbles: true}))`)
	tb.wait()
	if q := tb.eval(`new URLSearchParams(location.search).get("q")`); q != "category:buildsys after:1d" {
		t.Errorf("after the choice of a range the search is %q", q)
	}
	tb.healthy("brush")
}

// Every page, at every size, in light and dark, with scripts and without, has nothing
// to complain about and does not scroll sideways.
func TestBrowserPages(t *testing.T) {
	r, b, w := inBrowser(t)
	var evil []*fedmsg.Message
	for i, text := range hostile[:len(hostile)-1] {
		evil = append(evil, w.say(t, fmt.Sprintf("org.fedoraproject.prod.exam.evil%d", i), object{"say": text, "link": text, "agent": text, text: text}, time.Now(), ""))
	}
	r.say(t, evil...)
	pages := []string{"/", "/?category=bodhi", "/history", "/history?q=user:ralph", "/history?q=user:ralhp", "/statistics", "/statistics?user=ralph", "/topics", "/status",
		"/statistics/volume.svg", "/statistics/calendar.svg?user=ralph", "/messages/" + evil[0].ID, "/messages/" + evil[16].ID}
	for _, width := range []int{1280, 360} {
		for _, dark := range []bool{false, true} {
			for _, scripts := range []bool{true, false} {
				if dark && !scripts {
					continue
				}
				tb := b.open(width, 800, dark, scripts)
				for _, path := range pages {
					what := fmt.Sprintf("%s at %d, dark %v, scripts %v", path, width, dark, scripts)
					tb.goTo(r.url + path)
					if !strings.HasSuffix(path, ".svg") && !strings.Contains(path, ".svg?") && tb.eval(`document.documentElement.scrollWidth > innerWidth`) == "true" {
						t.Errorf("%s scrolls sideways: %s", what, tb.eval(`[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map(e => e.outerHTML.slice(0, 120)).join("\n")`))
					}
					if strings.HasPrefix(path, "/history?q=user:ralph") && !strings.Contains(path, "ralhp") && tb.eval(`document.querySelectorAll(".row a.say").length > 5`) != "true" {
						t.Errorf("%s has no rows", what)
					}
					tb.healthy(what)
				}
			}
		}
	}
}
