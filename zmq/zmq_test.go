package zmq_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// shared opens a file of the shared test data.
func shared(t testing.TB, env, folder, name string) *os.File {
	t.Helper()
	dir := os.Getenv(env)
	switch {
	case dir == "":
		dir = filepath.Join("..", "..", "shared", folder)
	case !filepath.IsAbs(dir):
		dir = filepath.Join("..", dir) // as seen from the root of the repository
	}
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Skipf("no test data: set %s to their folder: %v", env, err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// rows reads a file with one JSON document a line.
func rows[T any](t testing.TB, env, folder, name string) []T {
	t.Helper()
	scan := bufio.NewScanner(shared(t, env, folder, name))
	scan.Buffer(nil, 16<<20)
	var all []T
	for scan.Scan() {
		var row T
		if err := json.Unmarshal(scan.Bytes(), &row); err != nil {
			t.Fatalf("%s line %d: %v", name, len(all)+1, err)
		}
		all = append(all, row)
	}
	if err := scan.Err(); err != nil || len(all) == 0 {
		t.Fatalf("%s: %d rows, %v", name, len(all), err)
	}
	return all
}

// start runs something that ends with its context, and ends it with the test.
// The function that it returns ends it sooner.
func start(t testing.TB, name string, run func(ctx context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("%s: Run = %v, want nil", name, err)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("%s: Run did not end within 20 s", name)
		}
	})
	t.Cleanup(stop)
	return stop
}

// within waits, for a bounded time, until something is so.
func within(t testing.TB, limit time.Duration, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

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
	start(t, "source", func(ctx context.Context) error { return s.Run(ctx, b) })
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
	start(t, "pub", p.Run)
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

// value returns the sum of a metric's samples that have all these labels.
func value(m fedmsg.Meter, name string, labels ...string) float64 {
	sum := 0.0
	for s := range m.Samples() {
		have := make(map[string]string)
		for i := 0; i < len(s.Labels); i += 2 {
			have[s.Labels[i]] = s.Labels[i+1]
		}
		ok := s.Name == name
		for i := 0; i < len(labels); i += 2 {
			ok = ok && have[labels[i]] == labels[i+1]
		}
		if ok {
			sum += s.Value
		}
	}
	return sum
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

// resources are what must not leak.
type resources struct{ goroutines, files int }

func inUse(t testing.TB) resources {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return resources{runtime.NumGoroutine(), len(files)}
}

// returnsTo waits until no more is in use than before.
func returnsTo(t testing.TB, base resources) {
	t.Helper()
	var now resources
	within(t, 5*time.Second, fmt.Sprintf("back to %+v", base), func() bool {
		now = inUse(t)
		return now.goroutines <= base.goroutines && now.files <= base.files
	})
}

// A logBook keeps what is logged, for tests that read it.
type logBook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logBook) lines() iter.Seq[string] {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Lines(l.text.String())
}

func (l *logBook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
