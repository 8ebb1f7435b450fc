package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/madeup"
	"github.com/fedora-infra/fedmsg-go/x509"
)

// demoPublisher is the certificate name under which the demo speaks.
const demoPublisher = "demo.fedmsg.example"

// makeDemoCA writes a CA, its empty CRL and a certificate for [demoPublisher]
// into dir, and returns the three files that a bus is configured with.
func makeDemoCA(dir string) (ca, cert, key string, err error) {
	caCert, caKey, err := x509.GenerateCA("fedmsg demo CA", 30*24*time.Hour)
	if err != nil {
		return "", "", "", fmt.Errorf("demo: make a CA: %w", err)
	}
	leaf, leafKey, err := x509.IssueCertificate(caCert, caKey, demoPublisher, 30*24*time.Hour)
	if err != nil {
		return "", "", "", fmt.Errorf("demo: issue a certificate: %w", err)
	}
	for name, data := range map[string][]byte{"ca.crt": caCert, "demo.crt": leaf, "demo.key": leafKey} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return "", "", "", fmt.Errorf("demo: %w", err)
		}
	}
	return filepath.Join(dir, "ca.crt"), filepath.Join(dir, "demo.crt"), filepath.Join(dir, "demo.key"), nil
}

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
	return p.archive.Fill(ctx)
}
