package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"

	modernc "modernc.org/sqlite"
)

// The primary result codes of SQLite that we act on, from sqlite3.h.
const (
	codeError        = 1
	codeBusy         = 5
	codeFull         = 13
	codeNotADatabase = 26
)

// A conn is one connection to the database, for one goroutine at a time. It
// talks to the driver without database/sql between, which would cost more than
// a small insert does.
type conn struct {
	raw   driver.Conn
	stmts map[string]driver.Stmt // prepared once, by text
	args  []driver.NamedValue
}

// dial opens a connection and runs pragmas on it, in order. The file must be
// there unless create is set.
func dial(file string, create bool, pragmas ...string) (*conn, error) {
	mode := "rw"
	if create {
		mode = "rwc"
	}
	name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath(), RawQuery: "mode=" + mode + "&_error_rc=1"}
	raw, err := new(modernc.Driver).Open(name.String())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", file, err)
	}
	c := &conn{raw: raw, stmts: make(map[string]driver.Stmt)}
	for _, pragma := range pragmas {
		if err := c.script("PRAGMA " + pragma); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: pragma %s: %w", file, pragma, err), c.close())
		}
	}
	return c, nil
}

// script runs statements that run once and return nothing.
func (c *conn) script(text string) error {
	_, err := c.raw.(driver.ExecerContext).ExecContext(context.Background(), text, nil)
	return err
}

func (c *conn) prepare(text string) (driver.Stmt, error) {
	if s, ok := c.stmts[text]; ok {
		return s, nil
	}
	s, err := c.raw.(driver.ConnPrepareContext).PrepareContext(context.Background(), text)
	if err == nil {
		c.stmts[text] = s
	}
	return s, err
}

func (c *conn) bind(args []driver.Value) []driver.NamedValue {
	c.args = c.args[:0]
	for i, v := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return c.args
}

// exec runs a statement. Its text must be one of a fixed set: it stays prepared.
// It cannot be interrupted: what writes ends well or badly, never half-way.
func (c *conn) exec(text string, args ...driver.Value) error {
	s, err := c.prepare(text)
	if err != nil {
		return err
	}
	_, err = s.(driver.StmtExecContext).ExecContext(context.Background(), c.bind(args))
	return err
}

// query calls each with every row. The row, but not the slices in it, is reused.
func (c *conn) query(ctx context.Context, each func(row []driver.Value) error, text string, args ...driver.Value) error {
	s, err := c.prepare(text)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(ctx, c.bind(args))
	if err != nil {
		return err
	}
	row := make([]driver.Value, len(rows.Columns()))
	for {
		if err = rows.Next(row); err != nil {
			break
		}
		if err = each(row); err != nil {
			break
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if shut := rows.Close(); err == nil {
		err = shut
	}
	return err
}

// ints returns the first row, all integers; found is false if there is no row.
func (c *conn) ints(text string, args ...driver.Value) (row []int64, found bool, err error) {
	err = c.query(context.Background(), func(values []driver.Value) error {
		if found {
			return nil
		}
		found = true
		for _, v := range values {
			n, _ := v.(int64) // NULL, as of max() over nothing, counts as 0
			row = append(row, n)
		}
		return nil
	}, text, args...)
	return row, found, err
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.raw.Close())...)
}

// code returns SQLite's primary result code of an error, 0 if it is none.
func code(err error) int {
	if e, ok := errors.AsType[*modernc.Error](err); ok {
		return e.Code() & 0xFF
	}
	return 0
}
