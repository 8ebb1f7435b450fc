package past

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/exports"
	"github.com/fedora-infra/fedmsg-go/query"
)

type exportFlags struct {
	search
	Format, Output, Resume string
}

// NewExport makes the command export.
func NewExport(env Env) *cobra.Command {
	var x exportFlags
	cmd := &cobra.Command{
		Use:   "export [QUERY...]",
		Short: "Write messages of the past to a file, as JSON lines, CSV or Parquet",
		Long: `Write all that a search line finds, as JSON lines that fedmsg import takes, as CSV, or as
Parquet, which DuckDB, pandas and others read. A file whose name ends with .zst is
compressed; Parquet is compressed inside. It takes a fixed amount of memory, however
many messages there are.

With -o FILE it writes FILE.part, and FILE is there when it is whole. If it was broken
off, --resume FILE goes on where it was: same query, format and place; a message that
was half written is cut. Parquet has its list of what is where at its end, so it
cannot go on: export it in parts, by time. Of a bus that does not answer it is
asked again for some minutes.`,
		Example: `  fedmsg export --oldest -o everything.jsonl.zst

  # it was broken off
  fedmsg export --resume everything.jsonl.zst

  fedmsg export --format csv category:buildsys after:30d >builds.csv
  fedmsg export --bus https://bus.example.org -o bodhi.parquet category:bodhi on:2026

  # from one archive into another
  fedmsg export --dir /srv/old | fedmsg import --dir /srv/new -`,
		RunE: func(cmd *cobra.Command, args []string) error { return x.run(cmd.Context(), env, args) },
	}
	f := cmd.Flags()
	f.StringVar(&x.Format, "format", "", strings.Join(exports.Formats, ", ")+" (default: what the name of the file ends with, else jsonl)")
	f.StringVarP(&x.Output, "output", "o", "", "write to FILE (default: standard output)")
	f.StringVar(&x.Resume, "resume", "", "go on with FILE, which was broken off")
	f.IntVarP(&x.Limit, "limit", "n", 0, "at most N messages (default: all)")
	x.add(cmd, env)
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "url" { // as it is called where history is imported
			name = "bus"
		}
		return pflag.NormalizedName(name)
	})
	return cmd
}

// format is that of the flag, or of the name of the file.
func (x *exportFlags) format() string {
	if ending := strings.TrimPrefix(filepath.Ext(strings.TrimSuffix(x.Output, ".zst")), "."); x.Format == "" && slices.Contains(exports.Formats, ending) {
		return ending
	}
	return cmp.Or(x.Format, "jsonl")
}

func (x *exportFlags) run(ctx context.Context, env Env, args []string) (err error) {
	var file *exports.File
	mark, to := exports.Mark{}, env.Stdout
	if x.Resume != "" {
		if x.Output != "" || x.Format != "" || x.Limit != 0 || x.Oldest || len(args) > 0 {
			return env.Usage(errors.New("--resume takes no query, --output, --format, --limit or --oldest: those are as they were"))
		}
		if file, mark, err = exports.Resume(x.Resume); err != nil {
			return err
		}
		x.Output, x.Limit, args = x.Resume, mark.Limit, []string{mark.Query}
		if x.place == (place{}) {
			x.place = place{Bus: mark.Bus, Dir: mark.Dir, Archive: mark.Archive}
		}
	} else if mark.Format = x.format(); !slices.Contains(exports.Formats, mark.Format) {
		return env.Usage(fmt.Errorf("--format: %q is none of %s", x.Format, strings.Join(exports.Formats, ", ")))
	}
	whole := false
	defer func() {
		if file != nil {
			err = cmp.Or(err, file.Finish(whole))
		}
		if !whole && file != nil && file.IsMarked() && err != nil {
			hint := "it goes on where it is with: fedmsg export --resume " + env.Clean(x.Output)
			if err = (&fedmsg.HintError{Err: err, Hint: hint}); ctx.Err() != nil { // of an interruption nothing else is told
				fmt.Fprintln(env.Stderr, "fedmsg export: "+hint)
			}
		}
	}()
	q, err := x.query(env, args)
	if err != nil {
		return err
	}
	mark.Query, mark.Bus, mark.Dir, mark.Archive = query.String(q), x.Bus, x.Dir, x.Archive
	q.Cursor = mark.Cursor
	words, err := x.describer()
	if err != nil {
		return err
	}
	asked, done, err := x.ask(ctx, env)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, done()) }()
	if file == nil && x.Output != "" && x.Output != "-" {
		if file, err = exports.Create(x.Output); err != nil {
			return err
		}
	}
	if file != nil {
		to = file
	}
	err = x.write(ctx, env, asked, q, words, to, file, mark)
	whole = err == nil
	return err
}

// markEvery is how often it is noted how far an export is.
const markEvery = 2 * time.Second

// write writes page after page to where it goes, which may be a file that is marked.
func (x *exportFlags) write(ctx context.Context, env Env, asked Asked, q fedmsg.Query, words fedmsg.Describer, to io.Writer, file *exports.File, mark exports.Mark) error {
	out, err := exports.NewWriter(mark.Format, to, words, appendElement, mark.Cursor != "")
	if err != nil {
		return err
	}
	bar := newProgress(env, "fedmsg export", "messages")
	defer bar.end()
	bar.Whole(x.expected(ctx, env, asked, q, mark.Messages), 0)
	left, marked := x.Limit, time.Now()
	note := func() error {
		if file == nil || mark.Format == "parquet" || mark.Cursor == "" {
			return nil
		}
		marked, mark.Limit = time.Now(), left
		return cmp.Or(out.Flush(), file.Mark(mark))
	}
	for {
		if q.Limit = pageSize; left > 0 {
			q.Limit = min(left, pageSize)
		}
		page, err := patiently(ctx, bar, func() (fedmsg.Page, error) { return asked.Search(ctx, q) })
		if err != nil {
			return errors.Join(err, note())
		}
		for _, e := range page.Entries {
			if err := out.Write(ctx, e); err != nil {
				return err
			}
		}
		bar.Reached(int64(len(page.Entries)), bar.done+int64(len(page.Entries)))
		if left > 0 {
			if left -= len(page.Entries); left == 0 {
				page.Next = ""
			}
		}
		if page.Next == "" {
			return out.Close()
		}
		q.Cursor, mark.Cursor, mark.Messages = page.Next, page.Next, mark.Messages+int64(len(page.Entries))
		if time.Since(marked) > markEvery {
			if err := note(); err != nil {
				return err
			}
		}
	}
}

// expected is how many messages there will be behind some, for people who wait; 0 if
// nobody does, or it is not known.
func (x *exportFlags) expected(ctx context.Context, env Env, asked Asked, q fedmsg.Query, behind int64) int64 {
	if !env.Terminal {
		return 0
	}
	counts, err := asked.Count(ctx, q, fedmsg.Grouping{})
	if err != nil || counts.Estimate || len(counts.Rows) == 0 {
		return 0
	}
	if x.Limit > 0 {
		return min(int64(x.Limit), counts.Rows[0].N-behind)
	}
	return counts.Rows[0].N - behind
}

// How often the same is asked for, and the first pause.
const maxAsked, firstPause = 8, time.Second

// patiently asks again while a bus cannot answer or asks to wait.
func patiently(ctx context.Context, bar *progress, ask func() (fedmsg.Page, error)) (fedmsg.Page, error) {
	for i, pause := 1, firstPause; ; i, pause = i+1, 2*pause {
		page, err := ask()
		if err == nil || i == maxAsked || bar.n == 0 || !errors.Is(err, fedmsg.ErrUnavailable) && fedmsg.ReasonOf(err) != fedmsg.RateLimited {
			return page, err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return page, context.Cause(ctx)
		}
	}
}
