package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// With archiveChildDir in its environment the test program feeds an archive in that
// directory, as a pump does: batch after batch, and after each it saves how far it
// came. The messages are always the same, and change their month every few batches.
const archiveChildDir = "FEDMSG_ARCHIVE_TEST_DIR"

const crashBatch = 100

func crashTraffic() *traffic {
	return newTraffic(9, time.Date(2026, 1, 28, 0, 0, 0, 0, time.UTC), 20*time.Minute) // lists are brought up twice a month
}

// crashConfig finds other words in every other life.
func crashConfig(dir string, life int) sqlite.ArchiveConfig {
	words := new(changingWords)
	words.changed.Store(life%2 == 1)
	return sqlite.ArchiveConfig{Dir: filepath.Join(dir, "archive"), Describer: words}
}

func archiveChild(dir string) {
	number := func(name string) int {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return 0
		}
		n, err := strconv.Atoi(string(text))
		if err != nil {
			panic(err)
		}
		return n
	}
	save := func(name string, n int) {
		temporary := filepath.Join(dir, name+".new")
		if err := errors.Join(os.WriteFile(temporary, []byte(strconv.Itoa(n)), 0o600), os.Rename(temporary, filepath.Join(dir, name))); err != nil {
			panic(err)
		}
	}
	if point := os.Getenv(archiveChildPoint); point != "" {
		dieAt(point)
	}
	life, cursor := number("life"), number("cursor")
	save("life", life+1)
	ctx := context.Background()
	a, err := sqlite.OpenArchive(ctx, crashConfig(dir, life), nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() {
		for { // words are found anew all the while
			if _, err := a.Redescribe(ctx, nil); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	source := crashTraffic()
	source.batch(cursor)
	for {
		batch := source.batch(crashBatch)
		if n, err := a.Deliver(ctx, batch); n != len(batch) || err != nil {
			fmt.Fprintln(os.Stderr, n, err)
			os.Exit(1)
		}
		cursor += crashBatch
		save("cursor", cursor)
	}
}

// Killed at any moment, while messages come, months change and words are found anew:
// rows, lists, words and counts agree, nothing is lost and nothing is twice.
func TestArchiveKill9(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a process many times")
	}
	lives := 12
	if raceDetector {
		lives = 4
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(5, 6))
	cursor := func() int { return crashCursor(dir) }
	for life := range lives {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), archiveChildDir+"="+dir, "GORACE=atexit_sleep_ms=10")
		stderr := new(strings.Builder)
		cmd.Stderr = stderr
		began := cursor()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); cursor() < began+(1+rng.IntN(4))*crashBatch; {
			if time.Now().After(deadline) {
				t.Fatalf("life %d: no progress: %s", life, stderr)
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(rng.IntN(40)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
			t.Fatalf("life %d: the child ended before it was killed: %s", life, stderr)
		}
	}
	survived(t, dir)
}

// survived checks what children that were killed have left: rows are those of the log, and
// lists and counts agree, now and after the rest was delivered again.
func survived(t *testing.T, dir string) {
	t.Helper()
	a := openArchive(t, crashConfig(dir, 0))
	sound(t, a, -1)
	saved := crashCursor(dir)
	last := int(a.Last())
	if last < saved {
		t.Errorf("stored up to %d, and the cursor is at %d", last, saved)
	}
	source := crashTraffic()
	all := source.batch(last)
	n := 0
	for batch, err := range a.Read(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch {
			if want := all[n]; e.Seq != want.Seq || e.Message.ID != want.Message.ID {
				t.Fatalf("entry %d is %d, %s; want %s", n+1, e.Seq, e.Message.ID, want.Message.ID)
			}
			n++
		}
		if n == last {
			break
		}
	}
	fill(t, a, all[saved/crashBatch*crashBatch:]) // as the pump would
	if _, err := a.Redescribe(t.Context(), nil); err != nil {
		t.Error(err)
	}
	sound(t, a, last)
	t.Logf("%d messages in %v months", last, archiveSample(a, "archive_segments"))
}

// crashCursor is how far a child has delivered, by its own word.
func crashCursor(dir string) int {
	text, _ := os.ReadFile(filepath.Join(dir, "cursor")) // none yet is 0
	n, _ := strconv.Atoi(string(text))
	return n
}

// With a full disk the archive takes nothing, answers, and goes on when there is
// room.
func TestArchiveDiskFull(t *testing.T) {
	alone(t)
	needs(t, true, map[string]string{"mount": "mount"})
	root := mount(t, "-t", "tmpfs", "-o", "size=24m", "tmpfs")
	ballast := filepath.Join(root, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 12<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	a := openArchive(t, sqlite.ArchiveConfig{Dir: filepath.Join(root, "archive"), Describer: trafficWords{}, Budget: time.Minute})
	source := newTraffic(10, time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC), time.Minute)
	taken := 0
	var rest []fedmsg.Entry
	for len(rest) == 0 {
		batch := source.batch(200)
		n, err := a.Deliver(t.Context(), batch)
		taken += n
		if err != nil {
			if !errors.Is(err, fedmsg.ErrUnavailable) {
				t.Fatalf("Deliver on a full disk: %v, want ErrUnavailable", err)
			}
			rest = batch[n:]
		}
	}
	for range 3 {
		if n, err := a.Deliver(t.Context(), rest); err == nil {
			t.Fatalf("Deliver on a full disk again = %d, nil", n)
		}
	}
	if page, err := a.Search(t.Context(), fedmsg.Query{Filter: where(fedmsg.UserField, "user0")}); err != nil || len(page.Entries) != 25 {
		t.Errorf("Search on a full disk: %d found, %v", len(page.Entries), err)
	}
	if err := syscall.Unlink(ballast); err != nil {
		t.Fatal(err)
	}
	fill(t, a, rest)
	fill(t, a, source.batch(200))
	sound(t, a, taken+len(rest)+200)
}
