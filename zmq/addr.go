package zmq

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Addr is a parsed ZeroMQ address.
type Addr struct {
	// Path is the file of a socket on this machine, ipc://PATH; empty for TCP.
	Path string
	// Host is a name, an IP address without brackets, or "*" for all
	// interfaces (for this machine, if it is connected to).
	Host string
	// Port is 0 for any free port, to bind only.
	Port uint16
}

// maxPath is how long the path of a socket may be, in bytes: that is the system's limit.
const maxPath = 107

// ParseAddr reads an address of the form tcp://HOST:PORT or ipc://PATH. HOST is a
// name, an IPv4 address, an IPv6 address in brackets, or "*"; PATH is a file, which
// binding makes. The error wraps [fedmsg.ErrInvalid], with a hint.
func ParseAddr(s string) (Addr, error) {
	a, err := parseAddr(s)
	if err != nil {
		return Addr{}, &fedmsg.HintError{
			Err:  fmt.Errorf("address %q: %w: %w", s, fedmsg.ErrInvalid, err),
			Hint: "write tcp://HOST:PORT, as in tcp://127.0.0.1:4001, tcp://[::1]:4001 or tcp://*:4001; or ipc://FILE",
		}
	}
	return a, nil
}

func parseAddr(s string) (Addr, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return Addr{}, errors.New("tcp:// is missing")
	}
	if scheme == "ipc" {
		if rest == "" || len(rest) > maxPath || strings.ContainsRune(rest, 0) {
			return Addr{}, fmt.Errorf("a path has 1 to %d bytes", maxPath)
		}
		return Addr{Path: rest}, nil
	}
	if scheme != "tcp" {
		return Addr{}, fmt.Errorf("transport %q is not supported, only tcp and ipc are", scheme)
	}
	host, port, err := net.SplitHostPort(rest)
	if e, ok := errors.AsType[*net.AddrError](err); ok {
		return Addr{}, errors.New(e.Err)
	}
	if host == "" {
		return Addr{}, errors.New("missing host")
	}
	if strings.Contains(host, ":") {
		if _, err := netip.ParseAddr(host); err != nil {
			return Addr{}, errors.New("what is in brackets is not an IPv6 address")
		}
	} else if host != "*" && strings.IndexFunc(host, notInHost) >= 0 {
		return Addr{}, errors.New("the host has a forbidden character")
	}
	if port == "" {
		return Addr{}, errors.New("missing port")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return Addr{}, fmt.Errorf("port %q is not a number from 0 to 65535", port)
	}
	return Addr{Host: host, Port: uint16(n)}, nil
}

func notInHost(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '-' || r == '_')
}

// String returns the address as ParseAddr reads it.
func (a Addr) String() string {
	if a.Path != "" {
		return "ipc://" + a.Path
	}
	return "tcp://" + a.hostPort(a.Host)
}

func (a Addr) hostPort(host string) string {
	return net.JoinHostPort(host, strconv.Itoa(int(a.Port)))
}

// target is what to dial. The hub of the original took "*" for 127.0.0.1 too.
func (a Addr) target() (network, addr string) {
	switch {
	case a.Path != "":
		return "unix", a.Path
	case a.Host == "*":
		return "tcp", a.hostPort("127.0.0.1")
	}
	return "tcp", a.hostPort(a.Host)
}

// listen binds the address: a host name on all IPv4 addresses that it has, as
// the original did, or on its IPv6 addresses if it has no other.
func (a Addr) listen(ctx context.Context, lc *net.ListenConfig, mode fs.FileMode) ([]net.Listener, error) {
	if a.Path != "" {
		l, err := a.listenFile(ctx, lc, mode)
		if err != nil {
			return nil, &fedmsg.HintError{
				Err:  fmt.Errorf("bind %s: %w", a, err),
				Hint: "the directory must be there, and may be written to; and no other program may hold the file",
			}
		}
		return []net.Listener{l}, nil
	}
	hosts := []string{a.Host}
	if a.Host == "*" {
		hosts = []string{""}
	} else if _, err := netip.ParseAddr(a.Host); err != nil {
		if hosts, err = resolve(ctx, a.Host); err != nil {
			return nil, &fedmsg.HintError{
				Err:  fmt.Errorf("bind %s: %w", a, err),
				Hint: "write an IP address of this machine, or * for all",
			}
		}
	}
	var all []net.Listener
	for _, host := range hosts {
		l, err := lc.Listen(ctx, "tcp", a.hostPort(host))
		if err != nil {
			closeAll(all)
			return nil, &fedmsg.HintError{
				Err:  fmt.Errorf("bind %s: %w", a, err),
				Hint: "choose an address of this machine and a port that no other program holds, or port 0 to have one picked",
			}
		}
		all = append(all, l)
	}
	return all, nil
}

// listenFile binds the file of a socket. One that a program left behind which was
// killed is taken over: nobody answers there.
func (a Addr) listenFile(ctx context.Context, lc *net.ListenConfig, mode fs.FileMode) (net.Listener, error) {
	if info, err := os.Lstat(a.Path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		nc, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", a.Path)
		if err == nil {
			_ = nc.Close()
		} else if errors.Is(err, syscall.ECONNREFUSED) {
			_ = os.Remove(a.Path) // or else it cannot be bound, and that is said
		}
	}
	l, err := lc.Listen(ctx, "unix", a.Path)
	if err != nil {
		return nil, err
	}
	if mode != 0 {
		if err := os.Chmod(a.Path, mode); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	return l, nil
}

func resolve(ctx context.Context, name string) ([]string, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil, err
	}
	var four, six []string
	for _, addr := range addrs {
		if addr = addr.Unmap(); addr.Is4() {
			four = append(four, addr.String())
		} else {
			six = append(six, addr.String())
		}
	}
	if len(four) > 0 {
		return four, nil
	}
	return six, nil
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close() // nothing is lost in a listener
	}
}

// bound returns the address of a listener for others to connect to: one that is
// bound to all interfaces is given as 0.0.0.0, which libzmq can connect to.
func bound(l net.Listener) string {
	if file, ok := l.Addr().(*net.UnixAddr); ok {
		return Addr{Path: file.Name}.String()
	}
	ap := addrPort(l.Addr())
	if ap.Addr().IsUnspecified() {
		ap = netip.AddrPortFrom(netip.IPv4Unspecified(), ap.Port())
	}
	return Addr{Host: ap.Addr().String(), Port: ap.Port()}.String()
}

// addrPort returns the zero value for what is no TCP address.
func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
