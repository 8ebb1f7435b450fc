package sqlarchive

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/segment"
)

// revisePart is how many messages are revised in one transaction: few, so that no
// delivery waits for long.
const revisePart = 500

// Redescribe finds anew what messages are found by, after the rules of the Describer
// changed; the newest first. At every moment lists and counts are right, and who
// searches and who delivers is held up by little. Progress is told how many messages
// were looked at, of how many; it may be nil. It returns how many are found
// otherwise now. Ended early, it does no harm and begins again.
func (a *Archive) Redescribe(ctx context.Context, progress func(done, total int64)) (changed int64, err error) {
	if !a.revising.TryLock() {
		return 0, fmt.Errorf("redescribe: it is under way: %w", fedmsg.ErrUnavailable)
	}
	defer a.revising.Unlock()
	var done, total int64
	segments := a.all()
	for _, s := range segments {
		total += s.Rows.Load()
	}
	for _, s := range segments {
		for before := int64(segment.MaxKey); ; {
			n, least, revised, err := a.revise(ctx, s, before)
			if err != nil {
				return changed, fmt.Errorf("redescribe: segment %s: %w", s.Month, unavailable(ctx, err))
			}
			if n == 0 {
				break
			}
			before, done, changed = least, done+n, changed+revised
			if progress != nil {
				progress(done, max(done, total))
			}
		}
	}
	return changed, nil
}

// revise revises the newest messages before a key, and returns how many it looked at,
// the least key of them, and how many are found otherwise now.
func (a *Archive) revise(ctx context.Context, s *segment.Segment, before int64) (n, least, changed int64, err error) {
	v, err := a.view(ctx)
	if err != nil {
		return 0, 0, 0, err
	}
	borrowed, err := v.session(s)
	if err != nil || borrowed == nil { // or the segment was removed
		v.close()
		return 0, 0, 0, err
	}
	rows, err := segment.Part{Segment: s, Session: borrowed}.Full(segment.FullColumns+"WHERE k < ? ORDER BY k DESC LIMIT ?", before, revisePart)
	v.close()
	if err != nil || len(rows) == 0 {
		return 0, 0, 0, err
	}
	revisions := make([]segment.Revision, len(rows))
	errs := make([]error, len(rows))
	var workers sync.WaitGroup
	for i := range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := i; i < len(rows); i += runtime.GOMAXPROCS(0) {
				var e fedmsg.Entry
				if e, errs[i] = s.Entry(rows[i], nil, a.epoch); errs[i] == nil {
					revisions[i].Row = rows[i]
					revisions[i].Terms, revisions[i].Lists = a.termsOf(ctx, e)
				}
			}
		})
	}
	workers.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, 0, 0, err
	}
	a.writing.Lock()
	defer a.writing.Unlock()
	if a.isGone(s) {
		return 0, 0, 0, nil
	}
	_, err = segment.Transact(ctx, &a.commits, segment.Change{In: s, Do: func(w *segment.Writer) (err error) {
		changed, err = w.Revise(revisions)
		return err
	}})
	return int64(len(rows)), rows[len(rows)-1].K, changed, err
}

// isGone reports whether a segment was removed, or everything closed. The caller
// holds a.writing.
func (a *Archive) isGone(s *segment.Segment) bool { return !slices.Contains(a.all(), s) }

// A Report is what [Archive.Verify] found.
type Report struct {
	Months   int
	Messages int64
	Faults   []string // what is wrong; the first few
}

// Verify reads everything, counts it anew, and compares; see [segment.Part.Verify].
// It takes minutes for millions of messages, and holds nobody up.
func (a *Archive) Verify(ctx context.Context) (r Report, err error) {
	for _, s := range a.all() {
		v, err := a.view(ctx) // each month by itself, so that no journal must be kept for long
		if err == nil {
			var messages int64
			var faults []string
			var borrowed *segment.Session
			if borrowed, err = v.session(s); borrowed != nil && err == nil {
				messages, faults, err = segment.Part{Segment: s, Session: borrowed}.Verify(ctx)
			}
			v.close()
			r.Months++
			r.Messages, r.Faults = r.Messages+messages, append(r.Faults, faults...)
		}
		if err != nil {
			return r, fmt.Errorf("verify: segment %s: %w", s.Month, unavailable(ctx, err))
		}
	}
	return r, nil
}

// Prune removes the months that ended at or before a time, whole, and returns their
// names. The newest month stays.
func (a *Archive) Prune(ctx context.Context, before time.Time) (removed []string, err error) {
	a.writing.Lock()
	defer a.writing.Unlock()
	all := a.all()
	_, bound := segment.Bounds(time.Time{}, before)
	at := len(all)
	for at > 1 && all[at-1].To <= bound {
		at--
	}
	if at >= len(all) {
		return nil, context.Cause(ctx)
	}
	keep, remove := all[:at], all[at:]
	if err := a.keepPlaces(ctx, keep, remove); err != nil {
		return nil, fmt.Errorf("prune: %w", unavailable(ctx, err))
	}
	a.mu.Lock()
	a.segments = keep
	a.mu.Unlock()
	var errs []error
	for _, s := range slices.Backward(remove) { // the oldest first
		s.Use.Lock() // waits for who asks
		s.Gone = true
		err := s.Close()
		s.Use.Unlock()
		if err = errors.Join(err, a.store.Remove(ctx, s.Month)); err != nil {
			errs = append(errs, fmt.Errorf("prune: segment %s: %w", s.Month, err))
			continue
		}
		removed = append(removed, s.Month)
	}
	return removed, errors.Join(errs...)
}

// keepPlaces stores in what stays how far the log was stored, and up to where it is
// missing now: before all that stays.
func (a *Archive) keepPlaces(ctx context.Context, keep, remove []*segment.Segment) error {
	least := (a.epoch + 1) << segment.SeqBits
	for _, s := range keep {
		if p := s.Places[0].Load(); p != 0 {
			least = min(least, p)
		}
	}
	floor := a.floor.Load()
	v, err := a.view(ctx)
	if err != nil {
		return err
	}
	for _, s := range remove {
		borrowed, err := v.session(s)
		if err == nil && borrowed != nil {
			var n int64
			n, err = borrowed.Number("SELECT coalesce(max(place), 0) FROM {msg} WHERE place > ? AND place < ?", a.epoch<<segment.SeqBits, least)
			floor = max(floor, n)
		}
		if err != nil {
			v.close()
			return err
		}
	}
	v.close()
	_, err = segment.Transact(ctx, &a.commits, segment.Change{In: keep[0], Do: func(w *segment.Writer) error {
		return errors.Join(w.SetPlace("floor", a.epoch, a.cfg.Epoch, floor), w.SetPlace("upto", a.epoch, a.cfg.Epoch, a.last.Load()))
	}})
	if err == nil {
		a.floor.Store(floor)
	}
	return err
}

// Compact makes a month small that will not grow any more, but for late messages.
// It takes as much room again while it works.
func (a *Archive) Compact(ctx context.Context, month string) error {
	for _, s := range a.all() {
		if s.Month != month {
			continue
		}
		a.writing.Lock()
		err := s.Forget()
		a.writing.Unlock()
		if err == nil {
			err = s.Tidy(ctx)
		}
		if err != nil {
			return fmt.Errorf("compact: segment %s: %w", month, unavailable(ctx, err))
		}
		return nil
	}
	return fmt.Errorf("compact: segment %s: %w", month, fedmsg.ErrNotFound)
}
