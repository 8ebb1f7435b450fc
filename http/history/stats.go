package history

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/route"
)

const (
	// week is how far back the answers about now look, if nobody says.
	week = 7 * day
	// manyNames is more values than a field has.
	manyNames = 1 << 20
)

// top answers with the most frequent values of a field.
func (a *API) top(ctx context.Context, r *route.Request) (*route.Answer, error) {
	q, _, err := a.bounds(ctx, r, week)
	if err != nil {
		return nil, err
	}
	by := r.Text("by")
	counted, err := a.countBy(ctx, q, r.Number("limit"), fedmsg.Field(by), "")
	if err != nil {
		return nil, err
	}
	f, all := facetOf(by, counted[0]), counted[1]
	answer := struct {
		stretch
		By     string  `json:"by"`
		Total  int64   `json:"total"` // messages
		Values []share `json:"values"`
		Other  int64   `json:"other"`
	}{By: f.Field, Values: f.Values, Other: f.Other}
	for _, row := range all.Rows {
		answer.Total += row.N
	}
	complete := !counted[0].Estimate && !all.Estimate
	answer.stretch = stretchOf(r, q, complete)
	t := &route.Sheet{Head: []string{f.Field, "n"}}
	for _, v := range f.Values {
		t.Add(v.Value, v.N)
	}
	return reply(r, answer, t, complete), nil
}

// calendar answers with how many messages there were on each day of a year.
func (a *API) calendar(ctx context.Context, r *route.Request) (*route.Answer, error) {
	q, _, err := a.bounds(ctx, r, 365*day)
	if err != nil {
		return nil, err
	}
	if days := int64(q.Until.Sub(q.Since)/day) + 1; days > maxParts {
		return nil, route.Wrong("since", "", "ask for less time", "the calendar has %d days, at most %d are allowed", days, maxParts)
	}
	counts, err := a.cfg.Archive.Count(ctx, q, fedmsg.Grouping{Step: day})
	if err != nil {
		return nil, err
	}
	n := make(map[time.Time]int64)
	for _, row := range counts.Rows {
		n[row.At.UTC()] = row.N
	}
	type date struct {
		Day string `json:"day"`
		N   int64  `json:"n"`
	}
	answer := struct {
		stretch
		Total int64  `json:"total"`
		Days  []date `json:"days"`
	}{stretch: stretchOf(r, q, !counts.Estimate), Days: []date{}}
	t := &route.Sheet{Head: []string{"day", "n"}}
	for at := floor(q.Since, day); at.Before(q.Until); at = at.Add(day) {
		d := date{at.Format(time.DateOnly), n[at]}
		answer.Days, answer.Total = append(answer.Days, d), answer.Total+d.N
		t.Add(d.Day, d.N)
	}
	return reply(r, answer, t, !counts.Estimate), nil
}

// A change is how often a value came, and how often in as much time before.
type change struct {
	Value  string `json:"value"`
	N      int64  `json:"n"`
	Before int64  `json:"before"`
	// Change is by how much it is more, in parts of what was before; nil if there was
	// nothing.
	Change *float64 `json:"change"`
}

func (c change) known() change {
	if c.Before > 0 {
		c.Change = new(float64(c.N-c.Before) / float64(c.Before))
	}
	return c
}

// compare answers with the values of a field, in a stretch of time and in the one
// before it, which is as long.
func (a *API) compare(ctx context.Context, r *route.Request) (*route.Answer, error) {
	now, ok, err := a.bounds(ctx, r, week)
	if err != nil {
		return nil, err
	}
	before := now
	before.Since, before.Until = now.Since.Add(now.Since.Sub(now.Until)), now.Since
	changes := make(map[string]change)
	total, complete := change{}, true
	field := r.Text("by")
	for _, q := range []fedmsg.Query{now, before} {
		if !ok {
			break
		}
		counted, err := a.countBy(ctx, q, manyNames, fedmsg.Field(field), "")
		if err != nil {
			return nil, err
		}
		counts, all := counted[0], counted[1]
		isNow := q.Until.Equal(now.Until)
		complete = complete && !counts.Estimate && !all.Estimate
		add := func(c *change, n int64) {
			if isNow {
				c.N += n
			} else {
				c.Before += n
			}
		}
		for _, row := range all.Rows {
			add(&total, row.N)
		}
		for _, row := range counts.Rows {
			if row.Value != "" {
				c := changes[row.Value]
				c.Value = row.Value
				add(&c, row.N)
				changes[row.Value] = c
			}
		}
	}
	answer := struct {
		stretch
		Before time.Time `json:"before_since,omitzero"` // when the stretch before begins
		By     string    `json:"by"`
		Total  change    `json:"total"`
		Values []change  `json:"values"`
	}{stretchOf(r, now, complete), before.Since, field, total.known(), []change{}}
	for _, c := range changes {
		answer.Values = append(answer.Values, c.known())
	}
	slices.SortFunc(answer.Values, func(x, y change) int {
		return cmp.Or(cmp.Compare(max(y.N, y.Before), max(x.N, x.Before)), strings.Compare(x.Value, y.Value))
	})
	answer.Values = answer.Values[:min(r.Number("limit"), len(answer.Values))]
	t := &route.Sheet{Head: []string{field, "n", "before", "change"}}
	for _, c := range answer.Values {
		row := []any{c.Value, c.N, c.Before, nil}
		if c.Change != nil {
			row[3] = *c.Change
		}
		t.Rows = append(t.Rows, row)
	}
	return reply(r, answer, t, complete), nil
}

// latest answers with the newest message for each of the most frequent values of a
// field: who was heard when.
func (a *API) latest(ctx context.Context, r *route.Request) (*route.Answer, error) {
	s, err := a.shape(r)
	if err != nil {
		return nil, err
	}
	q := r.Query
	q.OldestFirst, q.Limit = false, 0
	field := r.Text("by")
	f, complete, err := a.facet(ctx, q, field, r.Number("limit"))
	if err != nil {
		return nil, err
	}
	type last struct {
		share
		entry fedmsg.Entry
	}
	var all []last
	for _, v := range f.Values {
		entries, whole, err := a.newest(ctx, q, fedmsg.Field(field), v.Value)
		if err != nil {
			return nil, err
		}
		complete = complete && whole
		if len(entries) > 0 {
			all = append(all, last{v, entries[0]})
		}
	}
	slices.SortStableFunc(all, func(x, y last) int { return y.entry.Message.Time.Compare(x.entry.Message.Time) })
	t := &route.Sheet{Head: []string{field, "n", "last", "ago_seconds", "msg_id", "topic"}}
	head := route.JSON(struct {
		stretch
		By string `json:"by"`
	}{stretchOf(r, q, complete), field})
	body := append(head[:len(head)-1], `,"values":[`...)
	for i, l := range all {
		if i > 0 {
			body = append(body, ',')
		}
		m, at := l.entry.Message, l.entry.Message.Time.UTC()
		ago := int64(max(0, r.Now.Sub(at)) / time.Second)
		row := route.JSON(struct {
			share
			Last time.Time `json:"last"`
			Ago  int64     `json:"ago_seconds"`
		}{l.share, at, ago})
		body = append(append(body, row[:len(row)-1]...), `,"latest":`...)
		body = append(a.appendElement(ctx, body, l.entry, s), '}')
		t.Add(l.Value, l.N, at, ago, m.ID, string(m.Topic))
	}
	return &route.Answer{Body: append(body, "]}\n"...), Sheet: t, Until: q.Until, Partial: !complete}, nil
}
