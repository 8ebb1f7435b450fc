package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// WindowConfig bounds a window.
type WindowConfig struct {
	// Bytes is how much memory the newest entries may take. Default 16 MiB.
	Bytes int
	// Batch is how many entries a reader gets at most at once. Default 1000.
	Batch int
}

// overhead is what an entry takes in memory beside its text, in bytes.
const overhead = 512

// Window is a log that can be followed. It keeps the newest entries in memory;
// readers near the end share them, and readers behind it read the log.
//
// It must be the only way to append to its log.
type Window struct {
	fedmsg.Log
	cfg WindowConfig

	mu      sync.RWMutex
	entries []fedmsg.Entry // contiguous in Seq, up to last
	bytes   int
	last    fedmsg.Seq                  // the newest place that readers may see
	early   map[fedmsg.Seq]fedmsg.Entry // stored, but with a hole before
	changed chan struct{}               // closed when last moves
	mending bool                        // a timer runs that looks into the log
	unsure  bool                        // an append may have been stored without saying so
}

var (
	_ fedmsg.Log    = (*Window)(nil)
	_ fedmsg.Reader = (*Window)(nil)
)

// NewWindow makes a window on a log. What the log holds already stays there.
func NewWindow(ctx context.Context, cfg WindowConfig, log fedmsg.Log) (*Window, error) {
	cfg.Bytes = cmp.Or(cfg.Bytes, 16<<20)
	cfg.Batch = cmp.Or(cfg.Batch, 1000)
	state, err := log.State(ctx)
	if err != nil {
		return nil, fmt.Errorf("window: state of the log: %w", err)
	}
	return &Window{
		Log: log, cfg: cfg, last: state.Last,
		early: make(map[fedmsg.Seq]fedmsg.Entry), changed: make(chan struct{}),
	}, nil
}

// Last returns the newest place that readers can see.
func (w *Window) Last() fedmsg.Seq {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.last
}

// Append appends to the log, and then to the window. See [fedmsg.Log].
func (w *Window) Append(ctx context.Context, batch ...fedmsg.Entry) []fedmsg.Receipt {
	receipts := w.Log.Append(ctx, batch...)
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, r := range receipts {
		switch {
		case r.Err == nil && !r.Duplicate && r.Seq > w.last:
			e := batch[i]
			e.Seq, e.At = r.Seq, r.At
			w.early[r.Seq] = e
		case errors.Is(r.Err, fedmsg.ErrUnavailable), r.Duplicate && r.Seq > w.last:
			w.unsure = true // it may be stored, or is, and nobody told us
		}
	}
	w.advance()
	if w.unsure || len(w.early) > 0 {
		w.mend()
	}
	return receipts
}

// advance shows entries to the readers as far as there is no hole. Receipts of
// appends that shared one commit come back in any order.
func (w *Window) advance() {
	moved := false
	for e, ok := w.early[w.last+1]; ok; e, ok = w.early[w.last+1] {
		delete(w.early, e.Seq)
		w.push(e)
		moved = true
	}
	if moved {
		close(w.changed)
		w.changed = make(chan struct{})
	}
}

func (w *Window) push(e fedmsg.Entry) {
	w.last = e.Seq
	w.entries = append(w.entries, e)
	w.bytes += size(e)
	drop := 0
	for ; w.bytes > w.cfg.Bytes && drop < len(w.entries); drop++ {
		w.bytes -= size(w.entries[drop])
		w.entries[drop] = fedmsg.Entry{} // so that the message can be freed
	}
	w.entries = w.entries[drop:]
}

func size(e fedmsg.Entry) int { return len(e.Message.Bytes()) + overhead }

// A hole, or an append without a clear answer, is looked up in the log itself:
// after mendAfter, and again at growing intervals, for about 90 seconds. Most
// holes last for microseconds.
const (
	mendAfter = 50 * time.Millisecond
	mendTries = 100
)

// mend reads the log for what appends did not tell. w.mu is held.
func (w *Window) mend() {
	if w.mending {
		return
	}
	w.mending = true
	tries := 0
	var try func()
	try = func() {
		tries++
		w.catchUp()
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.early) == 0 && !w.unsure || tries == mendTries {
			w.mending, w.unsure = false, false
			return
		}
		time.AfterFunc(mendAfter*time.Duration(min(tries, 20)), try)
	}
	time.AfterFunc(mendAfter, try)
}

// catchUp pulls what is in the log and not in the window.
func (w *Window) catchUp() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for {
		after := w.Last()
		page, _, err := w.Page(ctx, after, w.cfg.Batch)
		if err != nil || len(page) == 0 {
			return // the next try, or the next append, will see
		}
		w.mu.Lock()
		for _, e := range page {
			if e.Seq > w.last {
				w.early[e.Seq] = e
			}
		}
		w.advance()
		w.mu.Unlock()
		if w.Last() == after {
			return
		}
	}
}

// Read follows the log. See [fedmsg.Reader].
func (w *Window) Read(ctx context.Context, after fedmsg.Seq, want ...fedmsg.Pattern) iter.Seq2[[]fedmsg.Entry, error] {
	return func(yield func([]fedmsg.Entry, error) bool) {
		if err := w.within(ctx, after); err != nil {
			yield(nil, err)
			return
		}
		for {
			batch, next, changed := w.recent(after, want)
			if changed != nil {
				select {
				case <-changed:
					continue
				case <-ctx.Done():
					yield(nil, context.Cause(ctx))
					return
				}
			}
			if next == after { // older than the window
				var err error
				if batch, next, err = w.Page(ctx, after, w.cfg.Batch, want...); err == nil && next == after {
					err = fmt.Errorf("read after %d: the log has nothing, but must have: %w", after, fedmsg.ErrUnavailable)
				}
				if err != nil {
					yield(nil, err)
					return
				}
			}
			if len(batch) > 0 && !yield(batch, nil) {
				return
			}
			if err := context.Cause(ctx); err != nil {
				yield(nil, err)
				return
			}
			after = next
		}
	}
}

// within returns an error if after lies beyond what was ever stored.
func (w *Window) within(ctx context.Context, after fedmsg.Seq) error {
	if after <= w.Last() {
		return nil
	}
	state, err := w.State(ctx)
	if err == nil && after > state.Last {
		err = fmt.Errorf("read after %d: the log ends at %d: %w", after, state.Last, fedmsg.ErrInvalid)
	}
	return err
}

// recent returns what the window holds after the given place: entries and where
// to go on; or, if there is nothing yet, the channel to wait on; or next ==
// after if the window begins later.
func (w *Window) recent(after fedmsg.Seq, want []fedmsg.Pattern) (batch []fedmsg.Entry, next fedmsg.Seq, changed <-chan struct{}) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if after >= w.last {
		return nil, after, w.changed
	}
	first := w.last + 1 - fedmsg.Seq(len(w.entries))
	if after+1 < first {
		return nil, after, nil
	}
	held := w.entries[after+1-first:]
	held = held[:min(len(held), w.cfg.Batch)]
	if len(want) == 0 {
		return append(batch, held...), held[len(held)-1].Seq, nil
	}
	for _, e := range held {
		if fedmsg.MatchAny(want, e.Message.Topic) {
			batch = append(batch, e)
		}
	}
	return batch, held[len(held)-1].Seq, nil
}

// resumer is a log that can take the place of one that was lost.
type resumer interface {
	Resume(ctx context.Context, epoch string, last, to fedmsg.Seq) error
}

// Resume has the log go on after a place, under an epoch; last is the newest place that
// the caller knows of. What the log holds is given up: readers get [fedmsg.ErrTooOld],
// and so do those that follow. The error is [errors.ErrUnsupported] if the log cannot,
// and wraps [fedmsg.ErrInvalid] if it has a later place than last.
func (w *Window) Resume(ctx context.Context, epoch string, last, to fedmsg.Seq) error {
	log, ok := w.Log.(resumer)
	if !ok {
		return errors.ErrUnsupported
	}
	if err := log.Resume(ctx, epoch, last, to); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if to > w.last {
		w.entries, w.bytes, w.last = nil, 0, to
		for seq := range w.early {
			if seq <= to {
				delete(w.early, seq)
			}
		}
		close(w.changed)
		w.changed = make(chan struct{})
		w.advance() // what was appended since
	}
	return nil
}
