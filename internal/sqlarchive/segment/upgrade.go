package segment

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"sync"
)

// upgrade changes the tables of a segment that an earlier version made, in one
// transaction: some seconds for a million messages.
func (s *Segment) upgrade(ctx context.Context) error {
	version := s.Meta["schema"]
	if version == strconv.Itoa(SchemaVersion) {
		return nil
	}
	for _, table := range []string{chunkTable, knownTable, freshTable} {
		if _, err := s.Tables.Write.ExecContext(ctx, s.spell(table)); err != nil {
			return err
		}
	}
	var nobody sync.Mutex // is looking yet
	_, err := Transact(ctx, &nobody, Change{In: s, Do: func(w *Writer) (err error) {
		for i := range w.reach { // these versions were never late with lists
			w.reach[i] = w.maxK
		}
		if version == "1" {
			err = w.addColumns()
		}
		for _, text := range []string{
			"INSERT INTO {known} (uid, k) SELECT uid, k FROM {msg} ORDER BY uid",
			"DROP INDEX {msg}_uid",
			"ALTER TABLE {msg} DROP COLUMN uid",
		} {
			if err == nil {
				err = w.Exec(text)
			}
		}
		if err != nil {
			return err
		}
		return w.Say(map[string]string{reachName: w.reach.String(), "schema": strconv.Itoa(SchemaVersion)})
	}, Then: func() { s.Meta["schema"] = strconv.Itoa(SchemaVersion) }})
	return errors.Join(err, s.Forget())
}

// addColumns makes columns of the rows that there are.
func (w *Writer) addColumns() error {
	for last := int64(-1); ; {
		err := w.Query(lightColumns+"WHERE k > ? ORDER BY k LIMIT ?", []any{last, chunkSize}, func(rows *sql.Rows) error {
			r := new(Row)
			w.packs = append(w.packs, r)
			return r.scan(rows, false)
		})
		if err != nil || len(w.packs) == 0 {
			return err
		}
		last = w.packs[len(w.packs)-1].K
		if err := w.pack(); err != nil {
			return err
		}
		w.packs = w.packs[:0]
	}
}
