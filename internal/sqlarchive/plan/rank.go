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
// together. Which of equally frequent values are told apart is not defined. It may be
// called once for each kind.
func (t *Tallying) Rows(i, limit int) ([]fedmsg.Count, error) {
	names, known, err := t.leading(i, limit)
	if err != nil {
		return nil, err
	}
	// From here on a term is the place of its name; all others are the last.
	others := int64(len(names))
	place := make(map[string]int64, len(names))
	for at, name := range names {
		place[name] = int64(at)
	}
	var cells []cell
	for n, part := range t.parts {
		of := &part.of[i]
		places := slices.Repeat([]int64{others}, len(of.totals))
		for name, id := range known[n] {
			if at, leads := place[name]; leads && id < int64(len(places)) {
				places[id] = at
			}
		}
		if t.Step == 0 {
			for id, n := range of.totals {
				if n != 0 {
					cells = append(cells, cell{term: places[id], n: n})
				}
			}
			continue
		}
		for _, piece := range of.cells {
			for k := range piece {
				piece[k].term = places[piece[k].term]
			}
		}
		cells = append(cells, slices.Concat(of.cells...)...)
	}
	if byTime := func(a, b cell) int { return cmp.Compare(a.at, b.at) }; !slices.IsSortedFunc(cells, byTime) {
		slices.SortFunc(cells, byTime)
	}
	return rowsOf(cells, names, t.Step > 0), nil
}

// rowsOf adds up cells, which are in the order of time.
func rowsOf(cells []cell, names []string, stepped bool) (rows []fedmsg.Count) {
	steps := 1
	for k := range cells[:max(len(cells)-1, 0)] {
		if cells[k].at != cells[k+1].at {
			steps++
		}
	}
	rows = make([]fedmsg.Count, 0, min(len(cells), steps*(len(names)+1)))
	sums := make([]int64, len(names)+1)
	var there []int64 // whose sums are not 0
	for k, c := range cells {
		if sums[c.term] == 0 && c.n != 0 {
			there = append(there, c.term)
		}
		sums[c.term] += c.n
		if k+1 < len(cells) && cells[k+1].at == c.at {
			continue
		}
		slices.Sort(there)
		for _, place := range there {
			row := fedmsg.Count{N: sums[place]}
			if place < int64(len(names)) {
				row.Value = names[place]
			}
			if stepped {
				row.At = time.UnixMilli(c.at).UTC()
			}
			rows = append(rows, row)
			sums[place] = 0
		}
		there = there[:0]
	}
	return rows
}

// leading returns the most frequent values, and for each segment the numbers of these
// and of others. Most terms are rare, and to read their names takes longer than to
// count them: so it looks at the leaders of each segment only, and at more of them
// until none that was left out can be among the most frequent ones.
func (t *Tallying) leading(i, limit int) (names []string, known []map[string]int64, err error) {
	kind := t.Kinds[i]
	known = make([]map[string]int64, len(t.parts))
	if kind == 0 {
		return nil, known, nil
	}
	for look := 2*min(limit, 1<<20) + 16; ; look *= 8 {
		totals, missed := make(map[string]int64), int64(0) // what a value may have that was left out
		left := make([]int64, len(t.parts))                // the same, in each segment
		for n, part := range t.parts {
			var ids []int64
			ids, left[n] = largest(part.of[i].totals, look)
			missed += left[n]
			texts, err := part.TermNames(kind, ids)
			if err != nil {
				return nil, nil, err
			}
			known[n] = make(map[string]int64, len(texts))
			for id, text := range texts {
				known[n][text] = id
				totals[text] += part.of[i].totals[id]
			}
		}
		for n, part := range t.parts {
			if left[n] == 0 {
				continue // it has no others
			}
			var others []string
			for name := range totals {
				if _, is := known[n][name]; !is {
					others = append(others, name)
				}
			}
			slices.Sort(others)
			ids, err := part.TermIDs(kind, others)
			if err != nil {
				return nil, nil, err
			}
			for name, id := range ids {
				if known[n][name] = id; id < int64(len(part.of[i].totals)) {
					totals[name] += part.of[i].totals[id]
				}
			}
		}
		names = Ranked(totals, limit)
		if missed == 0 || len(names) == limit && totals[names[limit-1]] >= missed {
			return names, known, nil
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
