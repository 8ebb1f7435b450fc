package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/sqlite"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// Where a bus listens if nobody says otherwise: fedmsg's old ports, on this
// machine alone.
const (
	defaultHTTP          = "127.0.0.1:8330"
	defaultRelayInbound  = "tcp://127.0.0.1:2003"
	defaultRelayOutbound = "tcp://127.0.0.1:4001"
	defaultGateway       = "tcp://127.0.0.1:9940"
)

// serveConfig is everything that can be said about a bus.
type serveConfig struct {
	Dir      string // where the log, the lock and the tokens are
	AddrFile string // gets one JSON object of what was bound

	Archive   string // where it is, if not beside the log
	NoArchive bool

	HTTP        string // host:port; empty for none
	HTTPCert    string // TLS certificate and key of the HTTP listener
	HTTPKey     string
	HTTPCA      string // CA of client certificates
	MetricsAddr string // another listener for /metrics

	RelayInbound  []string // bound; publishers connect
	Endpoints     []string // connected to; we subscribe
	RelayOutbound []string // bound; subscribers connect
	Gateway       []string

	CA, CRL    string // to check signatures with
	LegacySHA1 bool
	Policy     string // file
	Nitpicky   bool
	Cert, Key  string // to sign what HTTP publishers say
	Unsigned   []string

	TopicPrefix      string
	Environment      string
	OnlyEnvironments []string
	MaxAge, MaxSkew  time.Duration

	KeepFor   time.Duration
	KeepBytes int64
	MinFree   int64

	words wordsConfig

	LogFormat, LogLevel string
	Demo                bool

	restrictTopics bool
	allowUnsigned  []netip.Prefix
	temporary      string // a directory to remove in the end
}

func (c *serveConfig) flags(f *pflag.FlagSet, env environ) {
	or := func(key, otherwise string) string {
		if v := env.getenv("FEDMSG_" + key); v != "" {
			return v
		}
		return otherwise
	}
	f.StringVar(&c.Dir, "dir", "", "where the log is kept (default $STATE_DIRECTORY, else $XDG_STATE_HOME/fedmsg)")
	f.StringVar(&c.AddrFile, "addr-file", "", "write what was bound to FILE, as one JSON object, when ready")
	f.StringVar(&c.Archive, "archive", "", "keep history in DIR, or in PostgreSQL at postgres://USER@HOST/DATABASE (default: archive beside the log)")
	f.BoolVar(&c.NoArchive, "no-archive", false, "keep no history beyond what the log keeps")
	f.StringVar(&c.HTTP, "http", or("HTTP", defaultHTTP), "listen for HTTP on HOST:PORT; empty for not at all, port 0 for a free one")
	f.StringVar(&c.HTTPCert, "http-cert", "", "speak TLS on the HTTP listener, with the certificate in FILE")
	f.StringVar(&c.HTTPKey, "http-key", "", "key FILE for --http-cert")
	f.StringVar(&c.HTTPCA, "http-client-ca", "", "let client certificates of the CA in FILE publish over HTTP")
	f.StringVar(&c.MetricsAddr, "metrics", "", "serve /metrics on HOST:PORT too; needed if --http is not on this machine alone")
	f.StringSliceVar(&c.RelayInbound, "relay-inbound", []string{or("RELAY_INBOUND", defaultRelayInbound)}, "take messages from ZeroMQ publishers that connect to ADDR")
	f.StringSliceVar(&c.Endpoints, "endpoint", nil, "subscribe to the ZeroMQ publisher at ADDR; may be given often")
	f.StringSliceVar(&c.RelayOutbound, "relay-outbound", []string{or("RELAY_OUTBOUND", defaultRelayOutbound)}, "publish to ZeroMQ subscribers that connect to ADDR")
	f.StringSliceVar(&c.Gateway, "gateway", []string{or("GATEWAY", defaultGateway)}, "the same again on ADDR, a way out that can be opened to outsiders alone")
	f.StringVar(&c.CA, "ca", "", "check signatures against the CA in FILE, and refuse what is unsigned")
	f.StringVar(&c.CRL, "crl", "", "refuse the certificates that the list in FILE revokes")
	f.BoolVar(&c.LegacySHA1, "legacy-sha1-certs", false, "accept certificates signed with SHA-1, and keys of 1024 bits, as old deployments have")
	f.StringVar(&c.Policy, "policy", "", "routing policy FILE: a JSON object of topics and the names that may sign for them")
	f.BoolVar(&c.Nitpicky, "nitpicky", false, "refuse topics that the routing policy does not name")
	f.StringVar(&c.Cert, "cert", "", "sign what HTTP publishers say with the certificate in FILE")
	f.StringVar(&c.Key, "key", "", "key FILE for --cert")
	f.StringSliceVar(&c.Unsigned, "allow-unauthenticated-inbound", nil, "take unsigned messages from the network CIDR; may be given often")
	f.StringVar(&c.TopicPrefix, "topic-prefix", or("TOPIC_PREFIX", "org.fedoraproject"), "start of the topics made here; if given, the only one that is taken")
	f.StringVar(&c.Environment, "environment", or("ENVIRONMENT", "dev"), "word after the prefix in topics made here: dev, stg, prod")
	f.StringSliceVar(&c.OnlyEnvironments, "only-environment", nil, "with --topic-prefix, refuse topics of other environments than WORD; may be given often")
	f.DurationVar(&c.MaxAge, "max-age", 24*time.Hour, "refuse messages older than this by their own timestamp; -1ns for no limit")
	f.DurationVar(&c.MaxSkew, "max-clock-skew", 5*time.Minute, "refuse messages further in the future than this; -1ns for no limit")
	f.DurationVar(&c.KeepFor, "keep-for", 0, "drop log entries older than this (default 720h, 30 days; -1ns keeps them for ever)")
	f.Int64Var(&c.KeepBytes, "keep-bytes", 0, "drop the oldest log entries beyond this many bytes (default 8 GiB; -1 for no limit)")
	f.Int64Var(&c.MinFree, "min-free", 0, "refuse messages while the file system has less than this many bytes free (default: a twentieth, at most 64 MiB)")
	f.Lookup("keep-for").DefValue = "" // 0s would be taken for what it is not
	c.words.flags(f, env)
	f.StringVar(&c.LogFormat, "log-format", or("LOG_FORMAT", "text"), "text or json")
	f.StringVar(&c.LogLevel, "log-level", or("LOG_LEVEL", "info"), "debug, info, warn or error")
	f.BoolVar(&c.Demo, "demo", false, "publish made-up messages, signed by a made-up CA, and show them here")
}

// resolve checks c and fills in what follows from other fields. All that is
// wrong is told at once.
func (c *serveConfig) resolve(env environ) error {
	var errs []error
	if c.LogFormat != "text" && c.LogFormat != "json" {
		errs = append(errs, fmt.Errorf("--log-format: %q is neither text nor json", c.LogFormat))
	}
	if err := new(slog.Level).UnmarshalText([]byte(c.LogLevel)); err != nil {
		errs = append(errs, fmt.Errorf("--log-level: %q is not one of debug, info, warn, error", c.LogLevel))
	}
	for _, pair := range []struct{ a, b, names string }{
		{c.HTTPCert, c.HTTPKey, "--http-cert and --http-key"}, {c.Cert, c.Key, "--cert and --key"},
	} {
		if (pair.a == "") != (pair.b == "") {
			errs = append(errs, fmt.Errorf("%s belong together: one is missing", pair.names))
		}
	}
	if c.CA == "" && (c.CRL != "" || c.Policy != "" || c.Nitpicky) {
		errs = append(errs, errors.New("--crl, --policy and --nitpicky mean nothing without --ca"))
	}
	if len(c.OnlyEnvironments) > 0 && !c.restrictTopics {
		errs = append(errs, errors.New("--only-environment means nothing without --topic-prefix"))
	}
	if c.NoArchive && c.Archive != "" {
		errs = append(errs, errors.New("--archive and --no-archive do not go together"))
	}
	c.RelayInbound, c.RelayOutbound = withoutEmpty(c.RelayInbound), withoutEmpty(c.RelayOutbound)
	c.Gateway, c.Endpoints = withoutEmpty(c.Gateway), withoutEmpty(c.Endpoints)
	for _, cidr := range c.Unsigned {
		network, err := netip.ParsePrefix(cidr)
		if err != nil {
			errs = append(errs, fmt.Errorf("--allow-unauthenticated-inbound: %q is not a network such as 10.0.0.0/8", cidr))
			continue
		}
		c.allowUnsigned = append(c.allowUnsigned, network.Masked())
	}
	for flag, addrs := range map[string][]string{"--relay-inbound": c.RelayInbound, "--relay-outbound": c.RelayOutbound, "--gateway": c.Gateway, "--endpoint": c.Endpoints} {
		for _, addr := range addrs {
			if _, err := zmq.ParseAddr(addr); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", flag, err))
			}
		}
	}
	errs = append(errs, c.exposed()...)
	if err := errors.Join(errs...); err != nil {
		return configError{err}
	}
	if c.CA == "" {
		c.allowUnsigned = append(c.allowUnsigned, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	return c.makeDir(env)
}

// exposed finds listeners that others can reach although nothing would tell a
// good message from a bad one.
func (c *serveConfig) exposed() []error {
	if c.CA != "" || len(c.Unsigned) > 0 || c.Demo && c.CA != "" {
		return nil
	}
	var errs []error
	check := func(flag string, addrs ...string) {
		for _, addr := range addrs {
			if addr != "" && !isLoopback(addr) {
				errs = append(errs, &fedmsg.HintError{
					Err:  fmt.Errorf("%s: %s is open to the network, and signatures are not checked", flag, addr),
					Hint: "give a CA with --ca, or name the networks that may speak unsigned with --allow-unauthenticated-inbound, or listen on 127.0.0.1",
				})
			}
		}
	}
	check("--http", c.HTTP)
	check("--relay-inbound", c.RelayInbound...)
	check("--relay-outbound", c.RelayOutbound...)
	check("--gateway", c.Gateway...)
	return errs
}

// makeDir finds the state directory, and for a demo what goes with it.
func (c *serveConfig) makeDir(env environ) error {
	if c.Demo && c.Dir == "" {
		dir, err := os.MkdirTemp("", "fedmsg-demo-")
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		c.Dir, c.temporary = dir, dir
	}
	dir, err := stateDir(c.Dir, env)
	if err != nil {
		return err
	}
	if c.Dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("dir: %w", err)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return &fedmsg.HintError{Err: fmt.Errorf("dir: %w", err), Hint: "name another directory with --dir"}
	}
	if c.Demo && c.CA == "" && c.Cert == "" {
		c.CA, c.Cert, c.Key, err = makeDemoCA(c.Dir)
	}
	return err
}

// cleanUp removes what was only made for this run.
func (c *serveConfig) cleanUp() {
	if c.temporary != "" {
		_ = os.RemoveAll(c.temporary)
	}
}

func withoutEmpty(list []string) []string {
	var kept []string
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			kept = append(kept, s)
		}
	}
	return kept
}

func (c *serveConfig) tokenFile() string { return filepath.Join(c.Dir, "tokens.json") }

// clock tells the log the time; tests turn it.
var clock = time.Now

func (c *serveConfig) log() sqlite.Config {
	return sqlite.Config{Clock: clock, Dir: c.Dir, RetentionAge: c.KeepFor, RetentionBytes: c.KeepBytes, MinFree: c.MinFree}
}

func (c *serveConfig) http() http.Config {
	return http.Config{
		Addr: c.HTTP, TLSCert: c.HTTPCert, TLSKey: c.HTTPKey, ClientCA: c.HTTPCA, MetricsAddr: c.MetricsAddr,
		TopicPrefix: c.TopicPrefix, Environment: c.Environment,
		AllowAnonymousLoopback: isLoopback(c.HTTP) && len(c.allowUnsigned) > 0,
	}
}
