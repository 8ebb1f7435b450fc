package http_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// A badCase is a line of http.jsonl.
type badCase struct {
	Name  string
	Input struct {
		Method, Listener, Setup string
		Path                    fedmsgtest.Text
		Headers                 map[string]fedmsgtest.Text
		Body                    fedmsgtest.Text
		BodyB64                 fedmsgtest.Text `json:"body_b64"`
		TCP                     fedmsgtest.Text `json:"tcp_b64"`
		Slow                    *struct {
			Send string
		} `json:"tcp_slow"`
		Gen struct {
			Chunked int `json:"chunked_zero_bytes"`
		}
		Idle       int `json:"tcp_idle_connections"`
		Conns      int `json:"connections"`
		Times      int `json:"send_times"`
		BusMessage *struct {
			Msg json.RawMessage
		} `json:"bus_message"`
	}
	Must struct {
		Outcome, Code, Connection string
		Status                    int
		StatusIn                  []int             `json:"status_in"`
		DetailHas                 string            `json:"detail_has"`
		ContentType               string            `json:"content_type"`
		Header                    map[string]string `json:"header"`
		HeaderRegex               map[string]string `json:"header_regex"`
		HeaderNot                 string            `json:"header_must_not_contain"`
		BodyNot                   string            `json:"body_must_not_contain"`
		BodyNoMatch               string            `json:"body_must_not_match"`
		FirstEvent                string            `json:"first_event"`
		Growth                    int               `json:"max_rss_growth_mb"`
		MaxMs                     int               `json:"max_ms"`
		Within                    int               `json:"within_s"`
		Same                      bool              `json:"same_msg_id_as_first"`
		Stored                    int
	}
}

// concerns reports whether a case is about publishing, streams, or the server
// itself. The rest is about search, pages, feeds, sockets and webhooks.
func (c badCase) concerns() bool {
	name, _, _ := strings.Cut(c.Name, "-")
	return slices.Contains([]string{"publish", "smuggle", "no", "nul", "header", "space", "tls", "zmtp", "slowloris", "connect",
		"method", "trace", "static", "unknown", "metrics", "pprof", "health", "csrf", "cors", "clickjacking", "sse", "host", "token"}, name)
}

// badRig is a server as the bad inputs want it.
type badRig struct {
	*rig
	fault  *faultLog
	tokens map[string]string
	paths  map[string]string
}

// A faultLog fails when told to.
type faultLog struct {
	*bus.Window
	mu    sync.Mutex
	fault string
}

func (l *faultLog) set(fault string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = fault
}

func (l *faultLog) Append(ctx context.Context, batch ...fedmsg.Entry) []fedmsg.Receipt {
	l.mu.Lock()
	fault := l.fault
	l.mu.Unlock()
	switch {
	case strings.HasPrefix(fault, "store at"):
		return []fedmsg.Receipt{{Err: fedmsg.Refuse(fedmsg.StorageFull, "below the free-space floor")}}
	case fault != "":
		<-ctx.Done()
		return []fedmsg.Receipt{{Err: ctx.Err()}}
	}
	return l.Window.Append(ctx, batch...)
}

func startBad(t *testing.T, dir string) *badRig {
	text, err := os.ReadFile(filepath.Join(dir, "paths.json"))
	if err != nil {
		t.Fatal(err)
	}
	b := &badRig{fault: new(faultLog), tokens: map[string]string{}}
	if err := json.Unmarshal(text, &b.paths); err != nil {
		t.Fatal(err)
	}
	b.rig = start(t, func(s *setup) {
		s.cfg.AllowAnonymousLoopback = false
		s.cfg.Limits.StreamsPerAddr = 20
		s.cfg.Clock = fedmsgtest.BadInputClock
		s.gate = bus.GateConfig{Clock: s.cfg.Clock}
		s.in = func(w *bus.Window) appender { b.fault.Window = w; return b.fault }
		s.cfg.Limits.HeaderTimeout = 2 * time.Second
	})
	b.tokens["reader"] = b.token(t, "reader", "read:#")
	return b
}

// expand puts paths and tokens in place.
func (b *badRig) expand(text string) string {
	for name, path := range b.paths {
		text = strings.ReplaceAll(text, "{"+name+"}", path)
	}
	for name, secret := range b.tokens {
		text = strings.ReplaceAll(text, "{token:"+name+"}", secret)
	}
	return text
}

func TestBadInputsHTTP(t *testing.T) {
	dir := fedmsgtest.BadInputDir(t)
	b := startBad(t, dir)
	b.control(t) // so that what is made once is made
	base := fedmsgtest.InUse(t)
	cases := 0
	for _, c := range fedmsgtest.Rows[badCase](t, filepath.Join(dir, "http.jsonl")) {
		if !c.concerns() {
			continue
		}
		cases++
		t.Run(c.Name, func(t *testing.T) {
			if testing.Short() && c.Must.Within > 0 {
				t.Skip("waits for a deadline of several seconds")
			}
			// A writer of its own: rates are counted for each.
			b.tokens["writer"] = b.token(t, c.Name, "publish:org.fedoraproject.dev.exam.#")
			before := b.rejected(t, c.Must.Code)
			b.run(t, c)
			if c.Must.Code != "" && b.rejected(t, c.Must.Code) <= before {
				t.Errorf("fedmsg_messages_rejected_total{reason=%q} did not go up", c.Must.Code)
			}
			b.control(t)
			nethttp.DefaultClient.CloseIdleConnections()
			fedmsgtest.Returns(t, 10*time.Second, fedmsgtest.Resources{Goroutines: base.Goroutines + 2, Files: base.Files + 2})
		})
	}
	if cases < 55 {
		t.Errorf("only %d cases concern this edge", cases)
	}
}

// rejected is what /metrics says.
func (b *badRig) rejected(t *testing.T, reason string) (n int) {
	t.Helper()
	m := regexp.MustCompile(`fedmsg_messages_rejected_total\{edge="http",reason="` + regexp.QuoteMeta(reason) + `"\} (\d+)`).
		FindSubmatch(b.do(t, "GET", "/metrics", "").body)
	if m != nil {
		n, _ = strconv.Atoi(string(m[1]))
	}
	return n
}

// control checks that a good message gets through in a second.
func (b *badRig) control(t *testing.T) {
	t.Helper()
	began := time.Now()
	if b.tokens["control"] == "" {
		b.tokens["control"] = b.token(t, "control", "publish:#")
	}
	a := b.do(t, "POST", "/api/v1/publish/exam.control", "control", "Authorization", "Bearer "+b.tokens["control"])
	if took := time.Since(began); a.status != 201 || took > time.Second {
		t.Errorf("the control message = %d %s after %s, want 201 in a second", a.status, a, took)
	}
}

func (b *badRig) run(t *testing.T, c badCase) {
	switch {
	case c.Input.TCP != nil:
		b.runBytes(t, c, unbase64(t, c.Input.TCP))
	case c.Input.Headers["Content-Length"] != nil:
		b.runBytes(t, c, b.announced(c))
	case c.Input.Slow != nil:
		b.runSlowly(t, c)
	case c.Input.Idle > 0:
		b.runIdle(t, c)
	case c.Input.Conns > 0:
		b.runStreams(t, c)
	case c.Input.BusMessage != nil:
		b.runStream(t, c)
	case c.Input.Listener == "public":
		// In a test of its own, so that the listener is gone when what is in use is counted.
		t.Run("from outside", func(t *testing.T) { b.runPublic(t, c) })
	default:
		b.runRequest(t, c)
	}
}

func unbase64(t *testing.T, text fedmsgtest.Text) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// request makes the case's request.
func (b *badRig) request(t *testing.T, c badCase) *nethttp.Request {
	t.Helper()
	var body io.Reader
	switch {
	case c.Input.BodyB64 != nil:
		body = bytes.NewReader(unbase64(t, c.Input.BodyB64))
	case c.Input.Gen.Chunked > 0:
		body = io.LimitReader(zeros{}, int64(c.Input.Gen.Chunked)) // of unknown length, so chunked
	case c.Input.Body != nil:
		body = bytes.NewReader(c.Input.Body)
	}
	req, err := nethttp.NewRequestWithContext(t.Context(), c.Input.Method, b.url+b.expand(string(c.Input.Path)), body)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range c.Input.Headers {
		text := b.expand(string(value))
		req.Header.Set(name, text)
	}
	return req
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = '0'
	}
	return len(b), nil
}

func (b *badRig) runRequest(t *testing.T, c badCase) {
	b.fault.set(c.Input.Setup)
	defer b.fault.set("")
	if c.Must.FirstEvent != "" {
		b.runFirstEvent(t, c)
		return
	}
	if c.Name == "publish-msg_id-conflict" {
		b.first(t, c)
	}
	if c.Must.Growth > 0 {
		before := heap()
		defer func() {
			if grown := heap() - before; grown > int64(c.Must.Growth)<<20 {
				t.Errorf("the heap grew by %d bytes, at most %d MiB are allowed", grown, c.Must.Growth)
			}
		}()
	}
	var firstID string
	seen := false
	for range max(1, c.Input.Times) {
		began := time.Now()
		req := b.request(t, c)
		resp, err := nethttp.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); c.Must.MaxMs > 0 && took > time.Duration(c.Must.MaxMs)*time.Millisecond {
			t.Errorf("answered after %s, at most %d ms are allowed", took, c.Must.MaxMs)
		}
		var a reply
		_ = json.Unmarshal(body, &a) // not every answer is JSON
		firstID = cmp.Or(firstID, a.ID)
		if c.Input.Times > 2 && resp.StatusCode != c.Must.Status {
			continue // some of a burst are refused, not all
		}
		if c.Must.Same && a.ID != firstID {
			t.Errorf("msg_id %q, the first time %q", a.ID, firstID)
		}
		if c.Must.Same && !seen && resp.StatusCode == nethttp.StatusCreated {
			seen = true
			continue
		}
		seen = true
		c.check(t, resp, body)
	}
	if !seen {
		t.Errorf("none of %d answers was a %d", c.Input.Times, c.Must.Status)
	}
	if c.Input.Setup != "" {
		if a := b.do(t, "GET", "/api/v1/messages", ""); a.status != 200 {
			t.Errorf("reading meanwhile = %d, want 200", a.status)
		}
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

// first publishes another message under the same ID.
func (b *badRig) first(t *testing.T, c badCase) {
	other := strings.Replace(string(c.Input.Body), `"exam"}`, `"other"}`, 1)
	a := b.do(t, "POST", b.paths["publish"], other, "Content-Type", isJSON, "Authorization", "Bearer "+b.tokens["writer"])
	if a.status != 201 {
		t.Fatalf("the publish before = %d %s", a.status, a)
	}
}

// check compares an answer with what must be.
func (c badCase) check(t *testing.T, resp *nethttp.Response, body []byte) {
	t.Helper()
	must := c.Must
	if must.Status != 0 && resp.StatusCode != must.Status || must.StatusIn != nil && !slices.Contains(must.StatusIn, resp.StatusCode) {
		t.Errorf("status %d, want %d %v; %s", resp.StatusCode, must.Status, must.StatusIn, body)
	}
	var p struct{ Code, Detail string }
	_ = json.Unmarshal(body, &p) // then there is no code
	if p.Code != must.Code && must.Code != "" || must.DetailHas != "" && !strings.Contains(p.Detail, must.DetailHas) {
		t.Errorf("answer %s, want code %s, detail with %q", body, must.Code, must.DetailHas)
	}
	if must.Code != "" && resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("Content-Type %q, want application/problem+json", resp.Header.Get("Content-Type"))
	}
	if media := resp.Header.Get("Content-Type"); must.ContentType != "" && !strings.HasPrefix(media, must.ContentType) {
		t.Errorf("Content-Type %q, want %s", media, must.ContentType)
	}
	for name, want := range must.Header {
		if got := resp.Header.Get(name); got != want && !(want == "*" && got != "") {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name, want := range must.HeaderRegex {
		if got := resp.Header.Get(name); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s: %q, want it to match %s", name, got, want)
		}
	}
	if head := fmt.Sprint(resp.Header); must.HeaderNot != "" && strings.Contains(head, must.HeaderNot) {
		t.Errorf("the header holds %s: %s", must.HeaderNot, head)
	}
	if must.BodyNot != "" && bytes.Contains(body, []byte(must.BodyNot)) || must.BodyNoMatch != "" && regexp.MustCompile(must.BodyNoMatch).Match(body) {
		t.Errorf("the body is %s, and must not hold %s%s", body, must.BodyNot, must.BodyNoMatch)
	}
}

// runStreams opens streams until there can be no more. The limit of the test is
// lower than that of the program.
func (b *badRig) runStreams(t *testing.T, c badCase) {
	other := &nethttp.Client{Transport: &nethttp.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext}}
	defer other.CloseIdleConnections()
	refused := 0
	for range 40 {
		resp, err := nethttp.DefaultClient.Do(b.request(t, c))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 200 {
			refused++
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			c.check(t, resp, body)
		}
	}
	if refused != 20 {
		t.Errorf("%d of 40 streams were refused, want 20", refused)
	}
	resp, err := other.Do(b.request(t, c))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("a stream from another address = %d, want 200", resp.StatusCode)
	}
	b.control(t)
}

// runFirstEvent opens a stream that must begin with an event of that name.
func (b *badRig) runFirstEvent(t *testing.T, c badCase) {
	var header []string
	for name, value := range c.Input.Headers {
		header = append(header, name, string(value))
	}
	s := follow(t, b.rig, "", header...)
	defer s.body.Close()
	if e := s.event(t); e.name != c.Must.FirstEvent {
		t.Errorf("the first event is %+v, want %s", e, c.Must.FirstEvent)
	}
	b.control(t)
	if e := s.event(t); e.name != "" || !strings.Contains(e.data[0], "control") {
		t.Errorf("then comes %+v, want the message", e)
	}
}

// runStream publishes a message and reads it from a stream.
func (b *badRig) runStream(t *testing.T, c badCase) {
	s := follow(t, b.rig, "")
	defer s.body.Close()
	s.comment(t, "epoch")
	a := b.do(t, "POST", "/api/v1/publish/exam.free", string(c.Input.BusMessage.Msg), "Content-Type", isJSON, "Authorization", "Bearer "+b.tokens["control"])
	if a.status != 201 {
		t.Fatalf("publish = %s", a)
	}
	e := s.event(t)
	var got struct{ Message struct{ Msg json.RawMessage } }
	if err := json.Unmarshal([]byte(e.data[0]), &got); err != nil || len(e.data) != 1 {
		t.Fatalf("event %+v: %v", e, err)
	}
	want, errWant := fedmsg.AppendCanonical(nil, c.Input.BusMessage.Msg)
	have, errHave := fedmsg.AppendCanonical(nil, got.Message.Msg)
	if errWant != nil || errHave != nil || !bytes.Equal(want, have) {
		t.Errorf("msg %s, want %s", have, want)
	}
	b.control(t)
	if next := s.event(t); !strings.Contains(next.data[0], "control") {
		t.Errorf("the next event is %+v, want the control message alone", next)
	}
}

// runPublic asks a listener that others can reach.
func (b *badRig) runPublic(t *testing.T, c badCase) {
	public := start(t, func(s *setup) { s.cfg.AllowAnonymousLoopback, s.cfg.Addr = false, "0.0.0.0:0" })
	_, port, err := net.SplitHostPort(public.Addr())
	if err != nil {
		t.Fatal(err)
	}
	public.url = "http://127.0.0.1:" + port
	req := b.request(t, c)
	resp, err := nethttp.DefaultClient.Get(public.url + req.URL.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	c.check(t, resp, body)
}
