package chart

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// narrowSpace parts thousands; lines do not break at it.
const narrowSpace = '\u202f'

// Number spells a number for people: thousands are parted by a thin space, and there
// are at most three figures after the point. NaN is a dash.
func Number(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	places := 0
	for places < 3 && math.Abs(v) < 1e6 && math.Abs(v*math.Pow10(places)-math.Round(v*math.Pow10(places))) > 1e-6 {
		places++
	}
	text := strconv.FormatFloat(math.Abs(v), 'f', places, 64)
	whole, part, hasPart := strings.Cut(text, ".")
	var b strings.Builder
	if v < 0 && strings.Trim(text, "0.") != "" {
		b.WriteString("−")
	}
	for i, digit := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 && len(whole) > 3 {
			b.WriteRune(narrowSpace)
		}
		b.WriteRune(digit)
	}
	if part = strings.TrimRight(part, "0"); hasPart && part != "" {
		b.WriteString("." + part)
	}
	return b.String()
}

// tickName spells a number at an axis that goes to most: from a million on, in
// millions and so on.
func tickName(v, most float64) string {
	for _, of := range []struct {
		size float64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}} {
		if v != 0 && most >= of.size {
			return Number(v/of.size) + string(narrowSpace) + of.name
		}
	}
	return Number(v)
}

// ticks returns round numbers, 1, 2 or 5 times a power of ten apart, that reach from
// low to high or beyond: about n of them. whole says that parts of one mean nothing.
func ticks(low, high float64, n int, whole bool) []float64 {
	span := high - low
	if span <= 0 {
		span, high = 1, low+1
	}
	raw := span / float64(max(n, 1))
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	step := 10 * power
	for _, m := range []float64{1, 2, 5} {
		if m*power >= raw*(1-1e-9) {
			step = m * power
			break
		}
	}
	if whole {
		step = max(step, 1)
	}
	var found []float64
	for i := math.Floor(low/step + 1e-9); len(found) <= 4*max(n, 4); i++ {
		found = append(found, i*step)
		if i*step >= high-step*1e-9 {
			break
		}
	}
	return found
}

// decades returns 0, 1, 10 and so on until they reach high; and the same below zero.
func decades(low, high float64) []float64 {
	found := []float64{0}
	for v := 1.0; found[len(found)-1] < high; v *= 10 {
		found = append(found, v)
	}
	var below []float64
	for v := -1.0; low < 0 && (len(below) == 0 || below[len(below)-1] > low); v *= 10 {
		below = append(below, v)
	}
	slices.Reverse(below)
	return append(below, found...)
}

// A scale turns numbers into pixels.
type scale struct {
	ticks    []float64
	from, to float64 // pixels of the first and the last tick
	log      bool
}

// newScale makes the scale for what a chart must show, about n ticks long.
func newScale(c Chart, low, high, from, to float64, n int) scale {
	low, high = min(low, 0), max(high, 0)
	if c.Log {
		return scale{decades(low, max(high, 1)), from, to, true}
	}
	whole := true
	for _, s := range c.Series {
		for i := range s.Values {
			v, _ := s.value(i)
			whole = whole && v == math.Trunc(v)
		}
	}
	return scale{ticks(low, high, n, whole), from, to, false}
}

// name spells a tick.
func (s scale) name(v float64) string {
	return tickName(v, max(-s.ticks[0], s.ticks[len(s.ticks)-1]))
}

// at returns the pixel of a number.
func (s scale) at(v float64) float64 {
	first, last := s.bend(s.ticks[0]), s.bend(s.ticks[len(s.ticks)-1])
	if last == first {
		return s.from
	}
	return s.from + (s.bend(v)-first)/(last-first)*(s.to-s.from)
}

func (s scale) bend(v float64) float64 {
	if !s.log {
		return v
	}
	return math.Copysign(math.Log10(1+math.Abs(v)), v)
}

// bounds returns the least and the greatest number of all series, or of their sums.
func (c Chart) bounds(stacked bool) (low, high float64) {
	for i := range c.points() {
		if stacked {
			high = max(high, c.sum(i))
			hanging := 0.0
			for _, s := range c.Series {
				v, _ := s.value(i)
				hanging += min(v, 0)
			}
			low = min(low, hanging)
			continue
		}
		for _, s := range c.Series {
			v, _ := s.value(i)
			low, high = min(low, v), max(high, v)
		}
	}
	return low, high
}
