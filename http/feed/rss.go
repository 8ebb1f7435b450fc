package feed

import "encoding/xml"

// The elements of RSS 2.0, with the names of authors by Dublin Core and the links
// by Atom, as the RSS Advisory Board's profile has them.
type (
	rssDocument struct {
		XMLName xml.Name   `xml:"rss"`
		Version string     `xml:"version,attr"`
		Atom    string     `xml:"xmlns:atom,attr"`
		Creator string     `xml:"xmlns:dc,attr"`
		Channel rssChannel `xml:"channel"`
	}
	rssChannel struct {
		Title       string    `xml:"title"`
		Link        string    `xml:"link"`
		Description string    `xml:"description"`
		Language    string    `xml:"language"`
		Build       string    `xml:"lastBuildDate,omitempty"`
		Generator   string    `xml:"generator"`
		TTL         int       `xml:"ttl"` // minutes
		Links       []rssLink `xml:"atom:link"`
		Items       []rssItem `xml:"item"`
	}
	rssLink struct {
		Rel  string `xml:"rel,attr"`
		Type string `xml:"type,attr"`
		Href string `xml:"href,attr"`
	}
	rssItem struct {
		Title       string        `xml:"title"`
		Link        string        `xml:"link"`
		GUID        rssGUID       `xml:"guid"`
		Date        string        `xml:"pubDate"`
		Creator     string        `xml:"dc:creator,omitempty"`
		Categories  []rssCategory `xml:"category"`
		Description string        `xml:"description"`
	}
	rssGUID struct {
		IsLink bool   `xml:"isPermaLink,attr"`
		ID     string `xml:",chardata"`
	}
	rssCategory struct {
		Domain string `xml:"domain,attr"`
		Term   string `xml:",chardata"`
	}
)

// rssDate is RFC 822 with four digits for the year.
const rssDate = "Mon, 02 Jan 2006 15:04:05 +0000"

func writeRSS(c *channel) ([]byte, error) {
	doc := rssDocument{
		Version: "2.0", Atom: "http://www.w3.org/2005/Atom", Creator: "http://purl.org/dc/elements/1.1/",
		Channel: rssChannel{Title: c.title, Link: c.home, Description: "Messages of " + c.name, Language: "en", Generator: "fedmsg", TTL: 1},
	}
	ch := &doc.Channel
	if len(c.items) > 0 {
		ch.Build = c.updated.Format(rssDate)
	}
	for _, l := range c.atomLinks("application/rss+xml") {
		ch.Links = append(ch.Links, rssLink{l.Rel, l.Type, l.Href})
	}
	for _, i := range c.items {
		item := rssItem{
			Title: i.title, Link: i.link, GUID: rssGUID{ID: i.id}, Date: i.at.Format(rssDate),
			Creator: i.agent, Description: i.html,
		}
		for _, t := range i.terms() {
			item.Categories = append(item.Categories, rssCategory{c.tag(feedsBegan, t.kind), t.value})
		}
		ch.Items = append(ch.Items, item)
	}
	return writeXML(doc)
}
