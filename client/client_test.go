package client_test

import (
	"context"
	"errors"
	"net"
	nethttp "net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/client"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/readers"
	"github.com/fedora-infra/fedmsg-go/mem"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// A testBus is a whole bus in memory.
type testBus struct {
	window                *bus.Window
	http, relay, outbound string // URLs
	stop                  func() error
}

func startBus(ctx context.Context) (*testBus, error) {
	window, err := bus.NewWindow(ctx, bus.WindowConfig{}, mem.NewLog())
	if err != nil {
		return nil, err
	}
	gate, err := bus.NewGate(bus.GateConfig{AllowUnsigned: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, window, nil)
	if err != nil {
		return nil, err
	}
	source, err := zmq.NewSource(zmq.SourceConfig{Bind: []string{"tcp://127.0.0.1:0"}}, nil)
	if err != nil {
		return nil, err
	}
	pub, err := zmq.NewPub(zmq.PubConfig{Bind: []string{"tcp://127.0.0.1:0"}}, nil)
	if err != nil {
		return nil, err
	}
	pump, err := bus.NewPump(bus.PumpConfig{Name: "pub", Live: true}, window, new(mem.Cursors), zmq.NewSink(pub), nil)
	if err != nil {
		return nil, err
	}
	named, err := readers.New(ctx, readers.Config{Log: window, Last: window.Last, Find: window, Notes: new(mem.Notes), Lease: time.Second}, nil)
	if err != nil {
		return nil, err
	}
	server, err := http.Listen(http.Config{Addr: "127.0.0.1:0", AllowAnonymousLoopback: true, Routes: []func(*nethttp.ServeMux){named.Mount}}, struct {
		*bus.Window
		fedmsg.Publisher
	}{window, gate}, fedmsg.Meters{}, nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		done <- bus.Run(ctx,
			bus.Stage{Name: "sources", Runners: []bus.Runner{server, bus.RunnerFunc(func(ctx context.Context) error { return source.Run(ctx, gate) })}},
			bus.Stage{Name: "sinks", Runners: []bus.Runner{pump, pub, named}})
	}()
	return &testBus{
		window: window, http: "http://" + server.Addr(), relay: source.Addrs()[0], outbound: pub.Addrs()[0],
		stop: func() error { cancel(); return <-done },
	}, nil
}

func newBus(t *testing.T) *testBus {
	t.Helper()
	b, err := startBus(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.stop(); err != nil {
			t.Errorf("the bus ended with %v", err)
		}
	})
	return b
}

func open(t *testing.T, url string) *client.Bus {
	t.Helper()
	b, err := client.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return b
}

func TestOverHTTP(t *testing.T) {
	tb := newBus(t)
	b := open(t, tb.http)
	for i := range 5 {
		r, err := b.Publish(t.Context(), "git", "repo.update", map[string]int{"n": i})
		if err != nil || !r.Confirmed || r.Seq != fedmsg.Seq(i+1) || r.Topic != "org.fedoraproject.dev.git.repo.update" {
			t.Fatalf("Publish %d = %+v, %v", i, r, err)
		}
	}
	begin := fedmsg.Seq(2)
	var got []fedmsg.Seq
	for e, err := range b.Tail(t.Context(), client.TailConfig{After: &begin, Topics: []fedmsg.Pattern{"#.git.#"}}) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, e.Seq); len(got) == 3 {
			break
		}
	}
	if want := []fedmsg.Seq{3, 4, 5}; !slices.Equal(got, want) {
		t.Errorf("Tail after 2 = %v, want %v", got, want)
	}
}

// The same message again has its old place; another one under its ID has none.
func TestSendAgain(t *testing.T) {
	b := open(t, newBus(t).http)
	draft := fedmsg.Draft{Topic: "org.fedoraproject.dev.x", ID: "2026-1", Time: time.Now(), Counter: 1, Body: []byte(`{"a":1}`)}
	send := func() (client.Receipt, error) {
		m, err := draft.Message()
		if err != nil {
			t.Fatal(err)
		}
		return b.Send(t.Context(), m)
	}
	for range 2 {
		if r, err := send(); err != nil || r.Seq != 1 {
			t.Errorf("Send = %+v, %v; want place 1", r, err)
		}
	}
	draft.Body = []byte(`{"a":2}`)
	if r, err := send(); !errors.Is(err, fedmsg.ErrConflict) {
		t.Errorf("Send of another message = %+v, %v; want ErrConflict", r, err)
	}
}

func TestOverZMQ(t *testing.T) {
	tb := newBus(t)
	in, out := open(t, tb.relay), open(t, tb.outbound)
	r, err := in.Publish(t.Context(), "git", "repo.update", nil)
	if err != nil || r.Confirmed || r.Seq != 0 {
		t.Fatalf("Publish = %+v, %v; want neither place nor confirmation", r, err)
	}
	// A subscriber gets what is published once its subscription has come; nobody
	// can tell it when that is, so publish until it has some.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if _, err := in.Publish(ctx, "git", "repo.update", map[string]string{"a": "b"}); err != nil {
				return
			}
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}()
	for e, err := range out.Tail(ctx, client.TailConfig{Topics: []fedmsg.Pattern{"org.fedoraproject.*.git.#"}}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Message.Topic != "org.fedoraproject.dev.git.repo.update" || e.Verified != "none" {
			t.Errorf("got %+v", e)
		}
		break
	}
}

func TestNobodyThere(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	for _, url := range []string{"http://" + addr, "tcp://" + addr} {
		start := time.Now()
		_, err := open(t, url).Publish(t.Context(), "git", "x", nil)
		if !errors.Is(err, fedmsg.ErrUnavailable) || !strings.Contains(fedmsg.Hint(err), "fedmsg serve") {
			t.Errorf("Publish to %s: %v, hint %q; want unavailable, and how to start a bus", url, err, fedmsg.Hint(err))
		}
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("Publish to %s took %s, want less than 4s", url, took)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, url := range []string{"ftp://127.0.0.1", "127.0.0.1:8330", "tcp://127.0.0.1", "http://"} {
		if b, err := client.Open(t.Context(), url); err == nil {
			t.Errorf("Open(%q) = %v, want an error", url, b)
		}
	}
}

func TestPublishRefusesWhatIsNoObject(t *testing.T) {
	b := open(t, newBus(t).http)
	for _, body := range []any{"text", 7, []int{1}, func() {}} {
		if r, err := b.Publish(t.Context(), "git", "x", body); !errors.Is(err, fedmsg.ErrInvalid) {
			t.Errorf("Publish(%T) = %+v, %v; want ErrInvalid", body, r, err)
		}
	}
}
