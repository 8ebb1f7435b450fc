package grepper

import (
	"context"
	"slices"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// total counts what passes a query that [arguments.query] made; exact is false if it
// is more than that. Counters know single terms by heart, and must look for the rest:
// so what may not be is taken from the count without it, and what is one of several
// is counted one by one, where nothing can be two of them.
func (g *Grepper) total(ctx context.Context, q fedmsg.Query) (n int64, exact bool, err error) {
	var must, never []fedmsg.Filter
	for _, f := range q.Filter.Of {
		if f.Op == fedmsg.Not {
			never = append(never, f.Of[0])
		} else {
			must = append(must, f)
		}
	}
	n, exact, err = g.without(ctx, q, must, never)
	if whole := len(never) == 0 && !isSplit(must); whole || exact || err != nil {
		return n, exact, err
	}
	return g.counted(ctx, q, q.Filter) // at least so many
}

// without counts what must be all of some filters and may be none of others.
func (g *Grepper) without(ctx context.Context, q fedmsg.Query, must, never []fedmsg.Filter) (n int64, exact bool, err error) {
	if len(never) == 0 {
		return g.together(ctx, q, must)
	}
	if n, exact, err = g.without(ctx, q, must, never[1:]); !exact || err != nil || n == 0 {
		return n, exact, err
	}
	less, exact, err := g.without(ctx, q, append(slices.Clip(must), never[0]), never[1:])
	return max(0, n-less), exact, err // messages come while it counts
}

// together counts what must be all of some filters.
func (g *Grepper) together(ctx context.Context, q fedmsg.Query, must []fedmsg.Filter) (n int64, exact bool, err error) {
	if !isSplit(must) {
		return g.counted(ctx, q, fedmsg.Filter{Of: must})
	}
	for _, f := range must[0].Of {
		one, exact, err := g.counted(ctx, q, f)
		if !exact || err != nil {
			return 0, exact, err
		}
		n += one
	}
	return n, true, nil
}

// isSplit reports whether filters are counted one by one.
func isSplit(must []fedmsg.Filter) bool { return len(must) == 1 && isEither(must[0].Of) }

// isEither reports whether a message can pass no more than one of some filters.
func isEither(filters []fedmsg.Filter) bool {
	for i, f := range filters {
		switch f.Test.Field {
		case fedmsg.CategoryField, fedmsg.AgentField:
		case fedmsg.TopicField:
			if strings.ContainsAny(f.Test.Value, "*#>") {
				return false
			}
		default:
			return false
		}
		for k, other := range filters {
			// A topic is also known by its end.
			if i != k && strings.HasSuffix("."+f.Test.Value, "."+other.Test.Value) {
				return false
			}
		}
	}
	return true
}

// counted asks the counter how many messages of a query's time pass a filter.
func (g *Grepper) counted(ctx context.Context, q fedmsg.Query, f fedmsg.Filter) (n int64, exact bool, err error) {
	counts, err := g.cfg.Counter.Count(ctx, fedmsg.Query{Filter: f, Since: q.Since, Until: q.Until, OldestFirst: q.OldestFirst}, fedmsg.Grouping{})
	if err != nil {
		return 0, false, err
	}
	for _, row := range counts.Rows {
		n += row.N
	}
	return n, !counts.Estimate, nil
}
