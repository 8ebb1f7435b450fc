package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/naive"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/pgserver"
	"github.com/fedora-infra/fedmsg-go/postgres"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// benchEntries makes messages of about 1.1 kB, 13 seconds apart: some users, packages
// and words often, most seldom, by Zipf's law.
func benchEntries() func(n int) []fedmsg.Entry {
	rng := rand.New(rand.NewPCG(1, 2))
	users, packages := rand.NewZipf(rng, 1.2, 4, 5999), rand.NewZipf(rng, 1.1, 8, 23999)
	topics, words := rand.NewZipf(rng, 1.2, 2, 112), rand.NewZipf(rng, 1.1, 8, 29999)
	made := 0
	return func(n int) []fedmsg.Entry {
		batch := make([]fedmsg.Entry, n)
		for i := range batch {
			made++
			var text strings.Builder
			for range 40 + rng.IntN(60) {
				fmt.Fprintf(&text, "word%d ", words.Uint64())
			}
			user, pkg, topic := users.Uint64(), packages.Uint64(), topics.Uint64()
			m := fedmsgtest.MessageOf(made*13, fedmsg.Topic(fmt.Sprintf("org.fedoraproject.prod.category%d.kind%d.change", topic%32, topic)),
				fmt.Sprintf(`{"agent":"user%d","users":["user%d","user%d"],"packages":["package%d"],"objects":["packages/%d"],"rev":"%016x%016x","build_id":%d,"summary":%q,"url":"https://src.example.org/rpms/package%d"}`,
					user, user, users.Uint64(), pkg, pkg, rng.Uint64(), rng.Uint64(), made, text.String(), pkg))
			batch[i] = fedmsg.Entry{Seq: fedmsg.Seq(made), At: m.Time, Verified: "x509:builder.example.org", Message: m}
		}
		return batch
	}
}

// BenchmarkArchive fills the archive in PostgreSQL and the one in SQLite with the same
// messages, 200,000 or as many as BENCH_MESSAGES says, and asks both the same.
func BenchmarkArchive(b *testing.B) {
	total := 200_000
	if text := os.Getenv("BENCH_MESSAGES"); text != "" {
		var err error
		if total, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	server := pgserver.Start(b)
	server.Stop()
	server.Start(b, "fsync=on", "shared_buffers=256MB")
	inPostgres := openArchive(b, postgres.Config{DSN: server.DSN("postgres"), Describer: naive.Describer{}})
	inSQLite, err := sqlite.OpenArchive(b.Context(), sqlite.ArchiveConfig{Dir: b.TempDir(), Describer: naive.Describer{}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer inSQLite.Close()
	both := []struct {
		name string
		a    fedmsgtest.Archive
	}{{"postgres", inPostgres}, {"sqlite", inSQLite}}
	for _, s := range both {
		var spent time.Duration
		for next, done := benchEntries(), 0; done < total; done += 1000 {
			batch := next(1000)
			began := time.Now()
			if _, err := s.a.Deliver(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
			spent += time.Since(began)
		}
		b.Run("ingest/"+s.name, func(b *testing.B) {
			b.ReportMetric(float64(total)/spent.Seconds(), "msgs/s")
			b.ReportMetric(fedmsgtest.Value(s.a.(fedmsg.Meter), "archive_bytes")/float64(total), "disk-B/msg")
			b.ReportMetric(0, "ns/op")
		})
	}
	is := func(f fedmsg.Field, value string) fedmsg.Filter {
		return fedmsg.Filter{Op: fedmsg.Has, Test: fedmsg.Test{Field: f, Value: value}}
	}
	for _, q := range []struct {
		name   string
		filter fedmsg.Filter
	}{
		{"latest", fedmsg.Filter{}},
		{"topic, busiest", is(fedmsg.TopicField, "#.kind0.#")},
		{"user, busiest", is(fedmsg.UserField, "user0")},
		{"user, quiet", is(fedmsg.UserField, "user5000")},
		{"user and category", fedmsg.Filter{Of: []fedmsg.Filter{is(fedmsg.UserField, "user1"), is(fedmsg.CategoryField, "category3")}}},
		{"word, common", is(fedmsg.TextField, "word0")},
		{"word, middling", is(fedmsg.TextField, "word300")},
		{"word, rare", is(fedmsg.TextField, "word20000")},
		{"word, unknown", is(fedmsg.TextField, "nowhere")},
		{"two words", is(fedmsg.TextField, "word5 word300")},
	} {
		for _, s := range both {
			b.Run(q.name+"/"+s.name, func(b *testing.B) {
				var times []time.Duration
				for b.Loop() {
					began := time.Now()
					if _, err := s.a.Search(b.Context(), fedmsg.Query{Filter: q.filter}); err != nil {
						b.Fatal(err)
					}
					times = append(times, time.Since(began))
				}
				slices.Sort(times)
				b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
				b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
