package postgres_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/pgserver"
	"github.com/fedora-infra/fedmsg-go/postgres"
)

// shared is the server of those tests that leave it as it is.
var shared struct {
	sync.Mutex
	*pgserver.Server
	schemas atomic.Int64
}

func TestMain(m *testing.M) {
	if dsn := os.Getenv(archiveChildDSN); dsn != "" {
		archiveChild(dsn)
		return
	}
	status := m.Run()
	if shared.Server != nil {
		shared.Close()
	}
	os.Exit(status)
}

func server(t testing.TB) *pgserver.Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.Server == nil {
		shared.Server = pgserver.Open(t)
	}
	return shared.Server
}

// fresh names a schema that is not there yet.
func fresh(t testing.TB) postgres.Config {
	t.Helper()
	s := server(t)
	return postgres.Config{DSN: s.DSN("postgres"), Schema: fmt.Sprintf("archive%d", shared.schemas.Add(1)), Budget: time.Minute}
}

// openArchive opens an archive, which is closed when the test ends.
func openArchive(t testing.TB, cfg postgres.Config) *postgres.Archive {
	t.Helper()
	a, err := postgres.OpenArchive(context.WithoutCancel(t.Context()), cfg, nil) // cleanups open some
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
	*postgres.Archive
	cfg postgres.Config
}

func (r *reopener) Reopen(t *testing.T) fedmsgtest.Archive {
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return openArchive(t, r.cfg)
}

func TestArchive(t *testing.T) {
	fedmsgtest.TestArchive(t, func(t *testing.T, words fedmsg.Describer) fedmsgtest.Archive {
		cfg := fresh(t)
		cfg.Describer = words
		a := openArchive(t, cfg)
		t.Cleanup(func() { sound(t, openArchive(t, cfg), -1) })
		t.Cleanup(func() { _ = a.Close() })
		return &reopener{a, cfg}
	})
}

// sound verifies an archive that must have so many messages; -1 if any number.
func sound(t testing.TB, a *postgres.Archive, messages int) {
	t.Helper()
	r, err := a.Verify(context.WithoutCancel(t.Context()))
	if err != nil || len(r.Faults) > 0 || messages >= 0 && r.Messages != int64(messages) {
		t.Errorf("Verify = %d messages, %v; want %d\n%s", r.Messages, err, messages, strings.Join(r.Faults, "\n"))
	}
}
