package chart

import (
	"cmp"
	"math"
	"strconv"
)

// A frame is a chart half drawn: all but the numbers.
type frame struct {
	canvas
	Chart
	width, height            float64
	left, right, top, bottom float64 // edges of where numbers go
}

// begin opens the SVG, with title and background. height is what to take if the
// chart does not say.
func begin(c Chart, width, height float64) *frame {
	f := &frame{Chart: c}
	f.width = clamp(cmp.Or(float64(c.Width), width))
	f.height = clamp(cmp.Or(float64(c.Height), height))
	f.right, f.bottom = f.width, f.height
	w, h := strconv.FormatFloat(f.width, 'f', -1, 64), strconv.FormatFloat(f.height, 'f', -1, 64)
	role := "img"
	if len(c.Links) > 0 {
		role = "group" // what is in an image cannot be reached by keyboard
	}
	f.open("svg", "xmlns", "http://www.w3.org/2000/svg", "class", "chart", "role", role, "aria-label", c.summary(),
		"width", w, "height", h, "viewBox", "0 0 "+w+" "+h)
	f.out = append(f.out, '\n')
	if c.Embedded {
		return f
	}
	f.out = append(append(append(f.out, "<style>"...), standalone()...), "</style>\n"...)
	f.shape("rect", "class", "paper", "width", f.width, "height", f.height)
	return f
}

func clamp(pixels float64) float64 { return min(max(pixels, minSide), maxSide) }

// heading writes the title and leaves a margin.
func (f *frame) heading() {
	if f.Bare {
		f.top, f.left, f.right, f.bottom = 2, 2, f.width-2, f.height-2
		return
	}
	f.left, f.right, f.top = 4, f.width-8, 6
	if f.Title != "" && !f.Embedded {
		f.write("title", "start", 4, 19, fit(f.Title, (f.width-8)*fontSize/15))
		f.top = 30
	}
}

// end closes the SVG.
func (f *frame) end() []byte {
	f.shut("svg")
	return f.out
}

// empty draws a chart without numbers.
func empty(c Chart) []byte {
	f := begin(c, defaultWidth, defaultHeight)
	f.heading()
	f.write("value", "middle", f.width/2, (f.top+f.height)/2, "no numbers")
	return f.end()
}

// legend names the series, if there are several; numbered, each with its last number.
func (f *frame) legend(numbered bool) {
	if f.Bare || len(f.Series) < 2 {
		return
	}
	x, last := 4.0, f.last()
	f.top += 10
	for i, s := range f.Series {
		text := fit(s.Name, f.width/2)
		if i == told {
			text = "and " + strconv.Itoa(len(f.Series)-told) + " others"
		} else if v, ok := s.value(last); ok && numbered {
			text += " " + Number(v)
		}
		w := 16 + textWidth(text) + 14
		if x > 4 && x+w > f.width {
			x = 4
			f.top += lineHeight
		}
		if i == told {
			f.write("value", "start", x, f.top, text)
			break
		}
		f.shape("rect", "class", "bar "+f.hue(i), "x", x, "y", f.top-9, "width", 10, "height", 10)
		f.write("value", "start", x+15, f.top, text)
		x += w
	}
	f.top += 8
}

// values draws the axis of numbers with its grid and the unit, and returns its scale.
func (f *frame) values(low, high float64) scale {
	if f.Bare {
		return newScale(f.Chart, low, high, f.bottom, f.top, 4)
	}
	f.top += 12
	if f.Unit != "" {
		f.write("tick", "start", 4, f.top, fit(f.Unit, f.width-8))
	}
	f.top += 8
	f.bottom = f.height - 26
	if f.bottom < f.top+10 {
		f.bottom = f.top + 10
	}
	s := newScale(f.Chart, low, high, f.bottom, f.top, int(max(2, (f.bottom-f.top)/44)))
	for _, v := range s.ticks {
		f.left = max(f.left, textWidth(s.name(v))+12)
	}
	for _, v := range s.ticks {
		class, y := "grid", math.Round(s.at(v))+.5
		if v == 0 {
			class = "zero"
		}
		f.shape("line", "class", class, "x1", f.left, "x2", f.right, "y1", y, "y2", y)
		f.write("tick", "end", f.left-6, y+4, s.name(v))
	}
	return s
}

// columns names the points along the lower edge, as many as have room, the last one
// for sure.
func (f *frame) columns() {
	n := f.points()
	if f.Bare || n == 0 {
		return
	}
	step, widest := (f.right-f.left)/float64(n), 0.0
	for i := range n {
		widest = max(widest, min(textWidth(f.label(i)), 160))
	}
	every, taken := max(1, int(math.Ceil((widest+10)/step))), f.width+10
	for i := n - 1; i >= 0; i -= every {
		text := fit(f.label(i), 160)
		x, w := f.left+(float64(i)+.5)*step, textWidth(text)
		if x+w/2 > f.width-2 {
			x = f.width - 2 - w/2
		} else if x-w/2 < 2 {
			x = 2 + w/2
		}
		if x+w/2 <= taken-10 {
			f.write("tick", "middle", x, f.bottom+18, text)
			taken = x - w/2
		}
	}
}

// hits lays what a pointer finds over the points.
func (f *frame) hits() {
	n := f.points()
	step := (f.right - f.left) / float64(max(n, 1))
	for i := range n {
		f.hit("hit", f.left+float64(i)*step, f.top, step, f.bottom-f.top, f.tell(i), f.link(i))
	}
}

// over writes a number above a place, within the picture.
func (f *frame) over(x, y float64, text string) {
	anchor, w := "middle", textWidth(text)
	if x+w/2 > f.width-2 {
		x, anchor = f.width-2, "end"
	}
	f.write("value", anchor, x, max(y-5, fontSize), text)
}
