package http_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	nethttp "net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/mem"
)

// whole is a bus made of its parts, as the program makes it.
type whole struct {
	*bus.Window
	fedmsg.Publisher
}

// rig is a server on a bus in memory.
type rig struct {
	*http.Server
	log    *mem.Log
	bus    whole
	gate   *bus.Gate
	tokens *http.TokenFile
	logged *fedmsgtest.LogBook
	url    string
	stop   context.CancelFunc
	done   chan error
}

// setup is what a test may change of a rig before it starts.
type setup struct {
	cfg  http.Config
	gate bus.GateConfig
	log  *mem.Log
	bus  func(whole) any            // wraps the bus
	in   func(*bus.Window) appender // wraps the log, as the gate sees it
}

// appender is what a gate needs of a log.
type appender interface {
	Append(ctx context.Context, batch ...fedmsg.Entry) []fedmsg.Receipt
}

// testBus is what a wrapped bus must be.
type testBus interface {
	fedmsg.Publisher
	fedmsg.Reader
	fedmsg.Finder
	Page(ctx context.Context, after fedmsg.Seq, limit int, want ...fedmsg.Pattern) ([]fedmsg.Entry, fedmsg.Seq, error)
	State(ctx context.Context) (fedmsg.LogState, error)
}

// start starts a server on a free port. Without changes it takes anonymous
// publishes from loopback.
func start(t testing.TB, change func(*setup)) *rig {
	t.Helper()
	tokens, err := http.OpenTokens(filepath.Join(t.TempDir(), "tokens.json"))
	if err != nil {
		t.Fatal(err)
	}
	s := setup{
		cfg:  http.Config{Addr: "127.0.0.1:0", AllowAnonymousLoopback: true, Tokens: tokens, Grace: 5 * time.Second},
		gate: bus.GateConfig{AllowUnsigned: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		log:  mem.NewLog(),
		bus:  func(b whole) any { return b },
		in:   func(w *bus.Window) appender { return w },
	}
	if change != nil {
		change(&s)
	}
	window, err := bus.NewWindow(t.Context(), bus.WindowConfig{}, s.log)
	if err != nil {
		t.Fatal(err)
	}
	gate, err := bus.NewGate(s.gate, s.in(window), nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{log: s.log, bus: whole{window, gate}, gate: gate, tokens: tokens, logged: new(fedmsgtest.LogBook), done: make(chan error, 1)}
	r.Server, err = http.Listen(s.cfg, s.bus(r.bus).(testBus), gate, r.logged.Logger(slog.LevelDebug))
	if err != nil {
		t.Fatal(err)
	}
	scheme := "http://"
	if s.cfg.TLSCert != "" {
		scheme = "https://"
	}
	r.url = scheme + r.Addr()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r.stop = cancel
	go func() { r.done <- r.Run(ctx) }()
	t.Cleanup(func() {
		nethttp.DefaultClient.CloseIdleConnections()
		cancel()
		select {
		case err := <-r.done:
			if err != nil {
				t.Errorf("Run = %v, want nil", err)
			}
		case <-time.After(15 * time.Second):
			t.Error("the server does not stop")
		}
		fedmsgtest.NoControls(t, r.logged.String())
	})
	return r
}

// token makes a token and returns its secret.
func (r *rig) token(t *testing.T, name string, scopes ...string) string {
	t.Helper()
	secret, _, err := r.tokens.Create(name, scopes, 0)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// reply is an answer, read.
type reply struct {
	status int
	header nethttp.Header
	body   []byte
	Code   string
	Detail string
	Field  string
	ID     string
	Topic  string
	Seq    fedmsg.Seq
	First  fedmsg.Seq
	Next   fedmsg.Seq
}

func (a reply) String() string { return nethttp.StatusText(a.status) + " " + string(a.body) }

// do sends a request. header is name, value, name, value ...
func (r *rig) do(t *testing.T, method, path, body string, header ...string) reply {
	t.Helper()
	req, err := nethttp.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return send(t, nethttp.DefaultClient, req)
}

func send(t *testing.T, client *nethttp.Client, req *nethttp.Request) reply {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := reply{status: resp.StatusCode, header: resp.Header, body: b}
	if strings.Contains(resp.Header.Get("Content-Type"), "json") && len(b) > 0 {
		if err := json.Unmarshal(b, &a); err != nil {
			t.Fatalf("%s %s answers %q: %v", req.Method, req.URL.Path, b, err)
		}
	}
	return a
}

const isJSON = "application/json"

// fill publishes n small messages past the server.
func (r *rig) fill(t *testing.T, n int, topic fedmsg.Topic) {
	t.Helper()
	for range n {
		now := time.Now()
		m, err := fedmsg.Draft{Topic: topic, Body: []byte(`{"note":"exam"}`), ID: fedmsg.NewID(now), Time: now}.Message()
		if err != nil {
			t.Fatal(err)
		}
		if r := r.bus.Publish(t.Context(), m)[0]; r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}

const freeTopic = "org.fedoraproject.dev.exam.free"

func TestServerAnswersEveryRoute(t *testing.T) {
	r := start(t, nil)
	r.fill(t, 3, freeTopic)
	tests := []struct {
		method, path string
		status       int
		has          string
	}{
		{"GET", "/", 200, "/api/v1/events"},
		{"GET", "/healthz", 200, "ok\n"},
		{"GET", "/readyz", 200, `"last":3`},
		{"GET", "/metrics", 200, "fedmsg_build_info{"},
		{"HEAD", "/", 200, ""},
		{"HEAD", "/api/v1/events", 200, ""},
		{"GET", "/api/v1/messages", 200, `"next":3`},
		{"GET", "/api/v1/messages/nope", 404, "not_found"},
		{"GET", "/api/v1/messages/%0d%0aSet-Cookie:a", 404, "not_found"},
		{"GET", "/api/v1/", 404, "not_found"},
		{"GET", "//", 404, "not_found"},
		{"PUT", "/api/v1/messages", 405, "method_not_allowed"},
		{"GET", "/api/v1/messages?token=abc", 401, "unauthenticated"},
		{"GET", "/api/v1/messages?x=fmt_abc", 401, "unauthenticated"},
		{"GET", "/api/v1/messages?limit=0", 400, `parameter \"limit\"`},
		{"GET", "/api/v1/messages?limit=1001", 400, `parameter \"limit\"`},
		{"GET", "/api/v1/messages?limit=1&limit=2", 400, `parameter \"limit\"`},
		{"GET", "/api/v1/messages?after=-1", 400, `parameter \"after\"`},
		{"GET", "/api/v1/messages?after=99", 400, `parameter \"after\"`},
		{"GET", "/api/v1/messages?rows=3", 400, `parameter \"rows\"`},
		{"GET", "/api/v1/messages?topic=a..b", 400, "bad_topic_pattern"},
		{"GET", "/api/v1/messages?%zz", 400, "bad_query"},
		{"GET", "/api/v1/messages?" + strings.Repeat("topic=a&", 65), 400, "too_many_subscriptions"},
	}
	for _, tt := range tests {
		a := r.do(t, tt.method, tt.path, "")
		if a.status != tt.status || !strings.Contains(string(a.body), tt.has) {
			t.Errorf("%s %s = %d %s, want %d %s", tt.method, tt.path, a.status, a.body, tt.status, tt.has)
		}
		if csp := a.header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s has the headers %v", tt.method, tt.path, a.header)
		}
	}
}

func TestMessagesPages(t *testing.T) {
	r := start(t, nil)
	r.fill(t, 100, freeTopic)
	r.fill(t, 1, "org.fedoraproject.dev.other.x")
	r.fill(t, 100, freeTopic)
	type page struct {
		Messages []struct {
			Seq      fedmsg.Seq
			At       time.Time
			Verified string
			Message  json.RawMessage
		}
		Next fedmsg.Seq
	}
	tests := []struct {
		query string
		n     int
		first fedmsg.Seq
		next  fedmsg.Seq
	}{
		{"", 100, 1, 100},
		{"?limit=150", 150, 1, 150},
		{"?after=100&limit=3", 3, 101, 103},
		{"?after=201", 0, 0, 201},
		{"?topic=*.*.*.other.%23", 1, 101, 201},
		{"?topic=*.*.*.other.%3E&limit=1", 1, 101, 101},
		{"?topic=nothing", 0, 0, 201},
		{"?topic=nothing&topic=" + freeTopic + "&after=99", 100, 100, 200},
	}
	for _, tt := range tests {
		var got page
		a := r.do(t, "GET", "/api/v1/messages"+tt.query, "")
		if err := json.Unmarshal(a.body, &got); err != nil {
			t.Fatalf("GET messages%s = %s: %v", tt.query, a.body, err)
		}
		var first fedmsg.Seq
		if len(got.Messages) > 0 {
			first = got.Messages[0].Seq
			if e := got.Messages[0]; e.Verified != "none" || time.Since(e.At) > time.Minute {
				t.Errorf("GET messages%s: first is %+v", tt.query, e)
			}
			if m, err := fedmsg.Decode(got.Messages[0].Message); err != nil || m.Topic == "" {
				t.Errorf("GET messages%s: message %s: %v", tt.query, got.Messages[0].Message, err)
			}
		}
		if len(got.Messages) != tt.n || first != tt.first || got.Next != tt.next {
			t.Errorf("GET messages%s = %d messages from %d, next %d; want %d from %d, next %d", tt.query, len(got.Messages), first, got.Next, tt.n, tt.first, tt.next)
		}
	}
}

func TestMessagesTooOld(t *testing.T) {
	r := start(t, func(s *setup) { s.log.Limit = 5 })
	r.fill(t, 9, freeTopic)
	if a := r.do(t, "GET", "/api/v1/messages?after=2", ""); a.status != 410 || a.Code != "too_old" || a.First != 5 {
		t.Errorf("GET messages?after=2 = %d %s, want 410 too_old first 5", a.status, a)
	}
	c := newClient(t, r.url, "")
	if _, err := c.Messages(t.Context(), 2, 0); !errors.Is(err, fedmsg.ErrTooOld) {
		t.Errorf("Messages(2) = %v, want ErrTooOld", err)
	}
	if page, err := c.Messages(t.Context(), 4, 2); err != nil || len(page.Entries) != 2 || page.Entries[0].Seq != 5 || page.Next != 6 {
		t.Errorf("Messages(4, 2) = %v, %v, want entries 5 and 6", page, err)
	}
}

// A page ends early when messages are large, and next says where to go on.
func TestMessagesPageIsBounded(t *testing.T) {
	r := start(t, nil)
	big := `{"s":"` + strings.Repeat("é", 400<<10) + `"}` // escaped it is three times as long
	for range 5 {
		now := time.Now()
		m, err := fedmsg.Draft{Topic: freeTopic, Body: []byte(`{"n":1}`), ID: fedmsg.NewID(now), Time: now}.Message()
		if err != nil {
			t.Fatal(err)
		}
		m, err = fedmsg.Decode([]byte(strings.Replace(string(m.Bytes()), `{"n":1}`, big, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if r := r.bus.Publish(t.Context(), m)[0]; r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	c := newClient(t, r.url, "")
	var seqs []fedmsg.Seq
	var after fedmsg.Seq
	for pages := 1; ; pages++ {
		page, err := c.Messages(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			seqs = append(seqs, e.Seq)
		}
		if page.Next == after {
			if pages < 3 {
				t.Errorf("all came in %d pages, want several", pages)
			}
			break
		}
		after = page.Next
	}
	if len(seqs) != 5 || seqs[4] != 5 {
		t.Errorf("entries %v, want 1 to 5", seqs)
	}
}

// slowBus holds every message until it is opened.
type slowBus struct {
	whole
	entered, open chan struct{}
}

func (b slowBus) Publish(ctx context.Context, messages ...*fedmsg.Message) []fedmsg.Receipt {
	close(b.entered)
	select {
	case <-b.open:
		return b.whole.Publish(ctx, messages...)
	case <-ctx.Done():
		return []fedmsg.Receipt{{Err: context.Cause(ctx)}}
	}
}

// A publisher that waits for the disk gets its answer, though the server was
// asked to stop meanwhile; a stream ends at once, with a word on when to return.
func TestServerDrains(t *testing.T) {
	slow := slowBus{entered: make(chan struct{}), open: make(chan struct{})}
	r := start(t, func(s *setup) {
		s.bus = func(b whole) any { slow.whole = b; return slow }
	})
	stream := follow(t, r, "")
	stream.comment(t, "epoch")
	answered := make(chan reply, 1)
	go func() { answered <- r.do(t, "POST", "/api/v1/publish/exam.free", "hello") }()
	<-slow.entered
	r.stop()
	if rest := stream.rest(t); !strings.Contains(rest, "retry: ") {
		t.Errorf("the stream ended with %q, want a retry", rest)
	}
	close(slow.open)
	if a := <-answered; a.status != 201 || a.Seq != 1 {
		t.Errorf("publish during the drain = %d %s, want 201", a.status, a)
	}
}

// A connection that began a header and does not end it does not make the stop a
// failure.
func TestServerStopsBesideHalfAHeader(t *testing.T) {
	r := start(t, func(s *setup) { s.cfg.Grace = 100 * time.Millisecond })
	conn, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HT"); err != nil {
		t.Fatal(err)
	}
	r.do(t, "GET", "/healthz", "") // so that the server has accepted the first one too
	r.stop()
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil && os.IsTimeout(err) {
		t.Error("the connection outlives the server")
	}
}

// stuckBus answers nothing, as a log whose disk hangs.
type stuckBus struct{ whole }

func (stuckBus) Publish(ctx context.Context, _ ...*fedmsg.Message) []fedmsg.Receipt {
	<-ctx.Done()
	return []fedmsg.Receipt{{Err: context.Cause(ctx)}}
}

// brokenBus panics, and has a log that is in trouble.
type brokenBus struct{ whole }

func (brokenBus) Publish(context.Context, ...*fedmsg.Message) []fedmsg.Receipt { panic("a bug") }

func (b brokenBus) State(ctx context.Context) (fedmsg.LogState, error) {
	state, err := b.whole.State(ctx)
	state.Problem = fedmsg.Refuse(fedmsg.StorageFull, "/var/lib/fedmsg has 3 bytes left")
	return state, err
}

func TestServerSurvivesPanics(t *testing.T) {
	r := start(t, func(s *setup) { s.bus = func(b whole) any { return brokenBus{b} } })
	for range 2 {
		if a := r.do(t, "POST", "/api/v1/publish/exam.free", "hello"); a.status != 500 || a.Code != "internal" || a.Detail != "internal error" {
			t.Errorf("publish = %d %s, want 500 internal", a.status, a)
		}
	}
	if a := r.do(t, "GET", "/metrics", ""); !strings.Contains(string(a.body), `fedmsg_panics_recovered_total{edge="http"} 2`) {
		t.Errorf("metrics do not count 2 panics:\n%s", a.body)
	}
	if a := r.do(t, "GET", "/readyz", ""); a.status != 503 || a.Code != "storage_full" || strings.Contains(string(a.body), "/var") {
		t.Errorf("readyz = %d %s, want 503 storage_full without a path", a.status, a)
	}
}

// The gate and the server both count refusals; /metrics shows one series each.
func TestMetricsAddUp(t *testing.T) {
	r := start(t, func(s *setup) { s.cfg.MetricsAddr = "127.0.0.1:0" })
	old := `{"topic":"` + freeTopic + `","msg":{},"msg_id":"a","timestamp":1}`
	if a := r.do(t, "POST", "/api/v1/publish", old, "Content-Type", isJSON); a.Code != "stale" {
		t.Fatalf("publish of an old message = %s, want stale", a)
	}
	r.do(t, "POST", "/api/v1/publish", "[", "Content-Type", isJSON)
	r.do(t, "POST", "/api/v1/publish/exam.free", "good")
	req, err := nethttp.NewRequestWithContext(t.Context(), "GET", "http://"+r.MetricsAddr()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	a := send(t, nethttp.DefaultClient, req)
	for _, line := range []string{
		`fedmsg_messages_received_total{edge="http"} 3`,
		`fedmsg_messages_rejected_total{edge="http",reason="stale"} 1`,
		`fedmsg_messages_rejected_total{edge="http",reason="bad_json"} 1`,
		`fedmsg_publish_duration_seconds_count{edge="http"} 2`,
		`fedmsg_publish_duration_seconds_bucket{edge="http",le="+Inf"} 2`,
		`fedmsg_clients{edge="sse"} 0`,
		`go_goroutines `,
	} {
		if !strings.Contains(string(a.body), line) {
			t.Errorf("metrics lack %q", line)
		}
	}
	if t.Failed() {
		t.Logf("metrics:\n%s", a.body)
	}
}

func TestConfigValidate(t *testing.T) {
	err := http.Config{
		Addr: "nowhere", TLSCert: "a", ClientCA: "b", TopicPrefix: "a..b", Environment: "a.b", MetricsAddr: "x",
		Heartbeat: -1, Limits: http.Limits{Body: -1},
	}.Validate()
	for _, word := range []string{"addr:", "metrics_addr:", "tls_cert", "topic_prefix", "environment", "heartbeat", "limits"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("Validate = %v, want it to name %s", err, word)
		}
	}
	if err := (http.Config{}).Validate(); err != nil {
		t.Errorf("the zero Config: %v", err)
	}
}

func TestListenFailsWithAHint(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := http.Listen(http.Config{Addr: taken.Addr().String()}, whole{}, nil, nil); err == nil || fedmsg.Hint(err) == "" {
		t.Errorf("Listen on a taken address = %v, want an error with a hint", err)
	}
	if _, err := http.Listen(http.Config{Addr: "0.0.0.0:0", AllowAnonymousLoopback: true}, whole{}, nil, nil); err == nil || fedmsg.Hint(err) == "" {
		t.Errorf("Listen for anonymous publishers on every address = %v, want an error with a hint", err)
	}
}
