package x509

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Signer signs messages with one key. It implements [fedmsg.Signer].
type Signer struct {
	key         *rsa.PrivateKey
	certificate string // dressed
	// Name is the certificate's first CN, by which readers will know the signer.
	Name string
}

var _ fedmsg.Signer = (*Signer)(nil)

// NewSigner reads a certificate and its key, both PEM. The error says if they do
// not belong together, or if everybody could read the key.
func NewSigner(certFile, keyFile string) (*Signer, error) {
	certPEM, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("x509: certificate: %w", err)
	}
	keyPEM, err := readKey(keyFile)
	if err != nil {
		return nil, fmt.Errorf("x509: key: %w", err)
	}
	s, err := signerOf(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("x509: %s and %s: %w", certFile, keyFile, err)
	}
	return s, nil
}

func readKey(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err == nil && info.Mode().Perm()&0o004 != 0 {
		return nil, &fedmsg.HintError{
			Err:  fmt.Errorf("%s has mode %04o: everybody can read it", file, info.Mode().Perm()),
			Hint: "chmod 0640 it, and give it to the group that the program runs in",
		}
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrPermission) {
		return nil, &fedmsg.HintError{Err: err, Hint: "is the program in the group that may read the key?"}
	}
	return text, err
}

func signerOf(certPEM, keyPEM []byte) (*Signer, error) {
	block, _, err := firstPEM(certPEM, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, err
	}
	if public, ok := c.PublicKey.(*rsa.PublicKey); !ok || !public.Equal(&key.PublicKey) {
		return nil, errors.New("the key does not belong to the certificate")
	}
	name, err := signerName(c, true)
	if err != nil {
		return nil, err
	}
	// The block alone, as the original sends it: no text around, no headers.
	dressed := EncodeBase64(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes}))
	return &Signer{key: key, certificate: dressed, Name: name}, nil
}

// parseKey reads an RSA key in either of its PEM forms.
func parseKey(text []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM key")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("no RSA key without a password")
	}
	k, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("fedmsg signs with RSA; this is another kind of key")
	}
	return k, nil
}

// Sign returns m with the fields crypto, signature and certificate, in canonical
// form. Old ones are replaced.
func (s *Signer) Sign(_ context.Context, m *fedmsg.Message) (*fedmsg.Message, error) {
	m, err := m.With(fedmsg.Member{Name: "crypto", JSON: json.RawMessage(`"x509"`)})
	if err != nil {
		return nil, err
	}
	sum := sha1.Sum(m.AppendSigned(nil))
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA1, sum[:])
	if err != nil {
		return nil, fmt.Errorf("x509: sign %s: %w", m.ID, err)
	}
	return m.With(
		fedmsg.Member{Name: "signature", JSON: base64JSON(EncodeBase64(signature))},
		fedmsg.Member{Name: "certificate", JSON: base64JSON(s.certificate)})
}

// base64JSON quotes dressed base64, in which only newlines need it.
func base64JSON(text string) json.RawMessage {
	return json.RawMessage(`"` + strings.ReplaceAll(text, "\n", `\n`) + `"`)
}
