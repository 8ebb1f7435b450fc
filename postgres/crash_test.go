package postgres_test

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
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/naive"
	"github.com/fedora-infra/fedmsg-go/postgres"
)

// With these in its environment the test program feeds an archive, as a pump does:
// batch after batch, and after each it saves in a directory how far it came.
const (
	archiveChildDSN    = "FEDMSG_ARCHIVE_TEST_DSN"
	archiveChildSchema = "FEDMSG_ARCHIVE_TEST_SCHEMA"
	archiveChildDir    = "FEDMSG_ARCHIVE_TEST_DIR"
)

const crashBatch = 100

// lifeWords finds other words in every other life.
type lifeWords struct{ life int }

func (l lifeWords) Describe(ctx context.Context, m *fedmsg.Message) fedmsg.Words {
	w := naive.Describer{}.Describe(ctx, m)
	if l.life%2 == 1 {
		w.Agent, w.Objects = "people/"+w.Agent, nil
	}
	return w
}

func number(file string) int {
	text, _ := os.ReadFile(file) // none is 0
	n, _ := strconv.Atoi(string(text))
	return n
}

func archiveChild(dsn string) {
	fail := func(args ...any) {
		fmt.Fprintln(os.Stderr, args...)
		os.Exit(1)
	}
	dir := os.Getenv(archiveChildDir)
	save := func(name string, n int) {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(file+".new", []byte(strconv.Itoa(n)), 0o600), os.Rename(file+".new", file)); err != nil {
			fail(err)
		}
	}
	life, cursor := number(filepath.Join(dir, "life")), number(filepath.Join(dir, "cursor"))
	save("life", life+1)
	ctx := context.Background()
	a, err := postgres.OpenArchive(ctx, postgres.Config{DSN: dsn, Schema: os.Getenv(archiveChildSchema), Describer: lifeWords{life}}, nil)
	if err != nil {
		fail(err)
	}
	go func() {
		for { // words are found anew all the while
			if _, err := a.Redescribe(ctx, nil); err != nil {
				fail(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	for {
		if n, err := a.Deliver(ctx, entries(1+cursor, crashBatch)); n != crashBatch || err != nil {
			fail(n, err)
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
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cfg, dir := fresh(t), t.TempDir()
	rng := rand.New(rand.NewPCG(5, 6))
	cursor := func() int { return number(filepath.Join(dir, "cursor")) }
	for life := range 5 {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), archiveChildDSN+"="+cfg.DSN, archiveChildSchema+"="+cfg.Schema, archiveChildDir+"="+dir, "GORACE=atexit_sleep_ms=10")
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
	cfg.Describer = lifeWords{}
	a := openArchive(t, cfg)
	sound(t, a, -1)
	saved, last := cursor(), int(a.Last())
	if last < saved {
		t.Errorf("stored up to %d, and the cursor is at %d", last, saved)
	}
	all := entries(1, last)
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
	fill(t, a, all[saved:]) // as the pump would
	if _, err := a.Redescribe(t.Context(), nil); err != nil {
		t.Error(err)
	}
	sound(t, a, last)
}
