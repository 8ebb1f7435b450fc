package x509_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
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

// material is what a test CA is written from.
type material struct{ ca, caKey, cert, key []byte }

func makeMaterial() material {
	var m material
	var err error
	if m.ca, m.caKey, err = x509.GenerateCA("test CA", time.Hour); err == nil {
		m.cert, m.key, err = x509.IssueCertificate(m.ca, m.caKey, "git01.example.org", time.Hour)
	}
	if err != nil {
		panic(err)
	}
	return m
}

// Keys take long to make, so most tests share these two CAs of the same name.
var ours, theirs = sync.OnceValue(makeMaterial), sync.OnceValue(makeMaterial)

func newTestCA(t testing.TB) *testCA { t.Helper(); return writeCA(t, ours()) }
func otherCA(t testing.TB) *testCA   { t.Helper(); return writeCA(t, theirs()) }

// freshCA is for tests with a time of their own.
func freshCA(t testing.TB) *testCA { t.Helper(); return writeCA(t, makeMaterial()) }

func writeCA(t testing.TB, m material) *testCA {
	t.Helper()
	c := &testCA{dir: t.TempDir(), ca: m.ca, caKey: m.caKey, cert: m.cert}
	c.caFile = write(t, filepath.Join(c.dir, "ca.crt"), c.ca)
	c.certFile = write(t, filepath.Join(c.dir, "git01.crt"), c.cert)
	c.keyFile = write(t, filepath.Join(c.dir, "git01.key"), m.key)
	c.crlFile = write(t, filepath.Join(c.dir, "crl.pem"), c.crl(t))
	return c
}

// crl makes a revocation list.
func (c *testCA) crl(t testing.TB, certs ...[]byte) []byte {
	t.Helper()
	list, err := x509.IssueCRL(c.ca, c.caKey, time.Hour, certs...)
	if err != nil {
		t.Fatal(err)
	}
	return list
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
	openssl := fedmsgtest.Peer(t, "openssl", "openssl")
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
	c, other := newTestCA(t), otherCA(t)
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

func TestBase64(t *testing.T) {
	for _, tt := range []struct{ in, text string }{
		{"", "\n"},
		{"a", "YQ==\n"},
		{strings.Repeat("a", 57), strings.Repeat("YWFh", 19) + "\n"},
		{strings.Repeat("a", 58), strings.Repeat("YWFh", 19) + "\nYQ==\n"},
	} {
		if got := x509.EncodeBase64([]byte(tt.in)); got != tt.text {
			t.Errorf("EncodeBase64(%q) = %q, want %q", tt.in, got, tt.text)
		}
	}
	for _, tt := range []struct {
		in, want string
		ok       bool
	}{
		{"YQ==\n", "a", true},
		{"Y Q-=_=", "a", true},      // foreign characters are skipped
		{"=YQ==", "a", true},        // padding before its time too
		{"YQ==YQ==", "a", true},     // what follows padding is ignored
		{"YWJj=", "abc", true},      // padding behind a whole group too
		{"YQ=", "", false},          // half a padding
		{"YQ", "", false},           // none
		{"Y", "", false},            //
		{"YQ==é", "a", true},        // never looked at
		{"éYQ==", "", false},        //
		{"YWJjYWI=", "abcab", true}, //
	} {
		got, err := x509.DecodeBase64(tt.in)
		if (err == nil) != tt.ok || err == nil && string(got) != tt.want {
			t.Errorf("DecodeBase64(%q) = %q, %v; want %q, good = %t", tt.in, got, err, tt.want, tt.ok)
		}
	}
}

func TestHistory(t *testing.T) {
	const clean = `{"i":1,"msg":{"half":"\ud83d","n":NaN,"s":"a,}:\"\\"},"msg_id":"2014-1","timestamp":1400000000,"topic":"a.b"}`
	for _, tt := range []struct{ in, want string }{
		{clean, clean},
		{strings.Replace(clean, "{", `{"headers":{},"source_name":"datanommer","source_version":"0.1",`, 1), clean},
		{strings.Replace(strings.Replace(clean, "{", `{"headers":null,"source_name":null,"source_version":"0.1",`, 1), "1400000000", "1400000000.75", 1), clean},
		{strings.Replace(clean, "{", `{"headers":{},"source_name":"datanommer",`, 1), strings.Replace(clean, "{", `{"headers":{},"source_name":"datanommer",`, 1)},
		{`{"source_name":1,"source_version":2}`, `{}`},
	} {
		m, err := fedmsg.DecodeHistory([]byte(tt.in))
		if err != nil {
			t.Fatal(err)
		}
		fixed, err := x509.FixDatagrepper(m)
		if err != nil || string(fixed.Bytes()) != tt.want {
			t.Errorf("FixDatagrepper(%s) = %v, %v; want %s", tt.in, fixed, err, tt.want)
		}
	}
	c := newTestCA(t)
	stripped, err := x509.StripCredentials(c.signed(t))
	if err != nil {
		t.Fatal(err)
	}
	if f := stripped.Fields("crypto", "signature", "certificate"); f[0] == nil || f[1] != nil || f[2] != nil {
		t.Errorf("StripCredentials left %s", stripped.Bytes())
	}
	if err := c.verifier(t, nil).ValidateSignedBy(t.Context(), c.signed(t), "git01.example.org"); err != nil {
		t.Errorf("ValidateSignedBy: %v", err)
	}
	if err := c.verifier(t, nil).ValidateSignedBy(t.Context(), c.signed(t), "git02.example.org"); fedmsg.ReasonOf(err) != fedmsg.NotAuthorized {
		t.Errorf("ValidateSignedBy another: %v, want %s", err, fedmsg.NotAuthorized)
	}
}

// A good signature shows its signer even where the policy is against it.
func TestPolicy(t *testing.T) {
	c := newTestCA(t)
	v := c.verifier(t, func(cfg *x509.Config) {
		cfg.Policy.Routing = map[fedmsg.Topic][]string{"org.example.prod.git.receive": {"git02.example.org"}}
	})
	m := c.signed(t)
	if verdict, err := v.Check(t.Context(), m); fedmsg.ReasonOf(err) != fedmsg.NotAuthorized || verdict.Signer != "git01.example.org" {
		t.Errorf("Check = %+v, %v; want git01.example.org and %s", verdict, err, fedmsg.NotAuthorized)
	}
	if stamp, err := v.Verify(t.Context(), m); err == nil || stamp != "" {
		t.Errorf("Verify = %q, %v; want no stamp", stamp, err)
	}
}

// What the verifier reads it reads at its own time: messages cannot make it.
func TestMessagesCauseNoLoads(t *testing.T) {
	c, other := newTestCA(t), otherCA(t)
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
		{"of another CA, of the same name", func(cfg *x509.Config) { cfg.CRL = otherCA(t).crlFile }, fedmsg.CRLUntrusted},
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

// FuzzVerify puts anything into the two fields, as base64 text and as the bytes of
// a certificate: there is always a verdict, and it is good only for the one true
// pair. The folder testdata holds a CA, its list and a message; no keys were kept.
func FuzzVerify(f *testing.F) {
	cfg := x509.Config{
		CA: "testdata/ca.crt", CRL: "testdata/crl.pem",
		Clock: func() time.Time { return time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC) },
	}
	strict, err := x509.NewVerifier(cfg, nil)
	if err != nil {
		f.Fatal(err)
	}
	cfg.Faithful = true
	faithful, err := x509.NewVerifier(cfg, nil)
	if err != nil {
		f.Fatal(err)
	}
	text, err := os.ReadFile("testdata/message.json")
	if err != nil {
		f.Fatal(err)
	}
	m, err := fedmsg.Decode(text)
	if err != nil {
		f.Fatal(err)
	}
	var good struct{ Signature, Certificate string }
	if err := json.Unmarshal(text, &good); err != nil {
		f.Fatal(err)
	}
	signed, err := x509.DecodeBase64(good.Signature)
	if err != nil {
		f.Fatal(err)
	}
	cert, err := x509.DecodeBase64(good.Certificate)
	if err != nil {
		f.Fatal(err)
	}
	block, _ := pem.Decode(cert)
	f.Add(good.Signature, []byte(good.Certificate), false)
	f.Add(good.Signature, block.Bytes, true)
	f.Add("", []byte{}, false)
	f.Add("AAAA", []byte(base64.StdEncoding.EncodeToString([]byte("-----BEGIN PRIVATE KEY-----"))), false)
	f.Add(good.Signature, []byte(base64.StdEncoding.EncodeToString(append(cert, cert...))), false)
	f.Fuzz(func(t *testing.T, signature string, certificate []byte, der bool) {
		if der {
			certificate = []byte(x509.EncodeBase64(certPEM(certificate)))
		}
		s, _ := json.Marshal(signature)
		k, _ := json.Marshal(string(certificate))
		with, err := m.With(fedmsg.Member{Name: "signature", JSON: s}, fedmsg.Member{Name: "certificate", JSON: k})
		if err != nil {
			return // the strict decoder saw to it
		}
		for _, v := range []*x509.Verifier{strict, faithful} {
			if _, err := v.Verify(t.Context(), with); err == nil {
				if got, err := x509.DecodeBase64(signature); err != nil || !bytes.Equal(got, signed) {
					t.Errorf("accepted the signature %q", signature)
				}
			} else if _, ok := errors.AsType[*fedmsg.Refusal](err); !ok {
				t.Errorf("%v is no refusal", err)
			}
		}
	})
}

// commit is what benchmarks sign: a message of 1 kB as git sends it.
func (c *testCA) commit(b *testing.B) *fedmsg.Message {
	const change = `{"agent":"alice","branch":"rawhide","email":"alice@example.org","files":["vim.spec","sources"],"patch":null,` +
		`"rev":"4f1c49f0b5caf49e6b79acc54bcfac602ab1d3e07","stats":{"additions":3,"deletions":2,"lines":5},"summary":"Update to 9.1.0042"}`
	m, err := fedmsg.Draft{
		Topic: "org.example.prod.git.receive", ID: "2026-f1c49f0b-5caf-49e6-b79a-cc54bcfac602", Time: time.Now(), User: "alice", Counter: 1,
		Body: []byte(`{"repo":"vim","commits":[` + strings.Repeat(change+",", 3) + change + `]}`),
	}.Message()
	if err != nil {
		b.Fatal(err)
	}
	s, err := x509.NewSigner(c.certFile, c.keyFile)
	if err != nil {
		b.Fatal(err)
	}
	if m, err = s.Sign(b.Context(), m); err != nil {
		b.Fatal(err)
	}
	return m
}

// BenchmarkVerify measures the verdict on a signed message of a certificate that
// is known, on all processors.
func BenchmarkVerify(b *testing.B) {
	c := newTestCA(b)
	v, m := c.verifier(b, nil), c.commit(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := v.Verify(b.Context(), m); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

// BenchmarkVerifyForeign measures the refusal of a certificate that is known to be
// of another CA.
func BenchmarkVerifyForeign(b *testing.B) {
	v, m := newTestCA(b).verifier(b, nil), otherCA(b).commit(b)
	for b.Loop() {
		if _, err := v.Verify(b.Context(), m); fedmsg.ReasonOf(err) != fedmsg.CertUntrusted {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	c := newTestCA(b)
	m := c.commit(b)
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
