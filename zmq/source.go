package zmq

import (
	"cmp"
	"context"
	"iter"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// SourceConfig says where a source takes messages from.
type SourceConfig struct {
	// Bind, Connect, Prefixes and Tuning are as in [SubConfig].
	Bind, Connect []string
	Prefixes      []string
	Tuning        Tuning
	// Socket is the name in metrics and logs. Default: relay_inbound.
	Socket string
	// SignedOnly says that the bus takes nothing unsigned. What lacks both a
	// signature and other fields is then refused for the signature, which is what
	// its publisher must look after first.
	SignedOnly bool
}

func (c SourceConfig) sub() SubConfig {
	return SubConfig{Bind: c.Bind, Connect: c.Connect, Prefixes: c.Prefixes, Tuning: c.Tuning, Socket: cmp.Or(c.Socket, "relay_inbound")}
}

// Validate reports everything that is wrong with c, joined, or nil.
func (c SourceConfig) Validate() error { return c.sub().Validate() }

// What one connection may have waiting while the bus is busy with what came
// before it.
const (
	maxBatch      = 512
	maxBatchBytes = 4 << 20
)

// How long a source holds messages back when the log cannot take any. The peer
// is not read meanwhile, so that they wait with the publisher; after that they
// are dropped, and counted.
const (
	retryMin  = 100 * time.Millisecond
	retryMax  = 2 * time.Second
	retryFor  = 10 * time.Second
	drainTime = 5 * time.Second
)

// Source publishes on the bus what comes over a subscriber's socket. It
// implements [fedmsg.Source].
type Source struct {
	cfg      SourceConfig
	sub      *Sub
	received *fedmsg.Counters
	dropped  *fedmsg.Counters
}

var (
	_ fedmsg.Source = (*Source)(nil)
	_ fedmsg.Meter  = (*Source)(nil)
)

// NewSource validates cfg and binds, so that a bad or taken address fails here
// and [Source.Addrs] is known. [Source.Run] must be called to serve and, in the
// end, to close. logger may be nil.
func NewSource(cfg SourceConfig, logger *slog.Logger) (*Source, error) {
	sub, err := NewSub(cfg.sub(), logger)
	if err != nil {
		return nil, err
	}
	return &Source{
		cfg:      cfg,
		sub:      sub,
		received: fedmsg.NewCounters("messages_received_total", "edge"),
		dropped:  fedmsg.NewCounters("messages_dropped_total", "edge", "reason"),
	}, nil
}

// Addrs returns the bound addresses, as tcp://IP:PORT.
func (s *Source) Addrs() []string { return s.sub.Addrs() }

// Run publishes what comes until ctx ends. Then it stops reading, publishes what
// it has read, closes the socket, and returns nil.
func (s *Source) Run(ctx context.Context, p fedmsg.Publisher) error {
	return s.sub.run(ctx, func(ctx context.Context, c *conn) receiver {
		in := &intake{source: s, c: c, ctx: ctx, done: make(chan struct{})}
		in.changed.L = &in.mu
		go in.publish(p)
		return in
	})
}

// Samples yields connections, what came, and what was refused and dropped.
// What the gate refuses the gate counts.
func (s *Source) Samples() iter.Seq[fedmsg.Sample] {
	return fedmsg.Meters{s.sub, s.received, s.dropped}.Samples()
}

// intake is one connection of a source: one goroutine reads and decodes, another
// one publishes. While that waits for the disk the next batch comes together.
type intake struct {
	source *Source
	c      *conn
	ctx    context.Context
	done   chan struct{} // closed when publish has ended

	mu      sync.Mutex
	changed sync.Cond
	pending []*fedmsg.Message
	bytes   int
	closed  bool // nothing more comes
	broken  bool // nothing more is published
}

// take decodes a message and hands it on, or refuses it.
func (in *intake) take(frames [][]byte) {
	in.source.received.Add(1, edge)
	m, err := decode(frames)
	if fedmsg.ReasonOf(err) == fedmsg.MissingField && in.source.cfg.SignedOnly && isUnsigned(frames[1]) {
		err = fedmsg.Refuse(fedmsg.Unsigned, "the message has neither signature nor certificate, and lacks more: %v", err)
	}
	if err != nil {
		s := in.source.sub.socket
		s.rejected.Add(1, edge, string(fedmsg.ReasonOf(err)))
		s.warn(in.ctx, "message refused", "peer", in.c.peer, "reason", fedmsg.ReasonOf(err), "err", err)
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	for !in.broken && (len(in.pending) >= maxBatch || in.bytes >= maxBatchBytes) {
		in.changed.Wait()
	}
	if in.broken {
		return
	}
	in.pending = append(in.pending, m)
	in.bytes += len(m.Bytes())
	in.changed.Broadcast()
}

// decode makes a message of frames. Subscribers route by the first frame, which
// no signature covers, so it must be what the envelope says.
func decode(frames [][]byte) (*fedmsg.Message, error) {
	if len(frames) != 2 {
		return nil, fedmsg.Refuse(fedmsg.FrameCount, "a message has two frames, topic and envelope, not %d", len(frames))
	}
	if !utf8.Valid(frames[0]) {
		return nil, fedmsg.Refuse(fedmsg.BadTopic, "the topic frame is not UTF-8")
	}
	m, err := fedmsg.Decode(frames[1])
	if err != nil {
		return nil, err
	}
	if string(frames[0]) != string(m.Topic) {
		return nil, fedmsg.RefuseField(fedmsg.TopicMismatch, "topic", "the topic frame says %.80q, the envelope %.80q", frames[0], string(m.Topic))
	}
	return m, nil
}

// isUnsigned reports whether a text that is no whole message lacks a signature.
func isUnsigned(text []byte) bool {
	m, err := fedmsg.DecodeHistory(text)
	if err != nil {
		return false
	}
	fields := m.Fields("signature", "certificate")
	return fields[0] == nil && fields[1] == nil
}

func (in *intake) close() {
	in.mu.Lock()
	in.closed = true
	in.changed.Broadcast()
	in.mu.Unlock()
	<-in.done
}

// next waits for messages and takes all that there are; none at the end.
func (in *intake) next(spare []*fedmsg.Message) []*fedmsg.Message {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.pending) == 0 && !in.closed {
		in.changed.Wait()
	}
	batch := in.pending
	in.pending, in.bytes = spare[:0], 0
	in.changed.Broadcast()
	return batch
}

// publish publishes until nothing more comes.
func (in *intake) publish(p fedmsg.Publisher) {
	defer close(in.done)
	defer func() { // after a panic nobody waits for room
		in.mu.Lock()
		defer in.mu.Unlock()
		in.broken = true
		in.changed.Broadcast()
	}()
	defer in.source.sub.socket.recovered(in.ctx, in.c)

	// A drain must not cancel what it drains: what was read is published even
	// when ctx has ended, within a time.
	origin := fedmsg.Origin{Edge: edge, Addr: in.c.peer.Addr()}
	if in.c.isFile() {
		origin.Edge = FileEdge
	}
	ctx, cancel := context.WithCancel(fedmsg.WithOrigin(context.WithoutCancel(in.ctx), origin))
	defer cancel()
	defer context.AfterFunc(in.ctx, func() { sleep(ctx, drainTime); cancel() })()

	var spare []*fedmsg.Message
	for {
		batch := in.next(spare)
		if len(batch) == 0 {
			return
		}
		in.deliver(ctx, p, batch)
		clear(batch)
		spare = batch
	}
}

// deliver publishes a batch. What the log cannot take now is tried again for a
// while; publishing a message twice does no harm.
func (in *intake) deliver(ctx context.Context, p fedmsg.Publisher, batch []*fedmsg.Message) {
	wait := retryMin
	for start := time.Now(); ; wait = min(2*wait, retryMax) {
		var again []*fedmsg.Message
		var err error
		for i, r := range p.Publish(ctx, batch...) {
			switch fedmsg.ReasonOf(r.Err) {
			case fedmsg.StorageFull, fedmsg.LogUnavailable:
				again = append(again, batch[i])
				err = r.Err
			}
		}
		if len(again) == 0 {
			return
		}
		s := in.source.sub.socket
		if in.ctx.Err() != nil || time.Since(start)+wait > retryFor {
			in.source.dropped.Add(uint64(len(again)), edge, string(fedmsg.ReasonOf(err)))
			s.warn(ctx, "messages dropped, the log does not take them", "peer", in.c.peer, "messages", len(again), "err", err)
			return
		}
		s.warn(ctx, "the log takes no messages, will try again", "peer", in.c.peer, "wait", wait, "err", err)
		sleep(in.ctx, wait)
		batch = again
	}
}
