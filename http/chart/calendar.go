package chart

import (
	"math"
	"slices"
	"strconv"
	"time"
)

// Sizes of a calendar, in pixels.
const (
	cell      = 13
	square    = 11
	dayNames  = 40
	yearBlock = 7*cell + lineHeight + 8
)

// Calendar draws a square for each day, darker for more, in columns of weeks that
// begin on Monday. The first series counts; its first number is of the day first, in
// UTC, and labels default to the days. More than a year has a block for each
// calendar year. The width is what is needed: of less than a year, less.
func Calendar(c Chart, first time.Time) []byte {
	c.Series = c.Series[:min(len(c.Series), 1)]
	first = first.UTC().Truncate(24 * time.Hour)
	n := min(c.points(), 366*20)
	for i := len(c.Labels); i < n; i++ {
		c.Labels = append(slices.Clip(c.Labels), first.AddDate(0, 0, i).Format(time.DateOnly))
	}
	if c.last() < 0 {
		return empty(c)
	}
	blocks := years(first, n)
	c.Width, c.Height = 0, 0
	weeks := 54
	if n < 365 {
		weeks = max(n/7+2, 24) // below that the legend has no room
	}
	f := begin(c, dayNames+float64(weeks)*cell+8, 36+float64(len(blocks))*yearBlock+2*lineHeight)
	f.heading()
	levels := quartiles(c.Series[0])
	for _, b := range blocks {
		f.block(b, first, levels, len(blocks) > 1)
		f.top += yearBlock
	}
	f.scaleOfLevels(levels)
	return f.end()
}

// A span is days of a calendar, by their numbers.
type span struct{ from, to int }

// years parts days into calendar years, unless they fit into one block.
func years(first time.Time, n int) (blocks []span) {
	if n <= 371 {
		return []span{{0, n}}
	}
	for at := 0; at < n; {
		day := first.AddDate(0, 0, at)
		end := at + int(time.Date(day.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC).Sub(day)/(24*time.Hour))
		blocks = append(blocks, span{at, min(end, n)})
		at = end
	}
	return blocks
}

// block draws the days of one year.
func (f *frame) block(days span, first time.Time, levels []float64, named bool) {
	weekday := func(t time.Time) int { return (int(t.Weekday()) + 6) % 7 }
	start := first.AddDate(0, 0, days.from)
	if named {
		f.write("value", "start", 4, f.top+10, strconv.Itoa(start.Year()))
	}
	top, shift, lastMonth := f.top+lineHeight, weekday(start), -100
	for row, name := range []string{"Mon", "", "Wed", "", "Fri"} {
		f.write("tick", "start", 4, top+float64(row)*cell+10, name)
	}
	for i := days.from; i < days.to; i++ {
		day := first.AddDate(0, 0, i)
		column := (i - days.from + shift) / 7
		x, y := dayNames+float64(column)*cell, top+float64(weekday(day))*cell
		if day.Day() == 1 && column-lastMonth > 2 || i == days.from && day.Day() < 20 {
			f.write("tick", "start", x, f.top+10, day.Format("Jan"))
			lastMonth = column
		}
		v, ok := f.Series[0].value(i)
		if !ok {
			continue
		}
		f.hit("l"+strconv.Itoa(level(v, levels)), x, y, square, square, f.tell(i), f.link(i))
	}
}

// quartiles returns the four bounds that part the numbers above zero into equally
// many, each the least number of its level; fewer if there are few.
func quartiles(s Series) []float64 {
	var positive []float64
	for i := range s.Values {
		if v, ok := s.value(i); ok && v > 0 {
			positive = append(positive, v)
		}
	}
	slices.Sort(positive)
	var bounds []float64
	for q := range 4 {
		if len(positive) > 0 {
			bounds = append(bounds, positive[len(positive)*q/4])
		}
	}
	return slices.Compact(bounds)
}

// level returns how dark a number is, 0 to 4.
func level(v float64, bounds []float64) int {
	n := 0
	for i, b := range bounds {
		if v >= b {
			n = 4 - (len(bounds) - 1 - i)
		}
	}
	return n
}

// scaleOfLevels says what is how dark, and the last number.
func (f *frame) scaleOfLevels(bounds []float64) {
	y, x := f.top+8, float64(dayNames)
	put := func(level int, text string) {
		f.shape("rect", "class", "l"+strconv.Itoa(level), "x", x, "y", y, "width", square, "height", square, "rx", 2)
		f.write("tick", "start", x+16, y+10, text)
		x += 16 + textWidth(text) + 14
	}
	put(0, "0")
	for i, b := range bounds {
		text := Number(b)
		if i == len(bounds)-1 {
			text = "from " + text
		} else if below := bounds[i+1]; below == math.Trunc(below) && b == math.Trunc(b) && below-1 > b {
			text += "–" + Number(below-1)
		} else if below-1 != b {
			text += "–" + Number(below)
		}
		put(level(b, bounds), text)
	}
	f.write("value", "end", f.width-8, y+10, fit(f.tell(f.last()), f.width-x-8))
}
