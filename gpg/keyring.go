package gpg

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// maxKeyring is the largest keyring file, in bytes. Debian's, of a thousand people,
// has 30 MiB.
const maxKeyring = 256 << 20

// readKeys reads the keys of a file, armored or not. Keys that cannot be read are left
// out, as by GnuPG; a file without any other is an error.
func readKeys(file string) (openpgp.EntityList, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeyring+1))
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return keys, nil
}

// exportHint says how to make a file that can be read.
const exportHint = "write the keys to a file with: gpg --export --armor FINGERPRINT... > keyring.asc"

func parseKeys(text []byte) (keys openpgp.EntityList, err error) {
	switch {
	case len(text) > maxKeyring:
		return nil, fmt.Errorf("has more than %d bytes: %w", maxKeyring, fedmsg.ErrInvalid)
	case len(text) > 12 && string(text[8:12]) == "KBXf" || bytes.HasPrefix(text, []byte("SQLite format 3")):
		return nil, &fedmsg.HintError{Err: fmt.Errorf("is a database of GnuPG, not a file of keys: %w", fedmsg.ErrInvalid), Hint: exportHint}
	}
	for block := range blocks(text) {
		var more openpgp.EntityList
		if more, err = openpgp.ReadKeyRing(block); err != nil {
			break
		}
		keys = append(keys, more...)
	}
	if err == nil && len(keys) == 0 {
		err = errors.New("there is no key in it")
	}
	if err != nil {
		return nil, &fedmsg.HintError{Err: fmt.Errorf("holds no keys that can be read: %w: %w", err, fedmsg.ErrInvalid), Hint: exportHint}
	}
	return keys, nil
}

// blocks yields what is in the armored blocks of a text, or all of it if there are none.
func blocks(text []byte) func(yield func(io.Reader) bool) {
	return func(yield func(io.Reader) bool) {
		rest := bufio.NewReader(bytes.NewReader(text)) // armor takes it as it is, and no byte beyond the block
		for n := 0; ; n++ {
			block, err := armor.Decode(rest)
			if err != nil {
				if n == 0 {
					yield(bytes.NewReader(text))
				}
				return
			}
			if !yield(block.Body) {
				return
			}
		}
	}
}

// A key is one that may have signed.
type key struct {
	openpgp.Key
	// signer is the fingerprint of the primary key, in upper case, as gpg prints it.
	signer string
	// user is the primary user ID, by the word of the key's owner.
	user string
}

func newKey(k openpgp.Key) key {
	named := key{Key: k, signer: strings.ToUpper(hex.EncodeToString(k.Entity.PrimaryKey.Fingerprint))}
	if id := k.Entity.PrimaryIdentity(); id != nil {
		named.user = id.Name
	}
	return named
}

// index finds keys and subkeys by their IDs, which are not unique.
func index(keys openpgp.EntityList) map[uint64][]key {
	ids := make(map[uint64][]key, len(keys))
	for _, e := range keys {
		self, _ := e.PrimarySelfSignature()
		ids[e.PrimaryKey.KeyId] = append(ids[e.PrimaryKey.KeyId],
			newKey(openpgp.Key{Entity: e, PublicKey: e.PrimaryKey, SelfSignature: self, Revocations: e.Revocations}))
		for _, sub := range e.Subkeys {
			ids[sub.PublicKey.KeyId] = append(ids[sub.PublicKey.KeyId],
				newKey(openpgp.Key{Entity: e, PublicKey: sub.PublicKey, SelfSignature: sub.Sig, Revocations: sub.Revocations}))
		}
	}
	return ids
}

// judge returns a refusal unless the key was good at a time.
func (k key) judge(at time.Time) error {
	primary := k.Entity.PrimaryKey
	self, identity := k.Entity.PrimarySelfSignature()
	switch {
	case self == nil || k.SelfSignature == nil:
		return fedmsg.Refuse(fedmsg.CertUntrusted, "the key %s does not vouch for itself", k.signer)
	case isRevoked(k.Entity.Revocations, at) || isRevoked(k.Revocations, at) || identity != nil && isRevoked(identity.Revocations, at):
		return fedmsg.Refuse(fedmsg.CertRevoked, "the key %s is revoked", k.signer)
	case at.Before(primary.CreationTime) || at.Before(k.PublicKey.CreationTime):
		return fedmsg.Refuse(fedmsg.CertNotYetValid, "the key %s is of %s", k.signer, k.PublicKey.CreationTime.UTC().Format(time.RFC3339))
	case primary.KeyExpired(self, at) || k.PublicKey.KeyExpired(k.SelfSignature, at):
		return fedmsg.Refuse(fedmsg.CertExpired, "the key %s had ended by %s", k.signer, at.UTC().Format(time.RFC3339))
	case k.SelfSignature.FlagsValid && !k.SelfSignature.FlagSign || k.PublicKey != primary && !k.SelfSignature.FlagSign:
		return fedmsg.Refuse(fedmsg.CertKey, "the key %s is not for signing", k.signer)
	}
	return nil
}

// isRevoked reports whether revocations are in force at a time. One that only says
// that the key is out of use begins with its own time; any other reason, or none,
// counts whenever it came, since who stole a key can date a signature back (RFC 9580,
// 5.2.3.31).
func isRevoked(revocations []*packet.Signature, at time.Time) bool {
	for _, r := range revocations {
		soft := false
		if r.RevocationReason != nil {
			switch *r.RevocationReason {
			case packet.KeySuperseded, packet.KeyRetired, packet.UserIDNotValid:
				soft = true
			}
		}
		if !soft || !at.Before(r.CreationTime) {
			return true
		}
	}
	return false
}

// minRSABits is the shortest RSA key that the gate takes; Go's verifies none below 1024.
const minRSABits = 2048

// checkStrength returns a refusal of a key or hash that is too weak for what comes in
// now.
func (k key) checkStrength(sig *packet.Signature) error {
	switch k.PublicKey.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		if bits, err := k.PublicKey.BitLength(); err != nil || bits < minRSABits {
			return fedmsg.Refuse(fedmsg.CertWeak, "the key %s has %d bits, at least %d are wanted", k.signer, bits, minRSABits)
		}
	case packet.PubKeyAlgoDSA:
		return fedmsg.Refuse(fedmsg.CertWeak, "the key %s is a DSA key", k.signer)
	}
	if size := sig.Hash.Size(); size < 32 {
		return fedmsg.Refuse(fedmsg.CertWeak, "the signature by %s is made with %s", k.signer, sig.Hash)
	}
	return nil
}
