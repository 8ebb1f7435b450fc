// Package sse writes server-sent events to one reader: with a sign of life when
// there is nothing to say, and an end for who does not read. What the events are is
// for its callers to say.
package sse

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"net"
	nethttp "net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// buffer is how much the kernel may hold for a reader that does not read, in
	// bytes, so that it is noticed soon.
	buffer = 128 << 10
	// byeTimeout is how long a stream may take to hear that the server stops.
	byeTimeout = time.Second
)

// A Stream writes to one reader, and gives it a sign of life when there is nothing
// to write.
type Stream struct {
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

// New makes a stream of the answer to a request. A reader may be unable to read for
// as long as timeout, and hears something every beat; fail is called if that cannot be
// written. It must be closed.
func New(w nethttp.ResponseWriter, r *nethttp.Request, timeout, beat time.Duration, fail context.CancelCauseFunc) *Stream {
	limitBuffer(r)
	st := &Stream{w: w, control: nethttp.NewResponseController(w), fail: fail, timeout: timeout, beat: beat}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.timer = time.AfterFunc(st.beat, st.heartbeat)
	return st
}

// heartbeat writes a comment, so that proxies and the reader know that the
// connection lives.
func (st *Stream) heartbeat() {
	if err := st.Write([]byte(": hb\n\n")); err != nil {
		st.fail(err)
	}
}

// Close ends the heartbeat. Nothing is written afterwards.
func (st *Stream) Close() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.closed = true
	st.timer.Stop()
}

// Write writes a text and flushes it. See [Stream.WriteAll].
func (st *Stream) Write(text []byte) error {
	return st.WriteAll(func(yield func([]byte) bool) { yield(text) })
}

// WriteAll writes texts and flushes them together. It fails with
// [os.ErrDeadlineExceeded] if the reader does not read.
func (st *Stream) WriteAll(texts func(yield func([]byte) bool)) error {
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
func (st *Stream) allow() error {
	now := time.Now()
	if now.Sub(st.set) < st.timeout/4 || st.hurried.Load() {
		return nil
	}
	st.set = now
	return st.control.SetWriteDeadline(now.Add(st.timeout))
}

// Hurry gives all that is still to be written byeTimeout, a write that waits
// already too.
func (st *Stream) Hurry() {
	st.hurried.Store(true)
	_ = st.control.SetWriteDeadline(time.Now().Add(byeTimeout)) // it can
}

// Pause waits a moment after a flush if there are many streams, so that each
// gets several messages with one write: a millisecond for every hundred, at most
// twenty.
func Pause(ctx context.Context, streams int) error {
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

// RetryHint is how long a reader may wait before it comes back, in milliseconds: not
// all at once.
func RetryHint() string { return strconv.Itoa(500 + rand.IntN(1500)) }

// connKey is under which a request's context has its connection.
type connKey struct{}

// WithConn returns a context that knows the connection of its requests, for
// [nethttp.Server.ConnContext].
func WithConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// limitBuffer bounds what the kernel keeps for a reader that does not read.
func limitBuffer(r *nethttp.Request) {
	conn, _ := r.Context().Value(connKey{}).(net.Conn)
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetWriteBuffer(buffer) // else it is noticed later, that is all
	}
}
