package http

import (
	"errors"
	nethttp "net/http"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// verify judges the signature of a message and the right of its signer to speak on its
// topic, for those who cannot do it themselves. The message is not published, and may be
// of any age. A message that is not good is answered with 403 and the reason, one that
// is none like any other bad request, and 503 is no verdict.
func (s *Server) verify(w nethttp.ResponseWriter, r *nethttp.Request) {
	_, body, _, err := s.accept(w, r, false)
	var m *fedmsg.Message
	if err == nil {
		m, err = fedmsg.Decode(body)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	switch stamp, err := s.judge(r, m); {
	case err == nil:
		writeJSON(w, nethttp.StatusOK, map[string]string{"id": m.ID, "verified": stamp})
	case errors.Is(err, fedmsg.ErrUnavailable) || fedmsg.ReasonOf(err) == "":
		s.refuse(w, r, judged{err})
	default: // nothing was refused to this bus, so nothing is counted
		p := problemOf(err)
		p.Status, p.Title = nethttp.StatusForbidden, nethttp.StatusText(nethttp.StatusForbidden)
		w.Header().Set("Content-Type", "application/problem+json")
		writeJSON(w, p.Status, p)
	}
}

func (s *Server) judge(r *nethttp.Request, m *fedmsg.Message) (string, error) {
	if s.cfg.Verifier != nil {
		return s.cfg.Verifier.Verify(r.Context(), m)
	}
	if m.Signature == "" {
		return "", fedmsg.Refuse(fedmsg.Unsigned, "the message has no signature")
	}
	return "", fedmsg.Refuse(fedmsg.CryptoBackend, "this bus has nothing to check signatures with")
}
