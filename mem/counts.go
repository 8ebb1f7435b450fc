package mem

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// defaultGroups is how many values a count tells apart if the grouping does not
// say.
const defaultGroups = 20

// Count counts exactly. See [fedmsg.Counter]. Rows are in the order of time, and
// of one time the most frequent of all first, the others last. A group without
// messages has no row. What has several values counts under each of them. The
// error wraps [fedmsg.ErrInvalid] for a grouping or a filter that is none.
func (a *Archive) Count(ctx context.Context, q fedmsg.Query, by fedmsg.Grouping) (fedmsg.Counts, error) {
	err := cmp.Or(context.Cause(ctx), validate(q.Filter))
	switch {
	case err != nil:
	case by.Step < 0 || by.Step%time.Minute != 0:
		err = fedmsg.RefuseField(fedmsg.BadField, "step", "is %s; whole minutes are counted", by.Step)
	case by.Limit < 0:
		err = fedmsg.RefuseField(fedmsg.BadField, "limit", "is %d", by.Limit)
	case by.Field != "" && !isTerm(by.Field):
		err = fedmsg.RefuseField(fedmsg.BadField, "field", "is %q, which is not counted by", by.Field)
	}
	if err != nil {
		return fedmsg.Counts{}, fmt.Errorf("count: %w", err)
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	type group struct {
		at    int64
		value string
	}
	counts, totals := make(map[group]int64), make(map[string]int64)
	for _, k := range a.byTime {
		if !a.passes(q, k) {
			continue
		}
		at, values := int64(0), []string{""}
		if step := by.Step.Milliseconds(); step > 0 {
			at = k.ms - (k.ms%step+step)%step
		}
		if by.Field != "" {
			values = k.terms(by.Field)
		}
		for _, v := range values {
			counts[group{at, v}]++
			totals[v]++
		}
	}
	rank := make(map[string]int) // of the others it is 0
	for i, v := range ranked(totals, cmp.Or(by.Limit, defaultGroups)) {
		rank[v] = i - len(totals)
	}
	merged := make(map[group]int64)
	for g, n := range counts {
		if rank[g.value] == 0 {
			g.value = ""
		}
		merged[g] += n
	}
	var found fedmsg.Counts
	for _, g := range slices.SortedFunc(maps.Keys(merged), func(x, y group) int {
		return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(rank[x.value], rank[y.value]))
	}) {
		row := fedmsg.Count{Value: g.value, N: merged[g]}
		if by.Step > 0 {
			row.At = time.UnixMilli(g.at).UTC()
		}
		found.Rows = append(found.Rows, row)
	}
	return found, nil
}

// ranked returns the most frequent values, the most frequent first and equally
// frequent ones by name. The empty one is none.
func ranked(totals map[string]int64, limit int) []string {
	names := slices.SortedFunc(maps.Keys(totals), func(x, y string) int {
		return cmp.Or(cmp.Compare(totals[y], totals[x]), cmp.Compare(x, y))
	})
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	return names[:min(limit, len(names))]
}

// Terms returns values of a field; equally frequent ones are sorted by name. See
// [fedmsg.Counter]. The error wraps [fedmsg.ErrInvalid] for a field that is not a
// term.
func (a *Archive) Terms(ctx context.Context, f fedmsg.Field, prefix string, limit int) ([]fedmsg.Term, error) {
	err := context.Cause(ctx)
	if err == nil && !isTerm(f) {
		err = fedmsg.RefuseField(fedmsg.BadField, "field", "is %q, which has no terms", f)
	}
	if err != nil {
		return nil, fmt.Errorf("terms: %w", err)
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	known, totals := make(map[string]fedmsg.Term), make(map[string]int64)
	for _, k := range a.byTime {
		for _, name := range k.terms(f) {
			if !strings.HasPrefix(name, prefix) {
				continue
			}
			term, at := known[name], time.UnixMilli(k.ms).UTC()
			if term.N == 0 {
				term.Name, term.First = name, at
			}
			term.N++
			term.Last = at
			known[name] = term
			totals[name]++
		}
	}
	var found []fedmsg.Term
	for _, name := range ranked(totals, max(limit, 0)) {
		found = append(found, known[name])
	}
	return found, nil
}
