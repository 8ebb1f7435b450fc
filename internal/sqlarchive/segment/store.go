package segment

import (
	"context"
	"fmt"
	"slices"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// A Draft is an entry on its way into a segment.
type Draft struct {
	Entry fedmsg.Entry
	At    int64 // first key of its millisecond
	Month string
	UID   int64

	// What takes time, and is made beside the writing.
	Enc    int64
	Packed []byte
	Words  string
	Terms  []Name // topic, category, agent, stamp; then users, packages, objects
	Lists  [3]int // how many of these
	Err    error
	Ready  bool // all this was made

	Known bool // stored already, or not to be stored
	k     int64
}

// Note keeps the places of what was stored.
func (s *Segment) Note(drafts []*Draft, epoch int64) {
	for _, d := range drafts {
		if p := MakePlace(epoch, d.Entry.Seq); p != 0 {
			if least := s.Places[0].Load(); least == 0 || p < least {
				s.Places[0].Store(p)
			}
			s.Places[1].Store(max(s.Places[1].Load(), p))
		}
	}
}

// Measure finds the least and the greatest place in a segment.
func (s *Segment) Measure(ctx context.Context, epoch int64) (err error) {
	borrowed, err := s.Borrow(ctx)
	if err != nil {
		return err
	}
	defer func() { s.GiveBack(borrowed, err != nil) }()
	for i, text := range []string{
		"SELECT coalesce(min(place), 0) FROM {msg} WHERE place > ? AND place < ?",
		"SELECT coalesce(max(place), 0) FROM {msg} WHERE place > ? AND place < ?",
	} {
		n, err := borrowed.Number(text, epoch<<SeqBits, (epoch+1)<<SeqBits)
		if err != nil {
			return err
		}
		s.Places[i].Store(n)
	}
	return nil
}

// Replace gives a row the place and stamp that its message has in the log.
func (w *Writer) Replace(r *Row, e fedmsg.Entry, place int64) error {
	stamp := Name{StampKind, e.Verified}
	if _, known := w.ids[stamp]; !known {
		if err := w.intern(map[Name]struct{}{stamp: {}}); err != nil {
			return err
		}
	}
	w.count(StampKind, r.Stamp, r.K, -1)
	w.count(StampKind, w.ids[stamp], r.K, 1)
	return w.Exec("UPDATE {msg} SET place = ?, recv = ?, stamp = ? WHERE k = ?", place, e.At.UnixMicro(), w.ids[stamp], r.K)
}

// Store inserts drafts that are ready.
func (w *Writer) Store(drafts []*Draft, epoch int64) error {
	unknown := make(map[Name]struct{})
	for _, d := range drafts {
		if d.Err != nil {
			return fmt.Errorf("message %s: %w", d.Entry.Message.ID, d.Err)
		}
		var err error
		if d.k, err = w.key(d.At); err != nil {
			return err
		}
		for _, n := range d.Terms {
			if _, known := w.ids[n]; !known {
				unknown[n] = struct{}{}
			}
		}
	}
	if err := w.intern(unknown); err != nil {
		return err
	}
	rows, uids := make([]any, 0, 10*len(drafts)), make([]any, 0, 2*len(drafts))
	for _, d := range drafts {
		ids := make([]int64, 0, len(d.Terms))
		for _, n := range d.Terms {
			id := w.ids[n]
			ids = append(ids, id)
			w.count(n.Kind, id, d.k, 1)
			if HasPostings(n) {
				w.post = append(w.post, [2]int64{id, d.k})
			}
		}
		users, packages, objects := ids[4:4+d.Lists[0]], ids[4+d.Lists[0]:4+d.Lists[0]+d.Lists[1]], ids[4+d.Lists[0]+d.Lists[1]:]
		var place any
		if p := MakePlace(epoch, d.Entry.Seq); p != 0 {
			place = p
		}
		uids = append(uids, d.UID, d.k)
		rows = append(rows, d.k, place, d.Entry.At.UnixMicro(), ids[0], ids[1], ids[2], ids[3],
			appendIDs(nil, users, packages, objects), d.Enc, d.Packed)
		w.packs = append(w.packs, &Row{K: d.k, Topic: ids[0], Category: ids[1], Agent: ids[2], Users: users, Packages: packages, Objects: objects})
		w.texts = append(w.texts, d.k, d.Words)
	}
	if err := w.insert("{insert} INTO {fresh} (uid, k) VALUES ", "(?,?)", "", uids); err != nil {
		return err
	}
	return w.insert("{insert} INTO {msg} (k, place, recv, topic, category, agent, stamp, terms, enc, body) VALUES ", "(?,?,?,?,?,?,?,?,?,?)", "", rows)
}

// index writes the words of the transaction.
func (w *Writer) index() error {
	text := &w.S.Dialect.Text
	if !text.Single {
		return w.insert(text.Insert, text.Group, "", w.texts)
	}
	for one := range slices.Chunk(w.texts, 2) {
		if err := w.Exec(text.Insert+text.Group, one...); err != nil {
			return err
		}
	}
	return nil
}

// HasPostings reports whether a term has a posting list. Stamps have none, since
// nearly all messages have the same few; nor has the agent of messages that nobody
// in particular made.
func HasPostings(n Name) bool {
	return n.Kind != StampKind && (n.Kind != AgentKind || n.Text != "")
}
