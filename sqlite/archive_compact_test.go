package sqlite_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// Months that have ended are made small, one after another, the oldest first, and once; the
// newest is not. What was found is found, and goes on being delivered.
func TestArchiveCompact(t *testing.T) {
	alone(t)
	cfg := sqlite.ArchiveConfig{Dir: t.TempDir(), Describer: trafficWords{}, Budget: time.Minute}
	a := openArchive(t, cfg)
	entries := newTraffic(17, time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC), 40*time.Minute).batch(2000) // until March
	shuffled := slices.Clone(entries)
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for i := range shuffled {
		shuffled[i].Seq = fedmsg.Seq(i + 1)
	}
	for batch := range slices.Chunk(shuffled, 50) {
		fill(t, a, batch)
	}
	ids := func() (found []string) {
		t.Helper()
		q := fedmsg.Query{Filter: where(fedmsg.UserField, "user0"), Limit: 1000}
		for more := true; more; more = q.Cursor != "" {
			page, err := a.Search(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Entries {
				found = append(found, e.Message.ID)
			}
			q.Cursor = page.Next
		}
		return found
	}
	before, size := ids(), archiveSample(a, "archive_bytes")
	now := time.Date(2026, 3, 2, 23, 0, 0, 0, time.UTC) // February ended less than two days ago
	for _, want := range []string{"2026-01", "", ""} {
		if month, err := a.CompactOne(t.Context(), now); month != want || err != nil {
			t.Errorf("CompactOne at %s = %q, %v; want %q", now, month, err, want)
		}
	}
	if month, err := a.CompactOne(t.Context(), now.Add(2*time.Hour)); month != "2026-02" || err != nil {
		t.Errorf("CompactOne two days after its end = %q, %v; want February", month, err)
	}
	if month, err := a.CompactOne(t.Context(), now.AddDate(1, 0, 0)); month != "" || err != nil {
		t.Errorf("CompactOne a year later = %q, %v; want nothing: the newest month stays", month, err)
	}
	if got := archiveSample(a, "archive_bytes"); got >= size {
		t.Errorf("the archive has %v bytes, and had %v", got, size)
	}
	if after := ids(); !slices.Equal(after, before) || len(before) == 0 {
		t.Errorf("%d messages are found, %d before", len(after), len(before))
	}
	sound(t, a, len(entries))

	late := entries[3]
	late.Seq, late.Message = fedmsg.Seq(len(entries)+1), quietMessage(t, late.Message)
	late.Message, _ = late.Message.With(fedmsg.Member{Name: "msg_id", JSON: []byte(`"late"`)})
	fill(t, a, []fedmsg.Entry{late})
	if month, err := a.CompactOne(t.Context(), now); month != "2026-01" || err != nil {
		t.Errorf("CompactOne after a late message = %q, %v; want January again", month, err)
	}
	if left, err := filepath.Glob(filepath.Join(cfg.Dir, "*.db.*")); err != nil || len(left) > 0 {
		t.Errorf("files %q are left", left)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = openArchive(t, cfg)
	sound(t, a, len(entries)+1)
	if month, err := a.CompactOne(t.Context(), now.Add(2*time.Hour)); month != "" || err != nil {
		t.Errorf("CompactOne in the next life = %q, %v; want nothing", month, err)
	}
}

// Who reads a month keeps it from being replaced, and is not held up.
func TestArchiveCompactStandsBack(t *testing.T) {
	alone(t)
	cfg := sqlite.ArchiveConfig{Dir: t.TempDir(), Describer: trafficWords{}, Budget: time.Minute}
	a := openArchive(t, cfg)
	fill(t, a, newTraffic(18, time.Date(2026, 1, 28, 0, 0, 0, 0, time.UTC), 20*time.Minute).batch(600))
	file := filepath.Join(cfg.Dir, "2026-01.db")
	other, err := os.OpenFile(file+".copy", os.O_CREATE|os.O_WRONLY, 0o600) // of a process that was killed
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.WriteString("half a copy"); err != nil || other.Close() != nil {
		t.Fatal(err)
	}
	if err := a.Compact(t.Context(), "2026-01"); err != nil {
		t.Errorf("Compact beside what a crash left: %v", err)
	}
	if err := a.Compact(t.Context(), "2025-01"); !errors.Is(err, fedmsg.ErrNotFound) {
		t.Errorf("Compact of a month that is not there: %v, want ErrNotFound", err)
	}
	stop := make(chan struct{})
	searching := make(chan error, 1)
	go func() {
		defer close(searching)
		for {
			select {
			case <-stop:
				return
			default:
			}
			page, err := a.Search(t.Context(), fedmsg.Query{Filter: where(fedmsg.CategoryField, "category0"), OldestFirst: true, Limit: 10})
			if err == nil && len(page.Entries) != 10 {
				err = errors.New("a month is missing")
			}
			if err != nil {
				searching <- err
				return
			}
		}
	}()
	for range 5 {
		if err := a.Compact(t.Context(), "2026-01"); err != nil && !errors.Is(err, fedmsg.ErrUnavailable) {
			t.Errorf("Compact while somebody reads: %v", err)
		}
	}
	close(stop)
	if err := <-searching; err != nil {
		t.Errorf("Search meanwhile: %v", err)
	}
	sound(t, a, 600)
}
