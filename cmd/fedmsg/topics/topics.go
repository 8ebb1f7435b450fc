// Package topics says by their topics which messages fedmsg tail shows, with the flags
// that fedmsg-tail had.
package topics

import (
	"fmt"
	"slices"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/pyregexp"
)

// A Filter says which topics are shown. [New] makes one.
type Filter struct {
	prefixes []string
	exclude  pyregexp.Expr
	include  pyregexp.Expr
}

// Match reports whether a topic passes, in fedmsg-tail's order.
func (f *Filter) Match(topic fedmsg.Topic) bool {
	t := string(topic)
	under := func(prefix string) bool { return strings.HasPrefix(t, prefix) }
	return (len(f.prefixes) == 0 || slices.ContainsFunc(f.prefixes, under)) && !f.exclude.Match(t) && f.include.Match(t)
}

// New makes a filter of the values of the flags: prefixes, and regular expressions for
// what is left out and what is shown.
func New(prefixes []string, exclude, include string) (f Filter, err error) {
	for _, p := range prefixes {
		// ZeroMQ knows no wildcards: a star matched nothing at all. Whoever wrote one
		// at the end meant the prefix.
		f.prefixes = append(f.prefixes, strings.TrimRight(p, "*#>"))
	}
	if f.exclude, err = compile(exclude); err != nil {
		return f, fmt.Errorf("--exclude: %w", err)
	}
	if f.include, err = compile(include); err != nil {
		return f, fmt.Errorf("--include: %w", err)
	}
	return f, nil
}

// Ask returns patterns that ask the bus for all that can pass, and perhaps more.
func (f *Filter) Ask() []fedmsg.Pattern {
	var patterns []fedmsg.Pattern
	for _, prefix := range f.prefixes {
		// The last word may go on: all that is sure are the words before it.
		words := "#"
		if dot := strings.LastIndexByte(prefix, '.'); dot >= 0 {
			words = prefix[:dot] + ".#"
		}
		if p := fedmsg.Pattern(words); p != "#" && p.Validate() == nil {
			patterns = append(patterns, p)
		} else {
			return nil
		}
	}
	return patterns
}

// compile reads a regular expression that was given to a flag.
func compile(expr string) (pyregexp.Expr, error) {
	e, err := pyregexp.Compile(expr)
	if err != nil {
		err = &fedmsg.HintError{Err: err, Hint: "the syntax is that of https://pkg.go.dev/regexp/syntax; to leave out what matches X, write --exclude X"}
	}
	return e, err
}
