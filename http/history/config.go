package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/limit"
	"github.com/fedora-infra/fedmsg-go/http/route"
)

// archive is what is asked.
type archive interface {
	fedmsg.Archive
	fedmsg.Counter
	// Last returns the place up to which all of the log is in it.
	Last() fedmsg.Seq
}

// follower is a log that goes on, with its past behind it.
type follower interface {
	fedmsg.Reader
	State(ctx context.Context) (fedmsg.LogState, error)
}

// Config says what is asked, and how much of it one peer may ask. Archive is
// required.
type Config struct {
	// Archive holds the messages.
	Archive archive

	// Log is what the archive is fed from, for streams. It should go back further than
	// the log itself does, as bus.Tiered. Default: there are no streams.
	Log follower

	// Also are routes that others serve, for the description of all. Default: none.
	Also []route.Route

	// Describer finds the words for messages. Default: nobody gets any.
	Describer fedmsg.Describer

	// Now is the clock, for times such as two days ago. Default: [time.Now].
	Now func() time.Time

	// Timeout is how long an answer may take that is no stream and no export. Default
	// 12s.
	Timeout time.Duration

	// Heartbeat is how often a stream that has nothing to say says so. Default 15s.
	Heartbeat time.Duration

	// Limits bound what one peer, and all of them, may take.
	Limits Limits
}

// Limits bound what one peer, and all of them, may take. Who connects from this
// machine is not counted.
type Limits struct {
	// Rate is how many requests a second one address may make, and Burst how many at
	// once after a pause. Defaults: 20 and 100. -1 is no limit.
	Rate  float64
	Burst int
	// Exports is how many exports and streams out of the past may run, and
	// ExportsPerAddr how many for one address. Defaults: 32 and 4.
	Exports, ExportsPerAddr int
	// Streams is how many streams may be open, and StreamsPerAddr how many for one
	// address. Defaults: 5000 and 200.
	Streams, StreamsPerAddr int
	// WriteTimeout is how long a stream or an export may be unable to write before it
	// is cut. Default 15s.
	WriteTimeout time.Duration
}

func (c Config) withDefaults() Config {
	c.Timeout = cmp.Or(c.Timeout, 12*time.Second)
	c.Heartbeat = cmp.Or(c.Heartbeat, 15*time.Second)
	l := &c.Limits
	l.Rate, l.Burst = cmp.Or(l.Rate, 20), cmp.Or(l.Burst, 100)
	l.Exports, l.ExportsPerAddr = cmp.Or(l.Exports, 32), cmp.Or(l.ExportsPerAddr, 4)
	l.Streams, l.StreamsPerAddr = cmp.Or(l.Streams, 5000), cmp.Or(l.StreamsPerAddr, 200)
	l.WriteTimeout = cmp.Or(l.WriteTimeout, 15*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Validate reports everything that is wrong with c, joined, or nil.
func (c Config) Validate() error {
	var errs []error
	if c.Archive == nil {
		errs = append(errs, errors.New("archive: required"))
	}
	if l := c.Limits; c.Timeout < 0 || c.Heartbeat < 0 || l.WriteTimeout < 0 {
		errs = append(errs, errors.New("timeout, heartbeat, write_timeout: must not be negative"))
	}
	if l := c.Limits; l.Exports < 0 || l.ExportsPerAddr < 0 || l.Streams < 0 || l.StreamsPerAddr < 0 {
		errs = append(errs, errors.New("exports, streams: must not be negative"))
	}
	return errors.Join(errs...)
}

// API answers requests. [New] makes one.
type API struct {
	cfg     Config
	logger  *slog.Logger
	words   *memory // of Config.Describer
	set     *route.Set
	exports *limit.Places
	streams *limit.Places
	spec    []byte // of OpenAPI
}

// New makes an API. logger may be nil.
func New(cfg Config, logger *slog.Logger) (*API, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("http/history: %w", err)
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	cfg = cfg.withDefaults()
	a := &API{
		cfg: cfg, logger: logger.With("edge", "http"),
		exports: limit.NewPlaces(cfg.Limits.Exports, cfg.Limits.ExportsPerAddr, "exports"),
		streams: limit.NewPlaces(cfg.Limits.Streams, cfg.Limits.StreamsPerAddr, "streams"),
	}
	if cfg.Describer != nil {
		a.words = &memory{describer: cfg.Describer}
	}
	a.set = &route.Set{Routes: a.routes(), Now: cfg.Now, Timeout: cfg.Timeout, Rates: limit.NewRates(cfg.Limits.Rate, cfg.Limits.Burst), Refusal: refusal}
	a.spec = (&route.Set{Routes: slices.Concat(a.set.Routes, cfg.Also)}).OpenAPI()
	return a, nil
}
