package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// A request waits for the writer: entries to append, or something else to do in
// its transaction.
type request struct {
	items []item
	count int   // of items, for ever
	bytes int64 // of items, in the file
	do    func(c *conn) error
	then  func(w *writer) // in the writer, after the commit of do

	state   atomic.Int32
	answers []fedmsg.Receipt // one for each item, once done is closed
	err     error            // of do, likewise
	done    chan struct{}
}

// An item is one entry to append.
type item struct {
	entry fedmsg.Entry
	key   uint64
	slot  int // in the caller's receipts
}

// The states of a request. The caller may give up while it is waiting; then it
// will not be written.
const (
	waiting int32 = iota
	taken
	abandoned
)

// maxQueue is how many requests may wait. Each has a caller that waits with it,
// so this is far beyond what a working disk lets come together.
const maxQueue = 8192

// rowOverhead is what an entry takes in the file beside its message, in bytes,
// well counted.
const rowOverhead = 256

// Append adds entries. See [fedmsg.Log]. A refusal with LogUnavailable that says
// "may be stored" means what it says; to publish again does no harm.
func (l *Log) Append(ctx context.Context, batch ...fedmsg.Entry) []fedmsg.Receipt {
	receipts := make([]fedmsg.Receipt, len(batch))
	fail := func(slot int, err error) { receipts[slot].Err = fmt.Errorf("append: %w", err) }
	if err := context.Cause(ctx); err != nil {
		for i := range receipts {
			fail(i, err)
		}
		return receipts
	}
	items := make([]item, 0, len(batch))
	r := &request{done: make(chan struct{})}
	for i, e := range batch {
		k := key(e.Message.ID)
		if receipt, known := l.lookUp(ctx, k, e.Message); known {
			receipts[i] = receipt
			continue
		}
		items = append(items, item{e, k, i})
		r.bytes += int64(len(e.Message.Bytes())) + rowOverhead
	}
	if len(items) == 0 {
		return receipts
	}
	r.items, r.count = items, len(items)
	err := l.submit(ctx, r)
	for i, it := range items {
		switch {
		case err != nil:
			fail(it.slot, err)
		case r.answers[i].Err != nil:
			fail(it.slot, r.answers[i].Err)
		default:
			receipts[it.slot] = r.answers[i]
		}
	}
	return receipts
}

// lookUp answers for a message that the log holds already, without the writer.
// It may miss one; the writer looks again.
func (l *Log) lookUp(ctx context.Context, key uint64, m *fedmsg.Message) (receipt fedmsg.Receipt, known bool) {
	if !l.ids.maybe(key) {
		return receipt, false
	}
	err := l.read(ctx, func(c *conn) (err error) {
		receipt, known, err = l.known(ctx, c, key, m)
		return err
	})
	return receipt, known && err == nil
}

// known looks for an entry with the ID of m.
func (l *Log) known(ctx context.Context, c *conn, key uint64, m *fedmsg.Message) (receipt fedmsg.Receipt, known bool, err error) {
	places, err := l.ids.find(ctx, c, key)
	if err != nil {
		return receipt, false, err
	}
	for _, seq := range places {
		err := c.query(ctx, func(row []driver.Value) error {
			at, _ := row[0].(int64)
			raw, _ := row[2].([]byte)
			if row[1] != m.ID {
				return nil // the same key, for another ID
			}
			known = true
			if !bytes.Equal(raw, m.Bytes()) {
				old, err := fedmsg.DecodeHistory(raw)
				if err != nil {
					return fmt.Errorf("entry %d: %w: %w", seq, ErrDamaged, err)
				}
				if old.Digest() != m.Digest() {
					receipt.Err = conflict(seq, m)
					return nil
				}
			}
			receipt = fedmsg.Receipt{Seq: seq, At: time.UnixMicro(at).UTC(), Duplicate: true}
			return nil
		}, "SELECT at, id, raw FROM entries WHERE seq = ?", int64(seq))
		if err != nil || known {
			return receipt, known, err
		}
	}
	return receipt, false, nil
}

func conflict(seq fedmsg.Seq, m *fedmsg.Message) error {
	return fedmsg.RefuseField(fedmsg.MsgIDConflict, "msg_id", "entry %d has the ID %q and says something else", seq, m.ID)
}

// submit hands a request to the writer and waits until it is done. An error means
// that it was not, or that nobody knows.
func (l *Log) submit(ctx context.Context, r *request) error {
	if err := l.enqueue(r); err != nil {
		return err
	}
	timer := time.NewTimer(l.cfg.AppendTimeout)
	defer timer.Stop()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		if r.abandon() {
			return context.Cause(ctx)
		}
		select { // it is being written, so the answer will be true in a moment
		case <-r.done:
			return nil
		case <-timer.C:
		}
	case <-timer.C:
	}
	if r.abandon() {
		return fedmsg.Refuse(fedmsg.LogUnavailable, "the disk did not answer within %s; not stored", l.cfg.AppendTimeout)
	}
	select {
	case <-r.done:
		return nil
	default:
		return fedmsg.Refuse(fedmsg.LogUnavailable, "the disk did not answer within %s; it may be stored", l.cfg.AppendTimeout)
	}
}

// abandon takes a request back, unless the writer has it.
func (r *request) abandon() bool {
	if !r.state.CompareAndSwap(waiting, abandoned) {
		return false
	}
	r.items, r.do, r.then = nil, nil, nil // it may stay in the queue for a while
	return true
}

func (l *Log) enqueue(r *request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return errClosed
	}
	if len(l.queue) >= maxQueue {
		l.queue = slices.DeleteFunc(l.queue, func(r *request) bool { return r.state.Load() == abandoned })
	}
	if len(l.queue) >= maxQueue {
		return fedmsg.Refuse(fedmsg.LogUnavailable, "%d wait for the disk already; not stored", len(l.queue))
	}
	l.queue = append(l.queue, r)
	if len(l.queue) == 1 {
		l.nudge()
	}
	return nil
}

// waiting returns how many requests wait.
func (l *Log) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)
}

// nudge wakes the writer.
func (l *Log) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Bounds of one transaction: beyond them sharing a write to the disk gains
// nothing any more.
const (
	maxGroupItems = 1024
	maxGroupBytes = 4 << 20
)

// take returns what waits, as far as it fits into one transaction.
func (l *Log) take() (group []*request, closing bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	items, size := 0, int64(0)
	n := 0
	for _, r := range l.queue {
		if len(group) > 0 && (items+r.count > maxGroupItems || size+r.bytes > maxGroupBytes) {
			break
		}
		n++
		if r.state.CompareAndSwap(waiting, taken) {
			group = append(group, r)
			items += r.count
			size += r.bytes
		}
	}
	l.queue = append(l.queue[:0], l.queue[n:]...)
	clear(l.queue[len(l.queue):cap(l.queue)])
	return group, l.closing
}
