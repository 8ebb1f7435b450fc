package grepper_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/fedora-infra/fedmsg-go/http/chart"
	"github.com/fedora-infra/fedmsg-go/http/grepper"
)

// svgTexts returns what a chart says, and what its points do.
func svgTexts(t *testing.T, svg []byte) (texts, titles []string, label string) {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(string(svg)))
	in := ""
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return texts, titles, label
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			in = token.Name.Local
			for _, a := range token.Attr {
				if a.Name.Local == "aria-label" {
					label = a.Value
				}
			}
		case xml.CharData:
			if in == "text" {
				texts = append(texts, string(token))
			} else if in == "title" {
				titles = append(titles, string(token))
			}
		case xml.EndElement:
			in = ""
		}
	}
}

func TestCharts(t *testing.T) {
	r := wild(t)
	for _, kind := range []string{"line", "stackedline", "xy", "bar", "horizontalbar", "stackedbar", "horizontalstackedbar", "funnel", "pyramid", "verticalpyramid", "dot", "gauge"} {
		w := r.get(t, "/charts/"+kind+"?package=kernel&package=vim&split_on=packages&N=5&title=A+%3Cb%3E", "Accept", "image/avif,image/webp,*/*;q=0.8")
		h := w.Header()
		if w.Code != 200 || h.Get("Content-Type") != "image/svg+xml" || h.Get("Content-Security-Policy") != chart.Policy() || h.Get("Access-Control-Allow-Origin") != "*" {
			t.Fatalf("/charts/%s = %d %v %s", kind, w.Code, h, w.Body)
		}
		texts, titles, label := svgTexts(t, w.Body.Bytes())
		// 90 messages of the kernel within 12 days, 30 of vim over 348.
		if len(titles) != 5 || !strings.Contains(titles[4], "kernel: 90 messages in 73 days\nvim: 7 ") || !strings.Contains(label, "kernel: from 0 to 90, last 90 messages") || texts[0] != "A <b>" {
			t.Errorf("/charts/%s says %q, %q, %q", kind, label, titles, texts)
		}
	}
	tests := []struct {
		query, label string
		points       int
	}{
		{"user=ralph", "Messages: user ralph. 22 Nov 2025 to 17 Oct 2026. from 2 to 34, last 34 messages in 36.5 days.", 10},
		{"delta=86400&N=3&category=compose", "Messages: category compose. 12:00 to 04:00. from 0 to 12, last 12 messages in 8 hours.", 3},
		{"start=2026-11-15&end=2026-11-22&N=7&category=bodhi&category=git", "Messages: category bodhi, git. 15 Nov 00:00 to 21 Nov 00:00. from 2 to 3, last 2 messages in 24 hours.", 7},
		{"user=nobody&logarithmic=True&show_dots=False&fill=true&style=dark_solarized&interpolation=cubic&human_readable=False", "from 0 to 0", 10},
		{"split_on=categories&delta=864000&N=3", "buildsys: from", 3}, // the most frequent, as none are given
		{"user=ralph&split_on=users&category=git&category=bodhi&split_on=categories&N=4", "ralph git: from", 4},
		{"delta=0", "22 Nov 2025 to", 10},
		{"show_x_labels=False&show_y_labels=False&width=300&height=100", "Messages.", 10},
	}
	for _, tt := range tests {
		w := r.get(t, "/charts/line/?"+tt.query)
		if w.Code != 200 {
			t.Errorf("%s = %d %s", tt.query, w.Code, w.Body)
			continue
		}
		_, titles, label := svgTexts(t, w.Body.Bytes())
		if !strings.Contains(label, tt.label) || len(titles) != tt.points {
			t.Errorf("%s says %q in %d points, want %q in %d", tt.query, label, len(titles), tt.label, tt.points)
		}
	}
	for query, param := range map[string]string{
		"N=2": "N", "N=16": "N", "N=x": "N", "width=0": "width", "height=5000": "height", "style=pink": "style", "interpolation=4": "interpolation",
		"logarithmic=maybe": "logarithmic", "split_on=hosts": "split_on", "delta=-1": "delta", "start=x": "start", "show_dots=2": "show_dots", "title=%ff": "title",
		"split_on=users&split_on=packages&user=a&user=b&user=c&user=d&package=a&package=b&package=c&package=d": "split_on",
	} {
		if w := r.get(t, "/charts/bar?"+query); w.Code != 400 || !strings.Contains(w.Body.String(), `"field":"`+param+`"`) {
			t.Errorf("%s = %d %s, want a refusal of %s", query, w.Code, w.Body, param)
		}
	}
	if w := r.get(t, "/charts/pie"); w.Code != 404 {
		t.Errorf("/charts/pie = %d, want 404", w.Code)
	}
}

// A chart of what could not be counted in time says so.
func TestChartsOfEstimates(t *testing.T) {
	r := wild(t, func(c *grepper.Config) { c.Counter = overwhelmed{c.Counter} })
	if _, _, label := svgTexts(t, r.get(t, "/charts/bar").Body.Bytes()); !strings.Contains(label, "at least so many messages") {
		t.Errorf("the chart says %q", label)
	}
}

func BenchmarkCharts(b *testing.B) {
	r := wild(b)
	for began := time.Now(); b.Loop(); {
		if w := r.get(b, "/charts/line?split_on=categories"); w.Code != 200 {
			b.Fatal(w.Code, time.Since(began))
		}
	}
}
