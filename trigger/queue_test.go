package trigger_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/trigger"
)

// message makes an entry of a topic.
func message(t *testing.T, seq fedmsg.Seq, topic string) fedmsg.Entry {
	t.Helper()
	m, err := fedmsg.Draft{Topic: fedmsg.Topic("org.example." + topic), ID: fmt.Sprintf("2026-%d", seq), Time: time.Unix(1, 0), Body: []byte(`{"n":1}`)}.Message()
	if err != nil {
		t.Fatal(err)
	}
	return fedmsg.Entry{Seq: seq, Verified: "x509:a", Message: m}
}

// A script says when messages come, and what becomes of them.
type script struct {
	come  []time.Duration // when each comes, of topics a, b, a, b, ...
	lasts time.Duration   // how long it takes to work one off
	fails map[fedmsg.Seq]int
	stop  time.Duration // when the context ends
	kill  time.Duration // when that of what is done ends
	stays bool          // the bus goes on after the last

	mu    sync.Mutex
	start time.Time
	began []string // TIME SEQ...
	told  []string
	most  int
	runs  int
}

func (s *script) do(ctx context.Context, entries []fedmsg.Entry, attempt int) error {
	s.mu.Lock()
	var line strings.Builder
	line.WriteString(time.Since(s.start).String())
	for _, e := range entries {
		line.WriteString(fmt.Sprintf(" %d", e.Seq))
	}
	s.began = append(s.began, line.String())
	s.runs++
	s.most = max(s.most, s.runs)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.runs--
		s.mu.Unlock()
	}()
	select {
	case <-time.After(s.lasts):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	switch n := s.fails[entries[0].Seq]; {
	case n < 0:
		return fmt.Errorf("bad message: %w", trigger.ErrGiveUp)
	case attempt <= n:
		return fmt.Errorf("attempt %d", attempt)
	}
	return nil
}

// run plays a script in a bubble of fake time.
func (s *script) run(t *testing.T, cfg trigger.Config) (result trigger.Result, err error) {
	s.start = time.Now()
	if cfg.Failed == nil {
		cfg.Failed = func(f trigger.Failure) error {
			s.told = append(s.told, fmt.Sprintf("%d: %v, again %s, last %t", f.Entries[0].Seq, f.Err, f.Again, f.Last))
			return nil
		}
	}
	q, err := trigger.New(cfg, s.do)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	work, kill := context.WithCancel(t.Context())
	defer kill()
	if s.stop > 0 {
		defer time.AfterFunc(s.stop, cancel).Stop()
	}
	if s.kill > 0 {
		defer time.AfterFunc(s.kill, kill).Stop()
	}
	return q.Run(ctx, work, func(ctx context.Context) iter.Seq2[fedmsg.Entry, error] {
		return func(yield func(fedmsg.Entry, error) bool) {
			for i, at := range s.come {
				select {
				case <-time.After(at - time.Since(s.start)):
				case <-ctx.Done():
					return
				}
				if !yield(message(t, fedmsg.Seq(i+1), string(rune('a'+i%2))), nil) {
					return
				}
			}
			if s.stays {
				<-ctx.Done()
			}
		}
	})
}

const s = time.Second

func TestQueue(t *testing.T) {
	tests := map[string]struct {
		cfg    trigger.Config
		script *script
		began  string // lines parted by commas
		told   string
		want   trigger.Result
		err    error
	}{
		"at once, one after another": {
			script: &script{come: []time.Duration{0, 0, 5 * s}, lasts: 2 * s},
			began:  "0s 1, 2s 2, 5s 3", want: trigger.Result{Done: 3},
		},
		"each message begins the wait anew, and then each has its run": {
			cfg:    trigger.Config{WaitFor: 3 * s},
			script: &script{come: []time.Duration{0, 2 * s, 4 * s, 20 * s}, lasts: 1 * s, stays: true, stop: 30 * s},
			began:  "7s 1, 8s 2, 9s 3, 23s 4", want: trigger.Result{Done: 4}, err: context.Canceled,
		},
		"a queue that is longer than its limit is worked off at once": {
			cfg:    trigger.Config{WaitFor: 60 * s, MaxQueue: 2},
			script: &script{come: []time.Duration{0, 1 * s, 2 * s, 3 * s}, stays: true, stop: 100 * s},
			began:  "2s 1, 2s 2, 2s 3, 1m3s 4", want: trigger.Result{Done: 4}, err: context.Canceled,
		},
		"what comes last is not waited for": {
			cfg:    trigger.Config{WaitFor: 60 * s},
			script: &script{come: []time.Duration{0, 1 * s}},
			began:  "1s 1, 1s 2", want: trigger.Result{Done: 2},
		},
		"one run for all": {
			cfg:    trigger.Config{WaitFor: 3 * s, Batch: true},
			script: &script{come: []time.Duration{0, 2 * s, 10 * s}, stays: true, stop: 30 * s},
			began:  "5s 1 2, 13s 3", want: trigger.Result{Done: 3}, err: context.Canceled,
		},
		"one run for all that came during the last one": {
			cfg:    trigger.Config{Batch: true},
			script: &script{come: []time.Duration{0, 1 * s, 2 * s, 3 * s}, lasts: 10 * s},
			began:  "0s 1, 10s 2 3 4", want: trigger.Result{Done: 4},
		},
		"enough": {
			cfg:    trigger.Config{Count: 2, WaitFor: 60 * s},
			script: &script{come: []time.Duration{0, 1 * s, 2 * s}, lasts: 5 * s, stays: true},
			began:  "1s 1, 6s 2", want: trigger.Result{Done: 2},
		},
		"several at a time, and those of a topic in order": {
			cfg:    trigger.Config{Jobs: 2},
			script: &script{come: []time.Duration{0, 1 * s, 1 * s, 2 * s}, lasts: 10 * s},
			began:  "0s 1, 1s 2, 10s 3, 11s 4", want: trigger.Result{Done: 4},
		},
		"no more than so many at a time, whatever they are about": {
			cfg:    trigger.Config{Jobs: 3, Key: func(e fedmsg.Entry) string { return e.Message.ID }},
			script: &script{come: []time.Duration{0, 1 * s, 2 * s, 3 * s}, lasts: 10 * s},
			began:  "0s 1, 1s 2, 2s 3, 10s 4", want: trigger.Result{Done: 4},
		},
		"a failure is told, and the next has its turn": {
			script: &script{come: []time.Duration{0, 0}, fails: map[fedmsg.Seq]int{1: 9}},
			began:  "0s 1, 0s 2", told: "1: attempt 1, again 1s, last true",
			want: trigger.Result{Done: 1, Failed: 1},
		},
		"the wait between tries doubles, and the next keeps its place": {
			cfg:    trigger.Config{Retries: 3, RetryMax: 3 * s},
			script: &script{come: []time.Duration{0, 0}, fails: map[fedmsg.Seq]int{1: 3}},
			began:  "0s 1, 1s 1, 3s 1, 6s 1, 6s 2",
			told:   "1: attempt 1, again 1s, last false, 1: attempt 2, again 2s, last false, 1: attempt 3, again 3s, last false",
			want:   trigger.Result{Done: 2},
		},
		"until it succeeds": {
			cfg:    trigger.Config{Retries: -1},
			script: &script{come: []time.Duration{0}, fails: map[fedmsg.Seq]int{1: 2}},
			began:  "0s 1, 1s 1, 3s 1",
			told:   "1: attempt 1, again 1s, last false, 1: attempt 2, again 2s, last false",
			want:   trigger.Result{Done: 1},
		},
		"what is to be given up is not tried again": {
			cfg:    trigger.Config{Retries: -1},
			script: &script{come: []time.Duration{0}, fails: map[fedmsg.Seq]int{1: -1}},
			began:  "0s 1", told: "1: bad message: not to be tried again, again 1s, last true",
			want: trigger.Result{Failed: 1},
		},
		"a stop ends the wait, and lets what runs end": {
			script: &script{come: []time.Duration{0, 1 * s, 2 * s}, lasts: 10 * s, stays: true, stop: 5 * s},
			began:  "0s 1", want: trigger.Result{Done: 1, Unfinished: 2, Oldest: 2}, err: context.Canceled,
		},
		"a stop during the wait": {
			cfg:    trigger.Config{WaitFor: 60 * s},
			script: &script{come: []time.Duration{0, 1 * s}, stays: true, stop: 5 * s},
			want:   trigger.Result{Unfinished: 2, Oldest: 1}, err: context.Canceled,
		},
		"a stop between two tries": {
			cfg:    trigger.Config{Retries: -1, RetryMin: 60 * s},
			script: &script{come: []time.Duration{0, 1 * s}, stays: true, stop: 5 * s, fails: map[fedmsg.Seq]int{1: 9}},
			began:  "0s 1", told: "1: attempt 1, again 1m0s, last false",
			want: trigger.Result{Unfinished: 2, Oldest: 1}, err: context.Canceled,
		},
		"a second stop breaks off what runs, and nobody is told that it failed": {
			script: &script{come: []time.Duration{0, 1 * s}, lasts: 60 * s, stays: true, stop: 5 * s, kill: 7 * s},
			began:  "0s 1", want: trigger.Result{Unfinished: 2, Oldest: 1}, err: context.Canceled,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, err := tt.script.run(t, tt.cfg)
				if !errors.Is(err, tt.err) || tt.err == nil && err != nil {
					t.Errorf("error %v, want %v", err, tt.err)
				}
				if failed := got.Err != nil; failed != (tt.want.Failed > 0 || len(tt.script.fails)*tt.want.Unfinished > 0 || tt.script.kill > 0) {
					t.Errorf("the last failure is %v", got.Err)
				}
				got.Err = nil
				if got != tt.want {
					t.Errorf("result %+v, want %+v", got, tt.want)
				}
				if began := strings.Join(tt.script.began, ", "); began != tt.began {
					t.Errorf("began %s\n want %s", began, tt.began)
				}
				if told := strings.Join(tt.script.told, ", "); told != tt.told {
					t.Errorf("told %s\nwant %s", told, tt.told)
				}
				if tt.script.most > max(1, tt.cfg.Jobs) {
					t.Errorf("%d at a time", tt.script.most)
				}
			})
		})
	}
}

// Who cannot keep what failed must not lose it: it stops, and nothing more is begun.
func TestQueueStopsWhenNobodyCanBeTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("no space left on device")
		sc := script{come: []time.Duration{0, 0, 0}, fails: map[fedmsg.Seq]int{2: 1}, stays: true}
		got, err := sc.run(t, trigger.Config{Failed: func(trigger.Failure) error { return full }})
		if !errors.Is(err, full) || got.Done != 1 || got.Oldest != 2 || !slices.Equal(sc.began, []string{"0s 1", "0s 2"}) {
			t.Errorf("Run = %+v, %v, began %q", got, err, sc.began)
		}
	})
}

// What ends the reading is told when all that was read is worked off.
func TestQueueReadsUntilAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		sc := script{start: time.Now()}
		q, err := trigger.New(trigger.Config{WaitFor: time.Minute}, sc.do)
		if err != nil {
			t.Fatal(err)
		}
		got, err := q.Run(t.Context(), t.Context(), func(context.Context) iter.Seq2[fedmsg.Entry, error] {
			return func(yield func(fedmsg.Entry, error) bool) {
				_ = yield(message(t, 7, "a"), nil) && yield(fedmsg.Entry{}, broken)
			}
		})
		if !errors.Is(err, broken) || got != (trigger.Result{Done: 1}) {
			t.Errorf("Run = %+v, %v", got, err)
		}
	})
}

// A command that hangs does not make the program hold everything that comes.
func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := 0
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Hour, cancel)
		sc := script{start: time.Now(), lasts: 2 * time.Hour}
		q, err := trigger.New(trigger.Config{WaitFor: time.Minute}, sc.do)
		if err != nil {
			t.Fatal(err)
		}
		e := message(t, 1, "a")
		got, err := q.Run(ctx, t.Context(), func(context.Context) iter.Seq2[fedmsg.Entry, error] {
			return func(yield func(fedmsg.Entry, error) bool) {
				for ctx.Err() == nil && yield(e, nil) {
					read++
				}
			}
		})
		if limit := 2*trigger.MaxHeld + 3; !errors.Is(err, context.Canceled) || read > limit || got.Unfinished < trigger.MaxHeld {
			t.Errorf("Run = %+v, %v, %d messages were read, want at most %d", got, err, read, limit)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	_, err := trigger.New(trigger.Config{MaxQueue: -1, Jobs: -1, Count: -1, Retries: -2, WaitFor: -1}, nil)
	for _, want := range []string{"max-queue-size", "jobs", "count", "retries", "waits"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want a word of %s", err, want)
		}
	}
	if _, err := trigger.New(trigger.Config{Batch: true, Jobs: 2}, nil); err == nil {
		t.Error("a batch and jobs are taken together")
	}
}
