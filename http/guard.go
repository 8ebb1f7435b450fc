package http

import (
	"context"
	"errors"
	nethttp "net/http"
	"net/url"
	"path"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// answerTimeout is how long a peer may take to read an answer that is no stream.
const answerTimeout = 30 * time.Second

// bodyTimeout is how long a peer may take to send a request's body.
const bodyTimeout = 30 * time.Second

// An answer is a ResponseWriter that remembers how far it is.
type answer struct {
	nethttp.ResponseWriter
	started  bool
	bodyRead bool // all of the request's body
}

func (a *answer) WriteHeader(status int) {
	a.started = true
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.started = true
	return a.ResponseWriter.Write(b)
}

// Unwrap is for [nethttp.ResponseController].
func (a *answer) Unwrap() nethttp.ResponseWriter { return a.ResponseWriter }

// stopKey is under which a request's context has the one that ends when the
// server stops; serverKey, the server.
type (
	stopKey   struct{}
	serverKey struct{}
)

// Refuse answers a request of one of the routes in [Config.Routes] with the
// problem that err is, as the server does for its own, and counts it.
func Refuse(w nethttp.ResponseWriter, r *nethttp.Request, err error) {
	s, ok := r.Context().Value(serverKey{}).(*Server)
	if !ok {
		p := problemOf(err) // in a test, without a server
		w.Header().Set("Content-Type", "application/problem+json")
		writeJSON(w, p.Status, p)
		return
	}
	s.refuse(w, r, err)
}

// Stopping returns a channel that is closed when the server stops: for answers
// that have no end.
func Stopping(r *nethttp.Request) <-chan struct{} {
	if stop, ok := r.Context().Value(stopKey{}).(context.Context); ok {
		return stop.Done()
	}
	return r.Context().Done()
}

// guard is what holds for every request: the headers, the net under panics, and
// the refusal of what no route is to see.
func (s *Server) guard(stop context.Context, mux *nethttp.ServeMux) nethttp.Handler {
	return nethttp.HandlerFunc(func(rw nethttp.ResponseWriter, r *nethttp.Request) {
		s.active.Add(1)
		defer s.active.Add(-1)
		w := &answer{ResponseWriter: rw}
		r = r.WithContext(context.WithValue(context.WithValue(r.Context(), stopKey{}, stop), serverKey{}, s))
		defer s.recover(w, r)
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		control := nethttp.NewResponseController(rw)
		_ = control.SetWriteDeadline(time.Now().Add(answerTimeout)) // it can
		if r.ContentLength != 0 {
			_ = control.SetReadDeadline(time.Now().Add(bodyTimeout)) // net/http lifts it for the next request
		}

		if err := s.cross.Check(r); err != nil {
			s.refuse(w, r, fedmsg.Refuse(crossSite, "a browser sends this on behalf of another site"))
			return
		}
		if !isClean(r.URL.Path) {
			s.refuse(w, r, fedmsg.Refuse(notFound, "there is nothing under this path"))
			return
		}
		if _, pattern := mux.Handler(r); pattern == "" {
			s.unknown(w, r, mux)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// isClean reports whether a path is what it means: the mux would answer others
// with a redirect.
func isClean(p string) bool {
	if p == "" || p[0] != '/' {
		return false
	}
	clean := path.Clean(p)
	if clean != "/" && strings.HasSuffix(p, "/") {
		clean += "/"
	}
	return clean == p
}

// unknown answers a request that no route takes.
func (s *Server) unknown(w nethttp.ResponseWriter, r *nethttp.Request, mux *nethttp.ServeMux) {
	var allowed []string
	for _, method := range []string{nethttp.MethodGet, nethttp.MethodHead, nethttp.MethodPost, nethttp.MethodPut, nethttp.MethodDelete} {
		probe := &nethttp.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := mux.Handler(probe); pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		s.refuse(w, r, fedmsg.Refuse(notFound, "there is nothing under this path; GET / says what is here"))
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	s.refuse(w, r, fedmsg.Refuse(methodNotAllowed, "this path takes %s", strings.Join(allowed, ", ")))
}

// recover ends a request that panicked with a 500, as far as that can be said.
func (s *Server) recover(w *answer, r *nethttp.Request) {
	what := recover()
	if what == nil {
		return
	}
	s.panics.Add(1, edge)
	s.logger.ErrorContext(r.Context(), "request panicked", "route", r.Pattern, "err", what, "stack", string(debug.Stack()))
	if w.started {
		panic(nethttp.ErrAbortHandler) // the peer must not take half an answer for a whole one
	}
	s.refuse(w, r, errors.New("panic"))
}

// Parameters returns what stands behind the question mark. The error is a refusal of
// what cannot be read, and of tokens.
func Parameters(r *nethttp.Request) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fedmsg.Refuse(BadQuery, "the query string is malformed")
	}
	for name, list := range values {
		if isSecret(name, list) {
			return nil, fedmsg.Refuse(fedmsg.Unauthenticated, "a token does not belong in an address, where logs keep it: send it in the header Authorization, as Bearer; and revoke this one")
		}
	}
	return values, nil
}

// readQuery returns a request's parameters, if it has none but the named. Only
// topic and meta may be there more than once.
func readQuery(r *nethttp.Request, names ...string) (url.Values, error) {
	values, err := Parameters(r)
	if err != nil {
		return nil, err
	}
	for name, list := range values {
		if !slices.Contains(names, name) {
			return nil, fedmsg.RefuseField(BadQuery, clip(name), "parameter %q is not known here; known are %q", clip(name), names)
		}
		if len(list) > 1 && name != "topic" && name != "meta" {
			return nil, fedmsg.RefuseField(BadQuery, name, "parameter %q is there %d times", name, len(list))
		}
	}
	return values, nil
}

// isSecret reports whether a parameter looks like a token.
func isSecret(name string, values []string) bool {
	switch strings.ToLower(name) {
	case "token", "access_token", "auth_token", "authorization", "bearer", "api_key", "apikey":
		return true
	}
	return slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, tokenPrefix) })
}

// clip shortens what a peer sent, for an error.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 64)], "?") }

// number reads a parameter that is a whole number from low to high.
func number(values url.Values, name string, otherwise, low, high uint64) (uint64, error) {
	if !values.Has(name) {
		return otherwise, nil
	}
	text := values.Get(name)
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n < low || n > high {
		return 0, fedmsg.RefuseField(BadQuery, name, "parameter %q must be a whole number from %d to %d, is %q", name, low, high, clip(text))
	}
	return n, nil
}

// maxPatterns is how many topic patterns one request may have.
const maxPatterns = 64

// topics reads the parameters topic.
func topics(values url.Values) ([]fedmsg.Pattern, error) {
	list := values["topic"]
	if len(list) > maxPatterns {
		return nil, fedmsg.RefuseField(fedmsg.TooManySubscriptions, "topic", "%d topic patterns, at most %d are allowed", len(list), maxPatterns)
	}
	patterns := make([]fedmsg.Pattern, len(list))
	for i, text := range list {
		patterns[i] = fedmsg.Pattern(text)
		if err := patterns[i].Validate(); err != nil {
			return nil, err
		}
	}
	return patterns, nil
}
