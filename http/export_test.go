package http

import (
	"bytes"
	"context"
	nethttp "net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// A TestHandler is a server without a socket.
type TestHandler struct{ h nethttp.Handler }

// Handler makes one.
func Handler(cfg Config, b bus) (TestHandler, error) {
	cfg.Addr = "127.0.0.1:0"
	s, err := Listen(cfg, b, nil, nil)
	if err != nil {
		return TestHandler{}, err
	}
	return TestHandler{s.guard(context.Background(), s.mux)}, s.ln.Close()
}

// Post posts JSON from this machine.
func (t TestHandler) Post(path string, body []byte) (status int, answer []byte) {
	r := httptest.NewRequest(nethttp.MethodPost, path, bytes.NewReader(body))
	r.RemoteAddr, r.Host = "127.0.0.1:1", "localhost"
	if !strings.HasSuffix(path, ".push") {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	t.h.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

// Get gets from this machine.
func (t TestHandler) Get(path string) (status int, answer []byte) {
	r := httptest.NewRequest(nethttp.MethodGet, path, nil)
	r.RemoteAddr, r.Host = "127.0.0.1:1", "localhost"
	w := httptest.NewRecorder()
	t.h.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

// FuzzEventID holds for any text: it is an event ID that is spelled that way and
// no other, or none; and with any log there is a place to go on.
func FuzzEventID(f *testing.F) {
	for _, seed := range []string{"0123456789abcdef-42", "0123456789abcdef-0", "0123456789abcdef-+1", "0123456789ABCDEF-1", "-1", "", "é;DROP", "0123456789abcdef-9223372036854775808"} {
		f.Add(seed, uint32(1), uint32(10))
	}
	f.Fuzz(func(t *testing.T, text string, first, n uint32) {
		id, ok := parseEventID(text)
		if ok && id.String() != text {
			t.Fatalf("parseEventID(%q) = %v", text, id)
		}
		state := fedmsg.LogState{Epoch: "0123456789abcdef", First: fedmsg.Seq(first) + 1, Last: fedmsg.Seq(first) + fedmsg.Seq(n)}
		after, gap := place(text, state)
		if after+1 < state.First || after > state.Last {
			t.Fatalf("place(%q) = %d, outside of %d to %d", text, after, state.First, state.Last)
		}
		if gap == "" && text != state.Epoch+"-"+strconv.FormatUint(uint64(after), 10) {
			t.Fatalf("place(%q) = %d without a gap", text, after)
		}
	})
}
