package websocket_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	nethttp "net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/http/websocket"
)

// A badCase is a line of http.jsonl that is about sockets.
type badCase struct {
	Name  string
	Input struct {
		WS     string `json:"ws"`
		Header map[string]string
		Omit   []string `json:"omit_headers"`
		Frames string   `json:"frames_hex"`
		Text   fedmsgtest.Text
		Gen    struct {
			Zeros int   `json:"permessage_deflate_zero_bytes"`
			Pings int   `json:"pings"`
			Read  *bool `json:"read"`
		}
	}
	Must struct {
		Outcome, Code, Connection, Reason string
		Status                            int
		CloseCode                         uint16 `json:"close_code"`
		Growth                            int64  `json:"max_rss_growth_mb"`
	}
}

func (c *badCase) UnmarshalJSON(b []byte) error {
	type plain badCase
	var in struct {
		Input struct{ Headers map[string]string }
	}
	if err := json.Unmarshal(b, (*plain)(c)); err != nil || !strings.HasPrefix(c.Name, "ws-") {
		return nil // other lines have other forms
	}
	err := json.Unmarshal(b, &in)
	c.Input.Header = in.Input.Headers
	return err
}

// A peer speaks bytes, so that a test does not lean on what it tests.
type peer struct {
	t  *testing.T
	nc net.Conn
	in *bufio.Reader
}

// connect sends the request for a socket, and returns the answer.
func (c badCase) connect(t *testing.T, addr string) (*peer, *nethttp.Response) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.(*net.TCPConn).SetReadBuffer(16 << 10); err != nil {
		t.Fatal(err)
	}
	header := map[string]string{
		"Host": addr, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Extensions": "permessage-deflate; client_no_context_takeover",
	}
	maps.Copy(header, c.Input.Header)
	for _, name := range c.Input.Omit {
		delete(header, name)
	}
	var request strings.Builder
	request.WriteString("GET /api/v1/ws HTTP/1.1\r\n")
	for name, value := range header {
		request.WriteString(name + ": " + value + "\r\n")
	}
	p := &peer{t, nc, bufio.NewReader(nc)}
	p.write([]byte(request.String() + "\r\n"))
	if err := nc.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	resp, err := nethttp.ReadResponse(p.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p, resp
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.nc.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// frame is a whole frame of a client, masked with zeros.
func frame(first byte, payload []byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

// next reads a frame.
func (p *peer) next() (op byte, payload []byte) {
	p.t.Helper()
	var head [2]byte
	size := func() (n int, err error) {
		if _, err := io.ReadFull(p.in, head[:]); err != nil {
			return 0, err
		}
		switch n = int(head[1]); n {
		case 126:
			var more uint16
			err = binary.Read(p.in, binary.BigEndian, &more)
			n = int(more)
		case 127:
			var more uint64
			err = binary.Read(p.in, binary.BigEndian, &more)
			n = int(more)
		}
		return n, err
	}
	n, err := size()
	if err == nil {
		payload = make([]byte, n)
		_, err = io.ReadFull(p.in, payload)
	}
	if err != nil {
		p.t.Fatalf("no whole frame came: %v", err)
	}
	return head[0] & 0xF, payload
}

// closed reads up to the frame that closes the socket.
func (p *peer) closed() (code uint16, reason string) {
	p.t.Helper()
	for {
		if op, payload := p.next(); op == 8 && len(payload) >= 2 {
			return binary.BigEndian.Uint16(payload), string(payload[2:])
		}
	}
}

// deflated is a frame that becomes so many zeros.
func deflated(t *testing.T, zeros int) []byte {
	t.Helper()
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, io.LimitReader(endless{}, int64(zeros))); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return frame(0xC1, bytes.TrimSuffix(packed.Bytes(), []byte{0, 0, 0xff, 0xff}))
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

func TestBadInputsWebSocket(t *testing.T) {
	r := start(t, websocket.Config{WriteTimeout: 300 * time.Millisecond})
	cases := 0
	base := fedmsgtest.InUse(t)
	for i, c := range fedmsgtest.Rows[badCase](t, filepath.Join(fedmsgtest.BadInputDir(t), "http.jsonl")) {
		if !strings.HasPrefix(c.Name, "ws-") {
			continue
		}
		cases++
		t.Run(c.Name, func(t *testing.T) {
			t.Run("case", func(t *testing.T) {
				other := dial(t, r.addr)
				subscribe(t, other, "control.*")
				c.run(t, r)
				m := fedmsgtest.MessageOf(i, "control.message", "{}")
				r.say(t, m)
				if said := next(t, other); string(said["body"]) != string(m.Compact()) {
					t.Errorf("another reader gets %s, want the control message", said)
				}
			})
			fedmsgtest.Returns(t, 10*time.Second, fedmsgtest.Resources{Goroutines: base.Goroutines + 2, Files: base.Files + 2})
		})
	}
	if cases < 16 {
		t.Errorf("only %d cases are about sockets", cases)
	}
}

func (c badCase) run(t *testing.T, r *rig) {
	before, refused := heap(), fedmsgtest.Value(r.feed, "messages_rejected_total")
	p, resp := c.connect(t, r.addr)
	if c.Must.Outcome == "error" {
		var problem struct{ Code string }
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = json.Unmarshal(body, &problem) // then there is no code
		if resp.StatusCode != c.Must.Status || problem.Code != c.Must.Code {
			t.Errorf("answered %d %s, want %d %s", resp.StatusCode, body, c.Must.Status, c.Must.Code)
		}
		return
	}
	if resp.StatusCode != nethttp.StatusSwitchingProtocols {
		t.Fatalf("answered %s, want 101", resp.Status)
	}
	switch {
	case c.Input.Frames != "":
		frames, err := hex.DecodeString(c.Input.Frames)
		if err != nil {
			t.Fatal(err)
		}
		p.write(frames)
	case c.Input.Text != nil:
		p.write(frame(0x81, c.Input.Text))
	case c.Input.Gen.Zeros > 0:
		p.write(deflated(t, c.Input.Gen.Zeros))
	case c.Input.Gen.Pings > 0:
		go func() { // it may be cut in the middle
			for range c.Input.Gen.Pings {
				if _, err := p.nc.Write(frame(0x89, nil)); err != nil {
					return
				}
			}
		}()
	case c.Input.Gen.Read != nil:
		c.stall(t, r, p)
	}
	if c.Must.Outcome == "error_frame" {
		p.wantError(c.Must.Code)
		p.write(frame(0x81, []byte("{again"))) // it is still open
		p.wantError("bad_json")
		if n := fedmsgtest.Value(r.feed, "messages_rejected_total"); n < refused+2 {
			t.Errorf("%g refusals were counted, want 2", n-refused)
		}
		return
	}
	code, reason := p.closed()
	if code != c.Must.CloseCode || c.Must.Reason != "" && reason != c.Must.Reason {
		t.Errorf("closed with %d %q, want %d %q", code, reason, c.Must.CloseCode, c.Must.Reason)
	}
	if grown := heap() - before; c.Must.Growth > 0 && grown > c.Must.Growth<<20 {
		t.Errorf("the heap grew by %d bytes, at most %d MiB are allowed", grown, c.Must.Growth)
	}
}

func (p *peer) wantError(code string) {
	p.t.Helper()
	op, text := p.next()
	var said struct{ Code string }
	if err := json.Unmarshal(text, &said); err != nil || op != 1 || said.Code != code {
		p.t.Errorf("a frame %d %s came, %v, want an error %s", op, text, err, code)
	}
}

// stall subscribes and does not read, while the bus goes on and others read.
func (c badCase) stall(t *testing.T, r *rig, p *peer) {
	t.Helper()
	p.write(frame(0x81, []byte(`{"topic": "__topic_subscribe__", "body": "*"}`)))
	p.write(frame(0x81, []byte("{oops")))
	p.wantError("bad_json")
	reader := dial(t, r.addr)
	subscribe(t, reader, "load.*")
	cut := fedmsgtest.Value(r.feed, "slow_consumers_total", "edge", "ws")
	body := fmt.Sprintf(`{"text": %q}`, strings.Repeat("x", 30_000))
	for i := 0; fedmsgtest.Value(r.feed, "slow_consumers_total", "edge", "ws") == cut; i++ {
		if i == 5000 {
			t.Fatal("nobody was cut")
		}
		m := fedmsgtest.MessageOf(100_000+i, fedmsg.Topic(fmt.Sprintf("load.m%d", i)), body)
		r.say(t, m)
		if said := next(t, reader); string(said["topic"]) != fmt.Sprintf("%q", m.Topic) {
			t.Fatalf("another reader gets %s, want %s", said["topic"], m)
		}
	}
}
