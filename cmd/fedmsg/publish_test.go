package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/client"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/x509"
)

func TestLogger(t *testing.T) {
	tests := []struct {
		args   []string
		stdin  string
		want   []string
		status int
		stderr string // a part of it
	}{
		{[]string{"--message=This is a message."}, "", []string{`logger.log {"log":"This is a message."}`}, 0, ""},
		{[]string{"--message={\"a\": 1}"}, "", []string{`logger.log {"log":"{\"a\": 1}"}`}, 0, ""},
		{[]string{"--message={\"a\": 1.50}", "--json-input"}, "", []string{`logger.log {"a":1.5}`}, 0, ""},
		{[]string{"--modname=git", "--topic=repo.update"}, "one\n two \n\nlast", []string{
			`git.repo.update {"log":"one"}`, `git.repo.update {"log":"two"}`, `git.repo.update {"log":""}`, `git.repo.update {"log":"last"}`}, 0, ""},
		{[]string{"--message="}, "a line\r\n", []string{`logger.log {"log":"a line"}`}, 0, ""}, // an empty message counts as none
		{nil, "", nil, 0, ""},
		{[]string{"--json-input"}, "", nil, 0, ""},
		{[]string{"--json-input"}, "{\n \"a\": [1,\n 2]}\n", []string{`logger.log {"a":[1,2]}`}, 0, ""},
		{[]string{"--json-input"}, "null", []string{`logger.log {}`}, 0, ""},
		{[]string{"--json-input"}, "false\n", []string{`logger.log {}`}, 0, ""},
		{[]string{"--json-input"}, "[]", []string{`logger.log {}`}, 0, ""},
		{[]string{"--json-input"}, "0", []string{`logger.log {}`}, 0, ""},
		{[]string{"--json-input"}, "[1]", nil, 65, "not_object"},
		{[]string{"--json-input"}, `"text"`, nil, 65, "not_object"},
		{[]string{"--json-input"}, "{\"a\": 1\n \"b\": 2}", nil, 65, "line 2 column 2"},
		{[]string{"--json-input"}, `{"a": 1} {"b": 2}`, nil, 65, "column 10"},
		{[]string{"--json-input"}, `{"a": 1, "a": 2}`, nil, 65, "dup_key"},
		{nil, "good\nb\xff\xfed\n", []string{`logger.log {"log":"good"}`}, 65, "line 2: bad_utf8: the text is not UTF-8"},
		{nil, "good\n" + strings.Repeat("x", fedmsg.MaxMessageSize+1), []string{`logger.log {"log":"good"}`}, 65, "line 2: too_large"},
		{[]string{"--message=hi", "--topic=a b"}, "", nil, 65, "topic"},
		{[]string{"--message=hi", "--cert-prefix=../../etc/shadow"}, "", nil, 65, "cert-prefix"},
		{[]string{"--message=hi", "--config-filename=x.py"}, "", nil, 78, "--config-filename: x.py"},
		{[]string{"--message=hi", "--cert=x.crt"}, "", nil, 64, "--cert and --key"},
		{[]string{"--message=hi", "--token-file=/does/not/exist"}, "", nil, 74, "--token-file"},
		{[]string{"--message=hi", "hi"}, "", nil, 64, "hi"},
		{[]string{"--message=hi", "--io-threads=2", "--post-init-sleep=0.5", "--linger=10", "--high-water-mark=0", "--timeout=2"}, "", []string{`logger.log {"log":"hi"}`}, 0, ""},
	}
	for _, tt := range tests {
		b := new(fakeBus)
		got := fedmsgWith(t, b, tt.stdin, nil, append([]string{"logger"}, tt.args...)...)
		if got.status != tt.status || got.stdout != "" || !slices.Equal(b.published, tt.want) || !strings.Contains(got.stderr, tt.stderr) || tt.status == 0 && got.stderr != "" {
			t.Errorf("logger %q with %.40q: exit %d, stdout %q, stderr %q, published %q\nwant %d, nothing, %q, %q",
				tt.args, tt.stdin, got.status, got.stdout, got.stderr, b.published, tt.status, tt.stderr, tt.want)
		}
	}
}

func TestLoggerTakesSettingsFromTheEnvironment(t *testing.T) {
	b := new(fakeBus)
	env := map[string]string{"FEDMSG_BUS": "http://bus.example.org:8330", "FEDMSG_TOKEN": "secret", "FEDMSG_TOPIC_PREFIX": "org.example", "FEDMSG_ENVIRONMENT": "stg"}
	got := fedmsgWith(t, b, "", env, "logger", "--message=hi", "--environment=prod", "-v")
	if c := b.cfg; got.status != 0 || c.URL != env["FEDMSG_BUS"] || c.Token != "secret" || c.TopicPrefix != "org.example" || c.Environment != "prod" {
		t.Errorf("exit %d, config %+v, want that of the environment but for prod", got.status, c)
	}
	if want := "published: 1 on the disk of http://bus.example.org:8330\n"; got.stderr != want {
		t.Errorf("stderr %q, want %q", got.stderr, want)
	}
	got = fedmsgWith(t, b, "", env, "logger", "--print-config")
	if got.status != 0 || !strings.Contains(got.stdout, `"topic_prefix": "org.example"`) || strings.Contains(got.stdout, "secret") || len(b.published) != 1 {
		t.Errorf("--print-config: exit %d, %s", got.status, got.stdout)
	}
	got = fedmsgWith(t, b, "", map[string]string{"FEDMSG_HIGH_WATER_MARK": "lots"}, "logger", "--message=hi")
	if got.status != 78 || !strings.Contains(got.stderr, `FEDMSG_HIGH_WATER_MARK: "lots"`) {
		t.Errorf("a bad variable: exit %d, %s, want 78 and its name", got.status, got.stderr)
	}
}

// A line is published before the next one comes, and a line that fails is named.
func TestLoggerPublishesAsLinesCome(t *testing.T) {
	b := new(fakeBus)
	b.refuse = func(string) error {
		if len(b.published) == 2 {
			return fedmsg.Refuse(fedmsg.StorageFull, "nothing left")
		}
		return nil
	}
	stdin, in := io.Pipe()
	done := make(chan int, 1)
	var stderr fedmsgtest.LogBook
	go func() {
		done <- run(t.Context(), environ{stdin: stdin, stdout: io.Discard, stderr: &stderr, getenv: func(string) string { return "" },
			open: fakeOpener(b)}, []string{"/usr/bin/fedmsg-logger"})
	}()
	count := func() int { b.mu.Lock(); defer b.mu.Unlock(); return len(b.published) }
	for n := range 2 {
		fmt.Fprintf(in, "line %d\n", n+1)
		fedmsgtest.Eventually(t, 5*time.Second, "the line is published", func() bool { return count() == n+1 })
	}
	fmt.Fprintln(in, "line 3")
	if status := <-done; status != 69 || !strings.Contains(stderr.String(), "fedmsg logger: line 3: storage_full") {
		t.Errorf("exit %d, %s, want 69 and line 3", status, stderr.String())
	}
	in.Close()
}

func fakeOpener(b *fakeBus) opener {
	return func(context.Context, client.Config) (messageBus, error) { return b, nil }
}

func TestPublish(t *testing.T) {
	one, two := string(fedmsgtest.Message(1).Bytes()), string(fedmsgtest.Message(2).Bytes())
	spread := strings.ReplaceAll(two, ",", ",\n ")
	bad := `{"topic": "org..x", "msg": {}, "msg_id": "2026-0003", "timestamp": 1}`
	cut := two[:len(two)/2]
	tests := []struct {
		args   []string
		stdin  string
		want   string // the places published
		status int
		stderr string
	}{
		{nil, one + "\n" + spread + "\n", "1 2", 0, ""},
		{nil, one + "\n\n" + two, "1 2", 0, ""},
		{nil, one + "\n" + bad + "\n" + two + "\n", "1", 65, `standard input: line 2: bad_topic`},
		{[]string{"--keep-going"}, bad + "\n" + one + "\n" + cut + "\n" + two + "\n", "1 2", 65, "line 3: bad_json"},
		{[]string{"-k"}, bad, "", 65, "1 of 1 messages were refused"},
		{nil, "", "", 0, ""},
		{nil, "nonsense", "", 65, "line 1: bad_json"},
		{[]string{"--topic=x", "--json-input"}, "[]", "", 65, "not_object"},
		{[]string{"--topic=x", "--json-input"}, `{"a":1}`, "1", 0, ""},
		{[]string{"--topic=x"}, "text", "1", 0, ""},
		{[]string{"--topic=x", "file.json"}, "", "", 64, "--topic"},
		{[]string{"/does/not/exist"}, "", "", 74, "/does/not/exist"},
	}
	for _, tt := range tests {
		b := new(fakeBus)
		got := fedmsgWith(t, b, tt.stdin, nil, append([]string{"publish"}, tt.args...)...)
		var places []string
		for line := range strings.Lines(got.stdout) {
			places = append(places, strings.Fields(line)[0])
		}
		if got.status != tt.status || strings.Join(places, " ") != tt.want || !strings.Contains(got.stderr, tt.stderr) {
			t.Errorf("publish %q with %.60q: exit %d, stdout %q, stderr %q\nwant %d, places %q, stderr %q",
				tt.args, tt.stdin, got.status, got.stdout, got.stderr, tt.status, tt.want, tt.stderr)
		}
	}
	got := fedmsgWith(t, new(fakeBus), one, nil, "publish", "--json")
	var receipt struct {
		ID, Topic string
		Seq       int
	}
	if err := json.Unmarshal([]byte(got.stdout), &receipt); err != nil || receipt.Seq != 1 || receipt.ID != fedmsgtest.ID(1) || receipt.Topic == "" {
		t.Errorf("publish --json prints %q, %v, want id, seq and topic", got.stdout, err)
	}
}

func TestCanonicalAndVerify(t *testing.T) {
	got := fedmsgWith(t, nil, "{\"b\": 1.50, \"a\": \"é\"}\n[1,\n 2]\n", nil, "canonical")
	if want := "{\"a\":\"\\u00e9\",\"b\":1.5}\n[1,2]\n"; got.status != 0 || got.stdout != want {
		t.Errorf("canonical: exit %d, %q, want %q", got.status, got.stdout, want)
	}
	got = fedmsgWith(t, nil, "{}\n{\"a\":}\n", nil, "canonical")
	if want := "fedmsg canonical: standard input: line 2: bad_json: line 1 column 6: no JSON value starts here\n"; got.status != 65 || got.stdout != "{}\n" || got.stderr != want {
		t.Errorf("canonical: exit %d, stdout %q, stderr %q, want 65, one line, %q", got.status, got.stdout, got.stderr, want)
	}

	pki := makePKI(t, "shell-app01.example.org")
	signer, err := x509.NewSigner(pki.cert, pki.key)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(t.Context(), fedmsgtest.Message(1))
	if err != nil {
		t.Fatal(err)
	}
	tampered := strings.Replace(string(signed.Bytes()), "rawhide", "f43", 1)
	in := string(signed.Bytes()) + "\n" + tampered + "\n" + string(fedmsgtest.Message(2).Bytes()) + "\n{\"a\":1,\"a\":2}\n"
	got = fedmsgWith(t, nil, in, nil, "verify", "--ca", pki.ca)
	var verdicts []verdict
	for dec := json.NewDecoder(strings.NewReader(got.stdout)); dec.More(); {
		var v verdict
		if err := dec.Decode(&v); err != nil {
			t.Fatal(err)
		}
		v.Detail = ""
		verdicts = append(verdicts, v)
	}
	want := []verdict{
		{Valid: true, Signer: "shell-app01.example.org", ID: fedmsgtest.ID(1)},
		{Reason: "bad_signature", ID: fedmsgtest.ID(1)},
		{Reason: "unsigned", ID: fedmsgtest.ID(2)},
		{Reason: "dup_key"},
	}
	if got.status != 65 || !slices.Equal(verdicts, want) {
		t.Errorf("verify: exit %d, %s\n got %+v\nwant %+v", got.status, got.stderr, verdicts, want)
	}
	got = fedmsgWith(t, nil, string(signed.Bytes()), nil, "verify", "--ca", pki.ca, "--at", "2020-01-01")
	if got.status != 65 || !strings.Contains(got.stdout, `"cert_untrusted"`) {
		t.Errorf("verify --at 2020-01-01: exit %d, %s%s, want cert_untrusted: the CA began later", got.status, got.stdout, got.stderr)
	}
	got = fedmsgWith(t, nil, string(signed.Bytes()), nil, "verify", "--ca", pki.ca)
	if got.status != 0 {
		t.Errorf("verify of a good message: exit %d, %s%s", got.status, got.stdout, got.stderr)
	}
}

// A pki is the files of a CA and one signer.
type pki struct{ ca, cert, key, otherKey string }

func makePKI(t *testing.T, name string) pki {
	t.Helper()
	dir := t.TempDir()
	ca, caKey, err := x509.GenerateCA("test CA", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := x509.IssueCertificate(ca, caKey, name, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	write := func(file string, text []byte) string {
		file = filepath.Join(dir, file)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return pki{write("ca.crt", ca), write("shell.crt", cert), write("shell.key", key), write("ca.key", caKey)}
}
