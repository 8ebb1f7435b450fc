package client

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"strings"
	"sync"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/readers"
)

// ConsumeConfig says what a consumer wants, and how it works. The zero value wants
// everything from the first time on that it ran, and works on one message after the other.
type ConsumeConfig struct {
	// Topics are patterns, and Query is a search line; both must fit. Default: everything.
	Topics []fedmsg.Pattern
	Query  string
	// From is where a consumer begins that the bus does not know yet: now, begin, a place,
	// a time such as 2026-11-24T10:00:00Z, or id: and the ID of the message behind which
	// it begins. Default: now.
	From string
	// Key returns what must stay in order: messages with the same key are worked on one
	// after the other, others at the same time. Default: all have the same.
	Key func(fedmsg.Entry) string
	// Parallel is how many messages are worked on at the same time, if there is a Key.
	// Default 8.
	Parallel int
	// Ahead is how many messages are held that are not done yet. Default 200.
	Ahead int
	// Tries is how often a message is tried before it becomes a dead letter. Default 5.
	// -1 tries for ever.
	Tries int
	// RetryMin and RetryMax bound the pause before a message is tried again. It doubles
	// from one to the other. Defaults: 1s and 1m.
	RetryMin, RetryMax time.Duration
	// Drain is how long work that has begun may go on after ctx has ended. Default 10s. -1
	// is not at all.
	Drain time.Duration
	// Notice is called with a line for people when the bus is lost and found, when
	// messages are missing, and when one is given up. It may be nil.
	Notice func(string)
}

func (c ConsumeConfig) withDefaults() ConsumeConfig {
	if c.Key == nil {
		c.Key, c.Parallel = func(fedmsg.Entry) string { return "" }, 1
	}
	c.Parallel = max(cmp.Or(c.Parallel, 8), 1)
	c.Ahead = max(cmp.Or(c.Ahead, 200), 1)
	c.Tries = cmp.Or(c.Tries, 5)
	c.RetryMin = cmp.Or(c.RetryMin, time.Second)
	c.RetryMax = max(cmp.Or(c.RetryMax, time.Minute), c.RetryMin)
	c.Drain = cmp.Or(c.Drain, 10*time.Second)
	if c.Notice == nil {
		c.Notice = func(string) {}
	}
	return c
}

// Times of a consumer.
const (
	// askFor is how long a request waits for messages; shorter than the client does.
	askFor = 8 * time.Second
	// againMin and againMax bound the pause after which a bus that is away is asked again.
	againMin = 100 * time.Millisecond
	againMax = 5 * time.Second
)

// Consume has work called for each message that the named consumer has not dealt with, and
// for those that come, until ctx ends; then it returns nil. The bus remembers how far it is,
// so the same name goes on there, on whatever machine:
//
//	bus, err := client.Open(ctx, "http://127.0.0.1:8330")
//	if err != nil {
//		log.Fatal(err)
//	}
//	err = bus.Consume(ctx, "mirror", client.ConsumeConfig{Topics: []fedmsg.Pattern{"#.git.receive"}},
//		func(ctx context.Context, e fedmsg.Entry) error {
//			return mirror(ctx, e.Message.Body)
//		})
//
// Each message is worked on at least once: its place is passed when work returned nil, and
// after a crash what was not passed comes again. One for which work fails is tried again,
// and becomes a dead letter after ConsumeConfig.Tries, which the bus keeps. Messages
// with the same key keep their order, but for dead letters. If the bus goes away, Consume
// waits for it; if another instance has the name, for that to end. It returns an error if
// the bus refuses the consumer, or is not one over HTTP.
func (b *Bus) Consume(ctx context.Context, name string, cfg ConsumeConfig, work func(context.Context, fedmsg.Entry) error) error {
	over, ok := b.edge.(overHTTP)
	if !ok {
		return &fedmsg.HintError{Err: fmt.Errorf("consume %s: ZeroMQ keeps no places: %w", name, fedmsg.ErrInvalid), Hint: "open the bus over http://"}
	}
	if err := fedmsg.ValidateID(name); err != nil {
		return fmt.Errorf("consume %q: the name of a consumer %w", name, err)
	}
	c := &consumer{ConsumeConfig: cfg.withDefaults(), name: name, work: work, bus: readers.NewClient(over.client), instance: instanceName()}
	if err := c.run(ctx); err != nil {
		return fmt.Errorf("consume %s: %w", name, err)
	}
	return nil
}

// instanceName makes a name that no other instance has, by which people know this one.
func instanceName() string {
	host, _ := os.Hostname()
	host = strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", r) {
			return r
		}
		return '-'
	}, host)
	return fmt.Sprintf("i-%.30s-%d-%.8s", host, os.Getpid(), rand.Text())
}

// A consumer works for a reader.
type consumer struct {
	ConsumeConfig
	name, instance string
	work           func(context.Context, fedmsg.Entry) error
	bus            readers.Client
}

// run works until ctx ends: one turn of the reader after the other.
func (c *consumer) run(ctx context.Context) error {
	wish := readers.Wish{Topics: c.Topics, Query: c.Query, From: c.From}
	for {
		err := c.persist(ctx, "make the reader", func(ctx context.Context) error {
			_, err := c.bus.Make(ctx, c.name, wish)
			return err
		})
		if err == nil {
			err = c.turn(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, fedmsg.ErrNotFound):
			c.Notice("the bus does not know this consumer any more; it begins anew")
		case fedmsg.ReasonOf(err) == http.ReaderMoved:
			c.Notice("somebody moved this consumer; it goes on there")
		case fedmsg.ReasonOf(err) == http.ReaderBusy:
			c.Notice(err.Error())
			pause(ctx, time.Second)
		default:
			return err
		}
	}
}

// persist does what may fail while the bus is away until it is done, is refused, or ctx
// ends.
func (c *consumer) persist(ctx context.Context, what string, do func(context.Context) error) error {
	for wait := againMin; ; wait = min(2*wait, againMax) {
		err := do(ctx)
		if err == nil && wait > againMin {
			c.Notice("the bus is back")
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil || !errors.Is(err, fedmsg.ErrUnavailable) {
			return err
		}
		if wait == againMin {
			c.Notice(fmt.Sprintf("the bus does not answer, will try again and again: %s: %v", what, err))
		}
		pause(ctx, wait)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// A turn is the work from when a reader is taken to when it is moved or lost.
type turn struct {
	*consumer
	id    string
	lease time.Duration
	fail  context.CancelCauseFunc // ends the turn

	mu     sync.Mutex
	free   chan struct{} // a place for each message that may be held
	open   []*task       // in the order of the log
	dead   map[fedmsg.Seq]bool
	next   fedmsg.Seq // what is reached when all is done
	acked  fedmsg.Seq
	moving chan struct{} // has one when the place may be moved
}

// A task is a message to be worked on.
type task struct {
	entry fedmsg.Entry
	dead  bool // it was a dead letter
	done  bool
}

// turn takes the reader and works until ctx ends, or something does not allow it any more.
func (c *consumer) turn(ctx context.Context) error {
	asking, fail := context.WithCancelCause(ctx) // for messages, as long as the turn lasts
	defer fail(nil)
	work, kill := context.WithCancelCause(context.WithoutCancel(ctx))
	defer kill(nil)
	t := &turn{consumer: c, fail: fail, free: make(chan struct{}, c.Ahead), dead: make(map[fedmsg.Seq]bool), moving: make(chan struct{}, 1)}
	queues := make([]chan *task, c.Parallel)
	var workers, acker sync.WaitGroup
	for i := range queues {
		queues[i] = make(chan *task, c.Ahead)
		workers.Go(func() {
			for task := range queues[i] {
				t.do(work, asking, task)
			}
		})
	}
	stop := make(chan struct{})
	acker.Go(func() { t.acks(work, stop) })
	err := t.feed(asking, queues)
	if ctx.Err() == nil {
		kill(err) // the reader is somebody else's, or somewhere else: the work is void
	} else {
		defer time.AfterFunc(max(c.Drain, 0), func() { kill(context.Cause(ctx)) }).Stop()
	}
	for _, q := range queues {
		close(q)
	}
	workers.Wait()
	close(stop)
	acker.Wait()
	if ctx.Err() != nil {
		t.release(context.WithoutCancel(ctx))
	}
	if cause := context.Cause(asking); cause != nil && ctx.Err() == nil {
		err = cause
	}
	return err
}

// feed asks for messages and hands them to the queues of their keys.
func (t *turn) feed(ctx context.Context, queues []chan *task) error {
	seed := maphash.MakeSeed()
	for {
		var b readers.Batch
		err := t.persist(ctx, "ask for messages", func(ctx context.Context) (err error) {
			b, err = t.bus.Next(ctx, t.name, t.instance, t.id, t.reached(), min(t.Ahead, 100), askFor)
			return err
		})
		if err != nil {
			return err
		}
		if b.Gap != nil {
			t.Notice(gapText(*b.Gap))
		}
		if t.id != "" && t.id != b.Turn {
			return fedmsg.Refuse(http.ReaderMoved, "the reader was moved")
		}
		if t.id == "" {
			t.begin(b)
		}
		tasks, err := t.tasks(b)
		if err != nil {
			return err
		}
		for _, task := range tasks {
			select {
			case t.free <- struct{}{}:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			t.add(task)
			queues[maphash.String(seed, t.Key(task.entry))%uint64(len(queues))] <- task // there is room: Ahead for each
		}
		t.reach(b.Next)
	}
}

// begin notes what holds for the whole turn.
func (t *turn) begin(b readers.Batch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.id, t.next, t.acked = b.Turn, b.At, b.At
	t.lease = time.Duration(b.Lease * float64(time.Second))
}

// tasks reads a batch.
func (t *turn) tasks(b readers.Batch) (tasks []*task, err error) {
	for i, list := range [][]json.RawMessage{b.Retries, b.Messages} {
		for _, text := range list {
			var element http.Element
			if err := json.Unmarshal(text, &element); err != nil {
				return nil, fmt.Errorf("%w: %w", fedmsg.ErrInvalid, err)
			}
			e, err := element.Entry()
			if err != nil {
				return nil, err
			}
			tasks = append(tasks, &task{entry: e, dead: i == 0})
		}
	}
	return tasks, nil
}

func (t *turn) add(task *task) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !task.dead:
		t.open = append(t.open, task)
	case t.dead[task.entry.Seq]: // it is worked on already
		task.done = true
	default:
		t.dead[task.entry.Seq] = true
	}
}

// reached is where to go on.
func (t *turn) reached() fedmsg.Seq {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.next
}

func (t *turn) reach(next fedmsg.Seq) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = max(t.next, next)
	t.wake()
}

// wake has the place moved. t.mu is held.
func (t *turn) wake() {
	select {
	case t.moving <- struct{}{}:
	default:
	}
}

// ack says up to where everything is done, and whether that is news.
func (t *turn) ack() (ack readers.Ack, lease time.Duration, news bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.open) > 0 && t.open[0].done {
		t.open = t.open[1:]
	}
	at := t.next
	if len(t.open) > 0 {
		at = t.open[0].entry.Seq - 1
	}
	ack = readers.Ack{Instance: t.instance, Turn: t.id}
	if news = at > t.acked; news {
		ack.Seq = at
	}
	return ack, t.lease, news
}

// do works on a message until that succeeds, it is given up, or ctx ends. No attempt
// begins after asking has ended.
func (t *turn) do(ctx, asking context.Context, task *task) {
	defer func() { <-t.free }()
	if task.done {
		return
	}
	for tries, wait := 1, t.RetryMin; asking.Err() == nil; tries, wait = tries+1, min(2*wait, t.RetryMax) {
		err := t.attempt(ctx, task.entry)
		if err == nil {
			t.finish(ctx, task)
			return
		}
		if ctx.Err() != nil {
			return
		}
		if t.Tries > 0 && tries >= t.Tries {
			t.giveUp(ctx, asking, task, tries, err)
			return
		}
		pause(asking, wait)
	}
}

// attempt calls work. A panic of it is an error: the message may be at fault.
func (t *turn) attempt(ctx context.Context, e fedmsg.Entry) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return t.work(ctx, e)
}

// finish notes that a message is done.
func (t *turn) finish(ctx context.Context, task *task) {
	if task.dead {
		err := t.persist(ctx, "drop a dead letter", func(ctx context.Context) error {
			return t.bus.Drop(ctx, t.name, task.entry.Seq)
		})
		if err != nil && !errors.Is(err, fedmsg.ErrNotFound) {
			t.fail(err)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	task.done = true
	delete(t.dead, task.entry.Seq)
	t.wake()
}

// giveUp makes a dead letter of a message. The place does not pass it before that is kept.
func (t *turn) giveUp(ctx, asking context.Context, task *task, tries int, why error) {
	t.Notice(fmt.Sprintf("message %s at %d is given up after %d attempts: %v", task.entry.Message.ID, task.entry.Seq, tries, why))
	letter := readers.GiveUp{Instance: t.instance, Turn: t.id, Seq: task.entry.Seq, Reason: clip(why.Error()), Tries: tries}
	err := t.persist(asking, "keep a dead letter", func(ctx context.Context) error { return t.bus.GiveUp(ctx, t.name, letter) })
	if err != nil {
		t.fail(err)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	task.done = true
	delete(t.dead, task.entry.Seq)
	t.wake()
}

// clip shortens a reason to what the bus keeps of it.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 1000)], "?") }

// acks moves the place as work is done, and keeps the lease meanwhile, until stop is
// closed; then it moves it a last time.
func (t *turn) acks(ctx context.Context, stop <-chan struct{}) {
	renew := time.NewTimer(0)
	defer renew.Stop()
	for stopped := false; !stopped; {
		due := false
		select {
		case <-t.moving:
		case <-renew.C:
			due = true
		case <-stop:
			stopped = true
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
			defer cancel()
			ctx = last
		}
		ack, lease, news := t.ack()
		if ack.Turn == "" || !news && !due {
			continue
		}
		if err := t.persist(ctx, "acknowledge", func(ctx context.Context) error { return t.bus.Ack(ctx, t.name, ack) }); err != nil {
			t.fail(err)
			continue
		}
		t.mu.Lock()
		t.acked = max(t.acked, ack.Seq)
		t.mu.Unlock()
		renew.Reset(lease / 3)
	}
}

// lastWords is how long the bus has to take the last ack.
const lastWords = 2 * time.Second

// release gives the reader back, for another instance to have it at once. If the bus does
// not hear of it, the lease ends by itself.
func (t *turn) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	_ = t.bus.Ack(ctx, t.name, readers.Ack{Instance: t.instance, Turn: t.id, Release: true})
}
