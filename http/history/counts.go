package history

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/route"
	"github.com/fedora-infra/fedmsg-go/query"
)

const day = 24 * time.Hour

// steps are the lengths of the parts of a histogram, which begin at whole multiples
// since 1970, in UTC.
var steps = []struct {
	name string
	last time.Duration
}{
	{"1m", time.Minute}, {"2m", 2 * time.Minute}, {"5m", 5 * time.Minute}, {"10m", 10 * time.Minute}, {"15m", 15 * time.Minute}, {"30m", 30 * time.Minute},
	{"1h", time.Hour}, {"2h", 2 * time.Hour}, {"3h", 3 * time.Hour}, {"6h", 6 * time.Hour}, {"12h", 12 * time.Hour},
	{"1d", day}, {"7d", 7 * day}, {"30d", 30 * day},
}

const (
	// autoParts is how many parts a histogram has at most, if nobody says how long they
	// are.
	autoParts = 120
	// maxParts is how many it may have.
	maxParts = 5000
)

// termFields are what messages are counted by.
var termFields = []string{string(fedmsg.TopicField), string(fedmsg.CategoryField), string(fedmsg.AgentField), string(fedmsg.UserField),
	string(fedmsg.PackageField), string(fedmsg.ObjectField)}

// bounds sets the times of a query that has none: from its oldest message, or so
// long before its end, until now. ok is false if there is no message at all.
func (a *API) bounds(ctx context.Context, r *route.Request, length time.Duration) (q fedmsg.Query, ok bool, err error) {
	q = r.Query
	q.OldestFirst, q.Limit, q.Cursor = false, 0, ""
	if q.Until.IsZero() {
		q.Until = r.Now.UTC().Truncate(time.Millisecond)
	}
	if q.Since.IsZero() && length > 0 {
		q.Since = q.Until.Add(-length)
	}
	if q.Since.IsZero() {
		oldest := q
		oldest.OldestFirst, oldest.Limit = true, 1
		page, err := a.cfg.Archive.Search(ctx, oldest)
		if err != nil || len(page.Entries) == 0 {
			return q, false, err
		}
		q.Since = page.Entries[0].Message.Time.UTC().Truncate(time.Millisecond)
	}
	return q, true, nil
}

// A stretch is what all counts say first: of what they are.
type stretch struct {
	Query    string    `json:"query"`
	Since    time.Time `json:"since,omitzero"`
	Until    time.Time `json:"until,omitzero"`
	Complete bool      `json:"complete"`
}

func stretchOf(r *route.Request, q fedmsg.Query, complete bool) stretch {
	return stretch{query.String(r.Query), q.Since, q.Until, complete}
}

// reply makes an answer of a struct and a table.
func reply(r *route.Request, v any, t *route.Sheet, complete bool) *route.Answer {
	return &route.Answer{Body: append(route.JSON(v), '\n'), Sheet: t, Until: r.Query.Until, Partial: !complete}
}

// series are the counts of one value, part by part.
type series struct {
	Value string  `json:"value"`
	Other bool    `json:"other,omitempty"` // it stands for all that have none of their own
	Total int64   `json:"total"`
	N     []int64 `json:"n"`
}

// histogram answers with counts by time, and by a field.
func (a *API) histogram(ctx context.Context, r *route.Request) (*route.Answer, error) {
	q, ok, err := a.bounds(ctx, r, 0)
	if err != nil {
		return nil, err
	}
	step, err := step(r, q)
	if err != nil {
		return nil, err
	}
	answer := struct {
		stretch
		Step   int64       `json:"step"` // seconds
		By     string      `json:"by,omitempty"`
		At     []time.Time `json:"at"`
		Series []series    `json:"series"`
	}{Step: int64(step / time.Second), By: r.Text("by"), At: []time.Time{}, Series: []series{}}
	complete := true
	if ok {
		counts, err := a.cfg.Archive.Count(ctx, q, fedmsg.Grouping{Step: step, Field: fedmsg.Field(answer.By), Limit: r.Number("limit")})
		if err != nil {
			return nil, err
		}
		complete = !counts.Estimate
		for at := floor(q.Since, step); at.Before(q.Until); at = at.Add(step) {
			answer.At = append(answer.At, at)
		}
		answer.Series = parted(counts.Rows, answer.At, step, answer.By != "")
	}
	answer.stretch = stretchOf(r, q, complete)
	t := &route.Sheet{Head: []string{"at"}}
	for _, s := range answer.Series {
		t.Head = append(t.Head, s.title(answer.By))
	}
	for i, at := range answer.At {
		row := []any{at}
		for _, s := range answer.Series {
			row = append(row, s.N[i])
		}
		t.Rows = append(t.Rows, row)
	}
	return reply(r, answer, t, complete), nil
}

func (s series) title(by string) string {
	switch {
	case s.Other:
		return "other"
	case by == "":
		return "n"
	}
	return route.Harmless(s.Value)
}

// floor returns when a step began: at a whole multiple since 1970.
func floor(t time.Time, step time.Duration) time.Time {
	ms, length := t.UnixMilli(), step.Milliseconds()
	return time.UnixMilli(ms - (ms%length+length)%length).UTC()
}

// parted makes series of counts, the largest first and the others last, with zeros
// where nothing was counted.
func parted(rows []fedmsg.Count, at []time.Time, step time.Duration, isBy bool) []series {
	all, places := []series{}, make(map[string]int)
	for _, row := range rows {
		i, known := places[row.Value]
		if !known {
			i = len(all)
			places[row.Value] = i
			all = append(all, series{Value: row.Value, Other: isBy && row.Value == "", N: make([]int64, len(at))})
		}
		all[i].Total += row.N
		if part := int(row.At.Sub(at[0]) / step); part >= 0 && part < len(at) {
			all[i].N[part] += row.N
		}
	}
	slices.SortStableFunc(all, func(x, y series) int {
		if x.Other != y.Other {
			return cmp.Compare(strconv.FormatBool(x.Other), strconv.FormatBool(y.Other))
		}
		return cmp.Or(cmp.Compare(y.Total, x.Total), strings.Compare(x.Value, y.Value))
	})
	return all
}

// step reads how long the parts are, or finds a length.
func step(r *route.Request, q fedmsg.Query) (time.Duration, error) {
	length, name := q.Until.Sub(q.Since), r.Text("step")
	for _, s := range steps {
		parts := int64(length/s.last) + 1
		switch {
		case name == "auto" && (parts <= autoParts || s == steps[len(steps)-1]):
			return s.last, nil
		case name == s.name && parts > maxParts:
			return 0, route.Wrong("step", name, "ask for less time, or for longer steps", "makes %d steps, at most %d are allowed", parts, maxParts)
		case name == s.name:
			return s.last, nil
		}
	}
	return 0, route.Wrong("step", name, "", "is not known") // cannot be: it was checked
}

// A share is how many messages have a value.
type share struct {
	Value string `json:"value"`
	N     int64  `json:"n"`
}

// A facet is the most frequent values of a field.
type facet struct {
	Field  string  `json:"field"`
	Values []share `json:"values"`
	Other  int64   `json:"other"` // messages with other values, or none
}

// facet counts by a field.
func (a *API) facet(ctx context.Context, q fedmsg.Query, field string, limit int) (facet, bool, error) {
	counts, err := a.cfg.Archive.Count(ctx, q, fedmsg.Grouping{Field: fedmsg.Field(field), Limit: limit})
	return facetOf(field, counts), !counts.Estimate, err
}

func facetOf(field string, counts fedmsg.Counts) facet {
	f := facet{Field: field, Values: []share{}}
	for _, row := range counts.Rows {
		if row.Value == "" {
			f.Other += row.N
		} else {
			f.Values = append(f.Values, share{row.Value, row.N})
		}
	}
	return f
}

// faceting is an archive that counts by several fields in one pass, each as Count
// does.
type faceting interface {
	Facets(ctx context.Context, q fedmsg.Query, limit int, fields ...fedmsg.Field) ([]fedmsg.Counts, error)
}

// countBy counts by several fields: in one pass if the archive can, else side by side.
func (a *API) countBy(ctx context.Context, q fedmsg.Query, limit int, fields ...fedmsg.Field) ([]fedmsg.Counts, error) {
	if archive, can := a.cfg.Archive.(faceting); can {
		return archive.Facets(ctx, q, limit, fields...)
	}
	all, errs := make([]fedmsg.Counts, len(fields)), make([]error, len(fields))
	var counting sync.WaitGroup
	for i, field := range fields {
		counting.Go(func() {
			all[i], errs[i] = a.cfg.Archive.Count(ctx, q, fedmsg.Grouping{Field: field, Limit: limit})
		})
	}
	counting.Wait()
	return all, errors.Join(errs...)
}

// facets answers with the most frequent values of fields, and with how many messages
// there are.
func (a *API) facets(ctx context.Context, r *route.Request) (*route.Answer, error) {
	q := r.Query
	q.OldestFirst, q.Limit = false, 0
	var fields []fedmsg.Field
	for _, name := range r.List("field") {
		fields = append(fields, fedmsg.Field(name))
	}
	counted, err := a.countBy(ctx, q, r.Number("limit"), append(fields, "")...) // and all together
	if err != nil {
		return nil, err
	}
	found, complete := make([]facet, len(counted)), true
	for i, counts := range counted {
		found[i], complete = facetOf("", counts), complete && !counts.Estimate
		if i < len(fields) {
			found[i].Field = string(fields[i])
		}
	}
	answer := struct {
		stretch
		Total  int64   `json:"total"`
		Facets []facet `json:"facets"`
	}{Total: found[len(found)-1].Other, Facets: found[:len(found)-1]}
	t := &route.Sheet{Head: []string{"field", "value", "n"}}
	for _, f := range answer.Facets {
		for _, v := range f.Values {
			t.Add(f.Field, v.Value, v.N)
		}
	}
	answer.stretch = stretchOf(r, q, complete)
	return reply(r, answer, t, complete), nil
}

// known is a term as an answer has it.
type known struct {
	Name  string    `json:"name"`
	N     int64     `json:"n"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// terms answers with the values of a field that begin with a prefix.
func (a *API) terms(ctx context.Context, r *route.Request) (*route.Answer, error) {
	found, err := a.cfg.Archive.Terms(ctx, fedmsg.Field(r.Text("field")), r.Text("prefix"), r.Number("limit"))
	if err != nil {
		return nil, err
	}
	answer := struct {
		Field string  `json:"field"`
		Terms []known `json:"terms"`
	}{r.Text("field"), []known{}}
	t := &route.Sheet{Head: []string{"name", "n", "first", "last"}}
	for _, f := range found {
		answer.Terms = append(answer.Terms, known(f))
		t.Add(f.Name, f.N, f.First, f.Last)
	}
	return reply(r, answer, t, true), nil
}

// maxSampled is how many topics are told with a message each.
const maxSampled = 1000

// topics answers with the catalogue of topics: how often, since when, and the newest
// message of each.
func (a *API) topics(ctx context.Context, r *route.Request) (*route.Answer, error) {
	s, err := a.shape(r)
	if err != nil {
		return nil, err
	}
	sampled := r.Text("sample") == "yes"
	if limit := r.Text("limit"); sampled && r.Number("limit") > maxSampled {
		return nil, route.Wrong("limit", limit, "give sample=no, too", "may be at most %d with a message of each topic", maxSampled)
	}
	found, err := a.cfg.Archive.Terms(ctx, fedmsg.TopicField, r.Text("prefix"), r.Number("limit"))
	if err != nil {
		return nil, err
	}
	t := &route.Sheet{Head: []string{"topic", "n", "first", "last", "sample"}}
	body := []byte(`{"topics":[`)
	for i, f := range found {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, route.JSON(known(f))...)
		id := ""
		if sampled {
			newest, _, err := a.newest(ctx, fedmsg.Query{Since: f.Last}, fedmsg.TopicField, f.Name)
			if err != nil {
				return nil, err
			}
			body = append(body[:len(body)-1], `,"sample":`...)
			if len(newest) > 0 {
				id = newest[0].Message.ID
				body = a.appendElement(ctx, body, newest[0], s)
			} else {
				body = append(body, "null"...)
			}
			body = append(body, '}')
		}
		t.Add(f.Name, f.N, f.First, f.Last, id)
	}
	return &route.Answer{Body: append(body, "]}\n"...), Sheet: t}, nil
}

// maxLikes is how many pages are looked through for a topic, among those that have
// three more words before it.
const maxLikes = 10

// newest returns the newest entry that passes a query and has a value in a field, if
// there is one.
func (a *API) newest(ctx context.Context, q fedmsg.Query, field fedmsg.Field, value string) (found []fedmsg.Entry, complete bool, err error) {
	q.Filter = fedmsg.Filter{Of: []fedmsg.Filter{q.Filter, has(field, value)}}
	q.Limit, q.OldestFirst, q.Cursor = 1, false, ""
	for range maxLikes {
		page, err := a.cfg.Archive.Search(ctx, q)
		if err != nil {
			return nil, false, err
		}
		i := slices.IndexFunc(page.Entries, func(e fedmsg.Entry) bool {
			return field != fedmsg.TopicField || string(e.Message.Topic) == value
		})
		if i >= 0 {
			return page.Entries[i : i+1], true, nil
		}
		if !page.ScannedTo.IsZero() || page.Next == "" {
			return nil, page.ScannedTo.IsZero(), nil
		}
		if q.Cursor = page.Next; q.Limit == 1 {
			q.Limit = 50
		}
	}
	return nil, false, nil
}
