// Package sqlite keeps the log and the cursors of the bus in one SQLite file:
// the default, with nothing to install or run beside the bus.
//
// # One writer
//
//	Append ─┐
//	Append ─┼─► queue ─► writer: one transaction, one fdatasync ─► receipts
//	Save   ─┘
//
// Everything that changes the file goes through one goroutine with one
// connection. It takes all that waits, writes it in one transaction, and answers
// when the journal is on disk, so the more publishers there are, the more share
// one write to the disk. Readers have connections of their own and never wait
// for it.
//
// # Promises
//
//   - A receipt with a Seq is given after the transaction is on disk
//     (synchronous=FULL). It survives kill -9 and loss of power, if the disk
//     tells the truth.
//   - Places have no hole, and none is given twice, whatever failed in between
//     and even if retention took all entries.
//   - Below the free-space floor publishers are refused with StorageFull before
//     the file system is full. Reading, saving cursors and retention go on, and
//     publishing works again with the first message after there is room.
//   - After an error of the disk nothing is acknowledged before the file was
//     opened anew, everything in its journal was written again to the main file,
//     and a trial write was made: pages of a failed fsync are not on disk, and
//     the kernel does not say so twice.
//   - Each entry has a checksum over all that a reader gets, looked at whenever
//     it is read. A journal that is damaged before its last commit is found when
//     the log is opened. Damage is [ErrDamaged]; it is never passed on.
//
// Cursors do not hold retention back: a reader that never comes must not fill
// the disk. It gets ErrTooOld when it does come.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	modernc "modernc.org/sqlite"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/sqlite/disk"
)

// ErrLocked: another process has this directory.
var ErrLocked = errors.New("another process has it")

// locked says what another process has.
type locked string

func (l locked) Error() string   { return "another process has this " + string(l) }
func (locked) Is(err error) bool { return err == ErrLocked }

// Log is the log and the cursors of one directory. [Open] makes one.
type Log struct {
	cfg    Config
	logger *slog.Logger
	file   string
	lock   *flock.Flock
	epoch  atomic.Pointer[string]
	ids    ids

	mu      sync.Mutex
	queue   []*request
	closing bool
	wake    chan struct{} // has one element if the writer should look
	done    chan struct{} // closed when the writer has ended

	first, last atomic.Uint64
	trouble     atomic.Pointer[trouble]
	readers     chan *conn // idle ones; nil stands for one not yet open
	closed      chan struct{}
	closeOnce   sync.Once
	closeErr    error

	syncs  *fedmsg.Histogram
	stored atomic.Uint64
}

// trouble is why the log takes no messages, and since when.
type trouble struct {
	err   error
	since time.Time
}

var (
	_ fedmsg.Log     = (*Log)(nil)
	_ fedmsg.Cursors = (*Log)(nil)
	_ fedmsg.Meter   = (*Log)(nil)
)

// maxReaders is how many read at the same time; others wait. Reading is work for
// the processor, so more would not be faster.
const maxReaders = 8

// Open opens the log in cfg.Dir, or makes one. The log must be closed, by
// [Log.Run] or [Log.Close]. Errors to test for: [ErrLocked], [ErrNewerSchema],
// [ErrDamaged].
func Open(ctx context.Context, cfg Config, logger *slog.Logger) (*Log, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("log %q: %w", cfg.Dir, err)
	}
	cfg = cfg.withDefaults()
	if err := makeDir(cfg.Dir); err != nil {
		return nil, fmt.Errorf("log %q: %w", cfg.Dir, err)
	}
	lock := flock.New(filepath.Join(cfg.Dir, "lock"), flock.SetPermissions(0o600))
	switch ok, err := lock.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("log %q: lock: %w", cfg.Dir, err)
	case !ok:
		return nil, &fedmsg.HintError{
			Err:  fmt.Errorf("log %q: %w", cfg.Dir, locked("log")),
			Hint: "is a bus running with this directory already? give each its own with --dir",
		}
	}
	l := &Log{
		cfg: cfg, logger: logger, lock: lock, file: filepath.Join(cfg.Dir, "log.db"),
		wake: make(chan struct{}, 1), done: make(chan struct{}), closed: make(chan struct{}),
		readers: make(chan *conn, maxReaders), syncs: fedmsg.NewHistogram("log_sync_duration_seconds"),
	}
	for range maxReaders {
		l.readers <- nil
	}
	w := &writer{log: l, space: newSpace(cfg)}
	if err := w.start(ctx); err != nil {
		return nil, fmt.Errorf("log %q: %w", cfg.Dir, errors.Join(err, w.hangUp(), lock.Unlock()))
	}
	go w.run()
	return l, nil
}

// makeDir makes the directory, and sees to it that it stays.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(filepath.Dir(filepath.Clean(dir)))
}

// syncDir sees to it that names in a directory are on disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// start opens the database and reads what must be known before the first append.
func (w *writer) start(ctx context.Context) error {
	if _, err := modernc.Fdatasync(true); err != nil {
		w.log.logger.DebugContext(ctx, "no fdatasync here, so commits take longer", "err", err)
	}
	if err := checkJournal(w.log.file + "-wal"); err != nil {
		return err
	}
	if err := refuseForeign(w.log.file, "log", application, version, version); err != nil {
		return err
	}
	if err := w.dial(true); err != nil {
		return err
	}
	if err := makeSchema(w.c); err != nil {
		return err
	}
	epoch, err := readEpoch(w.c)
	if err != nil {
		return err
	}
	w.log.epoch.Store(&epoch)
	first, last, err := readBounds(w.c)
	if err != nil {
		return err
	}
	w.last = last
	w.log.first.Store(uint64(first))
	w.log.last.Store(uint64(last))
	if err := w.log.ids.load(w.c, first, last); err != nil {
		return err
	}
	// What a killed process had written but not synced is visible now, and must
	// not be shown before it is on disk.
	switch err := w.settle(); {
	case code(err) == codeFull:
		w.breakDown(ctx, fedmsg.Refuse(fedmsg.StorageFull, "no room to tidy up the journal: %v", err))
	case err != nil:
		return fmt.Errorf("write the journal back: %w", err)
	}
	return nil
}

// problem is why the log takes no messages, or nil.
func (l *Log) problem() error {
	if t := l.trouble.Load(); t != nil {
		return t.err
	}
	return nil
}

// State tells how the log is. Bytes is the room that entries take in the file;
// the file and its journal may be larger by what retention freed. Free counts
// that room, too.
func (l *Log) State(ctx context.Context) (fedmsg.LogState, error) {
	s := fedmsg.LogState{Epoch: *l.epoch.Load(), Bytes: -1, Free: -1, Problem: l.problem()}
	err := l.read(ctx, func(c *conn) error {
		s.Last = fedmsg.Seq(l.last.Load())
		s.First = min(fedmsg.Seq(l.first.Load()), s.Last+1)
		used, freed, err := usage(c)
		s.Bytes = used
		if free, known := disk.Free(l.cfg.Dir); known {
			s.Free = free.Available + freed
		}
		return err
	})
	if err != nil {
		return s, fmt.Errorf("state: %w", err)
	}
	return s, nil
}

// usage returns the bytes in the file that are in use, and those that are not.
func usage(c *conn) (used, freed int64, err error) {
	pages, _, err := c.ints("PRAGMA page_count")
	if err != nil {
		return 0, 0, err
	}
	idle, _, err := c.ints("PRAGMA freelist_count")
	if err != nil {
		return 0, 0, err
	}
	return (pages[0] - idle[0]) * pageSize, idle[0] * pageSize, nil
}

// read lends a connection for reading.
func (l *Log) read(ctx context.Context, use func(c *conn) error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	var c *conn
	select {
	case c = <-l.readers:
	case <-l.closed:
		return errClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { l.readers <- c }()
	if c == nil {
		var err error
		if c, err = dial(l.file, false, readerPragmas...); err != nil {
			c = nil
			return fmt.Errorf("%w: %w", fedmsg.ErrUnavailable, err)
		}
	}
	err := use(c)
	switch {
	case err == nil:
	case context.Cause(ctx) != nil:
		err = context.Cause(ctx)
	case code(err) != 0:
		err = fmt.Errorf("%w: %w", fedmsg.ErrUnavailable, err)
	}
	return err
}

// errClosed is what callers of a closed log get.
var errClosed = fedmsg.Refuse(fedmsg.LogUnavailable, "the log is closed")

// Close ends the writer after what is in the queue, waits for readers, tidies up
// the journal, and lets go of the directory. It may be called more than once.
func (l *Log) Close() error {
	l.closeOnce.Do(func() {
		l.mu.Lock()
		l.closing = true
		l.mu.Unlock()
		l.nudge()
		<-l.done // sets closeErr
	})
	return l.closeErr
}

// Samples yields the metrics of the log.
func (l *Log) Samples() iter.Seq[fedmsg.Sample] {
	return func(yield func(fedmsg.Sample) bool) {
		now := "ok"
		if err := l.problem(); err != nil {
			if now = "error"; fedmsg.ReasonOf(err) == fedmsg.StorageFull {
				now = "full"
			}
		}
		samples := []fedmsg.Sample{{Name: "log_last_sequence", Value: float64(l.last.Load())}}
		if s, err := l.State(context.Background()); err == nil {
			samples = append(samples, fedmsg.Sample{Name: "log_bytes", Value: float64(s.Bytes)},
				fedmsg.Sample{Name: "log_free_bytes", Value: float64(s.Free)})
		}
		for _, state := range []string{"ok", "full", "error"} {
			s := fedmsg.Sample{Name: "log_state", Labels: []string{"state", state}}
			if state == now {
				s.Value = 1
			}
			samples = append(samples, s)
		}
		samples = append(samples, fedmsg.Sample{Name: "messages_stored_total", Value: float64(l.stored.Load())})
		for _, s := range samples {
			if !yield(s) {
				return
			}
		}
		l.syncs.Samples()(yield)
	}
}
