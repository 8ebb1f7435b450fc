package main

import (
	"context"
	"encoding/json"
	"iter"
	"os"

	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/client"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/classic"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/fetch"
)

// classicEnv is the world of the commands of package classic.
func classicEnv(env environ) classic.Env {
	return classic.Env{
		Stdin: env.stdin, Stdout: output{env.stdout}, Stderr: env.stderr, Environ: env.variables, Hostname: os.Hostname, Clean: cleanLine,
		Usage:  func(err error) error { return usageError{err} },
		Config: func(err error) error { return configError{err} },
		Bus: func(f *pflag.FlagSet, publishes bool) func(context.Context) (*classic.Bus, error) {
			var d draftFlags
			if publishes {
				d.addSigning(f)
			}
			d.add(f)
			f.Lookup("timeout").Hidden = !publishes // it never meant anything to who reads
			return func(ctx context.Context) (*classic.Bus, error) { return d.classicBus(ctx, f, env) }
		},
		Services: func(f *pflag.FlagSet) func() ([]string, error) {
			var c wordsConfig
			f.StringVar(&c.Rules, "rules", env.getenv("FEDMSG_RULES"), "count the services of the rule files in DIR too (default $FEDMSG_RULES)")
			return func() ([]string, error) {
				engine, err := c.engineFor(env)
				if err != nil {
					return nil, err
				}
				return engine.Services(), nil
			}
		},
		Fetch: fetch.New(),
		Ask: func(ctx context.Context, url, path string) (answer json.RawMessage, err error) {
			bus, err := http.New(http.ClientConfig{URL: url, Token: env.getenv("FEDMSG_TOKEN")})
			if err != nil {
				return nil, usageError{err}
			}
			defer bus.Close()
			err = bus.Get(ctx, path, nil, &answer)
			return answer, err
		},
	}
}

// classicBus opens the bus for a command of package classic; nil if all that was asked
// for is done.
func (d *draftFlags) classicBus(ctx context.Context, f *pflag.FlagSet, env environ) (*classic.Bus, error) {
	if done, err := d.resolve(f, env); done || err != nil {
		return nil, err
	}
	signer, err := d.signer()
	if err != nil {
		return nil, err
	}
	bus, err := d.open(ctx, env, signer)
	if err != nil {
		return nil, err
	}
	sent := &sentNote{env: env, flags: &d.busFlags}
	return &classic.Bus{
		Publish: func(ctx context.Context, modname, topic string, body json.RawMessage) error {
			limited, cancel := d.limit(ctx)
			defer cancel()
			r, err := bus.Publish(limited, modname, topic, body)
			if err == nil {
				sent.add(r)
			}
			return err
		},
		Tail: func(ctx context.Context, tell func(string)) iter.Seq2[fedmsg.Entry, error] {
			return bus.Tail(ctx, client.TailConfig{Notice: tell})
		},
		Close: func() error {
			defer sent.tell()
			return bus.Close()
		},
	}, nil
}
