package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// BenchmarkArchiveIngest stores messages of 1.1 kB, all in: words, posting lists,
// text index, counts, compression, and the disk.
func BenchmarkArchiveIngest(b *testing.B) {
	for _, size := range []int{500, 1000} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			dir := b.TempDir()
			a := openArchive(b, sqlite.ArchiveConfig{Dir: dir, Describer: trafficWords{}})
			source := newTraffic(1, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), 3*time.Second)
			var n, raw int
			var spent, cpu time.Duration
			for b.Loop() {
				b.StopTimer()
				batch := source.batch(size)
				for _, e := range batch {
					raw += len(e.Message.Bytes())
				}
				b.StartTimer()
				start, used := time.Now(), processorTime()
				if _, err := a.Deliver(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				spent, cpu = spent+time.Since(start), cpu+processorTime()-used
				n += size
			}
			b.ReportMetric(float64(n)/spent.Seconds(), "msgs/s")
			b.ReportMetric(float64(cpu.Microseconds())/float64(n), "cpu-µs/msg") // firm when others are busy, too
			b.ReportMetric(float64(n), "msgs")
			if err := a.Close(); err != nil { // which writes the journals back
				b.Fatal(err)
			}
			disk := int64(0)
			files, _ := filepath.Glob(filepath.Join(dir, "*"))
			for _, file := range files {
				if info, err := os.Stat(file); err == nil {
					disk += info.Size()
				}
			}
			b.ReportMetric(float64(disk)/float64(n), "disk-B/msg")
			b.ReportMetric(float64(raw)/float64(n), "B/msg")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// processorTime is what this process used of the processors.
func processorTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func archiveSample(a *sqlite.Archive, name string) float64 {
	for s := range a.Samples() {
		if s.Name == name {
			return s.Value
		}
	}
	return -1
}

// BenchmarkArchivePages asks for pages of 25 in a month of 200,000 messages.
func BenchmarkArchivePages(b *testing.B) {
	a := openArchive(b, sqlite.ArchiveConfig{Describer: trafficWords{}})
	source := newTraffic(1, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), 13*time.Second)
	for range 200 {
		if _, err := a.Deliver(b.Context(), source.batch(1000)); err != nil {
			b.Fatal(err)
		}
	}
	is := func(f fedmsg.Field, value string) fedmsg.Filter {
		return fedmsg.Filter{Op: fedmsg.Has, Test: fedmsg.Test{Field: f, Value: value}}
	}
	and := func(of ...fedmsg.Filter) fedmsg.Filter { return fedmsg.Filter{Of: of} }
	or := func(of ...fedmsg.Filter) fedmsg.Filter { return fedmsg.Filter{Op: fedmsg.Any, Of: of} }
	not := func(f fedmsg.Filter) fedmsg.Filter { return fedmsg.Filter{Op: fedmsg.Not, Of: []fedmsg.Filter{f}} }
	for _, q := range []struct {
		name  string
		query fedmsg.Query
	}{
		{"latest", fedmsg.Query{}},
		{"latest 100", fedmsg.Query{Limit: 100}},
		{"topic, busiest", fedmsg.Query{Filter: is(fedmsg.TopicField, "#.kind0.#")}},
		{"topic, rare", fedmsg.Query{Filter: is(fedmsg.TopicField, "#.kind111.#")}},
		{"category", fedmsg.Query{Filter: is(fedmsg.CategoryField, "category1")}},
		{"user, busiest", fedmsg.Query{Filter: is(fedmsg.UserField, "user0")}},
		{"user, quiet", fedmsg.Query{Filter: is(fedmsg.UserField, "user5000")}},
		{"user, unknown", fedmsg.Query{Filter: is(fedmsg.UserField, "nobody")}},
		{"package, busiest", fedmsg.Query{Filter: is(fedmsg.PackageField, "package-0")}},
		{"user and category", fedmsg.Query{Filter: and(is(fedmsg.UserField, "user1"), is(fedmsg.CategoryField, "category3"))}},
		{"two rare ones, no hit", fedmsg.Query{Filter: and(is(fedmsg.UserField, "user900"), is(fedmsg.PackageField, "package-900"))}},
		{"two busy ones that never meet", fedmsg.Query{Filter: and(is(fedmsg.CategoryField, "category0"), is(fedmsg.TopicField, "#.kind1.#"))}},
		{"five users", fedmsg.Query{Filter: or(is(fedmsg.UserField, "user1"), is(fedmsg.UserField, "user20"), is(fedmsg.UserField, "user300"), is(fedmsg.UserField, "user4000"), is(fedmsg.UserField, "user5000"))}},
		{"not the busiest", fedmsg.Query{Filter: and(not(is(fedmsg.CategoryField, "category0")), not(is(fedmsg.UserField, "user0")))}},
		{"word, common", fedmsg.Query{Filter: is(fedmsg.TextField, source.vocabulary[0])}},
		{"word, rare", fedmsg.Query{Filter: is(fedmsg.TextField, source.vocabulary[20000])}},
		{"two words", fedmsg.Query{Filter: is(fedmsg.TextField, source.vocabulary[5]+" "+source.vocabulary[300])}},
		{"word and category", fedmsg.Query{Filter: and(is(fedmsg.TextField, source.vocabulary[5000]), is(fedmsg.CategoryField, "category0"))}},
		{"body of a user", fedmsg.Query{Filter: and(is(fedmsg.UserField, "user50"), fedmsg.Filter{Op: fedmsg.Has, Test: fedmsg.Test{Field: fedmsg.BodyField, Path: "state", Value: "3"}})}},
		{"an hour in the middle", fedmsg.Query{Since: time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 3, 14, 1, 0, 0, 0, time.UTC)}},
	} {
		b.Run(q.name, func(b *testing.B) {
			var times []time.Duration
			var found int
			for b.Loop() {
				start := time.Now()
				page, err := a.Search(b.Context(), q.query)
				if err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(start))
				found = len(page.Entries)
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(found), "found")
			b.ReportMetric(0, "ns/op")
		})
	}
	for _, c := range []struct {
		name  string
		query fedmsg.Query
		by    fedmsg.Grouping
	}{
		{"all by hour", fedmsg.Query{}, fedmsg.Grouping{Step: time.Hour}},
		{"all by hour and category", fedmsg.Query{}, fedmsg.Grouping{Step: time.Hour, Field: fedmsg.CategoryField}},
		{"top users", fedmsg.Query{}, fedmsg.Grouping{Field: fedmsg.UserField}},
		{"topic by hour", fedmsg.Query{Filter: is(fedmsg.TopicField, "#.kind0.#")}, fedmsg.Grouping{Step: time.Hour}},
		{"user by day", fedmsg.Query{Filter: is(fedmsg.UserField, "user0")}, fedmsg.Grouping{Step: 24 * time.Hour}},
		{"user by topic", fedmsg.Query{Filter: is(fedmsg.UserField, "user10")}, fedmsg.Grouping{Field: fedmsg.TopicField}},
		{"word", fedmsg.Query{Filter: is(fedmsg.TextField, source.vocabulary[20])}, fedmsg.Grouping{}},
	} {
		b.Run("count "+c.name, func(b *testing.B) {
			var times []time.Duration
			for b.Loop() {
				start := time.Now()
				counts, err := a.Count(b.Context(), c.query, c.by)
				if err != nil || len(counts.Rows) == 0 {
					b.Fatal(counts, err)
				}
				times = append(times, time.Since(start))
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}
