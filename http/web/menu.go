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

// listening are ways to get the stream of a search line.
func listening(base, line string) []snippet {
	stream := base + "/api/v1/stream"
	shell, code := "\n\n# or, with the program of this bus:\nfedmsg tail --bus "+base+" --terse", `bus, err := client.Open(ctx, "`+base+`") // github.com/fedora-infra/fedmsg-go/client
for entry, err := range bus.Tail(ctx, client.TailConfig{}) {
	fmt.Println(entry.Message.Topic, string(entry.Message.Body))
}`
	if line != "" {
		stream += "?q=" + url.QueryEscape(line)
		shell, code = "", `resp, err := http.Get("`+stream+`")
lines := bufio.NewScanner(resp.Body)
lines.Buffer(nil, 2<<20)
for lines.Scan() {
	if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
		fmt.Println(data) // {"message": {"topic": …, "msg": {…}}}
	}
}`
	}
	return []snippet{
		{"Shell", "curl -N '" + stream + "'" + shell},
		{"Go", code},
		{"Python", `import json, urllib.request
for line in urllib.request.urlopen("` + stream + `"):
    if line.startswith(b"data: "):
        message = json.loads(line[6:])["message"]
        print(message["topic"], message["msg"])`},
	}
}
