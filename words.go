package fedmsg

import (
	"context"
	"maps"
	"slices"
)

// Words are what a message means to people.
type Words struct {
	Title    string // what kind of message it is: its topic from the fourth word on
	Subtitle string // what happened, in one sentence; never empty
	LongForm string // the same in paragraphs; the sentence, if there is no more to say

	Link          string // where to see more
	Icon          string // the address of the service's picture
	SecondaryIcon string // that of who, or what, it is about

	Agent     string   // who did it; empty if nobody is named
	Usernames []string // whom it concerns; sorted, as the other two
	Packages  []string // names of source packages
	Objects   []string // what was acted on, as paths: packages/bash

	Emails  map[string]string // accounts by mail address
	Avatars map[string]string // addresses of pictures by account
}

// Describer finds the words for messages.
type Describer interface {
	// Describe returns the words for m. It does not fail: what it does not know it
	// words as well as it can. ctx bounds what it asks others for.
	Describe(ctx context.Context, m *Message) Words
}

// WordsFields are the names of the fields of [Words] outside of Go: those of
// fedmsg's msg2… functions.
var WordsFields = []string{
	"title", "subtitle", "link", "icon", "secondary_icon", "usernames", "packages", "objects", "long_form", "agent", "emails", "avatars",
}

// String returns words in one line, as fedmsg-tail --terse has them: both blanks
// always.
func (w Words) String() string { return w.Title + " -- " + w.Subtitle + " " + w.Link }

// AppendJSON appends an object with the fields of these names, all if there are
// none; in ASCII. As in fedmsg a picture or an agent that is not there is null, a
// link "".
func (w Words) AppendJSON(dst []byte, fields ...string) []byte {
	if len(fields) == 0 {
		fields = WordsFields
	}
	dst = append(dst, '{')
	for i, name := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = w.appendField(append(append(append(dst, '"'), name...), `":`...), name)
	}
	return append(dst, '}')
}

func (w Words) appendField(dst []byte, name string) []byte {
	switch name {
	case "title":
		return appendString(dst, []byte(w.Title))
	case "subtitle":
		return appendString(dst, []byte(w.Subtitle))
	case "long_form":
		return appendString(dst, []byte(w.LongForm))
	case "link":
		return appendString(dst, []byte(w.Link))
	case "icon":
		return appendOptional(dst, w.Icon)
	case "secondary_icon":
		return appendOptional(dst, w.SecondaryIcon)
	case "agent":
		return appendOptional(dst, w.Agent)
	case "usernames":
		return appendStrings(dst, w.Usernames)
	case "packages":
		return appendStrings(dst, w.Packages)
	case "objects":
		return appendStrings(dst, w.Objects)
	case "emails":
		return appendMap(dst, w.Emails)
	case "avatars":
		return appendMap(dst, w.Avatars)
	}
	return append(dst, "null"...)
}

func appendOptional(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return appendString(dst, []byte(s))
}

func appendStrings(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, []byte(s))
	}
	return append(dst, ']')
}

func appendMap(dst []byte, m map[string]string) []byte {
	dst = append(dst, '{')
	for i, key := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, []byte(key)), ':')
		dst = appendString(dst, []byte(m[key]))
	}
	return append(dst, '}')
}

// ValidateWordsField returns a [BadField] refusal unless words have a field of
// that name.
func ValidateWordsField(name string) error {
	if !slices.Contains(WordsFields, name) {
		return RefuseField(BadField, "meta", "there is no %q; the fields are %q", name, WordsFields)
	}
	return nil
}
