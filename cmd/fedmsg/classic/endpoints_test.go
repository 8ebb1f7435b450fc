package classic

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// network is a configuration of three endpoints that answer, one that is silent and one
// that is not there.
func network(t *testing.T) (file string, up [3]string, silent string) {
	t.Helper()
	pub, err := zmq.NewPub(zmq.PubConfig{Bind: []string{"tcp://127.0.0.1:0", "tcp://127.0.0.1:0", "ipc://" + filepath.Join(t.TempDir(), "s")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	fedmsgtest.Start(t, "endpoints", pub.Run)
	copy(up[:], pub.Addrs())
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mute.Close() })
	silent = "tcp://" + mute.Addr().String()
	file = filepath.Join(t.TempDir(), "fedmsg.toml")
	text := "[endpoints]\n\"bodhi.app01\" = ['" + up[0] + "', '" + silent + "']\n\"git.app01\" = ['" + up[1] + "']\n\"wiki\" = ['" + up[2] + "', 'tcp://127.0.0.1:1']\n\"relay_inbound\" = ['tcp://127.0.0.1:1']\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, up, silent
}

// call runs a command.
func call(t *testing.T, make func(Env) *cobra.Command, args ...string) (string, error) {
	t.Helper()
	var out, complaints paper
	cmd := make(env(t, &out, &complaints))
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestStatus(t *testing.T) {
	file, up, silent := network(t)
	got, err := call(t, newStatus, "--config-filename", file, "--timeout", "0.3")
	want := "[  OK  ]  bodhi.app01 " + up[0] + "\n[FAILED]  bodhi.app01 " + silent + "  timeout\n[  OK  ]  git.app01 " + up[1] + "\n[  OK  ]  wiki " + up[2] + "\n[FAILED]  wiki tcp://127.0.0.1:1  refused\n"
	if got != want || exit(err) != 1 || !strings.Contains(err.Error(), "2 of 5") {
		t.Errorf("status = %v (exit %d), and printed\n%s, want\n%s", err, exit(err), got, want)
	}
	if got, err := call(t, newStatus, "relay="+up[0], up[1]); err != nil || got != "[  OK  ]  relay "+up[0]+"\n[  OK  ]  "+up[1]+" "+up[1]+"\n" {
		t.Errorf("status of two = %v, %q", err, got)
	}
	for _, args := range [][]string{{"tcp://x"}, {"--timeout", "-1"}, nil} {
		if _, err := call(t, newStatus, args...); err == nil || exit(err) != -1 {
			t.Errorf("status %q = %v, want an error of the command line or the configuration", args, err)
		}
	}
}

func TestMap(t *testing.T) {
	file, up, _ := network(t)
	got, err := call(t, newMap, "verbose", "--config-filename", file, "--timeout", "0.3")
	want := "name         active  inactive  percent  reason\n" +
		"bodhi.app01  1       1         50.0     timeout\n" +
		"git.app01    1       0         100.0\n" +
		"wiki         1       1         50.0     refused\n" +
		"total        3       2         60.0     timeout, refused\n"
	if err != nil || got != want {
		t.Errorf("map verbose = %v, and printed\n%s, want\n%s", err, got, want)
	}
	got, err = call(t, newMap, "--json", "x="+up[0], "y=tcp://127.0.0.1:1")
	var all []endpoint
	if err != nil || json.Unmarshal([]byte(got), &all) != nil || len(all) != 2 || all[0] != (endpoint{"x", up[0], true, ""}) || all[1] != (endpoint{"y", "tcp://127.0.0.1:1", false, "refused"}) {
		t.Errorf("map --json = %v, %s", err, got)
	}
}

// Without a word it tells collectd, at once and then every five seconds.
func TestMapTells(t *testing.T) {
	var out, complaints paper
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, up, _ := network(t)
	cmd := newMap(env(t, &out, &complaints))
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs([]string{up[0], "tcp://127.0.0.1:1"})
	ended := make(chan error, 1)
	go func() { ended <- cmd.ExecuteContext(ctx) }()
	fedmsgtest.Eventually(t, 10*time.Second, "a line", func() bool { return strings.HasSuffix(out.String(), "\n") })
	cancel()
	if err := <-ended; err == nil || !regexp.MustCompile(`^PUTVAL vm\.example\.org/fedmsg/percent interval=5 \d+:50\.0\n$`).MatchString(out.String()) {
		t.Errorf("map = %v, and printed %q", err, out.String())
	}
}
