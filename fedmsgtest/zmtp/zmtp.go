// Package zmtp spells the bytes of ZMTP 3 (ZeroMQ RFC 23) by hand, so that a test of a
// socket does not lean on what it tests.
package zmtp

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"
)

// Greeting is the greeting of ZMTP 3.minor with the mechanism NULL.
func Greeting(minor byte) []byte {
	g := make([]byte, 64)
	copy(g, "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03")
	g[11] = minor
	copy(g[12:], "NULL")
	return g
}

// Ready is the command READY of a socket of some kind.
func Ready(kind string) []byte {
	b := []byte("\x05READY\x0bSocket-Type\x00\x00\x00")
	b = append(append(b, byte(len(kind))), kind...)
	return append([]byte{4, byte(len(b))}, b...)
}

// Frames is one message as it goes over a connection.
func Frames(frames ...[]byte) (b []byte) {
	for i, f := range frames {
		flags := byte(1) // more follow
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

// Greet says the greeting and READY of a socket of some kind on a new connection, and
// reads those of a socket of the kind theirs, for at most 10 s.
func Greet(t testing.TB, nc net.Conn, minor byte, kind, theirs string) {
	t.Helper()
	if _, err := nc.Write(append(Greeting(minor), Ready(kind)...)); err != nil {
		t.Fatal(err)
	}
	if err := nc.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(nc, make([]byte, len(Greeting(minor))+len(Ready(theirs)))); err != nil {
		t.Fatalf("their handshake: %v", err)
	}
	if err := nc.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
}
