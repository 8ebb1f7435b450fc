package http_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net"
	nethttp "net/http"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/http"
)

// An eventStream is an open stream, read by hand.
type eventStream struct {
	lines *bufio.Reader
	body  io.Closer
}

// got is one event.
type got struct {
	id, name, comment string
	data              []string
}

func (g got) seq(t *testing.T) fedmsg.Seq {
	t.Helper()
	var e struct{ Seq fedmsg.Seq }
	if err := json.Unmarshal([]byte(strings.Join(g.data, "\n")), &e); err != nil {
		t.Fatalf("event %+v: %v", g, err)
	}
	return e.Seq
}

// follow opens a stream. It ends with the test, and a read of it after 20 s.
func follow(t *testing.T, r *rig, query string, header ...string) *eventStream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	req, err := nethttp.NewRequestWithContext(ctx, "GET", r.url+"/api/v1/events"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := nethttp.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		b, _ := io.ReadAll(resp.Body)
		t.Fatalf("GET events%s = %d %s", query, resp.StatusCode, b)
	}
	return &eventStream{bufio.NewReader(resp.Body), resp.Body}
}

// block reads up to an empty line.
func (s *eventStream) block(t *testing.T) (g got) {
	t.Helper()
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			t.Fatalf("stream: %v", err)
		}
		line = strings.TrimSuffix(line, "\n")
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			return g
		case name == "":
			g.comment += value
		case name == "id":
			g.id = value
		case name == "event":
			g.name = value
		case name == "data":
			g.data = append(g.data, value)
		case name != "retry":
			t.Fatalf("stream: line %q", line)
		}
	}
}

// event reads the next event, past comments.
func (s *eventStream) event(t *testing.T) got {
	t.Helper()
	for {
		if g := s.block(t); len(g.data) > 0 {
			return g
		}
	}
}

// comment reads up to a comment that holds text.
func (s *eventStream) comment(t *testing.T, text string) got {
	t.Helper()
	for {
		if g := s.block(t); strings.Contains(g.comment, text) {
			return g
		}
	}
}

func (s *eventStream) rest(t *testing.T) string {
	t.Helper()
	b, err := io.ReadAll(s.lines)
	if err != nil {
		t.Errorf("rest of the stream: %v", err)
	}
	return string(b)
}

func (r *rig) state(t *testing.T) fedmsg.LogState {
	t.Helper()
	state, err := r.log.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// Where a stream begins, and whether it says that something is missing.
func TestEventsBegin(t *testing.T) {
	r := start(t, func(s *setup) { s.log.Limit = 5 })
	r.fill(t, 9, freeTopic) // 5 to 9 are kept
	epoch := r.state(t).Epoch
	tests := []struct {
		name, query, last string
		gap               string
		first             fedmsg.Seq // 10 is the next one
	}{
		{"from now on", "", "", "", 10},
		{"from the beginning, such as it is", "?after=0", "", "", 5},
		{"after a place", "?after=7", "", "", 8},
		{"after the end", "?after=9", "", "", 10},
		{"after an event ID", "?after=" + epoch + "-8", "", "", 9},
		{"after what is gone", "?after=2", "", "too_old", 5},
		{"after what never was", "?after=90", "", "unknown", 10},
		{"the last event", "", epoch + "-7", "", 8},
		{"the last event counts, not after", "?after=0", epoch + "-7", "", 8},
		{"just before what is kept", "", epoch + "-4", "", 5},
		{"an event that is gone", "", epoch + "-3", "too_old", 5},
		{"an event of another log", "", "00000000deadbeef-3", "epoch", 5},
		{"an event that never was", "", epoch + "-99999", "unknown", 10},
		{"a number alone", "", "999999999999", "unknown", 10},
		{"garbage", "", "é;DROP", "unknown", 10},
		{"a leading zero", "", epoch + "-07", "unknown", 10},
		{"too large a number", "", epoch + "-18446744073709551615", "unknown", 10},
	}
	var streams []*eventStream
	for _, tt := range tests {
		var header []string
		if tt.last != "" {
			header = []string{"Last-Event-ID", tt.last}
		}
		s := follow(t, r, tt.query, header...)
		s.comment(t, "epoch "+epoch+" last 9")
		streams = append(streams, s)
	}
	r.fill(t, 1, freeTopic) // now 6 to 10 are kept; but all streams are past 5 or have read it
	for i, tt := range tests {
		e := streams[i].event(t)
		if (e.name == "gap") != (tt.gap != "") {
			t.Errorf("%s: first event is %+v, want gap %q", tt.name, e, tt.gap)
			continue
		}
		if e.name == "gap" {
			var g http.Gap
			if err := json.Unmarshal([]byte(e.data[0]), &g); err != nil || string(g.Reason) != tt.gap || g.First != 5 || g.Last != 9 || g.After != tt.first-1 {
				t.Errorf("%s: gap %+v, %v, want %s, 5 to 9, after %d", tt.name, g, err, tt.gap, tt.first-1)
			}
			if want := fmt.Sprintf("%s-%d", epoch, tt.first-1); e.id != want {
				t.Errorf("%s: the gap's ID is %q, want %q", tt.name, e.id, want)
			}
			e = streams[i].event(t)
		}
		if seq := e.seq(t); seq != tt.first || e.id != fmt.Sprintf("%s-%d", epoch, tt.first) {
			t.Errorf("%s: first is %d with ID %s, want %d", tt.name, seq, e.id, tt.first)
		}
	}
}

func TestEventsFollowTopics(t *testing.T) {
	r := start(t, nil)
	s := follow(t, r, "?topic=%23.git.*&topic="+freeTopic)
	s.comment(t, "epoch")
	r.fill(t, 1, "org.fedoraproject.dev.git.push")
	r.fill(t, 3, "org.fedoraproject.dev.bodhi.x")
	r.fill(t, 1, freeTopic)
	for _, want := range []fedmsg.Seq{1, 5} {
		if seq := s.event(t).seq(t); seq != want {
			t.Errorf("event %d, want %d", seq, want)
		}
	}
}

func TestEventsHeartbeat(t *testing.T) {
	r := start(t, func(s *setup) { s.cfg.Heartbeat = 10 * time.Millisecond })
	s := follow(t, r, "")
	s.comment(t, "hb")
	s.comment(t, "hb")
	r.fill(t, 1, freeTopic)
	if seq := s.event(t).seq(t); seq != 1 {
		t.Errorf("event %d, want 1", seq)
	}
}

// What looks like another event inside a message stays inside its line.
func TestEventsOneLineEach(t *testing.T) {
	r := start(t, nil)
	s := follow(t, r, "")
	s.comment(t, "epoch")
	text := "a\r\nb\nc\rd\u2028e \n\nevent: admin\ndata: x\n\n"
	body, err := json.Marshal(map[string]any{"topic": "free", "modname": "exam", "msg": map[string]string{"s": text}})
	if err != nil {
		t.Fatal(err)
	}
	if a := r.do(t, "POST", "/api/v1/publish", string(body), "Content-Type", isJSON); a.status != 201 {
		t.Fatalf("publish = %s", a)
	}
	e := s.event(t)
	var back struct {
		Message struct{ Msg struct{ S string } }
	}
	if err := json.Unmarshal([]byte(e.data[0]), &back); err != nil || len(e.data) != 1 || back.Message.Msg.S != text {
		t.Errorf("event %+v: %v, want one line of data that means %q", e, err, text)
	}
}

func TestEventsTooManyFromOneAddress(t *testing.T) {
	r := start(t, func(s *setup) { s.cfg.Limits.StreamsPerAddr = 3 })
	var streams []*eventStream
	for range 3 {
		streams = append(streams, follow(t, r, ""))
	}
	if a := r.do(t, "GET", "/api/v1/events", ""); a.status != 429 || a.Code != "too_many_connections" || a.header.Get("Retry-After") == "" {
		t.Errorf("the fourth stream = %d %s, want 429", a.status, a)
	}
	streams[0].body.Close()
	fedmsgtest.Eventually(t, 10*time.Second, "a place is free again", func() bool {
		req, err := nethttp.NewRequestWithContext(t.Context(), "GET", r.url+"/api/v1/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := nethttp.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	})
}

// A reader that does not read is cut, and counted; it comes back with its last
// ID and misses nothing. Another reader sees nothing of it.
func TestSlowReaderIsCutAndResumes(t *testing.T) {
	r := start(t, func(s *setup) { s.cfg.Limits.WriteTimeout = 300 * time.Millisecond })
	conn, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(16 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "GET /api/v1/events HTTP/1.1\r\nHost: %s\r\n\r\n", r.Addr()); err != nil {
		t.Fatal(err)
	}
	good := follow(t, r, "")
	good.comment(t, "epoch")
	fedmsgtest.Eventually(t, 10*time.Second, "both streams are open", func() bool {
		return strings.Contains(string(r.do(t, "GET", "/metrics", "").body), `fedmsg_clients{edge="sse"} 2`)
	})
	const n = 60
	body := `{"s":"` + strings.Repeat("x", 50<<10) + `"}`
	go func() {
		for i := range n {
			r.do(t, "POST", "/api/v1/publish/exam.free", fmt.Sprintf(`{"n":%d,"b":%s}`, i, body), "Content-Type", isJSON)
		}
	}()
	for i := range n {
		if seq := good.event(t).seq(t); seq != fedmsg.Seq(i+1) {
			t.Fatalf("the good reader got %d, want %d", seq, i+1)
		}
	}
	fedmsgtest.Eventually(t, 10*time.Second, "the slow reader is cut and counted", func() bool {
		return strings.Contains(string(r.do(t, "GET", "/metrics", "").body), `fedmsg_slow_consumers_total{edge="http"} 1`)
	})
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	have, _ := io.ReadAll(conn) // it ends with a reset, or in the middle
	last := ""
	for block := range strings.SplitSeq(string(have), "\n\n") {
		if _, after, ok := strings.Cut(block, "id: "); ok && strings.HasSuffix(block, "}}") {
			last = strings.SplitN(after, "\n", 2)[0]
		}
	}
	var from fedmsg.Seq
	if _, digits, ok := strings.Cut(last, "-"); ok {
		if _, err := fmt.Sscan(digits, &from); err != nil {
			t.Fatal(err)
		}
	} else {
		last = r.state(t).Epoch + "-0"
	}
	if from >= n {
		t.Fatalf("the slow reader got all %d messages", n)
	}
	again := follow(t, r, "", "Last-Event-ID", last)
	for want := from + 1; want <= n; want++ {
		if seq := again.event(t).seq(t); seq != want {
			t.Fatalf("after %s came %d, want %d", last, seq, want)
		}
	}
}

// A reader that the log overtakes is told, and goes on with the oldest entry.
func TestEventsOvertaken(t *testing.T) {
	lagging := make(chan struct{})
	r := start(t, func(s *setup) {
		s.log.Limit = 5
		s.bus = func(b whole) any { return &trimmingBus{whole: b, at: 3, wait: lagging} }
	})
	r.fill(t, 3, freeTopic)
	s := follow(t, r, "?after=0")
	s.comment(t, "epoch")
	for i := range 3 {
		if seq := s.event(t).seq(t); seq != fedmsg.Seq(i+1) {
			t.Fatalf("event %d, want %d", seq, i+1)
		}
	}
	r.fill(t, 9, freeTopic) // 8 to 12 are kept
	close(lagging)
	if e := s.event(t); e.name != "gap" || !strings.Contains(e.data[0], `"too_old"`) {
		t.Errorf("then %+v, want a gap", e)
	}
	if seq := s.event(t).seq(t); seq != 8 {
		t.Errorf("then %d, want 8", seq)
	}
}

// trimmingBus reads its log until a place, waits, and goes on without a window.
type trimmingBus struct {
	whole
	at   fedmsg.Seq
	wait chan struct{}
}

func (b *trimmingBus) Read(ctx context.Context, after fedmsg.Seq, want ...fedmsg.Pattern) iter.Seq2[[]fedmsg.Entry, error] {
	return func(yield func([]fedmsg.Entry, error) bool) {
		for {
			page, next, err := b.Page(ctx, after, 10, want...)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(page) > 0 && !yield(page, nil) {
				return
			}
			if after = next; after == b.at {
				select {
				case <-b.wait:
				case <-ctx.Done():
				}
			}
			if len(page) == 0 {
				<-ctx.Done()
				yield(nil, context.Cause(ctx))
				return
			}
		}
	}
}
