// Package shelves finds an archive by its address: a directory, or a database of
// PostgreSQL as postgres://USER@HOST/DATABASE.
package shelves

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/past"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive"
	"github.com/fedora-infra/fedmsg-go/postgres"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// PasswordFile is the variable that names a file with the password of the database, so
// that it need not stand in a command line.
const PasswordFile = "FEDMSG_ARCHIVE_PASSWORD_FILE"

// ErrBackup says how an archive in a database is copied.
var ErrBackup error = &fedmsg.HintError{
	Err:  errors.New("--archive: an archive in a database is not copied with the log"),
	Hint: "copy it first: pg_dump -Fc -n fedmsg DATABASE >archive.dump; then the log: fedmsg backup without --archive",
}

// Opener opens archives.
type Opener struct {
	PasswordFile string // of a database; empty for none
	Logger       *slog.Logger
	// Commands says that a command asks for them, beside which a bus may be running.
	Commands bool
}

// IsDatabase reports whether an address is that of a database.
func IsDatabase(address string) bool {
	return strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://")
}

// Shown is an address as others may see it: without a password.
func Shown(address string) string {
	if IsDatabase(address) {
		return postgres.Redacted(address)
	}
	return address
}

// Open opens an archive, or makes one, as the one that the log of an epoch feeds.
func (o Opener) Open(ctx context.Context, address, epoch string, words fedmsg.Describer) (past.Tended, error) {
	words = withoutFetching(words)
	if IsDatabase(address) {
		cfg := o.database(address)
		cfg.Describer, cfg.Epoch = words, epoch
		a, err := postgres.OpenArchive(ctx, cfg, o.Logger)
		if err != nil {
			return nil, err
		}
		return tended{a}, nil
	}
	a, err := sqlite.OpenArchive(ctx, sqlite.ArchiveConfig{Dir: address, Describer: words, Epoch: epoch}, o.Logger)
	if err != nil {
		return nil, err
	}
	return tended{a}, nil
}

func (o Opener) database(address string) postgres.Config {
	return postgres.Config{DSN: address, PasswordFile: o.PasswordFile, LockLate: o.Commands}
}

// Shelf returns where an archive is.
func (o Opener) Shelf(address string) past.Shelf {
	if IsDatabase(address) {
		return schema{o.database(address)}
	}
	return directory(address)
}

// An archive is what both kinds are.
type archive interface {
	past.Opened
	past.Mended
	Verify(ctx context.Context) (sqlarchive.Report, error)
}

// tended is an archive that is looked after.
type tended struct{ archive }

func (t tended) Check(ctx context.Context) (messages int64, faults []string, err error) {
	report, err := t.Verify(ctx)
	return report.Messages, report.Faults, err
}

// A schema holds an archive in a database.
type schema struct{ cfg postgres.Config }

func (s schema) Exists(ctx context.Context) (bool, error) { return postgres.Exists(ctx, s.cfg) }
func (s schema) Remove(ctx context.Context) error         { return postgres.Remove(ctx, s.cfg) }
func (s schema) Beside(word string) string                { return postgres.Beside(s.cfg.DSN, word) }
func (s schema) Rename(ctx context.Context, to string) error {
	return postgres.Rename(ctx, s.cfg, to)
}

// A directory holds an archive in files.
type directory string

func (d directory) Exists(context.Context) (bool, error) {
	_, err := os.Stat(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (d directory) Beside(word string) string                 { return string(d) + "." + word }
func (d directory) Remove(context.Context) error              { return os.RemoveAll(string(d)) }
func (d directory) Rename(_ context.Context, to string) error { return os.Rename(string(d), to) }
