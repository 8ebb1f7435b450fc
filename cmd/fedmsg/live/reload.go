package live

import (
	"context"
	"iter"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/config"
)

// keys are what a running bus takes over; all others need a restart.
var keys = []string{
	"allow_unauthenticated_inbound", "ca_cert_location", "crl_location", "gpg_keyring", "legacy_sha1_certs", "log_level",
	"max_age", "max_clock_skew", "only_environments", "routing_nitpicky", "routing_policy", "routing_policy_file",
}

// A Reloader reads the configuration again when it is told to.
type Reloader struct {
	// Load reads and checks all that is said now.
	Load func() (*config.Loaded, error)
	// Prepare makes ready what of a configuration a running bus takes over, and returns
	// what puts it in force. Nothing is in force before.
	Prepare func(*config.Loaded) (apply func(), err error)
	// Hangup tells when to read.
	Hangup <-chan os.Signal
	Logger *slog.Logger

	current *config.Loaded
	failed  atomic.Bool
	at      atomic.Int64 // seconds since 1970; of the last that was taken over
}

// Run reads the configuration again for every signal until ctx ends.
func (r *Reloader) Run(ctx context.Context, current *config.Loaded) error {
	r.current = current
	r.at.Store(time.Now().Unix())
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.Hangup:
			r.reload(ctx)
		}
	}
}

// reload takes over a configuration, or nothing of it.
func (r *Reloader) reload(ctx context.Context) {
	next, err := r.Load()
	var apply func()
	if err == nil {
		apply, err = r.Prepare(next)
	}
	r.failed.Store(err != nil)
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			r.Logger.ErrorContext(ctx, "the configuration was read again and is wrong; that of before stays in force", "err", strings.TrimSpace(line))
		}
		return
	}
	changed := next.Changed(r.current)
	apply()
	r.current = next
	r.at.Store(time.Now().Unix())
	later := slices.DeleteFunc(slices.Clone(changed), func(key string) bool { return slices.Contains(keys, key) })
	r.Logger.InfoContext(ctx, "the configuration was read again", "changed", changed)
	if len(later) > 0 {
		r.Logger.WarnContext(ctx, "some of what changed needs a restart", "changed", later)
	}
}

// Samples yields how the last reading went.
func (r *Reloader) Samples() iter.Seq[fedmsg.Sample] {
	return func(yield func(fedmsg.Sample) bool) {
		well := 1.0
		if r.failed.Load() {
			well = 0
		}
		_ = yield(fedmsg.Sample{Name: "config_last_reload_successful", Value: well}) &&
			yield(fedmsg.Sample{Name: "config_last_reload_success_timestamp_seconds", Value: float64(r.at.Load())})
	}
}
