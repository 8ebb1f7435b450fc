package http

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	nethttp "net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

const (
	// maxLastEventID is far beyond any that we make, in bytes.
	maxLastEventID = 256
	// streamBuffer is how much the kernel may hold for a reader that does not
	// read, in bytes, so that it is noticed soon.
	streamBuffer = 128 << 10
	// byeTimeout is how long a stream may take to hear that the server stops.
	byeTimeout = time.Second
)

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
		return s.streams.take(c.addr)
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
		s.logger.InfoContext(r.Context(), "reader cut: it does not read", "addr", peer(r))
	}
}

// follow writes events until the reader leaves, is too slow, or the server
// stops.
func (s *Server) follow(w nethttp.ResponseWriter, r *nethttp.Request, q request, state fedmsg.LogState) error {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	limitBuffer(r)
	st := newStream(w, s.cfg, cancel)
	defer st.close()
	if stop, ok := r.Context().Value(stopKey{}).(context.Context); ok {
		defer context.AfterFunc(stop, func() {
			st.hurry()
			cancel(errStopping)
		})()
	}

	hello := "retry: " + retryHint() + "\n: epoch " + state.Epoch + " last " + strconv.FormatUint(uint64(state.Last), 10) + "\n\n"
	after, missing := q.start(state)
	err := st.write([]byte(hello))
	for err == nil {
		if missing != "" {
			err = st.write(gapEvent(state, after, missing))
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
		return st.write([]byte("retry: " + retryHint() + "\n\n"))
	} else if errors.Is(err, context.Canceled) {
		return cause // the heartbeat's error, perhaps
	}
	return err
}

// pass writes what the log has after a place, until there is an error. It
// returns how far it came.
func (s *Server) pass(ctx context.Context, st *stream, epoch string, after fedmsg.Seq, q request) (fedmsg.Seq, error) {
	for batch, err := range s.bus.Read(ctx, after, q.want...) {
		if err != nil {
			return after, err
		}
		if err := st.writeAll(func(yield func([]byte) bool) {
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
		if err := st.pause(ctx, s.streams.taken()); err != nil {
			return after, err
		}
	}
	return after, context.Cause(ctx)
}

// retryHint is how long a reader may wait before it comes back, in milliseconds:
// not all at once.
func retryHint() string { return strconv.Itoa(500 + rand.IntN(1500)) }

func gapEvent(state fedmsg.LogState, after fedmsg.Seq, reason GapReason) []byte {
	data, err := json.Marshal(Gap{reason, state.First, state.Last, after})
	if err != nil {
		panic(err) // cannot be: our own struct
	}
	return []byte("id: " + eventID{state.Epoch, after}.String() + "\nevent: gap\ndata: " + string(data) + "\n\n")
}

// limitBuffer bounds what the kernel keeps for a reader that does not read.
func limitBuffer(r *nethttp.Request) {
	conn, _ := r.Context().Value(connKey{}).(net.Conn)
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetWriteBuffer(streamBuffer) // else it is noticed later, that is all
	}
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
	text := append(appendElement(eventHead(epoch, e), e), "\n\n"...)
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
	return append(s.appendWords(ctx, appendElement(eventHead(epoch, e), e), e, meta), "\n\n"...)
}

// A stream writes to one reader, and gives it a sign of life when there is
// nothing to write.
type stream struct {
	w       nethttp.ResponseWriter
	control *nethttp.ResponseController
	timeout time.Duration // to write
	beat    time.Duration
	fail    context.CancelCauseFunc
	hurried atomic.Bool

	mu     sync.Mutex
	set    time.Time // when the write deadline was set
	timer  *time.Timer
	closed bool
}

func newStream(w nethttp.ResponseWriter, cfg Config, fail context.CancelCauseFunc) *stream {
	st := &stream{
		w: w, control: nethttp.NewResponseController(w), fail: fail,
		timeout: cfg.Limits.WriteTimeout, beat: cfg.Heartbeat,
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.timer = time.AfterFunc(st.beat, st.heartbeat)
	return st
}

// heartbeat writes a comment, so that proxies and the reader know that the
// connection lives.
func (st *stream) heartbeat() {
	if err := st.write([]byte(": hb\n\n")); err != nil {
		st.fail(err)
	}
}

// close ends the heartbeat. Nothing is written afterwards.
func (st *stream) close() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.closed = true
	st.timer.Stop()
}

func (st *stream) write(text []byte) error {
	return st.writeAll(func(yield func([]byte) bool) { yield(text) })
}

// writeAll writes texts and flushes them together. It fails with
// [os.ErrDeadlineExceeded] if the reader does not read.
func (st *stream) writeAll(texts func(yield func([]byte) bool)) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed {
		return context.Canceled
	}
	for text := range texts {
		if err := st.allow(); err != nil {
			return err
		}
		if _, err := st.w.Write(text); err != nil {
			return err
		}
	}
	if err := st.allow(); err != nil {
		return err
	}
	if err := st.control.Flush(); err != nil {
		return err
	}
	st.timer.Reset(st.beat)
	return nil
}

// allow gives the next write its time, give or take a quarter. st.mu is held.
func (st *stream) allow() error {
	now := time.Now()
	if now.Sub(st.set) < st.timeout/4 || st.hurried.Load() {
		return nil
	}
	st.set = now
	return st.control.SetWriteDeadline(now.Add(st.timeout))
}

// hurry gives all that is still to be written byeTimeout, a write that waits
// already too.
func (st *stream) hurry() {
	st.hurried.Store(true)
	_ = st.control.SetWriteDeadline(time.Now().Add(byeTimeout)) // it can
}

// pause waits a moment after a flush if there are many streams, so that each
// gets several messages with one write: a millisecond for every hundred, at most
// twenty.
func (st *stream) pause(ctx context.Context, streams int) error {
	wait := min(time.Duration(streams/100)*time.Millisecond, 20*time.Millisecond)
	if wait == 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
