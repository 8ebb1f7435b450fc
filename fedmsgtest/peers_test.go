package fedmsgtest_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// A watched test says how it ends, and does not.
type watched struct {
	testing.TB
	ended string
}

func (w *watched) Skipf(format string, args ...any) {
	w.ended = "skip: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (w *watched) Fatalf(format string, args ...any) {
	w.ended = "fatal: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// ending returns how a test would end; "" if it would go on.
func ending(t *testing.T, test func(t testing.TB)) string {
	t.Helper()
	w := &watched{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(w)
	}()
	<-done
	return w.ended
}

func TestMissingPeers(t *testing.T) {
	for require, want := range map[string]string{
		"":  "skip: no-such-program is missing: apt install no-such-package",
		"1": "fatal: no-such-program is missing: apt install no-such-package",
	} {
		t.Setenv("FEDMSG_REQUIRE_PEERS", require)
		if got := ending(t, func(t testing.TB) { fedmsgtest.Peer(t, "no-such-program", "no-such-package") }); got != want {
			t.Errorf("Peer with FEDMSG_REQUIRE_PEERS=%s ends with %q, want %q", require, got, want)
		}
	}
	if got := ending(t, func(t testing.TB) { fedmsgtest.Peer(t, "go", "golang") }); got != "" {
		t.Errorf("Peer of go ends with %q", got)
	}
}

func TestEventuallyEnds(t *testing.T) {
	if got, want := ending(t, func(t testing.TB) {
		fedmsgtest.Eventually(t, 1, "pigs fly", func() bool { return false })
	}), "fatal: not within 1ns: pigs fly"; got != want {
		t.Errorf("Eventually of what never is ends with %q, want %q", got, want)
	}
}
