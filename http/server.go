package http

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	nethttp "net/http"
	"strings"
	"sync/atomic"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/limit"
	"github.com/fedora-infra/fedmsg-go/http/sse"
)

// edge is the name of this edge in metrics and in [fedmsg.Origin].
const edge = "http"

// bus is what the server needs of a bus: a way in and two ways out.
type bus interface {
	fedmsg.Publisher
	fedmsg.Reader
	shelf
}

// shelf is a log that can be looked into.
type shelf interface {
	fedmsg.Finder
	Page(ctx context.Context, after fedmsg.Seq, limit int, want ...fedmsg.Pattern) ([]fedmsg.Entry, fedmsg.Seq, error)
	State(ctx context.Context) (fedmsg.LogState, error)
}

// Server is the HTTP edge. It is a [fedmsg.Meter] too.
type Server struct {
	cfg     Config
	bus     bus
	logger  *slog.Logger
	ln      net.Listener
	admin   net.Listener // nil if there is none
	mux     *nethttp.ServeMux
	metrics nethttp.Handler
	cross   *nethttp.CrossOriginProtection
	rates   *limit.Rates
	streams *limit.Places
	events  renderer
	words   phrasebook
	policy  atomic.Pointer[fedmsg.Policy]
	sent    atomic.Int64 // messages made here
	active  atomic.Int64 // requests in hand
	ending  atomic.Bool

	received, rejected, delivered, slow, panics *fedmsg.Counters
	took                                        *fedmsg.Histogram
}

// Listen validates cfg and binds the addresses, so that a bad address fails here
// and [Server.Addr] is known before [Server.Run]. Run must be called to serve
// and, in the end, to close the listeners. meter is what /metrics shows beside
// the server's own figures; it and logger may be nil.
func Listen(cfg Config, b bus, meter fedmsg.Meter, logger *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	cfg = cfg.withDefaults()
	s := &Server{
		cfg: cfg, bus: b, logger: logger.With("edge", edge),
		cross:     nethttp.NewCrossOriginProtection(),
		words:     phrasebook{describer: cfg.Describer},
		rates:     limit.NewRates(cfg.Limits.PublishRate, cfg.Limits.PublishBurst),
		streams:   limit.NewPlaces(cfg.Limits.Streams, cfg.Limits.StreamsPerAddr, "streams"),
		received:  fedmsg.NewCounters("messages_received_total", "edge"),
		rejected:  fedmsg.NewCounters("messages_rejected_total", "edge", "reason"),
		delivered: fedmsg.NewCounters("messages_delivered_total", "edge"),
		slow:      fedmsg.NewCounters("slow_consumers_total", "edge"),
		panics:    fedmsg.NewCounters("panics_recovered_total", "edge"),
		took:      fedmsg.NewHistogram("publish_duration_seconds", "edge", edge),
	}
	s.SetPolicy(cfg.Policy)
	all := fedmsg.Meters{s}
	if meter != nil {
		all = append(all, meter)
	}
	s.metrics = metricsHandler(all)
	if err := s.listen(); err != nil {
		return nil, err
	}
	return s, nil
}

// SetPolicy has p say who may publish what from now on.
func (s *Server) SetPolicy(p fedmsg.Policy) { s.policy.Store(&p) }

// listen binds what cfg names.
func (s *Server) listen() error {
	var files *tlsFiles
	if s.cfg.TLSCert != "" {
		var err error
		if files, err = loadTLS(s.cfg, s.logger); err != nil {
			return fmt.Errorf("http: %w", err)
		}
	}
	ln, err := bind(s.cfg.Addr)
	if err != nil {
		return err
	}
	if s.cfg.AllowAnonymousLoopback && !isLoopback(ln) {
		return errors.Join(&fedmsg.HintError{
			Err:  fmt.Errorf("http: addr: %s can be reached by others, and anonymous publishing is allowed", ln.Addr()),
			Hint: "listen on 127.0.0.1, or make tokens with: fedmsg token create",
		}, ln.Close())
	}
	if s.cfg.MetricsAddr != "" {
		if s.admin, err = bind(s.cfg.MetricsAddr); err != nil {
			return errors.Join(err, ln.Close())
		}
	}
	s.ln = ln
	s.mux = s.routes(isLoopback(ln))
	if files != nil {
		s.ln = tls.NewListener(ln, &tls.Config{MinVersion: s.cfg.TLSMinVersion, GetConfigForClient: files.config})
	}
	return nil
}

func bind(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, &fedmsg.HintError{
			Err:  fmt.Errorf("http: %w", err),
			Hint: "give a free address, or 127.0.0.1:0 to have one picked",
		}
	}
	return ln, nil
}

// Addr is where the server listens, as HOST:PORT.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// MetricsAddr is where the second listener is, as HOST:PORT; empty if there is
// none.
func (s *Server) MetricsAddr() string {
	if s.admin == nil {
		return ""
	}
	return s.admin.Addr().String()
}

// routes are what the main listener answers to.
func (s *Server) routes(loopback bool) *nethttp.ServeMux {
	mux := nethttp.NewServeMux()
	mux.HandleFunc("GET /{$}", Packed(s.index))
	mux.HandleFunc("POST /api/v1/publish", s.publish)
	mux.HandleFunc("POST /api/v1/publish/{topic...}", s.publishText)
	mux.HandleFunc("POST /api/v1/verify", s.verify)
	mux.HandleFunc("GET /api/v1/messages", Packed(s.messages))
	mux.HandleFunc("GET /api/v1/messages/{id}", Packed(s.message))
	mux.HandleFunc("GET /api/v1/events", s.stream)
	mux.HandleFunc("GET /healthz", health)
	mux.HandleFunc("GET /readyz", s.ready)
	if loopback {
		mux.Handle("GET /metrics", s.metrics)
	}
	if s.cfg.Report != nil {
		mux.HandleFunc("GET /api/v1/monitoring", s.monitoring)
	}
	for _, add := range s.cfg.Routes {
		add(mux)
	}
	return mux
}

// adminRoutes are what the second listener answers to.
func (s *Server) adminRoutes() *nethttp.ServeMux {
	mux := nethttp.NewServeMux()
	mux.HandleFunc("GET /healthz", health)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", s.metrics)
	return mux
}

// index says what is here to whoever looks: people get the front page, if there is
// one, programs that ask for JSON a list.
func (s *Server) index(w nethttp.ResponseWriter, r *nethttp.Request) {
	w.Header().Add("Vary", "Accept")
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if s.cfg.Front != nil && (strings.Contains(accept, "text/html") || !strings.Contains(accept, "application/json")) {
		s.cfg.Front.ServeHTTP(w, r)
		return
	}
	writeJSON(w, nethttp.StatusOK, map[string]string{
		"what":     "a fedmsg bus",
		"publish":  "/api/v1/publish",
		"messages": "/api/v1/messages",
		"events":   "/api/v1/events",
		"health":   "/healthz",
		"ready":    "/readyz",
	})
}

// errStopping ends streams when the server stops.
var errStopping = errors.New("the server is stopping")

// Run serves until ctx ends, lets requests finish for Config.Grace, and returns
// nil. Streams end at once; their clients come back with their last event ID.
func (s *Server) Run(ctx context.Context) error {
	stop, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	var servers []*nethttp.Server
	results := make(chan error, 2)
	serve := func(ln net.Listener, mux *nethttp.ServeMux) {
		srv := s.server(ctx, s.guard(stop, mux))
		servers = append(servers, srv)
		go func() {
			err := srv.Serve(ln)
			if !errors.Is(err, nethttp.ErrServerClosed) {
				results <- fmt.Errorf("http: serve: %w", err)
			}
		}()
	}
	serve(s.ln, s.mux)
	if s.admin != nil {
		serve(s.admin, s.adminRoutes())
		s.logger.InfoContext(ctx, "listening", "socket", "metrics", "addr", s.MetricsAddr())
	}
	s.logger.InfoContext(ctx, "listening", "socket", "http", "addr", s.Addr())

	var failed error
	select {
	case <-ctx.Done():
	case failed = <-results:
	}
	s.ending.Store(true)
	cancel(errStopping)
	grace, done := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Grace)
	defer done()
	for _, srv := range servers {
		err := srv.Shutdown(grace)
		if err == nil {
			continue
		}
		if s.active.Load() > 0 { // else only connections are left that never said what they want
			failed = errors.Join(failed, fmt.Errorf("http: requests cut off after %s: %w", s.cfg.Grace, err))
		}
		failed = errors.Join(failed, srv.Close())
	}
	return failed
}

// server makes a server with the deadlines that hold for every connection.
// There is no write timeout: it would end streams; see [answer] for what holds
// instead.
func (s *Server) server(ctx context.Context, h nethttp.Handler) *nethttp.Server {
	var protocols nethttp.Protocols
	protocols.SetHTTP1(true) // and no HTTP/2: there a slow stream holds back others
	return &nethttp.Server{
		Handler:           h,
		ReadHeaderTimeout: s.cfg.Limits.HeaderTimeout,
		IdleTimeout:       90 * time.Second,
		MaxHeaderBytes:    s.cfg.Limits.Header,
		Protocols:         &protocols,
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ConnContext:       sse.WithConn,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
	}
}

// Samples yields what the server has counted.
func (s *Server) Samples() iter.Seq[fedmsg.Sample] {
	return func(yield func(fedmsg.Sample) bool) {
		for sample := range (fedmsg.Meters{s.received, s.rejected, s.delivered, s.slow, s.panics, s.took}).Samples() {
			if !yield(sample) {
				return
			}
		}
		yield(fedmsg.Sample{Name: "clients", Labels: []string{"edge", "sse"}, Value: float64(s.streams.Taken())})
	}
}
