package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest/pgserver"
)

// TestPostgresCommands has a bus with its archive in PostgreSQL, and gives every command
// about the past that archive.
func TestPostgresCommands(t *testing.T) {
	server, dir := pgserver.Start(t), t.TempDir()
	dsn := server.DSN("postgres")
	addrs, told, stop := startServeLogged(t, dir, "--archive", dsn)
	last := say(t, addrs, 30)
	archives(t, addrs, last, told)
	ask := func(status int, args ...string) ran {
		t.Helper()
		got := fedmsgWith(t, new(fakeBus), "", nil, append(args, "--archive", dsn)...)
		if got.status != status {
			t.Errorf("%q: exit %d, want %d: %s", args, got.status, status, got.stderr)
		}
		if strings.Contains(got.stdout+got.stderr, pgserver.Password) {
			t.Errorf("%q shows the password", args)
		}
		return got
	}
	// Beside the running bus: what asks may, what writes may not.
	for _, tt := range []struct{ args, want string }{
		{"history -n 100", "exam"}, {"export", "exam"}, {"dump", `"exam.free`}, {"stats", "exam has 30 entries"}, {"latest", "exam.free"},
		{"archive status", "messages  30"}, {"archive verify", "30 messages are well"},
	} {
		if got := ask(0, strings.Fields(tt.args)...); !strings.Contains(got.stdout, strings.TrimPrefix(tt.want, `"`)) {
			t.Errorf("%s: %s, want %s", tt.args, got.stdout, tt.want)
		}
	}
	file := filepath.Join(t.TempDir(), "dump.jsonl")
	if err := os.WriteFile(file, []byte(`{"topic":"org.example.dev.exam.old","msg":{"s":"a\u0000b"},"timestamp":1500000000,"msg_id":"2017-old"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := ask(75, "import", file); !strings.Contains(got.stderr, "another process") {
		t.Errorf("an import beside a bus: %s", got.stderr)
	}
	second, toldSecond, stopSecond := startServeLogged(t, t.TempDir(), "--archive", dsn)
	say(t, second, 1)
	if up := metrics(t, second, "fedmsg_archive_up"); up != "0" || !strings.Contains(toldSecond.String(), "another process writes to this archive") {
		t.Errorf("a second bus with the same archive: archive_up %s, and it says %s", up, toldSecond.String())
	}
	stopSecond()
	stop()

	if got := ask(0, "import", "--json", file); !strings.Contains(got.stdout, `"imported":1`) {
		t.Errorf("import: %s", got.stdout)
	}
	var about struct {
		Dir      string
		Messages int
	}
	if got := ask(0, "archive", "status", "--json", "--dir", dir); json.Unmarshal([]byte(got.stdout), &about) != nil || about.Messages != 31 ||
		about.Dir != fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres", server.Port) {
		t.Errorf("status: %s", got.stdout)
	}
	if got := ask(0, "archive", "redescribe"); !strings.Contains(got.stdout, "messages, 0 of them") {
		t.Errorf("redescribe: %s", got.stdout)
	}
	if got := ask(0, "archive", "rebuild", "--dir", dir); !strings.Contains(got.stdout, "31 messages") {
		t.Errorf("rebuild: %s", got.stdout)
	}
	if got := ask(73, "archive", "rebuild", "--dir", dir); !strings.Contains(got.stderr, "fedmsg_old") {
		t.Errorf("rebuild with an old one there: %s", got.stderr)
	}
	if got := ask(0, "archive", "prune", "--before", "2018-01-01"); !strings.Contains(got.stdout, "removed 2017-07") {
		t.Errorf("prune: %s", got.stdout)
	}
	if got := ask(64, "backup", "--dir", dir, filepath.Join(t.TempDir(), "bus.tar")); !strings.Contains(got.stderr, "pg_dump") {
		t.Errorf("backup: %s", got.stderr)
	}
	if got := ask(0, "archive", "verify"); !strings.Contains(got.stdout, "30 messages are well") {
		t.Errorf("verify: %s", got.stdout)
	}
	if got := fedmsgWith(t, new(fakeBus), "", nil, "history", "--archive", dsn+"?search_path=elsewhere"); got.status != 74 || !strings.Contains(got.stderr, "search_path=elsewhere: file does not exist") {
		t.Errorf("an archive that is not there: %+v", got)
	}
}
