package harvest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/naive"
	"github.com/fedora-infra/fedmsg-go/http/grepper"
	"github.com/fedora-infra/fedmsg-go/http/history"
	"github.com/fedora-infra/fedmsg-go/mem"
	"github.com/fedora-infra/fedmsg-go/query"
)

// bus is a bus of our kind with the old and the new interface, in this process.
func bus(t *testing.T, count int) (*mem.Archive, nethttp.Handler) {
	t.Helper()
	archive := mem.NewArchive(func(f fedmsg.Filter, e fedmsg.Entry) bool {
		return query.NewMatcher(f, naive.Describer{}).Match(context.Background(), e)
	}, naive.Describer{})
	for i := range count {
		at := began.Add(time.Duration(i/3) * 7 * time.Second)
		if i >= count/2 && i < count/2+250 {
			at = began.Add(time.Duration(count/6) * 7 * time.Second)
		}
		m, err := fedmsg.Draft{Topic: "org.example.prod.git.receive", ID: fedmsgtest.ID(i), Time: at, Body: json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))}.Message()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Deliver(t.Context(), []fedmsg.Entry{{Seq: fedmsg.Seq(i + 1), Verified: "none", Message: m}}); err != nil {
			t.Fatal(err)
		}
	}
	mux := nethttp.NewServeMux()
	old, err := grepper.New(grepper.Config{Archive: archive, Counter: archive, Describer: naive.Describer{}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	old.Routes(mux)
	api, err := history.New(history.Config{Archive: archive}, nil)
	if err != nil {
		t.Fatal(err)
	}
	api.Routes(mux)
	return archive, mux
}

// A bus of our kind is taken whole by each of its doors, also if its answers break off.
func TestHarvestOfBus(t *testing.T) {
	const count = 1300
	_, mux := bus(t, count)
	for _, path := range []string{"/raw", "/v2/search?topic=org.example.prod.git.receive", "/", "/api/v1/export?category=git&q=after:2012"} {
		t.Run(path, func(t *testing.T) {
			n := 0
			cutting := roundTripper(func(r *nethttp.Request) (*nethttp.Response, error) {
				n++
				resp, err := through{mux}.RoundTrip(r)
				if err == nil && n%3 == 1 {
					text, _ := io.ReadAll(resp.Body)
					resp.Body, resp.Trailer = cut(string(text)), nil
				}
				return resp, err
			})
			k := &take{t: t, ids: make(map[string]int)}
			h := harvest(t, path, cutting, func(c *Config) { c.Rate = 100 })
			h.client.pause = time.Millisecond
			if err := h.Run(t.Context(), "", k.rows); err != nil {
				t.Fatal(err)
			}
			for id, times := range k.ids {
				if times != 1 {
					t.Fatalf("%s came %d times", id, times)
				}
			}
			if len(k.ids) != count || !k.till.Equal(h.cfg.Until) {
				t.Errorf("%d messages, want %d; reached %s", len(k.ids), count, k.till)
			}
			t.Logf("%d requests", n)
		})
	}
}

type roundTripper func(*nethttp.Request) (*nethttp.Response, error)

func (f roundTripper) RoundTrip(r *nethttp.Request) (*nethttp.Response, error) { return f(r) }

// An export that was broken off goes on behind the last cursor, with the times of its
// own query; one without trailers is not taken for whole.
func TestHarvestOfExport(t *testing.T) {
	const count = 1800
	_, mux := bus(t, count)
	broken, asked := errors.New("broken off"), []string{}
	watched := roundTripper(func(r *nethttp.Request) (*nethttp.Response, error) {
		asked = append(asked, r.URL.RawQuery)
		return through{mux}.RoundTrip(r)
	})
	k := &take{t: t, ids: make(map[string]int)}
	takes := 0
	k.stop = func() error {
		if takes++; takes == 3 {
			return broken
		}
		return nil
	}
	change := func(c *Config) { c.Rate = 100 }
	if err := harvest(t, "/?q=after:20y", watched, change).Run(t.Context(), "", k.rows); !errors.Is(err, broken) {
		t.Fatalf("Run = %v, want %v", err, broken)
	}
	if len(k.ids) != 1000 || !strings.Contains(k.state, "cursor") {
		t.Fatalf("%d messages, state %s", len(k.ids), k.state)
	}
	if err := harvest(t, "/?q=after:20y", watched, change).Run(t.Context(), k.state, k.rows); err != nil {
		t.Fatal(err)
	}
	if len(k.ids) != count || len(asked) != 2 || !strings.Contains(asked[1], "cursor=") || strings.Contains(asked[1], "20y") {
		t.Errorf("%d messages, asked %q", len(k.ids), asked)
	}

	bare := roundTripper(func(r *nethttp.Request) (*nethttp.Response, error) {
		resp, err := through{mux}.RoundTrip(r)
		resp.Trailer = nil
		return resp, err
	})
	h := harvest(t, "/", bare, change)
	h.client.pause = time.Millisecond
	if err := h.Run(t.Context(), "", (&take{t: t, ids: make(map[string]int)}).rows); !errors.Is(err, fedmsg.ErrUnavailable) || !strings.Contains(err.Error(), "without saying that it is whole") {
		t.Errorf("without trailers: %v", err)
	}
}
