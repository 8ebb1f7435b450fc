package trigger_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/trigger"
)

func TestCommand(t *testing.T) {
	one := []fedmsg.Entry{message(t, 7, "a")}
	two := append(one, message(t, 8, "b"))
	const text = `{"i":0,"msg":{"n":1},"msg_id":"2026-7","timestamp":1,"topic":"org.example.a"}` + "\n"
	tests := []struct {
		line    string
		entries []fedmsg.Entry
		want    string
		status  int
	}{
		{"cat", one, text, 0},
		{"wc -l", two, "2\n", 0},
		{"echo $FEDMSG_TOPIC $FEDMSG_MSG_ID $FEDMSG_SEQ $FEDMSG_COUNT $FEDMSG_ATTEMPT", one, "org.example.a 2026-7 7 1 3\n", 0},
		{"echo $FEDMSG_TOPIC $FEDMSG_MSG_ID $FEDMSG_SEQ $FEDMSG_COUNT $FEDMSG_ATTEMPT", two, "2 3\n", 0},
		{"echo $OTHER", one, "kept\n", 0},
		{"true", one, "", 0}, // which does not read
		{"exit 3", one, "", 3},
		{"exit 65", one, "", 65},
		{"/no/such", one, "", 127},
		{"kill -9 $$", one, "", -1},
		{"sleep 3 & echo begun", one, "begun\n", 0}, // what it leaves behind is not waited for
	}
	for _, tt := range tests {
		var out bytes.Buffer
		c := &trigger.Command{Args: trigger.Shell(tt.line), Environ: []string{"PATH=" + os.Getenv("PATH"), "OTHER=kept", "FEDMSG_TOPIC=before", "FEDMSG_SEQ=before"}, Stdout: &out}
		err := c.Do(t.Context(), tt.entries, 3)
		status := 0
		if err != nil {
			status = trigger.Status(err)
		}
		if out.String() != tt.want || status != tt.status || errors.Is(err, trigger.ErrGiveUp) != (tt.status == 65) {
			t.Errorf("%q wrote %q, %v (%d), want %q, %d", tt.line, out.String(), err, status, tt.want, tt.status)
		}
	}
}

func TestCommandWithoutShell(t *testing.T) {
	var out bytes.Buffer
	c := &trigger.Command{Args: []string{"echo", "$FEDMSG_TOPIC;", "`id`"}, Stdout: &out}
	if err := c.Do(t.Context(), []fedmsg.Entry{message(t, 7, "a")}, 1); err != nil || out.String() != "$FEDMSG_TOPIC; `id`\n" {
		t.Errorf("echo: %q, %v", out.String(), err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string]int{"no-such-program": 127, "/no/such": 127, text: 126} {
		c := &trigger.Command{Args: []string{program}}
		if err := c.Do(t.Context(), []fedmsg.Entry{message(t, 7, "a")}, 1); err == nil || trigger.Status(err) != want {
			t.Errorf("%s: %v (%d), want %d", program, err, trigger.Status(err), want)
		}
	}
}

// Old messages may have topics and IDs that a shell would read as more than a word.
// They are on standard input, and nowhere else.
func TestCommandEnvironmentIsHarmless(t *testing.T) {
	m, err := fedmsg.DecodeHistory([]byte(`{"topic":"org.a b;$(id)\n","msg":{},"msg_id":"a b*","timestamp":1.0}`))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c := &trigger.Command{Args: []string{"env"}, Environ: []string{"PATH=" + os.Getenv("PATH"), "FEDMSG_TOPIC=before"}, Stdout: &out}
	if err := c.Do(t.Context(), []fedmsg.Entry{{Message: m}}, 1); err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(strings.Lines(out.String()))
	want := []string{"FEDMSG_ATTEMPT=1\n", "FEDMSG_COUNT=1\n", "PATH=" + os.Getenv("PATH") + "\n"}
	if !slices.Equal(got, want) {
		t.Errorf("the environment is %q, want %q", got, want)
	}
}

// A run that takes too long ends with all that it began, also if it does not listen.
func TestCommandTimeout(t *testing.T) {
	for line, want := range map[string]string{
		"sleep 3601 & echo $! >pids; echo $$ >>pids; sleep 3602":                                 "no end within 300ms: signal: terminated",
		"trap '' TERM; sleep 3601 & echo $! >pids; echo $$ >>pids; sleep 3602; sleep 3603":       "no end within 300ms: signal: killed",
		"trap 'exit 0' TERM; sleep 3601 & echo $! >pids; echo $$ >>pids; while :; do wait; done": "no end within 300ms: it ended when it was told to",
		// the first one ends at once, and leaves another that does not listen
		"(trap '' TERM; sleep 3601; sleep 3602) & echo $! >pids; echo $$ >>pids; wait": "no end within 300ms: signal: terminated",
	} {
		pids := filepath.Join(t.TempDir(), "pids")
		c := &trigger.Command{
			Args: trigger.Shell(strings.ReplaceAll(line, "pids", pids)), Environ: os.Environ(),
			Timeout: 300 * time.Millisecond, Grace: 300 * time.Millisecond,
		}
		err := c.Do(t.Context(), []fedmsg.Entry{message(t, 7, "a")}, 1)
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", line, err, want)
		}
		text, err := os.ReadFile(pids)
		if err != nil {
			t.Fatal(err)
		}
		for field := range strings.FieldsSeq(string(text)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			fedmsgtest.Eventually(t, 5*time.Second, line+": process "+field+" is gone", func() bool { return !runs(pid) })
		}
	}
}

// runs reports whether a process lives, and is none that has ended and waits for its
// parent to look.
func runs(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return syscall.Kill(pid, 0) == nil
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// Who is asked twice to stop breaks off what runs.
func TestCommandIsBrokenOff(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	began := filepath.Join(t.TempDir(), "began")
	c := &trigger.Command{Args: trigger.Shell("touch " + began + "; sleep 3600"), Environ: os.Environ()}
	ended := make(chan error, 1)
	go func() { ended <- c.Do(ctx, []fedmsg.Entry{message(t, 7, "a")}, 1) }()
	fedmsgtest.Eventually(t, 10*time.Second, "it runs", func() bool { _, err := os.Stat(began); return err == nil })
	why := errors.New("interrupted twice")
	cancel(why)
	if err := <-ended; !errors.Is(err, why) {
		t.Errorf("Do = %v, want %v", err, why)
	}
}
