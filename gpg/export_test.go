package gpg

import "github.com/ProtonMail/go-crypto/openpgp/packet"

// BreakParser makes the parser of signatures panic, as a fault of it would.
func (v *Verifier) BreakParser() {
	v.parse = func([]byte) ([]*packet.Signature, error) { panic("out of range") }
}

// ParseKeys reads a text as a keyring, and counts the keys.
func ParseKeys(text []byte) (int, error) {
	keys, err := parseKeys(text)
	return len(keys), err
}
