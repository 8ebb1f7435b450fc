package chart

import (
	"slices"
)

// dotted is how far apart points must be, in pixels, to have a dot each.
const dotted = 14

// Lines draws a line for each series, with straight ways between its points. Each
// ends in its last number and its name.
func Lines(c Chart) []byte {
	if c.last() < 0 {
		return empty(c)
	}
	f := begin(c, defaultWidth, defaultHeight)
	f.heading()
	ends := f.ends(false)
	s := f.values(c.bounds(false))
	step := (f.right - f.left) / float64(c.points())
	for n, series := range c.Series {
		f.open("g", "class", f.hue(n))
		last := f.path(series, s, step)
		if last >= 0 {
			v, _ := series.value(last)
			f.shape("circle", "class", "dot", "cx", f.left+(float64(last)+.5)*step, "cy", s.at(v), "r", 3.5)
			ends[n].y = s.at(v)
		}
		f.shut("g")
	}
	f.columns()
	f.name(ends)
	f.hits()
	return f.end()
}

// Area draws the series one upon another as areas, each with its last number and its
// name. Negative numbers are left out, gaps are zero.
func Area(c Chart) []byte {
	if c.last() < 0 {
		return empty(c)
	}
	f := begin(c, defaultWidth, defaultHeight)
	f.heading()
	ends := f.ends(true)
	_, high := c.bounds(true)
	s := f.values(0, high)
	step := (f.right - f.left) / float64(c.points())
	below := make([]float64, c.points())
	for n, series := range c.Series {
		var lower, upper []byte
		for i := range below {
			v, _ := series.value(i)
			x := f.left + (float64(i)+.5)*step
			upper = appendPoint(upper, x, s.at(below[i]+max(v, 0)))
			lower = append(appendPoint(nil, x, s.at(below[i])), lower...)
			ends[n].y = s.at(below[i] + max(v, 0)/2)
			below[i] += max(v, 0)
		}
		f.open("g", "class", f.hue(n))
		f.shape("polygon", "class", "area", "points", string(upper)+string(lower))
		f.shut("g")
	}
	f.columns()
	f.name(ends)
	f.hits()
	return f.end()
}

// path draws the line of a series and returns its last point, -1 if it has none.
func (f *frame) path(series Series, s scale, step float64) (last int) {
	var d []byte
	last, drawn := -1, false
	for i := range series.Values {
		v, ok := series.value(i)
		if !ok {
			drawn = false
			continue
		}
		x, y := f.left+(float64(i)+.5)*step, s.at(v)
		if drawn {
			d = append(d, 'L')
		} else {
			d = append(d, 'M')
		}
		d = appendPoint(d, x, y)
		_, before := series.value(max(i-1, 0))
		_, after := series.value(i + 1)
		if step >= dotted && !f.Bare || !after && (i == 0 || !before) {
			f.shape("circle", "class", "dot", "cx", x, "cy", y, "r", 2.5)
		}
		last, drawn = i, true
	}
	f.shape("path", "class", "line", "d", string(d))
	return last
}

func appendPoint(dst []byte, x, y float64) []byte {
	return append(appendPixel(append(appendPixel(dst, x), ' '), y), ' ')
}

// An endName stands at the right end of a line.
type endName struct {
	text string
	y    float64
	hue  int
}

// ends makes the names of lines, and room for them.
func (f *frame) ends(stacked bool) []endName {
	ends := make([]endName, len(f.Series))
	widest := 0.0
	for n, s := range f.Series {
		ends[n].hue = n
		for i := len(s.Values) - 1; i >= 0; i-- {
			if v, ok := s.value(i); ok {
				if stacked {
					v, _ = s.value(f.points() - 1)
				}
				ends[n].text = Number(v)
				break
			}
		}
		if len(f.Series) > 1 && ends[n].text != "" {
			ends[n].text = fit(ends[n].text+" "+s.Name, f.width/3)
		}
		widest = max(widest, textWidth(ends[n].text))
	}
	if !f.Bare {
		f.right = f.width - widest - 12
	}
	return ends
}

// name writes the names of lines at their ends, moved apart where they would cover
// one another. Where they have no room, the lowest lines go without.
func (f *frame) name(ends []endName) {
	if f.Bare {
		return
	}
	ends = slices.DeleteFunc(ends, func(e endName) bool { return e.text == "" })
	slices.SortStableFunc(ends, func(a, b endName) int {
		if a.y < b.y {
			return -1
		} else if a.y > b.y {
			return 1
		}
		return 0
	})
	room := max(1, int((f.height-f.top)/(lineHeight-2)))
	ends = ends[:min(len(ends), room)]
	lowest := f.height - 4
	for i := len(ends) - 1; i >= 0; i-- {
		ends[i].y = min(ends[i].y+4, lowest)
		lowest = ends[i].y - (lineHeight - 2)
	}
	highest := f.top
	for i := range ends {
		ends[i].y = max(ends[i].y, highest)
		highest = ends[i].y + lineHeight - 2
		if len(f.Series) > 1 {
			f.shape("rect", "class", "bar "+f.hue(ends[i].hue), "x", f.right+2, "y", ends[i].y-6, "width", 4, "height", 4)
		}
		f.write("value", "start", f.right+9, ends[i].y, ends[i].text)
	}
}
