package x509

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// trust is what one reading of the files gave.
type trust struct {
	ca     *x509.Certificate
	crl    *crl  // nil without one
	crlErr error // the list that was asked for cannot be had
	stamps [2]stamp
	leaves cache
}

// stamp tells whether a file has changed.
type stamp struct {
	modified time.Time
	size     int64
}

func stampOf(file string) stamp {
	info, err := os.Stat(file)
	if err != nil {
		return stamp{}
	}
	return stamp{info.ModTime(), info.Size()}
}

// load reads the files. A CA that cannot be used is an error; a list that cannot
// is remembered.
func (v *Verifier) load() (*trust, error) {
	v.loads.Add(1)
	t := &trust{stamps: v.stamps()}
	text, err := os.ReadFile(v.cfg.CA)
	if err != nil {
		return nil, caError(v.cfg.CA, err)
	}
	if t.ca, _, err = parseCertificate(text); err != nil {
		return nil, caError(v.cfg.CA, err)
	}
	if err := checkRoot(t.ca, v.cfg.LegacySHA1); err != nil {
		return nil, caError(v.cfg.CA, err)
	}
	if v.cfg.CRL == "" {
		return t, nil
	}
	if text, err = os.ReadFile(v.cfg.CRL); err == nil {
		t.crl, err = parseCRL(text, t.ca, v.cfg.LegacySHA1)
	}
	if err != nil {
		t.crlErr = fedmsg.Refuse(fedmsg.CRLUnavailable, "the revocation list %s cannot be read: %v", v.cfg.CRL, err)
	}
	return t, nil
}

func (v *Verifier) stamps() [2]stamp { return [2]stamp{stampOf(v.cfg.CA), stampOf(v.cfg.CRL)} }

// problem returns what is wrong with the revocation list, apart from its dates.
func (t *trust) problem() error {
	if t.crlErr != nil || t.crl == nil {
		return t.crlErr
	}
	return t.crl.err
}

// caError says what a CA file should be.
func caError(file string, err error) error {
	hint := "its first certificate must be a self-signed root, in PEM"
	if fedmsg.ReasonOf(err) == fedmsg.CertWeak {
		hint = "set legacy_sha1_certs if this is the CA of an old deployment"
	}
	return &fedmsg.HintError{Err: fmt.Errorf("ca: %s: %w", file, err), Hint: hint}
}

// checkRoot checks that a CA vouches for itself and may issue certificates, by
// the rules of OpenSSL.
func checkRoot(ca *x509.Certificate, legacy bool) error {
	mayIssue := ca.IsCA || !ca.BasicConstraintsValid && (ca.Version == 1 || ca.KeyUsage != 0)
	if ca.KeyUsage != 0 && ca.KeyUsage&x509.KeyUsageCertSign == 0 {
		mayIssue = false
	}
	switch {
	case !bytes.Equal(ca.RawIssuer, ca.RawSubject):
		return fedmsg.Refuse(fedmsg.CertUntrusted, "it is not a root: another CA issued it")
	case !mayIssue:
		return fedmsg.Refuse(fedmsg.CertUntrusted, "it may not issue certificates")
	}
	for _, e := range ca.Extensions {
		// keyUsage, basicConstraints, extKeyUsage. Others, such as name constraints,
		// would have to be applied to what it issues.
		if id := e.Id.String(); e.Critical && !slices.Contains([]string{"2.5.29.15", "2.5.29.19", "2.5.29.37"}, id) {
			return fedmsg.Refuse(fedmsg.CertUntrusted, "it has a critical extension that is not understood: %s", id)
		}
	}
	return checkSigned(ca.PublicKey, ca.SignatureAlgorithm, ca.RawTBSCertificate, ca.Signature, legacy)
}

// Run looks after the files until ctx ends, and then returns nil. A changed file
// that is good comes into force, as a whole, with a new memory for certificates;
// one that is not is reported, and what was before stays.
func (v *Verifier) Run(ctx context.Context) error {
	tick := time.NewTicker(v.cfg.ReloadEvery)
	defer tick.Stop()
	tried := v.trust.Load().stamps
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if now := v.stamps(); now == tried {
			continue
		} else {
			tried = now
		}
		t, err := v.load()
		if err == nil {
			err = t.problem()
		}
		if err != nil {
			v.failed.Add(1)
			v.logger.ErrorContext(ctx, "changed CA or revocation list not taken; the old one stays in force", "err", err)
			continue
		}
		v.trust.Store(t)
		v.logger.InfoContext(ctx, "CA and revocation list read again")
	}
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
	strict, legacy := !v.cfg.Faithful, v.cfg.LegacySHA1
	c, err := v.readField(field)
	if err == nil {
		err = t.checkIssued(c, strict, legacy)
	}
	if err != nil {
		return &leaf{err: err}
	}
	name, err := signerName(c, strict)
	if err != nil {
		return &leaf{err: err}
	}
	key, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok {
		return &leaf{err: fedmsg.RefuseField(fedmsg.CertKey, "certificate", "its key is %s; fedmsg signs with RSA", c.PublicKeyAlgorithm)}
	}
	if isWeak(key, legacy) {
		return &leaf{err: fedmsg.RefuseField(fedmsg.CertWeak, "certificate", "its key of %d bits is too short", key.N.BitLen())}
	}
	return &leaf{key: key, name: name, serial: c.SerialNumber.String(), notBefore: c.NotBefore, notAfter: c.NotAfter}
}

// readField reads the certificate in a field of a message.
func (v *Verifier) readField(field json.RawMessage) (*x509.Certificate, error) {
	dressed, ok := fedmsg.DecodeString(field)
	if !ok {
		return nil, fedmsg.RefuseField(fedmsg.BadField, "certificate", "must be a string")
	}
	text, err := v.decode(dressed)
	if err != nil {
		return nil, fedmsg.RefuseField(fedmsg.BadCert, "certificate", "is not base64")
	}
	return parseLeaf(text, !v.cfg.Faithful)
}

// checkIssued checks that the CA issued a certificate, for what it is used for.
func (t *trust) checkIssued(c *x509.Certificate, strict, legacy bool) error {
	itself := bytes.Equal(c.Raw, t.ca.Raw)
	switch {
	case !bytes.Equal(c.RawIssuer, t.ca.RawSubject):
		return fedmsg.RefuseField(fedmsg.CertUntrusted, "certificate", "the CA did not issue it")
	case len(c.AuthorityKeyId) > 0 && len(t.ca.SubjectKeyId) > 0 && !bytes.Equal(c.AuthorityKeyId, t.ca.SubjectKeyId):
		return fedmsg.RefuseField(fedmsg.CertUntrusted, "certificate", "another key of the CA issued it")
	case len(c.UnhandledCriticalExtensions) > 0:
		return fedmsg.RefuseField(fedmsg.CertUntrusted, "certificate", "it has an unknown critical extension")
	}
	if err := checkSigned(t.ca.PublicKey, c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature, legacy); err != nil {
		return err
	}
	if strict && (itself || c.IsCA || c.KeyUsage&x509.KeyUsageCertSign != 0) {
		return fedmsg.RefuseField(fedmsg.CertIsCA, "certificate", "it is a CA's, which signs certificates, not messages")
	}
	return nil
}

// judge does the rest of the chain check: what depends on time, and revocation.
// Dates are inclusive at the start and exclusive at the end, as with OpenSSL.
func (t *trust) judge(l *leaf, asOf, now time.Time, grace time.Duration) error {
	switch {
	case l.err != nil:
		return l.err
	case !asOf.Before(t.ca.NotAfter) || asOf.Before(t.ca.NotBefore):
		return fedmsg.Refuse(fedmsg.CertUntrusted, "the CA's own certificate is not valid at this time")
	case !asOf.Before(l.notAfter):
		return fedmsg.Refuse(fedmsg.CertExpired, "the certificate of %q ended at %s", l.name, l.notAfter.UTC().Format(time.RFC3339))
	case asOf.Before(l.notBefore):
		return fedmsg.Refuse(fedmsg.CertNotYetValid, "the certificate of %q begins at %s", l.name, l.notBefore.UTC().Format(time.RFC3339))
	case t.crlErr != nil:
		return t.crlErr
	case t.crl == nil:
		return nil
	}
	if err := t.crl.check(asOf, now, grace); err != nil {
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

// cacheSize bounds how many certificates are remembered: twice as many, since
// there are two generations. Good ones come by the hundred; the rest is room for
// bad ones.
const cacheSize = 2048

// cache remembers the leaves of one trust, good and bad, by the SHA-256 of the
// field. When the young generation is full it becomes the old one, and what is
// still used comes back.
type cache struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]*leaf
}

func (c *cache) get(field []byte, fresh func() *leaf) *leaf {
	key := sha256.Sum256(field)
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
