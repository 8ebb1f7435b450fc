package zmq_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

func TestParseAddr(t *testing.T) {
	tests := []struct {
		in   string
		want zmq.Addr
		err  string // part of it; "" is a success
	}{
		{"tcp://127.0.0.1:4001", zmq.Addr{Host: "127.0.0.1", Port: 4001}, ""},
		{"tcp://*:2003", zmq.Addr{Host: "*", Port: 2003}, ""},
		{"tcp://localhost:0", zmq.Addr{Host: "localhost"}, ""},
		{"tcp://[::1]:9940", zmq.Addr{Host: "::1", Port: 9940}, ""},
		{"tcp://busgateway01.fedoraproject.org:3999", zmq.Addr{Host: "busgateway01.fedoraproject.org", Port: 3999}, ""},
		{"tcp://127.0.0.1", zmq.Addr{}, "missing port"},
		{"tcp://127.0.0.1:", zmq.Addr{}, "missing port"},
		{"tcp://:4001", zmq.Addr{}, "missing host"},
		{"tcp://::1:4001", zmq.Addr{}, "too many colons"},
		{"tcp://[1::2::3]:4001", zmq.Addr{}, "not an IPv6 address"},
		{"tcp://a b:1", zmq.Addr{}, "forbidden character"},
		{"tcp://a\n:1", zmq.Addr{}, "forbidden character"},
		{"tcp://host:port", zmq.Addr{}, "not a number"},
		{"tcp://host:65536", zmq.Addr{}, "not a number"},
		{"tcp://host:4001/", zmq.Addr{}, "not a number"},
		{"ipc:///var/run/fedmsg.socket", zmq.Addr{Path: "/var/run/fedmsg.socket"}, ""},
		{"ipc://run/mon.sock", zmq.Addr{Path: "run/mon.sock"}, ""},
		{"ipc://", zmq.Addr{}, "1 to 107 bytes"},
		{"ipc:///" + strings.Repeat("x", 107), zmq.Addr{}, "1 to 107 bytes"},
		{"ipc://a\x00b", zmq.Addr{}, "1 to 107 bytes"},
		{"inproc://x", zmq.Addr{}, "only tcp and ipc are"},
		{"127.0.0.1:4001", zmq.Addr{}, "tcp:// is missing"},
		{"", zmq.Addr{}, "tcp:// is missing"},
	}
	for _, tt := range tests {
		got, err := zmq.ParseAddr(tt.in)
		switch {
		case tt.err == "" && (err != nil || got != tt.want || got.String() != tt.in):
			t.Errorf("ParseAddr(%q) = %+v, %v, want %+v", tt.in, got, err, tt.want)
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err) || !errors.Is(err, fedmsg.ErrInvalid) || fedmsg.Hint(err) == ""):
			t.Errorf("ParseAddr(%q) = %+v, %v, want an invalid address with a hint, %s", tt.in, got, err, tt.err)
		}
	}
}

// What is wrong with a configuration is said at once, all of it.
func TestConfigErrors(t *testing.T) {
	_, err := zmq.NewPub(zmq.PubConfig{
		Bind: []string{"tcp://x"}, Connect: []string{"inproc://y", "tcp://z:0"}, Queue: -1, QueueBytes: -1,
		Tuning: zmq.Tuning{MaxConnections: -1, Handshake: -1, ReconnectMin: 5, ReconnectMax: 4},
	}, nil)
	for _, want := range []string{
		"bind: address", "missing port", "only tcp and ipc are", "port 0", "queue:", "queue-bytes:",
		"max-connections:", "handshake:", "reconnect-max:",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewPub = %v, want also %q", err, want)
		}
	}
	_, err = zmq.NewSource(zmq.SourceConfig{Prefixes: []string{strings.Repeat("x", 600)}}, nil)
	for _, want := range []string{"zmq relay_inbound:", "at least one address", "prefixes:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewSource = %v, want also %q", err, want)
		}
	}
}

// An address that is taken, or not of this machine, fails at once, and gives
// back what was bound before it.
func TestBindFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	base := fedmsgtest.InUse(t)
	for _, addr := range []string{"tcp://" + taken.Addr().String(), "tcp://192.0.2.1:0", "tcp://no-such-host.invalid:0"} {
		_, err := zmq.NewPub(zmq.PubConfig{Bind: []string{"tcp://127.0.0.1:0", addr}}, nil)
		if err == nil || fedmsg.Hint(err) == "" || !strings.Contains(err.Error(), addr) {
			t.Errorf("NewPub at %s = %v, want an error with a hint", addr, err)
		}
	}
	fedmsgtest.Returns(t, 5*time.Second, base)
}

func TestBindAddrs(t *testing.T) {
	p := publisher(t, zmq.PubConfig{Bind: []string{"tcp://localhost:0", "tcp://*:0", "tcp://127.0.0.1:0"}}, nil)
	addrs := p.Addrs()
	if len(addrs) < 3 {
		t.Fatalf("Addrs() = %q, want three or more", addrs)
	}
	for _, addr := range addrs {
		if a, err := zmq.ParseAddr(addr); err != nil || a.Port == 0 {
			t.Errorf("Addrs() has %q: %+v, %v", addr, a, err)
		}
		rawSubscriber(t, addr)
	}
	if !strings.HasPrefix(addrs[len(addrs)-2], "tcp://0.0.0.0:") {
		t.Errorf("%q is not what others can connect to", addrs[len(addrs)-2])
	}
}
