package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Figures of the original fedmsg 1.1.7, measured once on two cores of another
// machine.
const (
	originalLogger = 940 * time.Millisecond
	originalTail   = 870 * time.Millisecond
	originalIdle   = "67 MB"
	originalBurst  = "215 MB"
)

// program measures what one waits for at a terminal, and what the bus weighs.
func program(ctx context.Context, l *lab) error {
	t := newTable(l.out, "The program", "", "ours", "the original (quoted)", "original/ours", "aim")
	defer t.flush()
	return errors.Join(commands(ctx, l, t), weight(ctx, l, t), restart(ctx, l, t))
}

// commands times fedmsg-logger and fedmsg-tail against a running bus.
func commands(ctx context.Context, l *lab, t *table) error {
	dir, err := l.fresh()
	if err != nil {
		return err
	}
	s, err := l.serve(ctx, filepath.Join(dir, "bus"))
	if err != nil {
		return err
	}
	defer s.stop()
	env := append(os.Environ(), "FEDMSG_BUS=http://"+s.bound.HTTP, "HOME="+dir)
	for _, name := range []string{"fedmsg-logger", "fedmsg-tail"} {
		if err := os.Symlink(l.fedmsg, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	timed := func(run func() error) (time.Duration, error) {
		took := make([]time.Duration, 15)
		for i := range took {
			start := time.Now()
			if err := run(); err != nil {
				return 0, err
			}
			took[i] = time.Since(start)
		}
		return percentile(took, .5), nil
	}
	logger, err := timed(func() error {
		cmd := exec.CommandContext(ctx, filepath.Join(dir, "fedmsg-logger"), "--message=hi")
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("fedmsg-logger: %w: %s", err, out)
		}
		return nil
	})
	if err != nil {
		return err
	}
	t.row("fedmsg-logger --message=hi, confirmed on disk", short(logger), short(originalLogger), ratio(originalLogger.Seconds(), logger.Seconds()), "50ms")
	tail, err := timed(func() error { return firstLine(ctx, env, filepath.Join(dir, "fedmsg-tail"), "--after", "0") })
	if err != nil {
		return err
	}
	t.row("fedmsg-tail, to its first line", short(tail), short(originalTail), ratio(originalTail.Seconds(), tail.Seconds()), "100ms")
	return nil
}

// firstLine runs a program until it has printed a line.
func firstLine(ctx context.Context, env []string, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	_, err = bufio.NewReader(stdout).ReadString('\n')
	cancel()
	cmd.Wait() // killed, so its error says nothing
	if err != nil {
		return fmt.Errorf("%s: no line: %w", name, err)
	}
	return nil
}

// weight tells what a bus takes of memory, idle and after 50,000 messages.
func weight(ctx context.Context, l *lab, t *table) error {
	const burst = 50_000
	dir, err := l.fresh()
	if err != nil {
		return err
	}
	s, err := l.serve(ctx, filepath.Join(dir, "bus"))
	if err != nil {
		return err
	}
	defer s.stop()
	time.Sleep(time.Second)
	idle, err := resident(s.cmd.Process.Pid, "VmRSS")
	if err != nil {
		return err
	}
	t.row("serve: resident memory, idle", idle.String(), originalIdle, "", "60 MB")

	pub, err := connectPub(ctx, s.bound)
	if err != nil {
		return err
	}
	all, err := messages(burst, 1024)
	if err != nil {
		return err
	}
	for _, m := range all {
		pub.Send(string(m.Topic), m.Bytes())
	}
	if err := s.waitStored(ctx, burst); err != nil {
		return err
	}
	time.Sleep(time.Second)
	after, err := resident(s.cmd.Process.Pid, "VmRSS")
	if err != nil {
		return err
	}
	peak, err := resident(s.cmd.Process.Pid, "VmHWM")
	if err != nil {
		return err
	}
	t.row("serve: after a burst of 50,000 messages of 1 kB", fmt.Sprintf("%s (peak %s)", after, peak), originalBurst, "", "150 MB")
	return nil
}

// waitStored waits until the log holds n messages.
func (s *served) waitStored(ctx context.Context, n int) error {
	for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(50 * time.Millisecond) {
		last, err := s.lastSequence(ctx)
		if err != nil {
			return err
		}
		if last >= n {
			return nil
		}
	}
	return fmt.Errorf("fewer than %d messages stored after a minute", n)
}

type megabytes float64

func (m megabytes) String() string { return fmt.Sprintf("%.0f MB", float64(m)) }

// resident reads a line of /proc/PID/status that is in kB.
func resident(pid int, name string) (megabytes, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			var kb float64
			_, err := fmt.Sscan(rest, &kb)
			return megabytes(kb * 1024 / 1e6), err
		}
	}
	return 0, fmt.Errorf("no %s in /proc/%d/status", name, pid)
}

// restart times serve until it is ready with a long log, as after a reboot.
func restart(ctx context.Context, l *lab, t *table) error {
	const n = 1_000_000
	dir, err := l.fresh()
	if err != nil {
		return err
	}
	if err := fill(ctx, filepath.Join(dir, "bus"), n, 256); err != nil {
		return fmt.Errorf("fill a log: %w", err)
	}
	s, err := l.serve(ctx, filepath.Join(dir, "bus"))
	if err != nil {
		return err
	}
	defer s.stop()
	idle, err := resident(s.cmd.Process.Pid, "VmRSS")
	if err != nil {
		return err
	}
	t.row(fmt.Sprintf("serve: ready with %s messages in the log", thousands(n)), short(s.ready), "", "", "1s")
	t.row("serve: resident memory then", idle.String(), "", "", "")
	return nil
}
