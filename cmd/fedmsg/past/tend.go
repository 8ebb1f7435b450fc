package past

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Tended is an archive that is looked after.
type Tended interface {
	Opened
	Mended
	// Check reads everything, and returns how many messages there are and what is wrong.
	Check(ctx context.Context) (messages int64, faults []string, err error)
}

// Mended is an archive that can be changed as a whole.
type Mended interface {
	// Redescribe finds anew by what messages are found that was found by other rules.
	Redescribe(ctx context.Context, progress func(done, total int64)) (changed int64, err error)
	// Forget has Redescribe find everything anew.
	Forget(ctx context.Context) error
	// Stale returns how many messages were found by other rules.
	Stale(ctx context.Context) (int64, error)
	// Prune removes the months that ended before a time.
	Prune(ctx context.Context, before time.Time) (removed []string, err error)
}

// NewArchive makes the command archive.
func NewArchive(env Env) *cobra.Command {
	var p place
	cmd := &cobra.Command{
		Use:   "archive",
		Short: "Look after the archive: status, verify, rebuild, prune, redescribe",
		Long: `Look after the archive of a bus that is not running. The archive of a running bus is
in its metrics, and takes care of itself.`,
		Example: `  fedmsg archive status --dir /var/lib/fedmsg
  fedmsg archive verify --dir /var/lib/fedmsg
  fedmsg archive redescribe --dir /var/lib/fedmsg --rules /etc/fedmsg/rules
  fedmsg archive rebuild --dir /var/lib/fedmsg
  fedmsg archive prune --dir /var/lib/fedmsg --before 2020-01-01`,
	}
	flags := cmd.PersistentFlags()
	p.flags(flags, false)
	cmd.AddCommand(newStatus(env, &p), newVerify(env, &p), newRebuild(env, &p), newPrune(env, &p), newRedescribe(env, &p))
	return cmd
}

func newStatus(env Env, p *place) *cobra.Command {
	var describer func() (fedmsg.Describer, error)
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Short: "Tell what is in it, and how far it holds the log", Args: cobra.NoArgs,
		Long: "Tell what is in it, how far it holds the log, and how many messages were found by other\nrules than those of the flags.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, dir, err := p.files(env)
			if err != nil {
				return err
			}
			words, err := describer()
			if err != nil {
				return err
			}
			a, err := p.open(cmd.Context(), env, words)
			if err != nil {
				return err
			}
			defer a.Close()
			return status(cmd.Context(), env, a, dir, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	describer = env.Words(cmd.Flags())
	return cmd
}

func status(ctx context.Context, env Env, a Tended, dir string, asJSON bool) error {
	values := samplesOf(a)
	first, err := a.Search(ctx, fedmsg.Query{OldestFirst: true, Limit: 1})
	if err != nil {
		return err
	}
	last, err := a.Search(ctx, fedmsg.Query{Limit: 1})
	if err != nil {
		return err
	}
	stale, err := a.Stale(ctx)
	if err != nil {
		return err
	}
	about := struct {
		Dir      string     `json:"dir"`
		Messages int64      `json:"messages"`
		Months   int64      `json:"months"`
		Bytes    int64      `json:"bytes"`
		Last     fedmsg.Seq `json:"last_sequence"`
		Stale    int64      `json:"stale_messages"`
		Oldest   time.Time  `json:"oldest,omitzero"`
		Newest   time.Time  `json:"newest,omitzero"`
	}{Dir: env.Shown(dir), Messages: values["archive_messages"], Months: values["archive_segments"], Bytes: values["archive_bytes"], Last: a.Last(), Stale: stale}
	if len(first.Entries) > 0 && len(last.Entries) > 0 {
		about.Oldest, about.Newest = first.Entries[0].Message.Time, last.Entries[0].Message.Time
	}
	if asJSON {
		return json.NewEncoder(env.Stdout).Encode(about)
	}
	_, err = fmt.Fprintf(env.Stdout, "archive   %s\nmessages  %d\nmonths    %d\nsize      %.1f MB, %d bytes a message\n", env.Clean(about.Dir), about.Messages, about.Months,
		float64(about.Bytes)/1e6, about.Bytes/max(about.Messages, 1))
	if about.Messages > 0 {
		_, err = fmt.Fprintf(env.Stdout, "oldest    %s\nnewest    %s\nlog       held up to place %d\n", about.Oldest.Format(time.RFC3339), about.Newest.Format(time.RFC3339), about.Last)
	}
	if err == nil && stale > 0 {
		_, err = fmt.Fprintf(env.Stdout, "rules     %d messages were found by others; they are found anew while the bus runs\n", stale)
	}
	return err
}

func newVerify(env Env, p *place) *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "Read everything, count it anew and compare", Args: cobra.NoArgs,
		Long: "Read everything, count it anew and compare. Exits with 65 if something is wrong.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := p.open(cmd.Context(), env, nil)
			if err != nil {
				return err
			}
			defer a.Close()
			n, faults, err := a.Check(cmd.Context())
			if err != nil {
				return err
			}
			for _, f := range faults {
				fmt.Fprintln(env.Stdout, env.Clean(f))
			}
			if len(faults) > 0 {
				return &fedmsg.HintError{Err: fmt.Errorf("%d faults in %d messages: %w", len(faults), n, fedmsg.ErrInvalid),
					Hint: "restore the files of those months from a backup, or make them anew: fedmsg archive rebuild"}
			}
			_, err = fmt.Fprintf(env.Stdout, "%d messages are well\n", n)
			return err
		},
	}
}

func newPrune(env Env, p *place) *cobra.Command {
	var before string
	cmd := &cobra.Command{
		Use: "prune --before TIME", Short: "Remove the months that ended before a time", Args: cobra.NoArgs,
		Long: "Remove whole months that ended before a time, for ever. The newest month stays.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if before == "" {
				return env.Usage(errors.New("--before: say what to remove; nothing is removed by itself"))
			}
			at, err := env.Time(before, time.Now())
			if err != nil {
				return env.Usage(fmt.Errorf("--before: %w", err))
			}
			a, err := p.open(cmd.Context(), env, nil)
			if err != nil {
				return err
			}
			defer a.Close()
			removed, err := a.Prune(cmd.Context(), at)
			for _, month := range removed {
				fmt.Fprintf(env.Stdout, "removed %s\n", month)
			}
			if err == nil && len(removed) == 0 {
				_, err = fmt.Fprintln(env.Stdout, "nothing to remove")
			}
			return err
		},
	}
	cmd.Flags().StringVar(&before, "before", "", "TIME: a date such as 2020-01-01, or a time ago such as 365d")
	return cmd
}

func newRedescribe(env Env, p *place) *cobra.Command {
	var describer func() (fedmsg.Describer, error)
	var all bool
	cmd := &cobra.Command{
		Use: "redescribe", Short: "Find users, packages and objects anew, after rules changed", Args: cobra.NoArgs,
		Long: "Find users, packages and objects anew of the messages whose rules have changed since they\nwere found. A bus does so while it runs. Broken off, it goes on where it was.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			words, err := describer()
			if err != nil {
				return err
			}
			a, err := p.open(cmd.Context(), env, words)
			if err != nil {
				return err
			}
			defer a.Close()
			if all {
				if err := a.Forget(cmd.Context()); err != nil {
					return err
				}
			}
			bar := newProgress(env, "fedmsg archive redescribe", "messages")
			changed, err := a.Redescribe(cmd.Context(), func(done, total int64) {
				bar.whole = total
				bar.add(done-bar.n, done-bar.n)
			})
			bar.end()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(env.Stdout, "%d messages, %d of them are found otherwise now\n", bar.n, changed)
			return err
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "of all messages, by whichever rules they were found")
	describer = env.Words(cmd.Flags())
	return cmd
}

func newRebuild(env Env, p *place) *cobra.Command {
	var describer func() (fedmsg.Describer, error)
	var fromLog bool
	cmd := &cobra.Command{
		Use: "rebuild", Short: "Make the archive anew, from what it holds and from the log", Args: cobra.NoArgs,
		Long: `Make the archive anew beside the present one, from all that this holds and from the
log, and put it in its place. The old one stays as archive.old, for you to remove. It
takes as much room again.

With --from-log the present one is not read: for one that cannot be. What the log no
longer keeps is then only in archive.old.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			words, err := describer()
			if err != nil {
				return err
			}
			return rebuild(cmd.Context(), env, p, words, fromLog)
		},
	}
	cmd.Flags().BoolVar(&fromLog, "from-log", false, "take all from the log, and nothing from the present archive")
	describer = env.Words(cmd.Flags())
	return cmd
}

func rebuild(ctx context.Context, env Env, p *place, words fedmsg.Describer, fromLog bool) (err error) {
	dir, archive, err := p.files(env)
	if err != nil {
		return err
	}
	if dir == "" {
		return env.Usage(errors.New("--dir: name the directory of the bus, too: its log is read"))
	}
	log, err := env.Log(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, log.Close()) }()
	state, err := log.State(ctx)
	if err != nil {
		return err
	}
	shelf := env.Shelf(archive)
	fresh, old := shelf.Beside("new"), shelf.Beside("old")
	if found, err := env.Shelf(old).Exists(ctx); found || err != nil {
		return cmp.Or(err, error(&fedmsg.HintError{Err: &fs.PathError{Op: "create", Path: env.Shown(old), Err: fs.ErrExist}, Hint: "look at it, and remove it"}))
	}
	if err := env.Shelf(fresh).Remove(ctx); err != nil { // of a rebuild that was broken off
		return err
	}
	to, err := env.Open(ctx, fresh, state.Epoch, words)
	if err != nil {
		return err
	}
	bar := newProgress(env, "fedmsg archive rebuild", "messages")
	err = refill(ctx, env, archive, state, log, to, fromLog, bar)
	bar.end()
	kept := samplesOf(to)["archive_messages"]
	if err = cmp.Or(err, to.Close()); err != nil {
		return err
	}
	found, err := shelf.Exists(ctx)
	if err == nil && found {
		err = shelf.Rename(ctx, old)
	}
	if err == nil {
		err = env.Shelf(fresh).Rename(ctx, archive)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "%d messages; what was there before is in %s\n", kept, env.Clean(filepath.Base(env.Shown(old))))
	return err
}

// refill fills an archive from another and from the log.
func refill(ctx context.Context, env Env, archive string, state fedmsg.LogState, log Log, to Tended, fromLog bool, bar *progress) error {
	var batch []fedmsg.Entry
	size := 0
	flush := func() error {
		_, err := to.Deliver(ctx, batch)
		batch, size = batch[:0], 0
		return err
	}
	found, err := env.Shelf(archive).Exists(ctx)
	if err != nil {
		return err
	}
	if found && !fromLog {
		from, err := env.Open(ctx, archive, state.Epoch, nil)
		if err != nil {
			return &fedmsg.HintError{Err: err, Hint: "if it cannot be read at all: fedmsg archive rebuild --from-log"}
		}
		defer from.Close()
		bar.whole = samplesOf(from)["archive_messages"]
		_, err = each(ctx, from, fedmsg.Query{OldestFirst: true}, func(e fedmsg.Entry) error {
			bar.add(1, 1)
			batch = append(batch, e)
			if size += len(e.Message.Bytes()); len(batch) < batchCount && size < batchBytes {
				return nil
			}
			return flush()
		})
		if err = cmp.Or(err, flush()); err != nil {
			return err
		}
	}
	for at := state.First - 1; ; {
		entries, next, err := log.Page(ctx, at, fillPart)
		if err != nil || next == at {
			return err
		}
		if _, err := to.Deliver(ctx, entries); err != nil {
			return err
		}
		bar.add(int64(len(entries)), 0)
		at = next
	}
}
