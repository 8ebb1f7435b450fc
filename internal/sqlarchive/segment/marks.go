package segment

import (
	"context"
	"database/sql"
	"errors"
	"maps"
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

// Before returns the newest messages of a term before a key, newest first.
func (p Part) Before(term, key int64, limit int) ([]*Row, error) {
	var keys []int64
	err := p.Query("SELECT k FROM {post} WHERE term = ? AND k < ? ORDER BY k DESC LIMIT ?", []any{term, key, limit}, func(rows *sql.Rows) error {
		var k int64
		err := rows.Scan(&k)
		keys = append(keys, k)
		return err
	})
	if err != nil {
		return nil, err
	}
	return p.Fetch(keys, true)
}

// Left returns how many messages of a term there are before a key.
func (p Part) Left(term, key int64) (int64, error) {
	return p.Number("SELECT count(*) FROM {post} WHERE term = ? AND k < ?", term, key)
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
