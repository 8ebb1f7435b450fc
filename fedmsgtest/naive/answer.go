package naive

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Answer is what a query must find among entries in the order of their arrival.
func Answer(entries []fedmsg.Entry, q fedmsg.Query) []fedmsg.Entry {
	var found []fedmsg.Entry
	for _, e := range entries {
		ms := e.Message.Time.UnixMilli()
		if (q.Since.IsZero() || ms >= q.Since.UnixMilli()) && (q.Until.IsZero() || ms < q.Until.UnixMilli()) && Match(q.Filter, e) {
			found = append(found, e)
		}
	}
	slices.SortStableFunc(found, func(a, b fedmsg.Entry) int { return int(a.Message.Time.UnixMilli() - b.Message.Time.UnixMilli()) })
	if !q.OldestFirst {
		slices.Reverse(found)
	}
	return found
}

// A Group is what messages are counted by.
type Group struct {
	At    time.Time
	Value string
}

// Tally counts the entries of an answer: in groups by all values, and by the values
// alone.
func Tally(found []fedmsg.Entry, by fedmsg.Grouping) (groups map[Group]int64, totals map[string]int64) {
	groups, totals = make(map[Group]int64), make(map[string]int64)
	for _, e := range found {
		var at time.Time
		if by.Step > 0 {
			step := int64(by.Step / time.Second)
			at = time.Unix(e.Message.Time.Unix()/step*step, 0).UTC()
		}
		values := []string{""}
		if by.Field != "" {
			values = terms(by.Field, e.Message, Describer{}.Describe(context.Background(), e.Message))
		}
		for _, v := range values {
			groups[Group{at, v}]++
			totals[v]++
		}
	}
	return groups, totals
}

// Show writes a query for people.
func Show(q fedmsg.Query) string {
	var filter func(f fedmsg.Filter) string
	filter = func(f fedmsg.Filter) string {
		if f.Op == fedmsg.Has {
			return fmt.Sprintf("%s[%s] %d %q", f.Test.Field, f.Test.Path, f.Test.Relation, f.Test.Value)
		}
		var parts []string
		for _, g := range f.Of {
			parts = append(parts, filter(g))
		}
		return []string{"All", "Any", "Not"}[f.Op] + "(" + strings.Join(parts, ", ") + ")"
	}
	return fmt.Sprintf("%s since %s until %s, oldest first %v, limit %d, cursor %q", filter(q.Filter),
		q.Since.Format(time.RFC3339Nano), q.Until.Format(time.RFC3339Nano), q.OldestFirst, q.Limit, q.Cursor)
}

// Smallest takes away from a query what it can while it fails.
func Smallest(q fedmsg.Query, fails func(fedmsg.Query) bool) fedmsg.Query {
	for {
		var smaller []fedmsg.Query
		with := func(change func(q *fedmsg.Query)) {
			other := q
			change(&other)
			smaller = append(smaller, other)
		}
		if !q.Since.IsZero() || !q.Until.IsZero() || q.OldestFirst {
			with(func(q *fedmsg.Query) { q.Since = time.Time{} })
			with(func(q *fedmsg.Query) { q.Until = time.Time{} })
			with(func(q *fedmsg.Query) { q.OldestFirst = false })
		}
		for _, f := range parts(q.Filter) {
			with(func(q *fedmsg.Query) { q.Filter = f })
		}
		i := slices.IndexFunc(smaller, func(other fedmsg.Query) bool { return Show(other) != Show(q) && fails(other) })
		if i < 0 {
			return q
		}
		q = smaller[i]
	}
}

// parts are the filters that a filter becomes without one of its parts.
func parts(f fedmsg.Filter) []fedmsg.Filter {
	found := slices.Clone(f.Of)
	for i := range f.Of {
		if f.Op != fedmsg.Not {
			found = append(found, fedmsg.Filter{Op: f.Op, Of: slices.Delete(slices.Clone(f.Of), i, i+1)})
		}
		for _, part := range parts(f.Of[i]) {
			other := fedmsg.Filter{Op: f.Op, Of: slices.Clone(f.Of)}
			other.Of[i] = part
			found = append(found, other)
		}
	}
	return found
}
