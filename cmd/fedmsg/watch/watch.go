// Package watch tells people how the parts of a bus are, by their metrics, and programs
// that knew the hub of fedmsg 1.x.
package watch

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// A Part is one part of the bus. Its fields are those of a part on the status page;
// Kind is source, log, reader or other, State good, warn or bad.
type Part struct {
	Name, Kind, State, Word, Figure string
	Since                           time.Time
	Rate                            float64 // messages a second
}

// Limits of what is well.
const (
	// behind is how many messages a reader may lack before somebody is told.
	behind = 10_000
	// endsSoon is how long before its end a certificate is told.
	endsSoon = 14 * 24 * time.Hour
	// little is how much room on the disk is little, in bytes: twice the floor at which
	// the log takes no more.
	little = 2 * 64 << 20
	// shortest is the time over which a rate is taken at least.
	shortest = 2 * time.Second
)

// Watch remembers what was, to tell how fast it goes, and since when it is so.
type Watch struct {
	meter fedmsg.Meter
	now   func() time.Time

	mu    sync.Mutex
	began time.Time
	then  time.Time // when totals were taken
	was   map[string]float64
	rates map[string]float64
	since map[string]since // by name
}

// since says from when on a part has been as it is.
type since struct {
	word string
	at   time.Time
}

// New makes a watch of what is measured. now may be nil.
func New(meter fedmsg.Meter, now func() time.Time) *Watch {
	if now == nil {
		now = time.Now
	}
	return &Watch{meter: meter, now: now, began: now(), then: now(), rates: make(map[string]float64), since: make(map[string]since)}
}

// Parts tells how everything is.
func (w *Watch) Parts() []Part {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, values := w.now(), totals(w.meter)
	if passed := now.Sub(w.then); passed >= shortest {
		for name, value := range values {
			if strings.Contains(name, "_total") && w.was != nil {
				w.rates[name] = max(value-w.was[name], 0) / passed.Seconds()
			}
		}
		w.was, w.then = values, now
	} else if w.was == nil {
		w.was = values
	}
	parts := slices.Concat(w.sources(values), []Part{w.log(values)}, w.readers(values), w.others(values, now))
	for i, p := range parts {
		if state, known := w.since[p.Name]; !known || state.word != p.Word {
			w.since[p.Name] = since{p.Word, now}
			if !known {
				w.since[p.Name] = since{p.Word, w.began}
			}
		}
		parts[i].Since = w.since[p.Name].at
	}
	return parts
}

// totals are all values that are measured now, by their keys.
func totals(meter fedmsg.Meter) map[string]float64 {
	values := make(map[string]float64)
	for s := range meter.Samples() {
		if s.Buckets == nil {
			values[key(s)] += s.Value
		}
	}
	return values
}

// key is a name with the values of its labels.
func key(s fedmsg.Sample) string {
	var k strings.Builder
	k.WriteString(s.Name)
	for i := 1; i < len(s.Labels); i += 2 {
		k.WriteString(" " + s.Labels[i])
		if s.Name == "messages_received_total" || s.Name == "messages_rejected_total" {
			break // by edge alone
		}
	}
	return k.String()
}

func (w *Watch) sources(values map[string]float64) (parts []Part) {
	for _, edge := range []struct{ label, name string }{{"zmq", "ZeroMQ in"}, {"http", "HTTP in"}} {
		name := "messages_received_total " + edge.label
		parts = append(parts, Part{Name: edge.name, Kind: "source", State: "good", Word: "open", Figure: figure(values[name], "message", "messages"), Rate: w.rates[name]})
	}
	return parts
}

func (w *Watch) log(values map[string]float64) Part {
	p := Part{Name: "log", Kind: "log", State: "good", Word: "takes messages", Rate: w.rates["messages_stored_total"],
		Figure: fmt.Sprintf("place %.0f, %s", values["log_last_sequence"], bytes(values["log_bytes"]))}
	switch {
	case values["log_state full"] == 1:
		p.State, p.Word = "bad", "the disk is full"
	case values["log_state error"] == 1:
		p.State, p.Word = "bad", "takes no messages"
	}
	return p
}

func (w *Watch) readers(values map[string]float64) (parts []Part) {
	for name, lag := range values {
		reader, ok := strings.CutPrefix(name, "consumer_lag_messages ")
		if !ok {
			continue
		}
		p := Part{Name: reader, Kind: "reader", State: "good", Word: "keeps up", Figure: fmt.Sprintf("%.0f behind", lag), Rate: w.rates["consumer_delivered_total "+reader]}
		if gaps := values["consumer_gaps_total "+reader]; gaps > 0 {
			p.State, p.Word = "warn", "missed some"
		}
		if lag > behind {
			p.State, p.Word = "warn", "behind"
		}
		if w.rates["consumer_failures_total "+reader] > 0 {
			p.State, p.Word = "bad", "fails"
		}
		if up, isArchive := values["archive_up"]; reader == "archive" && isArchive {
			p.Figure = fmt.Sprintf("%s, %s, %s", p.Figure, figure(values["archive_messages"], "message", "messages"), bytes(values["archive_bytes"]))
			if up == 0 {
				p.State, p.Word = "bad", "cannot be opened"
			}
		}
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b Part) int { return strings.Compare(a.Name, b.Name) })
	return parts
}

func (w *Watch) others(values map[string]float64, now time.Time) (parts []Part) {
	if free := values["log_free_bytes"]; free >= 0 {
		p := Part{Name: "disk", Kind: "other", State: "good", Word: "has room", Figure: bytes(free) + " free"}
		if free < little {
			p.State, p.Word = "warn", "nearly full"
		}
		parts = append(parts, p)
	}
	if stale := values["archive_stale_messages"]; stale > 0 {
		parts = append(parts, Part{Name: "words in the archive", Kind: "other", State: "good", Word: "found anew, since rules changed",
			Figure: figure(stale, "message", "messages") + " left", Rate: w.rates["archive_redescribed_total"]})
	}
	for name, end := range values {
		of, isCertificate := strings.CutPrefix(name, "cert_not_after_timestamp_seconds ")
		what := "certificate of the " + of
		if name == "crl_next_update_timestamp_seconds" {
			what = "revocation list"
		} else if !isCertificate {
			continue
		}
		left := time.Unix(int64(end), 0).Sub(now)
		p := Part{Name: what, Kind: "other", State: "good", Word: "valid", Figure: fmt.Sprintf("for %d days", int(left/(24*time.Hour)))}
		switch {
		case left <= 0:
			p.State, p.Word, p.Figure = "bad", "has ended", ""
		case left < endsSoon:
			p.State, p.Word = "warn", "ends soon"
		}
		parts = append(parts, p)
	}
	slices.SortStableFunc(parts, func(a, b Part) int { return strings.Compare(a.Name, b.Name) })
	return parts
}

func figure(n float64, one, many string) string {
	if n == 1 {
		many = one
	}
	return fmt.Sprintf("%.0f %s", n, many)
}

func bytes(n float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}} {
		if n >= unit.size {
			return fmt.Sprintf("%.1f %s", n/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%.0f B", n)
}
