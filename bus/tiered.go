package bus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Tiered is a log with an archive behind it, which is fed from the log: what the log
// no longer keeps is read from the archive, and whoever reads cannot tell.
// [NewTiered] makes one.
type Tiered struct {
	followed
	archive fedmsg.Reader
}

// followed is what is needed of a log: [Window] has it.
type followed interface {
	fedmsg.Reader
	paged
	State(ctx context.Context) (fedmsg.LogState, error)
}

// paged is what can be read in pages, as a [fedmsg.Log].
type paged interface {
	Page(ctx context.Context, after fedmsg.Seq, limit int, want ...fedmsg.Pattern) ([]fedmsg.Entry, fedmsg.Seq, error)
}

var _ fedmsg.Reader = Tiered{}

// NewTiered puts an archive behind a log.
func NewTiered(log followed, archive fedmsg.Reader) Tiered { return Tiered{log, archive} }

// Page returns a page of the log, or of the archive if that can give pages and the log no
// longer has what follows after. See [fedmsg.Log].
func (t Tiered) Page(ctx context.Context, after fedmsg.Seq, limit int, want ...fedmsg.Pattern) ([]fedmsg.Entry, fedmsg.Seq, error) {
	page, next, err := t.followed.Page(ctx, after, limit, want...)
	archive, ok := t.archive.(paged)
	if !ok || !errors.Is(err, fedmsg.ErrTooOld) {
		return page, next, err
	}
	older, upTo, past := archive.Page(ctx, after, limit, want...)
	if past != nil || upTo == after { // it does not reach up to the log, for now
		return page, next, err
	}
	return older, upTo, nil
}

// Read follows the log, beginning in the archive if need be. See [fedmsg.Reader].
// The error wraps [fedmsg.ErrTooOld] only if the archive has not what follows after
// either.
func (t Tiered) Read(ctx context.Context, after fedmsg.Seq, want ...fedmsg.Pattern) iter.Seq2[[]fedmsg.Entry, error] {
	return func(yield func([]fedmsg.Entry, error) bool) {
		for {
			err := pass(t.followed.Read(ctx, after, want...), want, 0, &after, yield)
			if !errors.Is(err, fedmsg.ErrTooOld) {
				end(err, yield)
				return
			}
			switch past := t.past(ctx, want, &after, yield); {
			case errors.Is(past, fedmsg.ErrInvalid):
				end(err, yield) // the archive ends before that place
				return
			case past != nil:
				end(past, yield)
				return
			}
		}
	}
}

// errEnough says that the caller has enough.
var errEnough = errors.New("enough")

// end passes an error to the caller, unless it was the caller who ended it.
func end(err error, yield func([]fedmsg.Entry, error) bool) {
	if !errors.Is(err, errEnough) {
		yield(nil, err)
	}
}

// past reads the archive up to where the log begins now. Its oldest entry, which
// nobody may have asked for, marks that place.
func (t Tiered) past(ctx context.Context, want []fedmsg.Pattern, after *fedmsg.Seq, yield func([]fedmsg.Entry, error) bool) error {
	state, err := t.State(ctx)
	if err != nil {
		return fmt.Errorf("read after %d: %w", *after, err)
	}
	first, _, err := t.followed.Page(ctx, state.First-1, 1)
	if err != nil && !errors.Is(err, fedmsg.ErrTooOld) {
		return fmt.Errorf("read after %d: %w", *after, err)
	}
	asked := want
	if len(want) > 0 && len(first) > 0 {
		asked = append(slices.Clone(want), fedmsg.Pattern(first[0].Message.Topic))
	}
	return pass(t.archive.Read(ctx, *after, asked...), want, state.First, after, yield)
}

// pass yields what a reader gives, and notes how far it came. It ends with nil when
// the entries before end are through, if end is not 0.
func pass(batches iter.Seq2[[]fedmsg.Entry, error], want []fedmsg.Pattern, end fedmsg.Seq, after *fedmsg.Seq, yield func([]fedmsg.Entry, error) bool) error {
	for batch, err := range batches {
		if err != nil {
			return err
		}
		last := batch[len(batch)-1].Seq
		if end > 0 {
			batch = slices.DeleteFunc(slices.Clone(batch), func(e fedmsg.Entry) bool {
				return e.Seq >= end || !fedmsg.MatchAny(want, e.Message.Topic)
			})
			last = min(last, end-1)
		}
		if len(batch) > 0 && !yield(batch, nil) {
			return errEnough
		}
		if *after = max(*after, last); end > 0 && *after >= end-1 {
			return nil
		}
	}
	return nil
}
