package sqlarchive

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/segment"
)

// Find returns the entry with this ID. See [fedmsg.Finder].
func (a *Archive) Find(ctx context.Context, id string) (found fedmsg.Entry, err error) {
	v, err := a.view(ctx)
	if err == nil {
		defer v.close()
		missing := true
		err = v.each(0, segment.MaxKey, false, func(p segment.Part) (bool, error) {
			rows, err := p.Stored(segment.UID(id))
			for _, r := range rows[segment.UID(id)] {
				if err != nil || !missing {
					break
				}
				var e fedmsg.Entry
				if e, err = p.Entry(r, nil, a.epoch); err == nil && e.Message.ID == id {
					found, missing = e, false
				}
			}
			return missing, err
		})
		if err == nil && missing {
			err = fedmsg.ErrNotFound
		}
	}
	if err != nil {
		return fedmsg.Entry{}, fmt.Errorf("find %.150q: %w", id, unavailable(ctx, err))
	}
	return found, nil
}

// Bounds of what Read yields at once and looks at for it, in entries.
const (
	readBatch = 256
	readLook  = 2048
)

// Read yields the entries after a place in the log, and goes on with those that
// are delivered. See [fedmsg.Reader]. Messages without a place in the present log,
// those that were imported or came from one before it, do not occur. The error is
// [fedmsg.ErrTooOld] if all of what comes next was in segments that were removed;
// a late message that was removed with the month in which it says it was sent is
// not missed.
func (a *Archive) Read(ctx context.Context, after fedmsg.Seq, want ...fedmsg.Pattern) iter.Seq2[[]fedmsg.Entry, error] {
	return func(yield func([]fedmsg.Entry, error) bool) {
		at := segment.MakePlace(a.epoch, after)
		if after == 0 {
			at = a.epoch << segment.SeqBits
		}
		fail := func(err error) {
			yield(nil, fmt.Errorf("read after %d: %w", at&(1<<segment.SeqBits-1), unavailable(ctx, err)))
		}
		if last := a.last.Load(); at > last {
			fail(fmt.Errorf("the archive ends at %d: %w", segment.PlaceSeq(a.epoch, last), fedmsg.ErrInvalid))
			return
		}
		for {
			a.mu.RLock()
			news := a.news
			a.mu.RUnlock()
			batch, next, err := a.page(ctx, at, want)
			if err != nil {
				fail(err)
				return
			}
			at = max(at, next)
			if len(batch) > 0 {
				if !yield(batch, nil) {
					return
				}
			} else if at >= a.last.Load() {
				select {
				case <-news:
				case <-ctx.Done():
				}
			}
		}
	}
}

// Page returns at once what there is after a place in the log. See [fedmsg.Log].
func (a *Archive) Page(ctx context.Context, after fedmsg.Seq, limit int, want ...fedmsg.Pattern) ([]fedmsg.Entry, fedmsg.Seq, error) {
	at, last := a.epoch<<segment.SeqBits|int64(after), a.last.Load()
	batch, next, err := []fedmsg.Entry(nil), at, error(nil)
	if at > last {
		err = fmt.Errorf("the archive ends at %d: %w", segment.PlaceSeq(a.epoch, last), fedmsg.ErrInvalid)
	} else {
		batch, next, err = a.page(ctx, at, want)
	}
	if err != nil {
		return nil, after, fmt.Errorf("page after %d: %w", after, unavailable(ctx, err))
	}
	if limit = max(limit, 1); len(batch) > limit {
		batch = batch[:limit]
		next = segment.MakePlace(a.epoch, batch[limit-1].Seq)
	}
	return batch, max(after, segment.PlaceSeq(a.epoch, next)), nil
}

// page returns some entries after a place, and the last place that was looked at.
func (a *Archive) page(ctx context.Context, at int64, want []fedmsg.Pattern) (batch []fedmsg.Entry, next int64, err error) {
	v, err := a.view(ctx)
	if err != nil {
		return nil, at, err
	}
	defer v.close()
	if floor := a.floor.Load(); at < floor {
		return nil, at, fmt.Errorf("entries up to %d were removed: %w", segment.PlaceSeq(a.epoch, floor), fedmsg.ErrTooOld)
	}
	// Each segment tells what it has, up to a place: what all have told is complete.
	next = a.last.Load()
	type candidate struct {
		p        segment.Part
		place, k int64
	}
	var found []candidate
	err = v.each(0, segment.MaxKey, false, func(p segment.Part) (bool, error) {
		if p.Places[1].Load() <= at || p.Places[0].Load() > next {
			return true, nil
		}
		var topics map[int64]bool
		if len(want) > 0 {
			topics = make(map[int64]bool)
			for _, id := range p.Names(segment.TopicKind, func(topic string) bool { return fedmsg.MatchAny(want, fedmsg.Topic(topic)) }) {
				topics[id] = true
			}
		}
		looked, last := 0, at
		err := p.Query("SELECT place, k, topic FROM {msg} WHERE place > ? AND place <= ? ORDER BY place LIMIT ?", []any{at, next, readLook}, func(rows *sql.Rows) error {
			c := candidate{p: p}
			var topic int64
			err := rows.Scan(&c.place, &c.k, &topic)
			looked++
			last = c.place
			if topics == nil || topics[topic] {
				found = append(found, c)
			}
			return err
		})
		if looked == readLook {
			next = min(next, last)
		}
		return true, err
	})
	if err != nil {
		return nil, at, err
	}
	slices.SortFunc(found, func(a, b candidate) int { return cmp.Compare(a.place, b.place) })
	size := 0
	for _, c := range found {
		if c.place > next {
			break
		}
		if len(batch) == readBatch || size > maxPageBytes {
			next = max(at, segment.MakePlace(a.epoch, batch[len(batch)-1].Seq))
			break
		}
		rows, err := c.p.Fetch([]int64{c.k}, true)
		if err != nil {
			return nil, at, err
		}
		for _, r := range rows {
			e, err := c.p.Entry(r, nil, a.epoch)
			if err != nil {
				return nil, at, err
			}
			size += len(r.Body)
			batch = append(batch, e)
		}
	}
	if err := context.Cause(ctx); err != nil {
		return nil, at, err
	}
	return batch, next, nil
}

// Last returns how far the log was stored.
func (a *Archive) Last() fedmsg.Seq { return segment.PlaceSeq(a.epoch, a.last.Load()) }

var errStop = errors.New("enough")
