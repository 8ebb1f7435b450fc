package query

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/body"
)

// maxPath is how many names a path may have.
const maxPath = 32

// A fault is what is wrong with a value, and in which part of it if to is not 0. No
// text is no fault.
type fault struct {
	text, hint string
	from, to   int
}

func hasPath(f fedmsg.Field) bool { return f == fedmsg.BodyField || f == fedmsg.HeaderField }

// textTest makes a test of what was typed. In quotes it is a phrase. So is what looks
// like one word and is more, or none that an index has: kernel-6.12, 4f2a…. A phrase
// that is one word is that word.
func textTest(value string, isQuoted bool) fedmsg.Test {
	if !isQuoted {
		value = strings.TrimSpace(value)
	}
	t := fedmsg.Test{Field: fedmsg.TextField, Relation: fedmsg.Phrase, Value: value}
	if runs, words := body.Runs(value), body.WordsIn(value); len(runs) == 1 && len(words) == 1 {
		t.Relation = fedmsg.Equal
		if strings.ToLower(value) != words[0] {
			t.Value = words[0] // with something around it
		}
	}
	return t
}

// wrong says what is wrong with a test.
func wrong(t fedmsg.Test) fault {
	k, known := keyOf(t.Field)
	switch {
	case !known:
		return fault{text: fmt.Sprintf("there is no field %q", t.Field)}
	case !utf8.ValidString(t.Value) || !utf8.ValidString(t.Path):
		return fault{text: "a byte that is not UTF-8"}
	case !hasPath(t.Field) && t.Path != "":
		return fault{text: k.Name + " has no path"}
	case t.Relation > fedmsg.Phrase,
		t.Relation == fedmsg.Phrase && t.Field != fedmsg.TextField,
		t.Relation != fedmsg.Phrase && t.Relation != fedmsg.Equal && !hasPath(t.Field):
		return fault{text: k.Name + " does not know this relation"}
	}
	switch t.Field {
	case fedmsg.BodyField, fedmsg.HeaderField:
		text, hint := wrongPath(t.Path)
		return fault{text: text, hint: hint}
	case fedmsg.TextField:
		if len(body.Runs(t.Value)) == 0 {
			return fault{text: "there is no letter and no digit to search for", hint: "only words are searched for, not the signs between them"}
		}
		return fault{}
	}
	switch {
	case t.Value == "" && (t.Field == fedmsg.AgentField || t.Field == fedmsg.CategoryField):
		return fault{} // that there is none
	case t.Value == "":
		return fault{text: "a value for " + k.Name + " is missing", hint: "write " + k.Example}
	case t.Field == fedmsg.TopicField:
		return wrongPattern(t.Value)
	case t.Field == fedmsg.CategoryField:
		if i := strings.IndexFunc(t.Value, isNoTopic); i >= 0 {
			return fault{"a category is one word of a topic: letters, digits, _ and -", "a pattern of a whole topic is written topic:git.*", i, i + runeLen(t.Value[i:])}
		}
	}
	return fault{}
}

func isNoTopic(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-')
}

func runeLen(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	return n
}

func wrongPath(path string) (text, hint string) {
	switch {
	case path == "":
		return "a path is missing: where the value is", "write body.build_id:123"
	case strings.Count(path, ".") >= maxPath:
		return fmt.Sprintf("the path has more than %d names", maxPath), ""
	}
	return "", ""
}

// wrongPattern says where a pattern goes wrong; that it does is the pattern's to say.
func wrongPattern(pattern string) fault {
	err := fedmsg.Pattern(pattern).Validate()
	if err == nil {
		return fault{}
	}
	f := fault{text: err.Error(), hint: "* stands for one word, # for any number of them: topic:git.*, topic:*.build.#"}
	if r, ok := errors.AsType[*fedmsg.Refusal](err); ok {
		f.text = r.Detail
	}
	at := 0
	for word := range strings.SplitSeq(pattern, ".") {
		isWild := word == "*" || word == "#" || word == ">" && at+1 == len(pattern)
		if bad := strings.IndexFunc(word, isNoTopic); bad >= 0 && !isWild {
			f.from, f.to = at, at+len(word)
			return f
		}
		if word == "" {
			f.from, f.to = max(at-1, 0), min(max(at, 1), len(pattern)) // the dot before it
			return f
		}
		at += len(word) + 1
	}
	return f
}

// whole is what holds for all of a query: times and order.
type whole struct {
	query   fedmsg.Query
	ordered bool
}

// set reads a condition on the whole query, by the name of its key. Of several times
// the narrowest count.
func (w *whole) set(name, value string, now time.Time) fault {
	if name == "order" {
		return w.order(value)
	}
	from, to, ok := span(value, now)
	switch {
	case !ok && name == "on":
		return fault{text: fmt.Sprintf("%q is no day", value), hint: onHint}
	case !ok:
		return fault{text: fmt.Sprintf("%q is no time from 1970 to 9999", value), hint: whenHint}
	case name == "on" && to.IsZero():
		return fault{text: fmt.Sprintf("%q is a moment, not a day", value), hint: onHint}
	}
	q := &w.query
	if (name == "after" || name == "on") && from.After(q.Since) {
		q.Since = from
	}
	if name == "on" {
		from = ceil(to.UTC())
		if from.After(latest) {
			from = latest
		}
	}
	if name != "after" && (q.Until.IsZero() || from.Before(q.Until)) {
		q.Until = from
	}
	return wrongTimes(*q)
}

func wrongTimes(q fedmsg.Query) fault {
	if !q.Until.IsZero() && q.Since.After(q.Until) {
		return fault{text: fmt.Sprintf("no time is both after %s and before %s", formatTime(q.Since), formatTime(q.Until))}
	}
	return fault{}
}

func (w *whole) order(value string) fault {
	oldest := value == "oldest" || value == "asc"
	switch {
	case !oldest && value != "newest" && value != "desc":
		return fault{text: fmt.Sprintf("there is no order %q", value), hint: "write newest or oldest, which comes first"}
	case w.ordered && oldest != w.query.OldestFirst:
		return fault{text: "there is another order already", hint: "leave one of them out"}
	}
	w.ordered, w.query.OldestFirst = true, oldest
	return fault{}
}

// Check returns an [Error] unless a query that was made by hand is one that a line
// can say: known fields, relations and values, and no more than the limits. Of a
// query from [Parse] or [FromURL] it is nil.
func Check(q fedmsg.Query) error {
	if text := wrongFilter(q.Filter, 0); text != "" {
		return &Error{Text: text}
	}
	for _, t := range []time.Time{q.Since, q.Until} {
		if !t.IsZero() && (t.Before(earliest) || t.After(latest)) {
			return &Error{Text: "a time is not from 1970 to 9999"}
		}
	}
	_, err := Parse(String(q), time.Time{})
	return err
}

// maxTree is how deep a tree is looked at; in normal form it is much less.
const maxTree = 1000

func wrongFilter(f fedmsg.Filter, depth int) string {
	switch {
	case depth > maxTree:
		return "the filter nests too deep"
	case f.Op == fedmsg.Has && len(f.Of) > 0:
		return "a test with branches"
	case f.Op == fedmsg.Has:
		return wrong(f.Test).text
	case f.Op > fedmsg.Has:
		return "an unknown operation"
	case f.Op == fedmsg.Not && len(f.Of) != 1:
		return "a Not that has not one branch"
	}
	for _, branch := range f.Of {
		if text := wrongFilter(branch, depth+1); text != "" {
			return text
		}
	}
	return ""
}

// Within reports whether a time is in a query's bounds; it counts to the millisecond,
// as all that reads a query holds it.
func Within(q fedmsg.Query, t time.Time) bool {
	t = t.Truncate(time.Millisecond)
	return (q.Since.IsZero() || !t.Before(q.Since)) && (q.Until.IsZero() || t.Before(q.Until))
}

// sameKey reports whether filters are tests that differ in value and relation alone,
// so that they can stand in one list.
func sameKey(tests []fedmsg.Filter) bool {
	return !slices.ContainsFunc(tests, func(f fedmsg.Filter) bool {
		return f.Op != fedmsg.Has || f.Test.Field != tests[0].Test.Field || f.Test.Path != tests[0].Test.Path
	})
}
