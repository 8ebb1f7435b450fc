package readers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/route"
	"github.com/fedora-infra/fedmsg-go/query"
)

// API keeps readers, and answers for them. [New] makes one.
type API struct {
	cfg    Config
	logger *slog.Logger
	set    *route.Set

	mu      sync.Mutex
	readers map[string]*reader
}

// Under what names readers, dead letters and their messages are kept.
const (
	readerNotes = "reader/"
	deadNotes   = "dead/"
	bodyNotes   = "body/"
)

// maxName is the longest name of a reader or an instance, in bytes.
const maxName = 64

// kept is a reader as it is kept.
type kept struct {
	Topics []fedmsg.Pattern `json:"topics,omitempty"`
	Query  string           `json:"query,omitempty"`
	// Owner is the identity that made it; empty for one that anybody may use.
	Owner string     `json:"owner,omitempty"`
	Epoch string     `json:"epoch"`
	At    fedmsg.Seq `json:"at"`
	// Moves is how often it was moved by hand.
	Moves     uint64    `json:"moves"`
	Made      time.Time `json:"made"`
	Seen      time.Time `json:"seen,omitzero"`
	Delivered uint64    `json:"delivered"`
	Gaps      uint64    `json:"gaps"`
}

// turn is what an instance shows to prove that it knows where the reader was put.
func (k *kept) turn() string { return fmt.Sprintf("%s.%d", k.Epoch, k.Moves) }

// A reader is one with what is known of it while the bus runs.
type reader struct {
	name string

	mu sync.Mutex
	kept
	choice
	gone    bool // it was removed
	written kept // what is on disk
	dead    map[fedmsg.Seq]*Letter
	failed  uint64
	told    bool // that nobody works for it

	holder string // the instance that has it
	until  time.Time
	wait   *waiter                  // of the instance; nil if it does not wait
	handed map[fedmsg.Seq]time.Time // when it got dead letters to try again
}

// A waiter is a request for what is next.
type waiter struct{ cancel context.CancelFunc }

// wake ends the request that waits. r.mu is held.
func (r *reader) wake() {
	if r.wait != nil {
		r.wait.cancel()
	}
}

// A choice is what a reader wants.
type choice struct {
	topics  []fedmsg.Pattern
	matcher *query.Matcher
}

// patterns are those by which the log chooses.
func (c choice) patterns() []fedmsg.Pattern {
	if len(c.topics) > 0 {
		return c.topics
	}
	return c.matcher.Patterns()
}

// has reports whether e is wanted.
func (c choice) has(ctx context.Context, e fedmsg.Entry) bool {
	return fedmsg.MatchAny(c.topics, e.Message.Topic) && c.matcher.Match(ctx, e)
}

// load reads what is kept.
func (a *API) load(ctx context.Context) error {
	all, err := a.cfg.Notes.Notes(ctx, readerNotes)
	if err != nil {
		return err
	}
	for name, text := range all {
		r := &reader{name: strings.TrimPrefix(name, readerNotes), dead: make(map[fedmsg.Seq]*Letter)}
		if err := json.Unmarshal(text, &r.kept); err != nil {
			return fmt.Errorf("reader %q: what is kept of it: %w", r.name, err)
		}
		if err := a.match(r); err != nil {
			return fmt.Errorf("reader %q: %w", r.name, err)
		}
		r.written = r.kept
		a.readers[r.name] = r
	}
	letters, err := a.cfg.Notes.Notes(ctx, deadNotes)
	if err != nil {
		return err
	}
	for name, text := range letters {
		owner, _, _ := strings.Cut(strings.TrimPrefix(name, deadNotes), "/")
		l := new(Letter)
		if err := json.Unmarshal(text, l); err != nil {
			return fmt.Errorf("dead letter %q: what is kept of it: %w", name, err)
		}
		if r := a.readers[owner]; r != nil {
			r.dead[l.Seq] = l
		}
	}
	return nil
}

// match makes ready what chooses the messages of a reader.
func (a *API) match(r *reader) error {
	q, err := query.Parse(r.Query, a.cfg.Now())
	if err != nil {
		return err
	}
	if !q.Since.IsZero() || !q.Until.IsZero() || q.OldestFirst || q.Limit > 0 {
		return route.Wrong("query", r.Query, "leave out since:, before:, on:, order: and limit:", "a reader has no end and one order")
	}
	r.choice = choice{r.Topics, query.NewMatcher(q.Filter, a.cfg.Describer)}
	return nil
}

// find returns a reader.
func (a *API) find(name string) (*reader, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r := a.readers[name]; r != nil {
		return r, nil
	}
	return nil, fedmsg.ErrNotFound
}

// all returns the readers by name.
func (a *API) all() []*reader {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.SortedFunc(maps.Values(a.readers), func(a, b *reader) int { return cmp.Compare(a.name, b.name) })
}

// save stores what a reader is, and more documents beside, all or nothing. On an error
// it is what it was. r.mu is held.
func (a *API) save(ctx context.Context, r *reader, more map[string][]byte) error {
	documents := map[string][]byte{readerNotes + r.name: route.JSON(r.kept)}
	maps.Copy(documents, more)
	if err := a.cfg.Notes.Note(ctx, documents); err != nil {
		r.kept = r.written
		return err
	}
	r.written = r.kept
	return nil
}

// lease gives a reader to an instance, for Config.Lease, or says who has it. An instance
// that had it before the bus was started anew has it still. r.mu is held.
func (a *API) lease(r *reader, instance string) error {
	now := a.cfg.Now()
	if r.gone {
		return fedmsg.ErrNotFound
	}
	if r.holder != instance {
		if now.Before(r.until) {
			return busy(r.holder, r.until, now)
		}
		r.holder, r.handed = instance, make(map[fedmsg.Seq]time.Time)
		r.wake()
	}
	r.until, r.Seen, r.told = now.Add(a.cfg.Lease), now.UTC(), false
	return nil
}

// isAway reports whether nobody has worked for a reader for long. r.mu is held.
func (a *API) isAway(r *reader) bool {
	seen := r.Seen
	if seen.IsZero() {
		seen = r.Made
	}
	return a.cfg.Now().Sub(seen) > a.cfg.Away
}

// tendEvery is how often places are saved that moved past what nobody wanted, and away
// readers are told.
const tendEvery = 30 * time.Second

// Run keeps readers until ctx ends.
func (a *API) Run(ctx context.Context) error {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			a.tend(ctx)
		case <-ctx.Done():
			a.tend(context.WithoutCancel(ctx))
			return nil
		}
	}
}

func (a *API) tend(ctx context.Context) {
	for _, r := range a.all() {
		r.mu.Lock()
		if !r.gone && (r.At != r.written.At || r.Seen.Sub(r.written.Seen) > time.Hour) {
			if err := a.save(ctx, r, nil); err != nil {
				a.logger.WarnContext(ctx, "the place of a reader is not saved, will try again", "reader", r.name, "err", err)
			}
		}
		if a.isAway(r) && !r.told {
			r.told = true
			a.logger.WarnContext(ctx, "nobody works for this reader; forget it if nobody will", "reader", r.name, "seen", r.Seen, "lag", a.lag(r))
		}
		r.mu.Unlock()
	}
}

// lag is how many entries a reader has before it, wanted or not. r.mu is held.
func (a *API) lag(r *reader) uint64 { return uint64(max(a.cfg.Last(), r.At) - r.At) }

// Samples yields how readers do.
func (a *API) Samples() iter.Seq[fedmsg.Sample] {
	return func(yield func(fedmsg.Sample) bool) {
		for _, r := range a.all() {
			r.mu.Lock()
			label := []string{"consumer", readerNotes + r.name}
			samples := []fedmsg.Sample{
				{Name: "consumer_lag_messages", Labels: label, Value: float64(a.lag(r))},
				{Name: "consumer_delivered_total", Labels: label, Value: float64(r.Delivered)},
				{Name: "consumer_failures_total", Labels: label, Value: float64(r.failed)},
				{Name: "consumer_gaps_total", Labels: label, Value: float64(r.Gaps)},
				{Name: "consumer_dead_letters", Labels: label, Value: float64(len(r.dead))},
			}
			r.mu.Unlock()
			for _, s := range samples {
				if !yield(s) {
					return
				}
			}
		}
	}
}
