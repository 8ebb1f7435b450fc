package sqlarchive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/segment"
)

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
