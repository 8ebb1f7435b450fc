package segment

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
)

// Said returns what the segment says of itself under a name.
func (s *Segment) Said(name string) (value string, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, known = s.Meta[name]
	return value, known
}

// Say stores what the segment says of itself. Who makes the change calls [Segment.Keep]
// with the same after the commit.
func (w *Writer) Say(values map[string]string) error {
	for name, value := range values {
		if err := w.set(name, value); err != nil {
			return err
		}
	}
	return nil
}

// Keep makes known what was stored by [Writer.Say].
func (s *Segment) Keep(values map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.Meta, values)
}

// A CategoryCount is how many messages of a category there are.
type CategoryCount struct {
	Term int64 // its number
	Name string
	N    int64
}

// Categories returns those that have messages.
func (p Part) Categories() (found []CategoryCount, err error) {
	err = p.Query("SELECT id, name, n FROM {term} WHERE kind = ? AND n > 0 ORDER BY id", []any{CategoryKind}, func(rows *sql.Rows) error {
		var c CategoryCount
		err := rows.Scan(&c.Term, &c.Name, &c.N)
		found = append(found, c)
		return err
	})
	return found, err
}

// Before returns the newest messages of a category before a key, newest first.
func (p Part) Before(category, key int64, limit int) ([]*Row, error) {
	keys, err := p.lateIn(category, key)
	if err != nil {
		return nil, err
	}
	slices.Reverse(keys)
	if len(keys) < limit {
		err = p.Query("SELECT k FROM {post} WHERE term = ? AND k < ? ORDER BY k DESC LIMIT ?", []any{category, key, limit - len(keys)}, func(rows *sql.Rows) error {
			var k int64
			err := rows.Scan(&k)
			keys = append(keys, k)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return p.Fetch(keys[:min(limit, len(keys))], true)
}

// Left returns how many messages of a category there are before a key.
func (p Part) Left(category, key int64) (int64, error) {
	keys, err := p.lateIn(category, key)
	if err != nil {
		return 0, err
	}
	n, err := p.Number("SELECT count(*) FROM {post} WHERE term = ? AND k < ?", category, key)
	return n + int64(len(keys)), err
}

// lateIn returns the messages of a category before a key that its list does not have yet,
// the oldest first.
func (p Part) lateIn(category, key int64) (keys []int64, err error) {
	reach, err := p.Reach()
	if err != nil {
		return nil, err
	}
	after := reach.Of(category)
	return keys, p.Columns(after+1, key, []int64{CategoryKind}, true, func(c *Columns) (bool, error) {
		ids, _ := c.Of(CategoryKind)
		for i, k := range c.Keys {
			if int64(ids[i]) == category && k > after && k < key {
				keys = append(keys, k)
			}
		}
		return true, nil
	})
}

// Replace closes the segment, has something else put in its place, and opens that. The
// caller holds Use, and knows that the messages are the same.
func (s *Segment) Replace(ctx context.Context, store Store, put func() error) error {
	err := errors.Join(s.Close(), put())
	tables, failed := store.Open(ctx, s.Month)
	if failed != nil {
		s.Gone = true
		return errors.Join(err, failed)
	}
	s.Tables = tables
	s.Size.Store(tables.Size())
	return err
}
