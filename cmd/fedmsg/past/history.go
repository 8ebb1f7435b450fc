package past

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/query"
)

// search are the flags of commands that search.
type search struct {
	place
	Oldest    bool
	Limit     int
	describer func() (fedmsg.Describer, error)
}

func (s *search) add(cmd *cobra.Command, env Env) {
	f := cmd.Flags()
	f.BoolVar(&s.Oldest, "oldest", false, "the oldest first (default: the newest)")
	s.flags(f, true)
	s.describer = env.Words(f)
}

// query reads the search line that the arguments are.
func (s *search) query(env Env, args []string) (fedmsg.Query, error) {
	line := strings.Join(args, " ")
	q, err := query.Parse(line, time.Now())
	if wrong, ok := errors.AsType[*query.Error](err); ok {
		fmt.Fprintln(env.Stderr, indent(wrong.Show()))
	}
	if err != nil {
		return q, env.Usage(err)
	}
	q.OldestFirst = q.OldestFirst || s.Oldest
	q.Limit = s.Limit
	return q, nil
}

// indent sets lines off from what is around them.
func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
}

type historyFlags struct {
	search
	JSON, Text, All, Ascend bool
}

// NewHistory makes the command history.
func NewHistory(env Env) *cobra.Command {
	var h historyFlags
	cmd := &cobra.Command{
		Use:   "history [QUERY...]",
		Short: "Search everything that was ever published",
		Long: `Search the history of a bus, and show what happened: when, and in one sentence. The
arguments are a search line, as in the box of the history page: words, KEY:VALUE,
quotes, -, OR, parentheses. The keys are in docs/query.md; the most useful are
topic, category, user, package, after, before and body.PATH.

A running bus is asked over HTTP. With --dir the archive is read itself; then no bus
may be running there.`,
		Example: `  # the newest
  fedmsg history

  fedmsg history category:bodhi package:kernel after:7d

  # what is a flag to a shell stands behind --
  fedmsg history -n 100 -- category:git -user:releng '"new upstream release"'

  # all of a day, for a program
  fedmsg history --json --all --oldest on:2026-11-20 | jq -r .message.topic

  # without a bus
  fedmsg history --dir /var/lib/fedmsg user:ralph`,
		RunE: func(cmd *cobra.Command, args []string) error { return h.run(cmd.Context(), env, args) },
	}
	f := cmd.Flags()
	f.IntVarP(&h.Limit, "limit", "n", 25, "at most N messages")
	f.BoolVar(&h.All, "all", false, "all of them, however many there are")
	f.BoolVar(&h.JSON, "json", false, "for programs: one JSON object a line, with seq, at, verified and message")
	f.BoolVar(&h.Text, "text", false, "each as paragraphs: when and where, what it says at length, its link")
	h.add(cmd, env)
	return cmd
}

func (h *historyFlags) run(ctx context.Context, env Env, args []string) (err error) {
	if h.JSON && h.Text {
		return env.Usage(errors.New("--json and --text do not go together"))
	}
	if h.Limit < 1 {
		return env.Usage(fmt.Errorf("--limit: must be at least 1, is %d; --all shows all", h.Limit))
	}
	if h.All {
		h.Limit = 0
	}
	q, err := h.query(env, args)
	if err != nil {
		return err
	}
	words, err := h.describer()
	if err != nil {
		return err
	}
	asked, done, err := h.ask(ctx, env)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(env.Stdout, 64<<10)
	defer func() { err = cmp.Or(err, out.Flush(), done()) }()
	shown := 0
	more, err := each(ctx, asked, q, func(e fedmsg.Entry) error {
		shown++
		var line string
		switch {
		case h.JSON:
			_, err := out.Write(append(appendElement(nil, e), '\n'))
			return err
		case h.Text:
			line = paragraphs(env, e, words.Describe(ctx, e.Message))
		default:
			w := words.Describe(ctx, e.Message)
			line = env.Clean(e.Message.Time.Local().Format("2006-01-02 15:04:05")+"  "+w.Subtitle) + "\n"
		}
		_, err := out.WriteString(line)
		return err
	})
	if err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if shown == 0 && !h.JSON {
		fmt.Fprintln(env.Stderr, "fedmsg history: nothing was found")
	} else if more != "" && env.Terminal {
		fmt.Fprintf(env.Stderr, "fedmsg history: there is more; add -n %d, or --all\n", 4*h.Limit)
	}
	return nil
}

// paragraphs are a message for people who read.
func paragraphs(env Env, e fedmsg.Entry, w fedmsg.Words) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  %s\n", e.Message.Time.Local().Format("2006-01-02 15:04:05"), env.Clean(string(e.Message.Topic)), env.Clean(e.Message.ID))
	for line := range strings.SplitSeq(strings.TrimSpace(w.LongForm), "\n") {
		fmt.Fprintf(&b, "  %s\n", env.Clean(strings.TrimRight(line, " \r")))
	}
	if w.Link != "" {
		fmt.Fprintf(&b, "  %s\n", env.Clean(w.Link))
	}
	b.WriteByte('\n')
	return b.String()
}

// appendElement appends an entry as JSON, in one line of ASCII, as the bus gives it
// over HTTP.
func appendElement(dst []byte, e fedmsg.Entry) []byte {
	line, err := json.Marshal(struct {
		Seq      fedmsg.Seq `json:"seq"`
		At       string     `json:"at"`
		Verified string     `json:"verified"`
		Message  string     `json:"message"`
	}{e.Seq, e.At.UTC().Format("2006-01-02T15:04:05.000000Z"), e.Verified, ""})
	if err != nil {
		panic(err) // cannot be: numbers and strings
	}
	// The message goes in as it is: Marshal would spell parts of it anew.
	dst = append(dst, line[:len(line)-len(`""}`)]...)
	return append(append(dst, e.Message.Compact()...), '}')
}
