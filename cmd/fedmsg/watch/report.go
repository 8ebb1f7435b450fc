package watch

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// A Report is what a hub of fedmsg 1.x said of itself: who reads, who speaks. The
// field names are those of the original.
type Report struct {
	Consumers []Consumer `json:"consumers"`
	Producers []Producer `json:"producers"`
}

// A Consumer is one reader of the log, or a kind of stream.
type Consumer struct {
	Name         string    `json:"name"`
	Module       string    `json:"module"`
	Topic        string    `json:"topic"`
	Initialized  bool      `json:"initialized"`
	Exceptions   uint64    `json:"exceptions"`
	JSONify      bool      `json:"jsonify"`
	Backlog      uint64    `json:"backlog"`
	HeadcountIn  uint64    `json:"headcount_in"`
	HeadcountOut uint64    `json:"headcount_out"`
	Times        []float64 `json:"times"` // always empty: batches are what takes time here
}

// A Producer is one way in, or what makes the reports.
type Producer struct {
	Name         string   `json:"name"`
	Module       string   `json:"module"`
	Initialized  bool     `json:"initialized"`
	Exceptions   uint64   `json:"exceptions"`             // what was refused
	HeadcountOut *uint64  `json:"headcount_out,omitzero"` // what it handed on
	Frequency    *float64 `json:"frequency,omitzero"`     // seconds between its runs
	Now          *bool    `json:"now,omitzero"`
	LastRan      *float64 `json:"last_ran,omitzero"` // seconds since 1970
}

// Interval is how often a report is sent.
const Interval = 5 * time.Second

// ReporterConfig says what is reported, and where.
type ReporterConfig struct {
	// Addr is where reports are published, as [zmq.ParseAddr] reads it.
	Addr string
	// Mode is the mode of the socket's file, octal. Default: as the umask has it.
	Mode string
	// Sources are the names of the ways in, as they count what they receive.
	Sources []string
}

// A Reporter publishes reports on a ZeroMQ socket, as hubs did for fedmsg-check and
// for monitoring. Each tells what was counted since the one before.
type Reporter struct {
	sources []string
	meter   fedmsg.Meter
	pub     *zmq.Pub
	now     func() time.Time
	was     map[string]float64
}

// NewReporter binds the address. logger may be nil.
func NewReporter(cfg ReporterConfig, meter fedmsg.Meter, logger *slog.Logger) (*Reporter, error) {
	mode, err := strconv.ParseUint(cmp.Or(cfg.Mode, "0"), 8, 12)
	if err != nil {
		return nil, fmt.Errorf("moksha.monitoring.socket.mode: %q is no mode of a file in octal digits, such as 770: %w", cfg.Mode, fedmsg.ErrInvalid)
	}
	pub, err := zmq.NewPub(zmq.PubConfig{Bind: []string{cfg.Addr}, Socket: "monitoring", Linger: -1, Tuning: zmq.Tuning{FileMode: fs.FileMode(mode)}}, logger)
	if err != nil {
		return nil, fmt.Errorf("moksha.monitoring.socket: %w", err)
	}
	return &Reporter{sources: cfg.Sources, meter: meter, pub: pub, now: time.Now}, nil
}

// Addr is where reports are published.
func (r *Reporter) Addr() string { return r.pub.Addrs()[0] }

// Run reports until ctx ends, and returns nil.
func (r *Reporter) Run(ctx context.Context) error {
	go r.every(ctx, func(report []byte) { r.pub.SendFrame(report) })
	return r.pub.Run(ctx)
}

// every has a report sent at each interval until ctx ends.
func (r *Reporter) every(ctx context.Context, send func(report []byte)) {
	tick := time.NewTicker(Interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			send(r.next())
		case <-ctx.Done():
			return
		}
	}
}

// next is the text of the next report.
func (r *Reporter) next() []byte {
	values := totals(r.meter)
	report := reportOf(values, r.was, r.sources, r.now())
	r.was = values
	text, err := json.Marshal(report)
	if err != nil {
		panic(err) // cannot be: our own structs
	}
	return spaced(text)
}

// Totals is a report of all that was counted since the bus started. Sources are as in
// [ReporterConfig].
func Totals(meter fedmsg.Meter, sources []string) Report {
	return reportOf(totals(meter), nil, sources, time.Now())
}

// reportOf makes a report of what was counted since was.
func reportOf(values, was map[string]float64, sources []string, now time.Time) Report {
	since := func(key string) uint64 { return uint64(max(values[key]-was[key], 0)) }
	r := Report{Consumers: []Consumer{}}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if name, ok := strings.CutPrefix(key, "consumer_lag_messages "); ok {
			out := since("consumer_delivered_total " + name)
			in := max(float64(out)+values[key]-was[key], 0)
			r.Consumers = append(r.Consumers, Consumer{Name: name, Exceptions: since("consumer_failures_total " + name), Backlog: uint64(values[key]), HeadcountIn: uint64(in), HeadcountOut: out})
		}
		if name, ok := strings.CutPrefix(key, "messages_delivered_total "); ok && name != "zmq" { // its sockets are readers above
			r.Consumers = append(r.Consumers, Consumer{Name: name, HeadcountIn: since(key), HeadcountOut: since(key)})
		}
	}
	for i := range r.Consumers {
		c := &r.Consumers[i]
		c.Module, c.Topic, c.Initialized, c.JSONify, c.Times = "fedmsg", "*", true, true, []float64{}
	}
	for _, edge := range sources {
		received := since("messages_received_total " + edge)
		refused := since("messages_rejected_total " + edge)
		r.Producers = append(r.Producers, Producer{Name: edge, Module: "fedmsg", Initialized: true, Exceptions: refused, HeadcountOut: new(received - min(refused, received))})
	}
	r.Producers = append(r.Producers, Producer{Name: "MonitoringProducer", Module: "fedmsg", Initialized: true,
		Frequency: new(Interval.Seconds()), Now: new(false), LastRan: new(float64(now.UnixMilli()) / 1000)})
	return r
}

// spaced puts a blank behind each comma and colon between values, as Python's json
// does.
func spaced(text []byte) []byte {
	out := make([]byte, 0, len(text)*5/4)
	inString, escaped := false, false
	for _, b := range text {
		out = append(out, b)
		switch {
		case escaped:
			escaped = false
		case inString && b == '\\':
			escaped = true
		case b == '"':
			inString = !inString
		case !inString && (b == ',' || b == ':'):
			out = append(out, ' ')
		}
	}
	return out
}
