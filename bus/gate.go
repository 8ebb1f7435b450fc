package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// GateConfig says what the gate lets in. The zero value takes unsigned messages
// from nowhere and can verify none.
type GateConfig struct {
	// Verifier judges signatures. Without one no signature is looked at, and
	// what AllowUnsigned does not cover is refused.
	Verifier fedmsg.Verifier

	// AllowUnsigned lists the networks from which unsigned messages are taken,
	// stamped "none". A caller inside this process counts as 127.0.0.1.
	AllowUnsigned []netip.Prefix

	// TopicPrefix is what every topic must start with, word by word. Default:
	// any.
	TopicPrefix fedmsg.Topic

	// Environments are the words that may follow the prefix (prod, stg, dev).
	// Default: any. They are looked at only if TopicPrefix is set.
	Environments []string

	// MaxAge is how old a message may be by its own timestamp, so that a signed
	// message of last year cannot be played again. Default 24h; -1 is no limit.
	MaxAge time.Duration

	// MaxSkew is how far ahead of our clock a publisher's may be. Default 5m;
	// -1 is no limit.
	MaxSkew time.Duration

	// Clock is for tests. Default: [time.Now].
	Clock func() time.Time
}

func (c GateConfig) withDefaults() GateConfig {
	c.MaxAge = cmp.Or(c.MaxAge, 24*time.Hour)
	c.MaxSkew = cmp.Or(c.MaxSkew, 5*time.Minute)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return c
}

// Validate reports everything that is wrong with c, joined, or nil.
func (c GateConfig) Validate() error {
	var errs []error
	if c.TopicPrefix != "" {
		if err := c.TopicPrefix.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("topic_prefix: %w", err))
		}
	}
	for _, e := range c.Environments {
		if err := fedmsg.Topic(e).Validate(); err != nil || strings.Contains(e, ".") {
			errs = append(errs, fmt.Errorf("environment: %q is not one word of letters, digits, _ and -", e))
		}
	}
	return errors.Join(errs...)
}

// appender is the half of a log that the gate needs.
type appender interface {
	Append(ctx context.Context, batch ...fedmsg.Entry) []fedmsg.Receipt
}

// Gate is the only way into the log. It implements [fedmsg.Publisher].
type Gate struct {
	cfg      atomic.Pointer[GateConfig]
	log      appender
	logger   *slog.Logger
	rejected *fedmsg.Counters
}

var _ fedmsg.Publisher = (*Gate)(nil)

// NewGate makes a gate in front of a log. logger may be nil.
func NewGate(cfg GateConfig, log appender, logger *slog.Logger) (*Gate, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	g := &Gate{log: log, logger: logger, rejected: fedmsg.NewCounters("messages_rejected_total", "edge", "reason")}
	if err := g.Configure(cfg); err != nil {
		return nil, err
	}
	return g, nil
}

// Configure has the gate judge by cfg what comes from now on. If cfg is wrong, which
// the error says, all stays as it was.
func (g *Gate) Configure(cfg GateConfig) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("gate: %w", err)
	}
	cfg = cfg.withDefaults()
	g.cfg.Store(&cfg)
	return nil
}

// Samples yields what the gate has refused, by edge and reason.
func (g *Gate) Samples() iter.Seq[fedmsg.Sample] { return g.rejected.Samples() }

// Publish verifies the messages and appends those that may pass, together.
// Signatures of one call are checked on all processors. See [fedmsg.Publisher].
func (g *Gate) Publish(ctx context.Context, messages ...*fedmsg.Message) []fedmsg.Receipt {
	origin, cfg := fedmsg.OriginFrom(ctx), g.cfg.Load()
	receipts := make([]fedmsg.Receipt, len(messages))
	stamps := make([]string, len(messages))
	inParallel(len(messages), func(i int) {
		stamps[i], receipts[i].Err = cfg.judge(ctx, origin, messages[i])
	})

	batch := make([]fedmsg.Entry, 0, len(messages))
	index := make([]int, 0, len(messages))
	for i, m := range messages {
		if receipts[i].Err == nil {
			batch = append(batch, fedmsg.Entry{Verified: stamps[i], Message: m})
			index = append(index, i)
		}
	}
	if len(batch) > 0 {
		for i, r := range g.log.Append(ctx, batch...) {
			receipts[index[i]] = r
		}
	}
	for i, r := range receipts {
		g.count(ctx, origin, messages[i], r)
	}
	return receipts
}

func (g *Gate) count(ctx context.Context, origin fedmsg.Origin, m *fedmsg.Message, r fedmsg.Receipt) {
	switch reason := fedmsg.ReasonOf(r.Err); {
	case r.Duplicate:
		g.rejected.Add(1, origin.Edge, string(fedmsg.Duplicate))
	case r.Err == nil:
	default:
		g.rejected.Add(1, origin.Edge, string(cmp.Or(reason, fedmsg.LogUnavailable)))
		g.logger.DebugContext(ctx, "message refused", "edge", origin.Edge,
			"entry", fedmsg.Entry{Message: m}, "err", r.Err)
	}
}

// judge returns the stamp of a message that may pass, or the refusal.
//
// The signature comes first: what is said of a message that nobody vouches for
// is said about nothing.
func (c *GateConfig) judge(ctx context.Context, origin fedmsg.Origin, m *fedmsg.Message) (string, error) {
	stamp, err := c.verify(ctx, origin, m)
	if err != nil {
		return "", err
	}
	if err := c.topic(m.Topic); err != nil {
		return "", err
	}
	return stamp, c.fresh(m)
}

func (c *GateConfig) verify(ctx context.Context, origin fedmsg.Origin, m *fedmsg.Message) (string, error) {
	if origin.Identity != "" {
		return origin.Identity, nil // the edge knows the publisher, and let it speak on this topic
	}
	var refusal error
	if c.Verifier == nil {
		refusal = fedmsg.Refuse(fedmsg.Unsigned, "this bus has no CA to check signatures with, and takes no unsigned messages from %s", origin.Addr)
	} else {
		stamp, err := c.Verifier.Verify(ctx, m)
		if err == nil || !errors.Is(err, fedmsg.ErrUnsigned) {
			return stamp, err
		}
		refusal = err
	}
	if c.allowsUnsigned(origin.Addr) {
		return fedmsg.Unverified, nil
	}
	return "", refusal
}

func (c *GateConfig) allowsUnsigned(addr netip.Addr) bool {
	if !addr.IsValid() {
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return slices.ContainsFunc(c.AllowUnsigned, func(p netip.Prefix) bool { return p.Contains(addr.Unmap()) })
}

func (c *GateConfig) topic(t fedmsg.Topic) error {
	prefix := c.TopicPrefix
	if !t.Under(prefix) || t == prefix {
		return fedmsg.Refuse(fedmsg.TopicPrefix, "topic %s is not below %s, which this bus is for", t, prefix)
	}
	if prefix == "" || len(c.Environments) == 0 {
		return nil
	}
	word, _, _ := strings.Cut(string(t[len(prefix)+1:]), ".")
	if !slices.Contains(c.Environments, word) {
		return fedmsg.Refuse(fedmsg.WrongEnvironment, "topic %s is of the environment %q; this bus takes %s", t, word, strings.Join(c.Environments, ", "))
	}
	return nil
}

func (c *GateConfig) fresh(m *fedmsg.Message) error {
	now := c.Clock()
	if age := now.Sub(m.Time); c.MaxAge >= 0 && age > c.MaxAge {
		return fedmsg.Refuse(fedmsg.Stale, "the message is of %s, %s ago; at most %s are allowed", m.Time.Format(time.RFC3339), age.Round(time.Second), c.MaxAge)
	}
	if ahead := m.Time.Sub(now); c.MaxSkew >= 0 && ahead > c.MaxSkew {
		return fedmsg.Refuse(fedmsg.Future, "the message is of %s, ahead of our clock by more than %s; a timestamp is in seconds", m.Time.Format(time.RFC3339), c.MaxSkew)
	}
	return nil
}

// inParallel calls do for 0 to n-1, on all processors if that is worth it.
func inParallel(n int, do func(int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	if workers < 2 {
		for i := range n {
			do(i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			// One by one: a worker that has to give way to another goroutine must
			// not keep its share from the rest.
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
}
