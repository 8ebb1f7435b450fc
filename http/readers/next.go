package readers

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
)

// Limits of one answer.
const (
	maxLimit = 500
	// maxWait is how long a request waits for messages at most.
	maxWait = 60 * time.Second
	// answerBytes is how much an answer holds, in bytes, and one message more.
	answerBytes = 4 << 20
	// scanTime is how long messages that nobody wants are passed over before an answer
	// says how far that went.
	scanTime = 2 * time.Second
	// step is how many entries are taken from the log at once: one may have a megabyte.
	step = 32
)

// A Batch is what comes next for a reader.
type Batch struct {
	// Turn stands in the acks of what is in here.
	Turn string `json:"turn"`
	// At is the reader's place, Next the one that is reached when all of this and what
	// was given before is done, Lag how far that is from the end of the log.
	At   fedmsg.Seq `json:"at"`
	Next fedmsg.Seq `json:"next"`
	Lag  uint64     `json:"lag"`
	// Messages are elements as [http.Element] has them, in order.
	Messages []json.RawMessage `json:"messages"`
	// Retries are dead letters that somebody wants to have tried again. They belong to
	// no place: who is done with one drops it.
	Retries []json.RawMessage `json:"retries,omitempty"`
	// Gap says that messages may be missing before these.
	Gap *http.Gap `json:"gap,omitempty"`
	// Lease is how long the instance has the reader from now on, in seconds.
	Lease float64 `json:"lease"`
}

// asked is what an instance asks for.
type asked struct {
	instance, turn string
	after          fedmsg.Seq // from where to go on, if turn is the reader's
	limit          int
	wait           time.Duration
	may            []fedmsg.Pattern // what who asks may have
	choice                          // what the reader wanted when the request began
	waiter         *waiter
}

// next gives an instance what comes next, and waits for it if there is nothing.
func (a *API) next(ctx context.Context, r *reader, q asked) (*Batch, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	from, b, err := a.begin(ctx, r, &q, &waiter{cancel})
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(q.wait); ctx.Err() == nil; {
		if err := a.scan(ctx, r, q, &from, b); err != nil && ctx.Err() == nil {
			return nil, err
		}
		if len(b.Messages)+len(b.Retries) > 0 || b.Gap != nil || !time.Now().Before(end) {
			break
		}
		if b.Next > from { // all that was for others, and there may be more
			from = b.Next
			continue
		}
		if err := a.await(ctx, r, q, from, end); err != nil && ctx.Err() == nil {
			return nil, err
		}
	}
	return b, a.finish(r, q, b)
}

// begin takes the lease, and finds out where to go on.
func (a *API) begin(ctx context.Context, r *reader, q *asked, w *waiter) (from fedmsg.Seq, b *Batch, err error) {
	state, err := a.cfg.Log.State(ctx)
	if err != nil {
		return 0, nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := a.lease(r, q.instance); err != nil {
		return 0, nil, err
	}
	r.wake() // it asks anew: the connection broke, perhaps
	r.wait, q.waiter, q.choice = w, w, r.choice
	b = &Batch{Messages: []json.RawMessage{}, Lease: a.cfg.Lease.Seconds()}
	if r.Epoch != state.Epoch {
		if err := a.gap(ctx, r, b, http.GapEpoch, state); err != nil {
			return 0, nil, err
		}
	}
	from = r.At
	if q.turn == r.turn() {
		from = max(from, min(q.after, state.Last))
	} else { // it begins: what was given to it before is given again
		r.handed = make(map[fedmsg.Seq]time.Time)
	}
	q.after, b.Turn, b.At, b.Next = from, r.turn(), r.At, from
	b.Retries, err = a.retries(ctx, r, q.limit)
	return from, b, err
}

// gap puts a reader where the log begins, or ends if it never was where the reader is, and
// tells so. r.mu is held.
func (a *API) gap(ctx context.Context, r *reader, b *Batch, why http.GapReason, state fedmsg.LogState) error {
	at := state.First - 1
	if why == http.GapUnknown {
		at = state.Last
	}
	a.logger.ErrorContext(ctx, "messages are missing for a reader; it goes on with what there is", "reader", r.name, "after", r.At, "first", state.First, "last", state.Last, "reason", why)
	r.Epoch, r.At, r.Gaps = state.Epoch, at, r.Gaps+1
	b.Gap = &http.Gap{Reason: why, First: state.First, Last: state.Last, After: at}
	if err := a.save(ctx, r, nil); err != nil {
		return err
	}
	b.Turn, b.At, b.Next = r.turn(), at, at
	return nil
}

// scan adds to b what follows from. It ends with what there is now, with enough, or after
// a while; b.Next says how far it came.
func (a *API) scan(ctx context.Context, r *reader, q asked, from *fedmsg.Seq, b *Batch) error {
	size, began := 0, time.Now()
	for b.Next = *from; len(b.Messages) < q.limit && size < answerBytes && time.Since(began) < scanTime; {
		page, next, err := a.cfg.Log.Page(ctx, b.Next, min(step, q.limit-len(b.Messages)), q.patterns()...)
		if errors.Is(err, fedmsg.ErrTooOld) || errors.Is(err, fedmsg.ErrInvalid) {
			return a.lost(ctx, r, from, b, err)
		}
		if err != nil {
			return err
		}
		if next == b.Next {
			return nil
		}
		for _, e := range page {
			if q.has(ctx, e) && fedmsg.MatchAny(q.may, e.Message.Topic) {
				b.Messages = append(b.Messages, http.AppendElement(nil, e))
				size += len(b.Messages[len(b.Messages)-1])
			}
			if b.Next = e.Seq; size >= answerBytes {
				return nil
			}
		}
		b.Next = next
	}
	return nil
}

// lost goes on where the log is, when it is not where a reader is.
func (a *API) lost(ctx context.Context, r *reader, from *fedmsg.Seq, b *Batch, cause error) error {
	if len(b.Messages) > 0 {
		return nil // these come first
	}
	state, err := a.cfg.Log.State(ctx)
	if err != nil {
		return err
	}
	why := http.GapTooOld
	if *from > state.Last {
		why = http.GapUnknown
	} else if *from+1 >= state.First {
		return cause // it is there: the archive had to answer, and could not
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := a.gap(ctx, r, b, why, state); err != nil {
		return err
	}
	*from = r.At
	return nil
}

// await waits until there may be something after a place, for a part of the lease at most,
// which holds on meanwhile.
func (a *API) await(ctx context.Context, r *reader, q asked, from fedmsg.Seq, end time.Time) error {
	if soon := time.Now().Add(a.cfg.Lease / 3); soon.Before(end) {
		end = soon
	}
	wait, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	for _, err := range a.cfg.Log.Read(wait, from, q.patterns()...) {
		if err != nil && wait.Err() == nil && !errors.Is(err, fedmsg.ErrTooOld) && !errors.Is(err, fedmsg.ErrInvalid) {
			return err
		}
		break
	}
	if ctx.Err() == nil {
		a.hold(r)
	}
	return nil
}

// hold keeps the lease of an instance that waits for an answer.
func (a *API) hold(r *reader) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.holder != "" && r.wait != nil {
		r.until = a.cfg.Now().Add(a.cfg.Lease)
	}
}

// finish counts what is given, and moves a place past what nobody wanted.
func (a *API) finish(r *reader, q asked, b *Batch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wait == q.waiter {
		r.wait = nil
	}
	if err := a.lease(r, q.instance); err != nil {
		return err
	}
	if r.turn() != b.Turn {
		return moved(r)
	}
	r.Delivered += uint64(len(b.Messages) + len(b.Retries))
	if len(b.Messages) == 0 && q.after <= r.At && b.Next > r.At && q.matcher == r.matcher {
		r.At = b.Next // it is saved with the next ack, or soon
	}
	b.At = r.At
	b.Lag = uint64(max(a.cfg.Last(), b.Next) - b.Next)
	return nil
}

// ack moves the place of a reader, or only holds or gives back the lease.
func (a *API) ack(ctx context.Context, r *reader, in Ack) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := a.lease(r, in.Instance); err != nil {
		return err
	}
	if in.Turn != r.turn() {
		return moved(r)
	}
	if last := a.cfg.Last(); in.Seq > last {
		return fedmsg.RefuseField(fedmsg.BadField, "seq", "%d is beyond the end of the log, %d", in.Seq, last)
	}
	if in.Seq > r.At {
		r.At = in.Seq
		if err := a.save(ctx, r, nil); err != nil {
			return err
		}
	}
	if in.Release {
		r.holder, r.until = "", time.Time{}
	}
	return nil
}

// seek puts a reader somewhere else. Who works for it is told by its turn.
func (a *API) seek(ctx context.Context, r *reader, to string) error {
	at, epoch, err := a.resolve(ctx, to)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return fedmsg.ErrNotFound
	}
	r.At, r.Epoch, r.Moves = at, epoch, r.Moves+1
	if err := a.save(ctx, r, nil); err != nil {
		return err
	}
	r.wake()
	return nil
}

// busy says who has a reader.
func busy(holder string, until, now time.Time) error {
	return fedmsg.Refuse(http.ReaderBusy, "instance %q has this reader for %s more, and then as long as it goes on", holder, until.Sub(now).Round(time.Second))
}

// moved tells an instance that began elsewhere to begin anew.
func moved(r *reader) error {
	return fedmsg.Refuse(http.ReaderMoved, "the reader was put at %d, or the log is another one; ask for what is next without a turn", r.At)
}
