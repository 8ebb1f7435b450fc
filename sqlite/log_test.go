package sqlite_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// open opens a log that is closed at the end of the test. Publishers wait for
// long: a test machine's disk may be busy with other tests.
func open(t testing.TB, cfg sqlite.Config) *sqlite.Log {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	cfg.AppendTimeout = cmp.Or(cfg.AppendTimeout, time.Minute)
	log, err := sqlite.Open(t.Context(), cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatalf("Open(%q): %v", cfg.Dir, err)
	}
	t.Cleanup(func() { shut(t, log) })
	return log
}

func shut(t testing.TB, log *sqlite.Log) {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// put appends messages from, from+1, ... to-1 in one batch, and returns the last
// receipt.
func put(t testing.TB, log *sqlite.Log, from, to int) fedmsg.Receipt {
	t.Helper()
	var batch []fedmsg.Entry
	for i := from; i < to; i++ {
		batch = append(batch, fedmsg.Entry{Verified: fedmsg.Unverified, Message: fedmsgtest.Message(i)})
	}
	receipts := log.Append(t.Context(), batch...)
	for i, r := range receipts {
		if r.Err != nil {
			t.Fatalf("Append of message %d: %v", from+i, r.Err)
		}
	}
	return receipts[len(receipts)-1]
}

func stateOf(t testing.TB, log *sqlite.Log) fedmsg.LogState {
	t.Helper()
	s, err := log.State(t.Context())
	if err != nil {
		t.Fatalf("State: %v", err)
	}
	return s
}

// readAll returns all entries after a place.
func readAll(t testing.TB, log *sqlite.Log, after fedmsg.Seq) []fedmsg.Entry {
	t.Helper()
	var all []fedmsg.Entry
	for {
		page, next, err := log.Page(t.Context(), after, 1000)
		if err != nil {
			t.Fatalf("Page(%d): %v", after, err)
		}
		if next == after {
			return all
		}
		all, after = append(all, page...), next
	}
}

func TestLog(t *testing.T) {
	fedmsgtest.TestLog(t, func(t *testing.T) fedmsg.Log { return open(t, sqlite.Config{}) })
}

func TestCursors(t *testing.T) {
	fedmsgtest.TestCursors(t, func(t *testing.T) fedmsg.Cursors { return open(t, sqlite.Config{}) })
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		cfg  sqlite.Config
		want string // all of these, by word
	}{
		{sqlite.Config{}, "dir"},
		{sqlite.Config{Dir: "x", RetentionAge: -1, RetentionBytes: -1}, ""},
		{sqlite.Config{Dir: "x", RetentionAge: -2, RetentionBytes: 5, MinFree: -1, AppendTimeout: -1}, "retention-age retention-bytes min-free append-timeout"},
		{sqlite.Config{Dir: "x", RetentionAge: time.Millisecond}, "retention-age"},
	} {
		err := tt.cfg.Validate()
		if (err == nil) != (tt.want == "") {
			t.Errorf("%+v.Validate() = %v, want %q", tt.cfg, err, tt.want)
		}
		for word := range strings.FieldsSeq(tt.want) {
			if err != nil && !strings.Contains(err.Error(), word) {
				t.Errorf("%+v.Validate() = %v, want %q in it", tt.cfg, err, word)
			}
		}
	}
}

// What was stored is there after closing and opening: entries, IDs, cursors and
// the epoch.
func TestReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "log") // neither is there yet
	log := open(t, sqlite.Config{Dir: dir})
	put(t, log, 0, 100)
	if err := log.Save(t.Context(), "irc", 42); err != nil {
		t.Fatal(err)
	}
	before := stateOf(t, log)
	shut(t, log)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v; want mode 0700", info.Mode(), err)
	}
	if r := log.Append(t.Context(), fedmsg.Entry{Message: fedmsgtest.Message(1000)})[0]; !errors.Is(r.Err, fedmsg.ErrUnavailable) {
		t.Errorf("Append to a closed log = %+v, want ErrUnavailable", r)
	}
	if _, _, err := log.Page(t.Context(), 0, 1); !errors.Is(err, fedmsg.ErrUnavailable) {
		t.Errorf("Page of a closed log: %v, want ErrUnavailable", err)
	}

	log = open(t, sqlite.Config{Dir: dir})
	if s := stateOf(t, log); s.Epoch != before.Epoch || s.First != 1 || s.Last != 100 {
		t.Errorf("State = %+v, want epoch %s, 1 to 100", s, before.Epoch)
	}
	if at, err := log.Load(t.Context(), "irc"); at != 42 || err != nil {
		t.Errorf("Load = %d, %v, want 42", at, err)
	}
	if r := put(t, log, 7, 8); r.Seq != 8 || !r.Duplicate {
		t.Errorf("Append of message 7 again = %+v, want place 8", r)
	}
	if r := put(t, log, 100, 101); r.Seq != 101 || r.Duplicate {
		t.Errorf("Append of message 100 = %+v, want place 101", r)
	}
}

func TestNotes(t *testing.T) {
	fedmsgtest.TestNotes(t, func(t *testing.T) fedmsg.Notes { return open(t, sqlite.Config{}) })
}

// A note that was answered is there when the log is opened again.
func TestNotesAreKept(t *testing.T) {
	dir := t.TempDir()
	log := open(t, sqlite.Config{Dir: dir})
	if err := log.Note(t.Context(), map[string][]byte{"reader/a": []byte("1"), "reader/b": []byte("2")}); err != nil {
		t.Fatal(err)
	}
	shut(t, log)
	if got, err := open(t, sqlite.Config{Dir: dir}).Notes(t.Context(), "reader/"); len(got) != 2 || string(got["reader/b"]) != "2" || err != nil {
		t.Errorf("Notes = %q, %v, want both", got, err)
	}
}

func TestSecondProcessIsLockedOut(t *testing.T) {
	dir := t.TempDir()
	open(t, sqlite.Config{Dir: dir})
	_, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir}, nil)
	if !errors.Is(err, sqlite.ErrLocked) || !strings.Contains(err.Error(), "another process") || fedmsg.Hint(err) == "" {
		t.Errorf("Open of an open log: %v (hint %q), want ErrLocked, \"another process\" and a hint", err, fedmsg.Hint(err))
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	dir := t.TempDir()
	log := open(t, sqlite.Config{Dir: dir})
	put(t, log, 0, 3)
	shut(t, log)
	patch(t, filepath.Join(dir, "log.db"), 60, []byte{0, 0, 0, 99}) // user_version, by the file format
	_, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir}, nil)
	if !errors.Is(err, sqlite.ErrNewerSchema) || !strings.Contains(err.Error(), "newer") || fedmsg.Hint(err) == "" {
		t.Errorf("Open: %v (hint %q), want ErrNewerSchema, \"newer\" and a hint", err, fedmsg.Hint(err))
	}
	patch(t, filepath.Join(dir, "log.db"), 60, []byte{0, 0, 0, 1})
	if s := stateOf(t, open(t, sqlite.Config{Dir: dir})); s.Last != 3 {
		t.Errorf("after the refusal the log ends at %d, want 3", s.Last)
	}
}

func TestForeignFileIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(file string){
		"text": func(file string) {
			if err := os.WriteFile(file, []byte(strings.Repeat("This is no database.\n", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"another application": func(file string) { patch(t, file, 68, []byte("GIMP")) },
		"not a WAL database": func(file string) {
			patch(t, file, 68, []byte{0, 0, 0, 0})
			patch(t, file, 18, []byte{1, 1})
		},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "log.db")
		shut(t, open(t, sqlite.Config{Dir: dir}))
		spoil(file)
		before, _ := os.ReadFile(file)
		if _, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir}, nil); err == nil {
			t.Errorf("%s: Open took it", name)
		}
		if after, _ := os.ReadFile(file); !bytes.Equal(before, after) {
			t.Errorf("%s: Open changed it", name)
		}
	}
}

// patch overwrites bytes of a file.
func patch(t testing.TB, file string, at int64, with []byte) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(with, at); err != nil {
		t.Fatal(err)
	}
}

// copyLog copies the files of a log as they are, open or not.
func copyLog(t testing.TB, from string) (to string) {
	t.Helper()
	to = t.TempDir()
	for _, name := range []string{"log.db", "log.db-wal"} {
		in, err := os.Open(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		out, err := os.Create(filepath.Join(to, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(out, in); err != nil {
			t.Fatal(err)
		}
		in.Close()
		out.Close()
	}
	return to
}

// A bit that flips is found: in the journal when the log is opened, in an entry
// when it is read. A journal that was cut off loses its last transaction, and no
// more.
func TestDamageIsFound(t *testing.T) {
	dir := t.TempDir()
	log := open(t, sqlite.Config{Dir: dir})
	for i := range 40 {
		put(t, log, i, i+1)
	}
	crashed := copyLog(t, dir)
	journal := filepath.Join(crashed, "log.db-wal")
	text, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	write := func(b []byte) {
		if err := os.WriteFile(journal, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	flipped := bytes.Clone(text)
	flipped[len(flipped)/2] ^= 1
	write(flipped)
	if _, err := sqlite.Open(t.Context(), sqlite.Config{Dir: crashed}, nil); !errors.Is(err, sqlite.ErrDamaged) || fedmsg.Hint(err) == "" {
		t.Errorf("Open with a bit flipped in the journal: %v (hint %q), want ErrDamaged and a hint", err, fedmsg.Hint(err))
	}
	torn := bytes.Clone(text)
	torn[len(torn)-100] ^= 1
	write(torn)
	whole := open(t, sqlite.Config{Dir: crashed})
	if s := stateOf(t, whole); s.Last != 39 {
		t.Errorf("with the last transaction torn the log ends at %d, want 39", s.Last)
	}
	shut(t, whole)

	file := filepath.Join(crashed, "log.db")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, []byte("Rebuild 7"))
	if at < 0 {
		t.Fatal("message 7 is not in the file")
	}
	patch(t, file, int64(at), []byte("R"+"\x65"+"built"))
	damaged := open(t, sqlite.Config{Dir: crashed})
	if _, _, err := damaged.Page(t.Context(), 0, 100); !errors.Is(err, sqlite.ErrDamaged) || !strings.Contains(err.Error(), "entry 8") {
		t.Errorf("Page over a damaged entry: %v, want ErrDamaged and entry 8", err)
	}
	if page, _, err := damaged.Page(t.Context(), 0, 7); len(page) != 7 || err != nil {
		t.Errorf("Page before a damaged entry = %d entries, %v", len(page), err)
	}
	if _, err := damaged.Find(t.Context(), fedmsgtest.ID(7)); !errors.Is(err, sqlite.ErrDamaged) {
		t.Errorf("Find of a damaged entry: %v, want ErrDamaged", err)
	}
}

// The IDs of more than two runs of places are known, before and after opening
// anew, whether they are in memory or in the file.
func TestManyIDs(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 150,000 messages")
	}
	dir := t.TempDir()
	log := open(t, sqlite.Config{Dir: dir})
	total, batch := 150_000, 2500 // two full runs, and some
	if raceDetector {
		total = 67_500
	}
	id := func(i int) string { return fmt.Sprintf("2026-%d", i) }
	message := func(i int) fedmsg.Entry {
		m, err := fedmsg.Decode(fmt.Appendf(nil, `{"topic":"a","msg":{},"msg_id":%q,"timestamp":1}`, id(i)))
		if err != nil {
			t.Fatal(err)
		}
		return fedmsg.Entry{Message: m}
	}
	for i := 0; i < total; i += batch {
		var entries []fedmsg.Entry
		for j := range batch {
			entries = append(entries, message(i+j))
		}
		if r := log.Append(t.Context(), entries...)[batch-1]; r.Err != nil || r.Seq != fedmsg.Seq(i+batch) {
			t.Fatalf("Append = %+v, want place %d", r, i+batch)
		}
	}
	check := func(log *sqlite.Log) {
		t.Helper()
		for _, i := range []int{0, 1, 32_768, 65_534, 65_535, 65_536, 100_000, 131_070, 131_071, 131_072, total - 1} {
			if i >= total {
				continue
			}
			if e, err := log.Find(t.Context(), id(i)); err != nil || e.Seq != fedmsg.Seq(i+1) {
				t.Errorf("Find(%s) = %d, %v; want %d", id(i), e.Seq, err, i+1)
			}
			if r := log.Append(t.Context(), message(i))[0]; r.Err != nil || !r.Duplicate || r.Seq != fedmsg.Seq(i+1) {
				t.Errorf("Append of message %d again = %+v, want place %d", i, r, i+1)
			}
		}
		for i := range 2000 {
			if e, err := log.Find(t.Context(), id(total+i)); !errors.Is(err, fedmsg.ErrNotFound) {
				t.Fatalf("Find(%s) = %d, %v; want ErrNotFound", id(total+i), e.Seq, err)
			}
		}
	}
	check(log)
	shut(t, log)
	start := time.Now()
	log = open(t, sqlite.Config{Dir: dir})
	t.Logf("opened %d entries in %s", total, time.Since(start))
	check(log)
}
