package sqlite_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// finds checks that a search gives what a reading of all messages gives, in both orders.
func finds(t *testing.T, a *sqlite.Archive, all []fedmsg.Entry, f fedmsg.Filter) {
	t.Helper()
	var want []string
	for _, e := range all {
		if matches(f, e) {
			want = append(want, e.Message.ID)
		}
	}
	for _, oldest := range []bool{true, false} {
		var got []string
		q := fedmsg.Query{Filter: f, OldestFirst: oldest, Limit: 400}
		for more := true; more; more = q.Cursor != "" {
			page, err := a.Search(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Entries {
				got = append(got, e.Message.ID)
			}
			q.Cursor = page.Next
		}
		if !oldest {
			slices.Reverse(got)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%+v, oldest first %v: %d messages, want %d", f, oldest, len(got), len(want))
		}
	}
}

// Lists have the newest messages later than the rest; who asks does not see that: not
// while some lists were brought up and others were not, nor after messages came late, were
// delivered again, or after all lists were brought up.
func TestArchiveListsAreLate(t *testing.T) {
	cfg := sqlite.ArchiveConfig{Dir: t.TempDir(), Describer: trafficWords{}, Budget: time.Minute}
	a := openArchive(t, cfg)
	source := newTraffic(4, time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), time.Minute)
	before, all := source.batch(300), source.batch(4500) // some of the slices
	fill(t, a, all)
	fill(t, a, before)
	fill(t, a, all[2000:2100])
	all = slices.Concat(before, all)
	check := func(when string) {
		t.Helper()
		sound(t, a, len(all))
		for i := range 12 {
			user, pkg, category := where(fedmsg.UserField, fmt.Sprintf("user%d", i*i)), where(fedmsg.PackageField, fmt.Sprintf("package-%d", i*i)), where(fedmsg.CategoryField, fmt.Sprintf("category%d", i))
			for _, f := range []fedmsg.Filter{user, pkg, category, where(fedmsg.TopicField, fmt.Sprintf("#.kind%d.#", i)), where(fedmsg.TopicField, fmt.Sprintf("org.#.kind%d.*", i)), allOf(user, category), anyOf(user, pkg), allOf(category, noneOf(user))} {
				finds(t, a, all, f)
			}
		}
		for _, e := range all[len(all)-20:] {
			if found, err := a.Find(t.Context(), e.Message.ID); err != nil || found.Message.ID != e.Message.ID {
				t.Errorf("Find %s: %v", e.Message.ID, err)
			}
		}
		if t.Failed() {
			t.Fatal(when)
		}
	}
	check("some lists were brought up")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = openArchive(t, cfg)
	check("opened again")
	if err := a.Compact(t.Context(), "2026-03"); err != nil {
		t.Fatal(err)
	}
	check("all lists were brought up")
}

// What is rare is found where lists are long and do not tell, in both orders: by columns.
func TestArchiveFindsByColumns(t *testing.T) {
	a := openArchive(t, sqlite.ArchiveConfig{Dir: t.TempDir(), Describer: trafficWords{}, Budget: time.Minute})
	source := newTraffic(5, time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), time.Minute)
	all := source.batch(9000)
	fill(t, a, all)
	seen := make(map[string]int)
	for _, e := range all {
		seen[string(e.Message.Topic)]++
	}
	rarest := string(all[0].Message.Topic)
	var others []fedmsg.Filter
	for topic, n := range seen {
		if n < seen[rarest] {
			rarest = topic
		}
	}
	for topic := range seen {
		if topic != rarest {
			others = append(others, noneOf(where(fedmsg.TopicField, topic)))
		}
	}
	finds(t, a, all, allOf(others...))
}
