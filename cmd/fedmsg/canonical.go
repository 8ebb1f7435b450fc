package main

import (
	"bufio"
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/documents"
)

func newCanonical(env environ) *cobra.Command {
	return &cobra.Command{
		Use:   "canonical [FILE...]",
		Short: "Print JSON as it is signed",
		Long: `Print each JSON text of the files, or of standard input, in the form that is signed:
one line of ASCII, names sorted, numbers as Python spells them. A text may be a
line or laid out over several.`,
		Example: `  echo '{"b": 1.50, "a": "é"}' | fedmsg canonical

  jq -c .message messages.jsonl | fedmsg canonical | sha1sum`,
		RunE: func(cmd *cobra.Command, files []string) (err error) {
			out := bufio.NewWriterSize(output{env.stdout}, 64<<10)
			defer func() { err = cmp.Or(err, out.Flush()) }()
			var line []byte
			for doc, err := range documents.Read(cmd.Context(), env.stdin, files, false) {
				if err != nil {
					return err
				}
				if line, err = fedmsg.AppendCanonical(line[:0], doc.Text); err != nil {
					return fmt.Errorf("%s: %w", doc.Place, err)
				}
				if _, err := out.Write(append(line, '\n')); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
