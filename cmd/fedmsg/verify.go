package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/config"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/documents"
	"github.com/fedora-infra/fedmsg-go/gpg"
	"github.com/fedora-infra/fedmsg-go/x509"
)

// verifyFlags say what signatures are good, and when.
type verifyFlags struct {
	CA, CRL, Policy string
	GPGKeyring      string
	Nitpicky        bool
	LegacySHA1      bool
	Faithful        bool
	At              string

	moment time.Time // of At, unless that is "message"
}

// A verdict is what is printed for one message.
type verdict struct {
	Valid  bool   `json:"valid"`
	Reason string `json:"reason"`
	Signer string `json:"signer"`
	ID     string `json:"id"`
	Detail string `json:"detail"`
}

func newVerify(env environ) *cobra.Command {
	var v verifyFlags
	cmd := &cobra.Command{
		Use:   "verify --ca FILE [MESSAGES...]",
		Short: "Tell whether messages are well signed, and by whom",
		Long: `Read whole messages from files or standard input and print one JSON object for each:
valid, reason (one of the stable words that the bus refuses with), signer, id and
detail. Exits with 0 if all are valid, 65 if one is not.`,
		Example: `  fedmsg verify --ca ca.crt --crl crl.pem messages.jsonl

  # GnuPG signs the body of a message and nothing else of it
  fedmsg verify --gpg-keyring keyring.asc messages.jsonl

  # as they would have been judged when they were sent
  fedmsg tail --json --after 0 --until-now | jq -c .message | fedmsg verify --ca ca.crt --at message`,
		RunE: func(cmd *cobra.Command, files []string) error {
			if err := v.resolve(); err != nil {
				return err
			}
			return v.run(cmd.Context(), env, files)
		},
	}
	f := cmd.Flags()
	f.StringVar(&v.CA, "ca", "", "trust the CA whose certificate is in FILE")
	f.StringVar(&v.CRL, "crl", "", "refuse the certificates that the list in FILE revokes")
	f.StringVar(&v.GPGKeyring, "gpg-keyring", "", "take signatures of the GnuPG keys in FILE, which cover the body alone")
	f.StringVar(&v.Policy, "policy", "", "routing policy FILE: a JSON object of topics and the names that may sign for them")
	f.BoolVar(&v.Nitpicky, "nitpicky", false, "refuse topics that the routing policy does not name")
	f.StringVar(&v.At, "at", "now", "judge as of TIME: now, a date, or message for the time in each message")
	f.BoolVar(&v.LegacySHA1, "legacy-sha1-certs", false, "accept certificates signed with SHA-1, and keys of 1024 bits")
	f.BoolVar(&v.Faithful, "faithful", false, "give the verdict of fedmsg 1.x, accidents included; for history")
	return cmd
}

func (v *verifyFlags) resolve() (err error) {
	if v.CA == "" && v.GPGKeyring == "" {
		return usageError{errors.New("--ca: name the certificate that is trusted, or a --gpg-keyring")}
	}
	switch v.At {
	case "message":
	case "now":
		v.moment = time.Now()
	default:
		if v.moment, err = parseTime(v.At); err != nil {
			return usageError{fmt.Errorf("--at: %w", err)}
		}
	}
	return nil
}

func (v *verifyFlags) run(ctx context.Context, env environ, files []string) (err error) {
	var routing map[string][]string
	if v.Policy != "" {
		if routing, err = config.ReadPolicy(v.Policy); err != nil {
			return configError{fmt.Errorf("--policy: %w", err)}
		}
	}
	policy := asPolicy(routing, v.Nitpicky)
	verifier, err := v.verifiers(policy, slog.New(slog.NewTextHandler(env.stderr, nil)))
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(output{env.stdout}, 64<<10)
	defer func() { err = cmp.Or(err, out.Flush()) }()
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	all, bad := 0, 0
	for doc, err := range documents.Read(ctx, env.stdin, files, true) {
		if err != nil {
			return err
		}
		judged := v.judge(ctx, verifier, doc.Text)
		if all++; !judged.Valid {
			bad++
		}
		if err := encoder.Encode(judged); err != nil {
			return err
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d messages are not valid: %w", bad, all, fedmsg.ErrInvalid)
	}
	return nil
}

// judge gives the verdict on one message.
func (v *verifyFlags) judge(ctx context.Context, verifier verifiers, text []byte) verdict {
	decode := fedmsg.Decode
	if v.Faithful {
		decode = fedmsg.DecodeHistory
	}
	m, err := decode(text)
	if err != nil {
		return verdict{Reason: string(fedmsg.ReasonOf(err)), Detail: cleanLine(err.Error())}
	}
	at := v.moment
	if v.At == "message" {
		at = m.Time
	}
	signer, err := verifier.check(ctx, m, at)
	if err != nil {
		return verdict{Reason: string(cmp.Or(fedmsg.ReasonOf(err), fedmsg.BadSignature)), ID: m.ID, Detail: cleanLine(err.Error())}
	}
	return verdict{Valid: true, Signer: signer, ID: m.ID}
}

// verifiers judge signatures, each those of its kind; one may be nil.
type verifiers struct {
	x509 *x509.Verifier
	gpg  *gpg.Verifier
}

// verifiers makes what the flags ask for.
func (v *verifyFlags) verifiers(policy fedmsg.Policy, logger *slog.Logger) (both verifiers, err error) {
	if v.CA != "" {
		both.x509, err = x509.NewVerifier(x509.Config{
			CA: v.CA, CRL: v.CRL, Policy: policy, LegacySHA1: v.LegacySHA1, Faithful: v.Faithful,
		}, logger)
	}
	if v.GPGKeyring != "" && err == nil {
		both.gpg, err = gpg.NewVerifier(gpg.Config{Keyring: v.GPGKeyring, Policy: policy, Faithful: v.Faithful}, logger)
	}
	return both, err
}

// check returns who signed a message.
func (both verifiers) check(ctx context.Context, m *fedmsg.Message, at time.Time) (string, error) {
	switch {
	case both.gpg != nil && both.gpg.Concerns(m):
		good, err := both.gpg.CheckAt(ctx, m, at)
		return gpg.Stamp + good.Fingerprint, err
	case both.x509 == nil:
		return both.gpg.Verify(ctx, m) // it says what is missing
	}
	good, err := both.x509.CheckAt(ctx, m, at)
	return good.Signer, err
}
