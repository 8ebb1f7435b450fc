package gpg_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/gpg"
)

// refused are the rows that the original accepts and we do not, with the reason
// word; docs/deviations.md has the reasons in full.
var refused = map[string]fedmsg.Reason{
	"revoked-key":           fedmsg.CertRevoked,   // gpg --verify only warns
	"signed-by-not-applied": fedmsg.NotAuthorized, // a policy, and the topic is not signed
}

// refusedAtGate are those that do not get in from outside either.
var refusedAtGate = map[string]fedmsg.Reason{
	"revoked-key":             fedmsg.CertRevoked,
	"signed-by-not-applied":   fedmsg.NotAuthorized,
	"msg-string":              fedmsg.BadField,
	"no-crypto-field-guessed": fedmsg.CryptoBackend,
	"signature-armored":       fedmsg.BadSignature,
}

// signedRow is a line of signed_gpg.jsonl.
type signedRow struct {
	Name     string
	Wire     string
	Valid    bool
	Reason   string
	SignedBy string `json:"validate_signed_by"`
	Config   struct {
		Backend  string   `json:"crypto_backend"`
		Backends []string `json:"crypto_validate_backends"`
	}
}

// config is what a row's configuration says. validate_signed_by is a routing policy
// for the one topic (fedmsg.crypto.validate_signed_by).
func (row signedRow) config(t *testing.T) gpg.Config {
	cfg := gpg.Config{Keyring: filepath.Join(fedmsgtest.VectorDir(t), "pki", "gpg", "verify_keyring.asc")}
	if row.SignedBy != "" {
		cfg.Policy = fedmsg.Policy{Nitpicky: true, Routing: map[fedmsg.Topic][]string{"org.debian.prod.bugs.new": {row.SignedBy}}}
	}
	return cfg
}

// takesGPG reports whether the configuration of a row lets GnuPG in at all; if not, the
// bus has no verifier of this package.
func (row signedRow) takesGPG() bool {
	if len(row.Config.Backends) == 0 {
		return row.Config.Backend == "gpg"
	}
	return slices.Contains(row.Config.Backends, "gpg")
}

func TestVectorsGPG(t *testing.T) {
	seen := 0
	for _, row := range fedmsgtest.Vectors[signedRow](t, "signed_gpg.jsonl") {
		seen++
		t.Run(row.Name, func(t *testing.T) {
			if !row.takesGPG() {
				if row.Valid {
					t.Error("a row that does not take GnuPG is valid")
				}
				return // x509 refuses it by its field crypto
			}
			cfg := row.config(t)
			cfg.Faithful = true
			v, err := gpg.NewVerifier(cfg, nil)
			if err != nil {
				t.Fatal(err)
			}
			m, err := fedmsg.DecodeHistory([]byte(row.Wire))
			if err != nil {
				t.Fatal(err)
			}
			stamp, err := v.Verify(t.Context(), m)
			row.compare(t, stamp, err, refused)
		})
	}
	if seen < 33 {
		t.Errorf("saw %d rows, want at least 33", seen)
	}
}

// At the gate, on the day of the signatures, every row is as valid as it was to the
// original, but for the short list.
func TestVectorsGPGAtTheGate(t *testing.T) {
	for _, row := range fedmsgtest.Vectors[signedRow](t, "signed_gpg.jsonl") {
		if !row.takesGPG() {
			continue
		}
		t.Run(row.Name, func(t *testing.T) {
			cfg := row.config(t)
			cfg.Clock = func() time.Time { return time.Date(2014, 6, 1, 0, 1, 0, 0, time.UTC) }
			v, err := gpg.NewVerifier(cfg, nil)
			if err != nil {
				t.Fatal(err)
			}
			m, err := fedmsg.Decode([]byte(row.Wire))
			var stamp string
			if err == nil {
				stamp, err = v.Verify(t.Context(), m)
			}
			row.compare(t, stamp, err, refusedAtGate)
		})
	}
}

func (row signedRow) compare(t *testing.T, stamp string, err error, deliberate map[string]fedmsg.Reason) {
	t.Helper()
	if want, ok := deliberate[row.Name]; ok {
		if fedmsg.ReasonOf(err) != want || !row.Valid {
			t.Errorf("verdict %v, want the deliberate refusal %s of a row that is valid (%t)", err, want, row.Valid)
		}
		return
	}
	if (err == nil) != row.Valid {
		t.Errorf("verdict %q, %v, want valid = %t: %s", stamp, err, row.Valid, row.Reason)
	}
	if err != nil && fedmsg.ReasonOf(err) == "" {
		t.Errorf("verdict %v has no reason word", err)
	}
	if err == nil && !strings.HasPrefix(stamp, "gpg-body-only:") {
		t.Errorf("stamp %q does not say that only the body is signed", stamp)
	}
}

// What is refused deliberately stands in the document, with its reason.
func TestDeviationsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/deviations.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for name, reason := range refusedAtGate {
		if !slices.ContainsFunc(lines, func(line string) bool {
			return strings.HasPrefix(line, "|") && strings.Contains(line, "`"+name+"`") && strings.Contains(line, "`"+string(reason)+"`")
		}) {
			t.Errorf("docs/deviations.md has no row with `%s` and `%s`", name, reason)
		}
	}
}
