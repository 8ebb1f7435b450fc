package sqlite_test

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// BenchmarkOpen opens a log of 1,000,000 messages of 1 kB, and tells how much
// memory it takes then.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	log := open(b, sqlite.Config{Dir: dir, RetentionAge: -1, RetentionBytes: -1})
	const total, batch = 1_000_000, 1000
	start := time.Now()
	for i := 0; i < total; i += batch {
		entries := make([]fedmsg.Entry, batch)
		for j, m := range messages(b, batch) {
			entries[j] = fedmsg.Entry{Verified: fedmsg.Unverified, Message: m}
		}
		if r := log.Append(b.Context(), entries...)[batch-1]; r.Err != nil {
			b.Fatal(r.Err)
		}
	}
	b.Logf("filled in %s", time.Since(start))
	shut(b, log)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		log = open(b, sqlite.Config{Dir: dir})
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&after)
		shut(b, log)
		b.StartTimer()
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "heap-MiB")
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmRSS") {
			b.Log(strings.TrimSpace(line))
		}
	}
}
