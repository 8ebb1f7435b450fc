package irc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fedora-infra/fedmsg-go/internal/pyregexp"
	"github.com/fedora-infra/fedmsg-go/irc/client"
)

// colours are the names that irc_color_lookup uses, and mIRC's numbers for them.
var colours = map[string]int{
	"white": 0, "black": 1, "blue": 2, "green": 3, "red": 4, "brown": 5, "purple": 6, "orange": 7,
	"yellow": 8, "light green": 9, "teal": 10, "light cyan": 11, "light blue": 12, "pink": 13, "grey": 14, "light grey": 15,
}

// linkColour is teal.
const linkColour = 10

// Config says where the firehose tells what. The names in brackets are the keys that
// fedmsg's configuration has for it.
type Config struct {
	// Instances are the channels (irc, a list). Those of one server and nick share a
	// connection.
	Instances []Instance
	// Colors are the colours of titles, by their first word (irc_color_lookup), and
	// DefaultColor that of the others (irc_default_color). Default: light grey.
	Colors       map[string]string
	DefaultColor string
	// Method is how lines are said (irc_method): notice, which other bots leave alone,
	// or msg. Default: notice.
	Method string
	// ValidateSignatures has messages that nobody vouched for marked (unsigned), their
	// words and links left out (validate_signatures). A gate with a CA takes none.
	ValidateSignatures bool
	// Dial makes the connections, below TLS. Default: that of a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Commands is who may ask the bot something in private: nobody, or members of its
	// channels. Default: members.
	Commands string
}

// Connection is the part of an [Instance] that says to what server and as whom.
type Connection struct {
	// Network is the host (network), Port its port (port). Default: 6667, or 6697
	// with SSL.
	Network string
	Port    int
	// SSL encrypts (ssl), and verifies the server's certificate: with the certificates
	// in the file CA, for the name ServerName. Defaults: the system's; Network.
	SSL            bool
	CA, ServerName string
	// Certificate and Key are files of a client certificate.
	Certificate, Key string
	// Nickname is our name (nickname). Default: fedmsg-bot.
	Nickname string
	// PasswordFile holds what the server asks for, AccountPasswordFile what NickServ or
	// SASL ask for Account (default: Nickname). One line each.
	PasswordFile                 string
	Account, AccountPasswordFile string
	// SASL is plain, external or nothing, as in [client.Config]; Regain as there.
	SASL, Regain string
	// Timeout is how long connecting may take and the server may be silent (timeout, in
	// seconds). Default: 2m.
	Timeout time.Duration
}

// Instance is one channel of the firehose: an entry of the old list.
type Instance struct {
	Connection
	// Channel is where (channel), with or without its #; ChannelKey what it asks for.
	Channel, ChannelKey string
	// MakePretty has colours (make_pretty), MakeTerse words instead of the message
	// itself (make_terse).
	MakePretty, MakeTerse bool
	// MakeShort had links shortened (make_short). They never are: it would tell
	// somebody else what is said here, and a short link dies with its shortener.
	MakeShort bool
	// LineRate is the time for one line (line_rate, in seconds); of channels that share
	// a connection the least counts. Default: 3s. fedmsg had 1s, for which networks throw
	// people out.
	LineRate time.Duration
	// Filters leave messages out (filters).
	Filters Filters
}

// Filters are expressions in Python's syntax, as package pyregexp has them. A message
// is left out if one is found: in its topic, or in the Python literal of the whole
// message, as fedmsg spelled it.
type Filters struct{ Topic, Body []string }

func (c Config) withDefaults() Config {
	c.DefaultColor = cmp.Or(c.DefaultColor, "light grey")
	c.Method = cmp.Or(c.Method, "notice")
	c.Commands = cmp.Or(c.Commands, "members")
	c.Instances = slices.Clone(c.Instances)
	for i := range c.Instances {
		in := &c.Instances[i]
		if in.Port == 0 {
			in.Port = 6667
			if in.SSL {
				in.Port = 6697
			}
		}
		in.Nickname = cmp.Or(in.Nickname, "fedmsg-bot")
		in.Timeout = cmp.Or(in.Timeout, 2*time.Minute)
		in.LineRate = cmp.Or(in.LineRate, 3*time.Second)
		if in.Channel != "" && !client.IsChannel(in.Channel) {
			in.Channel = "#" + in.Channel // which old files leave out
		}
	}
	return c
}

// Validate reports everything that is wrong with c, joined, or nil. It reads no files.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	if len(c.Instances) == 0 {
		errs = append(errs, errors.New("irc: no channel"))
	}
	for i, in := range c.Instances {
		for _, err := range []error{in.validate(), c.validateAmong(i)} {
			if err != nil {
				errs = append(errs, fmt.Errorf("irc: entry %d, %s: %w", i+1, in.Channel, err))
			}
		}
	}
	for word, name := range c.Colors {
		if _, ok := colours[name]; !ok {
			errs = append(errs, fmt.Errorf("irc_color_lookup: %s: no colour %q", word, name))
		}
	}
	if _, ok := colours[c.DefaultColor]; !ok {
		errs = append(errs, fmt.Errorf("irc_default_color: no colour %q", c.DefaultColor))
	}
	if c.Method != "notice" && c.Method != "msg" {
		errs = append(errs, fmt.Errorf("irc_method: must be notice or msg, is %q", c.Method))
	}
	if c.Commands != "members" && c.Commands != "nobody" {
		errs = append(errs, fmt.Errorf("commands: must be members or nobody, is %q", c.Commands))
	}
	return errors.Join(errs...)
}

func (in Instance) validate() error {
	var errs []error
	if in.Network == "" {
		errs = append(errs, errors.New("network: required"))
	}
	if in.Channel == "" {
		errs = append(errs, errors.New("channel: required"))
		in.Channel = "#required"
	}
	if in.Port < 0 || in.Port > 65535 {
		errs = append(errs, fmt.Errorf("port: must be a port, is %d", in.Port))
	}
	cfg := in.config(verbatim)
	cfg.Server = net.JoinHostPort(cmp.Or(in.Network, "required"), "1")
	cfg.LineRate, cfg.Channels = in.LineRate, []client.Channel{{Name: in.Channel, Key: in.ChannelKey}}
	_, err := newFilter(in.Filters)
	return errors.Join(append(errs, cfg.Validate(), err)...)
}

// validateAmong finds entries before entry i that it cannot stand beside.
func (c Config) validateAmong(i int) error {
	in := c.Instances[i]
	for _, other := range c.Instances[:i] {
		if other.Network != in.Network || other.Port != in.Port || other.Nickname != in.Nickname {
			continue
		}
		if other.Connection != in.Connection {
			return errors.New("an entry before it has the same server and nickname, and differs in how to connect")
		}
		if client.Fold("", other.Channel) == client.Fold("", in.Channel) {
			return errors.New("an entry before it has the same channel")
		}
	}
	return nil
}

// verbatim stands in for the reading of secrets when a configuration is only looked at.
func verbatim(file string) string { return file }

// config makes the configuration of a client, without its channels.
func (c Connection) config(secret func(file string) string) client.Config {
	return client.Config{
		Server: net.JoinHostPort(c.Network, strconv.Itoa(c.Port)), TLS: c.SSL, CA: c.CA, ServerName: c.ServerName,
		Certificate: c.Certificate, Key: c.Key, Nick: c.Nickname, RealName: "what happens on the message bus",
		Password: secret(c.PasswordFile), SASL: c.SASL, Account: c.Account, AccountPassword: secret(c.AccountPasswordFile),
		Regain: c.Regain, Timeout: c.Timeout,
	}
}

// readSecret reads the one line of a file; "" is no file.
func readSecret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	line := strings.TrimRight(string(text), "\r\n")
	if line == "" || strings.ContainsAny(line, "\r\n") {
		return "", fmt.Errorf("%s: must hold one line", file)
	}
	return line, nil
}

// A filter says which messages are left out.
type filter struct{ topic, body []pyregexp.Expr }

func newFilter(f Filters) (filter, error) {
	var made filter
	var errs []error
	for _, part := range []struct {
		name  string
		exprs []string
		to    *[]pyregexp.Expr
	}{{"topic", f.Topic, &made.topic}, {"body", f.Body, &made.body}} {
		for _, expr := range part.exprs {
			e, err := pyregexp.Compile(expr)
			if err != nil {
				errs = append(errs, fmt.Errorf("filters: %s: %w", part.name, err))
				continue
			}
			*part.to = append(*part.to, e)
		}
	}
	return made, errors.Join(errs...)
}

// passes reports whether a message is told. literal is asked for only if it matters.
func (f filter) passes(topic string, literal func() string) bool {
	found := func(exprs []pyregexp.Expr, text func() string) bool {
		return len(exprs) > 0 && slices.ContainsFunc(exprs, func(e pyregexp.Expr) bool { return e.Match(text()) })
	}
	return !found(f.topic, func() string { return topic }) && !found(f.body, literal)
}
