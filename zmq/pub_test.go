package zmq_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/zmtp"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// Both forms of a subscription count together, and as often as they came.
func TestPubCountsSubscriptions(t *testing.T) {
	p := publisher(t, zmq.PubConfig{}, nil)
	nc := rawPeer(t, p.Addrs()[0], "SUB", "PUB")
	steps := []struct {
		say  string
		want bool // that org.a.b comes
	}{
		{"\x04\x0f\x09SUBSCRIBEorg.a", true},
		{"\x00\x06\x01org.a", true}, // twice now
		{"\x04\x0c\x06CANCELorg.a", true},
		{"\x04\x0c\x06CANCELorg.x", true}, // there was none
		{"\x00\x06\x00org.a", false},
		{"\x00\x06\x00org.a", false}, // one too many
		{"\x04\x0a\x09SUBSCRIBE", true},
		{"\x00\x06\x01org.b", true},
		{"\x04\x07\x06CANCEL", false},
		{"\x00\x07\x01org.a.", true},
		{"\x00\x06\x02org.a", true},                   // neither 0 nor 1: not for us
		{"\x00\x00", true},                            // an empty message
		{"\x01\x01\x00\x00\x07\x00org.a.", true},      // only the first frame of a message counts
		{"\x04\x05\x04JUNK\x00\x07\x00org.a.", false}, // an unknown command before it
	}
	for i, step := range steps {
		write(t, nc, []byte(step.say))
		settle(t, nc)
		var want []byte
		if takers := p.Send("org.a.b", []byte("{}")); (takers == 1) != step.want {
			t.Errorf("step %d: Send = %d, want it to be queued: %v", i, takers, step.want)
		} else if takers == 1 {
			want = zmtp.Frames([]byte("org.a.b"), []byte("{}"))
		}
		expect(t, nc, fmt.Sprintf("the message after step %d", i), want)
	}
}

// What one connection may not do, and what it is closed for.
func TestPubClosesConnections(t *testing.T) {
	tests := []struct {
		name string
		say  []byte
		want fedmsg.Reason
	}{
		{"a long subscription", []byte("\x02\x00\x00\x00\x00\x00\x01\x00\x00"), fedmsg.TooLarge},
		{"a long command", []byte("\x06\x00\x00\x00\x00\x00\x01\x00\x00"), fedmsg.TooLarge},
		{"a prefix longer than any topic", zmtp.Frames(append([]byte{1}, make([]byte, 600)...)), fedmsg.TooLarge},
		{"four subscriptions", []byte("\x00\x02\x01a\x00\x02\x01a\x00\x02\x01b\x00\x02\x01c\x00\x02\x01d"), fedmsg.TooManySubscriptions},
		{"frames without end", bytes.Repeat([]byte{1, 0}, 17), fedmsg.FrameCount},
		{"a flag that is not there", []byte("\x08\x00"), zmq.ProtocolError},
		{"a command that goes on", []byte("\x05\x05\x04JUNK"), zmq.ProtocolError},
		{"a command without a name", []byte("\x04\x00"), zmq.ProtocolError},
		{"a command with half a name", []byte("\x04\x02\x04J"), zmq.ProtocolError},
		{"an error", []byte("\x04\x0a\x05ERROR\x03bye"), zmq.ProtocolError},
		{"a large ping", append([]byte("\x04\x28\x04PING"), make([]byte, 35)...), zmq.ProtocolError},
	}
	p := publisher(t, zmq.PubConfig{Tuning: zmq.Tuning{MaxSubscriptions: 3}}, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			nc := rawPeer(t, p.Addrs()[0], "SUB", "PUB")
			before := fedmsgtest.Value(p, "messages_rejected_total", "edge", "zmq", "reason", string(tt.want))
			write(t, nc, tt.say)
			wantClosed(t, nc)
			fedmsgtest.Eventually(t, 5*time.Second, "a refusal that is counted as "+string(tt.want), func() bool {
				return fedmsgtest.Value(p, "messages_rejected_total", "edge", "zmq", "reason", string(tt.want)) == before+1
			})
		})
	}
	if got := fedmsgtest.Value(p, "messages_rejected_total"); got != float64(len(tests)) {
		t.Errorf("%v refusals were counted, want %d", got, len(tests))
	}
}

func wantClosed(t *testing.T, nc net.Conn) {
	t.Helper()
	if err := nc.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, nc); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("not closed: %v", err)
	}
}

// Peers that are no subscribers, in the handshake.
func TestPubHandshake(t *testing.T) {
	v2 := []byte("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01\x02\x00\x00")
	tests := []struct {
		name string
		say  []byte
		want fedmsg.Reason // "" is a success
	}{
		{"3.1", append(zmtp.Greeting(1), zmtp.Ready("SUB")...), ""},
		{"3.0", append(zmtp.Greeting(0), zmtp.Ready("SUB")...), ""},
		{"a later version", append(append([]byte("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x04\x02"), zmtp.Greeting(0)[12:]...), zmtp.Ready("XSUB")...), ""},
		{"a signature with other padding", append(append([]byte("\xff12345678\x7f"), zmtp.Greeting(0)[10:]...), zmtp.Ready("SUB")...), ""},
		{"1.0", []byte("\x01\x00"), zmq.ProtocolError},
		{"2.0", v2, zmq.ProtocolError},
		{"no signature", []byte("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7e"), zmq.ProtocolError},
		{"curve", append(zmtp.Greeting(1)[:12], append([]byte("CURVE"), make([]byte, 47)...)...), zmq.ProtocolError},
		{"another publisher", append(zmtp.Greeting(1), zmtp.Ready("PUB")...), zmq.ProtocolError},
		{"no socket type", append(zmtp.Greeting(1), "\x04\x06\x05READY"...), zmq.ProtocolError},
		{"half a property", append(zmtp.Greeting(1), "\x04\x0b\x05READY\x0bSock"...), zmq.ProtocolError},
		{"a property that is longer than the command", append(zmtp.Greeting(1), "\x04\x0c\x05READY\x01a\x00\x00\xff\x00"...), zmq.ProtocolError},
		{"a message instead", append(zmtp.Greeting(1), "\x00\x01\x01"...), zmq.ProtocolError},
		{"another command instead", append(zmtp.Greeting(1), "\x04\x0a\x09SUBSCRIBE"...), zmq.ProtocolError},
		{"an error instead", append(zmtp.Greeting(1), "\x04\x09\x05ERROR\x02no"...), zmq.ProtocolError},
		{"a READY without end", append(zmtp.Greeting(1), "\x06\x00\x00\x00\x00\x00\x01\x00\x00"...), fedmsg.TooLarge},
		{"nothing", nil, fedmsg.HandshakeTimeout},
		{"half a signature", []byte("\xff\x00\x00"), fedmsg.HandshakeTimeout},
		{"a greeting and no more", zmtp.Greeting(1), fedmsg.HandshakeTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // some of them only wait
			limit := 10 * time.Second
			if tt.want == fedmsg.HandshakeTimeout {
				limit = 200 * time.Millisecond
			}
			p := publisher(t, zmq.PubConfig{Tuning: zmq.Tuning{Handshake: limit}}, nil)
			nc := dial(t, p.Addrs()[0])
			write(t, nc, tt.say)
			if tt.want == "" {
				fedmsgtest.Eventually(t, 5*time.Second, "a client", func() bool { return fedmsgtest.Value(p, "clients") == 1 })
				return
			}
			wantClosed(t, nc)
			if got := fedmsgtest.Value(p, "messages_rejected_total", "reason", string(tt.want)); got != 1 || fedmsgtest.Value(p, "messages_rejected_total") != 1 {
				t.Errorf("%v were counted as %s, want 1 and no other", got, tt.want)
			}
		})
	}
}

func TestPubTooManyConnections(t *testing.T) {
	p := publisher(t, zmq.PubConfig{Tuning: zmq.Tuning{MaxConnections: 2}}, nil)
	first := rawSubscriber(t, p.Addrs()[0])
	rawSubscriber(t, p.Addrs()[0])
	third := dial(t, p.Addrs()[0])
	wantClosed(t, third)
	if got := fedmsgtest.Value(p, "messages_rejected_total", "reason", string(fedmsg.TooManyConnections)); got != 1 {
		t.Errorf("%v connections were refused, want 1", got)
	}
	first.Close()
	fedmsgtest.Eventually(t, 5*time.Second, "a free place", func() bool { return fedmsgtest.Value(p, "zmq_connections", "socket", "pub") == 1 })
	rawSubscriber(t, p.Addrs()[0])
}

// One subscriber never reads. Its messages are dropped, then it is
// disconnected; the other one gets all of them.
func TestPubSlowSubscriber(t *testing.T) {
	const count = 5000
	book := new(fedmsgtest.LogBook)
	base := fedmsgtest.InUse(t)
	cfg := zmq.PubConfig{Bind: []string{"tcp://127.0.0.1:0"}, Queue: count, QueueBytes: 4 << 20, Tuning: zmq.Tuning{Stall: 2 * time.Second}}
	p, err := zmq.NewPub(cfg, book.Logger(slog.LevelInfo))
	if err != nil {
		t.Fatal(err)
	}
	stop := fedmsgtest.Start(t, "pub", p.Run)
	silent := rawSubscriber(t, p.Addrs()[0])
	s, err := zmq.NewSub(zmq.SubConfig{Connect: p.Addrs()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sum, want := sha256.New(), sha256.New()
	var got atomic.Int64
	stopSub := fedmsgtest.Start(t, "sub", func(ctx context.Context) error {
		return s.Run(ctx, func(_ netip.AddrPort, frames [][]byte) {
			sum.Write(frames[1])
			got.Add(1)
		})
	})
	fedmsgtest.Eventually(t, 5*time.Second, "two subscribers", func() bool { return p.Send("org.hello", nil) == 2 })
	fedmsgtest.Eventually(t, 5*time.Second, "the greeting", func() bool { return got.Load() > 0 })
	first := got.Load()
	sum.Reset()
	for n := range int64(count) {
		body := bytes.Repeat([]byte{byte(n)}, 3000)
		want.Write(body)
		p.Send("org.a", body)
		if n%100 == 0 { // as fast as the one who reads, not faster
			fedmsgtest.Eventually(t, 5*time.Second, "most messages", func() bool { return got.Load() >= first+n-1000 })
		}
	}
	fedmsgtest.Eventually(t, 5*time.Second, "all messages", func() bool { return got.Load() == first+count })
	if !bytes.Equal(sum.Sum(nil), want.Sum(nil)) {
		t.Error("the bytes are not the same")
	}
	if got := fedmsgtest.Value(p, "messages_dropped_total", "edge", "zmq", "reason", "slow_consumer"); got < 100 {
		t.Errorf("%v messages were dropped for the one who does not read; there were 15 MB for a queue of 4 MiB", got)
	}
	if got := fedmsgtest.Value(p, "slow_consumers_total"); got < 1 {
		// It may begin to lose messages twice: while the kernel's buffer grows it takes some again.
		t.Errorf("%v slow consumers, want the silent one", got)
	}
	fedmsgtest.Eventually(t, 5*time.Second, "the slow one's end", func() bool { return fedmsgtest.Value(p, "clients") == 1 })
	if got := fedmsgtest.Value(p, "messages_rejected_total", "reason", string(fedmsg.SlowConsumer)); got != 1 {
		t.Errorf("%v connections were closed as slow, want 1", got)
	}
	silent.Close()
	stopSub()
	stop()
	fedmsgtest.Returns(t, 5*time.Second, base)
	fedmsgtest.NoControls(t, book.String())
}

// Two thousand connections that say nothing hold up nobody, and are closed.
func TestPubSilentConnections(t *testing.T) {
	count := 2000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if room := int(limit.Cur/2) - 200; room < count {
		t.Logf("only %d connections, since %d files may be open", room, limit.Cur)
		count = room
	}
	p := publisher(t, zmq.PubConfig{Tuning: zmq.Tuning{Handshake: 2 * time.Second}}, nil)
	nc := rawSubscriber(t, p.Addrs()[0])
	settle(t, nc)
	base := fedmsgtest.InUse(t)
	var silent []net.Conn
	for range count {
		silent = append(silent, dial(t, p.Addrs()[0]))
	}
	fedmsgtest.Eventually(t, 5*time.Second, "all connections", func() bool { return fedmsgtest.Value(p, "zmq_connections") == float64(count+1) })
	p.Send("org.a", []byte("{}"))
	expect(t, nc, "the message of the one who reads", zmtp.Frames([]byte("org.a"), []byte("{}")))
	rawSubscriber(t, p.Addrs()[0]).Close()
	fedmsgtest.Eventually(t, 10*time.Second, "their end", func() bool {
		return fedmsgtest.Value(p, "messages_rejected_total", "reason", string(fedmsg.HandshakeTimeout)) == float64(count)
	})
	for _, nc := range silent {
		nc.Close()
	}
	fedmsgtest.Returns(t, 5*time.Second, base)
}

// highestFile returns the highest file descriptor that is in use.
func highestFile(t *testing.T) (highest uint64) {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("no list of open files: %v", err)
	}
	for _, f := range files {
		if n, err := strconv.ParseUint(f.Name(), 10, 64); err == nil {
			highest = max(highest, n)
		}
	}
	return highest
}

// Without a file descriptor nobody can be accepted; with one again they are.
func TestPubOutOfFiles(t *testing.T) {
	p := publisher(t, zmq.PubConfig{}, nil)
	settle(t, rawSubscriber(t, p.Addrs()[0]))
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("tcp", strings.TrimPrefix(p.Addrs()[0], "tcp://")) // has the resolver and the poller open what they need
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	fedmsgtest.Eventually(t, time.Second, "both connections", func() bool { return fedmsgtest.Value(p, "zmq_connections") == 2 })
	var held []*os.File
	few := limit
	few.Cur = highestFile(t) + 2
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	restore := func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}
	defer restore()
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		defer f.Close()
		held = append(held, f)
	}
	held[0].Close() // for this side of the next connection
	late, err := net.Dial("tcp", strings.TrimPrefix(p.Addrs()[0], "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	if err := late.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := late.Read(make([]byte, 10)); err == nil {
		t.Fatalf("%d bytes came without a file descriptor for the connection", n)
	}
	restore()
	expect(t, late, "the signature, later", zmtp.Greeting(1)[:10])
}

// A socket that is closed still sends what is queued.
func TestPubLingers(t *testing.T) {
	const count = 5000
	p, err := zmq.NewPub(zmq.PubConfig{Bind: []string{"tcp://127.0.0.1:0"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	stop := fedmsgtest.Start(t, "pub", p.Run)
	nc := rawSubscriber(t, p.Addrs()[0])
	waitSubscribed(t, p)
	var want int
	for range count {
		p.Send("org.a", make([]byte, 1000))
		want += len(zmtp.Frames([]byte("org.a"), make([]byte, 1000)))
	}
	go stop()
	if got, err := io.Copy(io.Discard, nc); got != int64(want) || err != nil {
		t.Errorf("%d bytes came, %v, want %d", got, err, want)
	}
	stop()

	_, err = net.DialTimeout("tcp", strings.TrimPrefix(p.Addrs()[0], "tcp://"), time.Second)
	if err == nil {
		t.Error("the socket is still bound")
	}
}

// A program that publishes one message and ends: it waits for the relay, sends,
// and makes sure that the kernel has it.
func TestPubOneShot(t *testing.T) {
	b := new(bus)
	_, addr := source(t, zmq.SourceConfig{}, b, nil)
	for n := range 20 {
		p, err := zmq.NewPub(zmq.PubConfig{Connect: []string{addr}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		stop := fedmsgtest.Start(t, "pub", p.Run)
		waitSubscribed(t, p)
		m := message(t, n)
		if takers := p.Send(string(m.Topic), m.Bytes()); takers != 1 {
			t.Errorf("Send = %d, want 1", takers)
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		stop()
	}
	fedmsgtest.Eventually(t, 5*time.Second, "all messages", func() bool { return b.count() == 20 })
}

func TestPubWaitSubscribedEnds(t *testing.T) {
	p := publisher(t, zmq.PubConfig{}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.WaitSubscribed(ctx); err == nil || !strings.Contains(err.Error(), "no subscriber") {
		t.Errorf("WaitSubscribed = %v, want that there is none", err)
	}
	nc := rawSubscriber(t, p.Addrs()[0])
	waitSubscribed(t, p)
	nc.Close()
	fedmsgtest.Eventually(t, 5*time.Second, "nobody again", func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		return p.WaitSubscribed(ctx) != nil
	})
}
