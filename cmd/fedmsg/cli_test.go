package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// cliCase is one line of cli.jsonl.
type cliCase struct {
	Name  string
	Input struct {
		Args   []string
		Stdin  []byte            `json:"stdin_b64"`
		Env    map[string]string `json:"env"`
		Setup  string
		Bus    json.RawMessage `json:"bus_message"`
		Signal string
	}
	Must struct {
		Exit         *int
		ExitIn       []int   `json:"exit_in"`
		WithinS      float64 `json:"within_s"`
		StdoutHas    string  `json:"stdout_has"`
		StderrHas    string  `json:"stderr_has"`
		EitherHas    string  `json:"stdout_or_stderr_has"`
		Hint         string  `json:"stderr_has_hint"`
		StdoutNot    string  `json:"stdout_must_not_match"`
		StderrNot    string  `json:"stderr_must_not_match"`
		StdoutLines  int     `json:"stdout_lines"`
		MaxLineChars int     `json:"max_line_chars"`
		JSONEqual    bool    `json:"stdout_json_equal"`
		Published    *int
		NoFile       string `json:"file_must_not_exist"`
		NoZombie     bool   `json:"no_zombie"`
	}
}

// TestBadInputsCLI runs all cases but those about a bus that goes away and about
// signals, which are in the tests named.
func TestBadInputsCLI(t *testing.T) {
	elsewhere := map[string]string{
		"tail-sigint":      "testdata/script/away.txtar",
		"tail-server-gone": "testdata/script/away.txtar",
	}
	for _, c := range fedmsgtest.Rows[cliCase](t, filepath.Join(fedmsgtest.BadInputDir(t), "cli.jsonl")) {
		if _, ok := elsewhere[c.Name]; ok {
			delete(elsewhere, c.Name)
			continue
		}
		t.Run(c.Name, func(t *testing.T) { c.run(t) })
	}
	for name := range elsewhere {
		t.Errorf("there is no case %s any more", name)
	}
}

func (c cliCase) run(t *testing.T) {
	b := new(fakeBus)
	args := c.Input.Args
	env := map[string]string{}
	maps.Copy(env, c.Input.Env)
	var told []byte
	if c.Input.Bus != nil {
		told = c.messageOf(t, b)
	}
	switch c.Input.Setup {
	case "no hub":
		b.refuse = func(string) error {
			return &fedmsg.HintError{Err: fmt.Errorf("dial 127.0.0.1:8330: %w: %w", syscall.ECONNREFUSED, fedmsg.ErrUnavailable), Hint: "start one"}
		}
	case "key file mode 0600, other owner":
		if os.Getuid() == 0 {
			t.Skip("root may read every key")
		}
		p := makePKI(t, "shell")
		if err := os.Chmod(p.key, 0); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--cert", p.cert, "--key", p.key)
	case "key of another certificate":
		p := makePKI(t, "shell")
		args = append(args, "--cert", p.cert, "--key", p.otherKey)
	case "./fedmsg.d/evil.toml in the working directory":
		t.Chdir(t.TempDir())
		if err := errors.Join(os.Mkdir("fedmsg.d", 0o700), os.WriteFile("fedmsg.d/evil.toml", []byte(`topic_prefix = "EVIL"`), 0o600)); err != nil {
			t.Fatal(err)
		}
	case "":
	default:
		t.Fatalf("no test for the setup %q", c.Input.Setup)
	}
	m := c.Must
	if strings.Contains(m.NoFile, "PWNED") {
		env["PWNED"] = filepath.Join(t.TempDir(), "pwned")
	}
	before, start := children(t), time.Now()
	got := fedmsgWith(t, b, string(c.Input.Stdin), env, args...)
	took := time.Since(start)

	if want := m.ExitIn; m.Exit != nil && got.status != *m.Exit || want != nil && !slices.Contains(want, got.status) {
		t.Errorf("exit %d, want %v%v", got.status, *cmp.Or(m.Exit, new(int)), want)
	}
	for _, in := range []struct{ where, part string }{
		{got.stdout, m.StdoutHas}, {got.stderr, m.StderrHas}, {got.stdout + got.stderr, m.EitherHas}, {got.stderr, m.Hint},
	} {
		if !strings.Contains(in.where, in.part) {
			t.Errorf("%q is not in %q", in.part, in.where)
		}
	}
	for _, not := range []struct{ where, pattern string }{{got.stdout, m.StdoutNot}, {got.stderr, m.StderrNot}} {
		if not.pattern != "" && matchesBytes(t, not.pattern, not.where) {
			t.Errorf("%q matches %s", not.where, not.pattern)
		}
	}
	if m.StdoutLines > 0 && strings.Count(got.stdout, "\n") != m.StdoutLines {
		t.Errorf("stdout %q, want %d lines", got.stdout, m.StdoutLines)
	}
	for line := range strings.Lines(got.stdout) {
		if n := len([]rune(line)) - 1; m.MaxLineChars > 0 && n > m.MaxLineChars {
			t.Errorf("a line of %d characters, want at most %d", n, m.MaxLineChars)
		}
	}
	if m.Published != nil && len(b.published) != *m.Published {
		t.Errorf("published %q, want %d", b.published, *m.Published)
	}
	if m.WithinS > 0 && took.Seconds() > m.WithinS {
		t.Errorf("took %s, want %.0f s", took, m.WithinS)
	}
	if _, err := os.Stat(env["PWNED"]); m.NoFile != "" && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v, want that there is no such file", env["PWNED"], err)
	}
	if left := children(t); m.NoZombie && !maps.Equal(left, before) {
		t.Errorf("processes are left: %v, before %v", left, before)
	}
	if m.JSONEqual {
		shown := struct{ Message json.RawMessage }{json.RawMessage(got.stdout)}
		if args[0] == "tail" { // with what the bus adds
			if err := json.Unmarshal([]byte(got.stdout), &shown); err != nil {
				t.Fatalf("%v: %s", err, got.stdout)
			}
		}
		a, errA := fedmsg.AppendCanonical(nil, shown.Message)
		want, errB := fedmsg.AppendCanonical(nil, told)
		if errA != nil || errB != nil || string(a) != string(want) {
			t.Errorf("message %s, %v, want %s, %v", a, errA, want, errB)
		}
	}
	if t.Failed() {
		t.Logf("fedmsg %q: exit %d\nstdout %.400q\nstderr %.400q", args, got.status, got.stdout, got.stderr)
	}
}

// children returns the processes that this one began, also those that have ended and
// were not waited for.
func children(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]bool)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			found[file] = true
		}
	}
	return found
}

// matchesBytes matches a pattern over bytes, as the cases have it: each byte is
// one character.
func matchesBytes(t *testing.T, pattern, s string) bool {
	t.Helper()
	re, err := regexp.Compile(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var latin []rune
	for i := range len(s) {
		latin = append(latin, rune(s[i]))
	}
	return re.MatchString(string(latin))
}

// messageOf puts the message of a case on the bus, and returns its JSON.
func (c cliCase) messageOf(t *testing.T, b *fakeBus) []byte {
	t.Helper()
	var in struct {
		RawTopic string `json:"raw_topic"`
		Topic    fedmsg.Topic
		Msg      json.RawMessage
		Unsigned bool
	}
	if err := json.Unmarshal(c.Input.Bus, &in); err != nil {
		t.Fatal(err)
	}
	if in.RawTopic != "" { // what a ZeroMQ tail tells of a message that is none
		b.notices = append(b.notices, "skipped a message under the topic "+in.RawTopic)
		in.Topic = "org.fedoraproject.dev.exam.free"
	}
	var long struct{ S fedmsgtest.Text }
	if bytes.Contains(in.Msg, []byte(`"$repeat"`)) {
		if err := json.Unmarshal(in.Msg, &long); err != nil {
			t.Fatal(err)
		}
		in.Msg = fmt.Appendf(nil, `{"s":%q}`, long.S)
	}
	text := fmt.Appendf(nil, `{"i":1,"msg":%s,"msg_id":"2026-1","timestamp":1795348800,"topic":%q,"username":"root"}`, cmp.Or(string(in.Msg), "{}"), in.Topic)
	verified := "x509:shell-app01"
	if in.Unsigned {
		verified = fedmsg.Unverified
	}
	b.entries = []fedmsg.Entry{entry(t, 1, verified, string(text))}
	return text
}
