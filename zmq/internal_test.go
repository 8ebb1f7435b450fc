package zmq

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// parsed is all that a reader makes of a peer's bytes.
type parsed struct {
	commands [][]byte
	messages [][][]byte
}

// parse reads until the bytes end or are refused.
func parse(src io.Reader, limit int) (p parsed, largest int, err error) {
	r := newReader(src, limit)
	for {
		frames, err := r.message(func(body []byte) error {
			p.commands = append(p.commands, bytes.Clone(body))
			return nil
		})
		largest = max(largest, len(r.buf))
		if err != nil {
			return p, largest, err
		}
		var message [][]byte
		for _, f := range frames {
			message = append(message, bytes.Clone(f))
		}
		p.messages = append(p.messages, message)
	}
}

// bytes spells what was parsed, commands first.
func (p parsed) bytes() (b []byte) {
	for _, c := range p.commands {
		b = append(appendHead(b, flagCommand, len(c)), c...)
	}
	for _, m := range p.messages {
		for i, f := range m {
			flags := byte(flagMore)
			if i == len(m)-1 {
				flags = 0
			}
			b = append(appendHead(b, flags, len(f)), f...)
		}
	}
	return b
}

func (p parsed) equal(q parsed) bool {
	return slices.EqualFunc(p.commands, q.commands, bytes.Equal) &&
		slices.EqualFunc(p.messages, q.messages, func(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) })
}

// FuzzZMTP holds for whatever a peer sends: it ends with a refusal or with the
// end of the bytes; memory is bounded by what came, not by what was announced;
// how the bytes were cut into reads makes no difference; and what was parsed,
// spelled again, parses to the same.
func FuzzZMTP(f *testing.F) {
	for _, seed := range [][]byte{
		nil,
		ready("SUB"),
		appendCommand(nil, "SUBSCRIBE", []byte("org.fedoraproject.")...),
		[]byte("\x00\x01\x01\x00\x06\x00org.a"),
		slices.Concat(newPacket("org.a", make([]byte, 300)).head, make([]byte, 300)),
		[]byte("\x01\x01a\x04\x07\x04PING\x00\x01\x00\x02{}"), // a command inside a message
		[]byte("\x02\x7f\xff\xff\xff\xff\xff\xff\xff"),
		[]byte("\x02\xff\xff\xff\xff\xff\xff\xff\xff"),
		[]byte("\x02\x00\x00\x00\x00\x00\x00\x00\x01x"), // longer than need be
		bytes.Repeat([]byte("\x01\x01x"), 20),
		[]byte("\x08\x00"), []byte("\x05\x00"),
		greeting(),
	} {
		f.Add(seed)
	}
	const limit = 1 << 16
	f.Fuzz(func(t *testing.T, in []byte) {
		got, largest, err := parse(bytes.NewReader(in), limit)
		if fedmsg.ReasonOf(err) == "" && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%v is neither a refusal nor an end", err)
		}
		if allowed := max(minBuffer, 2*len(in)); largest > max(allowed, usualBuffer) || largest > 2*limit {
			t.Fatalf("a buffer of %d bytes for %d that came", largest, len(in))
		}
		for _, m := range got.messages {
			if n := len(bytes.Join(m, nil)); len(m) > maxFrames || n > limit {
				t.Fatalf("a message of %d frames and %d bytes passed", len(m), n)
			}
		}
		slow, _, slowErr := parse(iotest.OneByteReader(bytes.NewReader(in)), limit)
		if !slow.equal(got) || fedmsg.ReasonOf(slowErr) != fedmsg.ReasonOf(err) {
			t.Fatalf("byte by byte: %v, %v\nat once: %v, %v", slow, slowErr, got, err)
		}
		again, _, err := parse(bytes.NewReader(got.bytes()), limit)
		if !again.equal(got) || !errors.Is(err, io.EOF) {
			t.Fatalf("spelled again: %v, %v\nfirst: %v", again, err, got)
		}
		for _, c := range got.commands {
			name, data, err := splitCommand(c)
			if err != nil {
				continue
			}
			if b := appendCommand(nil, name, data...); !bytes.HasSuffix(b, c) {
				t.Fatalf("command %q is spelled %q", c, b)
			}
			if _, err := socketType(data); err != nil && fedmsg.ReasonOf(err) == "" {
				t.Fatal(err)
			}
		}
	})
}

// FuzzHandshake holds for whatever a peer says instead of a greeting: an end, a
// refusal or a handshake, at once.
func FuzzHandshake(f *testing.F) {
	f.Add(append(greeting(), ready("SUB")...))
	f.Add(append(greeting(), ready("REP")...))
	f.Add(greeting()[:30])
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte{0x16, 3, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		c := newConn(said{Reader: bytes.NewReader(in)})
		err := c.handshake("PUB", time.Minute)
		if err != nil && fedmsg.ReasonOf(err) == "" && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%v is neither a refusal nor an end", err)
		}
		if len(c.in.buf) > 2*maxCommand {
			t.Fatalf("a buffer of %d bytes", len(c.in.buf))
		}
	})
}

// said is a connection to somebody who has said all at once.
type said struct {
	net.Conn
	io.Reader
}

func (s said) Read(b []byte) (int, error) { return s.Reader.Read(b) }
func (said) Write(b []byte) (int, error)  { return len(b), nil }
func (said) SetDeadline(time.Time) error  { return nil }
func (said) RemoteAddr() net.Addr         { return nil }

// A large message comes in pieces; the buffer grows with them, and shrinks
// again when it is done.
func TestReaderGrowsAndShrinks(t *testing.T) {
	large := append(appendHead(nil, 0, 1<<20), make([]byte, 1<<20)...)
	small := []byte("\x00\x01x")
	r := newReader(io.MultiReader(bytes.NewReader(large), bytes.NewReader(small), bytes.NewReader(small)), 2<<20)
	var sizes []int
	for range 3 {
		frames, err := r.message(nil)
		if err != nil || len(frames) != 1 {
			t.Fatalf("message = %d frames, %v, want 1", len(frames), err)
		}
		sizes = append(sizes, len(r.buf))
	}
	if sizes[0] > 2<<20 || sizes[2] != usualBuffer {
		t.Errorf("buffers of %v bytes, want at most 2 MiB, then %d", sizes, usualBuffer)
	}
}

// A peer that is away is dialed after waits that double from 100 ms to 1 s,
// half of each by chance; when it was there, they begin anew.
func TestReconnectWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := NewPub(PubConfig{Connect: []string{"tcp://relay.example.org:2003"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		const stay = time.Millisecond
		var at []time.Duration
		began := time.Now()
		p.socket.dial = func(context.Context, Addr) (net.Conn, error) {
			at = append(at, time.Since(began))
			if len(at) != 8 {
				return nil, errors.New("connection refused")
			}
			ours, theirs := net.Pipe()
			go func() {
				defer theirs.Close()
				go io.Copy(io.Discard, theirs) // a pipe holds nothing
				for _, say := range [][]byte{greeting(), ready("SUB")} {
					if _, err := theirs.Write(say); err != nil {
						t.Error(err)
					}
				}
				time.Sleep(stay)
			}()
			return ours, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		time.Sleep(10 * time.Second) // fake
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		want := []time.Duration{0, 100, 200, 400, 800, 1000, 1000, 1000, 100, 200, 400}
		if len(at) < len(want) {
			t.Fatalf("dialed at %v, want more often", at)
		}
		for i := 1; i < len(want); i++ {
			limit := want[i] * time.Millisecond
			if wait := at[i] - at[i-1]; wait < limit/2 || wait > limit+stay {
				t.Errorf("wait %d is %s, want from %s to %s", i, wait, limit/2, limit)
			}
		}
	})
}

// A few lines a second, then the number of those that were not written.
func TestLimited(t *testing.T) {
	var l limited
	now := time.Unix(1, 0)
	passed := 0
	for range 100 {
		if _, ok := l.allow(now); ok {
			passed++
		}
	}
	if passed != linesPerSecond {
		t.Errorf("%d lines passed, want %d", passed, linesPerSecond)
	}
	if suppressed, ok := l.allow(now.Add(time.Second)); !ok || suppressed != 100-linesPerSecond {
		t.Errorf("allow = %d, %v, want %d, true", suppressed, ok, 100-linesPerSecond)
	}
}
