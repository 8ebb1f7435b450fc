package limit_test

import (
	"errors"
	nethttp "net/http"
	"net/netip"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/limit"
)

func TestRates(t *testing.T) {
	r := limit.NewRates(1, 2)
	for i, want := range []bool{true, true, false} {
		if wait := r.Take("a"); (wait == 0) != want || wait > time.Second {
			t.Errorf("Take %d of a burst of 2 at 1 a second = wait %s", i+1, wait)
		}
	}
	if wait := r.Take("b"); wait != 0 {
		t.Errorf("Take of another key = wait %s, want none", wait)
	}
	unlimited := limit.NewRates(-1, 0)
	for range 1000 {
		if wait := unlimited.Take("a"); wait != 0 {
			t.Fatalf("Take without a limit = wait %s", wait)
		}
	}
	if got := limit.Seconds(1200 * time.Millisecond); got != "2" {
		t.Errorf("Seconds(1.2s) = %s, want 2", got)
	}
}

func TestPlaces(t *testing.T) {
	p := limit.NewPlaces(3, 2, "streams")
	a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2") // one network
	other := netip.MustParseAddr("192.0.2.1")
	leave, err := p.Take(a)
	if _, err2 := p.Take(b); err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	if _, err := p.Take(a); fedmsg.ReasonOf(err) != fedmsg.TooManyConnections {
		t.Errorf("the third of one network: %v, want a refusal", err)
	}
	if _, err := p.Take(other); err != nil {
		t.Errorf("the first of another network: %v", err)
	}
	if _, err := p.Take(netip.MustParseAddr("192.0.2.2")); !errors.Is(err, fedmsg.ErrUnavailable) {
		t.Errorf("the fourth of all: %v, want a refusal", err)
	}
	leave()
	if got := p.Taken(); got != 2 {
		t.Errorf("Taken = %d, want 2", got)
	}
}

func TestPeer(t *testing.T) {
	for addr, want := range map[string]string{"[::ffff:192.0.2.1]:80": "192.0.2.1", "[fe80::1%eth0]:80": "fe80::1", "nonsense": "invalid IP"} {
		if got := limit.Peer(&nethttp.Request{RemoteAddr: addr}).String(); got != want {
			t.Errorf("Peer(%s) = %s, want %s", addr, got, want)
		}
	}
}
