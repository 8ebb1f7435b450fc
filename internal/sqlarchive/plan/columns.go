package plan

import (
	"cmp"
	"context"
	"errors"
	"slices"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/segment"
)

// kinds returns the columns that a condition looks at; ok is false if they do not
// decide it.
func (c *condition) kinds() (kinds []int64, ok bool) {
	if c.heavy != nil || c.column != 0 && !segment.HasColumn(c.column) {
		return nil, false
	}
	if c.column != 0 {
		return []int64{c.column}, true
	}
	for _, part := range c.of {
		some, ok := part.kinds()
		if !ok {
			return nil, false
		}
		kinds = append(kinds, some...)
	}
	return kinds, true
}

// mask tells of each message of a chunk whether it passes. The columns must decide.
func (c *condition) mask(chunk *segment.Columns) []bool {
	pass := make([]bool, chunk.N)
	switch {
	case c.column != 0:
		c.maskColumn(chunk, pass)
	case len(c.of) == 0:
		for i := range pass {
			pass[i] = c.constant == yes
		}
	default:
		for n, part := range c.of {
			some := part.mask(chunk)
			for i, is := range some {
				switch {
				case n == 0:
					pass[i] = is
				case c.op == fedmsg.All:
					pass[i] = pass[i] && is
				default:
					pass[i] = pass[i] || is
				}
			}
		}
	}
	if c.not {
		for i := range pass {
			pass[i] = !pass[i]
		}
	}
	return pass
}

// maskColumn is mask for a condition that looks at one column.
func (c *condition) maskColumn(chunk *segment.Columns, pass []bool) {
	if len(c.want) > 1 && c.set == nil {
		c.set = make([]bool, c.want[len(c.want)-1]+1)
		for _, id := range c.want {
			c.set[id] = true
		}
	}
	is := func(id uint32) bool { return int(id) < len(c.set) && c.set[id] }
	ids, ends := chunk.Of(c.column)
	switch {
	case ends == nil && c.set == nil:
		want := uint32(c.want[0])
		for i, id := range ids {
			pass[i] = id == want
		}
	case ends == nil:
		for i, id := range ids {
			pass[i] = is(id)
		}
	default:
		want, from := uint32(c.want[0]), uint32(0)
		for i, end := range ends {
			for _, id := range ids[from:end] {
				if c.set == nil && id == want || c.set != nil && is(id) {
					pass[i] = true
				}
			}
			from = end
		}
	}
}

// A counting adds up terms while columns are read.
type counting struct {
	into    *counted
	kind    int64 // 0 counts messages
	at      int64 // the step that is being counted
	n       []int64
	touched []uint32 // of n
	some    []uint32
}

// add counts terms; those of a step by themselves, and all others at once.
func (c *counting) add(ids []uint32) {
	if !c.into.stepped {
		totals := c.into.totals
		for _, id := range ids {
			if int(id) >= len(totals) {
				totals = append(totals, make([]int64, int(id)+1)...)
			}
			totals[id]++
		}
		c.into.totals = totals
		return
	}
	n := c.n
	for _, id := range ids {
		if int(id) >= len(n) {
			n = append(n, make([]int64, int(id)+1)...)
		}
		if n[id] == 0 {
			c.touched = append(c.touched, id)
		}
		n[id]++
	}
	c.n = n
}

// turn ends a step and begins another.
func (c *counting) turn(at int64) {
	if at == c.at {
		return
	}
	for _, id := range c.touched {
		c.into.add(int64(id), c.at, c.n[id])
		c.n[id] = 0
	}
	c.touched, c.at = c.touched[:0], at
}

// run counts those of some messages that pass, which are all if pass is nil.
func (c *counting) run(chunk *segment.Columns, pass []bool, from, to int) {
	if c.kind == 0 {
		n := int64(to - from)
		if pass != nil {
			n = 0
			for _, is := range pass[from:to] {
				if is {
					n++
				}
			}
		}
		if n > 0 {
			c.into.add(0, c.at, n)
		}
		return
	}
	ids, ends := chunk.Of(c.kind)
	begin := uint32(from) // of the terms
	if ends != nil && from > 0 {
		begin = ends[from-1]
	}
	if pass == nil {
		end := uint32(to)
		if ends != nil {
			end = ends[to-1]
		}
		c.add(ids[begin:end])
		return
	}
	some := c.some[:0]
	for i, is := range pass[from:to] {
		end := begin + 1
		if ends != nil {
			end = ends[from+i]
		}
		if is {
			some = append(some, ids[begin:end]...)
		}
		begin = end
	}
	c.some = some
	c.add(some)
}

// chunkLooks is for how many messages of a chunk one is counted as looked at: they
// cost so much less than those that are read one by one.
const chunkLooks = 128

// byColumns counts in a range of keys by reading columns, several kinds in one pass;
// of the messages with some keys, or of all if there are none.
func (t *Tallying) byColumns(q *Question, p segment.Part, c *condition, only []int64, into []*counting) error {
	kinds, _ := c.kinds()
	for _, one := range into {
		if one.kind != 0 {
			kinds = append(kinds, one.kind)
		}
	}
	slices.Sort(kinds)
	var spent error
	// The newest first: then it is known where a chunk ends before it is looked into.
	next := p.To
	err := p.Chunks(q.From, q.To, slices.Compact(kinds), false, func(chunk *segment.Columns) (bool, error) {
		if err := context.Cause(q.Ctx); err != nil {
			return false, err
		}
		var pass []bool
		if !c.isConstant() {
			pass = c.mask(chunk)
		}
		if at, one := t.oneStep(chunk.First, next); one && only == nil && chunk.First >= q.From && next <= q.To {
			for _, one := range into {
				one.turn(at)
				one.run(chunk, pass, 0, chunk.N)
			}
		} else if err := chunk.Unpack(); err != nil {
			return false, err
		} else {
			if only != nil {
				pass, only = among(chunk.Keys, pass, only)
			}
			t.byKeys(q, chunk, pass, into)
		}
		next = chunk.First
		if q.looked += 1 + chunk.N/chunkLooks; only == nil && q.Spent() {
			spent = ErrSpent
		}
		return spent == nil, nil
	})
	for _, one := range into {
		one.turn(-1)
	}
	if err == nil {
		err = spent
	}
	return err
}

// oneStep returns the step that a key is in, and reports whether all from there to
// another are in it.
func (t *Tallying) oneStep(from, to int64) (at int64, one bool) {
	at = t.begin(from >> segment.SerialBits)
	return at, t.Step == 0 || to <= (at+t.Step)<<segment.SerialBits
}

// byKeys counts in what a chunk has of a range of keys, step by step.
func (t *Tallying) byKeys(q *Question, chunk *segment.Columns, pass []bool, into []*counting) {
	i, _ := slices.BinarySearch(chunk.Keys, q.From)
	end, _ := slices.BinarySearch(chunk.Keys, q.To)
	for i < end {
		at, to := t.begin(chunk.Keys[i]>>segment.SerialBits), end
		if t.Step > 0 {
			to, _ = slices.BinarySearch(chunk.Keys[:end], (at+t.Step)<<segment.SerialBits)
		}
		for _, one := range into {
			one.turn(at)
			one.run(chunk, pass, i, to)
		}
		i = to
	}
}

// among takes out of pass what is not among some keys, and returns those of them that
// come before the chunk.
func among(keys []int64, pass []bool, only []int64) (left []bool, rest []int64) {
	left = make([]bool, len(keys))
	for i, k := range slices.Backward(keys) {
		for len(only) > 0 && only[len(only)-1] > k {
			only = only[:len(only)-1]
		}
		left[i] = len(only) > 0 && only[len(only)-1] == k && (pass == nil || pass[i])
	}
	return left, only
}

// wordy parts a condition into those that the text index tells, and a rest that
// columns tell; ok is false if there is more to it.
func (c *condition) wordy() (texts []*condition, rest *condition, ok bool) {
	isText := func(c *condition) bool { return c.op == fedmsg.Has && len(c.words) > 0 && c.exact && !c.not }
	if isText(c) {
		return []*condition{c}, &condition{op: fedmsg.Has, constant: yes}, true
	}
	if c.op != fedmsg.All {
		return nil, nil, false
	}
	rest = &condition{op: fedmsg.All}
	for _, part := range c.of {
		if isText(part) {
			texts = append(texts, part)
			continue
		}
		if _, told := part.kinds(); !told {
			return nil, nil, false
		}
		rest.of = append(rest.of, part)
	}
	if len(rest.of) == 0 {
		rest = &condition{op: fedmsg.Has, constant: yes}
	}
	return texts, rest, len(texts) > 0
}

// byWords counts what has some words: it reads their keys from the text index, and all
// else from columns.
func (t *Tallying) byWords(q *Question, p segment.Part, texts []*condition, rest *condition, into []*counting) error {
	var lists Both
	for _, text := range texts {
		s, err := q.wording(p, text)
		if err != nil {
			return err
		}
		lists = append(lists, s.list)
	}
	only := []int64{}
	err := q.walk(lists, func(k int64) { only = append(only, k) })
	if err != nil && !errors.Is(err, ErrSpent) || len(only) == 0 {
		return err
	}
	slices.Sort(only)
	bounded := *q // what was found lies in it, at most
	bounded.From, bounded.To = only[0], only[len(only)-1]+1
	return cmp.Or(t.byColumns(&bounded, p, rest, only, into), err)
}

// chosen is the list of what passes by columns alone.
type chosen struct {
	q *Question
	p segment.Part
	c *condition
	// after is a key that only what comes after is wanted of.
	after int64
	buf   Fixed
	next  int64 // the first place that is not in buf
}

// byColumns is the list of what passes by columns, of what comes after a key.
func (q *Question) byColumns(p segment.Part, c *condition, after int64) *chosen {
	return &chosen{q: q, p: p, c: c, after: after, next: -End}
}

// Next implements [List].
func (l *chosen) Next(from int64) (int64, error) {
	if at, err := l.buf.Next(from); at != End || err != nil {
		return at, err
	}
	q := l.q
	from = max(from, l.next)
	low, high := max(q.From, l.p.From, l.after+1), min(q.To, l.p.To)
	if q.Oldest {
		low = max(low, from)
	} else {
		high = min(high, 1-from)
	}
	switch {
	case low >= high:
		return End, nil
	case from > q.start && q.Spent():
		return from, ErrSpent
	}
	kinds, _ := l.c.kinds()
	slices.Sort(kinds)
	var spent error
	err := l.p.Chunks(low, high, slices.Compact(kinds), q.Oldest, func(chunk *segment.Columns) (bool, error) {
		if err := context.Cause(q.Ctx); err != nil {
			return false, err
		}
		pass := l.c.mask(chunk)
		if q.Oldest || slices.Contains(pass, true) { // else nobody needs the keys
			if err := chunk.Unpack(); err != nil {
				return false, err
			}
			for i, k := range chunk.Keys {
				if pass[i] && k >= low && k < high {
					l.buf = append(l.buf, q.Place(k))
				}
			}
			slices.Sort(l.buf)
		}
		l.next = q.Place(chunk.First) + 1 // others begin before it
		if q.Oldest {
			l.next = chunk.Keys[len(chunk.Keys)-1] + 1
		}
		q.looked += 1 + chunk.N/chunkLooks
		if len(l.buf) == 0 && l.next > from && q.Spent() {
			spent = ErrSpent
		}
		return len(l.buf) == 0 && spent == nil, nil
	})
	switch {
	case err != nil:
		return from, err
	case spent != nil:
		return l.next, spent
	case len(l.buf) == 0:
		return End, nil
	}
	return l.buf[0], nil
}
