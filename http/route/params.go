package route

import (
	"fmt"
	"maps"
	nethttp "net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/internal/spell"
	"github.com/fedora-infra/fedmsg-go/query"
)

// A Kind says what the value of a parameter may be.
type Kind uint8

// The kinds.
const (
	Text    Kind = iota // anything
	Whole               // a whole number from Low to High
	Choice              // one of some words
	Choices             // several of them, with commas between, or as several parameters
	Columns             // the same, and body. and header. with a path behind it
)

// A Param is a parameter of a route, beside those of package query.
type Param struct {
	Name      string
	Kind      Kind
	Of        []string // the words
	Low, High int
	Preset    string // what holds if it is not there
	About     string
}

// Request is what a request asks for.
type Request struct {
	*nethttp.Request
	// Query is what the parameters of package query ask for.
	Query fedmsg.Query
	// Now is the time that so long ago counts from.
	Now time.Time

	route  *Route
	values url.Values // of the route's own parameters, checked
}

// read reads the parameters of a route. The error is a refusal or a [query.Error],
// which names one of them.
func (s *Set) read(rt *Route, r *nethttp.Request) (*Request, error) {
	values, err := http.Parameters(r)
	if err != nil {
		return nil, err
	}
	req := &Request{Request: r, route: rt, values: make(url.Values), Now: s.Now()}
	known := rt.Names()
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names) // so that of several errors it is always the same
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, unknown(name, known)
		}
		i := slices.IndexFunc(rt.Params, func(p Param) bool { return p.Name == name })
		if i < 0 {
			continue
		}
		if req.values[name], err = rt.Params[i].read(values[name]); err != nil {
			return nil, err
		}
		delete(values, name)
	}
	if rt.Asks {
		if req.Query, err = query.FromURL(values, req.Now); err != nil {
			return nil, err
		}
	}
	return req, nil
}

func unknown(name string, known []string) error {
	hint := "this path takes no parameters"
	if near := spell.Nearest(name, known); near != "" {
		hint = "did you mean " + near + "?"
	} else if len(known) > 0 {
		hint = "the parameters are " + strings.Join(known, ", ")
	}
	return &query.Error{Param: name, Text: "there is no such parameter", Hint: hint}
}

// Wrong says what is wrong with the value of a parameter.
func Wrong(name, value, hint, format string, args ...any) error {
	return &query.Error{Param: name, Line: value, Len: len(value), Text: fmt.Sprintf(format, args...), Hint: hint}
}

// read checks the values of a parameter, and parts lists.
func (p Param) read(values []string) ([]string, error) {
	isList := p.Kind == Choices || p.Kind == Columns
	if len(values) > 1 && !isList {
		return nil, Wrong(p.Name, values[1], "give it once", "is there %d times", len(values))
	}
	if isList {
		var list []string
		for _, value := range values {
			for one := range strings.SplitSeq(value, ",") {
				if !slices.Contains(list, one) {
					list = append(list, one)
				}
			}
		}
		values = list
	}
	for _, value := range values {
		if err := p.check(value); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func (p Param) check(value string) error {
	switch p.Kind {
	case Text:
		return nil
	case Whole:
		if n, err := strconv.Atoi(value); err != nil || n < p.Low || n > p.High || value[0] == '+' {
			return Wrong(p.Name, value, "", "must be a whole number from %d to %d", p.Low, p.High)
		}
		return nil
	case Columns:
		if path, ok := ColumnPath(value); ok && path != "" && len(value) <= maxPath {
			return nil
		}
	}
	if slices.Contains(p.Of, value) {
		return nil
	}
	hint := "it is one of " + strings.Join(p.Of, ", ")
	if p.Kind == Columns {
		hint += ", and body. or header. with a path behind it"
	}
	if near := spell.Nearest(value, p.Of); near != "" && value != "" {
		hint = "did you mean " + near + "?"
	}
	if value == "" {
		return Wrong(p.Name, value, hint, "is empty")
	}
	return Wrong(p.Name, value, hint, "%q is not known here", clip(value))
}

// maxPath is how long the path of a column may be, in bytes.
const maxPath = 256

// ColumnPath returns the path of a column body.PATH or header.PATH.
func ColumnPath(column string) (path string, ok bool) {
	for _, prefix := range []string{"body.", "header."} {
		if path, ok := strings.CutPrefix(column, prefix); ok {
			return path, true
		}
	}
	return "", false
}

// clip shortens what a peer sent, for an error.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 64)], "?") }

// Text returns a parameter, or what holds if it is not there.
func (r *Request) Text(name string) string {
	if list := r.values[name]; len(list) > 0 {
		return list[0]
	}
	i := slices.IndexFunc(r.route.Params, func(p Param) bool { return p.Name == name })
	if i < 0 {
		return ""
	}
	return r.route.Params[i].Preset
}

// Number returns a parameter that is a whole number.
func (r *Request) Number(name string) int {
	n, _ := strconv.Atoi(r.Text(name)) // checked
	return n
}

// List returns a parameter that is a list; nil if it is not there and has no preset.
func (r *Request) List(name string) []string {
	if list := r.values[name]; len(list) > 0 {
		return list
	}
	if preset := r.Text(name); preset != "" {
		return strings.Split(preset, ",")
	}
	return nil
}

// Given returns the route's own parameters as they came, for links.
func (r *Request) Given() url.Values { return maps.Clone(r.values) }
