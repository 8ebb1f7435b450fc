package zmq

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Tuning are the limits and times of a socket. The zero value of a field means
// its default.
type Tuning struct {
	// MaxConnections is how many peers a socket may have at once, those that
	// are still greeting included. Default: 4096.
	MaxConnections int
	// MaxMessage is the largest message, in bytes with its framing, for which a
	// connection goes on. Default: 64 KiB more than [fedmsg.MaxMessageSize].
	MaxMessage int
	// MaxSubscriptions is how many different prefixes one subscriber may have.
	// Default: 256.
	MaxSubscriptions int
	// Handshake is how long a peer may take to greet. Default: 10s.
	Handshake time.Duration
	// Stall is how long a subscriber may take nothing at all while something is
	// waiting for it; it is disconnected then. Default: 1m.
	Stall time.Duration
	// ReconnectMin and ReconnectMax bound the wait before a lost peer is dialed
	// again. It doubles from one to the other, with jitter. Defaults: 100ms and
	// 1s, what zmq_reconnect_ivl and zmq_reconnect_ivl_max used to be.
	ReconnectMin, ReconnectMax time.Duration
	// KeepAliveIdle, KeepAliveInterval and KeepAliveCount say when TCP probes a
	// silent peer and gives it up. Defaults: 60s, 5s and 3, as zmq_tcp_keepalive_*.
	KeepAliveIdle, KeepAliveInterval time.Duration
	KeepAliveCount                   int
	// FileMode is the mode of the files of sockets bound to ipc://. Default: what the
	// system gives them, less the umask.
	FileMode fs.FileMode
}

func (t Tuning) withDefaults() Tuning {
	t.MaxConnections = cmp.Or(t.MaxConnections, 4096)
	t.MaxMessage = cmp.Or(t.MaxMessage, fedmsg.MaxMessageSize+64<<10)
	t.MaxSubscriptions = cmp.Or(t.MaxSubscriptions, 256)
	t.Handshake = cmp.Or(t.Handshake, 10*time.Second)
	t.Stall = cmp.Or(t.Stall, time.Minute)
	t.ReconnectMin = cmp.Or(t.ReconnectMin, 100*time.Millisecond)
	t.ReconnectMax = cmp.Or(t.ReconnectMax, max(time.Second, t.ReconnectMin))
	t.KeepAliveIdle = cmp.Or(t.KeepAliveIdle, 60*time.Second)
	t.KeepAliveInterval = cmp.Or(t.KeepAliveInterval, 5*time.Second)
	t.KeepAliveCount = cmp.Or(t.KeepAliveCount, 3)
	return t
}

// Validate reports everything that is wrong with t, joined, or nil.
func (t Tuning) Validate() error {
	var errs []error
	for _, n := range []struct {
		name  string
		value int
	}{
		{"max-connections", t.MaxConnections}, {"max-message", t.MaxMessage},
		{"max-subscriptions", t.MaxSubscriptions}, {"keepalive-count", t.KeepAliveCount},
	} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("%s: must not be negative, is %d", n.name, n.value))
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"handshake", t.Handshake}, {"stall", t.Stall}, {"reconnect-min", t.ReconnectMin},
		{"keepalive-idle", t.KeepAliveIdle}, {"keepalive-interval", t.KeepAliveInterval},
	} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("%s: must not be negative, is %s", d.name, d.value))
		}
	}
	if d := t.withDefaults(); d.ReconnectMax < d.ReconnectMin {
		errs = append(errs, fmt.Errorf("reconnect-max: must be at least reconnect-min (%s), is %s", d.ReconnectMin, d.ReconnectMax))
	}
	return errors.Join(errs...)
}

func (t Tuning) keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: t.KeepAliveIdle, Interval: t.KeepAliveInterval, Count: t.KeepAliveCount}
}

// parseEndpoints checks the addresses of a socket. It needs at least one.
func parseEndpoints(bind, connect []string) (binds, connects []Addr, err error) {
	var errs []error
	for _, s := range bind {
		a, err := ParseAddr(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("bind: %w", err))
		}
		binds = append(binds, a)
	}
	for _, s := range connect {
		a, err := ParseAddr(s)
		if err == nil && a.Port == 0 && a.Path == "" {
			err = fmt.Errorf("address %q: %w: port 0 cannot be connected to", s, fedmsg.ErrInvalid)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("connect: %w", err))
		}
		connects = append(connects, a)
	}
	if len(bind)+len(connect) == 0 {
		errs = append(errs, errors.New("bind, connect: at least one address is needed"))
	}
	return binds, connects, errors.Join(errs...)
}
