package chart_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fedora-infra/fedmsg-go/http/chart"
)

// day is the first of calendars.
var day = time.Date(2026, 10, 26, 0, 0, 0, 0, time.UTC)

// kinds are all drawings.
var kinds = map[string]func(chart.Chart) []byte{
	"bars": chart.Bars, "stacked": chart.Stacked, "lines": chart.Lines, "area": chart.Area, "rows": chart.Rows,
	"sparkline": chart.Sparkline, "grid": chart.Grid,
	"calendar": func(c chart.Chart) []byte { return chart.Calendar(c, day) },
}

// An element is one of an SVG.
type element struct {
	name string
	attr map[string]string
	text string // of itself
}

// read parses an SVG and fails if it is not well-formed.
func read(t *testing.T, svg []byte) (all []element) {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(svg))
	var open []int
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{token.Name.Local, map[string]string{}, ""}
			for _, a := range token.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			open = append(open, len(all))
			all = append(all, e)
		case xml.CharData:
			if len(open) > 0 {
				all[open[len(open)-1]].text += string(token)
			}
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
}

// texts returns what all elements of a name say.
func texts(all []element, name string) (found []string) {
	for _, e := range all {
		if e.name == name {
			found = append(found, e.text)
		}
	}
	return found
}

func week(series ...chart.Series) chart.Chart {
	return chart.Chart{
		Title: "Builds a day", Unit: "messages", Series: series,
		Labels: []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"},
	}
}

func TestNumber(t *testing.T) {
	tests := []struct {
		v    float64
		want string
	}{
		{0, "0"}, {math.Copysign(0, -1), "0"}, {7, "7"}, {999, "999"},
		{1000, "1\u202f000"}, {1234567, "1\u202f234\u202f567"}, {-1200, "−1\u202f200"},
		{.5, "0.5"}, {1.0 / 3, "0.333"}, {.1 + .2, "0.3"}, {-.0001, "0"}, {12345678.9, "12\u202f345\u202f679"},
		{math.NaN(), "–"}, {math.Inf(-1), "–"},
	}
	for _, tt := range tests {
		if got := chart.Number(tt.v); got != tt.want {
			t.Errorf("Number(%v) = %q, want %q", tt.v, got, tt.want)
		}
	}
}

// Axes have few, round numbers, and zero among them.
func TestTicks(t *testing.T) {
	tests := []struct {
		values []float64
		want   string
	}{
		{[]float64{1}, "0 1"},
		{[]float64{3, 2}, "0 1 2 3"},
		{[]float64{41}, "0 10 20 30 40 50"},
		{[]float64{11900}, "0 5000 10000 15000"},
		{[]float64{2500000}, "0 0.5M 1M 1.5M 2M 2.5M"},
		{[]float64{.25}, "0 0.05 0.1 0.15 0.2 0.25"},
		{[]float64{5, -3}, "-4 -2 0 2 4 6"},
		{[]float64{0, 0}, "0 1"},
		{[]float64{-7}, "-8 -6 -4 -2 0"},
		{[]float64{1e300}, ""}, // it ends, whatever it says
		{[]float64{math.MaxFloat64, -math.MaxFloat64}, ""},
		{[]float64{5e-324}, ""},
	}
	for _, tt := range tests {
		c := week(chart.Series{Values: tt.values})
		c.Labels = nil
		var got []string
		for _, e := range read(t, chart.Bars(c)) {
			if e.name == "text" && e.attr["class"] == "tick" && e.attr["text-anchor"] == "end" {
				got = append(got, strings.ReplaceAll(strings.ReplaceAll(e.text, "\u202f", ""), "−", "-"))
			}
		}
		if tt.want != "" && strings.Join(got, " ") != tt.want {
			t.Errorf("ticks of %v = %q, want %q", tt.values, got, tt.want)
		}
	}
}

// Each point has a title, the chart a role, a label and a size.
func TestChartsSayTheirNumbers(t *testing.T) {
	for name, draw := range kinds {
		t.Run(name, func(t *testing.T) {
			c := week(chart.Series{Name: "koji", Values: []float64{3, 0, 1200, 5, 6, 7, 41}})
			all := read(t, draw(c))
			root := all[0]
			if root.name != "svg" || root.attr["role"] != "img" || root.attr["width"] == "" ||
				root.attr["viewBox"] != "0 0 "+root.attr["width"]+" "+root.attr["height"] {
				t.Errorf("root is %v", root)
			}
			for _, want := range []string{"Builds a day", "from 0 to 1\u202f200", "last 41 messages", "Mon to Sun"} {
				if !strings.Contains(root.attr["aria-label"], want) {
					t.Errorf("aria-label %q lacks %q", root.attr["aria-label"], want)
				}
			}
			titles := texts(all, "title")
			if name == "sparkline" {
				return // too small for points
			}
			if len(titles) != 7 || !slices.Contains(titles, "Wed: 1\u202f200 messages") || !slices.Contains(titles, "Tue: 0 messages") {
				t.Errorf("titles %q, want one for each day", titles)
			}
			if !slices.ContainsFunc(texts(all, "text"), func(s string) bool { return strings.Contains(s, "41") }) {
				t.Errorf("the last number is not in %q", texts(all, "text"))
			}
		})
	}
}

// Whatever text comes, it stays text.
func TestChartsAreWellFormed(t *testing.T) {
	for _, evil := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onload='x`, `]]>&amp;<!--`, "a\x00\x1b[31m\x7f\u0085b\ufffe\uffff",
		"\xff\xfe half \xe2\x82", "\u202eevil\u2066", "line\r\nline\ttab", strings.Repeat("很长", 200), "\ufffd",
	} {
		for name, draw := range kinds {
			c := chart.Chart{Title: evil, Unit: evil, Labels: []string{evil, evil}, Series: []chart.Series{{Name: evil, Values: []float64{1, 2}}, {Name: evil, Values: []float64{3}}}}
			svg := draw(c)
			all := read(t, svg)
			plain := read(t, draw(chart.Chart{Title: "a", Unit: "a", Labels: []string{"a", "a"}, Series: []chart.Series{{Name: "a", Values: []float64{1, 2}}, {Name: "a", Values: []float64{3}}}}))
			names := func(all []element) (names []string) {
				for _, e := range all {
					if e.name != "text" { // some are left out for want of room
						names = append(names, e.name)
					}
				}
				return names
			}
			if got, want := names(all), names(plain); !slices.Equal(got, want) {
				t.Errorf("%s of %q has elements %q, want %q", name, evil, got, want)
			}
			if bytes.ContainsAny(svg, "\x00\x1b\x7f\u0085\u202e\u2066\ufffe") {
				t.Errorf("%s of %q has control characters", name, evil)
			}
		}
	}
}

func TestChartsOfOddNumbers(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for what, c := range map[string]chart.Chart{
		"nothing":        {},
		"no series":      week(),
		"no values":      week(chart.Series{Name: "a"}),
		"gaps only":      week(chart.Series{Values: []float64{nan, inf, -inf}}),
		"gaps":           week(chart.Series{Values: []float64{nan, 1, nan, nan, 4, inf, 5}}),
		"below zero":     week(chart.Series{Values: []float64{-1, -2}}),
		"short and long": week(chart.Series{Values: []float64{1}}, chart.Series{Values: make([]float64, 2000)}),
		"huge":           week(chart.Series{Values: []float64{math.MaxFloat64, -math.MaxFloat64}}, chart.Series{Values: []float64{math.MaxFloat64}}),
		"many series":    week(slices.Repeat([]chart.Series{{Name: "x", Values: []float64{1, 2, 3}}}, 300)...),
		"tiny":           {Width: 1, Height: -5, Series: []chart.Series{{Name: "a", Values: []float64{1, 2}}, {Name: "b", Values: []float64{1, 2}}}},
		"giant":          {Width: 1 << 30, Height: 1 << 30, Series: []chart.Series{{Name: "a", Values: []float64{1, 2}}}},
		"logarithm":      {Log: true, Series: []chart.Series{{Name: "a", Values: []float64{0, 1, 10, 1e6, -50}}}},
		"bare":           {Bare: true, Series: []chart.Series{{Name: "a", Values: []float64{0, 1}}, {Name: "b", Values: []float64{0, 1}}}},
	} {
		for name, draw := range kinds {
			svg := draw(c)
			root := read(t, svg)[0]
			for _, side := range []string{"width", "height"} {
				if n, err := strconv.ParseFloat(root.attr[side], 64); err != nil || n < 16 || n > 4096 {
					t.Errorf("%s of %s: %s is %q", name, what, side, root.attr[side])
				}
			}
			if m := regexp.MustCompile(`"[^" ]*(NaN|Inf)`).Find(svg); m != nil {
				t.Errorf("%s of %s draws at %s", name, what, m)
			}
		}
	}
}

// Log puts tenfold values equally far apart.
func TestLog(t *testing.T) {
	c := chart.Chart{Log: true, Series: []chart.Series{{Values: []float64{9, 99, 999}}}}
	var heights []float64
	for _, e := range read(t, chart.Bars(c)) {
		if e.attr["class"] == "bar" {
			h, _ := strconv.ParseFloat(e.attr["height"], 64)
			heights = append(heights, h)
		}
	}
	if len(heights) != 3 || math.Abs(heights[1]-2*heights[0]) > .3 || math.Abs(heights[2]-3*heights[0]) > .3 {
		t.Errorf("heights %v, want 1 : 2 : 3", heights)
	}
}

func TestLinks(t *testing.T) {
	c := week(chart.Series{Values: []float64{1, 2, 3, 4, 5, 6, 7}})
	c.Links = []string{"/history?on=2026-11-23&q=a%20b", "javascript:alert(1)", "", "https://example.org/", "?q=a:b", "data:text/html,x", "/a:b"}
	want := []string{"/history?on=2026-11-23&q=a%20b", "https://example.org/", "?q=a:b", "/a:b"}
	for name, draw := range kinds {
		var got []string
		for _, e := range read(t, draw(c)) {
			if e.name == "a" {
				got = append(got, e.attr["href"])
			}
		}
		if name != "sparkline" && !slices.Equal(got, want) {
			t.Errorf("%s links to %q, want %q", name, got, want)
		}
	}
}

// A file brings its style, which its policy lets in; a part of a page has none.
func TestStyle(t *testing.T) {
	c := week(chart.Series{Values: []float64{1}})
	style := texts(read(t, chart.Bars(c)), "style")
	if len(style) != 1 {
		t.Fatalf("%d styles, want one", len(style))
	}
	sum := sha256.Sum256([]byte(style[0]))
	if want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(chart.Policy(), want) {
		t.Errorf("Policy() = %q, want %q in it", chart.Policy(), want)
	}
	if strings.ContainsAny(style[0], "$") || strings.Contains(style[0], "var(") || !strings.Contains(style[0], "prefers-color-scheme:dark") {
		t.Errorf("the style of a file is\n%s", style[0])
	}
	c.Embedded = true
	svg := chart.Bars(c)
	all := read(t, svg)
	if len(texts(all, "style")) != 0 || slices.Contains(texts(all, "text"), c.Title) || bytes.Contains(svg, []byte(" style=")) {
		t.Errorf("an embedded chart brings what the page has:\n%s", svg)
	}
	for _, m := range regexp.MustCompile(`\$?--?([a-z0-9-]+)\)`).FindAllStringSubmatch(chart.CSS(), -1) {
		if !strings.Contains(chart.Tokens(), "--"+m[1]+":") {
			t.Errorf("CSS uses --%s, which Tokens lacks", m[1])
		}
	}
	if strings.Contains(chart.CSS(), "$") {
		t.Errorf("CSS has an unknown colour:\n%s", chart.CSS())
	}
}

// contrast is that of WCAG 2.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	light := func(hex string) (l float64) {
		n, err := strconv.ParseUint(hex[1:], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		for i, weight := range []float64{.2126, .7152, .0722} {
			v := float64(n>>(16-8*i)&255) / 255
			if v <= .03928 {
				l += weight * v / 12.92
			} else {
				l += weight * math.Pow((v+.055)/1.055, 2.4)
			}
		}
		return l
	}
	x, y := light(a), light(b)
	return (max(x, y) + .05) / (min(x, y) + .05)
}

func TestColoursCanBeSeen(t *testing.T) {
	light, dark, _ := strings.Cut(chart.Tokens(), "@media")
	for mode, text := range map[string]string{"light": light, "dark": dark} {
		colours := make(map[string]string)
		for _, m := range regexp.MustCompile(`--([a-z0-9-]+):(#[0-9a-f]{6})`).FindAllStringSubmatch(text, -1) {
			colours[m[1]] = m[2]
		}
		if len(colours) != 17 {
			t.Errorf("%s has %d colours, want 17", mode, len(colours))
		}
		for name, hex := range colours {
			want := 3.0
			switch name {
			case "paper", "rule":
				continue
			case "ink", "muted", "accent":
				want = 4.5
			}
			if got := contrast(t, hex, colours["paper"]); got < want {
				t.Errorf("%s: %s %s has a contrast of %.2f, want %.1f", mode, name, hex, got, want)
			}
		}
	}
}

// What goes stands below the line on which stands what comes.
func TestStackedBelowZero(t *testing.T) {
	c := week(chart.Series{Name: "new", Values: []float64{2, 2}}, chart.Series{Name: "again", Values: []float64{4, 0}}, chart.Series{Name: "gone", Values: []float64{-3, -1}})
	zero, over, under := 0.0, 0, 0
	all := read(t, chart.Stacked(c))
	for _, e := range all {
		if e.attr["class"] == "zero" {
			zero, _ = strconv.ParseFloat(e.attr["y1"], 64)
		}
	}
	for _, e := range all {
		y, _ := strconv.ParseFloat(e.attr["y"], 64)
		height, _ := strconv.ParseFloat(e.attr["height"], 64)
		switch {
		case e.attr["class"] != "bar" || height == 0:
		case y >= zero-1:
			under++
		case y+height <= zero+1:
			over++
		}
	}
	if over != 3 || under != 2 {
		t.Errorf("%d bars stand on the line and %d hang below it, want 3 and 2", over, under)
	}
}

// A grid is darker for more, and one can read what is on it.
func TestGrid(t *testing.T) {
	c := chart.Chart{Title: "Who came back", Unit: "%", Labels: []string{"1", "2", "3", "4"}, Width: 600,
		Series: []chart.Series{{Name: "2 Nov", Values: []float64{90, 50, 20, 0}}, {Name: "9 Nov", Values: []float64{30}}}}
	all := read(t, chart.Grid(c))
	var shades []string
	for _, e := range all {
		if strings.HasPrefix(e.attr["class"], "l") {
			shades = append(shades, e.attr["class"])
		}
	}
	if want := []string{"l4", "l2", "l1", "l0", "l1"}; !slices.Equal(shades, want) {
		t.Errorf("the shades are %q, want %q", shades, want)
	}
	if titles := texts(all, "title"); !slices.Contains(titles, "2 Nov, 2: 50 %") {
		t.Errorf("the titles are %q", titles)
	}
	if said := texts(all, "text"); !slices.Contains(said, "90") || !slices.Contains(said, "9 Nov") {
		t.Errorf("to be read is %q", said)
	}
}

// A calendar has a square for each day, and a block for each year if it is long.
func TestCalendar(t *testing.T) {
	tests := []struct {
		days   int
		first  time.Time
		years  []string
		levels int
	}{
		{1, day, nil, 1},
		{365, time.Date(2025, 11, 25, 15, 0, 0, 0, time.UTC), nil, 4},
		{800, time.Date(2023, 12, 30, 0, 0, 0, 0, time.UTC), []string{"2023", "2024", "2025", "2026"}, 4},
	}
	for _, tt := range tests {
		values := make([]float64, tt.days)
		for i := range values {
			values[i] = float64(i%40 + 1)
		}
		all := read(t, chart.Calendar(chart.Chart{Series: []chart.Series{{Values: values}}}, tt.first))
		titles := texts(all, "title")
		if len(titles) != tt.days || !strings.HasPrefix(titles[0], tt.first.Format(time.DateOnly)+": 1") {
			t.Errorf("%d days: %d titles from %q", tt.days, len(titles), titles[0])
		}
		var years []string
		levels := make(map[string]bool)
		for _, e := range all {
			if e.name == "text" && regexp.MustCompile(`^20\d\d$`).MatchString(e.text) {
				years = append(years, e.text)
			}
			if c := e.attr["class"]; e.name == "rect" && strings.HasPrefix(c, "l") && c != "l0" {
				levels[c] = true
			}
		}
		if !slices.Equal(years, tt.years) || len(levels) != tt.levels || !levels["l4"] {
			t.Errorf("%d days: years %q, levels %v", tt.days, years, levels)
		}
	}
}

func BenchmarkStacked(b *testing.B) {
	c := chart.Chart{Title: "x", Unit: "messages"}
	for range 12 {
		c.Series = append(c.Series, chart.Series{Name: "category", Values: slices.Repeat([]float64{1, 2, 3}, 30)})
	}
	for b.Loop() {
		b.SetBytes(int64(len(chart.Stacked(c))))
	}
}
