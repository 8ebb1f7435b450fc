package main

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/mem"
	"github.com/fedora-infra/fedmsg-go/x509"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// badNow is the clock under which the bad inputs were made.
var badNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// badInputs returns the folder of hostile input, or skips.
func badInputs(t *testing.T) string {
	t.Helper()
	dir := cmp.Or(os.Getenv("FEDMSG_BADINPUTS"), "../../../shared/badinputs")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no bad inputs: set FEDMSG_BADINPUTS to their folder: %v", err)
	}
	return dir
}

// A zmqCase is one line of zmq.jsonl.
type zmqCase struct {
	Name  string
	Edge  string
	Input struct {
		Frames   []string `json:"frames_b64"`
		FramesGz []string `json:"frames_gz_b64"`
		TCP      string   `json:"tcp_b64"`
		TCPGz    string   `json:"tcp_gz_b64"`
		Config   map[string]any
		Times    int `json:"send_times"`
	}
	Must struct {
		Outcome     string
		Reason      string
		Field       string
		After       string
		StoredTopic string  `json:"stored_topic"`
		Times       int     `json:"send_times"`
		MaxLoads    int     `json:"max_ca_crl_loads"`
		MaxMs       int     `json:"max_ms"`
		WithinS     float64 `json:"within_s"`
		RSSGrowth   int     `json:"max_rss_growth_mb"`
		LogNot      string  `json:"log_must_not_contain"`
		Allowed     []string
	}
}

func decodeBase64(t *testing.T, text string, zipped bool) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err == nil && zipped {
		var r *gzip.Reader
		if r, err = gzip.NewReader(bytes.NewReader(b)); err == nil {
			b, err = io.ReadAll(r)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (c zmqCase) frames(t *testing.T) [][]byte {
	var frames [][]byte
	for _, f := range c.Input.Frames {
		frames = append(frames, decodeBase64(t, f, false))
	}
	for _, f := range c.Input.FramesGz {
		frames = append(frames, decodeBase64(t, f, true))
	}
	return frames
}

func (c zmqCase) tcp(t *testing.T) []byte {
	if c.Input.TCPGz != "" {
		return decodeBase64(t, c.Input.TCPGz, true)
	}
	return decodeBase64(t, c.Input.TCP, false)
}

// A syncBuffer is a log that can be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A hardBus is a bus as an operator would run it in the open: signatures checked,
// a policy, a prefix; its clock stands.
type hardBus struct {
	addr     string // where publishers connect
	outbound string // where subscribers connect
	log      *mem.Log
	verifier *x509.Verifier
	meters   fedmsg.Meters
	logged   syncBuffer
	controls int
}

// startHardBus starts one with the keys of config changed from the defaults.
func startHardBus(t *testing.T, dir string, config map[string]any) *hardBus {
	t.Helper()
	text := func(key, otherwise string) string {
		if v, ok := config[key].(string); ok {
			return v
		}
		return otherwise
	}
	flag := func(key string, otherwise bool) bool {
		if v, ok := config[key].(bool); ok {
			return v
		}
		return otherwise
	}
	h := &hardBus{log: mem.NewLog()}
	logger := slog.New(slog.NewTextHandler(&h.logged, nil))
	gateConfig := bus.GateConfig{
		TopicPrefix: "org.fedoraproject",
		Clock:       func() time.Time { return badNow },
		// The control message is not signed: it comes from an address of its own.
		AllowUnsigned: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")},
	}
	verifier, err := x509.NewVerifier(x509.Config{
		CA:  filepath.Join(dir, "pki", text("ca_cert_location", "ca.crt")),
		CRL: filepath.Join(dir, "pki", text("crl_location", "crl.pem")),
		Policy: fedmsg.Policy{
			Routing:  map[fedmsg.Topic][]string{"org.fedoraproject.prod.bodhi.update.request.stable": {"bodhi-app01.example.com"}},
			Nitpicky: flag("routing_nitpicky", false),
		},
		LegacySHA1: flag("legacy_sha1_certs", false),
		Clock:      func() time.Time { return badNow },
	}, logger)
	if err != nil {
		t.Fatal(err)
	}
	h.verifier = verifier
	gateConfig.Verifier = verifier
	if !flag("validate_signatures", true) {
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
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- bus.Run(ctx, bus.Stage{Name: "edges", Runners: []bus.Runner{
			pub, bus.RunnerFunc(func(ctx context.Context) error { return source.Run(ctx, gate) }),
		}})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the bus ended with %v", err)
		}
	})
	return h
}

// rejected returns how often a reason was counted, or all reasons for "".
func (h *hardBus) rejected(reason string) (n int) {
	for s := range h.meters.Samples() {
		if s.Name == "messages_rejected_total" && (reason == "" || strings.HasSuffix(strings.Join(s.Labels, "="), "reason="+reason)) {
			n += int(s.Value)
		}
	}
	return n
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
	greeting := make([]byte, 64)
	copy(greeting, []byte{0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'N', 'U', 'L', 'L'})
	ready := append([]byte{4, 25, 5}, "READY\x0bSocket-Type\x00\x00\x00\x03PUB"...)
	if _, err := c.Write(append(greeting, ready...)); err != nil {
		t.Fatal(err)
	}
	// Their greeting, READY, and the subscription to everything.
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	r := bufio.NewReader(c)
	if _, err := io.ReadFull(r, make([]byte, 64)); err != nil {
		t.Fatalf("their greeting: %v", err)
	}
	for range 2 {
		head := make([]byte, 2)
		if _, err := io.ReadFull(r, head); err != nil {
			t.Fatalf("their commands: %v", err)
		}
		if _, err := io.ReadFull(r, make([]byte, head[1])); err != nil {
			t.Fatalf("their commands: %v", err)
		}
	}
	c.SetReadDeadline(time.Time{})
	return c
}

// encodeFrames writes one message in ZMTP 3 framing.
func encodeFrames(frames [][]byte) []byte {
	var b []byte
	for i, f := range frames {
		flags := byte(0)
		if i < len(frames)-1 {
			flags = 1
		}
		if len(f) < 256 {
			b = append(b, flags, byte(len(f)))
		} else {
			b = append(b, flags|2)
			b = binary.BigEndian.AppendUint64(b, uint64(len(f)))
		}
		b = append(b, f...)
	}
	return b
}

// control sends a good message over a connection of its own, and waits for it.
func (h *hardBus) control(t *testing.T) {
	t.Helper()
	h.controls++
	m, err := fedmsg.Draft{
		Topic: "org.fedoraproject.prod.control.message", Time: badNow,
		ID: fmt.Sprintf("2026-control-%d", h.controls), Counter: 1,
	}.Message()
	if err != nil {
		t.Fatal(err)
	}
	c := dialPub(t, "127.0.0.2", h.addr)
	defer c.Close()
	if _, err := c.Write(encodeFrames([][]byte{[]byte(m.Topic), m.Bytes()})); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Second, "the control message is stored", func() bool {
		_, err := h.log.Find(t.Context(), m.ID)
		return err == nil
	})
}

// eventually waits for something named.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("not within %s: %s", within, what)
			return
		}
	}
}

func openFiles(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("no /proc: %v", err)
	}
	return len(entries)
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

// readZMQCases reads zmq.jsonl.
func readZMQCases(t *testing.T, dir string) []zmqCase {
	f, err := os.Open(filepath.Join(dir, "zmq.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var cases []zmqCase
	for dec := json.NewDecoder(f); ; {
		var c zmqCase
		if err := dec.Decode(&c); err == io.EOF {
			return cases
		} else if err != nil {
			t.Fatal(err)
		}
		if c.Edge == "zmq" {
			cases = append(cases, c)
		}
	}
}

// TestBadInputsZMQ sends every hostile input of the ZeroMQ edge to a whole bus,
// and looks after each whether the bus is as it was.
func TestBadInputsZMQ(t *testing.T) {
	all, dir := t, badInputs(t)
	buses := map[string]*hardBus{}
	for _, c := range readZMQCases(t, dir) {
		t.Run(c.Name, func(t *testing.T) {
			key := fmt.Sprint(c.Input.Config)
			h := buses[key]
			if h == nil {
				h = startHardBus(all, dir, c.Input.Config)
				buses[key] = h
			}
			h.control(t) // and so everything that is made once has been made
			goroutines, files, resident, lines := runtime.NumGoroutine(), openFiles(t), residentMB(t), len(h.logged.String())

			if len(c.tcp(t)) > 0 {
				h.sendBytes(t, c)
			} else {
				h.sendFrames(t, c)
			}

			h.control(t)
			eventually(t, 5*time.Second, "goroutines and files are back at their number", func() bool {
				return runtime.NumGoroutine() <= goroutines && openFiles(t) <= files
			})
			runtime.GC()
			if grown := residentMB(t) - resident; grown >= cmp.Or(c.Must.RSSGrowth, 16)+raceOverheadMB {
				t.Errorf("memory grew by %d MiB", grown)
			}
			logged := h.logged.String()[lines:]
			if i := strings.IndexFunc(logged, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }); i >= 0 {
				t.Errorf("a raw control character in the log: %q", logged)
			}
			if c.Must.LogNot != "" && strings.Contains(logged, c.Must.LogNot) {
				t.Errorf("the log holds %q: %q", c.Must.LogNot, logged)
			}
		})
	}
}

// sendFrames sends a message that is well framed.
func (h *hardBus) sendFrames(t *testing.T, c zmqCase) {
	if c.Must.After != "" { // it conflicts with what was said before
		first, err := fedmsg.Draft{
			Topic: "org.fedoraproject.prod.exam.free", ID: messageID(t, c), Time: badNow, Counter: 1, Body: []byte(`{"first":1}`),
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
	wire := encodeFrames(c.frames(t))
	go func() {
		for range times {
			if _, err := conn.Write(wire); err != nil {
				return // the bus may close a connection that breaks the framing
			}
		}
	}()
	switch c.Must.Outcome {
	case "accept":
		eventually(t, 5*time.Second, "the message is stored; the log says "+h.logged.String(), func() bool { return h.stored(t) == stored+1 })
		if page, _, err := h.log.Page(t.Context(), stored, 1); err != nil || len(page) != 1 {
			t.Errorf("Page after %d: %v, %v", stored, page, err)
		} else if m := page[0].Message; c.Must.StoredTopic != "" && string(m.Topic) != c.Must.StoredTopic {
			t.Errorf("stored under %s, want %s", m.Topic, c.Must.StoredTopic)
		} else if frames := c.frames(t); !bytes.Equal(m.Bytes(), frames[1]) {
			t.Errorf("stored other bytes than came")
		}
	case "reject", "drop":
		eventually(t, 5*time.Second, "it is refused as "+c.Must.Reason+"; the log says "+h.logged.String(), func() bool {
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
	if n := h.verifier.Loads() - loads; c.Must.MaxLoads > 0 && n > uint64(c.Must.MaxLoads) {
		t.Errorf("the CA and CRL were loaded %d times", n)
	}
}

func messageID(t *testing.T, c zmqCase) string {
	m, err := fedmsg.Decode(c.frames(t)[1])
	if err != nil {
		t.Fatal(err)
	}
	return m.ID
}

// sendBytes sends what is not even framed well. The bus must close the
// connection, and count why if it is to.
func (h *hardBus) sendBytes(t *testing.T, c zmqCase) {
	rejected := h.rejected(c.Must.Reason)
	to := h.addr
	if bytes.Contains(c.tcp(t), []byte("\x00\x00\x00\x03SUB")) {
		to = h.outbound // a subscriber
	}
	conn, err := net.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go conn.Write(c.tcp(t)) // the bus may close before it is all written
	if c.Must.Outcome == "either" {
		return // closing and ignoring are both fine; what counts is what comes after
	}
	conn.SetReadDeadline(time.Now().Add(time.Duration(cmp.Or(c.Must.WithinS, 30)) * time.Second))
	if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Errorf("the connection is still open")
	}
	if c.Must.Reason != "" {
		eventually(t, 5*time.Second, "it is counted as "+c.Must.Reason, func() bool { return h.rejected(c.Must.Reason) == rejected+1 })
	}
}
