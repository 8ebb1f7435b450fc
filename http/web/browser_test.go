package web_test

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// A browser is a Chromium that is told what to do over a pair of pipes, in the
// DevTools protocol: JSON texts with a zero byte behind each.
type browser struct {
	t   testing.TB
	cmd *exec.Cmd
	in  *os.File

	mu      sync.Mutex
	next    int
	answers map[int]chan answer
	tabs    map[string]*tab
}

type answer struct {
	ID        int
	SessionID string
	Method    string
	Result    json.RawMessage
	Params    json.RawMessage
	Error     *struct{ Message string }
}

// A tab is one page of a browser.
type tab struct {
	*browser
	session string

	mu       sync.Mutex
	loaded   chan struct{}
	problems []string
}

// patience is how long a browser may take for one thing.
const patience = 30 * time.Second

// openBrowser starts Chromium, or ends the test as [fedmsgtest.Peer] does.
func openBrowser(t testing.TB) *browser {
	t.Helper()
	path := fedmsgtest.Peer(t, "chromium", "chromium")
	toIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, toOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--headless=new", "--remote-debugging-pipe", "--user-data-dir=" + t.TempDir(), "--no-first-run", "--disable-gpu",
		"--disable-dev-shm-usage", "--hide-scrollbars", "--disable-extensions", "--disable-background-networking", "--lang=en"}
	if os.Getuid() == 0 {
		args = append(args, "--no-sandbox")
	}
	b := &browser{t: t, in: in, answers: make(map[int]chan answer), tabs: make(map[string]*tab)}
	b.cmd = exec.Command(path, args...)
	b.cmd.ExtraFiles = []*os.File{toIn, toOut}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = toIn.Close(), toOut.Close()
	go b.read(out)
	t.Cleanup(func() {
		b.call("", "Browser.close", nil, nil)
		_ = in.Close()
		ended := make(chan struct{})
		go func() { _ = b.cmd.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = b.cmd.Process.Kill()
			<-ended
		}
	})
	return b
}

// read passes on what the browser says.
func (b *browser) read(out *os.File) {
	r := bufio.NewReaderSize(out, 1<<20)
	for {
		text, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var a answer
		if json.Unmarshal(bytes.TrimSuffix(text, []byte{0}), &a) != nil {
			continue
		}
		b.mu.Lock()
		ch, tb := b.answers[a.ID], b.tabs[a.SessionID]
		delete(b.answers, a.ID)
		b.mu.Unlock()
		if a.ID != 0 && ch != nil {
			ch <- a
		} else if tb != nil {
			tb.event(a)
		}
	}
}

// call asks the browser for something. A failure ends the test unless result is nil.
func (b *browser) call(session, method string, params, result any) {
	b.t.Helper()
	ch := make(chan answer, 1)
	b.mu.Lock()
	b.next++
	id := b.next
	b.answers[id] = ch
	text, _ := json.Marshal(map[string]any{"id": id, "method": method, "params": cmp.Or[any](params, map[string]any{}), "sessionId": session})
	if session == "" {
		text, _ = json.Marshal(map[string]any{"id": id, "method": method, "params": cmp.Or[any](params, map[string]any{})})
	}
	_, err := b.in.Write(append(text, 0))
	b.mu.Unlock()
	if err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	select {
	case a := <-ch:
		if a.Error != nil {
			b.t.Fatalf("%s: %s", method, a.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(a.Result, result); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
		}
	case <-time.After(patience):
		b.t.Fatalf("%s: no answer in %s", method, patience)
	}
}

type params = map[string]any

// open opens a tab of a size.
func (b *browser) open(width, height int, dark, scripts bool) *tab {
	b.t.Helper()
	var made struct{ TargetID, SessionID string }
	b.call("", "Target.createTarget", params{"url": "about:blank"}, &made)
	b.call("", "Target.attachToTarget", params{"targetId": made.TargetID, "flatten": true}, &made)
	tb := &tab{browser: b, session: made.SessionID, loaded: make(chan struct{}, 16)}
	b.mu.Lock()
	b.tabs[made.SessionID] = tb
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		tb.do(domain+".enable", nil)
	}
	tb.do("Emulation.setDeviceMetricsOverride", params{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
	scheme := map[bool]string{true: "dark", false: "light"}[dark]
	tb.do("Emulation.setEmulatedMedia", params{"features": []any{params{"name": "prefers-color-scheme", "value": scheme}}})
	tb.do("Emulation.setScriptExecutionDisabled", params{"value": !scripts})
	b.t.Cleanup(func() { b.call("", "Target.closeTarget", params{"targetId": made.TargetID}, nil) })
	return tb
}

func (tb *tab) do(method string, p params) {
	tb.t.Helper()
	tb.call(tb.session, method, p, nil)
}

// event remembers what is wrong with a page, and when it is there.
func (tb *tab) event(a answer) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	var p struct {
		Type             string
		ExceptionDetails json.RawMessage
		Entry            struct{ Level, Text, URL string }
		Response         struct {
			URL    string
			Status int
		}
	}
	_ = json.Unmarshal(a.Params, &p)
	switch a.Method {
	case "Page.loadEventFired":
		select {
		case tb.loaded <- struct{}{}:
		default:
		}
	case "Runtime.exceptionThrown":
		tb.problems = append(tb.problems, "exception: "+string(p.ExceptionDetails))
	case "Runtime.consoleAPICalled":
		if p.Type == "error" || p.Type == "warning" {
			tb.problems = append(tb.problems, "console: "+string(a.Params))
		}
	case "Log.entryAdded":
		if p.Entry.Level == "error" {
			tb.problems = append(tb.problems, "log: "+p.Entry.Text+" "+p.Entry.URL)
		}
	case "Network.requestWillBeSent":
		var sent struct{ Request struct{ URL string } }
		_ = json.Unmarshal(a.Params, &sent)
		if u := sent.Request.URL; !strings.HasPrefix(u, "http://127.0.0.1:") && !strings.HasPrefix(u, "about:") && !strings.HasPrefix(u, "data:") {
			tb.problems = append(tb.problems, "request to another site: "+u)
		}
	}
}

// goTo loads an address and waits until it is there.
func (tb *tab) goTo(address string) {
	tb.t.Helper()
	tb.drain()
	tb.do("Page.navigate", params{"url": address})
	tb.wait()
}

func (tb *tab) drain() {
	for {
		select {
		case <-tb.loaded:
		default:
			return
		}
	}
}

func (tb *tab) wait() {
	tb.t.Helper()
	select {
	case <-tb.loaded:
	case <-time.After(patience):
		tb.t.Fatalf("the page did not load in %s", patience)
	}
}

// eval returns what a script says, as text.
func (tb *tab) eval(script string) string {
	tb.t.Helper()
	var r struct {
		Result           struct{ Value any }
		ExceptionDetails json.RawMessage
	}
	tb.call(tb.session, "Runtime.evaluate", params{"expression": script, "returnByValue": true, "awaitPromise": true}, &r)
	if r.ExceptionDetails != nil {
		tb.t.Fatalf("%s: %s", script, r.ExceptionDetails)
	}
	return fmt.Sprint(r.Result.Value)
}

// until waits for a script to say true.
func (tb *tab) until(script string) {
	tb.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if tb.eval(script) == "true" {
			return
		}
	}
	tb.t.Fatalf("never true: %s", script)
}

// press presses a key; leads says that another page follows.
func (tb *tab) press(key string, leads bool) {
	tb.t.Helper()
	tb.drain()
	p := params{"type": "keyDown", "key": key, "text": key}
	switch key {
	case "Enter":
		p["text"], p["windowsVirtualKeyCode"], p["code"] = "\r", 13, "Enter"
	case "Tab", "ArrowDown", "Escape":
		p["text"], p["windowsVirtualKeyCode"], p["code"] = "", map[string]int{"Tab": 9, "ArrowDown": 40, "Escape": 27}[key], key
	case " ":
		p["code"], p["windowsVirtualKeyCode"] = "Space", 32
	}
	tb.do("Input.dispatchKeyEvent", p)
	tb.do("Input.dispatchKeyEvent", params{"type": "keyUp", "key": key})
	if leads {
		tb.wait()
	}
}

// drag moves the pointer, pressed, from one place to another.
func (tb *tab) drag(x1, y1, x2, y2 float64) {
	tb.t.Helper()
	tb.drain()
	tb.do("Input.dispatchMouseEvent", params{"type": "mousePressed", "x": x1, "y": y1, "button": "left", "buttons": 1, "clickCount": 1})
	tb.do("Input.dispatchMouseEvent", params{"type": "mouseMoved", "x": (x1 + x2) / 2, "y": y1, "button": "left", "buttons": 1})
	tb.do("Input.dispatchMouseEvent", params{"type": "mouseMoved", "x": x2, "y": y2, "button": "left", "buttons": 1})
	tb.do("Input.dispatchMouseEvent", params{"type": "mouseReleased", "x": x2, "y": y2, "button": "left", "clickCount": 1})
	tb.wait()
}

// picture takes a picture of the page, from the top so high at most.
func (tb *tab) picture(file string, width, height int) {
	tb.t.Helper()
	var r struct{ Data string }
	tb.call(tb.session, "Page.captureScreenshot", params{"format": "png", "captureBeyondViewport": true,
		"clip": params{"x": 0, "y": 0, "width": width, "height": height, "scale": 1}}, &r)
	data, err := base64.StdEncoding.DecodeString(r.Data)
	if err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		tb.t.Fatal(err)
	}
}

// healthy fails if the page had anything to complain about.
func (tb *tab) healthy(what string) {
	tb.t.Helper()
	tb.mu.Lock()
	defer tb.mu.Unlock()
	for _, p := range tb.problems {
		tb.t.Errorf("%s: %s", what, p)
	}
	tb.problems = nil
}
