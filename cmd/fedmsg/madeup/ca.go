package madeup

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fedora-infra/fedmsg-go/x509"
)

// publisher is the certificate name under which the demo speaks.
const publisher = "demo.fedmsg.example"

// CA writes a CA, its empty CRL and a certificate for [publisher]
// into dir, and returns the three files that a bus is configured with.
func CA(dir string) (ca, cert, key string, err error) {
	caCert, caKey, err := x509.GenerateCA("fedmsg demo CA", 30*24*time.Hour)
	if err != nil {
		return "", "", "", fmt.Errorf("demo: make a CA: %w", err)
	}
	leaf, leafKey, err := x509.IssueCertificate(caCert, caKey, publisher, 30*24*time.Hour)
	if err != nil {
		return "", "", "", fmt.Errorf("demo: issue a certificate: %w", err)
	}
	for name, data := range map[string][]byte{"ca.crt": caCert, "demo.crt": leaf, "demo.key": leafKey} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return "", "", "", fmt.Errorf("demo: %w", err)
		}
	}
	return filepath.Join(dir, "ca.crt"), filepath.Join(dir, "demo.crt"), filepath.Join(dir, "demo.key"), nil
}
