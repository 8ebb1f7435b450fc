package x509

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// keyBits is the size of the keys made here.
const keyBits = 2048

// GenerateCA makes a self-signed root that is valid from now on: RSA, 2048 bits,
// SHA-256. Certificate and key are PEM.
func GenerateCA(name string, validity time.Duration) (certPEM, keyPEM []byte, err error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, nil, fmt.Errorf("x509: make a key: %w", err)
	}
	template := newTemplate(name, validity)
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	return issue(template, template, key, key)
}

// IssueCertificate makes a certificate for a signer, named by its CN.
func IssueCertificate(caCert, caKey []byte, cn string, validity time.Duration) (certPEM, keyPEM []byte, err error) {
	ca, signer, err := readCA(caCert, caKey)
	if err != nil {
		return nil, nil, err
	}
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, nil, fmt.Errorf("x509: make a key: %w", err)
	}
	template := newTemplate(cn, validity)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	return issue(template, ca, key, signer)
}

// IssueCRL makes a revocation list of the certificates given, PEM.
func IssueCRL(caCert, caKey []byte, validity time.Duration, revoked ...[]byte) ([]byte, error) {
	ca, signer, err := readCA(caCert, caKey)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	list := &x509.RevocationList{Number: big.NewInt(now.UnixNano()), ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(validity)}
	for _, text := range revoked {
		c, _, err := parseCertificate(text)
		if err != nil {
			return nil, fmt.Errorf("x509: revoke: %w", err)
		}
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: now})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, ca, signer)
	if err != nil {
		return nil, fmt.Errorf("x509: make a revocation list: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), nil
}

// newTemplate begins a minute ago, for peers whose clocks are a little behind.
func newTemplate(cn string, validity time.Duration) *x509.Certificate {
	now := time.Now()
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // the reader never fails
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: cn},
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(validity),
		SignatureAlgorithm: x509.SHA256WithRSA,
	}
}

func issue(template, parent *x509.Certificate, key, signer *rsa.PrivateKey) (certPEM, keyPEM []byte, err error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, nil, fmt.Errorf("x509: issue %q: %w", template.Subject.CommonName, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), nil
}

func readCA(caCert, caKey []byte) (*x509.Certificate, *rsa.PrivateKey, error) {
	ca, _, err := parseCertificate(caCert)
	if err != nil {
		return nil, nil, fmt.Errorf("x509: CA: %w", err)
	}
	key, err := parseKey(caKey)
	if err != nil {
		return nil, nil, fmt.Errorf("x509: CA: %w", err)
	}
	return ca, key, nil
}
