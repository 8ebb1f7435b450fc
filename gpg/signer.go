package gpg

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// SignerConfig says with which key to sign. Only Keyring is required.
type SignerConfig struct {
	// Keyring is a file of secret keys, as gpg --export-secret-keys writes them. It must
	// not be readable by everybody.
	Keyring string
	// Key is a fingerprint, in full or its last 16 digits or more. Default: the only key
	// in the file.
	Key string
	// Passphrase unlocks the key. Default: it is not locked.
	Passphrase []byte
}

// Signer signs the bodies of messages with one key. It implements [fedmsg.Signer] and
// may be used by several goroutines at once.
type Signer struct {
	// Fingerprint is that of the primary key, in upper case.
	Fingerprint string

	entity *openpgp.Entity
}

var _ fedmsg.Signer = (*Signer)(nil)

// NewSigner reads a secret key. The error says what is wrong with the file, the key or
// the passphrase.
func NewSigner(cfg SignerConfig) (*Signer, error) {
	info, err := os.Stat(cfg.Keyring)
	if err != nil {
		return nil, fmt.Errorf("gpg: secret key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return nil, &fedmsg.HintError{
			Err:  fmt.Errorf("gpg: secret key: %s has mode %04o: everybody can read or replace it", cfg.Keyring, mode),
			Hint: "chmod 0640, and give it to the group that the program runs in",
		}
	}
	keys, err := readKeys(cfg.Keyring)
	if err != nil {
		return nil, fmt.Errorf("gpg: secret key: %w", err)
	}
	k, err := choose(keys, cfg.Key)
	if err == nil {
		err = unlock(k.Entity, cfg.Passphrase)
	}
	if err != nil {
		return nil, fmt.Errorf("gpg: secret key: %s: %w", cfg.Keyring, err)
	}
	s := &Signer{Fingerprint: k.signer, entity: k.Entity}
	if _, err := s.sign([]byte("{}")); err != nil {
		return nil, fmt.Errorf("gpg: secret key: %s: %s: %w", cfg.Keyring, k.signer, err)
	}
	return s, nil
}

// choose finds the key of a fingerprint.
func choose(keys openpgp.EntityList, fingerprint string) (key, error) {
	want := strings.ToUpper(strings.ReplaceAll(strings.TrimPrefix(fingerprint, "0x"), " ", ""))
	if fingerprint != "" && len(want) < 16 {
		return key{}, fmt.Errorf("%q is no fingerprint: give at least its last 16 digits", fingerprint)
	}
	var found []key
	for _, e := range keys {
		if k := newKey(openpgp.Key{Entity: e}); e.PrivateKey != nil && strings.HasSuffix(k.signer, want) {
			found = append(found, k)
		}
	}
	switch {
	case len(found) == 0:
		return key{}, &fedmsg.HintError{Err: fmt.Errorf("there is no secret key %s in it", want), Hint: "write it with: gpg --export-secret-keys --armor FINGERPRINT > key.asc"}
	case len(found) > 1:
		return key{}, fmt.Errorf("there are %d secret keys in it: give the fingerprint of one", len(found))
	}
	return found[0], nil
}

// unlock decrypts the key and its subkeys.
func unlock(e *openpgp.Entity, passphrase []byte) error {
	locked := e.PrivateKey.Encrypted
	for _, sub := range e.Subkeys {
		locked = locked || sub.PrivateKey != nil && sub.PrivateKey.Encrypted
	}
	if !locked {
		return nil
	}
	if len(passphrase) == 0 {
		return errors.New("the key is locked: give the passphrase")
	}
	if err := e.DecryptPrivateKeys(passphrase); err != nil {
		return fmt.Errorf("the passphrase does not unlock the key: %w", err)
	}
	return nil
}

// sign returns the field signature for a canonical text: base64 in one line, as
// fedmsg's signer meant it.
func (s *Signer) sign(text []byte) (string, error) {
	var out bytes.Buffer
	if err := openpgp.DetachSign(&out, s.entity, bytes.NewReader(text), nil); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(out.Bytes()), nil
}

// Sign returns m with the fields crypto and signature, in canonical form. Old
// credentials, of whatever kind, are replaced. The signature covers the body only.
func (s *Signer) Sign(_ context.Context, m *fedmsg.Message) (*fedmsg.Message, error) {
	m, err := fedmsg.Decode(m.AppendSigned(nil)) // without old credentials
	if err != nil {
		return nil, err
	}
	text, err := fedmsg.AppendCanonical(nil, m.Body)
	if err != nil {
		return nil, err
	}
	signature, err := s.sign(text)
	if err != nil {
		return nil, fmt.Errorf("gpg: sign %s: %w", m.ID, err)
	}
	return m.With(
		fedmsg.Member{Name: "crypto", JSON: json.RawMessage(`"gpg"`)},
		fedmsg.Member{Name: "signature", JSON: json.RawMessage(`"` + signature + `"`)})
}
