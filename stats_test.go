package fedmsg_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// show writes samples one a line, as a scrape would.
func show(m fedmsg.Meter) []string {
	var lines []string
	for s := range m.Samples() {
		line := s.Name + "{" + strings.Join(s.Labels, " ") + "}"
		if s.Buckets == nil {
			line += " " + time.Duration(s.Value).String()
		}
		lines = append(lines, line)
	}
	return lines
}

func TestCounters(t *testing.T) {
	c := fedmsg.NewCounters("messages_rejected_total", "edge", "reason")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				c.Add(1, "zmq", "bad_json")
				c.Add(2, "http", "stale")
			}
		})
	}
	wg.Wait()
	if a, b, none := c.Value("zmq", "bad_json"), c.Value("http", "stale"), c.Value("http", "bad_json"); a != 8000 || b != 16000 || none != 0 {
		t.Errorf("Value = %d, %d, %d, want 8000, 16000, 0", a, b, none)
	}
	want := []string{"messages_rejected_total{edge http reason stale} 16µs", "messages_rejected_total{edge zmq reason bad_json} 8µs"}
	if got := show(c); !slices.Equal(got, want) {
		t.Errorf("Samples() = %q, want %q", got, want)
	}
	for range c.Samples() {
		break // must not go on after the loop has ended
	}
}

func TestCountersTakeThreeLabels(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("NewCounters with four labels does not panic")
		}
	}()
	fedmsg.NewCounters("x", "a", "b", "c", "d")
}

func TestHistogram(t *testing.T) {
	h := fedmsg.NewHistogram("publish_duration_seconds", "edge", "http")
	for _, d := range []time.Duration{0, 500 * time.Microsecond, 501 * time.Microsecond, time.Millisecond, time.Second, 5 * time.Second, time.Minute} {
		h.Observe(d)
	}
	samples := slices.Collect(h.Samples())
	if len(samples) != 1 {
		t.Fatalf("%d samples, want 1", len(samples))
	}
	s := samples[0]
	if s.Name != "publish_duration_seconds" || !slices.Equal(s.Labels, []string{"edge", "http"}) || s.Buckets.Count != 7 || s.Value < 66.001 || s.Value > 66.003 {
		t.Errorf("sample %+v of %+v", s, s.Buckets)
	}
	for upper, want := range map[float64]uint64{.0005: 2, .001: 4, .5: 4, 1: 5, 2.5: 5, 5: 6} {
		if got := s.Buckets.Upper[upper]; got != want {
			t.Errorf("%d observations at or below %g s, want %d", got, upper, want)
		}
	}
}

func TestMeters(t *testing.T) {
	a, b := fedmsg.NewCounters("a_total"), fedmsg.NewCounters("b_total")
	a.Add(1)
	b.Add(2)
	all := fedmsg.Meters{a, fedmsg.NewHistogram("h"), fedmsg.MeterFunc(func(yield func(fedmsg.Sample) bool) {
		yield(fedmsg.Sample{Name: "f", Value: 3})
	}), b}
	if got, want := show(all), []string{"a_total{} 1ns", "h{}", "f{} 3ns", "b_total{} 2ns"}; !slices.Equal(got, want) {
		t.Errorf("Samples() = %q, want %q", got, want)
	}
	seen := 0
	for range all.Samples() {
		if seen++; seen == 2 {
			break
		}
	}
	if seen != 2 {
		t.Errorf("%d samples before the break, want 2", seen)
	}
}
