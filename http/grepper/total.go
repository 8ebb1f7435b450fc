package grepper

import (
	"context"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// total counts what passes a query; exact is false if it is more than that.
func (g *Grepper) total(ctx context.Context, q fedmsg.Query) (n int64, exact bool, err error) {
	counts, err := g.cfg.Counter.Count(ctx, fedmsg.Query{Filter: q.Filter, Since: q.Since, Until: q.Until, OldestFirst: q.OldestFirst}, fedmsg.Grouping{})
	if err != nil {
		return 0, false, err
	}
	for _, row := range counts.Rows {
		n += row.N
	}
	return n, !counts.Estimate, nil
}
