package chart

import "math"

// Bars draws a bar for each number, those of a point side by side. The last bar has
// its number on it, or in the legend if there are several series.
func Bars(c Chart) []byte {
	if c.last() < 0 {
		return empty(c)
	}
	f := begin(c, defaultWidth, defaultHeight)
	f.heading()
	f.legend(true)
	s := f.values(c.bounds(false))
	step := (f.right - f.left) / float64(c.points())
	wide := barWidth(step)
	each := wide / float64(len(c.Series))
	for n, series := range c.Series {
		f.open("g", "class", f.hue(n))
		for i := range c.points() {
			v, ok := series.value(i)
			if !ok || v == 0 {
				continue
			}
			f.bar(f.left+float64(i)*step+(step-wide)/2+float64(n)*each, each, s.at(0), s.at(v))
		}
		f.shut("g")
	}
	f.columns()
	if last := c.last(); len(c.Series) == 1 && !c.Bare {
		v, _ := c.Series[0].value(last)
		f.over(f.left+(float64(last)+.5)*step, s.at(max(v, 0)), Number(v))
	}
	f.hits()
	return f.end()
}

// Stacked draws a bar for each point, with the series one upon another; those with
// negative numbers hang below the zero line. The last bar has the sum of what stands on
// it.
func Stacked(c Chart) []byte {
	if c.last() < 0 {
		return empty(c)
	}
	f := begin(c, defaultWidth, defaultHeight)
	f.heading()
	f.legend(true)
	s := f.values(c.bounds(true))
	step := (f.right - f.left) / float64(c.points())
	wide := barWidth(step)
	below, beneath := make([]float64, c.points()), make([]float64, c.points())
	for n, series := range c.Series {
		f.open("g", "class", f.hue(n))
		for i := range c.points() {
			from := &below[i]
			v, ok := series.value(i)
			if v < 0 {
				from = &beneath[i]
			}
			if ok && v != 0 {
				f.bar(f.left+float64(i)*step+(step-wide)/2, wide, s.at(*from), s.at(*from+v))
				*from += v
			}
		}
		f.shut("g")
	}
	f.columns()
	if last := c.last(); !c.Bare {
		f.over(f.left+(float64(last)+.5)*step, s.at(below[last]), Number(below[last]))
	}
	f.hits()
	return f.end()
}

// barWidth leaves a gap between bars, if there is room for one.
func barWidth(step float64) float64 {
	if step < 3 {
		return step
	}
	return min(step*.8, 64)
}

// bar draws one bar between two heights; one that is not zero can be seen.
func (f *frame) bar(x, width, from, to float64) {
	top, height := min(from, to), math.Abs(from-to)
	if height < 1 {
		top, height = top-(1-height), 1
	}
	f.shape("rect", "class", "bar", "x", x, "y", top, "width", max(width, .5), "height", height)
}
