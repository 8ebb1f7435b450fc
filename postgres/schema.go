package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"
)

// Exists reports whether there is an archive.
func Exists(ctx context.Context, cfg Config) (found bool, err error) {
	err = visit(ctx, cfg, false, func(t *target, db *sql.DB) error {
		m := &months{read: db, schema: t.schema}
		all, err := m.Months(ctx)
		found = len(all) > 0
		return err
	})
	return found, err
}

// Remove removes an archive that nobody has open, and its schema unless there is
// something else in it. It need not exist.
func Remove(ctx context.Context, cfg Config) error {
	return visit(ctx, cfg, true, func(t *target, db *sql.DB) error {
		m := &months{read: db, write: db, schema: t.schema}
		all, err := m.Months(ctx)
		if err != nil {
			return err
		}
		for _, month := range all {
			if err := m.Remove(ctx, month); err != nil {
				return err
			}
		}
		_, err = db.ExecContext(ctx, "DROP SCHEMA "+pgx.Identifier{t.schema}.Sanitize())
		if code(err) == dependentObjects {
			return nil
		}
		return err
	})
}

// Rename gives an archive that nobody has open the schema of another address in the
// same database, where there must be none.
func Rename(ctx context.Context, cfg Config, to string) error {
	other, err := parse(Config{DSN: to})
	if err != nil {
		return err
	}
	return visit(ctx, cfg, true, func(t *target, db *sql.DB) error {
		_, err := db.ExecContext(ctx, "ALTER SCHEMA "+pgx.Identifier{t.schema}.Sanitize()+" RENAME TO "+pgx.Identifier{other.schema}.Sanitize())
		return err
	})
}

// Beside returns the address of another archive in the same database: its schema has
// the word behind its name.
func Beside(dsn, word string) string {
	u, err := url.Parse(dsn)
	t, unread := parse(Config{DSN: dsn})
	if err != nil || unread != nil {
		return dsn // which nobody can open, either
	}
	q := u.Query()
	q.Set("search_path", t.schema+"_"+word)
	u.RawQuery = q.Encode()
	return u.String()
}

// visit connects once, to do something that is not done with an open archive.
func visit(ctx context.Context, cfg Config, writes bool, do func(*target, *sql.DB) error) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("archive %s: %w", Redacted(cfg.DSN), err)
	}
	t, err := parse(cfg)
	if err != nil {
		return err
	}
	connector := t.reading()
	if writes {
		connector = t.writing()
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	if err := do(t, db); err != nil {
		return fmt.Errorf("archive %s: %w", Redacted(cfg.DSN), errors.Join(outside(ctx, err), db.Close()))
	}
	return db.Close()
}
