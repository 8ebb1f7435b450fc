package zmq_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/zmtp"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

func TestSourceRefuses(t *testing.T) {
	ok := message(t, 1)
	topic, body := []byte(ok.Topic), ok.Bytes()
	tests := []struct {
		name   string
		frames [][]byte
		want   fedmsg.Reason // "" passes
	}{
		{"as it should be", [][]byte{topic, body}, ""},
		{"one frame", [][]byte{body}, fedmsg.FrameCount},
		{"three frames", [][]byte{topic, body, nil}, fedmsg.FrameCount},
		{"sixteen frames", bytes.SplitAfter([]byte("abcdefghijklmnop"), nil), fedmsg.FrameCount},
		{"no topic", [][]byte{nil, body}, fedmsg.TopicMismatch},
		{"half a topic", [][]byte{topic[:10], body}, fedmsg.TopicMismatch},
		{"another topic", [][]byte{[]byte("org.fedoraproject.dev.logger.loG"), body}, fedmsg.TopicMismatch},
		{"topic of other bytes", [][]byte{[]byte("\xff\xfe"), body}, fedmsg.BadTopic},
		{"no body", [][]byte{topic, nil}, fedmsg.BadJSON},
		{"a body of other bytes", [][]byte{topic, []byte("\xff")}, fedmsg.BadUTF8},
		{"a list", [][]byte{topic, []byte("[]")}, fedmsg.NotObject},
		{"a little too large", [][]byte{topic, bytes.Repeat([]byte(" "), fedmsg.MaxMessageSize+1)}, fedmsg.TooLarge},
	}
	b := new(bus)
	s, addr := source(t, zmq.SourceConfig{}, b, nil)
	nc := rawPublisher(t, addr) // one connection, which survives all of it
	for _, tt := range tests {
		passed, rejected := b.count(), fedmsgtest.Value(s, "messages_rejected_total", "edge", "zmq", "reason", string(tt.want))
		write(t, nc, zmtp.Frames(tt.frames...))
		fedmsgtest.Eventually(t, 5*time.Second, "an answer to "+tt.name, func() bool {
			return b.count() > passed || fedmsgtest.Value(s, "messages_rejected_total", "edge", "zmq", "reason", string(tt.want)) > rejected && tt.want != ""
		})
		if (b.count() > passed) != (tt.want == "") {
			t.Errorf("%s: passed %v, want %q", tt.name, b.count() > passed, tt.want)
		}
	}
	if got := fedmsgtest.Value(s, "messages_received_total", "edge", "zmq"); got != float64(len(tests)) {
		t.Errorf("%v messages were counted, want %d", got, len(tests))
	}
	want := fedmsg.Origin{Edge: "zmq", Addr: netip.MustParseAddr("127.0.0.1")}
	if b.origins[0] != want {
		t.Errorf("origin %+v, want %+v", b.origins[0], want)
	}
}

// A gatedBus holds every call until it is let go.
type gatedBus struct {
	bus
	entered chan int // the size of each batch
	open    chan struct{}

	cancelled bool // while it was held
}

func (b *gatedBus) Publish(ctx context.Context, messages ...*fedmsg.Message) []fedmsg.Receipt {
	b.entered <- len(messages)
	<-b.open
	b.cancelled = b.cancelled || ctx.Err() != nil
	return b.bus.Publish(ctx, messages...)
}

// While the bus is busy with one batch the next one comes together, up to a
// bound; then the publisher has to wait. Order stays.
func TestSourceGathersBatches(t *testing.T) {
	const count = 2000
	b := &gatedBus{entered: make(chan int), open: make(chan struct{})}
	s, addr := source(t, zmq.SourceConfig{}, b, nil)
	p := connected(t, addr)
	send := func(n int) {
		m := message(t, n)
		p.Send(string(m.Topic), m.Bytes())
	}
	send(0)
	first := <-b.entered
	for n := 1; n < count; n++ {
		send(n)
	}
	fedmsgtest.Eventually(t, 10*time.Second, "a full next batch", func() bool { return fedmsgtest.Value(s, "messages_received_total") == 514 })
	close(b.open)
	second := <-b.entered
	if first != 1 || second != 512 {
		t.Errorf("batches of %d and %d, want 1 and 512", first, second)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wg.Go(func() {
		for {
			select {
			case <-b.entered:
			case <-ctx.Done():
				return
			}
		}
	})
	fedmsgtest.Eventually(t, 10*time.Second, "all messages", func() bool { return b.count() == count })
	for n, m := range b.got {
		if want := fmt.Sprintf("2026-%d", n); m.ID != want {
			t.Fatalf("message %d is %s, want %s", n, m.ID, want)
		}
	}
}

// What was read is published even when the source is being stopped.
func TestSourceDrains(t *testing.T) {
	b := &gatedBus{entered: make(chan int), open: make(chan struct{})}
	s, err := zmq.NewSource(zmq.SourceConfig{Bind: []string{"tcp://127.0.0.1:0"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	stop := fedmsgtest.Start(t, "source", func(ctx context.Context) error { return s.Run(ctx, b) })
	p := connected(t, s.Addrs()[0])
	m := message(t, 1)
	p.Send(string(m.Topic), m.Bytes())
	<-b.entered
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	select {
	case <-stopped:
		t.Error("Run returned while a message was being published")
	case <-time.After(50 * time.Millisecond):
	}
	close(b.open)
	<-stopped
	if b.count() != 1 || b.cancelled {
		t.Errorf("%d messages were published, cancelled %v; want 1, false", b.count(), b.cancelled)
	}
}

// A log that is full makes publishers wait, and gets all when it has room.
func TestSourceWaitsForTheLog(t *testing.T) {
	b, book := new(bus), new(fedmsgtest.LogBook)
	var refusals int
	b.answer = func(*fedmsg.Message) error {
		if b.calls <= 2 {
			refusals++
			return fedmsg.Refuse(fedmsg.StorageFull, "no space")
		}
		return nil
	}
	s, addr := source(t, zmq.SourceConfig{}, b, book.Logger(slog.LevelInfo))
	p := connected(t, addr)
	began := time.Now()
	for n := range 10 {
		m := message(t, n)
		p.Send(string(m.Topic), m.Bytes())
	}
	fedmsgtest.Eventually(t, 10*time.Second, "all messages", func() bool { return b.count() == 10 })
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("tried three times within %s; it should wait 100 ms and 200 ms between", took)
	}
	if got := fedmsgtest.Value(s, "messages_dropped_total"); got != 0 {
		t.Errorf("%v messages were dropped", got)
	}
}

// What the gate refuses for good is not tried again.
func TestSourceLetsGoOfRefused(t *testing.T) {
	b := new(bus)
	b.answer = func(m *fedmsg.Message) error {
		if m.ID != "2026-9" {
			return fedmsg.Refuse(fedmsg.CRLUnavailable, "no list")
		}
		return nil
	}
	_, addr := source(t, zmq.SourceConfig{}, b, nil)
	p := connected(t, addr)
	for n := range 10 {
		m := message(t, n)
		p.Send(string(m.Topic), m.Bytes())
	}
	fedmsgtest.Eventually(t, time.Second, "the one that passes", func() bool { return b.has("2026-9") })
}

// A panic behind one connection ends that connection only.
func TestSourceRecoversPanics(t *testing.T) {
	b, book := new(bus), new(fedmsgtest.LogBook)
	b.answer = func(m *fedmsg.Message) error {
		if m.ID == "2026-13" {
			panic("unlucky")
		}
		return nil
	}
	s, addr := source(t, zmq.SourceConfig{}, b, book.Logger(slog.LevelInfo))
	good, bad := connected(t, addr), connected(t, addr)
	unlucky := message(t, 13)
	bad.Send(string(unlucky.Topic), unlucky.Bytes())
	fedmsgtest.Eventually(t, 5*time.Second, "a counted panic", func() bool { return fedmsgtest.Value(s, "panics_recovered_total") == 1 })
	m := message(t, 1)
	good.Send(string(m.Topic), m.Bytes())
	fedmsgtest.Eventually(t, 5*time.Second, "the other's message", func() bool { return b.has(m.ID) })
	waitSubscribed(t, bad) // it has come back
	fedmsgtest.NoControls(t, book.String())
}
