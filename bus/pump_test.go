package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/mem"
)

// A flakySink fails its first few deliveries, then takes everything, and notes
// when each call came.
type flakySink struct {
	fail  int
	calls []time.Duration
	got   []fedmsg.Seq
	start time.Time
}

func (s *flakySink) Deliver(_ context.Context, batch []fedmsg.Entry) (int, error) {
	s.calls = append(s.calls, time.Since(s.start))
	if s.fail > 0 {
		s.fail--
		return 0, errors.New("connection refused")
	}
	for _, e := range batch {
		s.got = append(s.got, e.Seq)
	}
	return len(batch), nil
}

// startPump runs a pump and returns how to stop it.
func startPump(t *testing.T, cfg bus.PumpConfig, w *bus.Window, cursors fedmsg.Cursors, sink fedmsg.Sink) (stop func()) {
	t.Helper()
	pump, err := bus.NewPump(cfg, w, cursors, sink, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- pump.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run after cancel: %v, want nil", err)
		}
	}
}

// A sink that is away is tried again after 1s, 2s, 4s, ... and then gets
// everything that it missed, once and in order.
func TestPumpRetriesWithGrowingWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, cursors := newWindow(t, bus.WindowConfig{}, mem.NewLog()), new(mem.Cursors)
		appendN(t, w, 0, 3)
		sink := &flakySink{fail: 3, start: time.Now()}
		stop := startPump(t, bus.PumpConfig{Name: "irc"}, w, cursors, sink)

		time.Sleep(10 * time.Second) // fake: returns when everyone else waits
		synctest.Wait()

		if want := []time.Duration{0, 1 * time.Second, 3 * time.Second, 7 * time.Second}; !slices.Equal(sink.calls, want) {
			t.Errorf("deliveries at %v, want %v", sink.calls, want)
		}
		if want := []fedmsg.Seq{1, 2, 3}; !slices.Equal(sink.got, want) {
			t.Errorf("got entries %v, want %v", sink.got, want)
		}
		if at, _ := cursors.Load(t.Context(), "irc"); at != 3 {
			t.Errorf("cursor at %d, want 3", at)
		}
		stop()
	})
}

// A halfSink takes one entry of each batch and then fails.
type halfSink struct{ got []fedmsg.Seq }

func (s *halfSink) Deliver(_ context.Context, batch []fedmsg.Entry) (int, error) {
	s.got = append(s.got, batch[0].Seq)
	if len(batch) == 1 {
		return 1, nil
	}
	return 1, errors.New("only one at a time")
}

// What a sink took before it failed does not come again.
func TestPumpGoesOnAfterPartOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sink := newWindow(t, bus.WindowConfig{}, mem.NewLog()), new(halfSink)
		appendN(t, w, 0, 4)
		stop := startPump(t, bus.PumpConfig{Name: "half"}, w, new(mem.Cursors), sink)
		time.Sleep(time.Minute) // fake
		stop()
		if want := []fedmsg.Seq{1, 2, 3, 4}; !slices.Equal(sink.got, want) {
			t.Errorf("got entries %v, want %v", sink.got, want)
		}
	})
}

// A preparingSink is told what comes next, and takes its time over each delivery.
type preparingSink struct {
	halfSink
	mu     sync.Mutex
	events []string
}

func (s *preparingSink) note(what string, seq fedmsg.Seq) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, fmt.Sprintf("%s %d", what, seq))
}

func (s *preparingSink) Prepare(_ context.Context, batch []fedmsg.Entry) {
	s.note("prepare", batch[0].Seq)
}

func (s *preparingSink) Deliver(ctx context.Context, batch []fedmsg.Entry) (int, error) {
	s.note("begin", batch[0].Seq)
	time.Sleep(time.Second)
	s.note("end", batch[0].Seq)
	return s.halfSink.Deliver(ctx, batch)
}

// A sink that can is given a batch to prepare while it stores the one before; what it did
// not take then is read, and prepared, again, and none is lost or comes twice.
func TestPumpPreparesAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sink := newWindow(t, bus.WindowConfig{}, mem.NewLog()), new(preparingSink)
		stop := startPump(t, bus.PumpConfig{Name: "ahead"}, w, new(mem.Cursors), sink)
		for i := range 3 {
			appendN(t, w, i, 1)
			synctest.Wait()
		}
		time.Sleep(time.Minute) // fake
		synctest.Wait()
		want := []string{"prepare 1", "begin 1", "prepare 2", "end 1", "begin 2", "prepare 3", "end 2", "begin 3", "end 3"}
		if !slices.Equal(sink.events, want) {
			t.Errorf("events %q, want %q", sink.events, want)
		}
		appendN(t, w, 3, 4) // one batch, of which it takes one at a time
		time.Sleep(time.Minute)
		stop()
		if want := []fedmsg.Seq{1, 2, 3, 4, 5, 6, 7}; !slices.Equal(sink.got, want) {
			t.Errorf("got entries %v, want %v", sink.got, want)
		}
	})
}

// A live pump without a cursor starts at the end; with one it goes on from
// there, so that a stop loses nothing.
func TestPumpLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, cursors, sink := newWindow(t, bus.WindowConfig{}, mem.NewLog()), new(mem.Cursors), new(flakySink)
		cfg := bus.PumpConfig{Name: "pub", Live: true}
		appendN(t, w, 0, 5)
		stop := startPump(t, cfg, w, cursors, sink)
		synctest.Wait()
		appendN(t, w, 5, 2)
		synctest.Wait()
		stop()
		appendN(t, w, 7, 1)
		stop = startPump(t, cfg, w, cursors, sink)
		synctest.Wait()
		stop()
		if want := []fedmsg.Seq{6, 7, 8}; !slices.Equal(sink.got, want) {
			t.Errorf("got entries %v, want %v", sink.got, want)
		}
	})
}

// An oldLog has forgotten its first entries.
type oldLog struct {
	*mem.Log
	first fedmsg.Seq
}

func (l oldLog) State(ctx context.Context) (fedmsg.LogState, error) {
	state, err := l.Log.State(ctx)
	state.First = l.first
	return state, err
}

func (l oldLog) Page(ctx context.Context, after fedmsg.Seq, limit int, want ...fedmsg.Pattern) ([]fedmsg.Entry, fedmsg.Seq, error) {
	if after+1 < l.first {
		return nil, after, fedmsg.ErrTooOld
	}
	return l.Log.Page(ctx, after, limit, want...)
}

// A reader that was away for too long goes on with what there is.
func TestPumpResumesBehindRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := oldLog{mem.NewLog(), 4}
		appendN(t, log, 0, 6)
		w, sink, cursors := newWindow(t, bus.WindowConfig{}, log), new(flakySink), new(mem.Cursors)
		if err := cursors.Save(t.Context(), "late", 1); err != nil {
			t.Fatal(err)
		}
		stop := startPump(t, bus.PumpConfig{Name: "late"}, w, cursors, sink)
		time.Sleep(time.Second) // fake
		stop()
		if want := []fedmsg.Seq{4, 5, 6}; !slices.Equal(sink.got, want) {
			t.Errorf("got entries %v, want %v", sink.got, want)
		}
	})
}

// A pump that is asked to stop before it has begun is not a failure.
func TestPumpStopsAtOnce(t *testing.T) {
	w := newWindow(t, bus.WindowConfig{}, mem.NewLog())
	pump, err := bus.NewPump(bus.PumpConfig{Name: "late"}, w, new(mem.Cursors), new(flakySink), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := pump.Run(ctx); err != nil {
		t.Errorf("Run with a context that has ended: %v, want nil", err)
	}
}

func TestPumpConfigValidate(t *testing.T) {
	_, err := bus.NewPump(bus.PumpConfig{RetryMax: time.Millisecond, Topics: []fedmsg.Pattern{"a..b"}}, nil, nil, nil, nil)
	for _, want := range []string{"name: required", "retry-max", "topics"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewPump: %v, want it to tell of %q", err, want)
		}
	}
}
