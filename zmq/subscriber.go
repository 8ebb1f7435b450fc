package zmq

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// maxPrefix is the longest prefix to subscribe to, in bytes: twice the longest
// topic that there can be.
const maxPrefix = 2 * (fedmsg.MaxTopicLength + 1)

// subscriptions are the prefixes that a peer asked for. As in libzmq, one that
// was asked for twice must be cancelled twice.
type subscriptions struct {
	times map[string]int
	list  []string
	all   bool // "" is among them
}

func (s *subscriptions) add(prefix string, limit int) error {
	switch {
	case len(prefix) > maxPrefix:
		return fedmsg.Refuse(fedmsg.TooLarge, "a subscription of %d bytes, at most %d are allowed", len(prefix), maxPrefix)
	case s.times[prefix] == 0 && len(s.list) == limit:
		return fedmsg.Refuse(fedmsg.TooManySubscriptions, "at most %d are allowed", limit)
	}
	if s.times == nil {
		s.times = make(map[string]int)
	}
	if s.times[prefix]++; s.times[prefix] == 1 {
		s.list = append(s.list, prefix)
		s.all = s.all || prefix == ""
	}
	return nil
}

func (s *subscriptions) cancel(prefix string) {
	switch s.times[prefix] {
	case 0:
	case 1:
		delete(s.times, prefix)
		for i, p := range s.list {
			if p == prefix {
				s.list = append(s.list[:i], s.list[i+1:]...)
				break
			}
		}
		s.all = s.times[""] > 0
	default:
		s.times[prefix]--
	}
}

func (s *subscriptions) match(topic string) bool {
	if s.all {
		return true
	}
	for _, prefix := range s.list {
		if strings.HasPrefix(topic, prefix) {
			return true
		}
	}
	return false
}

// packet is a message as it goes out, shared by all subscribers.
type packet struct {
	topic string
	head  []byte // the whole first frame, if there are two, and the head of the last
	body  []byte
}

func newPacket(topic string, body []byte) *packet {
	head := appendHead(make([]byte, 0, len(topic)+18), flagMore, len(topic))
	head = appendHead(append(head, topic...), 0, len(body))
	return &packet{topic, head, body}
}

func (p *packet) size() int { return len(p.head) + len(p.body) }

// subscriber is a peer of a Pub.
type subscriber struct {
	c   *conn
	pub *Pub

	wake     chan struct{} // holds one token when there is something to write
	extended time.Time     // the writer's: when it was last given time

	mu       sync.Mutex
	subs     subscriptions
	queue    []*packet
	pongs    []byte
	messages int // in the queue or being written
	bytes    int // of these messages
	full     bool
	idle     chan struct{} // closed when nothing is left; nil if nobody waits
	gone     bool
}

// offer queues those packets that the peer has subscribed to. What finds the
// queue full is dropped, as libzmq does. It returns how many were dropped and
// whether that has just begun, and whether any was queued.
func (s *subscriber) offer(packets []*packet) (dropped uint64, began, queued bool) {
	cfg := &s.pub.cfg
	s.mu.Lock()
	for _, p := range packets {
		if !s.subs.match(p.topic) {
			continue
		}
		size := p.size()
		if s.messages >= cfg.Queue || s.messages > 0 && s.bytes+size > cfg.QueueBytes {
			dropped++
			began = began || !s.full
			s.full = true
			continue
		}
		s.queue = append(s.queue, p)
		s.messages++
		s.bytes += size
		queued = true
	}
	s.mu.Unlock()
	if queued {
		s.rouse()
	}
	return dropped, began, queued
}

func (s *subscriber) rouse() {
	select {
	case s.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// take empties the queue into spare, and returns what else is to be written.
func (s *subscriber) take(spare []*packet) (batch []*packet, pongs []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cap(spare) > 1024 && len(spare) < 128 {
		spare = nil // a burst is over
	}
	batch, s.queue = s.queue, spare[:0]
	pongs, s.pongs = s.pongs, nil
	return batch, pongs
}

// pending reports whether something waits to be taken.
func (s *subscriber) pending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) > 0
}

// written notes that the kernel has taken packets.
func (s *subscriber) written(n, bytes int) {
	s.pub.delivered.Add(uint64(n))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages -= n
	s.bytes -= bytes
	if s.full && s.messages <= s.pub.cfg.Queue/2 {
		s.full = false
	}
	if s.messages == 0 {
		s.settled()
	}
}

// settled tells who waits that nothing is left; s.mu is held.
func (s *subscriber) settled() {
	if s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}

// leave gives up what is queued.
func (s *subscriber) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone, s.queue = true, nil
	s.settled()
}

// waitIdle waits until all that was queued is with the kernel, or lost with the
// connection.
func (s *subscriber) waitIdle(ctx context.Context) error {
	s.mu.Lock()
	if s.messages == 0 || s.gone {
		s.mu.Unlock()
		return nil
	}
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	idle := s.idle
	s.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// read takes the peer's subscriptions until it is gone.
func (s *subscriber) read() error {
	s.c.in.limit = max(maxPrefix, maxCommand)
	for {
		frames, err := s.c.in.message(s.command)
		if err != nil {
			return err
		}
		// The form of ZMTP 3.0. Anything else that a peer might say to a
		// publisher is not for us.
		switch first := frames[0]; {
		case len(first) > 0 && first[0] == 1:
			err = s.subscribe(string(first[1:]))
		case len(first) > 0 && first[0] == 0:
			s.cancel(string(first[1:]))
		}
		if err != nil {
			return err
		}
	}
}

func (s *subscriber) command(body []byte) error {
	name, data, err := splitCommand(body)
	if err != nil {
		return err
	}
	switch name {
	case "SUBSCRIBE":
		return s.subscribe(string(data))
	case "CANCEL":
		s.cancel(string(data))
	case "PING":
		answer, err := pong(data)
		if err != nil {
			return err
		}
		s.mu.Lock()
		if len(s.pongs) < maxCommand { // who does not read its answers gets no more
			s.pongs = append(s.pongs, answer...)
		}
		s.mu.Unlock()
		s.rouse()
	case "ERROR":
		return fedmsg.Refuse(ProtocolError, "the peer says ERROR %.80q", data)
	}
	return nil
}

func (s *subscriber) subscribe(prefix string) error {
	s.mu.Lock()
	first := len(s.subs.list) == 0
	err := s.subs.add(prefix, s.pub.socket.tuning.MaxSubscriptions)
	s.mu.Unlock()
	if err == nil && first {
		s.pub.interested(1)
	}
	return err
}

func (s *subscriber) cancel(prefix string) {
	s.mu.Lock()
	before := len(s.subs.list)
	s.subs.cancel(prefix)
	last := before > 0 && len(s.subs.list) == 0
	s.mu.Unlock()
	if last {
		s.pub.interested(-1)
	}
}

// writeBuffer is how many bytes are written at once, if there are so many.
const writeBuffer = 64 << 10

var writeBuffers = sync.Pool{New: func() any { return new([writeBuffer]byte) }}

// write sends what is queued until the reader is done, or ctx has ended and the
// queue is empty.
func (s *subscriber) write(ctx context.Context, done <-chan struct{}) error {
	var batch []*packet
	for {
		var pongs []byte
		clear(batch) // nothing that was sent may be held
		batch, pongs = s.take(batch)
		if len(batch) == 0 && pongs == nil {
			select {
			case <-s.wake:
				continue
			case <-done:
				return nil
			case <-ctx.Done():
				if s.pending() {
					continue
				}
				return nil
			}
		}
		if err := s.send(ctx, batch, pongs); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
				return fedmsg.Refuse(fedmsg.SlowConsumer, "it took nothing for %s", s.pub.socket.tuning.Stall)
			}
			return err
		}
	}
}

// send writes packets, many at a time.
func (s *subscriber) send(ctx context.Context, batch []*packet, pongs []byte) error {
	shared := writeBuffers.Get().(*[writeBuffer]byte)
	defer writeBuffers.Put(shared)
	buf := append(shared[:0], pongs...)
	n, bytes := 0, 0
	flush := func(rest ...[]byte) error {
		s.extend(ctx)
		var err error
		if len(rest) == 0 {
			_, err = s.c.Write(buf)
		} else {
			pieces := net.Buffers(append([][]byte{buf}, rest...))
			_, err = pieces.WriteTo(s.c.Conn)
		}
		if err == nil {
			s.written(n, bytes)
			buf, n, bytes = shared[:0], 0, 0
		}
		return err
	}
	for _, p := range batch {
		size := p.size()
		if len(buf)+size > len(shared) {
			if size > len(shared)/2 { // not worth a copy
				n, bytes = n+1, bytes+size
				if err := flush(p.head, p.body); err != nil {
					return err
				}
				continue
			}
			if err := flush(); err != nil {
				return err
			}
		}
		buf = append(append(buf, p.head...), p.body...)
		n, bytes = n+1, bytes+size
	}
	if len(buf) > 0 {
		return flush()
	}
	return nil
}

// extend gives the next write its time: until the peer counts as stalled or,
// when ctx has ended, for as long as a closing socket lingers.
func (s *subscriber) extend(ctx context.Context) {
	stall := s.pub.socket.tuning.Stall
	if now := time.Now(); ctx.Err() == nil && now.Sub(s.extended) > stall/8 { // not at each write: it costs as much as a short one
		s.extended = now
		_ = s.c.SetWriteDeadline(now.Add(stall))
	}
	if ctx.Err() != nil { // looked at again: ctx may have ended meanwhile
		_ = s.c.SetWriteDeadline(s.pub.lingerUntil())
	}
}
