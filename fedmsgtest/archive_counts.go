package fedmsgtest

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/naive"
)

// checkCounts counts what passes a query, and reports whether it is what passing,
// the answer to it, makes.
func checkCounts(t *testing.T, a Archive, passing []fedmsg.Entry, q fedmsg.Query, by fedmsg.Grouping) (ok bool) {
	t.Helper()
	wrong := func(format string, args ...any) {
		t.Helper()
		t.Errorf("Count(%s) by %+v: "+format, append([]any{naive.Show(q), by}, args...)...)
		ok = false
	}
	ok = true
	counts, err := a.Count(t.Context(), q, by)
	if err != nil || counts.Estimate {
		wrong("%v, estimate %v", err, counts.Estimate)
		return false
	}
	groups, totals := naive.Tally(passing, by)
	got, named := make(map[naive.Group]int64), make(map[string]int64)
	for i, row := range counts.Rows {
		g := naive.Group{At: row.At, Value: row.Value}
		if _, twice := got[g]; twice || row.N <= 0 && by != (fedmsg.Grouping{}) || i > 0 && row.At.Before(counts.Rows[i-1].At) {
			wrong("row %d, %+v, is twice there, without messages, or not in the order of time", i, row)
		}
		got[g] = row.N
		if row.Value != "" {
			named[row.Value] = totals[row.Value]
		}
	}
	checkNamed(named, totals, cmp.Or(by.Limit, 20), wrong)
	// Of a field of which each message has one value, the others are the rest.
	want := make(map[naive.Group]int64)
	for g, n := range groups {
		if _, is := named[g.Value]; !is {
			g.Value = ""
		}
		want[g] += n
	}
	single := slices.Contains([]fedmsg.Field{"", fedmsg.TopicField, fedmsg.CategoryField, fedmsg.AgentField}, by.Field)
	for g, n := range want {
		if got[g] != n && (single || g.Value != "") {
			wrong("%d at %s of %q, want %d", got[g], g.At.Format(time.RFC3339), g.Value, n)
		}
	}
	for g, n := range got {
		if want[g] == 0 && n != 0 {
			wrong("%d at %s of %q, want none", n, g.At.Format(time.RFC3339), g.Value)
		}
	}
	if by.Step == 0 && !slices.IsSortedFunc(counts.Rows, mostFirst) {
		wrong("rows %+v are not the most frequent first, the others last", counts.Rows)
	}
	return ok
}

// mostFirst orders the rows of a count that is not parted by time.
func mostFirst(a, b fedmsg.Count) int {
	if (a.Value == "") != (b.Value == "") {
		return strings.Compare(b.Value, a.Value)
	}
	return cmp.Compare(b.N, a.N)
}

// checkNamed checks that the values that were told apart are the most frequent
// ones; of equally frequent ones any.
func checkNamed(named, totals map[string]int64, limit int, wrong func(format string, args ...any)) {
	var ranks []int64
	for v, n := range totals {
		if v != "" {
			ranks = append(ranks, n)
		}
	}
	slices.Sort(ranks)
	slices.Reverse(ranks)
	ranks = ranks[:min(limit, len(ranks))]
	if len(named) != len(ranks) {
		wrong("tells %d values apart, %v, want %d", len(named), named, len(ranks))
		return
	}
	for v, n := range named {
		if n < ranks[len(ranks)-1] {
			wrong("tells %q apart, with %d messages, and not all with more", v, n)
		}
	}
}

func archiveTerms(t *testing.T, a Archive) {
	entries := naive.NewRandom(9).Entries(200)
	deliverIn(t, a, 50, entries)
	for _, field := range naive.TermFields {
		_, totals := naive.Tally(entries, fedmsg.Grouping{Field: field})
		delete(totals, "")
		for _, prefix := range []string{"", "r", "ra", "ralph", "Ralph", "ker", "%", "_", "*", "a_", "a%", "jean-é", "org.fedoraproject.", "packages/", "g", "nul\x00", "日", "\uffff", strings.Repeat("long", 51)} {
			for _, limit := range []int{1, 3, 1000} {
				checkTerms(t, a, entries, totals, field, prefix, limit)
			}
		}
	}
}

func checkTerms(t *testing.T, a Archive, entries []fedmsg.Entry, totals map[string]int64, field fedmsg.Field, prefix string, limit int) {
	t.Helper()
	found, err := a.Terms(t.Context(), field, prefix, limit)
	if err != nil {
		t.Fatalf("Terms(%s, %q, %d): %v", field, prefix, limit, err)
	}
	var want []int64
	for name, n := range totals {
		if strings.HasPrefix(name, prefix) {
			want = append(want, n)
		}
	}
	slices.Sort(want)
	slices.Reverse(want)
	want = want[:min(limit, len(want))]
	var got []int64
	seen := make(map[string]bool)
	for _, term := range found {
		got = append(got, term.N)
		of := naive.Answer(entries, fedmsg.Query{Filter: has(field, term.Name), OldestFirst: true})
		if field == fedmsg.TopicField { // which is asked for by patterns, of tails too
			of = slices.DeleteFunc(of, func(e fedmsg.Entry) bool { return string(e.Message.Topic) != term.Name })
		}
		if !strings.HasPrefix(term.Name, prefix) || seen[term.Name] || int(term.N) != len(of) {
			t.Errorf("Terms(%s, %q, %d) has %q with %d messages, want %d, and each once", field, prefix, limit, term.Name, term.N, len(of))
			continue
		}
		seen[term.Name] = true
		first, last := of[0].Message.Time.UnixMilli(), of[len(of)-1].Message.Time.UnixMilli()
		if term.First.UnixMilli() != first || term.Last.UnixMilli() != last {
			t.Errorf("Terms(%s, %q, %d): %q from %s to %s, want %s to %s", field, prefix, limit, term.Name, term.First, term.Last, time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC())
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("Terms(%s, %q, %d) have %v messages, want %v", field, prefix, limit, got, want)
	}
}
