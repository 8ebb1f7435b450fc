package history

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/route"
	"github.com/fedora-infra/fedmsg-go/query"
)

const searchPath = "/api/v1/messages"

// search answers with a page.
func (a *API) search(ctx context.Context, r *route.Request) (*route.Answer, error) {
	s, err := a.shape(r)
	if err != nil {
		return nil, err
	}
	q := r.Query
	q.Limit = cmp.Or(q.Limit, route.DefaultLimit)
	page, err := a.cfg.Archive.Search(ctx, q)
	if err != nil {
		return nil, err
	}
	body := a.appendList(ctx, []byte(`{"messages":`), page.Entries, s)
	tail := struct {
		Next      *string   `json:"next"`
		Prev      *string   `json:"prev"`
		Query     string    `json:"query"`
		Complete  bool      `json:"complete"`
		ScannedTo time.Time `json:"scanned_to,omitzero"`
	}{optional(page.Next), optional(page.Prev), query.String(q), page.ScannedTo.IsZero(), page.ScannedTo}
	body = append(append(append(body, ','), route.JSON(tail)[1:]...), '\n')
	ans := &route.Answer{Body: body, Until: q.Until, Partial: !tail.Complete}
	for rel, cursor := range map[string]string{"next": page.Next, "prev": page.Prev} {
		if cursor != "" {
			ans.Links = append(ans.Links, "<"+pageLink(r, tail.Query, q.Limit, cursor)+`>; rel="`+rel+`"`)
		}
	}
	slices.Sort(ans.Links)
	return ans, nil
}

// pageLink is the address of another page of the same query, whose times are
// resolved.
func pageLink(r *route.Request, line string, limit int, cursor string) string {
	values := url.Values{"cursor": {cursor}, "limit": {strconv.Itoa(limit)}}
	if line != "" {
		values.Set("q", line)
	}
	maps.Copy(values, r.Given())
	return r.URL.Path + "?" + values.Encode()
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// perElement is about how many bytes an element has besides its message.
const perElement = 128

// appendList appends a list of elements.
func (a *API) appendList(ctx context.Context, dst []byte, entries []fedmsg.Entry, s shape) []byte {
	if s.fields == nil {
		size := perElement // of what follows the list
		for _, e := range entries {
			size += len(e.Message.Compact()) + perElement
		}
		dst = slices.Grow(dst, size)
	}
	dst = append(dst, '[')
	for i, e := range entries {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = a.appendElement(ctx, dst, e, s)
	}
	return append(dst, ']')
}

// find finds a message in the archive, or in the log.
func (a *API) find(ctx context.Context, id string) (fedmsg.Entry, error) {
	if id == "" || len(id) > fedmsg.MaxIDLength {
		return fedmsg.Entry{}, fedmsg.ErrNotFound
	}
	e, err := a.cfg.Archive.Find(ctx, id)
	if log, ok := a.cfg.Log.(fedmsg.Finder); ok && errors.Is(err, fedmsg.ErrNotFound) {
		return log.Find(ctx, id)
	}
	return e, err
}

// neighbours answers with what happened around a message: to all of the same
// objects, in the thread, which is about one of them, and by the same agent.
func (a *API) neighbours(ctx context.Context, r *route.Request) (*route.Answer, error) {
	s, err := a.shape(r)
	if err != nil {
		return nil, err
	}
	e, err := a.find(ctx, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	groups := []struct {
		name   string
		filter fedmsg.Filter
	}{{name: "objects"}, {name: "thread", filter: fedmsg.Filter{Op: fedmsg.Any}}, {name: "agent"}}
	if a.words != nil {
		words := a.words.Describe(ctx, e.Message)
		for _, object := range words.Objects[:min(len(words.Objects), maxObjects)] {
			groups[0].filter.Of = append(groups[0].filter.Of, has(fedmsg.ObjectField, object))
			groups[1].filter.Of = append(groups[1].filter.Of, has(fedmsg.ObjectField, object))
		}
		if words.Agent != "" {
			groups[2].filter = has(fedmsg.AgentField, words.Agent)
		}
	}
	body := append(append([]byte(`{"id":`), route.JSON(e.Message.ID)...), `,"groups":[`...)
	partial := false
	for i, g := range groups {
		if i > 0 {
			body = append(body, ',')
		}
		var before, after []fedmsg.Entry
		line, complete := "", true
		if len(g.filter.Of) > 0 || g.filter.Op == fedmsg.Has {
			line = query.String(fedmsg.Query{Filter: g.filter})
			if before, after, complete, err = a.around(ctx, g.filter, e, r.Number("limit")); err != nil {
				return nil, err
			}
		}
		partial = partial || !complete
		body = append(append(body, `{"by":"`...), g.name...)
		body = append(append(body, `","query":`...), route.JSON(optional(line))...)
		body = append(strconv.AppendBool(append(body, `,"complete":`...), complete), `,"before":`...)
		body = append(a.appendList(ctx, body, before, s), `,"after":`...)
		body = append(a.appendList(ctx, body, after, s), '}')
	}
	return &route.Answer{Body: append(body, "]}\n"...), Partial: partial}, nil
}

const (
	// maxObjects is how many of a message's objects are asked for: a mass rebuild has
	// thousands.
	maxObjects = 32
	// maxTies is how many pages of messages of one millisecond are looked through for
	// one of them.
	maxTies = 10
)

// around finds what passes a filter next to a message: before it the newest first,
// after it the oldest first, at most limit of each.
func (a *API) around(ctx context.Context, f fedmsg.Filter, e fedmsg.Entry, limit int) (before, after []fedmsg.Entry, complete bool, err error) {
	at := e.Message.Time.Truncate(time.Millisecond)
	before, complete, err = a.beside(ctx, fedmsg.Query{Filter: f, Until: at.Add(time.Millisecond)}, e, limit)
	if err != nil {
		return nil, nil, false, err
	}
	after, whole, err := a.beside(ctx, fedmsg.Query{Filter: f, Since: at, OldestFirst: true}, e, limit)
	return before, after, complete && whole, err
}

// beside returns what follows a message in the order of a query, which begins in its
// millisecond.
func (a *API) beside(ctx context.Context, q fedmsg.Query, e fedmsg.Entry, limit int) (found []fedmsg.Entry, complete bool, err error) {
	at := e.Message.Time.UnixMilli()
	q.Limit = limit + 1
	var ties []fedmsg.Entry // of the same millisecond, on the other side unless it is not there
	passed := false
	for range maxTies {
		page, err := a.cfg.Archive.Search(ctx, q)
		if err != nil {
			return nil, false, err
		}
		for _, other := range page.Entries {
			switch {
			case other.Message.ID == e.Message.ID:
				passed, ties = true, nil
			case !passed && other.Message.Time.UnixMilli() == at:
				ties = append(ties, other)
			default:
				passed = true
				found = append(found, other)
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" || len(found) >= limit || !page.ScannedTo.IsZero() {
			if !q.OldestFirst { // rules have changed since it was archived: nobody knows
				found = append(ties, found...)
			}
			return found[:min(limit, len(found))], page.ScannedTo.IsZero() || len(found) >= limit, nil
		}
	}
	return found[:min(limit, len(found))], false, nil
}

func has(f fedmsg.Field, value string) fedmsg.Filter {
	return fedmsg.Filter{Op: fedmsg.Has, Test: fedmsg.Test{Field: f, Value: value}}
}
