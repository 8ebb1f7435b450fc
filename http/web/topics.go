package web

import (
	"cmp"
	"context"
	nethttp "net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/web/say"
)

const (
	// shownTopics is how many topics a page has.
	shownTopics = 60
	// allTopics is more than there are: 28,000 were counted on Fedora's bus.
	allTopics = 100_000
)

// topicsPage is the catalogue of what is said here.
type topicsPage struct {
	Services []tally
	Service  string
	Topics   []topicLine
	Known    int // topics, of the service
	More     int // that are not shown
}

// A topicLine is one topic with what is known of it.
type topicLine struct {
	fedmsg.Term
	Text   string
	Search string // a search for it
	Sample row    // the newest; its ID is empty if there is none
}

func (p *Pages) topics(w nethttp.ResponseWriter, r *nethttp.Request) {
	ctx := r.Context()
	page := topicsPage{Service: r.URL.Query().Get("category")}
	terms, err := p.cfg.Counter.Terms(ctx, fedmsg.TopicField, "", allTopics)
	if err != nil {
		p.broken(w, r, err)
		return
	}
	services := make(map[string]int64)
	for _, t := range terms {
		services[say.Category(fedmsg.Topic(t.Name))] += t.N
	}
	for name, n := range services {
		page.Services = append(page.Services, tally{Name: name, N: n})
	}
	slices.SortFunc(page.Services, func(a, b tally) int { return cmp.Or(cmp.Compare(b.N, a.N), strings.Compare(a.Name, b.Name)) })
	if page.Service != "" {
		terms = slices.DeleteFunc(terms, func(t fedmsg.Term) bool { return say.Category(fedmsg.Topic(t.Name)) != page.Service })
		if len(terms) == 0 {
			p.fail(w, r, nethttp.StatusNotFound, problem{What: "No service of that name has been heard here.", Hint: "The topics page lists those that have."})
			return
		}
	}
	page.Known = len(terms)
	shown := terms[:min(len(terms), shownTopics)]
	if r.URL.Query().Has("all") {
		shown = terms[:min(len(terms), 1000)]
	}
	page.More = page.Known - len(shown)
	p.sample(ctx, &page, shown)
	title := "Topics"
	if page.Service != "" {
		title += ": " + say.Visible(page.Service)
	}
	p.show(w, r, nethttp.StatusOK, "topics", view{Title: title, Tab: "Topics", Page: page})
}

// sample finds a message for each topic, of the first ones and while there is time.
func (p *Pages) sample(ctx context.Context, page *topicsPage, terms []fedmsg.Term) {
	bounded, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	for i, t := range terms {
		line := topicLine{Term: t, Text: say.Tail(t.Name), Search: say.Search(say.FieldTerm(fedmsg.TopicField, t.Name))}
		if i < shownTopics {
			q := fedmsg.Query{Filter: fedmsg.Filter{Op: fedmsg.Has, Test: fedmsg.Test{Field: fedmsg.TopicField, Value: t.Name}}, Since: t.Last.Add(-time.Millisecond), Limit: 1}
			if found, err := p.cfg.Archive.Search(bounded, q); err == nil && len(found.Entries) > 0 {
				line.Sample = p.row(ctx, found.Entries[0])
			}
		}
		page.Topics = append(page.Topics, line)
	}
}

// MoreAddress shows the rest.
func (page topicsPage) MoreAddress() string {
	values := url.Values{"all": {""}}
	if page.Service != "" {
		values.Set("category", page.Service)
	}
	return "/topics?" + strings.TrimSuffix(values.Encode(), "=")
}
