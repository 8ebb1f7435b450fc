package segment

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"github.com/fedora-infra/fedmsg-go/internal/body"
)

// maxFaults is how many faults are told.
const maxFaults = 20

// sums is what must be equal of two lists: how many places there are, the first, the
// last, and the sum of a hash of each.
type sums struct {
	n, first, last int64
	hash           uint64
}

func (s *sums) add(k int64) {
	if s.n == 0 {
		s.first, s.last = k, k
	}
	s.n++
	s.first, s.last = min(s.first, k), max(s.last, k)
	s.mix(k)
}

func (s *sums) mix(k int64) {
	h := uint64(k) * 0x9E3779B97F4A7C15 // Knuth's multiplier, and a shift so that high bits count
	s.hash += h ^ h>>29
}

// addRow adds a row and its terms.
func (s *sums) addRow(r *Row) {
	s.add(r.K)
	for kind := TopicKind; kind <= ObjectKind; kind++ {
		for i, id := range r.Values(kind) {
			s.mix(r.K ^ id<<24 ^ kind<<60 ^ int64(i)<<56)
		}
	}
}

// A recount counts anew what is in a segment.
type recount struct {
	Part
	faults []string

	kinds    map[int64]int64 // by term
	nobody   int64
	terms    map[int64]*sums
	hours    map[[3]int64]int64
	days     map[[3]int64]int64
	messages int64
	rows     sums // of the terms of all rows, by k
}

// Verify counts everything anew and compares it with what was counted as it came,
// reads each message, and has the database check itself. It returns how many
// messages there are, and what is wrong.
func (p Part) Verify(ctx context.Context) (messages int64, faults []string, err error) {
	c := &recount{Part: p, kinds: make(map[int64]int64), terms: make(map[int64]*sums), hours: make(map[[3]int64]int64), days: make(map[[3]int64]int64)}
	for _, step := range []func() error{func() error { return c.check(ctx) }, c.readTerms, c.readRows, c.compareTerms, c.comparePostings, c.compareColumns,
		func() error { return c.compareRoll("hour", c.hours) }, func() error { return c.compareRoll("day", c.days) }} {
		if err := step(); err != nil {
			return c.messages, c.faults, err
		}
	}
	return c.messages, c.faults, nil
}

func (c *recount) fault(format string, args ...any) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, fmt.Sprintf("%s: "+format, append([]any{c.Month}, args...)...))
	}
}

// check asks the database. The session is a new one: what the text index of SQLite
// keeps in memory of itself is not up to date when it checks, while others write.
func (c *recount) check(ctx context.Context) error {
	fresh, err := c.Segment.newSession(ctx, c.Tables.Read)
	if err != nil {
		return err
	}
	defer fresh.close() // it only read
	for _, text := range c.Dialect.Check {
		err := fresh.Query(text, nil, func(rows *sql.Rows) error {
			var result string
			err := rows.Scan(&result)
			if err == nil && result != "ok" {
				c.fault("%s: %s", text, result)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *recount) readTerms() error {
	return c.Query("SELECT id, kind, name FROM {term}", nil, func(rows *sql.Rows) error {
		var id int64
		var n Name
		err := rows.Scan(&id, &n.Kind, &n.Text)
		c.kinds[id] = n.Kind
		if n == (Name{AgentKind, ""}) {
			c.nobody = id
		}
		return err
	})
}

// verifyEvery is how many messages there are for one that is looked for by its words.
const verifyEvery = 16

// readRows reads all messages.
func (c *recount) readRows() error {
	text := &c.Dialect.Text
	for after := int64(-1); ; {
		rows, err := c.Full(FullColumns+"WHERE k > ? ORDER BY k LIMIT 500", after)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, r := range rows {
			after = r.K
			c.messages++
			c.count(r)
			m, err := c.Codec.Decode(r.Enc, r.Body)
			if err != nil {
				c.fault("message at %d: %v", r.K, err)
				continue
			}
			if r.K>>SerialBits < ClampMillis(m.Time) {
				c.fault("message %s stands at %s, and says %s", m.ID, KeyTime(r.K), m.Time)
			}
			if found, err := c.ByUID(UID(m.ID)); err != nil || !slices.Contains(found, UIDKey{UID(m.ID), r.K}) {
				c.fault("message %s is not found by its ID: %v, %v", m.ID, found, err)
			}
			if c.messages%verifyEvery > 0 {
				continue
			}
			words := slices.Collect(body.Words(m.Topic, m.Body))
			if len(words) == 0 {
				continue
			}
			words = words[max(0, len(words)-6):] // the last ones are the rare ones
			found := int64(-1)
			err = c.Query(text.Newest, []any{text.Match(words), r.K, r.K, 1}, func(rows *sql.Rows) error { return rows.Scan(&found) })
			if err != nil || found != r.K {
				c.fault("message %s is not found by its words: %v", m.ID, err)
			}
		}
	}
}

// count counts a row.
func (c *recount) count(r *Row) {
	c.rows.addRow(r)
	for kind, ids := range map[int64][]int64{TopicKind: {r.Topic}, CategoryKind: {r.Category}, AgentKind: {r.Agent}, StampKind: {r.Stamp},
		UserKind: r.Users, PackageKind: r.Packages, ObjectKind: r.Objects} {
		for _, id := range ids {
			if c.kinds[id] != kind {
				c.fault("message at %d has the term %d of kind %d, want %d", r.K, id, c.kinds[id], kind)
			}
			if c.terms[id] == nil {
				c.terms[id] = new(sums)
			}
			c.terms[id].add(r.K)
			if kind == StampKind {
				continue
			}
			c.days[[3]int64{kind, dayOf(r.K), id}]++
			if kind <= CategoryKind {
				c.hours[[3]int64{kind, hourOf(r.K), id}]++
			}
		}
	}
}

func (c *recount) compareTerms() error {
	return c.Query("SELECT id, n, first, last FROM {term}", nil, func(rows *sql.Rows) error {
		var id int64
		var got sums
		if err := rows.Scan(&id, &got.n, &got.first, &got.last); err != nil {
			return err
		}
		var want sums
		if s := c.terms[id]; s != nil {
			want = *s
		}
		bounds := c.kinds[id] != StampKind && id != c.nobody && want.n > 0
		if got.n != want.n || bounds && (got.first != want.first || got.last != want.last) {
			c.fault("term %d: %d messages from %d to %d, want %d from %d to %d", id, got.n, got.first, got.last, want.n, want.first, want.last)
		}
		return nil
	})
}

func (c *recount) comparePostings() error {
	lists := make(map[int64]*sums)
	add := func(term, k int64) {
		if lists[term] == nil {
			lists[term] = new(sums)
		}
		lists[term].add(k)
	}
	reach, err := c.Reach()
	if err != nil {
		return err
	}
	err = c.late(slices.Min(reach[:]), func(term, k int64) {
		if k > reach.Of(term) {
			add(term, k)
		}
	})
	if err != nil {
		return err
	}
	err = c.Query("SELECT term, k FROM {post}", nil, func(rows *sql.Rows) error {
		var term, k int64
		err := rows.Scan(&term, &k)
		add(term, k)
		return err
	})
	for id, want := range c.terms {
		if c.kinds[id] == StampKind || id == c.nobody {
			continue
		}
		if got := lists[id]; got == nil || *got != *want {
			c.fault("list of term %d: %+v, want %+v", id, got, *want)
		}
		delete(lists, id)
	}
	for id := range lists {
		c.fault("there is a list of term %d, which no message has", id)
	}
	return err
}

// compareColumns compares rows and columns.
func (c *recount) compareColumns() error {
	var got sums
	last := int64(-1)
	err := c.Columns(0, MaxKey, allColumns, true, func(chunk *Columns) (bool, error) {
		for i, k := range chunk.Keys {
			if k <= last {
				c.fault("column of keys: %d comes after %d", k, last)
			}
			last = k
			got.addRow(chunk.row(i))
		}
		return true, nil
	})
	if got != c.rows {
		c.fault("columns: %+v, want %+v", got, c.rows)
	}
	return err
}

func (c *recount) compareRoll(step string, want map[[3]int64]int64) error {
	left := maps.Clone(want)
	err := c.Query("SELECT kind, "+step+", term, n FROM {roll_"+step+"}", nil, func(rows *sql.Rows) error {
		var key [3]int64
		var n int64
		err := rows.Scan(&key[0], &key[1], &key[2], &n)
		if n != left[key] {
			c.fault("kind, %s and term %d: %d messages, want %d", step, key, n, left[key])
		}
		delete(left, key)
		return err
	})
	if len(left) > 0 {
		c.fault("%d counts by %s are missing", len(left), step)
	}
	return err
}
