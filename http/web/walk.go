package web

import (
	"context"
	"net/url"
	"slices"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/web/say"
	"github.com/fedora-infra/fedmsg-go/query"
)

// A walk leads from a message to the next one on either side, of all or of those that
// share something with it. An address is empty at the end.
type walk struct {
	What, Search string // Search has them all
	Newer, Older string
}

// sameMoment is how many messages of one millisecond are told apart.
const sameMoment = 20

// messageURL is where a message is; a reader who came from a search has it with him.
func messageURL(id, line string) string {
	to := "/messages/" + url.PathEscape(id)
	if line != "" {
		to += "?q=" + url.QueryEscape(line)
	}
	return to
}

// walks finds the ways on from a message: first along the search that its reader came
// from, if there was one.
func (p *Pages) walks(ctx context.Context, e fedmsg.Entry, agent, line string) []walk {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	has := func(f fedmsg.Field, value string) fedmsg.Query {
		return fedmsg.Query{Filter: fedmsg.Filter{Op: fedmsg.Has, Test: fedmsg.Test{Field: f, Value: value}}}
	}
	var list []walk
	add := func(what, search, line string, q fedmsg.Query) {
		newer, older := p.beside(ctx, e, q)
		w := walk{What: what, Search: say.Search(search)}
		if newer != "" {
			w.Newer = messageURL(newer, line)
		}
		if older != "" {
			w.Older = messageURL(older, line)
		}
		list = append(list, w)
	}
	if q, err := query.Parse(line, p.cfg.Now()); err == nil && line != "" {
		add("in the search "+say.Visible(say.Clip(line, 60)), line, line, q)
	}
	add("of all", "", "", fedmsg.Query{})
	add("of this topic", say.FieldTerm(fedmsg.TopicField, string(e.Message.Topic)), "", has(fedmsg.TopicField, string(e.Message.Topic)))
	if agent != "" {
		add("by "+say.Visible(say.Clip(agent, 40)), say.FieldTerm(fedmsg.AgentField, agent), "", has(fedmsg.AgentField, agent))
	}
	return list
}

// beside returns the IDs of the messages next to one among those that a query finds, in
// the order of time; "" where there is none.
func (p *Pages) beside(ctx context.Context, e fedmsg.Entry, q fedmsg.Query) (newer, older string) {
	at := e.Message.Time.Truncate(time.Millisecond)
	side := func(part fedmsg.Query) string {
		part.Limit, part.Cursor = sameMoment, ""
		page, err := p.cfg.Archive.Search(ctx, part)
		if err != nil {
			return "" // what is missing is a way on, and there are others
		}
		i := slices.IndexFunc(page.Entries, func(other fedmsg.Entry) bool { return other.Message.ID == e.Message.ID })
		if i+1 < len(page.Entries) {
			return page.Entries[i+1].Message.ID
		}
		return ""
	}
	later, earlier := q, q
	later.OldestFirst, earlier.OldestFirst = true, false
	if at.After(later.Since) {
		later.Since = at
	}
	if end := at.Add(time.Millisecond); earlier.Until.IsZero() || end.Before(earlier.Until) {
		earlier.Until = end
	}
	return side(later), side(earlier)
}
