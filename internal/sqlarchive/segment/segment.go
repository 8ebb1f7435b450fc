// Package segment keeps the messages of one month in the tables of a database: rows,
// posting lists, the text index, and the counts of all that. It is complete: it has
// its own numbers for terms and its own dictionaries, so all that a message changes
// is changed in one transaction, and a month can be copied or removed by itself.
package segment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/packing"
)

// The kinds of terms. The numbers stand in files.
const (
	TopicKind int64 = 1 + iota
	CategoryKind
	AgentKind
	UserKind
	PackageKind
	ObjectKind
	StampKind // has no postings and no rollups
)

// kinds are the fields that are terms.
var Kinds = map[fedmsg.Field]int64{
	fedmsg.TopicField: TopicKind, fedmsg.CategoryField: CategoryKind, fedmsg.AgentField: AgentKind,
	fedmsg.UserField: UserKind, fedmsg.PackageField: PackageKind, fedmsg.ObjectField: ObjectKind,
}

// A Segment holds the messages of one month.
type Segment struct {
	Month    string
	From, To int64 // keys
	Dialect  *Dialect
	Tables   *Tables
	Codec    *packing.Codec
	Use      sync.RWMutex // held for reading by who asks, for writing by who removes it
	Gone     bool

	generation int64 // of what is remembered

	mu     sync.Mutex
	idle   []*Session
	texts  map[string]string // statements, spelled
	topics map[int64]string  // all there are
	stamps map[int64]string  // likewise
	Epochs map[int64]string  // numbers of epochs, and what they stand for
	Meta   map[string]string

	Rows   atomic.Int64
	Size   atomic.Int64 // when last looked at
	Places [2]atomic.Int64
	Hot    atomic.Bool
	Writer *Writer // of who holds Archive.writing; nil if there is none, and then it is not hot
}

// OpenSegment opens a segment and makes its tables if there are none.
func OpenSegment(ctx context.Context, store Store, d *Dialect, month string) (*Segment, error) {
	from, to, err := monthKeys(month)
	if err != nil {
		return nil, fmt.Errorf("segment %q: %w", month, err)
	}
	tables, err := store.Open(ctx, month)
	if err != nil {
		return nil, fmt.Errorf("segment %s: %w", month, err)
	}
	s := &Segment{Month: month, From: from, To: to, Dialect: d, Tables: tables, Codec: packing.New(),
		topics: make(map[int64]string), stamps: make(map[int64]string), texts: make(map[string]string)}
	err = s.load(ctx)
	if err == nil {
		err = s.upgrade(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("segment %s: %w", month, errors.Join(err, s.Close()))
	}
	return s, nil
}

// create makes the tables of a new segment.
func (s *Segment) create(ctx context.Context) (err error) {
	tx, err := s.Tables.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	for _, text := range slices.Concat(schema, s.Dialect.Text.Create) {
		if _, err := tx.ExecContext(ctx, s.spell(text)); err != nil {
			return fmt.Errorf("make tables: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, s.spell("INSERT INTO {meta} (name, value) VALUES ('schema', ?)"), strconv.Itoa(SchemaVersion)); err != nil {
		return err
	}
	return tx.Commit()
}

func (s *Segment) spell(text string) string { return s.Dialect.spell(text, s.Tables.Prefix) }

// spelled is spell for statements of a fixed set.
func (s *Segment) spelled(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	spelled, known := s.texts[text]
	if !known {
		spelled = s.spell(text)
		s.texts[text] = spelled
	}
	return spelled
}

// load reads what is kept in memory.
func (s *Segment) load(ctx context.Context) (err error) {
	var found int
	if err := s.Tables.Read.QueryRowContext(ctx, s.spell(s.Dialect.Words["has_tables"])).Scan(&found); err != nil {
		return s.Dialect.meaning(err)
	}
	if found == 0 {
		if err := s.create(ctx); err != nil {
			return err
		}
	}
	borrowed, err := s.Borrow(ctx)
	if err != nil {
		return err
	}
	defer func() { s.GiveBack(borrowed, err != nil) }()
	if err := s.loadMeta(borrowed); err != nil {
		return err
	}
	s.generation = s.Tables.generation()
	err = s.remember(borrowed)
	s.Size.Store(s.Tables.Size())
	return err
}

// remember reads dictionaries, topics and stamps, and how many messages there are.
func (s *Segment) remember(from *Session) error {
	err := from.Query("SELECT id, bytes FROM {zdict} ORDER BY id", nil, func(rows *sql.Rows) error {
		var id int64
		var bytes []byte
		err := rows.Scan(&id, &bytes)
		s.Codec.Add(id, bytes)
		return err
	})
	if err != nil {
		return err
	}
	topics, stamps := make(map[int64]string), make(map[int64]string)
	for kind, into := range map[int64]map[int64]string{TopicKind: topics, StampKind: stamps} {
		err := from.Query("SELECT id, name FROM {term} WHERE kind = ?", []any{kind}, func(rows *sql.Rows) error {
			var id int64
			var name string
			err := rows.Scan(&id, &name)
			into[id] = name
			return err
		})
		if err != nil {
			return err
		}
	}
	s.learn(topics, stamps)
	n, err := from.Number("SELECT coalesce(sum(n), 0) FROM {term} WHERE kind = ?", CategoryKind)
	s.Rows.Store(n)
	return err
}

// generation is 0 where nobody else writes.
func (t *Tables) generation() int64 {
	if t.Generation == nil {
		return 0
	}
	return t.Generation()
}

// loadMeta reads what the segment says of itself.
func (s *Segment) loadMeta(from *Session) error {
	s.Meta, s.Epochs = make(map[string]string), make(map[int64]string)
	err := from.Query("SELECT name, value FROM {meta}", nil, func(rows *sql.Rows) error {
		var name, value string
		err := rows.Scan(&name, &value)
		s.Meta[name] = value
		if number, ok := strings.CutPrefix(name, "epoch."); ok {
			n, _ := strconv.ParseInt(number, 10, 64)
			s.Epochs[n] = value
		}
		return err
	})
	if err != nil {
		return err
	}
	switch n, err := strconv.Atoi(s.Meta["schema"]); {
	case err != nil:
		return fmt.Errorf("schema version %q: %w", s.Meta["schema"], ErrDamaged)
	case n > SchemaVersion:
		return fmt.Errorf("schema version %d, and %d is the newest known here: %w", n, SchemaVersion, ErrNewer)
	}
	return nil
}

// Close lets go of the database. Nobody may use the segment any more.
func (s *Segment) Close() error {
	var errs []error
	if s.Writer != nil {
		errs = append(errs, s.Writer.close())
		s.Writer = nil
	}
	for _, session := range s.idle {
		errs = append(errs, session.close())
	}
	s.idle = nil
	return errors.Join(append(errs, s.Tables.Close())...)
}

// Tidy makes the segment small. Nobody else may write to it meanwhile, or waits.
func (s *Segment) Tidy(ctx context.Context) error {
	for _, text := range s.Dialect.Tidy {
		if _, err := s.Tables.Write.ExecContext(ctx, s.spell(text)); err != nil {
			return err
		}
	}
	s.Size.Store(s.Tables.Size())
	return nil
}

// Names returns the IDs and names of topics or stamps that are wanted.
func (s *Segment) Names(kind int64, wanted func(name string) bool) []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.topics
	if kind == StampKind {
		all = s.stamps
	}
	var found []int64
	for id, name := range all {
		if wanted(name) {
			found = append(found, id)
		}
	}
	return found
}

// learn adds topics and stamps that were stored.
func (s *Segment) learn(topics, stamps map[int64]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.topics, topics)
	maps.Copy(s.stamps, stamps)
}

// stamp returns the name of a stamp.
func (s *Segment) stamp(id int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stamps[id]
}

// A Row is a message as it lies in a segment.
type Row struct {
	K                             int64
	Topic, Category, Agent, Stamp int64
	Users, Packages, Objects      []int64
	Place, recv, Enc              int64
	Body                          []byte
}

// The columns that light and full rows have.
const (
	lightColumns = "SELECT k, topic, category, agent, stamp, terms FROM {msg} "
	FullColumns  = "SELECT k, topic, category, agent, stamp, terms, coalesce(place, 0), recv, enc, body FROM {msg} "
)

// scan reads a row of either kind.
func (r *Row) scan(rows *sql.Rows, full bool) error {
	var terms sql.RawBytes
	var err error
	if full {
		err = rows.Scan(&r.K, &r.Topic, &r.Category, &r.Agent, &r.Stamp, &terms, &r.Place, &r.recv, &r.Enc, &r.Body)
	} else {
		err = rows.Scan(&r.K, &r.Topic, &r.Category, &r.Agent, &r.Stamp, &terms)
	}
	readIDs(terms, &r.Users, &r.Packages, &r.Objects)
	return err
}

// Entry returns the entry of a full row; m is its message, or nil.
func (s *Segment) Entry(r *Row, m *fedmsg.Message, epoch int64) (e fedmsg.Entry, err error) {
	if m == nil {
		if m, err = s.Codec.Decode(r.Enc, r.Body); err != nil {
			return e, fmt.Errorf("message at %s: %w", KeyTime(r.K).Format(time.RFC3339Nano), err)
		}
	}
	return fedmsg.Entry{Seq: PlaceSeq(epoch, r.Place), At: time.UnixMicro(r.recv).UTC(), Verified: s.stamp(r.Stamp), Message: m}, nil
}

// fetchSizes are how many rows one statement asks for by key.
var fetchSizes = []int{1, 8, 32, 128}

// Fetch reads the rows with these keys, in the order of the keys. A key that has
// no row is left out.
func (p Part) Fetch(keys []int64, full bool) ([]*Row, error) {
	found := make(map[int64]*Row, len(keys))
	columns := lightColumns
	if full {
		columns = FullColumns
	}
	for rest := keys; len(rest) > 0; {
		size := fetchSizes[len(fetchSizes)-1]
		for _, n := range fetchSizes {
			if n >= len(rest) {
				size = n
				break
			}
		}
		some := rest[:min(size, len(rest))]
		rest = rest[len(some):]
		args := make([]any, size)
		for i := range args {
			args[i] = some[min(i, len(some)-1)] // the last one again, to fill up
		}
		err := p.Query(columns+"WHERE k IN ("+Marks(size, 1)+")", args, func(rows *sql.Rows) error {
			r := new(Row)
			err := r.scan(rows, full)
			found[r.K] = r
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	ordered := make([]*Row, 0, len(keys))
	for _, k := range keys {
		if r := found[k]; r != nil {
			ordered = append(ordered, r)
		}
	}
	return ordered, nil
}

// Full returns the full rows that a statement selects.
func (p Part) Full(text string, args ...any) (found []*Row, err error) {
	err = p.Query(text, args, func(rows *sql.Rows) error {
		r := new(Row)
		found = append(found, r)
		return r.scan(rows, true)
	})
	return found, err
}

// Values returns the terms of one kind that a row has.
func (r *Row) Values(kind int64) []int64 {
	switch kind {
	case TopicKind:
		return []int64{r.Topic}
	case CategoryKind:
		return []int64{r.Category}
	case AgentKind:
		return []int64{r.Agent}
	case UserKind:
		return r.Users
	case PackageKind:
		return r.Packages
	case StampKind:
		return []int64{r.Stamp}
	}
	return r.Objects
}

// Padded returns how many of something a statement takes, so that few statements
// stay prepared: a power of two.
func Padded(n int) int {
	size := 1
	for size < n {
		size *= 2
	}
	return size
}

// Pad makes arguments, the last one again as often as is needed.
func Pad(ids []int64) []any {
	args := make([]any, Padded(len(ids)))
	for i := range args {
		args[i] = ids[min(i, len(ids)-1)]
	}
	return args
}
