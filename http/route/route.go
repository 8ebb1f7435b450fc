package route

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	nethttp "net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/limit"
	"github.com/fedora-infra/fedmsg-go/query"
)

// A Route is what one path answers.
type Route struct {
	Path  string // as [nethttp.ServeMux] has it
	About string // in one line
	// Asks says that it takes the parameters of package query, but for those Without.
	Asks    bool
	Without []string
	// Params are its own; of the same name as one of package query, instead of it.
	Params []Param
	// Tells are the members of its answer in JSON, with blanks between; empty for one
	// message.
	Tells string
	// Gives is what it answers with, beside JSON.
	Gives []string
	// Method and Status are those of a route that is not GET or not answered with 200.
	Method, Status string

	// Answer answers what has an end, Serve what writes as it goes. A route without
	// both is served by another part.
	Answer func(context.Context, *Request) (*Answer, error)
	Serve  func(nethttp.ResponseWriter, *Request) error
	// Mounted says that [Set.Mount] does not add it.
	Mounted bool
	// Keep is how long an answer that cost something is told again to who asks the same.
	Keep time.Duration
}

// Names returns the parameters that it takes, in order.
func (rt *Route) Names() []string {
	var names []string
	for _, p := range rt.Params {
		names = append(names, p.Name)
	}
	if rt.Asks {
		for _, name := range query.Parameters() {
			if !slices.Contains(names, name) && !slices.Contains(rt.Without, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// A Set is routes that are served alike.
type Set struct {
	Routes []Route
	// Now is the clock.
	Now func() time.Time
	// Timeout is how long an answer may take that is no stream.
	Timeout time.Duration
	// Rates hold an address to some requests a second. Who connects from this machine
	// is not counted.
	Rates *limit.Rates
	// Refusal says in the words of the interface what went wrong.
	Refusal func(error) error

	kept kept
}

// Mount adds all routes but those that are mounted already.
func (s *Set) Mount(mux *nethttp.ServeMux) {
	for i := range s.Routes {
		if rt := &s.Routes[i]; !rt.Mounted && (rt.Answer != nil || rt.Serve != nil) {
			h := s.handler(rt)
			if rt.Serve == nil { // it answers as a whole
				h = http.Packed(h)
			}
			mux.HandleFunc(cmp.Or(rt.Method, nethttp.MethodGet)+" "+rt.Path, h)
		}
	}
}

// Handler returns what answers the route with this path, which must be one.
func (s *Set) Handler(path string) nethttp.HandlerFunc {
	return s.handler(&s.Routes[slices.IndexFunc(s.Routes, func(rt Route) bool { return rt.Path == path })])
}

// handler answers requests for a route.
func (s *Set) handler(rt *Route) nethttp.HandlerFunc {
	return func(w nethttp.ResponseWriter, r *nethttp.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*") // never with credentials
		h.Set("Access-Control-Expose-Headers", "ETag, Link, Retry-After")
		h.Set("Cache-Control", "no-store")
		err := s.admit(w, r)
		var req *Request
		if err == nil {
			req, err = s.read(rt, r)
		}
		if err == nil && rt.Serve != nil {
			err = rt.Serve(w, req)
		} else if err == nil {
			var ans *Answer
			ctx, cancel := context.WithTimeout(r.Context(), s.Timeout)
			defer cancel()
			if ans, err = s.kept.answer(ctx, rt, req); err == nil {
				s.write(w, req, ans)
			}
		}
		if err != nil {
			http.Refuse(w, r, s.Refusal(err))
		}
	}
}

// admit returns a refusal if an address asks too often.
func (s *Set) admit(w nethttp.ResponseWriter, r *nethttp.Request) error {
	addr := limit.Peer(r)
	if addr.IsLoopback() {
		return nil // it is this machine's own
	}
	wait := s.Rates.Take(limit.Network(addr).String())
	if wait == 0 {
		return nil
	}
	w.Header().Set("Retry-After", limit.Seconds(wait))
	return fedmsg.Refuse(fedmsg.RateLimited, "too many requests; try again in %s s", limit.Seconds(wait))
}

// An Answer is what is to be written.
type Answer struct {
	Body  []byte // JSON
	Sheet *Sheet // the same, for the parameter format=csv; nil if it is no table
	// Links are those of the header Link.
	Links []string
	// Until is the end of the time that it is about; zero if that has none.
	Until time.Time
	// Partial says that there is more than could be looked at in time.
	Partial bool
}

// settled is how long after its time a message may still come in, a day by default,
// and an hour more.
const settled = 25 * time.Hour

// caching says how long an answer holds.
func (ans *Answer) caching(now time.Time) string {
	switch {
	case ans.Partial:
		return "no-store"
	case ans.Until.IsZero() || ans.Until.After(now):
		return "no-cache"
	case ans.Until.After(now.Add(-settled)):
		return "public, max-age=60"
	}
	return "public, max-age=3600"
}

// write writes an answer that can be kept, or tells the reader to use the one it has.
func (s *Set) write(w nethttp.ResponseWriter, r *Request, ans *Answer) {
	h := w.Header()
	body := ans.Body
	h.Set("Content-Type", "application/json")
	if ans.Sheet != nil && r.Text("format") == "csv" {
		body = ans.Sheet.CSV()
		h.Set("Content-Type", "text/csv; charset=utf-8")
	}
	h.Set("Cache-Control", ans.caching(r.Now))
	if len(ans.Links) > 0 {
		h.Set("Link", strings.Join(ans.Links, ", "))
	}
	if !ans.Partial {
		sum := sha256.Sum256(body)
		tag := `W/"` + hex.EncodeToString(sum[:16]) + `"`
		h.Set("ETag", tag)
		if holds(r.Header.Get("If-None-Match"), tag) {
			h.Del("Content-Type")
			w.WriteHeader(nethttp.StatusNotModified)
			return
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // if the peer is gone, nobody is left to tell
}

// holds reports whether a list of entity tags has one; weak ones count too (RFC
// 9110, 13.1.2).
func holds(list, tag string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}
