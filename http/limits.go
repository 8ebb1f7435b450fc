package http

import (
	"math"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// rates holds publishers to a number of messages a second, each by its key.
type rates struct {
	limit rate.Limit
	burst int

	mu   sync.Mutex
	keys map[string]*rate.Limiter
}

// maxRates is how many publishers are remembered at once.
const maxRates = 10000

// newRates makes rates; a negative limit is none.
func newRates(limit float64, burst int) *rates {
	r := &rates{limit: rate.Limit(limit), burst: burst, keys: make(map[string]*rate.Limiter)}
	if limit < 0 || burst < 0 {
		r.limit = rate.Inf
	}
	return r
}

// take takes one of key's messages. If there is none it returns how long to
// wait for it.
func (r *rates) take(key string) time.Duration {
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
func (r *rates) forget() {
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

// seconds is a wait as Retry-After has it: whole seconds, at least one.
func seconds(wait time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(wait.Seconds()))))
}

// places counts open streams, in all and by network.
type places struct {
	max, perNetwork int

	mu       sync.Mutex
	all      int
	networks map[netip.Prefix]int
}

func newPlaces(max, perNetwork int) *places {
	return &places{max: max, perNetwork: perNetwork, networks: make(map[netip.Prefix]int)}
}

// take takes a place; leave gives it back.
func (p *places) take(addr netip.Addr) (leave func(), err error) {
	from := network(addr)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= p.max {
		return nil, fedmsg.Refuse(fedmsg.TooManyConnections, "%d streams are open, and there can be no more", p.all)
	}
	if p.networks[from] >= p.perNetwork {
		return nil, fedmsg.Refuse(fedmsg.TooManyConnections, "%d streams are open from your address, and there can be no more", p.networks[from])
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

func (p *places) taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all
}

// network is what one peer is taken to have: an IPv4 address, or the /64 of an
// IPv6 address.
func network(addr netip.Addr) netip.Prefix {
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
