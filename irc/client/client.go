package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Verb is how something is said.
type Verb string

// A client should not answer to a notice, so that two bots do not talk for ever.
const (
	Privmsg Verb = "PRIVMSG"
	Notice  Verb = "NOTICE"
)

// ErrRefused is that the server or the channel does not let us say something: we are
// banned there, it is moderated, or nobody has that name.
var ErrRefused = errors.New("not allowed to say that there")

// steady is how long a connection must have stood for the next one to be tried without
// the pauses that grew before.
const steady = 5 * time.Minute

// maxPaces is how many targets are remembered: people who ask us something come and go.
const maxPaces = 1000

// Client is one connection to a network, made again whenever it is lost. It may be used
// by several goroutines at once.
type Client struct {
	cfg    Config
	tls    *tls.Config // nil without TLS
	logger *slog.Logger

	turn chan struct{} // who holds its one place may say something
	pace *rate.Limiter

	mu       sync.Mutex
	paces    map[string]*rate.Limiter // by target
	session  *session                 // nil while there is none that was welcomed
	changed  chan struct{}            // closed at each change of what is guarded here
	channels []*channel

	failed, kicked, repeated atomic.Uint64
}

// New makes a client, and reads the files that cfg names. [Client.Run] connects.
// logger may be nil.
func New(cfg Config, logger *slog.Logger) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("irc %s: %w", cfg.Server, err)
	}
	c := &Client{
		cfg: cfg.withDefaults(), turn: make(chan struct{}, 1), paces: make(map[string]*rate.Limiter),
		changed: make(chan struct{}), logger: logger,
	}
	if logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	c.logger = c.logger.With("addr", cfg.Server)
	if c.cfg.TLS {
		var err error
		if c.tls, err = c.cfg.tlsConfig(); err != nil {
			return nil, fmt.Errorf("irc %s: %w", cfg.Server, err)
		}
	}
	if c.cfg.Dial == nil {
		c.cfg.Dial = new(net.Dialer).DialContext
	}
	c.pace = rate.NewLimiter(rate.Every(c.cfg.TotalRate), c.cfg.Burst)
	for _, ch := range cfg.Channels {
		c.channels = append(c.channels, &channel{Channel: ch})
	}
	return c, nil
}

// Run connects, and connects again, until ctx ends. Then it takes leave and returns nil.
func (c *Client) Run(ctx context.Context) error {
	wait := c.cfg.ReconnectMin
	for {
		stood, err := c.connect(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if stood >= steady {
			wait = c.cfg.ReconnectMin
		}
		pause := wait/2 + rand.N(wait/2+1)
		c.failed.Add(1)
		c.logger.WarnContext(ctx, "no connection to the network, will connect again", "wait", pause, "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		wait = min(2*wait, c.cfg.ReconnectMax)
	}
}

// connect is one connection, from dialling to its end, and tells how long we were in.
func (c *Client) connect(ctx context.Context) (stood time.Duration, err error) {
	dialling, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	conn, err := c.cfg.Dial(dialling, "tcp", c.cfg.Server)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if c.tls != nil {
		secure := tls.Client(conn, c.tls)
		if err := secure.HandshakeContext(dialling); err != nil {
			return 0, fmt.Errorf("TLS: %w", err)
		}
		conn = secure
	}
	s := newSession(c, conn)
	err = s.run(ctx)
	if s.welcomed.IsZero() {
		return 0, err
	}
	return time.Since(s.welcomed), err
}

// change changes what c.mu guards, and wakes who waits for a change.
func (c *Client) change(what func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	what()
	close(c.changed)
	c.changed = make(chan struct{})
}

// ready waits until something can be said to a target: the network has welcomed us, and
// we are in the channel, if it is one of ours.
func (c *Client) ready(ctx context.Context, to string) (*session, error) {
	for {
		c.mu.Lock()
		s, changed := c.session, c.changed
		if s != nil {
			if ch := s.channel(to); ch == nil || ch.joined {
				c.mu.Unlock()
				return s, nil
			}
		}
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Say says a text to a channel or a person: in as many lines as it takes, with its
// formatting where the channel allows it. It waits until we are there, until it is our
// turn, and until the server has worked it off; what was on its way when a connection
// was lost is said again on the next one. The error is the cause of ctx, or wraps
// [ErrRefused].
func (c *Client) Say(ctx context.Context, verb Verb, to, text string) error {
	if err := validateWord(to, 200); err != nil {
		return fmt.Errorf("irc %s: say to %q: %w", c.cfg.Server, to, err)
	}
	text = clean(text, true)
	for {
		s, err := c.ready(ctx, to)
		if err == nil {
			err = wait(ctx, c.paceOf(to)) // before the turn, so that others need not wait for it
		}
		if err != nil {
			return fmt.Errorf("irc %s: say to %s: %w", c.cfg.Server, to, err)
		}
		select {
		case c.turn <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("irc %s: say to %s: %w", c.cfg.Server, to, context.Cause(ctx))
		}
		err = s.say(ctx, verb, to, text)
		<-c.turn
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errLost):
			c.repeated.Add(1)
		case errors.Is(err, errColours):
			text = Plain(text)
		default:
			return fmt.Errorf("irc %s: say to %s: %w", c.cfg.Server, to, err)
		}
	}
}

// paceOf returns the rate of one target.
func (c *Client) paceOf(to string) *rate.Limiter {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.paces[to]
	if l == nil {
		if len(c.paces) >= maxPaces {
			clear(c.paces)
		}
		l = rate.NewLimiter(rate.Every(c.cfg.LineRate), 1)
		c.paces[to] = l
	}
	return l
}

// wait waits until a rate allows another line. The error is the cause of ctx.
func wait(ctx context.Context, l *rate.Limiter) error {
	err := l.Wait(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// State is how a client is, and what happened to it since it was made.
type State struct {
	Connected bool
	Joined    int    // channels that it is in
	Failed    uint64 // connections that could not be made, or were lost
	Kicked    uint64 // out of channels
	Repeated  uint64 // texts that were said again, since connection or channel was lost over them
}

// State tells how the client is.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := State{Connected: c.session != nil, Failed: c.failed.Load(), Kicked: c.kicked.Load(), Repeated: c.repeated.Load()}
	for _, ch := range c.channels {
		if ch.joined {
			st.Joined++
		}
	}
	return st
}

// Nick returns the name that we have now, "" while we are not in.
func (c *Client) Nick() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil {
		return ""
	}
	return c.session.nick
}

// Shared returns the channels in which we are together with somebody.
func (c *Client) Shared(nick string) (shared []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil {
		return nil
	}
	for _, ch := range c.channels {
		if ch.joined && ch.members[c.session.fold(nick)] {
			shared = append(shared, ch.Name)
		}
	}
	return shared
}
