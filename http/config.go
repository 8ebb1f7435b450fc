package http

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	nethttp "net/http"
	"net/netip"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Config says where the server listens and whom it lets publish. The zero value
// listens on this machine alone, and lets nobody publish but who signs.
type Config struct {
	// Addr is where to listen, HOST:PORT. Port 0 takes a free one. Default:
	// 127.0.0.1:8330.
	Addr string

	// TLSCert and TLSKey are PEM files. With them the server speaks TLS, 1.2 or
	// newer. They are read again within a second after they change.
	TLSCert string
	TLSKey  string

	// TLSMinVersion is the oldest version that is spoken, as crypto/tls has them.
	// Default: 1.2.
	TLSMinVersion uint16

	// ClientCA is a PEM file of the CAs whose client certificates say who
	// publishes: "mtls:" and the first CN. Default: nobody's.
	ClientCA string

	// Policy says which CN may publish on which topic. It also closes the topics
	// in its table to every token that is not listed there as "token:NAME".
	Policy fedmsg.Policy

	// TopicPrefix and Environment come before the topics of messages that are
	// made here. Defaults: org.fedoraproject and dev.
	TopicPrefix string
	Environment string

	// Signer signs the messages that are made here. Default: they stay unsigned.
	Signer fedmsg.Signer

	// Verifier judges the messages that are sent to be judged, not published. Default:
	// none is good.
	Verifier fedmsg.Verifier

	// Tokens says who may publish with a bearer token. Default: nobody.
	Tokens *TokenFile

	// AllowAnonymousLoopback lets who connects from this machine publish without
	// saying who it is, as long as Tokens holds none. The listener must then be
	// on a loopback address.
	AllowAnonymousLoopback bool

	// Routes add what else is to be served, each under patterns of its own. What
	// they answer passes the same guard as all else.
	Routes []func(*nethttp.ServeMux)

	// Front answers GET / to whoever does not ask for JSON alone. Default: all get
	// the list of what is here, as JSON.
	Front nethttp.Handler

	// Search answers GET /api/v1/messages if it is asked for more than a part of
	// the log: with a parameter beside after, limit, topic and meta. Default: such
	// parameters are refused.
	Search nethttp.Handler

	// Degraded says what of the bus does not work although it takes messages, for
	// /readyz; "" if all does. Default: nothing is asked.
	Degraded func() string
	// Report answers GET /api/v1/monitoring with what it returns, as JSON. Default:
	// there is no such path.
	Report func() any
	// Older finds a message by its ID that the log keeps no longer. Default: it is not
	// found.
	Older fedmsg.Finder

	// Describer finds the words that readers ask for with meta. Default: nobody
	// gets any.
	Describer fedmsg.Describer

	// User is the user name in messages made for anonymous publishers. Default:
	// the message has none.
	User string

	// MetricsAddr is a second place to listen, for /metrics, /healthz and
	// /readyz alone. The main listener has /metrics only if it is on a loopback
	// address. Default: there is none.
	MetricsAddr string

	// Heartbeat is how often a stream that has nothing to say says so.
	// Default 15s.
	Heartbeat time.Duration

	// Grace is how long requests may take to finish when the server stops.
	// Default 8s.
	Grace time.Duration

	// Limits bound what one peer, and all of them, may take.
	Limits Limits

	// Clock dates the messages made here and ends tokens. For tests. Default:
	// [time.Now].
	Clock func() time.Time
}

// Limits bound what one peer, and all of them, may take.
type Limits struct {
	// Body is the largest request body, in bytes. Default: 64 KiB more than
	// [fedmsg.MaxMessageSize].
	Body int64
	// Header is the largest request header, in bytes. Default 64 KiB.
	Header int
	// HeaderTimeout is how long a peer may take to send a request's header, from
	// when it connects. Default 10s.
	HeaderTimeout time.Duration
	// PublishRate is how many messages a second one identity may publish, and
	// PublishBurst how many at once after a pause. Publishers without one are
	// counted by address; who connects from this machine without one is not.
	// Defaults: 50 and 200. -1 is no limit.
	PublishRate  float64
	PublishBurst int
	// Streams is how many event streams may be open, and StreamsPerAddr how many
	// from one address, or from one /64 of IPv6. Defaults: 10000 and 2000.
	Streams        int
	StreamsPerAddr int
	// WriteTimeout is how long a stream may be unable to write before it is cut.
	// Default 15s.
	WriteTimeout time.Duration
	// PublishTimeout is how long a publisher waits for the log. Default 2.3s.
	PublishTimeout time.Duration
}

func (l Limits) withDefaults() Limits {
	l.Body = cmp.Or(l.Body, fedmsg.MaxMessageSize+64<<10)
	l.Header = cmp.Or(l.Header, 64<<10)
	l.HeaderTimeout = cmp.Or(l.HeaderTimeout, 10*time.Second)
	l.PublishRate = cmp.Or(l.PublishRate, 50)
	l.PublishBurst = cmp.Or(l.PublishBurst, 200)
	l.Streams = cmp.Or(l.Streams, 10000)
	l.StreamsPerAddr = cmp.Or(l.StreamsPerAddr, 2000)
	l.WriteTimeout = cmp.Or(l.WriteTimeout, 15*time.Second)
	l.PublishTimeout = cmp.Or(l.PublishTimeout, 2300*time.Millisecond)
	return l
}

func (c Config) withDefaults() Config {
	c.Addr = cmp.Or(c.Addr, "127.0.0.1:8330")
	c.TopicPrefix = cmp.Or(c.TopicPrefix, "org.fedoraproject")
	c.Environment = cmp.Or(c.Environment, "dev")
	c.TLSMinVersion = cmp.Or(c.TLSMinVersion, tls.VersionTLS12)
	c.Heartbeat = cmp.Or(c.Heartbeat, 15*time.Second)
	c.Grace = cmp.Or(c.Grace, 8*time.Second)
	c.Limits = c.Limits.withDefaults()
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return c
}

// Validate reports everything that is wrong with c, joined, or nil.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	for _, a := range []struct{ name, addr string }{{"addr", c.Addr}, {"metrics_addr", c.MetricsAddr}} {
		if _, _, err := net.SplitHostPort(a.addr); err != nil && a.addr != "" {
			errs = append(errs, fmt.Errorf("%s: %q is not HOST:PORT", a.name, a.addr))
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		errs = append(errs, errors.New("tls_cert, tls_key: one is given without the other"))
	}
	if c.ClientCA != "" && c.TLSCert == "" {
		errs = append(errs, errors.New("client_ca: client certificates need TLS: give tls_cert and tls_key too"))
	}
	if err := fedmsg.Topic(c.TopicPrefix).Validate(); err != nil {
		errs = append(errs, fmt.Errorf("topic_prefix: %w", err))
	}
	if err := fedmsg.Topic(c.Environment).Validate(); err != nil || strings.Contains(c.Environment, ".") {
		errs = append(errs, fmt.Errorf("environment: %q is not one word of letters, digits, _ and -", c.Environment))
	}
	if c.Heartbeat < 0 || c.Grace < 0 || c.Limits.HeaderTimeout < 0 || c.Limits.WriteTimeout < 0 || c.Limits.PublishTimeout < 0 {
		errs = append(errs, errors.New("heartbeat, grace, header_timeout, write_timeout, publish_timeout: must not be negative"))
	}
	if c.Limits.Body < 0 || c.Limits.Header < 0 || c.Limits.Streams < 0 || c.Limits.StreamsPerAddr < 0 {
		errs = append(errs, errors.New("limits: must not be negative"))
	}
	return errors.Join(errs...)
}

// isLoopback reports whether only this machine can reach a listener.
func isLoopback(ln net.Listener) bool {
	addr, err := netip.ParseAddrPort(ln.Addr().String())
	return err == nil && addr.Addr().Unmap().IsLoopback()
}
