// Package harvest takes the history of another bus over HTTP, from a datagrepper or
// from a bus of our own kind, without being a burden to it: one request at a time, so
// many a second, and pauses when it is asked to wait or something fails.
//
// # By time
//
// A datagrepper counts all that a question finds and walks over all rows before the
// page that is asked for. So each question is about a short window of time, of which
// the first page is taken, the oldest first; the next window begins at the second of
// that page's last row. Only a second with more messages than a page has further
// pages. A bus of our kind is asked for an export, which has cursors.
//
// # Promises
//
//   - What was handed on is told together with where to go on from there. Who keeps
//     both together gets everything, whenever it is broken off.
//   - No row is handed on twice in one run.
//   - An answer that is cut, is no JSON, or is of another time than was asked for is
//     never taken for an empty one.
package harvest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	nethttp "net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Config says what is taken from where. URL and Until are required.
type Config struct {
	// URL is that of a datagrepper's /raw or /v2/search, or that of a bus or its
	// /api/v1/export, with parameters to narrow the search.
	URL string
	// Params are more parameters.
	Params url.Values
	// Since and Until bound the times of messages. Since may be zero, which is the
	// beginning of 2012, before any bus.
	Since, Until time.Time
	// Rate is how many requests a second are made at most. Default 2.
	Rate float64
	// Tell is told of pauses, Warn of messages that the other side counts and does not
	// give. Default: nobody is.
	Tell, Warn func(string)
}

// beginning is before the first message of any bus.
var beginning = time.Date(2012, 1, 1, 0, 0, 0, 0, time.UTC)

func (c Config) withDefaults() Config {
	c.Rate = cmp.Or(c.Rate, 2)
	if c.Since.IsZero() {
		c.Since = beginning
	}
	c.Since, c.Until = c.Since.UTC(), c.Until.UTC()
	if c.Tell == nil {
		c.Tell = func(string) {}
	}
	if c.Warn == nil {
		c.Warn = func(string) {}
	}
	return c
}

// maxRate is the most requests a second that are polite to somebody else's bus.
const maxRate = 100

// Validate reports everything that is wrong with c, joined, or nil. The errors wrap
// [fedmsg.ErrInvalid].
func (c Config) Validate() error {
	var errs []error
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		errs = append(errs, fmt.Errorf("%q is not http://HOST/PATH or https://HOST/PATH: %w", c.URL, fedmsg.ErrInvalid))
	}
	if c.Rate < 0 || c.Rate > maxRate {
		errs = append(errs, fmt.Errorf("rate: must be above 0 and at most %d requests a second, is %g: %w", maxRate, c.Rate, fedmsg.ErrInvalid))
	}
	if d := c.withDefaults(); c.Until.IsZero() || !d.Since.Before(d.Until) {
		errs = append(errs, fmt.Errorf("since: %s is not before the end, %s: %w", d.Since.Format(time.RFC3339), d.Until.Format(time.RFC3339), fedmsg.ErrInvalid))
	}
	return errors.Join(errs...)
}

// A Harvest takes what one question finds. [New] makes one.
type Harvest struct {
	cfg    Config
	url    *url.URL
	isBus  bool
	client *client
}

// exportPath is where a bus of our kind gives all that it has.
const exportPath = "/api/v1/export"

// New makes a harvest. It does not ask anything yet. The error wraps
// [fedmsg.ErrInvalid].
func New(cfg Config) (*Harvest, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, err // cannot be: Validate parsed it
	}
	h := &Harvest{cfg: cfg, url: u, client: newClient(cfg)}
	switch path := strings.TrimRight(u.Path, "/"); {
	case strings.HasSuffix(path, "/raw") || strings.HasSuffix(path, "/v2/search"):
	case strings.HasSuffix(path, exportPath):
		h.isBus = true
	case path == "":
		h.isBus = true
		u.Path = exportPath
	default:
		return nil, &fedmsg.HintError{
			Err:  fmt.Errorf("%s: there is nothing to be taken from the path %q: %w", cfg.URL, u.Path, fedmsg.ErrInvalid),
			Hint: "name a datagrepper's /raw or /v2/search, or the address of a bus",
		}
	}
	values := u.Query()
	for name, list := range cfg.Params {
		values[name] = append(values[name], list...)
	}
	for _, name := range []string{"start", "end", "delta", "since", "until", "after", "before", "order", "limit", "page", "rows_per_page", "cursor",
		"format", "fields", "meta", "callback", "size", "chrome", "is_raw", "grouped"} {
		values.Del(name) // how it is asked is not the caller's business
	}
	u.RawQuery = values.Encode()
	return h, nil
}

// Name is what is asked, without a time: the same for what goes on with the same.
func (h *Harvest) Name() string { return h.url.String() }

// State is how far a harvest is.
type state struct {
	Done   time.Time `json:"done,omitzero"`   // all before it was taken
	Cursor string    `json:"cursor,omitzero"` // of a bus
	Query  string    `json:"query,omitzero"`  // whose cursor it is
}

// Taker takes rows: the address that they are from, the rows' JSON texts, and where
// to go on behind them: in a text for [Harvest.Run], and the time that is reached.
type taker func(from string, rows [][]byte, state string, reached time.Time) error

// Run takes everything, in parts, from a state on that an earlier run gave; "" is the
// beginning. It ends with the error of take, or with its own, which wraps
// [fedmsg.ErrUnavailable] if it may be tried again, and [fedmsg.ErrInvalid] if the
// other side's answers are not to be relied on.
func (h *Harvest) Run(ctx context.Context, from string, take func(from string, rows [][]byte, state string, reached time.Time) error) error {
	s := state{Done: h.cfg.Since}
	if from != "" {
		if err := json.Unmarshal([]byte(from), &s); err != nil {
			return fmt.Errorf("harvest: state %.60q: %w: %w", from, err, fedmsg.ErrInvalid)
		}
	}
	if h.isBus {
		return h.export(ctx, s, take)
	}
	w := &walk{Harvest: h, take: take, at: latest(s.Done, h.cfg.Since), window: firstWindow, rows: maxRows}
	return w.run(ctx)
}

func (s state) text() string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // cannot be: texts and a time of this age
	}
	return string(text)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// at returns the address of a question: the parameters, and others for this time.
func (h *Harvest) at(params url.Values) *url.URL {
	u := *h.url
	values := u.Query()
	for name, list := range params {
		values[name] = slices.Clone(list)
	}
	u.RawQuery = values.Encode()
	return &u
}

// transport is what requests go through; tests have another.
func transport() nethttp.RoundTripper {
	t := nethttp.DefaultTransport.(*nethttp.Transport).Clone()
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost = 1, 1
	t.ResponseHeaderTimeout = maxSilence
	return t
}
