package http

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	nethttp "net/http"
	"os"
	"strconv"
	"sync/atomic"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/limit"
	"github.com/fedora-infra/fedmsg-go/http/sse"
)

// maxLastEventID is far beyond any that we make, in bytes.
const maxLastEventID = 256

// request is what a reader of events asks for.
type request struct {
	want []fedmsg.Pattern
	// last is the Last-Event-ID, or an event ID given as parameter after.
	last string
	// after is the place after which to begin, if it was given as a number;
	// else nil.
	after *fedmsg.Seq
	meta  []string // the words wanted of each message
}

func (s *Server) readRequest(r *nethttp.Request) (q request, err error) {
	values, err := readQuery(r, "after", "topic", "meta")
	if err != nil {
		return q, err
	}
	if q.meta, err = s.meta(values); err != nil {
		return q, err
	}
	if q.want, err = topics(values); err != nil {
		return q, err
	}
	if q.last = r.Header.Get("Last-Event-ID"); len(q.last) > maxLastEventID {
		return q, fedmsg.RefuseField(fedmsg.BadField, "Last-Event-ID", "has %d bytes, at most %d are allowed", len(q.last), maxLastEventID)
	}
	if q.last != "" || !values.Has("after") {
		return q, nil
	}
	if _, ok := parseEventID(values.Get("after")); ok {
		q.last = values.Get("after")
		return q, nil
	}
	n, err := number(values, "after", 0, 0, math.MaxInt64)
	q.after = (*fedmsg.Seq)(&n)
	return q, err
}

// start finds where the stream begins.
func (q request) start(state fedmsg.LogState) (after fedmsg.Seq, gap GapReason) {
	switch {
	case q.last != "":
		return place(q.last, state)
	case q.after == nil:
		return state.Last, ""
	case *q.after == 0:
		return state.First - 1, "" // the beginning, wherever it is by now
	}
	return placeOf(*q.after, state)
}

// stream follows the log for one reader, as server-sent events.
func (s *Server) stream(w nethttp.ResponseWriter, r *nethttp.Request) {
	public(w)
	var q request
	leave, err := func() (func(), error) {
		var err error
		if q, err = s.readRequest(r); err != nil {
			return nil, err
		}
		c, err := s.identify(r)
		if err != nil {
			return nil, err
		}
		return s.streams.Take(c.addr)
	}()
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer leave()
	state, err := s.bus.State(r.Context())
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	if r.Method == nethttp.MethodHead {
		return
	}
	if err := s.follow(w, r, q, state); errors.Is(err, os.ErrDeadlineExceeded) && !s.ending.Load() {
		s.slow.Add(1, edge)
		s.logger.InfoContext(r.Context(), "reader cut: it does not read", "addr", limit.Peer(r))
	}
}

// follow writes events until the reader leaves, is too slow, or the server
// stops.
func (s *Server) follow(w nethttp.ResponseWriter, r *nethttp.Request, q request, state fedmsg.LogState) error {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	st := sse.New(w, r, s.cfg.Limits.WriteTimeout, s.cfg.Heartbeat, cancel)
	defer st.Close()
	if stop, ok := r.Context().Value(stopKey{}).(context.Context); ok {
		defer context.AfterFunc(stop, func() {
			st.Hurry()
			cancel(errStopping)
		})()
	}

	hello := "retry: " + sse.RetryHint() + "\n: epoch " + state.Epoch + " last " + strconv.FormatUint(uint64(state.Last), 10) + "\n\n"
	after, missing := q.start(state)
	if missing == GapTooOld { // unless an archive has it
		all := state
		all.First = 1
		at, _ := q.start(all)
		if _, _, err := s.bus.Page(ctx, at, 1); err == nil {
			after, missing = at, ""
		}
	}
	err := st.Write([]byte(hello))
	for err == nil {
		if missing != "" {
			err = st.Write(gapEvent(state, after, missing))
		}
		if err == nil {
			after, err = s.pass(ctx, st, state.Epoch, after, q)
		}
		if !errors.Is(err, fedmsg.ErrTooOld) {
			break
		}
		if state, err = s.bus.State(ctx); err == nil { // the log dropped what the reader had yet to read
			after, missing = state.First-1, GapTooOld
		}
	}
	if cause := context.Cause(ctx); errors.Is(cause, errStopping) {
		return st.Write([]byte("retry: " + sse.RetryHint() + "\n\n"))
	} else if errors.Is(err, context.Canceled) {
		return cause // the heartbeat's error, perhaps
	}
	return err
}

// pass writes what the log has after a place, until there is an error. It
// returns how far it came.
func (s *Server) pass(ctx context.Context, st *sse.Stream, epoch string, after fedmsg.Seq, q request) (fedmsg.Seq, error) {
	for batch, err := range s.bus.Read(ctx, after, q.want...) {
		if err != nil {
			return after, err
		}
		if err := st.WriteAll(func(yield func([]byte) bool) {
			for _, e := range batch {
				if !yield(s.event(ctx, epoch, e, q.meta)) {
					return
				}
			}
		}); err != nil {
			return after, err
		}
		after = batch[len(batch)-1].Seq
		s.delivered.Add(uint64(len(batch)), "sse")
		if err := sse.Pause(ctx, s.streams.Taken()); err != nil {
			return after, err
		}
	}
	return after, context.Cause(ctx)
}

func gapEvent(state fedmsg.LogState, after fedmsg.Seq, reason GapReason) []byte {
	data, err := json.Marshal(Gap{reason, state.First, state.Last, after})
	if err != nil {
		panic(err) // cannot be: our own struct
	}
	return []byte("id: " + eventID{state.Epoch, after}.String() + "\nevent: gap\ndata: " + string(data) + "\n\n")
}

// A renderer makes the text of events, once for all readers that are near the
// end of the log.
type renderer struct {
	recent [renderedEvents]atomic.Pointer[rendered]
}

const (
	renderedEvents = 512
	// renderedBytes is the largest text that is kept: 512 of them are 8 MiB.
	renderedBytes = 16 << 10
)

type rendered struct {
	seq  fedmsg.Seq
	text []byte
}

// event returns the text of e's event, which must not be changed.
func (r *renderer) event(epoch string, e fedmsg.Entry) []byte {
	slot := &r.recent[e.Seq%renderedEvents]
	if have := slot.Load(); have != nil && have.seq == e.Seq {
		return have.text
	}
	text := append(AppendElement(eventHead(epoch, e), e), "\n\n"...)
	if len(text) <= renderedBytes {
		slot.Store(&rendered{e.Seq, text})
	}
	return text
}

// eventHead begins an event.
func eventHead(epoch string, e fedmsg.Entry) []byte {
	text := append(make([]byte, 0, len(e.Message.Compact())+160), "id: "...)
	text = append(append(text, epoch...), '-')
	return append(strconv.AppendUint(text, uint64(e.Seq), 10), "\ndata: "...)
}

// event returns the text of an event, with the words that a reader wants.
func (s *Server) event(ctx context.Context, epoch string, e fedmsg.Entry, meta []string) []byte {
	if meta == nil {
		return s.events.event(epoch, e)
	}
	return append(s.appendWords(ctx, AppendElement(eventHead(epoch, e), e), e, meta), "\n\n"...)
}
