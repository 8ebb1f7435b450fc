package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/places"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/readers"
)

func newReaders(env environ) *cobra.Command {
	return places.New(places.Env{
		Stdout: output{env.stdout}, Now: time.Now, Clean: cleanLine,
		Usage: func(err error) error { return usageError{err} },
		Bus: func(f *pflag.FlagSet) func(context.Context, func(context.Context, readers.Client) error) error {
			var b busFlags
			b.add(f)
			return func(ctx context.Context, work func(context.Context, readers.Client) error) error {
				if done, err := b.resolve(f, env); done || err != nil {
					return err
				}
				bus, err := http.New(http.ClientConfig{URL: b.URL, Token: b.Token})
				if err != nil {
					return usageError{err}
				}
				defer bus.Close()
				ctx, cancel := b.limit(ctx)
				defer cancel()
				return work(ctx, readers.NewClient(bus))
			}
		},
	})
}
