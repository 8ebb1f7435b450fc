package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/config"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/live"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/madeup"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/roles"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/sqlite"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// A serveConfig is everything that can be said about a bus.
type serveConfig struct {
	*config.Loaded // after resolve

	AddrFile string // gets one JSON object of what was bound
	Demo     bool

	from  *config.Flags
	paths []string // of configuration, beside the usual
	alone string   // the only one, if there is one
	role  roles.Role

	ca, cert, key string // what signatures are checked, and made with
	temporary     string // a directory to remove in the end
}

func (c *serveConfig) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&c.paths, "config", nil, "read configuration from FILE, or the files in DIR, too; may be given often")
	f.StringVar(&c.alone, "config-filename", "", "read configuration from FILE alone")
	f.StringVar(&c.AddrFile, "addr-file", "", "write what was bound to FILE, as one JSON object, when ready")
	c.from = config.AddFlags(f)
	f.BoolVar(&c.Demo, "demo", false, "publish made-up messages, signed by a made-up CA, and show them here")
}

// load reads all that was said, and looks whether a bus can run with it.
func (c *serveConfig) load(env environ) (*config.Loaded, error) {
	from := config.PathsFor(env.variables, c.paths)
	if c.alone != "" {
		from.Paths, from.Lenient = []string{c.alone}, false
	}
	from.Flags, from.Preset = c.from, c.role.Preset
	l, err := config.Load(from)
	if err == nil {
		err = l.CheckBus()
	}
	if err == nil {
		err = c.role.Check(l)
	}
	if err != nil {
		return nil, configError{err}
	}
	return l, nil
}

// resolve reads all that was said, and makes what has to be there.
func (c *serveConfig) resolve(env environ) (err error) {
	if c.Loaded, err = c.load(env); err != nil {
		return err
	}
	c.ca = c.TrustedCA()
	c.cert, c.key = c.SigningFiles("")
	return c.makeDir(env)
}

// makeDir finds the state directory, and for a demo what goes with it.
func (c *serveConfig) makeDir(env environ) error {
	if c.Demo && c.Log.Dir == "" {
		dir, err := os.MkdirTemp("", "fedmsg-demo-")
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		c.Log.Dir, c.temporary = dir, dir
	}
	dir, err := stateDir(c.Log.Dir, env)
	if err != nil {
		return err
	}
	if c.Log.Dir, err = filepath.Abs(filepath.Join(dir, c.role.Dir)); err != nil {
		return fmt.Errorf("dir: %w", err)
	}
	if err := os.MkdirAll(c.Log.Dir, 0o700); err != nil {
		return cannotMake(c.Log.Dir, err)
	}
	if c.Demo && c.ca == "" && c.cert == "" {
		c.ca, c.cert, c.key, err = madeup.CA(c.Log.Dir)
	}
	return err
}

// cannotMake is the error of a directory that cannot be made, whatever part of its path
// is in the way.
func cannotMake(dir string, err error) error {
	if wrong, ok := errors.AsType[*fs.PathError](err); ok {
		err = &fs.PathError{Op: "mkdir", Path: wrong.Path, Err: wrong.Err}
	}
	return &fedmsg.HintError{Err: fmt.Errorf("dir: %s: %w", dir, err), Hint: "name another directory with --dir, or under dir in [log]"}
}

// cleanUp removes what was only made for this run.
func (c *serveConfig) cleanUp() {
	if c.temporary != "" {
		_ = os.RemoveAll(c.temporary)
	}
}

func (c *serveConfig) tokenFile() string { return filepath.Join(c.Log.Dir, "tokens.json") }

func (c *serveConfig) log(clock func() time.Time) sqlite.Config {
	return sqlite.Config{Clock: clock, Dir: c.Log.Dir, RetentionAge: c.Log.KeepFor, RetentionBytes: c.Log.KeepBytes, MinFree: c.Log.MinFree, SyncLate: c.Log.Sync == "interval"}
}

// allowUnsigned are the networks that may publish unsigned messages: those that are
// named, and this machine if there is no CA.
func (c *serveConfig) allowUnsigned() (networks []netip.Prefix) {
	for _, cidr := range c.Unauthenticated {
		networks = append(networks, netip.MustParsePrefix(cidr).Masked()) // checked when it was read
	}
	if c.ca == "" {
		networks = append(networks, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	return networks
}

// gate says what the gate lets in, but for who judges signatures.
func (c *serveConfig) gate() bus.GateConfig {
	cfg := bus.GateConfig{MaxAge: c.MaxAge, MaxSkew: c.MaxSkew, AllowUnsigned: c.allowUnsigned(), Environments: c.OnlyEnvironments}
	if c.IsSet("topic_prefix") {
		cfg.TopicPrefix = fedmsg.Topic(c.TopicPrefix)
	}
	return cfg
}

// policy is who may sign for which topics.
func (c *serveConfig) policy() (fedmsg.Policy, error) {
	routing, err := c.Policy()
	if err != nil {
		return fedmsg.Policy{}, configError{err}
	}
	return asPolicy(routing, c.Nitpicky), nil
}

// trust says whom the bus believes.
func (c *serveConfig) trust(policy fedmsg.Policy) live.TrustConfig {
	return live.TrustConfig{CA: c.ca, CRL: c.CRL, LegacySHA1: c.LegacySHA1, GPGKeyring: c.GPGKeyring, Policy: policy}
}

func asPolicy(routing map[string][]string, nitpicky bool) fedmsg.Policy {
	policy := fedmsg.Policy{Routing: make(map[fedmsg.Topic][]string, len(routing)), Nitpicky: nitpicky}
	for topic, names := range routing {
		policy.Routing[fedmsg.Topic(topic)] = names
	}
	return policy
}

// source says where messages come in over ZeroMQ.
func (c *serveConfig) source() zmq.SourceConfig {
	cfg := zmq.SourceConfig{Bind: c.RelayInbound, SignedOnly: c.ca != "" && len(c.Unauthenticated) == 0 && !c.role.Signs}
	if c.role.Subscribes {
		cfg.Connect = c.Subscribed()
	}
	return cfg
}

// pub says how messages go out over ZeroMQ.
func (c *serveConfig) pub(name string, bind []string) zmq.PubConfig {
	queue := c.HighWaterMark
	if name == "gateway" && c.GatewayHWM > 0 {
		queue = c.GatewayHWM
	}
	linger := c.Linger
	if linger == 0 {
		linger = -1 // the room's word for not at all
	}
	return zmq.PubConfig{Bind: bind, Socket: name, Queue: queue, Linger: linger}
}

func (c *serveConfig) http() http.Config {
	oldest := uint16(tls.VersionTLS12)
	if c.Web.TLS.MinVersion == "1.3" {
		oldest = tls.VersionTLS13
	}
	return http.Config{
		TLSMinVersion: oldest,
		Addr:          c.Web.Listen, TLSCert: c.Web.TLS.Cert, TLSKey: c.Web.TLS.Key, ClientCA: c.Web.TLS.ClientCA, MetricsAddr: c.Web.Metrics,
		TopicPrefix: c.TopicPrefix, Environment: c.Environment,
		AllowAnonymousLoopback: config.IsLoopback(c.Web.Listen) && len(c.allowUnsigned()) > 0,
	}
}

// words says where words for messages come from.
func (c *serveConfig) words() wordsConfig {
	return wordsConfig{Rules: c.Words.Rules, Accounts: c.Words.Accounts, Settings: c.Words.Settings, Fetch: c.Words.Fetch}
}

// archive is where history is kept; empty if it is not.
func (c *serveConfig) archive() string {
	switch {
	case !c.Archive.Enabled:
		return ""
	case c.Archive.URL != "":
		return c.Archive.URL
	}
	return filepath.Join(c.Log.Dir, "archive")
}
