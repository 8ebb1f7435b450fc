package feed

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	nethttp "net/http"
	"net/url"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/query"
)

// Limits of one feed.
const (
	defaultLimit = 50
	maxLimit     = 200
	// searchTime is how long a search that ends early is gone on with, and feedTime
	// how long all of a feed may take.
	searchTime = 2 * time.Second
	feedTime   = 10 * time.Second
)

// life is how long a feed need not be asked for again: the promise of Cache-Control.
const life = "public, max-age=60"

// An archive is what feeds are made of.
type archive interface {
	Search(ctx context.Context, q fedmsg.Query) (fedmsg.Page, error)
}

// Config says what is served, and how it calls itself.
type Config struct {
	// Archive is searched for messages, and Describer finds the words for them.
	Archive   archive
	Describer fedmsg.Describer

	// Name is what the bus is called in titles. Default: fedmsg.
	Name string

	// BaseURL is where readers find the bus: http(s)://HOST, and a path if it is not
	// at the top. Set it behind a proxy: no header that a proxy adds is looked at.
	// Default: the host of each request.
	BaseURL string

	// HistoryPath is the page that shows a query, with the parameters of the feed, and
	// MessagePath that of one message, with its ID at the end. Defaults: /history and
	// /messages/.
	HistoryPath, MessagePath string

	// Group makes one entry of messages that belong together, for the parameter
	// grouped; they are given oldest first. Each message must be in one group. Default:
	// the parameter is refused.
	Group func(ctx context.Context, messages []*fedmsg.Message) []Group

	// Now is the clock that times such as after:2d count from. Default: [time.Now].
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	c.Name = cmp.Or(line(c.Name, maxTitle), "fedmsg")
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	c.HistoryPath = cmp.Or(c.HistoryPath, "/history")
	c.MessagePath = cmp.Or(c.MessagePath, "/messages/")
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Validate reports everything that is wrong with c, joined, or nil.
func (c Config) Validate() error {
	var errs []error
	if c.Archive == nil || c.Describer == nil {
		errs = append(errs, errors.New("archive, describer: both are needed"))
	}
	if u, err := url.Parse(c.BaseURL); c.BaseURL != "" && (err != nil || webLink(c.BaseURL) == "" || u.RawQuery != "" || u.Fragment != "") {
		errs = append(errs, fmt.Errorf("base_url: %q is not http(s)://HOST", c.BaseURL))
	}
	for _, p := range []struct{ name, path string }{{"history_path", c.HistoryPath}, {"message_path", c.MessagePath}} {
		if p.path != "" && p.path[0] != '/' {
			errs = append(errs, fmt.Errorf("%s: %q does not begin with /", p.name, p.path))
		}
	}
	return errors.Join(errs...)
}

// Feeds serves feeds. [New] makes it.
type Feeds struct {
	cfg    Config
	logger *slog.Logger
}

// New validates cfg. logger may be nil.
func New(cfg Config, logger *slog.Logger) (*Feeds, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Feeds{cfg.withDefaults(), logger}, nil
}

// A form is one of the ways to write a feed.
type form struct {
	path, media string
	write       func(*channel) ([]byte, error)
}

// forms are all of them, those that most readers know first.
var forms = []form{
	{"/feed.atom", "application/atom+xml", writeAtom},
	{"/feed.rss", "application/rss+xml", writeRSS},
	{"/feed.json", "application/feed+json", writeJSON},
}

// Routes adds the paths of feeds and of the element that shows them.
func (f *Feeds) Routes(mux *nethttp.ServeMux) {
	for _, form := range forms {
		mux.HandleFunc("GET "+form.path, http.Packed(func(w nethttp.ResponseWriter, r *nethttp.Request) { f.serve(w, r, form) }))
	}
	mux.HandleFunc("GET "+elementPath, http.Packed(element))
}

func (f *Feeds) serve(w nethttp.ResponseWriter, r *nethttp.Request, form form) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	c, err := f.channel(r, form.path)
	if err != nil {
		http.Refuse(w, r, err)
		return
	}
	body, tag, err := c.write(form)
	if err != nil {
		http.Refuse(w, r, err)
		return
	}
	h.Set("Content-Type", form.media+"; charset=utf-8")
	h.Set("Cache-Control", life)
	h.Set("ETag", tag)
	answer(w, r, body, lastModified(c.changed, f.cfg.Now()))
}

// answer sends a body whose header is set, or says that the reader has it.
func answer(w nethttp.ResponseWriter, r *nethttp.Request, body []byte, modified time.Time) {
	nethttp.ServeContent(w, r, "", modified, bytes.NewReader(body))
}

// lastModified is when a feed changed, as far as seconds can tell: a second that has
// not passed may still bring more.
func lastModified(changed, now time.Time) time.Time {
	if past := now.Truncate(time.Second).Add(-time.Second); changed.After(past) {
		return past
	}
	return changed
}

// write writes c and makes its tag: of everything but the links to the pages around
// it, in which the times of the query are as of now.
func (c *channel) write(form form) (body []byte, tag string, err error) {
	bare := *c
	bare.next, bare.previous = "", ""
	if body, err = form.write(&bare); err != nil {
		return nil, "", err
	}
	tag = weakTag(body)
	if c.next+c.previous != "" {
		body, err = form.write(c)
	}
	return body, tag, err
}

// weakTag makes a weak entity tag: the same content, not always the same bytes.
func weakTag(content []byte) string {
	sum := sha256.Sum256(content)
	return fmt.Sprintf(`W/"%x"`, sum[:12])
}

// channel finds what a request asks for.
func (f *Feeds) channel(r *nethttp.Request, path string) (*channel, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fedmsg.Refuse(http.BadQuery, "the query string is malformed")
	}
	q, err := query.FromURL(values, f.cfg.Now(), "grouped")
	if err != nil {
		return nil, refusal(err)
	}
	if q.Limit = cmp.Or(q.Limit, defaultLimit); q.Limit > maxLimit {
		return nil, fedmsg.RefuseField(http.BadQuery, "limit", "parameter limit: a feed has at most %d entries", maxLimit)
	}
	grouped, err := f.grouped(values)
	if err != nil {
		return nil, err
	}
	base, err := f.base(r)
	if err != nil {
		return nil, err
	}
	c := &channel{
		place: newPlace(base), path: path, values: values, name: f.cfg.Name, title: title(f.cfg.Name, values),
		home: base + f.cfg.HistoryPath + withQuery(lasting(values, "grouped")), self: base + path + withQuery(values),
	}
	c.id = c.tag(feedsBegan, "feed"+withQuery(lasting(values)))
	ctx, cancel := context.WithTimeout(r.Context(), feedTime)
	defer cancel()
	if grouped {
		return c, f.addGroups(ctx, c, q)
	}
	return c, f.addPage(ctx, c, q)
}

// addPage puts what q finds into c.
func (f *Feeds) addPage(ctx context.Context, c *channel, q fedmsg.Query) error {
	page, err := f.search(ctx, q)
	if err != nil {
		return err
	}
	for _, e := range page.Entries {
		c.add(f.item(c.place, e.Message, f.cfg.Describer.Describe(ctx, e.Message)))
		c.changed = latest(c.changed, latest(e.At, e.Message.Time))
	}
	around := func(cursor string) string {
		if cursor == "" {
			return ""
		}
		v := url.Values{"cursor": {cursor}}
		if line := query.String(q); line != "" {
			v.Set("q", line)
		}
		if c.values.Has("limit") {
			v.Set("limit", c.values.Get("limit"))
		}
		return c.base + c.path + withQuery(v)
	}
	c.next, c.previous = around(page.Next), around(page.Prev)
	return nil
}

// refusal makes an answer of what is wrong with a query.
func refusal(err error) error {
	e, ok := errors.AsType[*query.Error](err)
	if !ok {
		return err
	}
	detail := e.Error()
	if hint := fedmsg.Hint(err); hint != "" {
		detail += "; " + hint
	}
	return fedmsg.RefuseField(http.BadQuery, e.Param, "%s", detail)
}

// search returns a page, and goes on for a while with a search that ended early.
func (f *Feeds) search(ctx context.Context, q fedmsg.Query) (fedmsg.Page, error) {
	began := time.Now()
	asked := q
	page, err := f.cfg.Archive.Search(ctx, asked)
	for err == nil && !page.ScannedTo.IsZero() && page.Next != "" && len(page.Entries) < q.Limit {
		if took := time.Since(began); took > searchTime {
			f.logger.DebugContext(ctx, "feed ended early", "took", took)
			break
		}
		asked.Cursor, asked.Limit = page.Next, q.Limit-len(page.Entries)
		var more fedmsg.Page
		if more, err = f.cfg.Archive.Search(ctx, asked); err == nil {
			page = fedmsg.Page{Entries: append(page.Entries, more.Entries...), Next: more.Next, Prev: page.Prev, ScannedTo: more.ScannedTo}
		}
	}
	if errors.Is(err, fedmsg.ErrInvalid) && q.Cursor != "" {
		return page, fedmsg.RefuseField(http.BadQuery, "cursor", "parameter cursor: is none that this query gave")
	}
	if err != nil {
		return page, fmt.Errorf("feed: %w", err)
	}
	return page, nil
}
