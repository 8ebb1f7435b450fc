package plan

import (
	"cmp"
	"maps"
	"math/bits"
	"slices"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Rows puts the groups of one of the kinds in order, with those of rarer values
// together. Which of equally frequent values are told apart is not defined.
func (t *Tallying) Rows(i, limit int) ([]fedmsg.Count, error) {
	names, err := t.leading(i, limit)
	if err != nil {
		return nil, err
	}
	rank := make(map[string]int) // of the others it is 0
	for place, name := range names {
		rank[name] = place - len(names)
	}
	merged := make(map[[2]int64]int64) // by step and rank
	for _, part := range t.parts {
		of := &part.of[i]
		ranks := make([]int64, len(of.totals))
		ids, err := part.TermIDs(t.Kinds[i], names)
		if err != nil {
			return nil, err
		}
		for name, id := range ids {
			if id < int64(len(ranks)) {
				ranks[id] = int64(rank[name])
			}
		}
		at, others := int64(0), int64(0) // of a step, which mostly follow one another
		add := func(c cell) {
			if rank := ranks[c.term]; rank != 0 {
				merged[[2]int64{c.at, rank}] += c.n
				return
			}
			if c.at != at {
				merged[[2]int64{at, 0}] += others
				at, others = c.at, 0
			}
			others += c.n
		}
		for id, n := range of.totals {
			if t.Step == 0 && n != 0 {
				add(cell{term: int64(id), n: n})
			}
		}
		for _, c := range of.cells {
			add(c)
		}
		merged[[2]int64{at, 0}] += others
	}
	var rows []fedmsg.Count
	for _, key := range slices.SortedFunc(maps.Keys(merged), func(x, y [2]int64) int { return slices.Compare(x[:], y[:]) }) {
		row := fedmsg.Count{N: merged[key]}
		if row.N == 0 {
			continue
		}
		if key[1] != 0 {
			row.Value = names[int(key[1])+len(names)]
		}
		if t.Step > 0 {
			row.At = time.UnixMilli(key[0]).UTC()
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// leading returns the most frequent values. Most terms are rare, and to read their
// names takes longer than to count them: so it looks at the leaders of each segment
// only, and at more of them until none that was left out can be among the most
// frequent ones.
func (t *Tallying) leading(i, limit int) (names []string, err error) {
	kind := t.Kinds[i]
	if kind == 0 {
		return nil, nil
	}
	for look := 2*min(limit, 1<<20) + 16; ; look *= 8 {
		totals, missed := make(map[string]int64), int64(0) // what a value may have that was left out
		for _, part := range t.parts {
			ids, next := largest(part.of[i].totals, look)
			missed += next
			texts, err := part.TermNames(kind, ids)
			if err != nil {
				return nil, err
			}
			for _, text := range texts {
				totals[text] = 0
			}
		}
		candidates := slices.Sorted(maps.Keys(totals))
		for _, part := range t.parts {
			ids, err := part.TermIDs(kind, candidates)
			if err != nil {
				return nil, err
			}
			for name, id := range ids {
				if id < int64(len(part.of[i].totals)) {
					totals[name] += part.of[i].totals[id]
				}
			}
		}
		names = Ranked(totals, limit)
		if missed == 0 || len(names) == limit && totals[names[limit-1]] >= missed {
			return names, nil
		}
	}
}

// largest returns the numbers of the largest totals, at most so many, and the largest
// one that it left out.
func largest(totals []int64, most int) (ids []int64, next int64) {
	// Most are small, and need not be sorted: magnitudes tell which may be among the
	// largest.
	var magnitudes [65]int
	for id, n := range totals {
		if n > 0 && id > 0 {
			magnitudes[bits.Len64(uint64(n))]++
		}
	}
	least := 64
	for found := magnitudes[least]; least > 1 && found <= most; found += magnitudes[least] {
		least--
	}
	for id, n := range totals {
		if n > 0 && id > 0 && bits.Len64(uint64(n)) >= least {
			ids = append(ids, int64(id))
		}
	}
	if len(ids) <= most {
		return ids, 0
	}
	slices.SortFunc(ids, func(a, b int64) int { return cmp.Or(cmp.Compare(totals[b], totals[a]), cmp.Compare(a, b)) })
	return ids[:most], totals[ids[most]]
}

// Ranked returns the most frequent values, the most frequent first and equally
// frequent ones by name. The empty one is none.
func Ranked(totals map[string]int64, limit int) []string {
	names := slices.SortedFunc(maps.Keys(totals), func(x, y string) int {
		return cmp.Or(cmp.Compare(totals[y], totals[x]), cmp.Compare(x, y))
	})
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	return names[:min(limit, len(names))]
}
