package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Ways to prove who one is, for Config.SASL.
const (
	SASLPlain    = "plain"
	SASLExternal = "external"
)

// Config says how one connection to one network is. Server and Nick are required.
type Config struct {
	// Server is HOST:PORT.
	Server string
	// TLS encrypts the connection. The server's certificate is always verified:
	// against the certificates in the file CA (default: the system's), for
	// ServerName (default: the host in Server).
	TLS        bool
	CA         string
	ServerName string
	// Certificate and Key are files of a client certificate, in PEM.
	Certificate, Key string

	// Nick is the name that we want. If it is taken we go on under another one, and
	// take it back when we can. User and RealName are what others see besides;
	// default: Nick.
	Nick, User, RealName string
	// Password is what the server itself asks for.
	Password string
	// SASL is how we identify ourselves to the network before we are let in:
	// [SASLPlain] with Account and AccountPassword, or [SASLExternal] with the client
	// certificate. If the network does not let us, we do not go in. Without it, and
	// with an AccountPassword, we tell NickServ afterwards. Account defaults to Nick.
	SASL                     string
	Account, AccountPassword string
	// Regain is the command of NickServ that takes our nick from who has it: GHOST,
	// REGAIN or RECOVER. Without it we wait until the nick is free.
	Regain string

	// Channels are joined, and joined again after a kick.
	Channels []Channel

	// Timeout is how long connecting and greeting may take, and how long the server may
	// say nothing: after half of it it is asked. Default: 2m, as fedmsg had.
	Timeout time.Duration
	// LineRate is the time for each line that is said to one target. Default: 3s: many
	// channels ban who says five lines in ten seconds (InspIRCd's +f *5:10), and count
	// in whole seconds.
	LineRate time.Duration
	// TotalRate is the time for each line that is said to anybody, and Burst how many
	// may be said at once, to several targets, after a pause. Defaults: 2s, or LineRate
	// if that is less, and 4; servers throttle by one line in 2 s (RFC 1459, 8.10).
	TotalRate time.Duration
	Burst     int
	// ReconnectMin and ReconnectMax bound the pause before connecting again, which
	// doubles, and of which half is by chance. Defaults: 5s and 10m; networks ban who
	// comes too often.
	ReconnectMin, ReconnectMax time.Duration

	// Heard is called for what is said in private or in our channels, in the order of
	// the connection, which waits for it. It may be nil.
	Heard func(Heard)
	// Dial makes the connection below TLS. Default: that of a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Channel is a channel to be in.
type Channel struct {
	Name string // with its # or &
	Key  string // what the channel asks for, if it does
}

// Heard is something that somebody said.
type Heard struct {
	From    Source
	To      string // a channel; or our nick, and then it was in private
	Private bool
	Notice  bool // which must not be answered
	Text    string
}

func (c Config) withDefaults() Config {
	c.User = cmp.Or(c.User, c.Nick)
	c.RealName = cmp.Or(c.RealName, c.Nick)
	c.Account = cmp.Or(c.Account, c.Nick)
	c.Timeout = cmp.Or(c.Timeout, 2*time.Minute)
	c.LineRate = cmp.Or(c.LineRate, 3*time.Second)
	c.TotalRate = cmp.Or(c.TotalRate, min(c.LineRate, 2*time.Second))
	c.Burst = cmp.Or(c.Burst, 4)
	c.ReconnectMin = cmp.Or(c.ReconnectMin, 5*time.Second)
	c.ReconnectMax = cmp.Or(c.ReconnectMax, max(c.ReconnectMin, 10*time.Minute))
	if host, _, err := net.SplitHostPort(c.Server); err == nil {
		c.ServerName = cmp.Or(c.ServerName, host)
	}
	return c
}

// Validate reports everything that is wrong with c, joined, or nil. It reads no files.
func (c Config) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	host, port, err := net.SplitHostPort(c.Server)
	if err != nil || host == "" || port == "" {
		wrong("server: must be HOST:PORT, is %q", c.Server)
	}
	if err := validateWord(c.Nick, 30); err != nil || IsChannel(c.Nick) || c.Nick[0] >= '0' && c.Nick[0] <= '9' || c.Nick[0] == '-' {
		wrong("nickname: must be one word of at most 30 bytes that begins with a letter, is %q", c.Nick)
	}
	for _, field := range []struct{ name, text string }{{"user", c.User}, {"account", c.Account}} {
		if err := validateWord(field.text, 100); err != nil && field.text != "" {
			wrong("%s: %w, is %q", field.name, err, field.text)
		}
	}
	for _, secret := range []struct{ name, text string }{{"password", c.Password}, {"account-password", c.AccountPassword}, {"real name", c.RealName}} {
		if strings.ContainsAny(secret.text, "\r\n\x00") || len(secret.text) > 300 {
			wrong("%s: must be one line of at most 300 bytes", secret.name)
		}
	}
	for _, ch := range c.Channels {
		if err := validateWord(ch.Name, 64); err != nil || !IsChannel(ch.Name) || strings.Contains(ch.Name, ",") {
			wrong("channel: must be one word of at most 64 bytes that begins with #, is %q", ch.Name)
		}
		if err := validateWord(ch.Key, 64); ch.Key != "" && (err != nil || strings.Contains(ch.Key, ",")) {
			wrong("key of channel %s: must be one word of at most 64 bytes without commas", ch.Name)
		}
	}
	errs = append(errs, c.validateProof(host))
	if !slices.Contains([]string{"", "GHOST", "REGAIN", "RECOVER"}, c.Regain) {
		wrong("regain: must be GHOST, REGAIN or RECOVER, is %q", c.Regain)
	}
	for _, d := range []struct {
		name string
		is   time.Duration
	}{{"timeout", c.Timeout}, {"line_rate", c.LineRate}, {"total-rate", c.TotalRate}, {"reconnect-min", c.ReconnectMin}, {"reconnect-max", c.ReconnectMax}} {
		if d.is < 0 {
			wrong("%s: must not be negative, is %s", d.name, d.is)
		}
	}
	if d := c.withDefaults(); d.ReconnectMax < d.ReconnectMin {
		wrong("reconnect-max: must be at least reconnect-min (%s), is %s", d.ReconnectMin, d.ReconnectMax)
	}
	if c.Burst < 0 {
		wrong("burst: must not be negative, is %d", c.Burst)
	}
	return errors.Join(errs...)
}

// validateProof checks the fields that say who we are and who the server is.
func (c Config) validateProof(host string) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch c.SASL {
	case "":
	case SASLPlain:
		if c.AccountPassword == "" {
			wrong("sasl: plain needs the account's password")
		}
	case SASLExternal:
		if c.Certificate == "" || !c.TLS {
			wrong("sasl: external needs ssl and a client certificate")
		}
	default:
		wrong("sasl: must be plain or external, is %q", c.SASL)
	}
	if c.Regain != "" && c.AccountPassword == "" {
		wrong("regain: needs the account's password")
	}
	if (c.Certificate == "") != (c.Key == "") {
		wrong("certificate and key: both or none")
	}
	if !c.TLS && (c.CA != "" || c.Certificate != "" || c.ServerName != "") {
		wrong("ca, server name, certificate and key: need ssl")
	}
	if !c.TLS && (c.Password != "" || c.AccountPassword != "") && !isLoopback(host) {
		errs = append(errs, &fedmsg.HintError{
			Err:  fmt.Errorf("password: would pass to %s in clear text", host),
			Hint: "set ssl, and the port for it, often 6697",
		})
	}
	return errors.Join(errs...)
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

var errWord = errors.New("must be one word")

func validateWord(s string, limit int) error {
	if s == "" || len(s) > limit || s[0] == ':' || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return errWord
	}
	return nil
}

// tlsConfig reads the files that TLS needs.
func (c Config) tlsConfig() (*tls.Config, error) {
	t := &tls.Config{ServerName: c.ServerName, MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		text, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("ca: %s: holds no certificate", c.CA)
		}
	}
	if c.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}
