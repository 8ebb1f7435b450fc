package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Load returns the place saved under name. See [fedmsg.Cursors].
func (l *Log) Load(ctx context.Context, name string) (at fedmsg.Seq, err error) {
	err = l.read(ctx, func(c *conn) error {
		row, found, err := c.ints("SELECT seq FROM cursors WHERE name = ?", name)
		if found {
			at = fedmsg.Seq(row[0])
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("cursor %q: load: %w", name, err)
	}
	return at, nil
}

// Save stores a place under a name. See [fedmsg.Cursors]. It shares its write to
// the disk with the appends that wait at the same time.
func (l *Log) Save(ctx context.Context, name string, at fedmsg.Seq) error {
	if name == "" || at > math.MaxInt64 {
		return fmt.Errorf("cursor %q: save %d: %w", name, at, fedmsg.ErrInvalid)
	}
	err := l.do(ctx, nil, func(c *conn) error {
		return c.exec("INSERT OR REPLACE INTO cursors (name, seq) VALUES (?, ?)", name, int64(at))
	})
	if err != nil {
		return fmt.Errorf("cursor %q: save %d: %w", name, at, err)
	}
	return nil
}

// Readers returns all cursors by name.
func (l *Log) Readers(ctx context.Context) (map[string]fedmsg.Seq, error) {
	all := make(map[string]fedmsg.Seq)
	err := l.read(ctx, func(c *conn) error {
		return c.query(ctx, func(row []driver.Value) error {
			name, _ := row[0].(string)
			at, _ := row[1].(int64)
			all[name] = fedmsg.Seq(at)
			return nil
		}, "SELECT name, seq FROM cursors")
	})
	if err != nil {
		return nil, fmt.Errorf("cursors: %w", err)
	}
	return all, nil
}

// Forget removes a cursor, so that Load returns 0. The error is ErrNotFound if
// there is none.
func (l *Log) Forget(ctx context.Context, name string) error {
	err := l.do(ctx, nil, func(c *conn) error {
		_, found, err := c.ints("SELECT seq FROM cursors WHERE name = ?", name)
		if err != nil {
			return err
		}
		if !found {
			return fedmsg.ErrNotFound
		}
		return c.exec("DELETE FROM cursors WHERE name = ?", name)
	})
	if err != nil {
		return fmt.Errorf("cursor %q: forget: %w", name, err)
	}
	return nil
}

// do has the writer do some work in its next transaction, and then, after the
// commit, something more, if it is not nil.
func (l *Log) do(ctx context.Context, then func(w *writer), work func(c *conn) error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	r := &request{do: work, then: then, done: make(chan struct{})}
	if err := l.submit(ctx, r); err != nil {
		return err
	}
	return r.err
}
