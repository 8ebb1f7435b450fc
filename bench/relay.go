package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/x509"
)

// probes is how many messages zpeer sends at most to see whether it is connected.
const probes = 100

// Figures of the original fedmsg 1.1.7, measured once on two cores of another
// machine; it needs a Python of its own and is not run here.
const (
	originalRelay = 17_000 // msg/s, keeps nothing
	originalHub   = 793    // msg/s, verifies signatures
)

// relay sends messages with libzmq through a real fedmsg serve and receives them
// with libzmq: in, verified, on disk, out. Beside it the least that a relay can
// be, twenty lines around libzmq that keep nothing.
func relay(ctx context.Context, l *lab) error {
	zpeer, err := l.compilePeer(ctx)
	if err != nil {
		return err
	}
	t := newTable(l.out, "Relay, 1 kB: libzmq PUB in, libzmq SUB out",
		"", "msg/s", "ours/that", "lost", "one way at 1,000/s: p50", "p99")
	defer t.flush()

	unsigned, err := messages(probes+100_000, 1024)
	if err != nil {
		return err
	}
	ours, err := l.relayThroughOurs(ctx, zpeer, unsigned)
	if err != nil {
		return fmt.Errorf("unsigned: %w", err)
	}
	theirs, err := l.relayThroughLibzmq(ctx, zpeer, unsigned)
	if err != nil {
		return fmt.Errorf("libzmq: %w", err)
	}
	show := func(name string, r, base relayed) {
		t.row(name, thousands(r.rate()), ratio(base.rate(), r.rate()), fmt.Sprint(r.fast.Sent-r.fast.Received), micros(r.paced.P50), micros(r.paced.P99))
	}
	quote := func(name string, rate float64, base relayed) {
		t.row(name, thousands(rate), ratio(base.rate(), rate), "", "", "")
	}
	show("ours, unsigned, on disk", ours, ours)
	show("a relay around libzmq, keeps nothing", theirs, ours)
	quote("the original's relay, keeps nothing (quoted)", originalRelay, ours)

	dir, err := l.fresh()
	if err != nil {
		return err
	}
	ca, cert, key, err := makeCA(dir)
	if err != nil {
		return err
	}
	signer, err := x509.NewSigner(cert, key)
	if err != nil {
		return err
	}
	signed, err := sign(ctx, signer, unsigned[:probes+15_000])
	if err != nil {
		return err
	}
	ours, err = l.relayThroughOurs(ctx, zpeer, signed, "--ca", ca)
	if err != nil {
		return fmt.Errorf("signed: %w", err)
	}
	show("ours, signed by RSA-2048, verified, on disk", ours, ours)
	quote("the original's validating hub (quoted)", originalHub, ours)
	return nil
}

// makeCA writes a CA and a certificate that it issued into dir.
func makeCA(dir string) (ca, cert, key string, err error) {
	const year = 365 * 24 * time.Hour
	caCert, caKey, err := x509.GenerateCA("fedmsg bench CA", year)
	if err != nil {
		return "", "", "", err
	}
	leaf, leafKey, err := x509.IssueCertificate(caCert, caKey, "bench.example", year)
	if err != nil {
		return "", "", "", err
	}
	ca, cert, key = filepath.Join(dir, "ca.crt"), filepath.Join(dir, "bench.crt"), filepath.Join(dir, "bench.key")
	return ca, cert, key, errors.Join(os.WriteFile(ca, caCert, 0o600), os.WriteFile(cert, leaf, 0o600), os.WriteFile(key, leafKey, 0o600))
}

// sign signs messages on all processors.
func sign(ctx context.Context, signer fedmsg.Signer, plain []*fedmsg.Message) ([]*fedmsg.Message, error) {
	signed := make([]*fedmsg.Message, len(plain))
	_, err := together(runtime.NumCPU(), len(plain), func(i int) (err error) {
		signed[i], err = signer.Sign(ctx, plain[i])
		return err
	})
	return signed, err
}

// oneWay is what zpeer tells of its messages.
type oneWay struct {
	Sent     int     `json:"sent"`
	Received int     `json:"received"`
	Seconds  float64 `json:"seconds"`
	P50      float64 `json:"p50_us"`
	P99      float64 `json:"p99_us"`
}

// relayed is a run with all messages at once, and one at 1,000 a second.
type relayed struct{ fast, paced oneWay }

func (r relayed) rate() float64 {
	if r.fast.Seconds <= 0 {
		return 0
	}
	return float64(r.fast.Received) / r.fast.Seconds
}

func (l *lab) relayThroughOurs(ctx context.Context, zpeer string, all []*fedmsg.Message, args ...string) (relayed, error) {
	dir, err := l.fresh()
	if err != nil {
		return relayed{}, err
	}
	s, err := l.serve(ctx, filepath.Join(dir, "bus"), args...)
	if err != nil {
		return relayed{}, err
	}
	defer s.stop()
	return l.relayThrough(ctx, zpeer, s.bound, all)
}

func (l *lab) relayThroughLibzmq(ctx context.Context, zpeer string, all []*fedmsg.Message) (relayed, error) {
	proxy, err := start(ctx, zpeer, "proxy", "tcp://127.0.0.1:*", "tcp://127.0.0.1:*")
	if err != nil {
		return relayed{}, err
	}
	defer proxy.stop()
	var at bound
	if err := proxy.next(5*time.Second, &at); err != nil {
		return relayed{}, err
	}
	return l.relayThrough(ctx, zpeer, at, all)
}

// relayThrough sends the last 3,100 messages at 1,000 a second and the others at
// once: an ID that was there already would not come out again.
func (l *lab) relayThrough(ctx context.Context, zpeer string, at bound, all []*fedmsg.Message) (r relayed, err error) {
	const paced = probes + 3000
	split := len(all) - paced
	for _, run := range []struct {
		messages []*fedmsg.Message
		rate     string
		into     *oneWay
	}{{all[:split], "0", &r.fast}, {all[split:], "1000", &r.paced}} {
		l.made++
		file := filepath.Join(l.dir, fmt.Sprintf("messages-%03d", l.made))
		if err := writeMessages(file, run.messages); err != nil {
			return r, err
		}
		peer, err := start(ctx, zpeer, "relay", string(at.RelayInbound), string(at.RelayOutbound), file, run.rate)
		if err != nil {
			return r, err
		}
		err = peer.next(60*time.Second, run.into)
		peer.stop()
		os.Remove(file)
		if err != nil {
			return r, err
		}
	}
	return r, nil
}
