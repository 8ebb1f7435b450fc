package zmq_test

import (
	"net"
	"testing"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest/zmtp"
)

// rawPeer connects to a socket and greets as a socket of some kind.
func rawPeer(t testing.TB, addr, kind string, theirs string) net.Conn {
	t.Helper()
	nc := dial(t, addr)
	zmtp.Greet(t, nc, 1, kind, theirs)
	return nc
}

// rawPublisher is a PUB that is connected to a SUB.
func rawPublisher(t testing.TB, addr string) net.Conn { return rawPeer(t, addr, "PUB", "SUB") }

// rawSubscriber is a SUB that is connected to a PUB and has subscribed to all.
func rawSubscriber(t testing.TB, addr string) net.Conn {
	t.Helper()
	nc := rawPeer(t, addr, "SUB", "PUB")
	if _, err := nc.Write([]byte("\x00\x01\x01")); err != nil {
		t.Fatal(err)
	}
	return nc
}
