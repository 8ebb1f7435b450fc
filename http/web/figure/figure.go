// Package figure makes what an archive adds up to: charts, each with the table behind
// it.
package figure

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/chart"
	"github.com/fedora-infra/fedmsg-go/http/web/say"
)

// A Figure is a chart with the table behind it.
type Figure struct {
	Name  string // in its address
	Title string // what it is about
	Note  string // how to read it
	Chart chart.Chart
	draw  func(chart.Chart) []byte
	// Head and Rows are the table; numbers are right.
	Head []string
	Rows [][]string
	// Links are searches, one for each row; empty for none.
	Links []string
	// Untitled leaves the title out of the picture.
	Untitled bool
}

// SVG draws it so wide, in pixels; embedded into a page or as a file.
func (f Figure) SVG(width int, embedded bool) []byte {
	c := f.Chart
	c.Title, c.Width, c.Embedded = f.Title, width, embedded
	if f.Untitled {
		c.Title = ""
	}
	return f.draw(c)
}

// A Maker makes figures of what a counter counts.
type Maker struct {
	Archive fedmsg.Archive
	Counter fedmsg.Counter
	Now     func() time.Time

	services Kept[[]Service]
	people   Kept[*attendance]
}

// A Subject is whose statistics are asked for, and over how many days.
type Subject struct {
	Days          int
	User, Package string
}

// Spans are the periods that can be chosen.
var Spans = []int{7, 30, 90, 365}

// filter passes what is about the subject.
func (s Subject) filter() fedmsg.Filter {
	var f fedmsg.Filter
	if s.User != "" {
		f.Of = append(f.Of, fedmsg.Filter{Op: fedmsg.Has, Test: fedmsg.Test{Field: fedmsg.UserField, Value: s.User}})
	}
	if s.Package != "" {
		f.Of = append(f.Of, fedmsg.Filter{Op: fedmsg.Has, Test: fedmsg.Test{Field: fedmsg.PackageField, Value: s.Package}})
	}
	return f
}

// Line is the search for what is about the subject.
func (s Subject) Line() string {
	var parts []string
	if s.User != "" {
		parts = append(parts, say.FieldTerm(fedmsg.UserField, s.User))
	}
	if s.Package != "" {
		parts = append(parts, say.FieldTerm(fedmsg.PackageField, s.Package))
	}
	return strings.Join(parts, " ")
}

// Of says whose, for titles.
func (s Subject) Of() string {
	switch {
	case s.User != "" && s.Package != "":
		return ", " + say.Visible(s.User) + " and " + say.Visible(s.Package)
	case s.User+s.Package != "":
		return ", " + say.Visible(s.User+s.Package)
	}
	return ""
}

// Period says over how long.
func (s Subject) Period() string {
	if s.Days == 365 {
		return "last year"
	}
	return "last " + strconv.Itoa(s.Days) + " days"
}

// ErrNone is of a name that no figure has, or that needs a subject.
var ErrNone = errors.New("no such figure")

// Make makes the figure of a name; narrow says that it has little room.
func (m *Maker) Make(ctx context.Context, name string, s Subject, narrow bool) (Figure, error) {
	switch name {
	case "volume":
		return m.volume(ctx, s)
	case "weeks":
		return m.weeks(ctx, s)
	case "services":
		return m.top(ctx, s, name, "Services", fedmsg.CategoryField)
	case "topics":
		return m.top(ctx, s, name, "Topics", fedmsg.TopicField)
	case "users":
		return m.top(ctx, s, name, "People", fedmsg.UserField)
	case "packages":
		return m.top(ctx, s, name, "Packages", fedmsg.PackageField)
	case "contributors":
		return m.contributors(ctx)
	case "comings":
		return m.comings(ctx)
	case "cohorts":
		return m.cohorts(ctx, narrow)
	case "tail":
		return m.tail(ctx, s)
	case "silent":
		return m.silent(ctx)
	case "calendar":
		if s.Line() != "" {
			return m.calendar(ctx, s, narrow)
		}
	}
	return Figure{}, ErrNone
}

// volume is messages over time, by service.
func (m *Maker) volume(ctx context.Context, s Subject) (Figure, error) {
	now := m.Now().UTC()
	step, unit, layout := 24*time.Hour, "a day", "2 Jan"
	if s.Days > 90 {
		step, unit = 7*24*time.Hour, "a week"
	}
	start := say.Floor(now.AddDate(0, 0, -s.Days), step).Add(step) // whole ones, and the one that runs
	counts, err := m.Counter.Count(ctx, fedmsg.Query{Filter: s.filter(), Since: start}, fedmsg.Grouping{Step: step, Field: fedmsg.CategoryField, Limit: 8})
	if err != nil {
		return Figure{}, err
	}
	f := Figure{Name: "volume", Title: "Messages " + unit + ", " + s.Period() + s.Of(), draw: chart.Stacked,
		Note: "The last one is not over yet. A day is one of UTC.", Chart: chart.Chart{Unit: "messages", Height: 320}}
	n := int(now.Sub(start)/step) + 1
	index := make(map[string]int)
	for _, c := range counts.Rows {
		at := int(c.At.Sub(start) / step)
		if at < 0 || at >= n {
			continue
		}
		i, known := index[c.Value]
		if !known {
			i = len(f.Chart.Series)
			index[c.Value] = i
			f.Chart.Series = append(f.Chart.Series, chart.Series{Name: say.Visible(c.Value), Values: make([]float64, n), Hue: say.Hue(c.Value)})
			if c.Value == "" {
				f.Chart.Series[i].Name = "others"
			}
		}
		f.Chart.Series[i].Values[at] += float64(c.N)
	}
	slices.SortStableFunc(f.Chart.Series, func(a, b chart.Series) int { // the others last, uppermost
		return cmp.Or(cmp.Compare(btoi(a.Hue == say.Hue("")), btoi(b.Hue == say.Hue(""))), cmp.Compare(sum(b.Values), sum(a.Values)))
	})
	names := make([]string, len(f.Chart.Series))
	for i, series := range f.Chart.Series {
		names[i] = series.Name
	}
	for i, hue := range say.Hues(names) {
		if f.Chart.Series[i].Hue != say.Hue("") {
			f.Chart.Series[i].Hue = hue
		}
	}
	f.Head = []string{"from"}
	for _, series := range f.Chart.Series {
		f.Head = append(f.Head, series.Name)
	}
	for i := range n {
		at := start.Add(time.Duration(i) * step)
		f.Chart.Labels = append(f.Chart.Labels, at.Format(layout))
		f.Chart.Links = append(f.Chart.Links, say.Search(strings.TrimSpace(s.Line()+" "+say.Bounds(at, at.Add(step)))))
		row := []string{at.Format(time.DateOnly)}
		for _, series := range f.Chart.Series {
			row = append(row, strconv.FormatFloat(series.Values[i], 'f', 0, 64))
		}
		f.Rows = append(f.Rows, row)
	}
	f.Links = f.Chart.Links
	return f, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func sum(values []float64) (total float64) {
	for _, v := range values {
		total += v
	}
	return total
}

// weeks is the last seven days beside the seven before, by service.
func (m *Maker) weeks(ctx context.Context, s Subject) (Figure, error) {
	now := m.Now()
	week := 7 * 24 * time.Hour
	byName := make([]map[string]int64, 2)
	var order []string
	for i := range byName {
		until := now.Add(-time.Duration(i) * week)
		counts, err := m.Counter.Count(ctx, fedmsg.Query{Filter: s.filter(), Since: until.Add(-week), Until: until}, fedmsg.Grouping{Field: fedmsg.CategoryField, Limit: 200})
		if err != nil {
			return Figure{}, err
		}
		byName[i] = make(map[string]int64)
		for _, c := range counts.Rows {
			if c.Value == "" {
				continue
			}
			if byName[i][c.Value] = c.N; i == 0 || byName[0][c.Value] == 0 {
				order = append(order, c.Value)
			}
		}
	}
	f := Figure{Name: "weeks", Title: "This week and the week before" + s.Of(), draw: chart.Bars,
		Note: "Seven days up to now, and the seven before them.", Head: []string{"service", "this week", "week before", "change in %"},
		Chart: chart.Chart{Unit: "messages", Series: []chart.Series{{Name: "this week", Hue: 1}, {Name: "week before", Hue: 11}}}}
	for i, name := range order {
		n, before := byName[0][name], byName[1][name]
		change := "new"
		if before > 0 {
			change = strconv.FormatInt((n-before)*100/before, 10)
			if n > before {
				change = "+" + change
			}
		}
		f.Rows = append(f.Rows, []string{say.Visible(name), strconv.FormatInt(n, 10), strconv.FormatInt(before, 10), change})
		f.Links = append(f.Links, say.Search(strings.TrimSpace(s.Line()+" "+say.FieldTerm(fedmsg.CategoryField, name)+" after:1w")))
		if i < 12 {
			f.Chart.Labels = append(f.Chart.Labels, say.Visible(name))
			f.Chart.Series[0].Values = append(f.Chart.Series[0].Values, float64(n))
			f.Chart.Series[1].Values = append(f.Chart.Series[1].Values, float64(before))
		}
	}
	return f, nil
}

// top is the most frequent values of a field.
func (m *Maker) top(ctx context.Context, s Subject, name, what string, field fedmsg.Field) (Figure, error) {
	since := m.Now().Add(-time.Duration(s.Days) * 24 * time.Hour)
	counts, err := m.Counter.Count(ctx, fedmsg.Query{Filter: s.filter(), Since: since}, fedmsg.Grouping{Field: field, Limit: 15})
	if err != nil {
		return Figure{}, err
	}
	f := Figure{Name: name, Title: what + " with the most messages, " + s.Period() + s.Of(), draw: chart.Rows, Head: []string{strings.ToLower(what), "messages"},
		Chart: chart.Chart{Unit: "messages", Series: []chart.Series{{Name: "messages"}}}}
	for _, c := range counts.Rows {
		if c.Value == "" {
			continue
		}
		label := c.Value
		if field == fedmsg.TopicField {
			label = say.Tail(c.Value)
		}
		f.Chart.Labels = append(f.Chart.Labels, say.Visible(label))
		f.Chart.Series[0].Values = append(f.Chart.Series[0].Values, float64(c.N))
		f.Rows = append(f.Rows, []string{say.Visible(label), strconv.FormatInt(c.N, 10)})
		f.Links = append(f.Links, say.Search(strings.TrimSpace(s.Line()+" "+say.FieldTerm(field, c.Value)+" after:"+strconv.Itoa(s.Days)+"d")))
	}
	f.Chart.Links = f.Links
	return f, nil
}

// calendar is the days of a year, of one user or package.
func (m *Maker) calendar(ctx context.Context, s Subject, narrow bool) (Figure, error) {
	today := m.Now().UTC().Truncate(24 * time.Hour)
	days, long := 365, "year"
	if narrow {
		days, long = 182, "half year" // so that the squares can be seen
	}
	start := today.AddDate(0, 0, 1-days)
	counts, err := m.Counter.Count(ctx, fedmsg.Query{Filter: s.filter(), Since: start}, fedmsg.Grouping{Step: 24 * time.Hour})
	if err != nil {
		return Figure{}, err
	}
	values := make([]float64, days)
	total := int64(0)
	for _, c := range counts.Rows {
		if i := int(c.At.Sub(start) / (24 * time.Hour)); i >= 0 && i < len(values) {
			values[i] += float64(c.N)
			total += c.N
		}
	}
	f := Figure{Name: "calendar", Title: say.Plural(total, "message", "messages") + " in the last " + long + s.Of(), Head: []string{"day", "messages"},
		draw:  func(c chart.Chart) []byte { return chart.Calendar(c, start) },
		Chart: chart.Chart{Unit: "messages", Series: []chart.Series{{Values: values}}}}
	for i, v := range values {
		at := start.AddDate(0, 0, i)
		link := ""
		if v > 0 {
			link = say.Search(s.Line() + " on:" + at.Format(time.DateOnly))
			f.Rows = append(f.Rows, []string{at.Format(time.DateOnly), strconv.FormatFloat(v, 'f', 0, 64)})
			f.Links = append(f.Links, link)
		}
		f.Chart.Links = append(f.Chart.Links, link)
	}
	return f, nil
}

// CSV is the table of a figure. A name that a spreadsheet would take for a formula
// has a ' before it.
func (f Figure) CSV() []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	for i, row := range append([][]string{f.Head}, f.Rows...) {
		row = slices.Clone(row)
		for j, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t", rune(cell[0])) && (i == 0 || j == 0) {
				row[j] = "'" + cell
			}
		}
		_ = w.Write(row) // into memory
	}
	w.Flush()
	return b.Bytes()
}
