package main

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// programs are the names that scripts call the program by.
var programs = strings.Fields("fedmsg fedmsg-logger fedmsg-tail fedmsg-publish fedmsg-announce fedmsg-check fedmsg-collectd fedmsg-dg-replay" +
	" fedmsg-map fedmsg-status fedmsg-hub fedmsg-irc fedmsg-trigger fedmsg-frobnicate datanommer-stats")

func TestMain(m *testing.M) {
	all := make(map[string]func())
	for _, name := range programs {
		all[name] = main
	}
	testscript.Main(m, all)
}

// released returns a directory with the program as it is released. Built with the race
// detector each call of it takes ten times as long, and scripts call it hundreds of times;
// what they call runs with the detector in other tests.
func released(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", filepath.Join(dir, programs[0]), ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, name := range programs[1:] {
		if err := os.Symlink(programs[0], filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestScript runs testdata/script/*.txtar. To run one: go test -run Script/tail.
func TestScript(t *testing.T) {
	path := os.Getenv("PATH")
	if slowdown > 1 {
		path = released(t) + string(filepath.ListSeparator) + path
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("FEDMSG_CONFIG", e.WorkDir+"/fedmsg.d") // not this machine's
			if err := os.Mkdir(e.WorkDir+"/fedmsg.d", 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			e.Setenv("PATH", path)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"wait4file": wait4file,
			"wait4text": wait4text,
			"wait4get":  wait4get,
		},
	})
}

// wait4file FILE KEY VARIABLE waits for a file that serve writes when it is
// ready, and puts the address under KEY into a variable.
func wait4file(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: wait4file FILE KEY VARIABLE")
	}
	var text []byte
	wait(ts, args[0], func() (ok bool) {
		var err error
		text, err = os.ReadFile(ts.MkAbs(args[0]))
		return err == nil
	})
	var addrs map[string]string
	ts.Check(json.Unmarshal(text, &addrs))
	if addrs[args[1]] == "" {
		ts.Fatalf("%s: no %s in %s", args[0], args[1], text)
	}
	ts.Setenv(args[2], addrs[args[1]])
}

// wait4text FILE waits until a file has some text.
func wait4text(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: wait4text FILE")
	}
	wait(ts, args[0], func() bool {
		info, err := os.Stat(ts.MkAbs(args[0]))
		return err == nil && info.Size() > 0
	})
}

// wait4get URL RE waits until the answer to a GET, whatever its status, matches a
// regular expression.
func wait4get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: wait4get URL RE")
	}
	re, err := regexp.Compile(args[1])
	ts.Check(err)
	client := http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	var body []byte
	defer func() { ts.Logf("GET %s: %s", args[0], body) }()
	wait(ts, args[1], func() bool {
		resp, err := client.Get(args[0])
		ts.Check(err)
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		return err == nil && re.Match(body)
	})
}

func wait(ts *testscript.TestScript, what string, ok func() bool) {
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("%s: not there after 20 s", what)
		}
	}
}
