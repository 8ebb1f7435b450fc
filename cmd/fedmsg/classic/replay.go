package classic

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// defaultDatagrepper is where the original looked.
const defaultDatagrepper = "https://apps.fedoraproject.org/datagrepper"

func newReplay(env Env) *cobra.Command {
	var id, from string
	cmd := &cobra.Command{
		Use:   "dg-replay",
		Short: "Publish what a message said again, found by a datagrepper",
		Long: `Ask a datagrepper for a message, and publish what it said under the same words of
the topic, from the fourth on. It is a new message: its ID, time and user are those of
now and here, and so are prefix and environment.

It exits with 2 if the datagrepper does not have the message.`,
		Example: `  fedmsg dg-replay --msg-id 2014-0bbc9fc9-f1a8-4b9e-8d9e-6d2c1c7c9d5b

  # the history of a bus of ours is a datagrepper too
  fedmsg dg-replay --datagrepper-url http://127.0.0.1:8330 --msg-id 2014-0bbc9fc9-f1a8-4b9e-8d9e-6d2c1c7c9d5b`,
		Args: noArguments(env),
	}
	cmd.Flags().StringVar(&id, "msg-id", "", "ID of the message")
	cmd.Flags().StringVar(&from, "datagrepper-url", defaultDatagrepper, "where the datagrepper is")
	open := env.Bus(cmd.Flags(), true)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		bus, err := open(cmd.Context())
		if bus == nil {
			return err
		}
		defer func() { err = errors.Join(err, bus.Close()) }()
		if id == "" {
			return status{errors.New("--msg-id is required"), 1}
		}
		where, err := url.Parse(from)
		if err != nil || where.Host == "" || where.Scheme != "http" && where.Scheme != "https" {
			return env.Usage(fmt.Errorf("--datagrepper-url: %q is no address of a site: https://HOST/PATH", from))
		}
		return replay(cmd.Context(), env, where, id, bus)
	}
	return cmd
}

func replay(ctx context.Context, env Env, where *url.URL, id string, bus *Bus) error {
	if _, err := fmt.Fprintf(env.Stdout, "Retrieving '%s'\n", env.Clean(id)); err != nil {
		return err
	}
	asked := where.JoinPath("id")
	asked.RawQuery = url.Values{"id": {id}}.Encode()
	text, err := env.Fetch(ctx, asked.String())
	if refused, ok := errors.AsType[interface {
		error
		StatusCode() int
	}](err); ok {
		return status{fmt.Errorf("datagrepper request of %q failed. Status: %d", id, refused.StatusCode()), 2}
	}
	if err != nil {
		return fmt.Errorf("datagrepper: %w: %w", err, fedmsg.ErrUnavailable)
	}
	modname, topic, body, err := said(text)
	if err != nil {
		return fmt.Errorf("datagrepper: message %q: %w", id, err)
	}
	if _, err := fmt.Fprintf(env.Stdout, "Broadcasting '%s'\n", env.Clean(id)); err != nil {
		return err
	}
	if err := bus.Publish(ctx, modname, topic, body); err != nil {
		return err
	}
	_, err = fmt.Fprintln(env.Stdout, "OK.")
	return err
}

// said finds in a datagrepper's answer what to say again: the words of the topic from
// the fourth on, and the body.
func said(text []byte) (modname, topic string, body []byte, err error) {
	members, err := fedmsg.DecodeObject(text)
	if err != nil {
		return "", "", nil, err
	}
	for _, m := range members {
		switch m.Name {
		case "topic":
			whole, _ := fedmsg.DecodeString(m.JSON)
			words := strings.SplitN(whole, ".", 5)
			if len(words) < 4 || words[3] == "" {
				return "", "", nil, fedmsg.RefuseField(fedmsg.BadTopic, "topic", "%.80q has no fourth word, which says who publishes", whole)
			}
			modname, topic = words[3], strings.Join(words[4:], ".")
		case "msg":
			body = m.JSON
		}
	}
	if modname == "" || body == nil {
		return "", "", nil, fedmsg.Refuse(fedmsg.MissingField, "it lacks its topic or its msg")
	}
	return modname, topic, body, nil
}
