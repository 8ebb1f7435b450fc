package segment

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"
)

// A Session is a connection with prepared statements, for one goroutine at a time.
type Session struct {
	Conn  *sql.Conn
	of    *Segment
	until time.Time // when statements must have ended; zero if never
	stmts map[string]*sql.Stmt
	// joined says that another session has the connection, and begins and ends
	// transactions.
	joined bool
	reach  *Reach // of the transaction, once somebody asked
	// broken is set when nobody knows in what state the connection is.
	broken bool
}

func (s *Segment) newSession(ctx context.Context, db *sql.DB) (*Session, error) {
	session := &Session{of: s, stmts: make(map[string]*sql.Stmt)}
	if s.Dialect.Shared { // else nothing else waits for it
		session.until, _ = ctx.Deadline()
	}
	ctx, cancel := session.limit(context.WithoutCancel(ctx))
	defer cancel()
	var err error
	if session.Conn, err = db.Conn(ctx); err != nil {
		return nil, s.Dialect.meaning(err)
	}
	return session, nil
}

// Join returns a session on the connection of another, and in its transaction, if
// the segments of both are in one database; else nil.
func (s *Segment) Join(other *Session) *Session {
	if other == nil || !s.Dialect.Shared {
		return nil
	}
	return &Session{Conn: other.Conn, of: s, until: other.until, joined: true}
}

// limit bounds what one statement may take.
func (s *Session) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	patience := s.of.Dialect.Patience
	if patience == 0 {
		return ctx, func() {}
	}
	until := time.Now().Add(patience)
	if !s.until.IsZero() && s.until.Before(until) {
		until = s.until
	}
	return context.WithDeadline(ctx, until)
}

func (d *Dialect) meaning(err error) error {
	if err == nil || d.Meaning == nil {
		return err
	}
	return d.Meaning(err)
}

// prepare keeps statements: their texts must be of a fixed set.
func (s *Session) prepare(text string) (*sql.Stmt, error) {
	if stmt := s.stmts[text]; stmt != nil {
		return stmt, nil
	}
	stmt, err := s.Conn.PrepareContext(context.Background(), s.of.spell(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, text)
	}
	s.stmts[text] = stmt
	return stmt, nil
}

// Exec cannot be interrupted: what writes ends well or badly, never half-way.
func (s *Session) Exec(text string, args ...any) error {
	ctx, cancel := s.limit(context.Background())
	defer cancel()
	if s.of.Dialect.Shared {
		_, err := s.Conn.ExecContext(ctx, s.of.spelled(text), args...)
		return s.of.Dialect.meaning(err)
	}
	stmt, err := s.prepare(text)
	if err == nil {
		_, err = stmt.ExecContext(ctx, args...)
	}
	return err
}

// Query calls each with every row. It is not interrupted: what it reads at once is
// little.
func (s *Session) Query(text string, args []any, each func(rows *sql.Rows) error) error {
	ctx, cancel := s.limit(context.Background())
	defer cancel()
	rows, err := s.rows(ctx, text, args)
	if err != nil {
		return s.of.Dialect.meaning(err)
	}
	for rows.Next() {
		if err := each(rows); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(s.of.Dialect.meaning(rows.Err()), rows.Close())
}

func (s *Session) rows(ctx context.Context, text string, args []any) (*sql.Rows, error) {
	if s.of.Dialect.Shared {
		return s.Conn.QueryContext(ctx, s.of.spelled(text), args...)
	}
	stmt, err := s.prepare(text)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
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
	s.reach = nil
	_, err := s.Reach()
	return err
}

// End ends a transaction; after a failure the connection is not used again.
func (s *Session) End(how string) error {
	if s.joined {
		return nil
	}
	err := s.Exec(how)
	s.broken = s.broken || err != nil && !s.of.Dialect.Shared // else the driver knows
	return err
}

func (s *Session) close() error {
	if s == nil || s.joined {
		return nil
	}
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
		borrowed.reach = nil
		return borrowed, nil
	}
	s.mu.Unlock()
	return s.newSession(ctx, s.Tables.Read)
}

// GiveBack takes a session, unless something is wrong with it.
func (s *Segment) GiveBack(borrowed *Session, broken bool) {
	s.mu.Lock()
	if !broken && len(s.idle) < maxIdle && !s.Dialect.Shared {
		s.idle = append(s.idle, borrowed)
		borrowed = nil
	}
	s.mu.Unlock()
	if borrowed != nil {
		borrowed.broken = borrowed.broken || broken
		_ = borrowed.close() // it only read
	}
}

// A Part is a segment as a view has it.
type Part struct {
	*Segment
	*Session
}
