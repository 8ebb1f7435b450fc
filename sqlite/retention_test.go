package sqlite_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// start runs the log until stop is called, which also closes it.
func start(t testing.TB, log *sqlite.Log) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// eventually waits until ok, at most 10s.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10s: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestRetentionByAge(t *testing.T) {
	dir := t.TempDir()
	now := time.Now().Add(-time.Hour)
	log := open(t, sqlite.Config{Dir: dir, Clock: func() time.Time { return now }})
	put(t, log, 0, 700)
	now = time.Now().Add(-time.Second)
	put(t, log, 700, 800)
	shut(t, log)

	log = open(t, sqlite.Config{Dir: dir, RetentionAge: 10 * time.Minute})
	stop := start(t, log)
	eventually(t, "700 old entries go", func() bool { return stateOf(t, log).First == 701 })
	if _, next, err := log.Page(t.Context(), 0, 10); !errors.Is(err, fedmsg.ErrTooOld) || next != 0 {
		t.Errorf("Page(0) = next %d, %v; want 0, ErrTooOld", next, err)
	}
	if _, _, err := log.Page(t.Context(), 0, 10, "org.#"); !errors.Is(err, fedmsg.ErrTooOld) {
		t.Errorf("Page(0) with a pattern: %v; want ErrTooOld", err)
	}
	if page, _, err := log.Page(t.Context(), 700, 1000); len(page) != 100 || err != nil {
		t.Errorf("Page(700) = %d entries, %v; want 100", len(page), err)
	}
	if _, err := log.Find(t.Context(), fedmsgtest.ID(5)); !errors.Is(err, fedmsg.ErrNotFound) {
		t.Errorf("Find of what went: %v, want ErrNotFound", err)
	}
	if r := put(t, log, 5, 6); r.Duplicate || r.Seq != 801 {
		t.Errorf("Append of what went = %+v, want the new place 801", r)
	}
	if _, err := log.Find(t.Context(), fedmsgtest.ID(5)); err != nil {
		t.Errorf("Find of what went and came again: %v", err)
	}
	stop()
}

// When retention takes all, places go on where they were.
func TestRetentionOfAll(t *testing.T) {
	dir := t.TempDir()
	log := open(t, sqlite.Config{Dir: dir, Clock: func() time.Time { return time.Now().Add(-time.Hour) }})
	put(t, log, 0, 50)
	shut(t, log)
	log = open(t, sqlite.Config{Dir: dir, RetentionAge: time.Minute})
	stop := start(t, log)
	eventually(t, "all entries go", func() bool { return stateOf(t, log).First == 51 })
	stop()

	log = open(t, sqlite.Config{Dir: dir})
	if s := stateOf(t, log); s.First != 51 || s.Last != 50 {
		t.Errorf("State = %+v, want first 51, last 50", s)
	}
	if _, _, err := log.Page(t.Context(), 49, 10); !errors.Is(err, fedmsg.ErrTooOld) {
		t.Errorf("Page(49): %v, want ErrTooOld", err)
	}
	if page, next, err := log.Page(t.Context(), 50, 10); len(page) != 0 || next != 50 || err != nil {
		t.Errorf("Page(50) = %d entries, next %d, %v; want none, 50", len(page), next, err)
	}
	if r := put(t, log, 0, 1); r.Seq != 51 || r.Duplicate {
		t.Errorf("Append = %+v, want the new place 51", r)
	}
}

// A clock that is ten years ahead from the start does not wipe the log; one that
// leaps while the log runs does nothing at all.
func TestRetentionDoubtsTheClock(t *testing.T) {
	dir := t.TempDir()
	log := open(t, sqlite.Config{Dir: dir})
	for i := 0; i < 4000; i += 1000 {
		put(t, log, i, i+1000)
	}
	shut(t, log)

	const ahead = 10 * 365 * 24 * time.Hour
	offset := ahead
	cfg := sqlite.Config{Dir: dir, RetentionAge: time.Hour, Clock: func() time.Time { return time.Now().Add(offset) }}
	trim := func(log *sqlite.Log, wantFirst fedmsg.Seq, when string) {
		t.Helper()
		retain := log.Retention()
		for range 3 {
			if when == "leaps" {
				offset += ahead
			}
			if err := retain(t.Context()); err != nil {
				t.Fatalf("a clock that %s: retention: %v", when, err)
			}
			if s := stateOf(t, log); s.First != wantFirst {
				t.Errorf("a clock that %s: the log begins at %d, want %d", when, s.First, wantFirst)
			}
		}
	}
	log = open(t, cfg)
	trim(log, 1001, "is ahead from the start")
	put(t, log, 4000, 4010) // stamped by that clock
	shut(t, log)

	offset = 0
	log = open(t, cfg)
	trim(log, 1001, "is right")
	trim(log, 1001, "leaps")
	shut(t, log)

	// What a clock stamped that ran ahead goes with what came after it.
	offset = 2 * time.Hour
	log = open(t, cfg)
	put(t, log, 4010, 4020)
	shut(t, log)
	offset = 4 * time.Hour
	log = open(t, cfg)
	for first := fedmsg.Seq(1001); first != 4021; first = stateOf(t, log).First {
		if err := log.Retention()(t.Context()); err != nil { // each time as after a restart
			t.Fatal(err)
		}
		if now := stateOf(t, log).First; now == first {
			t.Fatalf("retention is stuck at %d, want all gone up to 4020", first)
		}
	}
}

func TestRetentionByBytes(t *testing.T) {
	const limit = 2 << 20
	log := open(t, sqlite.Config{RetentionBytes: limit})
	sized := func(i int) fedmsg.Entry { return fedmsg.Entry{Message: fedmsgtest.MessageSized(i, 4000)} }
	for i := 0; i < 1200; i += 100 {
		var batch []fedmsg.Entry
		for j := range 100 {
			batch = append(batch, sized(i+j))
		}
		if r := log.Append(t.Context(), batch...)[99]; r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	if err := log.Retention()(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := stateOf(t, log)
	if kept := int(s.Last - s.First + 1); kept < limit/4000/2 || s.Last != 1200 || s.Bytes > limit {
		t.Errorf("the log has %d to %d, %d bytes; want at most %d bytes, and at least half of what fits", s.First, s.Last, s.Bytes, limit)
	}
	if got := len(readAll(t, log, s.First-1)); got != int(s.Last-s.First+1) {
		t.Errorf("%d entries can be read, want %d to %d", got, s.First, s.Last)
	}
	if r := log.Append(t.Context(), sized(1199))[0]; !r.Duplicate || r.Seq != 1200 {
		t.Errorf("Append of what is kept = %+v, want place 1200", r)
	}
}

func TestSamples(t *testing.T) {
	log := open(t, sqlite.Config{})
	put(t, log, 0, 5)
	got := make(map[string]float64)
	for s := range log.Samples() {
		name := strings.Join(append([]string{s.Name}, s.Labels...), " ")
		got[name] = s.Value
		if s.Buckets != nil {
			got[name] = float64(s.Buckets.Count)
		}
	}
	for name, want := range map[string]float64{
		"log_last_sequence": 5, "messages_stored_total": 5, "log_sync_duration_seconds": 1,
		"log_state state ok": 1, "log_state state full": 0, "log_state state error": 0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("sample %q = %v, %v; want %v", name, v, ok, want)
		}
	}
	for _, name := range []string{"log_bytes", "log_free_bytes"} {
		if got[name] <= 0 {
			t.Errorf("sample %q = %v; want more than 0 (of %q)", name, got[name], slices.Sorted(maps.Keys(got)))
		}
	}
}
