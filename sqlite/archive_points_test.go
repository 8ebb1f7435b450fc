package sqlite_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	modernc "modernc.org/sqlite"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// With archiveChildPoint in its environment the child that feeds an archive kills itself
// at a point: "roll_day 3" is before the third change of a row of that table, "commit 2"
// before the second commit is made, "connect 2" when a database is opened the second time.
const archiveChildPoint = "FEDMSG_ARCHIVE_TEST_POINT"

// dieAt has this process die at a point, by kill -9.
func dieAt(point string) {
	var name string
	var n int64
	if _, err := fmt.Sscan(point, &name, &n); err != nil {
		panic(err)
	}
	var seen atomic.Int64
	reached := func(event string) {
		if event == name && seen.Add(1) == n {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	modernc.RegisterConnectionHook(func(conn modernc.ExecQuerierContext, _ string) error {
		reached("connect")
		hooks := conn.(modernc.HookRegisterer)
		hooks.RegisterPreUpdateHook(func(d modernc.SQLitePreUpdateData) { reached(d.TableName) })
		hooks.RegisterCommitHook(func() int32 { reached("commit"); return 0 })
		return nil
	})
}

// Killed at each point where a batch, a rollup or a change of months could be torn: rows,
// lists, words and counts agree, nothing is lost and nothing is twice.
func TestArchiveKilledAtPoints(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a process many times")
	}
	alone(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, point := range []string{
		"connect 1", "connect 3", // when a month is made, and when it is opened to be read
		"meta 1", "msg 1", "msg 77", "ft_data 1", "ft_data 3", "fresh 60", "post 1", "post 200", "known 1", "known 20", "fresh 1030", "term 30", "roll_hour 1", "roll_hour 9", "roll_day 1", "roll_day 40",
		"meta 3", "commit 1", "commit 2", "commit 3", "commit 4", "commit 7", // between those of two months, too
		"chunk 1", "chunk 2",
	} {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), archiveChildDir+"="+dir, archiveChildPoint+"="+point)
		stderr := new(strings.Builder)
		cmd.Stderr = stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		late := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
		_ = cmd.Wait() // how it ended is looked at below
		late.Stop()
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
			t.Fatalf("%s: it did not die there: %s, %s", point, cmd.ProcessState, stderr)
		}
		a := openArchive(t, crashConfig(dir, 0))
		sound(t, a, -1)
		if last, saved := int(a.Last()), crashCursor(dir); last < saved {
			t.Errorf("%s: stored up to %d, and the cursor is at %d", point, last, saved)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("at the point %s", point)
		}
	}
	survived(t, dir)
}

// With fedChildDir in its environment the test program is a bus with an archive in that
// directory, and publishes into it.
const fedChildDir = "FEDMSG_FED_ARCHIVE_TEST_DIR"

// The name of the cursor that feeds the archive there.
const fedPump = "archive"

func fedChild(dir string) {
	must := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	ctx := context.Background()
	log, err := sqlite.Open(ctx, sqlite.Config{Dir: dir}, nil)
	must(err)
	window, err := bus.NewWindow(ctx, bus.WindowConfig{}, log)
	must(err)
	state, err := log.State(ctx)
	must(err)
	a, err := sqlite.OpenArchive(ctx, sqlite.ArchiveConfig{Dir: filepath.Join(dir, "archive"), Describer: trafficWords{}, Epoch: state.Epoch}, nil)
	must(err)
	pump, err := bus.NewPump(bus.PumpConfig{Name: fedPump, SaveEvery: 20 * time.Millisecond}, window, log, a, nil)
	must(err)
	go func() { must(pump.Run(ctx)) }()
	for source := newTraffic(14, time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC), 10*time.Minute); ; {
		for _, r := range window.Append(ctx, source.batch(20)...) {
			must(r.Err)
		}
		fmt.Println(pumped(pump))
	}
}

func pumped(m fedmsg.Meter) (n float64) {
	for s := range m.Samples() {
		if s.Name == "consumer_delivered_total" {
			n = s.Value
		}
	}
	return n
}

// A loss of power: what the cursor says is archived is in the archive, and the rest comes
// from the log.
func TestArchivePowerCut(t *testing.T) {
	if testing.Short() {
		t.Skip("mounts an image of a disk")
	}
	alone(t)
	needs(t, true, map[string]string{"mkfs.ext4": "e2fsprogs", "mount": "mount"})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(15, 16))
	for cut := range 3 {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			scratch := t.TempDir()
			disk := filepath.Join(scratch, "disk.img")
			run(t, "truncate", "-s", "160M", disk)
			run(t, "mkfs.ext4", "-q", "-F", disk)
			dir := filepath.Join(mount(t, "-o", "loop", disk), "bus")
			cmd := exec.CommandContext(t.Context(), self)
			cmd.Env = append(os.Environ(), fedChildDir+"="+dir)
			stderr := new(strings.Builder)
			cmd.Stderr = stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for delivered, enough := 0.0, float64(100+600*cut+rng.IntN(200)); delivered < enough; {
				if _, err := fmt.Fscan(out, &delivered); err != nil {
					t.Fatalf("%v: %s", err, stderr)
				}
			}
			if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			after := filepath.Join(scratch, "after.img")
			run(t, "cp", "--sparse=always", disk, after)
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
			_ = cmd.Wait() // it was killed
			afterPowerCut(t, filepath.Join(mount(t, "-o", "loop", after), "bus"))
		})
	}
}

// afterPowerCut holds an archive against the log beside it.
func afterPowerCut(t *testing.T, dir string) {
	log := open(t, sqlite.Config{Dir: dir})
	state := stateOf(t, log)
	at, err := log.Load(t.Context(), fedPump)
	if err != nil {
		t.Fatal(err)
	}
	a := openArchive(t, sqlite.ArchiveConfig{Dir: filepath.Join(dir, "archive"), Describer: trafficWords{}, Epoch: state.Epoch})
	defer a.Close()
	sound(t, a, -1)
	if a.Last() < at || at == 0 {
		t.Errorf("the cursor is at %d, and the archive ends at %d", at, a.Last())
	}
	all := readAll(t, log, 0)
	if a.Last() > state.Last {
		t.Errorf("the archive ends at %d, after the log at %d", a.Last(), state.Last)
	}
	t.Logf("log %d, archive %d, cursor %d", len(all), a.Last(), at)
	fill(t, a, all[min(int(a.Last()), len(all)):]) // as the pump would
	n := 0
	for n < len(all) {
		page, next, err := a.Page(t.Context(), fedmsg.Seq(n), 1000)
		if err != nil || int(next) == n {
			t.Fatalf("Page after %d: %v, next %d", n, err, next)
		}
		for _, e := range page {
			if want := all[n]; e.Seq != want.Seq || e.Message.ID != want.Message.ID {
				t.Fatalf("entry %d is %d, %s; want %s", n+1, e.Seq, e.Message.ID, want.Message.ID)
			}
			n++
		}
	}
	sound(t, a, len(all))
	shut(t, log)
}
