package segment

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/packing"
)

// SchemaVersion is the version of the tables. Those of version 1 have no columns, and those
// of version 2 find messages by their IDs by an index; they are changed when they are opened.
const SchemaVersion = 3

var (
	// ErrNewer: the archive was written by a later version of this program.
	ErrNewer = errors.New("the archive has a newer schema")
	// ErrDamaged: what is stored is not what was written.
	ErrDamaged = packing.ErrDamaged
)

// A Dialect is how a database spells what databases do not agree on. Statements
// of this package are written with words in braces, which it fills in: {post} is
// the table post, {least} the function that returns the lesser of two numbers.
type Dialect struct {
	// Param spells the n-th parameter of a statement, counted from 1; nil leaves the
	// question mark.
	Param func(n int) string
	// Words are what stands for words in braces: {least} and {greatest} of two
	// numbers; the types {int}, {text} and {blob}; {keyed}, which ends a table that lies in
	// the order of its key; {begin}, which begins to write; {insert}, which inserts
	// rows that are new, and may end the transaction if one is not;
	// {has_tables}, a statement that counts the tables there are.
	Words map[string]string
	// Shared says that all segments lie in one database, whose driver keeps statements
	// prepared: a view, or a transaction, uses one connection for all of them.
	Shared bool
	// Patience is how long one statement may take. Default: as long as it takes.
	Patience time.Duration
	// Meaning says what an error of the database means, by wrapping it; nil leaves it.
	Meaning func(error) error
	// Text are the statements of the text index.
	Text TextIndex
	// Check are statements for who reads whose first column is "ok", if the segment is
	// sound.
	Check []string
	// Tidy are statements that make a segment small which will not grow any more.
	Tidy []string
}

// TextIndex are the statements of an index that finds keys by words.
type TextIndex struct {
	// Create makes it.
	Create []string
	// Insert begins to insert keys and words joined by blanks, of which each pair is
	// spelled as Group.
	Insert, Group string
	// Single says that they are inserted one by one: an index may write out what it
	// gathered before each statement that inserts several.
	Single bool
	// Newest and Oldest take what Match made, the least and the greatest k, and a
	// limit, and return keys in order, newest or oldest first.
	Newest, Oldest string
	// Match makes an argument of words, all of which must be there.
	Match func(words []string) string
}

// A Store holds the segments of an archive: the messages of one month each, which
// know nothing of one another.
type Store interface {
	// Months returns the names of the segments that there are, as 2026-03.
	Months(ctx context.Context) ([]string, error)
	// Open opens a segment, or makes an empty one with no tables in it.
	Open(ctx context.Context, month string) (*Tables, error)
	// Remove deletes a segment that is closed.
	Remove(ctx context.Context, month string) error
}

// Tables are where the tables of one segment are.
type Tables struct {
	// Read and Write are the database; they may be the same.
	Read, Write *sql.DB
	// Prefix stands before the name of each table.
	Prefix string
	// Size returns the bytes that the segment takes.
	Size func() int64
	// Checkpoint is called after a commit, with the connection that made it if that is
	// kept; nil if there is nothing to do.
	Checkpoint func(conn *sql.Conn) error
	// Generation counts the connections for writing that were made, if a new one means
	// that another process may have written meanwhile: what a writer remembers is good
	// for one of them only. nil if no other process can.
	Generation func() int64
	// Compact makes a small copy, beside those who read. It returns what puts the copy in
	// the place of the segment, after Close; or, if that is not wanted, removes it. nil if
	// the statements of Dialect.Tidy do it in place.
	Compact func(ctx context.Context) (finish func(wanted bool) error, err error)
	// Close closes what Open opened.
	Close func() error
}

// schema are the tables of a segment, one statement each.
//
// A segment is complete: it has its own numbers for terms, its own dictionary,
// and the counts of what is in it, so that all that a message changes is changed
// in one transaction, a month can be copied or removed by itself, and a segment
// that does not know a term is done with after one look.
var schema = []string{
	`CREATE TABLE {meta} (name {text} PRIMARY KEY, value {text} NOT NULL)`,
	`CREATE TABLE {zdict} (id {int} PRIMARY KEY, made {int} NOT NULL, bytes {blob} NOT NULL)`,
	// A term is a value that messages are found by, and how many there are of it.
	`CREATE TABLE {term} (
		id    {int} PRIMARY KEY,
		kind  {int} NOT NULL,
		name  {text} NOT NULL,
		n     {int} NOT NULL,   -- messages
		first {int} NOT NULL,   -- k of the oldest
		last  {int} NOT NULL)`, // k of the newest
	`CREATE UNIQUE INDEX {term}_name ON {term} (kind, name)`,
	`CREATE TABLE {msg} (
		k        {int} PRIMARY KEY,
		place    {int},          -- epoch and Seq; NULL for imports
		recv     {int} NOT NULL, -- Entry.At in microseconds since 1970
		topic    {int} NOT NULL,
		category {int} NOT NULL,
		agent    {int} NOT NULL,
		stamp    {int} NOT NULL,
		terms    {blob} NOT NULL, -- IDs of users, packages, objects
		enc      {int} NOT NULL,
		body     {blob} NOT NULL)`,
	`CREATE INDEX {msg}_place ON {msg} (place) WHERE place IS NOT NULL`,
	`CREATE TABLE {post} (term {int} NOT NULL, k {int} NOT NULL, PRIMARY KEY (term, k)) {keyed}`,
	`CREATE TABLE {roll_hour} (kind {int} NOT NULL, hour {int} NOT NULL, term {int} NOT NULL, n {int} NOT NULL,
		PRIMARY KEY (kind, hour, term)) {keyed}`, // of topics and categories
	`CREATE TABLE {roll_day} (kind {int} NOT NULL, day {int} NOT NULL, term {int} NOT NULL, n {int} NOT NULL,
		PRIMARY KEY (kind, day, term)) {keyed}`, // of all kinds
	chunkTable,
	knownTable,
	freshTable,
}

// spell fills in the words in braces, and parameters.
func (d *Dialect) spell(text, prefix string) string {
	var b strings.Builder
	params := 0
	for len(text) > 0 {
		at := strings.IndexAny(text, "{?")
		if at < 0 {
			break
		}
		b.WriteString(text[:at])
		if text[at] == '?' {
			params++
			if d.Param == nil {
				b.WriteByte('?')
			} else {
				b.WriteString(d.Param(params))
			}
			text = text[at+1:]
			continue
		}
		end := at + strings.IndexByte(text[at:], '}')
		word := text[at+1 : end]
		if filled, ok := d.Words[word]; ok {
			b.WriteString(filled)
		} else {
			b.WriteString(prefix + word)
		}
		text = text[end+1:]
	}
	b.WriteString(text)
	return b.String()
}

// Marks returns n groups of so many question marks, as VALUES and IN want them.
func Marks(n, columns int) string {
	group := "(" + strings.Repeat(",?", columns)[1:] + ")"
	if columns == 1 {
		group = "?"
	}
	return strings.Repeat(","+group, n)[1:]
}
