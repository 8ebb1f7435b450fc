package grepper

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/internal/body"
	"github.com/fedora-infra/fedmsg-go/query"
)

// params are the parameters of a request. Of one that is there several times and is
// no list, the first counts, as in datagrepper.
type params url.Values

// Limits of parameters.
const (
	maxValues   = 64   // of one list
	maxValue    = 255  // bytes; no topic is longer
	maxContains = 1024 // bytes
	maxTitle    = 200  // bytes
	maxRows     = 100
	defaultRows = 25
	// maxPage is far beyond any archive, and a page times its rows is still a number.
	maxPage = 10_000_000
)

func (p params) has(name string) bool { return len(p[name]) > 0 }

func (p params) one(name string) string {
	if !p.has(name) {
		return ""
	}
	return p[name][0]
}

// refuse says what is wrong with a parameter.
func refuse(name, format string, args ...any) error {
	return fedmsg.RefuseField(http.BadQuery, name, "parameter %q "+format, append([]any{name}, args...)...)
}

// clip shortens what a peer sent, for an error.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 64)], "?") }

func (p params) number(name string, otherwise, low, high int) (int, error) {
	if !p.has(name) {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(p.one(name), 10, 64)
	if err != nil || n < int64(low) || n > int64(high) {
		return 0, refuse(name, "must be a whole number from %d to %d, is %q", low, high, clip(p.one(name)))
	}
	return int(n), nil
}

// choice reads one of several words, of which the first is the default.
func (p params) choice(name string, words ...string) (string, error) {
	if !p.has(name) {
		return words[0], nil
	}
	if !slices.Contains(words, p.one(name)) {
		return "", refuse(name, "must be one of %q, is %q", words, clip(p.one(name)))
	}
	return p.one(name), nil
}

// truth reads yes or no, as Python's programs spell them.
func (p params) truth(name string, otherwise bool) (bool, error) {
	if !p.has(name) {
		return otherwise, nil
	}
	switch strings.ToLower(p.one(name)) {
	case "true", "yes", "on", "y", "t", "1":
		return true, nil
	case "false", "no", "off", "n", "f", "0":
		return false, nil
	}
	return false, refuse(name, "must be true or false, is %q", clip(p.one(name)))
}

// text reads something for people to read.
func (p params) text(name string) (string, error) {
	s := p.one(name)
	if len(s) > maxTitle || !utf8.ValidString(s) {
		return "", refuse(name, "must be at most %d bytes of UTF-8", maxTitle)
	}
	return s, nil
}

func (p params) list(name string, longest int) ([]string, error) {
	if len(p[name]) > maxValues {
		return nil, refuse(name, "is there %d times, at most %d are allowed", len(p[name]), maxValues)
	}
	for _, value := range p[name] {
		switch {
		case value == "":
			return nil, refuse(name, "is empty: leave it out")
		case len(value) > longest:
			return nil, refuse(name, "has %d bytes, at most %d are allowed", len(value), longest)
		case !utf8.ValidString(value):
			return nil, refuse(name, "is not UTF-8")
		}
	}
	return append([]string{}, p[name]...), nil // never nil: it is [] in JSON
}

// callbacks are names of functions, with dots: nothing that could be more.
var callbacks = regexp.MustCompile(`^[A-Za-z_$][\w$.]{0,63}$`)

func (p params) callback() (string, error) {
	if !p.has("callback") {
		return "", nil
	}
	if !callbacks.MatchString(p.one("callback")) {
		return "", refuse("callback", "must be the name of a function, of at most 64 letters, digits, _, $ and dots")
	}
	return p.one("callback"), nil
}

// looks checks what is about the look of pages, and returns whether a page is to have
// a frame.
func (p params) looks() (chrome bool, err error) {
	for _, c := range [][]string{{"size", "large", "small", "medium", "extra-large"}, {"chrome", "true", "false"}, {"is_raw", "false", "true"}} {
		if _, err := p.choice(c[0], c[1:]...); err != nil {
			return false, err
		}
	}
	return p.one("chrome") != "false", nil
}

// arguments are what a search says that it was asked for. Parameters have names in
// the singular, arguments in the plural, in datagrepper too.
type arguments struct {
	window
	Users         []string `json:"users"`
	Packages      []string `json:"packages"`
	Categories    []string `json:"categories"`
	Topics        []string `json:"topics"`
	Agents        []string `json:"agents"`
	Contains      []string `json:"contains"`
	NotUsers      []string `json:"not_users"`
	NotPackages   []string `json:"not_packages"`
	NotCategories []string `json:"not_categories"`
	NotTopics     []string `json:"not_topics"`
	NotAgents     []string `json:"not_agents"`
	Page          int      `json:"page"`
	RowsPerPage   int      `json:"rows_per_page"`
	Order         string   `json:"order"`
	Meta          []string `json:"meta"`
}

// A wish is one list of a search: values of which one must hold, or none may.
type wish struct {
	param  string
	field  fedmsg.Field
	values *[]string
	not    bool
}

func (a *arguments) wishes() []wish {
	return []wish{
		{"user", fedmsg.UserField, &a.Users, false},
		{"package", fedmsg.PackageField, &a.Packages, false},
		{"category", fedmsg.CategoryField, &a.Categories, false},
		{"topic", fedmsg.TopicField, &a.Topics, false},
		{"agent", fedmsg.AgentField, &a.Agents, false},
		{"contains", fedmsg.TextField, &a.Contains, false},
		{"not_user", fedmsg.UserField, &a.NotUsers, true},
		{"not_package", fedmsg.PackageField, &a.NotPackages, true},
		{"not_category", fedmsg.CategoryField, &a.NotCategories, true},
		{"not_topic", fedmsg.TopicField, &a.NotTopics, true},
		{"not_agent", fedmsg.AgentField, &a.NotAgents, true},
	}
}

// readLists reads what a message must be.
func (a *arguments) readLists(p params) (err error) {
	for _, w := range a.wishes() {
		longest := maxValue
		if w.field == fedmsg.TextField {
			longest = maxContains
		}
		if *w.values, err = p.list(w.param, longest); err != nil {
			return err
		}
	}
	return nil
}

// readPage reads which part of the answer is wanted.
func (a *arguments) readPage(p params) (err error) {
	if a.Page, err = p.number("page", 1, 1, maxPage); err != nil {
		return err
	}
	if a.RowsPerPage, err = p.number("rows_per_page", defaultRows, 1, maxRows); err != nil {
		return err
	}
	a.Order, err = p.choice("order", "desc", "asc")
	return err
}

// query makes the query: lists go together by and, what is in one by or.
func (a *arguments) query() (fedmsg.Query, error) {
	all := fedmsg.Filter{}
	for _, w := range a.wishes() {
		any := fedmsg.Filter{Op: fedmsg.Any}
		for _, value := range *w.values {
			if f := condition(w.field, value); f.Op == fedmsg.Has {
				any.Of = append(any.Of, f)
			}
		}
		switch {
		case len(*w.values) == 0:
		case w.not:
			all.Of = append(all.Of, fedmsg.Filter{Op: fedmsg.Not, Of: []fedmsg.Filter{any}})
		default:
			all.Of = append(all.Of, any) // of none: nothing passes
		}
	}
	q := fedmsg.Query{Filter: all, OldestFirst: a.Order == "asc"}
	a.bound(&q)
	return q, query.Check(q)
}

// condition is the test for one value; Any of none if no message can pass it.
func condition(field fedmsg.Field, value string) fedmsg.Filter {
	none := fedmsg.Filter{Op: fedmsg.Any}
	test := fedmsg.Test{Field: field, Value: value}
	switch field {
	case fedmsg.TopicField:
		if fedmsg.Pattern(value).Validate() != nil {
			return none
		}
	case fedmsg.CategoryField:
		if strings.Contains(value, ".") || fedmsg.Topic("x."+value).Validate() != nil {
			return none
		}
	case fedmsg.TextField:
		runs, words := body.Runs(value), body.WordsIn(value)
		switch {
		case len(runs) == 0:
			return none
		case len(runs) == 1 && len(words) == 1:
			test.Value = words[0]
		default:
			test.Relation = fedmsg.Phrase
		}
	}
	return fedmsg.Filter{Op: fedmsg.Has, Test: test}
}
