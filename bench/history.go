package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/meta"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

const (
	historyBatch    = 1000 // as bus.Window hands them to the archive
	historyReport   = 20   // batches between two lines of progress
	historyRequests = 200  // for each row
	historyWarm     = 20   // before that, not timed
)

// history fills an archive with a month of traffic, all in, and asks it over HTTP,
// through the program as it is released: one client, keep-alive, parameters that vary
// from request to request. Beside each question stands what the original took for it
// with a million messages, on another machine of this class.
func history(ctx context.Context, l *lab) error {
	dir, err := l.fresh()
	if err != nil {
		return err
	}
	bus, rules := filepath.Join(dir, "bus"), filepath.Join(dir, "rules")
	if err := os.Mkdir(rules, 0o700); err != nil {
		return err
	}
	if err := writeRules(rules); err != nil {
		return err
	}
	t := newTraffic(l.messages)
	if err := ingest(ctx, l, t, bus, rules); err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	s, err := l.serve(ctx, bus, "--rules", rules)
	if err != nil {
		return err
	}
	defer s.stop()
	a := &asker{ctx: ctx, base: "http://" + s.bound.HTTP, traffic: t, rng: rand.New(rand.NewPCG(7, 7)), client: &http.Client{Timeout: 30 * time.Second}, server: s.cmd.Process.Pid}
	return errors.Join(a.table(l, "Pages of 25, over HTTP: p50, p99, processor time of the server for one", pageRows), a.table(l, "Charts, counts and facets, over HTTP: p50, p99, processor time of the server for one", countRows), a.quiet(l))
}

// cpu is what this process used of the processors.
func cpu() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// ingest fills the archive of a bus: describes, compresses, indexes, counts, and syncs
// each batch. Making the messages is not timed.
func ingest(ctx context.Context, l *lab, t *traffic, bus, rules string) error {
	_, _, log, err := openBus(ctx, bus)
	if err != nil {
		return err
	}
	state, err := log.State(ctx)
	if err = errors.Join(err, log.Close()); err != nil {
		return err
	}
	words, err := meta.New(meta.Config{Dir: rules}, nil)
	if err != nil {
		return err
	}
	archive, err := sqlite.OpenArchive(ctx, sqlite.ArchiveConfig{Dir: filepath.Join(bus, "archive"), Describer: words, Epoch: state.Epoch}, nil)
	if err != nil {
		return err
	}
	var took []time.Duration
	var spent, used time.Duration
	var raw, body int
	began := time.Now()
	var next []fedmsg.Entry
	for n := 0; n < l.messages; {
		for range historyReport {
			batch := next
			if next, err = t.batch(min(historyBatch, l.messages-t.made)); err != nil {
				return errors.Join(err, archive.Close())
			}
			for _, e := range next {
				raw, body = raw+len(e.Message.Bytes()), body+len(e.Message.Body)
			}
			start, before := time.Now(), cpu()
			var preparing sync.WaitGroup // as bus.Pump does: a batch ahead
			preparing.Go(func() { archive.Prepare(ctx, next) })
			_, err := archive.Deliver(ctx, batch)
			if len(batch) > 0 {
				took = append(took, time.Since(start))
			}
			if preparing.Wait(); err != nil {
				return errors.Join(err, archive.Close())
			}
			n += len(batch)
			spent, used = spent+time.Since(start), used+cpu()-before
			if n == l.messages {
				break
			}
		}
		fmt.Fprintf(os.Stderr, "\rhistory: %s of %s messages stored, %.0f s ", thousands(float64(n)), thousands(float64(l.messages)), time.Since(began).Seconds())
	}
	fmt.Fprintln(os.Stderr)
	if err := archive.Close(); err != nil { // which writes the journals back
		return err
	}
	disk, err := folderSize(filepath.Join(bus, "archive"))
	if err != nil {
		return err
	}
	n := float64(l.messages)
	out := newTable(l.out, fmt.Sprintf("History: %s messages of %d days, %.0f bytes each, of which %.0f are body; load of the machine %s", thousands(n), trafficDays, float64(raw)/n, float64(body)/n, load()),
		"", "ours", "the original (quoted)", "aim")
	defer out.flush()
	out.row("ingest, all in, a second", thousands(rate(l.messages, spent)), "569", "8,000")
	out.row("processor time for one", micro(time.Duration(float64(used)/n)), "", "")
	out.row(fmt.Sprintf("batch of %d: p50, p99", historyBatch), short(percentile(took, .5))+", "+short(percentile(took, .99)), "", "250ms")
	out.row("disk, bytes a message", fmt.Sprintf("%.0f", float64(disk)/n), "2,112", "1,300")
	return nil
}

// load is how busy the machine is, as Linux tells it.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

func folderSize(dir string) (size int64, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			size += info.Size()
		}
	}
	return size, err
}

// An asker asks one thing at a time.
type asker struct {
	ctx     context.Context
	base    string
	traffic *traffic
	rng     *rand.Rand
	client  *http.Client
	server  int // its process
}

// asked is what became of a row's requests.
type asked struct {
	p50, p99 time.Duration
	cpu      time.Duration // that the server used for one
	partial  int           // answers that say that they are not complete
}

func (r asked) String() string {
	text := short(r.p50) + ", " + short(r.p99) + ", " + short(r.cpu)
	if r.partial > 0 {
		text += fmt.Sprintf(" (%d of %d cut short)", r.partial, historyRequests)
	}
	return text
}

// processorTime returns what a process used of the processors, by /proc/PID/stat, which
// counts hundredths of a second.
func processorTime(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	return time.Duration(number(fields[11])+number(fields[12])) * 10 * time.Millisecond // user and system
}

// ask makes the requests of one row. Only what the server needs to answer is timed, and
// the way over loopback; what the answer says is looked at afterwards.
func (a *asker) ask(path func(a *asker) string) (r asked, err error) {
	took := make([]time.Duration, 0, historyRequests)
	var before time.Duration
	for i := range historyWarm + historyRequests {
		url := a.base + path(a)
		start := time.Now()
		body, err := a.get(url)
		if err != nil {
			return r, err
		}
		if i < historyWarm {
			before = processorTime(a.server)
			continue
		}
		took = append(took, time.Since(start))
		var answer struct {
			Complete   *bool `json:"complete"`
			Incomplete bool  `json:"incomplete"`
		}
		if json.Unmarshal(body, &answer) == nil && (answer.Incomplete || answer.Complete != nil && !*answer.Complete) {
			r.partial++
		}
	}
	r.p50, r.p99, r.cpu = percentile(took, .5), percentile(took, .99), (processorTime(a.server)-before)/historyRequests
	return r, nil
}

func (a *asker) get(url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(a.ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "identity") // the client would unpack it on the same processors
	res, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %.300s", url, res.Status, body)
	}
	return body, err
}

// table asks all questions of a table, under the original's paths and under ours.
func (a *asker) table(l *lab, title string, rows []questionRow) error {
	t := newTable(l.out, title+"; load of the machine "+load(), "question", "original's path", "ours", "the original (quoted)", "original/ours on its path", "aim p50, p99")
	defer t.flush()
	for i, row := range rows {
		fmt.Fprintf(os.Stderr, "history: question %d of %d, %s\n", i+1, len(rows), row.name)
		cells := []string{row.name, "", "", short(row.original), "", row.aim()}
		if row.original == 0 {
			cells[3] = ""
		}
		for n, path := range []func(*asker) string{row.compat, row.ours} {
			if path == nil {
				continue
			}
			r, err := a.ask(path)
			if err != nil {
				return fmt.Errorf("%s: %w", row.name, err)
			}
			cells[1+n] = r.String()
			if n == 0 && row.original > 0 {
				cells[4] = ratio(row.original.Seconds(), r.p50.Seconds())
			}
		}
		t.row(cells...)
	}
	return nil
}

// quiet compares a user who is seldom heard with the busiest one: one must not cost
// more than the other.
func (a *asker) quiet(l *lab) error {
	t := newTable(l.out, "A quiet user beside a busy one, pages of 25; p50", "", "quiet", "busy", "quiet/busy")
	defer t.flush()
	for _, row := range []struct{ name, path string }{{"original's path", "/raw?rows_per_page=25&user="}, {"ours", "/api/v1/messages?limit=25&user="}} {
		quiet, err := a.ask(func(a *asker) string { return row.path + userName(uint64(2000+a.rng.IntN(1000))) })
		if err != nil {
			return err
		}
		busy, err := a.ask(func(a *asker) string { return row.path + userName(uint64(a.rng.IntN(3))) + a.until(row.name == "ours") })
		if err != nil {
			return err
		}
		t.row(row.name, short(quiet.p50), short(busy.p50), ratio(quiet.p50.Seconds(), busy.p50.Seconds()))
	}
	runtime.GC() // so that the next part begins with little
	return nil
}
