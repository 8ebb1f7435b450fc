package zmq_test

import (
	"context"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// A file has the mode that was asked for, is taken over from a program that was killed,
// not from one that lives, and is gone in the end.
func TestIPC(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mon.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: file, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := zmq.PubConfig{Bind: []string{"ipc://" + file}, Tuning: zmq.Tuning{FileMode: 0o660}}
	pub, err := zmq.NewPub(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- pub.Run(ctx) }()
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the file is %v, %v; want mode 0660", info, err)
	}
	if _, err := zmq.NewPub(cfg, nil); err == nil || fedmsg.Hint(err) == "" || !strings.Contains(err.Error(), file) {
		t.Errorf("a second NewPub = %v, want an error with a hint", err)
	}
	if err := zmq.Probe(ctx, pub.Addrs()[0]); err != nil {
		t.Errorf("Probe(%s) = %v", pub.Addrs()[0], err)
	}

	sub, err := zmq.NewSub(zmq.SubConfig{Connect: []string{"ipc://" + file}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	came := make(chan []string, 1)
	running(t, func(ctx context.Context) error {
		return sub.Run(ctx, func(_ netip.AddrPort, frames [][]byte) {
			var texts []string
			for _, f := range frames {
				texts = append(texts, string(f))
			}
			select {
			case came <- texts:
			default:
			}
		})
	})
	waitSubscribed(t, pub)
	pub.SendFrame([]byte(`{"consumers": []}`))
	select {
	case got := <-came:
		if len(got) != 1 || got[0] != `{"consumers": []}` {
			t.Errorf("came %q, want one frame", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(file); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
}

// Who publishes through a file is on this machine, for whoever judges that.
func TestSourceIPC(t *testing.T) {
	b := new(bus)
	cfg := zmq.SourceConfig{Bind: []string{"ipc://" + filepath.Join(t.TempDir(), "in.sock")}}
	s, err := zmq.NewSource(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	running(t, func(ctx context.Context) error { return s.Run(ctx, b) })
	m := fedmsgtest.Message(1)
	connected(t, s.Addrs()[0]).Send(string(m.Topic), m.Bytes())
	fedmsgtest.Eventually(t, 10*time.Second, "the message comes", func() bool { return b.has(m.ID) })
	if from := b.origins[0]; !from.Addr.IsLoopback() || from.Edge != zmq.FileEdge {
		t.Errorf("it comes from %+v, want this machine, through a file", from)
	}
}

// What is no socket is left alone.
func TestIPCKeepsFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "notes")
	if err := os.WriteFile(file, []byte("mine"), fs.ModePerm); err != nil {
		t.Fatal(err)
	}
	if _, err := zmq.NewPub(zmq.PubConfig{Bind: []string{"ipc://" + file}}, nil); err == nil {
		t.Error("NewPub on a file succeeded")
	}
	if text, err := os.ReadFile(file); string(text) != "mine" {
		t.Errorf("the file holds %q, %v", text, err)
	}
}

// libzmq reads what is sent over a file.
func TestPeerReadsIPC(t *testing.T) {
	py := fedmsgtest.PythonWithZMQ(t)
	file := filepath.Join(t.TempDir(), "mon.sock")
	pub := publisher(t, zmq.PubConfig{Bind: []string{"ipc://" + file}}, nil)
	p := startPeer(t, py, "-c", `
import sys, zmq
s = zmq.Context().socket(zmq.SUB)
s.setsockopt(zmq.SUBSCRIBE, b"")
s.setsockopt(zmq.RCVTIMEO, 20000)
s.connect(sys.argv[1])
print(len(s.recv_multipart()), flush=True)
`, "ipc://"+file)
	waitSubscribed(t, pub)
	pub.SendFrame([]byte("{}"))
	if got := p.line(); got != "1" {
		t.Errorf("libzmq got %s frames, want 1", got)
	}
	p.wait()
}

// A probe says why nothing answers.
func TestProbe(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	pub := publisher(t, zmq.PubConfig{}, nil)
	for addr, want := range map[string]string{
		pub.Addrs()[0]:                    "",
		"tcp://" + silent.Addr().String(): string(fedmsg.HandshakeTimeout),
		"tcp://127.0.0.1:1":               "refused",
		"tcp://127.0.0.1":                 "missing port",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		err := zmq.Probe(ctx, addr)
		cancel()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("Probe(%s) = %v, want %q", addr, err, want)
		}
	}
}
