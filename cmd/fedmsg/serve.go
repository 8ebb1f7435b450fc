package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/client"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/config"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/live"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/madeup"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/past"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/roles"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/watch"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/readers"
	"github.com/fedora-infra/fedmsg-go/http/websocket"
	"github.com/fedora-infra/fedmsg-go/irc"
	"github.com/fedora-infra/fedmsg-go/sqlite"
	"github.com/fedora-infra/fedmsg-go/x509"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// newDaemons makes the commands that are a bus, or a part of one.
func newDaemons(env environ) (all []*cobra.Command) {
	for _, role := range roles.All {
		cfg := serveConfig{role: role}
		cmd := &cobra.Command{Use: role.Name, Short: role.Short, Long: role.Long, Example: role.Example, Args: cobra.NoArgs}
		cfg.flags(cmd.Flags())
		adopt := cfg.role.Flags(cmd.Flags())
		cmd.RunE = func(cmd *cobra.Command, _ []string) error {
			if err := adopt(); err != nil {
				return usageError{err}
			}
			return serve(cmd.Context(), env, cfg)
		}
		all = append(all, cmd)
	}
	return all
}

// serve wires the house together and runs it until ctx ends.
func serve(ctx context.Context, env environ, cfg serveConfig) error {
	if err := cfg.resolve(env); err != nil {
		return err
	}
	defer cfg.cleanUp()
	level := new(slog.LevelVar)
	logger := newLogger(env.stderr, cfg.LogFormat, level)
	setLevel(level, cfg.LogLevel)

	log, err := sqlite.Open(ctx, cfg.log(env.clock), logger)
	if err != nil {
		return err
	}
	window, err := bus.NewWindow(ctx, bus.WindowConfig{}, log)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	p := &parts{cfg: cfg, env: env, logger: logger, level: level, log: log, window: window, meters: fedmsg.Meters{log}}
	for _, build := range []func(context.Context) error{p.buildWords, p.buildGate, p.buildArchive, p.buildDemo, p.buildZMQ, p.buildIRC, p.buildReload, p.buildSockets, p.buildHTTP, p.buildMonitoring, p.announce} {
		if err := build(ctx); err != nil {
			return errors.Join(err, p.close())
		}
	}
	defer func() { _, _ = daemon.SdNotify(false, daemon.SdNotifyStopping) }()
	return bus.Run(ctx,
		bus.Stage{Name: "sources", Runners: p.sources, Grace: 10 * time.Second},
		bus.Stage{Name: "sinks", Runners: p.sinks, Grace: 10 * time.Second},
		p.archiveStage(),
		bus.Stage{Name: "log", Runners: []bus.Runner{log}, Grace: 20 * time.Second},
	)
}

// parts is what serve puts together.
type parts struct {
	cfg    serveConfig
	env    environ
	logger *slog.Logger
	level  *slog.LevelVar
	log    *sqlite.Log
	window *bus.Window
	gate   *bus.Gate
	policy fedmsg.Policy // at the start
	signer fedmsg.Signer

	trust  *live.Trust
	reload live.Reloader
	words  fedmsg.Describer
	meters fedmsg.Meters
	bound  map[string]any // what --addr-file tells
	web    *http.Server
	named  *readers.API

	sockets *websocket.Feed
	archive *past.Keeper // nil if there is none

	sources, sinks []bus.Runner
}

// close closes what a bus that does not come to run would have closed in the end.
func (p *parts) close() error {
	if p.archive != nil {
		return errors.Join(p.archive.Close(), p.log.Close())
	}
	return p.log.Close()
}

// buildWords makes what finds the words for messages.
func (p *parts) buildWords(context.Context) error {
	source := p.cfg.words()
	words, err := source.engine(p.logger)
	if err != nil {
		return err
	}
	p.words = words
	p.sinks = append(p.sinks, bus.RunnerFunc(words.Watch)) // for as long as anything is read
	return nil
}

// buildGate makes what judges messages: verifier, policy, signer, gate.
func (p *parts) buildGate(context.Context) error {
	cfg := p.cfg.gate()
	policy, err := p.cfg.policy()
	if err != nil {
		return err
	}
	p.policy = policy
	if p.trust, err = live.NewTrust(p.cfg.trust(policy), p.logger); err != nil {
		return trustError(err)
	}
	if p.trust.Believes() {
		cfg.Verifier = p.trust
	}
	p.meters = append(p.meters, p.trust)
	p.sinks = append(p.sinks, p.trust) // it watches its files as long as anything is read
	if p.cfg.cert != "" {
		signer, err := x509.NewSigner(p.cfg.cert, p.cfg.key)
		if err != nil {
			return trustError(err)
		}
		p.signer = signer
		p.meters = append(p.meters, signer)
	}
	if p.gate, err = bus.NewGate(cfg, p.window, p.logger); err != nil {
		return configError{err}
	}
	p.meters = append(p.meters, p.gate)
	return nil
}

// trustError says of a file with keys or certificates that it is the wrong one,
// unless it merely may not be read.
func trustError(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return err
	}
	return configError{err}
}

// buildZMQ makes the ZeroMQ edges: relay and endpoints in, outbound and gateway
// out.
func (p *parts) buildZMQ(context.Context) error {
	p.bound = map[string]any{}
	if from := p.cfg.source(); len(from.Bind)+len(from.Connect) > 0 {
		source, err := zmq.NewSource(from, p.logger)
		if err != nil {
			return err
		}
		if len(from.Bind) > 0 {
			p.bound["relay_inbound"] = one(source.Addrs())
		}
		p.meters = append(p.meters, source)
		var into fedmsg.Publisher = p.gate
		if p.cfg.role.Signs {
			into = &roles.Signing{Next: p.gate, Signer: p.signer, Networks: p.cfg.allowUnsigned()}
		}
		p.sources = append(p.sources, bus.RunnerFunc(func(ctx context.Context) error { return source.Run(ctx, into) }))
	}
	for _, out := range []struct {
		name string
		bind []string
	}{{"relay_outbound", p.cfg.Outbound()}, {"gateway", p.cfg.GatewayAddrs()}} {
		if len(out.bind) == 0 {
			continue
		}
		pub, err := zmq.NewPub(p.cfg.pub(out.name, out.bind), p.logger)
		if err != nil {
			return err
		}
		pump, err := bus.NewPump(bus.PumpConfig{Name: "zmq." + out.name, Live: true}, p.window, p.log, zmq.NewSink(pub), p.logger)
		if err != nil {
			return err
		}
		p.bound[out.name] = one(pub.Addrs())
		p.meters = append(p.meters, pub, pump)
		p.sinks = append(p.sinks, pump, pub)
	}
	return nil
}

// buildIRC makes the firehose on IRC.
func (p *parts) buildIRC(context.Context) error {
	if len(p.cfg.IRC) == 0 || !p.cfg.role.IRC {
		return nil
	}
	bot, err := irc.New(live.IRC(&p.cfg.Config), p.words, p.logger)
	if err != nil {
		return configError{err}
	}
	pump, err := bus.NewPump(bus.PumpConfig{Name: "irc", Live: true}, p.window, p.log, bot, p.logger)
	if err != nil {
		return err
	}
	p.meters = append(p.meters, bot, pump)
	p.sinks = append(p.sinks, pump, bot)
	return nil
}

// buildHTTP makes the HTTP edge.
func (p *parts) buildHTTP(ctx context.Context) error {
	if p.cfg.Web.Listen == "" {
		return nil
	}
	tokens, err := http.OpenTokens(p.cfg.tokenFile())
	if err != nil {
		return err
	}
	cfg := p.cfg.http()
	cfg.Policy, cfg.Signer, cfg.Tokens, cfg.Describer = p.policy, p.signer, tokens, p.words
	if p.trust.Believes() {
		cfg.Verifier = p.trust
	}
	cfg.Routes = append(cfg.Routes, p.sockets.Routes)
	cfg.Report = func() any { return watch.Totals(measured{p}, p.ways()) }
	if err := p.buildReaders(ctx, &cfg); err != nil {
		return err
	}
	if err := p.buildPages(&cfg); err != nil {
		return err
	}
	server, err := http.Listen(cfg, struct {
		tiered
		fedmsg.Finder
		fedmsg.Publisher
	}{p.reader(), p.window, p.gate}, p.meters, p.logger)
	if err != nil {
		return err
	}
	p.web, p.bound["http"] = server, server.Addr()
	p.sources = append(p.sources, server)
	return nil
}

// buildReload has a hangup read the configuration again: all of it or nothing.
func (p *parts) buildReload(context.Context) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	p.reload = live.Reloader{Load: func() (*config.Loaded, error) { return p.cfg.load(p.env) }, Prepare: p.prepare, Hangup: hangup, Logger: p.logger}
	p.meters = append(p.meters, &p.reload)
	p.sinks = append(p.sinks, bus.RunnerFunc(func(ctx context.Context) error {
		defer signal.Stop(hangup)
		return p.reload.Run(ctx, p.cfg.Loaded)
	}))
	return nil
}

// prepare makes ready what a running bus takes over.
func (p *parts) prepare(next *config.Loaded) (apply func(), err error) {
	cfg := p.cfg
	cfg.Loaded = next
	if !p.trust.Believes() && (next.TrustedCA() != "" || next.GPGKeyring != "") {
		return nil, errors.New("signatures were not checked so far, and checking them needs a restart")
	}
	if p.trust.Believes() && !cfg.Demo {
		cfg.ca = next.TrustedCA()
	}
	policy, err := cfg.policy()
	if err != nil {
		return nil, err
	}
	believe, err := p.trust.Prepare(cfg.trust(policy))
	if err != nil {
		return nil, err
	}
	gate := cfg.gate()
	if p.trust.Believes() {
		gate.Verifier = p.trust
	}
	if err := gate.Validate(); err != nil {
		return nil, err
	}
	return func() {
		believe()
		_ = p.gate.Configure(gate) // it was validated
		setLevel(p.level, next.LogLevel)
		if p.web != nil {
			p.web.SetPolicy(policy)
		}
	}, nil
}

// announce tells whoever started the bus that it is ready, and where.
func (p *parts) announce(ctx context.Context) error {
	state, err := p.log.State(ctx)
	if err != nil {
		return err
	}
	p.logger.InfoContext(ctx, "the log is open", "dir", p.cfg.Log.Dir, "first", state.First, "last", state.Last, "epoch", state.Epoch)
	for _, w := range p.cfg.Warnings {
		p.logger.WarnContext(ctx, "configuration: "+w.Error())
	}
	if unsigned := p.cfg.allowUnsigned(); p.cfg.ca == "" {
		p.logger.WarnContext(ctx, "signatures are not checked: there is no CA; messages are stamped verified: none", "unsigned_from", unsigned)
	} else if len(unsigned) > 0 {
		p.logger.WarnContext(ctx, "unsigned messages are taken from some networks, and stamped verified: none", "unsigned_from", unsigned)
	}
	if p.cfg.Demo {
		madeup.Greet(p.env.stdout, fmt.Sprint(p.bound["http"]), strings.TrimPrefix(client.DefaultURL, "http://"), fmt.Sprint(p.bound["relay_inbound"]), fmt.Sprint(p.bound["relay_outbound"]))
		p.sinks = append(p.sinks, bus.RunnerFunc(func(ctx context.Context) error {
			return madeup.Show(ctx, p.window, state.Last, p.words, p.env.stdout, cleanLine)
		}))
	}
	if p.cfg.AddrFile != "" {
		text, err := json.Marshal(p.bound)
		if err != nil {
			return fmt.Errorf("addr file: %w", err)
		}
		if err := writeFile(p.cfg.AddrFile, append(text, '\n')); err != nil {
			return fmt.Errorf("addr file: %w", err)
		}
	}
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		p.logger.WarnContext(ctx, "systemd was not told that the bus is ready", "err", err)
	}
	return nil
}

// one returns the only element of a list, or the list.
func one(list []string) any {
	if len(list) == 1 {
		return list[0]
	}
	return list
}

// writeFile writes a file so that a reader sees all of it or nothing.
func writeFile(name string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(data); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err := errors.Join(tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}

// newLogger makes the program's logger.
func newLogger(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// setLevel sets what is told to a level that was checked when it was read.
func setLevel(level *slog.LevelVar, name string) {
	var l slog.Level
	_ = l.UnmarshalText([]byte(name))
	level.Set(l)
}

// stateDir finds where the bus keeps its files: the flag, what systemd gives,
// the user's state directory.
func stateDir(flag string, env environ) (string, error) {
	if dir := cmp.Or(flag, env.getenv("FEDMSG_DIR"), env.getenv("STATE_DIRECTORY")); dir != "" {
		return dir, nil
	}
	if xdg := env.getenv("XDG_STATE_HOME"); filepath.IsAbs(xdg) {
		return filepath.Join(xdg, "fedmsg"), nil
	}
	if home := env.getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "fedmsg"), nil
	}
	return "", configError{&fedmsg.HintError{
		Err:  errors.New("no directory for the log: neither STATE_DIRECTORY nor XDG_STATE_HOME nor HOME is set"),
		Hint: "name one with --dir",
	}}
}
