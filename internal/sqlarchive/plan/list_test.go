package plan_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/plan"
)

// stored makes a list of places, which loads are counted of.
func stored(places []int64, loads *int, budget int) *plan.Stored {
	return plan.NewStored(func(from int64, limit int) ([]int64, error) {
		if *loads >= budget {
			return nil, plan.ErrSpent
		}
		at, _ := slices.BinarySearch(places, from)
		some := places[at:min(at+limit, len(places))]
		*loads += len(some)
		return some, nil
	})
}

func random(rng *rand.Rand, share float64) (places []int64) {
	for k := int64(-2000); k < 2000; k++ {
		if rng.Float64() < share {
			places = append(places, k)
		}
	}
	return places
}

// walk reads a whole list, and tells up to where it came.
func walk(list plan.List) (found []int64, settled int64, err error) {
	for from := int64(-2000); ; {
		at, err := list.Next(from)
		if err != nil {
			return found, at, err
		}
		if at == plan.End {
			return found, at, nil
		}
		found = append(found, at)
		from = at + 1
	}
}

// Unions and joins, of one another too, are what they are for sets; and if the budget
// is spent nothing before the place that is told is missing.
func TestLists(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		a, b, c, d := random(rng, 0.3), random(rng, 0.02), random(rng, 0.5*rng.Float64()), random(rng, 0.2)
		var want []int64
		for k := int64(-2000); k < 2000; k++ {
			in := func(places []int64) bool { _, found := slices.BinarySearch(places, k); return found }
			if (in(a) || in(b)) && in(c) || in(b) && in(d) {
				want = append(want, k)
			}
		}
		budget := 1 << 30
		if rng.IntN(2) == 0 {
			budget = rng.IntN(3000)
		}
		loads := 0
		list := func(places []int64) plan.List { return stored(places, &loads, budget) }
		fixed := plan.Fixed(slices.Clone(b))
		got, settled, err := walk(plan.NewUnion(plan.Both{list(c), plan.NewUnion(list(a), list(b))}, plan.Both{&fixed, list(d)}))
		if err != nil && !errors.Is(err, plan.ErrSpent) || err != nil && budget == 1<<30 {
			t.Fatal(err)
		}
		want = slices.DeleteFunc(want, func(k int64) bool { return err != nil && k >= settled })
		if !slices.Equal(got, want) {
			t.Fatalf("found %v, want %v up to %d", got, want, settled)
		}
	}
}

// To join a short list with a long one costs what the short one costs.
func TestJoinCosts(t *testing.T) {
	long := make([]int64, 1_000_000)
	for i := range long {
		long[i] = int64(i)
	}
	short := []int64{5, 400_000, 999_999}
	shortLoads, longLoads := 0, 0
	got, _, err := walk(plan.Both{stored(short, &shortLoads, 1<<30), stored(long, &longLoads, 1<<30)})
	if err != nil || !slices.Equal(got, short) || longLoads > 16+32+64 {
		t.Errorf("found %v, %v, with %d places read of the long list", got, err, longLoads)
	}
}
