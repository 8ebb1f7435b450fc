// Package places has the command readers, which looks after the named readers of a bus.
package places

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/readers"
)

// Env is the world of the command, and what it needs of the program.
type Env struct {
	Stdout io.Writer
	Now    func() time.Time
	// Clean makes text safe to show to people.
	Clean func(string) string
	// Usage marks errors of the command line.
	Usage func(error) error
	// Bus defines the flags that say which bus, and returns what has work done with it.
	Bus func(f *pflag.FlagSet) func(ctx context.Context, work func(context.Context, readers.Client) error) error
}

// New makes the command.
func New(env Env) *cobra.Command {
	list := env.command("readers", 0, 0, listing, &cobra.Command{
		Short: "Look after the named readers of a bus",
		Long: `List the named readers of a bus, whose places it keeps: how far behind each is, who
works for it, and what it gave up. The commands below it show, make, move and forget
them. docs/readers.md tells how programs read as one.`,
		Example: `  fedmsg readers
  fedmsg readers show mirror

  # everything once more, from yesterday on
  fedmsg readers move mirror 2026-11-23

  # what was given up, and one of it again
  fedmsg readers dead mirror
  fedmsg readers retry mirror 4712
  fedmsg readers drop mirror 4713

  # nobody reads under this name any more
  fedmsg readers forget mirror`,
	})
	list.AddCommand(
		env.command("show NAME", 1, 1, show, &cobra.Command{Short: "Tell how a reader is"}),
		env.making(),
		env.command("move NAME TO", 2, 2, move, &cobra.Command{
			Short: "Put a reader somewhere else: now, begin, a place, a time, or id:ID",
			Long: `Put a reader somewhere else: now, begin, a place in the log, a time such as
2026-11-24T10:00:00Z or 2026-11-24, or id: and the ID of the message behind which it
goes on. Who works for it begins there anew.`,
		}),
		env.command("forget NAME", 1, 1, forget, &cobra.Command{Short: "Forget a reader, and what it gave up"}),
		env.command("dead NAME", 1, 1, dead, &cobra.Command{Short: "List the messages that a reader gave up, and why"}),
		env.command("retry NAME SEQ...", 2, -1, letters(readers.Client.Retry, "is tried again"), &cobra.Command{Short: "Have messages tried again that were given up"}),
		env.command("drop NAME SEQ...", 2, -1, letters(readers.Client.Drop, "is dropped"), &cobra.Command{Short: "Drop messages that were given up"}),
	)
	for _, sub := range list.Commands() {
		sub.Flags().SortFlags = false
	}
	return list
}

// A job is one call of a command.
type job struct {
	Env
	client readers.Client
	args   []string
	json   bool
}

// command completes a command that asks a bus.
func (env Env) command(use string, least, most int, do func(context.Context, *job) error, cmd *cobra.Command) *cobra.Command {
	cmd.Use = use
	var asJSON bool
	cmd.Flags().BoolVar(&asJSON, "json", false, "for programs: one JSON object a line")
	with := env.Bus(cmd.Flags())
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) < least || most >= 0 && len(args) > most {
			return env.Usage(&fedmsg.HintError{Err: fmt.Errorf("%d arguments are given", len(args)), Hint: "Usage: " + strings.TrimSuffix(cmd.UseLine(), " [flags]")})
		}
		return with(cmd.Context(), func(ctx context.Context, client readers.Client) error {
			return do(ctx, &job{Env: env, client: client, args: args, json: asJSON})
		})
	}
	return cmd
}

// making is the command that makes a reader.
func (env Env) making() *cobra.Command {
	var wish readers.Wish
	cmd := env.command("make NAME [PATTERN...]", 1, -1, func(ctx context.Context, j *job) error {
		for _, text := range j.args[1:] {
			wish.Topics = append(wish.Topics, fedmsg.Pattern(text))
		}
		return j.told(j.client.Make(ctx, j.args[0], wish))
	}, &cobra.Command{
		Short: "Make a reader, or change what it wants",
		Long: `Make a reader that wants the messages whose topics fit one of the patterns, and which
the search line finds; of one that is there, change what it wants, and leave it where
it is.`,
		Example: `  fedmsg readers make mirror '#.git.receive' --query branch:rawhide --from begin`,
	})
	cmd.Flags().StringVar(&wish.Query, "query", "", "only what a SEARCH line finds, as in fedmsg history")
	cmd.Flags().StringVar(&wish.From, "from", "now", "begin at WHERE: now, begin, a place, a time, or id:ID; of a reader that is new")
	return cmd
}

// print writes a value as JSON, or as people read it.
func (j *job) print(v any, people func(w io.Writer)) error {
	if j.json {
		return json.NewEncoder(j.Stdout).Encode(v)
	}
	w := tabwriter.NewWriter(j.Stdout, 0, 0, 2, ' ', 0)
	people(w)
	return w.Flush()
}

// told tells how a reader is.
func (j *job) told(r readers.Reader, err error) error {
	if err != nil {
		return err
	}
	return j.print(r, func(w io.Writer) {
		rows := [][2]string{
			{"name", r.Name}, {"topics", strings.Join(texts(r.Topics), " ")}, {"query", r.Query}, {"owner", r.Owner},
			{"at", fmt.Sprint(r.At)}, {"lag", fmt.Sprint(r.Lag)}, {"instance", r.Instance}, {"seen", j.ago(r.Seen)}, {"made", j.ago(r.Made)},
			{"delivered", fmt.Sprint(r.Delivered)}, {"gaps", fmt.Sprint(r.Gaps)}, {"given up", fmt.Sprint(r.Dead)},
		}
		for _, row := range rows {
			if row[1] != "" {
				fmt.Fprintf(w, "%s\t%s\n", row[0], j.Clean(row[1]))
			}
		}
	})
}

func texts(patterns []fedmsg.Pattern) (all []string) {
	for _, p := range patterns {
		all = append(all, string(p))
	}
	return all
}

// ago tells how long ago something was.
func (j *job) ago(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return j.Now().Sub(at).Round(time.Second).String() + " ago"
}

func listing(ctx context.Context, j *job) error {
	list, err := j.client.List(ctx)
	if err != nil {
		return err
	}
	if j.json {
		var errs []error
		for _, r := range list {
			errs = append(errs, j.print(r, nil))
		}
		return errors.Join(errs...)
	}
	return j.print(nil, func(w io.Writer) {
		fmt.Fprintln(w, "NAME\tAT\tLAG\tSEEN\tGIVEN UP\tINSTANCE")
		for _, r := range list {
			fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%d\t%s\n", j.Clean(r.Name), r.At, r.Lag, j.ago(r.Seen), r.Dead, j.Clean(r.Instance))
		}
	})
}

func show(ctx context.Context, j *job) error { return j.told(j.client.Show(ctx, j.args[0])) }

func move(ctx context.Context, j *job) error { return j.told(j.client.Move(ctx, j.args[0], j.args[1])) }

func forget(ctx context.Context, j *job) error { return j.client.Forget(ctx, j.args[0]) }

func dead(ctx context.Context, j *job) error {
	list, err := j.client.Dead(ctx, j.args[0])
	if err != nil {
		return err
	}
	if j.json {
		var errs []error
		for _, l := range list {
			errs = append(errs, j.print(l, nil))
		}
		return errors.Join(errs...)
	}
	return j.print(nil, func(w io.Writer) {
		fmt.Fprintln(w, "SEQ\tID\tTOPIC\tTRIES\tGIVEN UP\tREASON")
		for _, l := range list {
			when := j.ago(l.At)
			if l.Retry {
				when += ", to be tried again"
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%d\t%s\t%s\n", l.Seq, j.Clean(l.ID), j.Clean(string(l.Topic)), l.Tries, when, j.Clean(l.Reason))
		}
	})
}

// letters has something done with each of some messages that were given up.
func letters(do func(readers.Client, context.Context, string, fedmsg.Seq) error, what string) func(context.Context, *job) error {
	return func(ctx context.Context, j *job) error {
		for _, text := range j.args[1:] {
			seq, err := strconv.ParseUint(text, 10, 62)
			if err != nil {
				return j.Usage(fmt.Errorf("%q is no place in a log", text))
			}
			if err := do(j.client, ctx, j.args[0], fedmsg.Seq(seq)); err != nil {
				return fmt.Errorf("message %d: %w", seq, err)
			}
			if _, err := fmt.Fprintf(j.Stdout, "%d %s\n", seq, what); err != nil {
				return err
			}
		}
		return nil
	}
}
