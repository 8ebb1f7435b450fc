package segment

import (
	"cmp"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// To put a message into the list of each of its terms at once is to change a page of the
// database for each. So lists are late: until they are brought up, the newest messages are
// found by their columns, which lie together. Terms are parted into slices; with every
// bringEvery messages the lists of one slice are brought up, so that no transaction has
// much of it to do, and a list is at most sliceCount*bringEvery messages late. What lies before
// the place up to which a slice was brought is put into its lists at once.
//
// What finds messages by their IDs is late likewise, in a small table beside the large one,
// which take turns by ranges of the hash.
//
// How terms are parted is part of the schema: with other numbers lists would not be where
// a segment says that they are.
const (
	sliceCount = 1 << sliceBits
	sliceBits  = 3
	bringEvery = 1024
	// sliceTerms follow one another by their numbers: short lists share pages.
	sliceTerms = 32
)

// knownTable finds messages by the hashes of their IDs; those that came last are in
// freshTable instead.
const (
	knownTable = `CREATE TABLE IF NOT EXISTS {known} (uid {int} NOT NULL, k {int} NOT NULL, PRIMARY KEY (uid, k)) {keyed}`
	freshTable = `CREATE TABLE IF NOT EXISTS {fresh} (uid {int} NOT NULL, k {int} NOT NULL, PRIMARY KEY (uid, k)) {keyed}`
)

// A Reach is up to which key the lists of each slice have all messages.
type Reach [sliceCount]int64

// Of returns up to which key the list of a term has all messages.
func (r *Reach) Of(term int64) int64 { return r[sliceOf(term)] }

func sliceOf(term int64) int { return int(term / sliceTerms % sliceCount) }

// least returns the slice that is the latest.
func (r *Reach) least() int {
	at := 0
	for i, k := range r {
		if k < r[at] {
			at = i
		}
	}
	return at
}

// reachName is what a segment says it under: numbers joined by blanks; nothing if no list
// was brought up yet.
const reachName = "lists"

func (r *Reach) String() string {
	text := make([]byte, 0, sliceCount*17)
	for _, k := range r {
		text = append(strconv.AppendInt(text, k, 10), ' ')
	}
	return string(text[:len(text)-1])
}

func parseReach(text string) (r Reach, err error) {
	if text == "" {
		for i := range r {
			r[i] = -1
		}
		return r, nil
	}
	words := strings.Fields(text)
	if len(words) != len(r) {
		return r, fmt.Errorf("lists of %d slices, want %d: %w", len(words), len(r), ErrDamaged)
	}
	for i, word := range words {
		if r[i], err = strconv.ParseInt(word, 10, 64); err != nil {
			return r, fmt.Errorf("lists up to %q: %w", word, ErrDamaged)
		}
	}
	return r, nil
}

// Reach returns up to where the lists are brought, as the transaction sees it.
func (s *Session) Reach() (*Reach, error) {
	if s.reach != nil {
		return s.reach, nil
	}
	text := ""
	err := s.Query("SELECT value FROM {meta} WHERE name = ?", []any{reachName}, func(rows *sql.Rows) error { return rows.Scan(&text) })
	if err != nil {
		return nil, err
	}
	reach, err := parseReach(text)
	s.reach = &reach
	return s.reach, err
}

// late calls visit with the terms that have lists, of the messages after a key, the oldest
// first.
func (p Part) late(after int64, visit func(id, k int64)) error {
	nobody, err := p.Number("SELECT coalesce(max(id), -1) FROM {term} WHERE kind = ? AND name = ''", AgentKind)
	if err != nil {
		return err
	}
	return p.Columns(after+1, MaxKey, allColumns, true, func(c *Columns) (bool, error) {
		for _, kind := range allColumns {
			ids, ends := c.Of(kind)
			from := uint32(0)
			for i, k := range c.Keys {
				to := uint32(i) + 1
				if ends != nil {
					to = ends[i]
				} else {
					from = uint32(i)
				}
				for _, id := range ids[from:to] {
					if k > after && (kind != AgentKind || int64(id) != nobody) {
						visit(int64(id), k)
					}
				}
				from = to
			}
		}
		return true, nil
	})
}

// catchUp brings up lists after n more messages, those of the slice that is the latest.
func (w *Writer) catchUp(n int) error {
	for w.due += n; w.due >= bringEvery; w.due -= bringEvery {
		if err := w.bring(w.reach.least()); err != nil {
			return err
		}
	}
	return nil
}

// Settle brings up all lists.
func (w *Writer) Settle() error {
	for slice := range w.reach {
		if err := w.bring(slice); err != nil {
			return err
		}
	}
	return nil
}

// bring brings up the lists of one slice, and what finds messages by their IDs in one
// range. The columns must have all that is stored.
func (w *Writer) bring(slice int) error {
	if w.reach[slice] >= w.maxK {
		return nil
	}
	var post [][2]int64
	err := Part{w.S, w.Session}.late(w.reach[slice], func(id, k int64) {
		if sliceOf(id) == slice {
			post = append(post, [2]int64{id, k})
		}
	})
	if err == nil {
		err = w.list(post)
	}
	if err == nil {
		w.reach[slice] = w.maxK
		err = w.set(reachName, w.reach.String())
	}
	first := math.MinInt64 + int64(slice)<<(64-sliceBits)
	last := first + (1<<(64-sliceBits) - 1)
	for _, text := range []string{"{insert} INTO {known} (uid, k) SELECT uid, k FROM {fresh} WHERE uid >= ? AND uid <= ?", "DELETE FROM {fresh} WHERE uid >= ? AND uid <= ?"} {
		if err == nil {
			err = w.Exec(text, first, last)
		}
	}
	return err
}

// list puts messages into lists: pairs of a term and a key.
func (w *Writer) list(post [][2]int64) error {
	slices.SortFunc(post, func(a, b [2]int64) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	args := make([]any, 0, 2*len(post))
	for _, p := range post {
		args = append(args, p[0], p[1])
	}
	return w.insert("{insert} INTO {post} (term, k) VALUES ", "(?,?)", "", args)
}

// measure finds out how far lists are, and how many messages they are behind, by the
// chunks that these are in.
func (w *Writer) measure() error {
	w.Session.reach = nil
	reach, err := w.Session.Reach()
	if err != nil {
		return err
	}
	w.reach = *reach
	w.Session.reach = nil
	behind, err := w.Number("SELECT coalesce(sum(n), 0) FROM {chunk} WHERE first > ?", w.reach[w.reach.least()])
	w.due = max(0, int(behind)-sliceCount*bringEvery)
	return err
}

// ByUID returns the keys of the messages whose IDs may have these hashes; see [UID].
func (p Part) ByUID(uids ...int64) (found []UIDKey, err error) {
	for some := range slices.Chunk(uids, maxLookup) {
		args, marks := Pad(some), Marks(Padded(len(some)), 1)
		err := p.Query("SELECT uid, k FROM {known} WHERE uid IN ("+marks+") UNION ALL SELECT uid, k FROM {fresh} WHERE uid IN ("+marks+")", slices.Concat(args, args),
			func(rows *sql.Rows) error {
				var f UIDKey
				err := rows.Scan(&f.UID, &f.K)
				found = append(found, f)
				return err
			})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// A UIDKey says which message has a hash.
type UIDKey struct{ UID, K int64 }

// Stored returns the messages whose IDs may have these hashes, by the hashes.
func (p Part) Stored(uids ...int64) (map[int64][]*Row, error) {
	found, err := p.ByUID(uids...)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	keys, uidOf := make([]int64, len(found)), make(map[int64]int64, len(found))
	for i, f := range found {
		keys[i], uidOf[f.K] = f.K, f.UID
	}
	rows, err := p.Fetch(keys, true)
	stored := make(map[int64][]*Row, len(rows))
	for _, r := range rows {
		stored[uidOf[r.K]] = append(stored[uidOf[r.K]], r)
	}
	return stored, err
}
