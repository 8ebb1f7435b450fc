package feed

import (
	"encoding/xml"
	"fmt"
	"time"
)

// The elements of Atom: RFC 4287.
type (
	atomFeed struct {
		XMLName   xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
		Lang      string   `xml:"xml:lang,attr"`
		ID        string   `xml:"id"`
		Title     atomText `xml:"title"`
		Updated   string   `xml:"updated"`
		Author    atomName `xml:"author"`
		Generator string   `xml:"generator"`
		Links     []atomLink
		Entries   []atomEntry
	}
	atomEntry struct {
		XMLName      xml.Name   `xml:"entry"`
		ID           string     `xml:"id"`
		Title        atomText   `xml:"title"`
		Published    string     `xml:"published"`
		Updated      string     `xml:"updated"`
		Author       *atomName  `xml:"author"`
		Contributors []atomName `xml:"contributor"`
		Links        []atomLink
		Categories   []atomCategory
		Content      atomText `xml:"content"`
	}
	atomText struct {
		Type string `xml:"type,attr"`
		Text string `xml:",chardata"`
	}
	atomName struct {
		Name string `xml:"name"`
	}
	atomLink struct {
		XMLName xml.Name `xml:"link"`
		Rel     string   `xml:"rel,attr"`
		Type    string   `xml:"type,attr,omitempty"`
		Href    string   `xml:"href,attr"`
	}
	atomCategory struct {
		XMLName xml.Name `xml:"category"`
		Term    string   `xml:"term,attr"`
		Scheme  string   `xml:"scheme,attr"`
	}
)

// atomLinks are the links of a feed, those that there are.
func (c *channel) atomLinks(media string) []atomLink {
	links := []atomLink{{Rel: "self", Type: media, Href: c.self}}
	for _, l := range []atomLink{{Rel: "next", Type: media, Href: c.next}, {Rel: "previous", Type: media, Href: c.previous}} { // RFC 5005, 3
		if l.Href != "" {
			links = append(links, l)
		}
	}
	return links
}

func writeAtom(c *channel) ([]byte, error) {
	doc := atomFeed{
		Lang: "en", ID: c.id, Title: atomText{"text", c.title}, Updated: c.date(),
		Author: atomName{c.name}, Generator: "fedmsg",
		Links: append([]atomLink{{Rel: "alternate", Href: c.home}}, c.atomLinks("application/atom+xml")...),
	}
	for _, i := range c.items {
		at := i.at.Format(time.RFC3339)
		entry := atomEntry{
			ID: i.id, Title: atomText{"text", i.title}, Published: at, Updated: at,
			Links: []atomLink{{Rel: "alternate", Href: i.link}}, Content: atomText{"html", i.html},
		}
		if i.link != i.page {
			entry.Links = append(entry.Links, atomLink{Rel: "via", Href: i.page})
		}
		if i.agent != "" {
			entry.Author = &atomName{i.agent}
		}
		for _, name := range i.people {
			if name != i.agent {
				entry.Contributors = append(entry.Contributors, atomName{name})
			}
		}
		for _, t := range i.terms() {
			entry.Categories = append(entry.Categories, atomCategory{Term: t.value, Scheme: c.tag(feedsBegan, t.kind)})
		}
		doc.Entries = append(doc.Entries, entry)
	}
	return writeXML(doc)
}

// date is when the feed changed, in the form of RFC 3339. One without entries has
// not changed yet.
func (c *channel) date() string {
	return datable(latest(c.updated, time.Unix(0, 0))).Format(time.RFC3339)
}

// A term is something to sort entries by.
type term struct{ kind, value string }

// terms returns the service, the topic and the packages of an entry, those that there are.
func (i item) terms() []term {
	var terms []term
	if i.category != "" {
		terms = append(terms, term{"category", i.category})
	}
	if i.topic != "" {
		terms = append(terms, term{"topic", i.topic})
	}
	for _, name := range i.packages {
		terms = append(terms, term{"package", name})
	}
	return terms
}

func writeXML(doc any) ([]byte, error) {
	body, err := xml.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	return append([]byte(xml.Header), body...), nil
}
