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
	"strconv"
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

// metrics reads a metric of a bus, as a plain number; "" if there is none.
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
			if n, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
				return strconv.FormatFloat(n, 'f', -1, 64)
			}
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
