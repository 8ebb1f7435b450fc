package query

import (
	"strconv"
	"strings"
	"time"
)

const (
	whenHint = "write 90m, 2h, 3d or 2w for so long ago, 2026-11-24, 2026-11-24T10:00, today, yesterday, now, or seconds since 1970"
	onHint   = "write 2026-11-24, 2026-11, 2026, 2026-11-24T10:00, today or yesterday"
)

// units of durations. A year is 365 days; months have no length.
var units = map[byte]time.Duration{
	's': time.Second, 'm': time.Minute, 'h': time.Hour,
	'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour, 'y': 365 * 24 * time.Hour,
}

// layouts of times without a zone, which are in UTC, and how long each lasts.
var layouts = []struct {
	layout string
	last   func(time.Time) time.Time
}{
	{"2006", func(t time.Time) time.Time { return t.AddDate(1, 0, 0) }},
	{"2006-01", func(t time.Time) time.Time { return t.AddDate(0, 1, 0) }},
	{"2006-01-02", func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }},
	{"2006-01-02T15:04", func(t time.Time) time.Time { return t.Add(time.Minute) }},
	{"2006-01-02T15:04:05", func(t time.Time) time.Time { return t.Add(time.Second) }},
}

// Times that a query can name. 1970 is where fedmsg's own begin; what is beyond
// year 9999 has no ISO form.
var (
	earliest = time.Unix(0, 0).UTC()
	latest   = time.Date(9999, 12, 31, 23, 59, 59, 999_000_000, time.UTC)
)

// span reads a time: when it begins and, unless it is an instant, where it ends. ok
// is false for what is no time, or lies before 1970 or after 9999.
func span(s string, now time.Time) (from, to time.Time, ok bool) {
	from, to, ok = readSpan(s, now.UTC().Truncate(time.Millisecond))
	from = ceil(from.UTC())
	return from, to, ok && !from.Before(earliest) && !from.After(latest)
}

func readSpan(s string, now time.Time) (from, to time.Time, ok bool) {
	midnight := now.Truncate(24 * time.Hour)
	switch strings.ToLower(s) {
	case "now":
		return now, time.Time{}, true
	case "today":
		return midnight, midnight.AddDate(0, 0, 1), true
	case "yesterday":
		return midnight.AddDate(0, 0, -1), midnight, true
	}
	if d, ok := duration(s); ok {
		return now.Add(-d), time.Time{}, true
	}
	if t, ok := epoch(s); ok {
		return t, time.Time{}, true
	}
	s = strings.Replace(strings.ToUpper(s), " ", "T", 1)
	for _, l := range layouts {
		if t, err := time.Parse(l.layout, s); err == nil {
			return t, l.last(t), true
		}
		if t, err := time.Parse(l.layout+"Z07:00", s); err == nil && strings.Contains(l.layout, "T") {
			return t, l.last(t), true
		}
	}
	return time.Time{}, time.Time{}, false
}

// duration reads 90m, 1d12h and the like.
func duration(s string) (d time.Duration, ok bool) {
	for s != "" {
		n := 0
		for n < len(s) && '0' <= s[n] && s[n] <= '9' {
			n++
		}
		if n == 0 || n == len(s) || n > 9 {
			return 0, false
		}
		count, _ := strconv.ParseInt(s[:n], 10, 64)
		unit, known := units[s[n]]
		if !known || count > int64(maxAgo/unit) {
			return 0, false
		}
		if d += time.Duration(count) * unit; d > maxAgo {
			return 0, false
		}
		s, ok = s[n+1:], true
	}
	return d, ok
}

// maxAgo is more than has passed since 1970, and less than overflows.
const maxAgo = 200 * 365 * 24 * time.Hour

// epoch reads seconds since 1970, with a fraction or without, or milliseconds: a
// number of 12 and more digits. A whole number of 1 to 8 digits is none but for 0: it
// would be a day of 1970 to 1973, and is a year or a slip.
func epoch(s string) (t time.Time, ok bool) {
	whole, fraction, dotted := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	switch {
	case err != nil || whole[0] < '0' || len(whole) > 15 || dotted && !isDigits(fraction):
		return time.Time{}, false
	case whole == "0" && !dotted:
		return time.Unix(0, 0), true
	case len(whole) < 9:
		return time.Time{}, false
	case len(whole) >= 12:
		return time.UnixMilli(n), !dotted
	}
	fraction = (fraction + "000000000")[:9]
	nanos, _ := strconv.ParseInt(fraction, 10, 64)
	return time.Unix(n, nanos), true
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// ceil returns the first whole millisecond that is not before t. Times of messages
// count to the millisecond, so it bounds them as t does.
func ceil(t time.Time) time.Time {
	if whole := t.Truncate(time.Millisecond); whole.Before(t) {
		return whole.Add(time.Millisecond)
	}
	return t
}

// formatTime writes a time as short as [Parse] reads it back, in UTC.
func formatTime(t time.Time) string {
	t = t.UTC()
	switch {
	case t.Equal(t.Truncate(24 * time.Hour)):
		return t.Format(time.DateOnly)
	case t.Equal(t.Truncate(time.Minute)):
		return t.Format("2006-01-02T15:04Z")
	}
	return t.Format("2006-01-02T15:04:05.999Z")
}
