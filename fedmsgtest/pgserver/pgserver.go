// Package pgserver is a PostgreSQL server for tests: Debian's, in a directory of its
// own, on a free port of 127.0.0.1, gone with the test.
package pgserver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// patience is how long the server may take to start or to stop.
const patience = 60 * time.Second

// Password is that of the user postgres, who is the only one.
const Password = "Sesame-open-1"

// Server is a running server, or one that was stopped.
type Server struct {
	Port int

	programs, dir string
	as            *syscall.Credential
	cmd           *exec.Cmd
	in            io.Closer
	said          fedmsgtest.LogBook
}

// Start starts a server that ends with the test. Without one installed the test ends
// as [fedmsgtest.MissingPeer] says.
func Start(t testing.TB) *Server {
	t.Helper()
	s := Open(t)
	t.Cleanup(func() {
		s.Close()
		if t.Failed() {
			t.Logf("PostgreSQL said: %.6000s", s.said.String())
		}
	})
	return s
}

// Open is Start for a server that several tests use; who opens it must close it.
func Open(t testing.TB) *Server {
	t.Helper()
	s := newServer(t)
	pw := filepath.Join(s.dir, "password")
	if err := errors.Join(os.WriteFile(pw, []byte(Password), 0o644), os.Mkdir(s.data(), 0o700)); err != nil {
		t.Fatal(err)
	}
	if s.as != nil {
		if err := os.Chown(s.data(), int(s.as.Uid), int(s.as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	s.run(t, "initdb", "-D", s.data(), "-U", "postgres", "--pwfile="+pw, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	s.Start(t)
	return s
}

// Standby starts a server that follows s and cannot be written to. It ends with the
// test.
func (s *Server) Standby(t testing.TB) *Server {
	t.Helper()
	b := newServer(t)
	t.Cleanup(b.Close)
	if b.as != nil { // pg_basebackup makes the directory
		if err := os.Chown(b.dir, int(b.as.Uid), int(b.as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	b.run(t, "pg_basebackup", "-D", b.data(), "-R", "--no-sync", "-c", "fast", "-d", s.DSN("postgres"))
	b.Start(t)
	return b
}

func newServer(t testing.TB) *Server {
	t.Helper()
	installed, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(installed) == 0 {
		program, err := exec.LookPath("initdb")
		if err != nil {
			fedmsgtest.MissingPeer(t, "PostgreSQL", "postgresql")
		}
		installed = []string{program}
	}
	dir, err := os.MkdirTemp("", "pgserver-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &Server{programs: filepath.Dir(slices.Max(installed)), dir: dir}
	if os.Getuid() == 0 { // which it refuses
		for _, name := range []string{"postgres", "nobody"} {
			if u, err := user.Lookup(name); err == nil {
				uid, _ := strconv.Atoi(u.Uid) // numbers, on every system that has initdb
				gid, _ := strconv.Atoi(u.Gid)
				s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
				break
			}
		}
	}
	return s
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PGPASSWORD=" + Password, "LC_ALL=C", "HOME=" + s.dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	return cmd
}

func (s *Server) run(t testing.TB, program string, args ...string) string {
	t.Helper()
	out, err := s.command(filepath.Join(s.programs, program), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	return string(out)
}

// Start starts the server again, on its port, and waits until it answers. Settings
// are NAME=VALUE.
func (s *Server) Start(t testing.TB, settings ...string) {
	t.Helper()
	if s.Port == 0 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.Port = l.Addr().(*net.TCPAddr).Port
		l.Close()
	}
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.Port), "-h", "127.0.0.1", "-k", ""}
	for _, setting := range append([]string{"fsync=off", "max_connections=60", "shared_buffers=64MB", "log_min_messages=warning"}, settings...) {
		args = append(args, "-c", setting)
	}
	// The shell stops it when its input ends, which it does in every case.
	s.cmd = s.command("sh", append([]string{"-c", `"$@" </dev/null & pid=$!; read _; kill -INT $pid; wait $pid`, "sh", filepath.Join(s.programs, "postgres")}, args...)...)
	s.cmd.Stdout, s.cmd.Stderr = &s.said, &s.said
	in, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.in = in
	for deadline := time.Now().Add(patience); ; {
		if s.command(filepath.Join(s.programs, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(s.Port)).Run() == nil {
			return
		}
		if time.Now().After(deadline) {
			s.Stop()
			t.Fatalf("PostgreSQL did not start: %s", s.said.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Stop stops the server; connections to it break. It can be started again.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	s.in.Close()
	_ = s.cmd.Wait() // with whatever status
	s.cmd = nil
}

// Close stops the server for good.
func (s *Server) Close() {
	s.Stop()
	_ = os.RemoveAll(s.dir)
}

// DSN returns the address of a database, with user and password.
func (s *Server) DSN(database string) string {
	return fmt.Sprintf("postgres://postgres:%s@127.0.0.1:%d/%s", Password, s.Port, database)
}

// Query runs statements, and returns what they print: a line a row.
func (s *Server) Query(t testing.TB, database, text string) string {
	t.Helper()
	return strings.TrimSpace(s.run(t, "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", s.DSN(database), "-c", text))
}

// Hold runs statements in a transaction that stays open until release is called, or
// the test ends.
func (s *Server) Hold(t testing.TB, database, text string) (release func()) {
	t.Helper()
	cmd := s.command(filepath.Join(s.programs, "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", s.DSN(database))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() {
		in.Close() // which ends it, and the transaction
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait() // with whatever status
	})
	t.Cleanup(release)
	if _, err := io.WriteString(in, "BEGIN; "+text+";\n\\echo held\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("psql: %q, %v", line, err)
	}
	return release
}

// Log returns what the server said so far.
func (s *Server) Log() string { return s.said.String() }
