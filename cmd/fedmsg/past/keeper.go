package past

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Opened is an archive that is open.
type Opened interface {
	fedmsg.Archive
	fedmsg.Counter
	fedmsg.Meter
	following
}

// following is an archive that is fed from a log.
type following interface {
	placed
	// Prepare makes ready what Deliver is called with next, beside it.
	Prepare(ctx context.Context, batch []fedmsg.Entry)
	// Tend looks after the archive until ctx ends.
	Tend(ctx context.Context) error
	io.Closer
}

// placed is what an archive tells of the log that it is fed from.
type placed interface {
	// Last returns the place up to which it holds the log.
	Last() fedmsg.Seq
	// Epoch is that of the log; "" if there was none.
	Epoch() string
	// Skip notes that the log goes on after a place.
	Skip(ctx context.Context, to fedmsg.Seq) error
	// Page reads by places, as of a log.
	Page(ctx context.Context, after fedmsg.Seq, limit int, want ...fedmsg.Pattern) ([]fedmsg.Entry, fedmsg.Seq, error)
}

// A shelf is a log that can be looked into.
type shelf interface {
	Page(ctx context.Context, after fedmsg.Seq, limit int, want ...fedmsg.Pattern) ([]fedmsg.Entry, fedmsg.Seq, error)
	State(ctx context.Context) (fedmsg.LogState, error)
}

// A resumable is a log that can take the place of one that was lost: [bus.Window].
type resumable interface {
	shelf
	Resume(ctx context.Context, epoch string, last, to fedmsg.Seq) error
}

// How long to wait until an archive that did not open is tried again.
const (
	retryMin = 10 * time.Second
	retryMax = time.Minute
)

// Keeper keeps an archive beside a bus that goes on without it. While the archive
// cannot be opened, who asks gets [fedmsg.ErrUnavailable], and who delivers waits.
//
// The archive knows itself how far it holds the log. If that is less than what was
// delivered, since files of it were lost or put back from a back-up, what is missing
// is taken from the log again.
type Keeper struct {
	open   func(ctx context.Context, epoch string) (Opened, error)
	log    resumable
	logger *slog.Logger

	mu      sync.RWMutex
	archive Opened // nil while it is not open
	problem error  // why not
	ready   chan struct{}
	wait    time.Duration

	filling sync.Mutex
	resumed atomic.Uint64 // places up to here are not to be delivered any more
}

var (
	_ fedmsg.Archive = (*Keeper)(nil)
	_ fedmsg.Counter = (*Keeper)(nil)
	_ fedmsg.Meter   = (*Keeper)(nil)
)

// NewKeeper makes a keeper, and opens the archive if it can be opened now; else
// [Keeper.Problem] says why not. open opens it as that of the log with an epoch, or with
// the epoch that the archive itself knows if it is "". [Keeper.Run] or [Keeper.Close]
// must be called. logger may be nil.
func NewKeeper(ctx context.Context, open func(ctx context.Context, epoch string) (Opened, error), log resumable, logger *slog.Logger) *Keeper {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{open: open, log: log, logger: logger, ready: make(chan struct{}), wait: retryMin}
	k.try(ctx)
	return k
}

// try opens the archive.
func (k *Keeper) try(ctx context.Context) {
	archive, err := k.begin(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.problem = err; err != nil {
		k.logger.ErrorContext(ctx, "the archive cannot be opened, and the bus goes on without history; will try again", "wait", k.wait, "err", err)
		return
	}
	k.archive = archive
	close(k.ready)
}

// Run tries to open an archive that is not open, until ctx ends. Then it closes it.
func (k *Keeper) Run(ctx context.Context) error {
	for k.Problem() != nil {
		select {
		case <-time.After(k.wait):
			k.wait = min(2*k.wait, retryMax)
			k.try(ctx)
			if k.Problem() == nil {
				k.logger.InfoContext(ctx, "the archive is open now")
			}
		case <-ctx.Done():
			return nil
		}
	}
	archive, err := k.get()
	if err == nil {
		err = archive.Tend(ctx)
	}
	return errors.Join(err, k.Close())
}

// Close closes the archive. It may be called more than once.
func (k *Keeper) Close() error {
	archive, err := k.get()
	if err != nil {
		return nil
	}
	return archive.Close()
}

// Problem says why the archive is not open; nil if it is.
func (k *Keeper) Problem() error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.problem
}

// Degraded says in words for everybody that the archive is not open; "" if it is.
func (k *Keeper) Degraded() string {
	if k.Problem() == nil {
		return ""
	}
	return "there is no history now: the archive cannot be opened"
}

// get returns the archive if it is open.
func (k *Keeper) get() (Opened, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.archive == nil {
		return nil, fedmsg.Refuse(fedmsg.LogUnavailable, "there is no history now: the archive is not open")
	}
	return k.archive, nil
}

// Prepare makes ready what is delivered next, if the archive is open.
func (k *Keeper) Prepare(ctx context.Context, batch []fedmsg.Entry) {
	if archive, err := k.get(); err == nil {
		archive.Prepare(ctx, batch)
	}
}

// Deliver stores entries, as soon as the archive is open. See [fedmsg.Sink].
func (k *Keeper) Deliver(ctx context.Context, batch []fedmsg.Entry) (int, error) {
	select {
	case <-k.ready:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	archive, err := k.get()
	if err != nil {
		return 0, err
	}
	k.filling.Lock()
	defer k.filling.Unlock()
	known := 0
	for known < len(batch) && uint64(batch[known].Seq) <= k.resumed.Load() {
		known++
	}
	if known == len(batch) {
		return known, nil
	}
	first := batch[known].Seq
	if at := archive.Last(); at+1 < first {
		k.logger.WarnContext(ctx, "the archive holds less of the log than it was given; filling it again", "archived", at, "last", first-1)
	}
	if err := k.fill(ctx, archive, first); err != nil {
		return known, fmt.Errorf("fill the archive from the log: %w", err)
	}
	n, err := archive.Deliver(ctx, batch[known:])
	return known + n, err
}

// Fill stores now what the log holds and the archive does not, if the archive is open.
func (k *Keeper) Fill(ctx context.Context) error {
	archive, err := k.get()
	if err != nil {
		return nil // it will be filled when it is
	}
	state, err := k.log.State(ctx)
	if err != nil {
		return err
	}
	k.filling.Lock()
	defer k.filling.Unlock()
	return k.fill(ctx, archive, state.Last+1)
}

// fillPart is how many entries are taken from the log at once.
const fillPart = 1000

// fill stores what the log holds before a place and the archive does not.
func (k *Keeper) fill(ctx context.Context, archive Opened, before fedmsg.Seq) error {
	at := archive.Last()
	if at+1 >= before {
		return nil
	}
	for told := time.Now(); at+1 < before; {
		entries, next, err := k.log.Page(ctx, at, fillPart)
		if errors.Is(err, fedmsg.ErrTooOld) {
			state, err := k.log.State(ctx)
			if err != nil {
				return err
			}
			if at+1 >= state.First {
				continue
			}
			k.logger.ErrorContext(ctx, "the log does not hold all that the archive lacks", "archived", at, "first", state.First)
			at = state.First - 1
			continue
		}
		if err != nil {
			return err
		}
		for i, e := range entries {
			if e.Seq >= before {
				entries, next = entries[:i], before-1
				break
			}
		}
		if _, err := archive.Deliver(ctx, entries); err != nil {
			return err
		}
		if next <= at {
			break
		}
		if at = next; time.Since(told) > 5*time.Second {
			told = time.Now()
			k.logger.InfoContext(ctx, "filling the archive from the log", "archived", at, "last", before-1)
		}
	}
	return nil
}

// Cursors returns cursors that are never further than the archive is.
func (k *Keeper) Cursors(saved fedmsg.Cursors) fedmsg.Cursors { return cursors{saved, k} }

type cursors struct {
	fedmsg.Cursors
	keeper *Keeper
}

func (c cursors) Load(ctx context.Context, name string) (fedmsg.Seq, error) {
	at, err := c.Cursors.Load(ctx, name)
	archive, closed := c.keeper.get()
	if err != nil || closed != nil {
		return at, err
	}
	state, err := c.keeper.log.State(ctx)
	if last := archive.Last(); err == nil && at < state.First-1 && state.First-1 <= last {
		return state.First - 1, nil // the archive has what is before
	}
	if last := archive.Last(); last < at {
		c.keeper.logger.WarnContext(ctx, "the archive holds less of the log than it was given; filling it again", "archived", last, "last", at)
		return last, nil
	}
	return at, nil
}

// Last returns the place up to which the archive holds the log; 0 while it is not
// open.
func (k *Keeper) Last() fedmsg.Seq {
	archive, err := k.get()
	if err != nil {
		return 0
	}
	return archive.Last()
}

// Find finds a message. See [fedmsg.Finder].
func (k *Keeper) Find(ctx context.Context, id string) (fedmsg.Entry, error) {
	archive, err := k.get()
	if err != nil {
		return fedmsg.Entry{}, err
	}
	return archive.Find(ctx, id)
}

// Search answers a query. See [fedmsg.Archive].
func (k *Keeper) Search(ctx context.Context, q fedmsg.Query) (fedmsg.Page, error) {
	archive, err := k.get()
	if err != nil {
		return fedmsg.Page{}, err
	}
	return archive.Search(ctx, q)
}

// Count counts. See [fedmsg.Counter].
func (k *Keeper) Count(ctx context.Context, q fedmsg.Query, by fedmsg.Grouping) (fedmsg.Counts, error) {
	archive, err := k.get()
	if err != nil {
		return fedmsg.Counts{}, err
	}
	return archive.Count(ctx, q, by)
}

// Facets counts by several fields, each as Count does: in one pass if the archive can.
func (k *Keeper) Facets(ctx context.Context, q fedmsg.Query, limit int, fields ...fedmsg.Field) (all []fedmsg.Counts, err error) {
	archive, err := k.get()
	if err != nil {
		return nil, err
	}
	if a, can := archive.(interface {
		Facets(ctx context.Context, q fedmsg.Query, limit int, fields ...fedmsg.Field) ([]fedmsg.Counts, error)
	}); can {
		return a.Facets(ctx, q, limit, fields...)
	}
	for _, field := range fields {
		counts, err := archive.Count(ctx, q, fedmsg.Grouping{Field: field, Limit: limit})
		if err != nil {
			return nil, err
		}
		all = append(all, counts)
	}
	return all, nil
}

// Terms lists values. See [fedmsg.Counter].
func (k *Keeper) Terms(ctx context.Context, f fedmsg.Field, prefix string, limit int) ([]fedmsg.Term, error) {
	archive, err := k.get()
	if err != nil {
		return nil, err
	}
	return archive.Terms(ctx, f, prefix, limit)
}

// Read reads by places in the log. See [fedmsg.Reader]. While the archive is not open
// the error is [fedmsg.ErrTooOld], so that who follows the bus goes on where the log
// begins, as without an archive.
func (k *Keeper) Read(ctx context.Context, after fedmsg.Seq, want ...fedmsg.Pattern) iter.Seq2[[]fedmsg.Entry, error] {
	archive, err := k.get()
	if err != nil {
		return func(yield func([]fedmsg.Entry, error) bool) {
			yield(nil, fmt.Errorf("read after %d: the archive is not open: %w", after, fedmsg.ErrTooOld))
		}
	}
	return archive.Read(ctx, after, want...)
}

// Page reads by places in the log, as [Keeper.Read].
func (k *Keeper) Page(ctx context.Context, after fedmsg.Seq, limit int, want ...fedmsg.Pattern) ([]fedmsg.Entry, fedmsg.Seq, error) {
	archive, err := k.get()
	if err != nil {
		return nil, after, fmt.Errorf("page after %d: the archive is not open: %w", after, fedmsg.ErrTooOld)
	}
	return archive.Page(ctx, after, limit, want...)
}

// Samples yields the metrics of the archive, and whether it is open.
func (k *Keeper) Samples() iter.Seq[fedmsg.Sample] {
	return func(yield func(fedmsg.Sample) bool) {
		archive, err := k.get()
		up := 1.0
		if err != nil {
			up = 0
		}
		if yield(fedmsg.Sample{Name: "archive_up", Value: up}) && err == nil {
			archive.Samples()(yield)
		}
	}
}
