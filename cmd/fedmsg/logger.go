package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/client"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/documents"
	"github.com/fedora-infra/fedmsg-go/x509"
)

// draftFlags say what to make messages of, as fedmsg-logger had it.
type draftFlags struct {
	busFlags
	Message    string
	JSONInput  bool
	Topic      string
	Modname    string
	CertPrefix string
	Cert, Key  string

	objectsOnly bool // of JSON input; else what is false in Python is {}
	done        func(client.Receipt) error
}

func newLoggerCommand(env environ) *cobra.Command {
	var d draftFlags
	cmd := &cobra.Command{
		Use:   "logger",
		Short: "Publish text or JSON under a topic",
		Long: `Publish text or JSON under PREFIX.ENVIRONMENT.MODNAME.TOPIC.

Without --message every line of standard input is a message, published as it
comes; with --json-input all of standard input is one. Text becomes {"log": TEXT}.
When the command ends without an error every message is on the bus's disk; over
tcp:// it is sent, and nobody confirms it.`,
		Example: `  echo "Hello World." | fedmsg logger --modname=git --topic=repo.update

  fedmsg logger --message="This is a message."

  fedmsg logger --message='{"a": 1}' --json-input

  tail -F /var/log/messages | fedmsg logger --topic=syslog --bus http://bus.example.org:8330`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if done, err := d.resolve(cmd.Flags(), env); done || err != nil {
				return err
			}
			return d.run(cmd.Context(), env)
		},
	}
	d.addDraft(cmd.Flags())
	d.add(cmd.Flags())
	return cmd
}

func (d *draftFlags) addDraft(f *pflag.FlagSet) {
	f.StringVar(&d.Message, "message", "", "publish TEXT instead of what comes from standard input")
	f.BoolVar(&d.JSONInput, "json-input", false, "take the text for JSON: the body of the message")
	f.StringVar(&d.Topic, "topic", "log", "WORDS of the topic after the modname")
	f.StringVar(&d.Modname, "modname", "logger", "WORD of the topic that names the publishing service")
	f.StringVar(&d.CertPrefix, "cert-prefix", "shell", "taken, and not used: the bus signs, or --cert does")
	d.addSigning(f)
}

func (d *draftFlags) addSigning(f *pflag.FlagSet) {
	f.StringVar(&d.Cert, "cert", "", "sign with the certificate in FILE")
	f.StringVar(&d.Key, "key", "", "key FILE for --cert")
}

// run publishes one message, or one for each line.
func (d *draftFlags) run(ctx context.Context, env environ) (err error) {
	if strings.ContainsAny(d.CertPrefix, "/\\\x00") || strings.Contains(d.CertPrefix, "..") {
		return fmt.Errorf("--cert-prefix: %q: must be a name, not a path: %w", d.CertPrefix, fedmsg.ErrInvalid)
	}
	signer, err := d.signer()
	if err != nil {
		return err
	}
	bus, err := d.open(ctx, env, signer)
	if err != nil {
		return err
	}
	sent := sentNote{env: env, flags: &d.busFlags}
	defer func() { err = errors.Join(err, bus.Close()); sent.tell() }()
	publish := func(text []byte) error {
		body, err := d.body(text)
		if err != nil {
			return err
		}
		limited, cancel := d.limit(ctx)
		defer cancel()
		r, err := bus.Publish(limited, d.Modname, d.Topic, body)
		if err == nil {
			sent.add(r)
			if d.done != nil {
				err = d.done(r)
			}
		}
		return err
	}
	switch {
	case d.Message != "":
		return publish([]byte(d.Message))
	case d.JSONInput:
		return d.whole(documents.Interruptible(ctx, env.stdin), publish)
	}
	return lines(documents.Interruptible(ctx, env.stdin), publish)
}

// signer returns what signs here, or nil.
func (d *draftFlags) signer() (fedmsg.Signer, error) {
	if (d.Cert == "") != (d.Key == "") {
		return nil, usageError{errors.New("--cert and --key belong together: one is missing")}
	}
	if d.Cert == "" {
		return nil, nil
	}
	signer, err := x509.NewSigner(d.Cert, d.Key)
	if err != nil && !is[*fs.PathError](err) {
		err = configError{err}
	}
	return signer, err
}

// body makes the body of a message.
func (d *draftFlags) body(text []byte) (json.RawMessage, error) {
	if !utf8.Valid(text) {
		return nil, fedmsg.Refuse(fedmsg.BadUTF8, "the text is not UTF-8; only text can be published")
	}
	if !d.JSONInput {
		log, err := json.Marshal(map[string]string{"log": string(text)})
		return log, err
	}
	if !d.objectsOnly {
		switch string(bytes.TrimSpace(text)) {
		case "null", "false", "[]", "0", `""`:
			return json.RawMessage("{}"), nil
		}
	}
	if _, err := fedmsg.DecodeObject(text); err != nil {
		return nil, &fedmsg.HintError{Err: err, Hint: `the body of a message is a JSON object: {"name": "value"}`}
	}
	return text, nil
}

// whole publishes all of r as one message.
func (d *draftFlags) whole(r io.Reader, publish func([]byte) error) error {
	text, err := io.ReadAll(io.LimitReader(r, fedmsg.MaxMessageSize+1))
	if err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	if len(text) == 0 {
		return nil
	}
	if len(text) > fedmsg.MaxMessageSize {
		return fmt.Errorf("standard input: %w", fedmsg.Refuse(fedmsg.TooLarge, "more than %d bytes", fedmsg.MaxMessageSize))
	}
	return publish(text)
}

// lines publishes each line of r as it comes, in order.
func lines(r io.Reader, publish func([]byte) error) error {
	buffered := bufio.NewReaderSize(r, fedmsg.MaxMessageSize)
	for n := 1; ; n++ {
		line, err := buffered.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("line %d: %w", n, fedmsg.Refuse(fedmsg.TooLarge, "more than %d bytes", fedmsg.MaxMessageSize))
		case err != nil && !errors.Is(err, io.EOF):
			return fmt.Errorf("line %d: standard input: %w", n, err)
		}
		last := err != nil
		if last && len(line) == 0 {
			return nil
		}
		if err := publish(bytes.TrimSpace(line)); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if last {
			return nil
		}
	}
}

// A sentNote tells in the end how many messages were published.
type sentNote struct {
	env                  environ
	flags                *busFlags
	confirmed, uncertain int
}

func (s *sentNote) add(r client.Receipt) {
	if r.Confirmed {
		s.confirmed++
	} else {
		s.uncertain++
	}
}

func (s *sentNote) tell() {
	if s.uncertain > 0 {
		fmt.Fprintf(s.env.stderr, "sent, not confirmed: %d to %s; ZeroMQ has no way to answer\n", s.uncertain, cleanLine(s.flags.URL))
	}
	if s.flags.Verbose && s.confirmed > 0 {
		fmt.Fprintf(s.env.stderr, "published: %d on the disk of %s\n", s.confirmed, cleanLine(s.flags.URL))
	}
}
