package web

import (
	"context"
	"errors"
	nethttp "net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/web/figure"
	"github.com/fedora-infra/fedmsg-go/http/web/profile"
	"github.com/fedora-infra/fedmsg-go/http/web/say"
	"github.com/fedora-infra/fedmsg-go/query"
)

const (
	// pageRows is how many messages a page of the history has.
	pageRows = 40
	// facetValues is how many values of a field are shown.
	facetValues = 8
	// countTime is how long the counts beside a page may take; the page itself is
	// bounded by the archive.
	countTime = 2 * time.Second
)

// historyPage is the answer to a search.
type historyPage struct {
	Line  string // as it was asked
	Exact string // the same at any time
	Chips []chip
	Days  []day
	Query fedmsg.Query

	Older, Newer string // addresses
	Total        int64
	AtLeast      bool // there are more than Total
	Counted      bool
	ScannedTo    time.Time
	Histogram    *figure.Histogram
	Facets       []facet
	Hints        []hint // if nothing was found
	Wrong        *problem
	Show         []choice
	Live         string // the same, as it happens
	Examples     []hint
}

// A chip is a condition with a way to take it away.
type chip struct {
	Text, Without string
	Not           bool
}

// chips are the conditions of a line that was read.
func chips(line string, now time.Time) (list []chip) {
	found, _ := query.Chips(line, now)
	for _, c := range found {
		list = append(list, chip{Text: c.Text, Without: c.Without, Not: c.Not})
	}
	return list
}

// A choice is a profile, to be chosen beside a line.
type choice struct {
	profile.Profile
	Address string
	Chosen  bool
}

// choices are the profiles for a page at a path. If they cannot be found there are none.
func (p *Pages) choices(ctx context.Context, path, line string, now time.Time) []choice {
	all, err := p.profiles.Profiles(ctx)
	if err != nil {
		p.logger.DebugContext(ctx, "no profiles", "err", err)
		return nil
	}
	list := make([]choice, len(all))
	for i, to := range all {
		list[i] = choice{to, path + "?q=" + url.QueryEscape(profile.Switch(line, to, all, now)), to.In(line, now)}
	}
	if line == "" {
		list[0].Chosen = true // everything
	}
	return list
}

// A day is the rows of one day.
type day struct {
	Date time.Time
	Rows []row
}

// A facet is the most frequent values of a field.
type facet struct {
	Name   string
	Values []facetValue
	Others int64
}

type facetValue struct {
	Text string
	N    int64
	Term string
}

// A hint is a way on.
type hint struct{ Text, Address, Tail string }

var facetFields = []struct {
	field fedmsg.Field
	name  string
}{{fedmsg.CategoryField, "Service"}, {fedmsg.UserField, "People"}, {fedmsg.PackageField, "Packages"}, {fedmsg.TopicField, "Topics"}}

func (p *Pages) history(w nethttp.ResponseWriter, r *nethttp.Request) {
	now := p.cfg.Now()
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		p.fail(w, r, nethttp.StatusBadRequest, problem{What: "The address is malformed: a % stands in it that begins no escape.", Hint: "Search from the box above."})
		return
	}
	if to, ok := ranged(values, now); ok {
		nethttp.Redirect(w, r, to, nethttp.StatusSeeOther)
		return
	}
	q, err := query.FromURL(values, now)
	if err != nil {
		p.misread(w, r, values.Get("q"), err)
		return
	}
	page := historyPage{Line: strings.TrimSpace(values.Get("q")), Query: q, Exact: query.String(q)}
	for name := range values {
		if name != "q" && name != "cursor" && name != "limit" {
			page.Line = page.Exact // all in one line
		}
	}
	if q.Limit == 0 {
		q.Limit = pageRows
	}
	found, err := p.cfg.Archive.Search(r.Context(), q)
	if errors.Is(err, fedmsg.ErrInvalid) {
		p.misread(w, r, page.Line, err)
		return
	} else if err != nil {
		p.broken(w, r, err)
		return
	}
	page.fill(p.rows(r.Context(), found.Entries), found, q, now)
	page.Show = p.choices(r.Context(), "/history", page.Line, now)
	page.Live = "/?q=" + url.QueryEscape(timeless(page.Line, now))
	p.countHistory(r.Context(), &page, now)
	if len(found.Entries) == 0 {
		page.Hints = p.hints(r.Context(), page, now)
	}
	p.show(w, r, nethttp.StatusOK, "history", view{Title: title(page.Line), Tab: "History", Module: "history.js", Line: page.Line, Range: chosenRange(page.Line, now),
		Feed: feedURL(page.Line), Menu: newMenu(p.base(r), page.Line, page.Exact), Page: page})
}

// timeless is a line without its times and its order, as what is live has none.
func timeless(line string, now time.Time) string {
	found, _ := query.Chips(line, now) // of one that cannot be read there are none
	var rest []string
	for _, c := range found {
		if !say.IsBound(c.Key) && c.Key != "order" {
			rest = append(rest, c.Text)
		}
	}
	return strings.Join(rest, " ")
}

func title(line string) string {
	if line == "" {
		return "History"
	}
	return say.Visible(line) + " - History"
}

// ranged makes one line of a line and the range chosen beside it.
func ranged(values url.Values, now time.Time) (to string, ok bool) {
	if !values.Has("range") {
		return "", false
	}
	line := strings.TrimSpace(values.Get("q"))
	choice := values.Get("range")
	if slices.ContainsFunc(spans, func(s span) bool { return s.Value == choice }) && choice != "" {
		line = say.Within(line, "after:"+choice, now)
	} else if choice == "" && chosenRange(line, now) != "other" {
		line = say.Within(line, "", now)
	}
	return say.Search(line), true
}

// chosenRange is which of the ranges a line has; "other" if it has one of its own.
func chosenRange(line string, now time.Time) string {
	chips, _ := query.Chips(line, now) // of a wrong line there are none
	found := ""
	for _, c := range chips {
		if !say.IsBound(c.Key) {
			continue
		}
		value, after := strings.CutPrefix(c.Text, "after:")
		if !after || found != "" || !slices.ContainsFunc(spans, func(s span) bool { return s.Value == value }) {
			return "other"
		}
		found = value
	}
	return found
}

// misread answers a search that cannot be understood, and keeps it.
func (p *Pages) misread(w nethttp.ResponseWriter, r *nethttp.Request, line string, err error) {
	line = strings.ToValidUTF8(line, "\uFFFD")
	page := historyPage{Line: line, Wrong: misread(err)}
	p.show(w, r, nethttp.StatusBadRequest, "history", view{Title: "History", Tab: "History", Module: "history.js", Line: line, Page: page})
}

// misread says what is wrong with a line.
func misread(err error) *problem {
	wrong := problem{What: "This search cannot be read.", Hint: "Search anew from the box above."}
	if e, ok := errors.AsType[*query.Error](err); ok {
		wrong = problem{What: sentence(e.Text), Hint: sentence(e.Hint)}
		if e.Param != "" && e.Param != "q" {
			wrong.What = "In the address, " + e.Param + ": " + wrong.What
		}
		if end := e.Pos + e.Len; e.Pos <= len(e.Line) && end <= len(e.Line) && len(e.Line) < 1000 {
			wrong.Before, wrong.Fault, wrong.After = e.Line[:e.Pos], e.Line[e.Pos:end], e.Line[end:]
			if wrong.Fault == "" {
				wrong.Fault = " "
			}
		}
	} else if refusal, ok := errors.AsType[*fedmsg.Refusal](err); ok && refusal.Field == "cursor" {
		wrong = problem{What: "This page of the search is not there: its address was cut, or the search was changed.", Hint: "Begin again with its first page: press enter in the box above."}
	}
	return &wrong
}

// sentence makes a sentence of what an error says.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + strings.TrimPrefix(".", s[len(s)-1:])
}

// fill sorts what was found into the page.
func (page *historyPage) fill(rows []row, found fedmsg.Page, q fedmsg.Query, now time.Time) {
	page.Chips = chips(page.Line, now)
	for _, r := range rows {
		if n := len(page.Days); n == 0 || !say.SameDay(page.Days[n-1].Date, r.Time) {
			page.Days = append(page.Days, day{Date: r.Time.UTC().Truncate(24 * time.Hour)})
		}
		last := &page.Days[len(page.Days)-1]
		last.Rows = append(last.Rows, r)
	}
	turn := func(cursor string) string {
		if cursor == "" {
			return ""
		}
		values := url.Values{"cursor": {cursor}}
		if page.Exact != "" {
			values.Set("q", page.Exact)
		}
		if q.Limit != pageRows {
			values.Set("limit", strconv.Itoa(q.Limit))
		}
		return "/history?" + values.Encode()
	}
	page.Older, page.Newer = turn(found.Next), turn(found.Prev)
	page.ScannedTo = found.ScannedTo
}

// countHistory counts what a search finds. What cannot be counted in time is left
// out.
func (p *Pages) countHistory(ctx context.Context, page *historyPage, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	q := page.Query
	q.Cursor, q.Limit = "", 0
	facets := make([]facet, len(facetFields))
	var all sync.WaitGroup
	all.Go(func() {
		h, err := p.maker.Histogram(ctx, q, page.Line)
		if err != nil {
			p.logger.DebugContext(ctx, "no histogram", "err", err)
			return
		}
		page.Histogram, page.Total, page.AtLeast, page.Counted = h, h.Total, h.AtLeast, true
	})
	for i, f := range facetFields {
		all.Go(func() {
			counts, err := p.cfg.Counter.Count(ctx, q, fedmsg.Grouping{Field: f.field, Limit: facetValues})
			if err != nil {
				p.logger.DebugContext(ctx, "no facet", "err", err)
				return
			}
			facets[i].Name = f.name
			for _, c := range counts.Rows {
				if c.Value == "" {
					facets[i].Others += c.N
					continue
				}
				v := facetValue{Text: c.Value, N: c.N, Term: say.FieldTerm(f.field, c.Value)}
				if f.field == fedmsg.TopicField {
					v.Text = say.Tail(c.Value)
				}
				facets[i].Values = append(facets[i].Values, v)
			}
		})
	}
	all.Wait()
	if page.Line == "" {
		page.Examples = examples(facets)
	}
	page.Facets = slices.DeleteFunc(facets, func(f facet) bool { return len(f.Values) == 0 })
}

// examples are searches to begin with, of what is there.
func examples(facets []facet) []hint {
	var list []hint
	add := func(text string) { list = append(list, hint{Text: text, Address: say.Search(text)}) }
	for _, i := range []int{2, 1, 0} { // a package, a person, a service
		if len(facets[i].Values) > 1 && facets[i].Values[1].Term != "" {
			text := facets[i].Values[1].Term
			if i == 0 {
				text = "-" + text + " after:1d"
			}
			add(text)
		}
	}
	return list
}
