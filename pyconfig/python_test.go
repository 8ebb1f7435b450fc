package pyconfig_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/pyconfig"
)

// judge is the original's way to read a folder: each file is run, and the
// dictionaries are merged, tables key by key. It answers one line of JSON for each
// line of {file: text}: the merged configuration, or the error of a file.
const judge = `
import io, json, os, socket, sys, warnings
warnings.simplefilter("ignore")
socket.gethostname = lambda: "app01"
socket.getfqdn = lambda *a: "app01.example.org"
os.getcwd = lambda: "/srv"
os.environ.clear()
os.environ["DEPLOYMENT"] = "staging"

def merge(into, new):
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value

def listed(value):
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=lambda v: json.dumps(v))
    raise TypeError(type(value))

out, sys.stdout = sys.stdout, io.StringIO()
for line in sys.stdin:
    config = {}
    try:
        for name, text in json.loads(line).items():
            space = {}
            exec(compile(text.encode(), name, "exec"), space)
            merge(config, space["config"])
        answer = json.dumps({"config": config}, default=listed, allow_nan=False)
    except BaseException as e:
        answer = json.dumps({"error": "%s: %s" % (type(e).__name__, e)})
    out.write(answer + "\n")
`

// world is what judge's programs see.
var world = pyconfig.Config{
	Hostname: "app01", FQDN: "app01.example.org", Dir: "/srv", Environ: map[string]string{"DEPLOYMENT": "staging"},
}

// An answer is what CPython makes of a folder.
type answer struct {
	Config json.RawMessage
	Error  string
}

// ask has CPython read folders: files by name.
func ask(t *testing.T, folders []map[string]string) []answer {
	t.Helper()
	python := fedmsgtest.Peer(t, "python3", "python3")
	var in bytes.Buffer
	enc := json.NewEncoder(&in)
	for _, folder := range folders {
		if err := enc.Encode(folder); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), python, "-I", "-c", judge)
	cmd.Stdin = &in
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3: %v: %s", err, stderr.String())
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	answers := make([]answer, len(folders))
	for i := range answers {
		if err := dec.Decode(&answers[i]); err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
	}
	return answers
}

func sortedFiles(folder map[string]string) (files []pyconfig.File) {
	for _, name := range slices.Sorted(maps.Keys(folder)) {
		files = append(files, pyconfig.File{Name: name, Text: []byte(folder[name])})
	}
	return files
}

// verdict compares what we read with what CPython reads: "" if they agree.
func verdict(values pyconfig.Value, err error, python answer) string {
	switch {
	case python.Error != "" && err == nil:
		text, _ := values.MarshalJSON()
		return fmt.Sprintf("Read gives %s, CPython fails: %s", text, python.Error)
	case python.Error != "":
		return ""
	case err != nil:
		return fmt.Sprintf("Read fails: %v, CPython gives %s", err, python.Config)
	}
	differences, err := pyconfig.Compare(values, python.Config)
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, d := range differences {
		lines = append(lines, fmt.Sprintf("%s: %s, CPython %s", d.Path, d.Ours, d.Theirs))
	}
	return strings.Join(lines, "\n")
}
