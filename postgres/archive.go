// Package postgres keeps the archive in PostgreSQL 13 or later, for a bus whose history
// is to outlive its machine, or is to be asked while it is stopped. What is found, and
// how, is as in the embedded archive: both share internal/sqlarchive.
//
// # Tables
//
// An archive is one schema. The messages of a month lie in tables of their own,
// m2026_03_msg and so on, so that to remove a month is to drop them. Bodies are bytes
// and not jsonb, which refuses \u0000 and spells anew what was signed; so are names,
// since not all that JSON can say is text to PostgreSQL. Words are a text array under
// a GIN index; the text search of PostgreSQL would find other words.
//
// # Connections
//
// One connection writes, and holds an advisory lock as long as it lives, so nobody
// writes beside it. A few others read, each question in a snapshot of its own. A
// connection is made anew when it is needed and the last one broke; until the server
// is back, who asks and who delivers gets [fedmsg.ErrUnavailable].
package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/segment"
)

// Errors to test for.
var (
	// ErrLocked: another process writes to this archive.
	ErrLocked = errors.New("another process writes to this archive")
	// ErrNewerSchema: a later version of this program wrote the archive.
	ErrNewerSchema = segment.ErrNewer
	// ErrDamaged: what is stored is not what was written.
	ErrDamaged = segment.ErrDamaged
)

// Config says where the archive is and how it answers. Only DSN is required.
type Config struct {
	// DSN names the database as libpq does: postgres://USER@HOST:PORT/DATABASE, with
	// sslmode, passfile, search_path and so on behind a question mark. The password may
	// be in it, in the file that PGPASSFILE names, or in PasswordFile.
	DSN string `toml:"dsn"`

	// PasswordFile is a file that holds the password and nothing else. It is read for
	// each new connection. Default: none.
	PasswordFile string `toml:"password-file"`

	// Schema is where the tables are; it is made if need be. Default: the search_path
	// of the DSN, else fedmsg.
	Schema string `toml:"schema"`

	// Readers is how many questions may be under way at once; others wait. Default 8.
	Readers int `toml:"readers"`

	// Budget is how long one question may take; then what was found is the answer,
	// with a cursor to go on. Default 250ms.
	Budget time.Duration `toml:"budget"`

	// Candidates is how many messages one question may look at, likewise. Default
	// 200,000.
	Candidates int `toml:"candidates"`

	// LockLate opens the archive beside another process that writes to it: the lock is
	// taken with the first change. What the other one stores later may be missed.
	LockLate bool `toml:"-"`

	// Describer finds the words that messages are found by. Default: none.
	Describer fedmsg.Describer `toml:"-"`

	// Epoch is that of the log that the archive is fed from.
	Epoch string `toml:"-"`
}

// identifier is what a schema may be called: what needs no quotes anywhere.
var identifier = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// Validate reports everything that is wrong with c, joined, or nil.
func (c Config) Validate() error {
	var errs []error
	if c.DSN == "" {
		errs = append(errs, errors.New("dsn: required"))
	} else if parsed, err := parse(c); err != nil {
		errs = append(errs, err)
	} else if !identifier.MatchString(parsed.schema) {
		errs = append(errs, fmt.Errorf("schema: %q is none: want one name of a-z, 0-9 and _", parsed.schema))
	}
	if c.Readers < 0 {
		errs = append(errs, fmt.Errorf("readers: must not be negative, is %d", c.Readers))
	}
	if c.Budget < 0 {
		errs = append(errs, fmt.Errorf("budget: must not be negative, is %s", c.Budget))
	}
	if c.Candidates < 0 {
		errs = append(errs, fmt.Errorf("candidates: must not be negative, is %d", c.Candidates))
	}
	return errors.Join(errs...)
}

// Archive is the archive in one schema. [OpenArchive] makes one.
type Archive struct {
	*sqlarchive.Archive
	read, write *sql.DB
}

var (
	_ fedmsg.Archive = (*Archive)(nil)
	_ fedmsg.Counter = (*Archive)(nil)
	_ fedmsg.Meter   = (*Archive)(nil)
)

// OpenArchive opens an archive, or makes one. It must be closed. logger may be nil.
// Errors to test for: [ErrLocked], [ErrNewerSchema], [ErrDamaged], and
// [fedmsg.ErrUnavailable] if the server cannot be reached or lets nobody in. No error
// has a password in it.
func OpenArchive(ctx context.Context, cfg Config, logger *slog.Logger) (*Archive, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("archive %s: %w", Redacted(cfg.DSN), err)
	}
	to, err := parse(cfg)
	if err != nil {
		return nil, fmt.Errorf("archive %s: %w", Redacted(cfg.DSN), err)
	}
	a := &Archive{read: sql.OpenDB(to.reading()), write: sql.OpenDB(to.writing())}
	readers := cmp.Or(cfg.Readers, 8)
	a.read.SetMaxOpenConns(readers)
	a.read.SetMaxIdleConns(readers)
	a.read.SetConnMaxIdleTime(5 * time.Minute)
	a.write.SetMaxOpenConns(1)
	if !cfg.LockLate {
		err = a.write.PingContext(ctx) // takes the lock
	}
	if err == nil {
		a.Archive, err = sqlarchive.Open(ctx, sqlarchive.Config{Describer: cfg.Describer, Epoch: cfg.Epoch, Budget: cfg.Budget, Candidates: cfg.Candidates},
			&months{read: a.read, write: a.write, schema: to.schema, connections: &to.connections}, dialect, logger)
	}
	if err != nil {
		return nil, fmt.Errorf("archive %s: %w", Redacted(cfg.DSN), errors.Join(outside(ctx, err), a.read.Close(), a.write.Close()))
	}
	return a, nil
}

// Bounds of how often, and after what wait, a transaction is tried again that the
// server ended for the sake of another. The pump behind Deliver tries again, too.
const (
	maxTries  = 5
	retryWait = 20 * time.Millisecond
)

// Deliver stores entries. See [fedmsg.Sink] and [sqlarchive.Archive.Deliver]. What the
// server ends for the sake of another transaction is tried again: nothing of it was
// stored.
func (a *Archive) Deliver(ctx context.Context, batch []fedmsg.Entry) (n int, err error) {
	for try := 1; ; try++ {
		some, err := a.Archive.Deliver(ctx, batch[n:])
		n += some
		if err == nil || try == maxTries || !isPassing(err) {
			return n, err
		}
		select {
		case <-time.After(retryWait * time.Duration(try)):
		case <-ctx.Done():
			return n, context.Cause(ctx)
		}
	}
}

// Close closes the archive and lets go of its lock. It may be called more than once.
func (a *Archive) Close() error {
	return errors.Join(a.Archive.Close(), a.read.Close(), a.write.Close())
}

// The codes of errors that we act on; see appendix A of PostgreSQL's manual.
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	queryCanceled        = "57014" // by statement_timeout
	lockNotAvailable     = "55P03"
	readOnlyTransaction  = "25006"
	dataCorrupted        = "XX001"
	indexCorrupted       = "XX002"
	unknownDatabase      = "3D000"
	dependentObjects     = "2BP01"
	authorization        = "28" // a class
)

// code returns the SQLSTATE of an error, "" if the server did not say it.
func code(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// isPassing reports whether the same transaction may go well the next time.
func isPassing(err error) bool {
	c := code(err)
	return c == serializationFailure || c == deadlockDetected
}

// meaning says what an error of the server means to us.
func meaning(err error) error {
	switch code(err) {
	case queryCanceled:
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	case dataCorrupted, indexCorrupted:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// outside says what an operator can do about an archive that does not open, and that
// it may be so only now.
func outside(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	for _, told := range []error{ErrLocked, ErrNewerSchema, ErrDamaged, fedmsg.ErrInvalid, fedmsg.ErrUnavailable} {
		if errors.Is(err, told) {
			return err
		}
	}
	hint := "is the server running, and does it listen there? try: psql with the same address"
	switch c := code(err); {
	case c == readOnlyTransaction:
		hint = "name the primary; with several hosts in the address the one that can be written to is found"
	case c == unknownDatabase:
		hint = "make it: createdb -E UTF8 --locale=C -T template0"
	case len(c) == 5 && c[:2] == authorization:
		hint = "check user and password; a password is taken from the address, the file that PGPASSFILE names, or a file that holds nothing else"
	case c != "":
		hint = "the user needs the right to create a schema in the database, or to create tables in the one that is there"
	}
	return &fedmsg.HintError{Err: fmt.Errorf("%w: %w", fedmsg.ErrUnavailable, err), Hint: hint}
}
