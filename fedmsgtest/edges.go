package fedmsgtest

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// edgePatience is how long an edge may take to pass a message on.
const edgePatience = 10 * time.Second

// TestSource is the contract of a [fedmsg.Source]. open makes one that is ready
// to run, and a function that has the outside world send it the bytes of a
// message, which may be none.
func TestSource(t *testing.T, open func(t *testing.T) (source fedmsg.Source, send func(text []byte))) {
	source, send := open(t)
	publisher := new(recorder)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- source.Run(ctx, publisher) }()

	const count = 20
	for i := range count {
		send(Message(i).Bytes())
		send([]byte(`{"this": "is no message"}`)) // and must not stop what follows
	}
	Eventually(t, edgePatience, "all messages are published", func() bool { return len(publisher.all()) >= count })
	for i, got := range publisher.all() {
		if want := Message(i).Bytes(); !bytes.Equal(got.message.Bytes(), want) {
			t.Errorf("message %d was published as\n%s, want\n%s", i, got.message.Bytes(), want)
		}
		if got.origin.Edge == "" || got.origin.Edge == "memory" {
			t.Errorf("message %d was published without its edge: %+v", i, got.origin)
		}
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("Run after its context ended: %v, want nil", err)
		}
	case <-time.After(edgePatience):
		t.Errorf("Run did not return within %s of the end of its context", edgePatience)
	}
}

// TestSink is the contract of a [fedmsg.Sink]. open makes one that delivers, and
// a function that returns the bytes of the next message that came out of it.
func TestSink(t *testing.T, open func(t *testing.T) (sink fedmsg.Sink, next func() []byte)) {
	sink, next := open(t)
	n := 0
	for size := range 5 {
		var batch []fedmsg.Entry
		for range size + 1 {
			n++
			batch = append(batch, fedmsg.Entry{Seq: fedmsg.Seq(n), At: time.Now().UTC(), Verified: fedmsg.Unverified, Message: Message(n)})
		}
		if taken, err := sink.Deliver(t.Context(), batch); err != nil || taken != len(batch) {
			t.Fatalf("Deliver of %d entries = %d, %v; want all of them", len(batch), taken, err)
		}
	}
	for i := range n {
		if got, want := next(), Message(i+1).Bytes(); !bytes.Equal(got, want) {
			t.Fatalf("message %d came out as\n%s, want\n%s", i+1, got, want)
		}
	}
}

// A recorder takes every message and remembers it.
type recorder struct {
	mu  sync.Mutex
	got []recorded
}

type recorded struct {
	message *fedmsg.Message
	origin  fedmsg.Origin
}

func (r *recorder) Publish(ctx context.Context, messages ...*fedmsg.Message) []fedmsg.Receipt {
	r.mu.Lock()
	defer r.mu.Unlock()
	receipts := make([]fedmsg.Receipt, len(messages))
	for i, m := range messages {
		r.got = append(r.got, recorded{m, fedmsg.OriginFrom(ctx)})
		receipts[i].Seq = fedmsg.Seq(len(r.got))
	}
	return receipts
}

func (r *recorder) all() []recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got[:len(r.got):len(r.got)]
}
