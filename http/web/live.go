package web

import (
	"context"
	"encoding/json"
	"fmt"
	nethttp "net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/web/say"
	"github.com/fedora-infra/fedmsg-go/query"
)

const (
	// liveRows is how many messages the front page begins with.
	liveRows = 30
	// pulseMinutes is how far back the pulse goes.
	pulseMinutes = 30
	// pulseLife is how long it is kept for all who ask.
	pulseLife = 5 * time.Second
)

// A pulse is how many messages pass.
type pulse struct {
	PerMinute int64   `json:"per_minute"` // in the last whole minute
	Minutes   []int64 `json:"minutes"`    // the oldest first
	Points    string  `json:"points"`     // of a line in a box of 60 by 16
	Known     bool    `json:"known"`
}

func (p *Pages) pulse(ctx context.Context) pulse {
	now := p.cfg.Now()
	got, err := p.pulses.Get(now, pulseLife, func() (pulse, error) {
		end := now.UTC().Truncate(time.Minute)
		start := end.Add(-pulseMinutes * time.Minute)
		counts, err := p.cfg.Counter.Count(ctx, fedmsg.Query{Since: start, Until: end}, fedmsg.Grouping{Step: time.Minute})
		if err != nil {
			return pulse{}, err
		}
		minutes := make([]int64, pulseMinutes)
		for _, row := range counts.Rows {
			if i := int(row.At.Sub(start) / time.Minute); i >= 0 && i < len(minutes) {
				minutes[i] += row.N
			}
		}
		return pulse{PerMinute: minutes[len(minutes)-1], Minutes: minutes, Points: sparkline(minutes), Known: true}, nil
	})
	if err != nil {
		p.logger.DebugContext(ctx, "no pulse", "err", err)
	}
	return got
}

// sparkline is the points of a line in a box of 60 by 16.
func sparkline(values []int64) string {
	top := max(slices.Max(values), 1)
	var b strings.Builder
	for i, v := range values {
		fmt.Fprintf(&b, "%.1f,%.1f ", float64(i)*60/float64(len(values)-1), 15-14*float64(v)/float64(top))
	}
	return strings.TrimSpace(b.String())
}

// pulseJSON is for pages that stay open.
func (p *Pages) pulseJSON(w nethttp.ResponseWriter, r *nethttp.Request) {
	body, err := json.Marshal(p.pulse(r.Context()))
	if err != nil {
		p.broken(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // if the peer is gone, nobody is left to tell
}

// livePage is what passes now.
type livePage struct {
	Line       string // what is let through; empty for everything
	Chips      []chip
	Wrong      *problem // with Line
	Past       string   // where to look for it instead; empty if it cannot be read
	Show       []choice
	Rows       []row
	Categories []tally
	Period     string // over which they are counted
	Day        int64  // messages in the last day
	DayAtLeast bool
	Services   int    // that spoke in it
	Stream     string // where new rows come from
}

// A tally is how often there is something.
type tally struct {
	Name  string
	N     int64
	Share float64 // of the largest, from 0 to 100
}

func (p *Pages) live(w nethttp.ResponseWriter, r *nethttp.Request) {
	values, now := r.URL.Query(), p.cfg.Now()
	if service := values.Get("category"); service != "" { // as these addresses were once
		if fedmsg.Pattern("*.*.*."+service+".#").Validate() != nil {
			p.fail(w, r, nethttp.StatusNotFound, problem{What: "There is no service of that name.", Hint: "A service's name is one word of letters, digits, - and _."})
			return
		}
		nethttp.Redirect(w, r, "/?q="+url.QueryEscape(say.FieldTerm(fedmsg.CategoryField, service)), nethttp.StatusSeeOther)
		return
	}
	page := livePage{Line: strings.TrimSpace(strings.ToValidUTF8(values.Get("q"), "\uFFFD"))}
	v := view{Title: "Live", Tab: "Live", Module: "live.js", Feed: feedURL(page.Line), Listen: listening(p.base(r), page.Line)}
	if page.Line != "" {
		v.Title = "Live: " + say.Visible(page.Line)
	}
	ctx := r.Context()
	q, err := query.Parse(page.Line, now)
	if err == nil && (!q.Since.IsZero() || !q.Until.IsZero() || q.OldestFirst) {
		page.Wrong = &problem{What: "What is live has no times and one order.", Hint: "Leave out after:, before:, on: and order:, or look into the history."}
		page.Past = say.Search(page.Line)
	} else if err != nil {
		page.Wrong = misread(err)
	}
	page.Show = p.choices(ctx, "/", timeless(page.Line, now), now)
	if page.Wrong != nil {
		v.Page, v.Feed, v.Listen, v.Module = page, "", nil, ""
		p.show(w, r, nethttp.StatusBadRequest, "live", v)
		return
	}
	page.Chips = chips(page.Line, now)
	q.Limit = liveRows
	found, err := p.cfg.Archive.Search(ctx, q)
	if err != nil {
		p.broken(w, r, err)
		return
	}
	for _, e := range found.Entries {
		page.Rows = append(page.Rows, p.row(ctx, e))
	}
	if err := p.countLive(ctx, &page, q, now); err != nil {
		p.broken(w, r, err)
		return
	}
	page.Stream = streamURL(page.Line, now)
	v.Page = page
	p.show(w, r, nethttp.StatusOK, "live", v)
}

// countLive counts by service: in the last hour, or longer if nothing was then.
func (p *Pages) countLive(ctx context.Context, page *livePage, q fedmsg.Query, now time.Time) error {
	day, err := p.cfg.Counter.Count(ctx, fedmsg.Query{Filter: q.Filter, Since: now.Add(-24 * time.Hour)}, fedmsg.Grouping{Field: fedmsg.CategoryField, Limit: 500})
	if err != nil {
		return err
	}
	page.DayAtLeast = day.Estimate
	for _, c := range day.Rows {
		page.Day += c.N
		if c.Value != "" {
			page.Services++
		}
	}
	for _, period := range []struct {
		name string
		long time.Duration
	}{{"the last hour", time.Hour}, {"the last day", 24 * time.Hour}, {"the last 30 days", 30 * 24 * time.Hour}} {
		counts, err := p.cfg.Counter.Count(ctx, fedmsg.Query{Filter: q.Filter, Since: now.Add(-period.long)}, fedmsg.Grouping{Field: fedmsg.CategoryField, Limit: 12})
		if err != nil {
			return err
		}
		page.Period, page.Categories = period.name, tallies(counts)
		if len(page.Categories) > 0 {
			return nil
		}
	}
	return nil
}

// tallies are the counts of values, without those of all others.
func tallies(counts fedmsg.Counts) []tally {
	var list []tally
	top := int64(1)
	for _, c := range counts.Rows {
		if c.Value != "" {
			list = append(list, tally{Name: c.Value, N: c.N})
			top = max(top, c.N)
		}
	}
	for i := range list {
		list[i].Share = max(100*float64(list[i].N)/float64(top), 1)
	}
	return list
}

// gap is how long before a page is made its stream begins: what came in while it was
// made comes with the stream, and what both have is shown once.
const gap = 15 * time.Second

// streamURL is where the rows after those on the page come from.
func streamURL(line string, now time.Time) string {
	values := url.Values{"meta": {"subtitle,agent"}, "after": {now.Add(-gap).UTC().Format("2006-01-02T15:04:05Z")}}
	if line != "" {
		values.Set("q", line)
	}
	return "/api/v1/stream?" + values.Encode()
}

// feedURL is a search as a feed.
func feedURL(line string) string {
	if line == "" {
		return "/feed.atom"
	}
	return "/feed.atom?q=" + url.QueryEscape(line)
}
