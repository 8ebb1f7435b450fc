package irc

import (
	"context"
	"net"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Dialling has a bot connect through dial.
func (b *Bot) Dialling(dial func(ctx context.Context, network, address string) (net.Conn, error)) *Bot {
	for _, c := range b.clients {
		c.cfg.Dial = dial
	}
	return b
}

// Line words a message as a channel of this style has it.
func Line(cfg Config, pretty, terse bool, d fedmsg.Describer, e fedmsg.Entry) string {
	return style{cfg.withDefaults(), pretty, terse}.line(context.Background(), d, e)
}

// FormatLine is what every line that is sent passes through.
var FormatLine = formatLine
