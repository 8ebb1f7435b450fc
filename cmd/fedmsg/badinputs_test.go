package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/zmtp"
	"github.com/fedora-infra/fedmsg-go/mem"
	"github.com/fedora-infra/fedmsg-go/x509"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// A hardBus is a bus as an operator would run it in the open: signatures checked,
// a policy, a prefix; its clock stands.
type hardBus struct {
	addr     string // where publishers connect
	outbound string // where subscribers connect
	log      *mem.Log
	verifier *x509.Verifier
	meters   fedmsg.Meters
	logged   fedmsgtest.LogBook
	controls int
}

// startHardBus starts one as config says.
func startHardBus(t *testing.T, config fedmsgtest.ZMQConfig) *hardBus {
	t.Helper()
	h := &hardBus{log: mem.NewLog()}
	logger := h.logged.Logger(slog.LevelInfo)
	gateConfig := bus.GateConfig{
		TopicPrefix: "org.fedoraproject",
		Clock:       fedmsgtest.BadInputClock,
		// The control message is not signed: it comes from an address of its own.
		AllowUnsigned: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")},
	}
	pki := filepath.Join(fedmsgtest.BadInputDir(t), "pki")
	verifier, err := x509.NewVerifier(x509.Config{
		CA: filepath.Join(pki, config.CA), CRL: filepath.Join(pki, config.CRL),
		Policy: config.Policy(), LegacySHA1: config.Legacy, Clock: fedmsgtest.BadInputClock,
	}, logger)
	if err != nil {
		t.Fatal(err)
	}
	h.verifier = verifier
	gateConfig.Verifier = verifier
	if !config.Validate {
		gateConfig.Verifier = nil
		gateConfig.AllowUnsigned = append(gateConfig.AllowUnsigned, netip.MustParsePrefix("127.0.0.1/32"))
	}
	window, err := bus.NewWindow(t.Context(), bus.WindowConfig{Bytes: 1 << 20}, h.log)
	if err != nil {
		t.Fatal(err)
	}
	gate, err := bus.NewGate(gateConfig, window, logger)
	if err != nil {
		t.Fatal(err)
	}
	source, err := zmq.NewSource(zmq.SourceConfig{
		Bind: []string{"tcp://127.0.0.1:0"}, SignedOnly: gateConfig.Verifier != nil,
	}, logger)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := zmq.NewPub(zmq.PubConfig{Bind: []string{"tcp://127.0.0.1:0"}, Socket: "relay_outbound"}, logger)
	if err != nil {
		t.Fatal(err)
	}
	h.addr = strings.TrimPrefix(source.Addrs()[0], "tcp://")
	h.outbound = strings.TrimPrefix(pub.Addrs()[0], "tcp://")
	h.meters = fedmsg.Meters{gate, source, pub}
	fedmsgtest.Start(t, "the bus", func(ctx context.Context) error {
		return bus.Run(ctx, bus.Stage{Name: "edges", Runners: []bus.Runner{
			pub, bus.RunnerFunc(func(ctx context.Context) error { return source.Run(ctx, gate) }),
		}})
	})
	return h
}

// rejected returns how often a reason was counted, or all reasons for "".
func (h *hardBus) rejected(reason fedmsg.Reason) int {
	if reason == "" {
		return int(fedmsgtest.Value(h.meters, "messages_rejected_total"))
	}
	return int(fedmsgtest.Value(h.meters, "messages_rejected_total", "reason", string(reason)))
}

// stored returns how many entries the log has.
func (h *hardBus) stored(t *testing.T) fedmsg.Seq {
	state, err := h.log.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return state.Last
}

// dialPub connects like a libzmq PUB socket from a local address, and returns
// when the bus has subscribed.
func dialPub(t *testing.T, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(t.Context(), "tcp", to)
	if err != nil {
		t.Fatalf("dial the bus: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	zmtp.Greet(t, c, 0, "PUB", "SUB")
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, len(zmtp.Frames([]byte{1})))); err != nil {
		t.Fatalf("their subscription to everything: %v", err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	return c
}

// control sends a good message over a connection of its own, and waits for it.
func (h *hardBus) control(t *testing.T) {
	t.Helper()
	h.controls++
	m, err := fedmsg.Draft{
		Topic: "org.fedoraproject.prod.control.message", Time: fedmsgtest.BadInputClock(),
		ID: fmt.Sprintf("2026-control-%d", h.controls), Counter: 1,
	}.Message()
	if err != nil {
		t.Fatal(err)
	}
	c := dialPub(t, "127.0.0.2", h.addr)
	defer c.Close()
	if _, err := c.Write(zmtp.Frames([]byte(m.Topic), m.Bytes())); err != nil {
		t.Fatal(err)
	}
	fedmsgtest.Eventually(t, time.Second, "the control message is stored", func() bool {
		_, err := h.log.Find(t.Context(), m.ID)
		return err == nil
	})
}

func residentMB(t *testing.T) int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skipf("no /proc: %v", err)
	}
	var size, resident int
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * os.Getpagesize() >> 20
}

// TestBadInputsZMQ sends every hostile input of the ZeroMQ edge to a whole bus,
// and looks after each whether the bus is as it was.
func TestBadInputsZMQ(t *testing.T) {
	all, buses := t, map[fedmsgtest.ZMQConfig]*hardBus{}
	for _, c := range fedmsgtest.ZMQCases(t) {
		if c.Edge != "zmq" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			h := buses[c.Input.Config]
			if h == nil {
				h = startHardBus(all, c.Input.Config)
				buses[c.Input.Config] = h
			}
			h.control(t) // and so everything that is made once has been made
			before, resident, lines := fedmsgtest.InUse(t), residentMB(t), len(h.logged.String())

			if len(c.Input.TCP) > 0 {
				h.sendBytes(t, c)
			} else {
				h.sendFrames(t, c)
			}

			h.control(t)
			fedmsgtest.Returns(t, 5*time.Second, before)
			runtime.GC()
			if grown := residentMB(t) - resident; grown >= cmp.Or(c.Must.RSSGrowth, 16)+raceOverheadMB {
				t.Errorf("memory grew by %d MiB", grown)
			}
			logged := h.logged.String()[lines:]
			fedmsgtest.NoControls(t, logged)
			if c.Must.LogNot != "" && strings.Contains(logged, c.Must.LogNot) {
				t.Errorf("the log holds %q: %q", c.Must.LogNot, logged)
			}
		})
	}
}

// sendFrames sends a message that is well framed.
func (h *hardBus) sendFrames(t *testing.T, c fedmsgtest.ZMQCase) {
	if c.Must.After != "" { // it conflicts with what was said before
		first, err := fedmsg.Draft{
			Topic: "org.fedoraproject.prod.exam.free", ID: messageID(t, c), Time: fedmsgtest.BadInputClock(), Counter: 1, Body: []byte(`{"first":1}`),
		}.Message()
		if err != nil {
			t.Fatal(err)
		}
		if r := h.log.Append(t.Context(), fedmsg.Entry{Verified: "none", Message: first})[0]; r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	stored, rejected := h.stored(t), h.rejected(c.Must.Reason)
	loads := h.verifier.Loads()
	conn := dialPub(t, "127.0.0.1", h.addr)
	defer conn.Close()
	start := time.Now()
	times := max(1, c.Input.Times, c.Must.Times)
	wire := zmtp.Frames(c.Input.Frames...)
	go func() {
		for range times {
			if _, err := conn.Write(wire); err != nil {
				return // the bus may close a connection that breaks the framing
			}
		}
	}()
	switch c.Must.Outcome {
	case "accept":
		fedmsgtest.Eventually(t, 5*time.Second, "the message is stored; the log says "+h.logged.String(), func() bool { return h.stored(t) == stored+1 })
		if page, _, err := h.log.Page(t.Context(), stored, 1); err != nil || len(page) != 1 {
			t.Errorf("Page after %d: %v, %v", stored, page, err)
		} else if m := page[0].Message; c.Must.StoredTopic != "" && string(m.Topic) != c.Must.StoredTopic {
			t.Errorf("stored under %s, want %s", m.Topic, c.Must.StoredTopic)
		} else if frames := c.Input.Frames; !bytes.Equal(m.Bytes(), frames[1]) {
			t.Errorf("stored other bytes than came")
		}
	case "reject", "drop":
		fedmsgtest.Eventually(t, 5*time.Second, "it is refused as "+string(c.Must.Reason)+"; the log says "+h.logged.String(), func() bool {
			return h.rejected(c.Must.Reason) == rejected+times
		})
		if n := h.stored(t); n != stored {
			t.Errorf("refused, and yet %d entries more are stored", n-stored)
		}
	default:
		t.Fatalf("no test for the outcome %q", c.Must.Outcome)
	}
	if took := time.Since(start); c.Must.MaxMs > 0 && took > time.Duration(c.Must.MaxMs*slowdown)*time.Millisecond {
		t.Errorf("took %s, want at most %d ms", took, c.Must.MaxMs)
	}
	if n := h.verifier.Loads() - loads; c.Must.MaxLoads > 0 && n > c.Must.MaxLoads {
		t.Errorf("the CA and CRL were loaded %d times", n)
	}
}

func messageID(t *testing.T, c fedmsgtest.ZMQCase) string {
	m, err := fedmsg.Decode(c.Input.Frames[1])
	if err != nil {
		t.Fatal(err)
	}
	return m.ID
}

// sendBytes sends what is not even framed well. The bus must close the
// connection, and count why if it is to.
func (h *hardBus) sendBytes(t *testing.T, c fedmsgtest.ZMQCase) {
	rejected := h.rejected(c.Must.Reason)
	to := h.addr
	if bytes.Contains(c.Input.TCP, []byte("\x00\x00\x00\x03SUB")) {
		to = h.outbound // a subscriber
	}
	conn, err := net.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go conn.Write(c.Input.TCP) // the bus may close before it is all written
	if c.Must.Outcome == "either" {
		return // closing and ignoring are both fine; what counts is what comes after
	}
	conn.SetReadDeadline(time.Now().Add(time.Duration(cmp.Or(c.Must.WithinS, 30)) * time.Second))
	if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Errorf("the connection is still open")
	}
	if c.Must.Reason != "" {
		fedmsgtest.Eventually(t, 5*time.Second, "it is counted as "+string(c.Must.Reason), func() bool { return h.rejected(c.Must.Reason) == rejected+1 })
	}
}
