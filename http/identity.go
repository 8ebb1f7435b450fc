package http

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"net"
	nethttp "net/http"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/limit"
)

// A caller is who sent a request, as far as the server knows.
type caller struct {
	addr     netip.Addr
	identity string // "token:NAME", "mtls:CN", or empty
	name     string // what stands behind the colon
	token    *Token // nil if there is none
	// anonymous says that it may publish without an identity.
	anonymous bool
}

// identify finds out who sent r. The error is a refusal of what r gives as
// proof; giving none is no error.
func (s *Server) identify(r *nethttp.Request) (caller, error) {
	c := caller{addr: limit.Peer(r)}
	if auth := r.Header.Get("Authorization"); auth != "" {
		scheme, secret, _ := strings.Cut(auth, " ")
		if !strings.EqualFold(scheme, "Bearer") || s.cfg.Tokens == nil {
			return c, fedmsg.Refuse(fedmsg.InvalidToken, "this bus takes bearer tokens of its own only")
		}
		token, err := s.cfg.Tokens.authenticate(strings.TrimSpace(secret), s.cfg.Clock())
		if err != nil {
			return c, err
		}
		c.identity, c.name, c.token = "token:"+token.Name, token.Name, &token
		return c, nil
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		if cn := firstCN(r.TLS.VerifiedChains[0][0]); cn != "" {
			c.identity, c.name = "mtls:"+cn, cn
		}
		return c, nil
	}
	if s.cfg.AllowAnonymousLoopback && c.addr.IsLoopback() && isDirect(r) {
		none, err := s.cfg.Tokens.empty()
		if err != nil {
			return c, err
		}
		c.anonymous = none
	}
	return c, nil
}

// A Caller is who sent a request to one of the routes in [Config.Routes], and what it
// may do that is not for everybody.
type Caller struct {
	// Identity is "token:NAME", "mtls:CN", or empty for whoever needs none.
	Identity string
	// Admin says that it may do everything.
	Admin bool
	// Read are the patterns of topics that it may have read for it.
	Read []fedmsg.Pattern
}

// CallerOf finds out who sent r, which must be more than anybody: the bearer of a token
// with the scope read: or admin, of a client certificate, or, as for publishing, whoever
// connects from this machine; but not what a page of another site sends from there. The
// error is a refusal.
func CallerOf(r *nethttp.Request) (Caller, error) {
	s, ok := r.Context().Value(serverKey{}).(*Server)
	if !ok {
		return Caller{}, fedmsg.Refuse(fedmsg.Unauthenticated, "nobody is known here")
	}
	unsafe := *r // reading for somebody changes something
	unsafe.Method = nethttp.MethodPost
	if err := s.cross.Check(&unsafe); err != nil {
		return Caller{}, fedmsg.Refuse(crossSite, "a browser sends this on behalf of another site")
	}
	c, err := s.identify(r)
	if err != nil {
		return Caller{}, err
	}
	caller := Caller{Identity: c.identity}
	switch {
	case c.token != nil:
		for _, scope := range c.token.Scopes {
			if pattern, ok := strings.CutPrefix(scope, "read:"); ok {
				caller.Read = append(caller.Read, fedmsg.Pattern(pattern))
			}
		}
		if caller.Admin = slices.Contains(c.token.Scopes, "admin"); caller.Admin {
			caller.Read = []fedmsg.Pattern{"#"}
		}
		if len(caller.Read) == 0 {
			return Caller{}, fedmsg.Refuse(fedmsg.NotAuthorized, "token %q has no scope read: or admin", c.name)
		}
	case c.identity != "" || c.anonymous:
		caller.Admin, caller.Read = c.anonymous, []fedmsg.Pattern{"#"}
	default:
		return Caller{}, fedmsg.Refuse(fedmsg.Unauthenticated, "this needs a token (Authorization: Bearer ...) or a client certificate")
	}
	return caller, nil
}

// isDirect reports whether a request from loopback was made for this server: not
// passed on by a proxy for somebody else, and not sent by a browser that was led
// here under another host's name.
func isDirect(r *nethttp.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}

// firstCN returns the first common name of a certificate's subject, as the
// original reads it (Go's Subject.CommonName is the last). Empty if there is
// none, or one that could not be shown.
func firstCN(cert *x509.Certificate) string {
	commonName := asn1.ObjectIdentifier{2, 5, 4, 3}
	for _, name := range cert.Subject.Names {
		if !name.Type.Equal(commonName) {
			continue
		}
		cn, ok := name.Value.(string)
		if !ok || len(cn) > fedmsg.MaxUserLength || strings.ContainsFunc(cn, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return ""
		}
		return cn
	}
	return ""
}

// mayPublish returns a refusal unless c may publish an unsigned message on topic.
func (s *Server) mayPublish(c caller, topic fedmsg.Topic) error {
	switch {
	case c.token != nil:
		if !c.token.allows("publish", topic) {
			return fedmsg.Refuse(fedmsg.NotAuthorized, "token %q has no scope publish: that covers %s", c.name, topic)
		}
		// A wide scope does not open a topic that the policy keeps for some.
		return fedmsg.Policy{Routing: s.policy.Load().Routing}.Allow(topic, c.identity)
	case c.identity != "":
		return s.policy.Load().Allow(topic, c.name)
	case c.anonymous:
		return nil
	}
	return fedmsg.Refuse(fedmsg.Unauthenticated, "an unsigned message needs a token (Authorization: Bearer ...) or a client certificate")
}

// allows reports whether one of the token's scopes lets it do verb on topic.
func (t Token) allows(verb string, topic fedmsg.Topic) bool {
	return slices.ContainsFunc(t.Scopes, func(scope string) bool {
		v, pattern, _ := strings.Cut(scope, ":")
		return v == verb && fedmsg.Pattern(pattern).Match(topic)
	})
}

// origin is what the gate is told about c.
func (c caller) origin(ctx context.Context, identity string) context.Context {
	return fedmsg.WithOrigin(ctx, fedmsg.Origin{Edge: edge, Addr: c.addr, Identity: identity})
}

// throttle returns a refusal if c publishes too fast.
func (s *Server) throttle(w nethttp.ResponseWriter, c caller) error {
	key := c.identity
	if key == "" {
		if c.addr.IsLoopback() {
			return nil // it is this machine's own, and the log holds it back
		}
		key = limit.Network(c.addr).String()
	}
	wait := s.rates.Take(key)
	if wait == 0 {
		return nil
	}
	w.Header().Set("Retry-After", limit.Seconds(wait))
	return fedmsg.Refuse(fedmsg.RateLimited, "more than %g messages a second; try again in %s s", s.cfg.Limits.PublishRate, limit.Seconds(wait))
}
