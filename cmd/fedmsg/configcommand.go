package main

import (
	"github.com/spf13/cobra"

	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/configure"
)

func newConfig(env environ) *cobra.Command {
	return configure.New(configure.Env{
		Stdout: output{env.stdout}, Stderr: env.stderr, Environ: env.variables, Clean: cleanLine,
		Usage:  func(err error) error { return usageError{err} },
		Config: func(err error) error { return configError{err} },
		Data:   func(err error) error { return dataError{err} },
	})
}
