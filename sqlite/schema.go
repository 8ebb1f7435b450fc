package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"

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

// ErrNewerSchema: the log was written by a later version of this program.
var ErrNewerSchema = errors.New("the log has a newer schema")

// ErrDamaged: what is on disk is not what was written.
var ErrDamaged = errors.New("the log is damaged")

// writerPragmas set up the connection that writes. A commit returns when the
// journal is on disk (synchronous=FULL); checkpoints are ours to start.
func writerPragmas(walLimit int64) []string {
	return []string{
		fmt.Sprintf("page_size=%d", pageSize), "journal_mode=WAL", "synchronous=FULL",
		"wal_autocheckpoint=0", "busy_timeout=1000", "cache_size=-8192", "temp_store=MEMORY",
		fmt.Sprintf("journal_size_limit=%d", walLimit),
	}
}

// readerPragmas keep a reader's memory small: rows lie in order, so it needs no
// page twice.
var readerPragmas = []string{"query_only=1", "busy_timeout=1000", "cache_size=-1024", "wal_autocheckpoint=0"}

// prepareSchema makes the tables of a new log, and refuses what is not a log of
// this version.
func prepareSchema(c *conn) error {
	found, _, err := c.ints("PRAGMA user_version")
	if err != nil {
		return err
	}
	tables, _, err := c.ints("SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return err
	}
	app, _, err := c.ints("PRAGMA application_id")
	if err != nil {
		return err
	}
	switch {
	case found[0] > version:
		return &fedmsg.HintError{
			Err:  fmt.Errorf("schema version %d, newest known here is %d: %w", found[0], version, ErrNewerSchema),
			Hint: "run the newer version of fedmsg that wrote this log, or point it to another directory",
		}
	case found[0] == version && app[0] == application:
		return nil
	case found[0] != 0 || tables[0] != 0:
		return &fedmsg.HintError{
			Err:  fmt.Errorf("application ID %#x, schema version %d: this is no log of fedmsg: %w", app[0], found[0], fedmsg.ErrInvalid),
			Hint: "point fedmsg to a directory of its own",
		}
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
