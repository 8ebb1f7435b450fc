package pgserver_test

import (
	"testing"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest/pgserver"
)

func TestServer(t *testing.T) {
	s := pgserver.Start(t)
	s.Query(t, "postgres", "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
	release := s.Hold(t, "postgres", "LOCK TABLE kept")
	if got := s.Query(t, "postgres", "SELECT count(*) FROM pg_locks WHERE relation = 'kept'::regclass"); got != "1" {
		t.Errorf("%s locks while it is held, want 1", got)
	}
	release()
	s.Stop()
	s.Start(t)
	if got := s.Query(t, "postgres", "SELECT n FROM kept"); got != "7" {
		t.Errorf("kept %q, want 7", got)
	}
}
