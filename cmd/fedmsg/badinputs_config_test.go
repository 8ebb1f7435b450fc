package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// configCase is one line of config.jsonl.
type configCase struct {
	Name  string
	Input struct {
		Filename, Text string
		TextB64        []byte `json:"text_b64"`
		Mode, Via, Cmd string
		Gen            struct {
			MB int `json:"repeat_text_to_mb"`
		}
		Also        map[string]string
		IsDirectory bool `json:"is_directory"`
	}
	Must struct {
		Outcome         string
		Allowed         []string
		Exit            int
		StderrHas       string   `json:"stderr_has"`
		StderrHasNot    string   `json:"stderr_must_not_contain"`
		StdoutHasNot    []string `json:"stdout_must_not_contain"`
		FileMustNot     string   `json:"file_must_not_exist"`
		MaxSeconds      int      `json:"max_s"`
		MaxRSS          int      `json:"max_rss_mb"`
		Imported, Value map[string]any
		ImportedFor     string `json:"imported_with_hostname"`
		Provenance      string
		ValueAbsent     string `json:"value_absent"`
	}
}

// write writes the files of a case into a directory, and returns it.
func (c *configCase) write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	text := c.Input.Text
	if c.Input.TextB64 != nil {
		text = string(c.Input.TextB64)
	}
	if n := c.Input.Gen.MB << 20; n > 0 {
		text = strings.Repeat(text, n/len(text)+1)
	}
	if strings.Contains(text, "{dir-with-0644-key}") {
		keys := t.TempDir()
		if err := os.WriteFile(filepath.Join(keys, "bus.key"), []byte("-----BEGIN PRIVATE KEY-----\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, "{dir-with-0644-key}", keys)
	}
	mode := os.FileMode(0o600)
	if c.Input.Mode != "" {
		bits, err := strconv.ParseUint(c.Input.Mode, 8, 32)
		if err != nil {
			t.Fatal(err)
		}
		mode = os.FileMode(bits)
	}
	file := filepath.Join(dir, c.Input.Filename)
	if c.Input.IsDirectory {
		if err := os.Mkdir(file, 0o700); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for name, text := range c.Input.Also {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil { // beyond what umask leaves
		t.Fatal(err)
	}
	return dir
}

// TestBadInputsConfig checks or imports every hostile configuration. Those that need
// a running bus are in TestBadInputsConfigServe.
func TestBadInputsConfig(t *testing.T) {
	ran := 0
	for _, c := range fedmsgtest.Rows[configCase](t, filepath.Join(fedmsgtest.BadInputDir(t), "config.jsonl")) {
		if c.Input.Via != "" || c.Input.Cmd == "serve" {
			continue
		}
		ran++
		t.Run(c.Name, func(t *testing.T) { c.run(t) })
	}
	if ran < 50 {
		t.Errorf("%d cases, want 50", ran)
	}
}

func (c *configCase) run(t *testing.T) {
	dir, pwned := c.write(t), filepath.Join(t.TempDir(), "pwned")
	t.Setenv("PWNED", pwned)
	env := map[string]string{"FEDMSG_CONFIG": dir}
	args := []string{"config", "check"}
	made := filepath.Join(t.TempDir(), "made.toml")
	switch {
	case filepath.Ext(c.Input.Filename) == ".py":
		args = []string{"config", "import", dir, "--hostname", "app01", "-o", made}
	case c.Input.Cmd != "":
		args = strings.Fields(c.Input.Cmd)
	}
	resident, begin := residentMB(t), time.Now()
	got := fedmsgWith(t, new(fakeBus), "", env, args...)
	if grown := residentMB(t) - resident; c.Must.MaxRSS > 0 && grown > c.Must.MaxRSS/2+raceOverheadMB {
		t.Errorf("memory grew by %d MiB", grown)
	}
	if took := time.Since(begin); c.Must.MaxSeconds > 0 && took > time.Duration(c.Must.MaxSeconds*slowdown)*time.Second {
		t.Errorf("took %s", took)
	}
	if c.Must.Outcome != "either" && got.status != c.Must.Exit || c.Must.Outcome == "either" && !slices.Contains([]int{0, 78}, got.status) {
		t.Errorf("exit %d, want %d: %s", got.status, c.Must.Exit, got.stderr)
	}
	if !strings.Contains(got.stderr, c.Must.StderrHas) || c.Must.StderrHasNot != "" && strings.Contains(got.stderr, c.Must.StderrHasNot) {
		t.Errorf("stderr %q, want %q and not %q", got.stderr, c.Must.StderrHas, c.Must.StderrHasNot)
	}
	for _, secret := range append(c.Must.StdoutHasNot, c.Must.ValueAbsent) {
		if secret != "" && strings.Contains(got.stdout, secret) {
			t.Errorf("stdout has %q: %s", secret, got.stdout)
		}
	}
	if _, err := os.Stat(pwned); err == nil {
		t.Error("the file was run")
	}
	if warned := c.Must.Outcome == "warning"; warned && got.stderr == "" {
		t.Error("no warning")
	}
	fedmsgtest.NoControls(t, got.stderr)
	c.checkValues(t, dir)
}

// checkValues compares what came of the files.
func (c *configCase) checkValues(t *testing.T, dir string) {
	want, args := c.Must.Value, []string{"config", "--disable-defaults"}
	if c.Must.Imported != nil {
		want, args = c.Must.Imported, []string{"config", "import", dir, "--json"}
	}
	if host := c.Must.ImportedFor; host != "" {
		want, args = map[string]any{"certnames": map[string]any{"shell." + host: "shell-x"}}, []string{"config", "import", dir, "--json", "--hostname", host + ".example.org"}
	}
	env := map[string]string{"FEDMSG_CONFIG": dir}
	if len(want) > 0 {
		var values map[string]any
		shown := fedmsgWith(t, new(fakeBus), "", env, args...)
		if err := json.Unmarshal([]byte(shown.stdout), &values); err != nil {
			t.Fatalf("%v: %+v", err, shown)
		}
		for key, value := range want {
			if !reflect.DeepEqual(values[key], value) {
				t.Errorf("%s is %v, want %v", key, values[key], value)
			}
		}
	}
	shown := fedmsgWith(t, new(fakeBus), "", env, "config", "show", "--origin")
	if c.Must.Provenance != "" && !regexp.MustCompile(`(?m)^environment = .*`+regexp.QuoteMeta(c.Must.Provenance)).MatchString(shown.stdout) {
		t.Errorf("environment is not from %s: %s", c.Must.Provenance, shown.stdout)
	}
	if c.Must.ValueAbsent != "" && strings.Contains(shown.stdout, c.Must.ValueAbsent) {
		t.Errorf("%s is there: %s", c.Must.ValueAbsent, shown.stdout)
	}
}
