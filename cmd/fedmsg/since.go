package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
)

// parseTime reads a point in time as people write it: RFC 3339, or a date and
// perhaps a time in the local zone.
func parseTime(text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time; write 2026-01-31T23:59:59Z, 2026-01-31 23:59 or 2026-01-31", text)
}

// parseSince reads how far to go back: a duration before now (days too: 2d), or a
// point in time.
func parseSince(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if d, err := time.ParseDuration(days + "h"); err == nil && d >= 0 {
			return now.Add(-24 * d), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	t, err := parseTime(text)
	if err != nil {
		return t, fmt.Errorf("%w; or a duration such as 90m, 2h or 3d", err)
	}
	return t, nil
}

// A firstAfter returns the first entry after a place, and whether there is one.
type firstAfter func(ctx context.Context, after fedmsg.Seq) (e fedmsg.Entry, ok bool, err error)

// httpFirstAfter asks a bus over HTTP.
func httpFirstAfter(url, token string) (firstAfter, error) {
	c, err := http.New(http.ClientConfig{URL: url, Token: token})
	if err != nil {
		return nil, err
	}
	return pageFirst(c), nil
}

func pageFirst(c *http.Client) firstAfter {
	return func(ctx context.Context, after fedmsg.Seq) (e fedmsg.Entry, ok bool, err error) {
		page, err := c.Messages(ctx, after, 1)
		if err != nil || len(page.Entries) == 0 {
			return e, false, err
		}
		return page.Entries[0], true, nil
	}
}

// placeBefore finds the last place before everything that the log took at since
// or later, by halves: places and times grow together.
func placeBefore(ctx context.Context, first firstAfter, since time.Time) (fedmsg.Seq, error) {
	// Everything up to low is older, or gone; what follows high is not older, or
	// not there yet.
	isOlder := func(place fedmsg.Seq) (bool, error) {
		e, ok, err := first(ctx, place)
		switch {
		case errors.Is(err, fedmsg.ErrTooOld):
			return true, nil
		case errors.Is(err, fedmsg.ErrInvalid): // beyond the end
			return false, nil
		}
		return ok && e.At.Before(since), err
	}
	var low, high fedmsg.Seq
	for step := fedmsg.Seq(1024); ; step *= 2 {
		older, err := isOlder(high)
		if err != nil {
			return 0, err
		}
		if !older || high > math.MaxInt64/2 {
			break
		}
		low, high = high+1, high+step
	}
	for low < high {
		middle := low + (high-low)/2
		older, err := isOlder(middle)
		if err != nil {
			return 0, err
		}
		if older {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}
