package http

import (
	"errors"
	nethttp "net/http"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// health says that the process is alive, and nothing more.
func health(w nethttp.ResponseWriter, _ *nethttp.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte("ok\n"))
}

// ready says whether the bus takes messages; if not, 503 with the reason. What
// went wrong in full is in the log: anybody may ask here.
func (s *Server) ready(w nethttp.ResponseWriter, r *nethttp.Request) {
	w.Header().Set("Cache-Control", "no-store")
	state, err := s.bus.State(r.Context())
	err = errors.Join(err, state.Problem)
	switch {
	case s.ending.Load():
		s.notReady(w, fedmsg.LogUnavailable, "the server is stopping")
	case fedmsg.ReasonOf(err) == fedmsg.StorageFull:
		s.notReady(w, fedmsg.StorageFull, "the log has too little space left; reading goes on")
	case err != nil:
		s.notReady(w, fedmsg.LogUnavailable, "the log does not take messages")
	default:
		body := map[string]any{"status": "ready", "epoch": state.Epoch, "first": state.First, "last": state.Last}
		if s.cfg.Degraded != nil {
			if why := s.cfg.Degraded(); why != "" {
				body["status"], body["detail"] = "degraded", why
			}
		}
		writeJSON(w, nethttp.StatusOK, body)
	}
}

func (s *Server) notReady(w nethttp.ResponseWriter, code fedmsg.Reason, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Retry-After", "1")
	status := nethttp.StatusServiceUnavailable
	writeJSON(w, status, problem{Type: "about:blank", Title: nethttp.StatusText(status), Status: status, Code: code, Detail: detail})
}

// monitoring tells what the bus reports on itself.
func (s *Server) monitoring(w nethttp.ResponseWriter, r *nethttp.Request) {
	public(w)
	if _, err := readQuery(r); err != nil {
		s.refuse(w, r, err)
		return
	}
	writeJSON(w, nethttp.StatusOK, s.cfg.Report())
}
