package x509_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/x509"
)

// sample returns the value of a metric.
func sample(t testing.TB, m fedmsg.Meter, name string) float64 {
	t.Helper()
	for s := range m.Samples() {
		if s.Name == name {
			return s.Value
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// New files come into force by themselves, as a whole; broken ones do not, and
// what was before stays in force. Time is not real here, so file times are set.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, other := freshCA(t), freshCA(t)
		mine, theirs := c.signed(t), other.signed(t)
		v := c.verifier(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- v.Run(ctx) }()
		step := func(what, file string, text []byte, loads uint64, failures float64, wantMine, wantTheirs fedmsg.Reason) {
			t.Helper()
			if text != nil {
				write(t, file, text)
				if err := os.Chtimes(file, time.Time{}, time.Now()); err != nil {
					t.Fatal(err)
				}
			} else if file != "" {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(11 * time.Second) // two looks
			synctest.Wait()
			for _, look := range []struct {
				m    *fedmsg.Message
				want fedmsg.Reason
			}{{mine, wantMine}, {theirs, wantTheirs}} {
				if _, err := v.Verify(ctx, look.m); fedmsg.ReasonOf(err) != look.want {
					t.Errorf("%s: verdict %v, want %q", what, err, look.want)
				}
			}
			if got := v.Loads(); got != loads {
				t.Errorf("%s: %d loads, want %d", what, got, loads)
			}
			if got := sample(t, v, "trust_load_failures_total"); got != failures {
				t.Errorf("%s: %v failures, want %v", what, got, failures)
			}
		}
		const untrusted, revoked = fedmsg.CertUntrusted, fedmsg.CertRevoked
		step("at first", "", nil, 1, 0, "", untrusted)
		step("revoked", c.crlFile, c.crl(t, c.cert), 2, 0, revoked, untrusted)
		step("broken list", c.crlFile, []byte("no list at all"), 3, 1, revoked, untrusted)
		step("list of another CA", c.crlFile, other.crl(t), 4, 2, revoked, untrusted)
		step("its CA too", c.caFile, other.ca, 5, 2, untrusted, "")
		step("broken CA", c.caFile, []byte("no CA at all"), 6, 3, untrusted, "")
		step("back", c.caFile, c.ca, 7, 4, untrusted, "") // the list is still the other's
		step("back, with its list", c.crlFile, c.crl(t), 8, 4, "", untrusted)
		step("list gone", c.crlFile, nil, 9, 5, "", untrusted)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// A list that could never be read lets nothing pass, until it can.
func TestListComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := freshCA(t)
		late := filepath.Join(c.dir, "late.pem")
		v, m := c.verifier(t, func(cfg *x509.Config) { cfg.CRL = late }), c.signed(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go v.Run(ctx)
		if _, err := v.Verify(ctx, m); fedmsg.ReasonOf(err) != fedmsg.CRLUnavailable {
			t.Errorf("Verify without the list: %v, want %s", err, fedmsg.CRLUnavailable)
		}
		write(t, late, c.crl(t))
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if _, err := v.Verify(ctx, m); err != nil {
			t.Errorf("Verify with the list: %v", err)
		}
	})
}

// While files change, each message is judged by one reading of them.
func TestVerifyWhileFilesChange(t *testing.T) {
	c := newTestCA(t)
	v, m := c.verifier(t, func(cfg *x509.Config) { cfg.ReloadEvery = time.Millisecond }), c.signed(t)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { v.Run(ctx) })
	for range 2 {
		all.Go(func() {
			for ctx.Err() == nil {
				if _, err := v.Verify(ctx, m); err != nil && fedmsg.ReasonOf(err) != fedmsg.CertRevoked {
					t.Errorf("Verify: %v", err)
					return
				}
			}
		})
	}
	lists := [][]byte{c.crl(t), c.crl(t, c.cert)}
	for i := range 6 {
		replaced := write(t, filepath.Join(c.dir, "next"), lists[i%2])
		if err := os.Rename(replaced, c.crlFile); err != nil {
			t.Fatal(err)
		}
		loads := v.Loads()
		for end := time.Now().Add(5 * time.Second); v.Loads() == loads && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
	}
	cancel()
	all.Wait()
}

// A renewed certificate is taken; one of another name, or without its key, is not.
func TestSignerTakesRenewedCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := freshCA(t)
		s, err := x509.NewSigner(c.certFile, c.keyFile)
		if err != nil {
			t.Fatal(err)
		}
		m := c.signed(t)
		put := func(file string, text []byte) {
			write(t, file, text)
			if err := os.Chtimes(file, time.Time{}, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		signed := func() string {
			time.Sleep(6 * time.Second)
			m, err := s.Sign(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.verifier(t, nil).Verify(t.Context(), m); err != nil {
				t.Errorf("Verify: %v", err)
			}
			return string(m.Fields("certificate")[0])
		}
		issue := func(name string) (cert, key []byte) {
			cert, key, err := x509.IssueCertificate(c.ca, c.caKey, name, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			return cert, key
		}
		first := signed()
		cert, key := issue(s.Name)
		put(c.certFile, cert)
		if got := signed(); got != first {
			t.Error("a certificate without its key was taken")
		}
		put(c.keyFile, key)
		second := signed()
		if second == first {
			t.Error("the renewed certificate was not taken")
		}
		stranger, strangersKey := issue("other.example.org")
		put(c.certFile, stranger)
		put(c.keyFile, strangersKey)
		if got := signed(); got != second {
			t.Error("a certificate of another name was taken")
		}
		if got := sample(t, s, "signer_load_failures_total"); got != 2 {
			t.Errorf("%v failures, want 2", got)
		}
		if got := sample(t, s, "cert_not_after_timestamp_seconds"); got <= float64(time.Now().Unix()) {
			t.Errorf("the certificate ends at %v", got)
		}
	})
}

// However many certificates come, few are remembered.
func TestMemoryIsBounded(t *testing.T) {
	v := newTestCA(t).verifier(t, nil)
	for i := range 10_000 {
		bad, err := fedmsg.DecodeHistory(fmt.Appendf(nil, `{"certificate":"%s","signature":"QQ==","topic":"a.b"}`,
			base64.StdEncoding.EncodeToString(fmt.Append(nil, i))))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(t.Context(), bad); fedmsg.ReasonOf(err) != fedmsg.BadCert {
			t.Fatalf("Verify: %v, want %s", err, fedmsg.BadCert)
		}
	}
	if got := v.Remembered(); got > 5000 || got < 1000 {
		t.Errorf("%d certificates are remembered", got)
	}
}

func TestConfigValidate(t *testing.T) {
	c := newTestCA(t)
	for _, tt := range []struct {
		cfg  x509.Config
		want []string
	}{
		{x509.Config{CA: c.caFile}, nil},
		{x509.Config{CA: c.caFile, Backends: []string{"gpg", "x509"}}, nil},
		{x509.Config{}, []string{"ca: required"}},
		{x509.Config{Backends: []string{"X509"}, CRLGrace: -1, ReloadEvery: -1}, []string{"ca:", `"X509"`, "crl-grace", "reload-every"}},
	} {
		err := tt.cfg.Validate()
		if (err == nil) != (tt.want == nil) {
			t.Errorf("Validate(%+v) = %v, want %q", tt.cfg, err, tt.want)
		}
		for _, part := range tt.want {
			if err != nil && !strings.Contains(err.Error(), part) {
				t.Errorf("Validate(%+v) = %v, without %q", tt.cfg, err, part)
			}
		}
	}
	if _, err := x509.NewVerifier(x509.Config{}, nil); err == nil {
		t.Error("NewVerifier took an empty Config")
	}
}

func TestSamples(t *testing.T) {
	c := newTestCA(t)
	v := c.verifier(t, nil)
	if _, err := v.Verify(t.Context(), c.signed(t)); err != nil {
		t.Fatal(err)
	}
	soon := float64(time.Now().Unix())
	for name, atLeast := range map[string]float64{
		"cert_not_after_timestamp_seconds": soon, "crl_next_update_timestamp_seconds": soon,
		"signature_verify_duration_seconds": 0, "trust_loads_total": 1, "trust_load_failures_total": 0,
	} {
		if got := sample(t, v, name); got < atLeast {
			t.Errorf("%s = %v, want at least %v", name, got, atLeast)
		}
	}
}
