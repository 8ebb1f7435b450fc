package x509

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

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

// load reads the files.
func (v *Verifier) load() (*trust, error) {
	v.loads.Add(1)
	t := &trust{stamps: [2]stamp{stampOf(v.cfg.CA), stampOf(v.cfg.CRL)}}
	text, err := os.ReadFile(v.cfg.CA)
	if err != nil {
		return nil, caError(v.cfg.CA, err)
	}
	block, _, err := firstPEM(text, "CERTIFICATE")
	if err != nil {
		return nil, caError(v.cfg.CA, err)
	}
	if t.ca, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, caError(v.cfg.CA, err)
	}
	t.caErr = v.checkRoot(t.ca)
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

// checkRoot checks that a CA vouches for itself. One that does not proves
// nothing about others.
func (v *Verifier) checkRoot(ca *x509.Certificate) error {
	if !bytes.Equal(ca.RawIssuer, ca.RawSubject) {
		return fedmsg.Refuse(fedmsg.CertUntrusted, "the CA's certificate is not a root: another CA issued it")
	}
	if err := checkSigned(ca.PublicKey, ca.SignatureAlgorithm, ca.RawTBSCertificate, ca.Signature, v.cfg.LegacySHA1); err != nil {
		return fmt.Errorf("the CA's certificate: %w", err)
	}
	return nil
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
		now := [2]stamp{stampOf(v.cfg.CA), stampOf(v.cfg.CRL)}
		if now == tried {
			continue
		}
		tried = now
		t, err := v.load()
		if err == nil {
			err = t.crlErr
		}
		if err == nil && t.crl != nil {
			err = t.crl.err
		}
		if err == nil {
			err = t.caErr
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
