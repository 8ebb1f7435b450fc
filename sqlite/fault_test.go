package sqlite_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// A fault is what strace does to system calls on the files of a log. Its when
// counts the calls of each thread by itself, and Go's goroutines change threads,
// so the moment differs from run to run.
type fault struct {
	inject string // CALLS:EFFECT:when=WHICH, more of them parted by blanks
	fresh  bool   // the log is yet to be made
	silent bool   // it may be that nobody notices, while the log is open
	passes bool   // it ends, and the log must mend itself
}

var faults = []fault{
	{inject: "pwrite64:error=EIO:when=1+", fresh: true},
	{inject: "pwrite64:error=EIO:when=1+"},
	{inject: "pwrite64:error=EIO:when=12+"},
	{inject: "pwrite64:error=EIO:when=40+"},
	{inject: "pwrite64:error=EIO:when=25..27", passes: true},
	{inject: "pwrite64:error=ENOSPC:when=1+", fresh: true},
	{inject: "pwrite64:error=ENOSPC:when=2+"},
	{inject: "pwrite64:error=ENOSPC:when=40+"},
	{inject: "pwrite64:error=ENOSPC:when=25..27", passes: true},
	{inject: "fdatasync,fsync:error=EIO:when=1+", fresh: true},
	{inject: "fdatasync,fsync:error=EIO:when=2+"},
	{inject: "fdatasync,fsync:error=EIO:when=20+"},
	{inject: "fdatasync,fsync:error=EIO:when=8..9", passes: true},
	{inject: "fdatasync,fsync:error=ENOSPC:when=8..9", passes: true},
	{inject: "fdatasync,fsync:delay_enter=1300000:when=5..6"}, // the disk is silent for longer than a publisher waits
	{inject: "open,openat:error=EMFILE:when=1+", fresh: true},
	{inject: "open,openat:error=EMFILE:when=2+"},
	{inject: "open,openat:error=EIO:when=3+", silent: true},
	{inject: "fdatasync,fsync:error=EIO:when=5..6 open,openat:error=EMFILE:when=9..10", passes: true},
	{inject: "ftruncate,unlink:error=EIO:when=1+", silent: true},
}

// The n-th write, fsync or open fails, from then on or for a while. A publisher
// gets an error or a true receipt, never a receipt for what is not there.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("runs processes under strace")
	}
	needs(t, false, map[string]string{"strace": "strace"})
	chosen := faults
	if raceDetector {
		chosen = []fault{faults[3], faults[8], faults[12]}
	}
	for some := range slices.Chunk(chosen, 7) { // at the same time, since they mostly wait
		var running []*victim
		for _, f := range some {
			running = append(running, f.launch(t))
		}
		for i, f := range some {
			t.Run(f.inject, func(t *testing.T) { f.judge(t, running[i]) })
		}
	}
}

// launch starts a child whose system calls fail.
func (f fault) launch(t *testing.T) *victim {
	scratch := t.TempDir()
	dir := filepath.Join(scratch, "log")
	if !f.fresh {
		shut(t, open(t, sqlite.Config{Dir: dir}))
	} else if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "log.db")
	wrap := []string{"strace", "-f", "-qq", "-e", "signal=none", "-o", filepath.Join(scratch, "trace"),
		"-P", file, "-P", file + "-wal", "-P", file + "-shm"}
	var all []string
	for inject := range strings.FieldsSeq(f.inject) {
		calls, _, _ := strings.Cut(inject, ":")
		all = append(all, calls)
		wrap = append(wrap, "-e", "inject="+inject)
	}
	wrap = append(wrap, "-e", "trace="+strings.Join(all, ","))
	until, timeout := untilError, time.Minute
	switch {
	case f.silent:
		until = untilSoon
	case f.passes:
		until = untilMended
	case strings.Contains(f.inject, "delay"):
		until, timeout = untilMended, time.Second
	}
	return launch(t, dir, filepath.Join(scratch, "audit"), 4, until, timeout, wrap...)
}

// judge holds what a child was told against what is there.
func (f fault) judge(t *testing.T, v *victim) {
	died := v.cmd.Wait()
	a := readAudit(t, v.audit)
	traced, err := os.ReadFile(filepath.Join(filepath.Dir(v.audit), "trace"))
	if err != nil {
		t.Fatal(err)
	}
	bit := strings.Count(string(traced), "(INJECTED)") + strings.Count(string(traced), "(DELAYED)")
	t.Logf("%d calls failed, ready %d, acknowledged %d, refused %v, exit %v", bit, a.ready, len(a.acked), a.errors, died)
	if bit == 0 && !f.silent {
		t.Fatalf("no call failed:\n%s%s", traced, v.stderr)
	}
	if len(a.errors) == 0 && !f.silent {
		t.Errorf("%d calls failed, and nobody got an error", bit)
	}
	if f.passes && !strings.Contains(v.stderr.String(), "takes messages again") {
		t.Errorf("the fault passed, and the log did not mend itself:\n%s", v.stderr)
	}
	verify(t, filepath.Join(filepath.Dir(v.audit), "log"), a)
}
