package past

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/dumps"
)

// The commands of datanommer: their flags, and what they print, are those of
// datanommer.commands 1.4. Where it reads a database, they ask a bus or read an
// archive.

// NewDump makes the command dump.
func NewDump(env Env) *cobra.Command {
	var p place
	var since, before string
	cmd := &cobra.Command{
		Use:   "dump",
		Short: "Print everything as datanommer-dump did: one JSON list",
		Long: `Print the messages of a time, the oldest first, as one JSON list of records of
fedora-messaging: body, headers, id, priority, queue, topic. As datanommer-dump, but it
takes no more memory for more messages.`,
		Example: `  fedmsg dump --since 2026-01-01 --before 2026-02-01 >january.json

  fedmsg dump --dir /var/lib/fedmsg | gzip >everything.json.gz`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			q := fedmsg.Query{OldestFirst: true}
			for _, bound := range []struct {
				flag, text string
				into       *time.Time
			}{{"since", since, &q.Since}, {"before", before, &q.Until}} {
				if bound.text == "" {
					continue
				}
				if *bound.into, err = naiveTime(bound.text); err != nil {
					return env.Usage(fmt.Errorf("--%s: %w", bound.flag, err))
				}
			}
			if !q.Until.IsZero() {
				q.Until = q.Until.Add(time.Millisecond) // it is included
			}
			return dumpAll(cmd.Context(), env, &p, q)
		},
	}
	f := cmd.Flags()
	f.StringVar(&since, "since", "", "from TIME on: a date, or a date and a time, in UTC")
	f.StringVar(&before, "before", "", "up to TIME")
	p.flags(f, true)
	return cmd
}

// naiveTime reads ISO 8601; without a zone it is UTC, as in the database of
// datanommer.
func naiveTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time; write 2026-01-31 or 2026-01-31T23:59:59", text)
}

func dumpAll(ctx context.Context, env Env, p *place, q fedmsg.Query) (err error) {
	asked, done, err := p.ask(ctx, env)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(env.Stdout, 64<<10)
	defer func() { err = cmp.Or(err, out.Flush(), done()) }()
	n := 0
	_, err = each(ctx, asked, q, func(e fedmsg.Entry) error {
		text := "[\n"
		if n++; n > 1 {
			text = ",\n"
		}
		_, err := out.Write(append([]byte(text), asRecord(e.Message)...))
		return err
	})
	if err != nil {
		return err
	}
	end := "\n]\n"
	if n == 0 {
		end = "[]\n"
	}
	_, err = out.WriteString(end)
	return err
}

// asRecord spells a message as fedora-messaging does in files.
func asRecord(m *fedmsg.Message) []byte {
	fields := m.Fields("msg", "headers")
	headers := fields[1]
	if !bytes.HasPrefix(bytes.TrimSpace(headers), []byte("{")) {
		headers = []byte(`{"fedora_messaging_schema":"base.message","fedora_messaging_severity":20,"sent-at":` + strconv.Quote(m.Time.Format("2006-01-02T15:04:05.999999")+"+00:00") + `}`)
	}
	body := fields[0]
	if body == nil {
		body = []byte("{}")
	}
	return dumps.Object([]fedmsg.Member{
		{Name: "body", JSON: body}, {Name: "headers", JSON: headers}, {Name: "id", JSON: []byte(strconv.Quote(m.ID))},
		{Name: "priority", JSON: []byte("0")}, {Name: "queue", JSON: []byte("null")}, {Name: "topic", JSON: []byte(strconv.Quote(string(m.Topic)))},
	})
}

// NewStats makes the command stats.
func NewStats(env Env) *cobra.Command {
	var p place
	var byTopic bool
	var category string
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Count messages as datanommer-stats did",
		Long:  "Print for each category, or topic, how many messages there are: \"NAME has N entries\".",
		Example: `  fedmsg stats

  fedmsg stats --topic --category git`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			asked, done, err := p.ask(cmd.Context(), env)
			if err != nil {
				return err
			}
			defer func() { err = cmp.Or(err, done()) }()
			by, q := fedmsg.CategoryField, fedmsg.Query{}
			if byTopic {
				by = fedmsg.TopicField
			}
			if category != "" {
				q.Filter = has(fedmsg.CategoryField, category)
			}
			counts, err := everyValue(cmd.Context(), asked, q, by)
			if err != nil {
				return err
			}
			for _, c := range counts {
				if _, err := fmt.Fprintf(env.Stdout, "%s has %d entries\n", env.Clean(c.Value), c.N); err != nil {
					return err
				}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.BoolVar(&byTopic, "topic", false, "count by topic (default: by category)")
	f.StringVar(&category, "category", "", "only the messages of category NAME")
	p.flags(f, true)
	return cmd
}

func has(field fedmsg.Field, value string) fedmsg.Filter {
	return fedmsg.Filter{Op: fedmsg.Has, Test: fedmsg.Test{Field: field, Value: value}}
}

// everyValue counts by a field, with all of its values, by name.
func everyValue(ctx context.Context, asked Asked, q fedmsg.Query, by fedmsg.Field) ([]fedmsg.Count, error) {
	counts, err := asked.Count(ctx, q, fedmsg.Grouping{Field: by, Limit: 1 << 20})
	if err != nil {
		return nil, err
	}
	if counts.Estimate {
		return nil, fmt.Errorf("there are too many messages to count them in time: %w", fedmsg.ErrUnavailable)
	}
	rows := slices.DeleteFunc(counts.Rows, func(c fedmsg.Count) bool { return c.Value == "" })
	slices.SortFunc(rows, func(a, b fedmsg.Count) int { return strings.Compare(a.Value, b.Value) })
	return rows, nil
}

type latestFlags struct {
	place
	Topic, Category                      string
	Overall, Timestamp, Timesince, Human bool
}

// latestSpan is how far back the latest message of each category is looked for, as in
// datanommer.
const latestSpan = 365 * 24 * time.Hour

// NewLatest makes the command latest.
func NewLatest(env Env) *cobra.Command {
	var l latestFlags
	cmd := &cobra.Command{
		Use:   "latest",
		Short: "Print the latest message of each category, as datanommer-latest did",
		Long: `Print the latest message of each category within a year, or of one topic or
category, or of all, as a JSON list: {CATEGORY: MESSAGE}, a time, or how long ago.`,
		Example: `  fedmsg latest --category bodhi

  # when something happened, for a monitor
  fedmsg latest --overall --timesince`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return l.run(cmd.Context(), env, time.Now().UTC()) },
	}
	f := cmd.Flags()
	f.StringVar(&l.Topic, "topic", "", "only the latest of topic T")
	f.StringVar(&l.Category, "category", "", "only the latest of category C")
	f.BoolVar(&l.Overall, "overall", false, "only the latest of all")
	f.BoolVar(&l.Timestamp, "timestamp", false, "only its time, in seconds since 1970")
	f.BoolVar(&l.Timesince, "timesince", false, "only how many seconds ago it was")
	f.BoolVar(&l.Human, "human", false, "with --timestamp or --timesince: for people to read")
	l.flags(f, true)
	return cmd
}

func (l *latestFlags) run(ctx context.Context, env Env, now time.Time) (err error) {
	if l.Timestamp && l.Timesince {
		return env.Usage(errors.New("--timestamp and --timesince do not go together"))
	}
	asked, done, err := l.ask(ctx, env)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, done()) }()
	var queries []fedmsg.Query
	switch {
	case l.Topic != "":
		queries = []fedmsg.Query{{Filter: has(fedmsg.TopicField, l.Topic)}}
	case l.Category != "":
		queries = []fedmsg.Query{{Filter: has(fedmsg.CategoryField, l.Category)}}
	case l.Overall:
		queries = []fedmsg.Query{{}}
	default:
		since := now.Add(-latestSpan).Truncate(time.Hour)
		categories, err := everyValue(ctx, asked, fedmsg.Query{Since: since}, fedmsg.CategoryField)
		if err != nil {
			return err
		}
		for _, c := range categories {
			queries = append(queries, fedmsg.Query{Filter: has(fedmsg.CategoryField, c.Value), Since: since})
		}
	}
	var results []string
	for _, q := range queries {
		q.Limit = 1
		page, err := asked.Search(ctx, q)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			results = append(results, l.show(e.Message, now))
		}
	}
	_, err = fmt.Fprintf(env.Stdout, "[%s]\n", strings.Join(results, ","))
	return err
}

// show spells a message as datanommer-latest does.
func (l *latestFlags) show(m *fedmsg.Message, now time.Time) string {
	since := now.Sub(m.Time).Truncate(time.Microsecond)
	switch {
	case l.Timestamp && l.Human:
		layout := "2006-01-02 15:04:05"
		if m.Time.Nanosecond() != 0 {
			layout += ".000000"
		}
		return strconv.Quote(m.Time.Format(layout))
	case l.Timestamp:
		text := strconv.FormatFloat(float64(m.Time.UnixMicro())/1e6, 'f', -1, 64)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		return text
	case l.Timesince && l.Human:
		return strconv.Quote(pythonDelta(since))
	case l.Timesince:
		return strconv.Quote(strconv.FormatInt(int64(since/time.Second), 10))
	}
	category := "Unclassified"
	if words := strings.SplitN(string(m.Topic), ".", 5); len(words) > 3 {
		category = words[3]
	}
	text, err := fedmsg.AppendPretty(nil, m.Bytes())
	if err != nil {
		text = m.Compact()
	}
	return fmt.Sprintf("{%s: %s}", strconv.Quote(category), text)
}

// pythonDelta spells a duration as str of Python's timedelta does: 1 day, 0:01:00.
func pythonDelta(d time.Duration) string {
	days := d / (24 * time.Hour)
	if d < 0 && d%(24*time.Hour) != 0 {
		days--
	}
	rest := d - days*24*time.Hour
	text := fmt.Sprintf("%d:%02d:%02d", rest/time.Hour, rest/time.Minute%60, rest/time.Second%60)
	if micros := rest % time.Second / time.Microsecond; micros != 0 {
		text += fmt.Sprintf(".%06d", micros)
	}
	switch {
	case days == 1 || days == -1:
		return fmt.Sprintf("%d day, %s", days, text)
	case days != 0:
		return fmt.Sprintf("%d days, %s", days, text)
	}
	return text
}
