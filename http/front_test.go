package http_test

import (
	"io"
	nethttp "net/http"
	"slices"
	"strings"
	"testing"
)

func TestFrontIsForPeople(t *testing.T) {
	r := start(t, func(s *setup) {
		s.cfg.Front = nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
			_, _ = io.WriteString(w, "<title>front</title>")
		})
	})
	for _, tt := range []struct{ accept, want string }{
		{"", "<title>front</title>"},
		{"*/*", "<title>front</title>"},
		{"text/html,application/xhtml+xml,*/*;q=0.8", "<title>front</title>"},
		{"application/json", "a fedmsg bus"},
	} {
		req, err := nethttp.NewRequestWithContext(t.Context(), nethttp.MethodGet, r.url+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if tt.accept != "" {
			req.Header.Set("Accept", tt.accept)
		}
		resp, err := nethttp.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || !strings.Contains(string(body), tt.want) || !slices.Equal(resp.Header.Values("Vary"), []string{"Accept-Encoding", "Accept"}) {
			t.Errorf("GET / with Accept %q = %s, %v, want %s", tt.accept, body, err, tt.want)
		}
	}
}
