package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
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

// A demo makes messages of what is made up.
type demo struct {
	world               *madeup.World
	prefix, environment string
	signer              fedmsg.Signer
	made                int
}

// message makes a message; it stays unsigned.
func (d *demo) message(said madeup.Said) (*fedmsg.Message, error) {
	d.made++
	service, what, _ := strings.Cut(said.Topic, ".")
	m, err := fedmsg.Draft{
		Topic: fedmsg.JoinTopic(d.prefix, d.environment, service, what),
		Body:  said.Body, ID: fedmsg.NewID(said.At), Time: said.At, User: "demo", Counter: d.made,
	}.Message()
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return m, nil
}

// demoDays is how far back the history goes that is made at the start.
const demoDays = 21

// fillPast puts some weeks into an empty log, as if they had passed the gate then: so
// everybody who reads the log has them, the archive too. They are not signed, which
// would take a while.
func (d *demo) fillPast(ctx context.Context, log fedmsg.Log, now time.Time) error {
	state, err := log.State(ctx)
	if err != nil || state.Last > 0 {
		return err
	}
	for part := range slices.Chunk(d.world.Past(now, demoDays), 1000) {
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

// traffic publishes about one message a second, signed, until ctx ends.
func (d *demo) traffic(gate fedmsg.Publisher, logger *slog.Logger) bus.Runner {
	return bus.RunnerFunc(func(ctx context.Context) error {
		for {
			said := d.world.Next()
			said.At = time.Now()
			m, err := d.message(said)
			if err != nil {
				return err
			}
			if m, err = d.signer.Sign(ctx, m); err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			if r := gate.Publish(ctx, m)[0]; r.Err != nil && ctx.Err() == nil {
				logger.WarnContext(ctx, "demo message not taken", "err", r.Err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Duration(150+rand.IntN(1500)) * time.Millisecond):
			}
		}
	})
}

// demoPrinter shows what passes: what it means to people, and below what it is.
func demoPrinter(log fedmsg.Reader, from fedmsg.Seq, words fedmsg.Describer, w io.Writer) bus.Runner {
	return bus.RunnerFunc(func(ctx context.Context) error {
		for e, err := range fedmsg.Each(log.Read(ctx, from)) {
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			fmt.Fprintf(w, "%s  %5d  %s\n                 %s  (%s)\n", e.At.Local().Format(time.TimeOnly), e.Seq,
				cleanLine(words.Describe(ctx, e.Message).Subtitle), e.Message.Topic, cleanLine(e.Verified))
		}
		return nil
	})
}

// demoGreeting tells a newcomer what is here and what to try.
func demoGreeting(w io.Writer, web, inbound, outbound string) {
	at := ""
	if web != defaultHTTP {
		at = " --bus http://" + web
	}
	fmt.Fprintf(w, `
  A message bus is running, with made-up messages on it. Look at it in a browser:

    http://%[1]s/

    HTTP          http://%[1]s/api/v1/messages   /api/v1/events   /metrics
    ZeroMQ in     %[2]s
    ZeroMQ out    %[3]s

  In a second terminal, try

    go run ./cmd/fedmsg tail --terse%[4]s
    go run ./cmd/fedmsg history category:bodhi karma after:2d%[4]s
    echo "Hello World." | go run ./cmd/fedmsg logger --modname=git --topic=repo.update%[4]s

  Stop it with Ctrl-C.

`, web, inbound, outbound, at)
}
