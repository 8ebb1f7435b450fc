package bus_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/mem"
)

func newWindow(t testing.TB, cfg bus.WindowConfig, log fedmsg.Log) *bus.Window {
	t.Helper()
	w, err := bus.NewWindow(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func appendN(t testing.TB, log fedmsg.Log, from, n int) {
	t.Helper()
	for i := range n {
		if r := log.Append(t.Context(), fedmsg.Entry{Verified: "none", Message: fedmsgtest.Message(from + i)})[0]; r.Err != nil {
			t.Errorf("append message %d: %v", from+i, r.Err)
			return
		}
	}
}

// read collects n entries after a place.
func read(t testing.TB, ctx context.Context, r fedmsg.Reader, after fedmsg.Seq, n int, want ...fedmsg.Pattern) []fedmsg.Entry {
	t.Helper()
	var got []fedmsg.Entry
	for e, err := range fedmsg.Each(r.Read(ctx, after, want...)) {
		if err != nil {
			t.Errorf("read after %d: %v, having %d entries of %d", after, err, len(got), n)
			return got
		}
		if got = append(got, e); len(got) == n {
			break
		}
	}
	return got
}

func TestWindowIsALog(t *testing.T) {
	fedmsgtest.TestLog(t, func(t *testing.T) fedmsg.Log {
		return newWindow(t, bus.WindowConfig{Bytes: 10 << 10}, mem.NewLog())
	})
}

// Every reader sees every entry once and in order, wherever it starts, while
// many publish: those in the log before the window was, those that the small
// window dropped, and those that are yet to come.
func TestWindowReadersMissNothing(t *testing.T) {
	const before, during, publishers = 50, 400, 8
	log := mem.NewLog()
	appendN(t, log, 0, before)
	w := newWindow(t, bus.WindowConfig{Bytes: 30 << 10, Batch: 7}, log)

	var wg sync.WaitGroup
	for start := fedmsg.Seq(0); start < before; start += 10 {
		wg.Go(func() {
			at := start
			for _, e := range read(t, t.Context(), w, start, before+during-int(start)) {
				if at++; e.Seq != at || e.At.IsZero() || e.Message.ID == "" {
					t.Errorf("reader from %d: entry %+v, want seq %d", start, e, at)
					return
				}
			}
		})
	}
	for p := range publishers {
		wg.Go(func() { appendN(t, w, before+p*during/publishers, during/publishers) })
	}
	wg.Wait()
}

// A shuffledLog answers appends in another order than it stored them.
type shuffledLog struct{ *mem.Log }

func (l shuffledLog) Append(ctx context.Context, batch ...fedmsg.Entry) []fedmsg.Receipt {
	r := l.Log.Append(ctx, batch...)
	time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond) // fake
	return r
}

func TestWindowOrdersReceipts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(t, bus.WindowConfig{}, shuffledLog{mem.NewLog()})
		for i := range 100 {
			go appendN(t, w, i, 1)
		}
		for i, e := range read(t, t.Context(), w, 0, 100) {
			if e.Seq != fedmsg.Seq(i+1) {
				t.Fatalf("entry %d has seq %d", i, e.Seq)
			}
		}
		time.Sleep(10 * time.Minute) // fake: lets the window's timers end
	})
}

// A silentLog stores, and tells the publisher that it does not know.
type silentLog struct{ *mem.Log }

func (l silentLog) Append(ctx context.Context, batch ...fedmsg.Entry) []fedmsg.Receipt {
	receipts := l.Log.Append(ctx, batch...)
	for i := range receipts {
		receipts[i] = fedmsg.Receipt{Err: fedmsg.Refuse(fedmsg.LogUnavailable, "no answer in time")}
	}
	return receipts
}

// What the log has, its readers get, although nobody was told of it.
func TestWindowFindsWhatWasStoredSilently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(t, bus.WindowConfig{}, silentLog{mem.NewLog()})
		if r := w.Append(t.Context(), fedmsg.Entry{Message: fedmsgtest.Message(1)})[0]; r.Err == nil {
			t.Fatal("the append should have failed")
		}
		start := time.Now()
		read(t, t.Context(), w, 0, 1)
		if took := time.Since(start); took > time.Second {
			t.Errorf("the entry came after %s, want within a second", took)
		}
		time.Sleep(10 * time.Minute) // fake
	})
}

func TestWindowReadEnds(t *testing.T) {
	log := mem.NewLog()
	appendN(t, log, 0, 3)
	w := newWindow(t, bus.WindowConfig{}, log)

	for _, err := range w.Read(t.Context(), 4) {
		if !errors.Is(err, fedmsg.ErrInvalid) {
			t.Errorf("Read after 4 of 3: %v, want ErrInvalid", err)
		}
	}
	stop := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	n := 0
	for batch, err := range w.Read(ctx, 0) {
		if err != nil {
			if !errors.Is(err, stop) {
				t.Errorf("Read ended with %v, want the cause of the context", err)
			}
			continue
		}
		n += len(batch)
		cancel(stop)
	}
	if n != 3 {
		t.Errorf("got %d entries before the end, want 3", n)
	}
}

func TestWindowPatterns(t *testing.T) {
	log := mem.NewLog()
	w := newWindow(t, bus.WindowConfig{}, log)
	appendN(t, w, 0, 60)
	topic := fedmsgtest.Message(7).Topic
	var want []fedmsg.Seq
	for i := range 60 {
		if fedmsgtest.Message(i).Topic == topic {
			want = append(want, fedmsg.Seq(i+1))
		}
	}
	for _, r := range []fedmsg.Reader{w, newWindow(t, bus.WindowConfig{}, log)} { // from memory, from the log
		var got []fedmsg.Seq
		for _, e := range read(t, t.Context(), r, 0, len(want), fedmsg.Pattern(topic)) {
			got = append(got, e.Seq)
		}
		if !slices.Equal(got, want) {
			t.Errorf("Read(%s) = %v, want %v", topic, got, want)
		}
	}
}

// BenchmarkWindow measures how many deliveries a second readers at the end of
// the log get while one publisher appends in batches.
func BenchmarkWindow(b *testing.B) {
	for _, readers := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) {
			w := newWindow(b, bus.WindowConfig{}, mem.NewLog())
			const batch = 64
			var wg sync.WaitGroup
			total := 0
			for b.Loop() {
				after := w.Last()
				entries := make([]fedmsg.Entry, batch)
				for i := range entries {
					entries[i].Message = fedmsgtest.Message(total + i)
				}
				total += batch
				for range readers {
					wg.Go(func() { read(b, b.Context(), w, after, batch) })
				}
				w.Append(b.Context(), entries...)
				wg.Wait()
			}
			b.ReportMetric(float64(total*readers)/b.Elapsed().Seconds(), "deliveries/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}
