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
	"iter"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Signer signs messages with one key. It implements [fedmsg.Signer] and may be
// used by several goroutines at once.
//
// It looks at its files now and then while it signs, so that a renewed certificate
// comes into force by itself. Files that are broken, do not belong together or are
// of another name are not taken: the old ones go on, and the failure is counted.
type Signer struct {
	// Name is the certificate's CN, by which readers will know the signer.
	Name string

	certFile, keyFile string
	identity          atomic.Pointer[identity]
	failures          atomic.Uint64

	looking sync.Mutex // held by who looks at the files
	looked  time.Time
	stamps  [2]stamp
}

// An identity is a certificate and its key.
type identity struct {
	name        string
	key         *rsa.PrivateKey
	certificate string // dressed
	notAfter    time.Time
}

var _ fedmsg.Signer = (*Signer)(nil)

// NewSigner reads a certificate and its key, both PEM. The error says if they do
// not belong together, or if everybody could read the key.
func NewSigner(certFile, keyFile string) (*Signer, error) {
	s := &Signer{certFile: certFile, keyFile: keyFile, looked: time.Now()}
	s.stamps = [2]stamp{stampOf(certFile), stampOf(keyFile)}
	id, err := readIdentity(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	s.Name = id.name
	s.identity.Store(id)
	return s, nil
}

// current returns the identity to sign with.
func (s *Signer) current() *identity {
	if s.looking.TryLock() {
		defer s.looking.Unlock()
		if now := time.Now(); now.Sub(s.looked) >= reloadEvery {
			s.looked = now
			s.look()
		}
	}
	return s.identity.Load()
}

// look reads the files if they have changed.
func (s *Signer) look() {
	now := [2]stamp{stampOf(s.certFile), stampOf(s.keyFile)}
	if now == s.stamps {
		return
	}
	s.stamps = now
	id, err := readIdentity(s.certFile, s.keyFile)
	if err != nil || id.name != s.Name {
		s.failures.Add(1)
		return
	}
	s.identity.Store(id)
}

// Samples yields the end of the certificate, and failures to read it again.
func (s *Signer) Samples() iter.Seq[fedmsg.Sample] {
	return fedmsg.MeterFunc(func(yield func(fedmsg.Sample) bool) {
		_ = yield(fedmsg.Sample{Name: "cert_not_after_timestamp_seconds", Labels: []string{"name", "signer"}, Value: float64(s.identity.Load().notAfter.Unix())}) &&
			yield(fedmsg.Sample{Name: "signer_load_failures_total", Value: float64(s.failures.Load())})
	}).Samples()
}

func readIdentity(certFile, keyFile string) (*identity, error) {
	certPEM, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("x509: certificate: %w", err)
	}
	keyPEM, err := readKey(keyFile)
	if err != nil {
		return nil, fmt.Errorf("x509: key: %w", err)
	}
	id, err := newIdentity(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("x509: %s and %s: %w", certFile, keyFile, err)
	}
	return id, nil
}

func readKey(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err == nil && info.Mode().Perm()&0o007 != 0 {
		return nil, &fedmsg.HintError{
			Err:  fmt.Errorf("%s has mode %04o: everybody can read or replace it", file, info.Mode().Perm()),
			Hint: "chmod 0640, and give it to the group that the program runs in",
		}
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrPermission) {
		return nil, &fedmsg.HintError{Err: err, Hint: "is the program in the group that may read the key?"}
	}
	return text, err
}

func newIdentity(certPEM, keyPEM []byte) (*identity, error) {
	c, block, err := parseCertificate(certPEM)
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
	return &identity{name: name, key: key, certificate: dress(block), notAfter: c.NotAfter}, nil
}

// dress returns the field certificate: the block alone, as the original sends it,
// without text around it.
func dress(block *pem.Block) string {
	return EncodeBase64(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes}))
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
	id := s.current()
	sum := sha1.Sum(m.AppendSigned(nil))
	signature, err := rsa.SignPKCS1v15(rand.Reader, id.key, crypto.SHA1, sum[:])
	if err != nil {
		return nil, fmt.Errorf("x509: sign %s: %w", m.ID, err)
	}
	return m.With(
		fedmsg.Member{Name: "signature", JSON: base64JSON(EncodeBase64(signature))},
		fedmsg.Member{Name: "certificate", JSON: base64JSON(id.certificate)})
}

// base64JSON quotes dressed base64, in which only newlines need it.
func base64JSON(text string) json.RawMessage {
	return json.RawMessage(`"` + strings.ReplaceAll(text, "\n", `\n`) + `"`)
}
