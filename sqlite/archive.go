package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/segment"
	"github.com/fedora-infra/fedmsg-go/sqlite/disk"
)

// ArchiveConfig says where the archive is and how it answers. Only Dir is required.
type ArchiveConfig struct {
	// Dir is the directory of the archive; it is made if need be, for its owner
	// alone. There is one file in it for each month. No two processes can have the
	// same one.
	Dir string `toml:"dir"`

	// Budget is how long one question may take; then what was found is the answer,
	// with a cursor to go on. Default 250ms.
	Budget time.Duration `toml:"budget"`

	// Candidates is how many messages one question may look at, likewise. Default
	// 200,000.
	Candidates int `toml:"candidates"`

	// Describer finds the words that messages are found by. Default: none.
	Describer fedmsg.Describer `toml:"-"`

	// Epoch is that of the log that the archive is fed from.
	Epoch string `toml:"-"`
}

// Validate reports everything that is wrong with c, joined, or nil.
func (c ArchiveConfig) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("dir: required"))
	}
	if c.Budget < 0 {
		errs = append(errs, fmt.Errorf("budget: must not be negative, is %s", c.Budget))
	}
	if c.Candidates < 0 {
		errs = append(errs, fmt.Errorf("candidates: must not be negative, is %d", c.Candidates))
	}
	return errors.Join(errs...)
}

// Archive is the archive of one directory. [OpenArchive] makes one.
type Archive struct {
	*sqlarchive.Archive
	lock *flock.Flock
}

// OpenArchive opens the archive in cfg.Dir, or makes one. It must be closed. Errors
// to test for: [ErrLocked], [ErrNewerSchema], [ErrDamaged].
func OpenArchive(ctx context.Context, cfg ArchiveConfig, logger *slog.Logger) (*Archive, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("archive %q: %w", cfg.Dir, err)
	}
	if err := makeDir(cfg.Dir); err != nil {
		return nil, fmt.Errorf("archive %q: %w", cfg.Dir, err)
	}
	lock := flock.New(filepath.Join(cfg.Dir, "lock"), flock.SetPermissions(0o600))
	switch ok, err := lock.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("archive %q: lock: %w", cfg.Dir, err)
	case !ok:
		return nil, &fedmsg.HintError{Err: fmt.Errorf("archive %q: %w", cfg.Dir, locked("archive")), Hint: "is a bus running with this directory already? give each its own"}
	}
	if kind := disk.Network(cfg.Dir); kind != "" && logger != nil {
		logger.WarnContext(ctx, "the archive is on a file system of another machine, which may lose what is written: keep it on a disk of this one", "dir", cfg.Dir, "reason", kind)
	}
	a, err := sqlarchive.Open(ctx, sqlarchive.Config{Describer: cfg.Describer, Epoch: cfg.Epoch, Budget: cfg.Budget, Candidates: cfg.Candidates},
		monthFiles{cfg.Dir}, archiveDialect, logger)
	switch {
	case errors.Is(err, segment.ErrNewer):
		err = fmt.Errorf("%w: %w", ErrNewerSchema, err)
	case errors.Is(err, segment.ErrDamaged):
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err != nil {
		return nil, fmt.Errorf("archive %q: %w", cfg.Dir, errors.Join(err, lock.Unlock()))
	}
	return &Archive{a, lock}, nil
}

// Close closes the archive and lets go of the directory. It may be called more than
// once.
func (a *Archive) Close() error { return errors.Join(a.Archive.Close(), a.lock.Unlock()) }

const (
	// archiveApplication marks the files as ours, in PRAGMA application_id: "fmar".
	archiveApplication = 0x666D6172
	// archiveWAL is how large the journal of a month may be, in bytes, before it is
	// written back: what is written back at once must not hold up a batch for long. One of
	// 1,000 messages makes some 8 MB, mostly the same pages as the one before.
	archiveWAL = 64 << 20
)

// archiveDialect is how SQLite spells things.
var archiveDialect = &segment.Dialect{
	Words: map[string]string{
		"int": "INTEGER", "text": "TEXT", "blob": "BLOB", "keyed": "WITHOUT ROWID", "least": "min", "greatest": "max",
		"begin": "BEGIN IMMEDIATE", "insert": "INSERT OR ROLLBACK", "has_tables": "SELECT count(*) FROM sqlite_schema WHERE name = 'meta'",
	},
	Text: segment.TextIndex{
		// The words are made by package body; this tokenizer leaves them as they are,
		// since to it all that is not ASCII is a letter.
		Create: []string{`CREATE VIRTUAL TABLE ft USING fts5(t, content='', detail=none, columnsize=0, tokenize='ascii')`,
			"INSERT INTO ft (ft, rank) VALUES ('automerge', 8)", "INSERT INTO ft (ft, rank) VALUES ('hashsize', 4194304)"},
		Insert: "INSERT INTO ft (rowid, t) VALUES ", Group: "(?,?)",
		Single: true, // before a statement of several rows, FTS5 writes out its hash table, for a savepoint
		Newest: "SELECT rowid FROM ft WHERE ft MATCH ? AND rowid >= ? AND rowid <= ? ORDER BY rowid DESC LIMIT ?",
		Oldest: "SELECT rowid FROM ft WHERE ft MATCH ? AND rowid >= ? AND rowid <= ? ORDER BY rowid LIMIT ?",
		Match:  func(words []string) string { return `"` + strings.Join(words, `" "`) + `"` },
	},
	Check: []string{"PRAGMA integrity_check(1)"}, // which asks the text index, too
}

// monthFiles are the segments of an archive: DIR/2026-03.db and so on.
type monthFiles struct{ dir string }

func (m monthFiles) file(month string) string { return filepath.Join(m.dir, month+".db") }

func (m monthFiles) Months(context.Context) (months []string, err error) {
	files, err := filepath.Glob(filepath.Join(m.dir, "[0-9][0-9][0-9][0-9]-[0-9][0-9].db"))
	for _, file := range files {
		months = append(months, strings.TrimSuffix(filepath.Base(file), ".db"))
	}
	return months, err
}

// Open makes sure of the file before others open it: what is no archive is left as
// it is, and the size of pages can be chosen for a new file only.
//
// A commit waits for the disk (synchronous=FULL): the place up to which the archive
// was fed is kept in the log, and is on disk a moment later; were the messages lost
// then, nobody would send them again.
func (m monthFiles) Open(_ context.Context, month string) (*segment.Tables, error) {
	file := m.file(month)
	if err := refuseForeign(file, "archive", archiveApplication, 1, segment.SchemaVersion); err != nil {
		if code(err) == codeNotADatabase {
			err = &fedmsg.HintError{Err: fmt.Errorf("%w: %w", ErrDamaged, err),
				Hint: "restore the file from a backup, or remove it and fill the archive again from the log"}
		}
		return nil, err
	}
	// A batch of 1,000 messages touches the ends of some thousand lists, each in a page of
	// its own, so large pages make large journals; of 4, 8 and 16 KiB this takes the least
	// time.
	c, err := dial(file, true, "page_size=8192", "journal_mode=WAL",
		fmt.Sprintf("application_id=%d", archiveApplication), fmt.Sprintf("user_version=%d", segment.SchemaVersion))
	if err != nil {
		return nil, err
	}
	connect := func(pragmas ...string) (*sql.DB, error) {
		q := url.Values{"_pragma": append(pragmas, "busy_timeout=5000", "wal_autocheckpoint=0", "temp_store=MEMORY"), "_error_rc": {"1"}}
		name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath(), RawQuery: "mode=rw&" + q.Encode()}
		return sql.Open("sqlite", name.String())
	}
	write, err := connect("synchronous=FULL", "cache_size=-32768")
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	read, err := connect("query_only=1", "cache_size=-4096")
	if err != nil {
		return nil, errors.Join(err, write.Close(), c.close())
	}
	write.SetMaxOpenConns(1)
	write.SetMaxIdleConns(-1) // sessions keep what they need
	read.SetMaxIdleConns(-1)
	return &segment.Tables{Read: read, Write: write,
		Size:       func() int64 { return fileSize(file) + fileSize(file+"-wal") },
		Checkpoint: func(conn *sql.Conn) error { return checkpointArchive(conn, file+"-wal") },
		Compact:    func(ctx context.Context) (func(bool) error, error) { return compactFile(ctx, file) },
		// The last one to close a file writes its journal back and removes it.
		Close: func() error { return errors.Join(read.Close(), write.Close(), c.close()) },
	}, nil
}

// checkpointArchive writes a large journal back, as far as nobody reads from it, and
// empties it if nobody does.
func checkpointArchive(conn *sql.Conn, file string) error {
	if fileSize(file) < archiveWAL {
		return nil
	}
	ctx := context.Background()
	for _, pragma := range []string{"PRAGMA busy_timeout=0", truncate, "PRAGMA busy_timeout=5000"} {
		if _, err := conn.ExecContext(ctx, pragma); err != nil && code(err) != codeBusy {
			return err
		}
	}
	return nil
}

func fileSize(file string) int64 {
	info, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return info.Size()
}

// compactFile makes a small copy of a database beside it: in two steps, so that what the
// text index frees is not in it. A crash leaves copies, which the next time removes.
func compactFile(ctx context.Context, file string) (finish func(wanted bool) error, err error) {
	steps := []string{file, file + ".copy", file + ".new"}
	if free, known := disk.Free(filepath.Dir(file)); known && free.Available < 2*fileSize(file)+defaultMinFree {
		return nil, fedmsg.Refuse(fedmsg.StorageFull, "%d KiB are free, and twice as much as the file is wanted", free.Available>>10)
	}
	for i, to := range steps[1:] {
		if err := errors.Join(removeFile(to), copyDatabase(ctx, steps[i], to, i > 0)); err != nil {
			return nil, errors.Join(err, removeFile(to), removeFile(steps[1]))
		}
	}
	return func(wanted bool) error {
		if fileSize(file+"-wal") > 0 { // somebody else has it open, a copy for example
			wanted, err = false, fmt.Errorf("%s-wal is in use: %w", file, fedmsg.ErrUnavailable)
		}
		if !wanted {
			return errors.Join(err, removeFile(steps[2]))
		}
		return errors.Join(os.Rename(steps[2], file), syncDir(filepath.Dir(file))) // before there is a journal of the new one
	}, removeFile(steps[1])
}

// copyDatabase copies what is in use of a database, and waits for the disk, as SQLite does
// with what it makes.
func copyDatabase(ctx context.Context, from, to string, optimize bool) error {
	c, err := dial(from, false, "busy_timeout=5000", "cache_size=-8192")
	if err != nil {
		return err
	}
	if optimize {
		err = c.exec("INSERT INTO ft (ft) VALUES ('optimize')")
	}
	if err == nil {
		err = c.query(ctx, func([]driver.Value) error { return nil }, "VACUUM INTO ?", to)
	}
	return errors.Join(err, c.close())
}

func removeFile(file string) error {
	if err := os.Remove(file); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Remove deletes the file of a month.
func (m monthFiles) Remove(_ context.Context, month string) error {
	file := m.file(month)
	if err := os.Remove(file); err != nil {
		return err
	}
	return errors.Join(removeFile(file+"-wal"), removeFile(file+"-shm"))
}
