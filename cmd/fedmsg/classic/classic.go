// Package classic has commands that came with fedmsg 1.x, or lay beside it, with the
// flags, the lines and the exit statuses that scripts know of them: announce,
// collectd, dg-replay, check, map, status.
package classic

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/config"
)

// Env is the world of the commands, and what they need of the program.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Environ        []string // as os.Environ has it
	Hostname       func() (string, error)

	// Clean makes text safe to show to people.
	Clean func(string) string
	// Usage and Config mark errors of the command line and of the configuration.
	Usage, Config func(error) error
	// Bus defines the flags of a command that talks to a bus; publishes says that it
	// has something to say there. What it returns opens the bus, or returns nil if
	// everything that was asked for is done.
	Bus func(f *pflag.FlagSet, publishes bool) func(ctx context.Context) (*Bus, error)
	// Services defines the flags that say where rules are, and returns what loads their
	// services.
	Services func(f *pflag.FlagSet) func() ([]string, error)
	// Fetch gets a page of another site. The error has a StatusCode if that is what is
	// wrong.
	Fetch func(ctx context.Context, url string) ([]byte, error)
	// Ask asks a bus over HTTP for a path that answers with JSON.
	Ask func(ctx context.Context, url, path string) (json.RawMessage, error)
}

// A Bus is a bus to talk to.
type Bus struct {
	Publish func(ctx context.Context, modname, topic string, body json.RawMessage) error
	// Tail yields what is published from now on; tell is told when something is amiss.
	Tail  func(ctx context.Context, tell func(string)) iter.Seq2[fedmsg.Entry, error]
	Close func() error
}

// Commands makes the commands.
func Commands(env Env) []*cobra.Command {
	return []*cobra.Command{newAnnounce(env), newCheck(env), newCollectd(env), newReplay(env), newMap(env), newStatus(env)}
}

// A status is an error with the exit status that scripts know.
type status struct {
	error
	code int
}

func (s status) ExitStatus() int { return s.code }
func (s status) Unwrap() error   { return s.error }

// noArguments refuses words that are no flags.
func noArguments(env Env) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return env.Usage(fmt.Errorf("arguments: %q: %s takes none", args, cmd.CommandPath()))
		}
		return nil
	}
}

// configured are the flags of a command that reads the configuration, and no bus.
type configured struct {
	paths []string
	only  string
}

func (c *configured) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&c.paths, "config", nil, "read configuration from FILE, or the files in DIR, too; may be given often")
	f.StringVar(&c.only, "config-filename", "", "read configuration from FILE alone")
}

func (c *configured) load(env Env) (*config.Loaded, error) {
	from := config.PathsFor(env.Environ, c.paths)
	if c.only != "" {
		from.Paths, from.Lenient = []string{c.only}, false
	}
	l, err := config.Load(from)
	if err != nil {
		return nil, env.Config(err)
	}
	return l, nil
}

// shortName is the name of this machine up to its first dot.
func shortName(env Env) (string, error) {
	name, err := env.Hostname()
	if err != nil {
		return "", fmt.Errorf("the name of this machine: %w", err)
	}
	short, _, _ := strings.Cut(name, ".")
	return short, nil
}
