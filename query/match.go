package query

import (
	"context"
	"slices"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/body"
)

// A Matcher tests single messages. It may be used by many at once.
type Matcher struct {
	root     node
	words    fedmsg.Describer
	texts    map[string]int // the words to look for, and their numbers
	patterns []fedmsg.Pattern
}

// A node is a filter, ready for use. Branches that cost less come first.
type node struct {
	op   fedmsg.Op
	of   []node
	test fedmsg.Test
	text int      // the number of the word, of a test for one
	runs []string // of a test for a phrase
	cost int
}

// NewMatcher makes a matcher of a filter. words say whom and what a message is about;
// they are asked only if a test depends on them. nil means that nothing is known.
func NewMatcher(f fedmsg.Filter, words fedmsg.Describer) *Matcher {
	m := &Matcher{words: words, texts: make(map[string]int)}
	f = normal(f)
	m.root = m.node(f)
	m.patterns = patterns(f)
	return m
}

// What tests cost, roughly, in tenths of a microsecond. Words are made by rules and
// may ask others.
const (
	costField  = 1
	costTopic  = 2
	costBody   = 20
	costText   = 50
	costHeader = 60
	costWords  = 300
)

func (m *Matcher) node(f fedmsg.Filter) node {
	n := node{op: f.Op, test: f.Test}
	for _, branch := range f.Of {
		below := m.node(branch)
		n.of = append(n.of, below)
		n.cost += below.cost
	}
	slices.SortStableFunc(n.of, func(a, b node) int { return a.cost - b.cost })
	if f.Op != fedmsg.Has {
		return n
	}
	n.cost = costField
	switch f.Test.Field {
	case fedmsg.TopicField:
		n.cost = costTopic
	case fedmsg.BodyField:
		n.cost = costBody
	case fedmsg.HeaderField:
		n.cost = costHeader
	case fedmsg.AgentField, fedmsg.UserField, fedmsg.PackageField, fedmsg.ObjectField:
		n.cost = costWords
	case fedmsg.TextField:
		n.cost = costText
		if n.runs = body.Runs(f.Test.Value); f.Test.Relation != fedmsg.Phrase {
			if _, known := m.texts[n.runs[0]]; !known {
				m.texts[n.runs[0]] = len(m.texts)
			}
			n.text = m.texts[n.runs[0]]
		}
	}
	return n
}

// Match reports whether a message passes the filter. ctx bounds what the words ask
// others for.
func (m *Matcher) Match(ctx context.Context, e fedmsg.Entry) bool {
	s := subject{ctx: ctx, e: e, m: m}
	return s.passes(&m.root)
}

// Patterns are topics to ask a reader for: all that can pass are among them, and
// others too. None means that any topic may.
func (m *Matcher) Patterns() []fedmsg.Pattern { return slices.Clone(m.patterns) }

// A subject is a message under test, with what has been looked at.
type subject struct {
	ctx       context.Context
	e         fedmsg.Entry
	m         *Matcher
	words     fedmsg.Words
	described bool
	found     []bool // which of the matcher's texts are there; nil before it is known
}

func (s *subject) passes(n *node) bool {
	switch n.op {
	case fedmsg.All:
		for i := range n.of {
			if !s.passes(&n.of[i]) {
				return false
			}
		}
		return true
	case fedmsg.Any:
		for i := range n.of {
			if s.passes(&n.of[i]) {
				return true
			}
		}
		return false
	case fedmsg.Not:
		return !s.passes(&n.of[0])
	}
	return s.has(n)
}

func (s *subject) has(n *node) bool {
	message, want := s.e.Message, n.test.Value
	switch n.test.Field {
	case fedmsg.TopicField:
		return matchTopic(fedmsg.Pattern(want), message.Topic)
	case fedmsg.CategoryField:
		category, _, _ := strings.Cut(string(fromFourth(message.Topic)), ".")
		return category == want
	case fedmsg.IDField:
		return message.ID == want
	case fedmsg.VerifiedField:
		how, _, _ := strings.Cut(s.e.Verified, ":")
		return s.e.Verified == want || how == want
	case fedmsg.AgentField:
		return s.describe().Agent == want
	case fedmsg.UserField:
		return slices.Contains(s.describe().Usernames, want)
	case fedmsg.PackageField:
		return slices.Contains(s.describe().Packages, want)
	case fedmsg.ObjectField:
		return slices.Contains(s.describe().Objects, want)
	case fedmsg.TextField:
		if n.test.Relation == fedmsg.Phrase {
			return body.HasRuns(message.Topic, message.Body, n.runs)
		}
		if s.found == nil {
			s.found = make([]bool, len(s.m.texts))
			body.Find(message.Topic, message.Body, s.m.texts, s.found)
		}
		return s.found[n.text]
	case fedmsg.BodyField:
		return body.Holds(body.Values(message.Body, n.test.Path), n.test.Relation, want)
	case fedmsg.HeaderField:
		return body.Holds(body.Values(message.Fields("headers")[0], n.test.Path), n.test.Relation, want)
	}
	return false
}

func (s *subject) describe() *fedmsg.Words {
	if !s.described && s.m.words != nil {
		s.words = s.m.words.Describe(s.ctx, s.e.Message)
	}
	s.described = true
	return &s.words
}

// prefixWords is how many words stand before the category in a topic.
const prefixWords = 3

// fromFourth returns a topic without its first three words; empty if it has no more.
func fromFourth(t fedmsg.Topic) fedmsg.Topic {
	rest := string(t)
	for range prefixWords {
		_, after, more := strings.Cut(rest, ".")
		if !more {
			return ""
		}
		rest = after
	}
	return fedmsg.Topic(rest)
}

func matchTopic(p fedmsg.Pattern, t fedmsg.Topic) bool {
	if p.Match(t) {
		return true
	}
	rest := fromFourth(t)
	return rest != "" && p.Match(rest)
}

// maxPatterns is how many patterns a reader is asked for at most: as many as one
// request of HTTP may have.
const maxPatterns = 64

// patterns returns topics that all that pass a filter in normal form are among; nil
// for any.
func patterns(f fedmsg.Filter) []fedmsg.Pattern {
	var best []fedmsg.Pattern
	switch f.Op {
	case fedmsg.All:
		for _, branch := range f.Of { // each holds, so the narrowest will do
			if p := patterns(branch); p != nil && (best == nil || weight(p) < weight(best)) {
				best = p
			}
		}
	case fedmsg.Any:
		for _, branch := range f.Of {
			p := patterns(branch)
			if p == nil {
				return nil
			}
			for _, one := range p {
				if !slices.Contains(best, one) {
					best = append(best, one)
				}
			}
		}
		if len(best) > maxPatterns {
			return nil
		}
	case fedmsg.Has:
		const prefix = "*.*.*."
		switch f.Test.Field {
		case fedmsg.TopicField:
			best = []fedmsg.Pattern{fedmsg.Pattern(f.Test.Value), fedmsg.Pattern(prefix + f.Test.Value)}
		case fedmsg.CategoryField:
			best = []fedmsg.Pattern{fedmsg.Pattern(prefix + f.Test.Value + ".#")}
		}
		for _, p := range best {
			if p == "#" || p.Validate() != nil {
				return nil // too long with the prefix
			}
		}
	}
	return best
}

// weight is less for patterns that fewer topics match, by a guess: one that begins
// with # finds in all services.
func weight(patterns []fedmsg.Pattern) int {
	sum := 0
	for _, p := range patterns {
		sum++
		if strings.HasPrefix(string(p), "#") {
			sum += maxPatterns
		}
	}
	return sum
}
