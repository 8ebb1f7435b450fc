package feed

import (
	"html"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// How much of a message stands in a feed, in characters: readers keep what they get.
const (
	maxTitle = 400
	maxName  = 100
	maxText  = 8000
	maxNames = 40 // people, and packages
)

// A channel is a feed before it is written.
type channel struct {
	place
	path                       string     // of the form
	values                     url.Values // that were asked for
	id, title, name            string
	home, self, next, previous string    // addresses; the last two may be empty
	updated                    time.Time // of the newest entry, by its publisher
	changed                    time.Time // when the bus had the newest entry, at the earliest
	items                      []item
}

// An item is an entry of a feed. All texts are clean.
type item struct {
	id, title, html   string
	link, page        string // link is page if the message has none
	at                time.Time
	agent, avatar     string
	people, packages  []string
	topic, category   string
	icon, msgID, kind string
	count             int // of the messages that it is made of, if they are several
}

func (c *channel) add(i item) {
	c.items = append(c.items, i)
	c.updated = latest(c.updated, i.at)
}

// item makes an entry of a message and the words for it.
func (f *Feeds) item(p place, m *fedmsg.Message, w fedmsg.Words) item {
	topic := line(string(m.Topic), maxTitle)
	i := item{
		at: datable(m.Time), topic: topic, category: category(topic), msgID: line(m.ID, maxTitle),
		title: line(w.Subtitle, maxTitle), kind: line(w.Title, maxTitle), agent: line(w.Agent, maxName),
		people: names(w.Usernames), packages: names(w.Packages),
		icon: webLink(w.Icon), avatar: webLink(w.Avatars[w.Agent]),
		page: p.base + f.cfg.MessagePath + url.PathEscape(m.ID),
	}
	i.id = p.tag(i.at.Format(time.DateOnly), url.PathEscape(m.ID))
	if i.title == "" {
		i.title = topic
	}
	if i.link = webLink(w.Link); i.link == "" {
		i.link = i.page
	}
	i.html = i.body(w.LongForm)
	return i
}

// body words an item as HTML: its paragraphs, where there is more, and whom and what
// it is about.
func (i item) body(long string) string {
	var b strings.Builder
	paragraph := func(html string) { b.WriteString("<p>" + html + "</p>\n") }
	wrote := false
	for text := range strings.SplitSeq(clip(plain(long), maxText), "\n\n") {
		if text = strings.TrimSpace(text); text != "" {
			paragraph(strings.ReplaceAll(html.EscapeString(text), "\n", "<br>"))
			wrote = true
		}
	}
	if !wrote {
		paragraph(html.EscapeString(i.title))
	}
	if i.link != i.page {
		paragraph(anchor(i.link, i.link))
	}
	var about []string
	for _, list := range []struct {
		name  string
		names []string
	}{{"People", i.people}, {"Packages", i.packages}} {
		if len(list.names) > 0 {
			about = append(about, list.name+": "+html.EscapeString(strings.Join(list.names, ", ")))
		}
	}
	paragraph(strings.Join(append(about, anchor(i.page, i.topic)), " · "))
	return b.String()
}

func anchor(link, text string) string {
	return `<a href="` + html.EscapeString(link) + `">` + html.EscapeString(text) + "</a>"
}

// category is the fourth word of a topic, or "".
func category(topic string) string {
	if words := strings.SplitN(topic, ".", 5); len(words) > 3 {
		return words[3]
	}
	return ""
}

// names cleans a list of names.
func names(list []string) []string {
	var clean []string
	for _, name := range list[:min(len(list), maxNames)] {
		if name = line(name, maxName); name != "" {
			clean = append(clean, name)
		}
	}
	return clean
}

// datable returns a time that can be written with four digits for the year, in
// seconds and UTC.
func datable(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Second)
	if t.Year() < 1 || t.Year() > 9999 {
		return time.Unix(0, 0).UTC()
	}
	return t
}

// plain takes out of a text what a feed cannot hold or should not: bytes that are no
// UTF-8, characters that XML 1.0 forbids (its production Char), other control
// characters but line breaks and tabs, noncharacters, and those that turn the
// direction of writing for what follows.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), r&0xFFFE == 0xFFFE, 0xFDD0 <= r && r <= 0xFDEF:
			return -1
		case 0x202A <= r && r <= 0x202E, 0x2066 <= r && r <= 0x2069:
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}

// line makes a text one line of at most so many characters.
func line(text string, limit int) string {
	if len(text) > 8*limit { // a character has at most 4 bytes; blanks may go
		text = text[:8*limit]
	}
	return clip(strings.Join(strings.Fields(plain(text)), " "), limit)
}

// clip cuts a text to at most so many characters.
func clip(text string, limit int) string {
	if len(text) <= limit || utf8.RuneCountInString(text) <= limit {
		return text
	}
	n := 0
	for i := range text {
		if n++; n == limit {
			return strings.TrimSpace(text[:i]) + "…"
		}
	}
	return text
}
