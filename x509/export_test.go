package x509

// DressCertificate returns the field certificate for PEM text.
func DressCertificate(text []byte) (string, error) {
	_, block, err := parseCertificate(text)
	if err != nil {
		return "", err
	}
	return dress(block), nil
}

// Remembered returns how many certificates the verifier remembers.
func (v *Verifier) Remembered() int {
	c := &v.trust.Load().leaves
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.young) + len(c.old)
}
