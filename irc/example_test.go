package irc_test

import (
	"fmt"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/irc"
)

// A pump feeds the bot: bus.NewPump(bus.PumpConfig{Name: "irc", Live: true}, log, cursors,
// bot, logger). The pump and bot.Run belong to the same stage.
func ExampleNew() {
	cfg := irc.Config{
		Instances: []irc.Instance{{
			Connection: irc.Connection{Network: "irc.example.org", SSL: true, Nickname: "bus-bot"},
			Channel:    "#bus", MakeTerse: true, MakePretty: true,
			Filters: irc.Filters{Topic: []string{`^((?!(git|bodhi)).)*$`}},
		}},
		Colors: map[string]string{"git": "red", "bodhi": "green"},
	}
	words := describer(func(*fedmsg.Message) fedmsg.Words { return fedmsg.Words{} }) // or package meta's
	bot, err := irc.New(cfg, words, nil)
	fmt.Println(bot != nil, err)

	cfg.Instances[0].Channel, cfg.Method = "#bus #other", "shout"
	fmt.Println(cfg.Validate())
	// Output:
	// true <nil>
	// irc: entry 1, #bus #other: channel: must be one word of at most 64 bytes that begins with #, is "#bus #other"
	// irc_method: must be notice or msg, is "shout"
}
