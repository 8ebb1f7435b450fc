package zmq_test

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"
)

// The bytes of ZMTP, spelled here again and by hand.

func greetingOf(minor byte) []byte {
	g := make([]byte, 64)
	copy(g, "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03")
	g[11] = minor
	copy(g[12:], "NULL")
	return g
}

func readyOf(kind string) []byte {
	b := []byte("\x05READY\x0bSocket-Type\x00\x00\x00")
	b = append(append(b, byte(len(kind))), kind...)
	return append([]byte{4, byte(len(b))}, b...)
}

// encode makes a message of frames.
func encode(frames ...[]byte) (b []byte) {
	for i, f := range frames {
		flags := byte(1)
		if i == len(frames)-1 {
			flags = 0
		}
		if len(f) < 256 {
			b = append(b, flags, byte(len(f)))
		} else {
			b = binary.BigEndian.AppendUint64(append(b, flags|2), uint64(len(f)))
		}
		b = append(b, f...)
	}
	return b
}

// rawPeer connects to a socket and greets as a socket of some kind.
func rawPeer(t testing.TB, addr, kind string, theirs string) net.Conn {
	t.Helper()
	nc := dial(t, addr)
	if _, err := nc.Write(append(greetingOf(1), readyOf(kind)...)); err != nil {
		t.Fatal(err)
	}
	if err := nc.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(nc, make([]byte, 64+len(readyOf(theirs)))); err != nil {
		t.Fatal(err)
	}
	if err := nc.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
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
