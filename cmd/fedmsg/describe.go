package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/documents"
	"github.com/fedora-infra/fedmsg-go/meta"
)

// describeFlags say which words are wanted.
type describeFlags struct {
	wordsConfig
	Text, Group bool
	Subject     string
}

func newDescribe(env environ) *cobra.Command {
	var d describeFlags
	cmd := &cobra.Command{
		Use:   "describe [MESSAGES...]",
		Short: "Tell in plain words what messages say",
		Long: `Read whole messages from files or standard input, one JSON object each, and print
one JSON object for each: title, subtitle (the sentence), link, icon,
secondary_icon, usernames, packages, objects, long_form, agent, emails, avatars.
Lines of "fedmsg tail --json" and examples of rules are read too.

What is no message is told, the others are described, and the exit status is 65.`,
		Example: `  fedmsg describe messages.jsonl

  # a line to read for each
  fedmsg tail --json --after 0 --until-now | fedmsg describe --text

  # what a digest would say of a day
  fedmsg tail --json --since 24h --until-now | fedmsg describe --group --text --subject alice`,
		RunE: func(cmd *cobra.Command, files []string) error { return d.run(cmd.Context(), env, files) },
	}
	f := cmd.Flags()
	f.BoolVar(&d.Text, "text", false, "a line of text for each: title -- sentence link; of --group: sentence link")
	f.BoolVar(&d.Group, "group", false, "make one line of messages that belong together; all are read first")
	f.StringVar(&d.Subject, "subject", "", "word it for USER, who did some of it: \"You ...\", in the field subjective")
	d.flags(f, env)
	return cmd
}

func (d *describeFlags) run(ctx context.Context, env environ, files []string) (err error) {
	engine, err := d.engineFor(env)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(output{env.stdout}, 64<<10)
	defer func() { err = cmp.Or(err, out.Flush()) }()
	var all []*fedmsg.Message
	bad := 0
	for doc, err := range documents.Read(ctx, env.stdin, files, true) {
		if err != nil {
			return err
		}
		messages, err := readMessages(doc.Text)
		if err != nil {
			bad++
			fmt.Fprintf(env.stderr, "fedmsg describe: %s: %s\n", cleanLine(doc.Place), cleanLine(err.Error()))
			continue
		}
		if d.Group {
			all = append(all, messages...)
			continue
		}
		for _, m := range messages {
			if err := cmp.Or(d.print(out, engine.Describe(ctx, m)), out.Flush()); err != nil { // the next may come in an hour
				return err
			}
		}
	}
	if d.Group {
		for _, g := range engine.Group(ctx, all) {
			if err := d.printGroup(out, g, all); err != nil {
				return err
			}
		}
	}
	if bad > 0 {
		return invalidError{fmt.Sprintf("%s no %s", plural(bad, "1 text that was read is", fmt.Sprintf("%d texts that were read are", bad)), plural(bad, "message", "messages"))}
	}
	return nil
}

// readMessages reads a message, an element that holds one, or an example of rules,
// which holds one or several.
func readMessages(text []byte) ([]*fedmsg.Message, error) {
	m, err := fedmsg.DecodeHistory(text)
	if err != nil {
		return nil, err
	}
	if m.Topic != "" {
		return []*fedmsg.Message{m}, nil
	}
	var holds struct {
		Message, Msg json.RawMessage
		Msgs         []json.RawMessage
	}
	if json.Unmarshal(text, &holds) == nil {
		inside := holds.Msgs
		if one := cmp.Or(string(holds.Message), string(holds.Msg)); one != "" {
			inside = []json.RawMessage{json.RawMessage(one)}
		}
		var all []*fedmsg.Message
		for _, text := range inside {
			m, err := fedmsg.DecodeHistory(text)
			if err != nil {
				return nil, err
			}
			if m.Topic != "" {
				all = append(all, m)
			}
		}
		if len(all) > 0 && len(all) == len(inside) {
			return all, nil
		}
	}
	return nil, fedmsg.RefuseField(fedmsg.MissingField, "topic", "every message has it")
}

func (d *describeFlags) print(out io.Writer, w fedmsg.Words) error {
	if d.Text {
		w.Subtitle = meta.Subjective(w.Subtitle, d.Subject)
		_, err := fmt.Fprintln(out, cleanLine(w.String()))
		return err
	}
	line := w.AppendJSON(nil)
	if d.Subject != "" {
		line = d.addSubjective(line, w.Subtitle)
	}
	_, err := out.Write(append(line, '\n'))
	return err
}

func (d *describeFlags) addSubjective(line []byte, sentence string) []byte {
	text, err := json.Marshal(meta.Subjective(sentence, d.Subject))
	if err != nil {
		panic(err) // cannot be: a string
	}
	return append(append(append(line[:len(line)-1], `,"subjective":`...), text...), '}')
}

// A groupLine is what is printed of a group: the names are those of fedmsg's
// conglomerate.
type groupLine struct {
	Subtitle      string                     `json:"subtitle"`
	Subjective    string                     `json:"subjective"`
	Link          string                     `json:"link"`
	Icon          string                     `json:"icon"`
	SecondaryIcon string                     `json:"secondary_icon"`
	StartTime     float64                    `json:"start_time"`
	EndTime       float64                    `json:"end_time"`
	Timestamp     float64                    `json:"timestamp"`
	HumanTime     string                     `json:"human_time"`
	Usernames     []string                   `json:"usernames"`
	Packages      []string                   `json:"packages"`
	Topics        []string                   `json:"topics"`
	Categories    []string                   `json:"categories"`
	MsgIDs        map[string]json.RawMessage `json:"msg_ids"`
	Count         int                        `json:"count"`
}

func (d *describeFlags) printGroup(out io.Writer, g meta.Group, all []*fedmsg.Message) error {
	subjective := meta.Subjective(g.Words.Subtitle, d.Subject)
	if d.Text {
		_, err := fmt.Fprintln(out, cleanLine(strings.TrimSpace(subjective+" "+g.Words.Link)))
		return err
	}
	line := groupLine{
		Subtitle: g.Words.Subtitle, Subjective: subjective, Link: g.Words.Link, Icon: g.Words.Icon, SecondaryIcon: g.Words.SecondaryIcon,
		StartTime: epoch(g.Start), EndTime: epoch(g.End), Timestamp: epoch(g.Mean), HumanTime: g.Age,
		Usernames: orEmpty(g.Words.Usernames), Packages: orEmpty(g.Words.Packages), Topics: orEmpty(g.Topics), Categories: orEmpty(g.Categories),
		MsgIDs: make(map[string]json.RawMessage), Count: len(g.Members),
	}
	for i, n := range g.Members {
		id := cmp.Or(all[n].ID, fmt.Sprintf("message-%d", n+1)) // old ones have none
		line.MsgIDs[id] = g.Each[i].AppendJSON(nil)
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(line)
}

// epoch is a time in seconds since 1970, as messages have it.
func epoch(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

func orEmpty(list []string) []string { return append([]string{}, list...) }
