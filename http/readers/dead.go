package readers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/route"
)

const (
	// maxReason is how much is kept of a reason, in bytes.
	maxReason = 1000
	// maxDeadBytes is how much room the messages of a reader's dead letters may take.
	maxDeadBytes = 64 << 20
)

// A Letter is a message that a reader gave up.
type Letter struct {
	Seq    fedmsg.Seq   `json:"seq"`
	ID     string       `json:"id"`
	Topic  fedmsg.Topic `json:"topic"`
	Reason string       `json:"reason"`
	Tries  int          `json:"tries"`
	At     time.Time    `json:"at"`
	// Retry says that it is to be tried again.
	Retry bool `json:"retry"`
	// Bytes is the size of the message, which is kept beside.
	Bytes int `json:"bytes"`
}

func (r *reader) deadNote(seq fedmsg.Seq) string {
	return fmt.Sprintf("%s%s/%d", deadNotes, r.name, seq)
}
func (r *reader) bodyNote(seq fedmsg.Seq) string {
	return fmt.Sprintf("%s%s/%d", bodyNotes, r.name, seq)
}

// giveUp keeps a message that an instance could not deal with.
func (a *API) giveUp(ctx context.Context, r *reader, in GiveUp) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := a.lease(r, in.Instance); err != nil {
		return err
	}
	if in.Turn != r.turn() {
		return moved(r)
	}
	l := &Letter{Seq: in.Seq, Tries: in.Tries, At: a.cfg.Now().UTC(), Reason: strings.ToValidUTF8(in.Reason[:min(len(in.Reason), maxReason)], "?")}
	documents := make(map[string][]byte)
	if old := r.dead[in.Seq]; old != nil {
		l.ID, l.Topic, l.Bytes, l.Tries = old.ID, old.Topic, old.Bytes, old.Tries+in.Tries
	} else {
		if err := a.room(r); err != nil {
			return err
		}
		page, _, err := a.cfg.Log.Page(ctx, max(in.Seq, 1)-1, 1)
		if err != nil || len(page) == 0 || page[0].Seq != in.Seq {
			return fedmsg.RefuseField(fedmsg.BadField, "seq", "the log has no message at %d", in.Seq)
		}
		element := http.AppendElement(nil, page[0])
		l.ID, l.Topic, l.Bytes = page[0].Message.ID, page[0].Message.Topic, len(element)
		documents[r.bodyNote(l.Seq)] = element
	}
	documents[r.deadNote(l.Seq)] = route.JSON(l)
	if err := a.cfg.Notes.Note(ctx, documents); err != nil {
		return err
	}
	r.dead[l.Seq] = l
	r.failed++
	delete(r.handed, l.Seq)
	a.logger.WarnContext(ctx, "a reader gave a message up", "reader", r.name, "entry", fedmsg.Entry{Seq: l.Seq, Message: &fedmsg.Message{ID: l.ID, Topic: l.Topic}}, "tries", l.Tries, "err", l.Reason)
	return nil
}

// room returns a refusal if a reader has as many dead letters as it may. r.mu is held.
func (a *API) room(r *reader) error {
	bytes := 0
	for _, l := range r.dead {
		bytes += l.Bytes
	}
	if len(r.dead) < a.cfg.Dead && bytes < maxDeadBytes {
		return nil
	}
	return fedmsg.Refuse(fedmsg.StorageFull, "reader %s has %d dead letters of %d bytes, the most that are kept; have them tried again, or drop them", r.name, len(r.dead), bytes)
}

// retries returns the dead letters that are to be tried again and were not handed to this
// instance a while ago. r.mu is held.
func (a *API) retries(ctx context.Context, r *reader, limit int) (elements []json.RawMessage, err error) {
	size, now := 0, a.cfg.Now()
	for _, l := range r.letters() {
		if !l.Retry || now.Sub(r.handed[l.Seq]) < a.cfg.Lease {
			continue // the answer may have been lost, so there is a later time
		}
		if len(elements) == limit || size >= answerBytes {
			break
		}
		body, err := a.cfg.Notes.Notes(ctx, r.bodyNote(l.Seq))
		if err != nil {
			return nil, err
		}
		element, ok := body[r.bodyNote(l.Seq)]
		if !ok {
			return nil, fmt.Errorf("reader %s: dead letter %d has no message", r.name, l.Seq)
		}
		size += len(element)
		elements = append(elements, element)
		r.handed[l.Seq] = now
	}
	return elements, nil
}

// letters returns the dead letters in order. r.mu is held.
func (r *reader) letters() []*Letter {
	return slices.SortedFunc(maps.Values(r.dead), func(a, b *Letter) int { return cmp.Compare(a.Seq, b.Seq) })
}

// retry has a dead letter tried again.
func (a *API) retry(ctx context.Context, r *reader, seq fedmsg.Seq) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.dead[seq]
	if l == nil {
		return fedmsg.ErrNotFound
	}
	again := *l
	again.Retry = true
	if err := a.cfg.Notes.Note(ctx, map[string][]byte{r.deadNote(seq): route.JSON(again)}); err != nil {
		return err
	}
	r.dead[seq] = &again
	delete(r.handed, seq)
	r.wake() // who waits gets it now
	return nil
}

// drop removes a dead letter: it is done, or nobody wants it.
func (a *API) drop(ctx context.Context, r *reader, seq fedmsg.Seq) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead[seq] == nil {
		return fedmsg.ErrNotFound
	}
	if err := a.cfg.Notes.Note(ctx, map[string][]byte{r.deadNote(seq): nil, r.bodyNote(seq): nil}); err != nil {
		return err
	}
	delete(r.dead, seq)
	return nil
}
