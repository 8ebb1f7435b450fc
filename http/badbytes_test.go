package http_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func (b *badRig) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// announced is a request whose body is not what its header says.
func (b *badRig) announced(c badCase) []byte {
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\n", c.Input.Method, b.expand(string(c.Input.Path)), b.Addr())
	for name, value := range c.Input.Headers {
		head.WriteString(name + ": " + b.expand(string(value)) + "\r\n")
	}
	return append([]byte(head.String()+"\r\n"), c.Input.Body...)
}

// runBytes sends bytes that are no good request.
func (b *badRig) runBytes(t *testing.T, c badCase, raw []byte) {
	if testing.Short() && !bytes.Contains(raw, []byte("\n")) {
		t.Skip("waits for the header's deadline")
	}
	conn := b.dial(t)
	defer conn.Close()
	go func() { _, _ = conn.Write(raw) }() // the server may have enough before the end
	if err := conn.SetReadDeadline(time.Now().Add(15 * time.Second)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(conn)
	resp, err := nethttp.ReadResponse(lines, nil)
	if err != nil {
		if c.Must.Outcome != "either" || os.IsTimeout(err) {
			t.Errorf("no answer: %v", err)
		}
		return
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil && c.Name != "header-1mib" { // there a reset may overtake the text
		t.Error(err)
	}
	if c.Must.Outcome == "either" {
		if resp.StatusCode != 400 {
			t.Errorf("status %d, want 400 or nothing", resp.StatusCode)
		}
		return
	}
	c.check(t, resp, body)
	if c.Must.Connection == "closed" {
		if rest, err := io.ReadAll(lines); len(rest) > 0 || os.IsTimeout(err) {
			t.Errorf("after the answer came %q, %v; want the end of the connection", rest, err)
		}
	}
}

func (b *badRig) runSlowly(t *testing.T, c badCase) {
	conn := b.dial(t)
	defer conn.Close()
	if _, err := io.WriteString(conn, c.Input.Slow.Send); err != nil {
		t.Fatal(err)
	}
	stop := time.AfterFunc(time.Duration(c.Must.Within)*time.Second, func() { conn.Close() })
	defer stop.Stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(time.Second); ; <-tick.C {
			if _, err := conn.Write([]byte{'a'}); err != nil {
				return
			}
		}
	}()
	_, _ = io.ReadAll(conn) // an answer, or none, but the end
	if !stop.Stop() {
		t.Errorf("the connection is open after %d s", c.Must.Within)
	}
	conn.Close()
	<-done
}

func (b *badRig) runIdle(t *testing.T, c badCase) {
	conns := make([]net.Conn, c.Input.Idle)
	for i := range conns {
		conns[i] = b.dial(t)
		defer conns[i].Close()
	}
	b.control(t)
	end := time.Now().Add(time.Duration(c.Must.Within) * time.Second)
	for i, conn := range conns {
		if err := conn.SetReadDeadline(end); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(conn); os.IsTimeout(err) {
			t.Fatalf("connection %d is open after %d s", i, c.Must.Within)
		}
	}
}
