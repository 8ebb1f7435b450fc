package sqlarchive

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/plan"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/segment"
)

const (
	// defaultLimit is how many messages a page has if the query does not say.
	defaultLimit = 25
	// maxPageBytes ends a page, in bytes of messages as they are stored.
	maxPageBytes = 16 << 20
)

// Search returns a page. See [fedmsg.Archive]. A page is shorter than its limit if
// its messages are large; Next goes on. The error wraps [fedmsg.ErrInvalid] too if
// the limit is negative or the filter is none.
func (a *Archive) Search(ctx context.Context, q fedmsg.Query) (fedmsg.Page, error) {
	page, err := a.search(ctx, q)
	if err != nil {
		return fedmsg.Page{}, fmt.Errorf("search: %w", unavailable(ctx, err))
	}
	return page, nil
}

func (a *Archive) search(ctx context.Context, q fedmsg.Query) (page fedmsg.Page, err error) {
	limit := cmp.Or(q.Limit, defaultLimit)
	if limit < 0 {
		return page, fedmsg.RefuseField(fedmsg.BadField, "limit", "is %d; 0 stands for %d", limit, defaultLimit)
	}
	asked, err := plan.Ask(ctx, q, a.cfg.Budget, a.cfg.Candidates)
	if err != nil {
		return page, err
	}
	back, at, err := parseCursor(q)
	if err != nil {
		return page, err
	}
	if back {
		asked.Oldest = !asked.Oldest
	}
	if q.Cursor != "" {
		if asked.Oldest {
			asked.From = max(asked.From, at+1)
		} else {
			asked.To = min(asked.To, at)
		}
	}
	asked.Begin()
	v, err := a.view(ctx)
	if err != nil {
		return page, err
	}
	defer v.close()
	found, last, err := a.collect(asked, v, limit)
	a.looked.Add(asked.Looked())
	spent := errors.Is(err, plan.ErrSpent)
	if err != nil && !spent {
		return page, err
	}
	ahead, behind := "", "" // cursors in the direction of looking
	switch {
	case spent:
		page.ScannedTo = segment.KeyTime(max(asked.Key(last), 0))
		ahead = cursor(q, back, asked.Key(last))
	case len(found) > limit || last != 0:
		found = found[:min(limit, len(found))]
		ahead = cursor(q, back, found[len(found)-1].row.K)
	}
	if q.Cursor != "" && len(found) > 0 {
		behind = cursor(q, !back, found[0].row.K)
	}
	for _, f := range found {
		page.Entries = append(page.Entries, f.entry)
	}
	if page.Next, page.Prev = ahead, behind; back {
		page.Next, page.Prev = behind, ahead
		slices.Reverse(page.Entries)
	}
	return page, nil
}

// A cursor stands for a key and where to go on from there: forth, in the order of
// the query, or back.
//
//	version (1) | back (1) | k (8) | CRC-32 of all this and the query (4)
const cursorVersion = 1

func cursor(q fedmsg.Query, back bool, k int64) string {
	b := []byte{cursorVersion, 0}
	if back {
		b[1] = 1
	}
	b = binary.BigEndian.AppendUint64(b, uint64(k))
	whole := appendFilter(slices.Clone(b), q.Filter)
	for _, bound := range []time.Time{q.Since, q.Until} {
		ms := int64(-1)
		if !bound.IsZero() {
			ms = segment.ClampMillis(bound)
		}
		whole = binary.BigEndian.AppendUint64(whole, uint64(ms))
	}
	if q.OldestFirst {
		whole = append(whole, 1)
	}
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(whole)))
}

// appendFilter spells a filter, each in a way of its own.
func appendFilter(dst []byte, f fedmsg.Filter) []byte {
	dst = append(dst, byte(f.Op))
	if f.Op == fedmsg.Has {
		dst = append(dst, byte(f.Test.Relation))
		for _, text := range []string{string(f.Test.Field), f.Test.Path, f.Test.Value} {
			dst = append(binary.AppendUvarint(dst, uint64(len(text))), text...)
		}
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(len(f.Of)))
	for _, branch := range f.Of {
		dst = appendFilter(dst, branch)
	}
	return dst
}

func parseCursor(q fedmsg.Query) (back bool, k int64, err error) {
	if q.Cursor == "" {
		return false, 0, nil
	}
	const size = 2 + 8 + 4
	if len(q.Cursor) == base64.RawURLEncoding.EncodedLen(size) {
		if b, err := base64.RawURLEncoding.DecodeString(q.Cursor); err == nil {
			back, k = b[1] == 1, int64(binary.BigEndian.Uint64(b[2:]))
		}
	}
	if cursor(q, back, k) != q.Cursor {
		return false, 0, fedmsg.RefuseField(fedmsg.BadField, "cursor", "is none that this query gave")
	}
	return back, k, nil
}

// A hit is an entry of a page.
type hit struct {
	row   *segment.Row
	entry fedmsg.Entry
}

// collect finds one more than limit messages, if there are so many. If it ends
// early last is the last place that was looked at: with [plan.ErrSpent] for want of
// time, else since the page is large.
func (a *Archive) collect(q *plan.Question, v *view, limit int) (found []hit, last int64, err error) {
	size := 0
	err = v.each(q.From, q.To, q.Oldest, func(p segment.Part) (bool, error) {
		c, err := plan.Compile(p, q.Filter)
		if err != nil {
			return false, err
		}
		var failed error
		last, err = q.Search(p, c, true, min(limit, plan.MostLook)+1, func(f plan.Finding) bool {
			if len(found) == limit {
				found = append(found, hit{row: f.Row})
				return false
			}
			h := hit{row: f.Row}
			if h.entry, failed = p.Entry(f.Row, f.M, a.epoch); failed != nil {
				return false
			}
			found = append(found, h)
			if size += len(f.Row.Body); size > maxPageBytes {
				last = q.Place(f.Row.K)
				return false
			}
			f.Row.Body = nil
			return true
		})
		if failed != nil || err != nil {
			return false, cmp.Or(failed, err)
		}
		if size > maxPageBytes {
			last = q.Place(found[len(found)-1].row.K)
			return false, nil
		}
		if len(found) <= limit && q.Spent() {
			last = q.Place(p.From)
			if q.Oldest {
				last = p.To - 1
			}
			return false, plan.ErrSpent
		}
		return len(found) <= limit, nil
	})
	return found, last, err
}
