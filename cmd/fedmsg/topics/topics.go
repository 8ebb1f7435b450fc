// Package topics says which messages fedmsg tail shows and fedmsg trigger takes, with the
// flags that fedmsg-tail had.
package topics

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/pyregexp"
)

// Flags are the flags that say which topics are wanted.
type Flags struct {
	Topics           []string
	Exclude, Include string
}

// Add defines the flags. what is a word for what becomes of a message: show, take.
func (c *Flags) Add(f *pflag.FlagSet, what string) {
	f.StringArrayVar(&c.Topics, "topic", nil, what+" topics that begin with PREFIX; may be given often")
	f.StringVar(&c.Exclude, "exclude", "_heartbeat", "leave out topics in which the regular expression RE is found")
	f.StringVar(&c.Include, "include", "^((?!_heartbeat).)*$", what+" only topics in which the regular expression RE is found")
}

// Read makes a filter of the flags and of patterns that stand beside them, and the
// patterns to ask the bus for; none for all topics.
func (c *Flags) Read(texts []string) (f Filter, ask []fedmsg.Pattern, err error) {
	for _, text := range texts {
		p := fedmsg.Pattern(text)
		if err := p.Validate(); err != nil {
			return f, nil, err
		}
		ask = append(ask, p)
	}
	if f, err = New(c.Topics, c.Exclude, c.Include); err == nil && len(ask) == 0 {
		ask = f.Ask()
	}
	return f, ask, err
}

// IsVouchedFor reports whether the bus knew who said a message.
func IsVouchedFor(e fedmsg.Entry) bool {
	return e.Verified != "" && e.Verified != fedmsg.Unverified
}

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
