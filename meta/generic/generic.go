// Package generic words messages that no rule knows, by what the messages of many
// services have in common. It is also what stands in where a rule has nothing to
// say. With a JSON Schema of the messages it knows better where to look.
package generic

import (
	"regexp"
	"slices"
	"strings"

	"github.com/fedora-infra/fedmsg-go/meta/template"
)

// Where services put things, the more telling first.
var (
	agentKeys   = strings.Fields("agent user username actor author owner creator submitter sender reporter committer packager editor moderator uploader voter requester user_name agent_name owner_name who nick")
	personKeys  = strings.Fields("username login nick fas_name name user user_name")
	packageKeys = strings.Fields("package packages package_name source_package pkg component srpm_name package_listing packagelist")
	buildKeys   = strings.Fields("nvr build_nvr nvrs build builds")
	linkKeys    = strings.Fields("html_url web_url weburl full_url page_url permalink url link href homepage")
	labelKeys   = strings.Fields("alias nvr fullname full_name title name display_name subject summary slug id number uid")
	objectKeys  = strings.Fields("alias nvr title name subject summary project package repo repository update update_id build branch tag file path id")
	detailKeys  = strings.Fields("message text reason")
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
	words  []string         // of the event
	places []template.Value // where to look: the body, then objects in it
	// passive tells that the agent is what the event is about: user.suspend says
	// nothing of who did it if only the user is named.
	passive bool
}

// maxPlaces bounds the work for a body of very many objects.
const maxPlaces = 64

// New looks at a message. The schema may be nil.
func New(m Message, schema *Schema) *Guess {
	g := &Guess{msg: m, schema: schema, words: strings.Split(m.Event, ".")}
	g.places = append(g.places, m.Body)
	for _, word := range slices.Backward(g.words) {
		g.look(m.Body.Get(word))
	}
	// What people have, as addresses, is about them first.
	for _, people := range []bool{false, true} {
		for i, key := range m.Body.Keys() {
			if slices.Contains(agentKeys, key) == people {
				g.look(m.Body.Items()[i])
			}
		}
	}
	g.Agent = g.findAgent()
	g.Packages = g.findPackages()
	return g
}

// look adds an object to the places.
func (g *Guess) look(v template.Value) {
	if v.Kind() == template.Object && len(g.places) < maxPlaces {
		g.places = append(g.places, v)
	}
}

// findAgent finds who did it.
func (g *Guess) findAgent() string {
	if s := personIn(g.msg.Body.Get(g.schema.property(agentProperty))); s != "" {
		return s
	}
	for i, place := range g.places {
		about := ""
		for _, key := range agentKeys {
			s := personIn(place.Get(key))
			switch {
			case s == "":
			case i > 0 || !slices.Contains(g.words, key):
				return s
			case about == "":
				about = s
			}
		}
		for n, key := range place.Keys() {
			if s := personIn(place.Items()[n]); s != "" && strings.HasSuffix(key, "_by") {
				return s
			}
		}
		if about != "" {
			g.passive = true
			return about
		}
	}
	return ""
}

// noPerson is what no account looks like: accounts are one word. A number is a
// key of somebody's database.
var noPerson = regexp.MustCompile(`[\s/@]|^[0-9]*$|^(?i:none|null|unknown)$|^.{65}`)

// personIn reads an account that is a text, or an object that has its name.
func personIn(v template.Value) string {
	switch v.Kind() {
	case template.Object:
		for _, key := range personKeys {
			if name := v.Get(key); name.Kind() == template.Text && personIn(name) != "" {
				return name.String()
			}
		}
	case template.Text:
		if !noPerson.MatchString(v.String()) {
			return v.String()
		}
	}
	return ""
}

func (g *Guess) findPackages() []template.Value {
	for _, place := range g.places {
		var found []template.Value
		for _, key := range packageKeys {
			found = append(found, namesIn(place.Get(key))...)
		}
		if len(found) > 0 {
			return found
		}
		for _, key := range buildKeys {
			found = append(found, buildsIn(place.Get(key))...)
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
		name := strings.TrimPrefix(v.String(), "rpms/")
		if name != "" && !strings.ContainsAny(name, " \n\t/:") {
			return []template.Value{template.NewText(name)}
		}
	case template.Object:
		if name := v.Get("name"); name.Kind() == template.Text {
			return namesIn(name)
		}
		return namesIn(v.Get("package"))
	case template.List:
		return inEach(v, namesIn)
	}
	return nil
}

// isBuild matches NAME-VERSION-RELEASE.
var isBuild = regexp.MustCompile(`^[^\s/]+-[^-\s]*[0-9][^-\s]*-[0-9][^-\s]*$`)

// buildsIn reads the names of packages off builds, as namesIn.
func buildsIn(v template.Value) []template.Value {
	switch v.Kind() {
	case template.Text:
		if name, ok := template.PackageName(v.String()); ok && isBuild.MatchString(v.String()) {
			return []template.Value{template.NewText(name)}
		}
	case template.Object:
		return buildsIn(v.Get("nvr"))
	case template.List:
		return inEach(v, buildsIn)
	}
	return nil
}

func inEach(list template.Value, read func(template.Value) []template.Value) (found []template.Value) {
	for _, item := range list.Items() {
		if item.Kind() != template.List {
			found = append(found, read(item)...)
		}
	}
	return found
}

// isPicture matches keys of addresses that are nothing to read.
var isPicture = regexp.MustCompile(`(?i)avatar|icon|image|logo|picture|photo`)

// Link finds where to see more; empty if there is nothing.
func (g *Guess) Link() string {
	if v := g.msg.Body.Get(g.schema.property(linkProperty)); isWeb(v) {
		return v.String()
	}
	for _, place := range g.places {
		for _, key := range linkKeys {
			if v := place.Get(key); isWeb(v) {
				return v.String()
			}
		}
	}
	for i, key := range g.msg.Body.Keys() {
		if v := g.msg.Body.Items()[i]; isWeb(v) && !isPicture.MatchString(key) {
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

// label is how the body calls what stands under a key; empty if it does not.
func (g *Guess) label(key string) string {
	v := g.msg.Body.Get(key)
	if slices.Contains(agentKeys, key) {
		if s := personIn(v); s != "" {
			return s
		}
	}
	return labelIn(v)
}

func labelIn(v template.Value) string {
	switch v.Kind() {
	case template.Text, template.Number:
		s := strings.Join(strings.Fields(v.String()), " ")
		if r := []rune(s); len(r) > maxLabel {
			s = strings.TrimSpace(string(r[:maxLabel])) + "..."
		}
		return s
	case template.Object:
		for _, key := range labelKeys {
			if item := v.Get(key); item.Kind() == template.Text || item.Kind() == template.Number {
				if s := labelIn(item); s != "" {
					return withVersion(s, v)
				}
			}
		}
	}
	return ""
}

// withVersion adds which version of a thing it is, if that is said beside it.
func withVersion(label string, beside template.Value) string {
	if v := beside.Get("version"); v.Kind() == template.Text || v.Kind() == template.Number {
		if s := labelIn(v); s != "" && !strings.Contains(label, s) {
			return label + " " + s
		}
	}
	return label
}

// object finds what it was done to, if no word of the event says it. Not sure is
// some text that tells messages of one topic apart.
func (g *Guess) object() (object string, sure bool) {
	if s := labelIn(g.msg.Body.Get(g.schema.property(objectProperty))); s != "" {
		return s, true
	}
	for _, key := range objectKeys {
		if s := labelIn(g.msg.Body.Get(key)); g.isNews(s) {
			return withVersion(s, g.msg.Body), true
		}
	}
	for i, key := range g.msg.Body.Keys() {
		if v := g.msg.Body.Items()[i]; v.Kind() == template.Object && !slices.Contains(agentKeys, key) {
			if s := labelIn(v); g.isNews(s) {
				return s, true
			}
		}
	}
	return g.detail(), false
}

// What says nothing to a reader, or is not for everybody's eyes: by key, by value.
var (
	dullKeys   = regexp.MustCompile(`(?i)mail|passw|token|secret|time|date|_at$|_by$`)
	dullValues = regexp.MustCompile(`(?i)://|@|^[0-9]+$|^[0-9]{4}-[0-9]{2}-|^[0-9a-f-]{20,}$|^(none|null)$`)
)

func (g *Guess) detail() string {
	if g.msg.Body.Kind() == template.Text {
		return labelIn(g.msg.Body)
	}
	for _, key := range detailKeys {
		if s := labelIn(g.msg.Body.Get(key)); g.isNews(s) {
			return s
		}
	}
	for i, key := range g.msg.Body.Keys() {
		v := g.msg.Body.Items()[i]
		if v.Kind() != template.Text || slices.Contains(agentKeys, key) || dullKeys.MatchString(key) {
			continue
		}
		if s := labelIn(v); g.isNews(s) && !dullValues.MatchString(s) {
			return s
		}
	}
	return ""
}

// isNews reports whether a label says what neither the topic nor the agent does.
func (g *Guess) isNews(label string) bool {
	return label != "" && label != g.Agent && !slices.ContainsFunc(g.words, func(word string) bool { return strings.EqualFold(word, label) })
}
