// Package limit bounds what one peer, and all of them together, may take: how often
// ([Rates]), and how much at once ([Places]). A peer is an IPv4 address or the /64 of
// an IPv6 address. Nothing here knows what is counted.
package limit

import (
	"math"
	nethttp "net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Rates hold peers to a number of things a second, each by its key.
type Rates struct {
	limit rate.Limit
	burst int

	mu   sync.Mutex
	keys map[string]*rate.Limiter
}

// maxRates is how many peers are remembered at once.
const maxRates = 10000

// NewRates makes rates: so many a second, and burst at once after a pause. A
// negative number is no limit.
func NewRates(limit float64, burst int) *Rates {
	r := &Rates{limit: rate.Limit(limit), burst: burst, keys: make(map[string]*rate.Limiter)}
	if limit < 0 || burst < 0 {
		r.limit = rate.Inf
	}
	return r
}

// Take takes one of what key may have. If there is none it returns how long to
// wait for it.
func (r *Rates) Take(key string) time.Duration {
	if r.limit == rate.Inf {
		return 0
	}
	r.mu.Lock()
	l := r.keys[key]
	if l == nil {
		r.forget()
		l = rate.NewLimiter(r.limit, r.burst)
		r.keys[key] = l
	}
	r.mu.Unlock()
	reservation := l.Reserve()
	if !reservation.OK() {
		return time.Second
	}
	wait := reservation.Delay()
	if wait > 0 {
		reservation.Cancel()
	}
	return wait
}

// forget drops who has been quiet, or everybody, if there are too many. r.mu is
// held.
func (r *Rates) forget() {
	if len(r.keys) < maxRates {
		return
	}
	for key, l := range r.keys {
		if l.Tokens() >= float64(r.burst) {
			delete(r.keys, key)
		}
	}
	if len(r.keys) >= maxRates {
		clear(r.keys)
	}
}

// Seconds is a wait as Retry-After has it: whole seconds, at least one.
func Seconds(wait time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(wait.Seconds()))))
}

// Places count what is open at the same time, in all and by network.
type Places struct {
	max, perNetwork int
	what            string

	mu       sync.Mutex
	all      int
	networks map[netip.Prefix]int
}

// NewPlaces makes places for what, as a refusal calls it: streams.
func NewPlaces(max, perNetwork int, what string) *Places {
	return &Places{max: max, perNetwork: perNetwork, what: what, networks: make(map[netip.Prefix]int)}
}

// Take takes a place; leave gives it back. The error is a
// [fedmsg.TooManyConnections] refusal.
func (p *Places) Take(addr netip.Addr) (leave func(), err error) {
	from := Network(addr)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= p.max {
		return nil, fedmsg.Refuse(fedmsg.TooManyConnections, "%d %s are open, and there can be no more", p.all, p.what)
	}
	if p.networks[from] >= p.perNetwork {
		return nil, fedmsg.Refuse(fedmsg.TooManyConnections, "%d %s are open from your address, and there can be no more", p.networks[from], p.what)
	}
	p.all++
	p.networks[from]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.all--
		if p.networks[from]--; p.networks[from] == 0 {
			delete(p.networks, from)
		}
	}, nil
}

// Taken returns how many places are taken.
func (p *Places) Taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all
}

// Network is what one peer is taken to have: an IPv4 address, or the /64 of an
// IPv6 address.
func Network(addr netip.Addr) netip.Prefix {
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // the zero Addr
	}
	return prefix
}

// Peer returns the address that a request came from; the zero Addr if that is not
// known.
func Peer(r *nethttp.Request) netip.Addr {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Addr().Unmap().WithZone("")
}
