package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// A run is runSize places in a row, from a multiple of runSize on.
const (
	runBits = 16
	runSize = 1 << runBits
)

// ids finds the places that may hold a message ID. It knows 56 bits of a hash of
// each, so who asks must look at the entry itself.
//
// The newest IDs, up to two runs, are in memory. When a run is full, its keys
// are written to the table ids, sorted, in 256 rows: that writes 8 bytes for
// each message, in order, where an index would write a page. In memory remains a
// filter of 2 bytes for each message that tells which runs need not be asked.
type ids struct {
	mu    sync.RWMutex
	first fedmsg.Seq // what lies before is gone
	tail  map[uint64]fedmsg.Seq
	twins map[uint64][]fedmsg.Seq // further places of the same key; next to never
	runs  []idRun                 // by number
}

type idRun struct {
	number uint64
	filter *filter
}

// key returns the 56 bits by which an ID is found.
func key(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	return binary.BigEndian.Uint64(sum[:]) >> 8
}

// A filter is a Bloom filter for one run in blocks of 64 bytes, one cache line:
// 16 bits and five probes a key, wrong for one in 500 that it does not hold.
type filter [runSize / 4]uint64

func (f *filter) probe(key uint64, visit func(word *uint64, bit uint64) bool) bool {
	block := f[key%(runSize/32)*8:][:8]
	key >>= 11
	for range 5 {
		if !visit(&block[key>>6&7], 1<<(key&63)) {
			return false
		}
		key >>= 9
	}
	return true
}

func (f *filter) add(key uint64) {
	f.probe(key, func(word *uint64, bit uint64) bool { *word |= bit; return true })
}

func (f *filter) has(key uint64) bool {
	return f.probe(key, func(word *uint64, bit uint64) bool { return *word&bit != 0 })
}

// add puts a key into the tail.
func (x *ids) add(key uint64, seq fedmsg.Seq) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.insert(key, seq)
}

func (x *ids) insert(key uint64, seq fedmsg.Seq) {
	if _, ok := x.tail[key]; ok {
		x.twins[key] = append(x.twins[key], seq)
		return
	}
	x.tail[key] = seq
}

// maybe reports whether the log may hold the key, from memory alone.
func (x *ids) maybe(key uint64) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if _, ok := x.tail[key]; ok {
		return true
	}
	return slices.ContainsFunc(x.runs, func(r idRun) bool { return r.filter.has(key) })
}

// find returns the places that may hold the key, newest first.
func (x *ids) find(ctx context.Context, c *conn, key uint64) ([]fedmsg.Seq, error) {
	x.mu.RLock()
	var places []fedmsg.Seq
	if seq, ok := x.tail[key]; ok {
		places = append(append(places, x.twins[key]...), seq)
	}
	var ask []uint64
	for _, r := range slices.Backward(x.runs) {
		if r.filter.has(key) {
			ask = append(ask, r.number)
		}
	}
	first := x.first
	x.mu.RUnlock()
	for _, run := range ask {
		err := c.query(ctx, func(row []driver.Value) error {
			keys, _ := row[0].([]byte)
			low, high := inBucket(keys, key)
			for i := low; i < high; i++ {
				offset := binary.BigEndian.Uint16(keys[8*i+6:])
				places = append(places, fedmsg.Seq(run<<runBits|uint64(offset)))
			}
			return nil
		}, "SELECT keys FROM ids WHERE bucket = ?", int64(run<<8|key>>48))
		if err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(places, func(seq fedmsg.Seq) bool { return seq < first }), nil
}

// inBucket returns which of the sorted keys are the key.
func inBucket(keys []byte, key uint64) (low, high int) {
	want := key & (1<<48 - 1)
	at := func(i int) uint64 { return binary.BigEndian.Uint64(keys[8*i:]) >> 16 }
	n := len(keys) / 8
	for step := n; low < n && step > 0; { // the first that is not less
		half := step / 2
		if at(low+half) < want {
			low += half + 1
			step -= half + 1
		} else {
			step = half
		}
	}
	for high = low; high < n && at(high) == want; high++ {
	}
	return low, high
}

// full reports whether a run of the tail is complete, with last as the newest
// place, and which.
func (x *ids) full(last fedmsg.Seq) (run uint64, ok bool) {
	run = x.next()
	return run, uint64(last)>>runBits > run
}

// next returns the number of the oldest run that is in the tail only.
func (x *ids) next() uint64 {
	if len(x.runs) > 0 {
		return x.runs[len(x.runs)-1].number + 1
	}
	return uint64(x.first) >> runBits
}

// pack returns the 256 rows of a run, from the tail.
func (x *ids) pack(run uint64) [256][]byte {
	x.mu.RLock()
	keys := make([][2]uint64, 0, runSize)
	take := func(key uint64, seq fedmsg.Seq) {
		if uint64(seq)>>runBits == run {
			keys = append(keys, [2]uint64{key, uint64(seq) & (runSize - 1)})
		}
	}
	for key, seq := range x.tail {
		take(key, seq)
	}
	for key, seqs := range x.twins {
		for _, seq := range seqs {
			take(key, seq)
		}
	}
	x.mu.RUnlock()
	slices.SortFunc(keys, func(a, b [2]uint64) int { return slices.Compare(a[:], b[:]) })
	var rows [256][]byte
	for i := range rows {
		rows[i] = []byte{} // not nil, which is NULL
	}
	for _, k := range keys {
		row := &rows[k[0]>>48]
		*row = binary.BigEndian.AppendUint64(*row, k[0]<<16|k[1])
	}
	return rows
}

// store writes a run, inside a transaction.
func store(c *conn, run uint64, rows [256][]byte) error {
	for i, keys := range rows {
		if err := c.exec("INSERT OR REPLACE INTO ids VALUES (?, ?)", int64(run<<8)|int64(i), keys); err != nil {
			return err
		}
	}
	return nil
}

// settle moves a run that is on disk out of the tail.
func (x *ids) settle(run uint64, rows [256][]byte) {
	f := new(filter)
	for i, keys := range rows {
		addRow(f, uint64(i), keys)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.runs = append(x.runs, idRun{run, f})
	tail, twins := x.tail, x.twins
	x.tail, x.twins = make(map[uint64]fedmsg.Seq, runSize/4), make(map[uint64][]fedmsg.Seq)
	for key, seq := range tail {
		if uint64(seq)>>runBits > run {
			x.insert(key, seq)
		}
	}
	for key, seqs := range twins {
		for _, seq := range seqs {
			if uint64(seq)>>runBits > run {
				x.insert(key, seq)
			}
		}
	}
}

func addRow(f *filter, bucket uint64, keys []byte) {
	for i := 0; i+8 <= len(keys); i += 8 {
		f.add(bucket<<48 | binary.BigEndian.Uint64(keys[i:])>>16)
	}
}

// trim forgets what lies before first.
func (x *ids) trim(first fedmsg.Seq) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.first = first
	x.runs = slices.DeleteFunc(x.runs, func(r idRun) bool { return r.number < uint64(first)>>runBits })
}

// load reads what the log on disk knows.
func (x *ids) load(c *conn, first, last fedmsg.Seq) error {
	x.first = first
	x.tail, x.twins, x.runs = make(map[uint64]fedmsg.Seq), make(map[uint64][]fedmsg.Seq), nil
	err := c.query(context.Background(), func(row []driver.Value) error {
		at, _ := row[0].(int64)
		keys, _ := row[1].([]byte)
		number, bucket := uint64(at)>>8, uint64(at)&0xFF
		if len(x.runs) == 0 || x.runs[len(x.runs)-1].number != number {
			if bucket != 0 || len(x.runs) > 0 && number != x.next() {
				return fmt.Errorf("table ids: bucket %d: out of order: %w", at, ErrDamaged)
			}
			x.runs = append(x.runs, idRun{number, new(filter)})
		}
		addRow(x.runs[len(x.runs)-1].filter, bucket, keys)
		return nil
	}, "SELECT bucket, keys FROM ids ORDER BY bucket")
	if err != nil {
		return err
	}
	return x.extend(c, fedmsg.Seq(x.next()<<runBits), last)
}

// extend reads entries into the tail, from one place to another, and checks
// that none is missing.
func (x *ids) extend(c *conn, from, to fedmsg.Seq) error {
	next := max(from, x.first)
	err := c.query(context.Background(), func(row []driver.Value) error {
		seq, _ := row[0].(int64)
		id, _ := row[1].(string)
		if fedmsg.Seq(seq) != next {
			return fmt.Errorf("entry %d is missing: %w", next, ErrDamaged)
		}
		next++
		x.add(key(id), fedmsg.Seq(seq))
		return nil
	}, "SELECT seq, id FROM entries WHERE seq BETWEEN ? AND ? ORDER BY seq", int64(next), int64(to))
	if err == nil && next <= to {
		err = fmt.Errorf("entries %d to %d are missing: %w", next, to, ErrDamaged)
	}
	return err
}
