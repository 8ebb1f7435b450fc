package sqlarchive

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/body"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/packing"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/segment"
)

// partSize is how many drafts are made ready and stored together.
const partSize = 250

// Deliver stores entries. See [fedmsg.Sink]. A message whose ID is known is
// skipped, and counted as a conflict if it says something else; if it was imported
// without a place in the log, it gets the place. The error wraps
// [fedmsg.ErrInvalid] if a message has no ID, which those of a log have.
//
// All of a batch that lies in one month is stored in one transaction. The segment
// that has the last entry is committed last, and only it tells how far the log was
// stored: so readers by Seq never see a batch of which a part is missing, even if
// the process dies between two commits.
func (a *Archive) Deliver(ctx context.Context, batch []fedmsg.Entry) (int, error) {
	n, err := a.deliver(ctx, batch)
	if err != nil {
		return n, fmt.Errorf("archive: %w", unavailable(ctx, err))
	}
	return n, nil
}

func (a *Archive) deliver(ctx context.Context, batch []fedmsg.Entry) (int, error) {
	if err := context.Cause(ctx); err != nil || len(batch) == 0 {
		return 0, err
	}
	a.writing.Lock()
	defer a.writing.Unlock()
	began := time.Now()
	ahead := a.ahead.Swap(nil)
	months := make(map[string][]*segment.Draft)
	drafts := make([]*segment.Draft, len(batch))
	upto := a.last.Load()
	for i, e := range batch {
		if e.Message.ID == "" {
			return 0, fedmsg.RefuseField(fedmsg.MissingField, "msg_id", "entry %d has none, and an archive finds messages by it", e.Seq)
		}
		if drafts[i] = ahead.take(e); drafts[i] == nil {
			drafts[i] = draftOf(e)
		}
		months[drafts[i].Month] = append(months[drafts[i].Month], drafts[i])
		upto = max(upto, segment.MakePlace(a.epoch, e.Seq))
	}
	final := drafts[len(drafts)-1].Month
	order := append(slices.DeleteFunc(slices.Sorted(maps.Keys(months)), func(m string) bool { return m == final }), final)
	changes := make([]segment.Change, len(order))
	for i, month := range order {
		s, err := a.open(ctx, month)
		if err != nil {
			return 0, err
		}
		to := int64(0)
		if i == len(order)-1 && upto > a.last.Load() {
			to = upto
		}
		changes[i] = a.storing(ctx, s, months[month], ahead, to)
	}
	done, err := segment.Transact(ctx, &a.commits, changes...)
	if err != nil {
		return slices.IndexFunc(drafts, func(d *segment.Draft) bool { return slices.Contains(order[done:], d.Month) }), err
	}
	a.publish(upto)
	a.ingest.Observe(time.Since(began))
	a.tidy(ctx, order)
	return len(batch), nil
}

// publish tells readers how far the log is stored.
func (a *Archive) publish(upto int64) {
	a.last.Store(max(a.last.Load(), upto))
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		close(a.news)
		a.news = make(chan struct{})
	}
}

func draftOf(e fedmsg.Entry) *segment.Draft {
	at := segment.FirstKey(e.Message.Time)
	return &segment.Draft{Entry: e, At: at, UID: segment.UID(e.Message.ID), Month: segment.MonthOf(at)}
}

// An ahead is what [Archive.Prepare] made.
type ahead struct {
	by     rules
	drafts map[*fedmsg.Message]*segment.Draft
}

// take returns the draft of an entry; nil if there is none.
func (h *ahead) take(e fedmsg.Entry) *segment.Draft {
	if h == nil {
		return nil
	}
	d := h.drafts[e.Message]
	delete(h.drafts, e.Message) // another one has a draft of its own
	if d != nil && d.Entry != e {
		return nil
	}
	return d
}

// Prepare makes ready what [Archive.Deliver] is called with next, so that one processor can
// do that while another one stores what comes before. Nothing depends on it.
func (a *Archive) Prepare(ctx context.Context, batch []fedmsg.Entry) {
	made := &ahead{by: a.rules(), drafts: make(map[*fedmsg.Message]*segment.Draft, len(batch))}
	months := make(map[string]*segment.Segment)
	for _, s := range a.all() {
		months[s.Month] = s
	}
	for _, e := range batch {
		if d := draftOf(e); months[d.Month] != nil && ctx.Err() == nil {
			a.make(ctx, months[d.Month], d)
			made.drafts[e.Message] = d
		}
	}
	a.ahead.Store(made)
}

// storing is the change that stores what belongs into one segment. upto is 0, or
// how far the log is stored when this is.
func (a *Archive) storing(ctx context.Context, s *segment.Segment, drafts []*segment.Draft, ahead *ahead, upto int64) segment.Change {
	stored, by := 0, a.rules()
	if ahead != nil && !maps.Equal(ahead.by, by) { // other words may be found now
		for _, d := range drafts {
			d.Ready = false
		}
	}
	var said map[string]string
	do := func(w *segment.Writer) (err error) {
		if err := a.sift(ctx, w, drafts); err != nil {
			return err
		}
		fresh := slices.DeleteFunc(slices.Clone(drafts), func(d *segment.Draft) bool { return d.Known })
		stored = len(fresh)
		if said, err = a.mark(w, fresh, by); err != nil {
			return err
		}
		parts, wait := a.prepare(ctx, s, fresh)
		defer wait()
		for some := range parts {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			if err := w.Store(some, a.epoch); err != nil {
				return err
			}
		}
		if upto == 0 {
			return nil
		}
		return w.SetPlace("upto", a.epoch, a.cfg.Epoch, upto)
	}
	return segment.Change{In: s, Do: do, Then: func() {
		s.Note(drafts, a.epoch)
		s.Keep(said)
		s.Rows.Add(int64(stored))
		a.stored.Add(uint64(stored))
		a.duplicates.Add(uint64(len(drafts) - stored))
	}}
}

// maxHot is how many segments are kept ready for writing.
const maxHot = 6

// tidy does after a delivery what must be done now and then.
func (a *Archive) tidy(ctx context.Context, months []string) {
	hot := 0
	for _, s := range a.all() {
		touched := slices.Contains(months, s.Month)
		if touched && s.Rows.Load() >= packing.TrainCount && s.Codec.Dictionary() == nil {
			if err := a.teach(ctx, s, s); err != nil {
				a.logger.WarnContext(ctx, "no dictionary for the archive, which takes more room", "err", err)
			}
		}
		if s.Writer == nil {
			continue
		}
		var err error
		if hot++; hot > maxHot && !touched {
			err = s.Forget()
		} else if touched {
			err = s.Writer.Checkpoint()
		}
		if err != nil {
			a.logger.WarnContext(ctx, "the archive was not tidied up, will try again", "err", err)
		}
	}
}

// sift marks the drafts that are stored already.
func (a *Archive) sift(ctx context.Context, w *segment.Writer, drafts []*segment.Draft) error {
	uids := make([]int64, len(drafts))
	for i, d := range drafts {
		uids[i] = d.UID
	}
	old, err := segment.Part{Segment: w.S, Session: w.Session}.Stored(uids...)
	if err != nil {
		return err
	}
	inBatch := make(map[int64][]*segment.Draft)
	for _, d := range drafts {
		for _, r := range old[d.UID] {
			m, err := w.S.Codec.Decode(r.Enc, r.Body)
			if err != nil { // by 64 bits of its hash it is the same ID; to fail would hold up all that follows
				a.logger.ErrorContext(ctx, "a message in the archive cannot be read", "entry", d.Entry, "month", w.S.Month, "err", err)
				d.Known = true
				continue
			}
			if m.ID != d.Entry.Message.ID {
				continue
			}
			d.Known = true
			if same := a.compare(ctx, m, d.Entry); same && d.Entry.Seq != 0 && segment.PlaceSeq(a.epoch, r.Place) == 0 {
				if err := w.Replace(r, d.Entry, segment.MakePlace(a.epoch, d.Entry.Seq)); err != nil {
					return err
				}
			}
		}
		for _, other := range inBatch[d.UID] {
			if other.Entry.Message.ID == d.Entry.Message.ID && !d.Known {
				d.Known = true
				a.compare(ctx, other.Entry.Message, d.Entry)
			}
		}
		inBatch[d.UID] = append(inBatch[d.UID], d)
	}
	return nil
}

// compare reports whether a message says the same as the one that is stored under
// its ID, and counts a conflict if not.
func (a *Archive) compare(ctx context.Context, stored *fedmsg.Message, e fedmsg.Entry) bool {
	if bytes.Equal(stored.Bytes(), e.Message.Bytes()) || stored.Digest() == e.Message.Digest() {
		return true
	}
	a.conflicts.Add(1)
	if now := time.Now(); now.Sub(a.told) > time.Minute {
		a.told = now
		a.logger.WarnContext(ctx, "another message with this ID is in the archive, and stays", "entry", e, "conflicts", a.conflicts.Load())
	}
	return false
}

// prepare makes drafts ready beside the writing. It yields them in parts, as they
// are ready; wait must be called in the end.
func (a *Archive) prepare(ctx context.Context, s *segment.Segment, drafts []*segment.Draft) (parts iter.Seq[[]*segment.Draft], wait func()) {
	chunks := slices.Collect(slices.Chunk(drafts, partSize))
	ready := make([]chan struct{}, len(chunks))
	for i := range ready {
		ready[i] = make(chan struct{})
	}
	var next atomic.Int64
	var stop atomic.Bool
	var workers sync.WaitGroup
	for range min(len(chunks), runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(chunks)); i = next.Add(1) - 1 {
				for _, d := range chunks[i] {
					if stop.Load() {
						break
					}
					if !d.Ready {
						a.make(ctx, s, d)
					}
				}
				close(ready[i])
			}
		})
	}
	parts = func(yield func([]*segment.Draft) bool) {
		for i, chunk := range chunks {
			<-ready[i]
			if !yield(chunk) {
				return
			}
		}
	}
	return parts, func() { stop.Store(true); workers.Wait() }
}

// make does for one draft what can be done outside of the transaction.
func (a *Archive) make(ctx context.Context, s *segment.Segment, d *segment.Draft) {
	m := d.Entry.Message
	d.Terms, d.Lists = a.termsOf(ctx, d.Entry)
	var words strings.Builder
	for word := range body.Words(m.Topic, m.Body) {
		words.WriteString(word)
		words.WriteByte(' ')
	}
	d.Words = words.String()
	d.Enc, d.Packed, d.Err = s.Codec.Pack(m.Bytes())
	d.Ready = true
}

// termsOf returns what an entry is found by.
func (a *Archive) termsOf(ctx context.Context, e fedmsg.Entry) (terms []segment.Name, lists [3]int) {
	words := a.describe(ctx, e)
	terms = append(make([]segment.Name, 0, 8), segment.Name{Kind: segment.TopicKind, Text: string(e.Message.Topic)}, segment.Name{Kind: segment.CategoryKind, Text: segment.Category(e.Message.Topic)},
		segment.Name{Kind: segment.AgentKind, Text: words.Agent}, segment.Name{Kind: segment.StampKind, Text: e.Verified})
	for i, list := range [][]string{words.Usernames, words.Packages, words.Objects} {
		before := len(terms)
		for _, text := range list {
			if n := (segment.Name{Kind: segment.UserKind + int64(i), Text: text}); !slices.Contains(terms[before:], n) {
				terms = append(terms, n)
			}
		}
		lists[i] = len(terms) - before
	}
	return terms, lists
}

// describe finds the words for an entry. A fault in it must not stop the archive.
func (a *Archive) describe(ctx context.Context, e fedmsg.Entry) (words fedmsg.Words) {
	if a.cfg.Describer == nil {
		return words
	}
	defer func() {
		if p := recover(); p != nil {
			a.logger.ErrorContext(ctx, "no words for a message: this is a bug, please report it", "entry", e, "err", p)
			words = fedmsg.Words{}
		}
	}()
	return a.cfg.Describer.Describe(ctx, e.Message)
}

// inherit gives a new segment a dictionary made of the messages next to it in
// time, those of the month before if there are any. The caller holds a.writing;
// at is where the segment will be among the others.
func (a *Archive) inherit(ctx context.Context, s *segment.Segment, at int) error {
	if len(a.segments) == 0 {
		return nil
	}
	from := a.segments[min(at, len(a.segments)-1)]
	if from.Rows.Load() >= packing.TrainCount {
		return a.teach(ctx, s, from)
	}
	if d := from.Codec.Dictionary(); d != nil {
		return a.adopt(ctx, s, d)
	}
	return nil
}

// teach trains a dictionary on the newest messages of one segment, for another.
func (a *Archive) teach(ctx context.Context, s, from *segment.Segment) error {
	borrowed, err := from.Borrow(ctx)
	if err != nil {
		return err
	}
	var samples [][]byte
	err = borrowed.Query("SELECT enc, body FROM {msg} ORDER BY k DESC LIMIT ?", []any{packing.TrainCount}, func(rows *sql.Rows) error {
		var enc int64
		var packed []byte
		if err := rows.Scan(&enc, &packed); err != nil {
			return err
		}
		raw, err := from.Codec.Unpack(enc, packed)
		samples = append(samples, raw[:min(len(raw), packing.TrainSize)])
		return err
	})
	from.GiveBack(borrowed, err != nil)
	if err != nil {
		return err
	}
	made, err := packing.Train(s.Codec.Next(), samples)
	if err != nil {
		return err
	}
	return a.adopt(ctx, s, made)
}

// adopt stores a dictionary in a segment, which uses it from now on.
func (a *Archive) adopt(ctx context.Context, s *segment.Segment, dictionary []byte) error {
	id := s.Codec.Next()
	_, err := segment.Transact(ctx, &a.commits, segment.Change{In: s, Then: func() { s.Codec.Add(id, dictionary) }, Do: func(w *segment.Writer) error {
		return w.Exec("INSERT INTO {zdict} (id, made, bytes) VALUES (?, ?, ?)", id, time.Now().Unix(), dictionary)
	}})
	return err
}
