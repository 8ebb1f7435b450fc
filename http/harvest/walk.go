package harvest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	nethttp "net/http"
	"net/url"
	"strconv"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/body"
)

// How a datagrepper is asked.
const (
	maxRows = 100 // a page; it gives no more
	// maxBody is the longest answer that is read, in bytes.
	maxBody = 64 << 20
	// A window has about goodTotal messages: what is longer is counted by the other
	// side again and again for nothing.
	goodTotal   = 300
	firstWindow = time.Hour
	minWindow   = time.Second
	maxWindow   = 64 * 24 * time.Hour
	// maxPages is how many pages one second may have.
	maxPages = 1000
	// maxRounds is how often one second is gone through at most.
	maxRounds = 20
)

// A walk goes through a datagrepper by windows of time.
type walk struct {
	*Harvest
	take   taker
	at     time.Time // all before it was taken
	window time.Duration
	rows   int // a page
	seen   map[uint64]bool
	patience
}

// An answer is one page of a datagrepper.
type answer struct {
	from       string
	rows       []row
	total      int  // of the window, by its word; 0 if it says none
	asked      int  // rows
	incomplete bool // it ran out of time
}

type row struct {
	text []byte
	at   time.Time // zero if it does not say
	id   uint64    // a hash
}

// isPart reports whether there is, or may be, more than came.
func (a *answer) isPart() bool {
	return a.incomplete || len(a.rows) >= a.asked || len(a.rows) > 0 && a.total > len(a.rows)
}

func (w *walk) run(ctx context.Context) error {
	w.seen = make(map[uint64]bool)
	for w.at.Before(w.cfg.Until) {
		a, to, err := w.first(ctx)
		if err != nil {
			return err
		}
		last := newest(a.rows, w.at, to).Truncate(time.Second)
		switch {
		case !a.isPart():
			err = w.hand(a, to)
		case last.After(w.at):
			err = w.hand(a, last)
		default:
			err = w.second(ctx)
		}
		if err != nil {
			return err
		}
		w.fit(a)
	}
	return nil
}

// first takes the first page of the next window, which gets shorter while it fails.
func (w *walk) first(ctx context.Context) (a *answer, to time.Time, err error) {
	for {
		to = w.at.Add(w.window)
		if to.After(w.cfg.Until) {
			to = w.cfg.Until
		}
		u := w.question(w.at, to, 1, "asc")
		if a, err = w.page(ctx, u); err == nil {
			err = a.check(w.at, to)
		}
		if err == nil && a.incomplete && !newest(a.rows, w.at, to).Truncate(time.Second).After(w.at) {
			err = errNoTime
		}
		if err == nil {
			w.failed = 0
			return a, to, nil
		}
		if w.isLess(err) {
			continue
		}
		if err = w.client.bear(ctx, &w.patience, u, err); err != nil {
			return nil, to, err
		}
		if w.failed > 1 {
			w.window = max(minWindow, w.window/2)
		}
	}
}

// isLess asks for fewer rows from now on, if there were too many.
func (w *walk) isLess(err error) bool {
	if !errors.Is(err, errTooMuch) || w.rows == 1 {
		return false
	}
	w.rows = max(1, w.rows/4)
	return true
}

// second takes all pages of one second. Rows of equal times have no order in a
// datagrepper, so a page may repeat some and leave out others: if fewer came than it
// counts, they are asked for again, in the other order, while that brings some.
func (w *walk) second(ctx context.Context) error {
	next := w.at.Truncate(time.Second).Add(time.Second)
	end := next.Add(-time.Microsecond) // both ends are in a window
	if !next.Before(w.cfg.Until) {
		next, end = w.cfg.Until, w.cfg.Until
	}
	here, total, from := make(map[uint64]bool), 0, ""
	for round, barren := 0, 0; round < maxRounds && barren < 3; round++ {
		order, before := []string{"asc", "desc"}[round%2], len(here)
		for page := 1; ; page++ {
			if page > w.client.maxPages {
				return fmt.Errorf("%s: there are more than %d pages of one second, %s; the answers cannot be relied on: %w", w.url, w.client.maxPages, w.at.Format(time.RFC3339), fedmsg.ErrInvalid)
			}
			a, err := w.again(ctx, w.at, end, page, order)
			if w.isLess(err) {
				return w.second(ctx)
			}
			if err != nil {
				return err
			}
			known := len(here)
			for _, r := range a.rows {
				here[r.id] = true
			}
			total, from = a.total, a.from
			if err := w.hand(a, w.at); err != nil {
				return err
			}
			if len(a.rows) < a.asked && len(here) >= total || len(here) == known && (len(a.rows) == 0 || round == 0 || page*a.asked >= total) {
				break
			}
		}
		if len(here) >= total {
			break
		}
		if len(here) == before {
			barren++
		}
	}
	if total > len(here) {
		w.cfg.Warn(fmt.Sprintf("of the second %s it counts %d messages and gives %d", w.at.Format(time.RFC3339), total, len(here)))
	}
	return w.hand(&answer{from: from}, next)
}

// again takes a page, for as long as that may be tried.
func (w *walk) again(ctx context.Context, from, to time.Time, page int, order string) (*answer, error) {
	for {
		u := w.question(from, to, page, order)
		a, err := w.page(ctx, u)
		if err == nil {
			err = a.check(from, to)
		}
		if err == nil && a.incomplete {
			err = errNoTime
		}
		if err == nil {
			w.failed = 0
			return a, nil
		}
		if err = w.client.bear(ctx, &w.patience, u, err); err != nil {
			return nil, err
		}
	}
}

// hand hands on what was not handed on before. Then all before a time is taken.
func (w *walk) hand(a *answer, done time.Time) error {
	var fresh [][]byte
	for _, r := range a.rows {
		if !w.seen[r.id] {
			w.seen[r.id] = true
			fresh = append(fresh, r.text)
		}
	}
	if err := w.take(a.from, fresh, state{Done: done}.text(), done); err != nil {
		return err
	}
	if done.After(w.at) {
		w.at = done
		clear(w.seen)
		for _, r := range a.rows { // these come again: both ends of a window are in it
			if r.at.IsZero() || !r.at.Before(done.Add(-time.Second)) {
				w.seen[r.id] = true
			}
		}
	}
	return nil
}

// fit makes the next window as long as is good for the other side. What it says of a
// total counts only where there are as many rows as may be.
func (w *walk) fit(a *answer) {
	switch {
	case len(a.rows) >= a.asked && a.total > 2*goodTotal:
		w.window = w.window * goodTotal / time.Duration(a.total)
	case len(a.rows) < a.asked/2 && !a.incomplete:
		w.window *= 2
	}
	w.window = min(max(w.window, minWindow), maxWindow)
	w.rows = min(maxRows, w.rows*2)
}

func (w *walk) question(from, to time.Time, page int, order string) *url.URL {
	seconds := func(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMicro())/1e6, 'f', -1, 64) }
	return w.Harvest.at(url.Values{"start": {seconds(from)}, "end": {seconds(to)}, "order": {order}, "page": {strconv.Itoa(page)}, "rows_per_page": {strconv.Itoa(w.rows)}})
}

var (
	// errTooMuch says that a page is longer than may be.
	errTooMuch = errors.New("the page is too long")
	errNoTime  = fmt.Errorf("it had no time to find what was asked for: %w", fedmsg.ErrUnavailable)
)

// page asks for a page.
func (w *walk) page(ctx context.Context, u *url.URL) (*answer, error) {
	var text []byte
	err := w.client.once(ctx, u, []string{"application/json"}, maxAnswer, func(resp *nethttp.Response) (err error) {
		if text, err = io.ReadAll(io.LimitReader(resp.Body, w.client.maxBody+1)); err != nil {
			return fmt.Errorf("the answer is cut off: %w: %w", fedmsg.ErrUnavailable, err)
		}
		if int64(len(text)) > w.client.maxBody {
			return final{fmt.Errorf("%w: more than %d bytes for %d rows: %w", errTooMuch, w.client.maxBody, w.rows, fedmsg.ErrInvalid)}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return readAnswer(u.String(), text, w.rows)
}

// readAnswer reads a page. What is no page may be a proxy's word, and is tried again.
func readAnswer(from string, text []byte, asked int) (*answer, error) {
	object, err := fedmsg.DecodeHistory(text) // Python writes NaN
	if err != nil {
		return nil, fmt.Errorf("the answer is no JSON, or is cut off: %w: %w", fedmsg.ErrUnavailable, err)
	}
	f := object.Fields("raw_messages", "total", "incomplete")
	list := bytes.TrimSpace(f[0])
	if len(list) == 0 || list[0] != '[' {
		return nil, fmt.Errorf("the answer has no list raw_messages: %w", fedmsg.ErrUnavailable)
	}
	a := &answer{from: from, asked: asked, incomplete: string(bytes.TrimSpace(f[2])) == "true"}
	a.total, _ = strconv.Atoi(string(bytes.TrimSpace(f[1])))
	for _, text := range body.Elements(list) {
		a.rows = append(a.rows, readRow(text))
	}
	return a, nil
}

var seed = maphash.MakeSeed()

// readRow finds when a message was sent, and what it is called, as far as it says.
func readRow(text []byte) row {
	r := row{text: text, id: maphash.Bytes(seed, text)}
	object, err := fedmsg.DecodeHistory(text)
	if err != nil {
		return r
	}
	f := object.Fields("msg_id", "id", "timestamp", "headers")
	for _, id := range f[:2] {
		if id = bytes.TrimSpace(id); len(id) > 2 && id[0] == '"' {
			r.id = maphash.Bytes(seed, id)
			break
		}
	}
	if s, err := strconv.ParseFloat(string(bytes.TrimSpace(f[2])), 64); err == nil && s > 0 && s < 1e11 {
		r.at = time.UnixMicro(int64(s * 1e6)).UTC()
	} else if headers, err := fedmsg.DecodeObject(f[3]); err == nil {
		for _, h := range headers {
			if text, ok := fedmsg.DecodeString(h.JSON); ok && h.Name == "sent-at" {
				r.at = sentAt(text)
			}
		}
	}
	return r
}

func sentAt(text string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// newest returns the latest time of rows within a window; its beginning if none has one.
func newest(rows []row, from, to time.Time) time.Time {
	last := from
	for _, r := range rows {
		if r.at.After(last) && !r.at.After(to) {
			last = r.at
		}
	}
	return last
}

// check looks whether an answer is one to the question: of its time, and the oldest
// first. One that is not would leave a gap that nobody sees.
func (a *answer) check(from, to time.Time) error {
	var last time.Time
	inside, outside := 0, 0
	for _, r := range a.rows {
		switch {
		case r.at.IsZero():
			continue
		case r.at.Before(from.Truncate(time.Second)) || r.at.After(to.Add(time.Second)):
			outside++
		default:
			inside++
		}
		if a.isPart() && r.at.Before(last.Add(-time.Second)) {
			return final{fmt.Errorf("its messages are not in the order that was asked for, the oldest first: %s after %s: %w", r.at.Format(time.RFC3339), last.Format(time.RFC3339), fedmsg.ErrInvalid)}
		}
		last = r.at
	}
	if outside > 0 && inside == 0 {
		return final{fmt.Errorf("its messages are of another time, %s, than was asked for, %s to %s: %w",
			last.Format(time.RFC3339), from.Format(time.RFC3339), to.Format(time.RFC3339), fedmsg.ErrInvalid)}
	}
	return nil
}
