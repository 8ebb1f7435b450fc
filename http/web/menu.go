package web

import (
	"net/url"
	"strconv"

	"github.com/fedora-infra/fedmsg-go/http/feed"

	"github.com/fedora-infra/fedmsg-go/http/web/say"
)

// A menu offers what a page shows in other forms.
type menu struct {
	Links    []menuLink
	Snippets []snippet
}

type menuLink struct{ Name, Address string }

// A snippet is a text to copy.
type snippet struct{ Name, Text string }

// newMenu offers a search: as it was asked, and with its times as such.
func newMenu(base, line, exact string) *menu {
	q := ""
	if exact != "" {
		q = "q=" + url.QueryEscape(exact)
	}
	asked := ""
	if line != "" {
		asked = "?q=" + url.QueryEscape(line)
	}
	messages := base + "/api/v1/messages?" + join(q, "meta=subtitle&limit=100")
	m := &menu{Links: []menuLink{
		{"Link to this, times fixed", say.Search(exact)},
		{"JSON", "/api/v1/messages?" + join(q, "meta=subtitle&limit=100")},
		{"JSON lines, all of it", "/api/v1/export?" + join(q, "format=jsonl")},
		{"CSV, all of it", "/api/v1/export?" + join(q, "format=csv")},
		{"Feed (Atom)", "/feed.atom" + asked},
		{"Feed (JSON)", "/feed.json" + asked},
	}}
	m.Snippets = []snippet{
		{"curl", "curl '" + messages + "'"},
		{"Go", `resp, err := http.Get(` + strconv.Quote(messages) + `)
// decode resp.Body: {"messages": [{"message": {…}, "meta": {…}}]}`},
		{"Python", `import json, urllib.request
page = json.load(urllib.request.urlopen("` + messages + `"))
for entry in page["messages"]:
    print(entry["meta"]["subtitle"])`},
		{"Embed", feed.Embed(base, line)},
	}
	return m
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "&" + b
}

// listening are ways to get the stream.
func listening(base, topic string) []snippet {
	events := base + "/api/v1/events"
	if topic != "" {
		events += "?topic=" + url.QueryEscape(topic)
	}
	pattern := topic
	if pattern == "" {
		pattern = "#"
	}
	return []snippet{
		{"Shell", "curl -N '" + events + "'\n\n# or, with the program of this bus:\nfedmsg tail --bus " + base + " --terse '" + pattern + "'"},
		{"Go", `bus, err := client.Open(ctx, "` + base + `") // github.com/fedora-infra/fedmsg-go/client
for entry, err := range bus.Tail(ctx, client.TailConfig{}) {
	fmt.Println(entry.Message.Topic, string(entry.Message.Body))
}`},
		{"Python", `import json, urllib.request
for line in urllib.request.urlopen("` + events + `"):
    if line.startswith(b"data: "):
        message = json.loads(line[6:])["message"]
        print(message["topic"], message["msg"])`},
	}
}
