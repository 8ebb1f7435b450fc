package sqlite_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// Counts of more messages than a chunk of columns has, and than the text index counts one
// by one, are those of a reading of all messages: whole chunks, parts of them, steps
// that end in them, and two months.
func TestArchiveCountsMany(t *testing.T) {
	a := openArchive(t, sqlite.ArchiveConfig{Describer: trafficWords{}, Budget: time.Minute})
	source := newTraffic(5, time.Date(2026, 3, 30, 18, 0, 0, 0, time.UTC), 15*time.Second)
	all := source.batch(7500)
	fill(t, a, all)
	text, user := where(fedmsg.TextField, "rawhide"), where(fedmsg.UserField, "user0")
	not := fedmsg.Filter{Op: fedmsg.Not, Of: []fedmsg.Filter{user}}
	odd := all[0].Message.Time.Add(100 * time.Minute)
	for _, q := range []fedmsg.Query{
		{}, {Since: odd}, {Until: odd.Add(30 * time.Hour)}, {Since: odd, Until: odd.Add(20 * time.Hour)},
		{Filter: text}, {Filter: text, Until: odd.Add(27 * time.Hour)}, {Filter: user, Until: odd.Add(30 * time.Hour)}, {Filter: not, Since: odd},
		{Filter: fedmsg.Filter{Of: []fedmsg.Filter{text, not}}, Since: odd}, {Filter: text, Since: odd, Until: odd.Add(time.Minute)},
	} {
		var passing []fedmsg.Entry
		for _, e := range all {
			if at := e.Message.Time; !at.Before(q.Since) && (q.Until.IsZero() || at.Before(q.Until)) && matches(q.Filter, e) {
				passing = append(passing, e)
			}
		}
		for _, step := range []time.Duration{0, time.Hour, 24 * time.Hour} {
			for _, field := range []fedmsg.Field{"", fedmsg.UserField, fedmsg.CategoryField} {
				by := fedmsg.Grouping{Step: step, Field: field, Limit: 1 << 20}
				counts, err := a.Count(t.Context(), q, by)
				if err != nil || counts.Estimate {
					t.Fatalf("Count(%+v, %+v): estimate %v, %v", q, by, counts.Estimate, err)
				}
				got := make(map[string]int64)
				for _, row := range counts.Rows {
					got[fmt.Sprint(row.At, row.Value)] += row.N
				}
				if want := countSlowly(t, passing, by); !maps.Equal(got, want) || len(got) != len(counts.Rows) {
					t.Errorf("Count(%+v, %+v): %d rows, want %d", q, by, len(counts.Rows), len(want))
				}
			}
		}
	}
}

// countSlowly counts by looking at each message.
func countSlowly(t *testing.T, entries []fedmsg.Entry, by fedmsg.Grouping) map[string]int64 {
	n := make(map[string]int64)
	for _, e := range entries {
		var step time.Time
		if by.Step > 0 {
			step = e.Message.Time.UTC().Truncate(by.Step)
		}
		values := []string{""}
		switch by.Field {
		case fedmsg.UserField:
			values = trafficWords{}.Describe(t.Context(), e.Message).Usernames
		case fedmsg.CategoryField:
			values = strings.Split(string(e.Message.Topic), ".")[3:4]
		}
		for _, value := range values {
			n[fmt.Sprint(step, value)]++
		}
	}
	return n
}
