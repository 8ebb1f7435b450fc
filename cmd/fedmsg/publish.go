package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/client"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/documents"
)

// publishFlags are those of a draft, and how whole messages are dealt with.
type publishFlags struct {
	draftFlags
	JSON      bool
	KeepGoing bool
}

func newPublish(env environ) *cobra.Command {
	var p publishFlags
	cmd := &cobra.Command{
		Use:   "publish [FILE...]",
		Short: "Publish whole messages, as they are",
		Long: `Publish whole messages, as they are, from files or standard input: JSON objects with
the fields topic, msg, msg_id and timestamp, one a line or laid out over several.
Publishing the same message again does no harm. For each the place in the log and
the ID are printed.

With --message, --json-input, --topic or --modname a message is made first, as
"fedmsg logger" does, but JSON that is no object is refused.`,
		Example: `  fedmsg publish message.json

  fedmsg tail --json --since 1h --until-now | jq -c .message | fedmsg publish --keep-going --bus http://other:8330

  fedmsg publish --modname=git --topic=repo.update --json-input --message='{"repo": "kernel"}'`,
		RunE: func(cmd *cobra.Command, files []string) error {
			if done, err := p.resolve(cmd.Flags(), env); done || err != nil {
				return err
			}
			out := bufio.NewWriter(output{env.stdout})
			p.done = func(r client.Receipt) error { return p.print(out, r) }
			for _, name := range []string{"message", "json-input", "topic", "modname"} {
				if cmd.Flags().Changed(name) {
					if len(files) > 0 {
						return usageError{fmt.Errorf("--%s and a file of whole messages do not go together", name)}
					}
					p.objectsOnly = true
					return p.draftFlags.run(cmd.Context(), env)
				}
			}
			return p.run(cmd.Context(), env, files)
		},
	}
	p.addDraft(cmd.Flags())
	cmd.Flags().BoolVar(&p.JSON, "json", false, "print one JSON object for each message: id, seq, topic")
	cmd.Flags().BoolVarP(&p.KeepGoing, "keep-going", "k", false, "report what is refused, and go on with the next message")
	p.add(cmd.Flags())
	return cmd
}

// run publishes the messages of files.
func (p *publishFlags) run(ctx context.Context, env environ, files []string) (err error) {
	signer, err := p.signer()
	if err != nil {
		return err
	}
	bus, err := p.open(ctx, env, signer)
	if err != nil {
		return err
	}
	sent := sentNote{env: env, flags: &p.busFlags}
	defer func() { err = errors.Join(err, bus.Close()); sent.tell() }()
	refused, all := 0, 0
	for doc, err := range documents.Read(ctx, env.stdin, files, true) {
		if err != nil {
			return err
		}
		all++
		r, err := p.send(ctx, bus, doc)
		switch {
		case err == nil:
			sent.add(r)
			if err := p.done(r); err != nil {
				return err
			}
		case p.KeepGoing && exitStatus(err) == exitStatus(fedmsg.ErrInvalid):
			refused++
			report(env.stderr, "fedmsg publish", err)
		default:
			return err
		}
	}
	if refused > 0 {
		return fmt.Errorf("%d of %d messages were refused: %w", refused, all, fedmsg.ErrInvalid)
	}
	return nil
}

func (p *publishFlags) send(ctx context.Context, bus messageBus, doc documents.Document) (client.Receipt, error) {
	m, err := fedmsg.Decode(doc.Text)
	if err != nil {
		return client.Receipt{}, fmt.Errorf("%s: %w", doc.Place, err)
	}
	limited, cancel := p.limit(ctx)
	defer cancel()
	r, err := bus.Send(limited, m)
	if err != nil {
		return r, fmt.Errorf("%s: %w", doc.Place, err)
	}
	return r, nil
}

// print prints a receipt at once: who reads may wait for it.
func (p *publishFlags) print(out *bufio.Writer, r client.Receipt) error {
	if p.JSON {
		receipt := map[string]any{"id": r.ID, "topic": r.Topic}
		if r.Confirmed {
			receipt["seq"] = r.Seq
		}
		if err := json.NewEncoder(out).Encode(receipt); err != nil {
			return err
		}
	} else if r.Confirmed {
		fmt.Fprintf(out, "%d %s\n", r.Seq, r.ID)
	} else {
		fmt.Fprintf(out, "- %s\n", r.ID)
	}
	return out.Flush()
}
