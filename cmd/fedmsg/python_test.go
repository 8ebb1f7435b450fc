package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// The Python package, against a bus that is made up, and against this program: a
// thousand messages while the bus is killed and started again, forks, and the two
// snippets of the original's front page.
func TestPython(t *testing.T) {
	if testing.Short() {
		t.Skip("kills buses for half a minute")
	}
	python := fedmsgtest.Peer(t, "python3", "python3")
	program, err := exec.LookPath("fedmsg") // this one, by testscript.Main
	if err != nil {
		t.Fatal(err)
	}
	for _, tests := range []string{"tests/test_client.py", "tests/test_bus.py"} {
		t.Run(tests, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, python, "-B", "-W", "error", "-m", "unittest", tests)
			cmd.Dir = "../../python"
			cmd.Env = append(os.Environ(), "FEDMSG_PROGRAM="+program, "PYTHONPATH=.", "GORACE=atexit_sleep_ms=10")
			out, err := cmd.CombinedOutput()
			if err != nil || bytes.Contains(out, []byte("skipped")) || !bytes.HasSuffix(bytes.TrimSpace(out), []byte("OK")) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
