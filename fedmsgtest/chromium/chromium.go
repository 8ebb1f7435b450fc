// Package chromium is a browser for tests of pages: Debian's Chromium without a
// screen, spoken to in its DevTools protocol over a pipe, so that nothing listens
// and nothing must be installed but the browser. It reaches 127.0.0.1 and files, and no
// other host.
package chromium

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// patience is how long a test waits for one answer of the browser, or for what it
// waits for on a page.
const patience = 30 * time.Second

// Browser is a running browser.
type Browser struct {
	in *os.File

	mu      sync.Mutex
	serial  int
	waiting map[int]chan reply
	pages   map[string]*Page // by session
	gone    error
}

// A reply is what the browser says: an answer if it has an ID, else an event.
type reply struct {
	ID     int
	Method string
	Params json.RawMessage
	Result json.RawMessage
	Error  *struct{ Message string }
	// Session is the page that it is about.
	Session string `json:"sessionId"`
}

// Open starts a browser with a profile of its own, which ends with the test. Without
// one the test ends as [fedmsgtest.MissingPeer] says.
func Open(t testing.TB) *Browser {
	t.Helper()
	program := fedmsgtest.Peer(t, "chromium", "chromium")
	home := t.TempDir()
	toBrowser, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, fromBrowser, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--headless=new", "--remote-debugging-pipe", "--user-data-dir="+filepath.Join(home, "profile"),
		"--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync", "--disable-extensions",
		"--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--force-color-profile=srgb",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "about:blank")
	cmd.ExtraFiles = []*os.File{toBrowser, fromBrowser} // its 3 and 4
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	toBrowser.Close()
	fromBrowser.Close()
	b := &Browser{in: in, waiting: make(map[int]chan reply), pages: make(map[string]*Page)}
	read := make(chan struct{})
	go func() { defer close(read); b.read(out) }()
	t.Cleanup(func() {
		in.Close()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its children are in its group
		_ = cmd.Wait()                                      // it was killed
		out.Close()
		<-read
		if t.Failed() {
			t.Logf("the browser said: %.4000s", said.String())
		}
	})
	return b
}

// read passes on what comes.
func (b *Browser) read(out *os.File) {
	lines := bufio.NewReaderSize(out, 1<<20)
	for {
		text, err := lines.ReadBytes(0)
		if err != nil {
			b.mu.Lock()
			b.gone = err
			for _, c := range b.waiting {
				close(c)
			}
			b.waiting = nil
			b.mu.Unlock()
			return
		}
		var r reply
		if err := json.Unmarshal(text[:len(text)-1], &r); err != nil {
			continue // not for us
		}
		b.mu.Lock()
		c, page := b.waiting[r.ID], b.pages[r.Session]
		delete(b.waiting, r.ID)
		b.mu.Unlock()
		switch {
		case r.ID > 0 && c != nil:
			c <- r
		case r.ID == 0 && page != nil:
			page.take(r)
		}
	}
}

// call asks the browser, or a page of it.
func (b *Browser) call(session, method string, params any) (json.RawMessage, error) {
	b.mu.Lock()
	if b.waiting == nil {
		defer b.mu.Unlock()
		return nil, fmt.Errorf("%s: the browser is gone: %w", method, b.gone)
	}
	b.serial++
	id, c := b.serial, make(chan reply, 1)
	b.waiting[id] = c
	text, err := json.Marshal(map[string]any{"id": id, "method": method, "params": params})
	if session != "" {
		text, err = json.Marshal(map[string]any{"id": id, "method": method, "params": params, "sessionId": session})
	}
	if err == nil {
		_, err = b.in.Write(append(text, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	select {
	case r, ok := <-c:
		switch {
		case !ok:
			return nil, fmt.Errorf("%s: the browser is gone", method)
		case r.Error != nil:
			return nil, fmt.Errorf("%s: %s", method, r.Error.Message)
		}
		return r.Result, nil
	case <-time.After(patience):
		return nil, fmt.Errorf("%s: no answer in %s", method, patience)
	}
}

// Page is a tab of a browser.
type Page struct {
	browser *Browser
	session string

	mu       sync.Mutex
	problems []string
	loads    int
}

// Page opens an empty tab of a size in CSS pixels.
func (b *Browser) Page(t testing.TB, width, height int) *Page {
	t.Helper()
	p := &Page{browser: b}
	var target struct{ TargetID string }
	p.decode(t, &target, "Target.createTarget", map[string]any{"url": "about:blank"})
	var attached struct{ SessionID string }
	p.decode(t, &attached, "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true})
	p.session = attached.SessionID
	b.mu.Lock()
	b.pages[p.session] = p
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		p.Do(t, domain+".enable", nil)
	}
	p.Size(t, width, height)
	return p
}

// Size makes the tab so large, in CSS pixels.
func (p *Page) Size(t testing.TB, width, height int) {
	t.Helper()
	p.Do(t, "Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false})
}

// Dark says whether the reader prefers light on dark.
func (p *Page) Dark(t testing.TB, dark bool) {
	t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	p.Do(t, "Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "prefers-color-scheme", "value": scheme}}})
}

// Scripts says whether the scripts of pages that are loaded from now on run; what a test
// evaluates always does.
func (p *Page) Scripts(t testing.TB, run bool) {
	t.Helper()
	p.Do(t, "Emulation.setScriptExecutionDisabled", map[string]any{"value": !run})
}

// take keeps what a test asks for later.
func (p *Page) take(r reply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.Method {
	case "Page.loadEventFired":
		p.loads++
	case "Runtime.exceptionThrown":
		p.problems = append(p.problems, "exception: "+string(r.Params))
	case "Runtime.consoleAPICalled":
		var call struct{ Type string }
		if json.Unmarshal(r.Params, &call) == nil && (call.Type == "error" || call.Type == "warning") {
			p.problems = append(p.problems, "console: "+string(r.Params))
		}
	case "Network.requestWillBeSent":
		var sent struct{ Request struct{ URL string } }
		if json.Unmarshal(r.Params, &sent) == nil && !isHere(sent.Request.URL) {
			p.problems = append(p.problems, "request to another site: "+sent.Request.URL)
		}
	case "Log.entryAdded": // a violation of a policy, a request that failed
		var added struct {
			Entry struct{ Level, Text, URL string }
		}
		if json.Unmarshal(r.Params, &added) == nil && added.Entry.Level == "error" {
			p.problems = append(p.problems, added.Entry.Text+" "+added.Entry.URL)
		}
	}
}

// isHere reports whether an address is one of this machine.
func isHere(address string) bool {
	return slices.ContainsFunc([]string{"http://127.0.0.1:", "http://localhost:", "file:", "about:", "data:", "blob:"}, func(start string) bool { return strings.HasPrefix(address, start) })
}

// Problems returns what the browser complained of since it was last asked: errors and
// warnings of scripts, violations of the Content-Security-Policy, requests that failed or went to another
// site.
func (p *Page) Problems() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	said := p.problems
	p.problems = nil
	return said
}

// Do calls a method of the DevTools protocol.
func (p *Page) Do(t testing.TB, method string, params any) json.RawMessage {
	t.Helper()
	result, err := p.browser.call(p.session, method, orEmpty(params))
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func orEmpty(params any) any {
	if params == nil {
		return struct{}{}
	}
	return params
}

func (p *Page) decode(t testing.TB, result any, method string, params any) {
	t.Helper()
	if err := json.Unmarshal(p.Do(t, method, params), result); err != nil {
		t.Fatalf("%s: %v", method, err)
	}
}

// Go loads an address and waits until the page is there.
func (p *Page) Go(t testing.TB, url string) {
	t.Helper()
	p.Leave(t, url, func() {
		var went struct{ ErrorText string }
		p.decode(t, &went, "Page.navigate", map[string]any{"url": url})
		if went.ErrorText != "" {
			t.Fatalf("%s: %s", url, went.ErrorText)
		}
	})
}

// Leave does what leads to another page, and waits until that is there; what says in
// a failure what was done.
func (p *Page) Leave(t testing.TB, what string, act func()) {
	t.Helper()
	p.mu.Lock()
	before := p.loads
	p.mu.Unlock()
	act()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		p.mu.Lock()
		loaded := p.loads > before
		p.mu.Unlock()
		if loaded {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: no page is loaded after %s", what, patience)
		}
	}
}

// Eval puts the value of a JavaScript expression, which may be a promise of one,
// into value. An exception ends the test.
func (p *Page) Eval(t testing.TB, expression string, value any) {
	t.Helper()
	var got struct {
		Result    struct{ Value json.RawMessage }
		Exception *struct{ Exception struct{ Description string } } `json:"exceptionDetails"`
	}
	p.decode(t, &got, "Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true})
	if got.Exception != nil {
		t.Fatalf("%s: %s", expression, got.Exception.Exception.Description)
	}
	if got.Result.Value == nil {
		got.Result.Value = json.RawMessage("null")
	}
	if err := json.Unmarshal(got.Result.Value, value); err != nil {
		t.Fatalf("%s = %s: %v", expression, got.Result.Value, err)
	}
}

// Text is the value of an expression that is a string.
func (p *Page) Text(t testing.TB, expression string) string {
	t.Helper()
	var text string
	p.Eval(t, expression, &text)
	return text
}

// Wait waits until an expression is true.
func (p *Page) Wait(t testing.TB, expression string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		var is bool
		p.Eval(t, "!!("+expression+")", &is)
		if is {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not true after %s: %s; the browser says %q", patience, expression, p.Problems())
		}
	}
}

// Press presses and lets go a key by its name, as KeyboardEvent.key has it: Tab,
// Enter, ArrowDown, j.
func (p *Page) Press(t testing.TB, key string) {
	t.Helper()
	codes := map[string]int{"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
	down := map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
	switch {
	case key == "Enter":
		down["text"] = "\r"
	case len(key) == 1:
		down["text"], down["windowsVirtualKeyCode"] = key, int(strings.ToUpper(key)[0])
	}
	p.Do(t, "Input.dispatchKeyEvent", down)
	p.Do(t, "Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": down["windowsVirtualKeyCode"]})
}

// Drag moves the pointer, pressed, from one place to another.
func (p *Page) Drag(t testing.TB, fromX, fromY, toX, toY float64) {
	t.Helper()
	for _, step := range []struct {
		event string
		x, y  float64
		held  int
	}{{"mousePressed", fromX, fromY, 1}, {"mouseMoved", (fromX + toX) / 2, fromY, 1}, {"mouseMoved", toX, toY, 1}, {"mouseReleased", toX, toY, 0}} {
		p.Do(t, "Input.dispatchMouseEvent", map[string]any{"type": step.event, "x": step.x, "y": step.y, "button": "left", "buttons": step.held, "clickCount": 1})
	}
}

// Screenshot returns what is seen, as a PNG. It also writes it to the folder that
// FEDMSG_SCREENSHOTS names, if it does, as NAME.png.
func (p *Page) Screenshot(t testing.TB, name string) []byte {
	t.Helper()
	var shot struct{ Data string }
	p.decode(t, &shot, "Page.captureScreenshot", map[string]any{"format": "png"})
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("FEDMSG_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return png
}
