package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
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
    go run ./cmd/fedmsg history package:kernel after:7d%[4]s
    echo "Hello World." | go run ./cmd/fedmsg logger --modname=git --topic=repo.update%[4]s

  Stop it with Ctrl-C.

`, web, inbound, outbound, at)
}
