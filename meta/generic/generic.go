// Package generic words messages that no rule knows, by what the messages of many
// services have in common. It is also what stands in where a rule has nothing to
// say. With a JSON Schema of the messages it knows better where to look.
package generic

import (
	"slices"
	"strings"

	"github.com/fedora-infra/fedmsg-go/meta/template"
)

// Where services put things, the more telling first.
var (
	agentKeys   = []string{"agent", "user", "username", "owner", "author", "actor", "creator", "submitter", "sender", "reporter", "committer", "packager", "user_name", "agent_name", "owner_name", "submitted_by", "created_by", "who"}
	personKeys  = []string{"name", "username", "login", "nick", "fas_name", "user", "user_name"}
	packageKeys = []string{"package", "packages", "package_name", "pkg", "component", "srpm_name", "package_listing", "packagelist"}
	buildKeys   = []string{"nvr", "build_nvr"}
	linkKeys    = []string{"url", "link", "weburl", "html_url", "web_url", "full_url", "href", "permalink", "page_url", "homepage"}
	labelKeys   = []string{"alias", "nvr", "fullname", "full_name", "title", "name", "display_name", "subject", "summary", "slug", "id", "number", "uid"}
	objectKeys  = []string{"alias", "nvr", "title", "name", "subject", "summary", "project", "package", "repo", "repository", "update", "update_id", "build", "branch", "tag", "file", "path", "id"}
)

// A Message is what is to be worded.
type Message struct {
	Body    template.Value
	Title   string // the topic from its fourth word on, or all of a shorter one
	Service string // the fourth word; empty if there is none
	Event   string // the words after it
}

// A Guess is what the words for a message may be.
type Guess struct {
	// Agent is who did it; empty if nobody is named.
	Agent string
	// Packages are names of packages, as they stand in the message.
	Packages []template.Value

	msg    Message
	schema *Schema
}

// New looks at a message. The schema may be nil.
func New(m Message, schema *Schema) *Guess {
	g := &Guess{msg: m, schema: schema}
	g.Agent = g.findAgent().String()
	g.Packages = g.findPackages()
	return g
}

// places are where to look: the body, then each object in it.
func (g *Guess) places() []template.Value {
	all := []template.Value{g.msg.Body}
	for _, v := range g.msg.Body.Items() {
		if v.Kind() == template.Object && len(all) < 64 {
			all = append(all, v)
		}
	}
	return all
}

// findAgent finds who did it.
func (g *Guess) findAgent() template.Value {
	if v := personIn(g.msg.Body.Get(g.schema.property(agentProperty))); v.Kind() != template.Missing {
		return v
	}
	for _, place := range g.places() {
		for _, key := range agentKeys {
			if v := personIn(place.Get(key)); v.Kind() != template.Missing {
				return v
			}
		}
	}
	return template.Value{}
}

// personIn reads an account that is a text, or an object that has its name.
func personIn(v template.Value) template.Value {
	if v.Kind() == template.Object {
		for _, key := range personKeys {
			if name := personIn(v.Get(key)); name.Kind() != template.Missing && v.Get(key).Kind() == template.Text {
				return name
			}
		}
		return template.Value{}
	}
	// An account is one word; what is longer, or has blanks, is something else.
	if v.Kind() != template.Text || v.String() == "" || len(v.String()) > 64 || strings.ContainsAny(v.String(), " \n\t/") {
		return template.Value{}
	}
	return v
}

func (g *Guess) findPackages() []template.Value {
	for _, place := range g.places() {
		var found []template.Value
		for _, key := range packageKeys {
			found = append(found, namesIn(place.Get(key))...)
		}
		for _, key := range buildKeys {
			if name, ok := template.PackageName(place.Get(key).String()); ok {
				found = append(found, template.NewText(name))
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// namesIn reads names: of a text, of objects with a name, of a list of either.
func namesIn(v template.Value) []template.Value {
	switch v.Kind() {
	case template.Text:
		if v.String() != "" && !strings.ContainsAny(v.String(), " \n\t") {
			return []template.Value{v}
		}
	case template.Object:
		if name := v.Get("name"); name.Kind() == template.Text {
			return namesIn(name)
		}
		return namesIn(v.Get("package"))
	case template.List:
		var found []template.Value
		for _, item := range v.Items() {
			if item.Kind() != template.List {
				found = append(found, namesIn(item)...)
			}
		}
		return found
	}
	return nil
}

// Link finds where to see more; empty if there is nothing.
func (g *Guess) Link() string {
	if v := g.msg.Body.Get(g.schema.property(linkProperty)); isWeb(v) {
		return v.String()
	}
	for _, place := range g.places() {
		for _, key := range linkKeys {
			if v := place.Get(key); isWeb(v) {
				return v.String()
			}
		}
	}
	for _, v := range g.msg.Body.Items() {
		if isWeb(v) {
			return v.String()
		}
	}
	return ""
}

func isWeb(v template.Value) bool {
	return v.Kind() == template.Text && (strings.HasPrefix(v.String(), "https://") || strings.HasPrefix(v.String(), "http://")) && !strings.ContainsAny(v.String(), " \n")
}

// maxLabel is how long, in characters, the name of a thing may be in a sentence.
const maxLabel = 60

// findObject finds what it was done to: what a word of the topic names, or else
// what the body says of itself.
func (g *Guess) findObject() string {
	if s := labelIn(g.msg.Body.Get(g.schema.property(objectProperty))); s != "" {
		return s
	}
	for word := range strings.SplitSeq(g.msg.Event, ".") {
		if s := labelIn(g.msg.Body.Get(word)); s != "" {
			return s
		}
	}
	for _, key := range objectKeys {
		if s := labelIn(g.msg.Body.Get(key)); s != "" && s != g.Agent {
			return s
		}
	}
	for _, v := range g.msg.Body.Items() {
		if v.Kind() == template.Object {
			if s := labelIn(v); s != "" && s != g.Agent {
				return s
			}
		}
	}
	return ""
}

func labelIn(v template.Value) string {
	switch v.Kind() {
	case template.Text, template.Number:
		s := strings.TrimSpace(v.String())
		if r := []rune(s); len(r) > maxLabel {
			s = string(r[:maxLabel]) + "..."
		}
		return s
	case template.Object:
		for _, key := range labelKeys {
			if item := v.Get(key); item.Kind() == template.Text || item.Kind() == template.Number {
				if s := labelIn(item); s != "" {
					return s
				}
			}
		}
	}
	return ""
}

// verbs are what the last word of a topic says that was done, in the past tense.
var verbs = map[string]string{
	"add": "added", "approve": "approved", "assign": "assigned", "award": "awarded", "begin": "began", "block": "blocked",
	"build": "built", "cancel": "cancelled", "change": "changed", "close": "closed", "comment": "commented on", "complete": "completed",
	"create": "created", "delete": "deleted", "disable": "disabled", "done": "finished", "drop": "dropped", "edit": "edited",
	"enable": "enabled", "end": "ended", "expire": "expired", "fail": "failed", "failure": "failed", "finish": "finished", "fork": "forked",
	"import": "imported", "join": "joined", "leave": "left", "merge": "merged", "modify": "modified", "new": "created",
	"obsolete": "obsoleted", "open": "opened", "publish": "published", "push": "pushed", "register": "registered", "reject": "rejected", "release": "released",
	"remove": "removed", "rename": "renamed", "reopen": "reopened", "request": "requested", "retire": "retired", "revoke": "revoked",
	"sign": "signed", "start": "started", "stop": "stopped", "submit": "submitted", "success": "succeeded", "sync": "synced", "tag": "tagged",
	"test": "tested", "untag": "untagged", "update": "updated", "upload": "uploaded", "vote": "voted on",
}

// alone are verbs that need nobody who did it: a build failed, but was created.
var alone = strings.Fields("began completed ended expired failed finished left started stopped succeeded")

// Sentence says what happened as well as it can. It is never empty.
func (g *Guess) Sentence() string {
	nouns := strings.FieldsFunc(g.msg.Event, func(r rune) bool { return r == '.' || r == '_' || r == '-' || r == '/' })
	verb := ""
	if len(nouns) > 0 {
		last := strings.ToLower(nouns[len(nouns)-1])
		verb = verbs[last]
		if verb == "" && (strings.HasSuffix(last, "ed") && len(last) > 4 || slices.Contains([]string{"sent", "built", "run"}, last)) {
			verb = last
		}
	}
	who, what := g.Agent, g.findObject()
	if verb == "" {
		words := strings.Join(append([]string{g.msg.Service}, nouns...), " ")
		if g.msg.Service == "" {
			words = g.msg.Title
		}
		return strings.TrimSpace(joinUnlessEmpty(who, ": ") + words + unlessEmpty(" on ", what))
	}
	thing := strings.TrimSpace(strings.Join(nouns[:len(nouns)-1], " ") + " " + what)
	switch {
	case who != "":
		if thing == "" {
			thing = "something"
		}
		return who + " " + verb + " " + thing + " (" + g.msg.Service + ")"
	case thing == "":
		return g.msg.Service + " " + verb
	case slices.Contains(alone, verb):
		return g.msg.Service + ": " + thing + " " + verb
	}
	return g.msg.Service + ": " + thing + " was " + verb
}

func joinUnlessEmpty(s, after string) string {
	if s == "" {
		return ""
	}
	return s + after
}

func unlessEmpty(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}
