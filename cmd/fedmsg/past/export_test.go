package past

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// A failingArchive gives pages until it is told to fail.
type failingArchive struct {
	Asked
	t       *testing.T
	n       int
	failing func(page int) error
	pages   int
}

func (a *failingArchive) Search(_ context.Context, q fedmsg.Query) (page fedmsg.Page, err error) {
	if a.pages++; a.failing != nil {
		if err := a.failing(a.pages); err != nil {
			return page, err
		}
	}
	i, _ := strconv.Atoi(q.Cursor)
	for ; i < a.n && len(page.Entries) < q.Limit; i++ {
		m, err := fedmsg.Draft{Topic: "org.x.prod.a.b", ID: fmt.Sprintf("2025-%d", i), Time: time.Unix(1764000000+int64(i), 0), Body: json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))}.Message()
		if err != nil {
			a.t.Fatal(err)
		}
		page.Entries = append(page.Entries, fedmsg.Entry{Seq: fedmsg.Seq(i + 1), Verified: fedmsg.Unverified, Message: m})
	}
	if i < a.n {
		page.Next = strconv.Itoa(i)
	}
	return page, nil
}

func (*failingArchive) Count(context.Context, fedmsg.Query, fedmsg.Grouping) (fedmsg.Counts, error) {
	return fedmsg.Counts{Rows: []fedmsg.Count{{N: 4200}}}, nil
}

type speechless struct{}

func (speechless) Describe(context.Context, *fedmsg.Message) fedmsg.Words { return fedmsg.Words{} }

// export runs the command, and returns what it tells.
func export(t *testing.T, a *failingArchive, terminal bool, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, told bytes.Buffer
	asked := ""
	cmd := NewExport(Env{
		Stdout: &out, Stderr: &told, Terminal: terminal, Getenv: func(string) string { return "" }, Clean: func(s string) string { return s },
		Usage: func(err error) error { return err }, Ask: func(url string) (Asked, error) { asked = url; return a, nil },
		Words: func(*pflag.FlagSet) func() (fedmsg.Describer, error) {
			return func() (fedmsg.Describer, error) { return speechless{}, nil }
		},
	})
	cmd.SetArgs(args)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err = cmd.ExecuteContext(t.Context())
	if err == nil && asked != "http://bus.example" {
		t.Errorf("%q was asked", asked)
	}
	return out.String(), told.String(), err
}

func content(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(file, ".zst") {
		r, err := zstd.NewReader(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if text, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return string(text)
}

// An export that broke off goes on, and then holds what one holds that did not: what was
// written half is cut, and no message is there twice.
func TestExportGoesOn(t *testing.T) {
	broken := errors.New("the archive is gone")
	for _, name := range []string{"x.jsonl", "x.csv", "x.jsonl.zst", "x.csv.zst"} {
		t.Run(name, func(t *testing.T) {
			whole, file := filepath.Join(t.TempDir(), name), filepath.Join(t.TempDir(), name)
			if _, told, err := export(t, &failingArchive{t: t, n: 4200}, false, "--url", "http://bus.example", "--limit", "4100", "-o", whole); err != nil || told != "" {
				t.Fatal(err, told)
			}
			fail := func(page int) error { return map[bool]error{true: broken}[page == 3] }
			_, _, err := export(t, &failingArchive{t: t, n: 4200, failing: fail}, false, "--bus", "http://bus.example", "--limit", "4100", "-o", file)
			if !errors.Is(err, broken) || !strings.Contains(fedmsg.Hint(err), "fedmsg export --resume "+file) {
				t.Fatalf("%v, hint %q", err, fedmsg.Hint(err))
			}
			if _, err := os.Stat(file); err == nil {
				t.Fatal("what is not whole has the name of the file")
			}
			f, err := os.OpenFile(file+".part", os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(f, `{"seq":2001,"at":"20`)
			f.Close()
			if _, _, err := export(t, &failingArchive{t: t, n: 4200, failing: fail}, false, "--resume", file); !errors.Is(err, broken) {
				t.Fatalf("broken off again: %v", err)
			}
			if _, _, err := export(t, &failingArchive{t: t, n: 4200}, false, "--resume", file); err != nil {
				t.Fatal(err)
			}
			if got, want := content(t, file), content(t, whole); got != want || strings.Count(want, "org.x.prod") != 4100 {
				t.Errorf("%d bytes, want %d", len(got), len(want))
			}
			if left, err := filepath.Glob(file + ".*"); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// What cannot go on says what to do.
func TestExportCannotGoOn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.parquet")
	broken := errors.New("the archive is gone")
	if _, _, err := export(t, &failingArchive{t: t, n: 4200, failing: func(page int) error { return map[bool]error{true: broken}[page == 3] }}, false, "--bus", "http://bus.example", "-o", file); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(file + "*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--resume", file}, "in parts"},
		{[]string{"--resume", file, "-n", "7"}, "--resume takes no query"},
		{[]string{"--format", "xlsx"}, "is none of jsonl, csv, parquet"},
	} {
		if _, _, err := export(t, &failingArchive{t: t}, false, tt.args...); err == nil || !strings.Contains(err.Error()+fedmsg.Hint(err), tt.want) {
			t.Errorf("%v: %v, hint %q, want %q", tt.args, err, fedmsg.Hint(err), tt.want)
		}
	}
	if _, _, err := export(t, &failingArchive{t: t, n: 4200}, false, "--bus", "http://bus.example", "-o", file); err != nil || !strings.HasPrefix(content(t, file), "PAR1") {
		t.Errorf("a whole one: %v", err)
	}
}

// A bus that asks to wait is asked again; a person sees how far it is.
func TestExportIsPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &failingArchive{t: t, n: 4200, failing: func(page int) error {
			time.Sleep(time.Second)
			if page == 2 || page == 3 {
				return fedmsg.Refuse(fedmsg.RateLimited, "too many requests")
			}
			return nil
		}}
		out, told, err := export(t, a, true, "--bus", "http://bus.example")
		if err != nil || strings.Count(out, "\n") != 4200 {
			t.Errorf("%d lines, %v", strings.Count(out, "\n"), err)
		}
		if !strings.Contains(told, "[=========           ]  48%, 2000 messages, ") || !strings.Contains(told, " left") {
			t.Errorf("told %q", told)
		}
	})
}
