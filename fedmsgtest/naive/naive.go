// Package naive is a second reading of queries: of everything that package fedmsg
// says of filters, as plain as can be, and slow. Matchers and archives, which are
// neither, are compared with it, by the messages and queries of a [Random]. What it
// says of words and values it says again: it uses nothing of what it is compared
// with.
package naive

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Passes reports whether a message that has these words passes a filter. Of what
// [fedmsg.DecodeHistory] takes and [fedmsg.Decode] does not it knows little.
func Passes(f fedmsg.Filter, e fedmsg.Entry, w fedmsg.Words) bool {
	return passes(f, e, func() fedmsg.Words { return w })
}

// Match is Passes with the words of a [Describer].
func Match(f fedmsg.Filter, e fedmsg.Entry) bool {
	return passes(f, e, func() fedmsg.Words { return Describer{}.Describe(context.Background(), e.Message) })
}

func passes(f fedmsg.Filter, e fedmsg.Entry, words func() fedmsg.Words) bool {
	switch f.Op {
	case fedmsg.All:
		for _, g := range f.Of {
			if !passes(g, e, words) {
				return false
			}
		}
		return true
	case fedmsg.Any:
		return slices.ContainsFunc(f.Of, func(g fedmsg.Filter) bool { return passes(g, e, words) })
	case fedmsg.Not:
		return !passes(f.Of[0], e, words)
	}
	return fulfils(f.Test, e, words)
}

func fulfils(t fedmsg.Test, e fedmsg.Entry, words func() fedmsg.Words) bool {
	m := e.Message
	switch t.Field {
	case fedmsg.TopicField:
		tail := fromFourth(m.Topic)
		return fedmsg.Pattern(t.Value).Match(m.Topic) || tail != "" && fedmsg.Pattern(t.Value).Match(tail)
	case fedmsg.IDField:
		return m.ID == t.Value
	case fedmsg.VerifiedField:
		kind, _, _ := strings.Cut(e.Verified, ":")
		return e.Verified == t.Value || kind == t.Value
	case fedmsg.TextField:
		if t.Relation == fedmsg.Phrase {
			return hasPhrase(m, t.Value)
		}
		have := textWords(m)
		for _, word := range textRuns(t.Value) {
			if isTextWord(word) && !slices.Contains(have, word) {
				return false
			}
		}
		return true
	case fedmsg.BodyField, fedmsg.HeaderField:
		return slices.ContainsFunc(valuesOf(m, t.Field, t.Path), func(v string) bool { return stands(v, t.Relation, t.Value) })
	}
	return slices.Contains(terms(t.Field, m, words()), t.Value)
}

// terms returns the values of a term field that a message has: of the agent
// and the category one, which may be empty, of users, packages and objects any
// number.
func terms(f fedmsg.Field, m *fedmsg.Message, w fedmsg.Words) []string {
	switch f {
	case fedmsg.TopicField:
		return []string{string(m.Topic)}
	case fedmsg.CategoryField:
		category, _, _ := strings.Cut(string(fromFourth(m.Topic)), ".")
		return []string{category}
	case fedmsg.AgentField:
		return []string{w.Agent}
	case fedmsg.UserField:
		return w.Usernames
	case fedmsg.PackageField:
		return w.Packages
	case fedmsg.ObjectField:
		return w.Objects
	}
	return nil
}

// fromFourth is a topic without PREFIX and ENV, three words, or empty.
func fromFourth(t fedmsg.Topic) fedmsg.Topic {
	words := strings.Split(string(t), ".")
	return fedmsg.Topic(strings.Join(words[min(3, len(words)):], "."))
}

// valuesOf returns the values at a dotted path of the body or the headers.
func valuesOf(m *fedmsg.Message, f fedmsg.Field, path string) []string {
	text := m.Body
	if f == fedmsg.HeaderField {
		text = m.Fields("headers")[0]
	}
	return valuesAt(parsed(text), strings.Split(path, "."))
}

// parsed reads JSON; numbers keep their spelling. What cannot be read is nil.
func parsed(text []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}

func valuesAt(v any, path []string) (found []string) {
	switch v := v.(type) {
	case map[string]any:
		for n := 1; n <= len(path); n++ { // a key may have dots itself
			found = append(found, valuesAt(v[strings.Join(path[:n], ".")], path[n:])...)
		}
	case []any:
		if len(path) > 0 {
			if i, err := strconv.Atoi(path[0]); err == nil {
				if i < 0 || i >= len(v) {
					return nil
				}
				return valuesAt(v[i], path[1:])
			}
		}
		for _, each := range v {
			found = append(found, valuesAt(each, path)...)
		}
	case nil:
	default:
		if len(path) == 0 {
			found = []string{fmt.Sprint(v)}
		}
	}
	return found
}

var (
	jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)
	textNumber = regexp.MustCompile(`^-?[0-9]{3,12}$`)
	longHex    = regexp.MustCompile(`^[0-9a-f]{16,}$`)
	unspaced   = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar}
)

// stands reports whether a value stands in a relation to what was asked for.
func stands(v string, r fedmsg.Relation, to string) bool {
	order := strings.Compare(v, to)
	if jsonNumber.MatchString(v) && jsonNumber.MatchString(to) && r != fedmsg.Equal {
		a, _ := strconv.ParseFloat(v, 64)
		b, _ := strconv.ParseFloat(to, 64)
		order = 0
		if a < b {
			order = -1
		} else if a > b {
			order = 1
		}
	}
	switch r {
	case fedmsg.Less:
		return order < 0
	case fedmsg.AtMost:
		return order <= 0
	case fedmsg.More:
		return order > 0
	case fedmsg.AtLeast:
		return order >= 0
	}
	return order == 0
}

// textWords returns the words that a message is found by, each as often as it
// occurs.
func textWords(m *fedmsg.Message) (words []string) {
	for _, text := range texts(m) {
		words = append(words, slices.DeleteFunc(textRuns(text), func(w string) bool { return !isTextWord(w) })...)
	}
	return words
}

// hasPhrase reports whether the runs of a phrase follow one another in a value.
func hasPhrase(m *fedmsg.Message, phrase string) bool {
	want := textRuns(phrase)
	if len(want) == 0 {
		return false
	}
	for _, text := range texts(m) {
		runs := textRuns(text)
		for i := 0; i+len(want) <= len(runs); i++ {
			if slices.Equal(runs[i:i+len(want)], want) {
				return true
			}
		}
	}
	return false
}

// texts returns what text search looks at: the topic, the strings in the body,
// and its whole numbers of 3 to 12 digits.
func texts(m *fedmsg.Message) []string {
	found := []string{string(m.Topic)}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, each := range v {
				walk(each)
			}
		case []any:
			for _, each := range v {
				walk(each)
			}
		case string:
			found = append(found, v)
		case json.Number:
			if textNumber.MatchString(v.String()) {
				found = append(found, v.String())
			}
		}
	}
	walk(parsed(m.Body))
	return found
}

// textRuns splits a text into runs of letters and digits with the marks upon them,
// in lower case; letters of scripts without spaces are runs of their own.
func textRuns(text string) (runs []string) {
	const none, open, alone = 0, 1, 2 // what the last letter was
	last := none
	for _, r := range strings.ToLower(text) {
		switch lone := unicode.IsLetter(r) && unicode.In(r, unspaced...); {
		case unicode.IsMark(r) && last != none, last == open && !lone && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			runs[len(runs)-1] += string(r)
		case lone:
			runs, last = append(runs, string(r)), alone
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			runs, last = append(runs, string(r)), open
		default:
			last = none
		}
	}
	return runs
}

func isTextWord(run string) bool {
	return len(run) >= 2 && len(run) <= 40 && !longHex.MatchString(run)
}

// Describer words messages by plain members of their bodies: agent is a text,
// users, packages and objects are lists of texts. So archives can be tested
// without rules.
type Describer struct{}

// Describe returns words that have no more than the four.
func (Describer) Describe(_ context.Context, m *fedmsg.Message) fedmsg.Words {
	var body struct {
		Agent                    string
		Users, Packages, Objects []string
	}
	_ = json.Unmarshal(m.Body, &body) // what is of another type stays empty
	sorted := func(texts []string) []string {
		slices.Sort(texts)
		return slices.Compact(texts)
	}
	return fedmsg.Words{Title: string(fromFourth(m.Topic)), Subtitle: "Something happened.", Agent: body.Agent,
		Usernames: sorted(body.Users), Packages: sorted(body.Packages), Objects: sorted(body.Objects)}
}
