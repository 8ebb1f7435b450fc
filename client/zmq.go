package client

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"strings"
	"sync"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// How long a publisher waits for a relay to be there, and for what it sent to
// leave. Short enough for a shell, long enough for a relay across the sea.
const (
	relayWait  = 3 * time.Second
	sendingFor = 3 * time.Second
)

// overZMQ talks to one socket of a ZeroMQ bus. The publishing side is opened at
// the first publish, the subscribing side anew for each tail.
type overZMQ struct {
	url string

	mu   sync.Mutex
	pub  *zmq.Pub
	stop func()
}

func newOverZMQ(_ context.Context, url string) (*overZMQ, error) {
	if _, err := zmq.ParseAddr(url); err != nil {
		return nil, err
	}
	return &overZMQ{url: url}, nil
}

// relay returns the socket to publish on, connected and subscribed to.
func (z *overZMQ) relay(ctx context.Context) (*zmq.Pub, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.pub == nil {
		pub, err := zmq.NewPub(zmq.PubConfig{Connect: []string{z.url}}, nil)
		if err != nil {
			return nil, err
		}
		run, cancel := context.WithCancel(context.WithoutCancel(ctx))
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = pub.Run(run) // it returns nil; what it cannot do shows in WaitSubscribed
		}()
		z.pub = pub
		z.stop = func() { cancel(); <-ended }
	}
	wait, cancel := context.WithTimeout(ctx, relayWait)
	defer cancel()
	if err := z.pub.WaitSubscribed(wait); err != nil {
		return nil, &fedmsg.HintError{
			Err:  fmt.Errorf("not delivered: nobody subscribes at %s: %w", z.url, fedmsg.ErrUnavailable),
			Hint: "is a relay running there? start one with: fedmsg serve",
		}
	}
	return z.pub, nil
}

func (z *overZMQ) publish(ctx context.Context, m *fedmsg.Message) (Receipt, error) {
	pub, err := z.relay(ctx)
	if err != nil {
		return Receipt{}, err
	}
	if pub.Send(string(m.Topic), m.Bytes()) == 0 {
		return Receipt{}, fmt.Errorf("not delivered: nobody at %s took topic %s: %w", z.url, m.Topic, fedmsg.ErrUnavailable)
	}
	flush, cancel := context.WithTimeout(ctx, sendingFor)
	defer cancel()
	if err := pub.Flush(flush); err != nil {
		return Receipt{}, fmt.Errorf("not sent within %s: %w", sendingFor, fedmsg.ErrUnavailable)
	}
	return Receipt{ID: m.ID, Topic: m.Topic}, nil
}

// tail yields what comes. A ZeroMQ publisher gives no places and no past, so
// entries have no Seq, and TailConfig.After is refused.
func (z *overZMQ) tail(ctx context.Context, cfg TailConfig) iter.Seq2[fedmsg.Entry, error] {
	return func(yield func(fedmsg.Entry, error) bool) {
		if cfg.After != nil {
			yield(fedmsg.Entry{}, &fedmsg.HintError{
				Err:  fmt.Errorf("tail %s: a ZeroMQ publisher has no past to begin with: %w", z.url, fedmsg.ErrInvalid),
				Hint: "read from a bus over http://",
			})
			return
		}
		sub, err := zmq.NewSub(zmq.SubConfig{Connect: []string{z.url}, Prefixes: prefixes(cfg.Topics)}, nil)
		if err != nil {
			yield(fedmsg.Entry{}, err)
			return
		}
		run, cancel := context.WithCancel(ctx)
		came, ended := make(chan fedmsg.Entry, 64), make(chan struct{})
		go func() {
			defer close(ended)
			_ = sub.Run(run, func(_ netip.AddrPort, frames [][]byte) {
				if e, ok := receive(frames, cfg); ok {
					select {
					case came <- e:
					case <-run.Done():
					}
				}
			})
		}()
		defer func() { cancel(); <-ended }()
		for {
			select {
			case e := <-came:
				if !yield(e, nil) {
					return
				}
			case <-ctx.Done():
				yield(fedmsg.Entry{}, context.Cause(ctx))
				return
			}
		}
	}
}

// receive makes an entry of two frames. What is no message is told and skipped.
func receive(frames [][]byte, cfg TailConfig) (fedmsg.Entry, bool) {
	notice := func(format string, args ...any) (fedmsg.Entry, bool) {
		if cfg.Notice != nil {
			cfg.Notice(fmt.Sprintf(format, args...))
		}
		return fedmsg.Entry{}, false
	}
	if len(frames) != 2 {
		return notice("skipped a message of %d frames", len(frames))
	}
	m, err := fedmsg.Decode(frames[1])
	if err != nil {
		return notice("skipped what is no message: %v", err)
	}
	if string(m.Topic) != string(frames[0]) {
		return notice("skipped message %s: it came under the topic %q, and is of %s", m.ID, frames[0], m.Topic)
	}
	if !fedmsg.MatchAny(cfg.Topics, m.Topic) {
		return fedmsg.Entry{}, false
	}
	return fedmsg.Entry{At: time.Now().UTC(), Verified: fedmsg.Unverified, Message: m}, true
}

// prefixes returns what to subscribe to so that nothing is missed that one of
// the patterns asks for: the words before the first wildcard.
func prefixes(patterns []fedmsg.Pattern) []string {
	var all []string
	for _, p := range patterns {
		prefix := string(p)
		if i := strings.IndexAny(prefix, "*#>"); i >= 0 {
			prefix = strings.TrimSuffix(prefix[:i], ".") // # may stand for no word at all
		}
		if prefix == "" {
			return nil
		}
		all = append(all, prefix)
	}
	return all
}

func (z *overZMQ) close() error {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.stop != nil {
		z.stop()
		z.pub, z.stop = nil, nil
	}
	return nil
}
