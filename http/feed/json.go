package feed

import (
	"encoding/json"
	"fmt"
	"time"
)

// The objects of JSON Feed 1.1. What only a bus knows is in _fedmsg.
type (
	jsonFeed struct {
		Version     string       `json:"version"`
		Title       string       `json:"title"`
		Home        string       `json:"home_page_url"`
		Self        string       `json:"feed_url"`
		Description string       `json:"description"`
		Next        string       `json:"next_url,omitempty"`
		Authors     []jsonAuthor `json:"authors"`
		Language    string       `json:"language"`
		Items       []jsonItem   `json:"items"`
	}
	jsonItem struct {
		ID        string       `json:"id"`
		URL       string       `json:"url"`
		Title     string       `json:"title"`
		HTML      string       `json:"content_html"`
		Published string       `json:"date_published"`
		Authors   []jsonAuthor `json:"authors,omitempty"`
		Tags      []string     `json:"tags,omitempty"`
		Fedmsg    jsonMore     `json:"_fedmsg"`
	}
	jsonAuthor struct {
		Name   string `json:"name"`
		Avatar string `json:"avatar,omitempty"`
	}
	jsonMore struct {
		MsgID    string   `json:"msg_id,omitempty"` // not of several messages
		Count    int      `json:"count,omitempty"`  // only of several
		Topic    string   `json:"topic,omitempty"`  // not of several that differ
		Category string   `json:"category,omitempty"`
		Kind     string   `json:"title,omitempty"` // as in the words of the API
		Page     string   `json:"page"`
		Icon     string   `json:"icon,omitempty"`
		Users    []string `json:"usernames"`
		Packages []string `json:"packages"`
	}
)

func writeJSON(c *channel) ([]byte, error) {
	doc := jsonFeed{
		Version: "https://jsonfeed.org/version/1.1", Title: c.title, Home: c.home, Self: c.self, Next: c.next,
		Description: "Messages of " + c.name, Authors: []jsonAuthor{{Name: c.name}}, Language: "en", Items: []jsonItem{},
	}
	for _, i := range c.items {
		item := jsonItem{
			ID: i.id, URL: i.link, Title: i.title, HTML: i.html, Published: i.at.Format(time.RFC3339),
			Fedmsg: jsonMore{MsgID: i.msgID, Count: i.count, Topic: i.topic, Category: i.category, Kind: i.kind, Page: i.page, Icon: i.icon,
				Users: append([]string{}, i.people...), Packages: append([]string{}, i.packages...)},
		}
		if i.agent != "" {
			item.Authors = []jsonAuthor{{i.agent, i.avatar}}
		}
		for _, t := range i.terms() {
			item.Tags = append(item.Tags, t.value)
		}
		doc.Items = append(doc.Items, item)
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	return append(body, '\n'), nil
}
