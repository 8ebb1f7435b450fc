package fedmsgtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Eventually waits, for a bounded time, until something named is so. If it does
// not become so, the test ends.
func Eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}

// Start runs what ends with its context, and ends it with the test. It must end
// within 20 s, and return nil. stop ends it sooner, and may be called again.
func Start(t testing.TB, name string, run func(ctx context.Context) error) (stop func()) {
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

// Resources are what must not leak from this process.
type Resources struct{ Goroutines, Files int }

// InUse counts what is in use now. Files is 0 where open files cannot be
// counted, for want of /proc.
func InUse(t testing.TB) Resources {
	t.Helper()
	// The first socket of a process has the runtime open files of its own, which stay.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return Resources{runtime.NumGoroutine(), len(files)}
}

// Returns waits until no more is in use than before.
func Returns(t testing.TB, within time.Duration, before Resources) {
	t.Helper()
	Eventually(t, within, fmt.Sprintf("back to %+v", before), func() bool {
		now := InUse(t)
		return now.Goroutines <= before.Goroutines && now.Files <= before.Files
	})
}

// Value sums the samples of a metric that have all these labels: name, value,
// name, value ...
func Value(m fedmsg.Meter, name string, labels ...string) (sum float64) {
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

// A LogBook keeps what is written to it, and can be read meanwhile. Its zero
// value is ready.
type LogBook struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write never fails.
func (l *LogBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String is all that was written so far.
func (l *LogBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Logger writes to the book, one line a record, records of a level and above.
func (l *LogBook) Logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: level}))
}

// NoControls checks that no line of a log has a character that a terminal
// would obey.
func NoControls(t testing.TB, log string) {
	t.Helper()
	for line := range strings.Lines(log) {
		if i := strings.IndexFunc(strings.TrimSuffix(line, "\n"), unicode.IsControl); i >= 0 {
			t.Errorf("a control character at byte %d of the log line %q", i, line)
		}
	}
}
