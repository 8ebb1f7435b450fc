package fedmsgtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/naive"
)

// An Archive is what [TestArchive] tests.
type Archive interface {
	fedmsg.Archive
	fedmsg.Counter
}

// A Reopener is an Archive that outlives its process.
type Reopener interface {
	Archive
	// Reopen closes the archive and opens what is left of it.
	Reopen(t *testing.T) Archive
}

// TestArchive checks what package fedmsg says of an Archive and a Counter. open
// makes a new and empty one for each part, which finds users, packages and objects
// by words. If it is a [Reopener] it is opened again, too.
func TestArchive(t *testing.T, open func(t *testing.T, words fedmsg.Describer) Archive) {
	for _, part := range []struct {
		name string
		test func(t *testing.T, a Archive)
	}{
		{"empty", archiveEmpty},
		{"keeps what was said", archiveKeepsBytes},
		{"duplicates", archiveDuplicates},
		{"like IDs", archiveLikeIDs},
		{"no ID", archiveNoID},
		{"cancellation", archiveCancellation},
		{"read", archiveRead},
		{"order", archiveOrder},
		{"page limits", archiveLimits},
		{"pages while messages come", archiveInserts},
		{"cursors", archiveCursors},
		{"what is no question", archiveRefusals},
		{"terms", archiveTerms},
		{"random queries", archiveRandom},
		{"concurrency", archiveConcurrency},
		{"reopening", archiveReopening},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, open(t, naive.Describer{})) })
	}
}

// stored makes an entry of a message at a place.
func stored(seq fedmsg.Seq, m *fedmsg.Message) fedmsg.Entry {
	return fedmsg.Entry{Seq: seq, At: began.Add(time.Duration(seq) * 1001 * time.Microsecond), Verified: "x509:tester", Message: m}
}

// spelled makes a message of JSON texts.
func spelled(t *testing.T, id, timestamp, body string) *fedmsg.Message {
	t.Helper()
	m, err := fedmsg.DecodeHistory(fmt.Appendf(nil, `{"topic":"org.example.test.spelled","msg_id":%q,"timestamp":%s,"msg":%s}`, id, timestamp, body))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// deliver passes entries on, which must all be taken.
func deliver(t *testing.T, a Archive, batch ...fedmsg.Entry) {
	t.Helper()
	if n, err := a.Deliver(t.Context(), batch); n != len(batch) || err != nil {
		t.Fatalf("Deliver of %d entries from place %d = %d, %v; want all of them", len(batch), batch[0].Seq, n, err)
	}
}

// deliverIn passes entries on, so many at a time.
func deliverIn(t *testing.T, a Archive, size int, entries []fedmsg.Entry) {
	t.Helper()
	for batch := range slices.Chunk(entries, size) {
		deliver(t, a, batch...)
	}
}

func search(t *testing.T, a Archive, q fedmsg.Query) fedmsg.Page {
	t.Helper()
	page, err := a.Search(t.Context(), q)
	if err != nil {
		t.Fatalf("Search(%s): %v", naive.Show(q), err)
	}
	return page
}

// all walks through the pages of a query, forth and back, and returns what is in
// them. The error tells what is wrong with a page.
func all(ctx context.Context, a Archive, q fedmsg.Query) (found []fedmsg.Entry, err error) {
	limit := q.Limit
	if limit == 0 {
		limit = 25
	}
	var pages []fedmsg.Page
	even := true // no page ended early, for want of time
	for q.Cursor = ""; len(pages) == 0 || q.Cursor != ""; {
		page, err := a.Search(ctx, q)
		n, early := len(page.Entries), !page.ScannedTo.IsZero()
		switch {
		case err != nil:
			return nil, fmt.Errorf("page %d: %w", len(pages)+1, err)
		case n > limit, n < limit && page.Next != "" && !early, early && page.Next == "", n == 0 && page.Next+page.Prev != "" && !early,
			even && n > 0 && (page.Prev != "") != (len(pages) > 0):
			return nil, fmt.Errorf("page %d has %d entries of at most %d, next %q, prev %q, looked at what is until %s", len(pages)+1, n, limit, page.Next, page.Prev, page.ScannedTo)
		case len(pages) > 10_000:
			return nil, errors.New("the pages do not end")
		case len(pages) > 0 && n == 0 && even && !early:
			return nil, fmt.Errorf("page %d is empty, and page %d has a next one", len(pages)+1, len(pages))
		}
		even = even && !early
		found, pages, q.Cursor = append(found, page.Entries...), append(pages, page), page.Next
	}
	for i := len(pages) - 1; i > 0 && even; i-- {
		q.Cursor = pages[i].Prev
		page, err := a.Search(ctx, q)
		if even = page.ScannedTo.IsZero(); !even {
			continue
		}
		if err != nil || !slices.Equal(ids(page.Entries), ids(pages[i-1].Entries)) || page.Next == "" || (page.Prev == "") != (i == 1) {
			return nil, fmt.Errorf("the page before page %d of %d = %q, next %q, prev %q, %v; want %q", i+1, len(pages), ids(page.Entries), page.Next, page.Prev, err, ids(pages[i-1].Entries))
		}
	}
	return found, nil
}

func ids(entries []fedmsg.Entry) []string {
	found := make([]string, len(entries))
	for i, e := range entries {
		found[i] = e.Message.ID
	}
	return found
}

// holds checks that an archive has these entries and no others.
func holds(t *testing.T, a Archive, want []fedmsg.Entry) {
	t.Helper()
	q := fedmsg.Query{OldestFirst: true, Limit: 100}
	got, err := all(t.Context(), a, q)
	if err != nil {
		t.Fatalf("Search(%s): %v", naive.Show(q), err)
	}
	if want := naive.Answer(want, q); !slices.Equal(ids(got), ids(want)) {
		t.Fatalf("the archive has %d entries %q,\nwant %d, %q", len(got), ids(got), len(want), ids(want))
	}
	for i, e := range naive.Answer(want, q) {
		asStored(t, got[i], e)
	}
}

// asStored checks that an entry is as it was delivered.
func asStored(t *testing.T, got, want fedmsg.Entry) {
	t.Helper()
	same(t, got, want, fedmsg.Receipt{Seq: want.Seq, At: want.At})
}

func archiveEmpty(t *testing.T, a Archive) {
	if n, err := a.Deliver(t.Context(), nil); n != 0 || err != nil {
		t.Errorf("Deliver of nothing = %d, %v", n, err)
	}
	for _, q := range []fedmsg.Query{{}, {OldestFirst: true, Limit: 1}, {Since: began}} {
		if page := search(t, a, q); len(page.Entries) != 0 || page.Next != "" || page.Prev != "" || !page.ScannedTo.IsZero() {
			t.Errorf("Search(%s) = %+v; want nothing", naive.Show(q), page)
		}
	}
	if _, err := a.Find(t.Context(), ID(1)); !errors.Is(err, fedmsg.ErrNotFound) {
		t.Errorf("Find: %v, want ErrNotFound", err)
	}
	if terms, err := a.Terms(t.Context(), fedmsg.UserField, "", 10); len(terms) != 0 || err != nil {
		t.Errorf("Terms = %v, %v; want none", terms, err)
	}
	for _, by := range []fedmsg.Grouping{{}, {Step: time.Hour}, {Field: fedmsg.TopicField}} {
		checkCounts(t, a, nil, fedmsg.Query{}, by)
	}
}

func archiveKeepsBytes(t *testing.T, a Archive) {
	var batch []fedmsg.Entry
	add := func(m *fedmsg.Message) { batch = append(batch, stored(fedmsg.Seq(len(batch)+1), m)) }
	for _, m := range spellings(t) {
		add(m)
	}
	for i, body := range []string{`{}`, `{"":"\ud800","\udfff\ud800":"\u0000"}`, `{"lists":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, `{"n":1E400,"m":-0,"o":0.10}`,
		`{"a":NaN,"a":[-Infinity]}`, `"a text"`, `[null,1]`, `null`} {
		add(spelled(t, ID(100+i), "1340000000.5", body))
	}
	for i, text := range []string{ // as they were sent long ago
		`{"topic":"org.example.test.old","msg_id":"%s","timestamp":1340000000}`,
		`{"topic":"org.example..OLD topic!","msg_id":"%s","timestamp":1340000000,"msg":null}`,
	} {
		m, err := fedmsg.DecodeHistory(fmt.Appendf(nil, text, ID(200+i)))
		if err != nil {
			t.Fatal(err)
		}
		add(m)
	}
	deliverIn(t, a, 4, batch)
	holds(t, a, batch)
	far := stored(1000, spelled(t, ID(300), "1e15", `{}`)) // no order is promised so far away
	none, err := fedmsg.DecodeHistory(fmt.Appendf(nil, `{"topic":"org.example.test.old","msg_id":"%s","msg":{}}`, ID(301)))
	if err != nil {
		t.Fatal(err)
	}
	deliver(t, a, far, stored(1001, none))
	for _, e := range append(batch, far, stored(1001, none)) {
		found, err := a.Find(t.Context(), e.Message.ID)
		if err != nil {
			t.Fatalf("Find(%s): %v", e.Message.ID, err)
		}
		asStored(t, found, e)
	}
	if got := len(search(t, a, fedmsg.Query{Limit: 100}).Entries); got != len(batch)+2 {
		t.Errorf("the archive has %d entries, want %d", got, len(batch)+2)
	}
}

func archiveDuplicates(t *testing.T, a Archive) {
	kept := []fedmsg.Entry{stored(1, Message(1)), stored(2, Message(2)), stored(3, Message(3))}
	deliver(t, a, kept[0], kept[1], kept[0], stored(9, Message(1)))
	deliver(t, a, kept[1], kept[2])
	deliver(t, a, kept...)
	deliver(t, a, stored(10, respelled(t, Message(2))), stored(11, MessageOf(3, "org.example.another", `{"another":"body"}`)))
	holds(t, a, kept)
	checkCounts(t, a, kept, fedmsg.Query{}, fedmsg.Grouping{Field: fedmsg.TopicField, Step: time.Hour})
	if terms, err := a.Terms(t.Context(), fedmsg.TopicField, "org.example.another", 10); len(terms) != 0 || err != nil {
		t.Errorf("Terms know the topic of a duplicate: %v, %v", terms, err)
	}
}

// archiveLikeIDs has IDs that one who keeps them in a shorter form could mix up.
func archiveLikeIDs(t *testing.T, a Archive) {
	var batch []fedmsg.Entry
	const uuid = "0b62cbd8-a2e2-41aa-9f41-4a0ba1aabcde"
	for i, id := range []string{uuid, "2026-" + uuid, "2025-" + uuid, "02026-" + uuid, strings.ToUpper(uuid), "2026-" + strings.ToUpper(uuid), strings.ReplaceAll(uuid, "-", ""),
		"2026-" + strings.ReplaceAll(uuid, "-", ""), "2026-" + uuid + "0", "2026_" + uuid, "x", "X", "0", "00", "2026-", "2026-" + uuid[1:], strings.Repeat("i", fedmsg.MaxIDLength)} {
		batch = append(batch, stored(fedmsg.Seq(i+1), spelled(t, id, fmt.Sprint(1767225600+i), `{}`)))
	}
	deliver(t, a, batch...)
	holds(t, a, batch)
	for _, e := range batch {
		found, err := a.Find(t.Context(), e.Message.ID)
		q := fedmsg.Query{Filter: has(fedmsg.IDField, e.Message.ID)}
		if page := search(t, a, q); err != nil || found.Seq != e.Seq || !slices.Equal(places(page.Entries), []fedmsg.Seq{e.Seq}) {
			t.Errorf("%s: Find = %d, %v, Search = %v; want %d", e.Message.ID, found.Seq, err, places(page.Entries), e.Seq)
		}
	}
	for _, id := range []string{"", "2024-" + uuid, "%", "2026-" + strings.ToUpper(uuid[:8]) + uuid[8:], "x\x00", strings.Repeat("x", 10_000)} {
		if found, err := a.Find(t.Context(), id); !errors.Is(err, fedmsg.ErrNotFound) {
			t.Errorf("Find(%.50q) = %d, %v; want ErrNotFound", id, found.Seq, err)
		}
	}
}

func has(f fedmsg.Field, value string) fedmsg.Filter {
	return fedmsg.Filter{Op: fedmsg.Has, Test: fedmsg.Test{Field: f, Value: value}}
}

// archiveNoID delivers what an archive cannot take: messages of long ago without
// an ID, which an import must give one.
func archiveNoID(t *testing.T, a Archive) {
	bare, err := fedmsg.DecodeHistory([]byte(`{"topic":"org.example.test.bare","timestamp":1340000000,"msg":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	good := []fedmsg.Entry{stored(1, Message(1)), stored(3, Message(3))}
	n, err := a.Deliver(t.Context(), []fedmsg.Entry{good[0], stored(2, bare), good[1]})
	if n > 1 || !errors.Is(err, fedmsg.ErrInvalid) {
		t.Fatalf("Deliver of an entry without ID behind a good one = %d, %v; want at most 1, ErrInvalid", n, err)
	}
	deliver(t, a, good[n:]...)
	holds(t, a, good)
}

func archiveCancellation(t *testing.T, a Archive) {
	deliver(t, a, stored(1, Message(1)))
	cause := errors.New("the caller went home")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	n, err := a.Deliver(ctx, []fedmsg.Entry{stored(2, Message(2))})
	if n != 0 {
		t.Errorf("Deliver with a cancelled context takes %d entries", n)
	}
	errs := map[string]error{"Deliver": err}
	_, errs["Find"] = a.Find(ctx, ID(1))
	_, errs["Search"] = a.Search(ctx, fedmsg.Query{})
	_, errs["Count"] = a.Count(ctx, fedmsg.Query{}, fedmsg.Grouping{})
	_, errs["Terms"] = a.Terms(ctx, fedmsg.TopicField, "", 10)
	for _, err := range a.Read(ctx, 0) {
		errs["Read"] = err
	}
	for name, err := range errs {
		if !errors.Is(err, cause) {
			t.Errorf("%s with a cancelled context: %v, want its cause", name, err)
		}
	}
	holds(t, a, []fedmsg.Entry{stored(1, Message(1))})
}

// archiveReopening closes an archive in between, if it can be opened again.
func archiveReopening(t *testing.T, a Archive) {
	r, ok := a.(Reopener)
	if !ok {
		t.Skip("it does not outlive its process")
	}
	random := naive.NewRandom(7)
	entries := random.Entries(60)
	deliverIn(t, a, 20, entries)
	q := fedmsg.Query{Limit: 20}
	q.Cursor = search(t, a, q).Next
	before := search(t, a, q)
	a = r.Reopen(t)
	if after := search(t, a, q); !slices.Equal(ids(after.Entries), ids(before.Entries)) {
		t.Errorf("the page at a cursor is %q, and was %q before", ids(after.Entries), ids(before.Entries))
	}
	deliver(t, a, entries[30:]...)
	holds(t, a, entries)
	more := random.Entries(20)
	deliver(t, a, more...)
	entries = append(entries, more...)
	holds(t, a, entries)
	for _, field := range naive.TermFields {
		checkCounts(t, a, entries, fedmsg.Query{}, fedmsg.Grouping{Field: field, Step: time.Hour})
	}
	got := readTo(t, a, 0, len(entries))
	for i, e := range got {
		asStored(t, e, entries[i])
	}
}
