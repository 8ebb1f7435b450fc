package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/classic"
	"github.com/fedora-infra/fedmsg-go/internal/spell"
)

// usageError is a command line that makes no sense.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// configError is a configuration, from flags, files or the environment, with
// which the command cannot work.
type configError struct{ err error }

func (e configError) Error() string { return e.err.Error() }
func (e configError) Unwrap() error { return e.err }

// dataError is input that is not what it should be.
type dataError struct{ err error }

func (e dataError) Error() string { return e.err.Error() }
func (e dataError) Unwrap() error { return e.err }

// outputError is a failure to write to standard output.
type outputError struct{ err error }

func (e outputError) Error() string {
	if errors.Is(e.err, syscall.ENOSPC) {
		return "standard output: No space left on device"
	}
	return "standard output: " + e.err.Error()
}
func (e outputError) Unwrap() error { return e.err }

// An output is standard output, whose errors are told from all others.
type output struct{ w io.Writer }

func (o output) Write(b []byte) (int, error) {
	n, err := o.w.Write(b)
	if err != nil {
		err = outputError{err}
	}
	return n, err
}

func newRoot(env environ, args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "fedmsg",
		Short: "A message bus: run one, publish to it, see what is on it",
		Example: `  # a bus on this machine, with made-up messages to look at
  fedmsg serve --demo

  # publish a line of text, and see everything that is published
  echo "Hello World." | fedmsg logger --modname=git --topic=repo.update
  fedmsg tail --really-pretty`,
		Args: cobra.ArbitraryArgs,
	}
	root.SetIn(env.stdin)
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	root.SetArgs(args)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return badFlag(cmd, args, err) })
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(root, args[0])
		}
		_ = cmd.Help()
		return usageError{&fedmsg.HintError{Err: errors.New("no command is given"), Hint: "Usage: fedmsg COMMAND [FLAGS]"}}
	}
	root.AddCommand(newDaemons(env)...)
	for _, construct := range commands {
		root.AddCommand(construct(env))
	}
	for _, construct := range pastCommands {
		root.AddCommand(construct(pastEnv(env)))
	}
	root.AddCommand(classic.Commands(classicEnv(env))...)
	for _, g := range groups {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
	}
	root.SetHelpCommandGroupID("set up")
	root.SetCompletionCommandGroupID("set up")
	for _, cmd := range root.Commands() {
		cmd.Flags().SortFlags = false
		for _, g := range groups {
			if slices.Contains(strings.Fields(g.names), cmd.Name()) {
				cmd.GroupID = g.title
			}
		}
	}
	return root
}

// groups are the commands as the help lists them: a newcomer needs the first.
var groups = []struct{ title, names string }{
	{"begin here", "serve logger tail history trigger"},
	{"publish and read", "publish readers describe verify canonical"},
	{"the past", "archive export import backup restore"},
	{"set up", "config token rules relay signing-relay gateway hub irc version"},
	{"as in fedmsg 1.x and datanommer", "announce check collectd dg-replay map status dump latest stats"},
}

// keepErrors has the commands put what went wrong into failed.
func keepErrors(cmd *cobra.Command, failed *error) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*failed = run(cmd, args)
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		keepErrors(sub, failed)
	}
}

func unknownCommand(root *cobra.Command, word string) error {
	var names []string
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() {
			names = append(names, cmd.Name())
		}
	}
	hint := "the commands are " + strings.Join(names, ", ")
	if near := spell.Nearest(word, names); near != "" {
		hint = fmt.Sprintf("did you mean %s? %s", near, hint)
	}
	return usageError{&fedmsg.HintError{Err: fmt.Errorf("there is no command %q", word), Hint: hint}}
}

// badFlag makes a usage error of what the parser of flags says.
func badFlag(cmd *cobra.Command, args []string, err error) error {
	if !cmd.HasParent() {
		for _, arg := range args { // the flag is that of a command which does not exist
			if !strings.HasPrefix(arg, "-") {
				return unknownCommand(cmd, arg)
			}
		}
	}
	hint := fmt.Sprintf("%s --help lists the flags", cmd.CommandPath())
	if _, name, unknown := strings.Cut(err.Error(), "unknown flag: --"); unknown {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, f.Name)
			}
		})
		if near := spell.Nearest(name, names); near != "" {
			hint = fmt.Sprintf("did you mean --%s? %s", near, hint)
		}
	}
	return usageError{&fedmsg.HintError{Err: err, Hint: hint}}
}

// arguments checks what stands on the command line beside flags.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("arguments: %q: %w", args, err)}
		}
		return nil
	}
}
