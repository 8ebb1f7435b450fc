package main

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/madeup"
)

// fillTime is how long the door stays shut for the past of a demo; on a slow machine the
// rest of it follows.
const fillTime = 5 * time.Second

// buildDemo makes what the demo says, and has its past in the archive before anybody
// can look.
func (p *parts) buildDemo(ctx context.Context) error {
	if !p.cfg.Demo {
		return nil
	}
	d := madeup.Demo{World: madeup.New(rand.Uint64()), Prefix: p.cfg.TopicPrefix, Environment: p.cfg.Environment, Signer: p.signer}
	if err := d.FillPast(ctx, p.window, time.Now()); err != nil {
		return err
	}
	p.sources = append(p.sources, bus.RunnerFunc(func(ctx context.Context) error { return d.Run(ctx, p.gate, p.logger) }))
	if p.archive == nil {
		return nil
	}
	filling, cancel := context.WithTimeout(ctx, fillTime)
	defer cancel()
	if err := p.archive.Fill(filling); filling.Err() == nil {
		return err
	}
	return ctx.Err()
}
