package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/sqlite/disk"
)

// The writer is the one goroutine that changes the file.
type writer struct {
	log   *Log
	c     *conn
	space space
	last  fedmsg.Seq

	broken    error     // why nothing can be written; see mend
	tried     time.Time // when mending was last tried
	tended    time.Time // when tend last ran
	runFailed time.Time // when a run of IDs could not be stored

	journal journal

	expected int           // how many requests the next group may have
	took     time.Duration // by the last commit
}

// An answer is what the writer found for one item, until the commit decides.
type answer struct {
	receipt *fedmsg.Receipt
	entry   fedmsg.Entry
	key     uint64
}

// run serves the queue until the log is closed.
func (w *writer) run() {
	defer close(w.log.done)
	ctx := context.Background()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if time.Since(w.tended) >= time.Second {
			w.tend(ctx)
		}
		w.gather()
		group, closing := w.log.take()
		switch {
		case len(group) > 0:
			w.serve(ctx, group)
			w.expected = len(group) + w.log.waiting()
			w.keepUp(ctx)
			continue
		case closing:
			w.log.closeErr = w.shut(ctx)
			return
		}
		select {
		case <-w.log.wake:
		case result := <-w.journal.results:
			w.checkpointed(ctx, result)
		case <-tick.C:
		}
	}
}

// gather waits a little for who has just got a receipt and comes with the next
// message. Without it publishers fall into two halves, of which one waits while
// the other is served, and each write to the disk is shared by half of them.
func (w *writer) gather() {
	const pause = 100 * time.Microsecond // after so long nobody is on the way
	seen := w.log.waiting()
	if seen == 0 || seen >= w.expected || w.expected < 3 {
		return
	}
	start := time.Now()
	grown := start
	for now := start; now.Sub(start) < w.took/3 && now.Sub(grown) < pause; now = time.Now() {
		runtime.Gosched()
		n := w.log.waiting()
		if n >= w.expected {
			return
		}
		if n > seen {
			seen, grown = n, now
		}
	}
}

// tend looks after the log once a second, busy or not.
func (w *writer) tend(ctx context.Context) {
	w.tended = time.Now()
	if w.broken != nil {
		w.mend(ctx)
		return
	}
	w.setTrouble(ctx, w.room(0))
}

// serve writes a group of requests in one transaction and answers them.
func (w *writer) serve(ctx context.Context, group []*request) {
	defer func() {
		for _, r := range group {
			close(r.done)
		}
	}()
	for _, r := range group {
		r.answers = make([]fedmsg.Receipt, len(r.items))
	}
	if w.broken != nil && !w.mend(ctx) {
		refuseAll(group, w.log.problem())
		return
	}
	at := w.log.cfg.Clock().UTC().Truncate(time.Microsecond)
	fresh, echoes, size := w.sort(ctx, group, at)
	if len(fresh) > 0 {
		if err := w.room(size); err != nil {
			w.setTrouble(ctx, err)
			refuse(fresh, err)
			refuse(echoes, err)
			fresh, echoes = nil, nil
		}
	}
	if err := w.write(group, fresh); err != nil {
		err = w.failed(ctx, err)
		refuse(fresh, err)
		refuse(echoes, err)
		for _, r := range group {
			if r.do != nil {
				r.err = err
			}
		}
		return
	}
	for _, r := range group {
		if r.then != nil && r.err == nil {
			r.then(w)
		}
	}
	if len(fresh) == 0 {
		return
	}
	w.last = fresh[len(fresh)-1].entry.Seq
	w.log.ids.mu.Lock()
	for _, a := range fresh {
		w.log.ids.insert(a.key, a.entry.Seq)
	}
	w.log.ids.mu.Unlock()
	w.log.last.Store(uint64(w.last)) // before any receipt, and after the commit
	w.log.stored.Add(uint64(len(fresh)))
	w.journal.grew(size)
	w.setTrouble(ctx, nil)
}

// sort finds out which items are new, and gives them their places. Echoes are
// those that say the same as a new one of the same group.
func (w *writer) sort(ctx context.Context, group []*request, at time.Time) (fresh, echoes []answer, size int64) {
	next := w.last
	byID := make(map[string]*fedmsg.Entry, len(group))
	for _, r := range group {
		for i, it := range r.items {
			receipt, m := &r.answers[i], it.entry.Message
			if first, ok := byID[m.ID]; ok {
				if first.Message.Digest() != m.Digest() {
					receipt.Err = conflict(first.Seq, m)
					continue
				}
				*receipt = fedmsg.Receipt{Seq: first.Seq, At: at, Duplicate: true}
				echoes = append(echoes, answer{receipt: receipt})
				continue
			}
			if w.log.ids.maybe(it.key) {
				found, known, err := w.log.known(ctx, w.c, it.key, m)
				if err != nil {
					receipt.Err = fedmsg.Refuse(fedmsg.LogUnavailable, "cannot look for the ID: %v; not stored", err)
					continue
				}
				if known {
					*receipt = found
					continue
				}
			}
			next++
			e := it.entry
			e.Seq, e.At = next, at
			*receipt = fedmsg.Receipt{Seq: next, At: at}
			fresh = append(fresh, answer{receipt, e, it.key})
			byID[m.ID] = &e
			size += int64(len(m.Bytes())) + rowOverhead
		}
	}
	return fresh, echoes, size
}

func refuse(answers []answer, err error) {
	for _, a := range answers {
		*a.receipt = fedmsg.Receipt{Err: err}
	}
}

func refuseAll(group []*request, err error) {
	for _, r := range group {
		r.err = err
		for i := range r.answers {
			r.answers[i].Err = err
		}
	}
}

// write runs the transaction. What a request does may fail alone, with an error
// that is not SQLite's, if it then has written nothing.
func (w *writer) write(group []*request, fresh []answer) error {
	todo := len(fresh)
	for _, r := range group {
		if r.do != nil {
			todo++
		}
	}
	if todo == 0 {
		return nil
	}
	if todo == 1 && len(fresh) == 1 { // a statement alone is a transaction, and two statements less
		return w.timed(func() error { return w.insert(fresh[0].entry) })
	}
	return w.transact(func() error {
		for _, a := range fresh {
			if err := w.insert(a.entry); err != nil {
				return err
			}
		}
		for _, r := range group {
			if r.do == nil {
				continue
			}
			if r.err = r.do(w.c); code(r.err) != 0 {
				return r.err
			}
		}
		return nil
	})
}

func (w *writer) insert(e fedmsg.Entry) error {
	at, raw := e.At.UnixMicro(), e.Message.Bytes()
	return w.c.exec("INSERT INTO entries (seq, at, crc, verified, id, topic, raw) VALUES (?, ?, ?, ?, ?, ?, ?)",
		int64(e.Seq), at, checksum(int64(e.Seq), at, e.Verified, raw), e.Verified, e.Message.ID, string(e.Message.Topic), raw)
}

// timed measures what waits for the disk.
func (w *writer) timed(commit func() error) error {
	start := time.Now()
	if err := commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	w.took = time.Since(start)
	w.log.syncs.Observe(w.took)
	return nil
}

// transact runs work in a transaction and measures the commit.
func (w *writer) transact(work func() error) error {
	if err := w.c.exec("BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	err := work()
	if err == nil {
		if err = w.timed(func() error { return w.c.exec("COMMIT") }); err == nil {
			return nil
		}
	}
	if undo := w.c.exec("ROLLBACK"); undo != nil && code(undo) != codeError { // codeError: it was rolled back already
		err = fmt.Errorf("%w; and rollback: %w", err, undo)
	}
	return err
}

// failed judges an error of a transaction, and returns what callers get.
func (w *writer) failed(ctx context.Context, err error) error {
	if code(err) == codeFull {
		refusal := fedmsg.Refuse(fedmsg.StorageFull, "%v; not stored", err)
		w.setTrouble(ctx, refusal)
		return refusal
	}
	w.breakDown(ctx, fedmsg.Refuse(fedmsg.LogUnavailable, "%v; it may be stored", err))
	return w.broken
}

// breakDown notes that the file cannot be trusted until it was mended.
func (w *writer) breakDown(ctx context.Context, err error) {
	w.broken, w.tried = err, time.Now()
	w.setTrouble(ctx, err)
}

// setTrouble publishes how the log is, and logs when that changes.
func (w *writer) setTrouble(ctx context.Context, err error) {
	old := w.log.trouble.Load()
	switch {
	case err == nil && old == nil:
	case err == nil:
		w.log.trouble.Store(nil)
		w.log.logger.InfoContext(ctx, "the log takes messages again", "took", time.Since(old.since).Round(time.Millisecond))
	case old != nil && fedmsg.ReasonOf(old.err) == fedmsg.ReasonOf(err):
		w.log.trouble.Store(&trouble{err, old.since})
	default:
		w.log.trouble.Store(&trouble{err, time.Now()})
		w.log.logger.ErrorContext(ctx, "the log takes no messages", "err", err)
	}
}

// mendEvery is how long to wait after an attempt to mend.
const mendEvery = 250 * time.Millisecond

// mend opens the file anew after an error, and reports whether it can be trusted.
func (w *writer) mend(ctx context.Context) bool {
	if time.Since(w.tried) < mendEvery {
		return false
	}
	defer func() { w.tried = time.Now() }()
	if err := w.reopen(ctx); err != nil {
		reason := fedmsg.LogUnavailable
		if code(err) == codeFull {
			reason = fedmsg.StorageFull
		}
		w.broken = fedmsg.Refuse(reason, "%v; not stored", err)
		w.setTrouble(ctx, w.broken)
		return false
	}
	w.broken = nil
	w.setTrouble(ctx, nil)
	return true
}

func (w *writer) reopen(ctx context.Context) error {
	if err := w.hangUp(); err != nil {
		w.log.logger.DebugContext(ctx, "closing what is broken", "err", err)
	}
	if err := w.dial(false); err != nil {
		return err
	}
	if epoch, err := readEpoch(w.c); err != nil || epoch != *w.log.epoch.Load() {
		return errors.Join(err, fmt.Errorf("epoch %q, was %q: this is another log", epoch, *w.log.epoch.Load()))
	}
	if err := w.settle(); err != nil {
		return fmt.Errorf("write the journal back: %w", err)
	}
	first, last, err := readBounds(w.c)
	if err != nil {
		return err
	}
	if last < w.last {
		return fmt.Errorf("the log ends at %d, and %d was acknowledged: %w", last, w.last, ErrDamaged)
	}
	if err := w.log.ids.extend(w.c, w.last+1, last); err != nil {
		return err
	}
	w.last = last
	w.log.last.Store(uint64(last))
	w.log.setFirst(first)
	return w.transact(func() error {
		return w.c.exec("INSERT OR REPLACE INTO meta VALUES ('mended', ?)", w.log.cfg.Clock().UnixMicro())
	})
}

// setFirst notes that what lies before a place is gone. It is called by the
// writer only.
func (l *Log) setFirst(first fedmsg.Seq) {
	l.first.Store(uint64(first))
	l.ids.trim(first)
}

// room returns why bytes of new entries may not be written, or nil.
func (w *writer) room(bytes int64) error {
	fs, known := disk.Free(w.space.dir)
	// Once into the journal, and once into the file; and what waits in the
	// journal has yet to go into the file.
	need := 2*bytes + w.journal.dirty
	if !known || fs.Available-need >= w.space.floor {
		return nil
	}
	if _, freed, err := usage(w.c); err == nil && freed > 0 && fs.Available >= need && fs.Available+freed-need >= w.space.floor {
		return nil // retention made room within the file
	}
	return fedmsg.Refuse(fedmsg.StorageFull, "%d KiB are free on the file system of %s, and the floor is %d KiB",
		fs.Available>>10, w.space.dir, (w.space.floor+w.journal.dirty)>>10)
}

// shut ends everything.
func (w *writer) shut(ctx context.Context) error {
	w.journal.wait()
	close(w.log.closed)
	patience := time.After(5 * time.Second)
	var errs []error
	for range maxReaders {
		select {
		case c := <-w.log.readers:
			if c != nil {
				errs = append(errs, c.close())
			}
		case <-patience:
			errs = append(errs, errors.New("a reader did not come back"))
		}
	}
	if w.broken == nil {
		if err := w.settle(); err != nil && code(err) != codeFull { // it keeps in the journal
			errs = append(errs, fmt.Errorf("write the journal back: %w", err))
		}
	}
	errs = append(errs, w.hangUp(), w.log.lock.Unlock())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close log %q: %w", w.log.cfg.Dir, err)
	}
	w.log.logger.DebugContext(ctx, "log closed", "last", w.last)
	return nil
}
