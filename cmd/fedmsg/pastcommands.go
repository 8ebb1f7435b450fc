package main

import (
	"context"
	"io"
	"log/slog"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/intake"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/past"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/shelves"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/harvest"
	"github.com/fedora-infra/fedmsg-go/http/remote"
	"github.com/fedora-infra/fedmsg-go/sqlite"
	"github.com/fedora-infra/fedmsg-go/sqlite/backup"
	"github.com/fedora-infra/fedmsg-go/x509"
)

// pastCommands are the commands of package past.
var pastCommands = []func(past.Env) *cobra.Command{
	past.NewHistory, past.NewImport, past.NewExport, past.NewArchive, past.NewBackup, past.NewRestore, past.NewDump, past.NewStats, past.NewLatest,
}

// pastEnv is the world of the commands of package past.
func pastEnv(env environ) past.Env {
	logger := slog.New(slog.NewTextHandler(cleanWriter{env.stderr}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	opener := shelves.Opener{PasswordFile: env.getenv(shelves.PasswordFile), Logger: logger, Commands: true}
	return past.Env{
		Stdin: env.stdin, Stdout: output{env.stdout}, Stderr: env.stderr, Terminal: isTerminal(env.stderr), Getenv: env.getenv,
		Clean: cleanLine, Usage: func(err error) error { return usageError{err} }, Config: func(err error) error { return configError{err} },
		Time: parseSince,
		Dir:  func(flag string) (string, error) { return stateDir(flag, env) },
		Open: opener.Open, Shelf: opener.Shelf, Shown: shelves.Shown,
		Log: func(ctx context.Context, dir string) (past.Log, error) {
			log, err := sqlite.Open(ctx, sqlite.Config{Dir: dir, RetentionAge: -1, RetentionBytes: -1}, logger)
			if err != nil {
				return nil, err
			}
			return log, nil
		},
		Ask: func(url string) (past.Asked, error) {
			client, err := http.New(http.ClientConfig{URL: url, Token: env.getenv("FEDMSG_TOKEN")})
			if err != nil {
				return nil, usageError{err}
			}
			return remote.New(client), nil
		},
		Harvest: func(cfg intake.HarvestConfig) (intake.Harvest, error) { return harvest.New(harvest.Config(cfg)) },
		Words:   func(f *pflag.FlagSet) func() (fedmsg.Describer, error) { return wordsOf(env, f) },
		Verifier: func(ca, crl string) (func(context.Context, *fedmsg.Message) (string, error), error) {
			v, err := x509.NewVerifier(x509.Config{CA: ca, CRL: crl, LegacySHA1: true, Faithful: true}, logger)
			if err != nil {
				return nil, trustError(err)
			}
			return func(ctx context.Context, m *fedmsg.Message) (string, error) {
				good, err := v.CheckAt(ctx, m, m.Time)
				return "x509:" + good.Signer, err
			}, nil
		},
		Backup: func(ctx context.Context, dir, archive, file string, tell func(string)) error {
			if shelves.IsDatabase(archive) {
				return usageError{shelves.ErrBackup}
			}
			return backup.Make(ctx, dir, archive, archivePump, file, tell)
		},
		Restore: func(ctx context.Context, file, dir, archive string, tell func(string)) error {
			if shelves.IsDatabase(archive) {
				return usageError{shelves.ErrBackup}
			}
			return backup.Restore(ctx, file, dir, archive, archivePump, tell)
		},
	}
}

// wordsOf defines the flags that say where rules are, and returns what loads them.
func wordsOf(env environ, f *pflag.FlagSet) func() (fedmsg.Describer, error) {
	c := new(wordsConfig)
	c.flags(f, env)
	return func() (fedmsg.Describer, error) { return c.engineFor(env) }
}

// A cleanWriter shows what libraries log while a command runs.
type cleanWriter struct{ w io.Writer }

func (c cleanWriter) Write(b []byte) (int, error) {
	_, err := io.WriteString(c.w, cleanLine(string(b[:max(0, len(b)-1)]))+"\n")
	return len(b), err
}
