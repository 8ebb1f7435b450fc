package web_test

import (
	"context"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

func TestFiguresAreFiles(t *testing.T) {
	s := lively(t, 500)
	for _, name := range []string{"volume", "weeks", "topics", "users", "packages", "services", "contributors", "comings", "cohorts", "tail", "silent", "calendar"} {
		query := "?days=30"
		if name == "calendar" {
			query = "?user=ralph"
		}
		svg := s.get("/statistics/" + name + ".svg" + query)
		if svg.status != 200 || svg.header.Get("Content-Type") != "image/svg+xml" || !strings.Contains(svg.header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s.svg = %d %v", name, svg.status, svg.header)
		}
		for d := xml.NewDecoder(strings.NewReader(svg.body)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s.svg: %v", name, err)
			}
		}
		rows, err := csv.NewReader(strings.NewReader(s.get("/statistics/" + name + ".csv" + query).body)).ReadAll()
		if err != nil || len(rows) < 2 {
			t.Errorf("%s.csv has the rows %v, %v", name, rows, err)
		}
	}
	for path, want := range map[string]int{
		"/statistics/calendar.svg": 404, "/statistics/nope.svg": 404, "/statistics/volume.png": 404, "/statistics/volume": 404,
		"/statistics/volume.svg?days=8": 400, "/statistics/volume.svg?width=1": 400, "/statistics/volume.svg?width=a": 400, "/statistics?days=x": 400,
		"/statistics?user=" + strings.Repeat("a", 300): 400, "/statistics/volume.svg?width=340&title=no": 200,
	} {
		if doc := s.get(path); doc.status != want {
			t.Errorf("GET %.60s = %d, want %d", path, doc.status, want)
		}
	}
}

// What a chart shows is what a search counts.
func TestVolumeAddsUp(t *testing.T) {
	s := lively(t, 500)
	rows, err := csv.NewReader(strings.NewReader(s.get("/statistics/volume.csv?days=90").body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, row := range rows[1:] {
		for _, cell := range row[1:] {
			n, _ := strconv.Atoi(cell)
			total += n
		}
	}
	if total != 500 {
		t.Errorf("the chart has %d messages, want 500", total)
	}
}

// A cell that a spreadsheet would take for a formula is none.
func TestCSVHasNoFormulas(t *testing.T) {
	d := told(t)
	kept := newArchive(d)
	m := newWorld().say(t, "org.fedoraproject.prod.exam.a", object{"say": "x", "agent": `=HYPERLINK("http://evil.example","x")`}, noon, "")
	if _, err := kept.Deliver(t.Context(), []fedmsg.Entry{{Message: m}}); err != nil {
		t.Fatal(err)
	}
	if doc := newSite(t, kept, d).get("/statistics/users.csv"); !strings.Contains(doc.body, `"'=HYPERLINK`) {
		t.Errorf("users.csv is %s", doc.body)
	}
}

// The weeks are whole, the first of the archive is left out, and people are new once.
func TestContributors(t *testing.T) {
	d := told(t)
	kept := newArchive(d)
	w := newWorld()
	monday := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	for _, did := range []struct {
		who string
		day int
	}{{"a", -3}, {"a", 0}, {"b", 1}, {"b", 2}, {"c", 7}, {"a", 8}, {"b", 13}, {"d", 21}} {
		m := w.say(t, "org.fedoraproject.prod.exam.a", object{"say": "x", "agent": did.who}, monday.AddDate(0, 0, did.day), "")
		if _, err := kept.Deliver(t.Context(), []fedmsg.Entry{{Message: m}}); err != nil {
			t.Fatal(err)
		}
	}
	s := newSite(t, kept, d)
	for name, want := range map[string]string{
		// a was heard in two of the weeks, b in two, c once; nobody can be gone: four weeks have not passed
		"comings": "week from,new,gone\n2026-11-02,1,\n2026-11-09,1,\n2026-11-16,0,\n",
		"cohorts": "new in the week from,people,% after 1,% after 2\n2026-11-02,1,100,0\n2026-11-09,1,0,\n",
	} {
		if doc := s.get("/statistics/" + name + ".csv"); doc.body != want {
			t.Errorf("%s.csv is\n%swant\n%s", name, doc.body, want)
		}
	}
	want := "week from,new,returning,together\n2026-11-02,1,1,2\n2026-11-09,1,2,3\n2026-11-16,0,0,0\n"
	if doc := s.get("/statistics/contributors.csv"); doc.body != want {
		t.Errorf("contributors.csv is\n%swant\n%s", doc.body, want)
	}
}

// Who was there long ago, and not in the four weeks since, is gone.
func TestComings(t *testing.T) {
	d := told(t)
	kept := newArchive(d)
	w := newWorld()
	monday := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC) // of the week that is not over
	for _, did := range []struct {
		who  string
		week int
	}{{"old", 9}, {"a", 8}, {"b", 8}, {"old", 8}, {"b", 7}, {"c", 6}, {"old", 6}, {"b", 1}, {"d", 0}} {
		m := w.say(t, "org.fedoraproject.prod.exam.a", object{"say": "x", "agent": did.who}, monday.AddDate(0, 0, -7*did.week), "")
		if _, err := kept.Deliver(t.Context(), []fedmsg.Entry{{Message: m}}); err != nil {
			t.Fatal(err)
		}
	}
	want := "week from,new,gone\n2026-09-28,2,1\n2026-10-05,0,0\n2026-10-12,1,2\n2026-10-19,0,0\n2026-10-26,0,\n2026-11-02,0,\n2026-11-09,0,\n2026-11-16,0,\n"
	if doc := newSite(t, kept, d).get("/statistics/comings.csv"); doc.body != want {
		t.Errorf("comings.csv is\n%swant\n%s", doc.body, want)
	}
}

// The tail has every topic, and its title says how long it is.
func TestTail(t *testing.T) {
	d := told(t)
	kept := newArchive(d)
	w := newWorld()
	for topic, n := range map[string]int{"often": 6, "again": 2, "once": 1, "too": 1} {
		for i := range n {
			m := w.say(t, "org.fedoraproject.prod.exam."+topic, object{"say": "x"}, noon.Add(-time.Duration(i)*time.Hour), "")
			if _, err := kept.Deliver(t.Context(), []fedmsg.Entry{{Message: m}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := newSite(t, kept, d)
	want := "topic,rank,messages,share in %,with those above in %\nexam.often,1,6,60.0,60.0\nexam.again,2,2,20.0,80.0\n"
	if doc := s.get("/statistics/tail.csv?days=7"); !strings.HasPrefix(doc.body, want) || !strings.HasSuffix(doc.body, ",4,1,10.0,100.0\n") {
		t.Errorf("tail.csv is\n%swant it to begin\n%s", doc.body, want)
	}
	if doc := s.get("/statistics/tail.svg?days=7"); !strings.Contains(doc.body, "1 of 4\u00a0topics have half of all messages, last 7 days") {
		t.Errorf("tail.svg is titled otherwise: %.400s", doc.body)
	}
	rows := strings.Split(s.get("/statistics/silent.csv").body, "\n")
	if len(rows) != 3 || !strings.HasPrefix(rows[1], "exam,0.0,0.0,2026-11-24 12:00,2000,as usual") {
		t.Errorf("silent.csv is %q", rows)
	}
}

// A service that has been quiet for far longer than usual is told first.
func TestStatus(t *testing.T) {
	d := told(t)
	kept := newArchive(d)
	w := newWorld()
	say := func(service string, n int, every, since time.Duration) {
		for i := range n {
			at := noon.Add(-since - time.Duration(i)*every)
			m := w.say(t, "org.fedoraproject.prod."+service+".a", object{"i": i}, at, "")
			if _, err := kept.Deliver(t.Context(), []fedmsg.Entry{{Message: m}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	say("busy", 100, time.Minute, time.Second)
	say("gone", 50, time.Minute, 3*time.Hour)
	say("slow", 10, 24*time.Hour, 30*time.Hour)
	say("seldom", 2, time.Hour, 200*time.Hour)
	doc := newSite(t, kept, d).get("/status")
	for _, want := range []string{"irc: behind", "1 service is quiet", "speaks seldom", "every 1 min", "every 24 h", "The way of a message"} {
		if !strings.Contains(strings.ReplaceAll(doc.text, "\u00a0", " "), want) {
			t.Errorf("the status does not have %q: %s", want, doc.text)
		}
	}
	if strings.Count(doc.body, `<span class="mark warn">quiet`) != 1 || strings.Index(doc.body, ">gone</a>") > strings.Index(doc.body, ">busy</a>") {
		t.Errorf("more than one service is quiet, or it is not the first: %s", doc.text)
	}
}

func TestTopics(t *testing.T) {
	s := lively(t, 300)
	doc := s.get("/topics")
	for _, want := range []string{"buildsys.build.state.change", "git.receive", "what it is about", "pushed to branch"} {
		if !strings.Contains(doc.text, want) {
			t.Errorf("the topics do not have %q", want)
		}
	}
	if one := s.get("/topics?category=git"); strings.Contains(one.text, "buildsys.tag") || !strings.Contains(one.text, "git.receive") {
		t.Errorf("topics of git: %s", one.text)
	}
	if doc := s.get("/topics?category=nope"); doc.status != 404 {
		t.Errorf("topics of a service that is none = %d", doc.status)
	}
	d := told(t)
	kept := newArchive(d)
	for i := range 70 {
		m := newWorld().say(t, fmt.Sprintf("org.fedoraproject.prod.exam.t%d", i), object{"i": i}, noon.Add(time.Duration(i)), "")
		m, err := m.With(fedmsg.Member{Name: "msg_id", JSON: fmt.Appendf(nil, `"2026-%d"`, i)})
		if err == nil {
			_, err = kept.Deliver(context.Background(), []fedmsg.Entry{{Message: m}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	many := newSite(t, kept, d)
	if doc := many.get("/topics"); !strings.Contains(doc.body, "/topics?all") || strings.Count(doc.body, `scope="row"`) != 60 {
		t.Errorf("of 70 topics are shown %d", strings.Count(doc.body, `scope="row"`))
	}
	if doc := many.get("/topics?all"); strings.Count(doc.body, `scope="row"`) != 70 {
		t.Errorf("all topics are %d", strings.Count(doc.body, `scope="row"`))
	}
}
