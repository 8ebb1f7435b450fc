package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Bounds of one Page: what it looks at, and what it returns, in entries and in
// bytes of messages.
const (
	maxScan      = 5000
	maxPageBytes = 8 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum covers all of an entry that a reader gets.
func checksum(seq, at int64, verified string, raw []byte) int64 {
	var head [16]byte
	binary.BigEndian.PutUint64(head[:8], uint64(seq))
	binary.BigEndian.PutUint64(head[8:], uint64(at))
	sum := crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, []byte(verified))
	return int64(crc32.Update(sum, castagnoli, raw))
}

// A row is an entry as it lies in the file.
type row struct {
	seq, at, crc int64
	verified     string
	raw          []byte
}

// columns are what newRow reads.
const columns = "SELECT seq, at, crc, verified, raw FROM entries "

func newRow(values []driver.Value) row {
	var r row
	r.seq, _ = values[0].(int64)
	r.at, _ = values[1].(int64)
	r.crc, _ = values[2].(int64)
	r.verified, _ = values[3].(string)
	r.raw, _ = values[4].([]byte)
	return r
}

// entry checks and decodes a row. What is in the log was judged when it came in,
// so it is read by the loosest rules: stricter ones of a later version must not
// make the log unreadable.
func (r row) entry() (fedmsg.Entry, error) {
	if checksum(r.seq, r.at, r.verified, r.raw) != r.crc {
		return fedmsg.Entry{}, fmt.Errorf("entry %d: checksum does not match: %w", r.seq, ErrDamaged)
	}
	m, err := fedmsg.DecodeStored(r.raw)
	if err != nil {
		return fedmsg.Entry{}, fmt.Errorf("entry %d: %w: %w", r.seq, ErrDamaged, err)
	}
	return fedmsg.Entry{Seq: fedmsg.Seq(r.seq), At: time.UnixMicro(r.at).UTC(), Verified: r.verified, Message: m}, nil
}

// Page returns entries after a place. See [fedmsg.Log]. It looks at 5,000
// entries at most, and returns 8 MiB of messages at most and one entry at least,
// if there is one. A limit below 1 counts as 1.
func (l *Log) Page(ctx context.Context, after fedmsg.Seq, limit int, want ...fedmsg.Pattern) (page []fedmsg.Entry, next fedmsg.Seq, err error) {
	last := fedmsg.Seq(l.last.Load())
	if after > last {
		return nil, after, fmt.Errorf("page after %d: the log ends at %d: %w", after, last, fedmsg.ErrInvalid)
	}
	p := pager{after: after, next: after, limit: min(max(limit, 1), maxScan), want: want}
	err = l.read(ctx, func(c *conn) error {
		if after == last {
			return nil
		}
		if len(want) == 0 {
			return p.rows(ctx, c, after+1, last)
		}
		if err := c.exec("BEGIN"); err != nil { // so that topics and entries are of one moment
			return err
		}
		return errors.Join(p.matching(ctx, c, last), c.exec("COMMIT"))
	})
	p.decoding.Wait()
	for _, part := range p.parts {
		if err == nil {
			err = part.err
		}
		page = append(page, part.entries...)
	}
	if err != nil {
		return nil, after, fmt.Errorf("page after %d: %w", after, err)
	}
	return page, p.next, nil
}

// A pager collects one page. Rows are decoded in parts, beside the reading.
type pager struct {
	after, next fedmsg.Seq
	limit       int
	want        []fedmsg.Pattern

	count    int
	bytes    int
	pending  []row
	parts    []*part
	decoding sync.WaitGroup
}

// A part is some rows that are decoded together.
type part struct {
	entries []fedmsg.Entry
	err     error
}

// partSize is how many rows make a part.
const partSize = 128

func (p *pager) full() bool { return p.count >= p.limit || p.bytes >= maxPageBytes }

// step checks that no entry is missing between two that are there.
func (p *pager) step(seq fedmsg.Seq) error {
	switch {
	case seq == p.next+1:
		p.next = seq
		return nil
	case p.next == p.after:
		return fmt.Errorf("the log begins at %d: %w", seq, fedmsg.ErrTooOld)
	}
	return fmt.Errorf("entry %d is missing: %w", p.next+1, ErrDamaged)
}

// rows reads the entries of a stretch, whose topics are known to be wanted.
func (p *pager) rows(ctx context.Context, c *conn, from, to fedmsg.Seq) error {
	err := c.query(ctx, func(values []driver.Value) error {
		r := newRow(values)
		if err := p.step(fedmsg.Seq(r.seq)); err != nil {
			return err
		}
		p.count++
		p.bytes += len(r.raw)
		if p.pending = append(p.pending, r); len(p.pending) == partSize {
			p.decode()
		}
		if p.full() {
			return errFull
		}
		return nil
	}, columns+"WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?", int64(from), int64(to), int64(p.limit-p.count))
	p.decode()
	if err == errFull {
		return nil
	}
	if err == nil && p.next == p.after {
		err = fmt.Errorf("all entries up to %d are gone: %w", to, fedmsg.ErrTooOld)
	}
	return err
}

// errFull ends a query early.
var errFull = errors.New("the page is full")

// decode decodes the pending rows.
func (p *pager) decode() {
	if len(p.pending) == 0 {
		return
	}
	rows, out := p.pending, new(part)
	p.pending = nil
	p.parts = append(p.parts, out)
	decode := func() {
		out.entries = make([]fedmsg.Entry, 0, len(rows))
		for _, r := range rows {
			e, err := r.entry()
			if err != nil {
				out.err = err
				return
			}
			out.entries = append(out.entries, e)
		}
	}
	if len(rows) < partSize {
		decode()
		return
	}
	p.decoding.Go(decode)
}

// matching looks at topics first, and then reads the stretches of entries that
// are wanted.
func (p *pager) matching(ctx context.Context, c *conn, last fedmsg.Seq) error {
	type stretch struct{ from, to fedmsg.Seq }
	var wanted []stretch
	found := 0
	look := p.next
	err := c.query(ctx, func(values []driver.Value) error {
		n, _ := values[0].(int64)
		topic, _ := values[1].(string)
		seq := fedmsg.Seq(n)
		if seq != look+1 {
			if look == p.after {
				return fmt.Errorf("the log begins at %d: %w", seq, fedmsg.ErrTooOld)
			}
			return fmt.Errorf("entry %d is missing: %w", look+1, ErrDamaged)
		}
		look = seq
		if !fedmsg.MatchAny(p.want, fedmsg.Topic(topic)) {
			return nil
		}
		if n := len(wanted); n > 0 && wanted[n-1].to == seq-1 {
			wanted[n-1].to = seq
		} else {
			wanted = append(wanted, stretch{seq, seq})
		}
		if found++; found == p.limit {
			return errFull
		}
		return nil
	}, "SELECT seq, topic FROM entries WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?", int64(p.after+1), int64(last), int64(maxScan))
	if err != nil && err != errFull {
		return err
	}
	if look == p.after {
		return fmt.Errorf("all entries up to %d are gone: %w", last, fedmsg.ErrTooOld)
	}
	for _, s := range wanted {
		p.next = s.from - 1
		if err := p.rows(ctx, c, s.from, s.to); err != nil {
			return err
		}
		if p.full() {
			return nil
		}
	}
	p.next = look
	return nil
}

// Find returns the entry with this ID. See [fedmsg.Finder].
func (l *Log) Find(ctx context.Context, id string) (found fedmsg.Entry, err error) {
	k := key(id)
	missing := true
	err = l.read(ctx, func(c *conn) error {
		if !l.ids.maybe(k) {
			return nil
		}
		places, err := l.ids.find(ctx, c, k)
		if err != nil {
			return err
		}
		for _, seq := range places {
			err := c.query(ctx, func(values []driver.Value) error {
				e, err := newRow(values).entry()
				if err == nil && e.Message.ID == id {
					found, missing = e, false
				}
				return err
			}, columns+"WHERE seq = ?", int64(seq))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && missing {
		err = fedmsg.ErrNotFound
	}
	if err != nil {
		return fedmsg.Entry{}, fmt.Errorf("find %q: %w", id, err)
	}
	return found, nil
}
