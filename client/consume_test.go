package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/client"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/readers"
)

// publish puts n messages on a bus.
func publish(t *testing.T, b *client.Bus, n int) {
	t.Helper()
	for i := range n {
		if _, err := b.Publish(t.Context(), "git", fmt.Sprintf("repo%d", i%3), map[string]int{"n": i}); err != nil {
			t.Fatal(err)
		}
	}
}

// A diary is what a consumer was given.
type diary struct {
	mu  sync.Mutex
	got []fedmsg.Seq
}

func (d *diary) note(e fedmsg.Entry) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.got = append(d.got, e.Seq)
	return len(d.got)
}

func (d *diary) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.got)
}

// consume runs a consumer until it is stopped.
func consume(t *testing.T, b *client.Bus, name string, cfg client.ConsumeConfig, work func(context.Context, fedmsg.Entry) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Consume(ctx, name, cfg, work) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Consume ended with %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func readersOf(t *testing.T, url string) readers.Client {
	t.Helper()
	c, err := http.New(http.ClientConfig{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return readers.NewClient(c)
}

// Whoever comes back under a name goes on where it stopped, once and in order.
func TestConsumeGoesOn(t *testing.T) {
	tb := newBus(t)
	b, asked := open(t, tb.http), readersOf(t, tb.http)
	publish(t, b, 20)
	var first, second diary
	enough := make(chan struct{})
	stop := consume(t, b, "mirror", client.ConsumeConfig{From: "begin", Drain: 50 * time.Millisecond}, func(ctx context.Context, e fedmsg.Entry) error {
		if first.note(e) == 7 {
			close(enough)
			<-ctx.Done() // it has not finished when it is stopped, and may not go on
			return context.Cause(ctx)
		}
		return nil
	})
	<-enough
	fedmsgtest.Eventually(t, 5*time.Second, "six are acknowledged", func() bool { r, err := asked.Show(t.Context(), "mirror"); return err == nil && r.At == 6 })
	go stop()
	consume(t, b, "mirror", client.ConsumeConfig{From: "now"}, func(_ context.Context, e fedmsg.Entry) error {
		second.note(e)
		return nil
	})
	publish(t, b, 1)
	fedmsgtest.Eventually(t, 20*time.Second, "the second one has all", func() bool { return second.len() == 15 })
	if want := []fedmsg.Seq{7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21}; !slices.Equal(second.got, want) {
		t.Errorf("the second instance got %v, want %v", second.got, want)
	}
}

// With keys, work goes on beside a message that waits, but not beside one of its key.
func TestConsumeKeepsOrderOfKeys(t *testing.T) {
	tb := newBus(t)
	b := open(t, tb.http)
	publish(t, b, 30)
	var mu sync.Mutex
	got := make(map[string][]fedmsg.Seq)
	var fails atomic.Int32
	key := func(e fedmsg.Entry) string { return string(e.Message.Topic) }
	consume(t, b, "keys", client.ConsumeConfig{From: "begin", Key: key, RetryMin: time.Millisecond}, func(_ context.Context, e fedmsg.Entry) error {
		if e.Seq%5 == 0 && fails.Add(1)%2 == 1 {
			return errors.New("not now")
		}
		mu.Lock()
		defer mu.Unlock()
		got[key(e)] = append(got[key(e)], e.Seq)
		return nil
	})
	asked := readersOf(t, tb.http)
	fedmsgtest.Eventually(t, 10*time.Second, "all are acknowledged", func() bool { r, err := asked.Show(t.Context(), "keys"); return err == nil && r.At == 30 })
	mu.Lock()
	defer mu.Unlock()
	for k, seqs := range got {
		if len(seqs) != 10 || !slices.IsSorted(seqs) {
			t.Errorf("%s came as %v, want ten in order", k, seqs)
		}
	}
}

// A message that never works is given up after some attempts, with the reason, and holds
// nothing up; tried again it is done.
func TestConsumeGivesUp(t *testing.T) {
	tb := newBus(t)
	b, asked := open(t, tb.http), readersOf(t, tb.http)
	publish(t, b, 5)
	var got diary
	var mended atomic.Bool
	var tries atomic.Int32
	consume(t, b, "poison", client.ConsumeConfig{From: "begin", Tries: 3, RetryMin: time.Millisecond}, func(_ context.Context, e fedmsg.Entry) error {
		if e.Seq == 2 && !mended.Load() {
			if tries.Add(1) == 2 {
				panic("too deep")
			}
			return errors.New("no such package")
		}
		got.note(e)
		return nil
	})
	fedmsgtest.Eventually(t, 10*time.Second, "the others are done", func() bool { return got.len() == 4 })
	dead, err := asked.Dead(t.Context(), "poison")
	if err != nil || len(dead) != 1 || dead[0].Seq != 2 || dead[0].Tries != 3 || dead[0].Reason != "no such package" || tries.Load() != 3 {
		t.Fatalf("dead letters %+v, %v after %d attempts, want the second message after 3", dead, err, tries.Load())
	}
	mended.Store(true)
	if err := asked.Retry(t.Context(), "poison", 2); err != nil {
		t.Fatal(err)
	}
	fedmsgtest.Eventually(t, 10*time.Second, "it is dropped when it is done", func() bool {
		dead, err := asked.Dead(t.Context(), "poison")
		return err == nil && len(dead) == 0
	})
	if got.len() != 5 {
		t.Errorf("%d messages were worked on, want 5", got.len())
	}
	if err := asked.Retry(t.Context(), "poison", 2); !errors.Is(err, fedmsg.ErrNotFound) {
		t.Errorf("Retry of what is done: %v, want ErrNotFound", err)
	}
}

// Of two instances one works; the other one does when that ends. Who is moved goes on
// there.
func TestConsumeOneAtATime(t *testing.T) {
	tb := newBus(t)
	b, asked := open(t, tb.http), readersOf(t, tb.http)
	publish(t, b, 3)
	var first, second diary
	stop := consume(t, b, "one", client.ConsumeConfig{From: "begin"}, func(_ context.Context, e fedmsg.Entry) error { first.note(e); return nil })
	fedmsgtest.Eventually(t, 10*time.Second, "the first one works", func() bool { r, err := asked.Show(t.Context(), "one"); return err == nil && r.At == 3 })
	told := make(chan string, 100)
	consume(t, b, "one", client.ConsumeConfig{Notice: func(line string) { told <- line }}, func(_ context.Context, e fedmsg.Entry) error { second.note(e); return nil })
	fedmsgtest.Eventually(t, 10*time.Second, "the second one is told who has it", func() bool { return len(told) > 0 })
	if _, err := asked.Move(t.Context(), "one", "1"); err != nil {
		t.Fatal(err)
	}
	fedmsgtest.Eventually(t, 10*time.Second, "the first one goes on where it was put", func() bool { return first.len() == 5 })
	stop()
	publish(t, b, 1)
	fedmsgtest.Eventually(t, 20*time.Second, "the second one takes over", func() bool { return second.len() == 1 })
	if want := []fedmsg.Seq{1, 2, 3, 2, 3}; !slices.Equal(first.got, want) || second.got[0] != 4 {
		t.Errorf("the first instance got %v, the second %v; want %v and 4", first.got, second.got, want)
	}
}

func TestConsumeIsRefused(t *testing.T) {
	tb := newBus(t)
	b := open(t, tb.http)
	never := func(context.Context, fedmsg.Entry) error { t.Error("work was called"); return nil }
	for _, tt := range []struct {
		name string
		cfg  client.ConsumeConfig
	}{
		{"", client.ConsumeConfig{}}, {"a/b", client.ConsumeConfig{}}, {"-a", client.ConsumeConfig{}},
		{"a", client.ConsumeConfig{Topics: []fedmsg.Pattern{"a..b"}}},
		{"a", client.ConsumeConfig{Query: "user:"}}, {"a", client.ConsumeConfig{Query: "since:2d"}},
		{"a", client.ConsumeConfig{From: "yesterday"}}, {"a", client.ConsumeConfig{From: "5"}}, {"a", client.ConsumeConfig{From: "id:nobody"}},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := b.Consume(ctx, tt.name, tt.cfg, never); err == nil {
			t.Errorf("Consume(%q, %+v) = nil, want a refusal", tt.name, tt.cfg)
		}
		cancel()
	}
	if err := open(t, tb.outbound).Consume(t.Context(), "a", client.ConsumeConfig{}, never); !errors.Is(err, fedmsg.ErrInvalid) || fedmsg.Hint(err) == "" {
		t.Errorf("Consume over ZeroMQ: %v (hint %q), want ErrInvalid and a hint", err, fedmsg.Hint(err))
	}
}
