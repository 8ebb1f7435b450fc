package sqlite_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// messages makes n messages of 1,000 bytes with random IDs.
func messages(b testing.TB, n int) []*fedmsg.Message {
	made := make([]*fedmsg.Message, n)
	model := fedmsgtest.MessageSized(0, 1000)
	for i := range made {
		m, err := model.With(fedmsg.Member{Name: "msg_id", JSON: fmt.Appendf(nil, "%q", fedmsg.NewID(time.Now()))})
		if err != nil {
			b.Fatal(err)
		}
		made[i] = m
	}
	return made
}

// BenchmarkAppend publishes 1 kB messages, each publisher one at a time with its
// own receipt, in turn with the floor: a bare loop that appends as many bytes to
// a file as there are publishers, and calls fdatasync. They take turns of 100 ms,
// since a disk that others use has its moods. Use -benchtime=5s.
func BenchmarkAppend(b *testing.B) {
	for _, publishers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("publishers=%d", publishers), func(b *testing.B) {
			dir := b.TempDir()
			log := open(b, sqlite.Config{Dir: filepath.Join(dir, "log")})
			floor, err := os.Create(filepath.Join(dir, "floor"))
			if err != nil {
				b.Fatal(err)
			}
			defer floor.Close()
			block := make([]byte, 1000*publishers)
			rand.Read(block)
			const turn = 100 * time.Millisecond
			var ours, bare int
			var ourTime, bareTime time.Duration
			var stock []*fedmsg.Message
			for b.Loop() {
				start := time.Now()
				for time.Since(start) < turn {
					if _, err := floor.Write(block); err != nil {
						b.Fatal(err)
					}
					if err := syscall.Fdatasync(int(floor.Fd())); err != nil {
						b.Fatal(err)
					}
					bare += publishers
				}
				bareTime += time.Since(start)
				if need := publishers * 4000; len(stock) < min(need, 20_000) {
					stock = append(stock, messages(b, min(need, 20_000)-len(stock))...)
				}
				start = time.Now()
				n := publish(b, log, stock, publishers, turn)
				ourTime += time.Since(start)
				stock = stock[n:]
				ours += n
			}
			rate, floorRate := float64(ours)/ourTime.Seconds(), float64(bare)/bareTime.Seconds()
			b.ReportMetric(rate, "msgs/s")
			b.ReportMetric(floorRate, "floor-msgs/s")
			b.ReportMetric(rate/floorRate, "ratio")
			b.ReportMetric(float64(ours)/float64(commits(log)), "msgs/commit")
			b.ReportMetric(0, "ns/op") // a turn is no unit; hide it
		})
	}
}

// commits counts the transactions of a log.
func commits(log *sqlite.Log) uint64 {
	for s := range log.Samples() {
		if s.Name == "log_sync_duration_seconds" {
			return s.Buckets.Count
		}
	}
	return 0
}

// publish has publishers append from the stock for a while, and returns how many
// messages they took.
func publish(b testing.TB, log *sqlite.Log, stock []*fedmsg.Message, publishers int, turn time.Duration) int {
	var mu sync.Mutex
	next := 0
	take := func() *fedmsg.Message {
		mu.Lock()
		defer mu.Unlock()
		if next == len(stock) {
			return nil
		}
		next++
		return stock[next-1]
	}
	end := time.Now().Add(turn)
	var wg sync.WaitGroup
	for range publishers {
		wg.Go(func() {
			for time.Now().Before(end) {
				m := take()
				if m == nil {
					return
				}
				if r := log.Append(b.Context(), fedmsg.Entry{Verified: fedmsg.Unverified, Message: m})[0]; r.Err != nil {
					b.Errorf("Append: %v", r.Err)
					return
				}
			}
		})
	}
	wg.Wait()
	return next
}

// BenchmarkPage reads a log of 200,000 messages of 1 kB from the start.
func BenchmarkPage(b *testing.B) {
	log := open(b, sqlite.Config{})
	const total, batch = 200_000, 1000
	for i := 0; i < total; i += batch {
		entries := make([]fedmsg.Entry, batch)
		for j, m := range messages(b, batch) {
			entries[j] = fedmsg.Entry{Verified: fedmsg.Unverified, Message: m}
		}
		if r := log.Append(b.Context(), entries...)[batch-1]; r.Err != nil {
			b.Fatal(r.Err)
		}
	}
	for _, want := range [][]fedmsg.Pattern{nil, {"org.fedoraproject.#"}, {"org.example.none"}} {
		b.Run(fmt.Sprintf("want=%q", want), func(b *testing.B) {
			var seen int
			for b.Loop() {
				for after := fedmsg.Seq(0); after < total; {
					_, next, err := log.Page(b.Context(), after, 1000, want...)
					if err != nil || next == after {
						b.Fatalf("Page(%d) = next %d, %v", after, next, err)
					}
					seen += int(next - after)
					after = next
				}
			}
			b.ReportMetric(float64(seen)/b.Elapsed().Seconds(), "msgs/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}
