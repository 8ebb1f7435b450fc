package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/documents"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/drafting"
	"github.com/fedora-infra/fedmsg-go/meta"
)

// maxDraft is how many messages a draft is made from.
const maxDraft = 1000

func newRulesNew(env environ) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "new SERVICE [MESSAGES...]",
		Short: "Make a first rule file for a service, from messages of it",
		Long: `Make SERVICE.toml and SERVICE.jsonl from messages of the service, which are read from
files or standard input, as "fedmsg describe" does: a rule for each topic, with the
sentence that one would get without it, and what the messages hold as comments.
Nothing that exists is overwritten.`,
		Example: `  fedmsg tail --json --after 0 --until-now '*.*.*.library.#' | fedmsg rules new library`,
		Args:    named("service", "fedmsg rules new SERVICE [MESSAGES...]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return draftRules(cmd.Context(), env, dir, args[0], args[1:])
		},
	}
	cmd.Flags().StringVar(&dir, "dir", ".", "make the files in DIR")
	return cmd
}

func draftRules(ctx context.Context, env environ, dir, service string, files []string) error {
	if strings.Contains(service, ".") || fedmsg.Topic("org.example.prod."+service).Validate() != nil {
		return usageError{fmt.Errorf("%q: a service is the fourth word of its topics: org.example.prod.SERVICE.what.happened", service)}
	}
	drafts, others, err := readDrafts(ctx, env, service, files)
	if err != nil {
		return err
	}
	if len(drafts) == 0 {
		return &fedmsg.HintError{
			Err:  fmt.Errorf("no message of %s was read, and %d of others: %w", service, others, fedmsg.ErrInvalid),
			Hint: fmt.Sprintf("take some from a bus: fedmsg tail --json --after 0 --until-now '*.*.*.%s.#' | fedmsg rules new %[1]s", service),
		}
	}
	engine, err := meta.New(meta.Config{}, nil)
	if err != nil {
		return err
	}
	rules, examples := filepath.Join(dir, service+".toml"), filepath.Join(dir, service+".jsonl")
	if _, err := os.Lstat(examples); err == nil { // before half of it is made
		return createFile(examples, nil)
	}
	if err := createFile(rules, drafting.Text(ctx, engine, service, drafts, cleanLine)); err != nil {
		return err
	}
	lines, err := drafting.Examples(ctx, dir, examples, drafts)
	if err != nil {
		return err
	}
	if err := createFile(examples, lines); err != nil {
		return err
	}
	_, err = fmt.Fprintf(output{env.stdout}, `made %s with %s, and %s with %s
now make the sentences better, and see what comes out:
  fedmsg rules test --update %[1]s
  fedmsg describe --rules %[5]s --text MESSAGES
`, rules, counted(len(drafts), "rule"), examples, counted(bytes.Count(lines, []byte("\n")), "example"), dir)
	return err
}

// readDrafts reads messages of a service, by topic in the order of their coming.
func readDrafts(ctx context.Context, env environ, service string, files []string) (drafts []*drafting.Draft, others int, err error) {
	byEvent := make(map[string]*drafting.Draft)
	read := 0
	for doc, err := range documents.Read(ctx, env.stdin, files, true) {
		if err != nil {
			return nil, others, err
		}
		messages, err := readMessages(doc.Text)
		if err != nil {
			return nil, others, fmt.Errorf("%s: %w", doc.Place, err)
		}
		m := messages[0]
		words := strings.SplitN(string(m.Topic), ".", 5)
		if len(words) < 5 || words[3] != service {
			others++
			continue
		}
		if _, err := fedmsg.Decode(m.Compact()); err != nil { // history may be looser
			fmt.Fprintf(env.stderr, "fedmsg rules new: %s: cannot be an example: %s\n", cleanLine(doc.Place), cleanLine(err.Error()))
			continue
		}
		d := byEvent[words[4]]
		if d == nil {
			d = drafting.New(words[4])
			byEvent[words[4]] = d
			drafts = append(drafts, d)
		}
		d.Take(m)
		if read++; read == maxDraft {
			break
		}
	}
	return drafts, others, nil
}

// createFile makes a file that must not exist yet.
func createFile(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		if at, ok := errors.AsType[*fs.PathError](err); ok {
			at.Op = "create"
		}
		if errors.Is(err, os.ErrExist) {
			return &fedmsg.HintError{Err: err, Hint: "move it away first, or name another place with --dir"}
		}
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
