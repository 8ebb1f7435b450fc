// Package chart draws numbers as SVG: bars, lines, areas, rows, a calendar, a grid, a
// sparkline. Each chart says its numbers in words too: in an aria-label as a whole,
// and for each point in a title that a pointer shows. Whatever is in a label, the
// result is well-formed XML, without script and without style attributes.
//
// It may change; no promise is made about it.
package chart

import (
	"math"
	"strconv"
	"strings"
)

// A Chart is what is to be drawn. The zero value is a chart that says that there is
// nothing.
type Chart struct {
	// Title says what is shown. An embedded chart has it in its aria-label alone: a
	// page has a heading of its own.
	Title string
	// Unit is what is counted, such as "messages".
	Unit string
	// Labels are what the points are called, along the axis.
	Labels []string
	// Links are where the points lead, one for each label, "" for none. An address of
	// another scheme than http and https is left out.
	Links []string
	// Series are the numbers; each has a colour.
	Series []Series
	// Width and Height are in pixels, from 16 to 4096. Defaults: 800 and 300; for
	// rows and a calendar, as high as they need.
	Width, Height int
	// Log draws tenfold values equally far apart. Zero keeps its line.
	Log bool
	// Bare leaves out axes and their labels.
	Bare bool
	// Embedded leaves out what a page has by itself: the title, the background, and
	// the style, which is then that of [CSS].
	Embedded bool
}

// A Series is one number for each label. What is no number, or beyond 1e18 on either
// side, is a gap, and so is what is missing at the end.
type Series struct {
	Name   string
	Values []float64
	// Hue is its colour, from 1 to 12, for what is to have the same one everywhere.
	// Default: the next in turn.
	Hue int
}

// Limits of sizes, in pixels.
const (
	minSide       = 16
	maxSide       = 4096
	defaultWidth  = 800
	defaultHeight = 300
)

// greatest is where numbers end: sums of them are far from overflowing.
const greatest = 1e18

// value returns a number of a series, and whether there is one.
func (s Series) value(i int) (float64, bool) {
	if i >= len(s.Values) || !(math.Abs(s.Values[i]) <= greatest) {
		return 0, false
	}
	return s.Values[i], true
}

// points returns how many places the axis has.
func (c Chart) points() int {
	n := len(c.Labels)
	for _, s := range c.Series {
		n = max(n, len(s.Values))
	}
	return n
}

// label returns what a point is called.
func (c Chart) label(i int) string {
	if i < len(c.Labels) {
		return c.Labels[i]
	}
	return ""
}

// link returns where a point leads, "" if nowhere.
func (c Chart) link(i int) string {
	if i >= len(c.Links) {
		return ""
	}
	to := c.Links[i]
	if before, _, ok := strings.Cut(to, ":"); ok && before != "http" && before != "https" && !strings.ContainsAny(before, "/?#") {
		return ""
	}
	return to
}

// last returns the last point that has a number in any series; -1 if none has.
func (c Chart) last() int {
	for i := c.points() - 1; i >= 0; i-- {
		for _, s := range c.Series {
			if _, ok := s.value(i); ok {
				return i
			}
		}
	}
	return -1
}

// sum returns the total of all series at a point, negative numbers left out.
func (c Chart) sum(i int) (total float64) {
	for _, s := range c.Series {
		v, _ := s.value(i)
		total += max(v, 0)
	}
	return total
}

// told is how many series are named one by one.
const told = 12

// tell says the numbers of one point, one a line if there are several series.
func (c Chart) tell(i int) string {
	var b strings.Builder
	b.WriteString(c.label(i))
	if len(c.Series) == 1 {
		return strings.TrimPrefix(c.label(i)+": "+c.amount(c.Series[0], i), ": ")
	}
	for n, s := range c.Series {
		if n == told {
			b.WriteString("\nand " + strconv.Itoa(len(c.Series)-told) + " others")
			break
		}
		b.WriteString("\n" + s.Name + ": " + c.amount(s, i))
	}
	return b.String()
}

func (c Chart) amount(s Series, i int) string {
	v, ok := s.value(i)
	if !ok {
		return "no number"
	}
	return strings.TrimSpace(Number(v) + " " + c.Unit)
}

// summary says all of a chart in a sentence or two.
func (c Chart) summary() string {
	var b strings.Builder
	b.WriteString(c.Title)
	last := c.last()
	if last < 0 {
		b.WriteString(": no numbers")
		return strings.TrimPrefix(b.String(), ": ")
	}
	if c.Title != "" {
		b.WriteString(". ")
	}
	if n := c.points(); n > 1 && c.label(0) != "" {
		b.WriteString(c.label(0) + " to " + c.label(n-1) + ". ")
	}
	for n, s := range c.Series {
		if n == told {
			b.WriteString("And " + strconv.Itoa(len(c.Series)-told) + " others.")
			break
		}
		if s.Name != "" {
			b.WriteString(s.Name + ": ")
		}
		b.WriteString(c.extremes(s) + " ")
	}
	return strings.TrimSpace(b.String())
}

// extremes says the least, the greatest and the last number of a series.
func (c Chart) extremes(s Series) string {
	least, most, last, found := math.Inf(1), math.Inf(-1), 0.0, false
	for i := range s.Values {
		if v, ok := s.value(i); ok {
			least, most, last, found = min(least, v), max(most, v), v, true
		}
	}
	if !found {
		return "no numbers."
	}
	text := Number(last)
	if len(s.Values) > 1 {
		text = "from " + Number(least) + " to " + Number(most) + ", last " + text
	}
	return strings.TrimSpace(text+" "+c.Unit) + "."
}
