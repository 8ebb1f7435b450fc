package gpg

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Stamp is what stands before the fingerprint in [fedmsg.Entry.Verified].
const Stamp = "gpg-body-only:"

// Config says what signatures are good. Only Keyring is required.
type Config struct {
	// Keyring is a file of public keys, armored or not. All of them may sign.
	Keyring string

	// Policy is the routing policy. Topics that it names, and if it is nitpicky all
	// others, are closed to messages of which only the body is signed.
	Policy fedmsg.Policy

	// Others judges the messages that are not signed with GnuPG. Default: the unsigned
	// are refused as such, and the rest for its field crypto.
	Others fedmsg.Verifier

	// MaxAge is how old a signature may be, and MaxSkew how far ahead of our clock, by
	// its own time; without them who has a signed body can send it again for ever, under
	// a new time and ID. Defaults: 24h and 5m; -1 is no limit.
	MaxAge  time.Duration
	MaxSkew time.Duration

	// Faithful takes what fedmsg 1.x took: weak keys and hashes, armored signatures, a
	// signature without the field crypto, signatures of any age. Keys are judged as of
	// the signature's own time. For history; never for what comes in now.
	Faithful bool

	// ReloadEvery is how often the file is looked at for changes. Default 5s.
	ReloadEvery time.Duration

	// Clock says at what time keys are judged. Default: [time.Now].
	Clock func() time.Time
}

// Validate reports everything that is wrong with c, joined, or nil.
func (c Config) Validate() error {
	var errs []error
	if c.Keyring == "" {
		errs = append(errs, errors.New("keyring: required"))
	}
	if c.ReloadEvery < 0 {
		errs = append(errs, fmt.Errorf("reload-every: must not be negative, is %s", c.ReloadEvery))
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	c.MaxAge = cmp.Or(c.MaxAge, 24*time.Hour)
	c.MaxSkew = cmp.Or(c.MaxSkew, 5*time.Minute)
	c.ReloadEvery = cmp.Or(c.ReloadEvery, 5*time.Second)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return c
}

// Verdict is what a good signature proves: that the key's owner signed this body.
type Verdict struct {
	// Fingerprint is that of the signer's primary key, in upper case, as gpg prints it.
	Fingerprint string
	// UserID is the key's primary user ID, by the word of its owner.
	UserID string
	// SignedAt is the time of the signature, by the signer's clock.
	SignedAt time.Time
}

// A ring is what one reading of the file gave.
type ring struct {
	keys  map[uint64][]key
	stamp stamp
}

// stamp tells whether a file has changed.
type stamp struct {
	modified time.Time
	size     int64
}

// Verifier judges GnuPG signatures. It implements [fedmsg.Verifier] and may be used by
// several goroutines at once.
type Verifier struct {
	cfg    Config
	logger *slog.Logger
	ring   atomic.Pointer[ring]
	parse  func([]byte) ([]*packet.Signature, error)
}

var _ fedmsg.Verifier = (*Verifier)(nil)

// NewVerifier reads the keyring. logger may be nil. Run must be called to take note of
// a changed file.
func NewVerifier(cfg Config, logger *slog.Logger) (*Verifier, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("gpg: %w", err)
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	v := &Verifier{cfg: cfg.withDefaults(), logger: logger, parse: parseSignatures}
	if err := v.load(); err != nil {
		return nil, fmt.Errorf("gpg: keyring: %w", err)
	}
	return v, nil
}

// stampOf returns the zero stamp for a file that is not there.
func stampOf(file string) stamp {
	info, err := os.Stat(file)
	if err != nil {
		return stamp{}
	}
	return stamp{info.ModTime(), info.Size()}
}

func (v *Verifier) load() error {
	r := &ring{stamp: stampOf(v.cfg.Keyring)}
	keys, err := readKeys(v.cfg.Keyring)
	if err != nil {
		return err
	}
	r.keys = index(keys)
	v.ring.Store(r)
	return nil
}

// Run looks after the file until ctx ends, and then returns nil. A changed file that
// is good comes into force as a whole; one that is broken is logged once, and the keys
// of the old one stay.
func (v *Verifier) Run(ctx context.Context) error {
	ticker := time.NewTicker(v.cfg.ReloadEvery)
	defer ticker.Stop()
	seen := v.ring.Load().stamp
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now := stampOf(v.cfg.Keyring)
		if now == seen {
			continue
		}
		seen = now
		if err := v.load(); err != nil {
			v.logger.ErrorContext(ctx, "the keyring cannot be used; the old one stays in force", "err", err)
		}
	}
}

// Verify judges a message; see [fedmsg.Verifier]. The stamp is [Stamp] and the
// fingerprint of the signer's primary key; messages that are not signed with GnuPG are
// for Config.Others.
func (v *Verifier) Verify(ctx context.Context, m *fedmsg.Message) (string, error) {
	if !v.Concerns(m) {
		if v.cfg.Others != nil {
			return v.cfg.Others.Verify(ctx, m)
		}
		if f := m.Fields("signature", "certificate"); f[0] == nil && f[1] == nil {
			return "", fedmsg.Refuse(fedmsg.Unsigned, "the message has neither signature nor certificate")
		}
		return "", fedmsg.RefuseField(fedmsg.CryptoBackend, "crypto", "only gpg is accepted here")
	}
	verdict, err := v.Check(ctx, m)
	if err != nil {
		return "", err
	}
	return Stamp + verdict.Fingerprint, nil
}

// Concerns reports whether a message says that it is signed with GnuPG: by its field
// crypto. Config.Faithful guesses as the original does, that a signature without
// crypto and certificate is GnuPG's.
func (v *Verifier) Concerns(m *fedmsg.Message) bool {
	f := m.Fields("crypto", "signature", "certificate")
	if f[0] == nil {
		return v.cfg.Faithful && f[1] != nil && f[2] == nil
	}
	backend, ok := fedmsg.DecodeString(f[0])
	return ok && backend == "gpg"
}

// Check judges a message that is signed with GnuPG at the time of Config.Clock, or
// with Config.Faithful at that of its signature. The error is a [fedmsg.Refusal].
func (v *Verifier) Check(ctx context.Context, m *fedmsg.Message) (Verdict, error) {
	if v.cfg.Faithful {
		return v.CheckAt(ctx, m, time.Time{})
	}
	return v.CheckAt(ctx, m, v.cfg.Clock())
}

// CheckAt judges a message as of another time, such as its own, or, if that is zero, as
// of the time of its signature. Keys must not have ended by then. A revocation counts
// whenever it came, unless it says that the key only went out of use.
func (v *Verifier) CheckAt(_ context.Context, m *fedmsg.Message, asOf time.Time) (verdict Verdict, err error) {
	defer func() { // strangers' bytes go through a parser of others
		if what := recover(); what != nil {
			v.logger.Error("verifying a signature panicked", "err", what, "stack", string(debug.Stack()))
			verdict, err = Verdict{}, fedmsg.Refuse(fedmsg.BadSignature, "the signature cannot be read")
		}
	}()
	body, signatures, err := v.credentials(m)
	if err != nil {
		return Verdict{}, err
	}
	keys := v.ring.Load().keys
	for i, sig := range signatures { // all must be good, as gpg has it
		k, err := verify(keys[issuer(sig)], body, sig)
		if err == nil {
			err = v.judge(k, sig, asOf)
		}
		if err != nil {
			return Verdict{}, err
		}
		if i == 0 {
			verdict = Verdict{Fingerprint: k.signer, UserID: k.user, SignedAt: sig.CreationTime.UTC()}
		}
	}
	return verdict, v.allow(m.Topic)
}

// allow closes the topics of the policy: whoever has a signed body could put any of
// them on it.
func (v *Verifier) allow(topic fedmsg.Topic) error {
	if _, named := v.cfg.Policy.Routing[topic]; named {
		return fedmsg.Refuse(fedmsg.NotAuthorized, "topic %s has a routing policy, and GnuPG signs the body only, not the topic", topic)
	}
	return v.cfg.Policy.Allow(topic, "")
}

// maxSignatures is how many signatures a message may have; each costs a verification.
const maxSignatures = 8

// credentials returns the text that is signed, and the signatures.
func (v *Verifier) credentials(m *fedmsg.Message) (body []byte, signatures []*packet.Signature, err error) {
	f := m.Fields("signature", "msg")
	if f[0] == nil {
		return nil, nil, fedmsg.RefuseField(fedmsg.MissingField, "signature", "a signed message has it")
	}
	if f[1] == nil {
		return nil, nil, fedmsg.RefuseField(fedmsg.MissingField, "msg", "every message has it")
	}
	text, ok := fedmsg.DecodeString(f[0])
	if !ok {
		return nil, nil, fedmsg.RefuseField(fedmsg.BadField, "signature", "must be a string")
	}
	encoding := base64.StdEncoding
	if !v.cfg.Faithful {
		encoding = encoding.Strict()
	}
	raw, err := encoding.DecodeString(text)
	if err != nil {
		return nil, nil, fedmsg.RefuseField(fedmsg.BadField, "signature", "is not base64")
	}
	if v.cfg.Faithful {
		if block, err := armor.Decode(bytes.NewReader(raw)); err == nil {
			if raw, err = io.ReadAll(block.Body); err != nil {
				return nil, nil, fedmsg.RefuseField(fedmsg.BadSignature, "signature", "the armor is broken")
			}
		}
	}
	if signatures, err = v.parse(raw); err != nil {
		return nil, nil, fedmsg.RefuseField(fedmsg.BadSignature, "signature", "%v", err)
	}
	if body, err = fedmsg.AppendCanonical(nil, f[1]); err != nil {
		return nil, nil, err
	}
	return body, signatures, nil
}

// parseSignatures reads signature packets, and nothing else: what could be packed or
// encrypted is not even looked at.
func parseSignatures(raw []byte) ([]*packet.Signature, error) {
	var signatures []*packet.Signature
	for packets := packet.NewOpaqueReader(bytes.NewReader(raw)); ; {
		opaque, err := packets.Next()
		if err == io.EOF && len(signatures) > 0 {
			return signatures, nil
		}
		const signatureTag = 2 // RFC 9580, 5
		if err != nil || opaque.Tag != signatureTag {
			return nil, errors.New("is not a detached OpenPGP signature")
		}
		p, err := opaque.Parse()
		sig, ok := p.(*packet.Signature)
		if err != nil || !ok {
			return nil, fmt.Errorf("is an OpenPGP signature of a kind that is not taken here: %w", cmp.Or(err, errors.ErrUnsupported))
		}
		if signatures = append(signatures, sig); len(signatures) > maxSignatures {
			return nil, fmt.Errorf("holds more than %d signatures", maxSignatures)
		}
	}
}

// issuer returns the ID of the key that made a signature, by its own word; 0 if it
// says nothing.
func issuer(sig *packet.Signature) uint64 {
	switch {
	case sig.IssuerKeyId != nil:
		return *sig.IssuerKeyId
	case len(sig.IssuerFingerprint) == 20: // version 4: the ID is its end
		return binary.BigEndian.Uint64(sig.IssuerFingerprint[12:])
	case len(sig.IssuerFingerprint) == 32:
		return binary.BigEndian.Uint64(sig.IssuerFingerprint)
	}
	return 0
}

// verify finds the key among candidates that made a signature of a body.
func verify(candidates []key, body []byte, sig *packet.Signature) (key, error) {
	if sig.SigType != packet.SigTypeBinary && sig.SigType != packet.SigTypeText {
		return key{}, fedmsg.Refuse(fedmsg.BadSignature, "it is a signature of a key, not of a text")
	}
	for _, k := range candidates {
		h, err := sig.PrepareVerify()
		if err != nil {
			return key{}, fedmsg.Refuse(fedmsg.BadSignature, "%v", err)
		}
		h.Write(body) // canonical text has no line ends, so both types sign the same bytes
		if k.PublicKey.VerifySignature(h, sig) == nil {
			return k, nil
		}
	}
	if len(candidates) == 0 {
		return key{}, fedmsg.Refuse(fedmsg.CertUntrusted, "the key %016X, which signed, is not in the keyring", issuer(sig))
	}
	return key{}, fedmsg.Refuse(fedmsg.BadSignature, "the signature of %s does not fit the body", candidates[0].signer)
}

// judge returns a refusal unless a key and its signature were good at a time.
func (v *Verifier) judge(k key, sig *packet.Signature, asOf time.Time) error {
	if asOf.IsZero() {
		asOf = sig.CreationTime
	}
	if err := k.judge(asOf); err != nil {
		return err
	}
	for _, n := range sig.Notations {
		if n.IsCritical {
			return fedmsg.Refuse(fedmsg.BadSignature, "the signature of %s has a condition that is not understood", k.signer)
		}
	}
	if asOf.After(sig.CreationTime) && sig.SigExpired(asOf) {
		return fedmsg.Refuse(fedmsg.BadSignature, "the signature of %s itself has ended", k.signer)
	}
	if v.cfg.Faithful {
		return nil
	}
	if err := k.checkStrength(sig); err != nil {
		return err
	}
	switch age := asOf.Sub(sig.CreationTime); {
	case v.cfg.MaxAge >= 0 && age > v.cfg.MaxAge:
		return fedmsg.Refuse(fedmsg.Stale, "the signature is of %s; at most %s are allowed", sig.CreationTime.UTC().Format(time.RFC3339), v.cfg.MaxAge)
	case v.cfg.MaxSkew >= 0 && -age > v.cfg.MaxSkew:
		return fedmsg.Refuse(fedmsg.Future, "the signature is of %s, ahead of our clock by more than %s", sig.CreationTime.UTC().Format(time.RFC3339), v.cfg.MaxSkew)
	}
	return nil
}
