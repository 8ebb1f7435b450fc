package segment

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

// A Session is a connection with prepared statements, for one goroutine at a time.
type Session struct {
	Conn  *sql.Conn
	spell func(text string) string
	stmts map[string]*sql.Stmt
	// broken is set when nobody knows in what state the connection is.
	broken bool
}

func newSession(ctx context.Context, db *sql.DB, spell func(text string) string) (*Session, error) {
	conn, err := db.Conn(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	return &Session{Conn: conn, spell: spell, stmts: make(map[string]*sql.Stmt)}, nil
}

// prepare keeps statements: their texts must be of a fixed set.
func (s *Session) prepare(text string) (*sql.Stmt, error) {
	if stmt := s.stmts[text]; stmt != nil {
		return stmt, nil
	}
	stmt, err := s.Conn.PrepareContext(context.Background(), s.spell(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, text)
	}
	s.stmts[text] = stmt
	return stmt, nil
}

// Exec cannot be interrupted: what writes ends well or badly, never half-way.
func (s *Session) Exec(text string, args ...any) error {
	stmt, err := s.prepare(text)
	if err == nil {
		_, err = stmt.ExecContext(context.Background(), args...)
	}
	return err
}

// Query calls each with every row. It is not interrupted: what it reads at once is
// little.
func (s *Session) Query(text string, args []any, each func(rows *sql.Rows) error) error {
	stmt, err := s.prepare(text)
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(context.Background(), args...)
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := each(rows); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// Number returns the one number that a statement gives.
func (s *Session) Number(text string, args ...any) (n int64, err error) {
	err = s.Query(text, args, func(rows *sql.Rows) error { return rows.Scan(&n) })
	return n, err
}

// Begin begins a transaction that reads, and makes it see what there is now.
func (s *Session) Begin() error {
	if err := s.Exec("BEGIN"); err != nil {
		return err
	}
	_, err := s.Number("SELECT count(*) FROM {meta} WHERE name = 'schema'")
	return err
}

// End ends a transaction; after a failure the connection is not used again.
func (s *Session) End(how string) error {
	err := s.Exec(how)
	s.broken = s.broken || err != nil
	return err
}

func (s *Session) close() error {
	var errs []error
	for _, stmt := range s.stmts {
		errs = append(errs, stmt.Close())
	}
	if s.broken {
		_ = s.Conn.Raw(func(any) error { return driver.ErrBadConn }) // which throws it away
	}
	if err := s.Conn.Close(); !s.broken {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// maxIdle is how many sessions for reading a segment keeps.
const maxIdle = 2

// Borrow returns a session for reading.
func (s *Segment) Borrow(ctx context.Context) (*Session, error) {
	s.mu.Lock()
	if n := len(s.idle); n > 0 {
		borrowed := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.mu.Unlock()
		return borrowed, nil
	}
	s.mu.Unlock()
	return newSession(ctx, s.Tables.Read, s.spell)
}

// GiveBack takes a session, unless something is wrong with it.
func (s *Segment) GiveBack(borrowed *Session, broken bool) {
	s.mu.Lock()
	if !broken && len(s.idle) < maxIdle {
		s.idle = append(s.idle, borrowed)
		borrowed = nil
	}
	s.mu.Unlock()
	if borrowed != nil {
		_ = borrowed.close() // it only read
	}
}

// A Part is a segment as a view has it.
type Part struct {
	*Segment
	*Session
}
