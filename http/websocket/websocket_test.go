package websocket_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	nethttp "net/http"
	"slices"
	"strings"
	"testing"
	"time"

	ws "github.com/coder/websocket"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/websocket"
	"github.com/fedora-infra/fedmsg-go/mem"
)

// A rig is a bus whose log is told over WebSockets.
type rig struct {
	*bus.Window
	feed   *websocket.Feed
	addr   string // HOST:PORT
	logged fedmsgtest.LogBook
	stop   func()
}

func start(t *testing.T, cfg websocket.Config) *rig {
	t.Helper()
	window, err := bus.NewWindow(t.Context(), bus.WindowConfig{}, mem.NewLog())
	if err != nil {
		t.Fatal(err)
	}
	gate, err := bus.NewGate(bus.GateConfig{}, window, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Window: window}
	r.feed = websocket.New(cfg, window, r.logged.Logger(slog.LevelDebug))
	server, err := http.Listen(http.Config{Addr: "127.0.0.1:0", Routes: []func(*nethttp.ServeMux){r.feed.Routes}}, struct {
		*bus.Window
		fedmsg.Publisher
	}{window, gate}, r.feed, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.addr = server.Addr()
	r.stop = fedmsgtest.Start(t, "server", server.Run)
	return r
}

// say puts messages on the bus.
func (r *rig) say(t *testing.T, messages ...*fedmsg.Message) {
	t.Helper()
	for _, m := range messages {
		for _, receipt := range r.Append(t.Context(), fedmsg.Entry{Message: m, Verified: fedmsg.Unverified}) {
			if receipt.Err != nil {
				t.Fatal(receipt.Err)
			}
		}
	}
}

func dial(t *testing.T, addr string) *ws.Conn {
	t.Helper()
	conn, _, err := ws.Dial(t.Context(), "ws://"+addr+"/api/v1/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(2 << 20)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

func send(t *testing.T, conn *ws.Conn, text string) {
	t.Helper()
	if err := conn.Write(t.Context(), ws.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// next reads a text, for ten seconds at most.
func next(t *testing.T, conn *ws.Conn) map[string]json.RawMessage {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	kind, text, err := conn.Read(ctx)
	if err != nil || kind != ws.MessageText {
		t.Fatalf("read %v, %v", kind, err)
	}
	var said map[string]json.RawMessage
	if err := json.Unmarshal(text, &said); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return said
}

// subscribe subscribes, and waits until that holds: texts are heard in order.
func subscribe(t *testing.T, conn *ws.Conn, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		send(t, conn, fmt.Sprintf(`{"topic": "__topic_subscribe__", "body": %q}`, p))
	}
	send(t, conn, "{oops")
	if said := next(t, conn); string(said["code"]) != `"bad_json"` {
		t.Fatalf("the answer is %s", said)
	}
}

// A client gets what it asked for, each message once and whole, in order.
func TestFeed(t *testing.T) {
	r := start(t, websocket.Config{})
	r.say(t, fedmsgtest.Message(0)) // before anybody asks
	conn, other := dial(t, r.addr), dial(t, r.addr)
	subscribe(t, conn, "org.fedoraproject.*", "org.fedoraproject.prod.bodhi", "org.*.nothing")
	subscribe(t, other, "org.fedoraproject.prod.wiki.*")
	var want, wiki []*fedmsg.Message
	for i := 1; i < 60; i++ {
		m := fedmsgtest.Message(i)
		r.say(t, m, fedmsgtest.MessageOf(1000+i, "org.centos.prod.x", "{}"))
		want = append(want, m)
		if strings.HasPrefix(string(m.Topic), "org.fedoraproject.prod.wiki") {
			wiki = append(wiki, m)
		}
	}
	for i, m := range want {
		said := next(t, conn)
		if topic := fmt.Sprintf("%q", m.Topic); string(said["topic"]) != topic || string(said["body"]) != string(m.Compact()) || len(said) != 2 {
			t.Fatalf("text %d is %s, want message %s", i, said, m)
		}
	}
	for i, m := range wiki {
		if said := next(t, other); string(said["body"]) != string(m.Compact()) {
			t.Fatalf("text %d of the other is %s, want message %s", i, said, m)
		}
	}
	if n := fedmsgtest.Value(r.feed, "messages_delivered_total", "edge", "ws"); n != float64(len(want)+len(wiki)) {
		t.Errorf("%g deliveries are counted, want %d", n, len(want)+len(wiki))
	}
	if n := fedmsgtest.Value(r.feed, "clients", "edge", "ws"); n != 2 {
		t.Errorf("%g clients are counted, want 2", n)
	}
}

// Who may ask for what is the hub's rule; rows with several patterns are told once.
func TestVectorsSubscriptions(t *testing.T) {
	type row struct {
		Mode      string
		Pattern   any
		Topic     string
		Delivered bool
	}
	r := start(t, websocket.Config{Burst: 10_000})
	rows := 0
	for i, row := range fedmsgtest.Vectors[row](t, "subscriptions.jsonl") {
		if row.Mode != "hub" || fedmsg.Topic(row.Topic).Validate() != nil {
			continue
		}
		rows++
		conn := dial(t, r.addr)
		if list, ok := row.Pattern.([]any); ok {
			for _, p := range list {
				subscribe(t, conn, fmt.Sprint(p))
			}
		} else {
			subscribe(t, conn, fmt.Sprint(row.Pattern))
		}
		subscribe(t, conn, "the.end")
		r.say(t, fedmsgtest.MessageOf(2*i, fedmsg.Topic(row.Topic), "{}"), fedmsgtest.MessageOf(2*i+1, "the.end", "{}"))
		var got []string
		for {
			topic := string(next(t, conn)["topic"])
			if topic == `"the.end"` {
				break
			}
			got = append(got, topic)
		}
		if len(got) > 1 || (len(got) == 1) != row.Delivered {
			t.Errorf("row %d: %v asked for, %s said: told %q, want %v", i+1, row.Pattern, row.Topic, got, row.Delivered)
		}
		_ = conn.CloseNow()
	}
	if rows < 10 {
		t.Errorf("only %d rows are about hubs", rows)
	}
}

// What a client cannot say is answered, and it may go on.
func TestErrors(t *testing.T) {
	r := start(t, websocket.Config{Burst: 10_000})
	conn := dial(t, r.addr)
	for _, tt := range []struct{ text, code string }{
		{`[1]`, "not_object"}, {`{}`, "missing_field"}, {`{"topic": 1}`, "bad_field"}, {`{"topic": "__topic_subscribe__"}`, "bad_field"},
		{`{"topic": "__topic_subscribe__", "body": "` + strings.Repeat("x", fedmsg.MaxTopicLength+1) + `"}`, "bad_field"},
		{`{"topic": "__topic_subscribe__", "body": "x", "body": "y"}`, "dup_key"}, {`{"Topic": "__topic_subscribe__", "body": "x"}`, "missing_field"},
	} {
		send(t, conn, tt.text)
		said := next(t, conn)
		if string(said["op"]) != `"error"` || string(said["code"]) != `"`+tt.code+`"` || said["detail"] == nil {
			t.Errorf("%.80s is answered %s, want %s", tt.text, said, tt.code)
		}
	}
	for i := range 64 {
		send(t, conn, fmt.Sprintf(`{"topic": "__topic_subscribe__", "body": "t%d"}`, i))
	}
	send(t, conn, `{"topic": "__topic_subscribe__", "body": "t1"}`) // it has that
	send(t, conn, `{"topic": "__topic_subscribe__", "body": "t64"}`)
	if said := next(t, conn); string(said["code"]) != `"too_many_subscriptions"` {
		t.Errorf("the 65th subscription is answered %s", said)
	}
}

// There are only so many places.
func TestPlaces(t *testing.T) {
	r := start(t, websocket.Config{SocketsPerAddr: 2})
	dial(t, r.addr)
	second := dial(t, r.addr)
	_, resp, err := ws.Dial(t.Context(), "ws://"+r.addr+"/api/v1/ws", nil)
	if err == nil || resp == nil || resp.StatusCode != nethttp.StatusTooManyRequests {
		t.Errorf("a third socket = %v, %v, want 429", resp, err)
	}
	_ = second.Close(ws.StatusNormalClosure, "")
	fedmsgtest.Eventually(t, 10*time.Second, "a place is free", func() bool { return fedmsgtest.Value(r.feed, "clients", "edge", "ws") == 1 })
	dial(t, r.addr)
}

// A page of another site may read, without credentials.
func TestOrigin(t *testing.T) {
	r := start(t, websocket.Config{})
	for _, tt := range []struct {
		header []string
		status int
	}{
		{[]string{"Origin", "https://other.example"}, 101},
		{[]string{"Origin", "http://" + r.addr, "Cookie", "a=b"}, 101},
		{[]string{"Cookie", "a=b"}, 101},
		{[]string{"Origin", "https://other.example", "Cookie", "a=b"}, 403},
		{[]string{"Origin", "null", "Authorization", "Bearer x"}, 403},
	} {
		h := make(nethttp.Header)
		for pair := range slices.Chunk(tt.header, 2) {
			h.Set(pair[0], pair[1])
		}
		conn, resp, err := ws.Dial(t.Context(), "ws://"+r.addr+"/api/v1/ws", &ws.DialOptions{HTTPHeader: h})
		if resp == nil || resp.StatusCode != tt.status {
			t.Errorf("with %q: %v, %v, want %d", tt.header, resp, err, tt.status)
		}
		if conn != nil {
			_ = conn.CloseNow()
		}
	}
}

// Readers are told that the server stops, and all that was opened is closed.
func TestStop(t *testing.T) {
	base := fedmsgtest.InUse(t)
	r := start(t, websocket.Config{})
	own, err := websocket.Listen("127.0.0.1:0", r.feed)
	if err != nil {
		t.Fatal(err)
	}
	stopOwn := fedmsgtest.Start(t, "listener", own.Run)
	if _, err := websocket.Listen(own.Addr(), r.feed); err == nil || fedmsg.Hint(err) == "" {
		t.Errorf("Listen at a taken port = %v, want an error with a hint", err)
	}
	for _, tt := range []struct {
		addr string
		stop func()
	}{{r.addr, r.stop}, {own.Addr(), stopOwn}} {
		conn := dial(t, tt.addr)
		subscribe(t, conn, "*")
		told := make(chan error, 1)
		go func() { _, _, err := conn.Read(context.WithoutCancel(t.Context())); told <- err }()
		tt.stop()
		if err := <-told; ws.CloseStatus(err) != ws.StatusGoingAway {
			t.Errorf("the reader at %s ends with %v, want 1001", tt.addr, err)
		}
	}
	fedmsgtest.Returns(t, 10*time.Second, base)
}

// A brokenLog is a defect of ours.
type brokenLog struct{ *bus.Window }

func (brokenLog) Read(context.Context, fedmsg.Seq, ...fedmsg.Pattern) iter.Seq2[[]fedmsg.Entry, error] {
	panic("broken")
}

// A defect ends one socket, and nothing else.
func TestDefect(t *testing.T) {
	r := start(t, websocket.Config{})
	feed := websocket.New(websocket.Config{}, brokenLog{r.Window}, r.logged.Logger(slog.LevelDebug))
	own, err := websocket.Listen("127.0.0.1:0", feed)
	if err != nil {
		t.Fatal(err)
	}
	fedmsgtest.Start(t, "listener", own.Run)
	conn := dial(t, own.Addr())
	send(t, conn, `{"topic": "__topic_subscribe__", "body": "*"}`)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, _, err := conn.Read(ctx); ws.CloseStatus(err) != ws.StatusInternalError {
		t.Errorf("the reader ends with %v, want 1011", err)
	}
	if n := fedmsgtest.Value(feed, "panics_recovered_total", "edge", "ws"); n != 1 || !strings.Contains(r.logged.String(), "broken") {
		t.Errorf("%g panics are counted, and the log says %s", n, r.logged.String())
	}
	dial(t, own.Addr())
}

// Who does not answer is taken for gone.
func TestHeartbeat(t *testing.T) {
	r := start(t, websocket.Config{Heartbeat: 50 * time.Millisecond})
	dial(t, r.addr) // nobody reads there, so nothing is answered
	fedmsgtest.Eventually(t, 15*time.Second, "the socket is closed", func() bool { return fedmsgtest.Value(r.feed, "clients", "edge", "ws") == 0 })
}
