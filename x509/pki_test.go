package x509_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	_ "crypto/sha256"
	stdx509 "crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/x509"
)

// keys are for the CA, for signers, and a short one; made once, since it takes time.
var keys = sync.OnceValue(func() (k struct{ ca, leaf, short *rsa.PrivateKey }) {
	for _, make := range []struct {
		key  **rsa.PrivateKey
		bits int
	}{{&k.ca, 2048}, {&k.leaf, 2048}, {&k.short, 1024}} {
		key, err := rsa.GenerateKey(rand.Reader, make.bits)
		if err != nil {
			panic(err)
		}
		*make.key = key
	}
	return k
})

// template is what certificates are made of here, unless changed.
func template(cn string) *stdx509.Certificate {
	now := time.Now()
	return &stdx509.Certificate{
		SerialNumber: big.NewInt(77), Subject: pkix.Name{CommonName: cn},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}
}

func caTemplate() *stdx509.Certificate {
	ca := template("odd CA")
	ca.SerialNumber = big.NewInt(1)
	ca.BasicConstraintsValid, ca.IsCA = true, true
	ca.KeyUsage = stdx509.KeyUsageCertSign | stdx509.KeyUsageCRLSign
	return ca
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// issue makes a certificate, DER.
func issue(t testing.TB, c, parent *stdx509.Certificate, public any, signer *rsa.PrivateKey) []byte {
	t.Helper()
	der, err := stdx509.CreateCertificate(rand.Reader, c, parent, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// resign puts other bytes into the signed part of a certificate, and a signature
// that fits.
func resign(t testing.TB, der []byte, change func(tbs []byte), h crypto.Hash, alg asn1.ObjectIdentifier) []byte {
	t.Helper()
	var c struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &c); err != nil {
		t.Fatal(err)
	}
	c.TBS.FullBytes = slices.Clone(c.TBS.FullBytes)
	change(c.TBS.FullBytes)
	c.Algorithm.Algorithm = alg
	sum := h.New()
	sum.Write(c.TBS.FullBytes)
	signature, err := rsa.SignPKCS1v15(rand.Reader, keys().ca, h, sum.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	c.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	der, err = asn1.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

var (
	sha1WithRSA   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}
	sha256WithRSA = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
)

// withSHA1 turns a certificate signed with SHA-256 into one signed with SHA-1.
func withSHA1(t testing.TB, der []byte) []byte {
	old, _ := asn1.Marshal(sha256WithRSA)
	return resign(t, der, func(tbs []byte) { tbs[bytes.Index(tbs, old)+len(old)-1] = 5 }, crypto.SHA1, sha1WithRSA)
}

// signWith signs a message with any key, and puts any certificate beside.
func signWith(t testing.TB, certificate []byte, key *rsa.PrivateKey) *fedmsg.Message {
	t.Helper()
	m, err := fedmsg.Draft{Topic: "org.example.prod.odd", ID: "2026-7", Time: time.Now(), Counter: 1, Body: []byte(`{"a":1}`)}.Message()
	if err != nil {
		t.Fatal(err)
	}
	if m, err = m.With(fedmsg.Member{Name: "crypto", JSON: json.RawMessage(`"x509"`)}); err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(m.AppendSigned(nil))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA1, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	quote := func(b []byte) json.RawMessage {
		text, err := json.Marshal(x509.EncodeBase64(b))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	m, err = m.With(fedmsg.Member{Name: "signature", JSON: quote(signature)}, fedmsg.Member{Name: "certificate", JSON: quote(certificate)})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Each certificate here is signed by the CA that is trusted, unless it says
// otherwise, and its key signed the message.
func TestCertificates(t *testing.T) {
	k := keys()
	caDER := issue(t, caTemplate(), caTemplate(), &k.ca.PublicKey, k.ca)
	ca, err := stdx509.ParseCertificate(caDER)
	if err != nil {
		t.Fatal(err)
	}
	made := func(change func(*stdx509.Certificate)) []byte {
		c := template("app.example.org")
		if change != nil {
			change(c)
		}
		return issue(t, c, ca, &k.leaf.PublicKey, k.ca)
	}
	named := func(names ...pkix.AttributeTypeAndValue) []byte {
		return certPEM(made(func(c *stdx509.Certificate) { c.Subject = pkix.Name{ExtraNames: names} }))
	}
	cn := func(v any) pkix.AttributeTypeAndValue {
		return pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: v}
	}
	good := made(nil)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger := caTemplate()
	stranger.SubjectKeyId = []byte{1, 2, 3}
	negative := resign(t, made(func(c *stdx509.Certificate) { c.SerialNumber = big.NewInt(0x7e0102030405060) }), func(tbs []byte) {
		tbs[bytes.Index(tbs, []byte{2, 8, 7, 0xe0})+2] = 0x87
	}, crypto.SHA256, sha256WithRSA)
	lines := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	const bad = fedmsg.BadCert

	tests := []struct {
		name             string
		text             []byte
		strict, faithful fedmsg.Reason
	}{
		{"plain", certPEM(good), "", ""},
		{"carriage returns", bytes.ReplaceAll(certPEM(good), []byte("\n"), []byte("\r\n")), "", ""},
		{"blank lines around", lines([]byte("\n \n"), certPEM(good), []byte("\n\n")), "", ""},
		{"text before", lines([]byte("Certificate:\n    Data:\n"), certPEM(good)), bad, ""},
		{"text behind", lines(certPEM(good), []byte("more\n")), bad, ""},
		{"two certificates", lines(certPEM(good), certPEM(caDER)), bad, ""},
		{"the CA's before it", lines(certPEM(caDER), certPEM(good)), bad, fedmsg.BadSignature}, // the first counts
		{"a broken one before it", lines([]byte("-----BEGIN CERTIFICATE-----\nno!\n-----END CERTIFICATE-----\n"), certPEM(good)), bad, bad},
		{"its private key too", lines(certPEM(good), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("k")})), bad, ""},
		{"PEM headers", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"A": "b"}, Bytes: good}), bad, ""},
		{"OpenSSL's old name for it", pem.EncodeToMemory(&pem.Block{Type: "X509 CERTIFICATE", Bytes: good}), bad, ""},
		{"DER", good, bad, bad},
		{"nothing", []byte{'\n'}, bad, bad},
		{"not DER inside", certPEM([]byte("no!")), bad, bad},

		{"no CN", named(pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "O"}), fedmsg.CertNoCN, fedmsg.CertNoCN},
		{"two CNs", named(cn("first"), cn("second")), fedmsg.CertBadCN, ""},
		{"NUL in the CN", named(cn("app.example.org\x00.evil.org")), fedmsg.CertBadCN, ""},
		{"direction of writing turned in the CN", named(cn("app\u202egro")), fedmsg.CertBadCN, ""},
		{"a CN that is a number", named(cn(5)), bad, bad}, // crypto/x509 does not read it

		{"a key on a curve", certPEM(issue(t, template("ec"), ca, &ec.PublicKey, k.ca)), fedmsg.CertKey, fedmsg.CertKey},
		{"unknown critical extension", certPEM(made(func(c *stdx509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		})), fedmsg.CertUntrusted, fedmsg.CertUntrusted},
		{"unknown extension", certPEM(made(func(c *stdx509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}}
		})), "", ""},
		{"for servers only", certPEM(made(func(c *stdx509.Certificate) { c.ExtKeyUsage = []stdx509.ExtKeyUsage{stdx509.ExtKeyUsageServerAuth} })), "", ""},
		{"expired", certPEM(made(func(c *stdx509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) })), fedmsg.CertExpired, fedmsg.CertExpired},
		{"not yet valid", certPEM(made(func(c *stdx509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })), fedmsg.CertNotYetValid, fedmsg.CertNotYetValid},
		{"negative serial number", certPEM(negative), "", ""},
		{"serial number of 20 bytes", certPEM(made(func(c *stdx509.Certificate) { c.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 158) })), "", ""},
		{"signed with SHA-1", certPEM(withSHA1(t, good)), fedmsg.CertWeak, fedmsg.CertWeak},
		{"a CA below the CA", certPEM(made(func(c *stdx509.Certificate) { c.BasicConstraintsValid, c.IsCA = true, true })), fedmsg.CertIsCA, ""},
		{"may sign certificates", certPEM(made(func(c *stdx509.Certificate) { c.KeyUsage = stdx509.KeyUsageCertSign })), fedmsg.CertIsCA, ""},
		{"signed by itself", certPEM(issue(t, template("odd CA"), template("odd CA"), &k.leaf.PublicKey, k.leaf)), fedmsg.CertUntrusted, fedmsg.CertUntrusted},
		{"a CA of the same name issued it", certPEM(issue(t, template("app"), stranger, &k.leaf.PublicKey, k.leaf)), fedmsg.CertUntrusted, fedmsg.CertUntrusted},
		{"another key of the CA by its own word", certPEM(issue(t, template("app"), stranger, &k.leaf.PublicKey, k.ca)), fedmsg.CertUntrusted, fedmsg.CertUntrusted},
	}
	file := write(t, filepath.Join(t.TempDir(), "ca.crt"), certPEM(caDER))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := signWith(t, tt.text, k.leaf)
			for _, faithful := range []bool{false, true} {
				v, err := x509.NewVerifier(x509.Config{CA: file, Faithful: faithful}, nil)
				if err != nil {
					t.Fatal(err)
				}
				want := tt.strict
				if faithful {
					want = tt.faithful
				}
				for range 2 { // fresh, and from memory
					if got, err := v.Check(t.Context(), m); fedmsg.ReasonOf(err) != want || (err == nil) != (want == "") {
						t.Errorf("Check, faithful %t: %+v, %v; want %q", faithful, got, err, want)
					}
				}
			}
		})
	}
}

// What old deployments used is let in by one switch, and nothing below it.
func TestLegacy(t *testing.T) {
	k := keys()
	caDER := issue(t, caTemplate(), caTemplate(), &k.ca.PublicKey, k.ca)
	ca, err := stdx509.ParseCertificate(caDER)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	modern := write(t, filepath.Join(dir, "modern.crt"), certPEM(caDER))
	old := write(t, filepath.Join(dir, "old.crt"), certPEM(withSHA1(t, caDER)))
	long, short := issue(t, template("long"), ca, &k.leaf.PublicKey, k.ca), issue(t, template("short"), ca, &k.short.PublicKey, k.ca)
	tests := []struct {
		name   string
		ca     string
		cert   []byte
		key    *rsa.PrivateKey
		legacy bool
		want   fedmsg.Reason
	}{
		{"short key", modern, short, k.short, false, fedmsg.CertWeak},
		{"short key, allowed", modern, short, k.short, true, ""},
		{"SHA-1, allowed", modern, withSHA1(t, long), k.leaf, true, ""},
		{"SHA-1 in the CA", old, long, k.leaf, false, fedmsg.CertWeak},
		{"SHA-1 in the CA, allowed", old, withSHA1(t, short), k.short, true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := x509.NewVerifier(x509.Config{CA: tt.ca, LegacySHA1: tt.legacy}, nil)
			if err == nil {
				_, err = v.Verify(t.Context(), signWith(t, certPEM(tt.cert), tt.key))
			} else if fedmsg.Hint(err) == "" {
				t.Errorf("NewVerifier: %v, without a hint", err)
			}
			if fedmsg.ReasonOf(err) != tt.want || (err == nil) != (tt.want == "") {
				t.Errorf("verdict %v, want %q", err, tt.want)
			}
		})
	}
}

// A CA is checked when it is read, so that a wrong file does not wait for the
// first message.
func TestRoots(t *testing.T) {
	k := keys()
	root := func(change func(*stdx509.Certificate)) []byte {
		c := caTemplate()
		change(c)
		return certPEM(issue(t, c, c, &k.ca.PublicKey, k.ca))
	}
	other := template("other CA")
	tests := []struct {
		name string
		text []byte
		want fedmsg.Reason
		good bool
	}{
		{"a root", root(func(*stdx509.Certificate) {}), "", true},
		{"without key usage", root(func(c *stdx509.Certificate) { c.KeyUsage = 0 }), "", true},
		{"key usage alone", root(func(c *stdx509.Certificate) { c.IsCA, c.BasicConstraintsValid = false, false }), "", true},
		{"no CA", root(func(c *stdx509.Certificate) { c.IsCA, c.KeyUsage = false, 0 }), fedmsg.CertUntrusted, false},
		{"nothing that makes it a CA", root(func(c *stdx509.Certificate) { c.IsCA, c.BasicConstraintsValid, c.KeyUsage = false, false, 0 }), fedmsg.CertUntrusted, false},
		{"may not sign certificates", root(func(c *stdx509.Certificate) { c.KeyUsage = stdx509.KeyUsageCRLSign }), fedmsg.CertUntrusted, false},
		{"limited to names", root(func(c *stdx509.Certificate) {
			c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"example.org"}
		}), fedmsg.CertUntrusted, false},
		{"issued by another CA", certPEM(issue(t, caTemplate(), other, &k.leaf.PublicKey, k.ca)), fedmsg.CertUntrusted, false},
		{"not signed by itself", certPEM(issue(t, caTemplate(), caTemplate(), &k.leaf.PublicKey, k.ca)), fedmsg.CertUntrusted, false},
		{"no certificate", []byte("no"), "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := x509.NewVerifier(x509.Config{CA: write(t, filepath.Join(t.TempDir(), "ca.crt"), tt.text)}, nil)
			if (err == nil) != tt.good || fedmsg.ReasonOf(err) != tt.want || err != nil && fedmsg.Hint(err) == "" {
				t.Errorf("NewVerifier: %v, hint %q; want good = %t, %q", err, fedmsg.Hint(err), tt.good, tt.want)
			}
		})
	}
}

// A list is a revocation list in the making.
type list struct {
	version    int
	hash       crypto.Hash
	inner      asn1.ObjectIdentifier // in the signed part, if not that of hash
	from, to   time.Duration         // from now
	issuer     string
	revoked    int64
	extensions []pkix.Extension
}

// pem writes a list as OpenSSL would; crypto/x509 writes good ones of version 2 only.
func (l list) pem(t testing.TB) []byte {
	t.Helper()
	alg := pkix.AlgorithmIdentifier{Algorithm: sha256WithRSA, Parameters: asn1.NullRawValue}
	if l.hash == crypto.SHA1 {
		alg.Algorithm = sha1WithRSA
	}
	inner := alg
	if l.inner != nil {
		inner.Algorithm = l.inner
	}
	type entry struct {
		Serial *big.Int
		Time   time.Time
	}
	tbs := struct {
		Version    int `asn1:"optional"`
		Algorithm  pkix.AlgorithmIdentifier
		Issuer     pkix.RDNSequence
		From, To   time.Time
		Revoked    []entry          `asn1:"optional,omitempty"`
		Extensions []pkix.Extension `asn1:"tag:0,optional,explicit,omitempty"`
	}{
		Version: l.version, Algorithm: inner, Issuer: pkix.Name{CommonName: l.issuer}.ToRDNSequence(),
		From: time.Now().Add(l.from).UTC(), To: time.Now().Add(l.to).UTC(), Extensions: l.extensions,
	}
	if l.revoked != 0 {
		tbs.Revoked = []entry{{big.NewInt(l.revoked), time.Now().UTC()}}
	}
	text, err := asn1.Marshal(tbs)
	if err != nil {
		t.Fatal(err)
	}
	sum := l.hash.New()
	sum.Write(text)
	signature, err := rsa.SignPKCS1v15(rand.Reader, keys().ca, l.hash, sum.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: text}, alg, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

func TestRevocationLists(t *testing.T) {
	k := keys()
	caDER := issue(t, caTemplate(), caTemplate(), &k.ca.PublicKey, k.ca)
	ca, err := stdx509.ParseCertificate(caDER)
	if err != nil {
		t.Fatal(err)
	}
	mute := caTemplate()
	mute.KeyUsage = stdx509.KeyUsageCertSign
	dir := t.TempDir()
	caFile := write(t, filepath.Join(dir, "ca.crt"), certPEM(caDER))
	muteFile := write(t, filepath.Join(dir, "mute.crt"), certPEM(issue(t, mute, mute, &k.ca.PublicKey, k.ca)))
	m := signWith(t, certPEM(issue(t, template("app"), ca, &k.leaf.PublicKey, k.ca)), k.leaf)
	plain := list{version: 1, hash: crypto.SHA256, from: -time.Minute, to: time.Minute, issuer: "odd CA"}
	tests := []struct {
		name   string
		change func(*list)
		config x509.Config
		ago    time.Duration // judge as of that long ago
		want   fedmsg.Reason
	}{
		{name: "plain", change: func(*list) {}},
		{name: "version 1", change: func(l *list) { l.version = 0 }},
		{name: "version 1, revoked", change: func(l *list) { l.version, l.revoked = 0, 77 }, want: fedmsg.CertRevoked},
		{name: "revoked", change: func(l *list) { l.revoked = 77 }, want: fedmsg.CertRevoked},
		{name: "another is revoked", change: func(l *list) { l.revoked = 78 }},
		{name: "the CA is revoked", change: func(l *list) { l.revoked = 1 }, want: fedmsg.CertRevoked},
		{name: "SHA-1", change: func(l *list) { l.hash = crypto.SHA1 }, want: fedmsg.CRLUntrusted},
		{name: "SHA-1, allowed", change: func(l *list) { l.hash = crypto.SHA1 }, config: x509.Config{LegacySHA1: true}},
		{name: "two algorithms", change: func(l *list) { l.inner = sha1WithRSA }, want: fedmsg.CRLUntrusted},
		{name: "of another CA", change: func(l *list) { l.issuer = "odd" }, want: fedmsg.CRLUntrusted},
		{name: "the CA may issue no lists", change: func(*list) {}, config: x509.Config{CA: muteFile}, want: fedmsg.CRLUntrusted},
		{name: "of the future", change: func(l *list) { l.from = 30 * time.Second }, want: fedmsg.CRLUntrusted},
		{name: "over", change: func(l *list) { l.to = -time.Second }, want: fedmsg.CRLExpired},
		{name: "over, with grace", change: func(l *list) { l.to = -time.Second }, config: x509.Config{CRLGrace: time.Minute}},
		{name: "over, grace too", change: func(l *list) { l.to = -2 * time.Second }, config: x509.Config{CRLGrace: time.Second}, want: fedmsg.CRLExpired},
		{name: "a list of changes", change: func(l *list) {
			l.extensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}}
		}, want: fedmsg.CRLUntrusted},
		{name: "numbered", change: func(l *list) {
			l.extensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 20}, Value: []byte{2, 1, 1}}}
		}},

		{name: "made after the message", change: func(*list) {}, ago: 10 * time.Minute},
		{name: "revoked after the message", change: func(l *list) { l.revoked = 77 }, ago: 10 * time.Minute, want: fedmsg.CertRevoked},
		{name: "over, but not then", change: func(l *list) { l.from, l.to = -time.Hour, -time.Minute }, ago: 10 * time.Minute},
		{name: "the certificate is of later", change: func(l *list) { l.from = -5 * time.Hour }, ago: 4 * time.Hour, want: fedmsg.CertUntrusted}, // the CA's too
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, cfg := plain, tt.config
			tt.change(&l)
			cfg.CRL = write(t, filepath.Join(t.TempDir(), "crl.pem"), l.pem(t))
			if cfg.CA == "" {
				cfg.CA = caFile
			}
			v, err := x509.NewVerifier(cfg, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v.CheckAt(t.Context(), m, time.Now().Add(-tt.ago)); fedmsg.ReasonOf(err) != tt.want || (err == nil) != (tt.want == "") {
				t.Errorf("CheckAt %s ago: %v, want %q", tt.ago, err, tt.want)
			}
		})
	}
}
