package history_test

import (
	"io"
	nethttp "net/http"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/naive"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// BenchmarkExport measures how many messages a second an export gives over HTTP: those
// of an archive that costs nothing, and those of one on disk. Messages have about a
// kilobyte.
func BenchmarkExport(b *testing.B) {
	const n = 20_000
	made := newEndless(n, n)
	for _, store := range []string{"none", "disk"} {
		for _, format := range []string{"jsonl", "jsonl.zst", "csv", "parquet"} {
			b.Run(store+"/"+format, func(b *testing.B) {
				r := start(b, func(s *setup) {
					s.archive = made
					if store == "none" {
						return
					}
					a, err := sqlite.OpenArchive(b.Context(), sqlite.ArchiveConfig{Dir: b.TempDir(), Describer: naive.Describer{}}, nil)
					if err != nil {
						b.Fatal(err)
					}
					b.Cleanup(func() { _ = a.Close() })
					if _, err := a.Deliver(b.Context(), distinct(b, n)); err != nil {
						b.Fatal(err)
					}
					s.archive = a
				})
				defer r.stop()
				count := 0
				for b.Loop() {
					resp, err := nethttp.Get(r.url + "/api/v1/export?format=" + format)
					if err != nil {
						b.Fatal(err)
					}
					if _, err = io.Copy(io.Discard, resp.Body); err != nil || resp.Trailer.Get("Fedmsg-Complete") != "true" {
						b.Fatal(err, resp.Trailer)
					}
					resp.Body.Close()
					count += n
				}
				b.ReportMetric(float64(count)/b.Elapsed().Seconds(), "msgs/s")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// distinct makes messages of about a kilobyte, each with an ID of its own.
func distinct(b *testing.B, count int) (entries []fedmsg.Entry) {
	b.Helper()
	for i := range count {
		entries = append(entries, fedmsg.Entry{Seq: fedmsg.Seq(i + 1), Message: fedmsgtest.MessageSized(i, 1000)})
	}
	return entries
}
