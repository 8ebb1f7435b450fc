package grepper

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// A rower appends a message in one of the two shapes, with words for people if meta
// names some.
type rower func(ctx context.Context, dst []byte, e fedmsg.Entry, now time.Time, meta []string) []byte

// appendText appends a string as JSON.
func appendText(dst []byte, s string) []byte {
	if isPlain(s) {
		return append(append(append(dst, '"'), s...), '"')
	}
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // cannot be: a string
	}
	return append(dst, text...)
}

// isPlain reports whether there is nothing in a string that JSON, or a page that has it
// in a script, wants escaped.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

// appendOptional appends a string, or null for none.
func appendOptional(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return appendText(dst, s)
}

// appendTexts appends a list of strings.
func appendTexts(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(dst, s)
	}
	return append(dst, ']')
}

// member appends the name of the next member of an object.
func member(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(appendText(dst, name), ':')
}

// kept returns the JSON text of a field if it begins as it should, else what stands
// for it.
func kept(field json.RawMessage, begins, otherwise string) []byte {
	text := bytes.TrimSpace(field)
	if len(text) == 0 || !strings.ContainsRune(begins, rune(text[0])) {
		return []byte(otherwise)
	}
	return plainJSON(text)
}

// plainJSON returns JSON that every reader takes: Python's NaN and Infinity, which
// old messages have, become null.
func plainJSON(text []byte) []byte {
	if json.Valid(text) {
		return text
	}
	plain, inside := make([]byte, 0, len(text)), false
	for i := 0; i < len(text); i++ {
		switch {
		case inside && text[i] == '\\' && i+1 < len(text):
			plain = append(plain, text[i])
			i++
		case text[i] == '"':
			inside = !inside
		case !inside:
			if word := notNumber(text[i:]); word != "" {
				plain = append(plain, "null"...)
				i += len(word) - 1
				continue
			}
		}
		plain = append(plain, text[i])
	}
	if !json.Valid(plain) {
		return []byte("null")
	}
	return plain
}

// notNumber returns the word that a text begins with if it is one of Python's numbers
// that are none in JSON.
func notNumber(text []byte) string {
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(text, []byte(word)) {
			return word
		}
	}
	return ""
}

// rawRow appends a message in the shape of fedmsg, as /raw has it.
func (g *Grepper) rawRow(ctx context.Context, dst []byte, e fedmsg.Entry, now time.Time, meta []string) []byte {
	m, words := e.Message, g.cfg.Describer.Describe(ctx, e.Message)
	f := m.Fields("i", "certificate", "signature", "crypto", "headers")
	user := m.User
	if user == "" {
		user = words.Agent
	}
	dst = append(dst, `{"i":`...)
	dst = append(dst, kept(f[0], "0123456789", "0")...)
	dst = appendText(member(dst, "msg_id"), m.ID)
	dst = appendText(member(dst, "topic"), string(m.Topic))
	dst = appendTime(member(dst, "timestamp"), m.Time)
	dst = append(member(dst, "certificate"), kept(f[1], `"`, "null")...)
	dst = append(member(dst, "signature"), kept(f[2], `"`, "null")...)
	dst = appendOptional(member(dst, "agent_name"), words.Agent)
	dst = appendOptional(member(dst, "username"), user)
	dst = append(member(dst, "crypto"), kept(f[3], `"`, "null")...)
	dst = append(member(dst, "msg"), kept(m.Body, "{", "{}")...)
	dst = append(member(dst, "headers"), kept(f[4], "{", "{}")...)
	dst = appendText(member(dst, "source_name"), "fedmsg")
	dst = appendText(member(dst, "source_version"), g.cfg.Version)
	dst = appendTexts(member(dst, "users"), words.Usernames)
	dst = appendTexts(member(dst, "packages"), words.Packages)
	return append(appendMeta(dst, words, m.Time, now, meta), '}')
}

// appendTime appends seconds since 1970; a message without a time has 0.
func appendTime(dst []byte, t time.Time) []byte {
	s := asSeconds(t)
	if t.IsZero() {
		s = 0
	}
	text, err := s.MarshalJSON()
	if err != nil {
		panic(err) // cannot be
	}
	return append(dst, text...)
}

// messagingRow appends a message in the shape of fedora-messaging, as /v2/search has
// it. Its time is in its headers alone.
func (g *Grepper) messagingRow(ctx context.Context, dst []byte, e fedmsg.Entry, now time.Time, meta []string) []byte {
	m := e.Message
	headers, priority := messagingHeaders(m)
	dst = append(dst, `{"body":`...)
	dst = append(dst, kept(m.Body, "{", "{}")...)
	dst = append(member(dst, "headers"), headers...)
	dst = appendText(member(dst, "id"), m.ID)
	dst = append(member(dst, "priority"), priority...)
	dst = append(member(dst, "queue"), "null"...)
	dst = appendText(member(dst, "topic"), string(m.Topic))
	if len(meta) > 0 {
		dst = appendMeta(dst, g.cfg.Describer.Describe(ctx, m), m.Time, now, meta)
	}
	return append(dst, '}')
}

// messagingHeaders returns the headers of a message with its time among them, and its
// priority.
func messagingHeaders(m *fedmsg.Message) (headers, priority []byte) {
	headers, priority = []byte{'{'}, []byte{'0'}
	text := kept(m.Fields("headers")[0], "{", "{}")
	own, err := fedmsg.DecodeObject(text)
	if err != nil {
		own = nil // cannot be: it is JSON and begins with a brace
	}
	timed := false
	for _, h := range own {
		headers = append(member(headers, h.Name), h.JSON...)
		timed = timed || h.Name == "sent-at"
		if h.Name == "priority" {
			priority = kept(h.JSON, "0123456789", "0")
		}
	}
	if !timed && !m.Time.IsZero() {
		headers = appendText(member(headers, "sent-at"), isoTime(m.Time))
	}
	return append(headers, '}'), priority
}

// isoTime spells a time as Python's isoformat: with a fraction only if there is one.
func isoTime(t time.Time) string {
	if t = t.UTC(); t.Nanosecond()/1000 == 0 {
		return t.Format("2006-01-02T15:04:05+00:00")
	}
	return t.Format("2006-01-02T15:04:05.000000+00:00")
}

// metaFields are what meta may name: as fedora-messaging calls it, and as fedmsg did.
var metaFields = []string{"summary", "text", "url", "app_icon", "agent_avatar", "usernames", "packages", "containers", "modules", "flatpaks", "date",
	"title", "subtitle", "icon", "secondary_icon", "link", "objects", "agent", "long_form"}

// readMeta reads the words that are wanted: a parameter for each, or several with
// commas between.
func (p params) readMeta() ([]string, error) {
	meta := []string{}
	for _, list := range p["meta"] {
		for name := range strings.SplitSeq(list, ",") {
			if !slices.Contains(metaFields, name) {
				return nil, refuse("meta", "must be one of %q, is %q", metaFields, clip(name))
			}
			if !slices.Contains(meta, name) {
				meta = append(meta, name)
			}
		}
	}
	return meta, nil
}

// appendMeta appends the words that are wanted to an object, if any are.
func appendMeta(dst []byte, w fedmsg.Words, at, now time.Time, meta []string) []byte {
	if len(meta) == 0 {
		return dst
	}
	dst = append(member(dst, "meta"), '{')
	for _, name := range meta {
		dst = member(dst, name)
		switch name {
		case "summary", "subtitle":
			dst = appendText(dst, w.Subtitle)
		case "text", "long_form":
			dst = appendText(dst, w.LongForm)
		case "title":
			dst = appendText(dst, w.Title)
		case "url":
			dst = appendOptional(dst, w.Link)
		case "link":
			dst = appendText(dst, w.Link)
		case "app_icon", "icon":
			dst = appendOptional(dst, w.Icon)
		case "agent_avatar":
			dst = appendOptional(dst, w.Avatars[w.Agent])
		case "secondary_icon":
			dst = appendOptional(dst, w.SecondaryIcon)
		case "agent":
			dst = appendOptional(dst, w.Agent)
		case "usernames":
			dst = appendTexts(dst, w.Usernames)
		case "packages":
			dst = appendTexts(dst, w.Packages)
		case "objects":
			dst = appendTexts(dst, w.Objects)
		case "containers", "modules", "flatpaks":
			dst = appendTexts(dst, below(w.Objects, name))
		case "date":
			dst = appendText(dst, ago(now.Sub(at)))
		}
	}
	return append(dst, '}')
}

// below returns the objects of a kind, without the kind.
func below(objects []string, kind string) (found []string) {
	for _, o := range objects {
		if name, ok := strings.CutPrefix(o, kind+"/"); ok {
			found = append(found, name)
		}
	}
	return found
}

// ago says how long ago something was, in words.
func ago(d time.Duration) string {
	text := "%s ago"
	if d < 0 {
		text, d = "in %s", -d
	}
	if d < 10*time.Second {
		return "just now"
	}
	const day = 24 * time.Hour
	for _, unit := range []struct {
		size, from time.Duration
		one, many  string
	}{
		{365 * day, 345 * day, "a year", "years"}, {30 * day, 26 * day, "a month", "months"}, {7 * day, 7 * day, "a week", "weeks"},
		{day, 22 * time.Hour, "a day", "days"}, {time.Hour, 45 * time.Minute, "an hour", "hours"}, {time.Minute, 45 * time.Second, "a minute", "minutes"},
	} {
		if d >= unit.from {
			if n := (d + unit.size/4) / unit.size; n > 1 {
				return fmt.Sprintf(text, strconv.Itoa(int(n))+" "+unit.many)
			}
			return fmt.Sprintf(text, unit.one)
		}
	}
	return fmt.Sprintf(text, strconv.Itoa(int(d.Seconds()))+" seconds")
}
