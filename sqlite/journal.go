package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// A journal keeps account of SQLite's write-ahead log. Its pages must be written
// back to the main file now and then (a checkpoint), or it grows for ever.
//
// Most of that is done by a second connection beside the writer: at half the
// limit it copies what there is, which holds nobody up. What came in meanwhile
// the writer copies itself, between two groups; then the journal starts over.
type journal struct {
	limit   int64 // bytes
	size    int64 // about what was written to it since it started over
	dirty   int64 // about what the main file lacks
	busy    bool
	results chan checkpoint
	second  *conn
}

// A checkpoint is how writing back went.
type checkpoint struct {
	complete bool
	err      error
}

// grew notes that a transaction of so many bytes of entries was written.
func (j *journal) grew(bytes int64) {
	j.size += bytes + bytes/8 + 3*pageSize
	j.dirty += bytes + bytes/8
}

// wait waits until nobody writes back.
func (j *journal) wait() {
	if j.busy {
		<-j.results
		j.busy = false
	}
}

// write back as much as possible (PASSIVE) or all (TRUNCATE).
func writeBack(c *conn, pragma string) checkpoint {
	row, _, err := c.ints(pragma)
	if err != nil {
		return checkpoint{err: err}
	}
	return checkpoint{complete: row[0] == 0 && row[1] == row[2]}
}

const (
	passive  = "PRAGMA wal_checkpoint(PASSIVE)"
	truncate = "PRAGMA wal_checkpoint(TRUNCATE)"
)

// keepUp starts writing back when it is time. It runs between two groups.
func (w *writer) keepUp(ctx context.Context) {
	j := &w.journal
	if w.broken != nil {
		return
	}
	w.storeRun(ctx)
	select {
	case result := <-j.results:
		w.checkpointed(ctx, result)
	default:
	}
	switch {
	case j.busy && j.size > 4*j.limit: // the disk cannot follow: let publishers wait for it
		w.checkpointed(ctx, <-j.results)
	case !j.busy && j.size > j.limit/2:
		if j.second == nil {
			c, err := dial(w.log.file, false, writerPragmas(j.limit, w.log.cfg.SyncLate)[1:]...)
			if err != nil {
				w.breakDown(ctx, fedmsg.Refuse(fedmsg.LogUnavailable, "open a second connection: %v", err))
				return
			}
			j.second = c
		}
		j.busy = true
		go func(c *conn) { j.results <- writeBack(c, passive) }(j.second)
	}
}

// checkpointed finishes what the second connection began.
func (w *writer) checkpointed(ctx context.Context, result checkpoint) {
	j := &w.journal
	j.busy = false
	if w.broken != nil {
		return
	}
	if result.err == nil {
		result = writeBack(w.c, passive)
	}
	switch {
	case code(result.err) == codeFull:
		w.setTrouble(ctx, fedmsg.Refuse(fedmsg.StorageFull, "no room to write the journal back: %v", result.err))
	case result.err != nil && code(result.err) != codeBusy:
		w.breakDown(ctx, fedmsg.Refuse(fedmsg.LogUnavailable, "write the journal back: %v", result.err))
	case result.complete:
		j.size, j.dirty = 0, 0
	default: // a reader is in the middle of it: again soon
		j.size = max(j.size-j.limit/4, j.limit/4)
	}
}

// settle writes the whole journal back and empties it.
func (w *writer) settle() error {
	switch result := writeBack(w.c, truncate); {
	case result.err != nil:
		return result.err
	case !result.complete:
		return errors.New("a reader is in the way")
	}
	w.journal.size, w.journal.dirty = 0, 0
	return nil
}

// storeRun writes a full run of IDs to the file.
func (w *writer) storeRun(ctx context.Context) {
	run, ok := w.log.ids.full(w.last)
	if !ok || time.Since(w.runFailed) < time.Second {
		return
	}
	rows := w.log.ids.pack(run)
	if err := w.transact(func() error { return store(w.c, run, rows) }); err != nil {
		w.runFailed = time.Now()
		w.failed(ctx, fmt.Errorf("store IDs: %w", err))
		return
	}
	w.log.ids.settle(run, rows)
	w.journal.grew(runSize * 8)
}

// dial opens the writer's connection.
func (w *writer) dial(create bool) error {
	w.journal = journal{limit: w.space.walLimit, results: make(chan checkpoint, 1)}
	c, err := dial(w.log.file, create, writerPragmas(w.space.walLimit, w.log.cfg.SyncLate)...)
	if err != nil {
		return err
	}
	w.c = c
	return nil
}

// hangUp closes the writer's connections.
func (w *writer) hangUp() error {
	w.journal.wait()
	var errs []error
	for _, c := range []*conn{w.journal.second, w.c} {
		if c != nil {
			errs = append(errs, c.close())
		}
	}
	w.c, w.journal.second = nil, nil
	return errors.Join(errs...)
}
