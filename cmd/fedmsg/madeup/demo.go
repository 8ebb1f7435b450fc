package madeup

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Demo makes messages of what is made up.
type Demo struct {
	World *World
	// Prefix and Environment begin the topics.
	Prefix, Environment string
	Signer              fedmsg.Signer

	made int
}

// message makes a message; it stays unsigned.
func (d *Demo) message(said Said) (*fedmsg.Message, error) {
	d.made++
	service, what, _ := strings.Cut(said.Topic, ".")
	m, err := fedmsg.Draft{
		Topic: fedmsg.JoinTopic(d.Prefix, d.Environment, service, what),
		Body:  said.Body, ID: fedmsg.NewID(said.At), Time: said.At, User: "demo", Counter: d.made,
	}.Message()
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return m, nil
}

// pastDays is how far back the history goes that is made at the start.
const pastDays = 21

// FillPast puts some weeks into an empty log, as if they had passed the gate then: so
// everybody who reads the log has them, the archive too. They are not signed, which
// would take a while.
func (d *Demo) FillPast(ctx context.Context, log fedmsg.Log, now time.Time) error {
	state, err := log.State(ctx)
	if err != nil || state.Last > 0 {
		return err
	}
	for part := range slices.Chunk(d.World.Past(now, pastDays), 1000) {
		var batch []fedmsg.Entry
		for _, said := range part {
			m, err := d.message(said)
			if err != nil {
				return err
			}
			batch = append(batch, fedmsg.Entry{Verified: "token:demo", Message: m})
		}
		for _, r := range log.Append(ctx, batch...) {
			if r.Err != nil {
				return fmt.Errorf("demo: %w", r.Err)
			}
		}
	}
	return nil
}

// Run publishes about one message a second, signed, until ctx ends. See
// [fedmsg.Source].
func (d *Demo) Run(ctx context.Context, p fedmsg.Publisher, logger *slog.Logger) error {
	for {
		said := d.World.Next()
		said.At = time.Now()
		m, err := d.message(said)
		if err != nil {
			return err
		}
		if m, err = d.Signer.Sign(ctx, m); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		if r := p.Publish(ctx, m)[0]; r.Err != nil && ctx.Err() == nil {
			logger.WarnContext(ctx, "demo message not taken", "err", r.Err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Duration(150+rand.IntN(1500)) * time.Millisecond):
		}
	}
}
