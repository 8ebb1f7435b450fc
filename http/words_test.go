package http_test

import (
	"context"
	"encoding/json"
	"fmt"
	nethttp "net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/mem"
)

// countingDescriber words a message by its ID, and counts how often it is asked.
type countingDescriber struct {
	calls atomic.Int64
	slow  func() // what takes time
}

func (d *countingDescriber) Describe(_ context.Context, m *fedmsg.Message) fedmsg.Words {
	if d.slow != nil {
		d.slow()
	}
	return fedmsg.Words{
		Title: "exam.free", Subtitle: fmt.Sprintf("é of %s, call %d", m.ID, d.calls.Add(1)), Link: "https://example.org/" + m.ID,
		Usernames: []string{"alice", "bob"}, Avatars: map[string]string{"alice": "https://example.org/a.png"},
	}
}

// withWords starts a server whose words are d's.
func withWords(t *testing.T, d fedmsg.Describer, more ...func(*setup)) *rig {
	t.Helper()
	return start(t, func(s *setup) {
		s.cfg.Describer = d
		for _, change := range more {
			change(s)
		}
	})
}

// members are the names in an object, in their order.
func members(t *testing.T, object []byte) (names []string) {
	t.Helper()
	list, err := fedmsg.DecodeObject(object)
	if err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	for _, m := range list {
		names = append(names, m.Name)
	}
	return names
}

// elements returns the first element as each of the three ways to read has it.
func elements(t *testing.T, r *rig, query string) map[string]json.RawMessage {
	t.Helper()
	var page struct{ Messages []json.RawMessage }
	a := r.do(t, "GET", "/api/v1/messages?limit=1"+query, "")
	if err := json.Unmarshal(a.body, &page); err != nil || len(page.Messages) != 1 {
		t.Fatalf("GET messages?limit=1%s = %s, %v", query, a, err)
	}
	var first struct {
		Message struct {
			ID string `json:"msg_id"`
		}
	}
	if err := json.Unmarshal(page.Messages[0], &first); err != nil {
		t.Fatal(err)
	}
	return map[string]json.RawMessage{
		"messages":      page.Messages[0],
		"messages/{id}": r.do(t, "GET", "/api/v1/messages/"+first.Message.ID+"?"+query, "").body,
		"events":        []byte(strings.Join(follow(t, r, "?after=0"+query).event(t).data, "\n")),
	}
}

// Each way to read adds the words that are asked for, exactly those and in that
// order, behind an element that is otherwise the same.
func TestMetaAddsWords(t *testing.T) {
	r := withWords(t, new(countingDescriber))
	r.fill(t, 1, freeTopic)
	plain := elements(t, r, "")
	tests := []struct {
		query string
		want  []string
	}{
		{"&meta=subtitle", []string{"subtitle"}},
		{"&meta=title&meta=link", []string{"title", "link"}},
		{"&meta=link,title", []string{"link", "title"}},
		{"&meta=title,usernames&meta=usernames,agent&meta=title", []string{"title", "usernames", "agent"}},
		{"&meta=title%2Cicon", []string{"title", "icon"}},
		{"&meta=" + strings.Join(fedmsg.WordsFields, ","), fedmsg.WordsFields},
	}
	for _, tt := range tests {
		for way, element := range elements(t, r, tt.query) {
			var e struct{ Meta json.RawMessage }
			if err := json.Unmarshal(element, &e); err != nil || e.Meta == nil {
				t.Errorf("%s%s = %s, %v, want meta in it", way, tt.query, element, err)
				continue
			}
			if got := members(t, e.Meta); !slices.Equal(got, tt.want) {
				t.Errorf("%s%s has the words %q, want %q", way, tt.query, got, tt.want)
			}
			head, tail, _ := strings.Cut(string(element), `,"meta":`)
			if end := strings.TrimRight(string(plain[way]), "}\n"); strings.TrimRight(head, "}") != end || !strings.HasPrefix(tail, "{") {
				t.Errorf("%s%s = %s, want the element that is without meta, and meta behind it", way, tt.query, element)
			}
		}
	}
	for way, element := range plain {
		if got, want := members(t, element), []string{"seq", "at", "verified", "message"}; !slices.Equal(got, want) {
			t.Errorf("%s without meta has %q, want %q", way, got, want)
		}
	}
}

// What is missing is null, a link and lists are empty, and all of it is ASCII.
func TestMetaValues(t *testing.T) {
	r := withWords(t, new(countingDescriber))
	r.fill(t, 1, freeTopic)
	for way, element := range elements(t, r, "&meta=title,subtitle,icon,agent,usernames,packages,avatars,emails") {
		_, got, _ := strings.Cut(string(element), `"meta":`)
		for _, want := range []string{
			`{"title":"exam.free","subtitle":"\u00e9 of 20`, `"icon":null,"agent":null,"usernames":["alice","bob"],"packages":[],"avatars":{"alice":"https://example.org/a.png"},"emails":{}}}`,
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: meta is %s, want %s in it", way, got, want)
			}
		}
	}
}

func TestMetaRefused(t *testing.T) {
	with := withWords(t, new(countingDescriber))
	with.fill(t, 1, freeTopic)
	without := start(t, nil)
	without.fill(t, 1, freeTopic)
	tests := []struct {
		name, query, code, detail string
		r                         *rig
	}{
		{"unknown", "meta=sentence", "bad_field", `there is no "sentence"; the fields are ["title" "subtitle"`, with},
		{"another spelling", "meta=Title", "bad_field", `"Title"`, with},
		{"unknown among known", "meta=title,&meta=link", "bad_field", `there is no ""`, with},
		{"empty", "meta=", "bad_field", `there is no ""`, with},
		{"blank", "meta=title,%20link", "bad_field", `" link"`, with},
		{"long", "meta=" + strings.Repeat("x", 9000), "bad_field", `"` + strings.Repeat("x", 64) + `"`, with},
		{"no text", "meta=%ff%0a", "bad_field", `"?\n"`, with},
		{"no describer", "meta=title", "bad_query", "this bus has no words for messages", without},
	}
	for _, tt := range tests {
		for _, path := range []string{"/api/v1/messages", "/api/v1/messages/nope", "/api/v1/events"} {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // a stream would go on
			req, err := nethttp.NewRequestWithContext(ctx, "GET", tt.r.url+path+"?"+tt.query, nil)
			if err != nil {
				t.Fatal(err)
			}
			a := send(t, nethttp.DefaultClient, req)
			cancel()
			if a.status != 400 || a.Code != tt.code || a.Field != "meta" || !strings.Contains(a.Detail, tt.detail) || len(a.Detail) > 500 {
				t.Errorf("%s: GET %s = %d %s, want 400 %s about meta, with %s", tt.name, path, a.status, a, tt.code, tt.detail)
			}
		}
	}
}

// Readers that follow the log get the words that were found for the first of them.
func TestMetaStreamsShareWords(t *testing.T) {
	const readers, n = 8, 20
	d := new(countingDescriber)
	r := withWords(t, d)
	var streams []*eventStream
	for i := range readers {
		streams = append(streams, follow(t, r, []string{"?meta=subtitle", "?meta=link,subtitle"}[i%2]))
		streams[i].comment(t, "epoch")
	}
	r.fill(t, n, freeTopic)
	for _, s := range streams {
		for range n {
			if got := s.event(t).data[0]; !strings.Contains(got, `"subtitle":"\u00e9 of `) {
				t.Errorf("a reader got %s", got)
			}
		}
	}
	// On a machine that does nothing for 2 seconds words may be looked for again.
	if calls := d.calls.Load(); calls < n || calls > 2*n {
		t.Errorf("for %d readers of %d messages the describer was asked %d times, want %d", readers, n, calls, n)
	}
}

// Messages that are kept in the same slot do not get each other's words.
func TestMetaSlots(t *testing.T) {
	const slots = 512
	d := new(countingDescriber)
	r := withWords(t, d)
	r.fill(t, 2*slots+1, freeTopic)
	for _, after := range []int{0, slots, 2 * slots, 0} {
		a := r.do(t, "GET", fmt.Sprintf("/api/v1/messages?after=%d&limit=1&meta=subtitle,link", after), "")
		var page struct {
			Messages []struct {
				Message struct {
					ID string `json:"msg_id"`
				}
				Meta struct{ Subtitle, Link string }
			}
		}
		if err := json.Unmarshal(a.body, &page); err != nil || len(page.Messages) != 1 {
			t.Fatalf("after %d: %s, %v", after, a, err)
		}
		if m := page.Messages[0]; m.Meta.Link != "https://example.org/"+m.Message.ID || !strings.Contains(m.Meta.Subtitle, m.Message.ID) {
			t.Errorf("after %d: message %s has the words %+v", after, m.Message.ID, m.Meta)
		}
	}
	if calls := d.calls.Load(); calls != 4 {
		t.Errorf("the describer was asked %d times, want 4", calls)
	}
}

// handler is a server without a socket on a log of n messages in memory, each of
// which keeps its address.
func handler(t *testing.T, d fedmsg.Describer, n int) http.TestHandler {
	t.Helper()
	log := mem.NewLog()
	for i := range n {
		if r := log.Append(t.Context(), fedmsg.Entry{Message: fedmsgtest.Message(i)}); r[0].Err != nil {
			t.Fatal(r[0].Err)
		}
	}
	h, err := http.Handler(http.Config{Describer: d}, logBus{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// A logBus is a log, and all else of a bus by name only.
type logBus struct {
	*mem.Log
	fedmsg.Publisher
	fedmsg.Reader
}

// Readers that come while words are looked for wait for them.
func TestMetaDescribesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const readers, n = 8, 20
		d := &countingDescriber{slow: func() { time.Sleep(time.Millisecond) }} // fake
		h := handler(t, d, n)
		var mu sync.Mutex
		said := make(map[string]int)
		var wg sync.WaitGroup
		for range readers {
			wg.Go(func() {
				_, body := h.Get("/api/v1/messages?meta=subtitle")
				mu.Lock()
				defer mu.Unlock()
				said[string(body)]++
			})
		}
		wg.Wait()
		if calls := d.calls.Load(); calls != n || len(said) != 1 {
			t.Errorf("%d readers of %d messages got %d different pages, and the describer was asked %d times; want 1 and %d", readers, n, len(said), calls, n)
		}
	})
}

// Words are kept for 2 seconds, so that changed rules show.
func TestMetaWordsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, new(countingDescriber), 1)
		for _, step := range []struct {
			wait time.Duration
			call string
		}{{0, "call 1"}, {time.Second, "call 1"}, {1500 * time.Millisecond, "call 2"}, {time.Second, "call 2"}, {time.Hour, "call 3"}} {
			time.Sleep(step.wait) // fake
			if status, body := h.Get("/api/v1/messages?meta=subtitle"); status != 200 || !strings.Contains(string(body), step.call) {
				t.Errorf("after another %s: %d %s, want %s", step.wait, status, body, step.call)
			}
		}
	})
}

// leavingDescriber finds less if the reader is gone by the time.
type leavingDescriber struct {
	entered chan struct{}
	first   sync.Once
}

func (d *leavingDescriber) Describe(ctx context.Context, _ *fedmsg.Message) fedmsg.Words {
	found := "all"
	d.first.Do(func() {
		close(d.entered)
		<-ctx.Done()
		found = "half"
	})
	return fedmsg.Words{Subtitle: found}
}

// Who leaves while words are looked for spoils nobody else's.
func TestMetaReaderLeaves(t *testing.T) {
	d := &leavingDescriber{entered: make(chan struct{})}
	r := withWords(t, d)
	r.fill(t, 1, freeTopic)
	ctx, leave := context.WithCancel(t.Context())
	req, err := nethttp.NewRequestWithContext(ctx, "GET", r.url+"/api/v1/messages?meta=subtitle", nil)
	if err != nil {
		t.Fatal(err)
	}
	left := make(chan error, 1)
	go func() {
		resp, err := nethttp.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		left <- err
	}()
	<-d.entered
	stays := follow(t, r, "?after=0&meta=subtitle")
	stays.comment(t, "epoch")
	leave()
	if err := <-left; err == nil {
		t.Error("the reader that left got an answer")
	}
	if got := stays.event(t).data[0]; !strings.HasSuffix(got, `"meta":{"subtitle":"all"}}`) {
		t.Errorf("the reader that stayed got %s, want all", got)
	}
}

// The client reads elements with words in them as it reads others.
func TestClientReadsElementsWithMeta(t *testing.T) {
	r := withWords(t, new(countingDescriber))
	r.fill(t, 3, freeTopic)
	target, err := url.Parse(r.url)
	if err != nil {
		t.Fatal(err)
	}
	asked := new(atomic.Int64)
	proxy := httptest.NewServer(&httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		query := p.Out.URL.Query()
		query.Set("meta", strings.Join(fedmsg.WordsFields, ","))
		p.Out.URL.RawQuery = query.Encode()
		asked.Add(1)
	}})
	t.Cleanup(proxy.Close)
	c := newClient(t, proxy.URL, "")
	page, err := c.Messages(t.Context(), 0, 0)
	if err != nil || len(page.Entries) != 3 || page.Next != 3 {
		t.Fatalf("Messages = %v, %v, want 3 entries", page, err)
	}
	one, err := c.Message(t.Context(), page.Entries[1].Message.ID)
	if err != nil || one.Seq != 2 || string(one.Message.Bytes()) != string(page.Entries[1].Message.Bytes()) {
		t.Errorf("Message = %v, %v, want entry 2", one, err)
	}
	seq := fedmsg.Seq(0)
	for e, err := range c.Tail(t.Context(), http.TailConfig{After: new(fedmsg.Seq(0))}) {
		if err != nil {
			t.Fatal(err)
		}
		if seq++; e.Seq != seq || e.Verified != fedmsg.Unverified {
			t.Errorf("Tail: entry %v, want %d", e, seq)
		}
		if seq == 3 {
			break
		}
	}
	if asked.Load() != 3 {
		t.Errorf("%d requests went by the proxy, want 3", asked.Load())
	}
}
