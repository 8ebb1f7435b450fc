package plan

import (
	"cmp"
	"context"
	"database/sql"
	"slices"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/segment"
)

// A Tallying is a count that is under way, of several kinds of terms at once.
type Tallying struct {
	*Question
	Kinds []int64 // what is counted by each; 0 stands for all together
	Step  int64   // in milliseconds; 0 does not part
	parts []tallied
}

// tallied is what was counted in one segment, of each kind.
type tallied struct {
	segment.Part
	of []counted
}

// A counted is how many messages there are of terms: in all, by their numbers, and,
// if they are parted, in steps of time. The term 0 stands for all together.
type counted struct {
	totals  []int64
	stepped bool
	cells   [][]cell // in pieces; of one step and term there may be several
}

type cell struct{ at, term, n int64 }

// pieceOf is how many cells there are in a piece.
const pieceOf = 2048

func (c *counted) add(term, at, n int64) {
	if int(term) >= len(c.totals) {
		c.totals = append(c.totals, make([]int64, int(term)+1)...)
	}
	c.totals[term] += n
	if !c.stepped {
		return
	}
	last := len(c.cells) - 1
	if last < 0 || len(c.cells[last]) == pieceOf {
		c.cells, last = append(c.cells, make([]cell, 0, pieceOf)), last+1
	}
	c.cells[last] = append(c.cells[last], cell{at, term, n})
}

// Segment counts in one segment: what it can by rollups, if these are the shorter way,
// and all else by columns or by messages.
func (t *Tallying) Segment(p segment.Part, c *condition) error {
	if c.isConstant() && c.constant == no {
		return nil
	}
	part := tallied{Part: p, of: make([]counted, len(t.Kinds))}
	for i := range part.of {
		part.of[i].stepped = t.Step > 0
	}
	t.parts = append(t.parts, part)
	from, to := max(t.From, p.From), min(t.To, p.To)
	var rest []*counting
	for i, kind := range t.Kinds {
		one := &counting{into: &part.of[i], kind: kind, at: -1}
		units := t.rollups(c, kind)
		if !slices.ContainsFunc(units, func(unit int64) bool { _, _, worth := t.worth(p, c, kind, unit, from, to); return worth }) {
			rest = append(rest, one)
			continue
		}
		if err := t.byRollups(p, c, one, units, from, to); err != nil {
			return err
		}
	}
	return t.each(p, c, from, to, rest...)
}

// byRollups counts by rollups of some units, the longest first, and what they leave at
// the ends of the range by columns or by messages.
func (t *Tallying) byRollups(p segment.Part, c *condition, one *counting, units []int64, from, to int64) error {
	for i, unit := range units {
		first, last, worth := t.worth(p, c, one.kind, unit, from, to)
		if !worth {
			continue
		}
		err := t.rolled(p, c, one, unit, first, last)
		for _, end := range [][2]int64{{from, first}, {last, to}} {
			if err == nil {
				err = t.byRollups(p, c, one, units[i+1:], end[0], end[1])
			}
		}
		return err
	}
	return t.each(p, c, from, to, one)
}

// rollups returns the units, in milliseconds, of the rollups that answer, the longest
// first: there are some if the condition is everything, or one topic, category or other
// term, and it is parted by the same kind or by none.
func (t *Tallying) rollups(c *condition, by int64) (units []int64) {
	kind, single := by, c.isConstant()
	if !single {
		if c.op != fedmsg.Has || c.not || !c.exact || c.column == 0 || by != 0 && by != c.kind {
			return nil
		}
		if kind = c.kind; kind > segment.CategoryKind && len(c.terms) == 0 {
			return nil
		}
	}
	if by > segment.CategoryKind && by != segment.AgentKind && !single {
		return nil // of a message with one user the other users count, too
	}
	if t.Step%segment.DayMillis == 0 {
		units = append(units, segment.DayMillis)
	}
	if kind <= segment.CategoryKind && t.Step%segment.HourMillis == 0 {
		units = append(units, segment.HourMillis)
	}
	return units
}

// About what it costs, in nanoseconds, to look for a term in a step of a rollup, to
// read a row of one, and to count a message by columns.
const (
	seekCost   = 4000
	rollCost   = 500
	columnCost = 8
)

// worth returns the whole units in a range of keys, and reports whether to read a
// rollup of them is less than to read columns.
func (t *Tallying) worth(p segment.Part, c *condition, by, unit, from, to int64) (first, last int64, is bool) {
	whole := unit << segment.SerialBits
	first, last = (from+whole-1)/whole*whole, to/whole*whole
	columns := float64(p.Rows.Load()) * float64(last-first) / float64(p.To-p.From) * columnCost
	steps := float64((last - first) >> segment.SerialBits / unit)
	switch {
	case first >= last:
		return first, last, false
	case !c.isConstant():
		return first, last, t.isAll(p, first, last) || steps*float64(max(1, len(c.terms)))*seekCost < columns
	case by > segment.AgentKind: // there are about as many rows as messages
		return first, last, false
	case t.isAll(p, first, last):
		return first, last, true
	case by == segment.AgentKind:
		return first, last, false
	}
	return first, last, steps*float64(p.TopicCount())*rollCost < columns
}

// isAll reports whether a range has all of a segment, and is not parted: then the
// totals of terms answer.
func (t *Tallying) isAll(p segment.Part, from, to int64) bool {
	return t.Step == 0 && from == p.From && to == p.To
}

// rolled counts by a rollup, in a range of whole units.
func (t *Tallying) rolled(p segment.Part, c *condition, one *counting, unit, from, to int64) error {
	if !c.isConstant() && one.kind == 0 && len(c.terms) > 0 && t.isAll(p, from, to) {
		one.into.add(0, 0, c.cost)
		return nil
	}
	table, step := "{roll_hour}", "hour"
	if unit == segment.DayMillis {
		table, step = "{roll_day}", "day"
	}
	kind := cmp.Or(one.kind, c.kind, segment.CategoryKind)
	first, last := from>>segment.SerialBits/unit, to>>segment.SerialBits/unit-1
	// What need not be told apart the database adds up.
	columns, group := step+", term, n", ""
	switch {
	case one.kind == 0:
		columns, group = step+", 0, sum(n)", " GROUP BY "+step
	case t.Step == 0:
		columns, group = "0, term, sum(n)", " GROUP BY term"
	}
	text := "SELECT " + columns + " FROM " + table + " WHERE kind = ? AND " + step + " >= ? AND " + step + " <= ?"
	args := []any{kind, first, last}
	switch {
	case c.isConstant() && t.isAll(p, from, to):
		text, args, group = "SELECT 0, id, n FROM {term} WHERE kind = ? AND n > 0", []any{kind}, ""
	case c.isConstant():
	case len(c.terms) == 1: // a look for each step is less than all terms of all steps
		text = "WITH RECURSIVE steps(s) AS (SELECT CAST(? AS {int}) UNION ALL SELECT s + 1 FROM steps WHERE s < ?)" +
			" SELECT r." + step + ", r.term, r.n FROM steps CROSS JOIN " + table + " r WHERE r.kind = ? AND r." + step + " = s AND r.term = ?"
		args, group = []any{first, last, kind, c.terms[0]}, ""
	default:
		text += " AND term IN (" + segment.Marks(segment.Padded(len(c.terms)), 1) + ")"
		args = append(args, segment.Pad(c.terms)...)
	}
	return p.Query(text+group, args, func(rows *sql.Rows) error {
		var at, term, n int64
		err := rows.Scan(&at, &term, &n)
		if one.kind == 0 {
			term = 0
		}
		one.into.add(term, t.begin(at*unit), n)
		return err
	})
}

// begin returns when the step of a moment began.
func (t *Tallying) begin(ms int64) int64 {
	if t.Step == 0 {
		return 0
	}
	return ms - ms%t.Step
}

// each counts message by message, in a range of keys.
func (t *Tallying) each(p segment.Part, c *condition, from, to int64, into ...*counting) error {
	if from >= to || len(into) == 0 {
		return nil
	}
	q := *t.Question
	q.From, q.To, q.whole = from, to, true
	q.Begin()
	defer func() { t.looked = q.looked }()
	alone := len(into) == 1 && into[0].kind == 0
	if _, told := c.kinds(); told {
		s, err := c.source(&q, p)
		if err != nil {
			return err
		}
		if s == nil || s.cost > few(p, alone && s.exact && c.op != fedmsg.All) {
			return t.byColumns(&q, p, c, nil, into)
		}
	} else if texts, rest, ok := c.wordy(); ok && alone && len(c.of) == 0 {
		return t.countWords(&q, p, c, into[0])
	} else if ok {
		return t.byWords(&q, p, texts, rest, into)
	}
	if alone {
		return q.keys(p, c, func(k int64) { into[0].into.add(0, t.begin(k>>segment.SerialBits), 1) })
	}
	_, err := q.Search(p, c, false, MostLook, func(f Finding) bool {
		for _, one := range into {
			at := t.begin(f.Row.K >> segment.SerialBits)
			if one.kind == 0 {
				one.into.add(0, at, 1)
				continue
			}
			for _, term := range f.Row.Values(one.kind) {
				one.into.add(term, at, 1)
			}
		}
		return true
	})
	return err
}

// Bounds of how many messages with some words are counted by one look into the text
// index, about: what is counted is not interrupted, and to read as many keys of fewer
// takes no longer than to look.
const (
	mostWords  = 1 << 16
	leastWords = 2048
)

// countWords counts what has some words: the text index counts in pieces of time, if there
// is enough in each of them.
func (t *Tallying) countWords(q *Question, p segment.Part, c *condition, into *counting) error {
	s, err := q.wording(p, c)
	if err != nil {
		return err
	}
	from, to := max(q.From, p.From), min(q.To, p.To)
	piece := min(to-from, int64(mostWords*s.apart))
	if t.Step > 0 {
		piece = min(piece, t.Step<<segment.SerialBits)
	}
	if s.apart == 0 || float64(piece) < leastWords*s.apart {
		return q.walk(s.list, func(k int64) { into.into.add(0, t.begin(k>>segment.SerialBits), 1) })
	}
	text := "SELECT count(*) FROM (" + p.Dialect.Text.Oldest + ") AS found"
	for to > from {
		if err := context.Cause(q.Ctx); err != nil {
			return err
		}
		if to < q.To && q.Spent() {
			return ErrSpent
		}
		at := t.begin((to - 1) >> segment.SerialBits)
		low := max(from, to-piece, at<<segment.SerialBits)
		n, err := p.Number(text, p.Dialect.Text.Match(c.words), low, to-1, segment.MaxKey)
		if err != nil {
			return err
		}
		if n > 0 {
			into.into.add(0, at, n)
		}
		to, q.looked = low, q.looked+1+int(n)/wordLooks
	}
	return nil
}

// wordLooks is for how many messages that the text index counts one is counted as looked
// at.
const wordLooks = 16

// few is how long a list may be that is read sooner than all columns of a segment: if
// it is enough to count it, or if each row that it leads to must be read.
func few(p segment.Part, countable bool) int64 {
	if countable {
		return 50 + p.Rows.Load()/64
	}
	return 50 + p.Rows.Load()/512
}

// keys calls visit with the keys of what passes; without reading rows if that is
// possible.
func (q *Question) keys(p segment.Part, c *condition, visit func(k int64)) error {
	if !c.isConstant() {
		s, err := c.source(q, p)
		if err != nil {
			return err
		}
		if s == nil || !s.exact {
			_, err := q.Search(p, c, false, MostLook, func(f Finding) bool { visit(f.Row.K); return true })
			return err
		}
		return q.walk(s.list, visit)
	}
	return q.walk(q.everything(p), visit)
}

// walk calls visit with all keys of a list.
func (q *Question) walk(list List, visit func(k int64)) error {
	for from := q.start; ; {
		at, err := list.Next(from)
		if err != nil {
			return err
		}
		if at == End {
			return nil
		}
		visit(q.Key(at))
		from = at + 1
	}
}
