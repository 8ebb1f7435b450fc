package query

import (
	"slices"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/spell"
)

// A Key is what can stand before a colon.
type Key struct {
	// Name is how it is written; those of body and header end with a dot, and a path
	// follows.
	Name string
	// Alias is another name, if there is one.
	Alias string
	// Field is what it asks for; empty for the keys of the whole line.
	Field fedmsg.Field
	// About says in some words what it asks for, and Example shows it.
	About, Example string
}

// Keys returns all keys, in the order of docs/query.md.
func Keys() []Key { return slices.Clone(keys) }

var keys = []Key{
	{"topic", "", fedmsg.TopicField, "the topic, or what follows its third word; * is one word, # any number", "topic:bodhi.update.*"},
	{"category", "service", fedmsg.CategoryField, "the service: the fourth word of the topic", "category:git"},
	{"user", "", fedmsg.UserField, "whom it concerns", "user:ralph"},
	{"agent", "", fedmsg.AgentField, "who did it", "agent:ralph"},
	{"package", "pkg", fedmsg.PackageField, "a source package that it is about", "package:kernel"},
	{"object", "", fedmsg.ObjectField, "what was acted on", "object:packages/bash"},
	{"text", "contains", fedmsg.TextField, "words or a phrase in the body or the topic", `text:"free text"`},
	{"body.", "msg.", fedmsg.BodyField, "a value in the body", "body.build_id:123"},
	{"header.", "headers.", fedmsg.HeaderField, "a value in the headers", "header.priority:3"},
	{"id", "msg_id", fedmsg.IDField, "the ID of a message", "id:2026-5e4d1bc5-3b5d-4a0f-a5f0-4ad5e4f4a3a1"},
	{"verified", "", fedmsg.VerifiedField, "what the message was checked against", "verified:x509"},
	{"after", "since", "", "not before a time", "after:2d"},
	{"before", "until", "", "before a time", "before:2026-11-24"},
	{"on", "", "", "on a day, in a month, a year or a minute", "on:2026-11-24"},
	{"order", "", "", "newest or oldest first", "order:oldest"},
}

// keyNamed finds a key by its name in any case; the name of body and header is
// without a path.
func keyNamed(name string) (Key, bool) {
	name = strings.ToLower(name)
	for _, k := range keys {
		if name == k.Name || name == k.Alias && name != "" {
			return k, true
		}
	}
	return Key{}, false
}

// keyOf returns the key that asks for a field.
func keyOf(f fedmsg.Field) (Key, bool) {
	i := slices.IndexFunc(keys, func(k Key) bool { return f != "" && k.Field == f })
	if i < 0 {
		return Key{}, false
	}
	return keys[i], true
}

// hintKey says what a name that is no key may have been meant to be.
func hintKey(name string) string {
	if meant := nearestKey(name); meant != "" {
		return "did you mean " + meant + "? If it is text to search for, put it in quotes"
	}
	var names []string
	for _, k := range keys {
		names = append(names, strings.TrimSuffix(k.Name, "."))
	}
	return "the keys are " + strings.Join(names, ", ") + "; if it is text to search for, put it in quotes"
}

func nearestKey(name string) string {
	word, path, dotted := strings.Cut(strings.ToLower(name), ".")
	var names []string
	for _, k := range keys {
		for _, n := range []string{k.Name, k.Alias} {
			if n == "" || strings.HasSuffix(n, ".") != dotted {
				continue
			}
			names = append(names, strings.TrimSuffix(n, "."))
		}
	}
	near := spell.Nearest(word, names)
	switch {
	case near == "" || len(word) <= 2:
		return ""
	case dotted && path != "":
		return near + "." + path
	}
	return near
}
