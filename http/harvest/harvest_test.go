package harvest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	nethttp "net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// every makes a fault of each so manieth request.
func every(n int, fault func(p *peer, r *nethttp.Request) *nethttp.Response) func(*peer, *nethttp.Request, int) *nethttp.Response {
	return func(p *peer, r *nethttp.Request, i int) *nethttp.Response {
		if i%n != 0 {
			return nil
		}
		return fault(p, r)
	}
}

func status(code int) func(*peer, *nethttp.Request) *nethttp.Response {
	return func(*peer, *nethttp.Request) *nethttp.Response { return respond(code, "text/html", "<h1>No.</h1>") }
}

// A harvest is whole, each message once, whatever the other side does wrong that can
// be borne; and it never asks for a second page but of a second that has one.
func TestHarvestIsWhole(t *testing.T) {
	tests := []struct {
		name  string
		peer  *peer
		deep  bool
		ticks int // requests at most
	}{
		{"well behaved", newPeer(1200), false, 120},
		{"with fractions of seconds", &peer{all: newPeer(1200).all, most: 100, isWhole: true}, false, 120},
		{"records", &peer{all: newPeer(500).all, most: 100, records: true}, false, 60},
		{"nothing there", newPeer(0), false, 20},
		{"many of one moment", newPeer(500).crowd(190), true, 120},
		{"500 at times", &peer{all: newPeer(700).all, most: 100, fault: every(3, status(500))}, false, 200},
		{"cut bodies", &peer{all: newPeer(700).all, most: 100, fault: every(3, func(p *peer, r *nethttp.Request) *nethttp.Response {
			resp := respond(200, "application/json", "")
			resp.Body = cut(p.answer(r))
			return resp
		})}, false, 200},
		{"cut bodies that end well", &peer{all: newPeer(700).all, most: 100, fault: every(4, func(p *peer, r *nethttp.Request) *nethttp.Response {
			text := p.answer(r)
			return respond(200, "application/json", text[:len(text)*2/3])
		})}, false, 200},
		{"pages of HTML", &peer{all: newPeer(500).all, most: 100, fault: every(2, status(200))}, false, 200},
		{"HTML that says it is JSON", &peer{all: newPeer(500).all, most: 100, fault: every(2, func(*peer, *nethttp.Request) *nethttp.Response {
			return respond(200, "application/json", "<html>")
		})}, false, 200},
		{"JSON of another kind", &peer{all: newPeer(500).all, most: 100, fault: every(2, func(*peer, *nethttp.Request) *nethttp.Response {
			return respond(200, "application/json", `{"error":"timeout"}`)
		})}, false, 200},
		{"no total", &peer{all: newPeer(700).all, most: 100, total: func(int) int { return 0 }}, false, 150},
		{"a total too small", &peer{all: newPeer(700).all, most: 100, total: func(n int) int { return n / 3 }}, false, 150},
		{"a total too large", &peer{all: newPeer(300).all, most: 100, total: func(n int) int { return 1000*n + 7 }}, true, 3000},
		{"pages shorter than asked for", &peer{all: newPeer(500).all, most: 30}, false, 200},
		{"a slow body", &peer{all: newPeer(500).all, most: 100, fault: every(5, func(p *peer, r *nethttp.Request) *nethttp.Response {
			resp := respond(200, "application/json", "")
			resp.Body = io.NopCloser(&slow{r.Context()})
			return resp
		})}, false, 100},
		{"leads to a slash", &peer{all: newPeer(500).all, most: 100, fault: func(p *peer, r *nethttp.Request, _ int) *nethttp.Response {
			if strings.HasSuffix(r.URL.Path, "/") {
				return nil
			}
			resp := respond(301, "text/html", "")
			to := *r.URL
			to.Path += "/"
			resp.Header.Set("Location", to.String())
			return resp
		}}, false, 120},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := tt.peer
				if p.rng == nil {
					p.rng = rand.New(rand.NewPCG(1, 2))
				}
				k := &take{t: t, ids: make(map[string]int)}
				path := "/datagrepper/raw?user=ralph&page=3&order=desc"
				if p.records {
					path = "/v2/search"
				}
				h := harvest(t, path, p, nil)
				if err := h.Run(t.Context(), "", k.rows); err != nil {
					t.Fatal(err)
				}
				p.checkWhole(t, k, true)
				if !k.till.Equal(h.cfg.Until) {
					t.Errorf("reached %s, want %s", k.till, h.cfg.Until)
				}
				if !tt.deep && p.deepest > 1 || p.n > tt.ticks {
					t.Errorf("%d requests, want at most %d; the deepest page is %d", p.n, tt.ticks, p.deepest)
				}
				t.Logf("%d requests for %d messages", p.n, len(p.all))
				for i := 1; i < len(p.asked); i++ {
					if d := p.asked[i].Sub(p.asked[i-1]); p.fault == nil && d < 19*time.Millisecond {
						t.Fatalf("requests %s apart, want 50 a second", d)
					}
				}
			})
		})
	}
}

// slow is a body that never comes.
type slow struct{ ctx context.Context }

func (s *slow) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, s.ctx.Err() }

func (p *peer) checkWhole(t *testing.T, k *take, once bool) {
	t.Helper()
	missing, twice := 0, 0
	for _, s := range p.all {
		switch n := k.ids[s.id]; {
		case n == 0:
			missing++
		case n > 1:
			twice++
		}
	}
	if missing > 0 || once && twice > 0 || len(k.ids) != len(p.all) {
		t.Errorf("%d of %d messages came, %d missing, %d twice", len(k.ids), len(p.all), missing, twice)
	}
}

// Broken off anywhere, and begun again from what was told last: nothing is left out.
func TestHarvestGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(700).crowd(150)
		rng := rand.New(rand.NewPCG(3, 4))
		k := &take{t: t, ids: make(map[string]int), stop: func() error {
			if rng.IntN(8) == 0 {
				return io.ErrClosedPipe
			}
			return nil
		}}
		runs := 0
		for runs = 1; ; runs++ {
			k.till = time.Time{}
			err := harvest(t, "/raw", p, nil).Run(t.Context(), k.state, k.rows)
			if err == nil {
				break
			}
			if !errors.Is(err, io.ErrClosedPipe) || runs > 1000 {
				t.Fatal(err)
			}
		}
		p.checkWhole(t, k, false)
		if runs < 5 {
			t.Errorf("%d runs, want some", runs)
		}
	})
}

// What cannot be borne ends a harvest with an error that says why and what to do, and
// is never taken for the end of what there is.
func TestHarvestEnds(t *testing.T) {
	always := func(fault func(*peer, *nethttp.Request) *nethttp.Response) func(*peer, *nethttp.Request, int) *nethttp.Response {
		return every(1, fault)
	}
	endless := &peer{most: 100}
	endless.fault = func(_ *peer, r *nethttp.Request, n int) *nethttp.Response {
		var rows []string
		for i := range 100 {
			rows = append(rows, fmt.Sprintf(`{"msg_id":"2014-%d","timestamp":%s,"msg":{}}`, 100*n+i, strings.SplitN(r.FormValue("start"), ".", 2)[0]))
		}
		return respond(200, "application/json", `{"raw_messages":[`+strings.Join(rows, ",")+`],"total":100}`)
	}
	tests := []struct {
		name string
		peer *peer
		kind error
		want string
		hint string
	}{
		{"always 503", &peer{fault: always(status(503))}, fedmsg.ErrUnavailable, "asked 4 times: it answers 503", "goes on from there"},
		{"503 after a while", &peer{all: newPeer(300).all, most: 100, fault: func(_ *peer, _ *nethttp.Request, n int) *nethttp.Response {
			if n < 9 {
				return nil
			}
			return respond(503, "text/plain", "")
		}}, fedmsg.ErrUnavailable, "asked 8 times: it answers 503", "goes on from there"},
		{"always HTML", &peer{fault: always(status(200))}, fedmsg.ErrUnavailable, `it answers with "text/html"`, "goes on"},
		{"not found", &peer{fault: always(status(404))}, fedmsg.ErrInvalid, "it answers 404", ""},
		{"forbidden", &peer{fault: always(status(403))}, fedmsg.ErrNotAllowed, "403", ""},
		{"alone for a day", &peer{fault: always(func(*peer, *nethttp.Request) *nethttp.Response {
			resp := respond(429, "text/plain", "")
			resp.Header.Set("Retry-After", "86400")
			return resp
		})}, fedmsg.ErrUnavailable, "left alone for 24h", "goes on"},
		{"elsewhere", &peer{fault: always(func(*peer, *nethttp.Request) *nethttp.Response {
			resp := respond(302, "text/plain", "")
			resp.Header.Set("Location", "http://evil.example/raw?x=1")
			return resp
		})}, fedmsg.ErrInvalid, "leads to another site, evil.example", "import from there: http://evil.example/raw"},
		{"round and round", &peer{fault: always(func(_ *peer, r *nethttp.Request) *nethttp.Response {
			resp := respond(302, "text/plain", "")
			resp.Header.Set("Location", r.URL.String())
			return resp
		})}, fedmsg.ErrInvalid, "on and on", ""},
		{"another time", &peer{all: newPeer(300).all, most: 100, noTimes: true}, fedmsg.ErrInvalid, "are of another time", ""},
		{"another order", &peer{all: newPeer(300).all, most: 100, noOrder: true}, fedmsg.ErrInvalid, "not in the order", ""},
		{"pages without an end", endless, fedmsg.ErrInvalid, "more than 40 pages of one second", ""},
		{"a body too large", &peer{all: newPeer(300).all, most: 100, extraBytes: 300 << 10}, fedmsg.ErrInvalid, "more than 262144 bytes for 1 rows", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.peer.rng = rand.New(rand.NewPCG(1, 2))
				h := harvest(t, "/raw", tt.peer, nil)
				h.client.maxBody, h.client.maxPages = 256<<10, 40
				k := &take{t: t, ids: make(map[string]int)}
				err := h.Run(t.Context(), "", k.rows)
				if !errors.Is(err, tt.kind) || !strings.Contains(fmt.Sprint(err), tt.want) || !strings.Contains(fedmsg.Hint(err), tt.hint) || tt.hint == "" != (fedmsg.Hint(err) == "") {
					t.Errorf("%v, hint %q; want %v, %q, hint %q", err, fedmsg.Hint(err), tt.kind, tt.want, tt.hint)
				}
				if k.till.Equal(h.cfg.Until) {
					t.Error("and it was taken for whole")
				}
			})
		})
	}
}

// Of rows that are too long together fewer are asked for.
func TestHarvestAsksForLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(120).crowd(30)
		p.extraBytes = 10 << 10
		h := harvest(t, "/raw", p, nil)
		h.client.maxBody = 256 << 10
		k := &take{t: t, ids: make(map[string]int)}
		if err := h.Run(t.Context(), "", k.rows); err != nil {
			t.Fatal(err)
		}
		p.checkWhole(t, k, true)
	})
}

// What a peer counts and does not give is told.
func TestHarvestTellsWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(50).crowd(300)
		p.noPages = true
		var told []string
		h := harvest(t, "/raw", p, func(c *Config) { c.Warn = func(s string) { told = append(told, s) } })
		k := &take{t: t, ids: make(map[string]int)}
		if err := h.Run(t.Context(), "", k.rows); err != nil {
			t.Fatal(err)
		}
		if len(told) != 1 || !strings.Contains(told[0], "it counts 301 messages and gives ") {
			t.Errorf("told %q", told)
		}
	})
}

// A pause that is asked for is kept; else pauses grow.
func TestHarvestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(10)
		p.fault = func(_ *peer, _ *nethttp.Request, n int) *nethttp.Response {
			resp := respond(503, "text/plain", "")
			switch n {
			case 1:
				resp.Header.Set("Retry-After", "77")
			case 2:
				resp.Header.Set("Retry-After", time.Now().Add(200*time.Second).UTC().Format(nethttp.TimeFormat))
			case 3:
			default:
				return nil
			}
			return resp
		}
		k := &take{t: t, ids: make(map[string]int)}
		if err := harvest(t, "/raw", p, nil).Run(t.Context(), "", k.rows); err != nil {
			t.Fatal(err)
		}
		for i, want := range []time.Duration{77, 199, 2} {
			if d := p.asked[i+1].Sub(p.asked[i]); d < want*time.Second || i < 2 && d > (want+2)*time.Second || d > 300*time.Second {
				t.Errorf("pause %d was %s, want %ds", i+1, d, want)
			}
		}
		p.checkWhole(t, k, true)
	})
}

// An interruption ends a pause.
func TestHarvestIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(10)
		p.fault = every(1, status(503))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		k := &take{t: t, ids: make(map[string]int)}
		if err := harvest(t, "/raw", p, nil).Run(ctx, "", k.rows); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		url  string
		rate float64
		want string
	}{
		{"ftp://x/raw", 0, "is not http://"}, {"http://user:pw@x/raw", 0, "is not http://"}, {"http://x/raw", -1, "rate:"}, {"http://x/raw", 1e9, "rate:"},
		{"http://x/messages", 0, `from the path "/messages"`}, {"http://x/raw?start=2", 0, ""}, {"http://x", 0, ""}, {"https://x/v2/search/", 5, ""}, {"http://x/y/api/v1/export", 5, ""},
	} {
		h, err := New(Config{URL: tt.url, Rate: tt.rate, Until: began})
		if tt.want == "" != (err == nil) || err != nil && (!strings.Contains(err.Error(), tt.want) || !errors.Is(err, fedmsg.ErrInvalid)) {
			t.Errorf("New(%q, %g) = %v, want %q", tt.url, tt.rate, err, tt.want)
		}
		if err == nil && strings.Contains(h.Name(), "start") {
			t.Errorf("Name is %s", h.Name())
		}
	}
	if _, err := New(Config{URL: "http://x/raw", Since: began, Until: began}); err == nil {
		t.Error("a time without an extent was taken")
	}
}

// FuzzReadAnswer holds that any answer is read, or refused as one that may come again.
func FuzzReadAnswer(f *testing.F) {
	for _, text := range []string{`{"raw_messages":[{"msg_id":"2014-1","timestamp":1400000000.0,"msg":{"a":NaN}}],"total":1}`, `{"raw_messages":[{"id":"x","headers":{"sent-at":"2014-05-13T16:53:20"}},7,[]],"total":"1"}`,
		`{"raw_messages":[`, `[]`, `{"raw_messages":{}}`, `{"raw_messages":[{"timestamp":1e300}]}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := readAnswer("x", text, 100)
		if err != nil && !errors.Is(err, fedmsg.ErrUnavailable) {
			t.Errorf("%v", err)
		}
		if err == nil {
			for _, r := range a.rows {
				if len(r.text) == 0 || r.at.Year() > 9999 || r.at.Before(time.Time{}) {
					t.Errorf("row %q at %s", r.text, r.at)
				}
			}
			_ = a.check(began, began.Add(time.Hour))
		}
	})
}
