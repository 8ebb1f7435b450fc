package past

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/spf13/cobra"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

type exportFlags struct {
	search
	Format, Output string
}

// NewExport makes the command export.
func NewExport(env Env) *cobra.Command {
	var x exportFlags
	cmd := &cobra.Command{
		Use:   "export [QUERY...]",
		Short: "Write messages of the past to a file, as JSON lines or CSV",
		Long: `Write all that a search line finds, as JSON lines that fedmsg import takes, or as CSV.
A file whose name ends with .zst is compressed. It takes a fixed amount of memory,
however many messages there are.`,
		Example: `  fedmsg export --oldest -o everything.jsonl.zst

  fedmsg export --format csv category:buildsys after:30d >builds.csv

  # from one archive into another
  fedmsg export --dir /srv/old | fedmsg import --dir /srv/new -`,
		RunE: func(cmd *cobra.Command, args []string) error { return x.run(cmd.Context(), env, args) },
	}
	f := cmd.Flags()
	f.StringVar(&x.Format, "format", "jsonl", "jsonl or csv")
	f.StringVarP(&x.Output, "output", "o", "", "write to FILE (default: standard output)")
	f.IntVarP(&x.Limit, "limit", "n", 0, "at most N messages (default: all)")
	x.add(cmd, env)
	return cmd
}

func (x *exportFlags) run(ctx context.Context, env Env, args []string) (err error) {
	if x.Format != "jsonl" && x.Format != "csv" {
		return env.Usage(fmt.Errorf("--format: %q is neither jsonl nor csv", x.Format))
	}
	q, err := x.query(env, args)
	if err != nil {
		return err
	}
	words, err := x.describer()
	if err != nil {
		return err
	}
	asked, done, err := x.ask(ctx, env)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, done()) }()
	to, finish, err := x.output(env)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, finish(err == nil)) }()
	out := bufio.NewWriterSize(to, 64<<10)
	bar := newProgress(env, "fedmsg export", "messages")
	write := func(e fedmsg.Entry) error { _, err := out.Write(append(appendElement(nil, e), '\n')); return err }
	if x.Format == "csv" {
		rows := csv.NewWriter(out)
		if err := rows.Write(exportColumns); err != nil {
			return err
		}
		write = func(e fedmsg.Entry) error {
			return cmp.Or(rows.Write(exportRow(e, words.Describe(ctx, e.Message))), flushed(rows))
		}
	}
	_, err = each(ctx, asked, q, func(e fedmsg.Entry) error {
		bar.add(1, 0)
		return write(e)
	})
	bar.end()
	return cmp.Or(err, out.Flush())
}

func flushed(w *csv.Writer) error { w.Flush(); return w.Error() }

var exportColumns = []string{"time", "id", "topic", "sentence", "agent", "users", "packages", "link", "verified", "seq", "msg"}

func exportRow(e fedmsg.Entry, w fedmsg.Words) []string {
	row := []string{
		e.Message.Time.Format("2006-01-02T15:04:05.000Z"), e.Message.ID, string(e.Message.Topic), w.Subtitle, w.Agent,
		strings.Join(w.Usernames, " "), strings.Join(w.Packages, " "), w.Link, e.Verified, strconv.FormatUint(uint64(e.Seq), 10), string(e.Message.Body),
	}
	for i, cell := range row {
		if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
			row[i] = "'" + cell // a spreadsheet would compute it
		}
	}
	return row
}

// output opens what is written to. finish closes it; a file that is not whole is
// removed.
func (x *exportFlags) output(env Env) (w io.Writer, finish func(whole bool) error, err error) {
	if x.Output == "" || x.Output == "-" {
		return env.Stdout, func(bool) error { return nil }, nil
	}
	f, err := os.Create(x.Output + ".part")
	if err != nil {
		return nil, nil, err
	}
	w, closePacker := f, func() error { return nil }
	if strings.HasSuffix(x.Output, ".zst") {
		packer, err := zstd.NewWriter(f)
		if err != nil {
			return nil, nil, cmp.Or(err, f.Close())
		}
		w, closePacker = packer, packer.Close
	}
	return w, func(whole bool) error {
		err := cmp.Or(closePacker(), f.Sync(), f.Close())
		if !whole || err != nil {
			return cmp.Or(err, os.Remove(x.Output+".part"))
		}
		return os.Rename(x.Output+".part", x.Output)
	}, nil
}
