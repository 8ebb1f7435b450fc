package fedmsg

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Sample is one value of a metric at one moment. Names are those of
// docs/operate.md, without the prefix fedmsg_; counters end in _total.
type Sample struct {
	Name   string
	Labels []string // name, value, name, value ...
	Value  float64
	// Buckets is set for a histogram: Value is then the sum of what was observed.
	Buckets *Buckets
}

// Buckets are the counts of a histogram.
type Buckets struct {
	Count uint64
	// Upper maps an upper bound to the number of observations at or below it.
	Upper map[float64]uint64
}

// Meter is what can be measured. Every room that counts something has one.
type Meter interface {
	// Samples yields all values, as they are now.
	Samples() iter.Seq[Sample]
}

// Counters is a metric of one name with labels. The zero Counters cannot be
// used; see [NewCounters].
type Counters struct {
	name   string
	labels []string
	mu     sync.RWMutex
	values map[[3]string]*atomic.Uint64
}

// NewCounters makes a counter with at most three labels.
func NewCounters(name string, labels ...string) *Counters {
	if len(labels) > 3 {
		panic("fedmsg: a counter has at most three labels")
	}
	return &Counters{name: name, labels: labels, values: make(map[[3]string]*atomic.Uint64)}
}

// Add adds n to the counter with these label values, one for each label.
func (c *Counters) Add(n uint64, values ...string) {
	var key [3]string
	copy(key[:], values)
	c.mu.RLock()
	v := c.values[key]
	c.mu.RUnlock()
	if v == nil {
		c.mu.Lock()
		if v = c.values[key]; v == nil {
			v = new(atomic.Uint64)
			c.values[key] = v
		}
		c.mu.Unlock()
	}
	v.Add(n)
}

// Value returns the count for these label values.
func (c *Counters) Value(values ...string) uint64 {
	var key [3]string
	copy(key[:], values)
	c.mu.RLock()
	defer c.mu.RUnlock()
	if v := c.values[key]; v != nil {
		return v.Load()
	}
	return 0
}

// Samples yields the counters in the order of their labels.
func (c *Counters) Samples() iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		c.mu.RLock()
		now := maps.Clone(c.values)
		c.mu.RUnlock()
		keys := slices.SortedFunc(maps.Keys(now), func(a, b [3]string) int {
			return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]), cmp.Compare(a[2], b[2]))
		})
		for _, key := range keys {
			s := Sample{Name: c.name, Value: float64(now[key].Load())}
			for i, label := range c.labels {
				s.Labels = append(s.Labels, label, key[i])
			}
			if !yield(s) {
				return
			}
		}
	}
}

// Histogram counts durations in buckets from half a millisecond to five seconds.
type Histogram struct {
	name   string
	labels []string
	counts [len(bounds)]atomic.Uint64
	count  atomic.Uint64
	nanos  atomic.Int64
}

// bounds are the buckets' upper ends, in seconds.
var bounds = [...]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

// NewHistogram makes a histogram; labels are name, value, name, value ...
func NewHistogram(name string, labels ...string) *Histogram {
	return &Histogram{name: name, labels: labels}
}

// Observe counts one duration.
func (h *Histogram) Observe(d time.Duration) {
	if i, _ := slices.BinarySearch(bounds[:], d.Seconds()); i < len(bounds) {
		h.counts[i].Add(1)
	}
	h.count.Add(1)
	h.nanos.Add(int64(d))
}

// Samples yields the histogram as one sample.
func (h *Histogram) Samples() iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		b := &Buckets{Upper: make(map[float64]uint64, len(bounds))}
		for i, upper := range bounds {
			b.Count += h.counts[i].Load()
			b.Upper[upper] = b.Count
		}
		b.Count = h.count.Load()
		yield(Sample{Name: h.name, Labels: h.labels, Value: time.Duration(h.nanos.Load()).Seconds(), Buckets: b})
	}
}

// Meters joins meters into one.
type Meters []Meter

// Samples yields the samples of all, in order.
func (ms Meters) Samples() iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		for _, m := range ms {
			for s := range m.Samples() {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// MeterFunc is a function that yields samples.
type MeterFunc func(yield func(Sample) bool)

// Samples returns f.
func (f MeterFunc) Samples() iter.Seq[Sample] { return iter.Seq[Sample](f) }
