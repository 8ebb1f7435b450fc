package history

import (
	"context"
	"maps"
	"slices"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/route"
)

// periods are what people are counted by, and how far back an answer looks if nobody
// says.
var periods = map[string]time.Duration{"day": 30 * day, "week": 26 * week, "month": 365 * day}

// begin returns when the period of a time began, in UTC. Weeks begin on Monday.
func begin(period string, t time.Time) time.Time {
	t = floor(t, day)
	switch period {
	case "week":
		return t.AddDate(0, 0, -(int(t.Weekday())+6)%7)
	case "month":
		return t.AddDate(0, 0, 1-t.Day())
	}
	return t
}

// next returns when the period after one begins.
func next(period string, begin time.Time) time.Time {
	switch period {
	case "week":
		return begin.AddDate(0, 0, 7)
	case "month":
		return begin.AddDate(0, 1, 0)
	}
	return begin.AddDate(0, 0, 1)
}

// presence is who was there in which periods.
type presence struct {
	query    fedmsg.Query
	begins   []time.Time                       // of the periods asked for
	there    map[time.Time]map[string]struct{} // by the beginning of a period
	first    map[string]time.Time              // the period in which somebody was first there, ever
	complete bool
}

// presence finds who was there. First of all time is within what the filter lets
// pass: who is new to one service may be well known in another.
func (a *API) presence(ctx context.Context, r *route.Request) (p presence, err error) {
	period, field := r.Text("period"), fedmsg.Field(r.Text("by"))
	length := periods[period]
	q, _, err := a.bounds(ctx, r, length)
	if err != nil {
		return p, err
	}
	if r.Query.Since.IsZero() {
		q.Since = begin(period, q.Since)
	}
	if days := int64(q.Until.Sub(q.Since)/day) + 1; days > maxParts {
		return p, route.Wrong("since", "", "ask for less time", "asks for %d days, at most %d are allowed", days, maxParts)
	}
	p = presence{query: q, there: make(map[time.Time]map[string]struct{}), first: make(map[string]time.Time)}
	for at := begin(period, q.Since); at.Before(q.Until); at = next(period, at) {
		p.begins = append(p.begins, at)
	}
	by := fedmsg.Grouping{Step: day, Field: field, Limit: manyNames}
	counts, err := a.cfg.Archive.Count(ctx, q, by)
	if err != nil {
		return p, err
	}
	p.complete = !counts.Estimate
	for _, row := range counts.Rows {
		at := begin(period, row.At)
		if row.Value == "" {
			continue
		}
		if _, known := p.first[row.Value]; !known {
			p.first[row.Value] = at // rows are in the order of time
		}
		if p.there[at] == nil {
			p.there[at] = make(map[string]struct{})
		}
		p.there[at][row.Value] = struct{}{}
	}
	if q.Filter.Op == fedmsg.All && len(q.Filter.Of) == 0 { // it is known since when somebody is known
		terms, err := a.cfg.Archive.Terms(ctx, field, "", manyNames)
		if err != nil {
			return p, err
		}
		for _, t := range terms {
			if first, known := p.first[t.Name]; known && t.First.Before(first) {
				p.first[t.Name] = begin(period, t.First)
			}
		}
		return p, nil
	}
	before := q
	before.Since, before.Until = time.Time{}, q.Since
	if counts, err = a.cfg.Archive.Count(ctx, before, by); err != nil {
		return p, err
	}
	p.complete = p.complete && !counts.Estimate
	for _, row := range counts.Rows {
		if at := begin(period, row.At); row.Value != "" && !at.After(p.first[row.Value]) {
			p.first[row.Value] = at
		}
	}
	return p, nil
}

// active answers with how many were there in each period: in all, for the first time,
// and again.
func (a *API) active(ctx context.Context, r *route.Request) (*route.Answer, error) {
	p, err := a.presence(ctx, r)
	if err != nil {
		return nil, err
	}
	type count struct {
		From      string `json:"from"`
		Active    int    `json:"active"`
		New       int    `json:"new"`
		Returning int    `json:"returning"`
	}
	answer := struct {
		stretch
		By      string  `json:"by"`
		Period  string  `json:"period"`
		Periods []count `json:"periods"`
	}{stretchOf(r, p.query, p.complete), r.Text("by"), r.Text("period"), []count{}}
	t := &route.Sheet{Head: []string{"from", "active", "new", "returning"}}
	for _, at := range p.begins {
		c := count{From: at.Format(time.DateOnly), Active: len(p.there[at])}
		for name := range p.there[at] {
			if p.first[name].Equal(at) {
				c.New++
			}
		}
		c.Returning = c.Active - c.New
		answer.Periods = append(answer.Periods, c)
		t.Add(c.From, c.Active, c.New, c.Returning)
	}
	return reply(r, answer, t, p.complete), nil
}

// cohorts answers with how many of those who were new in a period were there in each
// one since.
func (a *API) cohorts(ctx context.Context, r *route.Request) (*route.Answer, error) {
	p, err := a.presence(ctx, r)
	if err != nil {
		return nil, err
	}
	if len(p.begins) > maxCohorts {
		return nil, route.Wrong("period", r.Text("period"), "ask for less time, or for longer periods", "makes %d cohorts, at most %d are allowed", len(p.begins), maxCohorts)
	}
	type cohort struct {
		From   string `json:"from"`
		Size   int    `json:"size"`
		Active []int  `json:"active"` // in this period, in the next one, and so on
	}
	answer := struct {
		stretch
		By      string   `json:"by"`
		Period  string   `json:"period"`
		Cohorts []cohort `json:"cohorts"`
	}{stretchOf(r, p.query, p.complete), r.Text("by"), r.Text("period"), []cohort{}}
	t := &route.Sheet{Head: []string{"from", "period", "active"}}
	for i, at := range p.begins {
		members := maps.Clone(p.there[at])
		maps.DeleteFunc(members, func(name string, _ struct{}) bool { return !p.first[name].Equal(at) })
		c := cohort{From: at.Format(time.DateOnly), Size: len(members), Active: []int{}}
		for j, later := range p.begins[i:] {
			n := 0
			for name := range members {
				if _, there := p.there[later][name]; there {
					n++
				}
			}
			c.Active = append(c.Active, n)
			t.Add(c.From, j, n)
		}
		answer.Cohorts = append(answer.Cohorts, c)
	}
	return reply(r, answer, t, p.complete), nil
}

// maxCohorts is how many cohorts are followed: each through all periods after it.
const maxCohorts = 120

// periodNames are the names of the periods.
func periodNames() []string { return slices.Sorted(maps.Keys(periods)) }
