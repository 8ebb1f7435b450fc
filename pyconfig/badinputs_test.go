package pyconfig_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/pyconfig"
)

// A configCase is a row of config.jsonl about a Python file.
type configCase struct {
	Name  string
	Input struct{ Filename, Text string }
	Must  struct {
		Outcome              string
		StderrHas            string `json:"stderr_has"`
		FileMustNotExist     string `json:"file_must_not_exist"`
		MaxSeconds           int    `json:"max_s"`
		MaxRSS               uint64 `json:"max_rss_mb"`
		Imported             json.RawMessage
		ImportedWithHostname string `json:"imported_with_hostname"`
	}
}

// What is hostile in a Python file is an error and nothing is run; what is odd is
// told; what is good is read. The limits of time and memory are those of the rows.
func TestBadInputsConfigPython(t *testing.T) {
	cases := 0
	for _, c := range fedmsgtest.Rows[configCase](t, filepath.Join(fedmsgtest.BadInputDir(t), "config.jsonl")) {
		if !strings.HasSuffix(c.Input.Filename, ".py") {
			continue
		}
		cases++
		t.Run(c.Name, func(t *testing.T) {
			pwned := filepath.Join(t.TempDir(), "pwned")
			t.Setenv("PWNED", pwned)
			file := pyconfig.File{Name: c.Input.Filename, Text: []byte(c.Input.Text)}
			var values pyconfig.Value
			var report pyconfig.Report
			var err error
			start := time.Now()
			memory := allocated(func() { values, report, err = pyconfig.Read([]pyconfig.File{file}, world) })
			if took := time.Since(start); c.Must.MaxSeconds > 0 && took > time.Duration(c.Must.MaxSeconds)*time.Second {
				t.Errorf("Read took %s, at most %d s", took, c.Must.MaxSeconds)
			}
			if limit := c.Must.MaxRSS << 20; limit > 0 && memory > limit {
				t.Errorf("Read took %d bytes of memory, at most %d", memory, limit)
			}
			if _, missing := os.Stat(pwned); !errors.Is(missing, os.ErrNotExist) {
				t.Error("the file was run")
			}
			said := report.String()
			if err != nil {
				said += err.Error()
			}
			if !strings.Contains(said, c.Must.StderrHas) {
				t.Errorf("Read says %q, want %q in it", said, c.Must.StderrHas)
			}
			switch c.Must.Outcome {
			case "error":
				if !errors.Is(err, fedmsg.ErrInvalid) {
					t.Errorf("Read = %v, want ErrInvalid", err)
				}
				return
			case "warning":
				if len(report.About(pyconfig.Warning))+len(report.About(pyconfig.Skipped)) == 0 {
					t.Errorf("the report has no warning: %s", said)
				}
			}
			if err != nil {
				t.Fatalf("Read: %v", err)
			}
			want := c.Must.Imported
			if c.Must.ImportedWithHostname != "" {
				want = json.RawMessage(`{"certnames":{"shell.` + c.Must.ImportedWithHostname + `":"shell-x"}}`)
			}
			if want == nil {
				return
			}
			if differences, err := pyconfig.Compare(values, want); err != nil || len(differences) > 0 {
				t.Errorf("Read differs from %s: %v, %v", want, differences, err)
			}
		})
	}
	if cases < 16 {
		t.Errorf("only %d rows about Python in config.jsonl", cases)
	}
}

// allocated is how many bytes f makes, whether they are still there or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Programs that are small and would become large, each in its own way. They end with an
// error, having made little.
func TestBombs(t *testing.T) {
	doublings := func(first, step string, n int) string {
		return first + strings.Repeat("\n"+step, n) + "\nconfig = dict(a=x)"
	}
	const limit = 256 << 20
	bombs := map[string]string{
		"text times":         `x = "a" * 900000000` + "\nconfig = dict(a=x)",
		"text doublings":     doublings("x = 'a' * 1000", "x = x + x", 40),
		"text in place":      doublings("x = 'a' * 1000", "x += x", 40),
		"list times":         "config = dict(a=[0] * 10**9)",
		"list times number":  "config = dict(a=[0] * 1000000000)",
		"list doublings":     doublings("x = [0] * 1000", "x = x + x", 40),
		"list in place":      doublings("x = [0] * 1000", "x += x", 40),
		"list extended":      doublings("x = [0] * 1000", "x.extend(x)", 40),
		"tuple doublings":    doublings("x = (0,) * 1000", "x = x + x", 40),
		"lists kept":         "x = []\nfor i in range(60000):\n  x.append(list(range(60000)))\nconfig = dict(a=x)",
		"slices kept":        "x = []\ny = [0] * 60000\nfor i in range(60000):\n  x.append(y[:])\nconfig = dict(a=x)",
		"arguments kept":     "x = []\ny = [0] * 60000\ndef f(*a): return a\nfor i in range(60000):\n  x.append(f(*y))\nconfig = dict(a=x)",
		"keys kept":          "x = []\ny = dict((i, i) for i in range(60000))\nfor i in range(60000):\n  x.append(y.keys())\nconfig = dict(a=x)",
		"copies kept":        "x = []\ny = dict((i, i) for i in range(60000))\nfor i in range(60000):\n  x.append(dict(y))\nconfig = dict(a=x)",
		"texts kept":         "x = []\nfor i in range(60000):\n  x.append('%060000d' % i)\nconfig = dict(a=x)",
		"splits kept":        "x = []\ny = 'a ' * 30000\nfor i in range(60000):\n  x.append(y.split())\nconfig = dict(a=x)",
		"letters":            "x = []\ny = 'a' * 60000\nfor i in range(60000):\n  x.append(list(y))\nconfig = dict(a=x)",
		"numbers":            doublings("x = 7", "x = x * x", 60),
		"shifts":             "x = 1\nfor i in range(60000):\n  x = x << 500\nconfig = dict(a=x)",
		"range":              "config = dict(a=list(range(10000000000)))",
		"range of ranges":    "config = dict(a=[y for x in range(60000) for y in range(60000)])",
		"width":              `config = dict(a="%999999999d" % 1)`,
		"width of a value":   `config = dict(a="%*d" % (999999999, 1))`,
		"precision":          `config = dict(a="%.999999999f" % 1.5)`,
		"many widths":        `config = dict(a=("%9999d" * 60000) % tuple(range(60000)))`,
		"format width":       `config = dict(a="{:999999999}".format(1))`,
		"justify":            `config = dict(a="a".ljust(999999999))`,
		"zfill":              `config = dict(a="a".zfill(999999999))`,
		"replace":            "x = 'a' * 60000\nconfig = dict(a=x.replace('a', x))",
		"join":               "x = 'a' * 60000\nconfig = dict(a=x.join(x))",
		"laughs":             doublings("x = ['ha'] * 10", "x = [x] * 10", 25),
		"laughs as text":     strings.Replace(doublings("x = ['ha'] * 10", "x = [x] * 10", 25), "a=x", "a=str(x)", 1),
		"laughs compared":    doublings("x = ['ha'] * 10\ny = ['ha'] * 10", "x = [x] * 10; y = [y] * 10", 25) + "\nz = x == y",
		"laughs ordered":     doublings("x = ['ha'] * 10\ny = ['ha'] * 10", "x = [x] * 10; y = [y] * 10", 25) + "\nz = x < y",
		"laughs as a key":    doublings("x = ('ha',) * 10", "x = (x,) * 10", 25) + "\nconfig[x] = {x: 1}",
		"laughs in a set":    doublings("x = ('ha',) * 10", "x = (x,) * 10", 25) + "\nz = {x}",
		"loop":               "while True: pass\nconfig = {}",
		"loop of a function": "def f():\n  while True:\n    pass\nf()\nconfig = {}",
		"recursion":          "def f(x): return f(x)\nconfig = dict(a=f(1))",
		"lambda recursion":   "f = lambda g: g(g)\nconfig = dict(a=f(f))",
		"brackets":           "config = " + strings.Repeat("[", 100000) + strings.Repeat("]", 100000),
		"minus":              "config = dict(a=" + strings.Repeat("-", 500000) + "1)",
		"not":                "config = dict(a=" + strings.Repeat("not ", 200000) + "1)",
		"sums":               "config = dict(a=" + strings.Repeat("1+", 400000) + "1)",
		"calls":              "config = dict(a=f" + strings.Repeat("()", 400000) + ")",
		"conditions":         "config = dict(a=" + strings.Repeat("1 if 1 else ", 80000) + "1)",
		"lambdas":            "config = dict(a=" + strings.Repeat("lambda:", 140000) + "1)",
		"elifs":              "if 0: pass\n" + strings.Repeat("elif 0: pass\n", 75000) + "config = {}",
		"strings":            "config = dict(a=" + strings.Repeat("'a'", 300000) + " + b)",
		"colons":             "config = {" + strings.Repeat("1:", 400000) + "1}",
		"digits":             "config = dict(a=" + strings.Repeat("9", 900000) + ")",
		"large file":         "config = {}\n#" + strings.Repeat("x", 2<<20),
		"missing text":       "import nosuch\nx = nosuch.a\n" + strings.Repeat("x = x.b\n", 1000) + "if x: pass\nconfig = {}",
	}
	for name, text := range bombs {
		t.Run(name, func(t *testing.T) {
			var err error
			memory := allocated(func() {
				_, _, err = pyconfig.Read([]pyconfig.File{{Name: "x.py", Text: []byte(text)}}, world)
			})
			if !errors.Is(err, fedmsg.ErrInvalid) {
				t.Errorf("Read = %v, want an error", err)
			}
			if memory > limit {
				t.Errorf("Read made %d MiB, want at most %d", memory>>20, limit>>20)
			}
		})
	}
}
