package zmq_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/zmtp"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// The cases that are about the wire: the connection is closed in time, what was
// wrong is counted, memory does not grow, the log stays readable, and a
// publisher that is connected all the while notices nothing.
func TestBadInputsZMTP(t *testing.T) {
	cases := fedmsgtest.ZMQCases(t)
	b, book := new(bus), new(fedmsgtest.LogBook)
	s, addr := source(t, zmq.SourceConfig{}, b, book.Logger(slog.LevelInfo))
	control := connected(t, addr)
	pub := publisher(t, zmq.PubConfig{}, book.Logger(slog.LevelInfo))
	settle(t, rawSubscriber(t, pub.Addrs()[0])) // it is up now
	n := 0
	say := func(t *testing.T) {
		t.Helper()
		n++
		m := message(t, n)
		control.Send(string(m.Topic), m.Bytes())
		fedmsgtest.Eventually(t, time.Second, "a control message", func() bool { return b.has(m.ID) })
	}
	say(t) // a subscription comes before all that belongs to a connection has been started
	for _, c := range cases {
		if c.Input.TCP == nil {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			base := fedmsgtest.InUse(t)
			raw := c.Input.TCP
			var meter fedmsg.Meter = s
			at := addr
			if bytes.Contains(raw, []byte("SUB")) { // a subscriber talks to a publisher
				meter, at = pub, pub.Addrs()[0]
			}
			rejected, reason := fedmsgtest.Value(meter, "messages_rejected_total"), fedmsgtest.Value(meter, "messages_rejected_total", "reason", string(c.Must.Reason))
			before := allocated()
			nc := dial(t, at)
			if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := nc.Write(raw); err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				t.Fatal(err)
			}
			if c.Must.Outcome == "close" {
				if _, err := io.Copy(io.Discard, nc); err != nil && !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("the connection was not closed: %v", err)
				}
				fedmsgtest.Eventually(t, time.Second, "one more refusal", func() bool { return fedmsgtest.Value(meter, "messages_rejected_total") == rejected+1 })
				if c.Must.Reason != "" && fedmsgtest.Value(meter, "messages_rejected_total", "reason", string(c.Must.Reason)) != reason+1 {
					t.Errorf("it was not counted as %s", c.Must.Reason)
				}
			}
			if grown := allocated() - before; grown > 8<<20 {
				t.Errorf("%d bytes were allocated", grown)
			}
			nc.Close()
			say(t)
			fedmsgtest.Returns(t, 5*time.Second, base)
		})
	}
	if n < 2 {
		t.Error("no case is about the wire")
	}
	fedmsgtest.NoControls(t, book.String())
}

// allocated is how many bytes were ever allocated, whether freed since or not.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// The cases that are about messages, as far as they are for this edge to
// refuse: framing, what Decode says, and the topic frame. Signatures, policy
// and time are for the gate, which is not here.
func TestBadInputsFrames(t *testing.T) {
	b, book := new(bus), new(fedmsgtest.LogBook)
	s, addr := source(t, zmq.SourceConfig{Tuning: zmq.Tuning{ReconnectMin: time.Millisecond}}, b, book.Logger(slog.LevelInfo))
	nc := rawPublisher(t, addr)
	refused := 0
	for _, c := range fedmsgtest.ZMQCases(t) {
		fs := c.Input.Frames
		if len(fs) == 0 {
			continue
		}
		var want fedmsg.Reason // "" if it must pass here
		if len(fs) != 2 {
			want = fedmsg.FrameCount
		} else if m, err := fedmsg.Decode(fs[1]); err != nil {
			want = fedmsg.ReasonOf(err)
		} else if string(m.Topic) != string(fs[0]) {
			want = fedmsg.TopicMismatch
		}
		if c.Name == "json-100k-keys" {
			c.Must.Reason = want // unsigned as well, but that is not for this edge to say
		}
		if want != "" && c.Must.Reason != want && c.Name != "topic-frame-not-utf8" {
			t.Errorf("%s: refused as %s, must be %s with %s", c.Name, want, c.Must.Outcome, c.Must.Reason)
		}
		passed, rejected := b.count(), fedmsgtest.Value(s, "messages_rejected_total")
		reason := fedmsgtest.Value(s, "messages_rejected_total", "reason", string(c.Must.Reason))
		if _, err := nc.Write(zmtp.Frames(fs...)); err != nil && want != fedmsg.TooLarge {
			t.Fatalf("%s: %v", c.Name, err)
		}
		fedmsgtest.Eventually(t, 5*time.Second, "an answer to "+c.Name, func() bool {
			return b.count() > passed || fedmsgtest.Value(s, "messages_rejected_total") > rejected
		})
		switch {
		case want == "" && b.count() != passed+1:
			t.Errorf("%s: refused, must pass", c.Name)
		case want != "" && fedmsgtest.Value(s, "messages_rejected_total", "reason", string(c.Must.Reason)) != reason+1:
			t.Errorf("%s: not counted as %s", c.Name, c.Must.Reason)
		}
		if want != "" {
			refused++
		}
		if want == fedmsg.TooLarge {
			nc = rawPublisher(t, addr) // the framing is broken off
		}
	}
	if refused < 50 {
		t.Errorf("only %d cases were refused", refused)
	}
	if got := fedmsgtest.Value(s, "panics_recovered_total"); got != 0 {
		t.Errorf("%v panics", got)
	}
	fedmsgtest.NoControls(t, book.String())
	if lines := strings.Count(book.String(), "\n"); lines > refused/2 {
		t.Errorf("%d log lines for %d refusals; they should be few", lines, refused)
	}
}
