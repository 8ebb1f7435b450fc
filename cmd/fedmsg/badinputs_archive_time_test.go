package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// turned runs a bus whose clock is turned by what the returned value holds.
func (r archiveRow) turned(dir string) (addrs map[string]string, by *atomic.Int64, told *fedmsgtest.LogBook, stop func()) {
	by = new(atomic.Int64)
	real := clock
	r.Cleanup(func() { clock = real })
	clock = func() time.Time { return time.Now().Add(time.Duration(by.Load())) }
	addrs, told, stop = startServeLogged(r.T, dir, "--keep-for", "24h")
	return addrs, by, told, stop
}

func clockBack(r archiveRow) {
	dir := r.TempDir()
	addrs, by, told, stop := r.turned(dir)
	say(r.T, addrs, 5)
	by.Store(int64(-time.Hour))
	last := say(r.T, addrs, 5)
	archives(r.T, addrs, last, told)
	got := r.replays(addrs, 0, 10)
	stop()
	want := r.inLog(dir)
	r.is("outcome", "order_by_sequence", slices.IsSortedFunc(got, func(a, b kept) int { return int(a.Seq) - int(b.Seq) }) && slices.Equal(got, want), "%v", got)
	same := r.equal(dir)
	r.is("lost", 0, same && len(want) == 10, "%d entries", len(want))
	r.is("duplicates", 0, same && last == 10, "the last has place %d", last)
}

func clockForward(r archiveRow) {
	dir := r.TempDir()
	addrs, by, told, stop := r.turned(dir)
	say(r.T, addrs, 5)
	by.Store(int64(10 * 365 * 24 * time.Hour))
	say(r.T, addrs, 5)
	time.Sleep(2500 * time.Millisecond) // retention looks every second
	by.Store(0)
	last := say(r.T, addrs, 5)
	archives(r.T, addrs, last, told)
	time.Sleep(1500 * time.Millisecond)
	stop()
	log := r.inLog(dir)
	r.is("outcome", "no_retention_wipe", len(log) == 15, "%d entries are left", len(log))
	r.is("lost", 0, r.equal(dir), "")
}

// retentionBoundary pages slowly over a log that drops what it has at the same time.
func retentionBoundary(r archiveRow) {
	dir := r.TempDir()
	addrs, told, stop := startServeLogged(r.T, dir, "--keep-for", "1s")
	defer stop()
	const count = 400
	said := make(chan fedmsg.Seq, 1)
	go func() { said <- say(r.T, addrs, count) }()
	archived := func() bool { return metrics(r.T, addrs, "fedmsg_archive_last_sequence") > "0" }
	fedmsgtest.Eventually(r.T, 20*time.Second, "the archive has some", archived)
	got := r.replays(addrs, 0, 1)
	for len(got) < count {
		got = append(got, r.replays(addrs, got[len(got)-1].Seq, min(7, count-len(got)))...) // a reader that comes again and again
	}
	last := <-said
	ok := got[len(got)-1].Seq == last
	for i, k := range got {
		ok = ok && k.Seq == got[0].Seq+fedmsg.Seq(i)
	}
	r.is("outcome", "no_skip_no_duplicate", ok && got[0].Seq == 1, "%v; %s", got, told)
	fedmsgtest.Eventually(r.T, 20*time.Second, "the log has dropped some", func() bool {
		resp, err := http.Get("http://" + addrs["http"] + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return err == nil && !strings.Contains(string(text), `"first":1,`)
	})
}

// backedUp makes a bus that runs, and a copy of it that was made while it was written to.
func (r archiveRow) backedUp() (dir, copied string, stop func()) {
	dir, copied = r.TempDir(), filepath.Join(r.TempDir(), "bus.tar")
	addrs, _, stop := startServeLogged(r.T, dir)
	say(r.T, addrs, 50)
	writing, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-writing:
				return
			case <-time.After(5 * time.Millisecond):
				say(r.T, addrs, 1)
			}
		}
	}()
	got := fedmsgWith(r.T, new(fakeBus), "", nil, "backup", "--dir", dir, copied)
	close(writing)
	<-done
	if got.status != 0 {
		r.Errorf("backup: %+v", got)
	}
	return dir, copied, stop
}

func backupWhileWriting(r archiveRow) {
	dir, copied, stop := r.backedUp()
	stop()
	if got := fedmsgWith(r.T, new(fakeBus), "", nil, "restore", "--dir", dir, copied); got.status == 0 {
		r.Error("restore overwrote what is there")
	}
	fresh := filepath.Join(r.TempDir(), "restored")
	got := fedmsgWith(r.T, new(fakeBus), "", nil, "restore", "--dir", fresh, copied)
	r.is("outcome", "restorable", got.status == 0, "%+v", got)
	all, some := r.inLog(dir), r.inLog(fresh)
	r.is("prefix_of_log", true, len(some) >= 50 && len(some) <= len(all) && slices.Equal(some, all[:len(some)]), "%d of %d entries", len(some), len(all))
	addrs, told, stop := startServeLogged(r.T, fresh)
	archives(r.T, addrs, say(r.T, addrs, 1), told)
	stop()
	r.is("integrity", "ok", r.equal(fresh), "")
	if err := os.WriteFile(copied, []byte("no tar"), 0o600); err != nil {
		r.Fatal(err)
	}
	if got := fedmsgWith(r.T, new(fakeBus), "", nil, "restore", "--dir", filepath.Join(r.TempDir(), "x"), copied); got.status != 65 {
		r.Errorf("a file that is no backup: %+v, want exit 65", got)
	}
}

func restoreOverRunning(r archiveRow) {
	dir, copied, stop := r.backedUp()
	defer stop()
	got := fedmsgWith(r.T, new(fakeBus), "", nil, "restore", "--dir", dir, copied)
	r.is("outcome", "refuses", got.status != 0, "%+v", got)
	r.is("exit", 75, got.status == 75, "exit %d", got.status)
}
