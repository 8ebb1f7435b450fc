package plan

import (
	"cmp"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/segment"
)

// A Group is what is counted together: a step of time, in milliseconds since 1970,
// and a value.
type Group struct {
	at    int64
	value string
}

// A Tallying is a count that is under way.
type Tallying struct {
	*Question
	Kind   int64 // of the values; 0 does not part
	Step   int64 // in milliseconds; 0 does not part
	Counts map[Group]int64
}

// Segment counts in one segment: what it can by rollups, and the hours at the ends
// of the range that are not whole by messages.
func (t *Tallying) Segment(p segment.Part, c *condition) error {
	if c.isConstant() && c.constant == no {
		return nil
	}
	from, to := max(t.From, p.From), min(t.To, p.To)
	if unit := t.rollup(c); unit > 0 {
		whole := unit << segment.SerialBits
		first, last := (from+whole-1)/whole*whole, to/whole*whole
		if first < last {
			if err := t.rolled(p, c, unit, first, last); err != nil {
				return err
			}
			if err := t.each(p, c, from, first); err != nil {
				return err
			}
			from = last
		}
	}
	return t.each(p, c, from, to)
}

// rollup returns the unit, in milliseconds, of a rollup that answers: if the
// condition is everything, or one topic, category or other term, and it is parted
// by the same kind or by none; 0 if none does.
func (t *Tallying) rollup(c *condition) int64 {
	kind, single := t.Kind, c.isConstant()
	if !single {
		if c.op != fedmsg.Has || c.not || !c.exact || c.light == nil || t.Kind != 0 && t.Kind != c.kind {
			return 0
		}
		if kind = c.kind; kind > segment.CategoryKind && len(c.terms) == 0 {
			return 0
		}
	}
	if t.Kind > segment.CategoryKind && t.Kind != segment.AgentKind && !single {
		return 0 // of a message with one user the other users count, too
	}
	if kind <= segment.CategoryKind && t.Step%segment.HourMillis == 0 {
		return segment.HourMillis
	}
	if kind > segment.CategoryKind && t.Step%segment.DayMillis == 0 {
		return segment.DayMillis
	}
	return 0
}

// rolled counts by a rollup, in a range of whole units.
func (t *Tallying) rolled(p segment.Part, c *condition, unit, from, to int64) error {
	table, step := "{roll_hour}", "hour"
	if unit == segment.DayMillis {
		table, step = "{roll_day}", "day"
	}
	kind := cmp.Or(t.Kind, c.kind, segment.CategoryKind)
	first, last := from>>segment.SerialBits/unit, to>>segment.SerialBits/unit-1
	// What need not be told apart the database adds up.
	columns, group := step+", term, n", ""
	switch {
	case t.Kind == 0:
		columns, group = step+", 0, sum(n)", " GROUP BY "+step
	case t.Step == 0:
		columns, group = "0, term, sum(n)", " GROUP BY term"
	}
	text := "SELECT " + columns + " FROM " + table + " WHERE kind = ? AND " + step + " >= ? AND " + step + " <= ?"
	args := []any{kind, first, last}
	switch {
	case c.isConstant() && t.Step == 0 && from == p.From && to == p.To: // all that there is
		text, args, group = "SELECT 0, CASE WHEN ? = 0 THEN 0 ELSE id END, n FROM {term} WHERE kind = ? AND n > 0", []any{t.Kind, kind}, ""
	case c.isConstant():
	case len(c.terms) == 1: // a look for each step is less than all terms of all steps
		text = "WITH RECURSIVE steps(s) AS (SELECT CAST(? AS {int}) UNION ALL SELECT s + 1 FROM steps WHERE s < ?)" +
			" SELECT r." + step + ", r.term, r.n FROM steps CROSS JOIN " + table + " r WHERE r.kind = ? AND r." + step + " = s AND r.term = ?"
		args, group = []any{first, last, kind, c.terms[0]}, ""
	default:
		text += " AND term IN (" + segment.Marks(segment.Padded(len(c.terms)), 1) + ")"
		args = append(args, segment.Pad(c.terms)...)
	}
	found := make(counted)
	err := p.Query(text+group, args, func(rows *sql.Rows) error {
		var at, term, n int64
		err := rows.Scan(&at, &term, &n)
		if t.Kind == 0 {
			term = 0
		}
		found.add(term, at*unit, t.Step, n)
		return err
	})
	return errors.Join(err, t.add(p, found))
}

// counted is a count by term and step; term 0 stands for all.
type counted map[[2]int64]int64

func (c counted) add(term, ms, step, n int64) {
	if step > 0 {
		ms -= ms % step
	} else {
		ms = 0
	}
	c[[2]int64{term, ms}] += n
}

// add adds what was counted in one segment.
func (t *Tallying) add(p segment.Part, found counted) error {
	texts := map[int64]string{0: ""}
	for key := range found {
		if key[0] != 0 {
			texts[key[0]] = ""
		}
	}
	for some := range slices.Chunk(slices.Sorted(maps.Keys(texts)), 64) {
		if len(texts) == 1 {
			break // only all together
		}
		err := p.Query("SELECT id, name FROM {term} WHERE id IN ("+segment.Marks(segment.Padded(len(some)), 1)+")", segment.Pad(some), func(rows *sql.Rows) error {
			var id int64
			var name string
			err := rows.Scan(&id, &name)
			texts[id] = name
			return err
		})
		if err != nil {
			return err
		}
	}
	for key, n := range found {
		t.Counts[Group{key[1], texts[key[0]]}] += n
	}
	return nil
}

// each counts message by message, in a range of keys.
func (t *Tallying) each(p segment.Part, c *condition, from, to int64) error {
	if from >= to {
		return nil
	}
	q := *t.Question
	q.From, q.To = from, to
	q.Begin()
	found := make(counted)
	var err error
	if t.Kind == 0 {
		err = q.keys(p, c, func(k int64) { found.add(0, k>>segment.SerialBits, t.Step, 1) })
	} else {
		_, err = q.Search(p, c, false, MostLook, func(f Finding) bool {
			for _, term := range f.Row.Values(t.Kind) {
				found.add(term, f.Row.K>>segment.SerialBits, t.Step, 1)
			}
			return true
		})
	}
	t.looked = q.looked
	if err != nil && !errors.Is(err, ErrSpent) {
		return err
	}
	return cmp.Or(t.add(p, found), err)
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

// Rows puts groups in order, and those of rarer values together.
func (t *Tallying) Rows(limit int) []fedmsg.Count {
	totals := make(map[string]int64)
	for g, n := range t.Counts {
		totals[g.value] += n
	}
	rank := make(map[string]int) // of the others it is 0
	for i, value := range Ranked(totals, limit) {
		rank[value] = i - len(totals)
	}
	merged := make(map[Group]int64)
	for g, n := range t.Counts {
		if rank[g.value] == 0 {
			g.value = ""
		}
		merged[g] += n
	}
	var rows []fedmsg.Count
	for _, g := range slices.SortedFunc(maps.Keys(merged), func(x, y Group) int {
		return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(rank[x.value], rank[y.value]))
	}) {
		row := fedmsg.Count{Value: g.value, N: merged[g]}
		if t.Step > 0 {
			row.At = time.UnixMilli(g.at).UTC()
		}
		rows = append(rows, row)
	}
	return rows
}

// Ranked returns the most frequent values, the most frequent first and equally
// frequent ones by name. The empty one is none.
func Ranked(totals map[string]int64, limit int) []string {
	names := slices.SortedFunc(maps.Keys(totals), func(x, y string) int {
		return cmp.Or(cmp.Compare(totals[y], totals[x]), cmp.Compare(x, y))
	})
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	return names[:min(limit, len(names))]
}
