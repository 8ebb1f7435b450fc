package zmq

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// signature is what both sides send first. fedmsg's network map looks for
// exactly these ten bytes on a port, and sends none itself.
var signature = []byte{0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F}

const (
	greetingSize = 64
	// maxCommand bounds READY with all its properties, and every other command
	// that we answer.
	maxCommand = 4 << 10
	// maxPingContext is what ZMTP 3.1 allows a PING to carry.
	maxPingContext = 16
)

// compatible lists who may talk to whom.
var compatible = map[string][]string{
	"PUB": {"SUB", "XSUB"},
	"SUB": {"PUB", "XPUB"},
}

// greeting returns all 64 bytes of ours: version 3.1, NULL, no server.
func greeting() []byte {
	g := make([]byte, greetingSize)
	copy(g, signature)
	copy(g[10:], "\x03\x01NULL")
	return g
}

// ready returns the READY command of a socket.
func ready(kind string) []byte {
	data := append([]byte{byte(len("Socket-Type"))}, "Socket-Type"...)
	data = binary.BigEndian.AppendUint32(data, uint32(len(kind)))
	return appendCommand(nil, "READY", append(data, kind...)...)
}

// conn is a connection to a peer.
type conn struct {
	net.Conn
	in   *reader
	peer netip.AddrPort // 127.0.0.1:0 for who comes through a file
	// minor is the peer's minor version: 0 for ZMTP 3.0.
	minor byte
}

func newConn(nc net.Conn) *conn {
	c := &conn{Conn: nc, in: newReader(nc, maxCommand), peer: addrPort(nc.RemoteAddr())}
	if c.isFile() {
		c.peer = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0) // it is on this machine
	}
	return c
}

// isFile reports whether the peer came through a file.
func (c *conn) isFile() bool {
	_, is := c.RemoteAddr().(*net.UnixAddr)
	return is
}

// handshake greets as a socket of this kind. Ten bytes go out before anything
// is read; the rest follows when the peer has shown that it speaks ZMTP.
func (c *conn) handshake(kind string, limit time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	err := c.greet()
	if err == nil {
		err = c.meet(kind)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fedmsg.Refuse(fedmsg.HandshakeTimeout, "no whole handshake within %s", limit)
	}
	if err != nil {
		return err
	}
	return c.SetDeadline(time.Time{})
}

func (c *conn) greet() error {
	if _, err := c.Write(signature); err != nil {
		return err
	}
	// Byte by byte where it matters: a stranger is known by its first byte.
	if err := c.in.fill(1); err != nil {
		return err
	}
	if c.in.buf[c.in.r] != signature[0] {
		return fedmsg.Refuse(ProtocolError, "the peer does not speak ZMTP 2 or later")
	}
	head, err := c.in.take(len(signature))
	if err != nil {
		return err
	}
	if head[9]&1 == 0 {
		return fedmsg.Refuse(ProtocolError, "the peer does not speak ZMTP 2 or later")
	}
	if _, err := c.Write(greeting()[len(signature):]); err != nil {
		return err
	}
	if err := c.in.fill(1); err != nil {
		return err
	}
	if major := c.in.buf[c.in.r]; major < 3 {
		return fedmsg.Refuse(ProtocolError, "the peer speaks an older ZMTP than 3.0 (revision %d)", major)
	}
	rest, err := c.in.take(greetingSize - len(signature))
	if err != nil {
		return err
	}
	c.minor = rest[1]
	if rest[0] > 3 {
		c.minor = 1 // it has to speak what we announced
	}
	if mechanism := string(bytes.TrimRight(rest[2:22], "\x00")); mechanism != "NULL" {
		return fedmsg.Refuse(ProtocolError, "the peer wants the mechanism %q, there is only NULL", mechanism)
	}
	return nil
}

// meet exchanges READY.
func (c *conn) meet(kind string) error {
	if _, err := c.Write(ready(kind)); err != nil {
		return err
	}
	flags, body, err := c.in.frame(0)
	if err != nil {
		return err
	}
	command, err := c.in.take(body.to)
	if err != nil {
		return err
	}
	if flags&flagCommand == 0 {
		return fedmsg.Refuse(ProtocolError, "a message came before READY")
	}
	name, data, err := splitCommand(command[body.from:])
	if err != nil {
		return err
	}
	switch name {
	case "READY":
	case "ERROR":
		return fedmsg.Refuse(ProtocolError, "the peer says ERROR %.80q", data)
	default:
		return fedmsg.Refuse(ProtocolError, "the command %.20q came before READY", name)
	}
	other, err := socketType(data)
	if err != nil {
		return err
	}
	if !slices.Contains(compatible[kind], other) {
		return fedmsg.Refuse(ProtocolError, "a socket of type %.20q cannot talk to a %s", other, kind)
	}
	return nil
}

// socketType finds the property of that name in the properties of a READY.
func socketType(data []byte) (string, error) {
	kind := ""
	for len(data) > 0 {
		n := 1 + int(data[0])
		if len(data) < n+4 {
			return "", fedmsg.Refuse(ProtocolError, "the properties of READY are cut off")
		}
		name, size := string(data[1:n]), binary.BigEndian.Uint32(data[n:])
		data = data[n+4:]
		if uint64(size) > uint64(len(data)) {
			return "", fedmsg.Refuse(ProtocolError, "the properties of READY are cut off")
		}
		if strings.EqualFold(name, "Socket-Type") {
			kind = string(data[:size])
		}
		data = data[size:]
	}
	return kind, nil
}

// pong answers the data of a PING: two bytes of time to live, which only says
// when the peer will give up, and a context that goes back.
func pong(data []byte) ([]byte, error) {
	if len(data) < 2 || len(data)-2 > maxPingContext {
		return nil, fedmsg.Refuse(ProtocolError, "a PING of %d bytes", len(data))
	}
	return appendCommand(nil, "PONG", data[2:]...), nil
}

// subscription returns what subscribes to a prefix, in the form for the peer's
// version.
func (c *conn) subscription(prefix string) []byte {
	if c.minor == 0 {
		b := appendHead(nil, 0, 1+len(prefix))
		return append(append(b, 1), prefix...)
	}
	return appendCommand(nil, "SUBSCRIBE", []byte(prefix)...)
}

func (c *conn) String() string { return fmt.Sprintf("tcp://%s", c.peer) }
