package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// ruledWords has rules of one category that change, and counts how often it is asked.
type ruledWords struct {
	version   atomic.Int64
	described atomic.Int64
}

func (r *ruledWords) Fingerprints() map[string]string {
	return map[string]string{"": "all others", "category0": fmt.Sprint(r.version.Load())}
}

func (r *ruledWords) Describe(ctx context.Context, m *fedmsg.Message) fedmsg.Words {
	r.described.Add(1)
	w := trafficWords{}.Describe(ctx, m)
	if strings.Contains(string(m.Topic), ".category0.") {
		w.Usernames = append(w.Usernames, fmt.Sprintf("by-rules-%d", r.version.Load()))
	}
	return w
}

// found counts the messages of a user.
func found(t *testing.T, a *sqlite.Archive, user string) (n int64) {
	t.Helper()
	counts, err := a.Count(t.Context(), fedmsg.Query{Filter: where(fedmsg.UserField, user)}, fedmsg.Grouping{})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range counts.Rows {
		n += row.N
	}
	return n
}

// ruledArchive makes an archive of two months, and tells how many of its messages are of
// the category whose rules change.
func ruledArchive(t *testing.T) (cfg sqlite.ArchiveConfig, a *sqlite.Archive, words *ruledWords, all int, affected int64) {
	all = 1600
	if raceDetector {
		all = 600
	}
	words = new(ruledWords)
	cfg = sqlite.ArchiveConfig{Dir: t.TempDir(), Describer: words, Budget: time.Minute}
	a = openArchive(t, cfg)
	fill(t, a, newTraffic(12, time.Date(2026, 1, 25, 0, 0, 0, 0, time.UTC), 20*time.Minute).batch(all))
	if affected = found(t, a, "by-rules-0"); affected < 50 || affected > int64(all)/2 || archiveSample(a, "archive_segments") != 2 {
		t.Fatalf("%d of %d messages are affected, in %v months", affected, all, archiveSample(a, "archive_segments"))
	}
	return cfg, a, words, all, affected
}

// When rules change, the messages that they are about are found anew, and no others are
// looked at; and it is told.
func TestArchiveTend(t *testing.T) {
	cfg, a, words, all, affected := ruledArchive(t)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	told := new(fedmsgtest.LogBook)
	a, err := sqlite.OpenArchive(t.Context(), cfg, told.Logger(slog.LevelInfo))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	fedmsgtest.Start(t, "tend", a.Tend)
	for version := range int64(3) {
		words.described.Store(0)
		words.version.Store(version + 1)
		user := fmt.Sprintf("by-rules-%d", version+1)
		fedmsgtest.Eventually(t, time.Minute, "messages are found anew: "+told.String(), func() bool { return found(t, a, user) == affected })
		fedmsgtest.Eventually(t, time.Minute, "it has ended: "+told.String(), func() bool {
			return strings.Count(told.String(), "are found by the rules that are in force") == int(version+1)
		})
		if n := words.described.Load(); n != affected {
			t.Errorf("it looked at %d messages, want %d", n, affected)
		}
		if n := found(t, a, fmt.Sprintf("by-rules-%d", version)); n != 0 {
			t.Errorf("%d are found by the former rules", n)
		}
		if stale := archiveSample(a, "archive_stale_messages"); stale != 0 {
			t.Errorf("%v are left", stale)
		}
	}
	if n := strings.Count(told.String(), "finding them anew"); n != 3 {
		t.Errorf("it began %d times: %s", n, told)
	}
	sound(t, a, all)
}

// Broken off, the work goes on where it was, in another life too; and what was stored by
// the new rules meanwhile is not looked at again.
func TestArchiveRedescribeResumes(t *testing.T) {
	cfg, a, words, all, affected := ruledArchive(t)
	words.version.Store(1)
	if stale, err := a.Stale(t.Context()); stale != affected || err != nil {
		t.Errorf("Stale = %d, %v; want %d", stale, err, affected)
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := int64(0)
	if _, err := a.Redescribe(ctx, func(done, _ int64) { first = done; cancel() }); !errors.Is(err, context.Canceled) || first == 0 || first == affected {
		t.Fatalf("Redescribe that was broken off: %d of %d, %v", first, affected, err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = openArchive(t, cfg)
	if stale, err := a.Stale(t.Context()); stale != affected-first || err != nil {
		t.Errorf("Stale in the next life = %d, %v; want %d", stale, err, affected-first)
	}
	words.described.Store(0)
	changed, err := a.Redescribe(t.Context(), nil)
	if n := words.described.Load(); changed != affected-first || n != affected-first || err != nil {
		t.Errorf("it goes on: %d changed, %d looked at, %v; want %d", changed, n, err, affected-first)
	}
	if n := found(t, a, "by-rules-1"); n != affected {
		t.Errorf("%d are found by the new rules, want %d", n, affected)
	}
	// Others deliver by other rules in between: all is found anew.
	words.version.Store(0)
	later := newTraffic(13, time.Date(2026, 2, 10, 0, 0, 0, 0, time.UTC), time.Minute).batch(200)
	for i := range later {
		later[i].Seq += fedmsg.Seq(all)
	}
	fill(t, a, later)
	more := found(t, a, "by-rules-0")
	words.version.Store(1)
	if changed, err := a.Redescribe(t.Context(), nil); changed != more || more == 0 || err != nil {
		t.Errorf("after a delivery by other rules: %d changed, %v; want %d", changed, err, more)
	}
	if err := a.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	words.described.Store(0)
	if changed, err := a.Redescribe(t.Context(), nil); changed != 0 || err != nil || words.described.Load() != int64(all+200) {
		t.Errorf("after Forget: %d changed, %d looked at, %v; want all", changed, words.described.Load(), err)
	}
	sound(t, a, all+200)
}

// BenchmarkArchiveDeliverBesideTend tells what a delivery of 20 messages, one each 20 ms,
// takes while words are found anew, and while not; and what a publisher waits for the log
// on the same disk.
func BenchmarkArchiveDeliverBesideTend(b *testing.B) {
	for _, tending := range []bool{false, true} {
		b.Run(fmt.Sprintf("tending=%v", tending), func(b *testing.B) {
			words := new(changingWords)
			a := openArchive(b, sqlite.ArchiveConfig{Describer: words})
			source := newTraffic(19, time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), time.Minute)
			fill(b, a, source.batch(20_000))
			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan error, 1)
			if tending {
				words.changed.Store(true)
				go func() { done <- a.Tend(ctx) }()
			} else {
				done <- nil
			}
			log := open(b, sqlite.Config{})
			var took, waited []time.Duration
			for b.Loop() {
				batch := source.batch(20)
				began := time.Now()
				fill(b, a, batch)
				took = append(took, time.Since(began))
				time.Sleep(20 * time.Millisecond)
				began = time.Now()
				if r := log.Append(b.Context(), batch[0])[0]; r.Err != nil {
					b.Fatal(r.Err)
				}
				waited = append(waited, time.Since(began))
			}
			stale := archiveSample(a, "archive_stale_messages")
			cancel()
			if err := <-done; err != nil {
				b.Error(err)
			}
			for unit, all := range map[string][]time.Duration{"deliver": took, "publish": waited} {
				slices.Sort(all)
				b.ReportMetric(float64(all[len(all)/2].Microseconds()), unit+"-p50-µs")
				b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), unit+"-p99-µs")
			}
			shut(b, log)
			b.ReportMetric(stale, "left")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// What was prepared before the rules changed is made anew, and what was prepared for other
// messages is not taken.
func TestArchivePreparesAhead(t *testing.T) {
	words := new(ruledWords)
	a := openArchive(t, sqlite.ArchiveConfig{Dir: t.TempDir(), Describer: words, Budget: time.Minute})
	source := newTraffic(3, time.Date(2026, 4, 2, 0, 0, 0, 0, time.UTC), time.Second)
	fill(t, a, source.batch(10)) // so that there is a month
	described := words.described.Load()
	next, other := source.batch(100), source.batch(50)
	affected := int64(0)
	for _, e := range next {
		if strings.Contains(string(e.Message.Topic), ".category0.") {
			affected++
		}
	}
	a.Prepare(t.Context(), next)
	words.version.Add(1)
	fill(t, a, next)
	if n := words.described.Load() - described; n != 200 {
		t.Errorf("%d messages were described, want each of 100 by the old rules and by the new ones", n)
	}
	if n := found(t, a, "by-rules-1"); n != affected || affected == 0 {
		t.Errorf("%d messages are found by the new rules, want %d", n, affected)
	}
	a.Prepare(t.Context(), next)
	fill(t, a, other)
	a.Prepare(t.Context(), other)
	fill(t, a, other)
	described = words.described.Load()
	last := source.batch(30)
	a.Prepare(t.Context(), last)
	fill(t, a, last)
	if n := words.described.Load() - described; n != 30 {
		t.Errorf("%d of 30 messages were described, want each once", n)
	}
	sound(t, a, 190)
}
