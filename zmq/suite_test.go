package zmq_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// running runs a socket until the test ends.
func running(t *testing.T, run func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestSourceSuite(t *testing.T) {
	fedmsgtest.TestSource(t, func(t *testing.T) (fedmsg.Source, func([]byte)) {
		s, err := zmq.NewSource(zmq.SourceConfig{Bind: []string{"tcp://127.0.0.1:0"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		pub, err := zmq.NewPub(zmq.PubConfig{Connect: s.Addrs()}, nil)
		if err != nil {
			t.Fatal(err)
		}
		running(t, pub.Run)
		return s, func(text []byte) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := pub.WaitSubscribed(ctx); err != nil {
				t.Fatal(err)
			}
			topic := ""
			if m, err := fedmsg.Decode(text); err == nil {
				topic = string(m.Topic)
			}
			pub.Send(topic, text)
		}
	})
}

func TestSinkSuite(t *testing.T) {
	fedmsgtest.TestSink(t, func(t *testing.T) (fedmsg.Sink, func() []byte) {
		pub, err := zmq.NewPub(zmq.PubConfig{Bind: []string{"tcp://127.0.0.1:0"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		running(t, pub.Run)
		sub, err := zmq.NewSub(zmq.SubConfig{Connect: pub.Addrs()}, nil)
		if err != nil {
			t.Fatal(err)
		}
		came := make(chan []byte, 100)
		running(t, func(ctx context.Context) error {
			return sub.Run(ctx, func(_ netip.AddrPort, frames [][]byte) { came <- slices.Clone(frames[1]) })
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := pub.WaitSubscribed(ctx); err != nil {
			t.Fatal(err)
		}
		return zmq.NewSink(pub), func() []byte {
			select {
			case text := <-came:
				return text
			case <-time.After(10 * time.Second):
				t.Fatal("no message within 10s")
				return nil
			}
		}
	})
}
