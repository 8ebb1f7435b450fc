package figure

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/chart"
	"github.com/fedora-infra/fedmsg-go/http/web/say"
)

// A Service is one whose messages pass here.
type Service struct {
	Name   string
	N      int64 // in the time that its rhythm is taken from
	Last   time.Time
	Rhythm time.Duration // between two messages, on average; 0 if it is not known
	Quiet  bool          // for far longer than usual
	Word   string
}

const (
	// rhythmDays is what the usual rhythm of a service is taken from.
	rhythmDays = 28
	// quietTimes as long as usual, and quietLeast, is quiet.
	quietTimes = 20
	quietLeast = 15 * time.Minute
	// leastRhythm is from how many messages on a service has a rhythm.
	leastRhythm  = 5
	servicesLife = 10 * time.Second
	// allServices is more than there are.
	allServices = 1000
)

// State is what a page marks it with: good or warn.
func (s Service) State() string {
	if s.Quiet {
		return "warn"
	}
	return "good"
}

// Services tells when each service was last heard, those that are quiet first.
func (m *Maker) Services(ctx context.Context) ([]Service, error) {
	now := m.Now()
	return m.services.Get(now, servicesLife, func() ([]Service, error) {
		terms, err := m.Counter.Terms(ctx, fedmsg.CategoryField, "", allServices)
		if err != nil {
			return nil, err
		}
		since := now.AddDate(0, 0, -rhythmDays)
		counts, err := m.Counter.Count(ctx, fedmsg.Query{Since: since}, fedmsg.Grouping{Field: fedmsg.CategoryField, Limit: allServices})
		if err != nil {
			return nil, err
		}
		recent := make(map[string]int64)
		for _, c := range counts.Rows {
			recent[c.Value] = c.N
		}
		var list []Service
		for _, t := range terms {
			if t.Name != "" {
				list = append(list, judge(t, recent[t.Name], since, now))
			}
		}
		slices.SortStableFunc(list, func(a, b Service) int {
			return cmp.Or(cmp.Compare(btoi(b.Quiet), btoi(a.Quiet)), cmp.Compare(b.N, a.N))
		})
		return list, nil
	})
}

// judge compares how long a service has been quiet with what is usual.
func judge(t fedmsg.Term, n int64, since, now time.Time) Service {
	s := Service{Name: t.Name, N: n, Last: t.Last, Word: "as usual"}
	if t.First.After(since) {
		since = t.First
	}
	// From the first of them to the last there are n-1 pauses.
	if span := t.Last.Sub(since); n > 1 && span > 0 {
		s.Rhythm = span / time.Duration(n-1)
	}
	quiet := now.Sub(t.Last)
	switch {
	case n < leastRhythm:
		s.Word = "speaks seldom"
	case quiet > quietLeast && quiet > quietTimes*s.Rhythm:
		s.Quiet, s.Word = true, "quiet"
	}
	return s
}

// maxSilent is how many services the figure of the silent ones shows.
const maxSilent = 15

// silent is how long services have been quiet, measured by what is usual for each.
func (m *Maker) silent(ctx context.Context) (Figure, error) {
	services, err := m.Services(ctx)
	if err != nil {
		return Figure{}, err
	}
	type pause struct {
		Service
		hours, times float64
	}
	now := m.Now()
	var all []pause
	for _, s := range services {
		if s.Rhythm > 0 && s.N >= leastRhythm {
			quiet := max(now.Sub(s.Last), 0)
			all = append(all, pause{s, quiet.Hours(), float64(quiet) / float64(s.Rhythm)})
		}
	}
	slices.SortStableFunc(all, func(a, b pause) int { return cmp.Compare(b.times, a.times) })
	f := Figure{Name: "silent", Title: "Services by how long they have been silent", draw: chart.Rows,
		Note:  "A pause of 1 is the usual one of that service, taken from 28 days. From 20 on a service counts as quiet. Those who speak seldom have none.",
		Head:  []string{"service", "pauses", "hours", "last heard", "usual pause in seconds", "state"},
		Chart: chart.Chart{Unit: "usual pauses", Series: []chart.Series{{Name: "pauses"}}}}
	for i, s := range all {
		times := float64(int64(s.times*10)) / 10
		link := say.Search(say.FieldTerm(fedmsg.CategoryField, s.Name))
		if i < maxSilent {
			f.Chart.Labels = append(f.Chart.Labels, say.Visible(s.Name))
			f.Chart.Links = append(f.Chart.Links, link)
			f.Chart.Series[0].Values = append(f.Chart.Series[0].Values, times)
		}
		f.Rows = append(f.Rows, []string{say.Visible(s.Name), strconv.FormatFloat(times, 'f', 1, 64), strconv.FormatFloat(s.hours, 'f', 1, 64),
			s.Last.UTC().Format("2006-01-02 15:04"), strconv.FormatInt(int64(s.Rhythm/time.Second), 10), s.Word})
		f.Links = append(f.Links, link)
	}
	return f, nil
}
