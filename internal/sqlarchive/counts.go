package sqlarchive

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/plan"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/segment"
)

// defaultGroups is how many values a count tells apart if the grouping does not
// say.
const defaultGroups = 20

// Count counts. See [fedmsg.Counter]. Rows are in the order of time, and of one
// time the most frequent value of all first, the others last. A group without
// messages has no row. What has several values counts under each of them. It reads
// what was counted before where that is shorter: hours and days as a whole, of
// everything or of one term; else it counts, by columns or message by message, with
// the budget of a search. The error wraps [fedmsg.ErrInvalid] for a grouping or a
// filter that is none.
func (a *Archive) Count(ctx context.Context, q fedmsg.Query, by fedmsg.Grouping) (fedmsg.Counts, error) {
	all, err := a.count(ctx, q, by, by.Field)
	if err != nil {
		return fedmsg.Counts{}, fmt.Errorf("count: %w", unavailable(ctx, err))
	}
	return all[0], nil
}

// Facets counts by several fields at once, each as [Archive.Count] does. See
// [fedmsg.Counter].
func (a *Archive) Facets(ctx context.Context, q fedmsg.Query, limit int, fields ...fedmsg.Field) ([]fedmsg.Counts, error) {
	all, err := a.count(ctx, q, fedmsg.Grouping{Limit: limit}, fields...)
	if err != nil {
		return nil, fmt.Errorf("facets: %w", unavailable(ctx, err))
	}
	return all, nil
}

// count counts by fields, but for that the grouping names.
func (a *Archive) count(ctx context.Context, q fedmsg.Query, by fedmsg.Grouping, fields ...fedmsg.Field) ([]fedmsg.Counts, error) {
	switch {
	case by.Step < 0 || by.Step%time.Minute != 0:
		return nil, fedmsg.RefuseField(fedmsg.BadField, "step", "is %s; whole minutes are counted", by.Step)
	case by.Limit < 0:
		return nil, fedmsg.RefuseField(fedmsg.BadField, "limit", "is %d", by.Limit)
	}
	asked, err := plan.Ask(ctx, q, a.cfg.Budget, a.cfg.Candidates)
	if err != nil {
		return nil, err
	}
	t := &plan.Tallying{Question: asked, Step: by.Step.Milliseconds()}
	for _, field := range fields {
		kind := segment.Kinds[field]
		if field != "" && kind == 0 {
			return nil, fedmsg.RefuseField(fedmsg.BadField, "field", "is %q, which is not counted by", field)
		}
		t.Kinds = append(t.Kinds, kind)
	}
	return a.tally(t, cmp.Or(by.Limit, defaultGroups))
}

// tally counts in all segments.
func (a *Archive) tally(t *plan.Tallying, limit int) ([]fedmsg.Counts, error) {
	v, err := a.view(t.Ctx)
	if err != nil {
		return nil, err
	}
	defer v.close()
	defer func() { a.looked.Add(t.Looked()) }()
	err = v.each(t.From, t.To, t.Oldest, func(p segment.Part) (bool, error) {
		c, err := plan.Compile(p, t.Filter)
		if err != nil {
			return false, err
		}
		return true, t.Segment(p, c)
	})
	spent := errors.Is(err, plan.ErrSpent)
	if err != nil && !spent {
		return nil, err
	}
	all := make([]fedmsg.Counts, len(t.Kinds))
	for i := range all {
		all[i].Estimate = spent
		if all[i].Rows, err = t.Rows(i, limit); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Terms returns values of a field; equally frequent ones are sorted by name. See
// [fedmsg.Counter]. If there are very many it looks at those of the newest months
// only, as its budget goes. The error wraps [fedmsg.ErrInvalid] for a field that is
// not a term.
func (a *Archive) Terms(ctx context.Context, f fedmsg.Field, prefix string, limit int) ([]fedmsg.Term, error) {
	found, err := a.terms(ctx, f, prefix, limit)
	if err != nil {
		return nil, fmt.Errorf("terms: %w", unavailable(ctx, err))
	}
	return found, nil
}

func (a *Archive) terms(ctx context.Context, f fedmsg.Field, prefix string, limit int) ([]fedmsg.Term, error) {
	kind := segment.Kinds[f]
	if kind == 0 {
		return nil, fedmsg.RefuseField(fedmsg.BadField, "field", "is %q, which has no terms", f)
	}
	v, err := a.view(ctx)
	if err != nil {
		return nil, err
	}
	defer v.close()
	deadline := time.Now().Add(a.cfg.Budget)
	known, totals := make(map[string]fedmsg.Term), make(map[string]int64)
	err = v.each(0, segment.MaxKey, false, func(p segment.Part) (bool, error) {
		err := p.Query("SELECT name, n, first, last FROM {term} WHERE kind = ? AND name >= ? ORDER BY name", []any{kind, prefix}, func(rows *sql.Rows) error {
			var name string
			var n, first, last int64
			if err := rows.Scan(&name, &n, &first, &last); err != nil {
				return err
			}
			if !strings.HasPrefix(name, prefix) {
				return errStop
			}
			if n == 0 {
				return nil
			}
			t, seen := known[name]
			if !seen {
				t = fedmsg.Term{Name: name, First: segment.KeyTime(first), Last: segment.KeyTime(last)}
			}
			t.N += n
			t.First = segment.KeyTime(min(segment.FirstKey(t.First), first))
			if at := segment.KeyTime(last); at.After(t.Last) {
				t.Last = at
			}
			known[name], totals[name] = t, t.N
			return nil
		})
		if errors.Is(err, errStop) {
			err = nil
		}
		return time.Now().Before(deadline), err
	})
	if err != nil {
		return nil, err
	}
	var found []fedmsg.Term
	for _, name := range plan.Ranked(totals, max(limit, 0)) {
		found = append(found, known[name])
	}
	return found, nil
}
