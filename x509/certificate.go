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
	"slices"
	"strings"
	"unicode"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

const (
	// minBits is the smallest RSA key that is not weak.
	minBits = 2048
	// minLegacyBits is what the old deployment used, and what crypto/rsa takes.
	minLegacyBits = 1024
)

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

// isWeak reports whether a key is too short; legacy lets shorter ones pass.
func isWeak(key *rsa.PublicKey, legacy bool) bool {
	if legacy {
		return key.N.BitLen() < minLegacyBits
	}
	return key.N.BitLen() < minBits
}

// checkSigned checks that a CA's key signed text: a certificate or a revocation
// list, less its signature. Legacy says that old algorithms and short keys will
// do.
func checkSigned(key any, alg x509.SignatureAlgorithm, text, signature []byte, legacy bool) error {
	k, ok := key.(*rsa.PublicKey)
	hash, old, known := hashOf(alg)
	if !ok || !known {
		return fedmsg.Refuse(fedmsg.CertUntrusted, "the CA's key or signature algorithm (%s) is not supported; RSA with SHA-256 is", alg)
	}
	if old && !legacy || isWeak(k, legacy) {
		return fedmsg.Refuse(fedmsg.CertWeak, "%s with a key of %d bits is too weak; legacy_sha1_certs allows what old deployments used", alg, k.N.BitLen())
	}
	h := hash.New()
	h.Write(text)
	if err := rsa.VerifyPKCS1v15(k, hash, h.Sum(nil), signature); err != nil {
		return fedmsg.Refuse(fedmsg.CertUntrusted, "not signed by the CA")
	}
	return nil
}

// firstPEM returns the first block of a kind in PEM text, and what follows it. A
// broken block before it is an error, as it is to OpenSSL; encoding/pem alone
// would step over it.
func firstPEM(text []byte, kinds ...string) (*pem.Block, []byte, error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, nil, errors.New("no PEM block " + kinds[0])
		}
		if bytes.Count(text[:len(text)-len(rest)], []byte("-----BEGIN ")) > 1 {
			return nil, nil, errors.New("a broken PEM block before " + kinds[0])
		}
		if slices.Contains(kinds, block.Type) {
			return block, rest, nil
		}
		text = rest
	}
}

// parseCertificate reads the first certificate in PEM text.
func parseCertificate(text []byte) (*x509.Certificate, *pem.Block, error) {
	block, _, err := firstPEM(text, "CERTIFICATE", "X509 CERTIFICATE") // the second is OpenSSL's old name
	if err != nil {
		return nil, nil, err
	}
	c, err := parseDER(block.Bytes)
	return c, block, err
}

// parseDER is [x509.ParseCertificate] for old certificates too: some CAs drew
// serial numbers without regard to the sign, and crypto/x509 refuses those.
func parseDER(der []byte) (*x509.Certificate, error) {
	c, err := x509.ParseCertificate(der)
	if err == nil {
		return c, nil
	}
	var head struct {
		TBS struct {
			Raw     asn1.RawContent
			Version int `asn1:"optional,explicit,default:0,tag:0"`
			Serial  *big.Int
		}
	}
	if _, err2 := asn1.Unmarshal(der, &head); err2 != nil || head.TBS.Serial.Sign() >= 0 {
		return nil, err
	}
	negative, err2 := asn1.Marshal(head.TBS.Serial)
	if err2 != nil || len(negative) > 2+0x7f {
		return nil, err
	}
	positive := bytes.Clone(negative)
	positive[2] = 0x7f
	// The serial number is the first INTEGER but for the version, which is positive.
	c, err = x509.ParseCertificate(bytes.Replace(der, negative, positive, 1))
	if err != nil {
		return nil, err
	}
	c.Raw, c.RawTBSCertificate, c.SerialNumber = der, head.TBS.Raw, head.TBS.Serial
	return c, nil
}

// parseLeaf reads the certificate that came in a message. In strict reading the
// text is one certificate and nothing else.
func parseLeaf(text []byte, strict bool) (*x509.Certificate, error) {
	if strict {
		const begin = "-----BEGIN "
		switch text := bytes.TrimSpace(text); {
		case bytes.Contains(text, []byte("PRIVATE KEY")):
			return nil, fedmsg.RefuseField(fedmsg.BadCert, "certificate", "holds a private key, which everybody can now read: replace that key")
		case !bytes.HasPrefix(text, []byte(begin+"CERTIFICATE-----\n")) && !bytes.HasPrefix(text, []byte(begin+"CERTIFICATE-----\r\n")):
			return nil, fedmsg.RefuseField(fedmsg.BadCert, "certificate", "does not begin with a PEM certificate")
		case bytes.Count(text, []byte(begin)) > 1:
			return nil, fedmsg.RefuseField(fedmsg.BadCert, "certificate", "holds more than one certificate")
		}
		block, rest := pem.Decode(text)
		if block == nil || len(block.Headers) > 0 || len(bytes.TrimSpace(rest)) > 0 {
			return nil, fedmsg.RefuseField(fedmsg.BadCert, "certificate", "is not one PEM certificate and nothing else")
		}
	}
	c, _, err := parseCertificate(text)
	if err != nil {
		return nil, fedmsg.RefuseField(fedmsg.BadCert, "certificate", "is no PEM certificate that can be read")
	}
	return c, nil
}

// commonNames returns the CNs of a subject, in order, and ok = false if there is
// one whose text cannot be read. Go's own parsing keeps the last one only; the
// original goes by the first.
func commonNames(rawSubject []byte) (names []string, ok bool) {
	var subject pkix.RDNSequence
	if _, err := asn1.Unmarshal(rawSubject, &subject); err != nil {
		return nil, false
	}
	for _, set := range subject {
		for _, attribute := range set {
			if attribute.Type.Equal(asn1.ObjectIdentifier{2, 5, 4, 3}) {
				name, ok := attribute.Value.(string)
				if !ok {
					return nil, false
				}
				names = append(names, name)
			}
		}
	}
	return names, true
}

// signerName returns the name that policy knows a certificate by.
func signerName(c *x509.Certificate, strict bool) (string, error) {
	names, ok := commonNames(c.RawSubject)
	switch {
	case !ok:
		return "", fedmsg.RefuseField(fedmsg.CertBadCN, "certificate", "its subject has a CN that is no text")
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
