package fedmsgtest_test

import (
	"context"
	"encoding/hex"
	"log/slog"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/zmtp"
)

func TestValue(t *testing.T) {
	c := fedmsg.NewCounters("messages_rejected_total", "edge", "reason")
	c.Add(1, "zmq", "bad_json")
	c.Add(2, "http", "bad_json")
	c.Add(4, "http", "stale")
	for _, tt := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"messages_rejected_total", nil, 7},
		{"messages_rejected_total", []string{"reason", "bad_json"}, 3},
		{"messages_rejected_total", []string{"reason", "stale", "edge", "zmq"}, 0},
		{"messages_rejected_total", []string{"edge", "http", "reason", "stale"}, 4},
		{"another", nil, 0},
	} {
		if got := fedmsgtest.Value(c, tt.name, tt.labels...); got != tt.want {
			t.Errorf("Value(%s, %q) = %v, want %v", tt.name, tt.labels, got, tt.want)
		}
	}
}

func TestStartStops(t *testing.T) {
	ended := 0
	stop := fedmsgtest.Start(t, "a wait", func(ctx context.Context) error {
		<-ctx.Done()
		ended++
		return nil
	})
	stop()
	stop()
	if ended != 1 {
		t.Errorf("it ended %d times, want once, before stop returns", ended)
	}
}

func TestLogBook(t *testing.T) {
	var book fedmsgtest.LogBook
	logger := book.Logger(slog.LevelInfo)
	logger.Debug("low")
	logger.Info("high\x1b[2J")
	if fedmsgtest.NoControls(t, book.String()); book.String() == "" || len(book.String()) > 200 {
		t.Errorf("the book has %q, want one record", book.String())
	}
}

// The frames of RFC 23, byte for byte.
func TestFrames(t *testing.T) {
	for _, tt := range []struct {
		frames [][]byte
		want   string // hexadecimal, the first 11 bytes at most
	}{
		{[][]byte{[]byte("a"), nil}, "0101610000"},
		{[][]byte{make([]byte, 255)}, "00ff000000000000000000"},
		{[][]byte{make([]byte, 256)}, "0200000000000001000000"},
		{[][]byte{make([]byte, 256), nil}, "0300000000000001000000"},
	} {
		got := zmtp.Frames(tt.frames...)
		if text := hex.EncodeToString(got[:min(11, len(got))]); text != tt.want {
			t.Errorf("Frames of %d frames, the first of %d bytes = %s, want %s", len(tt.frames), len(tt.frames[0]), text, tt.want)
		}
	}
}
