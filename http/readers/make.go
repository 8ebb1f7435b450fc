package readers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
)

// maxTopics is how many patterns a reader may have.
const maxTopics = 64

// strict decodes exactly one value without unknown members.
func strict(text []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if dec.More() {
		return errors.New("something follows it")
	}
	return nil
}

// checkName returns a refusal unless a reader or an instance may be called so.
func checkName(field, name string) error {
	if fedmsg.ValidateID(name) != nil || len(name) > maxName {
		return fedmsg.RefuseField(fedmsg.BadField, field, "must be 1 to %d letters, digits, - _ and ., the first a letter or digit", maxName)
	}
	return nil
}

// make makes a reader, or changes what one wants that is there.
func (a *API) make(ctx context.Context, name string, c http.Caller, wish Wish) (r *reader, isNew bool, err error) {
	if err := checkName("name", name); err != nil {
		return nil, false, err
	}
	if len(wish.Topics) > maxTopics {
		return nil, false, fedmsg.RefuseField(fedmsg.TooManySubscriptions, "topics", "%d topic patterns, at most %d are allowed", len(wish.Topics), maxTopics)
	}
	for _, p := range wish.Topics {
		if err := p.Validate(); err != nil {
			return nil, false, err
		}
	}
	fresh := &reader{name: name, dead: make(map[fedmsg.Seq]*Letter), kept: kept{Topics: wish.Topics, Query: wish.Query, Owner: c.Identity, Made: a.cfg.Now().UTC()}}
	if err := a.match(fresh); err != nil {
		return nil, false, err
	}
	if r, err := a.find(name); err == nil {
		return r, false, a.change(ctx, r, c, fresh)
	}
	if fresh.At, fresh.Epoch, err = a.resolve(ctx, wish.From); err != nil {
		return nil, false, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.readers[name] != nil {
		return nil, false, fedmsg.Refuse(http.ReaderBusy, "somebody makes this reader at the same time; try again")
	}
	if len(a.readers) >= a.cfg.Readers {
		return nil, false, &fedmsg.HintError{Err: fedmsg.Refuse(fedmsg.StorageFull, "there are %d readers, the most that are kept", len(a.readers)),
			Hint: "remove those that nobody needs: DELETE /api/v1/readers/NAME"}
	}
	if err := a.save(ctx, fresh, nil); err != nil {
		return nil, false, err
	}
	a.readers[name] = fresh
	return fresh, true, nil
}

// change has a reader want what another one wants.
func (a *API) change(ctx context.Context, r *reader, c http.Caller, to *reader) error {
	if err := mayUse(c, r); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return fedmsg.ErrNotFound
	}
	if slices.Equal(r.Topics, to.Topics) && r.Query == to.Query {
		return nil
	}
	r.Topics, r.Query = to.Topics, to.Query
	if err := a.save(ctx, r, nil); err != nil {
		return err
	}
	r.choice = to.choice
	r.wake() // who waits, waits for something else
	return nil
}

// forget removes a reader and its dead letters.
func (a *API) forget(ctx context.Context, r *reader) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	documents := map[string][]byte{readerNotes + r.name: nil}
	for seq := range r.dead {
		documents[r.deadNote(seq)], documents[r.bodyNote(seq)] = nil, nil
	}
	if err := a.cfg.Notes.Note(ctx, documents); err != nil {
		return fmt.Errorf("forget: %w", err)
	}
	r.gone = true
	r.wake()
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.readers, r.name)
	return nil
}
