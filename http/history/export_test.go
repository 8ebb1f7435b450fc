package history_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	nethttp "net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/naive"
	"github.com/fedora-infra/fedmsg-go/http/history"
	"github.com/fedora-infra/fedmsg-go/mem"
)

// lines reads an export in lines, and its cursors by the ID of the message that each
// stands at.
func lines(t *testing.T, body []byte) (found []element) {
	t.Helper()
	for line := range bytes.Lines(body) {
		var e element
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		found = append(found, e)
	}
	return found
}

// An export holds what the query finds, in all formats; and goes on at any cursor.
func TestExport(t *testing.T) { eachArchive(t, testExport) }

func testExport(t *testing.T, change func(*setup)) {
	r := start(t, change)
	random := naive.NewRandom(8)
	entries := random.Entries(1700)
	r.deliver(t, entries)
	for _, params := range []string{"order=oldest", "category=bodhi", "q=-category:bodhi", "limit=1001", "limit=500"} {
		q := fedmsg.Query{OldestFirst: params == "order=oldest"}
		limit := len(entries)
		switch params {
		case "category=bodhi":
			q.Filter = has(fedmsg.CategoryField, "bodhi")
		case "q=-category:bodhi":
			q.Filter = fedmsg.Filter{Op: fedmsg.Not, Of: []fedmsg.Filter{has(fedmsg.CategoryField, "bodhi")}}
		case "limit=1001":
			limit = 1001
		case "limit=500":
			limit = 500
		}
		all := idsOf(naive.Answer(entries, q))
		want := all[:min(limit, len(all))]
		a := r.get(t, "/api/v1/export?"+params)
		found := lines(t, a.body)
		if !slices.Equal(ids(found), want) || a.Header.Get("Content-Type") != "application/jsonl" {
			t.Errorf("%s: %d messages, want %d", params, len(found), len(want))
		}
		next := a.Trailer.Get("Fedmsg-Cursor")
		if a.Trailer.Get("Fedmsg-Complete") != strconv.FormatBool(len(want) == len(all)) || (next == "") != (len(want) == len(all)) || a.Trailer.Get("Fedmsg-Messages") != strconv.Itoa(len(want)) {
			t.Errorf("%s: trailer %v", params, a.Trailer)
		}
		if next != "" {
			if rest := ids(lines(t, r.get(t, "/api/v1/export?"+params+"&cursor="+next).body)); !slices.Equal(rest, all[len(want):min(2*len(want), len(all))]) {
				t.Errorf("%s: %d messages after the trailer's cursor", params, len(rest))
			}
		}
		for i, e := range found {
			if e.Cursor == "" {
				continue
			}
			if (i+1)%500 != 0 && i != len(found)-1 {
				t.Errorf("%s: a cursor at message %d", params, i+1)
			}
			rest := ids(lines(t, r.get(t, "/api/v1/export?"+strings.Split(params, "limit")[0]+"&cursor="+e.Cursor).body))
			if !slices.Equal(rest, all[i+1:]) {
				t.Errorf("%s: %d messages after the cursor at %d, want %d", params, len(rest), i+1, len(all)-i-1)
			}
		}
		packed := r.get(t, "/api/v1/export?format=jsonl.zst&"+params)
		reader, err := zstd.NewReader(bytes.NewReader(packed.body))
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := io.ReadAll(reader); err != nil || !bytes.Equal(plain, a.body) || len(packed.body) > len(plain)/2 {
			t.Errorf("%s: packed %d bytes into %d, %v", params, len(plain), len(packed.body), err)
		}
		reader.Close()
		rows, err := csv.NewReader(bytes.NewReader(r.get(t, "/api/v1/export?format=csv&"+params).body)).ReadAll()
		if err != nil || len(rows) != len(want)+1 {
			t.Fatalf("%s: %d rows, %v", params, len(rows), err)
		}
		for i, row := range rows[1:] {
			if row[4] != want[i] || row[8] != found[i].Cursor {
				t.Errorf("%s: row %d is %q", params, i, row)
			}
		}
	}
}

// No cell can be taken for a formula, whatever it is that a message says.
func TestBadInputsExportCells(t *testing.T) {
	r := start(t, nil)
	var entries []fedmsg.Entry
	for i, title := range []string{`=HYPERLINK("http://evil.example","x")`, "+1", "-1", "@SUM(A1)", "\tx", "\rx", "fine", "ünï,\"q\"\nline"} {
		body, err := json.Marshal(map[string]string{"title": title})
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, fedmsg.Entry{Seq: fedmsg.Seq(i + 1), Message: fedmsgtest.MessageOf(i, "org.example.test.cells", string(body))})
	}
	r.deliver(t, entries)
	a := r.get(t, "/api/v1/export?format=csv&order=oldest&fields=body.title,msg,seq&meta=title,usernames")
	rows, err := csv.NewReader(bytes.NewReader(a.body)).ReadAll()
	if err != nil || len(rows) != 9 || !slices.Equal(rows[0], []string{"body.title", "msg", "seq", "meta.title", "meta.usernames", "cursor"}) {
		t.Fatalf("%s, %v", a, err)
	}
	for i, row := range rows[1:] {
		if i < 6 && !strings.HasPrefix(row[0], "'") || i >= 6 && strings.HasPrefix(row[0], "'") {
			t.Errorf("cell %q", row[0])
		}
		if row[2] != strconv.Itoa(i+1) {
			t.Errorf("seq %q of row %d", row[2], i)
		}
	}
}

// endless is an archive whose messages are made as they are asked for.
type endless struct {
	*mem.Archive
	some   []*fedmsg.Message
	n      int
	broken int // from which message on it fails
}

func (a endless) Search(ctx context.Context, q fedmsg.Query) (page fedmsg.Page, err error) {
	i, _ := strconv.Atoi(q.Cursor)
	for ; i < a.n && len(page.Entries) < q.Limit; i++ {
		if i >= a.broken {
			return page, fmt.Errorf("message %d: %w", i, fedmsg.ErrUnavailable)
		}
		page.Entries = append(page.Entries, fedmsg.Entry{Seq: fedmsg.Seq(i + 1), Message: a.some[i%len(a.some)]})
	}
	if i < a.n {
		page.Next = strconv.Itoa(i)
	}
	return page, context.Cause(ctx)
}

func newEndless(n, broken int) endless {
	a := endless{mem.NewArchive(match, naive.Describer{}), nil, n, broken}
	for i := range 1000 {
		a.some = append(a.some, fedmsgtest.MessageSized(i, 1000))
	}
	return a
}

// An export takes as much memory for a hundred thousand messages as for a thousand.
func TestExportTakesLittleMemory(t *testing.T) {
	n := 100_000
	if testing.Short() || raceDetector {
		n = 20_000
	}
	for _, format := range []string{"jsonl", "jsonl.zst", "csv"} {
		r := start(t, func(s *setup) { s.archive = newEndless(n, n) })
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		req, err := nethttp.NewRequestWithContext(t.Context(), "GET", r.url+"/api/v1/export?format="+format, nil)
		if err != nil {
			t.Fatal(err)
		}
		before, began := heap(), time.Now()
		resp, err := nethttp.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		in := io.Reader(resp.Body)
		if format == "jsonl.zst" {
			packed, err := zstd.NewReader(resp.Body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
			if err != nil {
				t.Fatal(err)
			}
			defer packed.Close()
			in = packed
		}
		count, peak := 0, uint64(0)
		reader := bufio.NewReader(in)
		for {
			_, err := reader.ReadSlice('\n')
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s, after %d messages: %v", format, count, err)
			}
			if count++; count%(n/5) == n/10 {
				peak = max(peak, heap())
			}
		}
		if format == "csv" {
			count-- // the head
		}
		grown := int64(peak) - int64(before)
		if count != n || resp.Trailer.Get("Fedmsg-Complete") != "true" || grown > 24<<20 {
			t.Errorf("%s: %d messages of %d, trailer %v, %d bytes more on the heap", format, count, n, resp.Trailer, grown)
		}
		t.Logf("%s: %.0f messages a second, %d KiB more on the heap", format, float64(n)/time.Since(began).Seconds(), grown>>10)
		r.stop()
	}
}

// As Parquet an export is a whole file with the same messages, and takes neither
// fields nor a cursor between rows.
func TestExportParquet(t *testing.T) {
	r := start(t, nil)
	entries := naive.NewRandom(9).Entries(1200)
	r.deliver(t, entries)
	a := r.get(t, "/api/v1/export?format=parquet&order=oldest&limit=1100")
	if got := a.Header.Get("Content-Type"); got != "application/vnd.apache.parquet" || a.Trailer.Get("Fedmsg-Messages") != "1100" || a.Trailer.Get("Fedmsg-Cursor") == "" {
		t.Errorf("%s, trailer %v", got, a.Trailer)
	}
	type row struct {
		ID    string   `parquet:"id"`
		Agent string   `parquet:"agent"`
		Users []string `parquet:"users,list"`
		Body  string   `parquet:"body"`
	}
	rows, err := parquet.Read[row](bytes.NewReader(a.body), int64(len(a.body)))
	if err != nil || len(rows) != 1100 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	found := lines(t, r.get(t, "/api/v1/export?order=oldest&limit=1100").body)
	for i, want := range ids(found) {
		e, err := r.archive.Find(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		if words := (naive.Describer{}).Describe(t.Context(), e.Message); rows[i].ID != want || rows[i].Body != string(e.Message.Body) || rows[i].Agent != words.Agent || !slices.Equal(rows[i].Users, words.Usernames) {
			t.Fatalf("row %d is %+v, want %s", i, rows[i], want)
		}
	}
	rest := r.get(t, "/api/v1/export?format=parquet.zst&order=oldest&cursor="+a.Trailer.Get("Fedmsg-Cursor"))
	if rest.Trailer.Get("Fedmsg-Messages") != "100" || rest.Trailer.Get("Fedmsg-Complete") != "true" {
		t.Errorf("the rest: trailer %v", rest.Trailer)
	}
	if refused := r.get(t, "/api/v1/export?format=parquet&fields=topic"); refused.StatusCode != 400 || !strings.Contains(refused.String(), "columns of its own") {
		t.Errorf("with fields: %s", refused)
	}
}

// What breaks off cannot be taken for a whole export.
func TestExportBreaksOff(t *testing.T) {
	for _, format := range []string{"jsonl", "csv", "parquet", "jsonl.zst"} {
		r := start(t, func(s *setup) { s.archive = newEndless(5000, 1200) })
		resp, err := nethttp.Get(r.url + "/api/v1/export?format=" + format)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil || resp.Trailer.Get("Fedmsg-Complete") != "" {
			t.Errorf("%s: %d bytes end without an error; trailer %v", format, len(body), resp.Trailer)
		}
		if format == "jsonl" && bytes.Count(body, []byte("\n")) < 1000 {
			t.Errorf("%d lines came, want the 1000 that were written", bytes.Count(body, []byte("\n")))
		}
	}
	r := start(t, func(s *setup) { s.archive = newEndless(5000, 0) })
	if a := r.get(t, "/api/v1/export"); a.StatusCode != 503 {
		t.Errorf("an archive that does not answer: %s, want 503", a)
	}
}

// Who asks too often, or for too many at once, is told when to come again. This
// machine is not counted.
func TestLimits(t *testing.T) {
	r := start(t, func(s *setup) {
		s.cfg.Limits = history.Limits{Rate: 0.001, Burst: 3, ExportsPerAddr: 1, StreamsPerAddr: 1}
	})
	mux := nethttp.NewServeMux()
	r.api.Routes(mux)
	for i := range 5 {
		w := fromOutside(mux, "/api/v1/terms", "192.0.2.1:80")
		if want := map[bool]int{true: 200, false: 429}[i < 3]; w.Code != want || want == 429 && w.Header().Get("Retry-After") == "" {
			t.Errorf("request %d = %d, Retry-After %q, want %d", i+1, w.Code, w.Header().Get("Retry-After"), want)
		}
	}
	if w := fromOutside(mux, "/api/v1/terms", "192.0.2.2:80"); w.Code != 200 {
		t.Errorf("another address: %d, want 200", w.Code)
	}
	for range 20 {
		if a := r.get(t, "/api/v1/terms"); a.StatusCode != 200 {
			t.Fatalf("this machine: %s, want 200", a)
		}
	}
}
