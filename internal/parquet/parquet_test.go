package parquet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	reader "github.com/parquet-go/parquet-go"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/internal/parquet"
)

// schema is what readers of files written by older versions rely on.
const schema = `message row {
	required int64 seq (INT(64,false));
	required binary id (STRING);
	required binary topic (STRING);
	required binary category (STRING);
	required int64 time (TIMESTAMP(isAdjustedToUTC=true,unit=MICROS));
	required int64 received (TIMESTAMP(isAdjustedToUTC=true,unit=MICROS));
	required binary agent (STRING);
	required group users (LIST) {
		repeated group list {
			required binary element (STRING);
		}
	}
	required group packages (LIST) {
		repeated group list {
			required binary element (STRING);
		}
	}
	required binary sentence (STRING);
	required binary verified (STRING);
	required binary body (JSON);
}`

// wordy finds words by the number of a message.
type wordy struct{}

func (wordy) Describe(_ context.Context, m *fedmsg.Message) fedmsg.Words {
	var body struct{ N int }
	_ = json.Unmarshal(m.Body, &body) // all have it
	w := fedmsg.Words{Subtitle: fmt.Sprintf("message %d came", body.N), Agent: fmt.Sprintf("agent-%d", body.N%7)}
	for i := range body.N % 3 {
		w.Usernames = append(w.Usernames, fmt.Sprintf("user-%d", i))
		w.Packages = append(w.Packages, "bash")
	}
	return w
}

func entries(t testing.TB, count int) (all []fedmsg.Entry) {
	t.Helper()
	for i := range count {
		m := fedmsgtest.MessageOf(i, "org.example.prod.git.receive", fmt.Sprintf(`{"n":%d,"text":"ünï %s"}`, i, strings.Repeat("x", i%50)))
		all = append(all, fedmsg.Entry{Seq: fedmsg.Seq(i + 1), At: time.UnixMicro(1795348800123456 + int64(i)).UTC(), Verified: "x509:shell", Message: m})
	}
	return all
}

func TestWriter(t *testing.T) {
	for _, count := range []int{0, 1, 250, 10_300} {
		var file bytes.Buffer
		w := parquet.New(&file, wordy{})
		all := entries(t, count)
		for _, e := range all {
			if err := w.Write(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if b := file.Bytes(); !bytes.HasPrefix(b, []byte("PAR1")) || !bytes.HasSuffix(b, []byte("PAR1")) {
			t.Fatalf("%d rows: the file begins %q and ends %q", count, b[:4], b[len(b)-4:])
		}
		f, err := reader.OpenFile(bytes.NewReader(file.Bytes()), int64(file.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Schema().String(); got != schema {
			t.Fatalf("the schema is\n%s\nwant\n%s", got, schema)
		}
		if want := count/10_000 + min(1, count%10_000); len(f.RowGroups()) != want {
			t.Errorf("%d rows in %d groups, want %d", count, len(f.RowGroups()), want)
		}
		checkRows(t, file.Bytes(), all)
	}
}

// checkRows reads a file with other types than those it was written with.
func checkRows(t *testing.T, file []byte, all []fedmsg.Entry) {
	t.Helper()
	type read struct {
		Seq      int64    `parquet:"seq"`
		ID       string   `parquet:"id"`
		Topic    string   `parquet:"topic"`
		Category string   `parquet:"category"`
		Time     int64    `parquet:"time"`
		Received int64    `parquet:"received"`
		Agent    string   `parquet:"agent"`
		Users    []string `parquet:"users,list"`
		Packages []string `parquet:"packages,list"`
		Sentence string   `parquet:"sentence"`
		Verified string   `parquet:"verified"`
		Body     string   `parquet:"body"`
	}
	rows, err := reader.Read[read](bytes.NewReader(file), int64(len(file)))
	if err != nil || len(rows) != len(all) {
		t.Fatalf("%d rows, %v, want %d", len(rows), err, len(all))
	}
	for i, r := range rows {
		e, words := all[i], wordy{}.Describe(t.Context(), all[i].Message)
		if r.Seq != int64(e.Seq) || r.ID != e.Message.ID || r.Topic != string(e.Message.Topic) || r.Category != "git" || r.Time != e.Message.Time.UnixMicro() ||
			r.Received != e.At.UnixMicro() || r.Agent != words.Agent || !slices.Equal(r.Users, words.Usernames) || !slices.Equal(r.Packages, words.Packages) ||
			r.Sentence != words.Subtitle || r.Verified != e.Verified || r.Body != string(e.Message.Body) {
			t.Fatalf("row %d is %+v, want %v %s", i, r, e, e.Message.Body)
		}
	}
}

// A file takes no more memory for more messages, but for the list at its end.
func TestWriterTakesLittleMemory(t *testing.T) {
	const count = 25_000
	some := make([]*fedmsg.Message, 1000)
	for i := range some {
		some[i] = fedmsgtest.MessageSized(i, 1000)
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	w, before, peak := parquet.New(io.Discard, wordy{}), heap(), uint64(0)
	for i := range count {
		if err := w.Write(t.Context(), fedmsg.Entry{Seq: fedmsg.Seq(i), Message: some[i%1000]}); err != nil {
			t.Fatal(err)
		}
		if i%(count/5) == count/10 {
			peak = max(peak, heap())
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if grown := int64(peak) - int64(before); grown > 32<<20 {
		t.Errorf("%d bytes more on the heap", grown)
	} else {
		t.Logf("%d KiB more on the heap", grown>>10)
	}
}

// An output that fails is told, at the latest at the end.
func TestWriterFails(t *testing.T) {
	full := errors.New("no space left")
	w := parquet.New(failing{full}, nil)
	err := error(nil)
	for _, e := range entries(t, 10_500) {
		err = errors.Join(err, w.Write(t.Context(), e))
	}
	if err = errors.Join(err, w.Close()); !errors.Is(err, full) {
		t.Errorf("%v, want %v", err, full)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func BenchmarkWriter(b *testing.B) {
	all := entries(b, 1000)
	w, n := parquet.New(io.Discard, wordy{}), 0
	for b.Loop() {
		if err := w.Write(b.Context(), all[n%1000]); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "msgs/s")
}
