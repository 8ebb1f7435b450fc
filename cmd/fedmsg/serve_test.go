package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/client"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// startServe runs fedmsg serve in this process, on free ports, and returns where
// it listens and how to stop it.
func startServe(t *testing.T, dir string, args ...string) (addrs map[string]string, stop func()) {
	t.Helper()
	addrs, _, stop = startServeLogged(t, dir, args...)
	return addrs, stop
}

// clock is that of the buses that are started here.
var clock = time.Now

// startServeLogged returns what it tells on standard error, too.
func startServeLogged(t *testing.T, dir string, args ...string) (addrs map[string]string, told *fedmsgtest.LogBook, stop func()) {
	t.Helper()
	addrFile := filepath.Join(t.TempDir(), "addr")
	argv := append([]string{"fedmsg", "serve", "--dir", dir, "--addr-file", addrFile, "--http", "127.0.0.1:0",
		"--relay-inbound", "tcp://127.0.0.1:0", "--relay-outbound", "tcp://127.0.0.1:0", "--gateway", "tcp://127.0.0.1:0"}, args...)
	ctx, cancel := context.WithCancel(context.Background())
	stderr := new(fedmsgtest.LogBook)
	env := environ{strings.NewReader(""), io.Discard, stderr, func(string) string { return "" }, openBus, []string{"FEDMSG_CONFIG=" + t.TempDir()}, clock}
	done := make(chan int, 1)
	go func() { done <- run(ctx, env, argv) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if status := <-done; status != 0 {
			t.Errorf("serve ended with %d: %s", status, stderr.String())
		}
	}
	t.Cleanup(stop)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if text, err := os.ReadFile(addrFile); err == nil {
			if err := json.Unmarshal(text, &addrs); err != nil {
				t.Fatal(err)
			}
			return addrs, stderr, stop
		}
		select {
		case status := <-done:
			stopped = true
			t.Fatalf("serve ended with %d: %s", status, stderr.String())
		default:
		}
	}
	t.Fatalf("serve is not ready: %s", stderr.String())
	return nil, nil, nil
}

// Ten thousand messages from libzmq through the whole bus, the disk included, to
// libzmq again, by relay and by gateway: none is lost, and no byte changed.
func TestPeersThroughBus(t *testing.T) {
	const many = 10000 / slowdown
	count := strconv.Itoa(many)
	python := fedmsgtest.PythonWithZMQ(t)
	addrs, _ := startServe(t, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "testdata/through.py", addrs["relay_inbound"], count, addrs["relay_outbound"], addrs["gateway"])
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], count+" ") {
		t.Fatalf("the peer said %q", lines)
	}
	for i, name := range []string{"relay_outbound", "gateway"} {
		if lines[i+1] != lines[0] {
			t.Errorf("%s gave %s, want what was sent: %s", name, lines[i+1], lines[0])
		}
	}
	b, err := client.Open(ctx, "http://"+addrs["http"])
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	begin, n := fedmsg.Seq(0), 0
	for e, err := range b.Tail(ctx, client.TailConfig{After: &begin}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; e.Seq != fedmsg.Seq(n) {
			t.Fatalf("entry %d has seq %d", n, e.Seq)
		}
		if n == many {
			break
		}
	}
}

// A clean stop under load loses nothing that was answered, and the next start
// goes on with the next place.
func TestServeStopsUnderLoad(t *testing.T) {
	dir := t.TempDir()
	addrs, stop := startServe(t, dir)
	b, err := client.Open(t.Context(), "http://"+addrs["http"])
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	acked := make(chan client.Receipt, 10000)
	publishing, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			r, err := b.Publish(publishing, "load", "test", map[string]int{"n": len(acked)})
			if err != nil {
				return // the bus has stopped
			}
			acked <- r
		}
	}()
	fedmsgtest.Eventually(t, 10*time.Second, "a hundred messages are acknowledged", func() bool { return len(acked) >= 100 })
	stop()
	cancel()
	<-done
	close(acked)

	addrs, _ = startServe(t, dir)
	b, err = client.Open(t.Context(), "http://"+addrs["http"])
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	begin := fedmsg.Seq(0)
	var last client.Receipt
	want := map[string]fedmsg.Seq{}
	for last = range acked {
		want[last.ID] = last.Seq
	}
	for e, err := range b.Tail(t.Context(), client.TailConfig{After: &begin}) {
		if err != nil {
			t.Fatal(err)
		}
		if seq, ok := want[e.Message.ID]; ok && seq == e.Seq {
			delete(want, e.Message.ID)
		}
		if e.Seq >= last.Seq {
			break
		}
	}
	if len(want) > 0 {
		t.Errorf("%d acknowledged messages are gone: %v", len(want), want)
	}
}

// Listeners that others can reach, with nothing to tell good from bad messages,
// are refused; all of them are named at once.
func TestServeRefusesToStandOpen(t *testing.T) {
	tests := []struct {
		args   []string
		status int
		tells  []string
	}{
		{[]string{"--http", "0.0.0.0:0"}, 78, []string{"--http", "open to the network"}},
		{[]string{"--relay-inbound", "tcp://0.0.0.0:0", "--gateway", "tcp://*:0"}, 78, []string{"--relay-inbound", "--gateway", "give a CA"}},
		{[]string{"--relay-outbound", "tcp://192.0.2.1:4001"}, 78, []string{"--relay-outbound"}},
		{[]string{"--allow-unauthenticated-inbound", "everybody"}, 78, []string{"everybody", "10.0.0.0/8"}},
		{[]string{"--crl", "x"}, 78, []string{"--ca"}},
		{[]string{"--ca", "no/such/ca.crt"}, 78, []string{"no/such/ca.crt", "no such file"}},
		{[]string{"--cert", "x"}, 78, []string{"--cert", "sign_key"}},
		{[]string{"--relay-inbound", "http://127.0.0.1:1"}, 78, []string{"only tcp"}},
		{[]string{"--log-level", "loud"}, 64, []string{"loud", "debug"}},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var stderr bytes.Buffer
			env := environ{strings.NewReader(""), io.Discard, &stderr, func(string) string { return "" }, openBus, []string{"FEDMSG_CONFIG=" + t.TempDir()}, nil}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			argv := append([]string{"fedmsg", "serve", "--dir", t.TempDir(), "--http", "127.0.0.1:0", "--relay-inbound", "",
				"--relay-outbound", "", "--gateway", ""}, tt.args...)
			if status := run(ctx, env, argv); status != tt.status {
				t.Errorf("exit status %d, want %d: %s", status, tt.status, stderr.String())
			}
			for _, want := range tt.tells {
				if !strings.Contains(stderr.String(), want) {
					t.Errorf("it says %q, want it to tell of %q", stderr.String(), want)
				}
			}
		})
	}
}
