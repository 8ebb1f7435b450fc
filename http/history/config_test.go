package history_test

import (
	"context"
	nethttp "net/http"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/naive"
	"github.com/fedora-infra/fedmsg-go/http/history"
	"github.com/fedora-infra/fedmsg-go/mem"
)

func TestConfig(t *testing.T) {
	_, err := history.New(history.Config{Timeout: -1, Limits: history.Limits{Exports: -1}}, nil)
	for _, want := range []string{"archive: required", "timeout", "exports"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want %q in it", err, want)
		}
	}
	api, err := history.New(history.Config{Archive: mem.NewArchive(match, naive.Describer{})}, nil)
	if err != nil {
		t.Fatal(err)
	}
	mux := nethttp.NewServeMux()
	api.Routes(mux)
	if w := fromOutside(mux, "/api/v1/stream", "192.0.2.1:80"); w.Code != 404 {
		t.Errorf("a stream without a log: %d, want 404", w.Code)
	}
	if w := fromOutside(mux, "/api/v1/topics?meta=title", "192.0.2.1:80"); w.Code != 400 || !strings.Contains(w.Body.String(), `"field":"meta"`) {
		t.Errorf("words without rules: %d %s, want 400", w.Code, w.Body)
	}
}

// stuck is an archive that does not answer.
type stuck struct{ *mem.Archive }

func (stuck) Search(ctx context.Context, _ fedmsg.Query) (fedmsg.Page, error) {
	<-ctx.Done()
	return fedmsg.Page{}, ctx.Err()
}

// A question that takes too long is answered with that, in time.
func TestBadInputsSlowQuery(t *testing.T) {
	r := start(t, func(s *setup) {
		s.archive = stuck{mem.NewArchive(match, naive.Describer{})}
		s.cfg.Timeout = 50 * time.Millisecond
	})
	for _, path := range []string{"/api/v1/messages?user=a", "/api/v1/histogram?step=auto"} {
		began := time.Now()
		if a := r.get(t, path); a.StatusCode != 504 || !strings.Contains(a.String(), "query_timeout") || time.Since(began) > 10*time.Second {
			t.Errorf("GET %s = %s after %s, want 504 soon", path, a, time.Since(began))
		}
	}
}

// What the log has forgotten is found in the archive, by its ID.
func TestOlderMessages(t *testing.T) {
	r := start(t, func(s *setup) { s.log.Limit = 5 })
	for i := range 20 {
		r.append(t, said(t, i))
		r.idle(t, fedmsg.Seq(i+1))
	}
	var e element
	if r.ask(t, "/api/v1/messages/m-3", &e); e.Message.ID != "m-3" || e.Seq != 4 {
		t.Errorf("message m-3 = %+v", e)
	}
	if a := r.get(t, "/api/v1/messages/"+fedmsgtest.ID(1)); a.StatusCode != 404 {
		t.Errorf("a message that never was: %s, want 404", a)
	}
}
