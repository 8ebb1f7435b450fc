// Package trigger runs commands for messages.
//
// A [Queue] says when: at once or after a pause, one after another or several at a
// time, again after a failure. A [Command] says how: what a message holds goes to the
// standard input of the program, and never into a shell or a command line.
//
// The package is no part of the promise of compatibility: it may change.
package trigger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Bounds of what a queue holds. At either, what waits is worked off at once, and
// nothing more is read until there is room.
const (
	MaxHeld      = 10_000
	MaxHeldBytes = 64 << 20
)

// ErrGiveUp is wrapped by errors of a [Do] for which another try is of no use.
var ErrGiveUp = errors.New("not to be tried again")

// A Do does something for messages, one or, with [Config.Batch], several. attempt
// counts from 1.
type Do func(ctx context.Context, entries []fedmsg.Entry, attempt int) error

// A Failure is a try that failed.
type Failure struct {
	Entries []fedmsg.Entry
	Attempt int // from 1
	Err     error
	// Again is the wait before the next try. Last says that there is none.
	Again time.Duration
	Last  bool
}

// Config says when something is done. The zero value does it for each message at
// once, one after another, and does not try again.
type Config struct {
	// WaitFor is how long nothing must come before what came is worked off. Each
	// message begins the wait anew.
	WaitFor time.Duration
	// MaxQueue ends the wait when more messages than that have come. Default, and
	// limit: MaxHeld.
	MaxQueue int
	// Batch gives all messages that wait to one Do.
	Batch bool
	// Jobs is how many messages are worked on at a time, each with a Key of its own.
	// Default: 1.
	Jobs int
	// Key says what a message is about: messages with one key keep their order.
	// Default: the topic.
	Key func(fedmsg.Entry) string
	// Count ends Run after so many messages. Default: it goes on.
	Count int
	// Retries is how often a message is tried again that failed; -1 is until it
	// succeeds. It keeps the place that it has among the Jobs.
	Retries int
	// RetryMin and RetryMax bound the wait between two tries, which begins at RetryMin
	// and doubles up to RetryMax. Defaults: 1s and 5m.
	RetryMin, RetryMax time.Duration
	// Failed is told of each try that failed, by one goroutine at a time. Its error
	// ends Run. Default: nobody is told.
	Failed func(Failure) error
}

func (c Config) withDefaults() Config {
	c.MaxQueue = min(cmp.Or(c.MaxQueue, MaxHeld), MaxHeld)
	c.Jobs = cmp.Or(c.Jobs, 1)
	c.RetryMin = cmp.Or(c.RetryMin, time.Second)
	c.RetryMax = max(cmp.Or(c.RetryMax, 5*time.Minute), c.RetryMin)
	if c.Key == nil {
		c.Key = func(e fedmsg.Entry) string { return string(e.Message.Topic) }
	}
	if c.Failed == nil {
		c.Failed = func(Failure) error { return nil }
	}
	return c
}

// Validate reports everything that is wrong with c, joined, or nil.
func (c Config) Validate() error {
	var errs []error
	for _, n := range []struct {
		name        string
		value, from int
	}{{"max-queue-size", c.MaxQueue, 0}, {"jobs", c.Jobs, 0}, {"count", c.Count, 0}, {"retries", c.Retries, -1}} {
		if n.value < n.from {
			errs = append(errs, fmt.Errorf("%s: must not be below %d, is %d", n.name, n.from, n.value))
		}
	}
	if min(c.WaitFor, c.RetryMin, c.RetryMax) < 0 {
		errs = append(errs, fmt.Errorf("waits: must not be negative, are %s, %s and %s", c.WaitFor, c.RetryMin, c.RetryMax))
	}
	if c.Batch && c.Jobs > 1 {
		errs = append(errs, errors.New("once-per-batch and jobs do not go together: there is one batch at a time"))
	}
	return errors.Join(errs...)
}

// Result is what became of the messages of one Run.
type Result struct {
	// Done and Failed count messages.
	Done, Failed int
	// Err is what failed last, if anything did.
	Err error
	// Unfinished counts the messages that were read and not worked off.
	Unfinished int
	// Oldest is the first place of those; 0 if they have none. Who reads after the place
	// before it goes on with them.
	Oldest fedmsg.Seq
}

// A Queue has something done for messages. It may be used by one Run at a time.
type Queue struct {
	cfg  Config
	do   Do
	told sync.Mutex // while Failed runs
}

// New makes a queue.
func New(cfg Config, do Do) (*Queue, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("trigger: %w", err)
	}
	return &Queue{cfg: cfg.withDefaults(), do: do}, nil
}

// Run does what is to be done for the messages that read yields, until they end, there
// were enough, or ctx ends: then nothing more is begun, and what has begun is waited
// for. What is done gets the context work, whose end is meant to break it off. read is
// told by its context when to stop.
func (q *Queue) Run(ctx, work context.Context, read func(context.Context) iter.Seq2[fedmsg.Entry, error]) (Result, error) {
	reading, stop := context.WithCancel(ctx)
	trying, stopTrying := context.WithCancelCause(ctx)
	defer stopTrying(nil)
	r := &run{
		Queue: q, trying: trying, work: work, stop: stop,
		came: make(chan arrival), ended: make(chan outcome), busy: make(map[string]bool), timer: time.NewTimer(0),
	}
	<-r.timer.C
	go func() {
		defer close(r.came)
		for e, err := range read(reading) {
			select {
			case r.came <- arrival{e, err}:
			case <-reading.Done(): // and so the iteration ends by itself
			}
		}
	}()
	defer func() {
		stop()
		for range r.came { // until the reader has ended
		}
	}()
	asked := ctx.Done()
	for {
		r.begin()
		if r.running == 0 && (r.stopped != nil || r.whole && r.waiting.empty() && r.due.empty()) {
			return r.total(), cmp.Or(r.stopped, r.broken)
		}
		select {
		case <-asked:
			asked = nil
			r.end(context.Cause(ctx))
		case a, ok := <-r.room():
			r.take(a, ok)
		case <-r.timer.C:
			r.flush()
		case o := <-r.ended:
			if r.finish(o); r.stopped != nil {
				stopTrying(r.stopped)
			}
		}
	}
}

// An arrival is what an iteration yields.
type arrival struct {
	entry fedmsg.Entry
	err   error
}

// An outcome is what became of messages.
type outcome struct {
	key        string
	entries    []fedmsg.Entry
	err        error // nil: it is done
	unfinished bool  // it was broken off
	fatal      error // nobody could be told
}

// held are messages that wait for something, and their keys.
type held struct {
	entries []fedmsg.Entry
	keys    []string
	bytes   int
}

func (h *held) empty() bool { return len(h.entries) == 0 }

func (h *held) add(e fedmsg.Entry, key string) {
	h.entries, h.keys = append(h.entries, e), append(h.keys, key)
	h.bytes += len(e.Message.Bytes())
}

// move takes everything that another one holds.
func (h *held) move(from *held) {
	h.entries, h.keys = append(h.entries, from.entries...), append(h.keys, from.keys...)
	h.bytes += from.bytes
	*from = held{}
}

// pull takes out the i-th message.
func (h *held) pull(i int) []fedmsg.Entry {
	e := h.entries[i]
	h.bytes -= len(e.Message.Bytes())
	h.entries, h.keys = slices.Delete(h.entries, i, i+1), slices.Delete(h.keys, i, i+1)
	return []fedmsg.Entry{e}
}

// pullAll takes out all of them.
func (h *held) pullAll() []fedmsg.Entry {
	all := h.entries
	*h = held{}
	return all
}

// A run is the state of one Run, and belongs to its goroutine.
type run struct {
	*Queue
	trying, work context.Context // of waits between tries, and of what is done
	stop         func()          // ends the reading
	came         chan arrival
	ended        chan outcome
	timer        *time.Timer

	waiting held // for the pause to end
	due     held // for a job
	busy    map[string]bool
	running int
	read    int
	whole   bool  // nothing more will come
	broken  error // what ended the reading
	stopped error // why nothing more is begun
	result  Result
	undone  []fedmsg.Entry
}

// room is the channel of what comes, while there is room for it.
func (r *run) room() <-chan arrival {
	if r.whole || r.stopped != nil || len(r.due.entries) >= MaxHeld || r.due.bytes >= MaxHeldBytes {
		return nil
	}
	return r.came
}

// take puts an arrival into the queue.
func (r *run) take(a arrival, ok bool) {
	switch {
	case !ok:
		r.whole = true
		r.flush() // nothing more can come
		return
	case a.err != nil:
		r.broken = a.err
		return
	}
	key := ""
	if r.cfg.Jobs > 1 { // else there is nothing to overtake
		key = r.cfg.Key(a.entry)
	}
	r.waiting.add(a.entry, key)
	r.read++
	if r.read == r.cfg.Count {
		r.whole = true
		r.stop()
	}
	if r.whole || r.cfg.WaitFor == 0 || len(r.waiting.entries) > r.cfg.MaxQueue || r.waiting.bytes >= MaxHeldBytes {
		r.flush()
	} else {
		r.timer.Reset(r.cfg.WaitFor)
	}
}

// flush ends the pause: what waits is due.
func (r *run) flush() {
	r.timer.Stop()
	r.due.move(&r.waiting)
}

// begin begins what may begin.
func (r *run) begin() {
	if r.cfg.Batch && r.running == 0 && !r.due.empty() {
		r.spawn(r.due.pullAll(), "")
		return
	}
	for i := 0; !r.cfg.Batch && r.running < r.cfg.Jobs && i < len(r.due.entries); {
		if key := r.due.keys[i]; r.busy[key] {
			i++
		} else {
			r.spawn(r.due.pull(i), key)
		}
	}
}

func (r *run) spawn(entries []fedmsg.Entry, key string) {
	r.running++
	r.busy[key] = true
	go func() {
		o := r.try(entries)
		o.key = key
		r.ended <- o
	}()
}

// try does it until it succeeds or there were enough tries.
func (r *run) try(entries []fedmsg.Entry) outcome {
	for attempt, wait := 1, r.cfg.RetryMin; ; attempt, wait = attempt+1, min(2*wait, r.cfg.RetryMax) {
		err := r.do(r.work, entries, attempt)
		if err == nil {
			return outcome{entries: entries}
		}
		if r.work.Err() != nil {
			return outcome{entries: entries, err: err, unfinished: true}
		}
		f := Failure{Entries: entries, Attempt: attempt, Err: err, Again: wait}
		f.Last = errors.Is(err, ErrGiveUp) || r.cfg.Retries >= 0 && attempt > r.cfg.Retries
		r.told.Lock()
		fatal := r.cfg.Failed(f)
		r.told.Unlock()
		if f.Last || fatal != nil {
			return outcome{entries: entries, err: err, fatal: fatal, unfinished: fatal != nil}
		}
		select {
		case <-time.After(wait):
		case <-r.trying.Done():
			return outcome{entries: entries, err: err, unfinished: true}
		}
	}
}

// finish counts an outcome.
func (r *run) finish(o outcome) {
	r.running--
	delete(r.busy, o.key)
	switch {
	case o.unfinished:
		r.undone = append(r.undone, o.entries...)
	case o.err != nil:
		r.result.Failed += len(o.entries)
	default:
		r.result.Done += len(o.entries)
	}
	if o.err != nil {
		r.result.Err = o.err
	}
	if o.fatal != nil {
		r.end(o.fatal)
	}
}

// end has nothing more begun.
func (r *run) end(why error) {
	r.stopped = cmp.Or(r.stopped, why)
	r.stop()
	r.flush()
	r.undone = append(r.undone, r.due.pullAll()...)
}

func (r *run) total() Result {
	r.result.Unfinished = len(r.undone)
	for _, e := range r.undone {
		if oldest := &r.result.Oldest; *oldest == 0 || e.Seq < *oldest {
			*oldest = e.Seq
		}
	}
	return r.result
}
