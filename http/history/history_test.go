package history_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	nethttp "net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/naive"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/history"
	"github.com/fedora-infra/fedmsg-go/mem"
	"github.com/fedora-infra/fedmsg-go/query"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// now is when the tests take place: a week after the first of a [naive.Random].
var now = naive.Began.Add(7 * 24 * time.Hour)

// rig is the whole on a free port: a log with a window, an archive that a pump feeds,
// and a server with the interface.
type rig struct {
	url     string
	log     *mem.Log
	window  *bus.Window
	archive archive
	pump    context.CancelFunc // stops it
	api     *history.API
	stop    func()
	logged  *fedmsgtest.LogBook
}

// archive is what the interface asks.
type archive interface {
	fedmsg.Archive
	fedmsg.Counter
	Last() fedmsg.Seq
}

// setup is what a test may change of a rig before it starts. It may take another
// archive than one in memory.
type setup struct {
	cfg     history.Config
	log     *mem.Log
	archive archive
}

// onDisk takes an archive on disk.
func onDisk(t *testing.T) func(*setup) {
	return func(s *setup) {
		state, err := s.log.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		a, err := sqlite.OpenArchive(t.Context(), sqlite.ArchiveConfig{Dir: t.TempDir(), Describer: naive.Describer{}, Epoch: state.Epoch, Budget: time.Minute}, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		})
		s.archive = a
	}
}

// eachArchive runs a test with an archive in memory and with one on disk.
func eachArchive(t *testing.T, test func(t *testing.T, change func(*setup))) {
	t.Run("memory", func(t *testing.T) { test(t, func(*setup) {}) })
	if !testing.Short() && !raceDetector {
		t.Run("disk", func(t *testing.T) { test(t, onDisk(t)) })
	}
}

func match(f fedmsg.Filter, e fedmsg.Entry) bool {
	return query.NewMatcher(f, naive.Describer{}).Match(context.Background(), e)
}

func start(t testing.TB, change func(*setup)) *rig {
	t.Helper()
	r := &rig{log: mem.NewLog(), logged: new(fedmsgtest.LogBook)}
	s := setup{log: r.log, archive: mem.NewArchive(match, naive.Describer{}), cfg: history.Config{Describer: naive.Describer{}, Now: func() time.Time { return now }}}
	if change != nil {
		change(&s)
	}
	r.archive, s.cfg.Archive = s.archive, s.archive
	var err error
	if r.window, err = bus.NewWindow(t.Context(), bus.WindowConfig{}, r.log); err != nil {
		t.Fatal(err)
	}
	s.cfg.Log = bus.NewTiered(r.window, r.archive)
	logger := r.logged.Logger(slog.LevelDebug)
	if r.api, err = history.New(s.cfg, logger); err != nil {
		t.Fatal(err)
	}
	gate, err := bus.NewGate(bus.GateConfig{AllowUnsigned: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, r.window, nil)
	if err != nil {
		t.Fatal(err)
	}
	server, err := http.Listen(http.Config{Addr: "127.0.0.1:0", Report: func() any { return map[string]any{"consumers": []any{}, "producers": []any{}} }, Routes: []func(*nethttp.ServeMux){r.api.Routes}, Search: nethttp.HandlerFunc(r.api.Search),
		Older: r.archive, Describer: naive.Describer{}}, struct {
		*bus.Window
		fedmsg.Publisher
	}{r.window, gate}, nil, logger)
	if err != nil {
		t.Fatal(err)
	}
	pump, err := bus.NewPump(bus.PumpConfig{Name: "archive"}, r.window, new(mem.Cursors), r.archive, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + server.Addr()
	var wait sync.WaitGroup
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	pumping, stopPump := context.WithCancel(ctx)
	r.pump = stopPump
	wait.Go(func() {
		if err := server.Run(ctx); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	wait.Go(func() {
		if err := pump.Run(pumping); err != nil {
			t.Errorf("pump: %v", err)
		}
	})
	r.stop = func() { cancel(); wait.Wait() }
	t.Cleanup(func() {
		nethttp.DefaultClient.CloseIdleConnections()
		r.stop()
	})
	return r
}

// deliver puts entries into the archive alone.
func (r *rig) deliver(t testing.TB, entries []fedmsg.Entry) {
	t.Helper()
	if n, err := r.archive.Deliver(t.Context(), entries); n != len(entries) || err != nil {
		t.Fatalf("Deliver = %d, %v", n, err)
	}
}

// reply is an answer, read.
type reply struct {
	*nethttp.Response
	body []byte
}

func (a reply) String() string { return a.Status + " " + string(a.body) }

// get asks; header is name, value, name, value ...
func (r *rig) get(t testing.TB, path string, header ...string) reply {
	t.Helper()
	if strings.HasPrefix(path, "/") {
		path = r.url + path
	}
	req, err := nethttp.NewRequestWithContext(t.Context(), "GET", path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := nethttp.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return reply{resp, body}
}

// ask gets what must be answered, and reads it into v.
func (r *rig) ask(t testing.TB, path string, v any) reply {
	t.Helper()
	a := r.get(t, path)
	if err := json.Unmarshal(a.body, v); err != nil || a.StatusCode != 200 {
		t.Fatalf("GET %s = %s, %v", path, a, err)
	}
	return a
}

// line makes parameters of a query.
func line(q fedmsg.Query) string { return "q=" + url.QueryEscape(query.String(q)) }

// element is a message as an answer has it.
type element struct {
	Seq     fedmsg.Seq
	Message struct {
		ID    string  `json:"msg_id"`
		Topic string  `json:"topic"`
		Time  float64 `json:"timestamp"`
	}
	Meta   json.RawMessage
	Values map[string][]string
	Cursor string
}

func ids(elements []element) []string {
	found := make([]string, len(elements))
	for i, e := range elements {
		found[i] = e.Message.ID
	}
	return found
}

func idsOf(entries []fedmsg.Entry) []string {
	found := make([]string, len(entries))
	for i, e := range entries {
		found[i] = e.Message.ID
	}
	return found
}
