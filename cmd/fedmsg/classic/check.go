package classic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// A check asks a hub how its parts are.
type check struct {
	configured
	bus, socket          string
	timeout              float64 // seconds
	consumers, producers []string
}

func newCheck(env Env) *cobra.Command {
	var c check
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Ask a hub whether its readers and ways in are there",
		Long: `Ask a hub how its consumers (what reads) and producers (what speaks) are. A hub of
fedmsg 1.x is asked at its monitoring socket, for the next of its reports; so is a bus
of ours if moksha.monitoring.socket is configured. With --bus it is asked over HTTP.

Without names it prints all of them; with names it exits with 1 unless all of these are
there and initialized.`,
		Example: `  fedmsg check --bus http://127.0.0.1:8330

  # a hub of old, in a script of a monitoring system
  fedmsg check --socket ipc:///var/run/fedmsg/monitoring-fedmsg-hub.socket -c Nommer -p MonitoringProducer`,
		Args: noArguments(env),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context(), env) },
	}
	f := cmd.Flags()
	f.StringArrayVarP(&c.consumers, "consumer", "c", nil, "NAME of a consumer that must be there; may be given often")
	f.StringArrayVarP(&c.producers, "producer", "p", nil, "NAME of a producer that must be there; may be given often")
	f.Float64Var(&c.timeout, "timeout", 10, "wait so many SECONDS for a report")
	f.StringVar(&c.socket, "socket", "", "ask at ADDRESS, ipc://FILE or tcp://HOST:PORT (default: moksha.monitoring.socket of the configuration)")
	f.StringVar(&c.bus, "bus", "", "ask the bus at URL, http://HOST:PORT")
	c.flags(f)
	return cmd
}

func (c *check) run(ctx context.Context, env Env) error {
	if !(c.timeout > 0 && c.timeout <= 86400) {
		return env.Usage(fmt.Errorf("--timeout: %g: must be more than 0 seconds, and a day at most", c.timeout))
	}
	if c.bus != "" && c.socket != "" {
		return env.Usage(errors.New("--bus and --socket do not go together"))
	}
	limited, cancel := context.WithTimeoutCause(ctx, time.Duration(c.timeout*float64(time.Second)), errNoReport)
	defer cancel()
	report, err := c.ask(limited, env)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	return c.judge(env, report)
}

var errNoReport = errors.New("no report came in time")

// ask returns the text of a report.
func (c *check) ask(ctx context.Context, env Env) ([]byte, error) {
	if c.bus != "" {
		return env.Ask(ctx, c.bus, "/api/v1/monitoring")
	}
	if c.socket == "" {
		l, err := c.load(env)
		if err != nil {
			return nil, err
		}
		c.socket = l.MonitoringSocket
	}
	if c.socket == "" {
		return nil, status{&fedmsg.HintError{
			Err:  errors.New(`no monitoring endpoint has been configured: please set "moksha.monitoring.socket"`),
			Hint: "or name it with --socket; a bus of ours can be asked with --bus",
		}, 1}
	}
	return receiveReport(ctx, env, c.socket, c.timeout)
}

// receiveReport waits for the next report on a socket.
func receiveReport(parent context.Context, env Env, addr string, seconds float64) ([]byte, error) {
	sub, err := zmq.NewSub(zmq.SubConfig{Connect: []string{addr}}, nil)
	if err != nil {
		return nil, env.Config(err)
	}
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	var report []byte
	err = sub.Run(ctx, func(_ netip.AddrPort, frames [][]byte) {
		if ctx.Err() == nil {
			report = bytes.Clone(frames[len(frames)-1])
			cancel()
		}
	})
	if err == nil && report == nil {
		err = status{fmt.Errorf("failed to receive message from the monitoring endpoint (%s) in %g seconds", addr, seconds), 1}
	}
	return report, err
}

// judge looks for the parts that must be there, and shows the report if they are.
func (c *check) judge(env Env, text []byte) error {
	type part struct {
		Name        string
		Initialized bool
	}
	var report struct{ Consumers, Producers []part }
	canonical, err := fedmsg.AppendCanonical(nil, text)
	if err == nil {
		err = json.Unmarshal(canonical, &report)
	}
	if err != nil {
		return fmt.Errorf("what the hub says is no report: %w", errors.Join(err, fedmsg.ErrInvalid))
	}
	var missing, raw int
	for _, asked := range []struct {
		names []string
		have  []part
	}{{c.consumers, report.Consumers}, {c.producers, report.Producers}} {
		known := make(map[string]bool)
		for _, p := range asked.have {
			known[p.Name] = p.Initialized
		}
		for _, name := range asked.names {
			initialized, is := known[name]
			switch {
			case !is:
				missing++
				fmt.Fprintf(env.Stderr, "\"%s\" is not active!\n", env.Clean(name))
			case !initialized:
				raw++
				fmt.Fprintf(env.Stderr, "\"%s\" is not initialized!\n", env.Clean(name))
			}
		}
	}
	switch {
	case missing > 0:
		return status{errors.New("some consumers and/or producers are missing"), 1}
	case raw > 0:
		return status{errors.New("some consumers and/or producers are uninitialized"), 1}
	}
	head := "All consumers and producers are active!"
	if len(c.consumers)+len(c.producers) == 0 {
		head = "No consumers or producers specified so all will be shown."
	}
	var out bytes.Buffer
	out.WriteString(head + "\n")
	if err := json.Indent(&out, canonical, "", "  "); err != nil {
		return err
	}
	_, err = env.Stdout.Write([]byte(strings.TrimRight(out.String(), "\n") + "\n"))
	return err
}
