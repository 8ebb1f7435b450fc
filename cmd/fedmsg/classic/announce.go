package classic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

func newAnnounce(env Env) *cobra.Command {
	var link string
	cmd := &cobra.Command{
		Use:   "announce",
		Short: "Publish an announcement, from standard input",
		Long: `Publish what standard input says as one message under announce.announcement, with
a link for who wants to know more. Blanks at the ends of lines are left out.`,
		Example: `  echo "Fedora Core 4 has been declared GOLD" | fedmsg announce --link https://fedoraproject.org/news`,
		Args:    noArguments(env),
	}
	cmd.Flags().StringVar(&link, "link", "", "URL of the whole story")
	open := env.Bus(cmd.Flags(), true)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		bus, err := open(cmd.Context())
		if bus == nil {
			return err
		}
		defer func() { err = errors.Join(err, bus.Close()) }()
		return announce(cmd.Context(), env.Stdin, link, bus)
	}
	return cmd
}

func announce(ctx context.Context, in io.Reader, link string, bus *Bus) error {
	text, err := io.ReadAll(io.LimitReader(in, fedmsg.MaxMessageSize+1))
	switch {
	case err != nil:
		return fmt.Errorf("standard input: %w", err)
	case len(text) > fedmsg.MaxMessageSize:
		return fmt.Errorf("standard input: %w", fedmsg.Refuse(fedmsg.TooLarge, "more than %d bytes", fedmsg.MaxMessageSize))
	case !utf8.Valid(text):
		return fmt.Errorf("standard input: %w", fedmsg.Refuse(fedmsg.BadUTF8, "only text can be announced"))
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		lines = append(lines, strings.TrimSpace(line))
	}
	body := struct {
		Link    *string `json:"link"`
		Message string  `json:"message"`
	}{Message: strings.Join(lines, "\n")}
	if link != "" {
		body.Link = &link
	}
	said, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return bus.Publish(ctx, "announce", "announcement", said)
}
