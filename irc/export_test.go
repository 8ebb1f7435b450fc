package irc

import (
	"context"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Line words a message as a channel of this style has it.
func Line(cfg Config, pretty, terse bool, d fedmsg.Describer, e fedmsg.Entry) string {
	return style{cfg.withDefaults(), pretty, terse}.line(context.Background(), d, e)
}
