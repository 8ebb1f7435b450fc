//go:build unix

package trigger

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// newGroup has a command run in a process group of its own, so that it can be ended
// with all that it begins, and Ctrl-C leaves it alone.
func newGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// What cannot be signalled has ended: these processes are ours.

func terminate(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
func kill(cmd *exec.Cmd)      { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// isAlive reports whether a process of the group runs. Those that have ended, and
// whose parent has not looked yet, do not count, where /proc tells them apart.
func isAlive(cmd *exec.Cmd) bool {
	if syscall.Kill(-cmd.Process.Pid, 0) != nil {
		return false
	}
	files, _ := filepath.Glob("/proc/[0-9]*/stat") // an error of the pattern alone
	group := []byte(strconv.Itoa(cmd.Process.Pid))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// 42 (name) STATE PARENT GROUP, and a name may hold anything.
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		if len(fields) > 2 && bytes.Equal(fields[2], group) && fields[0][0] != 'Z' {
			return true
		}
	}
	return len(files) == 0
}
