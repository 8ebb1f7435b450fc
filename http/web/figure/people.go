package figure

import (
	"context"
	"math"
	"strconv"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/chart"
	"github.com/fedora-infra/fedmsg-go/http/web/say"
)

const (
	// activeWeeks is how many weeks are looked at.
	activeWeeks = 16
	// goneAfter is after how many weeks of silence somebody counts as gone.
	goneAfter = 4
	// cohortWeeks and narrowCohorts are how many weeks a grid has.
	cohortWeeks, narrowCohorts = 12, 6
	// attendanceLife is how long it is kept who was there.
	attendanceLife = 10 * time.Minute
	// everybody is more than there are.
	everybody = 1 << 20
)

// An attendance is who did something in which of the weeks that are over, the oldest
// first. The week in which the archive begins is not among them: all would be new in it.
type attendance struct {
	weeks []time.Time // Mondays, in UTC
	there []map[string]bool
	first map[string]time.Time // of each, ever
	last  map[string]time.Time
}

// attendance counts, or remembers.
func (m *Maker) attendance(ctx context.Context) (*attendance, error) {
	now := m.Now().UTC()
	return m.people.Get(now, attendanceLife, func() (*attendance, error) {
		known, err := m.Counter.Terms(ctx, fedmsg.AgentField, "", everybody)
		if err != nil {
			return nil, err
		}
		a, begin := &attendance{first: make(map[string]time.Time, len(known)), last: make(map[string]time.Time, len(known))}, now
		for _, term := range known {
			if term.Name == "" {
				continue
			}
			a.first[term.Name], a.last[term.Name] = term.First, term.Last
			if term.First.Before(begin) {
				begin = term.First
			}
		}
		monday := now.Truncate(24*time.Hour).AddDate(0, 0, -(int(now.Weekday())+6)%7)
		for i := activeWeeks; i > 0; i-- {
			week := monday.AddDate(0, 0, -7*i)
			if week.Before(begin) {
				continue
			}
			counts, err := m.Counter.Count(ctx, fedmsg.Query{Since: week, Until: week.AddDate(0, 0, 7)}, fedmsg.Grouping{Field: fedmsg.AgentField, Limit: everybody})
			if err != nil {
				return nil, err
			}
			there := make(map[string]bool, len(counts.Rows))
			for _, c := range counts.Rows {
				if c.Value != "" {
					there[c.Value] = true
				}
			}
			a.weeks, a.there = append(a.weeks, week), append(a.there, there)
		}
		return a, nil
	})
}

// newIn returns who did something in a week and never before.
func (a *attendance) newIn(i int) []string {
	var names []string
	for name := range a.there[i] {
		if !a.first[name].Before(a.weeks[i]) {
			names = append(names, name)
		}
	}
	return names
}

// gone returns how many were there in a week and not since; ok is false while they may
// come back.
func (a *attendance) gone(i int) (n int, ok bool) {
	end := a.weeks[i].AddDate(0, 0, 7)
	for name := range a.there[i] {
		if a.last[name].Before(end) {
			n++
		}
	}
	return n, i < len(a.weeks)-goneAfter
}

const whoCounts = "Everybody who did something that a service told of, programs too. Weeks begin on Monday, UTC; only whole ones that are over."

// contributors is how many different people did something in each week.
func (m *Maker) contributors(ctx context.Context) (Figure, error) {
	a, err := m.attendance(ctx)
	if err != nil {
		return Figure{}, err
	}
	f := Figure{Name: "contributors", Title: "Active contributors a week", draw: chart.Stacked, Head: []string{"week from", "new", "returning", "together"},
		Note:  whoCounts + " New is who was not heard of before in this archive.",
		Chart: chart.Chart{Unit: "people", Height: 260, Series: []chart.Series{{Name: "returning", Hue: 1}, {Name: "new", Hue: 2}}}}
	for i, week := range a.weeks {
		fresh, all := len(a.newIn(i)), len(a.there[i])
		f.addWeek(week, float64(all-fresh), float64(fresh))
		f.Rows = append(f.Rows, []string{week.Format(time.DateOnly), strconv.Itoa(fresh), strconv.Itoa(all - fresh), strconv.Itoa(all)})
	}
	f.Links = f.Chart.Links
	return f, nil
}

// comings is who came in each week, and who went.
func (m *Maker) comings(ctx context.Context) (Figure, error) {
	a, err := m.attendance(ctx)
	if err != nil {
		return Figure{}, err
	}
	f := Figure{Name: "comings", Title: "Contributors who came, and who went", draw: chart.Stacked, Head: []string{"week from", "new", "gone"},
		Note:  "New: heard for the first time. Gone: last heard in that week, and not in the " + strconv.Itoa(goneAfter) + " whole weeks since; who may still come back is not counted.",
		Chart: chart.Chart{Unit: "people", Height: 240, Series: []chart.Series{{Name: "new", Hue: 2}, {Name: "gone", Hue: 11}}}}
	for i, week := range a.weeks {
		fresh := len(a.newIn(i))
		left, text := math.NaN(), ""
		if n, ok := a.gone(i); ok {
			left, text = -float64(n), strconv.Itoa(n)
		}
		f.addWeek(week, float64(fresh), left)
		f.Rows = append(f.Rows, []string{week.Format(time.DateOnly), strconv.Itoa(fresh), text})
	}
	f.Links = f.Chart.Links
	return f, nil
}

// addWeek adds a bar of one week.
func (f *Figure) addWeek(week time.Time, values ...float64) {
	f.Chart.Labels = append(f.Chart.Labels, week.Format("2 Jan"))
	f.Chart.Links = append(f.Chart.Links, say.Search(say.Bounds(week, week.AddDate(0, 0, 7))))
	for i, v := range values {
		f.Chart.Series[i].Values = append(f.Chart.Series[i].Values, v)
	}
}

// cohorts is how many of those who were new in a week were there in each one since.
func (m *Maker) cohorts(ctx context.Context, narrow bool) (Figure, error) {
	a, err := m.attendance(ctx)
	if err != nil {
		return Figure{}, err
	}
	most := cohortWeeks
	if narrow {
		most = narrowCohorts
	}
	f := Figure{Name: "cohorts", Title: "How many newcomers come back", draw: chart.Grid, Head: []string{"new in the week from", "people"},
		Note:  "Of those who were heard for the first time in a week, how many per cent did something so many weeks later.",
		Chart: chart.Chart{Unit: "% of the newcomers, by weeks later"}}
	begin := max(0, len(a.weeks)-1-most)
	for i := begin; i < len(a.weeks)-1; i++ {
		later := strconv.Itoa(i - begin + 1)
		f.Chart.Labels, f.Head = append(f.Chart.Labels, later), append(f.Head, "% after "+later)
	}
	for i := begin; i < len(a.weeks)-1; i++ {
		members := a.newIn(i)
		row := []string{a.weeks[i].Format(time.DateOnly), strconv.Itoa(len(members))}
		series := chart.Series{Name: a.weeks[i].Format("2 Jan") + ", " + say.Count(int64(len(members))) + " new"}
		for later := i + 1; later < len(a.weeks) && len(members) > 0; later++ {
			back := 0
			for _, name := range members {
				if a.there[later][name] {
					back++
				}
			}
			share := math.Round(100 * float64(back) / float64(len(members)))
			series.Values, row = append(series.Values, share), append(row, strconv.FormatFloat(share, 'f', 0, 64))
		}
		for len(row) < len(f.Head) {
			row = append(row, "")
		}
		f.Chart.Series, f.Rows, f.Links = append(f.Chart.Series, series), append(f.Rows, row), append(f.Links, say.Search(say.Bounds(a.weeks[i], a.weeks[i].AddDate(0, 0, 7))))
	}
	return f, nil
}
