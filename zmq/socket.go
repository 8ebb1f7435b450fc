package zmq

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// edge is the name of this package's sockets in metrics, logs and origins.
const edge = "zmq"

// FileEdge is what a [fedmsg.Origin] has for an edge if the publisher came through a socket
// in a file (ipc://): whoever may open that may speak.
const FileEdge = "ipc"

// past is a deadline that ends whatever waits.
var past = time.Unix(1, 0)

// socket is what PUB and SUB have in common: it binds and connects, greets the
// peers, keeps their number and their manners in bounds, and counts.
type socket struct {
	kind   string // PUB or SUB
	label  string
	tuning Tuning
	logger *slog.Logger

	listeners []net.Listener
	connects  []Addr
	dial      func(ctx context.Context, a Addr) (net.Conn, error)
	// serve talks to a peer after the handshake, until one of them has enough
	// or ctx has ended. The caller closes the connection.
	serve func(ctx context.Context, c *conn) error

	open     atomic.Int64 // connections
	rejected *fedmsg.Counters
	panics   *fedmsg.Counters
	warnings limited
}

func newSocket(kind, label string, binds, connects []Addr, t Tuning, logger *slog.Logger) (*socket, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	t = t.withDefaults()
	s := &socket{
		kind: kind, label: label, tuning: t, connects: connects,
		logger:   logger.With("edge", edge, "socket", label),
		rejected: fedmsg.NewCounters("messages_rejected_total", "edge", "reason"),
		panics:   fedmsg.NewCounters("panics_recovered_total"),
	}
	s.dial = func(ctx context.Context, a Addr) (net.Conn, error) {
		return dial(ctx, a, t)
	}
	lc := &net.ListenConfig{KeepAliveConfig: t.keepAlive()}
	for _, a := range binds {
		ls, err := a.listen(context.Background(), lc, t.FileMode)
		if err != nil {
			closeAll(s.listeners)
			return nil, err
		}
		s.listeners = append(s.listeners, ls...)
	}
	return s, nil
}

func dial(ctx context.Context, a Addr, t Tuning) (net.Conn, error) {
	d := net.Dialer{Timeout: t.Handshake, KeepAliveConfig: t.keepAlive()}
	network, addr := a.target()
	return d.DialContext(ctx, network, addr)
}

// Probe reports whether a publisher answers at an address, as [ParseAddr] reads it,
// by the whole handshake. It returns nil if one does, and why not otherwise; it takes
// until ctx ends at most.
func Probe(ctx context.Context, addr string) error {
	a, err := ParseAddr(addr)
	if err != nil {
		return err
	}
	t := Tuning{}.withDefaults()
	nc, err := dial(ctx, a, t)
	if err != nil {
		return err
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { _ = nc.SetDeadline(past) })()
	if end, ok := ctx.Deadline(); ok {
		t.Handshake = time.Until(end)
	}
	return newConn(nc).handshake("SUB", t.Handshake)
}

// addrs returns the bound addresses.
func (s *socket) addrs() []string {
	var all []string
	for _, l := range s.listeners {
		all = append(all, bound(l))
	}
	return all
}

// run serves until ctx ends and all connections are done.
func (s *socket) run(ctx context.Context) {
	defer context.AfterFunc(ctx, func() { closeAll(s.listeners) })()
	var wg sync.WaitGroup
	for _, l := range s.listeners {
		s.logger.InfoContext(ctx, "listening", "addr", bound(l))
		wg.Go(func() { s.accept(ctx, l, &wg) })
	}
	for _, a := range s.connects {
		wg.Go(func() { s.stayConnected(ctx, a) })
	}
	wg.Wait()
}

// accept takes connections until ctx ends. When there is no file descriptor
// left it waits for one instead of spinning.
func (s *socket) accept(ctx context.Context, l net.Listener, wg *sync.WaitGroup) {
	const waitMin, waitMax = 5 * time.Millisecond, time.Second
	wait := waitMin
	for ctx.Err() == nil {
		nc, err := l.Accept()
		if err == nil {
			wait = waitMin
			wg.Go(func() { s.handle(ctx, nc) })
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		s.warn(ctx, "cannot accept a connection, will try again", "wait", wait, "err", err)
		sleep(ctx, wait)
		wait = min(2*wait, waitMax)
	}
}

// stayConnected dials until ctx ends, again and again, with growing waits.
func (s *socket) stayConnected(ctx context.Context, a Addr) {
	wait, told := s.tuning.ReconnectMin, false
	for ctx.Err() == nil {
		nc, err := s.dial(ctx, a)
		if err != nil {
			if !told && ctx.Err() == nil {
				s.logger.WarnContext(ctx, "cannot connect, will try again and again", "addr", a, "err", err)
				told = true
			}
		} else if s.handle(ctx, nc) {
			wait, told = s.tuning.ReconnectMin, false
			if ctx.Err() == nil {
				s.logger.InfoContext(ctx, "connection lost, will connect again", "addr", a)
			}
		}
		// Half of it is jitter, so that those who lost the same peer do not
		// come back in step.
		sleep(ctx, wait/2+rand.N(wait/2+1))
		wait = min(2*wait, s.tuning.ReconnectMax)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// handle does all for one connection. It reports whether there was a handshake.
func (s *socket) handle(ctx context.Context, nc net.Conn) (greeted bool) {
	defer nc.Close()
	c := newConn(nc)
	defer s.recovered(ctx, c)
	defer s.open.Add(-1)
	if s.open.Add(1) > int64(s.tuning.MaxConnections) {
		s.refused(ctx, c, fedmsg.Refuse(fedmsg.TooManyConnections, "there are %d, the most that are allowed", s.tuning.MaxConnections))
		return false
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(past) })
	err := c.handshake(s.kind, s.tuning.Handshake)
	if !stop() {
		return err == nil
	}
	if err == nil {
		greeted = true
		s.logger.DebugContext(ctx, "connected", "peer", c.peer)
		err = s.serve(ctx, c)
	}
	s.refused(ctx, c, err)
	return greeted
}

// refused counts and logs why a connection ended.
func (s *socket) refused(ctx context.Context, c *conn, err error) {
	reason := fedmsg.ReasonOf(err)
	switch {
	case reason != "":
		s.rejected.Add(1, edge, string(reason))
		s.warn(ctx, "connection closed", "peer", c.peer, "reason", reason, "err", err)
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded):
		s.logger.DebugContext(ctx, "disconnected", "peer", c.peer)
	default:
		s.logger.DebugContext(ctx, "connection lost", "peer", c.peer, "err", err)
	}
}

// recovered ends the panic of one connection's goroutine; to be deferred. A
// defect that one peer's bytes can reach must not cost the others.
func (s *socket) recovered(ctx context.Context, c *conn) {
	if v := recover(); v != nil {
		_ = c.Close()
		s.panics.Add(1)
		s.logger.ErrorContext(ctx, "a defect: a connection's goroutine panicked", "peer", c.peer,
			"err", fmt.Sprint(v), "stack", string(debug.Stack()))
	}
}

// warn logs what a peer can cause, a few lines a second.
func (s *socket) warn(ctx context.Context, text string, attrs ...any) {
	if suppressed, ok := s.warnings.allow(time.Now()); ok {
		if suppressed > 0 {
			attrs = append(attrs, "suppressed", suppressed)
		}
		s.logger.WarnContext(ctx, text, attrs...)
	}
}

func (s *socket) samples() iter.Seq[fedmsg.Sample] {
	return fedmsg.Meters{
		fedmsg.MeterFunc(func(yield func(fedmsg.Sample) bool) {
			yield(fedmsg.Sample{Name: "zmq_connections", Labels: []string{"socket", s.label}, Value: float64(s.open.Load())})
		}),
		s.rejected, s.panics,
	}.Samples()
}

// limited lets a few through each second, and counts the others.
type limited struct {
	mu         sync.Mutex
	since      time.Time
	n          int
	suppressed int
}

const linesPerSecond = 5

// allow reports whether one more may pass at this time; if so it returns how
// many could not since the last one.
func (l *limited) allow(now time.Time) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.since) >= time.Second {
		l.since, l.n = now, 0
	}
	if l.n == linesPerSecond {
		l.suppressed++
		return 0, false
	}
	l.n++
	suppressed, l.suppressed = l.suppressed, 0
	return suppressed, true
}
