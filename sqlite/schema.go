package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

const (
	// version is the schema's, in PRAGMA user_version.
	version = 1
	// application marks the file as ours, in PRAGMA application_id: "fmlg".
	application = 0x666D6C67
	// pageSize, in bytes: of 4, 8, 16 and 32 KiB it is the smallest with which
	// one publisher came near a bare append, and the reader's rate was double
	// that of 4 KiB.
	pageSize = 16 << 10
)

// schema makes a new log.
//
// There is no index on the message ID: each random ID would make another page
// dirty, four times the writing of the message itself. What the log knows of
// IDs stands in the table ids, in runs; see the type ids.
const schema = `
CREATE TABLE entries (
	seq      INTEGER PRIMARY KEY,
	at       INTEGER NOT NULL, -- microseconds since 1970
	crc      INTEGER NOT NULL, -- of all other columns but id and topic, see checksum
	verified TEXT NOT NULL,
	id       TEXT NOT NULL,
	topic    TEXT NOT NULL,
	raw      BLOB NOT NULL     -- the message as it came
);
CREATE TABLE ids (
	bucket INTEGER PRIMARY KEY, -- run * 256 + first byte of the key
	keys   BLOB NOT NULL        -- sorted, 8 bytes each: 6 of the key, 2 of the place
);
CREATE TABLE cursors (
	name TEXT PRIMARY KEY,
	seq  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE meta (
	name  TEXT PRIMARY KEY,
	value NOT NULL
) WITHOUT ROWID;
`

// ErrNewerSchema: a later version of this program wrote the log or the archive.
var ErrNewerSchema = errors.New("the schema is newer")

// ErrDamaged: what is on disk is not what was written.
var ErrDamaged = errors.New("the log is damaged")

// writerPragmas set up the connection that writes. A commit returns when the
// journal is on disk (synchronous=FULL), or late before; checkpoints are ours to start.
func writerPragmas(walLimit int64, late bool) []string {
	sync := "FULL"
	if late {
		sync = "NORMAL"
	}
	return []string{
		fmt.Sprintf("page_size=%d", pageSize), "journal_mode=WAL", "synchronous=" + sync,
		"wal_autocheckpoint=0", "busy_timeout=1000", "cache_size=-8192", "temp_store=MEMORY",
		fmt.Sprintf("journal_size_limit=%d", walLimit),
	}
}

// readerPragmas keep a reader's memory small: rows lie in order, so it needs no
// page twice.
var readerPragmas = []string{"query_only=1", "busy_timeout=1000", "cache_size=-1024", "wal_autocheckpoint=0"}

// versions returns what a file says of itself; all 0 for a new one.
func versions(c *conn) (schema, application, tables int64, err error) {
	var found [3]int64
	for i, text := range []string{"PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_schema"} {
		row, _, err := c.ints(text)
		if err != nil {
			return 0, 0, 0, err
		}
		found[i] = row[0]
	}
	return found[0], found[1], found[2], nil
}

// refuseForeign looks at the file, if there is one, and refuses what is not of this
// kind, or of a version that cannot be read, before anything in it is changed. What is
// its name for people.
func refuseForeign(file, what string, application, oldest, version int64) error {
	if info, err := os.Stat(file); err != nil || info.Size() == 0 {
		return nil // there is none; or it cannot be opened, which will be told
	}
	c, err := dial(file, false, "query_only=1", "busy_timeout=1000")
	if err != nil {
		return err
	}
	found, app, tables, err := versions(c)
	switch {
	case err != nil:
		err = fmt.Errorf("%s: %w", file, err)
	case app == application && found > version:
		err = &fedmsg.HintError{
			Err:  fmt.Errorf("%s: schema version %d, and %d is the newest known here: %w", file, found, version, ErrNewerSchema),
			Hint: "run the newer version of fedmsg that wrote this " + what + ", or point this one to another directory",
		}
	case (app != application || found < oldest) && (app != 0 || found != 0 || tables != 0):
		err = &fedmsg.HintError{
			Err:  fmt.Errorf("%s: application ID %#x, schema version %d: no %s of fedmsg: %w", file, app, found, what, fedmsg.ErrInvalid),
			Hint: "point fedmsg to a directory of its own",
		}
	}
	return errors.Join(err, c.close())
}

// makeSchema makes the tables, unless they are there.
func makeSchema(c *conn) error {
	if found, _, _, err := versions(c); err != nil || found != 0 {
		return err
	}
	var epoch [8]byte
	rand.Read(epoch[:]) // never fails
	return c.script(fmt.Sprintf("BEGIN IMMEDIATE;\n%s\nINSERT INTO meta VALUES ('epoch', '%s'), ('last', 0);\n"+
		"PRAGMA application_id=%d;\nPRAGMA user_version=%d;\nCOMMIT;", schema, hex.EncodeToString(epoch[:]), application, version))
}

// readEpoch returns the word that was made with the log.
func readEpoch(c *conn) (epoch string, err error) {
	err = c.query(context.Background(), func(row []driver.Value) error {
		epoch, _ = row[0].(string)
		return nil
	}, "SELECT value FROM meta WHERE name = 'epoch'")
	if err == nil && len(epoch) != 16 {
		err = fmt.Errorf("epoch %q: %w", epoch, ErrDamaged)
	}
	return epoch, err
}

// readBounds returns the places of the oldest and newest entry. The newest that
// ever was stands in meta when retention took it.
func readBounds(c *conn) (first, last fedmsg.Seq, err error) {
	row, _, err := c.ints("SELECT (SELECT min(seq) FROM entries), (SELECT max(seq) FROM entries), (SELECT value FROM meta WHERE name = 'last')")
	if err != nil {
		return 0, 0, err
	}
	last = fedmsg.Seq(max(row[1], row[2]))
	if first = fedmsg.Seq(row[0]); first == 0 {
		first = last + 1
	}
	return first, last, nil
}
