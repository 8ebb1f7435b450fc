package zmq_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// badInput is a row of badinputs/zmq.jsonl.
type badInput struct {
	Name  string
	Input struct {
		TCP      string   `json:"tcp_b64"`
		TCPGz    string   `json:"tcp_gz_b64"`
		Frames   []string `json:"frames_b64"`
		FramesGz []string `json:"frames_gz_b64"`
	}
	Must struct {
		Outcome string
		Reason  fedmsg.Reason
	}
}

func (b badInput) tcp(t *testing.T) []byte {
	t.Helper()
	if b.Input.TCPGz != "" {
		return unzip(t, b.Input.TCPGz)
	}
	return unbase64(t, b.Input.TCP)
}

func (b badInput) frames(t *testing.T) (all [][]byte) {
	t.Helper()
	for _, f := range b.Input.Frames {
		all = append(all, unbase64(t, f))
	}
	for _, f := range b.Input.FramesGz {
		all = append(all, unzip(t, f))
	}
	return all
}

func unbase64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unzip(t *testing.T, s string) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(unbase64(t, s)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The cases that are about the wire: the connection is closed in time, what was
// wrong is counted, memory does not grow, the log stays readable, and a
// publisher that is connected all the while notices nothing.
func TestBadInputsZMTP(t *testing.T) {
	cases := rows[badInput](t, "FEDMSG_BADINPUTS", "badinputs", "zmq.jsonl")
	b, book := new(bus), new(logBook)
	s, addr := source(t, zmq.SourceConfig{}, b, book.logger())
	control := connected(t, addr)
	pub := publisher(t, zmq.PubConfig{}, book.logger())
	settle(t, rawSubscriber(t, pub.Addrs()[0])) // it is up now
	n := 0
	for _, c := range cases {
		if c.Input.TCP == "" && c.Input.TCPGz == "" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			base := inUse(t)
			raw := c.tcp(t)
			var meter fedmsg.Meter = s
			at := addr
			if bytes.Contains(raw, []byte("SUB")) { // a subscriber talks to a publisher
				meter, at = pub, pub.Addrs()[0]
			}
			rejected, reason := value(meter, "messages_rejected_total"), value(meter, "messages_rejected_total", "reason", string(c.Must.Reason))
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
				within(t, time.Second, "one more refusal", func() bool { return value(meter, "messages_rejected_total") == rejected+1 })
				if c.Must.Reason != "" && value(meter, "messages_rejected_total", "reason", string(c.Must.Reason)) != reason+1 {
					t.Errorf("it was not counted as %s", c.Must.Reason)
				}
			}
			if grown := allocated() - before; grown > 8<<20 {
				t.Errorf("%d bytes were allocated", grown)
			}
			nc.Close()
			n++
			m := message(t, n)
			control.Send(string(m.Topic), m.Bytes())
			within(t, time.Second, "a control message", func() bool { return b.has(m.ID) })
			returnsTo(t, base)
		})
	}
	if n == 0 {
		t.Error("no case is about the wire")
	}
	noControls(t, book)
}

// allocated is how many bytes were ever allocated, whether freed since or not.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func noControls(t *testing.T, book *logBook) {
	t.Helper()
	for line := range book.lines() {
		if i := strings.IndexFunc(strings.TrimSuffix(line, "\n"), unicode.IsControl); i >= 0 {
			t.Errorf("a control character at byte %d of the log line %q", i, line)
		}
	}
}

// The cases that are about messages, as far as they are for this edge to
// refuse: framing, what Decode says, and the topic frame. Signatures, policy
// and time are for the gate, which is not here.
func TestBadInputsFrames(t *testing.T) {
	b, book := new(bus), new(logBook)
	s, addr := source(t, zmq.SourceConfig{Tuning: zmq.Tuning{ReconnectMin: time.Millisecond}}, b, book.logger())
	nc := rawPublisher(t, addr)
	refused := 0
	for _, c := range rows[badInput](t, "FEDMSG_BADINPUTS", "badinputs", "zmq.jsonl") {
		fs := c.frames(t)
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
		passed, rejected := b.count(), value(s, "messages_rejected_total")
		reason := value(s, "messages_rejected_total", "reason", string(c.Must.Reason))
		if _, err := nc.Write(encode(fs...)); err != nil && want != fedmsg.TooLarge {
			t.Fatalf("%s: %v", c.Name, err)
		}
		within(t, 5*time.Second, "an answer to "+c.Name, func() bool {
			return b.count() > passed || value(s, "messages_rejected_total") > rejected
		})
		switch {
		case want == "" && b.count() != passed+1:
			t.Errorf("%s: refused, must pass", c.Name)
		case want != "" && value(s, "messages_rejected_total", "reason", string(c.Must.Reason)) != reason+1:
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
	if got := value(s, "panics_recovered_total"); got != 0 {
		t.Errorf("%v panics", got)
	}
	noControls(t, book)
	lines := 0
	for range book.lines() {
		lines++
	}
	if lines > refused/2 {
		t.Errorf("%d log lines for %d refusals; they should be few", lines, refused)
	}
}
