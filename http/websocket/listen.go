package websocket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	nethttp "net/http"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

const (
	// headerTimeout is how long a client may take to say what it wants, and maxHeader
	// how much it may say, in bytes.
	headerTimeout = 10 * time.Second
	maxHeader     = 64 << 10
	// closeTime is how long readers may take to hear that the server stops.
	closeTime = 6 * time.Second
)

// Listener serves a feed at a port of its own, under every path, as moksha did.
type Listener struct {
	feed *Feed
	ln   net.Listener
}

// Listen binds an address, HOST:PORT. [Listener.Run] must be called to serve and, in the
// end, to close it.
func Listen(addr string, f *Feed) (*Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, &fedmsg.HintError{Err: fmt.Errorf("websocket: %w", err), Hint: "give another port with websocket_port in [web]"}
	}
	return &Listener{f, ln}, nil
}

// Addr is where the feed is served, as HOST:PORT.
func (l *Listener) Addr() string { return l.ln.Addr().String() }

// Run serves until ctx ends, tells the readers, and returns nil.
func (l *Listener) Run(ctx context.Context) error {
	srv := &nethttp.Server{
		Handler: l.feed, ReadHeaderTimeout: headerTimeout, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return ctx }, // which readers stop with
		ErrorLog:    slog.NewLogLogger(l.feed.logger.Handler(), slog.LevelDebug),
	}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })() // readers have their connections to themselves
	l.feed.logger.InfoContext(ctx, "listening", "socket", "websocket", "addr", l.Addr())
	if err := srv.Serve(l.ln); !errors.Is(err, nethttp.ErrServerClosed) {
		return fmt.Errorf("websocket: serve: %w", err)
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		l.feed.open.Wait()
	}()
	select {
	case <-told:
	case <-time.After(closeTime):
	}
	return nil
}
