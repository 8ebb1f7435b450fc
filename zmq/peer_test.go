package zmq_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// peer is testdata/peer.py, running.
type peer struct {
	t     testing.TB
	in    io.Writer
	lines *bufio.Scanner
	wait  func() // for its end
}

func startPeer(t testing.TB, name string, args ...string) *peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wait := sync.OnceFunc(func() {
		if err := cmd.Wait(); err != nil && !t.Failed() {
			t.Errorf("%s %s: %v", name, args[:2], err)
		}
	})
	t.Cleanup(wait)
	return &peer{t, in, bufio.NewScanner(out), wait}
}

// line returns the next line that the peer prints.
func (p *peer) line() string {
	p.t.Helper()
	if !p.lines.Scan() {
		p.t.Fatalf("the peer ended without a word: %v", p.lines.Err())
	}
	return p.lines.Text()
}

func bindOrConnect(t *testing.T, test func(t *testing.T, theirs string, bind, connect []string)) {
	free := []string{"tcp://127.0.0.1:0"}
	t.Run("they connect", func(t *testing.T) { test(t, "connect", free, nil) })
	t.Run("they bind", func(t *testing.T) { test(t, "bind", nil, nil) })
}

// Ten thousand messages to libzmq, none lost, byte for byte.
func TestPeerSubscribes(t *testing.T) {
	const count = 10_000
	py := fedmsgtest.PythonWithZMQ(t)
	bindOrConnect(t, func(t *testing.T, theirs string, bind, _ []string) {
		cfg := zmq.PubConfig{Bind: bind}
		var them *peer
		if theirs == "bind" {
			them = startPeer(t, py, "testdata/peer.py", "sub", "bind", "tcp://127.0.0.1:*", strconv.Itoa(count))
			cfg.Connect = []string{them.line()}
		}
		p, err := zmq.NewPub(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		fedmsgtest.Start(t, "pub", p.Run)
		if theirs == "connect" {
			them = startPeer(t, py, "testdata/peer.py", "sub", "connect", p.Addrs()[0], strconv.Itoa(count))
			them.line()
		}
		waitSubscribed(t, p)
		sum := sha256.New()
		var batch []fedmsg.Entry
		for n := range count {
			m := message(t, n)
			fmt.Fprintf(sum, "%s%s", m.Topic, m.Bytes())
			if batch = append(batch, fedmsg.Entry{Message: m}); len(batch) == 100 {
				if k, err := zmq.NewSink(p).Deliver(t.Context(), batch); k != len(batch) || err != nil {
					t.Fatalf("Deliver = %d, %v, want %d", k, err, len(batch))
				}
				batch = nil
			}
		}
		if got, want := them.line(), hex.EncodeToString(sum.Sum(nil)); got != want {
			t.Errorf("they received %s, want %s", got, want)
		}
	})
}

// Ten thousand messages from libzmq, none lost, byte for byte and in order.
func TestPeerPublishes(t *testing.T) {
	const count = 10_000
	py := fedmsgtest.PythonWithZMQ(t)
	bindOrConnect(t, func(t *testing.T, theirs string, bind, _ []string) {
		cfg := zmq.SourceConfig{Bind: bind}
		var them *peer
		if theirs == "bind" {
			them = startPeer(t, py, "testdata/peer.py", "pub", "bind", "tcp://127.0.0.1:*", strconv.Itoa(count))
			cfg.Connect = []string{them.line()}
		}
		b := new(bus)
		s, addr := source(t, cfg, b, nil)
		if theirs == "connect" {
			them = startPeer(t, py, "testdata/peer.py", "pub", "connect", addr, strconv.Itoa(count))
			them.line()
		}
		fedmsgtest.Eventually(t, 10*time.Second, "a probe", func() bool { return fedmsgtest.Value(s, "messages_rejected_total", "reason", "frame_count") > 0 })
		if _, err := io.WriteString(them.in, "go\n"); err != nil {
			t.Fatal(err)
		}
		want := them.line()
		fedmsgtest.Eventually(t, 20*time.Second, "all messages", func() bool { return b.count() >= count })
		sum := sha256.New()
		for _, m := range b.got {
			fmt.Fprintf(sum, "%s%s", m.Topic, m.Bytes())
		}
		if got := hex.EncodeToString(sum.Sum(nil)); got != want || len(b.got) != count {
			t.Errorf("received %d messages, %s; want %d, %s", len(b.got), got, count, want)
		}
		if b.calls > count/4 && theirs == "connect" {
			t.Logf("%d calls of Publish for %d messages", b.calls, count)
		}
	})
}

// Two hundred subscribers of libzmq come and go; one that stays gets all, and
// nothing is left of the others.
func TestPeersFlap(t *testing.T) {
	py := fedmsgtest.PythonWithZMQ(t)
	p := publisher(t, zmq.PubConfig{Queue: 1 << 20}, nil)
	s, err := zmq.NewSub(zmq.SubConfig{Connect: p.Addrs()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got atomic.Int64
	fedmsgtest.Start(t, "sub", func(ctx context.Context) error {
		return s.Run(ctx, func(netip.AddrPort, [][]byte) { got.Add(1) })
	})
	waitSubscribed(t, p)
	base := fedmsgtest.InUse(t)
	them := startPeer(t, py, "testdata/peer.py", "flap", "connect", p.Addrs()[0], "2")
	ended := make(chan string, 1)
	go func() { ended <- them.line() }()
	sent := int64(0)
	for rounds := ""; rounds == ""; {
		select {
		case rounds = <-ended:
			if n, err := strconv.Atoi(strings.TrimSpace(rounds)); err != nil || n < 2 {
				t.Errorf("only %q rounds", rounds)
			}
		case <-time.After(100 * time.Microsecond):
			p.Send("org.fedoraproject.dev.a", []byte("{}"))
			sent++
		}
	}
	fedmsgtest.Eventually(t, 5*time.Second, "all messages at the one who stays", func() bool { return got.Load() == sent })
	them.wait()
	fedmsgtest.Returns(t, 5*time.Second, base)
	if clients := fedmsgtest.Value(p, "clients"); clients != 1 {
		t.Errorf("%v clients are left, want 1", clients)
	}
}
