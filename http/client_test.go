package http_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
)

func newClient(t *testing.T, url, token string) *http.Client {
	t.Helper()
	c, err := http.New(http.ClientConfig{URL: url, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestClientPublishes(t *testing.T) {
	r := start(t, nil)
	c := newClient(t, r.url, "")
	first, err := c.Publish(t.Context(), http.PublishRequest{Modname: "git", Topic: "push", Msg: []byte(`{"repo":"kernel"}`), User: "ralph"})
	if err != nil || first.Seq != 1 || first.Topic != "org.fedoraproject.dev.git.push" || first.Duplicate {
		t.Fatalf("Publish = %+v, %v", first, err)
	}
	again, err := c.Publish(t.Context(), http.PublishRequest{Modname: "git", Topic: "push", Msg: []byte(`{"repo": "kernel"}`), ID: first.ID, User: "ralph"})
	if err != nil || again.Seq != 1 || !again.Duplicate {
		t.Errorf("Publish of the same ID = %+v, %v, want a duplicate of 1", again, err)
	}
	_, err = c.Publish(t.Context(), http.PublishRequest{Modname: "git", Topic: "push", Msg: []byte(`{"repo":"other"}`), ID: first.ID, User: "ralph"})
	if fedmsg.ReasonOf(err) != fedmsg.MsgIDConflict || !errors.Is(err, fedmsg.ErrConflict) {
		t.Errorf("Publish of another message under that ID = %v, want msg_id_conflict", err)
	}
	_, err = c.Publish(t.Context(), http.PublishRequest{Topic: "a..b"})
	if refusal, ok := errors.AsType[*fedmsg.Refusal](err); !ok || refusal.Reason != fedmsg.BadTopic || !errors.Is(err, fedmsg.ErrInvalid) {
		t.Errorf("Publish on a..b = %v, want bad_topic", err)
	}
	now := time.Now()
	m, err := fedmsg.Draft{Topic: freeTopic, ID: fedmsg.NewID(now), Time: now, User: "ralph"}.Message()
	if err != nil {
		t.Fatal(err)
	}
	for _, duplicate := range []bool{false, true} {
		if p, err := c.PublishMessage(t.Context(), m); err != nil || p.Seq != 2 || p.Duplicate != duplicate {
			t.Errorf("PublishMessage = %+v, %v, want 2, duplicate %v", p, err, duplicate)
		}
	}
	e, err := c.Message(t.Context(), m.ID)
	if err != nil || e.Seq != 2 || string(e.Message.Bytes()) != string(m.Bytes()) || e.Verified != fedmsg.Unverified {
		t.Errorf("Message = %v, %v, want what was published, byte by byte", e, err)
	}
	if _, err := c.Message(t.Context(), "nope"); !errors.Is(err, fedmsg.ErrNotFound) {
		t.Errorf("Message(nope) = %v, want ErrNotFound", err)
	}
}

func TestClientGivesUpSoon(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + ln.Addr().String()
	ln.Close()
	c := newClient(t, url, "")
	for name, try := range map[string]func() error{
		"Publish": func() error {
			_, err := c.Publish(t.Context(), http.PublishRequest{Topic: freeTopic})
			return err
		},
		"Tail": func() error {
			for _, err := range c.Tail(t.Context(), http.TailConfig{}) {
				return err
			}
			return nil
		},
		"Messages": func() error {
			_, err := c.Messages(t.Context(), 0, 0)
			return err
		},
	} {
		began := time.Now()
		err := try()
		if took := time.Since(began); !errors.Is(err, fedmsg.ErrUnavailable) || !strings.Contains(fedmsg.Hint(err), "fedmsg serve") || took > 4*time.Second {
			t.Errorf("%s without a bus = %v after %s, hint %q; want ErrUnavailable within 4 s", name, err, took, fedmsg.Hint(err))
		}
	}
}

func TestClientRefusesBadURLs(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:8330", "ftp://x", "http://", "http://u:p@x", "http://x?token=1", "http://[::1"} {
		if _, err := http.New(http.ClientConfig{URL: url}); !errors.Is(err, fedmsg.ErrInvalid) {
			t.Errorf("New(%q) = %v, want ErrInvalid", url, err)
		}
	}
}

// A busy bus is asked again; a token is sent, but not to where a redirect leads.
func TestClientTriesAgain(t *testing.T) {
	var asked atomic.Int32
	srv := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if r.Header.Get("Authorization") != "Bearer fmt_x" {
			t.Errorf("Authorization = %q", r.Header.Get("Authorization"))
		}
		switch asked.Add(1) {
		case 1:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(503)
			fmt.Fprint(w, `{"code":"log_unavailable","detail":"busy"}`)
		case 2:
			nethttp.Error(w, "bad gateway", nethttp.StatusBadGateway)
		default:
			w.WriteHeader(201)
			fmt.Fprint(w, `{"id":"a","seq":7,"topic":"t"}`)
		}
	}))
	defer srv.Close()
	c := newClient(t, srv.URL, "fmt_x")
	if p, err := c.Publish(t.Context(), http.PublishRequest{Topic: freeTopic}); err != nil || p.Seq != 7 || asked.Load() != 3 {
		t.Errorf("Publish = %+v, %v after %d requests, want 7 after 3", p, err, asked.Load())
	}
	moved := httptest.NewServer(nethttp.RedirectHandler(srv.URL, nethttp.StatusTemporaryRedirect))
	defer moved.Close()
	if _, err := newClient(t, moved.URL, "fmt_x").Publish(t.Context(), http.PublishRequest{Topic: freeTopic}); err == nil || asked.Load() != 3 {
		t.Errorf("Publish followed a redirect: %v", err)
	}
}

func TestTailResumesWhereItStopped(t *testing.T) {
	r := start(t, nil)
	r.fill(t, 3, freeTopic)
	proxy := newCutter(t, r.Addr())
	c := newClient(t, "http://"+proxy.addr(), "")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var lost, found int
	var want fedmsg.Seq
	cfg := http.TailConfig{
		After:       new(fedmsg.Seq),
		OnLost:      func(error, time.Duration) { lost++ },
		OnReconnect: func() { found++ },
		OnGap:       func(g http.Gap) { t.Errorf("gap %+v", g) },
	}
	for e, err := range c.Tail(ctx, cfg) {
		if err != nil {
			t.Fatal(err)
		}
		if want++; e.Seq != want {
			t.Fatalf("entry %d, want %d", e.Seq, want)
		}
		if want == 12 {
			break
		}
		if want%3 == 0 {
			proxy.cut()
			r.fill(t, 3, freeTopic)
		}
	}
	if lost < 3 || found != lost {
		t.Errorf("lost %d times and found %d times, want 3", lost, found)
	}
}

// A reader that began with "now" and is cut before its first event still gets
// what was published meanwhile.
func TestTailFromNowMissesNothing(t *testing.T) {
	r := start(t, nil)
	r.fill(t, 3, freeTopic)
	proxy := newCutter(t, r.Addr())
	c := newClient(t, "http://"+proxy.addr(), "")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	go func() {
		for r.Server != nil && ctx.Err() == nil {
			if strings.Contains(string(metrics(ctx, r.url)), `fedmsg_clients{edge="sse"} 1`) {
				break
			}
		}
		proxy.cut()
		r.fill(t, 1, freeTopic)
	}()
	for e, err := range c.Tail(ctx, http.TailConfig{}) {
		if err != nil || e.Seq != 4 {
			t.Errorf("first entry %d, %v, want 4", e.Seq, err)
		}
		break
	}
}

func metrics(ctx context.Context, url string) []byte {
	req, err := nethttp.NewRequestWithContext(ctx, "GET", url+"/metrics", nil)
	if err != nil {
		return nil
	}
	resp, err := nethttp.DefaultClient.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	b := make([]byte, 64<<10)
	n := 0
	for n < len(b) {
		m, err := resp.Body.Read(b[n:])
		n += m
		if err != nil {
			break
		}
	}
	return b[:n]
}

func TestTailTellsGaps(t *testing.T) {
	r := start(t, func(s *setup) { s.log.Limit = 2 })
	r.fill(t, 5, freeTopic)
	c := newClient(t, r.url, "")
	after := fedmsg.Seq(1)
	var gaps []http.Gap
	for e, err := range c.Tail(t.Context(), http.TailConfig{After: &after, OnGap: func(g http.Gap) { gaps = append(gaps, g) }}) {
		if err != nil || e.Seq != 4 {
			t.Errorf("first entry %d, %v, want 4", e.Seq, err)
		}
		break
	}
	if want := (http.Gap{Reason: http.GapTooOld, First: 4, Last: 5, After: 3}); len(gaps) != 1 || gaps[0] != want {
		t.Errorf("gaps %+v, want %+v", gaps, want)
	}
}

func TestTailEnds(t *testing.T) {
	r := start(t, nil)
	c := newClient(t, r.url, "")
	tests := []struct {
		name string
		cfg  http.TailConfig
		ctx  func() context.Context
		want error
	}{
		{"a bad pattern", http.TailConfig{Topics: []fedmsg.Pattern{"a..b"}}, t.Context, fedmsg.ErrInvalid},
		{"the context", http.TailConfig{}, func() context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			t.Cleanup(cancel)
			return ctx
		}, context.DeadlineExceeded},
	}
	for _, tt := range tests {
		n := 0
		for _, err := range c.Tail(tt.ctx(), tt.cfg) {
			if n++; !errors.Is(err, tt.want) {
				t.Errorf("%s: Tail ends with %v, want %v", tt.name, err, tt.want)
			}
		}
		if n != 1 {
			t.Errorf("%s: Tail yields %d times, want 1", tt.name, n)
		}
	}
	bad := newClient(t, r.url, "nope")
	for _, err := range bad.Tail(t.Context(), http.TailConfig{}) {
		if fedmsg.ReasonOf(err) != fedmsg.InvalidToken {
			t.Errorf("Tail with a bad token = %v, want invalid_token", err)
		}
	}
}

// A server without a sign of life is left for another try.
func TestTailNoticesSilence(t *testing.T) {
	r := start(t, nil) // its heartbeat is far apart
	c, err := http.New(http.ClientConfig{URL: r.url, Silence: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cfg := http.TailConfig{OnLost: func(err error, _ time.Duration) {
		if !strings.Contains(err.Error(), "no sign of life") {
			t.Errorf("lost: %v", err)
		}
		cancel()
	}}
	for _, err := range c.Tail(ctx, cfg) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Tail = %v", err)
		}
	}
}

// A cutter passes TCP connections on, and can cut them.
type cutter struct {
	ln net.Listener
	to string

	mu    sync.Mutex
	conns []net.Conn
}

func newCutter(t *testing.T, to string) *cutter {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{ln: ln, to: to}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			c.mu.Lock()
			c.conns = append(c.conns, in, out)
			c.mu.Unlock()
			wg.Go(func() { pipe(in, out) })
			wg.Go(func() { pipe(out, in) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		c.cut()
		wg.Wait()
	})
	return c
}

func pipe(to, from net.Conn) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			to.Close()
			return
		}
	}
}

func (c *cutter) addr() string { return c.ln.Addr().String() }

func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}
