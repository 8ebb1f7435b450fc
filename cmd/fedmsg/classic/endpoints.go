package classic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

const (
	// atOnce is how many endpoints are asked at the same time.
	atOnce = 25
	// mapEvery is how often a map is told to collectd.
	mapEvery = 5 * time.Second
)

// An endpoint is a publisher that is asked whether it is there.
type endpoint struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Active  bool   `json:"active"`
	Reason  string `json:"reason,omitempty"` // why it is not
}

// endpoints are the flags and words of commands that ask endpoints.
type endpoints struct {
	configured
	timeout float64 // seconds for one
	json    bool
}

func (e *endpoints) flags(f *pflag.FlagSet, timeout float64) {
	f.Float64Var(&e.timeout, "timeout", timeout, "give each endpoint so many SECONDS to answer")
	f.BoolVar(&e.json, "json", false, "for programs: one JSON array of objects")
	e.configured.flags(f)
}

// find returns the endpoints that are named, NAME=ADDRESS or ADDRESS, else those of the
// configuration.
func (e *endpoints) find(env Env, named []string) (all []endpoint, err error) {
	if !(e.timeout > 0 && e.timeout <= 3600) {
		return nil, env.Usage(fmt.Errorf("--timeout: %g: must be more than 0 seconds, and an hour at most", e.timeout))
	}
	for _, word := range named {
		name, addr, ok := strings.Cut(word, "=")
		if !ok {
			name, addr = word, word
		}
		if _, err := zmq.ParseAddr(addr); err != nil {
			return nil, env.Usage(err)
		}
		all = append(all, endpoint{Name: name, Address: addr})
	}
	if len(named) > 0 {
		return all, nil
	}
	l, err := e.load(env)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(l.Endpoints)) {
		if name == "relay_inbound" { // it listens, and publishes nothing
			continue
		}
		for _, addr := range l.Endpoints[name] {
			all = append(all, endpoint{Name: name, Address: addr})
		}
	}
	if len(all) == 0 {
		return nil, env.Config(&fedmsg.HintError{Err: errors.New("no endpoints are configured"), Hint: "name some: tcp://HOST:PORT; or configure [endpoints]"})
	}
	return all, nil
}

// probe asks all endpoints.
func (e *endpoints) probe(ctx context.Context, all []endpoint) {
	var wg sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for i := range all {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			limited, cancel := context.WithTimeout(ctx, time.Duration(e.timeout*float64(time.Second)))
			defer cancel()
			err := zmq.Probe(limited, all[i].Address)
			all[i].Active, all[i].Reason = err == nil, why(err)
		})
	}
	wg.Wait()
}

// why says in a few words why an endpoint does not answer.
func why(err error) string {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case err == nil:
		return ""
	case isDNS && dns.IsNotFound:
		return "no such host"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), fedmsg.ReasonOf(err) == fedmsg.HandshakeTimeout:
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, fs.ErrNotExist):
		return "no such file"
	case fedmsg.ReasonOf(err) == zmq.ProtocolError:
		return "not a ZeroMQ publisher"
	}
	return err.Error()
}

// show prints what the flags ask for.
func (e *endpoints) show(env Env, all []endpoint, text func() string) error {
	out := text
	if e.json {
		out = func() string {
			encoded, err := json.MarshalIndent(all, "", "  ")
			if err != nil {
				panic(err) // cannot be: our own structs
			}
			return string(encoded) + "\n"
		}
	}
	_, err := env.Stdout.Write([]byte(out()))
	return err
}

func newMap(env Env) *cobra.Command {
	var e endpoints
	cmd := &cobra.Command{
		Use:   "map [verbose] [ENDPOINT...]",
		Short: "Tell how many of the configured endpoints answer",
		Long: `Connect to every endpoint of the configuration, or to those that are named
(tcp://HOST:PORT, or NAME=tcp://HOST:PORT), and tell how many are there.

With the word verbose it prints a table, with --json all that it found, and ends. Else
it prints the percentage every 5 seconds, as collectd reads it, until it is stopped.`,
		Example: `  fedmsg map verbose

  fedmsg map --json tcp://hub.fedoraproject.org:9940 | jq '.[] | select(.active | not)'`,
	}
	e.flags(cmd.Flags(), 0.2)
	cmd.RunE = func(cmd *cobra.Command, words []string) error {
		verbose := len(words) > 0 && words[0] == "verbose"
		if verbose {
			words = words[1:]
		}
		all, err := e.find(env, words)
		if err != nil {
			return err
		}
		if verbose || e.json {
			e.probe(cmd.Context(), all)
			return e.show(env, all, func() string { return table(env, all) })
		}
		return e.tell(cmd.Context(), env, all)
	}
	return cmd
}

// tell prints the percentage again and again.
func (e *endpoints) tell(ctx context.Context, env Env, all []endpoint) error {
	host, err := env.Hostname()
	if err != nil {
		return fmt.Errorf("the name of this machine: %w", err)
	}
	tick := time.NewTicker(mapEvery)
	defer tick.Stop()
	for {
		e.probe(ctx, all)
		if ctx.Err() == nil {
			if _, err := fmt.Fprintf(env.Stdout, "PUTVAL %s/fedmsg/percent interval=%g %d:%.1f\n", host, mapEvery.Seconds(), time.Now().Unix(), percent(all)); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// percent is the part that is active.
func percent(all []endpoint) float64 {
	active := 0
	for _, at := range all {
		if at.Active {
			active++
		}
	}
	return 100 * float64(active) / float64(len(all))
}

// table has a row for each name.
func table(env Env, all []endpoint) string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "name\tactive\tinactive\tpercent\treason")
	row := func(name string, of []endpoint) {
		active := 0
		var reasons []string
		for _, at := range of {
			if at.Active {
				active++
			} else if !slices.Contains(reasons, at.Reason) {
				reasons = append(reasons, at.Reason)
			}
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%.1f\t%s\n", env.Clean(name), active, len(of)-active, percent(of), env.Clean(strings.Join(reasons, ", ")))
	}
	for rest := all; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Name == rest[0].Name {
			n++
		}
		row(rest[0].Name, rest[:n])
		rest = rest[n:]
	}
	row("total", all)
	_ = w.Flush() // to memory
	var lines []string
	for line := range strings.Lines(b.String()) {
		lines = append(lines, strings.TrimRight(line, " \n")+"\n")
	}
	return strings.Join(lines, "")
}

func newStatus(env Env) *cobra.Command {
	var e endpoints
	cmd := &cobra.Command{
		Use:   "status [ENDPOINT...]",
		Short: "Tell which of the configured endpoints answer",
		Long: `Connect to every endpoint of the configuration, or to those that are named
(tcp://HOST:PORT, or NAME=tcp://HOST:PORT), and print a line for each. It exits with 1
if one does not answer.`,
		Example: `  fedmsg status

  fedmsg status relay=tcp://127.0.0.1:4001 && echo "the relay is up"`,
	}
	e.flags(cmd.Flags(), 2)
	cmd.RunE = func(cmd *cobra.Command, words []string) error {
		all, err := e.find(env, words)
		if err != nil {
			return err
		}
		e.probe(cmd.Context(), all)
		if cmd.Context().Err() != nil {
			return context.Cause(cmd.Context())
		}
		down := 0
		if err := e.show(env, all, func() string {
			var b strings.Builder
			for _, at := range all {
				mark := "  OK  "
				if !at.Active {
					mark = "FAILED"
				}
				b.WriteString(strings.TrimRight(env.Clean(fmt.Sprintf("[%s]  %s %s  %s", mark, at.Name, at.Address, at.Reason)), " ") + "\n")
			}
			return b.String()
		}); err != nil {
			return err
		}
		for _, at := range all {
			if !at.Active {
				down++
			}
		}
		if down > 0 {
			return status{fmt.Errorf("%d of %d endpoints do not answer", down, len(all)), 1}
		}
		return nil
	}
	return cmd
}
