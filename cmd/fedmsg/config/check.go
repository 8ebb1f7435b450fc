package config

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/config/parse"
	"github.com/fedora-infra/fedmsg-go/internal/pyregexp"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// valueChecks are what the tag check names, but for those that look at files: see
// fileChecks.
var valueChecks = map[string]func(text string) error{
	"address":  checkAddress,
	"listen":   checkListen,
	"network":  checkNetwork,
	"topic":    checkTopic,
	"word":     checkWord,
	"regexp":   checkRegexp,
	"url":      checkURL,
	"certname": checkCertName,
	"pem":      checkLocation,
}

// checkValues checks every value by itself.
func (l *Loaded) checkValues() (problems Problems) {
	everyText(reflect.ValueOf(&l.Config).Elem(), nil, func(f *field, name, text string) {
		if check := valueChecks[f.check]; check != nil && text != "" {
			if err := check(text); err != nil {
				problems = append(problems, at(l.place(f, name), name, "%s", err.Error()))
			}
		}
		if f.check == "policy" {
			if err := checkPolicyTopic(text); err != nil {
				problems = append(problems, at(l.place(f, name), f.key(), "%s", err.Error()))
			}
		}
	})
	return problems
}

// place is where a part of a key's value stands.
func (l *Loaded) place(f *field, name string) Origin {
	below, found := strings.CutPrefix(name, f.key()+".")
	if v := l.said.Find(f.path); found && v != nil && v.Kind == parse.Table && v.Table[below] != nil {
		return v.Table[below].Origin
	}
	return l.origins[f.key()]
}

// everyText calls do for every text in a configuration with the name it has: a member
// of a table has the table's before its own. Of a policy it is the topics.
func everyText(v reflect.Value, path []string, do func(f *field, name, text string)) {
	everyField(v, path, func(f *field) {
		switch held := f.value.Interface().(type) {
		case string:
			do(f, f.key(), held)
		case []string:
			for _, text := range held {
				do(f, f.key(), text)
			}
		case map[string]string:
			for name, text := range held {
				do(f, f.key()+"."+name, text)
			}
		case map[string][]string:
			for name, list := range held {
				if f.check == "policy" {
					do(f, f.key()+"."+name, name)
					continue
				}
				for _, text := range list {
					do(f, f.key()+"."+name, text)
				}
			}
		case []IRC:
			for i := range held {
				everyText(reflect.ValueOf(&held[i]).Elem(), []string{fmt.Sprintf("%s[%d]", f.key(), i)}, func(inner *field, name, text string) {
					as := *inner
					as.path = f.path
					do(&as, name, text)
				})
			}
		}
	})
}

func checkAddress(text string) error {
	if scheme, rest, is := strings.Cut(text, "://"); is && scheme == "tcp" {
		if host, _, err := net.SplitHostPort(rest); err == nil && strings.EqualFold(host, "localhost") {
			return fmt.Errorf("%s: write 127.0.0.1: localhost is another address on some machines", text)
		}
	}
	_, err := zmq.ParseAddr(text)
	return err
}

func checkListen(text string) error {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT", text)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q: the port must be a number up to 65535, not %q", text, port)
	} else if strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("%q: write the port as %d", text, n)
	}
	return nil
}

func checkNetwork(text string) error {
	if _, err := netip.ParsePrefix(text); err != nil {
		return fmt.Errorf("%q is not a network such as 10.0.0.0/8", text)
	}
	return nil
}

func checkTopic(text string) error {
	if err := fedmsg.Topic(text).Validate(); err != nil {
		return fmt.Errorf("%q: words of letters, digits, _ and -, with dots between: %w", text, err)
	}
	return nil
}

func checkWord(text string) error {
	if strings.Contains(text, ".") {
		return fmt.Errorf("%q must be one word", text)
	}
	return checkTopic(text)
}

func checkRegexp(text string) error {
	_, err := pyregexp.Compile(text)
	return err
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%q is no address that begins with http:// or https://", text)
	}
	return nil
}

// checkCertName: certnames are put behind a directory.
func checkCertName(text string) error {
	if strings.ContainsAny(text, "/\\\x00") || text == ".." || text == "." {
		return fmt.Errorf("%q must be the name of a file in ssldir, without a path", text)
	}
	return nil
}

// checkLocation: fedmsg took certificates from web servers, for each message anew.
func checkLocation(text string) error {
	if strings.Contains(text, "://") {
		return fmt.Errorf("%s: neither http nor https is read, since a stranger's message must not make us load anything; keep a copy in a file", text)
	}
	return nil
}

func checkPolicyTopic(topic string) error {
	if strings.ContainsAny(topic, "*#>") {
		return fmt.Errorf("%q: a wildcard would leave unclear which topics are meant; name whole topics", topic)
	}
	return checkTopic(topic)
}

// Listeners are all addresses that a bus binds, by the key that says so.
func (l *Loaded) Listeners() map[string][]string {
	bound := map[string][]string{"relay_inbound": l.RelayInbound, "relay_outbound": l.Outbound(), "gateway": l.GatewayAddrs()}
	if l.Web.Listen != "" {
		bound["web.listen"] = []string{"tcp://" + l.Web.Listen}
	}
	if addr := l.WebsocketAddr(); addr != "" {
		bound["web.websocket_port"] = []string{"tcp://" + addr}
	}
	return bound
}

// Outbound is where subscribers connect: relay_outbound, or if nobody said that the
// entry of endpoints where fedmsg 1.x's relay publishes.
func (l *Loaded) Outbound() []string {
	if addrs := l.Endpoints["relay_outbound"]; len(addrs) > 0 && !l.IsSet("relay_outbound") {
		return addrs
	}
	return l.RelayOutbound
}

// GatewayAddrs is where outsiders connect: gateway, or if nobody said that the port of
// fedmsg 1.x's gateway.
func (l *Loaded) GatewayAddrs() []string {
	if l.GatewayPort > 0 && !l.IsSet("gateway") {
		return []string{"tcp://*:" + strconv.Itoa(l.GatewayPort)}
	}
	return l.Gateway
}

// WebsocketAddr is where WebSockets have a port of their own, HOST:PORT; empty if they
// have none.
func (l *Loaded) WebsocketAddr() string {
	port := cmp.Or(l.Web.Websocket, l.WebsocketPort)
	if port == 0 {
		return ""
	}
	return net.JoinHostPort(l.WebsocketHost, strconv.Itoa(port))
}

// Subscribed are the publishers to connect to: all endpoints that we do not bind.
func (l *Loaded) Subscribed() (addrs []string) {
	own := slices.Concat(l.RelayInbound, l.Outbound(), l.GatewayAddrs())
	for _, list := range l.Endpoints {
		for _, addr := range list {
			if !slices.Contains(own, addr) && !slices.Contains(addrs, addr) {
				addrs = append(addrs, addr)
			}
		}
	}
	slices.Sort(addrs)
	return addrs
}

// IsLoopback reports whether a listener at host:port or tcp://host:port is reachable
// from this machine alone.
func IsLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(strings.TrimPrefix(addr, "tcp://"))
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
