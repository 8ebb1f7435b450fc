package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// durable publishes 1 kB messages, each acknowledged only when it is on disk, with
// more and more publishers that each wait for their answer. The floor is a file
// that is appended to and synced, one sync for as many records as there are
// publishers: nothing that acknowledges truthfully can be faster.
func durable(ctx context.Context, l *lab) error {
	t := newTable(l.out, "Durable publish, 1 kB, each acknowledged after its sync; per second",
		"publishers", "floor", "ours", "ours/floor", "JetStream", "ours/JetStream")
	defer t.flush()
	for _, n := range []int{1, 16, 64, 256} {
		floor, err := appendAndSync(l, n, min(200_000, 5000*n))
		if err != nil {
			return fmt.Errorf("floor: %w", err)
		}
		ours, err := publishOurs(ctx, l, n, min(80_000, 8000+2500*(n-1)))
		if err != nil {
			return fmt.Errorf("ours: %w", err)
		}
		theirs, err := publishJetStream(ctx, l, n, 4000)
		if err != nil {
			return fmt.Errorf("JetStream: %w", err)
		}
		t.row(fmt.Sprint(n), thousands(floor), thousands(ours), ratio(ours, floor), thousands(theirs), ratio(ours, theirs))
	}
	return nil
}

// appendAndSync appends n records, with one sync after each batch.
func appendAndSync(l *lab, batch, n int) (perSecond float64, err error) {
	dir, err := l.fresh()
	if err != nil {
		return 0, err
	}
	f, err := os.Create(filepath.Join(dir, "floor"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	records := make([]byte, 1024*batch)
	start := time.Now()
	for range n / batch {
		if _, err := f.Write(records); err != nil {
			return 0, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
	}
	return rate(n/batch*batch, time.Since(start)), nil
}

// together has n workers share the numbers 0 to total-1, and returns the rate.
func together(n, total int, do func(i int) error) (perSecond float64, err error) {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	start := time.Now()
	for range n {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= total || failed.Load() != nil {
					return
				}
				if err := do(i); err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return rate(total, time.Since(start)), nil
}

// message makes an unsigned message of about size bytes.
func message(id string, size int) (*fedmsg.Message, error) {
	d := fedmsg.Draft{
		Topic: "org.fedoraproject.dev.bench.message", ID: id, Time: time.Now(), User: "bench", Counter: 1,
		Body: json.RawMessage(`{"pad":"` + strings.Repeat("x", max(1, size-160-len(id))) + `"}`),
	}
	return d.Message()
}

func messages(n, size int) ([]*fedmsg.Message, error) {
	all := make([]*fedmsg.Message, n)
	for i := range all {
		m, err := message(fedmsg.NewID(time.Now()), size)
		if err != nil {
			return nil, err
		}
		all[i] = m
	}
	return all, nil
}

// openBus opens gate, window and log as fedmsg serve does.
func openBus(ctx context.Context, dir string) (*bus.Gate, *bus.Window, *sqlite.Log, error) {
	log, err := sqlite.Open(ctx, sqlite.Config{Dir: dir}, nil)
	if err != nil {
		return nil, nil, nil, err
	}
	window, err := bus.NewWindow(ctx, bus.WindowConfig{}, log)
	if err != nil {
		return nil, nil, nil, errors.Join(err, log.Close())
	}
	gate, err := bus.NewGate(bus.GateConfig{AllowUnsigned: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, window, nil)
	if err != nil {
		return nil, nil, nil, errors.Join(err, log.Close())
	}
	return gate, window, log, nil
}

func publishOurs(ctx context.Context, l *lab, publishers, n int) (perSecond float64, err error) {
	dir, err := l.fresh()
	if err != nil {
		return 0, err
	}
	all, err := messages(n, 1024)
	if err != nil {
		return 0, err
	}
	gate, _, log, err := openBus(ctx, dir)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	return together(publishers, n, func(i int) error { return gate.Publish(ctx, all[i])[0].Err })
}

// A jet is an embedded JetStream with one stream on disk.
type jet struct {
	server *server.Server
	conn   *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
}

func startJet(ctx context.Context, dir string, sync bool) (*jet, error) {
	s, err := server.NewServer(&server.Options{
		DontListen: true, JetStream: true, StoreDir: dir, SyncAlways: sync, NoLog: true, NoSigs: true,
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	j := &jet{server: s}
	if !s.ReadyForConnections(10 * time.Second) {
		return nil, errors.Join(errors.New("not ready after 10s"), j.Close())
	}
	if j.conn, err = nats.Connect("", nats.InProcessServer(s)); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	if j.js, err = jetstream.New(j.conn, jetstream.WithPublishAsyncMaxPending(4096)); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	j.stream, err = j.js.CreateStream(ctx, jetstream.StreamConfig{Name: "bench", Subjects: []string{"bench.>"}, Storage: jetstream.FileStorage})
	if err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

func (j *jet) Close() error {
	if j.conn != nil {
		j.conn.Close()
	}
	j.server.Shutdown()
	j.server.WaitForShutdown()
	return nil
}

func publishJetStream(ctx context.Context, l *lab, publishers, n int) (perSecond float64, err error) {
	dir, err := l.fresh()
	if err != nil {
		return 0, err
	}
	j, err := startJet(ctx, dir, true)
	if err != nil {
		return 0, err
	}
	defer j.Close()
	payload := make([]byte, 1024)
	return together(publishers, n, func(int) error {
		_, err := j.js.Publish(ctx, "bench.message", payload)
		return err
	})
}
