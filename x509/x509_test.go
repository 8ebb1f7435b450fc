package x509_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/x509"
)

// A testCA is a CA with one signer, in files.
type testCA struct {
	dir               string
	ca, caKey         []byte
	cert              []byte
	caFile, crlFile   string
	certFile, keyFile string
}

func write(t testing.TB, file string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func newTestCA(t testing.TB) *testCA {
	t.Helper()
	c := &testCA{dir: t.TempDir()}
	var err error
	if c.ca, c.caKey, err = x509.GenerateCA("test CA", time.Hour); err != nil {
		t.Fatal(err)
	}
	var key []byte
	if c.cert, key, err = x509.IssueCertificate(c.ca, c.caKey, "git01.example.org", time.Hour); err != nil {
		t.Fatal(err)
	}
	c.caFile = write(t, filepath.Join(c.dir, "ca.crt"), c.ca)
	c.certFile = write(t, filepath.Join(c.dir, "git01.crt"), c.cert)
	c.keyFile = write(t, filepath.Join(c.dir, "git01.key"), key)
	c.crlFile = filepath.Join(c.dir, "crl.pem")
	c.revoke(t)
	return c
}

// revoke writes a new revocation list.
func (c *testCA) revoke(t testing.TB, certs ...[]byte) {
	t.Helper()
	list, err := x509.IssueCRL(c.ca, c.caKey, time.Hour, certs...)
	if err != nil {
		t.Fatal(err)
	}
	write(t, c.crlFile, list)
}

// signed returns a message signed by the CA's signer.
func (c *testCA) signed(t testing.TB) *fedmsg.Message {
	t.Helper()
	s, err := x509.NewSigner(c.certFile, c.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	m, err := fedmsg.Draft{
		Topic: "org.example.prod.git.receive", ID: "2026-1", Time: time.Now(), User: "alice", Counter: 1,
		Body: []byte(`{"repo":"vim","size":1e-7,"text":"` + strings.Repeat("blå ", 200) + `"}`),
	}.Message()
	if err != nil {
		t.Fatal(err)
	}
	if m, err = s.Sign(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return m
}

func (c *testCA) verifier(t testing.TB, change func(*x509.Config)) *x509.Verifier {
	t.Helper()
	cfg := x509.Config{CA: c.caFile, CRL: c.crlFile}
	if change != nil {
		change(&cfg)
	}
	v, err := x509.NewVerifier(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSignAndVerify(t *testing.T) {
	c := newTestCA(t)
	v, m := c.verifier(t, nil), c.signed(t)
	if stamp, err := v.Verify(t.Context(), m); err != nil || stamp != "x509:git01.example.org" {
		t.Errorf("Verify = %q, %v; want x509:git01.example.org", stamp, err)
	}
	if again, err := v.Check(t.Context(), m); err != nil || again.Serial == "" || again.NotAfter.Before(time.Now()) {
		t.Errorf("Check = %+v, %v", again, err)
	}
	// A relay spells the message anew; the signature holds.
	relayed, err := fedmsg.AppendRelayed(nil, m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	r, err := fedmsg.Decode(relayed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), r); err != nil {
		t.Errorf("Verify of the relayed message: %v", err)
	}
	for _, change := range [][2]string{{"vim", "emacs"}, {"2026-1", "2026-2"}, {"alice", "mallory"}, {"git.receive", "git.deceive"}, {`"i":1`, `"i":2`}} {
		forged, err := fedmsg.Decode(bytes.Replace(m.Bytes(), []byte(change[0]), []byte(change[1]), 1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(t.Context(), forged); fedmsg.ReasonOf(err) != fedmsg.BadSignature {
			t.Errorf("Verify with %q for %q: %v, want %s", change[1], change[0], err, fedmsg.BadSignature)
		}
	}
}

// A signature of ours is good to OpenSSL, which the original verifies with.
func TestSignatureIsGoodToOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("FEDMSG_REQUIRE_PEERS") == "1" {
			t.Fatal("no openssl: apt-get install openssl")
		}
		t.Skip("no openssl: apt-get install openssl")
	}
	c := newTestCA(t)
	m := c.signed(t)
	var fields struct{ Signature, Certificate string }
	if err := json.Unmarshal(m.Bytes(), &fields); err != nil {
		t.Fatal(err)
	}
	decode := func(text string) []byte {
		b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(text, "\n", ""))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	cert := write(t, filepath.Join(c.dir, "message.crt"), decode(fields.Certificate))
	signature := write(t, filepath.Join(c.dir, "signature"), decode(fields.Signature))
	text := write(t, filepath.Join(c.dir, "text"), m.AppendSigned(nil))
	public, err := exec.CommandContext(t.Context(), openssl, "x509", "-in", cert, "-pubkey", "-noout").Output()
	if err != nil {
		t.Fatal(err)
	}
	key := write(t, filepath.Join(c.dir, "public"), public)
	for _, args := range [][]string{
		{"dgst", "-sha1", "-verify", key, "-signature", signature, text},
		{"verify", "-crl_check_all", "-CAfile", c.caFile, "-CRLfile", c.crlFile, cert},
	} {
		if out, err := exec.CommandContext(t.Context(), openssl, args...).CombinedOutput(); err != nil {
			t.Errorf("openssl %q: %v\n%s", args, err, out)
		}
	}
}

func TestSigningAgainReplaces(t *testing.T) {
	c := newTestCA(t)
	s, err := x509.NewSigner(c.certFile, c.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Sign(t.Context(), c.signed(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.verifier(t, nil).Verify(t.Context(), m); err != nil {
		t.Errorf("Verify of a message signed twice: %v", err)
	}
}

func TestNewSignerRefuses(t *testing.T) {
	c, other := newTestCA(t), newTestCA(t)
	if _, err := x509.NewSigner(c.certFile, other.keyFile); err == nil || !strings.Contains(err.Error(), "does not belong to") {
		t.Errorf("NewSigner with another's key: %v", err)
	}
	if err := os.Chmod(c.keyFile, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := x509.NewSigner(c.certFile, c.keyFile); err == nil || !strings.Contains(err.Error(), "0644") || fedmsg.Hint(err) == "" {
		t.Errorf("NewSigner with a key that everybody can read: %v, hint %q", err, fedmsg.Hint(err))
	}
}

// New files come into force by themselves; broken ones do not, and what was
// before stays in force.
func TestRotation(t *testing.T) {
	c := newTestCA(t)
	v, m := c.verifier(t, func(cfg *x509.Config) { cfg.ReloadEvery = time.Millisecond }), c.signed(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	until := func(what string, want fedmsg.Reason) {
		t.Helper()
		var err error
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if _, err = v.Verify(ctx, m); fedmsg.ReasonOf(err) == want {
				return
			}
		}
		t.Fatalf("%s: verdict %v, want %q", what, err, want)
	}
	until("at first", "")
	c.revoke(t, c.cert)
	until("revoked", fedmsg.CertRevoked)
	loads := v.Loads()
	write(t, c.crlFile, []byte("no list at all"))
	for end := time.Now().Add(10 * time.Second); v.Loads() == loads && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	until("with a broken list", fedmsg.CertRevoked)
	c.revoke(t)
	until("not revoked any more", "")
}

// What the verifier reads it reads at its own time: messages cannot make it.
func TestMessagesCauseNoLoads(t *testing.T) {
	c, other := newTestCA(t), newTestCA(t)
	v, m := c.verifier(t, nil), other.signed(t)
	for range 500 {
		if _, err := v.Verify(t.Context(), m); fedmsg.ReasonOf(err) != fedmsg.CertUntrusted {
			t.Fatalf("Verify of a foreign message: %v, want %s", err, fedmsg.CertUntrusted)
		}
	}
	if n := v.Loads(); n != 1 {
		t.Errorf("%d loads, want 1", n)
	}
}

func TestCRLConfigured(t *testing.T) {
	c := newTestCA(t)
	m := c.signed(t)
	later := func() time.Time { return time.Now().Add(90 * time.Minute) } // lists and certificates live for an hour
	tests := []struct {
		name   string
		change func(*x509.Config)
		want   fedmsg.Reason
	}{
		{"missing", func(cfg *x509.Config) { cfg.CRL = filepath.Join(c.dir, "nope.pem") }, fedmsg.CRLUnavailable},
		{"no list", func(cfg *x509.Config) { cfg.CRL = c.caFile }, fedmsg.CRLUnavailable},
		{"of another CA", func(cfg *x509.Config) { cfg.CRL = newTestCA(t).crlFile }, fedmsg.CRLUntrusted},
		{"everything is over", func(cfg *x509.Config) { cfg.Clock = later }, fedmsg.CertUntrusted},
		{"none", func(cfg *x509.Config) { cfg.CRL = "" }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := c.verifier(t, tt.change).Verify(t.Context(), m); fedmsg.ReasonOf(err) != tt.want {
				t.Errorf("Verify: %v, want %q", err, tt.want)
			}
		})
	}
}

func TestNewVerifierNeedsACA(t *testing.T) {
	c := newTestCA(t)
	for _, file := range []string{filepath.Join(c.dir, "nope"), c.keyFile} {
		if _, err := x509.NewVerifier(x509.Config{CA: file}, nil); err == nil || fedmsg.Hint(err) == "" || !strings.Contains(err.Error(), file) {
			t.Errorf("NewVerifier(%s): %v, hint %q", file, err, fedmsg.Hint(err))
		}
	}
}

// FuzzVerify puts anything into the two fields: there is always a verdict, and it
// is good only for the one true pair.
func FuzzVerify(f *testing.F) {
	c := newTestCA(f)
	v, m := c.verifier(f, nil), c.signed(f)
	var good struct{ Signature, Certificate string }
	if err := json.Unmarshal(m.Bytes(), &good); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Signature, good.Certificate)
	f.Add("", "")
	f.Add("AAAA", base64.StdEncoding.EncodeToString(c.caKey))
	f.Add(good.Signature, base64.StdEncoding.EncodeToString(append(c.cert, c.ca...)))
	f.Fuzz(func(t *testing.T, signature, certificate string) {
		s, _ := json.Marshal(signature)
		k, _ := json.Marshal(certificate)
		with, err := m.With(fedmsg.Member{Name: "signature", JSON: s}, fedmsg.Member{Name: "certificate", JSON: k})
		if err != nil {
			return // the strict decoder saw to it
		}
		if _, err := v.Verify(t.Context(), with); err == nil {
			a, errA := x509.DecodeBase64(signature)
			b, errB := x509.DecodeBase64(good.Signature)
			if errA != nil || errB != nil || !bytes.Equal(a, b) {
				t.Errorf("accepted the signature %q", signature)
			}
		} else if _, ok := errors.AsType[*fedmsg.Refusal](err); !ok {
			t.Errorf("%v is no refusal", err)
		}
	})
}

// BenchmarkVerify measures the verdict on a 1 kB message of a known certificate.
func BenchmarkVerify(b *testing.B) {
	c := newTestCA(b)
	v, m := c.verifier(b, nil), c.signed(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), m); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

func BenchmarkSign(b *testing.B) {
	c := newTestCA(b)
	m := c.signed(b)
	s, err := x509.NewSigner(c.certFile, c.keyFile)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Sign(b.Context(), m); err != nil {
			b.Fatal(err)
		}
	}
}
