package plan

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/segment"
)

// A Question is a query on its way through the segments. Places, as lists
// have them, are keys, or keys with the sign turned if the newest come first.
type Question struct {
	Ctx      context.Context
	Filter   fedmsg.Filter // in normal form
	From, To int64         // keys
	Oldest   bool          // first
	start    int64         // the first place
	whole    bool          // all that passes is asked for, and not a page

	deadline   time.Time
	candidates int // that may be looked at
	looked     int
	wide       int // how many may have been when lists give way to columns; 0 if they do not
}

// Ask makes a question of a query.
func Ask(ctx context.Context, q fedmsg.Query, budget time.Duration, candidates int) (*Question, error) {
	if err := validate(q.Filter); err != nil {
		return nil, err
	}
	asked := &Question{Ctx: ctx, Filter: normal(q.Filter, false), Oldest: q.OldestFirst,
		deadline: time.Now().Add(budget), candidates: candidates}
	asked.From, asked.To = segment.Bounds(q.Since, q.Until)
	asked.Begin()
	return asked, nil
}

// Begin sets the first place.
func (q *Question) Begin() {
	q.start = q.From
	if !q.Oldest {
		q.start = 1 - q.To
	}
}

func (q *Question) Place(k int64) int64 {
	if q.Oldest {
		return k
	}
	return -k
}

func (q *Question) Key(place int64) int64 { return q.Place(place) }

// Looked returns how many places the question looked at in lists.
func (q *Question) Looked() uint64 { return uint64(q.looked) }

// Spent reports whether the budget is. Time is looked at when there is something to
// show for it, so that on a slow machine a question still comes to its end, in
// parts.
func (q *Question) Spent() bool {
	return q.looked >= q.candidates || q.looked >= minLooked && time.Now().After(q.deadline)
}

const minLooked = 256

// manyLooked places in one segment, and what was looked for still not found: its
// columns tell sooner.
const manyLooked = 4096

// errWide ends the reading of lists that are too long for what is found in them.
var errWide = fmt.Errorf("%w by lists", ErrSpent)

// stored makes a list of what a statement selects: k, of three arguments besides
// those given: the least and the greatest key, and a limit.
func (q *Question) stored(p segment.Part, newest, oldest string, args ...any) *Stored {
	text := newest
	if q.Oldest {
		text = oldest
	}
	list := NewStored(func(from int64, limit int) ([]int64, error) {
		// The first look is always allowed: so each question goes on by some places.
		if from > q.start && q.Spent() {
			return nil, ErrSpent
		}
		if q.wide > 0 && q.looked >= q.wide {
			return nil, errWide
		}
		if err := context.Cause(q.Ctx); err != nil {
			return nil, err
		}
		low, high := max(q.From, p.From), min(q.To, p.To)-1
		if q.Oldest {
			low = max(low, from)
		} else {
			high = min(high, -from)
		}
		places := make([]int64, 0, limit)
		err := p.Query(text, append(slices.Clone(args), low, high, limit), func(rows *sql.Rows) error {
			var k int64
			err := rows.Scan(&k)
			places = append(places, q.Place(k))
			return err
		})
		q.looked += len(places)
		return places, err
	})
	if q.whole {
		list.most = wholeRead
	}
	return list
}

// postings is the list of a term.
func (q *Question) postings(p segment.Part, term int64) *Stored {
	return q.stored(p, "SELECT k FROM {post} WHERE term = ? AND k >= ? AND k <= ? ORDER BY k DESC LIMIT ?",
		"SELECT k FROM {post} WHERE term = ? AND k >= ? AND k <= ? ORDER BY k LIMIT ?", term)
}

// listed is where all is that passes a condition with terms: in their lists, and, of the
// messages that are not in all of these yet, in the columns.
func (q *Question) listed(p segment.Part, c *condition) (List, error) {
	reach, err := p.Reach()
	if err != nil {
		return nil, err
	}
	var lists []List
	after := int64(segment.MaxKey)
	for _, term := range c.terms {
		lists = append(lists, q.postings(p, term))
		after = min(after, reach.Of(term))
	}
	late := q.byColumns(p, &condition{op: fedmsg.Has, column: c.column, want: c.want}, after)
	return NewUnion(append(lists, late)...), nil
}

// wording finds messages that have words. How many there are is told by how far
// apart the first ones are.
func (q *Question) wording(p segment.Part, c *condition) (*source, error) {
	text := &p.Dialect.Text
	list := q.stored(p, text.Newest, text.Oldest, text.Match(c.words))
	n, last, all, err := list.Peek(q.start, peekWords)
	if errors.Is(err, ErrSpent) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	s := &source{list: list, cost: int64(n), exact: c.exact}
	if !all {
		first := q.start
		if q.Oldest {
			first = max(first, p.From)
		} else {
			first = max(first, 1-p.To)
		}
		s.apart = max(float64(last-first)/float64(n), 1)
		s.cost = int64(min(float64(p.Rows.Load()), float64(p.To-p.From)/s.apart))
	}
	return s, nil
}

// peekWords is how many messages with a word are read to tell how frequent it is.
const peekWords = 64

// byID finds a message.
func (q *Question) byID(p segment.Part, uid int64) (*source, error) {
	var list Fixed
	found, err := p.ByUID(uid)
	for _, f := range found {
		if f.K >= q.From && f.K < q.To {
			list = append(list, q.Place(f.K))
		}
	}
	slices.Sort(list)
	return &source{list: &list, cost: int64(len(list))}, err
}

// A Finding is a message that passes.
type Finding struct {
	Row *segment.Row
	M   *fedmsg.Message // if it was needed
}

// Bounds of how many messages are looked at together; of which the bodies must be
// read, fewer.
const (
	firstLook  = 32
	MostLook   = 512
	mostBodies = 128
)

// Search calls visit with what passes in one segment, in order, until it returns
// false. Full rows have their bodies. If the budget is spent it returns [ErrSpent]
// and the last place that was looked at.
func (q *Question) Search(p segment.Part, c *condition, full bool, look int, visit func(f Finding) bool) (last int64, err error) {
	if c.isConstant() && c.constant == no {
		return 0, nil
	}
	var s *source
	if !c.isConstant() {
		if s, err = c.source(q, p); err != nil {
			return 0, err
		}
	}
	if s == nil || s.cost > p.Rows.Load()/2 && !s.exact {
		s = &source{list: q.everything(p), exact: c.isConstant()}
	}
	light, heavy := c.needs()
	if _, told := c.kinds(); told && !c.isConstant() && (s.cost > manyLooked || !s.exact) {
		q.wide = q.looked + manyLooked
	}
	defer func() { q.wide = 0 }()
	most := MostLook
	if heavy && !s.exact {
		most = mostBodies
	}
	for from := q.start; ; look *= 2 {
		look = min(max(look, firstLook), most)
		places, settled, err := take(s.list, from, look)
		if err != nil && !errors.Is(err, ErrSpent) {
			return 0, err
		}
		keys := make([]int64, len(places))
		for i, place := range places {
			keys[i] = q.Key(place)
		}
		more, failed := q.pass(p, c, keys, s.exact, light, heavy, full, visit)
		switch {
		case failed != nil:
			return 0, failed
		case more && errors.Is(err, errWide):
			s, q.wide, from = &source{list: q.byColumns(p, c, -1), exact: true}, 0, settled
			continue
		case !more, err == nil && len(places) < look:
			return 0, nil
		case err != nil:
			return settled - 1, err
		}
		from = places[len(places)-1] + 1
		if q.Spent() {
			return from - 1, ErrSpent
		}
	}
}

// everything is the list of all messages of a segment.
func (q *Question) everything(p segment.Part) List {
	return q.stored(p, "SELECT k FROM {msg} WHERE k >= ? AND k <= ? ORDER BY k DESC LIMIT ?",
		"SELECT k FROM {msg} WHERE k >= ? AND k <= ? ORDER BY k LIMIT ?")
}

// take returns the next places of a list. With an error, settled is a place before
// which there are no others.
func take(list List, from int64, n int) (places []int64, settled int64, err error) {
	for len(places) < n {
		at, err := list.Next(from)
		if err != nil {
			return places, at, err
		}
		if at == End {
			break
		}
		places = append(places, at)
		from = at + 1
	}
	return places, from, nil
}

// pass calls visit with those of some messages that pass. More is false if visit
// was.
func (q *Question) pass(p segment.Part, c *condition, keys []int64, exact, light, heavy, full bool, visit func(f Finding) bool) (more bool, err error) {
	if err := context.Cause(q.Ctx); err != nil {
		return false, err
	}
	if exact {
		heavy = false
	} else if light {
		rows, err := p.Fetch(keys, false)
		if err != nil {
			return false, err
		}
		keys = keys[:0]
		rows = slices.DeleteFunc(rows, func(r *segment.Row) bool { return c.judge(r, nil) == no })
		if !full && !heavy {
			for _, r := range rows {
				if !visit(Finding{Row: r}) {
					return false, nil
				}
			}
			return true, nil
		}
		for _, r := range rows {
			keys = append(keys, r.K)
		}
	}
	// Bodies are large: no more of them at once than may be wanted.
	for some := range slices.Chunk(keys, firstLook) {
		rows, err := p.Fetch(some, full || heavy)
		if err != nil {
			return false, err
		}
		for _, r := range rows {
			f := Finding{Row: r}
			if heavy {
				if f.M, err = p.Codec.Decode(r.Enc, r.Body); err != nil {
					return false, err
				}
				if c.judge(r, f.M) != yes {
					continue
				}
			}
			if !visit(f) {
				return false, nil
			}
		}
	}
	return true, nil
}
