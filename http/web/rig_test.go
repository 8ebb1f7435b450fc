package web_test

import (
	"context"
	"net"
	nethttp "net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/feed"
	"github.com/fedora-infra/fedmsg-go/http/history"
	"github.com/fedora-infra/fedmsg-go/http/web"
	"github.com/fedora-infra/fedmsg-go/mem"
	"github.com/fedora-infra/fedmsg-go/query"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// archive is what pages look into.
type archive interface {
	fedmsg.Archive
	fedmsg.Counter
	Last() fedmsg.Seq
}

// newArchive makes an archive in memory.
func newArchive(d fedmsg.Describer) *mem.Archive {
	return mem.NewArchive(func(f fedmsg.Filter, e fedmsg.Entry) bool {
		return query.NewMatcher(f, d).Match(context.Background(), e)
	}, d)
}

// parts is a bus that is not quite well.
func parts(now time.Time) []web.Part {
	return []web.Part{
		{Name: "http", Kind: web.Source, State: web.Good, Word: "running", Figure: "1,204 taken", Rate: 1.2},
		{Name: "zmq relay", Kind: web.Source, State: web.Good, Word: "running", Figure: "21,455 taken", Rate: 6.1},
		{Name: "log", Kind: web.Log, State: web.Good, Word: "running", Figure: "22,659 entries, 31 MB", Rate: 7.3, Since: now.Add(-26 * time.Hour)},
		{Name: "archive", Kind: web.Reader, State: web.Good, Word: "up to date", Figure: "0 behind", Rate: 7.3},
		{Name: "zmq out", Kind: web.Reader, State: web.Good, Word: "running", Figure: "14 clients", Rate: 7.3},
		{Name: "irc", Kind: web.Reader, State: web.Warn, Word: "behind", Figure: "41 behind", Rate: .4, Since: now.Add(-7 * time.Minute)},
		{Name: "disk", Kind: web.Other, State: web.Good, Word: "enough", Figure: "812 GB left"},
		{Name: "certificate", Kind: web.Other, State: web.Good, Word: "valid", Figure: "for 212 days"},
	}
}

// whole is a bus made of its parts, as the program makes it.
type whole struct {
	*bus.Window
	fedmsg.Publisher
}

// A rig is a server with pages, an archive that follows its log, and traffic.
type rig struct {
	url     string
	archive archive
	gate    *bus.Gate
}

// start serves pages, with the other parts that they lead to.
func start(t testing.TB, addr string, kept archive, d fedmsg.Describer) *rig {
	t.Helper()
	log := mem.NewLog()
	window, err := bus.NewWindow(t.Context(), bus.WindowConfig{}, log)
	if err != nil {
		t.Fatal(err)
	}
	gate, err := bus.NewGate(bus.GateConfig{AllowUnsigned: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, window, nil)
	if err != nil {
		t.Fatal(err)
	}
	pages, err := web.New(web.Config{Archive: kept, Counter: kept, Describer: d, Name: "Fedora message bus",
		Status: func(context.Context) []web.Part { return parts(time.Now()) }}, nil)
	if err != nil {
		t.Fatal(err)
	}
	api, err := history.New(history.Config{Archive: kept, Log: window, Describer: d}, nil)
	if err != nil {
		t.Fatal(err)
	}
	feeds, err := feed.New(feed.Config{Archive: kept, Describer: d}, nil)
	if err != nil {
		t.Fatal(err)
	}
	server, err := http.Listen(http.Config{Addr: addr, AllowAnonymousLoopback: true, Describer: d, Front: pages.Front(), Search: api.SearchHandler(),
		Routes: []func(*nethttp.ServeMux){pages.Routes, api.Routes, feeds.Routes}}, whole{window, gate}, gate, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{}, 2)
	go func() { _ = server.Run(ctx); done <- struct{}{} }()
	go func() { // the pump
		defer func() { done <- struct{}{} }()
		for batch, err := range window.Read(ctx, 0) {
			if err != nil {
				return
			}
			if _, err := kept.Deliver(ctx, batch); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done; <-done })
	return &rig{url: "http://" + server.Addr(), archive: kept, gate: gate}
}

// fill puts made-up history into an archive. Its places in the log are none.
func fill(t testing.TB, kept archive, w *world, n int, long time.Duration, now time.Time) []fedmsg.Entry {
	t.Helper()
	all := w.past(t, n, long, now)
	for i := range all {
		all[i].Seq = 0
	}
	for i := 0; i < len(all); i += 500 {
		if _, err := kept.Deliver(t.Context(), all[i:min(i+500, len(all))]); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestLook serves pages with lively data for people to look at, on the address in
// FEDMSG_LOOK, until it is interrupted.
func TestLook(t *testing.T) {
	addr := os.Getenv("FEDMSG_LOOK")
	if addr == "" {
		t.Skip("FEDMSG_LOOK=127.0.0.1:8399 serves the pages to look at")
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		t.Fatal(err)
	}
	d := engine(t)
	kept, err := sqlite.OpenArchive(t.Context(), sqlite.ArchiveConfig{Dir: filepath.Join(t.TempDir(), "archive"), Describer: d}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w, now := newWorld(), time.Now()
	fill(t, kept, w, 40_000, 75*24*time.Hour, now.Add(-2*time.Hour))
	fill(t, kept, w, 500, 2*time.Hour, now)
	r := start(t, addr, kept, d)
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt)
	defer stop()
	t.Log(r.url)
	for ctx.Err() == nil {
		r.gate.Publish(ctx, w.message(t, time.Now(), ""))
		time.Sleep(time.Duration(w.ExpFloat64() * float64(700*time.Millisecond)))
	}
}
