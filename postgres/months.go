package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/segment"
)

// dialect is how PostgreSQL spells things.
var dialect = &segment.Dialect{
	Param: func(n int) string { return "$" + strconv.Itoa(n) },
	Words: map[string]string{
		"int": "bigint", "text": "bytea", "blob": "bytea", "keyed": "",
		"least": "least", "greatest": "greatest", "begin": "BEGIN", "insert": "INSERT", "has_tables": "SELECT count(to_regclass('{meta}'))",
	},
	Shared:   true,
	Patience: writeTime + 10*time.Second, // the server gives up before
	Meaning:  meaning,
	Text: segment.TextIndex{
		// The words are made by package body. An array, since a tsvector holds 1 MiB
		// only; C, since their order means nothing. What is pending in the index
		// each question reads, so it is little; without any, ingest took twice as long.
		Create: []string{`CREATE TABLE {ft} (k bigint PRIMARY KEY, words text[] COLLATE "C" NOT NULL)`,
			`CREATE INDEX {ft}_words ON {ft} USING gin (words) WITH (gin_pending_list_limit = 512)`,
			`ALTER TABLE {msg} ALTER body SET STORAGE EXTERNAL`, // packed already
			`ALTER TABLE {term} SET (fillfactor = 80)`, `ALTER TABLE {roll_hour} SET (fillfactor = 80)`, `ALTER TABLE {roll_day} SET (fillfactor = 80)`},
		Insert: "INSERT INTO {ft} (k, words) VALUES ", Group: "(?,string_to_array(rtrim(?::text), ' '))",
		Newest: finding("DESC", "<"), Oldest: finding("ASC", ">"),
		Match: func(words []string) string { return strings.Join(words, " ") },
	},
	Tidy: []string{"VACUUM (ANALYZE) {msg}", "VACUUM (ANALYZE) {post}", "VACUUM (ANALYZE) {ft}", "VACUUM (ANALYZE) {term}", "VACUUM (ANALYZE) {known}",
		"VACUUM (ANALYZE) {roll_hour}", "VACUUM (ANALYZE) {roll_day}"},
}

// near is how many messages are looked at one by one before all that have a word are
// sorted: if so many do not give what is wanted, the word is seldom.
const near = 3000

// finding returns the statement that finds messages by words: $1 are the words, $2 and
// $3 the least and the greatest key, $4 is how many. The index of words knows nothing of
// the order of keys. The planner, left to choose between the two ways, walked through a
// month for a word that is not in it; so it is not asked: OFFSET and LIMIT keep it from
// making one out of both. What is beyond is not looked at if what is near is enough.
func finding(order, beyond string) string {
	const has = "words @> string_to_array($1::text, ' ')"
	nearest := "FROM {ft} WHERE k >= $2 AND k <= $3 ORDER BY k " + order
	return fmt.Sprintf(`WITH found AS MATERIALIZED (SELECT k FROM (SELECT k, words %s LIMIT %d) n WHERE %s LIMIT $4)
		SELECT k FROM found UNION ALL
		SELECT k FROM (SELECT k FROM {ft} WHERE %s OFFSET 0) f
			WHERE k >= $2 AND k <= $3 AND k %s (SELECT k %s LIMIT 1 OFFSET %d) AND (SELECT count(*) FROM found) < $4
		ORDER BY 1 %s LIMIT $4`, nearest, near, has, has, beyond, nearest, near-1, order)
}

// months are the segments of an archive: in one schema, each a few tables.
type months struct {
	read, write *sql.DB
	schema      string
	connections *atomic.Int64
}

// tablesOf begins the names of the tables of a month: m2026_03_.
func tablesOf(month string) string { return "m" + strings.ReplaceAll(month, "-", "_") + "_" }

func (m *months) Months(ctx context.Context) ([]string, error) {
	return m.list(ctx, `SELECT replace(substr(c.relname, 2, 7), '_', '-') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relname ~ $2`, m.schema, "^m[0-9]{4}_[0-9]{2}_meta$")
}

func (m *months) list(ctx context.Context, text string, args ...any) (names []string, err error) {
	rows, err := m.read.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		names = append(names, name)
	}
	return names, errors.Join(rows.Err(), rows.Close())
}

// sizeTime is how old the size of a month may be.
const sizeTime = 10 * time.Second

func (m *months) Open(ctx context.Context, month string) (*segment.Tables, error) {
	var size atomic.Int64
	var looked time.Time // by who writes
	measure := func(ctx context.Context) error {
		var n int64
		err := m.read.QueryRowContext(ctx, `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = $1 AND c.relkind = 'r' AND starts_with(c.relname, $2)`, m.schema, tablesOf(month)).Scan(&n)
		if err == nil {
			size.Store(n)
			looked = time.Now()
		}
		return err
	}
	if err := measure(ctx); err != nil {
		return nil, err
	}
	return &segment.Tables{Read: m.read, Write: m.write, Prefix: tablesOf(month), Size: size.Load, Generation: m.connections.Load,
		Checkpoint: func(*sql.Conn) error {
			if time.Since(looked) < sizeTime {
				return nil
			}
			ctx, cancel := context.WithTimeout(context.Background(), readTime)
			defer cancel()
			return measure(ctx)
		},
		Close: func() error { return nil }, // all months have one database
	}, nil
}

// Remove drops the tables of a month.
func (m *months) Remove(ctx context.Context, month string) error {
	names, err := m.list(ctx, `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relkind = 'r' AND starts_with(c.relname, $2)`, m.schema, tablesOf(month))
	if err != nil || len(names) == 0 {
		return err
	}
	for i, name := range names {
		names[i] = pgx.Identifier{m.schema, name}.Sanitize()
	}
	if _, err := m.write.ExecContext(ctx, "DROP TABLE "+strings.Join(names, ", ")); err != nil {
		return fmt.Errorf("drop tables: %w", err)
	}
	return nil
}
