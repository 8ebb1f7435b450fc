package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/fedora-infra/fedmsg-go/client"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// startMoksha starts a bus that is to those who knew moksha what its hub was.
func startMoksha(t *testing.T) (addrs map[string]string) {
	t.Helper()
	dir := t.TempDir()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "hub.toml")
	text := fmt.Sprintf("\"moksha.monitoring.socket\" = \"ipc://%s/mon.sock\"\n\"moksha.livesocket.websocket.port\" = %d\n", dir, free.Addr().(*net.TCPAddr).Port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	addrs, _ = startServe(t, filepath.Join(dir, "bus"), "--config", file)
	return addrs
}

// What monitoring in Python reads with libzmq is a report, in one frame.
func TestPeerReadsMonitoring(t *testing.T) {
	python := fedmsgtest.PythonWithZMQ(t)
	addrs := startMoksha(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-c", `
import json, sys, zmq
s = zmq.Context().socket(zmq.SUB)
s.setsockopt(zmq.SUBSCRIBE, b"")
s.setsockopt(zmq.RCVTIMEO, 30000)
s.connect(sys.argv[1])
frames = s.recv_multipart()
report = json.loads(frames[0].decode("utf-8"))
print(len(frames), " ".join(c["name"] for c in report["consumers"]), "/", " ".join(p["name"] for p in report["producers"]), all(c["initialized"] for c in report["consumers"]))
`, addrs["monitoring"])
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if want := "1 archive zmq.gateway zmq.relay_outbound / zmq http MonitoringProducer True"; err != nil || strings.TrimSpace(string(out)) != want {
		t.Errorf("Python read %q, %v, want %q", out, err, want)
	}
}

// What is published is told at the port of WebSockets, and at the path of the HTTP edge.
func TestWebSocketsOfBus(t *testing.T) {
	addrs := startMoksha(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var sockets []*websocket.Conn
	for _, url := range []string{"ws://" + addrs["websocket"] + "/", "ws://" + addrs["http"] + "/api/v1/ws"} {
		conn, _, err := websocket.Dial(ctx, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		for _, text := range []string{`{"topic": "__topic_subscribe__", "body": "org.fedoraproject.dev.*"}`, `{"topic": "org.fedoraproject.dev.x", "body": {}}`} {
			if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if _, answer, err := conn.Read(ctx); err != nil || !strings.Contains(string(answer), "not_authorized") {
			t.Fatalf("publishing is answered %s, %v", answer, err)
		}
		sockets = append(sockets, conn)
	}
	b, err := client.Open(ctx, "http://"+addrs["http"])
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	receipt, err := b.Publish(ctx, "logger", "log", map[string]string{"log": "hi"})
	if err != nil {
		t.Fatal(err)
	}
	for i, conn := range sockets {
		_, text, err := conn.Read(ctx)
		var said struct {
			Topic string
			Body  struct {
				ID string `json:"msg_id"`
			}
		}
		if err != nil || json.Unmarshal(text, &said) != nil || said.Topic != string(receipt.Topic) || said.Body.ID != receipt.ID {
			t.Errorf("socket %d tells %s, %v, want %s", i, text, err, receipt.ID)
		}
	}
}
