package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// PumpConfig says how one reader is fed. Only Name is required.
type PumpConfig struct {
	// Name is the reader's name, under which its cursor is kept.
	Name string

	// Topics are the patterns that the reader wants. Default: every topic.
	Topics []fedmsg.Pattern

	// Live lets a reader without a cursor start at the end of the log instead
	// of its beginning.
	Live bool

	// RetryMin and RetryMax bound the wait after a failed delivery. It starts
	// at RetryMin and doubles up to RetryMax. Defaults: 1s and 5m.
	RetryMin time.Duration
	RetryMax time.Duration

	// SaveEvery is how often the cursor is saved while entries pass; it is also
	// saved at a clean stop. What was delivered since is delivered again after a
	// crash. Default 1s.
	SaveEvery time.Duration
}

func (c PumpConfig) withDefaults() PumpConfig {
	c.RetryMin = cmp.Or(c.RetryMin, time.Second)
	c.RetryMax = cmp.Or(c.RetryMax, 5*time.Minute)
	c.SaveEvery = cmp.Or(c.SaveEvery, time.Second)
	return c
}

// Validate reports everything that is wrong with c, joined, or nil.
func (c PumpConfig) Validate() error {
	var errs []error
	if c.Name == "" {
		errs = append(errs, errors.New("name: required"))
	}
	for _, p := range c.Topics {
		if err := p.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("topics: %w", err))
		}
	}
	if c.RetryMin < 0 {
		errs = append(errs, fmt.Errorf("retry-min: must not be negative, is %s", c.RetryMin))
	}
	if d := c.withDefaults(); d.RetryMax < d.RetryMin {
		errs = append(errs, fmt.Errorf("retry-max: must be at least retry-min (%s), is %s", d.RetryMin, d.RetryMax))
	}
	return errors.Join(errs...)
}

// source is what a pump needs of a window.
type source interface {
	fedmsg.Reader
	State(ctx context.Context) (fedmsg.LogState, error)
	Last() fedmsg.Seq
}

// Pump feeds one sink from the log, in order, from its own cursor.
type Pump struct {
	cfg     PumpConfig
	log     source
	cursors fedmsg.Cursors
	sink    fedmsg.Sink
	logger  *slog.Logger

	at        atomic.Uint64 // delivered up to here
	delivered atomic.Uint64
	failures  atomic.Uint64
	gaps      atomic.Uint64

	mu    sync.Mutex
	saved fedmsg.Seq
	timer *time.Timer // runs while a save is due
}

// NewPump makes a pump. logger may be nil.
func NewPump(cfg PumpConfig, log source, cursors fedmsg.Cursors, sink fedmsg.Sink, logger *slog.Logger) (*Pump, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("pump %q: %w", cfg.Name, err)
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Pump{cfg: cfg.withDefaults(), log: log, cursors: cursors, sink: sink, logger: logger.With("reader", cfg.Name)}, nil
}

// Samples yields how the reader does.
func (p *Pump) Samples() iter.Seq[fedmsg.Sample] {
	return func(yield func(fedmsg.Sample) bool) {
		at, last := p.at.Load(), uint64(p.log.Last())
		label := []string{"consumer", p.cfg.Name}
		_ = yield(fedmsg.Sample{Name: "consumer_lag_messages", Labels: label, Value: float64(max(last, at) - at)}) &&
			yield(fedmsg.Sample{Name: "consumer_delivered_total", Labels: label, Value: float64(p.delivered.Load())}) &&
			yield(fedmsg.Sample{Name: "consumer_failures_total", Labels: label, Value: float64(p.failures.Load())}) &&
			yield(fedmsg.Sample{Name: "consumer_gaps_total", Labels: label, Value: float64(p.gaps.Load())})
	}
}

// Run delivers until ctx ends, and then returns nil. Whatever fails is tried
// again; only a cursor that cannot be loaded at the start is an error.
func (p *Pump) Run(ctx context.Context) error {
	at, err := p.cursors.Load(ctx, p.cfg.Name)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("pump %s: load cursor: %w", p.cfg.Name, err)
	}
	if at == 0 && p.cfg.Live {
		at = p.log.Last()
	}
	p.saved = at
	p.at.Store(uint64(at))
	defer p.flush(context.WithoutCancel(ctx))

	wait := p.cfg.RetryMin
	for ctx.Err() == nil {
		progress, err := p.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if progress {
			wait = p.cfg.RetryMin
		}
		if errors.Is(err, fedmsg.ErrTooOld) || errors.Is(err, fedmsg.ErrInvalid) {
			err = p.resume(ctx, err)
			if err == nil {
				continue
			}
		}
		p.failures.Add(1)
		p.logger.WarnContext(ctx, "delivery failed, will try again", "wait", wait, "err", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, p.cfg.RetryMax)
	}
	return nil
}

// follow reads and delivers until something fails.
func (p *Pump) follow(ctx context.Context) (progress bool, err error) {
	for batch, err := range p.read(ctx) {
		if err != nil {
			return progress, fmt.Errorf("read after %d: %w", p.at.Load(), err)
		}
		n, err := p.deliver(ctx, batch)
		if n > 0 {
			progress = true
			p.delivered.Add(uint64(n))
			p.moved(batch[n-1].Seq)
		}
		if err != nil {
			return progress, err
		}
	}
	return progress, context.Cause(ctx)
}

// A preparer is a sink that can make ready what it will be given next, beside Deliver.
type preparer interface {
	Prepare(ctx context.Context, batch []fedmsg.Entry)
}

// read reads from where the pump is; for a preparer a batch ahead.
func (p *Pump) read(ctx context.Context) iter.Seq2[[]fedmsg.Entry, error] {
	sink, ok := p.sink.(preparer)
	if !ok {
		return p.log.Read(ctx, fedmsg.Seq(p.at.Load()), p.cfg.Topics...)
	}
	return func(yield func([]fedmsg.Entry, error) bool) {
		type result struct {
			batch []fedmsg.Entry
			err   error
		}
		results, reading := make(chan result), new(sync.WaitGroup)
		ctx, cancel := context.WithCancelCause(ctx)
		reading.Go(func() {
			defer close(results)
			for batch, err := range p.log.Read(ctx, fedmsg.Seq(p.at.Load()), p.cfg.Topics...) {
				if err == nil {
					sink.Prepare(ctx, batch)
				}
				select {
				case results <- result{batch, err}:
				case <-ctx.Done():
					return
				}
			}
		})
		defer reading.Wait()
		defer cancel(nil)
		for r := range results {
			if !yield(r.batch, r.err) {
				return
			}
		}
	}
}

// deliver holds a sink to its contract.
func (p *Pump) deliver(ctx context.Context, batch []fedmsg.Entry) (int, error) {
	n, err := p.sink.Deliver(ctx, batch)
	switch {
	case n < 0 || n > len(batch):
		return 0, fmt.Errorf("deliver entry %d: the sink took %d of %d entries", batch[0].Seq, n, len(batch))
	case err != nil:
		return n, fmt.Errorf("deliver entry %d: %w", batch[min(n, len(batch)-1)].Seq, err)
	case n < len(batch):
		return n, fmt.Errorf("deliver entry %d: the sink stopped without an error", batch[n].Seq)
	}
	return n, nil
}

// resume moves a cursor that points out of the log to the oldest entry that it
// still holds, and says loudly that something was missed.
func (p *Pump) resume(ctx context.Context, cause error) error {
	state, err := p.log.State(ctx)
	if err != nil {
		return fmt.Errorf("state of the log: %w", err)
	}
	at := fedmsg.Seq(p.at.Load())
	if at >= state.First-1 && at <= state.Last {
		return cause
	}
	p.gaps.Add(1)
	p.logger.ErrorContext(ctx, "the log does not hold what this reader needs next; it goes on with the oldest entry there is",
		"after", at, "first", state.First, "last", state.Last, "err", cause)
	p.moved(state.First - 1)
	return nil
}

// moved notes the new place, and has it saved within SaveEvery.
func (p *Pump) moved(to fedmsg.Seq) {
	p.at.Store(uint64(to))
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer == nil {
		p.timer = time.AfterFunc(p.cfg.SaveEvery, func() { p.save(context.Background()) })
	}
}

func (p *Pump) save(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	at := fedmsg.Seq(p.at.Load())
	if at == p.saved {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := p.cursors.Save(ctx, p.cfg.Name, at); err != nil {
		p.logger.WarnContext(ctx, "cursor not saved, will try again", "err", err)
		p.timer = time.AfterFunc(p.cfg.SaveEvery, func() { p.save(context.Background()) })
		return
	}
	p.saved = at
}

// flush saves the cursor now and stops the timer.
func (p *Pump) flush(ctx context.Context) {
	p.mu.Lock()
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	p.save(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil { // the save failed, and nobody is left to try again
		p.timer.Stop()
		p.timer = nil
	}
}
