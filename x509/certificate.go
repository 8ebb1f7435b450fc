package x509

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	_ "crypto/sha1" // certificates of old deployments are signed with it
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"time"
	"unicode"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// minBits is the smallest RSA key that is not weak.
const minBits = 2048

// hashOf returns the hash of an RSA signature algorithm, and whether it is one
// that nobody should use any more.
func hashOf(alg x509.SignatureAlgorithm) (h crypto.Hash, weak, ok bool) {
	switch alg {
	case x509.SHA1WithRSA:
		return crypto.SHA1, true, true
	case x509.SHA256WithRSA:
		return crypto.SHA256, false, true
	case x509.SHA384WithRSA:
		return crypto.SHA384, false, true
	case x509.SHA512WithRSA:
		return crypto.SHA512, false, true
	}
	return 0, false, false
}

// checkSigned checks that key signed text. Weak says that old algorithms and
// short keys will do.
func checkSigned(key any, alg x509.SignatureAlgorithm, text, signature []byte, weak bool) error {
	k, ok := key.(*rsa.PublicKey)
	hash, old, known := hashOf(alg)
	if !ok || !known {
		return fedmsg.Refuse(fedmsg.CertUntrusted, "the CA's key or signature algorithm (%s) is not supported; RSA with SHA-256 is", alg)
	}
	if !weak && (old || k.N.BitLen() < minBits) {
		return fedmsg.Refuse(fedmsg.CertWeak, "%s with a key of %d bits is too weak; old deployments can allow it with legacy_sha1_certs", alg, k.N.BitLen())
	}
	h := hash.New()
	h.Write(text)
	if err := rsa.VerifyPKCS1v15(k, hash, h.Sum(nil), signature); err != nil {
		return fedmsg.Refuse(fedmsg.CertUntrusted, "not signed by the CA")
	}
	return nil
}

// firstPEM returns the first block of a type in PEM text.
func firstPEM(text []byte, kind string) (*pem.Block, []byte, error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, nil, errors.New("no PEM block " + kind)
		}
		if block.Type == kind {
			return block, rest, nil
		}
		text = rest
	}
}

// parseLeaf reads the certificate that came in a message. In strict reading
// there is one, and nothing else.
func parseLeaf(text []byte, strict bool) (*x509.Certificate, error) {
	if strict {
		if bytes.Contains(text, []byte("PRIVATE KEY")) {
			return nil, fedmsg.RefuseField(fedmsg.BadCert, "certificate", "holds a private key; that key must be replaced")
		}
		if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN CERTIFICATE-----")) {
			return nil, fedmsg.RefuseField(fedmsg.BadCert, "certificate", "is no PEM certificate")
		}
	}
	block, rest, err := firstPEM(text, "CERTIFICATE")
	if err != nil {
		return nil, fedmsg.RefuseField(fedmsg.BadCert, "certificate", "is no PEM certificate")
	}
	if strict && len(bytes.TrimSpace(rest)) > 0 {
		return nil, fedmsg.RefuseField(fedmsg.BadCert, "certificate", "holds more than one certificate")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fedmsg.RefuseField(fedmsg.BadCert, "certificate", "cannot be parsed")
	}
	return c, nil
}

// commonNames returns the CNs of a name, in order. Go's own parsing keeps the
// last one only; the original goes by the first.
func commonNames(rawSubject []byte) []string {
	var subject pkix.RDNSequence
	if _, err := asn1.Unmarshal(rawSubject, &subject); err != nil {
		return nil
	}
	var names []string
	for _, set := range subject {
		for _, attribute := range set {
			if attribute.Type.Equal(asn1.ObjectIdentifier{2, 5, 4, 3}) {
				if name, ok := attribute.Value.(string); ok {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

// signerName returns the name that policy knows a certificate by.
func signerName(c *x509.Certificate, strict bool) (string, error) {
	names := commonNames(c.RawSubject)
	switch {
	case len(names) == 0:
		return "", fedmsg.RefuseField(fedmsg.CertNoCN, "certificate", "its subject has no CN")
	case !strict:
		return names[0], nil
	case len(names) > 1:
		return "", fedmsg.RefuseField(fedmsg.CertBadCN, "certificate", "its subject has %d CNs", len(names))
	case names[0] == "" || strings.ContainsFunc(names[0], func(r rune) bool { return !unicode.IsGraphic(r) }):
		return "", fedmsg.RefuseField(fedmsg.CertBadCN, "certificate", "its CN %q is empty or holds control characters", names[0])
	}
	return names[0], nil
}

// crl is a revocation list. crypto/x509 reads version 2 only; OpenSSL writes
// version 1 unless told otherwise.
type crl struct {
	thisUpdate, nextUpdate time.Time
	revoked                map[string]bool // serial numbers, decimal
	err                    error           // it proves nothing: not signed by the CA
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
	Signature  pkix.AlgorithmIdentifier
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

// parseCRL reads the first list in PEM text, and checks who signed it.
func parseCRL(text []byte, ca *x509.Certificate, weak bool) (*crl, error) {
	block, _, err := firstPEM(text, "X509 CRL")
	if err != nil {
		return nil, err
	}
	var list certificateList
	if rest, err := asn1.Unmarshal(block.Bytes, &list); err != nil {
		return nil, err
	} else if len(rest) > 0 {
		return nil, errors.New("text behind the revocation list")
	}
	l := &crl{
		thisUpdate: list.TBS.ThisUpdate, nextUpdate: list.TBS.NextUpdate,
		revoked: make(map[string]bool, len(list.TBS.Revoked)),
	}
	for _, r := range list.TBS.Revoked {
		l.revoked[r.Serial.String()] = true
	}
	if !bytes.Equal(list.TBS.Issuer.FullBytes, ca.RawSubject) {
		l.err = fedmsg.Refuse(fedmsg.CRLUntrusted, "the revocation list is of another CA")
	} else if err := checkSigned(ca.PublicKey, algorithms[list.Algorithm.Algorithm.String()], list.TBS.Raw, list.Signature.RightAlign(), weak); err != nil {
		l.err = fedmsg.Refuse(fedmsg.CRLUntrusted, "the revocation list: %v", err)
	}
	return l, nil
}

// check judges a list at a time.
func (l *crl) check(at time.Time, grace time.Duration) error {
	switch {
	case l.err != nil:
		return l.err
	case at.Before(l.thisUpdate):
		return fedmsg.Refuse(fedmsg.CRLUntrusted, "the revocation list is of the future: %s", l.thisUpdate.UTC().Format(time.RFC3339))
	case !l.nextUpdate.IsZero() && !at.Before(l.nextUpdate.Add(grace)):
		return fedmsg.Refuse(fedmsg.CRLExpired, "the revocation list should have been replaced by %s", l.nextUpdate.UTC().Format(time.RFC3339))
	}
	return nil
}
