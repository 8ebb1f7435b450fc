package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/client"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// startKillable runs fedmsg serve as a process of its own. kill is kill -9.
func startKillable(t *testing.T, dir, addr string) (http string, kill func()) {
	t.Helper()
	addrFile := filepath.Join(t.TempDir(), "addr")
	cmd := exec.Command("fedmsg", "serve", "--dir", dir, "--addr-file", addrFile, "--http", addr,
		"--relay-inbound", "tcp://127.0.0.1:0", "--relay-outbound", "tcp://127.0.0.1:0", "--gateway", "tcp://127.0.0.1:0", "--log-level", "error")
	cmd.Env = append(os.Environ(), "FEDMSG_CONFIG="+t.TempDir())
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill() // perhaps it is dead already
		_ = cmd.Wait()         // it says that it was killed
	}
	t.Cleanup(kill)
	var addrs map[string]string
	fedmsgtest.Eventually(t, 20*time.Second, "the bus is ready", func() bool {
		text, err := os.ReadFile(addrFile)
		return err == nil && json.Unmarshal(text, &addrs) == nil
	})
	return addrs["http"], kill
}

// The bus is killed in the middle of a consumer's work, twice: nothing is lost, the order
// is kept, and only what was not acknowledged comes again.
func TestConsumeKill9(t *testing.T) {
	const count, ahead = 1000, 50
	dir := t.TempDir()
	addr, kill := startKillable(t, dir, "127.0.0.1:0")
	b, err := client.Open(t.Context(), "http://"+addr)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for i := range count {
		if _, err := b.Publish(t.Context(), "kill", "test", map[string]int{"n": i}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []fedmsg.Seq
	var at atomic.Int64
	crash := map[int]bool{300: true, 700: true}
	crashed := make(chan struct{}, 2)
	done := make(chan error, 1)
	go func() {
		done <- b.Consume(ctx, "worker", client.ConsumeConfig{From: "begin", Ahead: ahead}, func(_ context.Context, e fedmsg.Entry) error {
			got = append(got, e.Seq)
			at.Store(int64(e.Seq))
			if crash[len(got)] {
				crashed <- struct{}{}
			}
			return nil
		})
	}()
	for range 2 {
		select {
		case <-crashed:
		case err := <-done:
			t.Fatalf("Consume ended with %v", err)
		}
		kill()
		_, kill = startKillable(t, dir, addr)
	}
	fedmsgtest.Eventually(t, 30*time.Second, "all are worked on", func() bool { return at.Load() == count })
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Fatalf("Consume ended with %v", err)
	}
	seen := make(map[fedmsg.Seq]bool)
	twice := 0
	for i, seq := range got {
		if seen[seq] {
			twice++
		}
		if !seen[seq] && seq != fedmsg.Seq(len(seen)+1) {
			t.Fatalf("work %d is on %d, after all up to %d", i, seq, len(seen))
		}
		seen[seq] = true
	}
	if len(seen) != count || twice > 2*ahead {
		t.Errorf("%d of %d messages came, %d of them twice; at most %d were not acknowledged", len(seen), count, twice, 2*ahead)
	}

	// Who comes later has nothing left.
	later, end := context.WithTimeout(t.Context(), time.Second)
	defer end()
	err = b.Consume(later, "worker", client.ConsumeConfig{From: "begin"}, func(_ context.Context, e fedmsg.Entry) error {
		t.Errorf("message %d comes again", e.Seq)
		return nil
	})
	if err != nil {
		t.Errorf("Consume: %v", err)
	}
}
