package generic

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/fedora-infra/fedmsg-go/meta/template"
)

// A Schema says which property of a body plays which part in a sentence.
type Schema struct {
	properties [propertyCount]string
}

type property int

const (
	agentProperty property = iota
	linkProperty
	objectProperty
	propertyCount
)

// What the name or the description of a property must have for a part.
var propertyPatterns = [propertyCount]*regexp.Regexp{
	agentProperty:  regexp.MustCompile(`(?i)\b(agent|user ?name|account|person|user) (who|that)\b|\bwho (did|caused|triggered|made|performed|sent|created)\b|\b(name|user ?name|account|login|nick|id) of the (agent|user|person|author|submitter)\b`),
	linkProperty:   regexp.MustCompile(`(?i)\b(url|uri|link|web address)\b`),
	objectProperty: regexp.MustCompile(`(?i)\b(name|title|identifier|id|subject)\b`),
}

// property returns the name of the property for a part; empty if there is none.
func (s *Schema) property(p property) string {
	if s == nil {
		return ""
	}
	return s.properties[p]
}

// ReadSchema reads a JSON Schema of bodies, as the message packages of
// fedora-messaging carry them.
func ReadSchema(src []byte) (*Schema, error) {
	doc := template.ReadJSON(src)
	properties := doc.Get("properties")
	// Some schemas describe the whole message, with the body below "body" or "msg".
	for _, key := range []string{"body", "msg"} {
		if inner := properties.Get(key).Get("properties"); inner.Kind() == template.Object {
			doc, properties = properties.Get(key), inner
		}
	}
	if properties.Kind() != template.Object {
		return nil, errors.New(`is no JSON Schema of an object: it has no "properties"`)
	}
	s := &Schema{}
	required := template.Strings(doc.Get("required").Items())
	for _, wantRequired := range []bool{true, false} {
		for i, key := range properties.Keys() {
			if slices.Contains(required, key) == wantRequired {
				s.take(key, properties.Items()[i])
			}
		}
	}
	return s, nil
}

// take gives a property the part that suits it, if it is still to be had.
func (s *Schema) take(name string, about template.Value) {
	// A type may be a list: text or null.
	is := func(kinds ...string) bool {
		types := template.Strings(template.Flatten(nil, []template.Value{about.Get("type")}))
		return len(types) == 0 || slices.ContainsFunc(types, func(kind string) bool { return slices.Contains(kinds, kind) })
	}
	describes := strings.ReplaceAll(name, "_", " ") + ": " + about.Get("title").String() + " " + about.Get("description").String()
	isAddress := slices.Contains([]string{"uri", "url", "iri"}, about.Get("format").String())
	for part, pattern := range propertyPatterns {
		suits := pattern.MatchString(describes)
		switch property(part) {
		case agentProperty:
			suits = suits && !isAddress && is("string", "object")
		case linkProperty:
			suits = (isAddress || suits) && is("string") && !isPicture.MatchString(name)
		case objectProperty:
			suits = suits && !isAddress && is("string", "integer", "number")
		}
		if suits {
			// A second person or address is not what the others are.
			s.properties[part] = cmp.Or(s.properties[part], name)
			return
		}
	}
}
