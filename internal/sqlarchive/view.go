package sqlarchive

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/segment"
)

// A view is the archive as it was at one moment. It must be closed.
type view struct {
	segments []*segment.Segment // the newest first
	a        *Archive
	ctx      context.Context
	borrowed map[*segment.Segment]*segment.Session
	used     []*segment.Segment // held
	first    *segment.Session   // whose connection others may share
}

// view makes a view. Segments that are being written to are held as they are now;
// the others when they are asked for.
func (a *Archive) view(ctx context.Context) (*view, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	a.commits.RLock()
	defer a.commits.RUnlock()
	a.mu.RLock()
	v := &view{segments: a.segments, a: a, ctx: ctx, borrowed: make(map[*segment.Segment]*segment.Session)}
	closed := a.closed
	a.mu.RUnlock()
	if closed {
		return nil, errClosed
	}
	for _, s := range v.segments {
		if !s.Hot.Load() {
			continue
		}
		if _, err := v.session(s); err != nil {
			v.close()
			return nil, unavailable(ctx, err)
		}
	}
	return v, nil
}

// session returns the session of a segment; nil if the segment was removed.
func (v *view) session(s *segment.Segment) (*segment.Session, error) {
	if borrowed, ok := v.borrowed[s]; ok {
		return borrowed, nil
	}
	if err := context.Cause(v.ctx); err != nil {
		return nil, err
	}
	s.Use.RLock()
	if s.Gone {
		s.Use.RUnlock()
		return nil, nil
	}
	borrowed, err := s.Join(v.first), error(nil)
	if borrowed == nil {
		if borrowed, err = s.Borrow(v.ctx); err == nil {
			if err = borrowed.Begin(); err != nil {
				s.GiveBack(borrowed, true)
			}
		}
	}
	if err != nil {
		s.Use.RUnlock()
		return nil, fmt.Errorf("segment %s: %w", s.Month, err)
	}
	v.first = cmp.Or(v.first, borrowed)
	v.borrowed[s] = borrowed
	v.used = append(v.used, s)
	return borrowed, nil
}

func (v *view) close() {
	for _, s := range slices.Backward(v.used) { // the first last
		borrowed := v.borrowed[s]
		s.GiveBack(borrowed, borrowed.End("COMMIT") != nil)
		s.Use.RUnlock()
	}
}

// each calls visit with the segments that have keys in a range, in order of time,
// the newest first or last, until it returns false.
func (v *view) each(from, to int64, oldestFirst bool, visit func(p segment.Part) (bool, error)) error {
	for i := range v.segments {
		s := v.segments[i]
		if oldestFirst {
			s = v.segments[len(v.segments)-1-i]
		}
		if s.To <= from || s.From >= to {
			continue
		}
		borrowed, err := v.session(s)
		if err != nil {
			return err
		}
		if borrowed == nil {
			continue
		}
		more, err := visit(segment.Part{Segment: s, Session: borrowed})
		if err != nil {
			return fmt.Errorf("segment %s: %w", s.Month, err)
		}
		if !more {
			return nil
		}
	}
	return nil
}
