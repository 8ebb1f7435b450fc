package zmq_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// A bus notes what is published on it, and answers as it is told.
type bus struct {
	mu      sync.Mutex
	got     []*fedmsg.Message
	origins []fedmsg.Origin
	calls   int
	answer  func(m *fedmsg.Message) error
}

func (b *bus) Publish(ctx context.Context, messages ...*fedmsg.Message) []fedmsg.Receipt {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	receipts := make([]fedmsg.Receipt, len(messages))
	for i, m := range messages {
		if b.answer != nil {
			if receipts[i].Err = b.answer(m); receipts[i].Err != nil {
				continue
			}
		}
		b.got = append(b.got, m)
		b.origins = append(b.origins, fedmsg.OriginFrom(ctx))
		receipts[i].Seq = fedmsg.Seq(len(b.got))
	}
	return receipts
}

func (b *bus) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.got)
}

func (b *bus) has(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.got {
		if m.ID == id {
			return true
		}
	}
	return false
}

// source starts a source on a free port.
func source(t testing.TB, cfg zmq.SourceConfig, b fedmsg.Publisher, logger *slog.Logger) (*zmq.Source, string) {
	t.Helper()
	if len(cfg.Connect) == 0 {
		cfg.Bind = []string{"tcp://127.0.0.1:0"}
	}
	s, err := zmq.NewSource(cfg, logger)
	if err != nil {
		t.Fatal(err)
	}
	fedmsgtest.Start(t, "source", func(ctx context.Context) error { return s.Run(ctx, b) })
	addr := ""
	if len(s.Addrs()) > 0 {
		addr = s.Addrs()[0]
	}
	return s, addr
}

// publisher starts a publisher; without an address it binds a free port.
func publisher(t testing.TB, cfg zmq.PubConfig, logger *slog.Logger) *zmq.Pub {
	t.Helper()
	if len(cfg.Bind)+len(cfg.Connect) == 0 {
		cfg.Bind = []string{"tcp://127.0.0.1:0"}
	}
	p, err := zmq.NewPub(cfg, logger)
	if err != nil {
		t.Fatal(err)
	}
	fedmsgtest.Start(t, "pub", p.Run)
	return p
}

// connected starts a publisher that is connected to addr and subscribed to.
func connected(t testing.TB, addr string) *zmq.Pub {
	t.Helper()
	p := publisher(t, zmq.PubConfig{Connect: []string{addr}, Queue: 1 << 20}, nil)
	waitSubscribed(t, p)
	return p
}

func waitSubscribed(t testing.TB, p *zmq.Pub) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := p.WaitSubscribed(ctx); err != nil {
		t.Fatal(err)
	}
}

// message makes a message that can be told from others by its number.
func message(t testing.TB, n int) *fedmsg.Message {
	t.Helper()
	m, err := fedmsg.Draft{
		Topic: "org.fedoraproject.dev.logger.log", Body: fmt.Appendf(nil, `{"n":%d}`, n),
		ID: fmt.Sprintf("2026-%d", n), Time: time.Now(), Counter: n,
	}.Message()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// dial opens a plain TCP connection to a socket.
func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", strings.TrimPrefix(addr, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return nc
}
