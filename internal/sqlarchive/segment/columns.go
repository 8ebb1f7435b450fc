package segment

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/packing"
)

// Rows are kept a second time, as columns: chunks of up to chunkSize messages that
// follow one another by their keys, and of each chunk its keys and the terms of each
// kind, packed. To look at one field of a million messages is to read some megabytes
// then, not a million rows; so what no rollup counted is counted by these.
//
// A chunk has what lies between its first key and that of the next chunk; the first
// one begins with the segment. It is split when it grows too large.
const chunkSize = 4096

// chunkTable has the columns; ks are the keys.
const chunkTable = `CREATE TABLE IF NOT EXISTS {chunk} (first {int} PRIMARY KEY, n {int} NOT NULL, ks {blob} NOT NULL, topics {blob} NOT NULL, categories {blob} NOT NULL,
	agents {blob} NOT NULL, users {blob} NOT NULL, packages {blob} NOT NULL, objects {blob} NOT NULL)`

// columnNames are the columns of kinds, in the order of the kinds.
var columnNames = []string{TopicKind: "topics", CategoryKind: "categories", AgentKind: "agents", UserKind: "users", PackageKind: "packages", ObjectKind: "objects"}

// HasColumn reports whether a kind has a column. Stamps have none: they change when a
// message that was imported comes from the log.
func HasColumn(kind int64) bool { return kind >= TopicKind && kind <= ObjectKind }

// isList reports whether a message has any number of terms of a kind, and not one.
func isList(kind int64) bool { return kind >= UserKind }

// Columns are some columns of one chunk.
type Columns struct {
	First int64 // no key is less
	N     int   // how many messages there are
	Keys  []int64
	of    [ObjectKind + 1]column

	packed []byte // keys
}

// Unpack sets Keys.
func (c *Columns) Unpack() (err error) {
	c.Keys, err = unpackKeys(c.Keys, c.First, c.N, c.packed)
	return err
}

// A column has the terms of all messages one after another; of a list, ends has where
// those of each message end.
type column struct {
	ids  []uint32
	ends []uint32
}

// Of returns a column: the terms, and where those of each message end, which is nil
// if each has one.
func (c *Columns) Of(kind int64) (ids, ends []uint32) { return c.of[kind].ids, c.of[kind].ends }

// appendRow adds a row at the end.
func (c *Columns) appendRow(r *Row) {
	c.Keys = append(c.Keys, r.K)
	for kind := TopicKind; kind <= ObjectKind; kind++ {
		of := &c.of[kind]
		for _, id := range r.Values(kind) {
			of.ids = append(of.ids, uint32(id))
		}
		if isList(kind) {
			of.ends = append(of.ends, uint32(len(of.ids)))
		}
	}
}

// row returns the row at a place.
func (c *Columns) row(i int) *Row {
	values := func(kind int64) (ids []int64) {
		of := &c.of[kind]
		from, to := i, i+1
		if isList(kind) {
			from, to = 0, int(of.ends[i])
			if i > 0 {
				from = int(of.ends[i-1])
			}
		}
		for _, id := range of.ids[from:to] {
			ids = append(ids, int64(id))
		}
		return ids
	}
	return &Row{K: c.Keys[i], Topic: values(TopicKind)[0], Category: values(CategoryKind)[0], Agent: values(AgentKind)[0],
		Users: values(UserKind), Packages: values(PackageKind), Objects: values(ObjectKind)}
}

// appendKeys packs keys: of each the milliseconds since the one before, and by how much
// its serial number is more than the next one. A pause of more than seven weeks cannot
// be in a month.
func appendKeys(dst []byte, first int64, keys []int64) []byte {
	steps, serials := make([]uint32, len(keys)), make([]uint32, len(keys))
	ms, next := first>>SerialBits, int64(0)
	for i, k := range keys {
		step, serial := k>>SerialBits-ms, k&(1<<SerialBits-1)
		if step > 0 {
			next = 0
		}
		steps[i], serials[i] = uint32(step), uint32(serial-next)
		ms, next = k>>SerialBits, serial+1
	}
	return packing.AppendNumbers(packing.AppendNumbers(dst, steps), serials)
}

// unpackKeys is the reverse of appendKeys.
func unpackKeys(dst []int64, first int64, n int, src []byte) ([]int64, error) {
	steps, src, err := packing.UnpackNumbers(nil, n, src)
	if err != nil {
		return nil, err
	}
	serials, _, err := packing.UnpackNumbers(nil, n, src)
	if err != nil {
		return nil, err
	}
	dst = slices.Grow(dst[:0], n)[:n]
	ms, next := first>>SerialBits, int64(0)
	for i, step := range steps {
		if step > 0 {
			ms, next = ms+int64(step), 0
		}
		next += int64(serials[i])
		dst[i] = ms<<SerialBits | next
		next++
	}
	return dst, nil
}

// pack packs a column: of a list the number of terms of each message first.
func (c *column) pack(list bool) []byte {
	var dst []byte
	if list {
		lengths, before := make([]uint32, len(c.ends)), uint32(0)
		for i, end := range c.ends {
			lengths[i], before = end-before, end
		}
		dst = packing.AppendNumbers(dst, lengths)
	}
	return packing.AppendNumbers(dst, c.ids)
}

// unpack is the reverse of pack. It uses the room that c has.
func (c *column) unpack(n int, list bool, src []byte) (err error) {
	total := n
	if list {
		if c.ends, src, err = packing.UnpackNumbers(c.ends, n, src); err != nil {
			return err
		}
		total = 0
		for i, length := range c.ends {
			if total += int(length); total > len(src) { // no term is 0, so each takes a byte
				return fmt.Errorf("a column of more than %d terms in %d bytes: %w", total, len(src), ErrDamaged)
			}
			c.ends[i] = uint32(total)
		}
	}
	c.ids, _, err = packing.UnpackNumbers(c.ids, total, src)
	return err
}

// Columns calls visit with the chunks that have messages in a range of keys, and with
// those of their columns that are wanted, in order, the newest first unless oldest is
// set, until it returns false. What it gets is good until it returns. There may be
// messages out of the range in it.
func (p Part) Columns(from, to int64, kinds []int64, oldest bool, visit func(c *Columns) (bool, error)) error {
	return p.Chunks(from, to, kinds, oldest, func(c *Columns) (bool, error) {
		if err := c.Unpack(); err != nil {
			return false, err
		}
		return visit(c)
	})
}

// Chunks is [Part.Columns] without keys, which take longer than a column: who needs them
// calls Unpack.
func (p Part) Chunks(from, to int64, kinds []int64, oldest bool, visit func(c *Columns) (bool, error)) error {
	var names strings.Builder
	for _, kind := range kinds {
		names.WriteString(", " + columnNames[kind])
	}
	order := " ORDER BY first DESC"
	if oldest {
		order = " ORDER BY first"
	}
	var c Columns
	packed := make([]sql.RawBytes, 1+len(kinds))
	targets := []any{&c.First, &c.N}
	for i := range packed {
		targets = append(targets, &packed[i])
	}
	err := p.Query("SELECT first, n, ks"+names.String()+" FROM {chunk} WHERE first >= (SELECT coalesce(max(first), 0) FROM {chunk} WHERE first <= ?) AND first < ?"+order,
		[]any{from, to}, func(rows *sql.Rows) error {
			err := rows.Scan(targets...)
			if err == nil && (c.N < 0 || c.N > chunkSize) {
				err = fmt.Errorf("a chunk of %d messages: %w", c.N, ErrDamaged)
			}
			c.packed = packed[0]
			for i, kind := range kinds {
				if err == nil {
					err = c.of[kind].unpack(c.N, isList(kind), packed[1+i])
				}
			}
			if err != nil {
				return err
			}
			more, err := visit(&c)
			if err == nil && !more {
				err = errEnough
			}
			return err
		})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return err
}

var errEnough = errors.New("enough")

// allColumns are the kinds that have columns.
var allColumns = []int64{TopicKind, CategoryKind, AgentKind, UserKind, PackageKind, ObjectKind}

// pack puts the rows of the transaction that are new or were changed into their
// chunks.
func (w *Writer) pack() error {
	rows := w.packs
	slices.SortStableFunc(rows, func(a, b *Row) int { return cmp.Compare(a.K, b.K) })
	for len(rows) > 0 {
		first, next, old, err := w.chunkOf(rows[0].K)
		if err != nil {
			return err
		}
		at, _ := slices.BinarySearchFunc(rows, next, func(r *Row, k int64) int { return cmp.Compare(r.K, k) })
		if err := w.repack(first, next == MaxKey, merge(old, rows[:at])); err != nil {
			return err
		}
		rows = rows[at:]
	}
	return nil
}

// chunkOf reads the chunk that a key belongs to, and returns where it begins and where
// the next one does.
func (w *Writer) chunkOf(k int64) (first, next int64, old *Columns, err error) {
	first, old = w.S.From, new(Columns)
	err = Part{w.S, w.Session}.Columns(k, k+1, allColumns, true, func(c *Columns) (bool, error) {
		*old = *c // it has no other use
		return true, nil
	})
	if err == nil {
		first, err = w.Number("SELECT coalesce(max(first), -1) FROM {chunk} WHERE first <= ?", k)
	}
	if first < 0 {
		first = w.S.From
	}
	if err == nil {
		next, err = w.Number("SELECT coalesce(min(first), -1) FROM {chunk} WHERE first > ?", k)
	}
	if next < 0 {
		next = MaxKey
	}
	return first, next, old, err
}

// merge returns the rows of a chunk and others, which count if both have a key.
func merge(old *Columns, rows []*Row) *Columns {
	if n := len(old.Keys); n == 0 || old.Keys[n-1] < rows[0].K { // as it nearly always is
		for _, r := range rows {
			old.appendRow(r)
		}
		return old
	}
	made, i := new(Columns), 0
	for _, r := range rows {
		for ; i < len(old.Keys) && old.Keys[i] <= r.K; i++ {
			if old.Keys[i] < r.K {
				made.appendRow(old.row(i))
			}
		}
		made.appendRow(r)
	}
	for ; i < len(old.Keys); i++ {
		made.appendRow(old.row(i))
	}
	return made
}

// repack stores what a chunk has now, in several if it is too much: the last one of a
// segment, which grows at its end, as full ones and a rest, others in halves.
func (w *Writer) repack(first int64, last bool, c *Columns) error {
	size := chunkSize
	if !last && len(c.Keys) > chunkSize {
		size = (len(c.Keys) + 1) / 2
	}
	for from := 0; from < len(c.Keys); from += size {
		piece := c
		if len(c.Keys) > size {
			piece = new(Columns)
			for i := from; i < min(from+size, len(c.Keys)); i++ {
				piece.appendRow(c.row(i))
			}
		}
		if from > 0 {
			first = piece.Keys[0]
		}
		args := []any{first, len(piece.Keys), appendKeys(nil, first, piece.Keys)}
		for _, kind := range allColumns {
			args = append(args, piece.of[kind].pack(isList(kind)))
		}
		err := w.Exec(`INSERT INTO {chunk} (first, n, ks, topics, categories, agents, users, packages, objects) VALUES (?,?,?,?,?,?,?,?,?)
			ON CONFLICT (first) DO UPDATE SET n = excluded.n, ks = excluded.ks, topics = excluded.topics, categories = excluded.categories,
			agents = excluded.agents, users = excluded.users, packages = excluded.packages, objects = excluded.objects`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}
