package main

import (
	"slices"
	"strings"
	"unicode"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/pyrepr"
)

// words is what a message means to people.
type words struct {
	title    string // what kind of message it is
	subtitle string // what happened
	link     string // where to see more
	users    []string
	packages []string
}

// String is how fedmsg-tail --terse shows words: both blanks always.
func (w words) String() string { return w.title + " -- " + w.subtitle + " " + w.link }

// describe finds the words for a message, by the rules that fedmsg has built in:
// those for its own logger and announce commands, and none for the rest.
func describe(topic fedmsg.Topic, message pyrepr.Value) words {
	var w words
	// PREFIX is two words, and an environment is letters only.
	parts := strings.SplitN(string(topic), ".", 5)
	if len(parts) < 4 {
		return w
	}
	w.title = strings.Join(parts[3:], ".")
	if strings.ContainsFunc(parts[2], func(r rune) bool { return !unicode.IsLetter(r) }) {
		return w
	}
	body, _ := message.Get("msg")
	if name, ok := message.Get("username"); ok && (parts[3] == "logger" || parts[3] == "announce") {
		w.users = []string{name.Text()}
	}
	switch parts[3] {
	case "logger":
		w.subtitle = describeLog(topic, body, message)
	case "announce":
		if text, ok := body.Get("message"); ok {
			w.subtitle = text.Text()
		}
		if link, ok := body.Get("link"); ok && link.Text() != "None" {
			w.link = link.Text()
		}
	}
	return w
}

func describeLog(topic fedmsg.Topic, body, message pyrepr.Value) string {
	if !strings.Contains(string(topic), "logger.log") {
		return "<unhandled log message>"
	}
	user := "none"
	if name, ok := message.Get("username"); ok {
		user = name.Text()
	}
	text := "<custom JSON message>"
	if log, ok := body.Get("log"); ok {
		text = log.Text()
	}
	return text + " (" + user + ")"
}

// mentions reports whether a comma list names somebody, or something, of found.
// An empty list asks for nothing in particular.
func mentions(list string, found []string) bool {
	return list == "" || slices.ContainsFunc(strings.Split(list, ","), func(name string) bool {
		return slices.Contains(found, strings.TrimSpace(name))
	})
}
