package classic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// capture reads what the original printed: the report, and all of standard output.
func capture(t *testing.T, file string) (report, stdout string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(fedmsgtest.VectorDir(t), "cli_capture", file))
	if err != nil {
		t.Fatal(err)
	}
	_, out, _ := strings.Cut(string(text), "--stdout\n")
	out, _, _ = strings.Cut(out, "--stderr")
	return out[strings.Index(out, "{"):], out
}

// hub is a socket on which a report comes as soon as somebody listens.
func hub(t *testing.T, report string) string {
	t.Helper()
	pub, err := zmq.NewPub(zmq.PubConfig{Bind: []string{"ipc://" + filepath.Join(t.TempDir(), "s")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	fedmsgtest.Start(t, "hub", pub.Run)
	go func() {
		if pub.WaitSubscribed(t.Context()) == nil {
			pub.SendFrame([]byte(report))
		}
	}()
	return pub.Addrs()[0]
}

func env(t *testing.T, out, complaints *paper) Env {
	t.Helper()
	return Env{
		Stdout: out, Stderr: complaints, Environ: []string{"FEDMSG_CONFIG=" + t.TempDir()}, Clean: func(s string) string { return strings.ReplaceAll(s, "\x1b", "^") },
		Usage:    func(err error) error { return fmt.Errorf("usage: %w", err) },
		Config:   func(err error) error { return fmt.Errorf("config: %w", err) },
		Hostname: func() (string, error) { return "vm.example.org", nil },
	}
}

func exit(err error) int {
	if s, ok := errors.AsType[status](err); ok {
		return s.ExitStatus()
	}
	if err != nil {
		return -1
	}
	return 0
}

func TestVectorsCheck(t *testing.T) {
	for _, tt := range []struct {
		file string
		args []string
	}{{"check_ok.txt", nil}, {"check_named.txt", []string{"-c", "MyConsumer", "-c", "Boom"}}} {
		report, want := capture(t, tt.file)
		var out, complaints paper
		cmd := newCheck(env(t, &out, &complaints))
		cmd.SetArgs(append(tt.args, "--socket", hub(t, report)))
		err := cmd.ExecuteContext(t.Context())
		if err != nil || complaints.String() != "" || out.String() != want {
			t.Errorf("check %q = %v, %q, and printed\n%s, want\n%s", tt.args, err, complaints.String(), out.String(), want)
		}
	}
}

func TestCheck(t *testing.T) {
	report, _ := capture(t, "check_ok.txt")
	raw := strings.Replace(report, `"initialized": true`, `"initialized": false`, 1)
	for _, tt := range []struct {
		report     string // "" for a hub that is silent
		args       []string
		exit       int
		err        string
		complaints string
	}{
		{report, []string{"-c", "Nope", "-p", "MonitoringProducer"}, 1, "missing", "\"Nope\" is not active!\n"},
		{report, []string{"-c", "MyConsumer", "-p", "Nope2"}, 1, "missing", "\"Nope2\" is not active!\n"},
		{report, []string{"-p", "MyConsumer\x1b"}, 1, "missing", "\"MyConsumer^\" is not active!\n"}, // it is a consumer
		{raw, []string{"-c", "MyConsumer"}, 1, "uninitialized", "\"MyConsumer\" is not initialized!\n"},
		{raw, []string{"-c", "Boom"}, 0, "", ""},
		{"", []string{"--timeout", "0.2"}, 1, "in 0.2 seconds", ""},
		{"{oops", nil, -1, "is no report", ""},
		{"[1]", nil, -1, "is no report", ""},
		{report, []string{"--timeout", "0"}, -1, "usage: --timeout", ""},
		{report, []string{"--timeout", "NaN"}, -1, "usage: --timeout", ""},
		{report, []string{"--bus", "http://x"}, -1, "do not go together", ""},
		{report, []string{"word"}, -1, "usage: arguments", ""},
	} {
		addr := "ipc://" + filepath.Join(t.TempDir(), "nobody")
		if tt.report != "" {
			addr = hub(t, tt.report)
		}
		var out, complaints paper
		cmd := newCheck(env(t, &out, &complaints))
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetArgs(append(tt.args, "--socket", addr))
		err := cmd.ExecuteContext(t.Context())
		if exit(err) != tt.exit || !strings.Contains(fmt.Sprint(err), tt.err) || complaints.String() != tt.complaints {
			t.Errorf("check %q = %v (exit %d), complaints %q, want %q (exit %d), %q", tt.args, err, exit(err), complaints.String(), tt.err, tt.exit, tt.complaints)
		}
		if tt.exit != 0 && out.String() != "" {
			t.Errorf("check %q printed %q", tt.args, out.String())
		}
	}
}

func TestCheckWithoutAddress(t *testing.T) {
	var out, complaints paper
	cmd := newCheck(env(t, &out, &complaints))
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(nil)
	if err := cmd.ExecuteContext(t.Context()); exit(err) != 1 || !strings.Contains(err.Error(), `please set "moksha.monitoring.socket"`) {
		t.Errorf("check = %v, want to be told what to set, exit 1", err)
	}
}

// A hub of old, with libzmq, is asked at its socket.
func TestPeerHub(t *testing.T) {
	python := fedmsgtest.PythonWithZMQ(t)
	report, want := capture(t, "check_ok.txt")
	addr := "ipc://" + filepath.Join(t.TempDir(), "s")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-c", `
import sys, time, zmq
s = zmq.Context().socket(zmq.PUB)
s.bind(sys.argv[1])
while True:
    s.send(sys.argv[2].encode())
    time.sleep(0.05)
`, addr, report)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = cmd.Wait() // it was killed
	}()
	var out, complaints paper
	check := newCheck(env(t, &out, &complaints))
	check.SetArgs([]string{"--socket", addr, "--timeout", "30"})
	if err := check.ExecuteContext(t.Context()); err != nil || out.String() != want {
		t.Errorf("check = %v, and printed\n%s, want\n%s", err, out.String(), want)
	}
}

// A bus of ours is asked over HTTP.
func TestCheckOfBus(t *testing.T) {
	report, want := capture(t, "check_ok.txt")
	var out, complaints paper
	e := env(t, &out, &complaints)
	e.Ask = func(_ context.Context, url, path string) (json.RawMessage, error) {
		if url != "http://x" || path != "/api/v1/monitoring" {
			t.Errorf("asked %s for %s", url, path)
		}
		return json.RawMessage(report), nil
	}
	cmd := newCheck(e)
	cmd.SetArgs([]string{"--bus", "http://x"})
	if err := cmd.ExecuteContext(t.Context()); err != nil || out.String() != want {
		t.Errorf("check --bus = %v, and printed\n%s", err, out.String())
	}
}
