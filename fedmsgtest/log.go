package fedmsgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// TestLog checks what package fedmsg says of a Log. open makes a new and empty
// one for each part.
func TestLog(t *testing.T, open func(t *testing.T) fedmsg.Log) {
	for _, part := range []struct {
		name string
		test func(t *testing.T, log fedmsg.Log)
	}{
		{"empty", logEmpty},
		{"order", logOrder},
		{"keeps what was said", logKeepsBytes},
		{"duplicates", logDuplicates},
		{"conflicts", logConflicts},
		{"duplicates in a batch", logBatchDuplicates},
		{"page limits", logPageLimits},
		{"page patterns", logPagePatterns},
		{"page of many", logPageOfMany},
		{"find", logFind},
		{"concurrency", logConcurrency},
		{"readers see no holes", logReaders},
		{"cancellation", logCancellation},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, open(t)) })
	}
	t.Run("epoch", func(t *testing.T) {
		a, b := state(t, open(t)), state(t, open(t))
		if a.Epoch == b.Epoch {
			t.Errorf("two logs have the epoch %s", a.Epoch)
		}
	})
}

// entry makes an entry of a message; Seq and At are wrong, and must not matter.
func entry(m *fedmsg.Message) fedmsg.Entry {
	return fedmsg.Entry{Seq: 4711, At: time.Unix(1, 0), Verified: "x509:" + m.ID, Message: m}
}

func entries(from, to int) []fedmsg.Entry {
	var batch []fedmsg.Entry
	for i := from; i < to; i++ {
		batch = append(batch, entry(Message(i)))
	}
	return batch
}

// fill appends messages from, from+1, ... to-1, which must get the next places.
func fill(t *testing.T, log fedmsg.Log, from, to int) []fedmsg.Receipt {
	t.Helper()
	last := state(t, log).Last
	receipts := log.Append(t.Context(), entries(from, to)...)
	if len(receipts) != to-from {
		t.Fatalf("Append of %d entries gives %d receipts", to-from, len(receipts))
	}
	for i, r := range receipts {
		if want := last + fedmsg.Seq(i) + 1; r.Err != nil || r.Seq != want || r.Duplicate {
			t.Fatalf("receipt %d: seq %d, duplicate %v, %v; want seq %d", i, r.Seq, r.Duplicate, r.Err, want)
		}
	}
	return receipts
}

func state(t *testing.T, log fedmsg.Log) fedmsg.LogState {
	t.Helper()
	s, err := log.State(t.Context())
	if err != nil {
		t.Fatalf("State: %v", err)
	}
	if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(s.Epoch) {
		t.Errorf("State: epoch %q, want 16 hexadecimal digits", s.Epoch)
	}
	if s.Problem != nil {
		t.Errorf("State: problem %v", s.Problem)
	}
	if s.First > s.Last+1 || s.First == 0 {
		t.Errorf("State: first %d, last %d", s.First, s.Last)
	}
	if s.Bytes < -1 || s.Free < -1 {
		t.Errorf("State: %d bytes, %d free", s.Bytes, s.Free)
	}
	return s
}

// collect pages through the log, limit entries at a time, to its end.
func collect(t *testing.T, log fedmsg.Log, after fedmsg.Seq, limit int, want ...fedmsg.Pattern) []fedmsg.Entry {
	t.Helper()
	var all []fedmsg.Entry
	for {
		page, next, err := log.Page(t.Context(), after, limit, want...)
		if err != nil {
			t.Fatalf("Page(after %d, limit %d, %q): %v", after, limit, want, err)
		}
		if len(page) > limit || next < after || len(page) > 0 && (page[0].Seq <= after || page[len(page)-1].Seq > next) {
			t.Fatalf("Page(after %d, limit %d, %q) = %d entries %v, next %d", after, limit, want, len(page), places(page), next)
		}
		if next == after {
			if len(page) > 0 {
				t.Fatalf("Page(after %d) has %d entries, and next is %d", after, len(page), next)
			}
			return all
		}
		all, after = append(all, page...), next
	}
}

func places(page []fedmsg.Entry) []fedmsg.Seq {
	var seqs []fedmsg.Seq
	for _, e := range page {
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

// same checks that got is what an entry became that was appended with receipt r.
func same(t *testing.T, got, put fedmsg.Entry, r fedmsg.Receipt) {
	t.Helper()
	if got.Seq != r.Seq || !got.At.Equal(r.At) || got.Verified != put.Verified {
		t.Errorf("the entry has seq %d, at %s, verified %q; want %d, %s, %q", got.Seq, got.At, got.Verified, r.Seq, r.At, put.Verified)
	}
	if got.At.Location() != time.UTC || got.At.Nanosecond()%1000 != 0 {
		t.Errorf("entry %d: At is %v; want UTC and whole microseconds", got.Seq, got.At)
	}
	m, want := got.Message, put.Message
	if m == nil {
		t.Fatalf("entry %d has no message", got.Seq)
	}
	if !bytes.Equal(m.Bytes(), want.Bytes()) || !bytes.Equal(m.Compact(), want.Compact()) {
		t.Errorf("entry %d:\n got %.300s\nwant %.300s", got.Seq, m.Bytes(), want.Bytes())
	}
	if m.ID != want.ID || m.Topic != want.Topic || m.User != want.User || !m.Time.Equal(want.Time) ||
		!bytes.Equal(m.Body, want.Body) || m.Signature != want.Signature {
		t.Errorf("entry %d: fields\n got %s %s %s %s\nwant %s %s %s %s", got.Seq, m, m.User, m.Time, m.Body, want, want.User, want.Time, want.Body)
	}
}

func logEmpty(t *testing.T, log fedmsg.Log) {
	if s := state(t, log); s.First != 1 || s.Last != 0 {
		t.Errorf("State of an empty log: first %d, last %d, want 1, 0", s.First, s.Last)
	}
	if r := log.Append(t.Context()); len(r) != 0 {
		t.Errorf("Append of nothing gives %d receipts", len(r))
	}
	if page, next, err := log.Page(t.Context(), 0, 10); len(page) != 0 || next != 0 || err != nil {
		t.Errorf("Page(0, 10) of an empty log = %d entries, next %d, %v", len(page), next, err)
	}
	if page, _, err := log.Page(t.Context(), 1, 10); !errors.Is(err, fedmsg.ErrInvalid) {
		t.Errorf("Page(1, 10) of an empty log = %d entries, %v; want ErrInvalid", len(page), err)
	}
}

func logOrder(t *testing.T, log fedmsg.Log) {
	before := time.Now().Add(-time.Second)
	receipts := slices.Concat(fill(t, log, 0, 1), fill(t, log, 1, 2), fill(t, log, 2, 100), fill(t, log, 100, 101))
	got := collect(t, log, 0, 1000)
	if len(got) != len(receipts) {
		t.Fatalf("the log has %d entries, want %d", len(got), len(receipts))
	}
	for i, e := range got {
		same(t, e, entry(Message(i)), receipts[i])
		if e.At.Before(before) || e.At.After(time.Now().Add(time.Second)) {
			t.Errorf("entry %d: At is %s, and now it is %s", e.Seq, e.At, time.Now().UTC())
		}
	}
	if s := state(t, log); s.First != 1 || s.Last != 101 {
		t.Errorf("State: first %d, last %d, want 1, 101", s.First, s.Last)
	}
	if page, next, err := log.Page(t.Context(), 101, 10); len(page) != 0 || next != 101 || err != nil {
		t.Errorf("Page at the end = %d entries, next %d, %v; want none, 101, nil", len(page), next, err)
	}
	if page, _, err := log.Page(t.Context(), 102, 10); !errors.Is(err, fedmsg.ErrInvalid) {
		t.Errorf("Page beyond the end = %d entries, %v; want ErrInvalid", len(page), err)
	}
}

// spellings are messages whose bytes a log could be tempted to tidy up.
func spellings(t *testing.T) []*fedmsg.Message {
	var found []*fedmsg.Message
	for i, text := range []string{
		` { "topic" : "org.example.a" , "msg_id" : "%s", "timestamp":1.50e9, "msg" : { "n" : 1.0, "big":123456789012345678901234567890, "e":1E-7 } } `,
		`{"zeta":null,"topic":"org.example.b","msg_id":"%s","timestamp":1767225600.123456,"msg":{"text":"\u00e9é\/ \u0000 \ud83d\ude00 😀"},"alpha":[{}],"username":null}`,
		"{\"topic\":\"org.example.c\",\n\t\"msg_id\":\"%s\",\r\n\"timestamp\":0,\"msg\":{},\"i\":0,\"crypto\":null}\n",
		`{"topic":"org.example.d","msg_id":"%s","timestamp":1,"msg":{"%%":"'; DROP TABLE entries; --"},"signature":"c2ln\n","certificate":"Y2VydA==\n","crypto":"x509"}`,
	} {
		m, err := fedmsg.Decode(fmt.Appendf(nil, text, ID(i)))
		if err != nil {
			t.Fatalf("Decode(%s): %v", text, err)
		}
		found = append(found, m)
	}
	return append(found, MessageSized(len(found), fedmsg.MaxMessageSize), MessageSized(len(found)+1, 70_000))
}

func logKeepsBytes(t *testing.T, log fedmsg.Log) {
	var batch []fedmsg.Entry
	for _, m := range spellings(t) {
		batch = append(batch, entry(m))
	}
	receipts := log.Append(t.Context(), batch...)
	got := collect(t, log, 0, 2)
	if len(got) != len(batch) {
		t.Fatalf("the log has %d entries of %d; receipts %v", len(got), len(batch), receipts)
	}
	for i, e := range got {
		same(t, e, batch[i], receipts[i])
		found, err := log.Find(t.Context(), e.Message.ID)
		if err != nil {
			t.Fatalf("Find(%s): %v", e.Message.ID, err)
		}
		same(t, found, batch[i], receipts[i])
	}
}

// respelled says the same in other bytes: indented, and with fields in another
// order; signed says it with a signature.
func respelled(t *testing.T, m *fedmsg.Message) *fedmsg.Message {
	t.Helper()
	text, err := fedmsg.AppendPretty(nil, m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	other, err := fedmsg.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	return other
}

func signed(t *testing.T, m *fedmsg.Message) *fedmsg.Message {
	t.Helper()
	other, err := m.With(fedmsg.Member{Name: "crypto", JSON: []byte(`"x509"`)},
		fedmsg.Member{Name: "signature", JSON: []byte(`"c2lnbmF0dXJl"`)},
		fedmsg.Member{Name: "certificate", JSON: []byte(`"Y2VydA=="`)})
	if err != nil {
		t.Fatal(err)
	}
	return other
}

func logDuplicates(t *testing.T, log fedmsg.Log) {
	first := fill(t, log, 0, 3)
	for _, m := range []*fedmsg.Message{Message(1), respelled(t, Message(1)), signed(t, Message(1))} {
		e := entry(m)
		e.Verified = fedmsg.Unverified
		r := log.Append(t.Context(), e)[0]
		if r.Err != nil || !r.Duplicate || r.Seq != first[1].Seq || !r.At.Equal(first[1].At) {
			t.Errorf("Append of the same message again = %+v, want a duplicate of %+v", r, first[1])
		}
	}
	fill(t, log, 3, 4) // a duplicate takes no place
	got := collect(t, log, 0, 100)
	if len(got) != 4 {
		t.Fatalf("the log has %d entries, want 4", len(got))
	}
	same(t, got[1], entry(Message(1)), first[1]) // as it came first
}

func logConflicts(t *testing.T, log fedmsg.Log) {
	fill(t, log, 0, 3)
	for _, m := range []*fedmsg.Message{
		MessageOf(1, Message(1).Topic, `{"another":"body"}`),
		MessageOf(1, "org.example.another", string(Message(1).Body)),
	} {
		r := log.Append(t.Context(), entry(m))[0]
		if fedmsg.ReasonOf(r.Err) != fedmsg.MsgIDConflict || !errors.Is(r.Err, fedmsg.ErrConflict) || r.Seq != 0 || r.Duplicate {
			t.Errorf("Append of another message with a known ID = %+v; want msg_id_conflict", r)
		}
	}
	fill(t, log, 3, 4) // a refusal takes no place
	found, err := log.Find(t.Context(), ID(1))
	if err != nil || !bytes.Equal(found.Message.Bytes(), Message(1).Bytes()) {
		t.Errorf("Find(%s) = %v, %v; want the first message", ID(1), found, err)
	}
}

func logBatchDuplicates(t *testing.T, log fedmsg.Log) {
	fill(t, log, 0, 1)
	batch := []*fedmsg.Message{
		Message(1), respelled(t, Message(1)), Message(0), MessageOf(1, "org.example.a", `{}`), Message(2), Message(1), Message(2),
	}
	var put []fedmsg.Entry
	for _, m := range batch {
		put = append(put, entry(m))
	}
	got := log.Append(t.Context(), put...)
	want := []struct {
		seq       fedmsg.Seq
		duplicate bool
		reason    fedmsg.Reason
	}{{2, false, ""}, {2, true, ""}, {1, true, ""}, {0, false, fedmsg.MsgIDConflict}, {3, false, ""}, {2, true, ""}, {3, true, ""}}
	if len(got) != len(want) {
		t.Fatalf("Append of %d entries gives %d receipts", len(put), len(got))
	}
	for i, w := range want {
		if r := got[i]; r.Seq != w.seq || r.Duplicate != w.duplicate || fedmsg.ReasonOf(r.Err) != w.reason || (r.Err == nil) != (w.reason == "") {
			t.Errorf("receipt %d is %+v, want %+v", i, r, w)
		}
	}
	if last := state(t, log).Last; last != 3 {
		t.Errorf("the log ends at %d, want 3", last)
	}
}

func logPageLimits(t *testing.T, log fedmsg.Log) {
	fill(t, log, 0, 25)
	for _, limit := range []int{1, 7, 24, 25, 26, 1_000_000} {
		if got := collect(t, log, 0, limit); len(got) != 25 || got[0].Seq != 1 || got[24].Seq != 25 {
			t.Errorf("in pages of %d: %v, want 1 to 25", limit, places(got))
		}
	}
	page, next, err := log.Page(t.Context(), 3, 4)
	if want := []fedmsg.Seq{4, 5, 6, 7}; err != nil || next != 7 || !slices.Equal(places(page), want) {
		t.Errorf("Page(3, 4) = %v, %d, %v; want %v, 7", places(page), next, err, want)
	}
}

func logPagePatterns(t *testing.T, log fedmsg.Log) {
	fill(t, log, 0, 30) // each of six topics five times
	for _, tt := range []struct {
		want  []fedmsg.Pattern
		count int
	}{
		{nil, 30},
		{[]fedmsg.Pattern{"#"}, 30},
		{[]fedmsg.Pattern{fedmsg.Pattern(Message(0).Topic)}, 5},
		{[]fedmsg.Pattern{"org.fedoraproject.stg.#", "*.*.*.git.>"}, 10},
		{[]fedmsg.Pattern{"org.fedoraproject.prod.*"}, 0},
		{[]fedmsg.Pattern{"org.fedoraproject.dev.#"}, 0},
	} {
		for _, limit := range []int{1, 4, 100} {
			got := collect(t, log, 0, limit, tt.want...)
			if len(got) != tt.count {
				t.Errorf("%q in pages of %d: %d entries, want %d", tt.want, limit, len(got), tt.count)
			}
			for _, e := range got {
				if !fedmsg.MatchAny(tt.want, e.Message.Topic) {
					t.Errorf("%q in pages of %d: entry %d has the topic %s", tt.want, limit, e.Seq, e.Message.Topic)
				}
			}
		}
	}
	if page, next, err := log.Page(t.Context(), 30, 1, "org.example.none"); len(page) != 0 || next != 30 || err != nil {
		t.Errorf("Page at the end = %d entries, next %d, %v", len(page), next, err)
	}
}

// logPageOfMany has more entries than one Page may want to look at.
func logPageOfMany(t *testing.T, log fedmsg.Log) {
	const total, batch = 6000, 1000
	for i := 0; i < total; i += batch {
		fill(t, log, i, i+batch)
	}
	rare := MessageOf(total, "org.example.rare", `{}`)
	if r := log.Append(t.Context(), entry(rare))[0]; r.Err != nil || r.Seq != total+1 {
		t.Fatalf("Append = %+v, want seq %d", r, total+1)
	}
	if got := collect(t, log, 0, 10, "org.example.rare"); len(got) != 1 || got[0].Seq != total+1 {
		t.Errorf("entries of the rare topic: %v, want %d", places(got), total+1)
	}
	got := collect(t, log, 0, total*2)
	for i, e := range got {
		if e.Seq != fedmsg.Seq(i+1) || i < total && e.Message.ID != ID(i) {
			t.Fatalf("entry %d is %v, want message %d", i+1, e, i)
		}
	}
	if len(got) != total+1 {
		t.Errorf("the log has %d entries, want %d", len(got), total+1)
	}
}

func logFind(t *testing.T, log fedmsg.Log) {
	receipts := fill(t, log, 0, 10)
	found, err := log.Find(t.Context(), ID(4))
	if err != nil {
		t.Fatalf("Find(%s): %v", ID(4), err)
	}
	same(t, found, entry(Message(4)), receipts[4])
	for _, id := range []string{ID(10), "", strings.Repeat("x", 10_000), ID(4)[:20], strings.ToUpper(ID(4)), "%", "\x00"} {
		if found, err := log.Find(t.Context(), id); !errors.Is(err, fedmsg.ErrNotFound) {
			t.Errorf("Find(%.50q) = %v, %v; want ErrNotFound", id, found.Seq, err)
		}
	}
}

// logConcurrency lets 64 publish at once, each alone and in batches, each
// message by two of them.
func logConcurrency(t *testing.T, log fedmsg.Log) {
	const publishers, each, batch = 64, 12, 3
	var mu sync.Mutex
	stored := make(map[fedmsg.Seq]string)
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := 0; i < each; i += batch {
				from := p/2*each + i
				put := entries(from, from+batch)
				for j, r := range log.Append(t.Context(), put...) {
					if r.Err != nil || r.Seq == 0 {
						t.Errorf("Append of message %d = %+v", from+j, r)
						return
					}
					id := put[j].Message.ID
					mu.Lock()
					if other, ok := stored[r.Seq]; ok && other != id {
						t.Errorf("place %d was given to %s and to %s", r.Seq, other, id)
					} else if !r.Duplicate && ok {
						t.Errorf("place %d was given twice to %s as new", r.Seq, id)
					}
					if !r.Duplicate {
						stored[r.Seq] = id
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	got := collect(t, log, 0, 1000)
	if want := publishers / 2 * each; len(got) != want || len(stored) != want {
		t.Fatalf("the log has %d entries and gave %d places, want %d", len(got), len(stored), want)
	}
	for i, e := range got {
		if e.Seq != fedmsg.Seq(i+1) {
			t.Fatalf("entry %d of the log has place %d", i+1, e.Seq)
		}
		if e.Message.ID != stored[e.Seq] {
			t.Errorf("place %d holds %s, and was given to %s", e.Seq, e.Message.ID, stored[e.Seq])
		}
	}
}

// logReaders pages while others append: what is seen has no hole, and what was
// acknowledged is seen.
func logReaders(t *testing.T, log fedmsg.Log) {
	const publishers, each = 8, 50
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				r := log.Append(t.Context(), entry(Message(p*each+i)))[0]
				if page, _, err := log.Page(t.Context(), r.Seq-1, 1); r.Err != nil || err != nil || len(page) != 1 || page[0].Message.ID != ID(p*each+i) {
					t.Errorf("after its receipt %+v, Page(%d, 1) = %v, %v", r, r.Seq-1, page, err)
					return
				}
			}
		})
	}
	var after fedmsg.Seq
	for after < publishers*each && !t.Failed() {
		page, next, err := log.Page(t.Context(), after, 20)
		if err != nil {
			t.Fatalf("Page(%d): %v", after, err)
		}
		for _, e := range page {
			if after++; e.Seq != after {
				t.Fatalf("the reader sees %d after %d", e.Seq, after-1)
			}
		}
		if next != after {
			t.Fatalf("Page: next is %d after entry %d", next, after)
		}
	}
	wg.Wait()
}

func logCancellation(t *testing.T, log fedmsg.Log) {
	fill(t, log, 0, 3)
	cause := errors.New("the caller went home")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	for i, r := range log.Append(ctx, entries(3, 5)...) {
		if !errors.Is(r.Err, cause) || r.Seq != 0 {
			t.Errorf("receipt %d of a cancelled Append is %+v; want the cause of the context", i, r)
		}
	}
	if _, _, err := log.Page(ctx, 0, 10); !errors.Is(err, cause) {
		t.Errorf("Page with a cancelled context: %v, want its cause", err)
	}
	if _, err := log.Find(ctx, ID(1)); !errors.Is(err, cause) {
		t.Errorf("Find with a cancelled context: %v, want its cause", err)
	}
	fill(t, log, 3, 6) // nothing was stored, or taken
}
