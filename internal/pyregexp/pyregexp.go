// Package pyregexp reads regular expressions that were written for Python, as old
// flags and configurations have them. Go's engine takes linear time whatever the text;
// the price is that it has no look-around and no back-references, of which only the
// common idiom is translated.
package pyregexp

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// An Expr is a regular expression that is searched for. [Compile] makes one.
type Expr struct {
	re  *regexp.Regexp
	not bool // of re
}

// Match reports whether the expression is found in a text, as by Python's re.search.
func (e Expr) Match(text string) bool { return e.re.MatchString(text) != e.not }

// withoutWord is how Python programmers say "does not contain": the default of
// fedmsg-tail, and in many configurations.
var withoutWord = regexp.MustCompile(`^\^\((?:\?:)?\(\?!(.+)\)\.\)\*\$?$`)

// Compile reads an expression. The error says at which character it is wrong, and what
// it has that is not supported.
func Compile(expr string) (Expr, error) {
	e := Expr{}
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
	return e, fmt.Errorf("%q, character %d: %s", expr, at+1, what)
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
