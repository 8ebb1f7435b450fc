// Command bench measures the bus beside a floor or a peer, and prints both with
// their ratio: what a disk can do at best, libzmq written in C, an embedded
// JetStream that syncs each write. Everything runs on this machine, over
// loopback, one thing at a time.
//
//	go run .            all parts, some ten minutes on two cores
//	go run . fanout     one part
//	go run . -messages 10000000 history
//
// It is a module of its own, so that its peers are not among the dependencies of
// who uses ours. Figures from different machines, or from a busy one, cannot be
// compared; the ratios of one run can.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A part is one group of measurements.
type part struct {
	name string
	run  func(ctx context.Context, l *lab) error
}

var parts = []part{
	{"durable", durable},
	{"relay", relay},
	{"fanout", fanout},
	{"http", overHTTP},
	{"program", program},
	{"words", words},
	{"history", history},
}

func main() {
	publisher := flag.Int("publisher", -1, "be the publisher of the part fanout, with that many messages queued for a subscriber at most")
	program := flag.String("program", "", "measure this `FILE` instead of building cmd/fedmsg, an older release perhaps")
	few := flag.Int("messages", cmp.Or(number(os.Getenv("BENCH_MESSAGES")), 1_000_000), "`HOW MANY` messages the part history makes; the environment's BENCH_MESSAGES says so, too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *publisher >= 0 {
		err = bePublisher(ctx, *publisher, os.Stdin, os.Stdout)
	} else {
		err = run(ctx, *program, *few, flag.Args(), os.Stdout)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		stop()
		os.Exit(1)
	}
}

// number reads a number; 0 if it is none.
func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

func run(ctx context.Context, program string, messages int, names []string, out io.Writer) error {
	chosen := parts
	if len(names) > 0 {
		chosen = nil
		for _, name := range names {
			for _, p := range parts {
				if p.name == name {
					chosen = append(chosen, p)
				}
			}
		}
		if len(chosen) != len(names) {
			return fmt.Errorf("no part of that name among %q; there are durable, relay, fanout, http, program, words and history", names)
		}
	}
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	// Beside the sources, since /tmp may be memory, on which a sync costs nothing.
	dir, err := os.MkdirTemp(here, "work-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	l := &lab{dir: dir, out: out, fedmsg: program, messages: messages}
	fmt.Fprintf(out, "%s, %s, %d processors, %s\n", time.Now().UTC().Format(time.DateTime), runtime.Version(), runtime.NumCPU(), processor())
	var errs []error
	for _, p := range chosen {
		start := time.Now()
		if err := p.run(ctx, l); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
			fmt.Fprintf(out, "%s: cut short: %v\n", p.name, err)
		}
		fmt.Fprintf(out, "(%s took %s)\n", p.name, time.Since(start).Round(time.Second))
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// processor returns the name of the machine's processor, as Linux tells it.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// A lab is where parts work: a folder, and the programs that they share.
type lab struct {
	dir    string
	out    io.Writer
	made   int
	zpeer  string
	fedmsg string
	// messages is how many the part history makes.
	messages int
}

// fresh makes an empty folder.
func (l *lab) fresh() (string, error) {
	l.made++
	dir := filepath.Join(l.dir, fmt.Sprintf("%03d", l.made))
	return dir, os.Mkdir(dir, 0o700)
}

// compilePeer builds peers/zpeer.c, once.
func (l *lab) compilePeer(ctx context.Context) (string, error) {
	if l.zpeer != "" {
		return l.zpeer, nil
	}
	to := filepath.Join(l.dir, "zpeer")
	if out, err := exec.CommandContext(ctx, "cc", "-O2", "-o", to, "peers/zpeer.c", "-lzmq", "-lpthread").CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile peers/zpeer.c (apt-get install gcc libzmq3-dev): %w: %s", err, out)
	}
	l.zpeer = to
	return to, nil
}

// buildProgram builds cmd/fedmsg as it is released, once.
func (l *lab) buildProgram(ctx context.Context) (string, error) {
	if l.fedmsg != "" {
		return l.fedmsg, nil
	}
	to := filepath.Join(l.dir, "fedmsg")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", to, "./cmd/fedmsg")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build cmd/fedmsg: %w: %s", err, out)
	}
	l.fedmsg = to
	return to, nil
}
