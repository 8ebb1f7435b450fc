package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/client"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/config"
)

// A messageBus is what commands need of a [client.Bus].
type messageBus interface {
	Publish(ctx context.Context, modname, topic string, body any) (client.Receipt, error)
	Send(ctx context.Context, m *fedmsg.Message) (client.Receipt, error)
	Tail(ctx context.Context, cfg client.TailConfig) iter.Seq2[fedmsg.Entry, error]
	Close() error
}

// An opener opens a bus.
type opener func(context.Context, client.Config) (messageBus, error)

func openBus(ctx context.Context, cfg client.Config) (messageBus, error) {
	return client.New(ctx, cfg)
}

// busFlags are the flags of all commands that talk to a bus.
type busFlags struct {
	URL, Token, TokenFile    string
	TopicPrefix, Environment string
	Timeout                  seconds
	Verbose                  bool
	configPaths              []string
	configFile               string // alone
	printConfig              bool
	old                      struct {
		ioThreads, highWaterMark, linger int
		postInitSleep                    seconds
	}
}

// seconds is a duration that may be written as a number of seconds, as fedmsg
// had it: 2, 2.5, 2s, 1m30s.
type seconds time.Duration

func (s *seconds) Set(text string) error {
	if n, err := strconv.ParseFloat(text, 64); err == nil && 0 <= n && n < 1e9 {
		*s = seconds(n * float64(time.Second))
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return errors.New("must be a number of seconds, or a duration such as 1m30s")
	}
	*s = seconds(d)
	return nil
}
func (s *seconds) String() string { return time.Duration(*s).String() }
func (*seconds) Type() string     { return "seconds" }

// add defines the flags. Those that fedmsg had and that mean nothing here are
// taken and not shown.
func (b *busFlags) add(f *pflag.FlagSet) {
	f.StringVar(&b.URL, "bus", "", "talk to the bus at URL: http://HOST:PORT, or tcp://HOST:PORT or ipc://FILE of a ZeroMQ socket (default $FEDMSG_BUS, else "+client.DefaultURL+")")
	f.StringVar(&b.TokenFile, "token-file", "", "read from FILE the token to show to the bus (default $FEDMSG_TOKEN_FILE; $FEDMSG_TOKEN is a token itself)")
	f.BoolVarP(&b.Verbose, "verbose", "v", false, "tell on standard error what is going on")
	f.Var(&b.Timeout, "timeout", "give up on a message after so many SECONDS (default: when the bus cannot be reached)")
	f.Lookup("timeout").DefValue = "" // 0s would be taken for what it is not
	f.StringVar(&b.TopicPrefix, "topic-prefix", "org.fedoraproject", "begin topics with WORDS; also $FEDMSG_TOPIC_PREFIX")
	f.StringVar(&b.Environment, "environment", "dev", "put WORD after the prefix: dev, stg or prod; also $FEDMSG_ENVIRONMENT")
	f.StringArrayVar(&b.configPaths, "config", nil, "read configuration from FILE, or the files in DIR, too; may be given often")
	f.BoolVar(&b.printConfig, "print-config", false, "print what is configured as JSON, and do nothing")
	f.StringVar(&b.configFile, "config-filename", "", "")
	f.IntVar(&b.old.ioThreads, "io-threads", 1, "")
	f.IntVar(&b.old.highWaterMark, "high-water-mark", 0, "")
	f.IntVar(&b.old.linger, "linger", 0, "")
	f.Var(&b.old.postInitSleep, "post-init-sleep", "")
	for _, name := range []string{"config-filename", "io-threads", "high-water-mark", "linger", "post-init-sleep"} {
		f.Lookup(name).Hidden = true
	}
}

// resolve fills in what the configuration says and the command line does not. done
// says that everything that was asked for is done.
func (b *busFlags) resolve(f *pflag.FlagSet, env environ) (done bool, err error) {
	from := config.PathsFor(env.variables, b.configPaths)
	if b.configFile != "" {
		from.Paths, from.Lenient = []string{b.configFile}, false
	}
	l, err := config.Load(from)
	if err != nil && b.configFile != "" {
		err = fmt.Errorf("--config-filename: %w", err)
	}
	if err != nil {
		return false, configError{err}
	}
	for flag, setting := range map[string]struct{ key, value string }{
		"bus": {"bus.url", l.Bus.URL}, "token-file": {"bus.token_file", l.Bus.TokenFile}, "timeout": {"bus.timeout", l.Bus.Timeout.String()},
		"topic-prefix": {"topic_prefix", l.TopicPrefix}, "environment": {"environment", l.Environment},
	} {
		if l.IsSet(setting.key) && !f.Changed(flag) {
			if err := f.Lookup(flag).Value.Set(setting.value); err != nil {
				return false, configError{fmt.Errorf("%s: %w", setting.key, err)}
			}
		}
	}
	b.URL = cmp.Or(b.URL, client.DefaultURL)
	if _, _, err := net.SplitHostPort(b.URL); err == nil && !strings.Contains(b.URL, "://") {
		b.URL = "http://" + b.URL // HOST:PORT
	}
	b.Token = string(l.Bus.Token)
	if b.TokenFile != "" {
		token, err := config.SecretIn(b.TokenFile)
		if is[config.Problems](err) {
			return false, configError{fmt.Errorf("--token-file: %w", err)}
		}
		if err != nil {
			return false, fmt.Errorf("--token-file: %w", err)
		}
		b.Token = string(token)
	}
	if !b.printConfig {
		return false, nil
	}
	values := l.Values(true)
	values["topic_prefix"], values["environment"] = b.TopicPrefix, b.Environment
	values["bus"] = map[string]any{"url": b.URL, "token_file": b.TokenFile, "timeout": time.Duration(b.Timeout).Seconds()}
	encoder := json.NewEncoder(output{env.stdout})
	encoder.SetIndent("", "  ")
	return true, encoder.Encode(values)
}

// open opens the bus.
func (b *busFlags) open(ctx context.Context, env environ, signer fedmsg.Signer) (messageBus, error) {
	return env.open(ctx, client.Config{
		URL: b.URL, Token: b.Token, TopicPrefix: b.TopicPrefix, Environment: b.Environment, Signer: signer,
	})
}

// limit bounds the time for one message.
func (b *busFlags) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if b.Timeout == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, time.Duration(b.Timeout), &fedmsg.HintError{
		Err:  fmt.Errorf("no answer from %s within %s: %w", b.URL, b.Timeout.String(), fedmsg.ErrUnavailable),
		Hint: "is the bus running? start one with: fedmsg serve",
	})
}
