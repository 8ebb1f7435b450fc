package past

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"sync"
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

// following is what an archive tells of the log that it is fed from.
type following interface {
	// Last returns the place up to which it holds the log.
	Last() fedmsg.Seq
	io.Closer
}

// A shelf is a log that can be looked into.
type shelf interface {
	Page(ctx context.Context, after fedmsg.Seq, limit int, want ...fedmsg.Pattern) ([]fedmsg.Entry, fedmsg.Seq, error)
	State(ctx context.Context) (fedmsg.LogState, error)
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
	open   func(context.Context) (Opened, error)
	log    shelf
	logger *slog.Logger

	mu      sync.RWMutex
	archive Opened // nil while it is not open
	problem error  // why not
	ready   chan struct{}
	wait    time.Duration

	filling sync.Mutex
}

var (
	_ fedmsg.Archive = (*Keeper)(nil)
	_ fedmsg.Counter = (*Keeper)(nil)
	_ fedmsg.Meter   = (*Keeper)(nil)
)

// NewKeeper makes a keeper, and opens the archive if it can be opened now; else
// [Keeper.Problem] says why not. [Keeper.Run] or [Keeper.Close] must be called.
// logger may be nil.
func NewKeeper(ctx context.Context, open func(context.Context) (Opened, error), log shelf, logger *slog.Logger) *Keeper {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{open: open, log: log, logger: logger, ready: make(chan struct{}), wait: retryMin}
	k.try(ctx)
	return k
}

// try opens the archive.
func (k *Keeper) try(ctx context.Context) {
	archive, err := k.open(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.problem = err; err != nil {
		k.logger.ErrorContext(ctx, "the archive cannot be opened, and the bus goes on without history; will try again", "wait", k.wait, "err", err)
		return
	}
	k.archive = archive
	close(k.ready)
	if state, err := k.log.State(ctx); err == nil && archive.Last() > state.Last {
		k.logger.ErrorContext(ctx, "the log is behind the archive: it ends before places that it gave already", "archived", archive.Last(), "last", state.Last, "epoch", state.Epoch)
	}
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
	<-ctx.Done()
	return k.Close()
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

// get returns the archive if it is open.
func (k *Keeper) get() (Opened, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.archive == nil {
		return nil, fedmsg.Refuse(fedmsg.LogUnavailable, "there is no history now: the archive is not open")
	}
	return k.archive, nil
}

// Deliver stores entries, as soon as the archive is open. See [fedmsg.Sink].
func (k *Keeper) Deliver(ctx context.Context, batch []fedmsg.Entry) (int, error) {
	select {
	case <-k.ready:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	archive, err := k.get()
	if err != nil || len(batch) == 0 {
		return 0, err
	}
	k.filling.Lock()
	defer k.filling.Unlock()
	if err := k.fill(ctx, archive, batch[0].Seq); err != nil {
		return 0, fmt.Errorf("fill the archive from the log: %w", err)
	}
	return archive.Deliver(ctx, batch)
}

// fillPart is how many entries are taken from the log at once.
const fillPart = 1000

// fill stores what the log holds before a place and the archive does not.
func (k *Keeper) fill(ctx context.Context, archive Opened, before fedmsg.Seq) error {
	at := archive.Last()
	if at+1 >= before {
		return nil
	}
	k.logger.WarnContext(ctx, "the archive holds less of the log than it was given; filling it again", "archived", at, "last", before-1)
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
