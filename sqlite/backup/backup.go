// Package backup copies the databases of a bus, while it runs, and brings them back.
//
// A backup is a tar archive:
//
//	manifest.json       what it is, and up to which place the archive had the log
//	archive/2026-03.db  each month, as it was at one moment
//	tokens.json
//	log.db              the log, copied last: so it has all that the months have
//
// Months are not copied at the same moment: a batch of messages may be in one and not
// in another. So a restored archive is fed again from the place up to which it had the
// log before the first copy began.
package backup

import (
	"archive/tar"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// manifest is the first file of a backup.
type manifest struct {
	Format   int        `json:"format"`
	Made     time.Time  `json:"made"`
	Archived fedmsg.Seq `json:"archived"` // the place up to which the archive surely has the log
}

const (
	format       = 1
	manifestName = "manifest.json"
	logName      = "log.db"
	tokensName   = "tokens.json"
)

// Make writes a backup of the bus with its log in dir and its archive in archive, which
// may be missing, to a file. cursor is the name under which the log keeps how far it
// feeds the archive. tell is called with the name of each file that is copied.
func Make(ctx context.Context, dir, archive, cursor, file string, tell func(string)) (err error) {
	if _, err := os.Stat(filepath.Join(dir, logName)); err != nil {
		return &fedmsg.HintError{Err: fmt.Errorf("backup: %w", err), Hint: "name the directory of the bus with --dir"}
	}
	part := file + ".part"
	out, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("backup: %w", err), out.Close(), os.Remove(part))
		}
	}()
	m := manifest{Format: format, Made: time.Now().UTC()}
	if m.Archived, err = archived(ctx, filepath.Join(dir, logName), cursor); err != nil {
		return err
	}
	w := tar.NewWriter(out)
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := put(w, manifestName, m.Made, int64(len(text)), strings.NewReader(string(text))); err != nil {
		return err
	}
	months, err := filepath.Glob(filepath.Join(archive, "[0-9][0-9][0-9][0-9]-[0-9][0-9].db"))
	if err != nil {
		return err
	}
	slices.Sort(months)
	for _, month := range months {
		if err := putDatabase(ctx, w, month, path.Join("archive", filepath.Base(month)), part+".db"); err != nil {
			return err
		}
		tell(filepath.Base(month))
	}
	if tokens, err := os.ReadFile(filepath.Join(dir, tokensName)); err == nil {
		if err := put(w, tokensName, m.Made, int64(len(tokens)), strings.NewReader(string(tokens))); err != nil {
			return err
		}
	}
	if err := putDatabase(ctx, w, filepath.Join(dir, logName), logName, part+".db"); err != nil {
		return err
	}
	tell(logName)
	if err := cmp.Or(w.Close(), out.Sync(), out.Close()); err != nil {
		return err
	}
	return os.Rename(part, file)
}

// open opens a database that another process may be writing, to read it.
func open(file string) (*sql.DB, error) {
	name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath(), RawQuery: "mode=ro&_pragma=busy_timeout(10000)"}
	return sql.Open("sqlite", name.String())
}

// archived reads how far the archive was fed.
func archived(ctx context.Context, file, cursor string) (at fedmsg.Seq, err error) {
	db, err := open(file)
	if err != nil {
		return 0, err
	}
	defer func() { err = cmp.Or(err, db.Close()) }()
	err = db.QueryRowContext(ctx, "SELECT seq FROM cursors WHERE name = ?", cursor).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return at, err
}

// putDatabase copies a database as it is at one moment, and puts the copy into a
// backup.
func putDatabase(ctx context.Context, w *tar.Writer, file, name, temporary string) (err error) {
	if err := os.Remove(temporary); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	db, err := open(file)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", temporary)
	if err = cmp.Or(err, db.Close()); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer func() { err = errors.Join(err, os.Remove(temporary)) }()
	f, err := os.Open(temporary)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return put(w, name, info.ModTime(), info.Size(), f)
}

func put(w *tar.Writer, name string, at time.Time, size int64, r io.Reader) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: at.Truncate(time.Second)}); err != nil {
		return err
	}
	_, err := io.Copy(w, r)
	return err
}

// known are the names that a backup may have.
var known = regexp.MustCompile(`^(manifest\.json|tokens\.json|log\.db|archive/[0-9]{4}-[0-9]{2}\.db)$`)

// Restore brings a backup back into directories that have neither log nor archive.
// Errors to test for: [sqlite.ErrLocked] if a bus is running there, [fs.ErrExist].
func Restore(ctx context.Context, file, dir, archive, cursor string, tell func(string)) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("restore: %w", err)
		}
	}()
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := free(ctx, dir, archive); err != nil {
		return err
	}
	r := tar.NewReader(in)
	var m manifest
	seen := make(map[string]bool)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || !known.MatchString(h.Name) || seen[h.Name] || len(seen) == 0 && h.Name != manifestName {
			return fmt.Errorf("%s is no backup that fedmsg made, or it is damaged: %w", file, errors.Join(err, fedmsg.ErrInvalid))
		}
		seen[h.Name] = true
		if h.Name == manifestName {
			if err := json.NewDecoder(io.LimitReader(r, 64<<10)).Decode(&m); err != nil || m.Format != format {
				return fmt.Errorf("%s is a backup of another version, or damaged: %w", file, errors.Join(err, fedmsg.ErrInvalid))
			}
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		to := filepath.Join(dir, h.Name)
		if month, ok := strings.CutPrefix(h.Name, "archive/"); ok {
			to = filepath.Join(archive, month)
		}
		if err := write(to, r); err != nil {
			return err
		}
		tell(h.Name)
	}
	if !seen[logName] {
		return fmt.Errorf("%s is cut off: it has no log: %w", file, fedmsg.ErrInvalid)
	}
	log, err := sqlite.Open(ctx, sqlite.Config{Dir: dir, RetentionAge: -1, RetentionBytes: -1}, nil)
	if err != nil {
		return err
	}
	return cmp.Or(log.Save(ctx, cursor, m.Archived), log.Close())
}

// free makes sure that nobody uses the directories and nothing would be overwritten.
func free(ctx context.Context, dir, archive string) error {
	for _, file := range append([]string{filepath.Join(dir, logName)}, months(archive)...) {
		if _, err := os.Stat(file); err != nil {
			continue
		}
		if log, err := sqlite.Open(ctx, sqlite.Config{Dir: dir, RetentionAge: -1, RetentionBytes: -1}, nil); errors.Is(err, sqlite.ErrLocked) {
			return err
		} else if err == nil {
			_ = log.Close() // nothing was changed
		}
		return &fedmsg.HintError{Err: &fs.PathError{Op: "create", Path: file, Err: fs.ErrExist}, Hint: "restore into an empty directory, or move away what is there"}
	}
	return cmp.Or(os.MkdirAll(dir, 0o700), os.MkdirAll(archive, 0o700))
}

func months(archive string) []string {
	files, _ := filepath.Glob(filepath.Join(archive, "*.db")) // the pattern is right
	return files
}

func write(name string, r io.Reader) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return cmp.Or(err, f.Sync(), f.Close())
}
