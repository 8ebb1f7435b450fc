package grepper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/chart"
)

// Bounds of charts.
const (
	minPoints, maxPoints, defaultPoints = 3, 15, 10
	// maxSeries is how many colours can be told apart.
	maxSeries = 12
	// topSeries is how many values a series is split into if no values are given.
	topSeries     = 8
	chartWindow   = 365 * 24 * time.Hour
	defaultWidth  = 800
	defaultHeight = 600
	minSide       = 16
	maxSide       = 4096
)

// drawings are the types of charts that datagrepper had, and what comes nearest.
var drawings = map[string]func(chart.Chart) []byte{
	"line": chart.Lines, "xy": chart.Lines,
	"stackedline": chart.Area,
	"bar":         chart.Bars, "dot": chart.Bars,
	"stackedbar": chart.Stacked, "verticalpyramid": chart.Stacked,
	"horizontalbar": chart.Rows, "horizontalstackedbar": chart.Rows, "funnel": chart.Rows, "pyramid": chart.Rows, "gauge": chart.Rows,
}

// styles are pygal's, which datagrepper let choose from. Our charts have one, in
// light and dark.
var styles = []string{"default", "blue", "turquoise", "neon", "dark", "dark_green", "dark_solarized", "dark_green_blue", "dark_colorized", "light",
	"light_colorized", "light_solarized", "light_green", "green", "clean", "red_blue", "light_red_blue", "solid_color"}

// chart answers with a chart of how many messages there were.
func (g *Grepper) chart(ctx context.Context, r *request) (*answer, error) {
	draw, known := drawings[r.PathValue("type")]
	if !known {
		return nil, fedmsg.ErrNotFound
	}
	var a arguments
	if err := a.readLists(r.params); err != nil {
		return nil, err
	}
	if err := a.window.read(r.params, r.now, chartWindow); err != nil {
		return nil, err
	}
	if a.Start == nil { // delta=0; but a chart has to begin somewhere
		delta := seconds(chartWindow.Seconds())
		a.Delta = &delta
		a.fill(r.now)
	}
	c, fill, err := readChart(r.params, &a)
	if err != nil {
		return nil, err
	}
	n, err := r.params.number("N", defaultPoints, minPoints, maxPoints)
	if err != nil {
		return nil, err
	}
	split, err := g.split(ctx, r.params, a)
	if err != nil {
		return nil, err
	}
	if err := g.fill(ctx, &c, split, n); err != nil {
		return nil, err
	}
	if fill && len(c.Series) == 1 && r.PathValue("type") == "line" {
		draw = chart.Area
	}
	return &answer{media: "image/svg+xml", body: draw(c), policy: chart.Policy(), fresh: 300}, nil
}

// readChart reads how a chart is to look.
func readChart(p params, a *arguments) (c chart.Chart, fill bool, err error) {
	if c.Width, err = p.number("width", defaultWidth, minSide, maxSide); err != nil {
		return c, false, err
	}
	if c.Height, err = p.number("height", defaultHeight, minSide, maxSide); err != nil {
		return c, false, err
	}
	if c.Title, err = p.text("title"); err != nil {
		return c, false, err
	}
	if c.Title == "" {
		c.Title = a.title()
	}
	if _, err = p.choice("style", styles...); err != nil {
		return c, false, err
	}
	if _, err = p.choice("interpolation", "None", "none", "", "quadratic", "cubic", "hermite", "lagrange", "trigonometric"); err != nil {
		return c, false, err
	}
	labels := true
	for _, t := range []struct {
		name      string
		otherwise bool
		to        *bool
	}{{"logarithmic", false, &c.Log}, {"fill", false, &fill}, {"human_readable", true, nil}, {"show_dots", true, nil}, {"show_x_labels", true, &labels}, {"show_y_labels", true, &labels}} {
		v, err := p.truth(t.name, t.otherwise)
		if err != nil {
			return c, false, err
		}
		if t.to == &labels {
			labels = labels && v
		} else if t.to != nil {
			*t.to = v
		}
	}
	c.Bare = !labels
	return c, fill, nil
}

// title says what a chart is of.
func (a *arguments) title() string {
	var parts []string
	for _, w := range a.wishes() {
		if len(*w.values) == 0 {
			continue
		}
		text := strings.Join((*w.values)[:min(len(*w.values), 4)], ", ")
		if len(*w.values) > 4 {
			text += " and " + strconv.Itoa(len(*w.values)-4) + " others"
		}
		parts = append(parts, strings.ReplaceAll(w.param, "_", " ")+" "+text)
	}
	if len(parts) == 0 {
		return "Messages"
	}
	return "Messages: " + strings.Join(parts, "; ")
}

// A part is one series of a chart: what it is called and what it asks for.
type part struct {
	name string
	arguments
}

// split makes the parts of a chart. With split_on each value of a list has its own,
// and each pair of values if it is there twice, and so on. A list without values is
// split by those that are most frequent.
func (g *Grepper) split(ctx context.Context, p params, whole arguments) ([]part, error) {
	parts := []part{{"", whole}}
	for i, name := range p["split_on"] {
		if slices.Contains(p["split_on"][:i], name) {
			continue
		}
		at := slices.IndexFunc(whole.wishes(), func(w wish) bool { return !w.not && w.field != fedmsg.TextField && plural(w.param) == name })
		if at < 0 {
			return nil, refuse("split_on", "must be users, packages, categories, topics or agents, is %q", clip(name))
		}
		w := whole.wishes()[at]
		values := *w.values
		if len(values) == 0 {
			var err error
			if values, err = g.top(ctx, whole, w.field); err != nil {
				return nil, err
			}
		}
		if len(parts)*len(values) > maxSeries {
			return nil, refuse("split_on", "makes %d series, at most %d are drawn", len(parts)*len(values), maxSeries)
		}
		var more []part
		for _, have := range parts {
			for _, value := range values {
				one := part{strings.TrimPrefix(have.name+" "+value, " "), have.arguments}
				*one.wishes()[at].values = []string{value}
				more = append(more, one)
			}
		}
		parts = more
	}
	return parts, nil
}

func plural(name string) string {
	if stem, ok := strings.CutSuffix(name, "y"); ok {
		return stem + "ies"
	}
	return name + "s"
}

// top returns the most frequent values of a field in what is asked for.
func (g *Grepper) top(ctx context.Context, a arguments, field fedmsg.Field) (values []string, err error) {
	q, err := a.query()
	if err != nil {
		return nil, err
	}
	counts, err := g.cfg.Counter.Count(ctx, q, fedmsg.Grouping{Field: field, Limit: topSeries})
	for _, row := range counts.Rows {
		if row.Value != "" {
			values = append(values, row.Value)
		}
	}
	return values, err
}

// fill counts what a chart shows: n spans of the window, for each part.
func (g *Grepper) fill(ctx context.Context, c *chart.Chart, parts []part, n int) error {
	if len(parts) == 0 {
		return nil
	}
	whole := parts[0].arguments
	var all fedmsg.Query
	whole.bound(&all)
	end := all.Until.Add(-time.Millisecond) // which is in it
	step := end.Sub(all.Since) / time.Duration(n)
	for i := range n {
		c.Labels = append(c.Labels, label(end.Sub(all.Since), all.Since.Add(time.Duration(i)*step)))
	}
	c.Series = make([]chart.Series, len(parts))
	least, errs := make([]bool, len(parts)), make([]error, len(parts))
	var counting sync.WaitGroup
	for k, part := range parts {
		counting.Go(func() {
			c.Series[k], least[k], errs[k] = g.series(ctx, part, n, func(i int) (since, until time.Time) {
				if until = all.Until; i < n-1 {
					until = all.Since.Add(time.Duration(i+1) * step).Truncate(time.Millisecond)
				}
				return all.Since.Add(time.Duration(i) * step).Truncate(time.Millisecond), until
			})
		})
	}
	counting.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	estimate := slices.Contains(least, true)
	c.Unit = "messages in " + span(step)
	if estimate {
		c.Unit = "at least so many " + c.Unit
	}
	return nil
}

// series counts one part, span by span. least says that there are at least so many.
func (g *Grepper) series(ctx context.Context, of part, n int, span func(i int) (since, until time.Time)) (s chart.Series, least bool, err error) {
	s.Name = of.name
	q, err := of.query()
	for i := range n {
		if err != nil {
			break
		}
		var total int64
		var exact bool
		q.Since, q.Until = span(i)
		total, exact, err = g.total(ctx, q)
		s.Values, least = append(s.Values, float64(total)), least || !exact
	}
	return s, least, err
}

// label names a point by when it begins, as exactly as it takes for such a span.
func label(span time.Duration, t time.Time) string {
	switch {
	case span <= 24*time.Hour:
		return t.Format("15:04")
	case span <= 14*24*time.Hour:
		return t.Format("2 Jan 15:04")
	case span <= 350*24*time.Hour:
		return t.Format("2 Jan")
	}
	return t.Format("2 Jan 2006")
}

// span says how long something is.
func span(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "days"}, {time.Hour, "hours"}, {time.Minute, "minutes"}} {
		if d >= 2*unit.size {
			return fmt.Sprintf("%s %s", strconv.FormatFloat(float64(d.Round(unit.size/10))/float64(unit.size), 'f', -1, 64), unit.name)
		}
	}
	return fmt.Sprintf("%s seconds", strconv.FormatFloat(d.Round(time.Second/10).Seconds(), 'f', -1, 64))
}
