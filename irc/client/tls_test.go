package client_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fedora-infra/fedmsg-go/irc/client"
	"github.com/fedora-infra/fedmsg-go/irc/irctest"
)

// pair makes a certificate for a name, which signs itself, and its key, as files.
func pair(t *testing.T, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), // the clock of a bubble begins in 2000
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// A server is believed by its certificate alone; we prove ourselves by ours.
func TestClientTLS(t *testing.T) {
	serverCert, serverKey := pair(t, "irc.example.org")
	otherCert, _ := pair(t, "irc.example.org")
	ourCert, ourKey := pair(t, "bot")
	loaded, err := tls.LoadX509KeyPair(serverCert, serverKey)
	if err != nil {
		t.Fatal(err)
	}
	good := client.Config{
		Server: "irc.example.org:6697", TLS: true, CA: serverCert, SASL: client.SASLExternal, Certificate: ourCert, Key: ourKey,
		Timeout:  10 * time.Second, // on a pipe nobody reads the alert of who turns away
		Channels: []client.Channel{{Name: "#a"}},
	}
	for name, tt := range map[string]struct {
		change func(c *client.Config)
		in     bool
	}{
		"good":                 {func(*client.Config) {}, true},
		"another server name":  {func(c *client.Config) { c.Server = "127.0.0.1:6697"; c.ServerName = "irc.example.org" }, true},
		"for another server":   {func(c *client.Config) { c.ServerName = "irc.example.com" }, false},
		"of somebody else":     {func(c *client.Config) { c.CA = otherCert }, false},
		"of nobody we know of": {func(c *client.Config) { c.CA = "" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			tt.change(&cfg)
			prepare := func(n *irctest.Network) {
				n.Caps = "sasl=EXTERNAL"
				n.TLS = &tls.Config{Certificates: []tls.Certificate{loaded}, ClientAuth: tls.RequireAnyClientCert}
			}
			onNetwork(t, cfg, prepare, func(t *testing.T, n *irctest.Network, c *client.Client) {
				irctest.Later(20 * time.Second)
				if st := c.State(); st.Connected != tt.in || tt.in != (len(n.Got("AUTHENTICATE EXTERNAL")) == 1) || tt.in != (st.Failed == 0) {
					t.Errorf("State = %+v after %q, want connected %v", st, n.Lines, tt.in)
				}
			})
		})
	}
	cfg := good
	cfg.CA = ourKey
	if _, err := client.New(cfg, nil); err == nil {
		t.Error("New with a CA file that holds no certificate: no error")
	}
}
