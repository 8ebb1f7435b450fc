package x509

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Config says what signatures are good. Only CA is required.
type Config struct {
	// CA is a PEM file; its first certificate, a self-signed root, is trusted.
	CA string

	// CRL is a PEM file with the CA's revocation list. Default: nothing is
	// revoked. A list that is named, and cannot be read or has expired, lets
	// nothing pass.
	CRL string

	// CRLGrace is for how long an expired list still counts. Default: not at all.
	CRLGrace time.Duration

	// Policy says which CN may sign for which topic.
	Policy fedmsg.Policy

	// Backends are the values of the field crypto that are accepted, of "x509" and
	// "gpg". Messages of the second are refused by this package in any case.
	// Default: x509.
	Backends []string

	// LegacySHA1 accepts certificates and lists signed with SHA-1, and keys of
	// less than 2048 bits, down to 1024.
	LegacySHA1 bool

	// Faithful gives the verdict of fedmsg 1.x, accidents included. For history;
	// never for what comes in now.
	Faithful bool

	// ReloadEvery is how often the files are looked at for changes. Default 5s.
	ReloadEvery time.Duration

	// Clock says at what time certificates and lists are judged. Default:
	// [time.Now].
	Clock func() time.Time
}

// Validate reports everything that is wrong with c, joined, or nil.
func (c Config) Validate() error {
	var errs []error
	if c.CA == "" {
		errs = append(errs, errors.New("ca: required"))
	}
	for _, b := range c.Backends {
		if b != backendX509 && b != backendGPG {
			errs = append(errs, fmt.Errorf("backends: %q is neither x509 nor gpg", b))
		}
	}
	if c.CRLGrace < 0 {
		errs = append(errs, fmt.Errorf("crl-grace: must not be negative, is %s", c.CRLGrace))
	}
	if c.ReloadEvery < 0 {
		errs = append(errs, fmt.Errorf("reload-every: must not be negative, is %s", c.ReloadEvery))
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	c.ReloadEvery = cmp.Or(c.ReloadEvery, reloadEvery)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if len(c.Backends) == 0 {
		c.Backends = []string{backendX509}
	}
	return c
}

// The values of the field crypto.
const (
	backendX509 = "x509"
	backendGPG  = "gpg"
)

// reloadEvery is how often files are looked at for changes: revocation is to
// work within seconds, and two calls of stat cost nothing.
const reloadEvery = 5 * time.Second

// Verdict is what a good signature proves.
type Verdict struct {
	// Signer is the first CN of the certificate.
	Signer string
	// Serial is the certificate's serial number, decimal.
	Serial string
	// NotAfter is when the certificate ends.
	NotAfter time.Time
}

// Verifier judges signatures. It implements [fedmsg.Verifier] and may be used by
// several goroutines at once.
type Verifier struct {
	cfg    Config
	logger *slog.Logger
	decode func(base64 string) ([]byte, error)
	trust  atomic.Pointer[trust]
	loads  atomic.Uint64
	failed atomic.Uint64
	took   *fedmsg.Histogram
}

var _ fedmsg.Verifier = (*Verifier)(nil)

// NewVerifier reads the files. A CA that cannot be used is an error with a hint,
// and a refusal if it can be read; a CRL that cannot be used is logged, and then
// nothing passes. logger may be nil. Run must be called to take note of changed
// files.
func NewVerifier(cfg Config, logger *slog.Logger) (*Verifier, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("x509: %w", err)
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	v := &Verifier{cfg: cfg.withDefaults(), logger: logger, decode: decodeStrict, took: fedmsg.NewHistogram("signature_verify_duration_seconds")}
	if cfg.Faithful {
		v.decode = DecodeBase64
	}
	t, err := v.load()
	if err != nil {
		return nil, fmt.Errorf("x509: %w", err)
	}
	if err := t.problem(); err != nil {
		v.failed.Add(1)
		logger.Error("the revocation list cannot be used; signed messages are refused", "err", err)
	}
	v.trust.Store(t)
	return v, nil
}

// Verify judges a message; see [fedmsg.Verifier]. The stamp is "x509:" and the
// signer's CN.
func (v *Verifier) Verify(ctx context.Context, m *fedmsg.Message) (string, error) {
	verdict, err := v.Check(ctx, m)
	if err != nil {
		return "", err
	}
	return "x509:" + verdict.Signer, nil
}

// Check judges a message at the time of Config.Clock. The error is a
// [fedmsg.Refusal]; the verdict is empty then, unless the signature is good and
// only the policy is against it.
func (v *Verifier) Check(ctx context.Context, m *fedmsg.Message) (Verdict, error) {
	return v.CheckAt(ctx, m, v.cfg.Clock())
}

// CheckAt judges a message as of another time, such as its own: then certificates
// must have been valid, and the revocation list must not have ended. Revocation
// itself counts whenever it came, since who stole a key can date a message back.
func (v *Verifier) CheckAt(_ context.Context, m *fedmsg.Message, asOf time.Time) (Verdict, error) {
	defer func(start time.Time) { v.took.Observe(time.Since(start)) }(time.Now())
	verdict, err := v.authenticate(m, asOf)
	if err != nil {
		return Verdict{}, err
	}
	return verdict, v.cfg.Policy.Allow(m.Topic, verdict.Signer)
}

// ValidateSignedBy judges a message, and whether name signed it. The routing
// policy does not matter then.
func (v *Verifier) ValidateSignedBy(_ context.Context, m *fedmsg.Message, name string) error {
	verdict, err := v.authenticate(m, v.cfg.Clock())
	if err == nil && verdict.Signer != name {
		err = fedmsg.Refuse(fedmsg.NotAuthorized, "signed by %q, not by %q", verdict.Signer, name)
	}
	return err
}

// authenticate finds out who signed.
func (v *Verifier) authenticate(m *fedmsg.Message, asOf time.Time) (Verdict, error) {
	certificate, signature, err := v.credentials(m)
	if err != nil {
		return Verdict{}, err
	}
	t := v.trust.Load()
	l := t.leaves.get(certificate, func() *leaf { return v.newLeaf(t, certificate) })
	if err := t.judge(l, asOf, v.cfg.Clock(), v.cfg.CRLGrace); err != nil {
		return Verdict{}, err
	}
	sig, err := v.decode(signature)
	if err != nil {
		return Verdict{}, fedmsg.RefuseField(fedmsg.BadField, "signature", "is not base64")
	}
	sum := sha1.Sum(m.AppendSigned(make([]byte, 0, len(m.Bytes()))))
	if err := rsa.VerifyPKCS1v15(l.key, crypto.SHA1, sum[:], sig); err != nil {
		return Verdict{}, fedmsg.Refuse(fedmsg.BadSignature, "the signature of %q does not fit the message", l.name)
	}
	return Verdict{Signer: l.name, Serial: l.serial, NotAfter: l.notAfter}, nil
}

// credentials returns the certificate, as JSON text, and the signature of a
// message, once it is clear that they are meant for this package.
func (v *Verifier) credentials(m *fedmsg.Message) (certificate json.RawMessage, signature string, err error) {
	fields := m.Fields("topic", "signature", "certificate", "crypto")
	topic, rawSignature, rawCertificate, rawCrypto := fields[0], fields[1], fields[2], fields[3]
	if len(topic) > 0 && (topic[0] == '[' || topic[0] == '{') {
		return nil, "", fedmsg.RefuseField(fedmsg.BadField, "topic", "must be a string")
	}
	if rawSignature == nil && rawCertificate == nil {
		return nil, "", fedmsg.Refuse(fedmsg.Unsigned, "the message has neither signature nor certificate")
	}
	backend := backendX509
	if rawCrypto != nil {
		var ok bool
		if backend, ok = fedmsg.DecodeString(rawCrypto); !ok {
			return nil, "", fedmsg.RefuseField(fedmsg.CryptoBackend, "crypto", "is no string")
		}
	} else if rawCertificate == nil {
		backend = backendGPG // as the original guesses
	}
	if backend != backendX509 || !slices.Contains(v.cfg.Backends, backend) {
		return nil, "", fedmsg.RefuseField(fedmsg.CryptoBackend, "crypto", "%q is not accepted here", backend)
	}
	if rawSignature == nil {
		return nil, "", fedmsg.RefuseField(fedmsg.MissingField, "signature", "a signed message has it")
	}
	if rawCertificate == nil {
		return nil, "", fedmsg.RefuseField(fedmsg.MissingField, "certificate", "a signed message has it")
	}
	signature, ok := fedmsg.DecodeString(rawSignature)
	if !ok {
		return nil, "", fedmsg.RefuseField(fedmsg.BadField, "signature", "must be a string")
	}
	return rawCertificate, signature, nil
}

// Loads returns how often the files were read.
func (v *Verifier) Loads() uint64 { return v.loads.Load() }

// Samples yields the ends of certificates, verification times and readings.
func (v *Verifier) Samples() iter.Seq[fedmsg.Sample] {
	return fedmsg.Meters{v.took, fedmsg.MeterFunc(func(yield func(fedmsg.Sample) bool) {
		t := v.trust.Load()
		samples := []fedmsg.Sample{
			{Name: "cert_not_after_timestamp_seconds", Labels: []string{"name", "ca"}, Value: float64(t.ca.NotAfter.Unix())},
			{Name: "trust_loads_total", Value: float64(v.loads.Load())},
			{Name: "trust_load_failures_total", Value: float64(v.failed.Load())},
		}
		if t.crl != nil && !t.crl.nextUpdate.IsZero() {
			samples = append(samples, fedmsg.Sample{Name: "crl_next_update_timestamp_seconds", Value: float64(t.crl.nextUpdate.Unix())})
		}
		for _, s := range samples {
			if !yield(s) {
				return
			}
		}
	})}.Samples()
}
