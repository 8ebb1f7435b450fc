package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os/user"
	"strings"
	"sync/atomic"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
)

// DefaultURL is where a bus listens that was started without configuration.
const DefaultURL = "http://127.0.0.1:8330"

// Config says how to reach a bus and who speaks. The zero value is fine for a
// bus on this machine.
type Config struct {
	// URL is http://HOST:PORT or https://HOST:PORT of a bus; or tcp://HOST:PORT or
	// ipc://FILE of a ZeroMQ relay (to publish) or publisher (to tail). Default:
	// DefaultURL.
	URL string
	// Token is the secret of a bearer token, for HTTP.
	Token string
	// TopicPrefix and Environment come before every topic that is published.
	// Defaults: org.fedoraproject and dev.
	TopicPrefix string
	Environment string
	// User is the login name in messages. Default: that of this process. A bus
	// that knows the publisher by a token puts the token's name instead.
	User string
	// Signer signs what is published; nil leaves signing to the bus.
	Signer fedmsg.Signer
}

// Receipt tells what became of a published message.
type Receipt struct {
	ID    string
	Topic fedmsg.Topic
	// Seq is the message's place in the log; 0 if it was not confirmed.
	Seq fedmsg.Seq
	// Confirmed says that the message is on disk. Over ZeroMQ nobody knows.
	Confirmed bool
}

// TailConfig says what to read. The zero value reads everything from now on.
type TailConfig struct {
	// Topics are the patterns to ask for. Default: every topic.
	Topics []fedmsg.Pattern
	// After is the place after which to begin, 0 for the beginning of the log;
	// nil begins with what is published from now on.
	After *fedmsg.Seq
	// Notice is called with a line for people when the connection is lost and
	// found again, and when messages were missed. It may be nil.
	Notice func(string)
}

// edge is one way to talk to a bus.
type edge interface {
	publish(ctx context.Context, m *fedmsg.Message) (Receipt, error)
	tail(ctx context.Context, cfg TailConfig) iter.Seq2[fedmsg.Entry, error]
	close() error
}

// Bus is a bus that can be published to and read from. It may be used by
// several goroutines at once.
type Bus struct {
	cfg  Config
	edge edge
	sent atomic.Int64
}

// Open opens the bus at url; see [Config]. It does not wait for the bus to be
// there: the first use does.
func Open(ctx context.Context, url string) (*Bus, error) { return New(ctx, Config{URL: url}) }

// New opens a bus.
func New(ctx context.Context, cfg Config) (*Bus, error) {
	cfg.URL = cmp.Or(cfg.URL, DefaultURL)
	cfg.TopicPrefix = cmp.Or(cfg.TopicPrefix, "org.fedoraproject")
	cfg.Environment = cmp.Or(cfg.Environment, "dev")
	if cfg.User == "" {
		cfg.User = loginName()
	}
	scheme, _, _ := strings.Cut(cfg.URL, "://")
	b := &Bus{cfg: cfg}
	switch scheme {
	case "http", "https":
		c, err := http.New(http.ClientConfig{URL: cfg.URL, Token: cfg.Token})
		if err != nil {
			return nil, fmt.Errorf("open bus: %w", err)
		}
		b.edge = overHTTP{c}
	case "tcp", "ipc":
		e, err := newOverZMQ(ctx, cfg.URL)
		if err != nil {
			return nil, fmt.Errorf("open bus: %w", err)
		}
		b.edge = e
	default:
		return nil, &fedmsg.HintError{
			Err:  fmt.Errorf("open bus: %q: no way to talk to this kind of address: %w", cfg.URL, fedmsg.ErrInvalid),
			Hint: "write http://HOST:PORT for a bus, or tcp://HOST:PORT or ipc://FILE for a ZeroMQ socket",
		}
	}
	return b, nil
}

// loginName is the name that the original puts into messages.
func loginName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// Publish publishes body, which must become a JSON object, under
// PREFIX.ENVIRONMENT.modname.topic. A nil body becomes {}. When it returns
// without an error over HTTP, the message is on disk.
func (b *Bus) Publish(ctx context.Context, modname, topic string, body any) (Receipt, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return Receipt{}, fmt.Errorf("publish: body: %w", errors.Join(err, fedmsg.ErrInvalid))
	}
	now := time.Now()
	m, err := fedmsg.Draft{
		Topic: fedmsg.JoinTopic(b.cfg.TopicPrefix, b.cfg.Environment, modname, topic),
		Body:  text, ID: fedmsg.NewID(now), Time: now, User: b.cfg.User, Counter: int(b.sent.Add(1)),
	}.Message()
	if err != nil {
		return Receipt{}, fmt.Errorf("publish: %w", err)
	}
	return b.Send(ctx, m)
}

// Send publishes a whole message. Sending the same one again does no harm.
func (b *Bus) Send(ctx context.Context, m *fedmsg.Message) (Receipt, error) {
	if b.cfg.Signer != nil && m.Signature == "" {
		signed, err := b.cfg.Signer.Sign(ctx, m)
		if err != nil {
			return Receipt{}, fmt.Errorf("sign %s: %w", m.ID, err)
		}
		m = signed
	}
	r, err := b.edge.publish(ctx, m)
	if err != nil {
		return Receipt{}, fmt.Errorf("publish %s: %w", m.ID, err)
	}
	return r, nil
}

// Tail yields what is published, in order, until ctx ends or the caller breaks.
// A lost connection is made again, and over HTTP nothing is missed meanwhile;
// what cannot be had any more is told to TailConfig.Notice. The iteration ends
// with at most one error.
func (b *Bus) Tail(ctx context.Context, cfg TailConfig) iter.Seq2[fedmsg.Entry, error] {
	return b.edge.tail(ctx, cfg)
}

// Close ends what is open. Over ZeroMQ it first sends what is queued, for a
// second at most.
func (b *Bus) Close() error { return b.edge.close() }
