package plan

import (
	"database/sql"
	"slices"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/body"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/segment"
)

// validate returns a [fedmsg.BadField] refusal unless f is a filter.
func validate(f fedmsg.Filter) error {
	if f.Op > fedmsg.Has || f.Op == fedmsg.Not && len(f.Of) != 1 {
		return fedmsg.RefuseField(fedmsg.BadField, "filter", "operation %d of %d filters", f.Op, len(f.Of))
	}
	if _, term := segment.Kinds[f.Test.Field]; f.Op == fedmsg.Has && !term {
		switch f.Test.Field {
		case fedmsg.IDField, fedmsg.VerifiedField, fedmsg.TextField, fedmsg.BodyField, fedmsg.HeaderField:
		default:
			return fedmsg.RefuseField(fedmsg.BadField, "filter", "there is no field %q", f.Test.Field)
		}
	}
	for _, branch := range f.Of {
		if err := validate(branch); err != nil {
			return err
		}
	}
	return nil
}

// normal returns a filter in which Not stands above tests only.
func normal(f fedmsg.Filter, negate bool) fedmsg.Filter {
	switch f.Op {
	case fedmsg.Not:
		return normal(f.Of[0], !negate)
	case fedmsg.Has:
		if negate {
			return fedmsg.Filter{Op: fedmsg.Not, Of: []fedmsg.Filter{f}}
		}
		return f
	}
	of := make([]fedmsg.Filter, len(f.Of))
	for i, branch := range f.Of {
		of[i] = normal(branch, negate)
	}
	op := f.Op
	if negate {
		op = fedmsg.All + fedmsg.Any - op
	}
	return fedmsg.Filter{Op: op, Of: of}
}

// A verdict is what is known of a message in the light of a condition.
type verdict int8

const (
	no verdict = iota
	unknown
	yes
)

// A condition is a filter as one segment understands it.
type condition struct {
	op  fedmsg.Op // All, Any or Has; of Has with neither column nor heavy constant is the verdict
	of  []*condition
	not bool // of Has

	constant verdict
	// column is a kind of terms, of which one must be in want, which is sorted. set is
	// want by number, if it is more than one.
	column int64
	want   []int64
	set    []bool
	heavy  func(m *fedmsg.Message) bool

	// Where a positive test is found: in the lists of these terms, by these words, or
	// by this ID. cost is how many messages the lists have at most.
	kind  int64 // of the terms
	terms []int64
	exact bool // all that is in the lists passes
	words []string
	uid   []int64
	cost  int64
}

// maxLists is how many posting lists one test may ask for. A pattern of more topics
// goes by their categories.
const maxLists = 64

// Compile makes a condition of a filter in normal form.
func Compile(p segment.Part, f fedmsg.Filter) (*condition, error) {
	switch f.Op {
	case fedmsg.Has:
		return test(p, f.Test)
	case fedmsg.Not:
		c, err := test(p, f.Of[0].Test)
		if err == nil {
			if c.column == 0 && c.heavy == nil {
				c.constant = yes - c.constant
			}
			c.not, c.kind, c.exact, c.terms, c.words, c.uid = true, 0, false, nil, nil, nil
		}
		return c, err
	}
	// What decides by itself need not be looked at: a false part of All, a true one
	// of Any.
	decides := no
	if f.Op == fedmsg.Any {
		decides = yes
	}
	all := &condition{op: f.Op}
	for _, branch := range f.Of {
		c, err := Compile(p, branch)
		switch {
		case err != nil:
			return nil, err
		case !c.isConstant():
			all.of = append(all.of, c)
		case c.constant == decides:
			return c, nil
		}
	}
	switch len(all.of) {
	case 0:
		return &condition{op: fedmsg.Has, constant: yes - decides}, nil
	case 1:
		return all.of[0], nil
	}
	return all, nil
}

func (c *condition) isConstant() bool { return c.op == fedmsg.Has && c.column == 0 && c.heavy == nil }

// test makes a condition of a test.
func test(p segment.Part, t fedmsg.Test) (*condition, error) {
	c := &condition{op: fedmsg.Has}
	switch kind := segment.Kinds[t.Field]; {
	case kind == segment.TopicKind:
		return topics(p, fedmsg.Pattern(t.Value))
	case kind != 0:
		return term(p, kind, t.Value)
	case t.Field == fedmsg.VerifiedField:
		ids := p.Names(segment.StampKind, func(stamp string) bool {
			before, _, _ := strings.Cut(stamp, ":")
			return stamp == t.Value || before == t.Value
		})
		if len(ids) > 0 {
			slices.Sort(ids)
			c.column, c.want = segment.StampKind, ids
		}
	case t.Field == fedmsg.IDField:
		c.uid = []int64{segment.UID(t.Value)}
		c.heavy = func(m *fedmsg.Message) bool { return m.ID == t.Value }
	case t.Field == fedmsg.TextField:
		return text(t), nil
	case t.Field == fedmsg.BodyField:
		c.heavy = func(m *fedmsg.Message) bool { return body.Holds(body.Values(m.Body, t.Path), t.Relation, t.Value) }
	default:
		c.heavy = func(m *fedmsg.Message) bool {
			return body.Holds(body.Values(m.Fields("headers")[0], t.Path), t.Relation, t.Value)
		}
	}
	return c, nil
}

// text makes the condition of words or a phrase.
func text(t fedmsg.Test) *condition {
	c := &condition{op: fedmsg.Has, words: body.WordsIn(t.Value), exact: t.Relation != fedmsg.Phrase}
	if t.Relation == fedmsg.Phrase {
		runs := body.Runs(t.Value)
		c.heavy = func(m *fedmsg.Message) bool { return body.HasRuns(m.Topic, m.Body, runs) }
		return c
	}
	if len(c.words) == 0 {
		c.constant = yes // all of no words
		return c
	}
	want := make(map[string]int, len(c.words))
	for i, word := range c.words {
		want[word] = i
	}
	c.heavy = func(m *fedmsg.Message) bool {
		found := make([]bool, len(want))
		body.Find(m.Topic, m.Body, want, found)
		return !slices.Contains(found, false)
	}
	return c
}

// term makes the condition of a term that is not a topic.
func term(p segment.Part, kind int64, text string) (*condition, error) {
	c := &condition{op: fedmsg.Has, exact: true, kind: kind}
	var id int64
	err := p.Query("SELECT id, n FROM {term} WHERE kind = ? AND name = ?", []any{kind, text}, func(rows *sql.Rows) error { return rows.Scan(&id, &c.cost) })
	if err != nil || c.cost == 0 {
		return c, err
	}
	c.column, c.want = kind, []int64{id}
	if segment.HasPostings(segment.Name{Kind: kind, Text: text}) {
		c.terms = []int64{id}
	}
	return c, nil
}

// topics makes the condition of a pattern of topics.
func topics(p segment.Part, pattern fedmsg.Pattern) (*condition, error) {
	c := &condition{op: fedmsg.Has, exact: true, kind: segment.TopicKind}
	categories := make(map[string]bool)
	ids := p.Names(segment.TopicKind, func(topic string) bool {
		if !pattern.Match(fedmsg.Topic(topic)) {
			tail := segment.FromFourth(topic)
			if tail == "" || !pattern.Match(fedmsg.Topic(tail)) {
				return false
			}
		}
		categories[segment.Category(fedmsg.Topic(topic))] = true
		return true
	})
	if len(ids) == 0 {
		return c, nil
	}
	slices.Sort(ids)
	c.column, c.want = segment.TopicKind, ids
	if len(ids) <= maxLists {
		c.terms = ids
		var err error
		c.cost, err = p.Number("SELECT coalesce(sum(n), 0) FROM {term} WHERE id IN ("+segment.Marks(segment.Padded(len(ids)), 1)+")", segment.Pad(ids)...)
		return c, err
	}
	if c.exact = false; len(categories) > maxLists {
		return c, nil
	}
	for name := range categories {
		of, err := term(p, segment.CategoryKind, name)
		if err != nil {
			return nil, err
		}
		c.terms = append(c.terms, of.terms...)
		c.cost += of.cost
	}
	return c, nil
}

// judge tells what can be told by a row without its body, and, if m is there, by
// the message as well.
func (c *condition) judge(r *segment.Row, m *fedmsg.Message) verdict {
	if c.op == fedmsg.Has {
		v := c.constant
		switch {
		case c.column != 0:
			v = verdictOf(c.has(r))
		case c.heavy != nil && m == nil:
			return unknown
		case c.heavy != nil:
			v = verdictOf(c.heavy(m))
		default:
			return v
		}
		if c.not {
			return yes - v
		}
		return v
	}
	sum := yes
	if c.op == fedmsg.Any {
		sum = no
	}
	for _, part := range c.of {
		v := part.judge(r, m)
		if c.op == fedmsg.All {
			sum = min(sum, v)
		} else {
			sum = max(sum, v)
		}
		if c.op == fedmsg.All && sum == no || c.op == fedmsg.Any && sum == yes {
			break
		}
	}
	return sum
}

// has reports whether a row has a term that is wanted.
func (c *condition) has(r *segment.Row) bool {
	for _, id := range r.Values(c.column) {
		if _, found := slices.BinarySearch(c.want, id); found {
			return true
		}
	}
	return false
}

func verdictOf(b bool) verdict {
	if b {
		return yes
	}
	return no
}

// needs reports whether some tests can be told by a row, and whether some need the
// message.
func (c *condition) needs() (light, heavy bool) {
	light, heavy = c.column != 0, c.heavy != nil
	for _, part := range c.of {
		l, h := part.needs()
		light, heavy = light || l, heavy || h
	}
	return light, heavy
}

// A source is where to look for what passes a condition.
type source struct {
	list  List
	cost  int64 // how many places it has at most, or about
	exact bool  // all of them pass

	apart float64 // how far from one another the first ones are, of those with some words; 0 if these are all
}

// manyTimes longer than the shortest is a list that is not worth being read beside
// it: to look at the row that the shortest points to costs less.
const manyTimes = 8

// source finds lists in which all is that passes; nil if there are none that are
// worth it.
func (c *condition) source(q *Question, p segment.Part) (*source, error) {
	switch {
	case c.op == fedmsg.Any:
		sum := &source{exact: true}
		var lists []List
		for _, branch := range c.of {
			s, err := branch.source(q, p)
			if err != nil || s == nil {
				return nil, err
			}
			lists, sum.cost, sum.exact = append(lists, s.list), sum.cost+s.cost, sum.exact && s.exact
		}
		sum.list = NewUnion(lists...)
		return sum, nil
	case c.op == fedmsg.All:
		return c.join(q, p)
	case len(c.uid) > 0:
		return q.byID(p, c.uid[0])
	case len(c.terms) > 0:
		list, err := q.listed(p, c)
		return &source{list: list, cost: c.cost, exact: c.exact}, err
	case len(c.words) > 0 && !c.not:
		return q.wording(p, c)
	}
	return nil, nil
}

// join finds the shortest list that some part of All has, and others that are
// not much longer.
func (c *condition) join(q *Question, p segment.Part) (*source, error) {
	var found []*source
	var texts []*condition
	all := true
	add := func(part *condition) error {
		s, err := part.source(q, p)
		if s != nil {
			found = append(found, s)
		}
		all = all && s != nil
		return err
	}
	for _, part := range c.of {
		if part.op == fedmsg.Has && len(part.words) > 0 {
			texts = append(texts, part) // how long their lists are is known only by reading
			continue
		}
		if err := add(part); err != nil {
			return nil, err
		}
	}
	byCost := func(a, b *source) int { return int(a.cost - b.cost) }
	slices.SortFunc(found, byCost)
	for _, part := range texts {
		if len(found) > 0 && found[0].cost <= fewEnough {
			all = false
			break
		}
		if err := add(part); err != nil {
			return nil, err
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	slices.SortFunc(found, byCost)
	joined := &source{cost: found[0].cost, exact: all}
	var lists Both
	for _, s := range found {
		if s.cost > manyTimes*joined.cost {
			joined.exact = false
			break
		}
		lists = append(lists, s.list)
		joined.exact = joined.exact && s.exact
	}
	if joined.list = lists; len(lists) == 1 {
		joined.list = lists[0]
	}
	return joined, nil
}

// fewEnough messages are looked at sooner than the text index.
const fewEnough = 16
