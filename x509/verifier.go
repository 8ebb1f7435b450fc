package x509

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
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

	// Backends are the values of the field crypto that are accepted. This
	// package can verify "x509", the default.
	Backends []string

	// LegacySHA1 accepts certificates and lists signed with SHA-1, and keys of
	// less than 2048 bits.
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
	trust  atomic.Pointer[trust]
	loads  atomic.Uint64
	failed atomic.Uint64
	took   *fedmsg.Histogram
}

var _ fedmsg.Verifier = (*Verifier)(nil)

// trust is what one reading of the files gave.
type trust struct {
	ca     *x509.Certificate
	crl    *crl  // nil without one
	crlErr error // the list that was asked for cannot be had
	caErr  error // the CA itself proves nothing
	stamps [2]stamp
	leaves cache
}

// NewVerifier reads the files. A CA that cannot be read is an error; a CRL that
// cannot is logged, and then nothing passes. logger may be nil.
func NewVerifier(cfg Config, logger *slog.Logger) (*Verifier, error) {
	cfg.ReloadEvery = cmp.Or(cfg.ReloadEvery, 5*time.Second)
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if len(cfg.Backends) == 0 {
		cfg.Backends = []string{"x509"}
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	v := &Verifier{cfg: cfg, logger: logger, took: fedmsg.NewHistogram("signature_verify_duration_seconds")}
	t, err := v.load()
	if err != nil {
		return nil, fmt.Errorf("x509: %w", err)
	}
	if t.crlErr != nil {
		logger.Error("the revocation list cannot be used; signed messages are refused", "err", t.crlErr)
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
// [fedmsg.Refusal].
func (v *Verifier) Check(ctx context.Context, m *fedmsg.Message) (Verdict, error) {
	return v.CheckAt(ctx, m, v.cfg.Clock())
}

// CheckAt judges a message as it would have been judged at another time.
func (v *Verifier) CheckAt(_ context.Context, m *fedmsg.Message, at time.Time) (Verdict, error) {
	defer func(start time.Time) { v.took.Observe(time.Since(start)) }(time.Now())
	verdict, err := v.authenticate(m, at)
	if err != nil {
		return Verdict{}, err
	}
	if err := v.cfg.Policy.Allow(m.Topic, verdict.Signer); err != nil {
		return Verdict{}, err
	}
	return verdict, nil
}

// ValidateSignedBy judges a message, and whether name signed it; the routing
// policy does not matter then.
func (v *Verifier) ValidateSignedBy(_ context.Context, m *fedmsg.Message, name string) error {
	verdict, err := v.authenticate(m, v.cfg.Clock())
	if err == nil && verdict.Signer != name {
		err = fedmsg.Refuse(fedmsg.NotAuthorized, "signed by %q, not by %q", verdict.Signer, name)
	}
	return err
}

// authenticate finds out who signed.
func (v *Verifier) authenticate(m *fedmsg.Message, at time.Time) (Verdict, error) {
	certificate, signature, err := v.credentials(m)
	if err != nil {
		return Verdict{}, err
	}
	t := v.trust.Load()
	if t.caErr != nil {
		return Verdict{}, t.caErr
	}
	l := t.leaves.get(sha256.Sum256(certificate), func() *leaf { return v.newLeaf(t, certificate) })
	if err := t.judge(l, at, v.cfg.CRLGrace); err != nil {
		return Verdict{}, err
	}
	sig, err := DecodeBase64(signature)
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
	backend := "x509"
	if rawCrypto != nil {
		var ok bool
		if backend, ok = fedmsg.DecodeString(rawCrypto); !ok {
			return nil, "", fedmsg.RefuseField(fedmsg.CryptoBackend, "crypto", "is no string")
		}
	} else if rawCertificate == nil {
		backend = "gpg" // as the original guesses
	}
	if backend != "x509" || !slices.Contains(v.cfg.Backends, backend) {
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

// leaf is what a certificate field proved to be. What depends on the time is
// judged anew at each use.
type leaf struct {
	err                 error
	key                 *rsa.PublicKey
	name, serial        string
	notBefore, notAfter time.Time
}

// newLeaf does all of the chain check that does not depend on the time.
func (v *Verifier) newLeaf(t *trust, field json.RawMessage) *leaf {
	fail := func(err error) *leaf { return &leaf{err: err} }
	dressed, ok := fedmsg.DecodeString(field)
	if !ok {
		return fail(fedmsg.RefuseField(fedmsg.BadField, "certificate", "must be a string"))
	}
	text, err := DecodeBase64(dressed)
	if err != nil {
		return fail(fedmsg.RefuseField(fedmsg.BadCert, "certificate", "is not base64"))
	}
	strict := !v.cfg.Faithful
	c, err := parseLeaf(text, strict)
	if err != nil {
		return fail(err)
	}
	if !bytes.Equal(c.RawIssuer, t.ca.RawSubject) {
		return fail(fedmsg.Refuse(fedmsg.CertUntrusted, "the certificate was not issued by the CA"))
	}
	if err := checkSigned(t.ca.PublicKey, c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature, v.cfg.LegacySHA1); err != nil {
		return fail(err)
	}
	if len(c.UnhandledCriticalExtensions) > 0 {
		return fail(fedmsg.Refuse(fedmsg.CertUntrusted, "the certificate has an unknown critical extension"))
	}
	if strict && c.IsCA {
		return fail(fedmsg.Refuse(fedmsg.CertIsCA, "a CA's certificate signs certificates, not messages"))
	}
	name, err := signerName(c, strict)
	if err != nil {
		return fail(err)
	}
	key, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok {
		return fail(fedmsg.Refuse(fedmsg.CertKey, "the certificate's key is %s; fedmsg signs with RSA", c.PublicKeyAlgorithm))
	}
	if !v.cfg.LegacySHA1 && key.N.BitLen() < minBits {
		return fail(fedmsg.Refuse(fedmsg.CertWeak, "the certificate's key has %d bits, at least %d are needed", key.N.BitLen(), minBits))
	}
	return &leaf{key: key, name: name, serial: c.SerialNumber.String(), notBefore: c.NotBefore, notAfter: c.NotAfter}
}

// judge does the rest.
func (t *trust) judge(l *leaf, at time.Time, grace time.Duration) error {
	switch {
	case l.err != nil:
		return l.err
	case at.After(t.ca.NotAfter) || at.Before(t.ca.NotBefore):
		return fedmsg.Refuse(fedmsg.CertUntrusted, "the CA's own certificate is not valid at this time")
	case at.After(l.notAfter):
		return fedmsg.Refuse(fedmsg.CertExpired, "the certificate of %q ended at %s", l.name, l.notAfter.UTC().Format(time.RFC3339))
	case at.Before(l.notBefore):
		return fedmsg.Refuse(fedmsg.CertNotYetValid, "the certificate of %q begins at %s", l.name, l.notBefore.UTC().Format(time.RFC3339))
	case t.crlErr != nil:
		return t.crlErr
	case t.crl == nil:
		return nil
	}
	if err := t.crl.check(at, grace); err != nil {
		return err
	}
	if t.crl.revoked[t.ca.SerialNumber.String()] {
		return fedmsg.Refuse(fedmsg.CertRevoked, "the CA's own certificate is revoked")
	}
	if t.crl.revoked[l.serial] {
		return fedmsg.Refuse(fedmsg.CertRevoked, "the certificate of %q is revoked", l.name)
	}
	return nil
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

// cacheSize bounds how many certificates are remembered: twice as many, since
// there are two generations.
const cacheSize = 2048

// cache remembers the leaves of one trust, good and bad. When the young
// generation is full it becomes the old one; what is still used comes back.
type cache struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]*leaf
}

func (c *cache) get(key [sha256.Size]byte, fresh func() *leaf) *leaf {
	c.mu.Lock()
	l, ok := c.young[key]
	if !ok {
		if l, ok = c.old[key]; ok {
			c.put(key, l)
		}
	}
	c.mu.Unlock()
	if ok {
		return l
	}
	l = fresh()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(key, l)
	return l
}

func (c *cache) put(key [sha256.Size]byte, l *leaf) {
	if c.young == nil || len(c.young) >= cacheSize {
		c.young, c.old = make(map[[sha256.Size]byte]*leaf), c.young
	}
	c.young[key] = l
}

// caError says what a CA file should be.
func caError(file string, err error) error {
	return &fedmsg.HintError{
		Err:  fmt.Errorf("ca: %s: %w", file, err),
		Hint: "it must be a PEM file whose first certificate is a self-signed root",
	}
}
