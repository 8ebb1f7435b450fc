package feed

import (
	"cmp"
	"context"
	"html"
	"net/url"
	"slices"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/query"
)

// A Group is messages that become one entry.
type Group struct {
	// Members are places in the messages that were given; Each has the words of each
	// of them.
	Members []int
	Each    []fedmsg.Words
	// Words are those of all together.
	Words fedmsg.Words
}

// What is grouped are the messages of an hour by the clock, once it is over: what
// belongs together does not change any more then, and an entry keeps its ID and what it says.
const (
	groupStep = time.Hour
	// settle is how long after an hour its last messages may still come in.
	settle = 2 * time.Minute
	// maxGrouped is how many messages of one hour are grouped at most, the newest. It
	// is all that an archive gives at once.
	maxGrouped = query.MaxLimit
	// maxListed is how many members an entry lists.
	maxListed = 50
)

// grouped reads the parameter of that name.
func (f *Feeds) grouped(values url.Values) (bool, error) {
	switch list := values["grouped"]; {
	case len(list) == 0 || len(list) == 1 && list[0] == "0":
		return false, nil
	case len(list) > 1 || list[0] != "1":
		return false, fedmsg.RefuseField(http.BadQuery, "grouped", "parameter grouped: must be 0 or 1")
	case f.cfg.Group == nil:
		return false, fedmsg.RefuseField(http.BadQuery, "grouped", "parameter grouped: this bus does not know what belongs together")
	}
	return true, nil
}

// addGroups puts groups of what q finds into c, newest first: those of whole hours, of
// about as many messages as q asks for.
func (f *Feeds) addGroups(ctx context.Context, c *channel, q fedmsg.Query) error {
	if q.Cursor != "" || q.OldestFirst {
		return fedmsg.RefuseField(http.BadQuery, "grouped", "parameter grouped: goes neither with cursor nor with order; the link next leads on")
	}
	over := f.cfg.Now().Add(-settle).Truncate(groupStep)
	if q.Until = q.Until.Truncate(groupStep); q.Until.IsZero() || q.Until.After(over) {
		q.Until = over
	}
	q.Since = q.Since.Truncate(groupStep)
	entries, more, err := f.wholeHours(ctx, q)
	if err != nil {
		return err
	}
	if !more.IsZero() {
		q.Until = more
		c.next = c.base + c.path + withQuery(c.older(q))
	}
	for len(entries) > 0 {
		hour := entries[0].Message.Time.Truncate(groupStep)
		n := slices.IndexFunc(entries, func(e fedmsg.Entry) bool { return e.Message.Time.Before(hour) })
		if n < 0 {
			n = len(entries)
		}
		f.addHour(ctx, c, entries[:n])
		entries = entries[n:]
	}
	return nil
}

// wholeHours returns the entries of whole hours, newest first, and where older ones
// end; zero if there are none.
func (f *Feeds) wholeHours(ctx context.Context, q fedmsg.Query) (entries []fedmsg.Entry, more time.Time, err error) {
	page, err := f.search(ctx, q)
	if err != nil || page.Next == "" || len(page.Entries) == 0 {
		return page.Entries, more, err
	}
	// The last hour may not be whole. If it is the only one, all of it is wanted.
	entries = page.Entries
	last := entries[len(entries)-1].Message.Time.Truncate(groupStep)
	whole := slices.IndexFunc(entries, func(e fedmsg.Entry) bool { return e.Message.Time.Before(last.Add(groupStep)) })
	if whole > 0 {
		return entries[:whole], last.Add(groupStep), nil
	}
	alone, older := q, q
	alone.Since, alone.Until, alone.Limit = last, last.Add(groupStep), maxGrouped
	older.Until, older.Limit = last, 1
	if page, err = f.search(ctx, alone); err != nil {
		return nil, more, err
	}
	rest, err := f.search(ctx, older)
	if len(rest.Entries) > 0 || rest.Next != "" {
		more = last
	}
	return page.Entries, more, err
}

// older are the parameters of the page behind this one.
func (c *channel) older(q fedmsg.Query) url.Values {
	v := url.Values{"grouped": {"1"}, "q": {query.String(q)}}
	if c.values.Has("limit") {
		v.Set("limit", c.values.Get("limit"))
	}
	return v
}

// addHour puts the groups of one hour into c. Entries come newest first.
func (f *Feeds) addHour(ctx context.Context, c *channel, entries []fedmsg.Entry) {
	entries = slices.Clone(entries)
	slices.Reverse(entries) // the oldest leads, as in a digest
	messages := make([]*fedmsg.Message, len(entries))
	for i, e := range entries {
		messages[i] = e.Message
		c.changed = latest(c.changed, latest(e.At, e.Message.Time))
	}
	var items []item
	for _, g := range f.cfg.Group(ctx, messages) {
		var members []item
		for i, place := range g.Members {
			members = append(members, f.item(c.place, entries[place].Message, g.Each[i]))
		}
		if len(members) == 1 {
			items = append(items, members[0])
		} else if len(members) > 1 {
			items = append(items, f.together(c.place, members, g.Words))
		}
	}
	slices.SortStableFunc(items, func(a, b item) int { return b.at.Compare(a.at) })
	for _, i := range items {
		c.add(i)
	}
}

// together makes one entry of several, whose oldest is first.
func (f *Feeds) together(p place, members []item, w fedmsg.Words) item {
	first := members[0]
	i := item{
		id: p.tag(first.at.Format(time.DateOnly), "group/"+url.PathEscape(first.msgID)), count: len(members),
		title: cmp.Or(line(w.Subtitle, maxTitle), first.title), kind: line(w.Title, maxTitle),
		at: first.at, people: names(w.Usernames), packages: names(w.Packages), icon: cmp.Or(webLink(w.Icon), first.icon),
		topic: first.topic, category: first.category, agent: first.agent, avatar: first.avatar,
	}
	ids := make(url.Values)
	var list strings.Builder
	for n, m := range members {
		i.at = latest(i.at, m.at)
		if m.topic != i.topic {
			i.topic = ""
		}
		if m.category != i.category {
			i.category = ""
		}
		if m.agent != i.agent {
			i.agent, i.avatar = "", ""
		}
		if n < maxListed {
			ids.Add("id", m.msgID)
			list.WriteString("<li>" + anchor(m.link, m.title) + "</li>\n")
		}
	}
	i.page = p.base + f.cfg.HistoryPath + withQuery(ids)
	i.link = cmp.Or(webLink(w.Link), i.page)
	i.html = "<p>" + html.EscapeString(i.title) + "</p>\n<ul>\n" + list.String() + "</ul>\n"
	return i
}
