package fetch_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fedora-infra/fedmsg-go/http/fetch"
)

// site is a web site with pages of all kinds. other is another one.
func site(t *testing.T, other string) *httptest.Server {
	t.Helper()
	const megabyte = 1 << 20
	mux := nethttp.NewServeMux()
	mux.HandleFunc("GET /page", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		_, _ = io.WriteString(w, "diff --git a/x b/x\n")
	})
	mux.HandleFunc("GET /slow", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		for range 3 { // in pieces, so that one read does not get it all
			_, _ = io.WriteString(w, "piece ")
			_ = nethttp.NewResponseController(w).Flush()
		}
	})
	mux.HandleFunc("GET /full", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", megabyte))
	})
	mux.HandleFunc("GET /fuller", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", megabyte+1))
	})
	mux.HandleFunc("GET /packed", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, strings.Repeat("x", 4*megabyte))
		_ = z.Close()
	})
	mux.HandleFunc("GET /cut", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "short")
	})
	mux.HandleFunc("GET /made", func(w nethttp.ResponseWriter, r *nethttp.Request) { w.WriteHeader(nethttp.StatusCreated) })
	mux.HandleFunc("GET /hop/3", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		nethttp.Redirect(w, r, "/hop/2", nethttp.StatusFound)
	})
	mux.HandleFunc("GET /hop/2", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		nethttp.Redirect(w, r, "/hop/1", nethttp.StatusMovedPermanently)
	})
	mux.HandleFunc("GET /hop/1", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		nethttp.Redirect(w, r, "/page", nethttp.StatusTemporaryRedirect)
	})
	mux.HandleFunc("GET /hop/4", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		nethttp.Redirect(w, r, "/hop/3", nethttp.StatusFound)
	})
	mux.HandleFunc("GET /round", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		nethttp.Redirect(w, r, "/round", nethttp.StatusFound)
	})
	mux.HandleFunc("GET /away", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		nethttp.Redirect(w, r, other+"/page", nethttp.StatusFound)
	})
	mux.HandleFunc("GET /near/away", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		nethttp.Redirect(w, r, "/away", nethttp.StatusFound)
	})
	mux.HandleFunc("GET /scheme", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		nethttp.Redirect(w, r, "https://"+r.Host+"/page", nethttp.StatusFound)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestFetcher(t *testing.T) {
	reached := false
	other := httptest.NewServer(nethttp.HandlerFunc(func(nethttp.ResponseWriter, *nethttp.Request) { reached = true }))
	t.Cleanup(other.Close)
	s := site(t, other.URL)
	fetch := fetch.New()
	tests := []struct {
		url  string
		want string // of the page; its beginning
		size int
		err  string
	}{
		{url: s.URL + "/page", want: "diff --git a/x b/x\n", size: 19},
		{url: s.URL + "/slow", want: "piece piece piece ", size: 18},
		{url: s.URL + "/full", want: "xxx", size: 1 << 20},
		{url: s.URL + "/hop/1", want: "diff", size: 19},
		{url: s.URL + "/hop/3", want: "diff", size: 19},
		{url: s.URL + "/hop/4", err: "it leads on and on"},
		{url: s.URL + "/round", err: "it leads on and on"},
		{url: s.URL + "/away", err: "it leads to another site, " + strings.TrimPrefix(other.URL, "http://")},
		{url: s.URL + "/near/away", err: "it leads to another site"},
		{url: s.URL + "/scheme", err: "it leads to another site"},
		{url: s.URL + "/fuller", err: "/fuller: more than 1048576 bytes"},
		{url: s.URL + "/packed", err: "/packed: more than 1048576 bytes"},
		{url: s.URL + "/cut", err: "/cut: unexpected EOF"},
		{url: s.URL + "/made", err: "/made: 201 Created"},
		{url: s.URL + "/none", err: "/none: 404 Not Found"},
		{url: "http://127.0.0.1:1/", err: "connection refused"},
		{url: "http://[::1/", err: "missing ']'"},
		{url: "file:///etc/passwd", err: "unsupported protocol scheme"},
		{url: "/page", err: "unsupported protocol scheme"},
		{url: "", err: "unsupported protocol scheme"},
		{url: "http://", err: "no Host"},
	}
	for _, tt := range tests {
		body, err := fetch(t.Context(), tt.url)
		if tt.err == "" && (err != nil || len(body) != tt.size || !strings.HasPrefix(string(body), tt.want)) {
			t.Errorf("fetch(%s) = %d bytes %.40q, %v, want %d bytes %q", tt.url, len(body), body, err, tt.size, tt.want)
		}
		if tt.err != "" && (body != nil || err == nil || !strings.HasPrefix(err.Error(), "fetch: ") || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("fetch(%s) = %d bytes, %v, want the error fetch: ... %s", tt.url, len(body), err, tt.err)
		}
	}
	if reached {
		t.Error("the other site was asked")
	}
}

// Who is not waited for any more is not waited for.
func TestFetcherStops(t *testing.T) {
	entered := make(chan struct{})
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		_, _ = io.WriteString(w, "begun")
		_ = nethttp.NewResponseController(w).Flush()
		close(entered)
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	if body, err := fetch.New()(ctx, s.URL); body != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("fetch = %q, %v, want context.Canceled", body, err)
	}
}
