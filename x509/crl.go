package x509

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// crl is a revocation list. crypto/x509 reads version 2 only; OpenSSL writes
// version 1 unless told otherwise.
type crl struct {
	thisUpdate, nextUpdate time.Time
	revoked                map[string]bool // serial numbers, decimal
	err                    error           // it proves nothing
}

// certificateList is RFC 5280's CertificateList.
type certificateList struct {
	TBS       tbsCertList
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

type tbsCertList struct {
	Raw        asn1.RawContent
	Version    int `asn1:"optional,default:0"`
	Algorithm  pkix.AlgorithmIdentifier
	Issuer     asn1.RawValue
	ThisUpdate time.Time
	NextUpdate time.Time `asn1:"optional"`
	Revoked    []struct {
		Serial     *big.Int
		Time       time.Time
		Extensions []pkix.Extension `asn1:"optional"`
	} `asn1:"optional"`
	Extensions []pkix.Extension `asn1:"tag:0,optional,explicit"`
}

// algorithms are the signature algorithms that a list may have.
var algorithms = map[string]x509.SignatureAlgorithm{
	"1.2.840.113549.1.1.5":  x509.SHA1WithRSA,
	"1.2.840.113549.1.1.11": x509.SHA256WithRSA,
	"1.2.840.113549.1.1.12": x509.SHA384WithRSA,
	"1.2.840.113549.1.1.13": x509.SHA512WithRSA,
}

// parseCRL reads the first list in PEM text. Whether it is to be believed stands
// in crl.err.
func parseCRL(text []byte, ca *x509.Certificate, legacy bool) (*crl, error) {
	block, _, err := firstPEM(text, "X509 CRL")
	if err != nil {
		return nil, err
	}
	var list certificateList
	if rest, err := asn1.Unmarshal(block.Bytes, &list); err != nil {
		return nil, err
	} else if len(rest) > 0 {
		return nil, errors.New("more bytes behind the revocation list")
	}
	l := &crl{
		thisUpdate: list.TBS.ThisUpdate, nextUpdate: list.TBS.NextUpdate,
		revoked: make(map[string]bool, len(list.TBS.Revoked)),
	}
	for _, r := range list.TBS.Revoked {
		l.revoked[r.Serial.String()] = true
	}
	if err := list.trusted(ca, legacy); err != nil {
		l.err = fedmsg.Refuse(fedmsg.CRLUntrusted, "the revocation list: %v", err)
	}
	return l, nil
}

// trusted says why a list is not to be believed, or nil.
func (list *certificateList) trusted(ca *x509.Certificate, legacy bool) error {
	inner, outer := list.TBS.Algorithm, list.Algorithm
	switch {
	case !bytes.Equal(list.TBS.Issuer.FullBytes, ca.RawSubject):
		return errors.New("another CA issued it")
	case ca.KeyUsage != 0 && ca.KeyUsage&x509.KeyUsageCRLSign == 0:
		return errors.New("the CA's certificate does not allow it to issue lists")
	case !inner.Algorithm.Equal(outer.Algorithm) || !bytes.Equal(inner.Parameters.FullBytes, outer.Parameters.FullBytes):
		return errors.New("it names two signature algorithms")
	case hasCritical(list.TBS.Extensions):
		// A list of changes, or of some certificates only, would be taken for all.
		return errors.New("it has a critical extension")
	}
	for _, r := range list.TBS.Revoked {
		if hasCritical(r.Extensions) {
			return errors.New("an entry has a critical extension")
		}
	}
	return checkSigned(ca.PublicKey, algorithms[outer.Algorithm.String()], list.TBS.Raw, list.Signature.RightAlign(), legacy)
}

func hasCritical(extensions []pkix.Extension) bool {
	for _, e := range extensions {
		if e.Critical {
			return true
		}
	}
	return false
}

// check judges a list for a message judged as of one time, now being another: a
// list that was made after the message knows more than one of its day, so only
// its end is compared with the message's time.
func (l *crl) check(asOf, now time.Time, grace time.Duration) error {
	switch {
	case l.err != nil:
		return l.err
	case now.Before(l.thisUpdate) && asOf.Before(l.thisUpdate):
		return fedmsg.Refuse(fedmsg.CRLUntrusted, "the revocation list is of the future: %s", l.thisUpdate.UTC().Format(time.RFC3339))
	case !l.nextUpdate.IsZero() && !asOf.Before(l.nextUpdate.Add(grace)):
		return fedmsg.Refuse(fedmsg.CRLExpired, "the revocation list should have been replaced by %s", l.nextUpdate.UTC().Format(time.RFC3339))
	}
	return nil
}
