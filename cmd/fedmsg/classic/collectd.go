package classic

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// unhandled is what messages are counted under that no service is known for.
const unhandled = "unhandled"

func newCollectd(env Env) *cobra.Command {
	var seconds float64
	cmd := &cobra.Command{
		Use:   "collectd",
		Short: "Count messages by service, for collectd's exec plugin",
		Long: `Print, every few seconds, how many messages each service sent since the last time:
a line for each service that there are rules for, in the text protocol of collectd. It
goes on until it is stopped; a bus that is away is waited for.`,
		Example: `  # in collectd.conf: <Plugin exec> Exec "fedmsg" "fedmsg" "collectd" "--collectd-interval=10"
  fedmsg collectd --collectd-interval 10`,
		Args: noArguments(env),
	}
	cmd.Flags().Float64Var(&seconds, "collectd-interval", 2, "print every so many SECONDS")
	open, services := env.Bus(cmd.Flags(), false), env.Services(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if !(seconds >= 0.1 && seconds <= 86400) {
			return env.Usage(fmt.Errorf("--collectd-interval: %g: must be from 0.1 to 86400 seconds", seconds))
		}
		bus, err := open(cmd.Context())
		if bus == nil {
			return err
		}
		defer func() { err = errors.Join(err, bus.Close()) }()
		known, err := services()
		if err != nil {
			return err
		}
		host, err := shortName(env)
		if err != nil {
			return err
		}
		return newTally(host, seconds, known).run(cmd.Context(), env, bus)
	}
	return cmd
}

// A tally counts messages by service.
type tally struct {
	host     string
	interval float64 // seconds
	names    []string
	counts   map[string]int
}

func newTally(host string, interval float64, services []string) *tally {
	t := &tally{host: host, interval: interval, counts: make(map[string]int)}
	for _, name := range append(slices.Clone(services), unhandled) {
		t.names = append(t.names, strings.ToLower(name))
	}
	slices.Sort(t.names)
	t.names = slices.Compact(t.names)
	return t
}

func (t *tally) add(topic fedmsg.Topic) {
	name := unhandled
	if words := strings.SplitN(string(topic), ".", 5); len(words) > 3 {
		if at := strings.ToLower(words[3]); slices.Contains(t.names, at) {
			name = at
		}
	}
	t.counts[name]++
}

// lines are what is told now; counting begins anew.
func (t *tally) lines(now time.Time) string {
	var b strings.Builder
	for _, name := range t.names {
		fmt.Fprintf(&b, "PUTVAL %s/fedmsg/fedmsg_wallboard-%s interval=%g %d:%d\n", t.host, name, t.interval, now.Unix(), t.counts[name])
	}
	clear(t.counts)
	return b.String()
}

// run counts and tells until ctx ends.
func (t *tally) run(parent context.Context, env Env, bus *Bus) error {
	ctx, cancel := context.WithCancel(parent)
	topics, failed := make(chan fedmsg.Topic, 256), make(chan error, 1)
	go func() {
		defer close(topics)
		for e, err := range bus.Tail(ctx, func(text string) { fmt.Fprintf(env.Stderr, "fedmsg collectd: %s\n", env.Clean(text)) }) {
			if err != nil {
				failed <- err
				return
			}
			select {
			case topics <- e.Message.Topic:
			case <-ctx.Done(): // and so the iteration ends by itself
			}
		}
	}()
	defer func() {
		cancel()
		for range topics { // until the reader has ended
		}
	}()
	tick := time.NewTicker(time.Duration(t.interval * float64(time.Second)))
	defer tick.Stop()
	for {
		select {
		case topic, more := <-topics:
			if !more {
				select {
				case err := <-failed:
					return err
				default:
					return context.Cause(parent)
				}
			}
			t.add(topic)
		case now := <-tick.C:
			if _, err := env.Stdout.Write([]byte(t.lines(now))); err != nil {
				return err
			}
		case <-parent.Done():
			return context.Cause(parent)
		}
	}
}
