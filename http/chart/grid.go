package chart

// Sizes of a grid, in pixels.
const (
	gridRow   = 22
	gridShare = .35 // of the width, for the names of rows at most
	gridCell  = 64  // at most
)

// Grid draws a square for each number, darker for more: the series are rows, the labels
// columns. It is for what happened to each of several groups, as time went by.
func Grid(c Chart) []byte {
	if c.last() < 0 {
		return empty(c)
	}
	f := begin(c, defaultWidth, 50+gridRow*float64(len(c.Series)))
	f.heading()
	if f.Unit != "" && !f.Bare {
		f.top += 12
		f.write("tick", "start", 4, f.top, fit(f.Unit, f.width-8))
	}
	names := 0.0
	for _, s := range c.Series {
		names = max(names, min(textWidth(s.Name), f.width*gridShare))
	}
	if !f.Bare {
		f.left += names + 10
		f.top += 4
	}
	n := c.points()
	f.bottom = f.top + gridRow*float64(len(c.Series))
	step := min((f.right-f.left)/float64(n), gridCell)
	f.right = f.left + step*float64(n)
	_, most := c.bounds(false)
	for row, s := range c.Series {
		y := f.top + gridRow*float64(row)
		if !f.Bare {
			f.write("value", "end", f.left-8, y+15, fit(s.Name, f.width*gridShare))
		}
		for i := range n {
			v, ok := s.value(i)
			if !ok {
				continue
			}
			shade, ink := shadeOf(v, most)
			f.hit(shade, f.left+float64(i)*step, y, max(step-2, 1), gridRow-2, c.tellCell(s, i), c.link(i))
			if text := Number(v); textWidth(text)+4 < step && !f.Bare {
				f.write(ink, "middle", f.left+float64(i)*step+(step-2)/2, y+15, text)
			}
		}
	}
	if !f.Bare {
		f.columns()
	}
	return f.end()
}

// shadeOf returns the classes of a square and of what is written on it: each pair has a
// contrast of at least 4.5 to 1.
func shadeOf(v, most float64) (shade, ink string) {
	switch {
	case v <= 0:
		return "l0", "value"
	case v <= most/3:
		return "l1", "value"
	case v <= most*2/3:
		return "l2", "value"
	}
	return "l4", "reversed"
}

// tellCell says one number of a grid.
func (c Chart) tellCell(s Series, i int) string {
	if len(c.Series) == 1 {
		return c.tell(i)
	}
	return s.Name + ", " + c.label(i) + ": " + c.amount(s, i)
}
