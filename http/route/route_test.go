package route_test

import (
	"context"
	"errors"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/limit"
	"github.com/fedora-infra/fedmsg-go/http/route"
)

// serve makes what serves one route.
func serve(rt route.Route) *nethttp.ServeMux {
	s := route.Set{Routes: []route.Route{rt}, Now: time.Now, Timeout: time.Second, Rates: limit.NewRates(-1, 0), Refusal: func(err error) error { return err }}
	mux := nethttp.NewServeMux()
	s.Mount(mux)
	return mux
}

func get(h nethttp.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

// Those who ask the same at the same time wait for one answer; it is not told to who
// asks something else, nor is a mistake told twice.
func TestKeptAnswers(t *testing.T) {
	var asked atomic.Int64
	begun, open := make(chan struct{}, 100), make(chan struct{})
	mux := serve(route.Route{Path: "/n", Keep: time.Minute, Params: []route.Param{{Name: "a"}},
		Answer: func(_ context.Context, r *route.Request) (*route.Answer, error) {
			asked.Add(1)
			begun <- struct{}{}
			<-open
			if r.Text("a") == "bad" {
				return nil, errors.New("no")
			}
			return &route.Answer{Body: []byte(r.Text("a"))}, nil
		}})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if w := get(mux, "/n?a=1"); w.Code != 200 || w.Body.String() != "1" {
				t.Errorf("a=1: %d %s", w.Code, w.Body)
			}
		})
	}
	<-begun
	close(open)
	all.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("20 who ask the same cost %d answers, want 1", n)
	}
	if w := get(mux, "/n?a=2"); w.Body.String() != "2" {
		t.Errorf("a=2: %d %s", w.Code, w.Body)
	}
	for range 2 {
		if w := get(mux, "/n?a=bad"); w.Code != 500 {
			t.Errorf("a=bad: %d, want 500", w.Code)
		}
	}
	if n := asked.Load(); n != 4 {
		t.Errorf("%d answers in all, want 4", n)
	}
}

// A sheet has no formulas.
func TestSheet(t *testing.T) {
	sheet := route.Sheet{Head: []string{"a", "b", "c", "d", "e"}}
	sheet.Add("=1+1", -1, -0.25, time.Date(2026, 11, 24, 10, 0, 0, 0, time.FixedZone("", 3600)), nil)
	sheet.Add("a,\"b\"", int64(7), 1e9, time.Time{}, fedmsg.Seq(1))
	want := "a,b,c,d,e\r\n'=1+1,-1,-0.25,2026-11-24T09:00:00Z,\r\n\"a,\"\"b\"\"\",7,1e+09,,1\r\n"
	if got := string(sheet.CSV()); got != want {
		t.Errorf("CSV = %q, want %q", got, want)
	}
}

// A parameter with a preset has it; lists come with commas and as several parameters.
func TestParameters(t *testing.T) {
	mux := serve(route.Route{Path: "/p", Params: []route.Param{
		{Name: "n", Kind: route.Whole, Low: 1, High: 9, Preset: "3"},
		{Name: "list", Kind: route.Choices, Of: []string{"x", "y", "z"}, Preset: "x,z"},
	}, Answer: func(_ context.Context, r *route.Request) (*route.Answer, error) {
		return &route.Answer{Body: []byte(strings.Repeat(strings.Join(r.List("list"), ""), r.Number("n")))}, nil
	}})
	for params, want := range map[string]string{"": "xzxzxz", "n=1": "xz", "n=1&list=y": "y", "n=2&list=y,x&list=y,z": "yxzyxz"} {
		if w := get(mux, "/p?"+params); w.Body.String() != want {
			t.Errorf("%s: %d %s, want %s", params, w.Code, w.Body, want)
		}
	}
	for _, params := range []string{"n=0", "n=10", "n=1&n=2", "list=", "list=x,,y", "m=1", "n=%zz"} {
		if w := get(mux, "/p?"+params); w.Code != 400 || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s, want 400", params, w.Code, w.Body)
		}
	}
}
