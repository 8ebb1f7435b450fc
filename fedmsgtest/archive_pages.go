package fedmsgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/naive"
)

// readTo reads entries after a place until there are so many.
func readTo(t *testing.T, a Archive, after fedmsg.Seq, count int, want ...fedmsg.Pattern) (found []fedmsg.Entry) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), edgePatience)
	defer cancel()
	for batch, err := range a.Read(ctx, after, want...) {
		if err != nil || len(batch) == 0 {
			t.Fatalf("Read after %d of %q: %d entries after %v, %v; want %d in all", after, want, len(batch), places(found), err, count)
		}
		if found = append(found, batch...); len(found) >= count {
			break
		}
	}
	return found
}

func archiveRead(t *testing.T, a Archive) {
	random := naive.NewRandom(3)
	entries := random.Entries(90)
	for i := range entries {
		entries[i].Seq = entries[i].Seq*2 + 10 // a pump need not deliver all
	}
	deliverIn(t, a, 7, entries[:60])
	deliver(t, a, entries[:10]...)
	for i, e := range readTo(t, a, 0, 60) {
		asStored(t, e, entries[i])
	}
	for _, after := range []int{0, 1, 30, 58} {
		got := readTo(t, a, entries[after].Seq, 59-after)
		if want := entries[after+1 : 60]; !slices.Equal(ids(got), ids(want)) {
			t.Errorf("Read after %d = %v, want %v", entries[after].Seq, places(got), places(want))
		}
	}
	if got := readTo(t, a, entries[0].Seq-1, 60); len(got) != 60 {
		t.Errorf("Read after a place that has no entry: %v", places(got))
	}
	pattern := fedmsg.Pattern("#.git.#")
	var want []fedmsg.Entry
	for _, e := range entries[:60] {
		if pattern.Match(e.Message.Topic) {
			want = append(want, e)
		}
	}
	if got := readTo(t, a, 0, len(want), pattern); !slices.Equal(ids(got), ids(want)) {
		t.Errorf("Read of %s = %v, want %v", pattern, places(got), places(want))
	}
	for _, err := range a.Read(t.Context(), entries[59].Seq+1000) {
		if !errors.Is(err, fedmsg.ErrInvalid) {
			t.Errorf("Read beyond the end: %v, want ErrInvalid", err)
		}
		break
	}
	archiveFollow(t, a, entries)
}

// archiveFollow reads on while the last third of the entries comes.
func archiveFollow(t *testing.T, a Archive, entries []fedmsg.Entry) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	var mu sync.Mutex
	var got []fedmsg.Entry
	done := make(chan error, 1)
	go func() {
		var last error
		for batch, err := range a.Read(ctx, entries[49].Seq) {
			mu.Lock()
			got, last = append(got, batch...), err
			mu.Unlock()
		}
		done <- last
	}()
	has := func(n int) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return len(got) >= n }
	}
	Eventually(t, edgePatience, "what is there is read", has(10))
	deliver(t, a, entries[60])
	Eventually(t, edgePatience, "what comes is read", has(11))
	deliverIn(t, a, 10, entries[55:])
	Eventually(t, edgePatience, "all that comes is read", has(40))
	cancel(cause)
	select {
	case err := <-done:
		if !errors.Is(err, cause) {
			t.Errorf("Read ends with %v, want the cause of its context", err)
		}
	case <-time.After(edgePatience):
		t.Fatalf("Read did not end within %s of its context", edgePatience)
	}
	if !slices.Equal(ids(got), ids(entries[50:])) {
		t.Errorf("Read after %d = %v, want %v", entries[49].Seq, places(got), places(entries[50:]))
	}
}

// archiveOrder has equal times, times that are equal to the millisecond, and a late
// message.
func archiveOrder(t *testing.T, a Archive) {
	for i, timestamp := range []string{"1767225600", "1767225600.0009", "1767225600.0004", "1767225601.5", "1767225599.999", "1767225600", "1767225601.5", "0"} {
		deliver(t, a, stored(fedmsg.Seq(i+1), spelled(t, ID(i), timestamp, `{"agent":"ralph"}`)))
	}
	oldest := []fedmsg.Seq{8, 5, 1, 2, 3, 6, 4, 7}
	for _, limit := range []int{1, 2, 3, 7, 8, 9} {
		got, err := all(t.Context(), a, fedmsg.Query{OldestFirst: true, Limit: limit})
		if !slices.Equal(places(got), oldest) || err != nil {
			t.Errorf("oldest first in pages of %d: %v, %v; want %v", limit, places(got), err, oldest)
		}
		got, err = all(t.Context(), a, fedmsg.Query{Limit: limit, Filter: has(fedmsg.AgentField, "ralph")})
		slices.Reverse(got)
		if !slices.Equal(places(got), oldest) || err != nil {
			t.Errorf("newest first in pages of %d, turned: %v, %v; want %v", limit, places(got), err, oldest)
		}
	}
	at := time.Unix(1767225600, 0)
	for _, tt := range []struct {
		since, until time.Time
		want         []fedmsg.Seq
	}{
		{at, at, nil},
		{at, at.Add(time.Millisecond), []fedmsg.Seq{6, 3, 2, 1}},
		{at.Add(-time.Millisecond), at, []fedmsg.Seq{5}},
		{at.Add(time.Millisecond), time.Time{}, []fedmsg.Seq{7, 4}},
		{time.Time{}, at, []fedmsg.Seq{5, 8}},
		{at.Add(time.Hour), at, nil},
		{time.Unix(0, 0), time.Unix(1, 0).In(time.FixedZone("CET", 3600)), []fedmsg.Seq{8}},
		{at.AddDate(-1900, 0, 0), at.AddDate(7000, 0, 0), []fedmsg.Seq{7, 4, 6, 3, 2, 1, 5, 8}},
	} {
		q := fedmsg.Query{Since: tt.since, Until: tt.until}
		if got := places(search(t, a, q).Entries); !slices.Equal(got, tt.want) {
			t.Errorf("Search(%s) = %v, want %v", naive.Show(q), got, tt.want)
		}
	}
}

func archiveLimits(t *testing.T, a Archive) {
	var batch []fedmsg.Entry
	for i := range 60 {
		batch = append(batch, stored(fedmsg.Seq(i+1), Message(i)))
	}
	deliver(t, a, batch...)
	for limit, want := range map[int]int{0: 25, 1: 1, 59: 59, 60: 60, 61: 60, 1000: 60, 1 << 40: 60} {
		page := search(t, a, fedmsg.Query{Limit: limit})
		if len(page.Entries) != want || (page.Next != "") != (want < 60) || page.Prev != "" || page.Entries[0].Seq != 60 {
			t.Errorf("a page of at most %d: %v, next %q, prev %q; want %d entries", limit, places(page.Entries), page.Next, page.Prev, want)
		}
	}
	for _, limit := range []int{0, 1, 7, 20, 30, 59, 60, 61} {
		for _, q := range []fedmsg.Query{{Limit: limit}, {Limit: limit, OldestFirst: true}, {Limit: limit, Filter: has(fedmsg.CategoryField, "bodhi")}} {
			got, err := all(t.Context(), a, q)
			if want := naive.Answer(batch, q); err != nil || !slices.Equal(ids(got), ids(want)) {
				t.Errorf("Search(%s) = %v, %v; want %v", naive.Show(q), places(got), err, places(want))
			}
		}
	}
}

// archiveInserts has messages come between two pages, some into the one before and
// some of the same millisecond: each page goes on where the last one ended.
func archiveInserts(t *testing.T, a Archive) {
	random := naive.NewRandom(11)
	entries := random.Entries(80)
	deliver(t, a, entries...)
	for i, q := range []fedmsg.Query{{}, {OldestFirst: true}, {Filter: has(fedmsg.TopicField, "#.git.#")}, {Filter: has(fedmsg.UserField, "ralph"), OldestFirst: true}} {
		q.Limit = 6
		var page fedmsg.Page
		for number := 0; number == 0 || page.Next != ""; number++ {
			q.Cursor = page.Next
			left := naive.Answer(entries, q)
			if number > 0 {
				last := page.Entries[len(page.Entries)-1].Message.ID
				left = left[1+slices.Index(ids(left), last):]
			}
			page = search(t, a, q)
			if want := ids(left[:min(6, len(left))]); !slices.Equal(ids(page.Entries), want) || (page.Next != "") != (len(left) > 6) {
				t.Fatalf("page %d of query %d, %s\n = %q, next %q\nwant %q of %d", number+1, i, naive.Show(q), ids(page.Entries), page.Next, want, len(left))
			}
			more := random.Entries(3)
			seq, edge := more[2].Seq, page.Entries[len(page.Entries)-1].Message
			again, err := fedmsg.DecodeHistory(bytes.Replace(edge.Bytes(), []byte(edge.ID), fmt.Appendf(nil, "again-%d", seq), 1))
			if err != nil {
				t.Fatal(err)
			}
			more[2] = stored(seq, again)
			entries = append(entries, more...)
			deliver(t, a, more...)
		}
		if q.Cursor = page.Prev; q.Cursor == "" {
			t.Fatalf("query %d: the last page has none before it", i)
		}
		want := naive.Answer(entries, q)
		at := slices.Index(ids(want), page.Entries[0].Message.ID)
		want = want[max(0, at-6):at]
		if page = search(t, a, q); !slices.Equal(ids(page.Entries), ids(want)) {
			t.Errorf("the page before the last of query %d = %q, want %q", i, ids(page.Entries), ids(want))
		}
	}
	holds(t, a, entries)
}

func archiveCursors(t *testing.T, a Archive) {
	var batch []fedmsg.Entry
	for i := range 30 {
		batch = append(batch, stored(fedmsg.Seq(i+1), Message(i)))
	}
	deliver(t, a, batch...)
	q := fedmsg.Query{Limit: 3, Filter: has(fedmsg.VerifiedField, "x509"), Since: began.Add(-time.Hour), Until: began.Add(time.Hour)}
	second := q
	second.Cursor = search(t, a, q).Next
	page := search(t, a, second)
	for _, cursor := range []string{page.Next, page.Prev} {
		others := []fedmsg.Query{q, q, q, q, q, q}
		others[0].Filter = fedmsg.Filter{}
		others[1].Filter = has(fedmsg.VerifiedField, "x509:tester")
		others[2].Filter = fedmsg.Filter{Op: fedmsg.Not, Of: []fedmsg.Filter{q.Filter}}
		others[3].Since = q.Since.Add(time.Millisecond)
		others[4].Until = time.Time{}
		others[5].OldestFirst = true
		for _, other := range others {
			other.Cursor = cursor
			if page, err := a.Search(t.Context(), other); !errors.Is(err, fedmsg.ErrInvalid) {
				t.Errorf("Search(%s) with the cursor of another query = %v, %v; want ErrInvalid", naive.Show(other), places(page.Entries), err)
			}
		}
		flipped := []byte(cursor)
		flipped[len(cursor)/2] ^= 1
		for _, bad := range []string{"x", " ", cursor[1:], cursor[:len(cursor)-1], cursor + "A", string(flipped), "0" + cursor[1:], strings.Repeat("A", len(cursor)), "\x00", "%", strings.Repeat("A", 100_000)} {
			other := q
			other.Cursor = bad
			if page, err := a.Search(t.Context(), other); !errors.Is(err, fedmsg.ErrInvalid) {
				t.Errorf("Search with the cursor %.60q = %v, %v; want ErrInvalid", bad, places(page.Entries), err)
			}
		}
	}
}

// archiveRefusals asks what nobody can answer.
func archiveRefusals(t *testing.T, a Archive) {
	deliver(t, a, stored(1, Message(1)))
	good := has(fedmsg.AgentField, "ralph")
	for _, q := range []fedmsg.Query{
		{Limit: -1},
		{Filter: fedmsg.Filter{Op: fedmsg.Has}},
		{Filter: has("colour", "blue")},
		{Filter: fedmsg.Filter{Op: fedmsg.Not}},
		{Filter: fedmsg.Filter{Op: fedmsg.Not, Of: []fedmsg.Filter{good, good}}},
		{Filter: fedmsg.Filter{Op: fedmsg.Any, Of: []fedmsg.Filter{good, {Op: fedmsg.Has + 1}}}},
	} {
		if page, err := a.Search(t.Context(), q); !errors.Is(err, fedmsg.ErrInvalid) {
			t.Errorf("Search(%+v) = %+v, %v; want ErrInvalid", q, page, err)
		}
		if counts, err := a.Count(t.Context(), q, fedmsg.Grouping{}); q.Limit == 0 && !errors.Is(err, fedmsg.ErrInvalid) {
			t.Errorf("Count(%+v) = %+v, %v; want ErrInvalid", q, counts, err)
		}
	}
	for _, by := range []fedmsg.Grouping{{Step: time.Second}, {Step: 90 * time.Second}, {Step: -time.Hour}, {Field: "colour"}, {Field: fedmsg.BodyField}, {Limit: -1}} {
		if counts, err := a.Count(t.Context(), fedmsg.Query{}, by); !errors.Is(err, fedmsg.ErrInvalid) {
			t.Errorf("Count by %+v = %+v, %v; want ErrInvalid", by, counts, err)
		}
	}
	for _, field := range []fedmsg.Field{"", "colour", fedmsg.IDField, fedmsg.TextField} {
		if terms, err := a.Terms(t.Context(), field, "", 10); !errors.Is(err, fedmsg.ErrInvalid) {
			t.Errorf("Terms of the field %q = %v, %v; want ErrInvalid", field, terms, err)
		}
	}
}

// archiveRandom asks hundreds of random queries, in pages and in counts. What
// fails is made smaller before it is told. SEED=n asks others; -short asks less.
func archiveRandom(t *testing.T, a Archive) {
	seed, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64)
	if err != nil {
		seed = 1
	}
	random := naive.NewRandom(seed)
	entries := random.Entries(160)
	deliver(t, a, entries[:1]...)
	deliverIn(t, a, 23, entries[1:])
	differs := func(q fedmsg.Query, want []fedmsg.Entry) error {
		q.Limit = max(q.Limit, len(want)/10)
		got, err := all(t.Context(), a, q)
		if err == nil && !slices.Equal(ids(got), ids(want)) {
			err = fmt.Errorf("finds the places %v, want %v", places(got), places(want))
		}
		return err
	}
	queries := 300
	if testing.Short() {
		queries = 100
	}
	for i := range queries {
		q := random.Query()
		want := naive.Answer(entries, q)
		if err := differs(q, want); err != nil {
			q = naive.Smallest(q, func(q fedmsg.Query) bool { return differs(q, naive.Answer(entries, q)) != nil })
			t.Fatalf("SEED=%d, query %d: Search(%s): %v", seed, i, naive.Show(q), differs(q, naive.Answer(entries, q)))
		}
		if by := random.Grouping(); !checkCounts(t, a, want, q, by) {
			t.Fatalf("SEED=%d, query %d", seed, i)
		}
	}
}

// archiveConcurrency searches and counts while batches come: each is seen whole.
func archiveConcurrency(t *testing.T, a Archive) {
	const batch, batches = 10, 30
	entries := naive.NewRandom(5).Entries(batch * batches)
	deliver(t, a, entries[:batch]...)
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for i := range 3 {
		readers.Go(func() {
			for ctx.Err() == nil && !t.Failed() {
				q := fedmsg.Query{Limit: 1000, OldestFirst: i == 0}
				page, err := a.Search(t.Context(), q)
				n := len(page.Entries)
				if err != nil || n%batch != 0 || page.Next != "" || !slices.Equal(ids(page.Entries), ids(naive.Answer(entries[:n], q))) {
					t.Errorf("a page of %d entries, next %q, %v; want whole batches of %d, in order", n, page.Next, err, batch)
				}
				counts, err := a.Count(t.Context(), q, fedmsg.Grouping{Step: time.Hour})
				var sum int64
				for _, row := range counts.Rows {
					sum += row.N
				}
				if err != nil || sum%batch != 0 || sum < int64(n) {
					t.Errorf("a count of %d after a page of %d, %v; want whole batches of %d", sum, n, err, batch)
				}
			}
		})
	}
	deliverIn(t, a, batch, entries[batch:])
	cancel()
	readers.Wait()
	holds(t, a, entries)
}
