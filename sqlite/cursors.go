package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"unicode"

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

// notePrefix begins the names of notes in the table meta.
const notePrefix = "note/"

// Notes returns documents by the beginning of their names. See [fedmsg.Notes].
func (l *Log) Notes(ctx context.Context, prefix string) (map[string][]byte, error) {
	all, from := make(map[string][]byte), notePrefix+prefix
	err := l.read(ctx, func(c *conn) error {
		return c.query(ctx, func(row []driver.Value) error {
			name, _ := row[0].(string)
			document, _ := row[1].([]byte)
			all[name[len(notePrefix):]] = bytes.Clone(document)
			return nil
		}, "SELECT name, value FROM meta WHERE name >= ? AND name < ?", from, from+string(unicode.MaxRune))
	})
	if err != nil {
		return nil, fmt.Errorf("notes %q: %w", prefix, err)
	}
	return all, nil
}

// Note stores documents. See [fedmsg.Notes].
func (l *Log) Note(ctx context.Context, documents map[string][]byte) error {
	err := l.do(ctx, nil, func(c *conn) (err error) {
		for name, document := range documents {
			err = errors.Join(err, c.exec("DELETE FROM meta WHERE name = ?", notePrefix+name))
			if document != nil {
				err = errors.Join(err, c.exec("INSERT INTO meta VALUES (?, ?)", notePrefix+name, document))
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("note: %w", err)
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
