package madeup

import (
	"context"
	"fmt"
	"io"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Greet tells a newcomer what is here and what to try. usual is where programs look for a
// bus if nobody says otherwise.
func Greet(w io.Writer, web, usual, inbound, outbound string) {
	at := ""
	if web != usual {
		at = " --bus http://" + web
	}
	fmt.Fprintf(w, `
  A message bus is running, with made-up messages on it. Look at it in a browser:

    http://%[1]s/

    HTTP          http://%[1]s/api/v1/messages   /api/v1/events   /metrics
    ZeroMQ in     %[2]s
    ZeroMQ out    %[3]s

  In a second terminal, try

    go run ./cmd/fedmsg tail --terse%[4]s
    go run ./cmd/fedmsg history package:kernel after:7d%[4]s
    echo "Hello World." | go run ./cmd/fedmsg logger --modname=git --topic=repo.update%[4]s

  Stop it with Ctrl-C.

`, web, inbound, outbound, at)
}

// Show writes what passes until ctx ends: what it means to people, and below what it is.
// clean makes text safe to show.
func Show(ctx context.Context, log fedmsg.Reader, from fedmsg.Seq, words fedmsg.Describer, w io.Writer, clean func(string) string) error {
	for e, err := range fedmsg.Each(log.Read(ctx, from)) {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		fmt.Fprintf(w, "%s  %5d  %s\n                 %s  (%s)\n", e.At.Local().Format(time.TimeOnly), e.Seq,
			clean(words.Describe(ctx, e.Message).Subtitle), e.Message.Topic, clean(e.Verified))
	}
	return nil
}
