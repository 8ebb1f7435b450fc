package feed_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/http/feed"
)

// byAgent groups what one did.
func byAgent(ctx context.Context, messages []*fedmsg.Message) []feed.Group {
	var groups []feed.Group
	lead := make(map[string]int)
	for i, m := range messages {
		w := wordy{}.Describe(ctx, m)
		at, ok := lead[w.Agent]
		if !ok {
			at = len(groups)
			lead[w.Agent] = at
			groups = append(groups, feed.Group{Words: w})
		}
		g := &groups[at]
		g.Members, g.Each = append(g.Members, i), append(g.Each, w)
		if n := len(g.Members); n > 1 {
			g.Words.Subtitle = fmt.Sprintf("%s did %d things", w.Agent, n)
			g.Words.Packages = append(g.Words.Packages, w.Packages...)
		}
	}
	return groups
}

func TestFeedGrouped(t *testing.T) {
	clock := now
	r := start(t, func(c *feed.Config) { c.Group, c.Now = byAgent, func() time.Time { return clock } })
	at := func(minute int, agent string) { // after the first message of all
		t.Helper()
		r.keep(t, fedmsgtest.MessageOf(60*minute, "org.example.dev.exam.said",
			fmt.Sprintf(`{"title":"%s at <%d>","agent":%q,"packages":["p%[2]d"],"link":"https://koji.example/%[2]d"}`, agent, minute, agent)))
	}
	for i, agent := range strings.Fields("ralph alice ralph ralph bob") {
		at(i, agent)
	}
	titles := func(target string) (found []string, p parsed) {
		t.Helper()
		path, _, _ := strings.Cut(target, "?")
		p = parse(t, path, r.good(t, target).Body.Bytes())
		for _, e := range p.Entries {
			found = append(found, e.Title)
		}
		return found, p
	}
	for _, path := range paths {
		clock = now.Add(time.Minute)
		if got, _ := titles(path + "?grouped=1"); got != nil {
			t.Errorf("%s before the hour is over: %q", path, got)
		}
		clock = now.Add(time.Hour)
		got, p := titles(path + "?grouped=1")
		if want := []string{"bob at <4>", "ralph did 3 things", "alice at <1>"}; !slices.Equal(got, want) {
			t.Fatalf("%s: %q, want %q", path, got, want)
		}
		e := p.Entries[1]
		if e.ID != "tag:bus.example,2026-01-01:group/"+fedmsgtest.ID(0) || e.Author != "ralph" || e.Date != "2026-01-01T00:03:00Z" {
			t.Errorf("%s: the group is %+v", path, e)
		}
		for _, part := range []string{"<p>ralph did 3 things</p>", `<li><a href="https://koji.example/0">ralph at &lt;0&gt;</a></li>`, "/3\""} {
			if !strings.Contains(e.HTML, part) {
				t.Errorf("%s: the content lacks %s: %s", path, part, e.HTML)
			}
		}
		if e := p.Entries[0]; e.ID != "tag:bus.example,2026-01-01:"+fedmsgtest.ID(240) {
			t.Errorf("%s: what is alone is %+v", path, e)
		}
		if p.Home != "http://bus.example/history" || p.Title != "The bus" {
			t.Errorf("%s: %+v", path, p)
		}
	}

	// Two hours more; pages have whole ones, and what they have they keep.
	for i, agent := range strings.Fields("ralph ralph ralph alice") {
		at(60+i, agent)
	}
	at(130, "bob")
	clock = now.Add(2*time.Hour + 5*time.Minute)
	var pages [][]string
	for target := "/feed.atom?grouped=1&limit=3"; target != ""; {
		got, p := titles(target)
		pages = append(pages, got)
		target = strings.TrimPrefix(p.Next, "http://bus.example")
	}
	want := "[[bob at <130>] [alice at <63> ralph did 3 things] [bob at <4> ralph did 3 things alice at <1>]]"
	if got := fmt.Sprint(pages); got != want {
		t.Errorf("pages %s, want %s", got, want)
	}
	if got, _ := titles("/feed.atom?grouped=1&since=2026-01-01T01:02:00Z"); len(got) != 3 {
		t.Errorf("since a minute within an hour: %q, want all of the hour", got)
	}
	for _, bad := range []string{"grouped=2", "grouped=1&grouped=1", "grouped=1&cursor=x", "grouped=1&order=oldest"} {
		if w := r.get(t, "/feed.atom?"+bad); w.Code != 400 {
			t.Errorf("%s = %d, want 400", bad, w.Code)
		}
	}
	if got, _ := titles("/feed.atom?grouped=0&limit=2"); len(got) != 2 {
		t.Errorf("grouped=0 gives %q", got)
	}
}
