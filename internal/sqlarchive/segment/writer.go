package segment

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Writer changes one segment, in one transaction at a time. All that is in
// memory is changed after the commit only.
type Writer struct {
	*Session
	S    *Segment
	ids  map[Name]int64  // terms that are known, by kind and name
	keys map[int64]int64 // the last key given, by millisecond
	maxK int64
	// Numbers of terms are given here. If whole, ids has all terms that there are.
	maxID int64
	whole bool
	reach Reach
	due   int // messages since lists were brought up

	// Of the transaction.
	busy  bool
	terms map[int64]*tally
	hours map[[3]int64]int64 // kind, hour, term
	days  map[[3]int64]int64 // kind, day, term
	post  [][2]int64         // term, k
	names map[int64]Name     // of fresh terms
	texts []any              // k, words
	packs []*Row             // for the columns
	// shrunk are terms that messages were taken from.
	shrunk map[int64]bool
}

// A Name is a term by what it is called.
type Name struct {
	Kind int64
	Text string
}

// A tally is what a transaction adds to a term.
type tally struct{ n, first, last int64 }

func (t *tally) add(n, k int64) {
	if t.n == 0 && t.first == 0 && t.last == 0 {
		t.first = k
	}
	t.n += n
	t.first, t.last = min(t.first, k), max(t.last, k)
}

// maxCachedTerms bounds what a writer remembers, about 100 bytes each.
const maxCachedTerms = 200_000

// open returns the writer of a segment, on the connection of the session beside it
// if they can share one. The caller holds Archive.writing.
func (s *Segment) open(ctx context.Context, beside *Session) (*Writer, error) {
	if s.Writer != nil && s.Writer.Session != nil {
		return s.Writer, nil
	}
	session := s.Join(beside)
	if session == nil {
		var err error
		if session, err = s.newSession(ctx, s.Tables.Write); err != nil {
			return nil, err
		}
		session.until = time.Time{} // what is begun is ended
	}
	if g := s.Tables.generation(); g != s.generation {
		if err := s.remember(session); err != nil {
			return nil, errors.Join(err, session.close())
		}
		s.Writer, s.generation = nil, g
	}
	if s.Writer != nil {
		s.Writer.Session = session
		return s.Writer, nil
	}
	w := &Writer{Session: session, S: s, ids: make(map[Name]int64), keys: make(map[int64]int64)}
	var err error
	if w.maxK, err = w.Number("SELECT coalesce(max(k), -1) FROM {msg}"); err == nil {
		w.maxID, err = w.Number("SELECT coalesce(max(id), 0) FROM {term}")
	}
	if err == nil {
		err = w.measure()
	}
	if w.whole = w.maxID < maxCachedTerms/2; w.whole && err == nil {
		err = w.recall("")
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	s.Writer = w
	s.Hot.Store(true)
	return w, nil
}

// Checkpoint does what the database wants to be done after a commit.
func (w *Writer) Checkpoint() error {
	switch {
	case w.S.Tables.Checkpoint == nil:
		return nil
	case w.Session == nil:
		return w.S.Tables.Checkpoint(nil)
	}
	return w.S.Tables.Checkpoint(w.Conn)
}

// Forget drops the writer: after a failure, since what it remembers may not be so,
// or when it is not needed any more.
func (s *Segment) Forget() error {
	w := s.Writer
	if w == nil {
		return nil
	}
	s.Writer = nil
	s.Hot.Store(false)
	return w.close()
}

// groupSizes are how many rows one statement inserts: few, so that few statements
// stay prepared.
var groupSizes = []int{100, 10, 1}

// insert inserts rows. Text ends where the values begin, group is one of them with a
// question mark for each argument, and tail comes after the last one.
func (w *Writer) insert(text, group, tail string, args []any) error {
	columns := strings.Count(group, "?")
	for _, size := range groupSizes {
		for len(args) >= size*columns {
			statement := text + strings.Repeat(group+",", size-1) + group + tail
			part := args[:size*columns]
			args = args[len(part):]
			if err := w.Exec(statement, part...); err != nil {
				return err
			}
		}
	}
	return nil
}

// A Change is what a transaction does in a segment.
type Change struct {
	In *Segment
	Do func(w *Writer) error
	// Then is called after the commit, before anybody sees what was changed.
	Then func()
}

// Transact makes changes, each in a transaction of its own, and commits them one
// after another with seen locked, so that who locks it to look sees all or none. In
// one database they are one transaction. After a failure nothing is left of the
// changes from number done on.
func Transact(ctx context.Context, seen sync.Locker, changes ...Change) (done int, err error) {
	defer func() {
		if err == nil {
			return
		}
		for _, c := range changes[done:] {
			if c.In.Writer != nil && c.In.Writer.busy {
				_ = c.In.Writer.End("ROLLBACK") // by closing, if it cannot be said
			}
			err = errors.Join(err, c.In.Forget())
		}
	}()
	var first *Session
	for _, c := range changes {
		if err := c.In.run(ctx, first, c.Do); err != nil {
			return 0, fmt.Errorf("segment %s: %w", c.In.Month, err)
		}
		first = cmp.Or(first, c.In.Writer.Session)
	}
	seen.Lock()
	defer seen.Unlock()
	for i, c := range changes {
		if err := c.In.Writer.End("COMMIT"); err != nil {
			return i, fmt.Errorf("segment %s: commit: %w", c.In.Month, err)
		}
		c.In.Writer.settle()
		if c.Then != nil {
			c.Then()
		}
	}
	for _, c := range slices.Backward(changes) {
		if c.In.Dialect.Shared {
			_ = c.In.Writer.close() // all is committed
			c.In.Writer.Session = nil
		}
	}
	return len(changes), nil
}

// run begins a transaction, and does all of it but the commit.
func (s *Segment) run(ctx context.Context, beside *Session, do func(w *Writer) error) error {
	w, err := s.open(ctx, beside)
	if err != nil {
		return err
	}
	w.terms, w.names = make(map[int64]*tally), make(map[int64]Name)
	w.hours, w.days = make(map[[3]int64]int64), make(map[[3]int64]int64)
	w.post, w.texts, w.packs, w.shrunk = w.post[:0], w.texts[:0], w.packs[:0], make(map[int64]bool)
	if !w.joined {
		if err := w.Exec("{begin}"); err != nil {
			return err
		}
	}
	w.busy = true
	if err := do(w); err != nil {
		return err
	}
	return w.flush()
}

// settle makes known what was committed.
func (w *Writer) settle() {
	w.busy = false
	topics, stamps := make(map[int64]string), make(map[int64]string)
	for id, n := range w.names {
		switch n.Kind {
		case TopicKind:
			topics[id] = n.Text
		case StampKind:
			stamps[id] = n.Text
		}
	}
	w.S.learn(topics, stamps)
	if len(w.ids) > maxCachedTerms {
		clear(w.ids)
		w.whole = false
	}
	if len(w.keys) > maxCachedTerms {
		clear(w.keys)
	}
	w.S.Size.Store(w.S.Tables.Size())
}

// key returns the next free key of the millisecond that begins at a key.
func (w *Writer) key(at int64) (int64, error) {
	last, known := w.keys[at]
	switch {
	case known:
	case at > w.maxK:
		last = at - 1
	default:
		last = at - 1
		err := w.Query("SELECT max(k) FROM {msg} WHERE k >= ? AND k < ?", []any{at, at + 1<<SerialBits}, func(rows *sql.Rows) error {
			var found sql.NullInt64
			err := rows.Scan(&found)
			if found.Valid {
				last = found.Int64
			}
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	w.keys[at] = last + 1
	w.maxK = max(w.maxK, last+1)
	return last + 1, nil
}

// intern finds the numbers of terms, and gives numbers to those that are new; flush
// stores these.
func (w *Writer) intern(wanted map[Name]struct{}) error {
	byKind := make(map[int64][]string)
	if !w.whole {
		for n := range wanted {
			byKind[n.Kind] = append(byKind[n.Kind], n.Text)
		}
	}
	for kind, texts := range byKind {
		for some := range slices.Chunk(texts, maxLookup) {
			args := append(make([]any, 0, 1+maxLookup), kind)
			for i := range Padded(len(some)) {
				args = append(args, some[min(i, len(some)-1)])
			}
			if err := w.recall("WHERE kind = ? AND name IN ("+Marks(len(args)-1, 1)+")", args...); err != nil {
				return err
			}
		}
	}
	fresh := maps.Clone(wanted)
	maps.DeleteFunc(fresh, func(n Name, _ struct{}) bool { return w.ids[n] != 0 })
	for _, n := range slices.SortedFunc(maps.Keys(fresh), func(a, b Name) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Text, b.Text)) }) {
		w.maxID++
		w.ids[n] = w.maxID
		w.names[w.maxID] = n
	}
	return nil
}

// maxLookup is how many terms one statement looks for.
const maxLookup = 64

// recall reads terms.
func (w *Writer) recall(where string, args ...any) error {
	return w.Query("SELECT id, kind, name FROM {term} "+where, args, func(rows *sql.Rows) error {
		var id int64
		var n Name
		err := rows.Scan(&id, &n.Kind, &n.Text)
		w.ids[n] = id
		return err
	})
}

// count notes that n messages more (or less) at k have a term.
func (w *Writer) count(kind, id, k, n int64) {
	t := w.terms[id]
	if t == nil {
		t = new(tally)
		w.terms[id] = t
	}
	t.add(n, k)
	if kind == StampKind {
		return
	}
	w.days[[3]int64{kind, dayOf(k), id}] += n
	if kind <= CategoryKind {
		w.hours[[3]int64{kind, hourOf(k), id}] += n
	}
}

// flush writes the postings and counts of the transaction.
func (w *Writer) flush() error {
	late := slices.DeleteFunc(w.post, func(p [2]int64) bool { return p[1] > w.reach.Of(p[0]) })
	if err := w.list(late); err != nil {
		return err
	}
	if err := w.roll("{roll_hour}", "hour", w.hours); err != nil {
		return err
	}
	if err := w.roll("{roll_day}", "day", w.days); err != nil {
		return err
	}
	for id := range w.names {
		if w.terms[id] == nil {
			w.terms[id] = new(tally)
		}
	}
	args := make([]any, 0, 6*len(w.terms))
	for _, id := range slices.Sorted(maps.Keys(w.terms)) {
		t := w.terms[id]
		n := w.names[id] // of one that is there, nobody looks at it
		args = append(args, id, n.Kind, n.Text, t.n, t.first, t.last)
	}
	err := w.insert("INSERT INTO {term} AS t (id, kind, name, n, first, last) VALUES ", "(?,?,?,?,?,?)",
		` ON CONFLICT (id) DO UPDATE SET n = t.n + excluded.n,
			first = CASE WHEN t.n = 0 THEN excluded.first ELSE {least}(t.first, excluded.first) END,
			last = CASE WHEN t.n = 0 THEN excluded.last ELSE {greatest}(t.last, excluded.last) END`, args)
	if err == nil {
		err = w.shrink()
	}
	if err == nil {
		err = w.pack()
	}
	if err == nil {
		err = w.catchUp(len(w.texts) / 2)
	}
	if err == nil {
		err = w.index() // the last: see [TextIndex.Single]
	}
	return err
}

// roll adds to a rollup.
func (w *Writer) roll(table, step string, by map[[3]int64]int64) error {
	args := make([]any, 0, 4*len(by))
	for _, key := range slices.SortedFunc(maps.Keys(by), func(a, b [3]int64) int { return slices.Compare(a[:], b[:]) }) {
		args = append(args, key[0], key[1], key[2], by[key])
	}
	return w.insert("INSERT INTO "+table+" AS r (kind, "+step+", term, n) VALUES ", "(?,?,?,?)",
		" ON CONFLICT (kind, "+step+", term) DO UPDATE SET n = r.n + excluded.n", args)
}

// set stores what a segment says of itself.
func (w *Writer) set(name, value string) error {
	return w.Exec("INSERT INTO {meta} (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
}

// SetPlace stores how far the log of an epoch was stored.
func (w *Writer) SetPlace(key string, epoch int64, word string, place int64) error {
	if err := w.set(fmt.Sprintf("epoch.%d", epoch), word); err != nil {
		return err
	}
	return w.set(fmt.Sprintf("%s.%d", key, epoch), strconv.FormatInt(place, 10))
}
