package main

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/client"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/documents"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/react"
)

func newTrigger(env environ) *cobra.Command {
	told := &notices{w: env.stderr, name: "fedmsg trigger"}
	return react.New(react.Env{
		Stdin:  func(ctx context.Context) io.Reader { return documents.Interruptible(ctx, env.stdin) },
		Stdout: env.stdout, Stderr: env.stderr, Environ: env.variables, // files stay files: what runs writes into them itself
		Clean: cleanLine, Once: told.once,
		Seconds: func(d *time.Duration) pflag.Value { return (*seconds)(d) },
		Usage:   func(err error) error { return usageError{err} },
		Words:   func(f *pflag.FlagSet) func() (fedmsg.Describer, error) { return wordsOf(env, f) },
		Bus: func(f *pflag.FlagSet) func(context.Context, string, string) (*react.Bus, error) {
			var b busFlags
			b.add(f)
			return func(ctx context.Context, after, since string) (*react.Bus, error) {
				limit := time.Duration(0) // that of the configuration is for publishing
				if f.Changed("timeout") {
					limit = time.Duration(b.Timeout)
				}
				if done, err := b.resolve(f, env); done || err != nil {
					return nil, err
				}
				place, err := b.findPlace(ctx, after, since)
				if err != nil {
					return nil, err
				}
				bus, err := b.open(ctx, env, nil)
				if err != nil {
					return nil, err
				}
				tail := func(ctx context.Context, topics []fedmsg.Pattern) iter.Seq2[fedmsg.Entry, error] {
					return bus.Tail(ctx, client.TailConfig{Topics: topics, After: place, Notice: told.tell})
				}
				return &react.Bus{Tail: tail, Close: bus.Close, Timeout: limit}, nil
			}
		},
	})
}
