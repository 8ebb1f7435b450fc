// Package roles holds what a bus is called by: serve, which is all of it, and the daemons
// of fedmsg 1.x, each of which is a part.
package roles

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/config"
)

// A Role is what a bus does when it is called by a name.
type Role struct {
	Name                 string
	Short, Long, Example string

	// Preset is what the name says of the configuration; only flags go before.
	Preset config.Preset
	// Dir is where its log is, below the state directory, so that daemons on one machine
	// do not take each other's.
	Dir string
	// Subscribes says that it connects to the endpoints, IRC that it speaks on IRC.
	Subscribes, IRC bool
	// Signs says that it signs what comes unsigned over ZeroMQ from whom it knows.
	Signs bool

	needs []need
}

// A need is what a role cannot do without.
type need struct {
	met  func(*config.Loaded) bool
	what string
	hint string
}

// Check reports whether a role can be played with a configuration.
func (r *Role) Check(l *config.Loaded) error {
	var missing []error
	for _, n := range r.needs {
		if !n.met(l) {
			missing = append(missing, &fedmsg.HintError{Err: errors.New(n.what), Hint: n.hint})
		}
	}
	return errors.Join(missing...)
}

// All are the roles, the whole first.
var All = []Role{
	{
		Name: "serve", Short: "Run a bus", Subscribes: true, IRC: true,
		Long: `Run a bus: take messages over ZeroMQ and HTTP, verify them, keep them on disk,
and hand them on.

Without flags every listener is on this machine alone, and unsigned messages from
this machine are taken and stamped "verified: none". To open a listener to others,
give a CA to check signatures with, or name the networks that may speak unsigned.`,
		Example: `  # a bus for this machine
  fedmsg serve

  # something to look at
  fedmsg serve --demo

  # on free ports; the file tells which
  fedmsg serve --dir /tmp/bus --http 127.0.0.1:0 --relay-inbound tcp://127.0.0.1:0 \
      --relay-outbound tcp://127.0.0.1:0 --gateway tcp://127.0.0.1:0 --addr-file addr.json

  # open to a network, signatures checked
  fedmsg serve --relay-inbound tcp://0.0.0.0:2003 --ca ca.crt --crl crl.pem --policy policy.json`,
	},
	{
		Name: "relay", Short: "Run the part of a bus that takes messages from publishers", Dir: "relay",
		Preset: config.Preset{"gateway": "", "archive.enabled": "false", "moksha.livesocket.websocket.port": "0"},
		Long: `Run the part of a bus that takes messages from publishers (relay_inbound, and HTTP),
keeps them on disk, and hands them on at relay_outbound. It connects to no endpoint, and
keeps no history. Its log is in relay/ below the state directory.

"fedmsg serve" is relay, hub and gateway in one.`,
		Example: `  # as fedmsg-relay was: configuration from /etc/fedmsg.d
  fedmsg relay

  # for publishers of this machine, and readers of a network
  fedmsg relay --relay-inbound tcp://127.0.0.1:2003 --relay-outbound tcp://*:4001 --ca ca.crt`,
	},
	{
		Name: "signing-relay", Short: "Run a relay that signs what it is given by those it knows", Dir: "signing-relay", Signs: true,
		Preset: config.Preset{"gateway": "", "archive.enabled": "false", "moksha.livesocket.websocket.port": "0"},
		Long: `Run a relay that signs with its own certificate what comes unsigned from publishers
that it knows: over a socket in a file (ipc://, whose directory says who may open it),
from networks that allow_unauthenticated_inbound names, and over HTTP with a token.
All else must be signed, or is refused. Its log is in signing-relay/ below the state
directory.

The relay that was called so signed whatever reached it.`,
		Example: `  # programs of the group that may enter /run/fedmsg speak with this machine's name
  fedmsg signing-relay --relay-inbound ipc:///run/fedmsg/inbound.sock \
      --cert host.crt --key host.key --ca ca.crt`,
		needs: []need{
			{func(l *config.Loaded) bool { cert, _ := l.SigningFiles(""); return cert != "" },
				"there is no certificate to sign with", "name one with --cert and --key, or with sign_messages and certnames"},
			{func(l *config.Loaded) bool { return l.TrustedCA() != "" },
				"there is no CA to check signatures with", "name its certificate with --ca, or under ca_cert_location"},
		},
	},
	{
		Name: "gateway", Short: "Hand on what is published elsewhere, to anybody who connects", Dir: "gateway", Subscribes: true,
		Preset: config.Preset{"relay_inbound": "", "relay_outbound": "", "web.listen": "", "archive.enabled": "false", "moksha.livesocket.websocket.port": "0", "moksha.monitoring.socket": ""},
		Long: `Connect to all endpoints, and hand on what they publish, byte for byte, at one address
to which anybody may connect. It takes no messages and answers no requests. Its log is in
gateway/ below the state directory: what comes while it is down is caught up with by who
reads over HTTP from the bus itself.`,
		Example: `  # as fedmsg-gateway was: endpoints and port from /etc/fedmsg.d
  fedmsg gateway

  # one bus, for the world
  fedmsg gateway --endpoint tcp://bus.example.org:4001 --gateway tcp://*:9940 --ca ca.crt`,
		needs: []need{endpoints, {func(l *config.Loaded) bool { return len(l.GatewayAddrs()) > 0 }, "there is no address to hand on at", "name one with --gateway, or under gateway"}},
	},
	{
		Name: "hub", Short: "Consume what is published elsewhere: history, IRC, programs", Subscribes: true, IRC: true,
		Preset: config.Preset{"relay_inbound": "", "relay_outbound": "", "gateway": ""},
		Long: `Connect to all endpoints, keep what they publish, and serve those who consume it:
history and pages over HTTP, the firehose on IRC if channels are configured, and programs
that read by HTTP. It binds no ZeroMQ socket.

Classes of Python that the old hub loaded are programs of their own now.`,
		Example: `  # as fedmsg-hub was: endpoints from /etc/fedmsg.d
  fedmsg hub

  # IRC alone
  fedmsg hub --with-consumers fedmsg.consumers.ircbot:IRCBotConsumer`,
		needs: []need{endpoints},
	},
	{
		Name: "irc", Short: "Tell IRC channels what is published elsewhere", Dir: "irc", Subscribes: true, IRC: true,
		Preset: config.Preset{"relay_inbound": "", "relay_outbound": "", "gateway": "", "web.listen": "", "archive.enabled": "false", "moksha.livesocket.websocket.port": "0", "moksha.monitoring.socket": ""},
		Long: `Connect to all endpoints, and say what they publish in the channels that irc names.
Its log is in irc/ below the state directory: after a restart it goes on where it was.`,
		Example: `  # as fedmsg-irc was: endpoints and channels from /etc/fedmsg.d
  fedmsg irc

  # a configuration of its own
  fedmsg irc --config /etc/fedmsg-irc.toml`,
		needs: []need{endpoints, {func(l *config.Loaded) bool { return len(l.IRC) > 0 }, "no channel is configured",
			`write, for example:  [[irc]] network = "irc.libera.chat", channel = "fedora-fedmsg", nickname = "fedmsg-bot", ssl = true`}},
	},
}

// endpoints are what a part that consumes cannot do without.
var endpoints = need{func(l *config.Loaded) bool { return len(l.Subscribed()) > 0 },
	"there are no endpoints to connect to", "name one with --endpoint, or under [endpoints]"}

// consumers are the classes of the old hub that a hub is or has, and what they are here.
var consumers = map[string]string{
	"fedmsg.consumers.dummy:DummyConsumer":        "",
	"fedmsg.consumers.ircbot:IRCBotConsumer":      "irc",
	"fedmsg.consumers.gateway:GatewayConsumer":    "gateway",
	"fedmsg.consumers.relay:RelayConsumer":        "relay",
	"fedmsg.consumers.relay:SigningRelayConsumer": "signing-relay",
	"datanommer.consumer:Nommer":                  "archive",
	"moksha.hub.monitoring:MonitoringProducer":    "",
}

// Flags defines the flags that only some roles have, and returns what makes them count.
func (r *Role) Flags(f *pflag.FlagSet) func() error {
	if r.Name != "hub" {
		return func() error { return nil }
	}
	named := f.StringSlice("with-consumers", nil, "run these consumers of the old hub alone, as module:Class")
	r.Preset = maps.Clone(r.Preset)
	return func() error {
		if !f.Changed("with-consumers") {
			return nil
		}
		return r.only(*named)
	}
}

// only has a hub run some consumers alone.
func (r *Role) only(named []string) error {
	r.IRC, r.Preset["archive.enabled"] = false, "false"
	for _, name := range named {
		name = strings.TrimSpace(name)
		part, known := consumers[name]
		switch {
		case !known:
			return &fedmsg.HintError{Err: fmt.Errorf("--with-consumers: %s is a class of Python, which this program does not run", name),
				Hint: "run it in a program of its own that reads from the bus, with the package in python/ or over HTTP"}
		case part == "irc":
			r.IRC = true
		case part == "archive":
			r.Preset["archive.enabled"] = "true"
		case part != "":
			return &fedmsg.HintError{Err: fmt.Errorf("--with-consumers: %s is a daemon of its own here", name), Hint: "run: fedmsg " + part}
		}
	}
	return nil
}
