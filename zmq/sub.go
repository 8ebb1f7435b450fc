package zmq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// SubConfig says how a subscriber's socket is. At least one address is required.
type SubConfig struct {
	// Bind and Connect are addresses, as [ParseAddr] reads them. A subscriber
	// that binds subscribes as soon as a peer has greeted, so that a publisher
	// that connects and waits for a subscription loses nothing.
	Bind, Connect []string
	// Prefixes are what topics must start with, one of them. Default: every topic.
	Prefixes []string
	// Socket is the name in metrics and logs. Default: sub.
	Socket string
	Tuning Tuning
}

func (c SubConfig) withDefaults() SubConfig {
	if len(c.Prefixes) == 0 {
		c.Prefixes = []string{""}
	}
	c.Socket = cmp.Or(c.Socket, "sub")
	return c
}

// Validate reports everything that is wrong with c, joined, or nil.
func (c SubConfig) Validate() error {
	_, _, err := parseEndpoints(c.Bind, c.Connect)
	errs := []error{err, c.Tuning.Validate()}
	for _, prefix := range c.Prefixes {
		if len(prefix) > maxPrefix {
			errs = append(errs, fmt.Errorf("prefixes: one has %d bytes, at most %d are allowed", len(prefix), maxPrefix))
		}
	}
	return errors.Join(errs...)
}

// Sub is a subscriber's socket.
type Sub struct {
	cfg    SubConfig
	socket *socket
}

var _ fedmsg.Meter = (*Sub)(nil)

// NewSub validates cfg and binds, so that a bad or taken address fails here and
// [Sub.Addrs] is known. [Sub.Run] must be called to serve and, in the end, to
// close. logger may be nil.
func NewSub(cfg SubConfig, logger *slog.Logger) (*Sub, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("zmq %s: %w", cfg.Socket, err)
	}
	binds, connects, _ := parseEndpoints(cfg.Bind, cfg.Connect) // Validate has seen the error
	s, err := newSocket("SUB", cfg.Socket, binds, connects, cfg.Tuning, logger)
	if err != nil {
		return nil, fmt.Errorf("zmq %s: %w", cfg.Socket, err)
	}
	return &Sub{cfg, s}, nil
}

// Addrs returns the bound addresses, as tcp://IP:PORT.
func (s *Sub) Addrs() []string { return s.socket.addrs() }

// Run receives until ctx ends, closes the socket, and returns nil. take gets
// each message, of however many frames; they are valid during the call only.
// It is called for one message of a peer after the other, and for several
// peers at once. While it does not return, the peer is not read.
func (s *Sub) Run(ctx context.Context, take func(peer netip.AddrPort, frames [][]byte)) error {
	return s.run(ctx, func(_ context.Context, c *conn) receiver {
		return takeFunc(func(frames [][]byte) { take(c.peer, frames) })
	})
}

// receiver is where the messages of one connection go.
type receiver interface {
	take(frames [][]byte)
	// close waits until all that was taken has been dealt with.
	close()
}

type takeFunc func(frames [][]byte)

func (f takeFunc) take(frames [][]byte) { f(frames) }
func (takeFunc) close()                 {}

func (s *Sub) run(ctx context.Context, open func(ctx context.Context, c *conn) receiver) error {
	s.socket.serve = func(ctx context.Context, c *conn) error {
		return s.receive(ctx, c, open)
	}
	s.socket.run(ctx)
	return nil
}

// receive is one publisher, from handshake to close.
func (s *Sub) receive(ctx context.Context, c *conn, open func(ctx context.Context, c *conn) receiver) error {
	c.in.limit = s.socket.tuning.MaxMessage
	var wanted []byte
	for _, prefix := range s.cfg.Prefixes {
		wanted = append(wanted, c.subscription(prefix)...)
	}
	if err := s.answer(c, wanted); err != nil {
		return err
	}
	to := open(ctx, c)
	defer to.close()
	defer context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(past) })()
	for {
		frames, err := c.in.message(func(body []byte) error { return s.command(c, body) })
		if err != nil {
			return err
		}
		to.take(frames)
	}
}

// answer writes to a publisher, which has nothing else to do than to read it.
func (s *Sub) answer(c *conn, b []byte) error {
	if err := c.SetWriteDeadline(time.Now().Add(s.socket.tuning.Handshake)); err != nil {
		return err
	}
	_, err := c.Write(b)
	return err
}

func (s *Sub) command(c *conn, body []byte) error {
	name, data, err := splitCommand(body)
	if err != nil {
		return err
	}
	switch name {
	case "PING":
		b, err := pong(data)
		if err != nil {
			return err
		}
		return s.answer(c, b)
	case "ERROR":
		return fedmsg.Refuse(ProtocolError, "the peer says ERROR %.80q", data)
	}
	return nil
}

// Samples yields connections and refusals.
func (s *Sub) Samples() iter.Seq[fedmsg.Sample] { return s.socket.samples() }
