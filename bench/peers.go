package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// A child is a program that answers one JSON object a line.
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan []byte // closed when the program has ended
}

func start(ctx context.Context, name string, args ...string) (*child, error) {
	c := &child{cmd: exec.CommandContext(ctx, name, args...), lines: make(chan []byte, 16)}
	c.cmd.Stderr = os.Stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	c.stdin = stdin
	go func() {
		defer close(c.lines)
		scan := bufio.NewScanner(stdout)
		for scan.Scan() {
			c.lines <- append([]byte(nil), scan.Bytes()...)
		}
	}()
	return c, nil
}

// next waits for the next answer.
func (c *child) next(wait time.Duration, into any) error {
	select {
	case line, ok := <-c.lines:
		if !ok {
			return errors.Join(fmt.Errorf("%s ended without an answer", c.cmd.Path), c.cmd.Wait())
		}
		if err := json.Unmarshal(line, into); err != nil {
			return fmt.Errorf("%s: answer %q: %w", c.cmd.Path, line, err)
		}
		return nil
	case <-time.After(wait):
		return fmt.Errorf("%s: no answer in %s", c.cmd.Path, wait)
	}
}

func (c *child) tell(format string, args ...any) error {
	_, err := fmt.Fprintf(c.stdin, format+"\n", args...)
	return err
}

func (c *child) stop() {
	c.cmd.Process.Kill()
	for range c.lines { // so that the reader ends
	}
	c.cmd.Wait()
}

// writeMessages writes messages into a file for zpeer: probes first.
func writeMessages(file string, all []*fedmsg.Message) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for _, m := range all {
		for _, frame := range [][]byte{[]byte(m.Topic), m.Bytes()} {
			var length [4]byte
			binary.BigEndian.PutUint32(length[:], uint32(len(frame)))
			w.Write(length[:])
			w.Write(frame)
		}
	}
	return errors.Join(w.Flush(), f.Close())
}

// bound is what a bus, or zpeer in its place, listens on.
type bound struct {
	HTTP          string  `json:"http"`
	RelayInbound  address `json:"relay_inbound"`
	RelayOutbound address `json:"relay_outbound"`
	Gateway       address `json:"gateway"`
}

// An address is a text, or the first of a list.
type address string

func (a *address) UnmarshalJSON(b []byte) error {
	var list []string
	if json.Unmarshal(b, &list) == nil && len(list) > 0 {
		*a = address(list[0])
		return nil
	}
	return json.Unmarshal(b, (*string)(a))
}

// A served bus is a real fedmsg serve.
type served struct {
	cmd   *exec.Cmd
	bound bound
	ready time.Duration // from its start to its addr-file
}

// serve starts the program on free ports and waits until it is ready.
func (l *lab) serve(ctx context.Context, dir string, args ...string) (*served, error) {
	program, err := l.buildProgram(ctx)
	if err != nil {
		return nil, err
	}
	l.made++
	addrs := fmt.Sprintf("%s/addr-%03d", l.dir, l.made)
	cmd := exec.CommandContext(ctx, program, append([]string{
		"serve", "--dir", dir, "--http", "127.0.0.1:0", "--relay-inbound", "tcp://127.0.0.1:0",
		"--relay-outbound", "tcp://127.0.0.1:0", "--gateway", "tcp://127.0.0.1:0", "--addr-file", addrs, "--log-level", "error",
	}, args...)...)
	cmd.Stderr = os.Stderr
	s := &served{cmd: cmd}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for time.Since(start) < 30*time.Second {
		if text, err := os.ReadFile(addrs); err == nil && json.Unmarshal(text, &s.bound) == nil {
			s.ready = time.Since(start)
			return s, nil
		}
		time.Sleep(time.Millisecond)
	}
	s.stop()
	return nil, errors.New("fedmsg serve: not ready after 30s")
}

func (s *served) stop() {
	s.cmd.Process.Signal(os.Interrupt)
	killer := time.AfterFunc(20*time.Second, func() { s.cmd.Process.Kill() })
	defer killer.Stop()
	s.cmd.Wait()
}

// lastSequence asks a bus how far its log goes.
func (s *served) lastSequence(ctx context.Context) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.bound.HTTP+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	scan := bufio.NewScanner(res.Body)
	for scan.Scan() {
		if value, ok := strings.CutPrefix(scan.Text(), "fedmsg_log_last_sequence "); ok {
			var last float64
			_, err := fmt.Sscan(value, &last)
			return int(last), err
		}
	}
	return 0, errors.New("/metrics has no fedmsg_log_last_sequence")
}
