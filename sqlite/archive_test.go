package sqlite_test

import (
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
	a, err := sqlite.OpenArchive(t.Context(), cfg, nil)
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
		return &reopener{openArchive(t, cfg), cfg}
	})
}
