// Package grepper answers as datagrepper did, at the same paths, with the same
// parameters and in the same shapes, so that what asked datagrepper goes on working:
//
//	GET /raw?user=ralph&delta=86400&meta=subtitle
//	GET /v2/search?topic=org.fedoraproject.prod.git.receive
//	GET /id?id=2026-5e4d1bc5-3b5d-4a0f-a5f0-4ad5e4f4a3a1
//	GET /charts/line?category=bodhi&category=git&split_on=categories
//
// It is strict where datagrepper answered with a fault of its own: a value that is
// none is refused, and the refusal names the parameter. Parameters that it does not
// know it passes over, as ever.
//
// It may change where datagrepper did not say; the rest is kept.
package grepper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	nethttp "net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/limit"
)

// Config says what is asked, and how. Archive, Counter and Describer are required.
type Config struct {
	// Archive holds the messages, Counter counts them. Describer finds whom and what
	// they are about.
	Archive   fedmsg.Archive
	Counter   fedmsg.Counter
	Describer fedmsg.Describer

	// DefaultDelta is how far back a request looks that does not say: from start on,
	// or to an end without a start. Default: as far as there is something.
	DefaultDelta time.Duration

	// History and Message are where people find what programs find here: the path of
	// a page that takes a search line as q, and what stands before an ID in the path of
	// a message's page. Default: they get a plain list.
	History, Message string

	// Version is what messages have as source_version. Default "devel".
	Version string

	// Timeout is how long an answer may take. Default 12s.
	Timeout time.Duration

	// Rate is how many requests a second one address may make, and Burst how many at
	// once after a pause. Who connects from this machine is not counted. Defaults: 20
	// and 100. -1 is no limit.
	Rate  float64
	Burst int

	// Now is the clock. Default: [time.Now].
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	c.Version = cmp.Or(c.Version, "devel")
	c.Timeout = cmp.Or(c.Timeout, 12*time.Second)
	c.Rate, c.Burst = cmp.Or(c.Rate, 20), cmp.Or(c.Burst, 100)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Validate reports everything that is wrong with c, joined, or nil.
func (c Config) Validate() error {
	var errs []error
	if c.Archive == nil || c.Counter == nil || c.Describer == nil {
		errs = append(errs, errors.New("archive, counter, describer: required"))
	}
	if c.DefaultDelta < 0 || c.Timeout < 0 {
		errs = append(errs, errors.New("default_delta, timeout: must not be negative"))
	}
	return errors.Join(errs...)
}

// Grepper answers requests. [New] makes one.
type Grepper struct {
	cfg    Config
	logger *slog.Logger
	rates  *limit.Rates
}

// New makes a Grepper. logger may be nil.
func New(cfg Config, logger *slog.Logger) (*Grepper, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("http/grepper: %w", err)
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	cfg = cfg.withDefaults()
	return &Grepper{cfg: cfg, logger: logger.With("edge", "http"), rates: limit.NewRates(cfg.Rate, cfg.Burst)}, nil
}

// Routes adds all paths, with a slash behind and without.
func (g *Grepper) Routes(mux *nethttp.ServeMux) {
	for path, answer := range map[string]answerer{
		"/raw":           g.search(g.rawRow, "raw_messages"),
		"/v2/search":     g.search(g.messagingRow, "raw_messages"),
		"/id":            g.one(g.rawRow),
		"/v2/id":         g.one(g.messagingRow),
		"/messagecount":  g.count,
		"/charts/{type}": g.chart,
	} {
		mux.HandleFunc("GET "+path, http.Packed(g.handler(answer)))
		mux.HandleFunc("GET "+path+"/{$}", http.Packed(g.handler(answer)))
	}
	mux.HandleFunc("GET /widget.js", http.Packed(g.asset("widget.js", "application/javascript")))
	mux.HandleFunc("GET /widget.css", http.Packed(g.asset("widget.css", "text/css; charset=utf-8")))
}

// A request is one that could be read.
type request struct {
	*nethttp.Request
	params params
	now    time.Time
}

// An answer is what a request gets.
type answer struct {
	media  string
	body   []byte
	to     string // where to go instead
	policy string // Content-Security-Policy, if not that of all
	fresh  int    // seconds for which it may be kept
}

type answerer func(context.Context, *request) (*answer, error)

// handler makes a handler of what answers.
func (g *Grepper) handler(answers answerer) nethttp.HandlerFunc {
	return func(w nethttp.ResponseWriter, r *nethttp.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*") // never with credentials
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Add("Vary", "Accept")
		ctx, cancel := context.WithTimeout(r.Context(), g.cfg.Timeout)
		defer cancel()
		a, err := g.answer(ctx, w, r, answers)
		if err != nil {
			http.Refuse(w, r, err)
			return
		}
		if a.to != "" {
			h.Set("Location", a.to)
			w.WriteHeader(nethttp.StatusFound)
			return
		}
		if a.policy != "" {
			h.Set("Content-Security-Policy", a.policy)
		}
		if a.fresh > 0 {
			h.Set("Cache-Control", "public, max-age="+strconv.Itoa(a.fresh))
		}
		h.Set("Content-Type", a.media)
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
		_, _ = w.Write(a.body) // if the peer is gone, nobody is left to tell
	}
}

func (g *Grepper) answer(ctx context.Context, w nethttp.ResponseWriter, r *nethttp.Request, answers answerer) (*answer, error) {
	if addr := limit.Peer(r); !addr.IsLoopback() {
		if wait := g.rates.Take(limit.Network(addr).String()); wait > 0 {
			w.Header().Set("Retry-After", limit.Seconds(wait))
			return nil, fedmsg.Refuse(fedmsg.RateLimited, "more than %g requests a second; try again in %s s", g.cfg.Rate, limit.Seconds(wait))
		}
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fedmsg.Refuse(http.BadQuery, "the query string is malformed")
	}
	return answers(ctx, &request{Request: r, params: params(values), now: g.cfg.Now().UTC()})
}

// asJSON answers with JSON, or with a call of a function if one is asked for: JSONP.
func (r *request) asJSON(body []byte) (*answer, error) {
	callback, err := r.params.callback()
	if err != nil {
		return nil, err
	}
	if callback == "" {
		return &answer{media: "application/json", body: append(body, '\n')}, nil
	}
	// The comment is so that no one takes the beginning for something else, which the
	// caller chose. Old browsers end lines of a script at U+2028 and U+2029.
	text := strings.NewReplacer("\u2028", `\u2028`, "\u2029", `\u2029`).Replace(string(body))
	return &answer{media: "application/javascript", body: []byte("/**/" + callback + "(" + text + ");\n")}, nil
}

// wantsPage reports whether a request is from somebody who would rather read HTML
// than JSON.
func (r *request) wantsPage() bool {
	var html, json float64
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		media, params, _ := strings.Cut(part, ";")
		weight := 1.0
		for param := range strings.SplitSeq(params, ";") {
			if text, ok := strings.CutPrefix(strings.TrimSpace(param), "q="); ok {
				weight, _ = strconv.ParseFloat(text, 64)
			}
		}
		switch strings.ToLower(strings.TrimSpace(media)) {
		case "text/html":
			html = max(html, weight)
		case "application/json", "*/*":
			json = max(json, weight)
		}
	}
	return html > json && !r.params.has("callback")
}

// count answers how many messages there are.
func (g *Grepper) count(ctx context.Context, r *request) (*answer, error) {
	n, _, err := g.total(ctx, fedmsg.Query{})
	if err != nil {
		return nil, err
	}
	return r.asJSON(fmt.Appendf(nil, `{"messagecount":%d}`, n))
}
