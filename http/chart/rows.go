package chart

// rowHeight is how high a row is if the chart does not say, in pixels.
const rowHeight = 22

// Rows draws a row for each point: its label, a bar, its number. It is for ranks.
// Several series stand one behind another in a row, and the number is their sum;
// negative numbers are left out.
func Rows(c Chart) []byte {
	if c.last() < 0 {
		return empty(c)
	}
	n := c.points()
	head := 54.0
	if len(c.Series) > 1 {
		head += 8 + lineHeight*float64(1+len(c.Series)/4)
	}
	f := begin(c, defaultWidth, head+rowHeight*float64(n))
	f.heading()
	f.legend(false)
	if f.Unit != "" && !f.Bare {
		f.top += 12
		f.write("tick", "start", 4, f.top, fit(f.Unit, f.width-8))
		f.top += 4
	}
	_, high := c.bounds(true)
	after := 0.0
	for i := range n {
		f.left = max(f.left, min(textWidth(c.label(i)), f.width*.4)+12)
		after = max(after, textWidth(Number(c.sum(i))))
	}
	if f.Bare {
		f.left, after = 2, -8
	}
	f.bottom = max(f.height-4, f.top+float64(n))
	s := newScale(c, 0, high, f.left, f.width-after-14, 4)
	s.ticks = []float64{0, max(high, 1e-300)} // the longest row takes all the width
	high1 := (f.bottom - f.top) / float64(n)
	thick := min(high1*.75, 40)
	for i := range n {
		y, below := f.top+float64(i)*high1, 0.0
		for m, series := range c.Series {
			v, ok := series.value(i)
			if !ok || v <= 0 {
				continue
			}
			f.shape("rect", "class", "bar "+f.hue(m), "x", s.at(below), "y", y+(high1-thick)/2,
				"width", max(s.at(below+v)-s.at(below), 1), "height", thick)
			below += v
		}
		if high1 >= fontSize && !f.Bare {
			f.write("value", "end", f.left-6, y+high1/2+4, fit(c.label(i), f.width*.4))
			f.write("value", "start", s.at(below)+5, y+high1/2+4, Number(below))
		}
	}
	f.shape("line", "class", "zero", "x1", f.left, "x2", f.left, "y1", f.top, "y2", f.bottom)
	for i := range n {
		f.hit("hit", 0, f.top+float64(i)*high1, f.width, high1, c.tell(i), c.link(i))
	}
	return f.end()
}

// Sparkline draws the first series as a small line without axes, 120 by 24 pixels
// unless the chart says otherwise. A dot marks its end.
func Sparkline(c Chart) []byte {
	c.Series = c.Series[:min(len(c.Series), 1)]
	f := begin(c, 120, 24)
	last := c.last()
	if last < 0 {
		return f.end()
	}
	f.Bare = true
	f.left, f.right, f.top, f.bottom = 1, f.width-3, 4, f.height-3
	low, high := c.bounds(false)
	s := newScale(c, low, high, f.bottom, f.top, 4)
	s.ticks = []float64{min(low, 0), max(high, 1e-300)}
	step := (f.right - f.left) / float64(c.points())
	f.open("g", "class", f.hue(0))
	f.path(c.Series[0], s, step)
	v, _ := c.Series[0].value(last)
	f.shape("circle", "class", "dot", "cx", f.left+(float64(last)+.5)*step, "cy", s.at(v), "r", 2.5)
	f.shut("g")
	f.open("title")
	f.out = appendEscaped(f.out, c.summary())
	f.shut("title")
	return f.end()
}
