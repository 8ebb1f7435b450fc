// Command fedmsg runs a message bus, publishes to one and shows what is on it.
//
// Called as fedmsg-logger, fedmsg-tail or another of the old names it is that
// command. It exits with the statuses of BSD's sysexits.h; see statuses.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"charm.land/fang/v2"
	"github.com/spf13/cobra"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/postgres"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// environ is the world of a command, so that a test can make another one.
type environ struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	open           opener
	variables      []string         // as os.Environ has them
	clock          func() time.Time // of the log; nil: time.Now
}

// commands are the constructors of all commands, in the order of the help.
var commands = []func(environ) *cobra.Command{
	newLoggerCommand, newTail, newTrigger, newReaders, newPublish, newDescribe, newRules, newVerify, newCanonical, newToken, newConfig, newVersion,
}

// statuses maps kinds of errors to exit statuses. The first that fits counts.
var statuses = []struct {
	status int
	kind   func(error) bool
}{
	{0, isClosedPipe},     // who reads has enough
	{64, is[usageError]},  // EX_USAGE
	{78, is[configError]}, // EX_CONFIG
	{78, isNewer},
	{75, anyOf(sqlite.ErrLocked, postgres.ErrLocked)},   // EX_TEMPFAIL
	{77, anyOf(fs.ErrPermission, fedmsg.ErrNotAllowed)}, // EX_NOPERM
	{73, isCannotCreate},                                // EX_CANTCREAT
	{74, is[*fs.PathError]},                             // EX_IOERR
	{74, is[outputError]},
	{69, anyOf(fedmsg.ErrUnavailable, fedmsg.ErrTooOld, fedmsg.ErrNotFound)}, // EX_UNAVAILABLE
	{69, is[*net.OpError]},
	{65, is[dataError]}, // EX_DATAERR
	{65, anyOf(fedmsg.ErrInvalid, fedmsg.ErrConflict, fedmsg.ErrUnsigned, fedmsg.ErrBadSignature)},
	{1, func(error) bool { return true }},
}

// is reports whether err is, or wraps, an E.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// isNewer reports whether a later version of the program wrote what is on disk.
func isNewer(err error) bool {
	return errors.Is(err, sqlite.ErrNewerSchema) || errors.Is(err, postgres.ErrNewerSchema)
}

func anyOf(targets ...error) func(error) bool {
	return func(err error) bool {
		for _, target := range targets {
			if errors.Is(err, target) {
				return true
			}
		}
		return false
	}
}

func isClosedPipe(err error) bool { return is[outputError](err) && errors.Is(err, syscall.EPIPE) }

func isCannotCreate(err error) bool {
	p, ok := errors.AsType[*fs.PathError](err)
	return ok && (strings.HasPrefix(p.Op, "mkdir") || strings.HasPrefix(p.Op, "create"))
}

func main() {
	// The first signal asks the command to stop; the second is left to the system,
	// which kills.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // an error of Write instead of the end
	os.Exit(run(ctx, environ{os.Stdin, os.Stdout, os.Stderr, os.Getenv, openBus, os.Environ(), nil}, os.Args))
}

// run runs one command line and returns the exit status.
func run(ctx context.Context, env environ, argv []string) int {
	args := argv[1:]
	if maker, name, old := strings.Cut(strings.TrimSuffix(filepath.Base(argv[0]), ".exe"), "-"); old && (maker == "fedmsg" || maker == "datanommer") {
		args = append([]string{name}, args...)
	}
	root := newRoot(env, args)
	name := root.Name()
	if cmd, _, err := root.Find(args); err == nil {
		name = cmd.CommandPath()
	}
	// Fang asks the terminal for its colours before it shows an error; so it gets
	// to see only those of the command line.
	var failed error
	keepErrors(root, &failed)
	silent := fang.WithErrorHandler(func(io.Writer, fang.Styles, error) {})
	if err := fang.Execute(ctx, root, silent, fang.WithVersion(readVersion().String())); err != nil {
		failed = usageError{err}
	}
	if failed == nil {
		return 0
	}
	if ctx.Err() != nil && errors.Is(failed, context.Canceled) {
		return interrupted(context.Cause(ctx))
	}
	if exitStatus(failed) != 0 {
		report(env.stderr, name, failed)
	}
	return exitStatus(failed)
}

// An ownStatus is an error whose exit status scripts know from the original.
type ownStatus interface {
	error
	ExitStatus() int
}

func exitStatus(err error) int {
	if own, ok := errors.AsType[ownStatus](err); ok {
		return own.ExitStatus()
	}
	for _, s := range statuses {
		if s.kind(err) {
			return s.status
		}
	}
	return 1
}

// interrupted returns the status of a command that a signal ended, as shells
// have it: 128 and the signal's number.
func interrupted(cause error) int {
	if strings.HasPrefix(cause.Error(), os.Interrupt.String()) {
		return 128 + int(syscall.SIGINT)
	}
	return 128 + int(syscall.SIGTERM)
}

// report tells a person what went wrong and what to do about it.
func report(w io.Writer, name string, err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(w, "%s: %s\n", name, cleanLine(strings.TrimRight(line, "\n")))
	}
	if hint := fedmsg.Hint(err); hint != "" {
		fmt.Fprintf(w, "hint: %s\n", cleanLine(hint))
	}
}
