package websocket

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	nethttp "net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	ws "github.com/coder/websocket"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/limit"
)

// edge is the name of these readers in metrics and logs.
const edge = "ws"

// slowConsumer is the code that a reader is cut with which does not read. Those from
// 4000 on are for programs to define.
const slowConsumer ws.StatusCode = 4008

// A log is what readers are fed from.
type log interface {
	fedmsg.Reader
	State(ctx context.Context) (fedmsg.LogState, error)
}

// Config bounds what readers may take. The zero value is fine.
type Config struct {
	// Sockets is how many may be open, and SocketsPerAddr how many from one address,
	// or from one /64 of IPv6. Defaults: 10000 and 2000.
	Sockets, SocketsPerAddr int
	// WriteTimeout is how long a reader may take nothing before it counts as slow, and
	// Grace how long after that it may begin to read again, to hear that it is cut.
	// Defaults: 15s and 5s.
	WriteTimeout, Grace time.Duration
	// Heartbeat is how often a reader is asked whether it lives. Default: 30s.
	Heartbeat time.Duration
	// Frames is how many frames a second a client may send, and Burst how many at once
	// after a pause. Defaults: 20 and 200.
	Frames float64
	Burst  int
}

func (c Config) withDefaults() Config {
	c.Sockets = cmp.Or(c.Sockets, 10000)
	c.SocketsPerAddr = cmp.Or(c.SocketsPerAddr, 2000)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 15*time.Second)
	c.Grace = cmp.Or(c.Grace, 5*time.Second)
	c.Heartbeat = cmp.Or(c.Heartbeat, 30*time.Second)
	c.Frames = cmp.Or(c.Frames, 20)
	c.Burst = cmp.Or(c.Burst, 200)
	return c
}

// Feed serves readers. It is a [nethttp.Handler], and a [fedmsg.Meter].
type Feed struct {
	cfg    Config
	log    log
	logger *slog.Logger
	places *limit.Places
	texts  [keptTexts]atomic.Pointer[text]
	open   sync.WaitGroup // sockets

	delivered, slow, rejected, panics *fedmsg.Counters
}

// keptTexts is how many texts are kept for readers that are near the end of the log, and
// keptBytes how long one may be: 8 MiB in all.
const (
	keptTexts = 512
	keptBytes = 16 << 10
)

// A text is what is sent of a message.
type text struct {
	seq  fedmsg.Seq
	text []byte
}

// New makes a feed of a log. logger may be nil.
func New(cfg Config, from log, logger *slog.Logger) *Feed {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	cfg = cfg.withDefaults()
	return &Feed{
		cfg: cfg, log: from, logger: logger.With("edge", edge),
		places:    limit.NewPlaces(cfg.Sockets, cfg.SocketsPerAddr, "sockets"),
		delivered: fedmsg.NewCounters("messages_delivered_total", "edge"),
		slow:      fedmsg.NewCounters("slow_consumers_total", "edge"),
		rejected:  fedmsg.NewCounters("messages_rejected_total", "edge", "reason"),
		panics:    fedmsg.NewCounters("panics_recovered_total", "edge"),
	}
}

// Routes adds the feed to what a server serves.
func (f *Feed) Routes(mux *nethttp.ServeMux) { mux.Handle("GET /api/v1/ws", f) }

// Samples yields sockets, deliveries, cuts, refusals and defects.
func (f *Feed) Samples() iter.Seq[fedmsg.Sample] {
	return fedmsg.Meters{f.delivered, f.slow, f.rejected, f.panics, fedmsg.MeterFunc(func(yield func(fedmsg.Sample) bool) {
		yield(fedmsg.Sample{Name: "clients", Labels: []string{"edge", edge}, Value: float64(f.places.Taken())})
	})}.Samples()
}

// ServeHTTP serves one reader until it leaves, is cut, or the server stops.
func (f *Feed) ServeHTTP(w nethttp.ResponseWriter, r *nethttp.Request) {
	f.open.Add(1)
	defer f.open.Done()
	leave, err := func() (func(), error) {
		if err := checkOrigin(r); err != nil {
			return nil, err
		}
		return f.places.Take(limit.Peer(r))
	}()
	if err != nil {
		f.rejected.Add(1, edge, string(fedmsg.ReasonOf(err)))
		http.Refuse(w, r, err)
		return
	}
	defer leave()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	defer cancel(nil)
	up := &upgrade{ResponseWriter: w, cfg: f.cfg, slow: func() { cancel(errSlow) }}
	conn, err := ws.Accept(up, r, &ws.AcceptOptions{
		InsecureSkipVerify:   true,                            // checkOrigin did
		CompressionMode:      ws.CompressionNoContextTakeover, // for what clients send
		CompressionThreshold: 1 << 30,                         // and not for what they get: each would be packed for itself
	})
	if err != nil {
		return // it has been answered
	}
	conn.SetReadLimit(maxFrame)
	stopping := http.Stopping(r)
	go func() {
		select {
		case <-stopping:
			cancel(errStopping)
		case <-ctx.Done():
		}
	}()
	c := &client{feed: f, conn: conn, wire: up.wire, cancel: cancel, from: make(chan fedmsg.Seq, 1)}
	c.run(ctx)
}

// checkOrigin refuses what a page of another site sends with credentials of ours: all
// that reads may be read from everywhere, but without them.
func checkOrigin(r *nethttp.Request) error {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return nil
	}
	from, err := url.Parse(origin)
	if err == nil && strings.EqualFold(from.Host, r.Host) {
		return nil
	}
	if r.Header.Get("Cookie") != "" || r.Header.Get("Authorization") != "" {
		return fedmsg.Refuse(http.BadOrigin, "a page of another site may read this, but not in somebody's name")
	}
	return nil
}

// textOf is what is sent of an entry. It must not be changed.
func (f *Feed) textOf(e fedmsg.Entry) []byte {
	slot := &f.texts[e.Seq%keptTexts]
	if have := slot.Load(); have != nil && have.seq == e.Seq {
		return have.text
	}
	topic, err := json.Marshal(e.Message.Topic)
	if err != nil {
		panic(err) // cannot be: a string
	}
	made := append([]byte(`{"topic":`), topic...)
	made = append(append(made, `,"body":`...), e.Message.Compact()...)
	made = append(made, '}')
	if len(made) <= keptBytes {
		slot.Store(&text{e.Seq, made})
	}
	return made
}

// Why a socket is closed.
var (
	errSlow     = errors.New("it does not read")
	errStopping = errors.New("the server is stopping")
	errGone     = errors.New("it does not answer")
	errDefect   = errors.New("a defect")
)

// closing says how to close a socket that ended so.
func closing(err error) (code ws.StatusCode, reason fedmsg.Reason) {
	switch {
	case errors.Is(err, errSlow):
		return slowConsumer, fedmsg.SlowConsumer
	case errors.Is(err, errStopping):
		return ws.StatusGoingAway, ""
	case errors.Is(err, errTooLarge), errors.Is(err, ws.ErrMessageTooBig):
		return ws.StatusMessageTooBig, fedmsg.TooLarge
	case errors.Is(err, errTooFast):
		return ws.StatusPolicyViolation, fedmsg.RateLimited
	case errors.Is(err, errUTF8):
		return ws.StatusInvalidFramePayloadData, fedmsg.BadUTF8
	case errors.Is(err, errBinary):
		return ws.StatusUnsupportedData, ""
	case errors.Is(err, errDefect):
		return ws.StatusInternalError, ""
	case errors.Is(err, fedmsg.ErrUnavailable):
		return ws.StatusTryAgainLater, fedmsg.LogUnavailable
	}
	return ws.StatusProtocolError, "" // if the library has not closed it
}

// errorText is what a client is told that said something it cannot say.
func errorText(err error) []byte {
	refusal, ok := errors.AsType[*fedmsg.Refusal](err)
	if !ok {
		refusal = &fedmsg.Refusal{Reason: fedmsg.BadField, Detail: fmt.Sprint(err)}
	}
	answer, err := json.Marshal(struct {
		Op     string        `json:"op"`
		Code   fedmsg.Reason `json:"code"`
		Field  string        `json:"field,omitempty"`
		Detail string        `json:"detail"`
	}{"error", refusal.Reason, refusal.Field, refusal.Detail})
	if err != nil {
		panic(err) // cannot be: strings
	}
	return answer
}
