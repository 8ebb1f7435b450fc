package grepper

import (
	"math"
	"strconv"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// seconds are a time or a span; in JSON always with a point, as Python's floats.
type seconds float64

// MarshalJSON spells a number with a point in it.
func (s seconds) MarshalJSON() ([]byte, error) {
	text := strconv.FormatFloat(float64(s), 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return []byte(text), nil
}

// asSeconds returns a time in seconds since 1970, to the microsecond.
func asSeconds(t time.Time) seconds { return seconds(float64(t.UnixMicro()) / 1e6) }

// A window is the span of time that a search looks at. nil is no bound. As in
// datagrepper both ends are in it.
type window struct {
	Start *seconds `json:"start"`
	Delta *seconds `json:"delta"`
	End   *seconds `json:"end"`
}

// maxTime is the end of year 9999.
const maxTime = 253402300799

// read reads start, end and delta, and makes of them what datagrepper made: see the
// table in docs/wire.md.
func (w *window) read(p params, now time.Time, otherwise time.Duration) error {
	for _, bound := range []struct {
		name string
		to   **seconds
	}{{"start", &w.Start}, {"end", &w.End}} {
		if !p.has(bound.name) {
			continue
		}
		t, ok := parseTime(p.one(bound.name))
		if !ok {
			return refuse(bound.name, "must be seconds since 1970, or a time such as 2026-11-24T10:00:00Z, is %q", clip(p.one(bound.name)))
		}
		*bound.to = &t
	}
	if p.has("delta") {
		v, err := strconv.ParseFloat(p.one("delta"), 64)
		if err != nil || !(v >= 0) || v > maxTime {
			return refuse("delta", "must be a number of seconds, 0 for no bound, is %q", clip(p.one("delta")))
		}
		if v > 0 {
			s := seconds(v)
			w.Delta = &s
		}
	} else if otherwise > 0 && w.Start == nil {
		s := seconds(otherwise.Seconds())
		w.Delta = &s
	}
	w.fill(now)
	if w.Start != nil && *w.Start > *w.End {
		return refuse("start", "is later than the end, %q", strconv.FormatFloat(float64(*w.End), 'f', -1, 64))
	}
	return nil
}

// fill finds what is not given by what is.
func (w *window) fill(now time.Time) {
	at := func(s seconds) *seconds { return &s }
	switch {
	case w.Start == nil && w.End == nil && w.Delta == nil:
		return
	case w.Start == nil && w.End == nil:
		w.End = at(asSeconds(now))
		w.Start = at(*w.End - *w.Delta)
	case w.Start == nil && w.Delta != nil:
		w.Start = at(*w.End - *w.Delta)
	case w.Start == nil:
		w.Start = at(0)
	case w.End == nil && w.Delta != nil:
		w.End = at(*w.Start + *w.Delta)
	case w.End == nil:
		w.End = at(max(asSeconds(now), *w.Start))
	}
	w.Delta = at(*w.End - *w.Start)
}

// bound puts the window into a query. An archive's times are in milliseconds.
func (w *window) bound(q *fedmsg.Query) {
	if w.Start == nil {
		return
	}
	ms := func(s seconds) int64 { return int64(math.Floor(min(max(float64(s), 0), maxTime) * 1000)) }
	q.Since = time.UnixMilli(ms(*w.Start)).UTC()
	q.Until = time.UnixMilli(ms(*w.End) + 1).UTC()
}

// layouts are the times that people wrote to datagrepper. Without a zone they are in
// UTC.
var layouts = []string{
	"2006-01-02", "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z07:00",
	"20060102T150405", "20060102T150405Z0700", "2006/01/02", "01/02/2006",
	"2 Jan 2006", "2 January 2006", "Jan 2 2006", "January 2 2006", "Jan 2, 2006", "January 2, 2006", "Jan 2 2006 15:04", "2 Jan 2006 15:04", "2 Jan 2006 15:04:05",
	time.RFC1123, time.RFC1123Z, time.ANSIC, time.UnixDate, time.RubyDate,
}

// parseTime reads a time of a parameter: a number is always seconds since 1970.
func parseTime(text string) (seconds, bool) {
	if v, err := strconv.ParseFloat(text, 64); err == nil {
		return seconds(v), v >= 0 && v <= maxTime
	}
	return parseLayouts(text)
}

func parseLayouts(text string) (seconds, bool) {
	text = strings.TrimSpace(text)
	if len(text) > 64 {
		return 0, false
	}
	if len(text) > 10 && text[10] == ' ' && text[4] == '-' { // date and time parted by a blank
		text = text[:10] + "T" + text[11:]
	}
	text = strings.TrimSuffix(text, " UTC")
	for _, zone := range []string{" ", " +"} { // in a URL + is a blank
		if i := strings.LastIndex(text, zone); i > 10 && len(text)-i >= 5 && strings.Contains(text[:i], "T") && text[i+1] != '-' {
			text = text[:i] + "+" + strings.TrimLeft(text[i:], " +")
		}
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			s := asSeconds(t)
			return s, s >= 0 && s <= maxTime
		}
	}
	return 0, false
}
