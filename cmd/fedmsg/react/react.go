// Package react has the command trigger, which runs a command of the operator's for each
// message.
package react

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/topics"
	"github.com/fedora-infra/fedmsg-go/internal/pyrepr"
	"github.com/fedora-infra/fedmsg-go/query"
	"github.com/fedora-infra/fedmsg-go/trigger"
)

// Env is the world of the command, and what it needs of the program.
type Env struct {
	Stdin          func(context.Context) io.Reader // ends with the context
	Stdout, Stderr io.Writer
	Environ        []string // as os.Environ has it

	// Clean makes text safe to show to people.
	Clean func(string) string
	// Once tells people a text that was not told before.
	Once func(string)
	// Seconds makes a flag of a duration that, as in fedmsg, may be a number of seconds.
	Seconds func(*time.Duration) pflag.Value
	// Usage marks errors of the command line.
	Usage func(error) error
	// Bus defines the flags of a command that reads from a bus. What it returns opens
	// the bus, to read after a place or since a time, or returns nil if everything that
	// was asked for is done.
	Bus func(f *pflag.FlagSet) func(ctx context.Context, after, since string) (*Bus, error)
	// Words defines the flags that say where rules are, and returns what loads them.
	Words func(f *pflag.FlagSet) func() (fedmsg.Describer, error)
}

// A Bus is a bus to read from.
type Bus struct {
	// Tail yields what is published, of topics that match; of all for none.
	Tail  func(ctx context.Context, topics []fedmsg.Pattern) iter.Seq2[fedmsg.Entry, error]
	Close func() error
	// Timeout is the flag --timeout; 0 if it is not given.
	Timeout time.Duration
}

// flags are the flags of trigger.
type flags struct {
	topics.Flags
	Command            string
	WaitFor            time.Duration
	MaxQueue, Count    int
	Query              string
	NoValidate         bool
	Batch, Restart     bool
	Jobs, Retries      int
	Key                string
	DeadLetters        string
	From, After, Since string
}

// New makes the command.
func New(env Env) *cobra.Command {
	var t flags
	cmd := &cobra.Command{
		Use:   "trigger [PATTERN...] [-- PROGRAM ARGUMENT...]",
		Short: "Run a command for each message",
		Long: `Run a command for each message that is published, one after another. The message is
on the command's standard input: one line of JSON. PATTERN is a topic in which * stands
for one word and # for any number of them.

What others say never becomes part of a command line: the environment has FEDMSG_TOPIC,
FEDMSG_MSG_ID, FEDMSG_SEQ, FEDMSG_COUNT and FEDMSG_ATTEMPT, which hold nothing that a
shell could obey, and the rest is on standard input alone. Still the command must not
trust what it reads there. Messages that the bus did not verify run nothing.

A run that fails is told on standard error, and the next message has its turn; with
--retries it is tried again first. A command that ends with status 65 is not tried again.
Ctrl-C lets a running command end; the second one ends it.`,
		Example: `  # mirror what a compose has finished, once when several finish within a minute
  fedmsg trigger --topic org.fedoraproject.prod.pungi.compose --wait-for 60 --once-per-batch \
      --command 'cat >/dev/null; rsync -a rsync://dl.example.org/compose/ /srv/compose/'

  # a program and its arguments, without a shell
  fedmsg trigger 'org.fedoraproject.prod.git.receive' --timeout 10m -- /usr/local/bin/fetch --quiet

  # four at a time, those of one repository in order; what fails three times is kept
  fedmsg trigger --query 'category:git branch:rawhide' --jobs 4 --key msg.commit.repo \
      --retries 2 --dead-letters failed.jsonl --command ./build

  # what failed, once more
  fedmsg trigger --from failed.jsonl --command ./build`,
	}
	f := cmd.Flags()
	t.Flags.Add(f, "take")
	f.StringVar(&t.Query, "query", "", "take only messages that a SEARCH line finds, as in fedmsg history: 'user:ralph -category:git'")
	f.BoolVar(&t.NoValidate, "no-validate", false, "take messages that the bus did not verify too: anybody may have said them")
	f.StringVar(&t.Command, "command", "", "run LINE with sh")
	f.Var(env.Seconds(&t.WaitFor), "wait-for", "wait until nothing came for so many SECONDS, then run for all that came")
	f.Lookup("wait-for").DefValue = ""
	f.IntVar(&t.MaxQueue, "max-queue-size", 0, "end that wait when more than N messages have come (default: 10,000)")
	f.BoolVar(&t.Batch, "once-per-batch", false, "run once for all that waits, one message a line")
	f.IntVarP(&t.Count, "count", "n", 0, "end after N messages (default: go on)")
	f.IntVar(&t.Jobs, "jobs", 1, "run for N messages at a time; those of one topic keep their order")
	f.StringVar(&t.Key, "key", "", "keep the order of messages with the same value at PATH instead, such as msg.repo; with --jobs")
	f.IntVar(&t.Retries, "retries", 0, "try a message that failed N times more, after 1s, 2s, 4s and so on to 5m")
	f.BoolVar(&t.Restart, "restart", false, "try it until it succeeds")
	f.StringVar(&t.DeadLetters, "dead-letters", "", "append to FILE the messages that failed for good, for --from")
	f.StringVar(&t.From, "from", "", "read messages from FILE, as --dead-letters and fedmsg tail --json write them, instead of a bus; - is standard input")
	f.StringVar(&t.Since, "since", "", "begin with what came since TIME: 90m, 2h, 3d, or a date")
	f.StringVar(&t.After, "after", "", "begin after place SEQ in the log; 0 is the beginning")
	words, open := env.Words(f), env.Bus(f)
	f.Lookup("timeout").Usage = "end a run after so many SECONDS, with all that it began (default: never)"
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r := &reaction{Env: env, flags: t, name: cmd.CommandPath(), words: words, openBus: open}
		patterns, program := args, []string(nil)
		if dash := cmd.ArgsLenAtDash(); dash >= 0 {
			patterns, program = args[:dash], args[dash:]
		}
		return r.run(cmd.Context(), patterns, program)
	}
	return cmd
}

// A reaction is one run of the command.
type reaction struct {
	Env
	flags
	name    string
	words   func() (fedmsg.Describer, error)
	openBus func(ctx context.Context, after, since string) (*Bus, error)

	filter  topics.Filter
	ask     []fedmsg.Pattern
	query   fedmsg.Query
	matcher *query.Matcher
	letters *os.File // where dead letters go, or nil
}

func (r *reaction) run(ctx context.Context, patterns, program []string) (err error) {
	if err := r.choose(patterns); err != nil {
		return err
	}
	bus, err := r.open(ctx)
	if bus == nil || err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bus.Close()) }()
	command := &trigger.Command{Args: program, Environ: r.Environ, Stdout: r.Stdout, Stderr: r.Stderr, Timeout: bus.Timeout}
	if r.Command != "" {
		command.Args = trigger.Shell(r.Command)
	}
	if (r.Command != "") == (len(program) > 0) {
		return r.Usage(&fedmsg.HintError{
			Err:  errors.New("you must provide one command to run"),
			Hint: "write --command LINE for sh, or -- PROGRAM ARGUMENT...",
		})
	}
	queue, err := trigger.New(r.config(), command.Do)
	if err != nil {
		return r.Usage(err)
	}
	if err := r.openLetters(); err != nil {
		return err
	}
	if r.letters != nil {
		defer func() { err = errors.Join(err, r.letters.Close()) }()
	}
	work, done := r.breakable(ctx)
	defer done()
	result, err := queue.Run(ctx, work, func(ctx context.Context) iter.Seq2[fedmsg.Entry, error] {
		return r.wanted(ctx, bus.Tail(ctx, r.ask))
	})
	return r.sum(result, err)
}

// breakable returns a context for what runs, which outlives ctx. The second signal
// ends it; the first one has ended ctx. More of them change nothing: what runs is killed
// soon, and must not be left behind.
func (r *reaction) breakable(ctx context.Context) (work context.Context, done func()) {
	work, end := context.WithCancelCause(context.WithoutCancel(ctx))
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for range 2 {
			select {
			case <-signals:
			case <-work.Done():
				return
			}
		}
		end(errors.New("interrupted twice"))
	}()
	return work, func() {
		signal.Stop(signals)
		end(nil)
	}
}

// choose reads the flags that say which messages are taken.
func (r *reaction) choose(patterns []string) (err error) {
	if r.filter, r.ask, err = r.Read(patterns); err != nil {
		return r.Usage(err)
	}
	if r.Query == "" {
		return nil
	}
	if r.query, err = query.Parse(r.Query, time.Now()); err != nil {
		return r.Usage(fmt.Errorf("--query: %w", err))
	}
	describer, err := r.words()
	if err != nil {
		return err
	}
	r.matcher = query.NewMatcher(r.query.Filter, describer)
	if len(r.ask) == 0 {
		r.ask = r.matcher.Patterns()
	}
	return nil
}

// wanted yields those entries for which the command is run.
func (r *reaction) wanted(ctx context.Context, entries iter.Seq2[fedmsg.Entry, error]) iter.Seq2[fedmsg.Entry, error] {
	return func(yield func(fedmsg.Entry, error) bool) {
		for e, err := range entries {
			if (err != nil || r.wants(ctx, e)) && !yield(e, err) {
				return
			}
		}
	}
}

func (r *reaction) wants(ctx context.Context, e fedmsg.Entry) bool {
	if !r.filter.Match(e.Message.Topic) || r.matcher != nil && !(query.Within(r.query, e.Message.Time) && r.matcher.Match(ctx, e)) {
		return false
	}
	if !r.NoValidate && !topics.IsVouchedFor(e) {
		r.Once("leaving out messages that the bus did not verify; --no-validate takes them")
		return false
	}
	return true
}

func (r *reaction) config() trigger.Config {
	cfg := trigger.Config{
		WaitFor: r.WaitFor, MaxQueue: r.MaxQueue, Batch: r.Batch, Jobs: r.Jobs, Count: r.Count, Retries: r.Retries, Failed: r.failed,
	}
	if r.Restart {
		cfg.Retries = -1
	}
	if r.Key != "" {
		cfg.Key = r.keyOf
	}
	return cfg
}

// keyOf is the value of a message at the path of --key.
func (r *reaction) keyOf(e fedmsg.Entry) string {
	value, err := pyrepr.Parse(e.Message.Bytes())
	if err != nil {
		return "" // cannot be told from others like it
	}
	return value.Query(r.Key)
}

// failed tells of a try that failed, and keeps the messages if it was the last.
func (r *reaction) failed(f trigger.Failure) error {
	what := "message " + f.Entries[0].Message.ID
	if n := len(f.Entries); n > 1 {
		what = fmt.Sprintf("%d messages from %s on", n, f.Entries[0].Message.ID)
	}
	then := ""
	if !f.Last {
		then = fmt.Sprintf("; trying again in %s", f.Again)
	}
	fmt.Fprintf(r.Stderr, "%s: %s: %s%s\n", r.name, what, r.Clean(f.Err.Error()), then)
	if !f.Last || r.letters == nil {
		return nil
	}
	return r.keep(f)
}

// sum tells what became of everything.
func (r *reaction) sum(result trigger.Result, err error) error {
	if n := result.Unfinished; n > 0 {
		goOn := ""
		if r.From == "" && result.Oldest > 0 {
			goOn = fmt.Sprintf("; --after %d goes on with them", result.Oldest-1)
		}
		fmt.Fprintf(r.Stderr, "%s: %d messages were not worked off%s\n", r.name, n, goOn)
	}
	if err != nil || result.Failed == 0 {
		return err
	}
	status := 1
	if s := trigger.Status(result.Err); s == 126 || s == 127 { // there is no such command
		status = s
	}
	return failure{fmt.Errorf("%d of %d messages failed: %w", result.Failed, result.Failed+result.Done, result.Err), status}
}

// A failure is an error with the exit status that scripts know from shells.
type failure struct {
	error
	status int
}

func (f failure) ExitStatus() int { return f.status }
func (f failure) Unwrap() error   { return f.error }
