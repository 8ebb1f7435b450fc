package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// An archive that was made before there were columns gets them, and counts as one that
// had them; what finds messages by their IDs gets tables of its own.
func TestArchiveGetsColumns(t *testing.T) {
	cfg := sqlite.ArchiveConfig{Dir: t.TempDir(), Describer: trafficWords{}, Epoch: "0123456789abcdef"}
	a := openArchive(t, cfg)
	source := newTraffic(1, time.Date(2026, 2, 26, 0, 0, 0, 0, time.UTC), 40*time.Second)
	const n = 9000 // more than two chunks, in two months
	for range n / 1000 {
		if _, err := a.Deliver(t.Context(), source.batch(1000)); err != nil {
			t.Fatal(err)
		}
	}
	count := func(a *sqlite.Archive) []fedmsg.Count {
		counts, err := a.Count(t.Context(), fedmsg.Query{Filter: fedmsg.Filter{Op: fedmsg.Not, Of: []fedmsg.Filter{
			{Op: fedmsg.Has, Test: fedmsg.Test{Field: fedmsg.UserField, Value: "user0"}}}}}, fedmsg.Grouping{Field: fedmsg.PackageField, Limit: 3})
		if err != nil || counts.Estimate || len(counts.Rows) != 4 {
			t.Fatalf("Count = %+v, %v", counts, err)
		}
		return counts.Rows
	}
	want := count(a)
	for _, month := range []string{"2026-02", "2026-03"} { // which brings up all lists
		if err := a.Compact(t.Context(), month); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(cfg.Dir, "*.db"))
	if err != nil || len(files) != 2 {
		t.Fatalf("there are the files %q, %v, want two", files, err)
	}
	for _, file := range files {
		db, err := sql.Open("sqlite", file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(`DROP TABLE chunk; ALTER TABLE msg ADD COLUMN uid INTEGER NOT NULL DEFAULT 0; UPDATE msg SET uid = known.uid FROM known WHERE known.k = msg.k;
			CREATE INDEX msg_uid ON msg (uid); DROP TABLE known; DROP TABLE fresh; DELETE FROM meta WHERE name = 'lists';
			UPDATE meta SET value = '1' WHERE name = 'schema'; PRAGMA user_version = 1`); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	a = openArchive(t, cfg)
	for i, row := range count(a) {
		if row != want[i] {
			t.Errorf("row %d is %+v, was %+v", i, row, want[i])
		}
	}
	if r, err := a.Verify(t.Context()); err != nil || len(r.Faults) > 0 || r.Messages != n {
		t.Errorf("Verify = %+v, %v", r, err)
	}
	if _, err := a.Deliver(t.Context(), source.batch(10)); err != nil {
		t.Errorf("the next batch: %v", err)
	}
}
