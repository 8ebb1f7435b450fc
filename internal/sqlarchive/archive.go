// Package sqlarchive is an archive in a database that speaks SQL. What databases
// do differently stands in a [segment.Dialect] and a [segment.Store]; the rest is
// here once, so that all archives find the same.
//
// # Segments
//
// The messages of one month, by their own times, lie in one segment: a set of
// tables that is complete in itself. Questions go from segment to segment, the
// newest first. All that one batch changes in a segment is changed in one
// transaction: rows, posting lists, words, counts.
//
// # Keys
//
// What is sorted is sorted by the time key: messages, the posting list of each
// term, the text index. So a page is the end of a list, the next page
// begins where the last one ended, and nothing is counted or skipped to find it.
//
// # Promises
//
//   - Deliver may be repeated: a message with a known ID is not stored again. It
//     returns when what it took is on disk.
//   - Counts are changed with what they count: after a crash at any moment they are
//     equal, which [Archive.Verify] checks.
//   - A question costs what its rarest condition costs, and has a budget: what was
//     found until then is the answer, with a cursor that goes on.
package sqlarchive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/segment"
)

// Config says how an archive works.
type Config struct {
	// Describer finds the words that messages are found by. Default: none, and then
	// no message has an agent, users, packages or objects.
	Describer fedmsg.Describer
	// Epoch is that of the log whose entries are delivered; see [fedmsg.LogState].
	// Default: the newest that the archive has had entries of.
	Epoch string
	// Budget is how long one question may take. Default 250ms.
	Budget time.Duration
	// Candidates is how many messages one question may look at. Default 200,000.
	Candidates int
}

func (c Config) withDefaults() Config {
	c.Budget = cmp.Or(c.Budget, 250*time.Millisecond)
	c.Candidates = cmp.Or(c.Candidates, 200_000)
	return c
}

// Archive is an archive in a Store. [Open] makes one.
type Archive struct {
	cfg     Config
	store   segment.Store
	dialect *segment.Dialect
	logger  *slog.Logger
	epoch   int64 // the number of cfg.Epoch

	mu       sync.RWMutex
	segments []*segment.Segment // the newest first
	closed   bool
	news     chan struct{} // closed when there is something new

	writing  sync.Mutex   // held by who changes something
	commits  sync.RWMutex // held while what is seen changes
	revising sync.Mutex   // held by who finds words anew
	ahead    atomic.Pointer[ahead]
	last     atomic.Int64 // place up to which all is stored
	floor    atomic.Int64 // place up to which something was removed

	ingest     *fedmsg.Histogram
	stored     atomic.Uint64
	duplicates atomic.Uint64
	conflicts  atomic.Uint64
	looked     atomic.Uint64 // by who asked

	redescribed atomic.Uint64
	stale       atomic.Int64 // messages that are yet to be found by other rules
	unsaid      int          // transactions since it was stored how far that is; of who holds writing
	told        time.Time    // when a conflict was logged
}

var (
	_ fedmsg.Archive = (*Archive)(nil)
	_ fedmsg.Counter = (*Archive)(nil)
	_ fedmsg.Meter   = (*Archive)(nil)
)

// Open opens an archive. It must be closed. Errors to test for: [ErrNewer],
// [ErrDamaged].
func Open(ctx context.Context, cfg Config, store segment.Store, dialect *segment.Dialect, logger *slog.Logger) (*Archive, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	a := &Archive{cfg: cfg.withDefaults(), store: store, dialect: dialect, logger: logger,
		news: make(chan struct{}), ingest: fedmsg.NewHistogram("archive_ingest_duration_seconds")}
	months, err := store.Months(ctx)
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	slices.Sort(months)
	for _, month := range months {
		s, err := segment.OpenSegment(ctx, store, dialect, month)
		if err != nil {
			return nil, fmt.Errorf("archive: %w", errors.Join(err, a.Close()))
		}
		a.segments = slices.Insert(a.segments, 0, s)
	}
	if err := a.orient(ctx); err != nil {
		return nil, fmt.Errorf("archive: %w", errors.Join(err, a.Close()))
	}
	return a, nil
}

// orient finds the number of the epoch, and how far its log was stored.
func (a *Archive) orient(ctx context.Context) error {
	known := make(map[int64]string)
	for _, s := range a.segments {
		maps.Copy(known, s.Epochs)
	}
	newest, found := int64(0), int64(0)
	for number, word := range known {
		newest = max(newest, number)
		if word == a.cfg.Epoch {
			found = number
		}
	}
	if a.epoch = cmp.Or(found, newest+1); a.cfg.Epoch == "" && newest > 0 {
		a.epoch, a.cfg.Epoch = newest, known[newest]
	}
	a.last.Store(segment.MakePlace(a.epoch, 0))
	for _, s := range a.segments {
		for name, into := range map[string]*atomic.Int64{"upto": &a.last, "floor": &a.floor} {
			n, _ := strconv.ParseInt(s.Meta[fmt.Sprintf("%s.%d", name, a.epoch)], 10, 64)
			into.Store(max(into.Load(), n))
		}
		if err := s.Measure(ctx, a.epoch); err != nil {
			return fmt.Errorf("segment %s: %w", s.Month, err)
		}
	}
	return nil
}

// errClosed is what callers of a closed archive get.
var errClosed = fedmsg.Refuse(fedmsg.LogUnavailable, "the archive is closed")

// Close waits for a delivery, and closes all segments. It may be called more than
// once.
func (a *Archive) Close() error {
	a.writing.Lock()
	defer a.writing.Unlock()
	a.mu.Lock()
	segments := a.segments
	if !a.closed {
		close(a.news)
	}
	a.segments, a.closed = nil, true
	a.mu.Unlock()
	var errs []error
	for _, s := range segments {
		s.Use.Lock() // waits for who asks
		s.Gone = true
		errs = append(errs, s.Close())
		s.Use.Unlock()
	}
	return errors.Join(errs...)
}

// open returns the segment of a month, and makes it if need be. The caller holds
// a.writing.
func (a *Archive) open(ctx context.Context, month string) (*segment.Segment, error) {
	a.mu.RLock()
	at, found := slices.BinarySearchFunc(a.segments, month, func(s *segment.Segment, month string) int { return cmp.Compare(month, s.Month) })
	closed := a.closed
	a.mu.RUnlock()
	switch {
	case closed:
		return nil, errClosed
	case found:
		return a.segments[at], nil
	}
	s, err := segment.OpenSegment(ctx, a.store, a.dialect, month)
	if err != nil {
		return nil, err
	}
	if err := a.inherit(ctx, s, at); err != nil {
		a.logger.WarnContext(ctx, "no dictionary for the new month of the archive", "err", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.segments = slices.Insert(slices.Clone(a.segments), at, s)
	return s, nil
}

// all returns the segments that there are now, the newest first.
func (a *Archive) all() []*segment.Segment {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.segments
}

// Samples yields the metrics of the archive.
func (a *Archive) Samples() iter.Seq[fedmsg.Sample] {
	return func(yield func(fedmsg.Sample) bool) {
		var rows, size, segments int64
		for _, s := range a.all() {
			segments++
			rows += s.Rows.Load()
			size += s.Size.Load()
		}
		for _, s := range []fedmsg.Sample{
			{Name: "archive_messages", Value: float64(rows)},
			{Name: "archive_bytes", Value: float64(size)},
			{Name: "archive_segments", Value: float64(segments)},
			{Name: "archive_last_sequence", Value: float64(segment.PlaceSeq(a.epoch, a.last.Load()))},
			{Name: "archive_stored_total", Value: float64(a.stored.Load())},
			{Name: "archive_duplicates_total", Value: float64(a.duplicates.Load())},
			{Name: "archive_conflicts_total", Value: float64(a.conflicts.Load())},
			{Name: "archive_candidates_total", Value: float64(a.looked.Load())},
			{Name: "archive_stale_messages", Value: float64(a.stale.Load())},
			{Name: "archive_redescribed_total", Value: float64(a.redescribed.Load())},
		} {
			if !yield(s) {
				return
			}
		}
		a.ingest.Samples()(yield)
	}
}

// unavailable marks errors of the database as what may pass.
func unavailable(ctx context.Context, err error) error {
	switch {
	case err == nil || errors.Is(err, segment.ErrDamaged) || errors.Is(err, fedmsg.ErrInvalid) || errors.Is(err, fedmsg.ErrNotFound) ||
		errors.Is(err, fedmsg.ErrUnavailable) || errors.Is(err, fedmsg.ErrTooOld):
		return err
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", fedmsg.ErrUnavailable, err)
}
