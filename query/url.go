package query

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/spell"
)

// MaxLimit is the longest page that a URL may ask for.
const MaxLimit = 1000

// singles are the parameters that a URL has once, with their aliases.
var singles = []string{"q", "since", "after", "until", "before", "on", "order", "limit", "cursor"}

// Parameters returns the names of all parameters that [FromURL] reads.
func Parameters() []string {
	names := slices.Clone(singles)
	for _, k := range keys {
		if k.Field == "" || hasPath(k.Field) {
			continue
		}
		for _, name := range []string{k.Name, k.Alias} {
			if name != "" {
				names = append(names, name, "not_"+name)
			}
		}
	}
	return names
}

// FromURL makes a query of the parameters of a URL. They are those of
// [Parameters]: q is a line for [Parse], limit a number from 1 to [MaxLimit], cursor
// whatever a page gave; since, until, on and order are read as in a line. The others
// are keys of a line, with values as they are, without quotes. Each may be there several
// times: one of its values must hold, and of each parameter; none of the values of
// not_user and so on may.
//
// A parameter that is neither one of these nor among also is an error, lest a slip
// ask for everything. So is an empty one but for q and cursor. The error is an [Error]
// that names the parameter.
func FromURL(values url.Values, now time.Time, also ...string) (fedmsg.Query, error) {
	none := fedmsg.Query{}
	known := append(Parameters(), also...)
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names) // so that of several errors it is always the same
	for _, name := range names {
		if !slices.Contains(known, name) {
			return none, unknown(name, known)
		}
		if slices.Contains(singles, name) && len(values[name]) > 1 {
			return none, wholly(name, values[name][1], fault{text: fmt.Sprintf("is there %d times", len(values[name])), hint: "give it once"})
		}
	}
	w := whole{}
	var all []fedmsg.Filter
	if line := values.Get("q"); line != "" {
		q, err := Parse(line, now)
		if e, ok := errors.AsType[*Error](err); ok {
			e.Param = "q"
			return none, e
		}
		w = whole{q, q.OldestFirst}
		all = append(all, q.Filter)
	}
	for _, name := range names {
		if err := w.parameter(name, values[name][0], now); err != nil {
			return none, err
		}
	}
	for _, k := range keys {
		for _, not := range []string{"", "not_"} {
			f, err := list(values, k, not)
			if err != nil {
				return none, err
			}
			if not == "" && !isNone(f) {
				all = append(all, f)
			} else if !isNone(f) {
				all = append(all, fedmsg.Filter{Op: fedmsg.Not, Of: []fedmsg.Filter{f}})
			}
		}
	}
	w.query.Filter = normal(fedmsg.Filter{Of: all})
	if err := Check(w.query); err != nil {
		if e, ok := errors.AsType[*Error](err); ok {
			return none, &Error{Text: "all parameters together: " + e.Text, Hint: e.Hint}
		}
		return none, err
	}
	return w.query, nil
}

func unknown(name string, known []string) error {
	e := &Error{Param: name, Text: "there is no such parameter"}
	if near := spell.Nearest(name, known); near != "" {
		e.Hint = "did you mean " + near + "?"
	} else {
		e.Hint = "the parameters are " + strings.Join(known, ", ")
	}
	return e
}

// wholly makes an error of a parameter's value, or a part of it.
func wholly(name, value string, f fault) error {
	e := &Error{Param: name, Line: value, Len: len(value), Text: f.text, Hint: f.hint}
	if f.to > 0 {
		e.Pos, e.Len = f.from, f.to-f.from
	}
	return e
}

// plusEaten is a zone whose + became a space.
var plusEaten = regexp.MustCompile(` [0-9]{2}:?[0-9]{2}$`)

// parameter reads one of what holds for all of a query.
func (w *whole) parameter(name, value string, now time.Time) error {
	switch name {
	case "cursor":
		w.query.Cursor = value
		return nil
	case "limit":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > MaxLimit || value[0] == '+' {
			return wholly(name, value, fault{text: fmt.Sprintf("must be a number from 1 to %d", MaxLimit)})
		}
		w.query.Limit = n
		return nil
	case "since", "after", "until", "before", "on", "order":
	default:
		return nil
	}
	k, _ := keyNamed(name)
	if value == "" {
		return wholly(name, value, fault{text: "is empty", hint: "leave it out, or write for example " + k.Example[strings.Index(k.Example, ":")+1:]})
	}
	f := w.set(k.Name, value, now)
	if f.text == "" {
		return nil
	}
	if plusEaten.MatchString(value) {
		f.hint = "in a URL + is written %2B"
	}
	return wholly(name, value, f)
}

// list makes one condition of all values of a parameter; none of none.
func list(values url.Values, k Key, not string) (fedmsg.Filter, error) {
	any := fedmsg.Filter{Op: fedmsg.Any}
	if k.Field == "" || hasPath(k.Field) {
		return any, nil
	}
	for _, name := range []string{not + k.Name, not + k.Alias} {
		for _, value := range values[name] {
			f, wrong := fromValue(k, value)
			if wrong.text != "" {
				return any, wholly(name, value, wrong)
			}
			any.Of = append(any.Of, f)
		}
	}
	return any, nil
}

// fromValue makes a condition of one value. Text is words, or a phrase in quotes.
func fromValue(k Key, value string) (fedmsg.Filter, fault) {
	if value == "" {
		return fedmsg.Filter{}, fault{text: "is empty", hint: "leave it out, or write for example " + k.Example[len(k.Name)+1:]}
	}
	if k.Field != fedmsg.TextField {
		t := fedmsg.Test{Field: k.Field, Value: value}
		f := wrong(t)
		if f.text != "" && strings.Contains(value, ",") {
			f.hint = "for several values give the parameter several times"
		}
		return fedmsg.Filter{Op: fedmsg.Has, Test: t}, f
	}
	words, isQuoted := strings.Fields(value), false
	if inner, ok := strings.CutPrefix(value, `"`); ok && len(inner) > 1 && strings.HasSuffix(inner, `"`) {
		words, isQuoted = []string{strings.TrimSuffix(inner, `"`)}, true
	}
	all := fedmsg.Filter{}
	for _, word := range words {
		t := textTest(word, isQuoted)
		if f := wrong(t); f.text == "" {
			all.Of = append(all.Of, fedmsg.Filter{Op: fedmsg.Has, Test: t})
		} else if len(words) == 1 {
			return all, f
		}
	}
	if len(all.Of) == 0 {
		return all, wrong(textTest(value, true))
	}
	return all, fault{}
}
