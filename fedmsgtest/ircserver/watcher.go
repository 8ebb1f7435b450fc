package ircserver

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// A Watcher is a person on a server, who keeps every line that comes.
type Watcher struct {
	t     testing.TB
	conn  net.Conn
	mu    sync.Mutex
	lines []string // with their ends
}

// Watch connects a person to a server, and waits for the welcome.
func Watch(t testing.TB, address, nick string) *Watcher {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	w := &Watcher{t: t, conn: conn}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.read()
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
		if t.Failed() {
			t.Logf("%s got %.3000q", nick, w.lines)
		}
	})
	w.Send("NICK %s", nick)
	w.Send("USER %s 0 * :%s", nick, nick)
	w.Await("welcome", " 001 "+nick)
	return w
}

func (w *Watcher) read() {
	r := bufio.NewReader(w.conn)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if token, ok := strings.CutPrefix(line, "PING "); ok {
			_, _ = fmt.Fprintf(w.conn, "PONG %s", token)
		}
		w.mu.Lock()
		w.lines = append(w.lines, line)
		w.mu.Unlock()
	}
}

// Send sends a line.
func (w *Watcher) Send(format string, args ...any) {
	if _, err := fmt.Fprintf(w.conn, format+"\r\n", args...); err != nil {
		w.t.Errorf("watcher: %v", err)
	}
}

// Lines returns the lines that came and hold a text.
func (w *Watcher) Lines(text string) (found []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range w.lines {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// Await waits until a line with a text has come, and returns the newest.
func (w *Watcher) Await(what, text string) string {
	w.t.Helper()
	fedmsgtest.Eventually(w.t, time.Minute, what, func() bool { return len(w.Lines(text)) > 0 })
	found := w.Lines(text)
	return found[len(found)-1]
}
