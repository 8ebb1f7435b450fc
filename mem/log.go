// Package mem keeps the bus in memory: a log, cursors and an archive that live as
// long as the process does. It is the reference that the suites of package
// fedmsgtest are checked against, and the bus for tests and trials. Nothing in it
// starts a goroutine, touches a disk, or waits but Archive.Read for what comes, so
// it may be used inside a synctest bubble.
package mem

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// maxScan is how many entries a Page looks at, at most.
const maxScan = 5000

// Log is a log in memory. [NewLog] makes one.
type Log struct {
	// Clock tells the time. Default: time.Now. Set it before the first use.
	Clock func() time.Time
	// Limit is how many entries the log keeps; older ones go, and their IDs with
	// them. Default: all. Set it before the first use.
	Limit int

	epoch string

	mu      sync.RWMutex
	entries []fedmsg.Entry // contiguous in Seq, up to last
	last    fedmsg.Seq
	bytes   int64
	known   map[string]place
}

// A place is what the log remembers of an ID.
type place struct {
	seq    fedmsg.Seq
	digest [sha256.Size]byte
}

var _ fedmsg.Log = (*Log)(nil)

// NewLog makes an empty log with an epoch of its own.
func NewLog() *Log {
	var epoch [8]byte
	rand.Read(epoch[:]) // never fails
	return &Log{epoch: hex.EncodeToString(epoch[:]), known: make(map[string]place)}
}

// Append adds entries. See [fedmsg.Log].
func (l *Log) Append(ctx context.Context, batch ...fedmsg.Entry) []fedmsg.Receipt {
	receipts := make([]fedmsg.Receipt, len(batch))
	if err := context.Cause(ctx); err != nil {
		for i := range receipts {
			receipts[i].Err = fmt.Errorf("append: %w", err)
		}
		return receipts
	}
	digests := make([][sha256.Size]byte, len(batch))
	for i, e := range batch {
		digests[i] = e.Message.Digest()
	}
	now := time.Now
	if l.Clock != nil {
		now = l.Clock
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	at := now().UTC().Truncate(time.Microsecond)
	for i, e := range batch {
		receipts[i] = l.add(e, digests[i], at)
	}
	return receipts
}

func (l *Log) add(e fedmsg.Entry, digest [sha256.Size]byte, at time.Time) fedmsg.Receipt {
	if p, ok := l.known[e.Message.ID]; ok {
		if p.digest != digest {
			return fedmsg.Receipt{Err: fedmsg.RefuseField(fedmsg.MsgIDConflict, "msg_id",
				"entry %d has the ID %q and says something else", p.seq, e.Message.ID)}
		}
		return fedmsg.Receipt{Seq: p.seq, At: l.entries[p.seq-l.first()].At, Duplicate: true}
	}
	l.last++
	e.Seq, e.At = l.last, at
	l.entries = append(l.entries, e)
	l.bytes += int64(len(e.Message.Bytes()))
	l.known[e.Message.ID] = place{e.Seq, digest}
	for l.Limit > 0 && len(l.entries) > l.Limit {
		old := l.entries[0]
		delete(l.known, old.Message.ID)
		l.bytes -= int64(len(old.Message.Bytes()))
		l.entries[0] = fedmsg.Entry{} // so that the message can be freed
		l.entries = l.entries[1:]
	}
	return fedmsg.Receipt{Seq: e.Seq, At: at}
}

// first returns the place of the oldest entry, or the next one to be given. l.mu
// is held.
func (l *Log) first() fedmsg.Seq { return l.last + 1 - fedmsg.Seq(len(l.entries)) }

// Page returns entries after a place. See [fedmsg.Log]. A limit below 1 counts
// as 1.
func (l *Log) Page(ctx context.Context, after fedmsg.Seq, limit int, want ...fedmsg.Pattern) (page []fedmsg.Entry, next fedmsg.Seq, err error) {
	if err := context.Cause(ctx); err != nil {
		return nil, after, fmt.Errorf("page after %d: %w", after, err)
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if after > l.last {
		return nil, after, fmt.Errorf("page after %d: the log ends at %d: %w", after, l.last, fedmsg.ErrInvalid)
	}
	if after+1 < l.first() {
		return nil, after, fmt.Errorf("page after %d: the log begins at %d: %w", after, l.first(), fedmsg.ErrTooOld)
	}
	held := l.entries[after+1-l.first():]
	next = after
	for _, e := range held[:min(len(held), maxScan)] {
		next = e.Seq
		if fedmsg.MatchAny(want, e.Message.Topic) {
			if page = append(page, e); len(page) >= limit {
				break
			}
		}
	}
	return page, next, nil
}

// Find returns the entry with this ID. See [fedmsg.Finder].
func (l *Log) Find(ctx context.Context, id string) (fedmsg.Entry, error) {
	if err := context.Cause(ctx); err != nil {
		return fedmsg.Entry{}, fmt.Errorf("find %q: %w", id, err)
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	p, ok := l.known[id]
	if !ok {
		return fedmsg.Entry{}, fmt.Errorf("find %q: %w", id, fedmsg.ErrNotFound)
	}
	return l.entries[p.seq-l.first()], nil
}

// State tells how the log is. Bytes are those of the messages.
func (l *Log) State(ctx context.Context) (fedmsg.LogState, error) {
	if err := context.Cause(ctx); err != nil {
		return fedmsg.LogState{}, fmt.Errorf("state: %w", err)
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return fedmsg.LogState{Epoch: l.epoch, First: l.first(), Last: l.last, Bytes: l.bytes, Free: -1}, nil
}

// Cursors are cursors in memory. The zero Cursors is ready and empty.
type Cursors struct {
	mu sync.RWMutex
	at map[string]fedmsg.Seq
}

var _ fedmsg.Cursors = (*Cursors)(nil)

// Load returns what was saved under name, or 0. See [fedmsg.Cursors].
func (c *Cursors) Load(ctx context.Context, name string) (fedmsg.Seq, error) {
	if err := context.Cause(ctx); err != nil {
		return 0, fmt.Errorf("cursor %q: %w", name, err)
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.at[name], nil
}

// Save stores a place. See [fedmsg.Cursors].
func (c *Cursors) Save(ctx context.Context, name string, at fedmsg.Seq) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("cursor %q: %w", name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == nil {
		c.at = make(map[string]fedmsg.Seq)
	}
	c.at[name] = at
	return nil
}

// Notes are documents in memory. The zero Notes is ready and empty.
type Notes struct {
	mu  sync.RWMutex
	all map[string][]byte
}

var _ fedmsg.Notes = (*Notes)(nil)

// Notes returns documents by the beginning of their names. See [fedmsg.Notes].
func (n *Notes) Notes(ctx context.Context, prefix string) (map[string][]byte, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("notes %q: %w", prefix, err)
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	found := make(map[string][]byte)
	for name, document := range n.all {
		if strings.HasPrefix(name, prefix) {
			found[name] = bytes.Clone(document)
		}
	}
	return found, nil
}

// Note stores documents. See [fedmsg.Notes].
func (n *Notes) Note(ctx context.Context, documents map[string][]byte) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("note: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all == nil {
		n.all = make(map[string][]byte)
	}
	for name, document := range documents {
		if document == nil {
			delete(n.all, name)
		} else {
			n.all[name] = bytes.Clone(document)
		}
	}
	return nil
}
