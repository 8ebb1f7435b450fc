package sqlarchive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/segment"
)

// compacted is what a segment says of itself when it was made small: how many messages it
// had then.
const compacted = "compacted"

// late is how long after its end a month may still grow: a gate takes messages of the last
// day.
const late = 48 * time.Hour

// errInUse says that a month cannot be replaced now.
var errInUse = fedmsg.Refuse(fedmsg.LogUnavailable, "somebody reads it, or wrote to it meanwhile")

// Compact makes a month small that will not grow any more, but for late messages.
// It takes as much room again while it works. Nobody waits for it; if somebody writes to
// the month meanwhile, or reads it in the end, nothing is done and the error wraps
// [fedmsg.ErrUnavailable].
func (a *Archive) Compact(ctx context.Context, month string) error {
	err := error(fedmsg.ErrNotFound)
	if at := slices.IndexFunc(a.all(), func(s *segment.Segment) bool { return s.Month == month }); at >= 0 {
		err = a.compact(ctx, a.all()[at])
	}
	if err != nil {
		return fmt.Errorf("compact: segment %s: %w", month, unavailable(ctx, err))
	}
	return nil
}

func (a *Archive) compact(ctx context.Context, s *segment.Segment) error {
	rows, err := a.settle(ctx, s)
	if err != nil {
		return err
	}
	if s.Tables.Compact == nil {
		err = s.Tidy(ctx)
	} else {
		err = a.replace(ctx, s, rows)
	}
	if err != nil {
		return err
	}
	a.writing.Lock()
	defer a.writing.Unlock()
	said := map[string]string{compacted: strconv.FormatInt(rows, 10)}
	_, err = segment.Transact(ctx, &a.commits, segment.Change{In: s, Do: func(w *segment.Writer) error { return w.Say(said) }, Then: func() { s.Keep(said) }})
	return errors.Join(err, s.Forget())
}

// settle brings up the lists of a segment, and lets go of what writes to it. It returns how
// many messages there are.
func (a *Archive) settle(ctx context.Context, s *segment.Segment) (rows int64, err error) {
	a.writing.Lock()
	defer a.writing.Unlock()
	if a.isGone(s) {
		return 0, fedmsg.ErrNotFound
	}
	_, err = segment.Transact(ctx, &a.commits, segment.Change{In: s, Do: (*segment.Writer).Settle})
	return s.Rows.Load(), errors.Join(err, s.Forget())
}

// replace puts a small copy in the place of a segment to which nobody writes.
func (a *Archive) replace(ctx context.Context, s *segment.Segment, rows int64) error {
	s.Use.RLock()
	if s.Gone {
		s.Use.RUnlock()
		return fedmsg.ErrNotFound
	}
	finish, err := s.Tables.Compact(ctx)
	s.Use.RUnlock()
	if err != nil {
		return err
	}
	a.writing.Lock()
	defer a.writing.Unlock()
	// A writer is there if something was written since.
	if a.isGone(s) || s.Writer != nil || s.Rows.Load() != rows || !s.Use.TryLock() {
		return errors.Join(errInUse, finish(false))
	}
	defer s.Use.Unlock()
	return s.Replace(ctx, a.store, func() error { return finish(true) })
}

// CompactOne makes the oldest month small that has ended a while before a time and is not
// small yet, and returns its name; "" if there is none.
func (a *Archive) CompactOne(ctx context.Context, now time.Time) (month string, err error) {
	all := a.all()
	for i, s := range slices.Backward(all) {
		if said, _ := s.Said(compacted); i == 0 || s.To > segment.FirstKey(now.Add(-late)) || said == strconv.FormatInt(s.Rows.Load(), 10) {
			continue
		}
		return s.Month, a.Compact(ctx, s.Month)
	}
	return "", nil
}

// Months are made small at a quiet time: when in compactEvery no more than quiet messages
// a second came.
const (
	compactEvery = 10 * time.Minute
	quiet        = 10
)

// tendMonths makes a month small, if it is time. stored is how many messages came since
// the last time.
func (a *Archive) tendMonths(ctx context.Context, stored uint64) {
	if stored > uint64(quiet*compactEvery.Seconds()) {
		return
	}
	began := time.Now()
	month, err := a.CompactOne(ctx, began)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		a.logger.WarnContext(ctx, "a month of the archive was not made small, will try again", "month", month, "wait", compactEvery, "err", err)
	case month != "":
		a.logger.InfoContext(ctx, "a month of the archive has ended, and was made small", "month", month, "took", time.Since(began).Round(time.Millisecond))
	}
}
