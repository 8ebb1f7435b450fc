package sqlite_test

import (
	"log/slog"
	"os"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// open opens a log that is closed at the end of the test.
func open(t testing.TB, cfg sqlite.Config) *sqlite.Log {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	log, err := sqlite.Open(t.Context(), cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatalf("Open(%q): %v", cfg.Dir, err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return log
}

func TestLog(t *testing.T) {
	fedmsgtest.TestLog(t, func(t *testing.T) fedmsg.Log { return open(t, sqlite.Config{}) })
}

func TestCursors(t *testing.T) {
	fedmsgtest.TestCursors(t, func(t *testing.T) fedmsg.Cursors { return open(t, sqlite.Config{}) })
}

var _ = os.Getpid
