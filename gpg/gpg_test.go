package gpg_test

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/gpg"
	"github.com/fedora-infra/fedmsg-go/mem"
)

// The day on which everything here happens; keys are a year older.
var (
	now  = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	born = now.AddDate(-1, 0, 0)
)

// at is a clock that stands.
func at(t time.Time) func() time.Time { return func() time.Time { return t } }

// newKey makes a key, by default of Ed25519.
func newKey(t testing.TB, name string, cfg packet.Config) *openpgp.Entity {
	t.Helper()
	if cfg.Algorithm == 0 {
		cfg.Algorithm = packet.PubKeyAlgoEdDSA
	}
	cfg.Time = at(born)
	e, err := openpgp.NewEntity(name, "", name+"@example.org", &cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// public and secret write keys as gpg exports them, without armor.
func public(t testing.TB, keys ...*openpgp.Entity) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, e := range keys {
		if err := e.Serialize(&b); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func secret(t testing.TB, e *openpgp.Entity) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := e.SerializePrivateWithoutSigning(&b, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func armored(t testing.TB, kind string, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, kind, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func write(t testing.TB, text []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "keyring")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// detach signs a text with a key of a time.
func detach(t testing.TB, e *openpgp.Entity, text string, when time.Time, hash crypto.Hash) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := openpgp.DetachSign(&b, e, strings.NewReader(text), &packet.Config{Time: at(when), DefaultHash: hash}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// weakly signs with a hash that is too short, which DetachSign will not do.
func weakly(t testing.TB, e *openpgp.Entity, text string, when time.Time) []byte {
	t.Helper()
	sig := &packet.Signature{
		Version: 4, SigType: packet.SigTypeBinary, PubKeyAlgo: e.PrimaryKey.PubKeyAlgo, Hash: crypto.SHA224,
		CreationTime: when, IssuerKeyId: &e.PrimaryKey.KeyId,
	}
	h, err := sig.PrepareSign(nil)
	if err != nil {
		t.Fatal(err)
	}
	h.Write([]byte(text))
	if err := sig.Sign(h, e.PrivateKey, nil); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := sig.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const body = `{"karma":1}`

// wire makes a message with a signature; crypto is left out if it is empty.
func wire(backend string, signature []byte) []byte {
	m := map[string]any{
		"topic": "org.debian.prod.bugs.new", "msg": json.RawMessage(body), "msg_id": "2026-1", "timestamp": now.Unix(),
		"signature": base64.StdEncoding.EncodeToString(signature),
	}
	if backend != "" {
		m["crypto"] = backend
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return text
}

func decode(t testing.TB, text []byte) *fedmsg.Message {
	t.Helper()
	m, err := fedmsg.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func newVerifier(t testing.TB, cfg gpg.Config) *gpg.Verifier {
	t.Helper()
	if cfg.Clock == nil {
		cfg.Clock = at(now)
	}
	v, err := gpg.NewVerifier(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// revoke makes a key of which was said, at a time, that it is no good.
func revoke(t testing.TB, reason packet.ReasonForRevocation, when time.Time) *openpgp.Entity {
	t.Helper()
	e := newKey(t, "revoked", packet.Config{})
	if err := e.RevokeKey(reason, "", &packet.Config{Time: at(when)}); err != nil {
		t.Fatal(err)
	}
	return e
}

// unrevoked signs with a key as if it had not been revoked.
func unrevoked(t testing.TB, e *openpgp.Entity, when time.Time) []byte {
	t.Helper()
	young := *e
	young.Revocations = nil
	return detach(t, &young, body, when, crypto.SHA256)
}

// Each row is judged at the gate, and in history at the time of its signature; that is
// an hour ago, unless it says otherwise.
func TestVerify(t *testing.T) {
	hourAgo, monthAgo := now.Add(-time.Hour), now.AddDate(0, -1, 0)
	alice, stranger := newKey(t, "alice", packet.Config{}), newKey(t, "stranger", packet.Config{})
	bob := newKey(t, "bob", packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: 2048})
	short := newKey(t, "short", packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: 1024})
	ended := newKey(t, "ended", packet.Config{KeyLifetimeSecs: uint32(300 * 24 * 3600)})
	superseded, stolen := revoke(t, packet.KeySuperseded, now.AddDate(0, 0, -7)), revoke(t, packet.KeyCompromised, now.AddDate(0, 0, -7))
	withSubkey := newKey(t, "subkey", packet.Config{})
	if err := withSubkey.AddSigningSubkey(&packet.Config{Time: at(born), Algorithm: packet.PubKeyAlgoEdDSA}); err != nil {
		t.Fatal(err)
	}
	keyring := write(t, public(t, alice, bob, short, ended, superseded, stolen, withSubkey))
	good := detach(t, alice, body, hourAgo, crypto.SHA256)
	tests := []struct {
		name          string
		signature     []byte
		gate, history fedmsg.Reason // "" for good
	}{
		{"good", good, "", ""},
		{"by a subkey", detach(t, withSubkey, body, hourAgo, crypto.SHA512), "", ""},
		{"of another body", detach(t, alice, `{"karma":2}`, hourAgo, crypto.SHA256), fedmsg.BadSignature, fedmsg.BadSignature},
		{"by a stranger", detach(t, stranger, body, hourAgo, crypto.SHA256), fedmsg.CertUntrusted, fedmsg.CertUntrusted},
		{"of last month", detach(t, alice, body, monthAgo, crypto.SHA256), fedmsg.Stale, ""},
		{"of tomorrow", detach(t, alice, body, now.AddDate(0, 0, 1), crypto.SHA256), fedmsg.Future, ""},
		{"with a short key", detach(t, short, body, hourAgo, crypto.SHA256), fedmsg.CertWeak, ""},
		{"with a weak hash", weakly(t, bob, body, hourAgo), fedmsg.CertWeak, ""},
		{"by a key that ended since", detach(t, ended, body, born.AddDate(0, 6, 0), crypto.SHA256), fedmsg.CertExpired, ""},
		{"by a key superseded since", unrevoked(t, superseded, monthAgo), fedmsg.CertRevoked, ""},
		{"by a superseded key", unrevoked(t, superseded, hourAgo), fedmsg.CertRevoked, fedmsg.CertRevoked},
		{"by a key stolen since", unrevoked(t, stolen, monthAgo), fedmsg.CertRevoked, fedmsg.CertRevoked},
		{"twice", append(bytes.Clone(good), detach(t, withSubkey, body, hourAgo, crypto.SHA256)...), "", ""},
		{"too often", bytes.Repeat(good, 9), fedmsg.BadSignature, fedmsg.BadSignature},
		{"also by a stranger", append(bytes.Clone(good), detach(t, stranger, body, hourAgo, crypto.SHA256)...), fedmsg.CertUntrusted, fedmsg.CertUntrusted},
		{"cut off", good[:len(good)-1], fedmsg.BadSignature, fedmsg.BadSignature},
		{"no signature but a key", public(t, alice), fedmsg.BadSignature, fedmsg.BadSignature},
		{"armored", armored(t, openpgp.SignatureType, good), fedmsg.BadSignature, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := decode(t, wire("gpg", tt.signature))
			for _, faithful := range []bool{false, true} {
				want := tt.gate
				if faithful {
					want = tt.history
				}
				stamp, err := newVerifier(t, gpg.Config{Keyring: keyring, Faithful: faithful}).Verify(t.Context(), m)
				if fedmsg.ReasonOf(err) != want || (err == nil) != (want == "") || strings.HasPrefix(stamp, gpg.Stamp) != (err == nil) {
					t.Errorf("faithful %t: Verify = %q, %v; want %q", faithful, stamp, err, want)
				}
			}
		})
	}
	v := newVerifier(t, gpg.Config{Keyring: keyring})
	verdict, err := v.Check(t.Context(), decode(t, wire("gpg", good)))
	if err != nil || verdict.UserID != "alice <alice@example.org>" || !verdict.SignedAt.Equal(hourAgo) || len(verdict.Fingerprint) != 40 {
		t.Errorf("Check = %+v, %v", verdict, err)
	}
	if _, err := v.CheckAt(t.Context(), decode(t, wire("gpg", good)), born.Add(-time.Hour)); fedmsg.ReasonOf(err) != fedmsg.CertNotYetValid {
		t.Errorf("before the key was made: %v, want %s", err, fedmsg.CertNotYetValid)
	}
	v.BreakParser()
	if _, err := v.Verify(t.Context(), decode(t, wire("gpg", good))); fedmsg.ReasonOf(err) != fedmsg.BadSignature {
		t.Errorf("a parser that panics: %v, want %s", err, fedmsg.BadSignature)
	}
}

// A signed body could be put on any topic, so it is not enough for one that a policy
// names, whatever stands in the policy.
func TestPolicyClosesTopics(t *testing.T) {
	alice := newKey(t, "alice", packet.Config{})
	keyring := write(t, public(t, alice))
	m := decode(t, wire("gpg", detach(t, alice, body, now, crypto.SHA256)))
	name, err := newVerifier(t, gpg.Config{Keyring: keyring}).Verify(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		policy fedmsg.Policy
		want   fedmsg.Reason
	}{
		{"another topic", fedmsg.Policy{Routing: map[fedmsg.Topic][]string{"org.debian.prod.bugs.closed": {"x"}}}, ""},
		{"nobody", fedmsg.Policy{Routing: map[fedmsg.Topic][]string{m.Topic: {}}}, fedmsg.NotAuthorized},
		{"everybody", fedmsg.Policy{Routing: map[fedmsg.Topic][]string{m.Topic: {"", name, strings.TrimPrefix(name, gpg.Stamp), "alice"}}}, fedmsg.NotAuthorized},
		{"other case", fedmsg.Policy{Routing: map[fedmsg.Topic][]string{"org.debian.prod.Bugs.new": {""}}}, fedmsg.NotAuthorized},
		{"nitpicky", fedmsg.Policy{Nitpicky: true}, fedmsg.NotAuthorized},
	} {
		for _, faithful := range []bool{false, true} {
			_, err := newVerifier(t, gpg.Config{Keyring: keyring, Policy: tt.policy, Faithful: faithful}).Verify(t.Context(), m)
			if fedmsg.ReasonOf(err) != tt.want {
				t.Errorf("%s, faithful %t: %v, want %q", tt.name, faithful, err, tt.want)
			}
		}
	}
}

// others judges what is not for this package.
type others struct{}

func (others) Verify(context.Context, *fedmsg.Message) (string, error) { return "others", nil }

func TestVerifyLeavesOthers(t *testing.T) {
	alice := newKey(t, "alice", packet.Config{})
	good := detach(t, alice, body, now, crypto.SHA256)
	unsigned := []byte(`{"topic":"a.b","msg":{},"msg_id":"1","timestamp":1}`)
	for _, tt := range []struct {
		name   string
		text   []byte
		reason fedmsg.Reason // without others
	}{
		{"unsigned", unsigned, fedmsg.Unsigned},
		{"x509", wire("x509", good), fedmsg.CryptoBackend},
		{"GPG", wire("GPG", good), fedmsg.CryptoBackend},
		{"guessed", wire("", good), fedmsg.CryptoBackend},
	} {
		m, cfg := decode(t, tt.text), gpg.Config{Keyring: write(t, public(t, alice))}
		if _, err := newVerifier(t, cfg).Verify(t.Context(), m); fedmsg.ReasonOf(err) != tt.reason {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.reason)
		}
		cfg.Others = others{}
		if stamp, err := newVerifier(t, cfg).Verify(t.Context(), m); stamp != "others" || err != nil {
			t.Errorf("%s: Verify = %q, %v; want the verdict of others", tt.name, stamp, err)
		}
	}
}

func TestKeyring(t *testing.T) {
	a, b := newKey(t, "a", packet.Config{}), newKey(t, "b", packet.Config{})
	pa, pb := public(t, a), public(t, b)
	armorA, armorB := armored(t, openpgp.PublicKeyType, pa), armored(t, openpgp.PublicKeyType, pb)
	kbx := append([]byte("\x00\x00\x00\x20\x01\x01\x00\x02KBXf"), make([]byte, 20)...)
	for _, tt := range []struct {
		name string
		text []byte
		keys int
		says string
	}{
		{"binary", append(bytes.Clone(pa), pb...), 2, ""},
		{"armored", armorA, 1, ""},
		{"two blocks, and words between", append(append(bytes.Clone(armorA), "\nThe other one:\n\n"...), armorB...), 2, ""},
		{"secret", secret(t, a), 1, ""},
		{"a keybox", kbx, 0, "is a database of GnuPG"},
		{"a keyboxd", []byte("SQLite format 3\x00"), 0, "is a database of GnuPG"},
		{"empty", nil, 0, "there is no key in it"},
		{"a certificate", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), 0, "holds no keys that can be read"},
		{"cut off", pa[:len(pa)/2], 0, "holds no keys that can be read"},
	} {
		n, err := gpg.ParseKeys(tt.text)
		if n != tt.keys || (err == nil) != (tt.says == "") {
			t.Errorf("%s: %d keys, %v; want %d, %q", tt.name, n, err, tt.keys, tt.says)
		}
		if err != nil && (!strings.Contains(err.Error(), tt.says) || !strings.Contains(fedmsg.Hint(err), "gpg --export") || !errors.Is(err, fedmsg.ErrInvalid)) {
			t.Errorf("%s: error %q with the hint %q, want %q", tt.name, err, fedmsg.Hint(err), tt.says)
		}
	}
	if _, err := gpg.NewVerifier(gpg.Config{Keyring: filepath.Join(t.TempDir(), "none")}, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := gpg.NewVerifier(gpg.Config{ReloadEvery: -1}, nil); err == nil || !strings.Contains(err.Error(), "keyring: required\nreload-every: must not") {
		t.Errorf("two mistakes: %v", err)
	}
}

// A new keyring comes into force; a broken one does not, and is told.
func TestRotation(t *testing.T) {
	alice, bob := newKey(t, "alice", packet.Config{}), newKey(t, "bob", packet.Config{})
	keyring := write(t, public(t, alice))
	logs := new(fedmsgtest.LogBook)
	v, err := gpg.NewVerifier(gpg.Config{Keyring: keyring, Clock: at(now), ReloadEvery: time.Millisecond}, logs.Logger(slog.LevelInfo))
	if err != nil {
		t.Fatal(err)
	}
	fedmsgtest.Start(t, "the verifier", v.Run)
	knows := func(e *openpgp.Entity) func() bool {
		m := decode(t, wire("gpg", detach(t, e, body, now, crypto.SHA256)))
		return func() bool { _, err := v.Verify(t.Context(), m); return err == nil }
	}
	replace := func(text []byte) {
		if err := os.WriteFile(keyring+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(keyring+".new", keyring); err != nil {
			t.Fatal(err)
		}
	}
	replace([]byte("broken"))
	fedmsgtest.Eventually(t, 10*time.Second, "the broken file is told", func() bool { return strings.Contains(logs.String(), "the keyring cannot be used") })
	if !knows(alice)() {
		t.Error("a broken keyring put the old one out of force")
	}
	replace(public(t, bob))
	fedmsgtest.Eventually(t, 10*time.Second, "the new key is known", knows(bob))
	if knows(alice)() {
		t.Error("a key that is gone from the keyring is still known")
	}
}

func TestSigner(t *testing.T) {
	alice := newKey(t, "alice", packet.Config{})
	v := newVerifier(t, gpg.Config{Keyring: write(t, public(t, alice)), Clock: time.Now})
	s, err := gpg.NewSigner(gpg.SignerConfig{Keyring: write(t, armored(t, openpgp.PrivateKeyType, secret(t, alice)))})
	if err != nil {
		t.Fatal(err)
	}
	old := decode(t, []byte(`{"topic":"a.b","msg":{"é":1.50},"msg_id":"1","timestamp":1,"crypto":"x509","signature":"AAAA","certificate":"AAAA","extra":1}`))
	m, err := s.Sign(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	if f := m.Fields("crypto", "certificate", "extra", "msg"); string(f[0]) != `"gpg"` || f[1] != nil || string(f[2]) != "1" || string(f[3]) != `{"\u00e9":1.5}` {
		t.Errorf("Sign gives %s", m.Bytes())
	}
	if strings.ContainsAny(m.Signature, "\r\n") {
		t.Errorf("signature %q is not in one line, as the original writes it", m.Signature)
	}
	if stamp, err := v.Verify(t.Context(), m); err != nil || stamp != gpg.Stamp+s.Fingerprint {
		t.Errorf("Verify = %q, %v; want %s", stamp, err, gpg.Stamp+s.Fingerprint)
	}
	if m.Digest() != old.Digest() {
		t.Error("signing changed what the message is known by")
	}
}

func TestSignerRefusesFiles(t *testing.T) {
	alice, bob := newKey(t, "alice", packet.Config{}), newKey(t, "bob", packet.Config{})
	both := append(secret(t, alice), secret(t, bob)...)
	locked := newKey(t, "locked", packet.Config{})
	if err := locked.EncryptPrivateKeys([]byte("open sesame"), nil); err != nil {
		t.Fatal(err)
	}
	ended := newKey(t, "ended", packet.Config{KeyLifetimeSecs: 60})
	for _, tt := range []struct {
		name string
		text []byte
		cfg  gpg.SignerConfig
		says string // "" for a good one
	}{
		{"one of two", both, gpg.SignerConfig{Key: "0x" + bob.PrimaryKey.KeyIdString()}, ""},
		{"unlocked", secret(t, locked), gpg.SignerConfig{Passphrase: []byte("open sesame")}, ""},
		{"which of two", both, gpg.SignerConfig{}, "there are 2 secret keys in it: give the fingerprint of one"},
		{"a short name", both, gpg.SignerConfig{Key: "ABCD"}, `"ABCD" is no fingerprint`},
		{"another", secret(t, alice), gpg.SignerConfig{Key: "0123456789ABCDEF"}, "there is no secret key 0123456789ABCDEF in it"},
		{"public", public(t, alice), gpg.SignerConfig{}, "there is no secret key"},
		{"locked", secret(t, locked), gpg.SignerConfig{}, "the key is locked: give the passphrase"},
		{"wrongly unlocked", secret(t, locked), gpg.SignerConfig{Passphrase: []byte("open barley")}, "the passphrase does not unlock the key"},
		{"ended", secret(t, ended), gpg.SignerConfig{}, "no valid signing keys"},
	} {
		tt.cfg.Keyring = write(t, tt.text)
		s, err := gpg.NewSigner(tt.cfg)
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) || (err == nil) != (s != nil) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
		}
	}
	open := write(t, secret(t, alice))
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := gpg.NewSigner(gpg.SignerConfig{Keyring: open}); err == nil || !strings.Contains(fedmsg.Hint(err), "chmod 0640") {
		t.Errorf("a key that everybody can read: %v", err)
	}
}

// FuzzVerify puts anything into the signature and the body. What is taken is what
// alice signed, and there is a reason for everything else.
func FuzzVerify(f *testing.F) {
	alice, bob := newKey(f, "alice", packet.Config{}), newKey(f, "bob", packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: 2048})
	keyring := write(f, public(f, alice, bob))
	good := detach(f, alice, body, now, crypto.SHA256)
	for _, seed := range [][]byte{
		good, detach(f, bob, body, now, crypto.SHA512), append(bytes.Clone(good), good...), armored(f, openpgp.SignatureType, good), public(f, alice), {}, good[:40],
	} {
		f.Add(seed, body)
		f.Add(seed, `{"karma":2}`)
	}
	var verifiers []*gpg.Verifier
	logs := new(fedmsgtest.LogBook)
	for _, faithful := range []bool{false, true} {
		v, err := gpg.NewVerifier(gpg.Config{Keyring: keyring, Clock: at(now), Faithful: faithful}, logs.Logger(slog.LevelInfo))
		if err != nil {
			f.Fatal(err)
		}
		verifiers = append(verifiers, v)
	}
	f.Fuzz(func(t *testing.T, signature []byte, said string) {
		text := bytes.Replace(wire("gpg", signature), []byte(body), []byte(said), 1)
		m, err := fedmsg.DecodeHistory(text)
		if err != nil {
			return
		}
		for _, v := range verifiers {
			stamp, err := v.Verify(t.Context(), m)
			if err != nil {
				if fedmsg.ReasonOf(err) == "" {
					t.Errorf("%v has no reason word", err)
				}
				continue
			}
			if canonical, err := fedmsg.AppendCanonical(nil, m.Body); err != nil || string(canonical) != body || !strings.HasPrefix(stamp, gpg.Stamp) {
				t.Errorf("%q is taken for the body %s, which nobody signed", stamp, canonical)
			}
		}
		if told := logs.String(); told != "" {
			t.Error(told) // a panic of the parser
		}
	})
}

// FuzzKeyring reads anything as a keyring: a count of keys, or an error with a hint.
func FuzzKeyring(f *testing.F) {
	a := newKey(f, "a", packet.Config{})
	f.Add(public(f, a))
	f.Add(secret(f, a))
	f.Add(armored(f, openpgp.PublicKeyType, public(f, a)))
	f.Add([]byte("\x00\x00\x00\x20\x01\x01\x00\x02KBXf"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if n, err := gpg.ParseKeys(text); (err == nil) != (n > 0) || err != nil && fedmsg.Hint(err) == "" {
			t.Errorf("%d keys, %v", n, err)
		}
	})
}

// The gate takes what this package judges, and stamps it as what it is.
func TestGateStampsBodies(t *testing.T) {
	alice := newKey(t, "alice", packet.Config{})
	log := mem.NewLog()
	gate, err := bus.NewGate(bus.GateConfig{Verifier: newVerifier(t, gpg.Config{Keyring: write(t, public(t, alice))}), Clock: at(now)}, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	good := detach(t, alice, body, now, crypto.SHA256)
	receipts := gate.Publish(t.Context(), decode(t, wire("gpg", good)), decode(t, wire("gpg", good[:50])), decode(t, wire("x509", good)))
	for i, want := range []fedmsg.Reason{"", fedmsg.BadSignature, fedmsg.CryptoBackend} {
		if r := receipts[i]; fedmsg.ReasonOf(r.Err) != want || (r.Seq == 1) != (want == "") {
			t.Errorf("message %d: %+v, want %q", i, r, want)
		}
	}
	if e, err := log.Find(t.Context(), "2026-1"); err != nil || !strings.HasPrefix(e.Verified, gpg.Stamp) {
		t.Errorf("the log holds %v, %v with the stamp %q", e, err, e.Verified)
	}
}
