package grepper

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/query"
)

// Bounds of the way to a page.
const (
	// nearRows is how many rows are walked over to a page before they are counted
	// instead.
	nearRows = 1000
	// farRows is how many are walked over at most.
	farRows = 20_000
	// walkRows is how many come at a time.
	walkRows = 200
	// pageBytes is how large the messages of one page may be together.
	pageBytes = 32 << 20
	// reserve is what is left of the time for an answer when the search for its rows
	// ends.
	reserve = 3 * time.Second
)

// About how many bytes there are in an answer besides its rows, and in a row besides its
// message.
const (
	perAnswer = 1 << 10
	perRow    = 1 << 9
)

// search answers with a page of what parameters ask for, each message by row.
func (g *Grepper) search(row rower, list string) answerer {
	return func(ctx context.Context, r *request) (*answer, error) {
		a, q, chrome, err := g.read(r)
		if err != nil {
			return nil, err
		}
		if r.wantsPage() && g.cfg.History != "" && chrome {
			return &answer{to: g.cfg.History + "?" + url.Values{"q": {query.String(q)}}.Encode()}, nil
		}
		found, err := g.find(ctx, q, a.Page, a.RowsPerPage)
		if err != nil {
			return nil, err
		}
		if r.wantsPage() {
			return g.list(ctx, r, found.entries, chrome)
		}
		size := perAnswer
		for _, e := range found.entries {
			size += len(e.Message.Bytes()) + perRow
		}
		body := append(make([]byte, 0, size), '{')
		body = append(member(body, list), '[')
		for i, e := range found.entries {
			if i > 0 {
				body = append(body, ',')
			}
			body = row(ctx, body, e, r.now, a.Meta)
		}
		body = append(body, ']')
		rows := int64(a.RowsPerPage)
		body = strconv.AppendInt(member(body, "total"), found.total, 10)
		body = strconv.AppendInt(member(body, "pages"), (found.total+rows-1)/rows, 10)
		body = strconv.AppendInt(member(body, "count"), int64(len(found.entries)), 10)
		if !found.complete {
			body = append(member(body, "incomplete"), "true"...)
		}
		echo, err := json.Marshal(a)
		if err != nil {
			return nil, err // cannot be
		}
		return r.asJSON(append(append(member(body, "arguments"), echo...), '}'))
	}
}

// read reads all parameters of a search.
func (g *Grepper) read(r *request) (a arguments, q fedmsg.Query, chrome bool, err error) {
	if err = a.readLists(r.params); err != nil {
		return a, q, false, err
	}
	if err = a.readPage(r.params); err != nil {
		return a, q, false, err
	}
	if err = a.window.read(r.params, r.now, g.cfg.DefaultDelta); err != nil {
		return a, q, false, err
	}
	if a.Meta, err = r.params.readMeta(); err != nil {
		return a, q, false, err
	}
	if _, err = r.params.callback(); err != nil {
		return a, q, false, err
	}
	if chrome, err = r.params.looks(); err != nil {
		return a, q, false, err
	}
	q, err = a.query()
	return a, q, chrome, err
}

// A page is what was found of it.
type page struct {
	entries  []fedmsg.Entry
	total    int64 // at least so many pass the query
	complete bool  // it was not ended by want of time
	more     bool  // there is more behind it
}

// find finds a page of a query. There are no offsets below: what comes before the
// page is walked over by cursors if it is little, and else counted by days, hours
// and minutes, until it is little.
func (g *Grepper) find(ctx context.Context, q fedmsg.Query, number, rows int) (page, error) {
	skip, narrow, none := (number-1)*rows, q, false
	if skip > nearRows {
		var err error
		if narrow, skip, none, err = g.narrow(ctx, q, skip); err != nil {
			return page{}, err
		}
	}
	p := page{complete: true}
	if !none {
		var err error
		if p, err = g.walk(ctx, narrow, skip, rows); err != nil {
			return page{}, err
		}
	}
	before := int64(number-1) * int64(rows)
	if p.complete && len(p.entries) < rows && (number == 1 || len(p.entries) > 0) {
		p.total = before + int64(len(p.entries))
		return p, nil
	}
	total, _, err := g.total(ctx, q)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // what was found counts
	}
	p.total = total
	if least := before + int64(len(p.entries)); len(p.entries) > 0 && p.more {
		p.total = max(total, least+1) // so that who goes by pages goes on
	} else if len(p.entries) > 0 {
		p.total = max(total, least)
	}
	return p, err
}

// walk takes rows of a query after some that it passes over.
func (g *Grepper) walk(ctx context.Context, q fedmsg.Query, skip, rows int) (page, error) {
	p, size := page{}, 0
	for len(p.entries) < rows {
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < min(reserve, g.cfg.Timeout/4) {
			p.more = true
			return p, nil
		}
		q.Limit = min(skip+rows-len(p.entries), walkRows)
		found, err := g.cfg.Archive.Search(ctx, q)
		if err != nil {
			return page{}, err
		}
		over := min(skip, len(found.Entries))
		skip -= over
		for _, e := range found.Entries[over:] {
			if size += len(e.Message.Bytes()); size > pageBytes {
				return page{}, refuse("rows_per_page", "asks for messages of more than %d MiB together: take fewer at a time", pageBytes>>20)
			}
			p.entries = append(p.entries, e)
		}
		if p.more = found.Next != ""; !p.more {
			break
		}
		q.Cursor = found.Next
	}
	p.complete = true
	return p, nil
}

// narrow returns a query for what follows the first rows of another, but for some
// that are still to be passed over. none says that nothing follows.
func (g *Grepper) narrow(ctx context.Context, q fedmsg.Query, skip int) (_ fedmsg.Query, left int, none bool, err error) {
	counted := q
	for _, step := range []time.Duration{24 * time.Hour, time.Hour, time.Minute} {
		counts, err := g.cfg.Counter.Count(ctx, counted, fedmsg.Grouping{Step: step})
		if err != nil {
			return q, 0, false, err
		}
		if counts.Estimate {
			break
		}
		rows := counts.Rows
		at := -1
		for i := range rows {
			row := rows[i]
			if !q.OldestFirst {
				row = rows[len(rows)-1-i]
			}
			if int64(skip) < row.N {
				from, to := row.At, row.At.Add(step)
				if q.OldestFirst {
					q.Since = later(q.Since, from)
				} else {
					q.Until = earlier(q.Until, to)
				}
				counted.Since, counted.Until = later(counted.Since, from), earlier(counted.Until, to)
				at = i
				break
			}
			skip -= int(row.N)
		}
		if at < 0 {
			return q, 0, true, nil
		}
		if skip <= nearRows {
			break
		}
	}
	if skip > farRows {
		return q, 0, false, refuse("page", "leads too far to be reached: narrow the search with start and end")
	}
	return q, skip, false, nil
}

// later and earlier return the narrower of two bounds, of which the zero time is
// none.
func later(a, b time.Time) time.Time {
	if a.IsZero() || b.After(a) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// one answers with the message that has an ID.
func (g *Grepper) one(row rower) answerer {
	return func(ctx context.Context, r *request) (*answer, error) {
		meta, err := r.params.readMeta()
		if err != nil {
			return nil, err
		}
		if _, err := r.params.callback(); err != nil {
			return nil, err
		}
		chrome, err := r.params.looks()
		if err != nil {
			return nil, err
		}
		id := r.params.one("id")
		if id == "" {
			return nil, refuse("id", "is missing: which message?")
		}
		if len(id) > fedmsg.MaxIDLength {
			return nil, fedmsg.ErrNotFound
		}
		e, err := g.cfg.Archive.Find(ctx, id)
		if err != nil {
			return nil, err
		}
		switch {
		case r.wantsPage() && chrome && g.cfg.Message != "":
			return &answer{to: g.cfg.Message + url.PathEscape(id)}, nil
		case r.wantsPage():
			return g.list(ctx, r, []fedmsg.Entry{e}, chrome)
		}
		return r.asJSON(row(ctx, nil, e, r.now, meta))
	}
}
