package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/client"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// archiveCase is one line of archive.jsonl.
type archiveCase struct {
	Name  string
	Input struct {
		Import string
		Text   *string
		Bytes  fedmsgtest.Text `json:"bytes_b64"`
	}
	Must struct {
		Exit        int
		Imported    *int
		AtLeast     int `json:"imported_at_least"`
		Duplicates  *int
		Conflicts   int
		BadLines    []int  `json:"bad_lines"`
		StderrHas   string `json:"stderr_has"`
		Reason      string
		MaxRSS      int    `json:"max_rss_mb"`
		SameBytes   bool   `json:"byte_identical"`
		SameID      bool   `json:"assigned_id_deterministic"`
		AsPublished string `json:"verify"`
	}
}

// An importLine is what fedmsg import --json prints.
type importLine struct {
	Imported, Duplicates, Conflicts, Bad int
	BadLines                             []int `json:"bad_lines"`
}

func archiveCases(t *testing.T, prefix string) map[string]archiveCase {
	cases := make(map[string]archiveCase)
	for _, c := range fedmsgtest.Rows[archiveCase](t, filepath.Join(fedmsgtest.BadInputDir(t), "archive.jsonl")) {
		if strings.HasPrefix(c.Name, prefix) {
			cases[c.Name] = c
		}
	}
	return cases
}

// write makes the file of a case, without having it in memory.
func (c archiveCase) write(t *testing.T) string {
	file := filepath.Join(t.TempDir(), c.Input.Import)
	if c.Input.Bytes != nil {
		data, err := base64.StdEncoding.DecodeString(string(c.Input.Bytes))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before, after, long := strings.Cut(*c.Input.Text, "{gen:64MiB}")
	fmt.Fprint(f, before)
	if long {
		for range 64 {
			if _, err := f.Write(bytes.Repeat([]byte("x"), 1<<20)); err != nil {
				t.Fatal(err)
			}
		}
	}
	fmt.Fprint(f, after)
	return file
}

// importFile runs fedmsg import --json.
func importFile(t *testing.T, archive, file string) (ran, importLine) {
	t.Helper()
	got := fedmsgWith(t, new(fakeBus), "", nil, "import", "--json", "--archive", archive, file)
	var line importLine
	if got.stdout != "" {
		if err := json.Unmarshal([]byte(got.stdout), &line); err != nil {
			t.Fatalf("%v: %s", err, got.stdout)
		}
	}
	return got, line
}

// TestBadInputsArchiveImport imports every hostile dump.
func TestBadInputsArchiveImport(t *testing.T) {
	cases := archiveCases(t, "import-")
	if len(cases) < 12 {
		t.Fatalf("%d cases, want 12", len(cases))
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			archive, file := filepath.Join(t.TempDir(), "archive"), c.write(t)
			if name == "import-twice" || name == "import-id-conflict" {
				if got, line := importFile(t, archive, cases["import-twice"].write(t)); got.status != 0 || line.Imported != 1 {
					t.Fatalf("the first time: %+v %+v", got, line)
				}
			}
			resident := residentMB(t)
			got, line := importFile(t, archive, file)
			if grown := residentMB(t) - resident; c.Must.MaxRSS > 0 && grown > c.Must.MaxRSS/2+raceOverheadMB {
				t.Errorf("memory grew by %d MiB", grown)
			}
			m := c.Must
			if got.status != m.Exit || !strings.Contains(got.stderr, m.StderrHas) || !strings.Contains(got.stderr, m.Reason) {
				t.Errorf("exit %d, want %d; stderr %.300q, want %q and %q", got.status, m.Exit, got.stderr, m.StderrHas, m.Reason)
			}
			if m.Imported != nil && line.Imported != *m.Imported || m.Duplicates != nil && line.Duplicates != *m.Duplicates || line.Conflicts != m.Conflicts || line.Imported < m.AtLeast {
				t.Errorf("%+v, want %+v", line, m)
			}
			if m.BadLines != nil && !slices.Equal(line.BadLines, m.BadLines) {
				t.Errorf("bad lines %v, want %v", line.BadLines, m.BadLines)
			}
			fedmsgtest.NoControls(t, got.stderr)
			if m.Exit == 0 || m.Conflicts > 0 {
				c.checkKept(t, archive, cases)
			}
		})
	}
}

// checkKept looks at the one message that is in the archive after a case.
func (c archiveCase) checkKept(t *testing.T, archive string, cases map[string]archiveCase) {
	t.Helper()
	got := fedmsgWith(t, new(fakeBus), "", nil, "history", "--json", "--archive", archive)
	var kept struct{ Message json.RawMessage }
	if err := json.Unmarshal([]byte(got.stdout), &kept); err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	want := *c.Input.Text
	switch {
	case c.Must.Conflicts > 0:
		want = *cases["import-twice"].Input.Text
	case c.Must.AsPublished != "":
		want = `{"i":1,"msg":{},"msg_id":"2017-00000000-0000-4000-8000-0000000000aa","timestamp":1500000000,"topic":"org.fedoraproject.prod.exam.free"}`
	case c.Must.SameID:
		const id = `"msg_id":"2012-`
		if !strings.Contains(string(kept.Message), id) {
			t.Errorf("it has no ID of its year: %s", kept.Message)
		}
		if again, line := importFile(t, archive, c.write(t)); again.status != 0 || line.Imported != 0 || line.Duplicates != 1 {
			t.Errorf("another ID the second time: %+v", line)
		}
		return
	case !c.Must.SameBytes:
		return
	}
	m, err := fedmsg.DecodeHistory([]byte(want))
	if err != nil {
		t.Fatal(err)
	}
	if string(kept.Message) != string(m.Compact()) {
		t.Errorf("kept %s, want %s", kept.Message, m.Compact())
	}
}

// metrics reads the metrics of a bus whose name begins so.
func metrics(t *testing.T, addrs map[string]string, name string) string {
	t.Helper()
	resp, err := http.Get("http://" + addrs["http"] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// say publishes messages, and returns the last place.
func say(t *testing.T, addrs map[string]string, count int) (last fedmsg.Seq) {
	t.Helper()
	b, err := client.Open(t.Context(), "http://"+addrs["http"])
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for i := range count {
		r, err := b.Publish(t.Context(), "exam", "free", map[string]any{"n": i, "text": strings.Repeat("words and more words ", 20)})
		if err != nil {
			t.Fatal(err)
		}
		last = r.Seq
	}
	return last
}

// archives waits until the archive of a bus holds the log up to a place.
func archives(t *testing.T, addrs map[string]string, last fedmsg.Seq, told *fedmsgtest.LogBook) {
	t.Helper()
	fedmsgtest.Eventually(t, 20*time.Second, "the archive holds the log; it says "+told.String(), func() bool {
		return metrics(t, addrs, "fedmsg_archive_last_sequence") == fmt.Sprint(last) && metrics(t, addrs, "fedmsg_archive_messages") == fmt.Sprint(last)
	})
}

// monthOf returns the only file of an archive.
func monthOf(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "archive", "*.db"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no month in %s: %v", dir, err)
	}
	return files[len(files)-1]
}

// change changes a file in place.
func change(t *testing.T, file string, do func([]byte)) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	do(data)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// filled makes a directory of a bus that has said something, and stopped well.
func filled(t *testing.T, count int) (dir string, last fedmsg.Seq) {
	t.Helper()
	dir = t.TempDir()
	addrs, told, stop := startServeLogged(t, dir)
	last = say(t, addrs, count)
	archives(t, addrs, last, told)
	stop()
	return dir, last
}

// TestBadInputsArchiveFiles starts a bus on an archive whose files are not what they
// should be: the bus goes on in every case, or says why not.
func TestBadInputsArchiveFiles(t *testing.T) {
	t.Run("sqlite-header-garbage", func(t *testing.T) {
		dir, _ := filled(t, 3)
		change(t, monthOf(t, dir), func(b []byte) { copy(b, "garbage garbage ") })
		addrs, told, _ := startServeLogged(t, dir)
		say(t, addrs, 2)
		if up := metrics(t, addrs, "fedmsg_archive_up"); up != "0" || !strings.Contains(told.String(), "not a database") {
			t.Errorf("archive_up %s, and the log says %s", up, told.String())
		}
	})
	t.Run("sqlite-newer-schema", func(t *testing.T) {
		dir, _ := filled(t, 3)
		change(t, monthOf(t, dir), func(b []byte) { b[60], b[61] = 0x7f, 0xff }) // user_version
		got := fedmsgWith(t, new(fakeBus), "", nil, "serve", "--dir", dir, "--http", "127.0.0.1:0", "--relay-inbound=", "--relay-outbound=", "--gateway=")
		if got.status != 78 || !strings.Contains(got.stderr, "newer") {
			t.Errorf("exit %d, want 78; %s", got.status, got.stderr)
		}
	})
	t.Run("sqlite-readonly-file", func(t *testing.T) {
		dir, _ := filled(t, 3)
		if err := os.Chmod(monthOf(t, dir), 0o444); err != nil {
			t.Fatal(err)
		}
		addrs, _, _ := startServeLogged(t, dir)
		say(t, addrs, 2) // root may write it all the same; the bus goes on in any case
	})
	t.Run("sqlite-page-bit-flip", func(t *testing.T) {
		dir, _ := filled(t, 60)
		change(t, monthOf(t, dir), func(b []byte) { b[len(b)-3] ^= 1 }) // in the last cell of a page
		got := fedmsgWith(t, new(fakeBus), "", nil, "archive", "verify", "--dir", dir)
		flipped := got.status
		for page := 1; flipped == 0 && page < 12; page++ { // not every bit of a page is in use
			change(t, monthOf(t, dir), func(b []byte) { at := page * 16384; b[min(at+16384, len(b))-9] ^= 1 })
			got = fedmsgWith(t, new(fakeBus), "", nil, "archive", "verify", "--dir", dir)
			flipped = got.status
		}
		if flipped == 0 {
			t.Errorf("nothing is found: %+v", got)
		}
	})
	for _, name := range []string{"sqlite-wal-truncated", "sqlite-wal-deleted"} {
		t.Run(name, func(t *testing.T) {
			from, crashed := t.TempDir(), t.TempDir()
			addrs, told, _ := startServeLogged(t, from)
			last := say(t, addrs, 40)
			archives(t, addrs, last, told)
			time.Sleep(1500 * time.Millisecond)                        // until the cursor is saved
			if err := os.CopyFS(crashed, os.DirFS(from)); err != nil { // as after kill -9
				t.Fatal(err)
			}
			wal := monthOf(t, crashed) + "-wal"
			info, err := os.Stat(wal)
			if err != nil {
				t.Fatal(err)
			}
			if name == "sqlite-wal-deleted" {
				err = os.Remove(wal)
			} else {
				err = os.Truncate(wal, info.Size()/2)
			}
			if err != nil {
				t.Fatal(err)
			}
			addrs, told, stop := startServeLogged(t, crashed)
			last = say(t, addrs, 1)
			archives(t, addrs, last, told)
			stop()
			if got := fedmsgWith(t, new(fakeBus), "", nil, "archive", "verify", "--dir", crashed); got.status != 0 {
				t.Errorf("verify: %+v", got)
			}
		})
	}
	t.Run("archive-deleted-log-kept", func(t *testing.T) {
		dir, last := filled(t, 30)
		if err := os.RemoveAll(filepath.Join(dir, "archive")); err != nil {
			t.Fatal(err)
		}
		addrs, told, _ := startServeLogged(t, dir)
		archives(t, addrs, last, told)
		if !strings.Contains(told.String(), "filling it again") {
			t.Errorf("it does not tell: %s", told.String())
		}
	})
	t.Run("log-deleted-archive-kept", func(t *testing.T) {
		dir, before := filled(t, 5)
		for _, file := range []string{"log.db", "log.db-wal", "log.db-shm"} {
			_ = os.Remove(filepath.Join(dir, file))
		}
		addrs, told, _ := startServeLogged(t, dir)
		after := say(t, addrs, 2)
		fedmsgtest.Eventually(t, 20*time.Second, "the new log is archived, too: "+told.String(), func() bool {
			return metrics(t, addrs, "fedmsg_archive_messages") == fmt.Sprint(before+after)
		})
	})
	t.Run("log-shorter-than-archive", func(t *testing.T) {
		dir, _ := filled(t, 5)
		shorter, err := os.ReadFile(filepath.Join(dir, "log.db"))
		if err != nil {
			t.Fatal(err)
		}
		addrs, told, stop := startServeLogged(t, dir)
		archives(t, addrs, say(t, addrs, 5), told)
		stop()
		if err := os.WriteFile(filepath.Join(dir, "log.db"), shorter, 0o600); err != nil {
			t.Fatal(err)
		}
		_, told, _ = startServeLogged(t, dir)
		if !strings.Contains(told.String(), "the log is behind the archive") {
			t.Errorf("no alarm: %s", told.String())
		}
	})
}

// TestBadInputsArchiveBackup copies a bus that is being written to, and brings the
// copy back.
func TestBadInputsArchiveBackup(t *testing.T) {
	dir, copied := t.TempDir(), filepath.Join(t.TempDir(), "bus.tar")
	addrs, _, stop := startServeLogged(t, dir)
	say(t, addrs, 50)
	writing, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		b, err := client.Open(t.Context(), "http://"+addrs["http"])
		if err != nil {
			t.Error(err)
			return
		}
		defer b.Close()
		for {
			select {
			case <-writing:
				return
			case <-time.After(5 * time.Millisecond):
			}
			if _, err := b.Publish(t.Context(), "exam", "free", map[string]string{"while": "copying"}); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	time.Sleep(300 * time.Millisecond)
	if got := fedmsgWith(t, new(fakeBus), "", nil, "backup", "--dir", dir, copied); got.status != 0 {
		t.Errorf("backup: %+v", got)
	}
	close(writing)
	<-done
	if got := fedmsgWith(t, new(fakeBus), "", nil, "restore", "--dir", dir, copied); got.status != 75 {
		t.Errorf("restore-over-running: %+v, want exit 75", got)
	}
	stop()
	if got := fedmsgWith(t, new(fakeBus), "", nil, "restore", "--dir", dir, copied); got.status == 0 {
		t.Error("restore overwrote what is there")
	}

	fresh := filepath.Join(t.TempDir(), "restored")
	if got := fedmsgWith(t, new(fakeBus), "", nil, "restore", "--dir", fresh, copied); got.status != 0 {
		t.Fatalf("restore: %+v", got)
	}
	addrs, told, stop := startServeLogged(t, fresh)
	archives(t, addrs, say(t, addrs, 1), told)
	stop()
	if got := fedmsgWith(t, new(fakeBus), "", nil, "archive", "verify", "--dir", fresh); got.status != 0 {
		t.Errorf("verify: %+v", got)
	}
	if err := os.WriteFile(copied, []byte("no tar"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := fedmsgWith(t, new(fakeBus), "", nil, "restore", "--dir", filepath.Join(t.TempDir(), "x"), copied); got.status != 65 {
		t.Errorf("a file that is no backup: %+v, want exit 65", got)
	}
}
