//go:build !unix

package trigger

import "os/exec"

// Without process groups a command is ended alone, and at once.

func newGroup(*exec.Cmd)      {}
func terminate(cmd *exec.Cmd) { kill(cmd) }
func kill(cmd *exec.Cmd)      { _ = cmd.Process.Kill() } // what cannot be killed has ended
func isAlive(*exec.Cmd) bool  { return false }
