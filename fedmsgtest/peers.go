package fedmsgtest

import (
	"os"
	"os/exec"
	"testing"
)

// MissingPeer ends a test that needs a program which is not there: it is
// skipped, or fails if FEDMSG_REQUIRE_PEERS=1. debianPackage has the program.
func MissingPeer(t testing.TB, what, debianPackage string) {
	t.Helper()
	if os.Getenv("FEDMSG_REQUIRE_PEERS") == "1" {
		t.Fatalf("%s is missing: apt install %s", what, debianPackage)
	}
	t.Skipf("%s is missing: apt install %s", what, debianPackage)
}

// Peer returns the path of a program, or ends the test as [MissingPeer] does.
func Peer(t testing.TB, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		MissingPeer(t, program, debianPackage)
	}
	return path
}

// PythonWith finds a Python 3 that can import a module, or ends the test as
// [MissingPeer] does. The first on the path may lack what the system's has.
func PythonWith(t testing.TB, module, debianPackage string) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if path, err := exec.LookPath(name); err == nil && exec.CommandContext(t.Context(), path, "-c", "import "+module).Run() == nil {
			return path
		}
	}
	MissingPeer(t, "a Python with "+module, debianPackage)
	return ""
}

// PythonWithZMQ finds a Python that speaks to libzmq, which the original is
// written in. It ends the test as [MissingPeer] does.
func PythonWithZMQ(t testing.TB) string {
	t.Helper()
	return PythonWith(t, "zmq", "python3-zmq")
}
