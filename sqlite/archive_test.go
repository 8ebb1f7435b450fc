package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// openArchive opens an archive, which is closed when the test ends.
func openArchive(t testing.TB, cfg sqlite.ArchiveConfig) *sqlite.Archive {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	a, err := sqlite.OpenArchive(context.WithoutCancel(t.Context()), cfg, nil) // cleanups open some
	if err != nil {
		t.Fatalf("OpenArchive: %v", err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return a
}

// A reopener is an archive that the suite closes and opens again.
type reopener struct {
	*sqlite.Archive
	cfg sqlite.ArchiveConfig
}

func (r *reopener) Reopen(t *testing.T) fedmsgtest.Archive {
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return openArchive(t, r.cfg)
}

func TestArchive(t *testing.T) {
	fedmsgtest.TestArchive(t, func(t *testing.T, words fedmsg.Describer) fedmsgtest.Archive {
		cfg := sqlite.ArchiveConfig{Dir: t.TempDir(), Describer: words, Budget: time.Minute} // no page ends early on a slow machine
		a := openArchive(t, cfg)
		t.Cleanup(func() { sound(t, openArchive(t, cfg), -1) })
		t.Cleanup(func() { _ = a.Close() })
		return &reopener{a, cfg}
	})
}

// The same with next to no budget: then nearly every page ends early, and all of
// them together are the same.
func TestArchiveInParts(t *testing.T) {
	a := openArchive(t, sqlite.ArchiveConfig{Describer: trafficWords{}, Candidates: 1, Budget: time.Nanosecond})
	source := newTraffic(2, time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC), 20*time.Minute)
	batch := source.batch(700)
	fill(t, a, batch)
	for _, tt := range []struct {
		name string
		f    fedmsg.Filter
	}{
		{"all", fedmsg.Filter{}},
		{"nothing", where(fedmsg.UserField, "nobody")},
		{"two that never meet", allOf(where(fedmsg.CategoryField, "category0"), where(fedmsg.TopicField, "#.kind1.#"))},
		{"one of two, and not a third", allOf(anyOf(where(fedmsg.UserField, "user0"), where(fedmsg.PackageField, "package-1")), noneOf(where(fedmsg.CategoryField, "category0")))},
		{"a word", where(fedmsg.TextField, source.vocabulary[3])},
		{"a value", fedmsg.Filter{Op: fedmsg.Has, Test: fedmsg.Test{Field: fedmsg.BodyField, Path: "state", Value: "3"}}},
	} {
		for _, oldest := range []bool{false, true} {
			q := fedmsg.Query{Filter: tt.f, OldestFirst: oldest, Limit: 1000}
			var want, got []string
			for _, e := range batch {
				if matches(tt.f, e) {
					want = append(want, e.Message.ID)
				}
			}
			if !oldest {
				slices.Reverse(want)
			}
			pages := 0
			for more := true; more; more = q.Cursor != "" {
				page, err := a.Search(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				if (page.Next != "") != !page.ScannedTo.IsZero() {
					t.Errorf("%s: next %q, looked to %s", tt.name, page.Next, page.ScannedTo)
				}
				for _, e := range page.Entries {
					got = append(got, e.Message.ID)
				}
				q.Cursor = page.Next
				pages++
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, oldest first %v: %d messages in %d pages, want %d", tt.name, oldest, len(got), pages, len(want))
			}
		}
		if counts, err := a.Count(t.Context(), fedmsg.Query{Filter: tt.f}, fedmsg.Grouping{Step: time.Minute}); err != nil || tt.name != "nothing" && !counts.Estimate {
			t.Errorf("%s: Count without a budget: %v, %v", tt.name, counts.Estimate, err)
		}
	}
}

// alone skips a test in which nothing happens at the same time when the race
// detector watches.
func alone(t *testing.T) {
	t.Helper()
	if raceDetector {
		t.Skip("nothing to watch for the race detector, and it takes ten times as long")
	}
}

// matches is a naive reading of the few filters that tests here have.
func matches(f fedmsg.Filter, e fedmsg.Entry) bool {
	passes := func(g fedmsg.Filter) bool { return matches(g, e) }
	switch f.Op {
	case fedmsg.All:
		return !slices.ContainsFunc(f.Of, func(g fedmsg.Filter) bool { return !passes(g) })
	case fedmsg.Any:
		return slices.ContainsFunc(f.Of, passes)
	case fedmsg.Not:
		return !passes(f.Of[0])
	}
	words := trafficWords{}.Describe(context.Background(), e.Message)
	switch topic := string(e.Message.Topic); f.Test.Field {
	case fedmsg.TopicField:
		return fedmsg.Pattern(f.Test.Value).Match(e.Message.Topic)
	case fedmsg.CategoryField:
		return strings.Split(topic, ".")[3] == f.Test.Value
	case fedmsg.UserField:
		return slices.Contains(words.Usernames, f.Test.Value)
	case fedmsg.PackageField:
		return slices.Contains(words.Packages, f.Test.Value)
	case fedmsg.BodyField:
		return strings.Contains(string(e.Message.Body), `"`+f.Test.Path+`":`+f.Test.Value+",")
	case fedmsg.TextField:
		isLetter := func(r rune) bool { return r < '0' || '9' < r && r < 'a' || 'z' < r }
		return slices.Contains(strings.FieldsFunc(string(e.Message.Body), isLetter), f.Test.Value)
	}
	panic(f.Test.Field)
}

func where(f fedmsg.Field, value string) fedmsg.Filter {
	return fedmsg.Filter{Op: fedmsg.Has, Test: fedmsg.Test{Field: f, Value: value}}
}
func allOf(of ...fedmsg.Filter) fedmsg.Filter { return fedmsg.Filter{Of: of} }
func anyOf(of ...fedmsg.Filter) fedmsg.Filter { return fedmsg.Filter{Op: fedmsg.Any, Of: of} }
func noneOf(f fedmsg.Filter) fedmsg.Filter {
	return fedmsg.Filter{Op: fedmsg.Not, Of: []fedmsg.Filter{f}}
}

// fill delivers entries, which must all be taken.
func fill(t testing.TB, a *sqlite.Archive, entries []fedmsg.Entry) {
	t.Helper()
	for batch := range slices.Chunk(entries, 1000) {
		if n, err := a.Deliver(t.Context(), batch); n != len(batch) || err != nil {
			t.Fatalf("Deliver = %d, %v; want %d", n, err, len(batch))
		}
	}
}

// sound verifies an archive that must have so many messages; -1 if any number.
func sound(t testing.TB, a *sqlite.Archive, messages int) {
	t.Helper()
	r, err := a.Verify(context.WithoutCancel(t.Context()))
	if err != nil || len(r.Faults) > 0 || messages >= 0 && r.Messages != int64(messages) {
		t.Errorf("Verify = %d messages, %v; want %d\n%s", r.Messages, err, messages, strings.Join(r.Faults, "\n"))
	}
}

// A term that a month does not know costs one look there; and one that is quiet
// costs what it has, not what others have.
func TestArchiveQuietTerm(t *testing.T) {
	alone(t)
	a := openArchive(t, sqlite.ArchiveConfig{Describer: trafficWords{}})
	source := newTraffic(3, time.Date(2025, 1, 10, 0, 0, 0, 0, time.UTC), 8*time.Hour)
	entries := source.batch(1500)
	quiet := entries[200]
	quiet.Message = quietMessage(t, quiet.Message)
	entries[200] = quiet
	fill(t, a, entries)
	if got := archiveSample(a, "archive_segments"); got < 15 {
		t.Fatalf("%v segments, want 15 or more", got)
	}
	for _, tt := range []struct {
		f     fedmsg.Filter
		found int
		most  float64
	}{
		{where(fedmsg.UserField, "hermit"), 1, 2},
		{where(fedmsg.UserField, "nobody"), 0, 0},
		{where(fedmsg.TextField, "hermit"), 1, 2},
		{where(fedmsg.IDField, quiet.Message.ID), 1, 2},
		{allOf(where(fedmsg.UserField, "hermit"), where(fedmsg.CategoryField, "category0")), 0, 20},
		{where(fedmsg.CategoryField, "category0"), 25, 100},
	} {
		before := archiveSample(a, "archive_candidates_total")
		page, err := a.Search(t.Context(), fedmsg.Query{Filter: tt.f})
		if looked := archiveSample(a, "archive_candidates_total") - before; err != nil || len(page.Entries) != tt.found || looked > tt.most {
			t.Errorf("Search(%v): %d found, %v, looked at %v; want %d, at most %v", tt.f, len(page.Entries), err, looked, tt.found, tt.most)
		}
	}
	sound(t, a, len(entries))
}

func quietMessage(t *testing.T, m *fedmsg.Message) *fedmsg.Message {
	t.Helper()
	m, err := m.With(fedmsg.Member{Name: "msg", JSON: []byte(`{"agent":"hermit","owner":"hermit","package":"cave","object":"packages/cave"}`)})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// changingWords finds other words after the rules changed.
type changingWords struct{ changed atomic.Bool }

func (c *changingWords) Describe(ctx context.Context, m *fedmsg.Message) fedmsg.Words {
	w := trafficWords{}.Describe(ctx, m)
	if c.changed.Load() {
		if strings.HasSuffix(w.Agent, "7") {
			w.Agent = ""
		} else {
			w.Agent = "people/" + w.Agent
		}
		w.Usernames = append(w.Usernames, "everyone")
		w.Objects = nil
	}
	return w
}

// Fingerprints tells by which rules; see meta.Engine.
func (c *changingWords) Fingerprints() map[string]string {
	return map[string]string{"": fmt.Sprint(c.changed.Load())}
}

// Words are found anew while messages come, and lists and counts stay right.
func TestArchiveRedescribe(t *testing.T) {
	before, later, stop := 1200, 800, int64(500)
	if raceDetector {
		before, later, stop = 600, 100, 500
	}
	words := new(changingWords)
	cfg := sqlite.ArchiveConfig{Dir: t.TempDir(), Describer: words, Budget: time.Minute}
	a := openArchive(t, cfg)
	source := newTraffic(4, time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC), time.Hour)
	fill(t, a, source.batch(before))
	words.changed.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := a.Redescribe(ctx, func(done, total int64) {
		if done >= stop {
			cancel()
		}
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("Redescribe that was cancelled: %v", err)
	}
	sound(t, a, before)
	delivered := make(chan error, 1)
	more := source.batch(later)
	go func() {
		for batch := range slices.Chunk(more, 100) {
			if _, err := a.Deliver(t.Context(), batch); err != nil {
				delivered <- err
				return
			}
		}
		delivered <- nil
	}()
	var last, of int64
	changed, err := a.Redescribe(t.Context(), func(done, total int64) { last, of = done, total })
	if err != nil || last < int64(before)-stop-500 || last > int64(before+later)-stop || of < last {
		t.Errorf("Redescribe: %d changed, %v, %d of %d done", changed, err, last, of)
	}
	if err := <-delivered; err != nil {
		t.Fatal(err)
	}
	sound(t, a, before+later)
	for _, tt := range []struct {
		f    fedmsg.Filter
		want func(w fedmsg.Words) bool
	}{
		{where(fedmsg.UserField, "everyone"), func(fedmsg.Words) bool { return true }},
		{where(fedmsg.AgentField, "people/user0"), func(w fedmsg.Words) bool { return w.Agent == "people/user0" }},
		{where(fedmsg.AgentField, "user0"), func(fedmsg.Words) bool { return false }},
		{where(fedmsg.AgentField, ""), func(w fedmsg.Words) bool { return w.Agent == "" }},
	} {
		want := int64(0)
		again := newTraffic(4, time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC), time.Hour)
		for _, e := range again.batch(before + later) {
			if tt.want(words.Describe(t.Context(), e.Message)) {
				want++
			}
		}
		counts, err := a.Count(t.Context(), fedmsg.Query{Filter: tt.f}, fedmsg.Grouping{})
		got := int64(0)
		for _, row := range counts.Rows {
			got += row.N
		}
		if err != nil || got != want {
			t.Errorf("Count(%v) = %d, %v; want %d", tt.f, got, err, want)
		}
	}
	if terms, err := a.Terms(t.Context(), fedmsg.ObjectField, "", 10); err != nil || len(terms) > 0 {
		t.Errorf("objects that no message has any more: %v, %v", terms, err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = openArchive(t, cfg)
	sound(t, a, before+later)
	if changed, err := a.Redescribe(t.Context(), nil); changed != 0 || err != nil {
		t.Errorf("Redescribe again: %d changed, %v", changed, err)
	}
}

// Months are removed whole, and readers by place are told.
func TestArchivePrune(t *testing.T) {
	alone(t)
	cfg := sqlite.ArchiveConfig{Dir: t.TempDir(), Describer: trafficWords{}, Epoch: "0123456789abcdef"}
	a := openArchive(t, cfg)
	source := newTraffic(5, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), 2*time.Hour)
	entries := source.batch(1400) // four months
	late := entries[10]
	late.Seq, late.Message = 1401, quietMessage(t, entries[1399].Message)
	late.Message, _ = late.Message.With(fedmsg.Member{Name: "timestamp", JSON: []byte("1767225601")}, fedmsg.Member{Name: "msg_id", JSON: []byte(`"late"`)})
	fill(t, a, append(entries, late))
	march := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	if removed, err := a.Prune(t.Context(), march.Add(-time.Second)); err != nil || !slices.Equal(removed, []string{"2026-01"}) {
		t.Errorf("Prune before the end of February: %q, %v", removed, err)
	}
	if removed, err := a.Prune(t.Context(), march); err != nil || !slices.Equal(removed, []string{"2026-02"}) {
		t.Errorf("Prune before March: %q, %v", removed, err)
	}
	if files, _ := filepath.Glob(filepath.Join(cfg.Dir, "2026-0[12]*")); len(files) > 0 {
		t.Errorf("files %q are left", files)
	}
	left := slices.DeleteFunc(slices.Clone(entries), func(e fedmsg.Entry) bool { return e.Message.Time.Before(march) })
	check := func(when string) {
		t.Helper()
		sound(t, a, len(left))
		for _, err := range a.Read(t.Context(), 5) {
			if !errors.Is(err, fedmsg.ErrTooOld) {
				t.Errorf("%s: Read of what was removed: %v, want ErrTooOld", when, err)
			}
			break
		}
		n := 0
		for batch, err := range a.Read(t.Context(), left[0].Seq-1) {
			if err != nil {
				t.Fatalf("%s: Read: %v", when, err)
			}
			if n += len(batch); n == len(left) {
				break
			}
		}
		if got := a.Last(); got != 1401 {
			t.Errorf("%s: stored up to %d, want 1401", when, got)
		}
	}
	check("after Prune")
	if err := a.Compact(t.Context(), "2026-03"); err != nil {
		t.Error(err)
	}
	if removed, err := a.Prune(t.Context(), march.AddDate(10, 0, 0)); err != nil || !slices.Equal(removed, []string{"2026-03"}) {
		t.Errorf("Prune of everything: %q, %v", removed, err)
	}
	left = slices.DeleteFunc(left, func(e fedmsg.Entry) bool { return e.Message.Time.Before(march.AddDate(0, 1, 0)) })
	if got := archiveSample(a, "archive_segments"); got != 1 {
		t.Errorf("%v months are left, want the newest", got)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = openArchive(t, cfg)
	check("opened again")
}

// Places of one log mean nothing in another; what is delivered again by the new one
// gets its places there.
func TestArchiveEpochs(t *testing.T) {
	cfg := sqlite.ArchiveConfig{Dir: t.TempDir(), Describer: trafficWords{}, Epoch: "0123456789abcdef"}
	a := openArchive(t, cfg)
	entries := newTraffic(6, time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC), time.Hour).batch(100)
	imported := entries[90]
	imported.Seq, imported.Verified = 0, "none"
	fill(t, a, append(slices.Clone(entries[:50]), imported))
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Epoch = "fedcba9876543210"
	a = openArchive(t, cfg)
	for _, err := range a.Read(t.Context(), 1) {
		if !errors.Is(err, fedmsg.ErrInvalid) {
			t.Errorf("Read of a place of the old log: %v, want ErrInvalid", err)
		}
		break
	}
	if e, err := a.Find(t.Context(), entries[5].Message.ID); err != nil || e.Seq != 0 {
		t.Errorf("an entry of the old log has the place %d, %v; want none", e.Seq, err)
	}
	for i := range entries {
		entries[i].Seq = fedmsg.Seq(i/2 + 1)
		if i%2 == 1 {
			entries[i].Seq = fedmsg.Seq(51 + i/2)
		}
	}
	slices.SortFunc(entries, func(a, b fedmsg.Entry) int { return int(a.Seq) - int(b.Seq) })
	fill(t, a, entries)
	var got []string
	for batch, err := range a.Read(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch {
			got = append(got, e.Message.ID)
			if want := entries[len(got)-1]; e.Seq != want.Seq || !e.At.Equal(want.At) || e.Verified != want.Verified {
				t.Errorf("entry %d = %d, %s, %s; want %d, %s, %s", len(got), e.Seq, e.At, e.Verified, want.Seq, want.At, want.Verified)
			}
		}
		if len(got) == len(entries) {
			break
		}
	}
	sound(t, a, len(entries))
}

// What is no archive, or one of a later version, is left alone; and so is one that
// another process has.
func TestArchiveRefuses(t *testing.T) {
	dir := t.TempDir()
	a := openArchive(t, sqlite.ArchiveConfig{Dir: dir})
	fill(t, a, newTraffic(7, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Hour).batch(10))
	if _, err := sqlite.OpenArchive(t.Context(), sqlite.ArchiveConfig{Dir: dir}, nil); !errors.Is(err, sqlite.ErrLocked) || fedmsg.Hint(err) == "" {
		t.Errorf("OpenArchive twice: %v, want ErrLocked and a hint", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Search(t.Context(), fedmsg.Query{}); !errors.Is(err, fedmsg.ErrUnavailable) {
		t.Errorf("Search in a closed archive: %v, want ErrUnavailable", err)
	}
	file := filepath.Join(dir, "2026-01.db")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	newer := slices.Clone(good)
	newer[63] = 99 // user_version; sqlite.org/fileformat2.html, 1.3
	foreign := slices.Clone(good)
	foreign[68] ^= 1 // application_id
	for _, tt := range []struct {
		name  string
		bytes []byte
		want  error
	}{
		{"newer", newer, sqlite.ErrNewerSchema},
		{"garbage", []byte(strings.Repeat("no archive ", 1000)), sqlite.ErrDamaged},
		{"another program's", foreign, fedmsg.ErrInvalid},
	} {
		if err := os.WriteFile(file, tt.bytes, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := sqlite.OpenArchive(t.Context(), sqlite.ArchiveConfig{Dir: dir}, nil)
		if !errors.Is(err, tt.want) || !strings.Contains(fmt.Sprint(err), "2026-01.db") || fedmsg.Hint(err) == "" {
			t.Errorf("%s: OpenArchive: %v (hint %q), want %v, the file and a hint", tt.name, err, fedmsg.Hint(err), tt.want)
		}
		if left, err := os.ReadFile(file); err != nil || !slices.Equal(left, tt.bytes) {
			t.Errorf("%s: the file was changed", tt.name)
		}
	}
	if err := (sqlite.ArchiveConfig{Budget: -1, Candidates: -1}).Validate(); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("Validate = %v, want three faults", err)
	}
}

// What is damaged is told, and does not hold up what follows.
func TestArchiveDamage(t *testing.T) {
	alone(t)
	cfg := sqlite.ArchiveConfig{Dir: t.TempDir(), Describer: trafficWords{}}
	a := openArchive(t, cfg)
	entries := newTraffic(8, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Second).batch(1200)
	fill(t, a, entries[:1100]) // the rest is packed with a dictionary
	fill(t, a, entries)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(cfg.Dir, "2026-01.db")
	bytes, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for at := len(bytes) / 4; at < len(bytes)/2; at += 20_000 {
		bytes[at] ^= 0x10
	}
	if err := os.WriteFile(file, bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err = sqlite.OpenArchive(t.Context(), cfg, nil)
	if err != nil {
		return // told at once
	}
	defer a.Close()
	if r, err := a.Verify(t.Context()); err == nil && len(r.Faults) == 0 {
		t.Error("Verify finds nothing wrong with a damaged file")
	}
}
