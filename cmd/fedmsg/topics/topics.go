// Package topics says by their topics which messages fedmsg tail shows, with the flags
// that fedmsg-tail had.
package topics

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// A Filter says which topics are shown. [New] makes one.
type Filter struct {
	prefixes []string
	exclude  topicExpr
	include  topicExpr
}

// Match reports whether a topic passes, in fedmsg-tail's order.
func (f *Filter) Match(topic fedmsg.Topic) bool {
	t := string(topic)
	under := func(prefix string) bool { return strings.HasPrefix(t, prefix) }
	return (len(f.prefixes) == 0 || slices.ContainsFunc(f.prefixes, under)) && !f.exclude.match(t) && f.include.match(t)
}

// New makes a filter of the values of the flags: prefixes, and regular expressions for
// what is left out and what is shown.
func New(prefixes []string, exclude, include string) (f Filter, err error) {
	for _, p := range prefixes {
		// ZeroMQ knows no wildcards: a star matched nothing at all. Whoever wrote one
		// at the end meant the prefix.
		f.prefixes = append(f.prefixes, strings.TrimRight(p, "*#>"))
	}
	if f.exclude, err = compileTopicExpr(exclude); err != nil {
		return f, fmt.Errorf("--exclude: %w", err)
	}
	if f.include, err = compileTopicExpr(include); err != nil {
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

// A topicExpr is a regular expression that is searched for in topics.
type topicExpr struct {
	re  *regexp.Regexp
	not bool // of re
}

func (e topicExpr) match(topic string) bool { return e.re.MatchString(topic) != e.not }

// withoutWord is how Python programmers say "does not contain": the default of
// fedmsg-tail, and in many configurations.
var withoutWord = regexp.MustCompile(`^\^\((?:\?:)?\(\?!(.+)\)\.\)\*\$?$`)

// compileTopicExpr reads a regular expression in Python's syntax. Go's engine
// takes linear time whatever the topic; the price is that it has no look-around
// and no back-references, of which only the common idiom is translated.
func compileTopicExpr(expr string) (topicExpr, error) {
	e := topicExpr{}
	inner := expr
	if m := withoutWord.FindStringSubmatch(expr); m != nil {
		e.not, inner = true, m[1]
	}
	re, err := regexp.Compile(strings.ReplaceAll(inner, `\Z`, `\z`))
	if err == nil {
		e.re = re
		return e, nil
	}
	at, what := findFault(expr, err)
	return e, &fedmsg.HintError{
		Err:  fmt.Errorf("%q, character %d: %s", expr, at+1, what),
		Hint: "the syntax is that of https://pkg.go.dev/regexp/syntax; to leave out what matches X, write --exclude X",
	}
}

// findFault finds where an expression is wrong, and how.
func findFault(expr string, err error) (at int, what string) {
	var wrong *syntax.Error
	if !errors.As(err, &wrong) {
		return 0, err.Error()
	}
	for _, only := range []struct{ text, what string }{
		{"(?=", "look-ahead is not supported"}, {"(?!", "look-ahead is not supported"},
		{"(?<=", "look-behind is not supported"}, {"(?<!", "look-behind is not supported"},
		{"(?P=", "references to groups are not supported"}, {"(?(", "conditions are not supported"},
	} {
		if at := strings.Index(expr, only.text); at >= 0 {
			return at, fmt.Sprintf("%q: %s", only.text, only.what)
		}
	}
	if wrong.Code == syntax.ErrMissingParen {
		at = max(0, unclosed(expr))
	} else {
		at = max(0, strings.Index(expr, wrong.Expr))
	}
	return at, fmt.Sprintf("%q: %s", expr[at:], wrong.Code)
}

// unclosed finds the last "(" that nothing closes; -1 if there is none.
func unclosed(expr string) int {
	var open []int
	for i := 0; i < len(expr); i++ {
		switch expr[i] {
		case '\\':
			i++
		case '(':
			open = append(open, i)
		case ')':
			open = open[:max(0, len(open)-1)]
		}
	}
	if len(open) == 0 {
		return -1
	}
	return open[len(open)-1]
}
