package readers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Log is what readers read: a log, with an archive behind it perhaps.
type Log interface {
	fedmsg.Reader
	Page(ctx context.Context, after fedmsg.Seq, limit int, want ...fedmsg.Pattern) ([]fedmsg.Entry, fedmsg.Seq, error)
	State(ctx context.Context) (fedmsg.LogState, error)
}

// Config says what is read, and where places are kept. Log, Last, Find and Notes are
// required.
type Config struct {
	// Log is what is read.
	Log Log
	// Last returns the newest place of the log.
	Last func() fedmsg.Seq
	// Find finds a message by its ID.
	Find fedmsg.Finder
	// Notes keeps readers and dead letters.
	Notes fedmsg.Notes
	// Describer finds the words by which some queries choose. Default: nobody gets any.
	Describer fedmsg.Describer
	// Now is the clock. Default: [time.Now].
	Now func() time.Time

	// Lease is how long an instance has a reader after it was last heard of. Default 30s.
	Lease time.Duration
	// Away is after how long without an instance a reader is told. Default: a week.
	Away time.Duration
	// Readers is how many readers there may be. Default 1000.
	Readers int
	// Dead is how many dead letters a reader may have; if there are more it has to wait.
	// Default 1000.
	Dead int
}

func (c Config) withDefaults() Config {
	c.Lease = cmp.Or(c.Lease, 30*time.Second)
	c.Away = cmp.Or(c.Away, 7*24*time.Hour)
	c.Readers = cmp.Or(c.Readers, 1000)
	c.Dead = cmp.Or(c.Dead, 1000)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Validate reports everything that is wrong with c, joined, or nil.
func (c Config) Validate() error {
	var errs []error
	if c.Log == nil || c.Last == nil || c.Find == nil || c.Notes == nil {
		errs = append(errs, errors.New("log, last, find, notes: required"))
	}
	if c.Lease < 0 || c.Away < 0 || c.Readers < 0 || c.Dead < 0 {
		errs = append(errs, errors.New("lease, away, readers, dead: must not be negative"))
	}
	return errors.Join(errs...)
}

// New makes an API of what is kept. logger may be nil.
func New(ctx context.Context, cfg Config, logger *slog.Logger) (*API, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("http/readers: %w", err)
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	a := &API{cfg: cfg.withDefaults(), logger: logger, readers: make(map[string]*reader)}
	if err := a.load(ctx); err != nil {
		return nil, fmt.Errorf("http/readers: %w", err)
	}
	a.set = a.routes()
	return a, nil
}
