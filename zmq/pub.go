package zmq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// PubConfig says how a publisher's socket is. At least one address is required.
type PubConfig struct {
	// Bind and Connect are addresses, as [ParseAddr] reads them. A publisher
	// that connects, as those of fedmsg do to a relay, dials until the other
	// side is there.
	Bind, Connect []string
	// Queue is how many messages may wait for one subscriber, and QueueBytes
	// how many bytes. What comes when either is reached is dropped for that
	// subscriber. Defaults: 10,000 and 64 MiB.
	Queue      int
	QueueBytes int
	// Linger is how long a closing socket goes on sending what is queued.
	// Default: 1s, what zmq_linger used to be; -1 is not at all.
	Linger time.Duration
	// Socket is the name in metrics and logs. Default: pub.
	Socket string
	Tuning Tuning
}

func (c PubConfig) withDefaults() PubConfig {
	c.Queue = cmp.Or(c.Queue, 10_000)
	c.QueueBytes = cmp.Or(c.QueueBytes, 64<<20)
	c.Linger = cmp.Or(c.Linger, time.Second)
	c.Socket = cmp.Or(c.Socket, "pub")
	return c
}

// Validate reports everything that is wrong with c, joined, or nil.
func (c PubConfig) Validate() error {
	_, _, err := parseEndpoints(c.Bind, c.Connect)
	errs := []error{err, c.Tuning.Validate()}
	if c.Queue < 0 {
		errs = append(errs, fmt.Errorf("queue: must not be negative, is %d", c.Queue))
	}
	if c.QueueBytes < 0 {
		errs = append(errs, fmt.Errorf("queue-bytes: must not be negative, is %d", c.QueueBytes))
	}
	return errors.Join(errs...)
}

// Pub is a publisher's socket. It may be used by several goroutines at once.
type Pub struct {
	cfg    PubConfig
	socket *socket

	mu          sync.Mutex
	subscribers []*subscriber
	interest    int           // subscribers that have subscribed to something
	subscribed  chan struct{} // closed while interest is not 0
	closing     time.Time     // when ctx of Run ended

	delivered atomic.Uint64
	slow      atomic.Uint64
	dropped   *fedmsg.Counters
}

// NewPub validates cfg and binds, so that a bad or taken address fails here and
// [Pub.Addrs] is known. [Pub.Run] must be called to serve and, in the end, to
// close. logger may be nil.
func NewPub(cfg PubConfig, logger *slog.Logger) (*Pub, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("zmq %s: %w", cfg.Socket, err)
	}
	binds, connects, _ := parseEndpoints(cfg.Bind, cfg.Connect) // Validate has seen the error
	s, err := newSocket("PUB", cfg.Socket, binds, connects, cfg.Tuning, logger)
	if err != nil {
		return nil, fmt.Errorf("zmq %s: %w", cfg.Socket, err)
	}
	p := &Pub{
		cfg: cfg, socket: s, subscribed: make(chan struct{}),
		dropped: fedmsg.NewCounters("messages_dropped_total", "edge", "reason"),
	}
	s.serve = p.serve
	return p, nil
}

// Addrs returns the bound addresses, as tcp://IP:PORT.
func (p *Pub) Addrs() []string { return p.socket.addrs() }

// Run serves until ctx ends, goes on sending what is queued for at most
// PubConfig.Linger, closes the socket, and returns nil.
func (p *Pub) Run(ctx context.Context) error {
	p.socket.run(ctx)
	return nil
}

// serve is one subscriber, from handshake to close.
func (p *Pub) serve(ctx context.Context, c *conn) error {
	s := &subscriber{c: c, pub: p, wake: make(chan struct{}, 1)}
	p.join(s)
	defer p.leave(s)

	// When ctx ends, a write that hangs may go on for as long as we linger.
	defer context.AfterFunc(ctx, func() { _ = c.SetWriteDeadline(p.lingerUntil()) })()
	var reading error
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer p.socket.recovered(ctx, c)
		reading = s.read()
		_ = c.Close() // ends a write that hangs
	}()
	writing := s.write(ctx, done)
	_ = c.SetReadDeadline(past)
	<-done
	if reading == nil || errors.Is(reading, os.ErrDeadlineExceeded) {
		return writing // it ended first, and had the reader stop
	}
	return reading
}

func (p *Pub) join(s *subscriber) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subscribers = append(p.subscribers, s)
}

func (p *Pub) leave(s *subscriber) {
	p.mu.Lock()
	p.subscribers = slices.DeleteFunc(p.subscribers, func(other *subscriber) bool { return other == s })
	p.mu.Unlock()
	s.leave()
	if len(s.subs.list) > 0 {
		p.interested(-1)
	}
}

// interested counts the subscribers that have subscribed to something.
func (p *Pub) interested(change int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.interest
	p.interest += change
	switch {
	case before == 0 && p.interest > 0:
		close(p.subscribed)
	case before > 0 && p.interest == 0:
		p.subscribed = make(chan struct{})
	}
}

// lingerUntil returns when a closing socket gives up.
func (p *Pub) lingerUntil() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing.IsZero() {
		p.closing = time.Now()
	}
	return p.closing.Add(max(0, p.cfg.Linger))
}

// Send publishes a message of two frames. It never waits: it returns for how
// many subscribers the message was queued. body is not copied, and must not be
// changed any more.
func (p *Pub) Send(topic string, body []byte) int {
	return p.send([]*packet{newPacket(topic, body)})
}

// SendFrame publishes a message of one frame, as hubs report on themselves; what a
// subscriber asked for is compared with its beginning. All else is as with
// [Pub.Send].
func (p *Pub) SendFrame(body []byte) int {
	return p.send([]*packet{{topic: string(body), head: appendHead(nil, 0, len(body)), body: body}})
}

// send offers packets to all subscribers; one order for all. It returns how
// many subscribers got any.
func (p *Pub) send(packets []*packet) (takers int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.subscribers {
		dropped, began, queued := s.offer(packets)
		if queued {
			takers++
		}
		if dropped > 0 {
			p.dropped.Add(dropped, edge, string(fedmsg.SlowConsumer))
		}
		if began {
			p.slow.Add(1)
			p.socket.warn(context.Background(), "a subscriber is too slow, its messages are dropped", "peer", s.c.peer)
		}
	}
	return takers
}

// WaitSubscribed waits until at least one peer has subscribed to something. A
// message that is sent earlier reaches nobody.
func (p *Pub) WaitSubscribed(ctx context.Context) error {
	p.mu.Lock()
	subscribed := p.subscribed
	p.mu.Unlock()
	select {
	case <-subscribed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("zmq %s: no subscriber: %w", p.cfg.Socket, context.Cause(ctx))
	}
}

// Flush waits until the kernel has taken all that was sent so far. Whether it
// arrived nobody knows.
func (p *Pub) Flush(ctx context.Context) error {
	p.mu.Lock()
	subscribers := slices.Clone(p.subscribers)
	p.mu.Unlock()
	for _, s := range subscribers {
		if err := s.waitIdle(ctx); err != nil {
			return fmt.Errorf("zmq %s: flush: %w", p.cfg.Socket, err)
		}
	}
	return nil
}

// Samples yields connections, deliveries, drops and refusals.
func (p *Pub) Samples() iter.Seq[fedmsg.Sample] {
	return fedmsg.Meters{
		fedmsg.MeterFunc(p.socket.samples()),
		p.dropped,
		fedmsg.MeterFunc(func(yield func(fedmsg.Sample) bool) {
			p.mu.Lock()
			clients := len(p.subscribers)
			p.mu.Unlock()
			label := []string{"edge", edge}
			_ = yield(fedmsg.Sample{Name: "clients", Labels: label, Value: float64(clients)}) &&
				yield(fedmsg.Sample{Name: "messages_delivered_total", Labels: label, Value: float64(p.delivered.Load())}) &&
				yield(fedmsg.Sample{Name: "slow_consumers_total", Labels: label, Value: float64(p.slow.Load())})
		}),
	}.Samples()
}

// Sink passes the log on over a publisher's socket: the topic in one frame, the
// message in the next, byte by byte as it came. The relay's output and the
// gateway are one each.
type Sink struct{ pub *Pub }

var (
	_ fedmsg.Sink  = (*Sink)(nil)
	_ fedmsg.Meter = (*Pub)(nil)
)

// NewSink makes a sink of a socket.
func NewSink(pub *Pub) *Sink { return &Sink{pub} }

// Deliver queues the entries for all subscribers. It never fails and never
// waits: who is too slow loses messages, as with every ZeroMQ publisher.
func (s *Sink) Deliver(_ context.Context, batch []fedmsg.Entry) (int, error) {
	packets := make([]*packet, len(batch))
	for i, e := range batch {
		packets[i] = newPacket(string(e.Message.Topic), e.Message.Bytes())
	}
	s.pub.send(packets)
	return len(batch), nil
}
