package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/client"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// A fakeBus has some entries to read, and keeps what is published.
type fakeBus struct {
	entries []fedmsg.Entry
	notices []string
	refuse  func(topic string) error

	mu        sync.Mutex
	cfg       client.Config
	asked     client.TailConfig
	published []string // MODNAME.TOPIC BODY
}

func (b *fakeBus) Publish(_ context.Context, modname, topic string, body any) (client.Receipt, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return client.Receipt{}, err
	}
	m, err := fedmsg.Draft{Topic: fedmsg.JoinTopic(b.cfg.TopicPrefix, b.cfg.Environment, modname, topic), Body: text, ID: "2026-x", Time: time.Unix(1, 0)}.Message()
	if err != nil {
		return client.Receipt{}, err
	}
	return b.keep(m, modname+"."+topic+" "+string(m.Body))
}

func (b *fakeBus) Send(_ context.Context, m *fedmsg.Message) (client.Receipt, error) {
	return b.keep(m, string(m.Topic)+" "+string(m.Body))
}

func (b *fakeBus) keep(m *fedmsg.Message, line string) (client.Receipt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse != nil {
		if err := b.refuse(string(m.Topic)); err != nil {
			return client.Receipt{}, err
		}
	}
	b.published = append(b.published, line)
	return client.Receipt{ID: m.ID, Topic: m.Topic, Seq: fedmsg.Seq(len(b.published)), Confirmed: true}, nil
}

func (b *fakeBus) Tail(_ context.Context, cfg client.TailConfig) iter.Seq2[fedmsg.Entry, error] {
	b.asked = cfg
	return func(yield func(fedmsg.Entry, error) bool) {
		for _, text := range b.notices {
			cfg.Notice(text)
		}
		for _, e := range b.entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (b *fakeBus) Close() error { return nil }

// A ran is what became of a command line.
type ran struct {
	status         int
	stdout, stderr string
}

// fedmsgWith runs the program with a fake bus.
func fedmsgWith(t *testing.T, b *fakeBus, stdin string, env map[string]string, args ...string) ran {
	t.Helper()
	var stdout bytes.Buffer
	var stderr fedmsgtest.LogBook
	variables := []string{"FEDMSG_CONFIG=" + t.TempDir()} // not this machine's
	for name, value := range env {
		variables = append(variables, name+"="+value)
	}
	status := run(t.Context(), environ{
		variables: variables, stdin: strings.NewReader(stdin), stdout: &stdout, stderr: &stderr, getenv: func(key string) string { return env[key] },
		open: func(_ context.Context, cfg client.Config) (messageBus, error) {
			b.cfg = cfg
			return b, nil
		},
	}, append([]string{"fedmsg"}, args...))
	return ran{status, stdout.String(), stderr.String()}
}

// entry makes an entry of a message of the original, as loosely as it was.
func entry(t *testing.T, seq fedmsg.Seq, verified, text string) fedmsg.Entry {
	t.Helper()
	m, err := fedmsg.DecodeHistory([]byte(text))
	if err != nil {
		t.Fatalf("DecodeHistory(%s): %v", text, err)
	}
	return fedmsg.Entry{Seq: seq, At: time.Unix(1795348800, 0).UTC(), Verified: verified, Message: m}
}

var (
	logPrefix = regexp.MustCompile(`(?m)^\[[-0-9]{10} [0-9:]{8}\]\[fedmsg\.commands    INFO\] `)
	logNoise  = regexp.MustCompile(`(?m)^\[[-0-9]{10} [0-9:]{8}\]\[fedmsg\.(meta|crypto).*\n`)
	ansi      = regexp.MustCompile("\x1b\\[[0-9;]*m")
)

// TestVectorsTail shows 18 messages in each of the original's formats. What
// differs is that the prefix of the log is gone, with the newline behind it, and
// that control characters in values are escaped.
func TestVectorsTail(t *testing.T) {
	local := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = local })
	b := new(fakeBus)
	for _, in := range fedmsgtest.Vectors[struct{ Body string }](t, "tail_input.jsonl") {
		b.entries = append(b.entries, entry(t, 1, "x509:test", in.Body))
	}
	const noRules = "the original ran without the rules that know who and which package"
	skipped := map[string]string{
		"--cowsay":           "the original crashed",
		"--cowsay --terse":   "the original crashed",
		"--validate --terse": "the bus judges signatures, not tail",
		"--packages fedmsg --users ralph --terse": noRules,
		"--users ralph --terse":                   noRules,
		"--packages fedmsg --terse":               noRules,
		"--topic org.fedoraproject.dev.*":         "a star at the end is taken for the prefix that it meant",
	}
	rows := 0
	for _, row := range fedmsgtest.Vectors[struct {
		Args   []string
		Stdout string
	}](t, "tail_output.jsonl") {
		t.Run(strings.Join(row.Args, " "), func(t *testing.T) {
			if why, ok := skipped[strings.Join(row.Args, " ")]; ok {
				t.Skip(why)
			}
			var want strings.Builder
			text := logNoise.ReplaceAllString(ansi.ReplaceAllString(row.Stdout, ""), "")
			for _, item := range logPrefix.Split(text, -1)[1:] {
				item = strings.TrimRight(strings.TrimPrefix(item, "\n"), "\n")
				if slices.Contains(row.Args, "--terse") {
					item = strings.ReplaceAll(item, "\t", " ") // words have blanks for tabs
				}
				if slices.Contains(row.Args, "--query") || slices.Contains(row.Args, "--terse") {
					item = cleanLine(item)
				}
				want.WriteString(item + "\n")
			}
			got := fedmsgWith(t, b, "", nil, append([]string{"tail", "--color=always"}, row.Args...)...)
			shown := ansi.ReplaceAllString(got.stdout, "")
			if slices.Contains(row.Args, "--terse") {
				shown = withoutNewWords(shown, want.String())
			}
			if got.status != 0 || shown != want.String() {
				t.Errorf("tail %q: exit %d, %s\n got %s\nwant %s", row.Args, got.status, got.stderr, shown, want.String())
			}
		})
		rows++
	}
	if rows < 20 {
		t.Errorf("%d rows, want 25", rows)
	}
}

// withoutNewWords takes the words away from lines for which the original, which had
// rules for two services only, had a title and nothing more.
func withoutNewWords(shown, want string) string {
	lines := strings.Split(shown, "\n")
	for i, line := range strings.Split(want, "\n") {
		if title, ok := strings.CutSuffix(line, " --  "); ok && i < len(lines) && len(lines[i]) > len(line) && strings.HasPrefix(lines[i], title+" -- ") {
			lines[i] = line
		}
	}
	return strings.Join(lines, "\n")
}

func TestTailFormats(t *testing.T) {
	const text = `{"i":1,"msg":{"log":"it's\nhere \u200b"},"msg_id":"2026-1","timestamp":1795348800,"topic":"org.fedoraproject.dev.logger.log","username":"root"}`
	b := &fakeBus{entries: []fedmsg.Entry{entry(t, 7, "none", text)}}
	tests := []struct {
		args []string
		want string
	}{
		{nil, `{'i': 1, 'msg': {'log': "it's\nhere \u200b"}, 'msg_id': '2026-1', 'timestamp': 1795348800, 'topic': 'org.fedoraproject.dev.logger.log', 'username': 'root'}  # unsigned`},
		{[]string{"--terse"}, `logger.log -- it's here \u200b (root)   # unsigned`},
		{[]string{"--query=msg.log,i"}, `it's\u000ahere \u200b, 1`},
		{[]string{"--query=msg", "--terse", "--json"}, `{"seq":7,"at":"2026-11-22T12:00:00Z","verified":"none","message":` + text + `}`},
		{[]string{"--terse", "--no-validate"}, `logger.log -- it's here \u200b (root)   # unsigned`},
		{[]string{"--really-pretty", "--query=i"}, `1`},
	}
	for _, tt := range tests {
		got := fedmsgWith(t, b, "", nil, append([]string{"tail"}, tt.args...)...)
		if got.status != 0 || got.stdout != tt.want+"\n" || got.stderr != "" {
			t.Errorf("tail %q: exit %d, stderr %q\n got %s\nwant %s", tt.args, got.status, got.stderr, got.stdout, tt.want)
		}
	}
	if got := fedmsgWith(t, b, "", nil, "tail", "--validate"); got.stdout != "" || strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("tail --validate of an unsigned message: stdout %q, stderr %q, want nothing and one line", got.stdout, got.stderr)
	}
}

func TestTailAsksForWhatItShows(t *testing.T) {
	tests := []struct {
		args  []string
		want  []fedmsg.Pattern
		after string
	}{
		{nil, nil, "<nil>"},
		{[]string{"org.fedoraproject.*.git.#", "a.b"}, []fedmsg.Pattern{"org.fedoraproject.*.git.#", "a.b"}, "<nil>"},
		{[]string{"--topic=org.fedoraproject.dev"}, []fedmsg.Pattern{"org.fedoraproject.#"}, "<nil>"},
		{[]string{"--topic=org.fedoraproject.dev."}, []fedmsg.Pattern{"org.fedoraproject.dev.#"}, "<nil>"},
		{[]string{"--topic=org.fedoraproject.dev.*"}, []fedmsg.Pattern{"org.fedoraproject.dev.#"}, "<nil>"},
		{[]string{"--topic=org"}, nil, "<nil>"},
		{[]string{"--topic=a.b.c", "--topic=or"}, nil, "<nil>"},
		{[]string{"--after=0"}, nil, "0"},
		{[]string{"--after=12"}, nil, "12"},
	}
	for _, tt := range tests {
		b := new(fakeBus)
		got := fedmsgWith(t, b, "", nil, append([]string{"tail"}, tt.args...)...)
		after := "<nil>"
		if b.asked.After != nil {
			after = fmt.Sprint(*b.asked.After)
		}
		if got.status != 0 || !slices.Equal(b.asked.Topics, tt.want) || after != tt.after {
			t.Errorf("tail %q: exit %d %s, asks for %q after %s, want %q after %s", tt.args, got.status, got.stderr, b.asked.Topics, after, tt.want, tt.after)
		}
	}
}

func TestTailLinesAreShort(t *testing.T) {
	m := fedmsgtest.MessageOf(1, "org.fedoraproject.dev.logger.log", `{"log":"`+strings.Repeat("é", 150_000)+`"}`)
	b := &fakeBus{entries: []fedmsg.Entry{{Seq: 1, Verified: "none", Message: m}}}
	for _, args := range [][]string{{}, {"--terse"}, {"--query=msg.log"}, {"--pretty"}, {"--really-pretty"}, {"--really-pretty", "--color=always"}, {"--cowsay"}} {
		got := fedmsgWith(t, b, "", nil, append([]string{"tail"}, args...)...)
		for line := range strings.Lines(ansi.ReplaceAllString(got.stdout, "")) {
			if n := len([]rune(line)); n > maxLineLength+1 {
				t.Errorf("tail %q: a line of %d characters, want at most %d", args, n, maxLineLength)
			}
		}
		if got.status != 0 || got.stdout == "" || len(args) == 1 && args[0] == "--terse" && !strings.Contains(got.stdout, "unsigned") {
			t.Errorf("tail %q: exit %d, %.60q...", args, got.status, got.stdout)
		}
	}
}

// writerFunc makes a writer of a function.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestTailEndsWithItsOutput(t *testing.T) {
	tests := []struct {
		err    error
		status int
		stderr string
	}{
		{syscall.EPIPE, 0, ""},
		{syscall.ENOSPC, 74, "fedmsg tail: standard output: No space left on device\n"},
		{syscall.EIO, 74, "fedmsg tail: standard output: input/output error\n"},
	}
	for _, tt := range tests {
		b := &fakeBus{entries: []fedmsg.Entry{{Seq: 1, Message: fedmsgtest.Message(1)}}}
		var stderr fedmsgtest.LogBook
		status := run(t.Context(), environ{
			stdout: writerFunc(func([]byte) (int, error) { return 0, tt.err }), stderr: &stderr, getenv: func(string) string { return "" },
			open: func(context.Context, client.Config) (messageBus, error) { return b, nil },
		}, []string{"fedmsg-tail"})
		if status != tt.status || stderr.String() != tt.stderr {
			t.Errorf("writing fails with %v: exit %d, stderr %q, want %d, %q", tt.err, status, stderr.String(), tt.status, tt.stderr)
		}
	}
}

func TestNoticesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w bytes.Buffer
		n := &notices{w: &w, name: "fedmsg tail"}
		for range 10 * 60 { // ten minutes of trouble, one notice a second
			n.tell("connection lost, will reconnect\x1b[2J")
			time.Sleep(time.Second)
		}
		if lines := strings.Count(w.String(), "\n"); lines < 50 || lines > 100 || strings.Contains(w.String(), "\x1b") {
			t.Errorf("%d lines in ten minutes, want 50 to 100, clean:\n%s", lines, w.String())
		}
	})
}

func TestPlaceBefore(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const gone, last = 37, 5000 // the log keeps 38 to 5000, one a minute
	asked := 0
	first := func(_ context.Context, after fedmsg.Seq) (fedmsg.Entry, bool, error) {
		asked++
		switch {
		case after > last:
			return fedmsg.Entry{}, false, fedmsg.Refuse(fedmsg.BadField, "beyond the end")
		case after == last:
			return fedmsg.Entry{}, false, nil
		case 0 < after && after < gone:
			return fedmsg.Entry{}, false, fedmsg.ErrTooOld
		}
		seq := max(after+1, gone+1)
		return fedmsg.Entry{Seq: seq, At: start.Add(time.Duration(seq) * time.Minute)}, true, nil
	}
	for want, since := range map[fedmsg.Seq]time.Time{
		0:    start,                            // before everything: the beginning
		38:   start.Add(39 * time.Minute),      // entry 39 is not older
		1999: start.Add(1999*time.Minute + 1),  // nor is 2000
		4999: start.Add(5000 * time.Minute),    // the last one
		5000: start.Add(100000 * time.Minute),  // nothing yet
		1023: start.Add(1024 * time.Minute),    // about the first step
		1024: start.Add(1024*time.Minute + 30), //
	} {
		asked = 0
		got, err := placeBefore(t.Context(), first, since)
		if err != nil || got != want || asked > 40 {
			t.Errorf("placeBefore(%s) = %d, %v after %d questions, want %d", since, got, err, asked, want)
		}
	}
	away := errors.New("away")
	if _, err := placeBefore(t.Context(), func(context.Context, fedmsg.Seq) (fedmsg.Entry, bool, error) { return fedmsg.Entry{}, false, away }, start); !errors.Is(err, away) {
		t.Errorf("placeBefore of a bus that is away: %v", err)
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"90m":                  now.Add(-90 * time.Minute),
		"3d":                   now.AddDate(0, 0, -3),
		"2026-11-01T00:00:00Z": time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
		"2026-11-01":           time.Date(2026, 11, 1, 0, 0, 0, 0, time.Local),
		"2026-11-01 10:30":     time.Date(2026, 11, 1, 10, 30, 0, 0, time.Local),
	} {
		if got, err := parseSince(text, now); err != nil || !got.Equal(want) {
			t.Errorf("parseSince(%q) = %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "soon", "-2h", "d", "2026-13-01"} {
		if got, err := parseSince(text, now); err == nil {
			t.Errorf("parseSince(%q) = %s, want an error", text, got)
		}
	}
}
