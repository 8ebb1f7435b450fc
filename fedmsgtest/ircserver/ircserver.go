// Package ircserver is real servers of IRC for tests: Debian's ngIRCd, InspIRCd and Atheme,
// each in a directory of its own, on free ports of 127.0.0.1, gone with the test; and a
// person who watches.
package ircserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// patience is how long a server may take to start.
const patience = 30 * time.Second

// A Server is a real server that runs until the test ends.
type Server struct {
	Port, TLSPort int    // of 127.0.0.1
	CA            string // file with the certificate that it shows, for 127.0.0.1 and localhost

	dir      string
	link     int // port for services
	services func()
}

// Addr is HOST:PORT without TLS.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// TLSAddr is HOST:PORT with TLS.
func (s *Server) TLSAddr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.TLSPort)) }

func newServer(t testing.TB) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "ircserver-") // not below a folder of the test, which others may not enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &Server{dir: dir, CA: filepath.Join(dir, "cert.pem"), Port: freePort(t), TLSPort: freePort(t), link: freePort(t)}
	if err := errors.Join(os.Chmod(dir, 0o755), s.certify()); err != nil {
		t.Fatal(err)
	}
	return s
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// certify makes a key and a certificate that signs itself.
func (s *Server) certify() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(s.CA, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644),
		os.WriteFile(filepath.Join(s.dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o644))
}

// write writes a configuration, in which $NAME stands for what is known of the server.
func (s *Server) write(t testing.TB, name, text string) string {
	t.Helper()
	file := filepath.Join(s.dir, name)
	text = os.Expand(text, func(name string) string {
		switch name {
		case "DIR":
			return s.dir
		case "PORT":
			return strconv.Itoa(s.Port)
		case "TLSPORT":
			return strconv.Itoa(s.TLSPort)
		case "LINK":
			return strconv.Itoa(s.link)
		}
		t.Fatalf("%s: $%s", file, name)
		return ""
	})
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// start runs a program until stop is called, or the test has ended in whatever way:
// the shell stops it when its input ends.
func (s *Server) start(t testing.TB, as *syscall.Credential, program string, args ...string) (stop func()) {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-c", `"$@" </dev/null & pid=$!; read _; kill -KILL $pid; wait $pid`, "sh", program}, args...)...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	book := new(fedmsgtest.LogBook)
	cmd.Stdout, cmd.Stderr = book, book
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		in.Close()
		_ = cmd.Wait() // killed
		if t.Failed() {
			t.Logf("%s said: %.3000s", program, book)
		}
	}
	t.Cleanup(stop)
	return stop
}

// answers waits until a port takes connections.
func answers(t testing.TB, address string) {
	t.Helper()
	fedmsgtest.Eventually(t, patience, address+" takes connections", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// NgIRCd starts ngIRCd. Without it the test ends as [fedmsgtest.MissingPeer] says.
func NgIRCd(t testing.TB) *Server {
	t.Helper()
	program := fedmsgtest.Peer(t, "ngircd", "ngircd")
	s := newServer(t)
	file := s.write(t, "ngircd.conf", `[Global]
Name = irc.example.org
Info = a test
Listen = 127.0.0.1
Ports = $PORT
[Limits]
MaxConnectionsIP = 0
MaxNickLength = 30
[Options]
DNS = no
Ident = no
PAM = no
[SSL]
CertFile = $DIR/cert.pem
KeyFile = $DIR/key.pem
Ports = $TLSPORT
`)
	s.start(t, nil, program, "--nodaemon", "--config", file)
	answers(t, s.Addr())
	answers(t, s.TLSAddr())
	return s
}

// InspIRCd starts InspIRCd, with fake lag and the modes +c and +f, and [Server.Services]
// starts Atheme behind it.
func InspIRCd(t testing.TB) *Server {
	t.Helper()
	program := fedmsgtest.Peer(t, "inspircd", "inspircd")
	s := newServer(t)
	file := s.write(t, "inspircd.conf", `<server name="irc.example.org" description="a test" network="Test">
<admin name="a" email="a@example.org" nick="a">
<path datadir="$DIR" logdir="$DIR" runtimedir="$DIR">
<pid file="$DIR/inspircd.pid">
<bind address="127.0.0.1" port="$PORT" type="clients">
<bind address="127.0.0.1" port="$TLSPORT" type="clients" sslprofile="tls">
<bind address="127.0.0.1" port="$LINK" type="servers">
<sslprofile name="tls" provider="gnutls" certfile="$DIR/cert.pem" keyfile="$DIR/key.pem">
<connect allow="*" timeout="20" pingfreq="120" threshold="10" commandrate="1000" fakelag="yes" localmax="50" globalmax="50" resolvehostnames="no" useident="no">
<options defaultmodes="on">
<dns timeout="1">
<module name="ssl_gnutls">
<module name="spanningtree">
<module name="cap">
<module name="sasl">
<module name="ircv3">
<module name="ircv3_capnotify">
<module name="ircv3_chghost">
<module name="services_account">
<module name="botmode">
<module name="blockcolor">
<module name="messageflood">
<sasl target="services.example.org" requiressl="no">
<uline server="services.example.org" silent="yes">
<link name="services.example.org" ipaddr="127.0.0.1" port="$LINK" allowmask="127.0.0.1" sendpass="sesame" recvpass="sesame">
<log method="file" type="* -USERINPUT -USEROUTPUT" level="default" target="$DIR/inspircd.log">
`)
	args := []string{"--nofork", "--nopid", "--config=" + file}
	if os.Getuid() == 0 {
		args = append(args, "--runasroot")
	}
	s.start(t, nil, program, args...)
	answers(t, s.Addr())
	answers(t, s.TLSAddr())
	return s
}

// Services starts Atheme, or starts it again after [Server.StopServices].
func (s *Server) Services(t testing.TB) {
	t.Helper()
	program := fedmsgtest.Peer(t, "atheme-services", "atheme-services")
	var as *syscall.Credential
	if os.Getuid() == 0 { // which it refuses
		u, err := user.Lookup("nobody")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(u.Uid) // numbers, on every system that has Atheme
		gid, _ := strconv.Atoi(u.Gid)
		as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	data := filepath.Join(s.dir, "services")
	if err := os.MkdirAll(data, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(data, 0o777); err != nil {
		t.Fatal(err)
	}
	var modules strings.Builder
	for m := range strings.FieldsSeq("protocol/inspircd backend/opensex crypto/posix nickserv/main nickserv/register nickserv/identify nickserv/ghost nickserv/set_core saslserv/main saslserv/plain operserv/main") {
		fmt.Fprintf(&modules, "loadmodule \"modules/%s\";\n", m)
	}
	file := s.write(t, "atheme.conf", modules.String()+`serverinfo {
	name = "services.example.org";
	desc = "services";
	numeric = "00A";
	recontime = 1;
	netname = "Test";
	adminname = "a";
	adminemail = "a@example.org";
	registeremail = "a@example.org";
	mta = "/bin/true";
	loglevel = { error; info; network; };
	maxlogins = 9;
	maxusers = 9;
	mdlimit = 30;
	emaillimit = 10;
	emailtime = 300;
	auth = none;
	casemapping = rfc1459;
};
uplink "irc.example.org" {
	host = "127.0.0.1";
	password = "sesame";
	port = $LINK;
};
nickserv {
	nick = "NickServ";
	user = "NickServ";
	host = "services.example.org";
	real = "names";
};
saslserv {
	nick = "SaslServ";
	user = "SaslServ";
	host = "services.example.org";
	real = "logins";
};
operserv {
	nick = "OperServ";
	user = "OperServ";
	host = "services.example.org";
	real = "operators";
};
database {
};
general {
	commit_interval = 1;
};
`)
	s.services = s.start(t, as, program, "-n", "-c", file, "-D", data, "-l", filepath.Join(data, "log"), "-p", filepath.Join(data, "pid"))
}

// StopServices stops Atheme, as a crash would.
func (s *Server) StopServices() { s.services() }
