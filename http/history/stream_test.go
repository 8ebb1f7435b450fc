package history_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	nethttp "net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/naive"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/history"
)

// event is one event of a stream.
type event struct{ id, name, data string }

// reader reads a stream.
type reader struct {
	lines  *bufio.Reader
	close  func()
	status int
	last   string // the ID that a browser would come back with
	hb     int    // comments
}

// follow opens a stream.
func (r *rig) follow(t *testing.T, params, last string) *reader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	req, err := nethttp.NewRequestWithContext(ctx, "GET", r.url+"/api/v1/stream?"+params, nil)
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := nethttp.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	s := &reader{lines: bufio.NewReader(resp.Body), status: resp.StatusCode, last: last, close: func() { cancel(); _ = resp.Body.Close() }}
	t.Cleanup(s.close)
	return s
}

// next returns the next event that has data.
func (s *reader) next() (e event, err error) {
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return e, err
		}
		line = strings.TrimSuffix(line, "\n")
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "":
			if e.id != "" {
				s.last = e.id
			}
			if e.data != "" {
				return e, nil
			}
			e = event{}
		case name == "id":
			e.id = value
		case name == "event":
			e.name = value
		case name == "data":
			e.data += value
		case name == "":
			s.hb++
		}
	}
}

// message reads the next event, which must be a message.
func (s *reader) message(t *testing.T) element {
	t.Helper()
	e, err := s.next()
	var m element
	if err != nil || e.name != "" || json.Unmarshal([]byte(e.data), &m) != nil {
		t.Fatalf("next event: %+v, %v", e, err)
	}
	return m
}

// append puts messages into the log.
func (r *rig) append(t testing.TB, messages ...*fedmsg.Message) {
	t.Helper()
	batch := make([]fedmsg.Entry, len(messages))
	for i, m := range messages {
		batch[i] = fedmsg.Entry{Verified: "none", Message: m}
	}
	for _, receipt := range r.window.Append(t.Context(), batch...) {
		if receipt.Err != nil {
			t.Error(receipt.Err)
		}
	}
}

// said makes message i: each has a time of its own, one in ten is about something
// seldom, and one in seven says that it was sent much earlier.
func said(t testing.TB, i int) *fedmsg.Message {
	t.Helper()
	topic := "org.example.test.often"
	if i%10 == 0 {
		topic = "org.example.test.seldom"
	}
	at := naive.Began.Add(time.Duration(i) * time.Second)
	if i%7 == 0 {
		at = at.Add(-time.Duration(i*37%1000) * time.Minute)
	}
	m, err := fedmsg.Decode(fmt.Appendf(nil, `{"topic":%q,"msg_id":"m-%d","timestamp":%d,"msg":{"n":%d}}`, topic, i, at.Unix(), i))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// idle waits until the archive has what the log has, up to a place.
func (r *rig) idle(t *testing.T, last fedmsg.Seq) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); r.archive.Last() < last; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the archive is at %d, want %d", r.archive.Last(), last)
		}
	}
}

// A stream out of the past tells each message once, while more come in, late ones
// too, while the archive lags and the log forgets, and its reader leaves and comes
// back all the time.
func TestStreamMissesNothing(t *testing.T) { eachArchive(t, testStreamMissesNothing) }

func testStreamMissesNothing(t *testing.T, change func(*setup)) {
	r := start(t, func(s *setup) { s.log.Limit = 150; change(s) })
	imported := naive.NewRandom(11).Entries(80)
	for i := range imported {
		imported[i].Seq = 0 // they never passed this log
	}
	r.deliver(t, imported)
	const before, all = 1200, 3000
	for i := range before {
		r.append(t, said(t, i))
		if i%100 == 99 {
			r.idle(t, fedmsg.Seq(i+1)) // else the log forgets what the archive has not got yet
		}
	}
	var writers sync.WaitGroup
	writers.Go(func() {
		for i := before; i < all; i++ {
			r.append(t, said(t, i))
			if i%20 == 0 {
				time.Sleep(time.Millisecond)
			}
			if i%50 == 0 {
				r.idle(t, fedmsg.Seq(i+1-20))
			}
		}
	})
	var readers sync.WaitGroup
	for _, tt := range []struct {
		params string
		passes func(i int) bool
		others int // imported messages that pass
	}{
		{"after=2026-01-01", func(int) bool { return true }, len(imported)},
		{"after=0", func(int) bool { return true }, len(imported)},
		{"q=topic:seldom+after:52w", func(i int) bool { return i%10 == 0 }, 0},
		{"since=2026-01-01&topic=org.example.%23", func(int) bool { return true }, 0},
		{"q=body.n:>=2500+after:400d", func(i int) bool { return i >= 2500 }, 0},
	} {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(1, 2))
			told := make(map[string]int)
			want := tt.others
			for i := range all {
				if tt.passes(i) {
					want++
				}
			}
			s := r.follow(t, tt.params, "")
			for comebacks := 0; len(told) < want; {
				e, err := s.next()
				if err != nil || e.name != "" {
					t.Errorf("%s: after %d messages of %d, %d times back: %+v, %v", tt.params, len(told), want, comebacks, e, err)
					return
				}
				var m element
				if err := json.Unmarshal([]byte(e.data), &m); err != nil {
					t.Error(err)
					return
				}
				told[m.Message.ID]++
				if rng.IntN(150) == 0 {
					comebacks++
					s.close()
					s = r.follow(t, tt.params, s.last)
				}
			}
			for id, n := range told {
				if i, err := strconv.Atoi(strings.TrimPrefix(id, "m-")); n != 1 || err == nil && !tt.passes(i) {
					t.Errorf("%s: %s came %d times", tt.params, id, n)
				}
			}
		})
	}
	writers.Wait()
	readers.Wait()
}

// A stream without a beginning tells what comes, with the words that are asked for.
func TestStreamLive(t *testing.T) {
	r := start(t, nil)
	for i := range 50 {
		r.append(t, said(t, i))
	}
	s := r.follow(t, "q=topic:seldom&fields=msg_id&meta=title", "")
	if line, err := s.lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, "retry: ") {
		t.Fatalf("the stream begins with %q, %v", line, err)
	}
	if line, _ := s.lines.ReadString('\n'); !strings.HasPrefix(line, ": epoch ") || !strings.HasSuffix(line, " last 50\n") {
		t.Fatalf("its second line is %q", line)
	}
	for i := 50; i < 80; i++ {
		r.append(t, said(t, i))
	}
	for _, id := range []string{"m-50", "m-60", "m-70"} {
		e, err := s.next()
		if want := `{"message":{"msg_id":"` + id + `"},"meta":{"title":"seldom"}}`; err != nil || e.data != want {
			t.Fatalf("event %+v, %v, want %s", e, err, want)
		}
	}
	state, err := r.log.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := state.Epoch + "-71"; s.last != want {
		t.Errorf("the last ID is %s, want %s", s.last, want)
	}
	if m := r.follow(t, "q=topic:seldom&after="+state.Epoch+"-41", "").message(t); m.Message.ID != "m-50" {
		t.Errorf("after the ID of an event comes %s, want m-50", m.Message.ID)
	}
}

// Who comes back with a place that is not there is told so.
func TestStreamGaps(t *testing.T) {
	r := start(t, func(s *setup) { s.log.Limit = 20 })
	r.pump() // nothing is archived
	for i := range 50 {
		r.append(t, said(t, i))
	}
	state, err := r.log.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		last   string
		reason http.GapReason
		after  fedmsg.Seq
	}{
		{"0123456789abcdef-7", http.GapEpoch, 30},
		{state.Epoch + "-99", http.GapUnknown, 50},
		{"é;DROP", http.GapUnknown, 50},
		{"999999999999", http.GapUnknown, 50},
	}
	for _, tt := range tests {
		s := r.follow(t, "", tt.last)
		e, err := s.next()
		var gap http.Gap
		if json.Unmarshal([]byte(e.data), &gap) != nil || err != nil || e.name != "gap" || gap.Reason != tt.reason || gap.After != tt.after || s.last != fmt.Sprintf("%s-%d", state.Epoch, tt.after) {
			t.Errorf("after %s: %+v, %v, want the gap %s, after %d", tt.last, e, err, tt.reason, tt.after)
		}
	}
	if a := r.get(t, "/api/v1/stream", "Last-Event-ID", strings.Repeat("9", 60000)); a.StatusCode != 400 && a.StatusCode != 431 {
		t.Errorf("a long Last-Event-ID: %s", a)
	}
	for _, last := range []string{state.Epoch + "-7.0.0.x", state.Epoch + "-7.0.0." + "AAAA"} {
		if a := r.get(t, "/api/v1/stream", "Last-Event-ID", last); a.StatusCode != 400 || !strings.Contains(a.String(), "cursor") {
			t.Errorf("%s: %s, want 400 that names the cursor", last, a)
		}
	}
}

// A quiet stream gives signs of life, and ends when the server stops.
func TestStreamHeartbeat(t *testing.T) {
	r := start(t, func(s *setup) { s.cfg.Heartbeat = 20 * time.Millisecond })
	s := r.follow(t, "user=nobody", "")
	for range 6 {
		if _, err := s.lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() {
		_, err := s.next()
		done <- err
	}()
	r.append(t, said(t, 1))
	time.Sleep(50 * time.Millisecond)
	r.append(t, said(t, 2)) // it does not pass: only the place is told
	go r.stop()
	select {
	case err := <-done:
		if !errors.Is(err, io.EOF) || s.hb == 0 || !strings.HasSuffix(s.last, "-2") {
			t.Errorf("the stream ends with %v after %d signs of life, at %q; want EOF, some, place 2", err, s.hb, s.last)
		}
	case <-time.After(10 * time.Second):
		t.Error("the stream does not end")
	}
}

// One address can hold so many streams and no more.
func TestStreamLimits(t *testing.T) {
	r := start(t, func(s *setup) { s.cfg.Limits = history.Limits{StreamsPerAddr: 2, ExportsPerAddr: 1} })
	mux := nethttp.NewServeMux()
	r.api.Routes(mux)
	outside := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, req *nethttp.Request) {
		req.RemoteAddr = "192.0.2.1:80"
		mux.ServeHTTP(w, req)
	}))
	defer outside.Close()
	r.url = outside.URL
	open := []*reader{r.follow(t, "", ""), r.follow(t, "", "")}
	a := r.get(t, "/api/v1/stream")
	if a.StatusCode != 429 || !strings.Contains(a.String(), "too_many_connections") {
		t.Errorf("the third stream: %s, want 429", a)
	}
	for _, s := range open {
		s.close()
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if s := r.follow(t, "", ""); s.status == 200 {
			s.close()
			return
		}
		if time.Now().After(end) {
			t.Fatal("streams that were left keep their places")
		}
	}
}

// A slow archive answers about long ago when it is let.
type slow struct {
	archive
	let chan struct{}
}

func (s slow) Search(ctx context.Context, q fedmsg.Query) (fedmsg.Page, error) {
	if q.Since.Before(now.Add(-time.Hour)) {
		select {
		case <-s.let:
		case <-ctx.Done():
			return fedmsg.Page{}, ctx.Err()
		}
	}
	return s.archive.Search(ctx, q)
}

// One address can have so many streams out of the past at once; what looks back for
// some seconds is none.
func TestStreamBriefPast(t *testing.T) {
	let := make(chan struct{})
	r := start(t, func(s *setup) {
		s.cfg.Limits = history.Limits{ExportsPerAddr: 1}
		s.archive = slow{s.archive, let}
	})
	mux := nethttp.NewServeMux()
	r.api.Routes(mux)
	outside := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, req *nethttp.Request) {
		req.RemoteAddr = "192.0.2.1:80"
		mux.ServeHTTP(w, req)
	}))
	defer outside.Close()
	r.url = outside.URL
	defer close(let)
	first := r.follow(t, "after=2d", "")
	defer first.close()
	if a := r.get(t, "/api/v1/stream?after=2d"); a.StatusCode != 429 {
		t.Errorf("the second stream out of the past: %s, want 429", a)
	}
	brief := r.follow(t, "after=15s", "")
	defer brief.close()
	if first.status != 200 || brief.status != 200 {
		t.Errorf("the first stream = %d, one of some seconds = %d, want 200", first.status, brief.status)
	}
}

// The ID of an event of the past is read back as it was.
func TestStreamIDs(t *testing.T) {
	r := start(t, nil)
	var entries []fedmsg.Entry
	for i := range 450 {
		entries = append(entries, fedmsg.Entry{Message: fedmsgtest.Message(i)})
	}
	r.deliver(t, entries[:450])
	all := naive.Answer(entries, fedmsg.Query{OldestFirst: true})
	s := r.follow(t, "after=0", "")
	var last []string
	for range 420 {
		s.message(t)
		last = append(last, s.last)
	}
	for _, i := range []int{0, 1, 199, 200, 201, 419} {
		m := r.follow(t, "after=0", last[i]).message(t)
		if want := all[i+1].Message.ID; m.Message.ID != want {
			t.Errorf("after event %d (%s) comes %s, want %s", i, last[i], m.Message.ID, want)
		}
	}
	if slices.Contains(last[:419], "") {
		t.Error("an event has no ID")
	}
}
