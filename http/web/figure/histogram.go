package figure

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/web/say"
)

const (
	// maxBars is how many steps a histogram is parted into at most.
	maxBars = 90
	// layers is how many services a histogram tells apart.
	layers = 7
)

// steps are what a histogram may be parted by.
var steps = []time.Duration{
	time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 7 * 24 * time.Hour, 28 * 24 * time.Hour, 91 * 24 * time.Hour, 364 * 24 * time.Hour,
}

// A Histogram is how many messages there are over time, stacked by service. Its
// picture is drawn in a box of one unit a bar and 100 units of height, stretched to
// the page; what is to be read stands around it as text.
type Histogram struct {
	Start   time.Time
	Step    time.Duration
	Bars    []HistogramBar
	Layers  []HistogramLayer
	Top     int64 // the highest bar
	Total   int64
	AtLeast bool
	Axis    []string // labels at the same distance from one another
	What    string
}

// StepMillis is the length of a bar, for scripts.
func (h *Histogram) StepMillis() int64 { return h.Step.Milliseconds() }

// StartMillis is where the first bar begins, in milliseconds since 1970.
func (h *Histogram) StartMillis() int64 { return h.Start.UnixMilli() }

// A HistogramBar is one step of a histogram.
type HistogramBar struct {
	At      time.Time
	Text    string
	N       int64
	Address string // a search for it alone
}

// A HistogramLayer is one service in a histogram; Name is empty for all others together.
type HistogramLayer struct {
	Name string
	N    int64
	Hue  int
	Path string // of an SVG
}

// Histogram counts what a query finds, over the time that it asks for or, if it does
// not say, that there is something in. line is the query as it was asked.
func (m *Maker) Histogram(ctx context.Context, q fedmsg.Query, line string) (*Histogram, error) {
	start, end, now := q.Since, q.Until, m.Now()
	if start.IsZero() {
		first := q
		first.OldestFirst, first.Limit = true, 1
		page, err := m.Archive.Search(ctx, first)
		if err != nil {
			return nil, err
		}
		start = now.Add(-30 * 24 * time.Hour)
		if len(page.Entries) > 0 {
			start = page.Entries[0].Message.Time
		}
	}
	if end.IsZero() || end.After(now.Add(time.Hour)) {
		end = now
	}
	if !start.Before(end) {
		start = end.Add(-time.Minute)
	}
	h := &Histogram{Step: stepFor(start, end)}
	h.Start = say.Floor(start, h.Step)
	n := int((end.Sub(h.Start) + h.Step - 1) / h.Step)
	counts, err := m.Counter.Count(ctx, q, fedmsg.Grouping{Step: h.Step, Field: fedmsg.CategoryField, Limit: layers})
	if err != nil {
		return nil, err
	}
	h.draw(counts, max(n, 1))
	for i := range h.Bars {
		at := h.Start.Add(time.Duration(i) * h.Step)
		b := &h.Bars[i]
		b.At, b.Text = at, barTime(at, h.Step)
		if b.N > 0 {
			b.Address = say.Search(say.Within(line, say.Bounds(at, at.Add(h.Step)), now))
		}
	}
	h.label(end)
	return h, nil
}

// stepFor is the shortest step of which there are not too many.
func stepFor(start, end time.Time) time.Duration {
	for _, s := range steps {
		if end.Sub(say.Floor(start, s)) <= maxBars*s {
			return s
		}
	}
	return steps[len(steps)-1]
}

// draw makes bars of counts.
func (h *Histogram) draw(counts fedmsg.Counts, n int) {
	n = min(n, maxBars+1)
	h.Bars, h.AtLeast = make([]HistogramBar, n), counts.Estimate
	byName := make(map[string][]int64)
	for _, c := range counts.Rows {
		i := int(c.At.Sub(h.Start) / h.Step)
		h.Total += c.N
		if c.At.Before(h.Start) || i >= n {
			continue // messages dated in the future
		}
		if byName[c.Value] == nil {
			byName[c.Value] = make([]int64, n)
			h.Layers = append(h.Layers, HistogramLayer{Name: c.Value})
		}
		byName[c.Value][i] += c.N
		h.Bars[i].N += c.N
	}
	for i := range h.Layers {
		for _, v := range byName[h.Layers[i].Name] {
			h.Layers[i].N += v
		}
	}
	slices.SortStableFunc(h.Layers, func(a, b HistogramLayer) int { // the others last
		if (a.Name == "") != (b.Name == "") {
			return map[bool]int{true: 1, false: -1}[a.Name == ""]
		}
		return int(b.N - a.N)
	})
	for _, b := range h.Bars {
		h.Top = max(h.Top, b.N)
	}
	names := make([]string, len(h.Layers))
	for i, layer := range h.Layers {
		names[i] = layer.Name
	}
	hues, base := say.Hues(names), make([]float64, n)
	for i := range h.Layers {
		h.Layers[i].Hue = hues[i]
		var d strings.Builder
		for x, v := range byName[h.Layers[i].Name] {
			if v == 0 {
				continue
			}
			high := 100 * float64(v) / float64(max(h.Top, 1))
			fmt.Fprintf(&d, "M%d.05,%.4gh.9v-%.4gh-.9z", x, 100-base[x], max(high, .5))
			base[x] = math.Min(base[x]+high, 100)
		}
		h.Layers[i].Path = d.String()
	}
}

// label writes what stands below and beside the bars.
func (h *Histogram) label(end time.Time) {
	n := len(h.Bars)
	layout := "2 Jan 15:04"
	switch {
	case h.Step >= 28*24*time.Hour:
		layout = "Jan 2006"
	case h.Step >= 24*time.Hour:
		layout = "2 Jan"
	case say.SameDay(h.Start, end):
		layout = "15:04"
	}
	for _, part := range []int{0, 1, 2} {
		h.Axis = append(h.Axis, h.Start.Add(time.Duration(part*n/3)*h.Step).UTC().Format(layout))
	}
	h.What = "Messages " + stepName(h.Step)
}

func stepName(step time.Duration) string {
	for _, s := range []struct {
		step time.Duration
		name string
	}{{time.Minute, "a minute"}, {time.Hour, "an hour"}, {24 * time.Hour, "a day"}, {7 * 24 * time.Hour, "a week"}} {
		if step == s.step {
			return s.name
		}
	}
	return "in " + say.Lasting(step)
}

func barTime(at time.Time, step time.Duration) string {
	if step >= 24*time.Hour {
		return at.UTC().Format("Mon 2 Jan 2006")
	}
	return at.UTC().Format("Mon 2 Jan 15:04")
}
