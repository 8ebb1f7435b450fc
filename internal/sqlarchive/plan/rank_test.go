package plan

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// The largest totals are those that sorting all of them finds, and the next one is the
// largest that was left out.
func TestLargest(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		totals := make([]int64, rng.IntN(60))
		var all []int64
		for id := range totals {
			totals[id] = rng.Int64N(1 << rng.IntN(12))
			if id > 0 && totals[id] > 0 {
				all = append(all, int64(id))
			}
		}
		most := 1 + rng.IntN(20)
		slices.SortFunc(all, func(a, b int64) int { return cmp.Or(cmp.Compare(totals[b], totals[a]), cmp.Compare(a, b)) })
		want, next := all, int64(0)
		if len(all) > most {
			want, next = all[:most], totals[all[most]]
		}
		ids, n := largest(totals, most)
		slices.SortFunc(ids, func(a, b int64) int { return cmp.Or(cmp.Compare(totals[b], totals[a]), cmp.Compare(a, b)) })
		if !slices.Equal(ids, want) || n != next {
			t.Fatalf("largest(%v, %d) = %v, %d, want %v, %d", totals, most, ids, n, want, next)
		}
	}
}
