package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// The test program is also the process that is killed, cut off and lied to: with
// childDir in its environment it publishes into that directory.
const (
	childDir        = "FEDMSG_LOG_TEST_DIR"
	childPublishers = "FEDMSG_LOG_TEST_PUBLISHERS"
	childUntil      = "FEDMSG_LOG_TEST_UNTIL" // one of those below, or nothing
	childTimeout    = "FEDMSG_LOG_TEST_TIMEOUT"
	auditFD         = 3

	untilError  = "error"  // some errors
	untilMended = "mended" // some acks after an error
	untilSoon   = "soon"   // some acks
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	if dir := os.Getenv(archiveChildDir); dir != "" {
		archiveChild(dir)
		return
	}
	if dir := os.Getenv(fedChildDir); dir != "" {
		fedChild(dir)
		return
	}
	os.Exit(m.Run())
}

// child publishes with many publishers, each one message at a time, and writes a
// line into the audit file for each receipt: "ack SEQ ID", or "err REASON". The
// lines are written after the receipt came, so each ack in the file was a promise.
func child(dir string) {
	audit := os.NewFile(auditFD, "audit")
	say := func(format string, args ...any) { fmt.Fprintf(audit, format+"\n", args...) } // one write each
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	timeout, err := time.ParseDuration(os.Getenv(childTimeout))
	if err != nil {
		panic(err)
	}
	log, err := sqlite.Open(ctx, sqlite.Config{Dir: dir, AppendTimeout: timeout},
		slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		say("err open")
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	say("ready %d", 0)
	var publishers int
	fmt.Sscan(os.Getenv(childPublishers), &publishers)
	var wg sync.WaitGroup
	var acks, errs atomic.Int64 // acks since the last error
	until := os.Getenv(childUntil)
	for p := range publishers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(p), uint64(time.Now().UnixNano())))
			for ctx.Err() == nil {
				m := filler(rng, 300)
				for ctx.Err() == nil { // the same again until it is taken, as a publisher does
					r := log.Append(ctx, fedmsg.Entry{Verified: fedmsg.Unverified, Message: m})[0]
					if r.Err == nil {
						say("ack %d %s", r.Seq, m.ID)
						if acks.Add(1) > 20 && (until == untilSoon || until == untilMended && errs.Load() > 0) {
							stop()
						}
						break
					}
					if ctx.Err() == nil {
						say("err %s", fedmsg.ReasonOf(r.Err))
						acks.Store(0)
						if errs.Add(1) > 20 && until == untilError {
							stop()
						}
					}
					select {
					case <-time.After(20 * time.Millisecond):
					case <-ctx.Done():
					}
				}
			}
		})
	}
	wg.Wait()
	if err := log.Close(); err != nil {
		say("err close")
		fmt.Fprintln(os.Stderr, err)
	}
}

// filler makes a message of a random size, of less than so many words.
func filler(rng *rand.Rand, words int) *fedmsg.Message {
	body := `{"log":"` + strings.Repeat("filler ", rng.IntN(words)) + `"}`
	m, err := fedmsg.Draft{Topic: "org.example.filler", ID: fedmsg.NewID(time.Now()), Time: time.Now(), Body: []byte(body)}.Message()
	if err != nil {
		panic(err)
	}
	return m
}

// A victim is a running child.
type victim struct {
	cmd    *exec.Cmd
	audit  string
	stderr *strings.Builder
}

// launch starts a child, under the program in wrap if there is one.
func launch(t *testing.T, dir, audit string, publishers int, until string, timeout time.Duration, wrap ...string) *victim {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(audit, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	args := append(wrap, self)
	v := &victim{cmd: exec.CommandContext(t.Context(), args[0], args[1:]...), audit: audit, stderr: new(strings.Builder)}
	v.cmd.Env = append(os.Environ(), childDir+"="+dir, fmt.Sprintf("%s=%d", childPublishers, publishers), childUntil+"="+until, childTimeout+"="+timeout.String(),
		"GORACE=atexit_sleep_ms=10")
	v.cmd.ExtraFiles = []*os.File{f}
	v.cmd.Stderr = v.stderr
	if err := v.cmd.Start(); err != nil {
		t.Fatalf("start %q: %v", args, err)
	}
	return v
}

// An account is what an audit file says.
type account struct {
	acked  map[fedmsg.Seq]string
	errors map[string]int
	ready  int
}

func readAudit(t *testing.T, file string) account {
	t.Helper()
	a := account{make(map[fedmsg.Seq]string), make(map[string]int), 0}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) == 3 && words[0] == "ack":
			var seq fedmsg.Seq
			fmt.Sscan(words[1], &seq)
			if old, ok := a.acked[seq]; ok && old != words[2] {
				t.Errorf("place %d was given to %s and to %s", seq, old, words[2])
			}
			a.acked[seq] = words[2]
		case len(words) == 2 && words[0] == "err":
			a.errors[words[1]]++
		case len(words) == 2 && words[0] == "ready":
			a.ready++
		}
	}
	return a
}

// waitFor waits until the audit file has more acks than n.
func (v *victim) waitFor(t *testing.T, n int) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for len(readAudit(t, v.audit).acked) <= n {
		if time.Now().After(deadline) {
			t.Fatalf("no %d acks within 30s: %s", n, v.stderr)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (v *victim) kill(t *testing.T) {
	t.Helper()
	if err := v.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	if err := v.cmd.Wait(); err == nil {
		t.Error("the child ended before it was killed")
	}
}

// verify opens the log and holds it against the audit: nothing that was
// acknowledged is lost, and places have no hole and no second holder.
func verify(t *testing.T, dir string, a account) {
	t.Helper()
	log := open(t, sqlite.Config{Dir: dir})
	seen := make(map[string]bool)
	last := fedmsg.Seq(0)
	for _, e := range readAll(t, log, 0) {
		if e.Seq != last+1 {
			t.Fatalf("entry %d comes after %d", e.Seq, last)
		}
		last = e.Seq
		if seen[e.Message.ID] {
			t.Errorf("%s is stored twice", e.Message.ID)
		}
		seen[e.Message.ID] = true
		if id, ok := a.acked[e.Seq]; ok && id != e.Message.ID {
			t.Errorf("place %d holds %s, and was given to %s", e.Seq, e.Message.ID, id)
		}
	}
	lost := 0
	for seq, id := range a.acked {
		if seq > last || !seen[id] {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d acknowledged messages are lost", lost, len(a.acked))
	}
	t.Logf("acknowledged %d, stored %d, refused %v", len(a.acked), last, a.errors)
	shut(t, log)
}

// needs skips a test that lacks a program or root.
func needs(t *testing.T, root bool, programs map[string]string) {
	t.Helper()
	for program, pkg := range programs {
		fedmsgtest.Peer(t, program, pkg)
	}
	if root && os.Getuid() != 0 {
		unable(t, "needs root, to mount a file system")
	}
}

// unable skips a test that this machine does not let run, or fails where all
// must, as [fedmsgtest.MissingPeer] does for programs.
func unable(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("FEDMSG_REQUIRE_PEERS") == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// mount mounts a file system for the time of the test.
func mount(t *testing.T, args ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	out, err := exec.Command("mount", append(args, dir)...).CombinedOutput()
	if err != nil {
		unable(t, "needs to mount: mount %q: %v: %s", args, err, out)
	}
	t.Cleanup(func() { run(t, "umount", dir) })
	return dir
}

// Killed at any moment, 25 times, with 64 publishers: whatever was acknowledged
// is there.
func TestKill9(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a process 25 times")
	}
	lives := 25
	if raceDetector {
		lives = 5
	}
	dir, audit := t.TempDir(), filepath.Join(t.TempDir(), "audit")
	rng := rand.New(rand.NewPCG(1, 2))
	acked := 0
	for range lives {
		v := launch(t, dir, audit, 64, "", time.Minute)
		v.waitFor(t, acked+rng.IntN(1500))
		v.kill(t)
		acked = len(readAudit(t, audit).acked)
	}
	a := readAudit(t, audit)
	if a.ready != lives || len(a.errors) > 0 {
		t.Errorf("%d of %d lives began, errors %v", a.ready, lives, a.errors)
	}
	verify(t, dir, a)
}

// A loss of power: the disk is taken as it is at one moment, without what the
// kernel had not written yet.
func TestPowerCut(t *testing.T) {
	if testing.Short() {
		t.Skip("mounts an image of a disk")
	}
	needs(t, true, map[string]string{"mkfs.ext4": "e2fsprogs", "mount": "mount"})
	for cut := range 3 {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			scratch := t.TempDir()
			disk := filepath.Join(scratch, "disk.img")
			run(t, "truncate", "-s", "96M", disk)
			run(t, "mkfs.ext4", "-q", "-F", disk)
			dir := filepath.Join(mount(t, "-o", "loop", disk), "log")
			v := launch(t, dir, filepath.Join(scratch, "audit"), 16, "", time.Minute)
			v.waitFor(t, 300+700*cut)
			if err := v.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			a := readAudit(t, v.audit) // all that was promised up to now
			after := filepath.Join(scratch, "after.img")
			run(t, "cp", "--sparse=always", disk, after)
			v.kill(t)
			verify(t, filepath.Join(mount(t, "-o", "loop", after), "log"), a)
		})
	}
}

// Below the floor publishers are refused before the disk is full; what is there
// can be read; and with space again publishing works by itself.
func TestDiskFull(t *testing.T) {
	needs(t, true, map[string]string{"mount": "mount"})
	root := mount(t, "-t", "tmpfs", "-o", "size=64m", "tmpfs")
	dir, ballast := filepath.Join(root, "log"), filepath.Join(root, "ballast")
	fill := func(size int) {
		t.Helper()
		if err := os.WriteFile(ballast, make([]byte, size), 0o600); err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	free := func() int64 {
		var s syscall.Statfs_t
		if err := syscall.Statfs(root, &s); err != nil {
			t.Fatal(err)
		}
		return int64(s.Bavail) * s.Bsize
	}
	log := open(t, sqlite.Config{Dir: dir})
	rng := rand.New(rand.NewPCG(3, 4))
	a := account{acked: make(map[fedmsg.Seq]string)}
	publishUntil := func(when string, ok bool) {
		t.Helper()
		patience := 10 * time.Second
		if !ok {
			patience = time.Minute // to fill the disk takes as long as it takes
		}
		deadline := time.Now().Add(patience)
		for {
			var batch []fedmsg.Entry
			for range 20 {
				batch = append(batch, fedmsg.Entry{Message: filler(rng, 5000)})
			}
			good := true
			for i, r := range log.Append(t.Context(), batch...) {
				switch {
				case r.Err == nil:
					a.acked[r.Seq] = batch[i].Message.ID
				case fedmsg.ReasonOf(r.Err) != fedmsg.StorageFull:
					t.Fatalf("%s: Append: %v; want storage_full", when, r.Err)
				default:
					good = false
				}
			}
			if good == ok {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: after %s publishing works: %v, want %v", when, patience, good, ok)
			}
		}
	}
	full := func(when string, want bool) {
		t.Helper()
		deadline := time.Now().Add(5 * time.Second)
		for {
			s := stateOf(t, log)
			if (fedmsg.ReasonOf(s.Problem) == fedmsg.StorageFull) == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: State = %+v; want full: %v", when, s, want)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	fill(44 << 20)
	publishUntil("with 20 MiB", false)
	if left := free(); left < 2<<20 {
		t.Errorf("when publishers were refused %d bytes were left, want 2 MiB or more", left)
	}
	full("below the floor", true)
	if got := len(readAll(t, log, 0)); got != len(a.acked) {
		t.Errorf("below the floor %d entries can be read, want %d", got, len(a.acked))
	}
	if err := log.Save(t.Context(), "irc", 7); err != nil {
		t.Errorf("below the floor: Save: %v", err)
	}
	fill(34 << 20)
	publishUntil("with 10 MiB more", true)
	full("with 10 MiB more", false)

	fill(64 << 20) // nothing at all is left
	publishUntil("with nothing left", false)
	if got := len(readAll(t, log, 0)); got != len(a.acked) {
		t.Errorf("with nothing left %d entries can be read, want %d", got, len(a.acked))
	}
	fill(1 << 20)
	publishUntil("with space again", true)
	shut(t, log)
	verify(t, dir, a)
}
