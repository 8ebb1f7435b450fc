package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	nethttp "net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/web/say"
	"github.com/fedora-infra/fedmsg-go/http/web/tree"
)

const (
	// maxRaw is from which size on a message is not shown as it came, in bytes: its
	// address is.
	maxRaw = 24 << 10
	// around is how many neighbours are looked for on each side.
	around = 4
)

// messagePage is one message.
type messagePage struct {
	row
	Words      fedmsg.Words
	Link       string
	Paragraphs []string // what more there is to say than the sentence
	Entry      fedmsg.Entry
	Verdict    verdict
	Tree       *tree.Node
	Cut        bool // the tree does not show everything
	Raw        string
	Headers    []pair
	Tags       []tag
	Groups     []neighbours
	API        string
	Walks      []walk
	Minute     string // a search for what was said around the same time
}

type pair struct{ Name, Value string }

// A tag is a value that messages are found by.
type tag struct {
	What, Text, Term string
}

// neighbours are messages that share something with one.
type neighbours struct {
	What, Term string
	Rows       []row
}

// A verdict is what is known of who sent a message.
type verdict struct {
	State string // good, plain or bad: never colour alone
	Word  string
	Text  string
}

func (p *Pages) message(w nethttp.ResponseWriter, r *nethttp.Request) {
	ctx, id := r.Context(), r.PathValue("id")
	gone := problem{What: "There is no message with this ID here.", Hint: "IDs look like 2026-5e4d1bc5-3b5d-4a0f-a5f0-4ad5e4f4a3a1. If you know what it was about, search for it."}
	if fedmsg.ValidateID(id) != nil {
		p.fail(w, r, nethttp.StatusNotFound, gone)
		return
	}
	e, err := p.cfg.Archive.Find(ctx, id)
	if errors.Is(err, fedmsg.ErrNotFound) {
		p.fail(w, r, nethttp.StatusNotFound, gone)
		return
	} else if err != nil {
		p.broken(w, r, err)
		return
	}
	words := p.cfg.Describer.Describe(ctx, e.Message)
	page := messagePage{row: p.row(ctx, e), Words: words, Link: say.WebLink(words.Link), Entry: e, Verdict: judge(e), API: "/api/v1/messages/" + url.PathEscape(id)}
	if words.LongForm != "" && words.LongForm != words.Subtitle && len(words.LongForm) < 8<<10 {
		page.Paragraphs = strings.Split(words.LongForm, "\n\n")
	}
	page.Tree, page.Cut = tree.Read(e.Message.Body)
	page.Raw = raw(e.Message)
	page.Headers = headers(e)
	page.Tags = tags(e.Message, words)
	page.Groups = p.neighbours(ctx, e, words)
	line := strings.TrimSpace(strings.ToValidUTF8(r.URL.Query().Get("q"), "\uFFFD"))
	page.Walks = p.walks(ctx, e, words.Agent, line)
	minute := e.Message.Time.Truncate(time.Minute)
	page.Minute = say.Search(say.Bounds(minute.Add(-time.Minute), minute.Add(2*time.Minute)))
	base := p.base(r)
	m := &menu{
		Links: []menuLink{{"JSON", page.API}, {"JSON with words", page.API + "?meta=subtitle,link,agent,usernames,packages,objects"}},
		Snippets: []snippet{
			{"curl", "curl '" + base + page.API + "'"},
			{"Go", `resp, err := http.Get("` + base + page.API + `")`},
			{"Python", "import json, urllib.request\nentry = json.load(urllib.request.urlopen(\"" + base + page.API + "\"))\nprint(entry[\"message\"][\"msg\"])"},
		},
	}
	p.show(w, r, nethttp.StatusOK, "message", view{Title: say.Visible(page.Sentence), Menu: m, Page: page})
}

// judge says what the stamp of an entry means.
func judge(e fedmsg.Entry) verdict {
	how, who, _ := strings.Cut(e.Verified, ":")
	who = say.Visible(who)
	switch {
	case how == "gpg-body-only":
		return verdict{"plain", "body signed", "Its body is signed with the GnuPG key " + who + ". Topic, time and user are not: anybody who had the body could write them."}
	case how == "x509":
		return verdict{"good", "signed", "Signed by " + who + ". Signature, certificate and the right to speak on this topic were checked when the bus took it."}
	case how == "token":
		return verdict{"good", "known publisher", "Published with the token " + who + ", which the bus checked; the message itself carries no signature."}
	case how == "mtls":
		return verdict{"good", "known publisher", "Published over a connection with the certificate of " + who + ", which the bus checked."}
	case e.Verified == fedmsg.Unverified && e.Message.Signature != "":
		return verdict{"plain", "not checked", "It carries a signature, which this bus did not check."}
	case e.Verified == fedmsg.Unverified:
		return verdict{"plain", "unsigned", "Nobody vouches for it: it came without a signature, from an address that may publish so."}
	case e.Verified == "":
		return verdict{"plain", "not checked", "It was brought here from elsewhere, and not checked."}
	}
	return verdict{"bad", say.Visible(e.Verified), "The bus has this to say about where it comes from."}
}

// raw is a message as it came, in lines; "" if it is too long for a page.
func raw(m *fedmsg.Message) string {
	var b bytes.Buffer
	if len(m.Compact()) > maxRaw || json.Indent(&b, m.Compact(), "", "  ") != nil {
		return ""
	}
	return b.String()
}

// headers are the fields of the envelope.
func headers(e fedmsg.Entry) []pair {
	m := e.Message
	list := []pair{{"topic", string(m.Topic)}, {"msg_id", m.ID}, {"timestamp", m.Time.UTC().Format("2006-01-02T15:04:05.999999Z")}}
	add := func(name, value string) {
		if value != "" {
			list = append(list, pair{name, say.Visible(value)})
		}
	}
	add("username", m.User)
	names := []string{"i", "crypto", "source_name", "source_version"}
	for i, text := range m.Fields(names...) {
		if len(text) < 200 {
			add(names[i], strings.Trim(string(text), `"`))
		}
	}
	if head := m.Fields("headers")[0]; len(head) > 2 && len(head) < 4<<10 {
		var values map[string]json.RawMessage
		if json.Unmarshal(head, &values) == nil {
			for _, name := range sortedKeys(values) {
				add("headers."+say.Visible(name), strings.Trim(string(values[name]), `"`))
			}
		}
	}
	if e.Seq > 0 {
		add("place in the log", say.Count(int64(e.Seq)))
	}
	if !e.At.IsZero() {
		late := e.At.Sub(m.Time)
		add("taken by the bus", e.At.UTC().Format("2006-01-02T15:04:05.999999Z")+map[bool]string{true: " (" + say.Lasting(late) + " later)"}[late > time.Minute])
	}
	return list
}

func sortedKeys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// tags are what a message is found by.
func tags(m *fedmsg.Message, w fedmsg.Words) []tag {
	var list []tag
	add := func(what string, f fedmsg.Field, values ...string) {
		for _, v := range values[:min(len(values), 20)] {
			if v != "" {
				text := v
				if f == fedmsg.TopicField {
					text = say.Tail(v)
				}
				list = append(list, tag{what, say.Visible(text), say.FieldTerm(f, v)})
			}
		}
	}
	add("service", fedmsg.CategoryField, say.Category(m.Topic))
	add("topic", fedmsg.TopicField, string(m.Topic))
	add("people", fedmsg.UserField, w.Usernames...)
	add("packages", fedmsg.PackageField, w.Packages...)
	add("objects", fedmsg.ObjectField, w.Objects...)
	return list
}

// neighbours finds what was said around a message about the same things.
func (p *Pages) neighbours(ctx context.Context, e fedmsg.Entry, w fedmsg.Words) []neighbours {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	var list []neighbours
	seen := make(map[string]bool)
	add := func(what string, f fedmsg.Field, values []string) {
		if len(values) == 0 || values[0] == "" {
			return
		}
		n := neighbours{What: what + " " + say.Visible(values[0]), Term: say.FieldTerm(f, values[0])}
		n.Rows = p.surroundings(ctx, e, fedmsg.Filter{Op: fedmsg.Has, Test: fedmsg.Test{Field: f, Value: values[0]}})
		var key strings.Builder
		for _, r := range n.Rows {
			key.WriteString(r.ID + " ")
		}
		if len(n.Rows) > 1 && !seen[key.String()] {
			seen[key.String()] = true
			list = append(list, n)
		}
	}
	add("About", fedmsg.ObjectField, w.Objects)
	add("Package", fedmsg.PackageField, w.Packages)
	add("By", fedmsg.AgentField, []string{w.Agent})
	if len(list) == 0 {
		add("From", fedmsg.CategoryField, []string{say.Category(e.Message.Topic)})
	}
	return list
}

// surroundings returns rows around an entry that pass a filter, the newest first, the entry
// itself among them.
func (p *Pages) surroundings(ctx context.Context, e fedmsg.Entry, f fedmsg.Filter) []row {
	at := e.Message.Time.Truncate(time.Millisecond)
	later, err := p.cfg.Archive.Search(ctx, fedmsg.Query{Filter: f, Since: at, OldestFirst: true, Limit: around + 1})
	if err != nil {
		return nil
	}
	earlier, err := p.cfg.Archive.Search(ctx, fedmsg.Query{Filter: f, Until: at, Limit: around})
	if err != nil {
		return nil
	}
	slices.Reverse(later.Entries)
	var rows []row
	for _, other := range append(later.Entries, earlier.Entries...) {
		rows = append(rows, p.row(ctx, other))
	}
	return rows
}
