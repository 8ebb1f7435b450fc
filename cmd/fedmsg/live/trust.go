// Package live is what of a running bus can be configured anew: who may say what, what
// the gate lets in, how much is told.
package live

import (
	"context"
	"iter"
	"log/slog"
	"sync"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/gpg"
	"github.com/fedora-infra/fedmsg-go/x509"
)

// TrustConfig says whom a bus believes.
type TrustConfig struct {
	CA, CRL    string // files; without a CA no certificate is believed
	LegacySHA1 bool
	GPGKeyring string // file; empty for none
	Policy     fedmsg.Policy
}

// A judge is a verifier of one kind of signatures, which looks after its files.
type judge interface {
	fedmsg.Verifier
	Run(ctx context.Context) error
}

// Trust judges signatures by files that others can take the place of while it does.
type Trust struct {
	logger *slog.Logger

	mu      sync.RWMutex
	ctx     context.Context // of Run; nil before and after
	believe beliefs
	running sync.WaitGroup
}

// beliefs are those of one configuration.
type beliefs struct {
	outermost fedmsg.Verifier // nil: nobody is believed
	judges    []judge
	stop      context.CancelFunc // of the judges that run
}

var _ fedmsg.Verifier = (*Trust)(nil)

// NewTrust reads the files. Run must be called to take note of changed ones.
func NewTrust(cfg TrustConfig, logger *slog.Logger) (*Trust, error) {
	t := &Trust{logger: logger}
	made, err := t.make(cfg)
	if err != nil {
		return nil, err
	}
	t.believe = made
	return t, nil
}

func (t *Trust) make(cfg TrustConfig) (made beliefs, err error) {
	if cfg.CA != "" {
		v, err := x509.NewVerifier(x509.Config{CA: cfg.CA, CRL: cfg.CRL, Policy: cfg.Policy, LegacySHA1: cfg.LegacySHA1}, t.logger)
		if err != nil {
			return made, err
		}
		made.outermost, made.judges = v, append(made.judges, v)
	}
	if cfg.GPGKeyring != "" {
		v, err := gpg.NewVerifier(gpg.Config{Keyring: cfg.GPGKeyring, Policy: cfg.Policy, Others: made.outermost}, t.logger)
		if err != nil {
			return made, err
		}
		made.outermost, made.judges = v, append(made.judges, v)
	}
	return made, nil
}

// Believes reports whether there is anybody to believe.
func (t *Trust) Believes() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.believe.outermost != nil
}

// Prepare reads the files of another configuration, and returns what puts it in force.
func (t *Trust) Prepare(cfg TrustConfig) (apply func(), err error) {
	made, err := t.make(cfg)
	if err != nil {
		return nil, err
	}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.believe.stop != nil {
			t.believe.stop()
		}
		t.believe = made
		t.start()
	}, nil
}

// start runs the judges, if Run has been called. It is called with mu held.
func (t *Trust) start() {
	if t.ctx == nil {
		return
	}
	var ctx context.Context
	ctx, t.believe.stop = context.WithCancel(t.ctx)
	for _, j := range t.believe.judges {
		t.running.Go(func() {
			if err := j.Run(ctx); err != nil {
				t.logger.ErrorContext(ctx, "files of keys are not looked after any more; restart the bus", "err", err)
			}
		})
	}
}

// Run takes note of changed files until ctx ends.
func (t *Trust) Run(ctx context.Context) error {
	t.mu.Lock()
	t.ctx = ctx
	t.start()
	t.mu.Unlock()
	<-ctx.Done()
	t.mu.Lock()
	t.ctx = nil
	t.mu.Unlock()
	t.running.Wait()
	return nil
}

// Verify judges by the configuration in force. See [fedmsg.Verifier].
func (t *Trust) Verify(ctx context.Context, m *fedmsg.Message) (string, error) {
	t.mu.RLock()
	v := t.believe.outermost
	t.mu.RUnlock()
	if v == nil {
		return "", fedmsg.ErrUnsigned
	}
	return v.Verify(ctx, m)
}

// Samples yields what is measured of the judges.
func (t *Trust) Samples() iter.Seq[fedmsg.Sample] {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var meters fedmsg.Meters
	for _, j := range t.believe.judges {
		if m, ok := j.(fedmsg.Meter); ok {
			meters = append(meters, m)
		}
	}
	return meters.Samples()
}
