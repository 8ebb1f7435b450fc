package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
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

// demoTraffic publishes a few plausible messages a second, signed, until ctx
// ends. The same people and packages come back, so that there is something to
// filter for.
func demoTraffic(gate fedmsg.Publisher, signer fedmsg.Signer, prefix, environment string, logger *slog.Logger) bus.Runner {
	return bus.RunnerFunc(func(ctx context.Context) error {
		for i := 1; ; i++ {
			modname, topic, body := demoMessage()
			text, err := json.Marshal(body)
			if err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			m, err := fedmsg.Draft{
				Topic: fedmsg.JoinTopic(prefix, environment, modname, topic),
				Body:  text, ID: fedmsg.NewID(time.Now()), Time: time.Now(), User: "demo", Counter: i,
			}.Message()
			if err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			if m, err = signer.Sign(ctx, m); err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			if r := gate.Publish(ctx, m)[0]; r.Err != nil && ctx.Err() == nil {
				logger.WarnContext(ctx, "demo message not taken", "err", r.Err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Duration(150+rand.IntN(700)) * time.Millisecond):
			}
		}
	})
}

// demoMessage makes up what one of six services has to say.
func demoMessage() (modname, topic string, body map[string]any) {
	pick := func(from ...string) string { return from[rand.IntN(len(from))] }
	who := pick("alice", "bob", "carol", "dmitri", "eszter", "farid")
	pkg := pick("kernel", "vim", "python3", "golang", "bash", "firefox", "nethack", "guake")
	branch := pick("rawhide", "f43", "f44")
	version, release := fmt.Sprintf("%d.%d", 1+rand.IntN(9), rand.IntN(20)), fmt.Sprintf("%d.fc44", 1+rand.IntN(5))
	nvr := pkg + "-" + version + "-" + release
	build := 100000 + rand.IntN(900000)
	switch rand.IntN(6) {
	case 0:
		return "git", "receive", map[string]any{"agent": who, "commit": map[string]any{
			"username": who, "repo": pkg, "branch": branch, "namespace": "rpms", "summary": pick("New upstream release", "Fix the build on s390x", "Rebuild for new soname", "Drop an old patch"),
			"rev": fmt.Sprintf("%040x", rand.Uint64())}}
	case 1:
		return "buildsys", "build.state.change", map[string]any{"owner": who, "name": pkg, "build_id": build, "instance": "primary",
			"old": 0, "new": 1 + 2*rand.IntN(2), "version": version, "release": release}
	case 2:
		return "bodhi", "update.comment", map[string]any{"agent": who, "comment": map[string]any{
			"author": who, "karma": 1 - rand.IntN(3), "text": pick("Works for me", "Breaks my screen lock", "No regressions seen", "LGTM"),
			"update_title": nvr}}
	case 3:
		return "bodhi", "update.request." + pick("testing", "stable"), map[string]any{"agent": who, "update": map[string]any{
			"title": nvr, "status": "pending", "submitter": who}}
	case 4:
		return "copr", "build.end", map[string]any{"user": who, "owner": who, "copr": pkg + "-nightly", "build": build, "chroot": "fedora-44-x86_64",
			"pkg": pkg, "version": version + "-" + release, "status": 1, "what": fmt.Sprintf("build end: user:%s copr:%s-nightly build:%d", who, pkg, build)}
	default:
		return "wiki", "article.edit", map[string]any{"user": who, "title": pick("Changes/Faster boot", "SIGs/Go", "How to debug a build", "Fedora 44 schedule"),
			"minor_edit": rand.IntN(2) == 0}
	}
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
  A message bus is running, with made-up messages on it.

    HTTP          http://%[1]s/api/v1/messages   /api/v1/events   /metrics
    ZeroMQ in     %[2]s
    ZeroMQ out    %[3]s

  In a second terminal, try

    go run ./cmd/fedmsg tail --terse%[4]s
    go run ./cmd/fedmsg tail --really-pretty%[4]s
    echo "Hello World." | go run ./cmd/fedmsg logger --modname=git --topic=repo.update%[4]s

  Stop it with Ctrl-C.

`, web, inbound, outbound, at)
}
