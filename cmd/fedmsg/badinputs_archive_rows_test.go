package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/client"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/sqlite"
	"github.com/fedora-infra/fedmsg-go/sqlite/disk"
)

// An archiveRow is a line of archive.jsonl that is a state of disk, clock or log. Each
// field of what must be has to be looked at.
type archiveRow struct {
	*testing.T
	Must map[string]any
	seen map[string]bool
}

// must returns what the row wants under a key, as text.
func (r archiveRow) must(key string) string {
	r.Helper()
	value, ok := r.Must[key]
	if !ok {
		r.Errorf("the row does not say %s", key)
	}
	r.seen[key] = true
	return fmt.Sprint(value)
}

// is checks what came of it.
func (r archiveRow) is(key string, want any, ok bool, format string, args ...any) {
	r.Helper()
	if got := r.must(key); got != fmt.Sprint(want) {
		r.Errorf("the row says %s %s, and this test looks for %v", key, got, want)
	}
	if !ok {
		r.Errorf("%s %v: "+format, append([]any{key, want}, args...)...)
	}
}

// archiveStates are the rows that are run here; those of PostgreSQL and of imports are
// in files of their own.
var archiveStates = map[string]func(archiveRow){
	"sqlite-header-garbage": headerGarbage, "sqlite-page-bit-flip": pageBitFlip, "sqlite-wal-truncated": journalLost, "sqlite-wal-deleted": journalLost,
	"sqlite-newer-schema": newerSchema, "sqlite-readonly-file": readOnlyFile, "sqlite-disk-full": archiveDiskFull, "sqlite-on-nfs": archiveOnNFS,
	"log-shorter-than-archive": logShorter, "log-deleted-archive-kept": logDeleted, "archive-deleted-log-kept": archiveDeleted,
	"clock-back-1h": clockBack, "clock-forward-10y": clockForward, "retention-boundary": retentionBoundary,
	"backup-while-writing": backupWhileWriting, "restore-over-running": restoreOverRunning,
}

// TestBadInputsArchive runs every row of the file that is no import and not about
// PostgreSQL, and fails for one that it does not know.
func TestBadInputsArchive(t *testing.T) {
	type line struct {
		Name string
		Must map[string]any
	}
	known := 0
	for _, row := range fedmsgtest.Rows[line](t, filepath.Join(fedmsgtest.BadInputDir(t), "archive.jsonl")) {
		if strings.HasPrefix(row.Name, "import-") || strings.HasPrefix(row.Name, "pg-") {
			continue
		}
		check, ok := archiveStates[row.Name]
		if ok {
			known++
		}
		t.Run(row.Name, func(t *testing.T) {
			if !ok {
				t.Fatal("there is no case for this row")
			}
			r := archiveRow{t, row.Must, make(map[string]bool)}
			check(r)
			for key := range row.Must {
				if !r.seen[key] && !t.Skipped() {
					t.Errorf("nothing looks at %s", key)
				}
			}
		})
	}
	if known != len(archiveStates) {
		t.Errorf("%d rows are in the file, and %d cases are here", known, len(archiveStates))
	}
}

// fileOfLog is where the log of a bus is.
func fileOfLog(dir string) string { return filepath.Join(dir, "log.db") }

// dirOfArchive is where its archive is.
func dirOfArchive(dir string) string { return filepath.Join(dir, "archive") }

// kept is an entry, as far as log and archive must agree.
type kept struct {
	Seq fedmsg.Seq
	ID  string
}

// inLog lists what the log of a stopped bus holds.
func (r archiveRow) inLog(dir string) (all []kept) {
	r.Helper()
	log, err := sqlite.Open(r.Context(), sqlite.Config{Dir: dir, RetentionAge: -1, RetentionBytes: -1}, nil)
	if err != nil {
		r.Fatal(err)
	}
	defer log.Close()
	state, err := log.State(r.Context())
	for at := state.First - 1; err == nil && at < state.Last; {
		var page []fedmsg.Entry
		page, at, err = log.Page(r.Context(), at, 1000)
		for _, e := range page {
			all = append(all, kept{e.Seq, e.Message.ID})
		}
	}
	if err != nil {
		r.Fatal(err)
	}
	return all
}

// inArchive lists what its archive holds by places, and how many messages in all; and
// verifies it.
func (r archiveRow) inArchive(archive string) (all []kept, messages int64) {
	r.Helper()
	a, err := sqlite.OpenArchive(r.Context(), sqlite.ArchiveConfig{Dir: archive}, nil)
	if err != nil {
		r.Fatal(err)
	}
	defer a.Close()
	report, err := a.Verify(r.Context())
	if err != nil || len(report.Faults) > 0 {
		r.Errorf("verify: %v, %q", err, report.Faults)
	}
	for at := fedmsg.Seq(0); at < a.Last(); {
		page, next, err := a.Page(r.Context(), at, 1000)
		if err != nil {
			r.Fatal(err)
		}
		for _, e := range page {
			all = append(all, kept{e.Seq, e.Message.ID})
		}
		at = next
	}
	return all, report.Messages
}

// equal checks that the archive of a stopped bus has what its log has, once.
func (r archiveRow) equal(dir string) bool {
	r.Helper()
	log := r.inLog(dir)
	archive, messages := r.inArchive(dirOfArchive(dir))
	if !slices.Equal(log, archive) || messages != int64(len(log)) {
		r.Errorf("the log has %d entries, the archive %d with places and %d in all", len(log), len(archive), messages)
		return false
	}
	return true
}

// goesOn publishes something, and reports whether the bus took it.
func (r archiveRow) goesOn(addrs map[string]string) {
	r.Helper()
	r.is("bus_goes_on", true, say(r.T, addrs, 2) > 0, "")
}

// without checks that the bus has no archive.
func (r archiveRow) without(addrs map[string]string) {
	r.Helper()
	resp, err := http.Get("http://" + addrs["http"] + "/api/v1/messages?q=free")
	if err != nil {
		r.Fatal(err)
	}
	resp.Body.Close()
	up := metrics(r.T, addrs, "fedmsg_archive_up")
	r.is("outcome", "archive_unavailable", up == "0" && resp.StatusCode == 503, "archive_up %s, a search gets %s", up, resp.Status)
}

func headerGarbage(r archiveRow) {
	dir, _ := filled(r.T, 3)
	change(r.T, monthOf(r.T, dir), func(b []byte) { copy(b, "garbage garbage ") })
	addrs, told, _ := startServeLogged(r.T, dir)
	r.goesOn(addrs)
	r.without(addrs)
	if has := r.must("log_has"); !strings.Contains(told.String(), has) {
		r.Errorf("the log has no %q: %s", has, told)
	}
	resp, err := http.Get("http://" + addrs["http"] + "/readyz")
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	var ready struct{ Status string }
	err = json.NewDecoder(resp.Body).Decode(&ready)
	r.is("health", "degraded", err == nil && resp.StatusCode == 200 && ready.Status == "degraded", "%s %v %v", resp.Status, ready, err)
}

func pageBitFlip(r archiveRow) {
	dir, _ := filled(r.T, 60)
	file, got := monthOf(r.T, dir), ran{}
	for page := 1; got.status == 0 && page < 12; page++ { // not every bit of a page is in use
		change(r.T, file, func(b []byte) { at := page * 16384; b[min(at+16384, len(b))-9] ^= 1 })
		got = fedmsgWith(r.T, new(fakeBus), "", nil, "archive", "verify", "--dir", dir)
	}
	r.is("outcome", "detected", got.status == 65, "%+v", got)
	r.is("by", "[doctor quick_check]", strings.Contains(got.stdout, strings.TrimSuffix(filepath.Base(file), ".db")), "it does not tell the month: %+v", got)
	made := fedmsgWith(r.T, new(fakeBus), "", nil, "archive", "rebuild", "--dir", dir, "--from-log")
	r.is("repair", "rebuild from the log or a backup", made.status == 0 && r.equal(dir), "%+v", made)
}

// journalLost copies a bus while it runs, as kill -9 leaves it, and takes of the journal of
// its archive the half or all.
func journalLost(r archiveRow) {
	from, crashed := r.TempDir(), r.TempDir()
	addrs, told, _ := startServeLogged(r.T, from)
	last := say(r.T, addrs, 40)
	archives(r.T, addrs, last, told)
	fedmsgtest.Eventually(r.T, 20*time.Second, "the cursor is saved", func() bool {
		if err := os.RemoveAll(crashed); err != nil {
			r.Fatal(err)
		}
		if err := os.CopyFS(crashed, os.DirFS(from)); err != nil {
			return false // a file came or went meanwhile
		}
		log, err := sqlite.Open(r.Context(), sqlite.Config{Dir: crashed}, nil)
		if err != nil {
			return false
		}
		at, err := log.Load(r.Context(), archivePump)
		return log.Close() == nil && err == nil && at == last
	})
	wal := monthOf(r.T, crashed) + "-wal"
	info, err := os.Stat(wal)
	if err != nil {
		r.Fatal(err)
	}
	if _, truncated := r.Must["lost_only"]; truncated {
		err = os.Truncate(wal, info.Size()/2)
	} else {
		err = os.Remove(wal)
	}
	if err != nil {
		r.Fatal(err)
	}
	addrs, told, stop := startServeLogged(r.T, crashed)
	r.is("outcome", "opens", metrics(r.T, addrs, "fedmsg_archive_up") == "1", "%s", told)
	archives(r.T, addrs, say(r.T, addrs, 1), told)
	stop()
	same := r.equal(crashed)
	if _, truncated := r.Must["lost_only"]; truncated {
		r.is("lost_only", "rows not yet marked as archived; refilled from the log", same, "")
	} else {
		r.is("refilled_from_log", true, same && strings.Contains(told.String(), "filling it again"), "%s", told)
	}
}

func newerSchema(r archiveRow) {
	dir, _ := filled(r.T, 3)
	file := monthOf(r.T, dir)
	change(r.T, file, func(b []byte) { b[60], b[61] = 0x7f, 0xff }) // user_version
	before, err := os.ReadFile(file)
	if err != nil {
		r.Fatal(err)
	}
	got := fedmsgWith(r.T, new(fakeBus), "", nil, "serve", "--dir", dir, "--http", "127.0.0.1:0", "--relay-inbound=", "--relay-outbound=", "--gateway=")
	after, err := os.ReadFile(file)
	r.is("outcome", "refuses", err == nil && string(before) == string(after), "the file was changed: %v", err)
	r.is("exit", 78, got.status == 78, "exit %d", got.status)
	if has := r.must("log_has"); !strings.Contains(got.stderr, has) {
		r.Errorf("it does not say %q: %s", has, got.stderr)
	}
}

// asRoot runs a program that only root may, and skips the test if it fails.
func (r archiveRow) asRoot(name string, args ...string) {
	r.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err == nil {
		return
	}
	if os.Getenv("FEDMSG_REQUIRE_PEERS") == "1" {
		r.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	r.Skipf("needs to mount: %s %q: %v: %s", name, args, err, out)
}

func readOnlyFile(r archiveRow) {
	dir, _ := filled(r.T, 3)
	file := monthOf(r.T, dir)
	if err := os.Chmod(file, 0o444); err != nil {
		r.Fatal(err)
	}
	if os.Getuid() == 0 { // who may write all the same, unless it is a mount of its own
		r.asRoot("mount", "--bind", file, file)
		r.Cleanup(func() { r.asRoot("umount", file) })
		r.asRoot("mount", "-o", "remount,ro,bind", file)
	}
	addrs, _, stop := startServeLogged(r.T, dir)
	r.goesOn(addrs)
	r.without(addrs)
	stop()
}

func archiveDiskFull(r archiveRow) {
	if os.Getuid() != 0 {
		r.asRoot("mount", "-t", "tmpfs", "tmpfs", r.TempDir())
	}
	small, dir := r.TempDir(), r.TempDir()
	r.asRoot("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", small)
	r.Cleanup(func() { r.asRoot("umount", small) })
	ballast := filepath.Join(small, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 23<<20), 0o600); err != nil {
		r.Fatal(err)
	}
	addrs, told, stop := startServeLogged(r.T, dir, "--archive", filepath.Join(small, "archive"))
	last := fedmsg.Seq(0)
	fedmsgtest.Eventually(r.T, 30*time.Second, "the archive takes nothing more", func() bool {
		last = say(r.T, addrs, 50)
		return strings.Contains(told.String(), "delivery failed") || strings.Contains(told.String(), "cannot be opened")
	})
	r.goesOn(addrs)
	last += 2
	lag := metrics(r.T, addrs, `fedmsg_consumer_lag_messages{consumer="archive"}`)
	r.is("outcome", "archive_paused", lag != "0" && lag != "", "lag %q; %s", lag, told)
	if err := os.Remove(ballast); err != nil {
		r.Fatal(err)
	}
	archived := func() string { return metrics(r.T, addrs, "fedmsg_archive_messages") }
	fedmsgtest.Eventually(r.T, 90*time.Second, "the archive catches up", func() bool { return archived() == fmt.Sprint(last) })
	r.is("catches_up", true, true, "")
	stop()
	log := r.inLog(dir)
	archive, messages := r.inArchive(filepath.Join(small, "archive"))
	r.is("acked_lost", 0, slices.Equal(log, archive) && messages == int64(last) && len(log) == int(last), "log %d, archive %d of %d, acknowledged %d", len(log), len(archive), messages, last)
}

func archiveOnNFS(r archiveRow) {
	real := disk.Magic
	r.Cleanup(func() { disk.Magic = real })
	disk.Magic = func(string) (uint32, error) { return 0x6969, nil } // NFS_SUPER_MAGIC
	dir := r.TempDir()
	addrs, told, stop := startServeLogged(r.T, dir)
	archives(r.T, addrs, say(r.T, addrs, 1), told)
	stop()
	r.is("outcome", "warning", strings.Contains(told.String(), "level=WARN") && strings.Contains(told.String(), "NFS"), "%s", told)
	got := fedmsgWith(r.T, new(fakeBus), "", nil, "archive", "status", "--dir", dir) // which is the doctor of an archive
	r.is("doctor", true, got.status == 0 && strings.Contains(got.stderr, "NFS"), "%+v", got)
}

// replays reads the bus from a place on until it has so many entries.
func (r archiveRow) replays(addrs map[string]string, after fedmsg.Seq, count int) (got []kept) {
	r.Helper()
	b, err := client.Open(r.Context(), "http://"+addrs["http"])
	if err != nil {
		r.Fatal(err)
	}
	defer b.Close()
	for e, err := range b.Tail(r.Context(), client.TailConfig{After: &after}) {
		if err != nil {
			r.Fatal(err)
		}
		if got = append(got, kept{e.Seq, e.Message.ID}); len(got) == count {
			return got
		}
	}
	return got
}

// resumed checks that a log that lost entries goes on after the last of those that it gave,
// and that all of before can be read, by a stream and in pages. It returns what the bus
// told.
func (r archiveRow) resumed(dir string, before []kept) (told string, ok bool) {
	r.Helper()
	addrs, book, stop := startServeLogged(r.T, dir)
	defer stop()
	ok = true
	old := before[len(before)-1].Seq
	last := say(r.T, addrs, 3)
	if last <= old+3 {
		r.Errorf("new places up to %d, and %d was given already", last, old)
		ok = false
	}
	got := r.replays(addrs, before[0].Seq, len(before)-1+3)
	if !slices.Equal(got[:len(before)-1], before[1:]) || got[len(got)-1].Seq != last {
		r.Errorf("a stream gives %v, want %v and three up to %d", got, before[1:], last)
		ok = false
	}
	var paged []kept
	for after, more := before[0].Seq, true; more; {
		resp, err := http.Get(fmt.Sprintf("http://%s/api/v1/messages?after=%d&limit=2", addrs["http"], after))
		if err != nil {
			r.Fatal(err)
		}
		var page struct {
			Messages []struct {
				Seq     fedmsg.Seq
				Message struct {
					ID string `json:"msg_id"`
				}
			}
			Next fedmsg.Seq
		}
		err = json.NewDecoder(resp.Body).Decode(&page)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 {
			r.Fatalf("after %d: %s, %v", after, resp.Status, err)
		}
		for _, m := range page.Messages {
			paged = append(paged, kept{m.Seq, m.Message.ID})
		}
		more, after = page.Next != after, page.Next
	}
	if !slices.Equal(paged, got) {
		r.Errorf("pages give %v, the stream %v", paged, got)
		ok = false
	}
	fedmsgtest.Eventually(r.T, 20*time.Second, "the archive goes on", func() bool { return metrics(r.T, addrs, "fedmsg_archive_last_sequence") == fmt.Sprint(last) })
	if gaps := metrics(r.T, addrs, `fedmsg_consumer_gaps_total{consumer="archive"}`); gaps != "0" {
		r.Errorf("the archive has %s gaps", gaps)
	}
	return book.String(), ok
}

func logShorter(r archiveRow) {
	dir, _ := filled(r.T, 5)
	shorter, err := os.ReadFile(fileOfLog(dir))
	if err != nil {
		r.Fatal(err)
	}
	addrs, told, stop := startServeLogged(r.T, dir)
	archives(r.T, addrs, say(r.T, addrs, 5), told)
	stop()
	before := r.inLog(dir)
	if err := os.WriteFile(fileOfLog(dir), shorter, 0o600); err != nil {
		r.Fatal(err)
	}
	// While the archive is away nobody knows, and places are given again: what came then is
	// not lost.
	addrs, stop = startServe(r.T, dir, "--no-archive")
	say(r.T, addrs, 2)
	stop()
	meanwhile := r.inLog(dir)[5:]
	said, ok := r.resumed(dir, before)
	has := r.must("log_has")
	r.is("outcome", "alarm", strings.Contains(said, has), "%q is not in %s", has, said)
	r.is("seq_never_reused", true, ok, "")
	a, err := sqlite.OpenArchive(r.Context(), sqlite.ArchiveConfig{Dir: dirOfArchive(dir)}, nil)
	if err != nil {
		r.Fatal(err)
	}
	defer a.Close()
	for _, m := range meanwhile {
		if e, err := a.Find(r.Context(), m.ID); err != nil || e.Seq != 0 {
			r.Errorf("%s, which came meanwhile: place %d, %v; want none", m.ID, e.Seq, err)
		}
	}
}

func logDeleted(r archiveRow) {
	dir, _ := filled(r.T, 5)
	before := r.inLog(dir)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(fileOfLog(dir) + suffix) // as far as there are any
	}
	told, ok := r.resumed(dir, before)
	r.is("outcome", "starts", strings.Contains(told, "log is behind the archive"), "no alarm: %s", told)
	r.is("replay_served_from", "archive", ok, "")
	r.is("seq_never_reused", true, ok, "")
	if ok = r.resumedAgain(dir); !ok {
		r.Error("it does not go on the next time")
	}
}

// resumedAgain starts the bus once more, which has nothing to resume.
func (r archiveRow) resumedAgain(dir string) bool {
	r.Helper()
	addrs, told, stop := startServeLogged(r.T, dir)
	defer stop()
	last := fedmsg.Seq(0)
	for _, e := range r.replays(addrs, 0, 3) {
		last = e.Seq
	}
	return say(r.T, addrs, 1) == last+1 && !strings.Contains(told.String(), "behind the archive")
}

func archiveDeleted(r archiveRow) {
	dir, last := filled(r.T, 30)
	if err := os.RemoveAll(dirOfArchive(dir)); err != nil {
		r.Fatal(err)
	}
	addrs, told, stop := startServeLogged(r.T, dir)
	archives(r.T, addrs, last, told)
	lag := metrics(r.T, addrs, `fedmsg_consumer_lag_messages{consumer="archive"}`)
	r.is("progress_shown", true, strings.Contains(told.String(), "filling it again") && lag == "0", "lag %q; %s", lag, told)
	stop()
	same := r.equal(dir)
	r.is("outcome", "rebuilds", same, "")
	r.is("rows_equal_log", true, same, "")
}
