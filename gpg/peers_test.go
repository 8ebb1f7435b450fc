package gpg_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/gpg"
)

// gnupg runs GnuPG with a home of its own.
type gnupg struct {
	t             *testing.T
	program, home string
}

func newGnuPG(t *testing.T) gnupg {
	g := gnupg{t: t, program: fedmsgtest.Peer(t, "gpg", "gnupg")}
	// Not below TempDir: the agent's socket must have a short name.
	home, err := os.MkdirTemp("", "gpg-")
	if err != nil {
		t.Fatal(err)
	}
	g.home = home
	t.Cleanup(func() {
		if out, err := exec.Command("gpgconf", "--homedir", home, "--kill", "all").CombinedOutput(); err != nil {
			t.Errorf("the agent is still there: %v: %s", err, out)
		}
		if err := os.RemoveAll(home); err != nil {
			t.Error(err)
		}
	})
	return g
}

// run runs gpg with something on standard input.
func (g gnupg) run(input string, args ...string) (string, error) {
	g.t.Helper()
	args = append([]string{"--homedir", g.home, "--batch", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", ""}, args...)
	cmd := exec.CommandContext(g.t.Context(), g.program, args...)
	cmd.Stdin = strings.NewReader(input)
	var told strings.Builder
	cmd.Stderr = &told
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("gpg %q: %w: %s", args[6:], err, told.String())
	}
	return string(out), err
}

func (g gnupg) must(input string, args ...string) string {
	g.t.Helper()
	out, err := g.run(input, args...)
	if err != nil {
		g.t.Fatal(err)
	}
	return out
}

// key makes a key and returns its fingerprint.
func (g gnupg) key(name, algorithm string) string {
	g.t.Helper()
	g.must("", "--quick-generate-key", name, algorithm, "sign", "1y")
	for line := range strings.Lines(g.must("", "--list-keys", "--with-colons", name)) {
		if fields := strings.Split(line, ":"); fields[0] == "fpr" {
			return fields[9]
		}
	}
	g.t.Fatalf("no fingerprint of %s", name)
	return ""
}

// What GnuPG signs we take, and what we sign GnuPG takes, with every kind of key that
// it makes for signing.
func TestPeersGnuPG(t *testing.T) {
	g := newGnuPG(t)
	text := `{"a":1e-07,"caf\u00e9":"\ud83d\ude00"}`
	envelope := func(more string) *fedmsg.Message {
		return decode(t, []byte(`{"topic":"org.debian.prod.bugs.new","msg":{ "café": "😀", "a": 0.0000001},"msg_id":"2026-1","timestamp":1`+more+`}`))
	}
	for _, algorithm := range []string{"rsa2048", "ed25519", "nistp256", "nistp384", "brainpoolP256r1"} {
		t.Run(algorithm, func(t *testing.T) {
			g := g
			g.t = t
			fingerprint := g.key(algorithm+"@example.org", algorithm)
			keyring := filepath.Join(t.TempDir(), "keyring")
			g.must("", "--output", keyring, "--export", fingerprint)
			v, err := gpg.NewVerifier(gpg.Config{Keyring: keyring}, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{}, {"--textmode"}, {"--digest-algo", "SHA512"}} {
				signature := g.must(text, append([]string{"--local-user", fingerprint, "--detach-sign"}, args...)...)
				m := envelope(`,"crypto":"gpg","signature":"` + base64.StdEncoding.EncodeToString([]byte(signature)) + `"`)
				if stamp, err := v.Verify(t.Context(), m); err != nil || stamp != gpg.Stamp+fingerprint {
					t.Errorf("signed with %q: Verify = %q, %v; want %s", args, stamp, err, gpg.Stamp+fingerprint)
				}
			}

			secret := filepath.Join(t.TempDir(), "secret")
			g.must("", "--output", secret, "--export-secret-keys", "--armor", fingerprint)
			s, err := gpg.NewSigner(gpg.SignerConfig{Keyring: secret, Key: fingerprint})
			if err != nil {
				t.Fatal(err)
			}
			m, err := s.Sign(t.Context(), envelope(""))
			if err != nil {
				t.Fatal(err)
			}
			raw, err := base64.StdEncoding.DecodeString(m.Signature)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(secret+".sig", raw, 0o600); err != nil {
				t.Fatal(err)
			}
			g.must(text, "--verify", secret+".sig", "-")
			if _, err := g.run(text+" ", "--verify", secret+".sig", "-"); err == nil {
				t.Error("gpg takes our signature for another text")
			}
		})
	}
}

// GnuPG's weak signatures, and those of keys that it revoked, are what history takes
// and the gate does not.
func TestPeersGnuPGWeak(t *testing.T) {
	g := newGnuPG(t)
	rsa, old := g.key("rsa@example.org", "rsa2048"), g.key("old@example.org", "dsa2048")
	sign := func(by string, args ...string) *fedmsg.Message {
		return decode(t, wire("gpg", []byte(g.must(body, append([]string{"--local-user", by, "--detach-sign"}, args...)...))))
	}
	messages := map[string]*fedmsg.Message{
		"SHA-1": sign(rsa, "--digest-algo", "SHA1"), "DSA": sign(old), "strong": sign(rsa),
	}
	want := map[string]fedmsg.Reason{"SHA-1": fedmsg.CertWeak, "DSA": fedmsg.CertWeak}
	keyring := filepath.Join(t.TempDir(), "keyring")
	g.must("", "--output", keyring, "--export")
	check := func(t *testing.T, want map[string]fedmsg.Reason, cfg gpg.Config) {
		t.Helper()
		v, err := gpg.NewVerifier(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, m := range messages {
			if _, err := v.Verify(t.Context(), m); fedmsg.ReasonOf(err) != want[name] {
				t.Errorf("%s, faithful %t: %v, want %q", name, cfg.Faithful, err, want[name])
			}
		}
	}
	check(t, want, gpg.Config{Keyring: keyring})
	check(t, nil, gpg.Config{Keyring: keyring, Faithful: true})

	certificate, err := os.ReadFile(filepath.Join(g.home, "openpgp-revocs.d", rsa+".rev"))
	if err != nil {
		t.Fatal(err)
	}
	g.must(strings.ReplaceAll(string(certificate), ":-----BEGIN", "-----BEGIN"), "--import")
	g.must("", "--yes", "--output", keyring, "--export")
	revoked := map[string]fedmsg.Reason{"SHA-1": fedmsg.CertRevoked, "strong": fedmsg.CertRevoked}
	check(t, revoked, gpg.Config{Keyring: keyring, Faithful: true}) // it gives no reason, so it may be stolen

	if _, err := gpg.NewVerifier(gpg.Config{Keyring: filepath.Join(g.home, "pubring.kbx")}, nil); err == nil || !strings.Contains(err.Error(), "is a database of GnuPG") {
		t.Errorf("GnuPG's own keybox: %v", err)
	}
}
