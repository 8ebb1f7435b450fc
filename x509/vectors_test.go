package x509_test

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/x509"
)

func TestVectorsBase64Wrap(t *testing.T) {
	for _, row := range fedmsgtest.Vectors[struct{ Hex, Wrapped string }](t, "base64_wrap.jsonl") {
		b, err := hex.DecodeString(row.Hex)
		if err != nil {
			t.Fatal(err)
		}
		if got := x509.EncodeBase64(b); got != row.Wrapped {
			t.Errorf("EncodeBase64(%s) = %q, want %q", row.Hex, got, row.Wrapped)
		}
	}
}

func TestVectorsBase64Lenient(t *testing.T) {
	for _, row := range fedmsgtest.Vectors[struct {
		In     string
		Out    *string `json:"out_hex"`
		Raises string
	}](t, "base64_lenient.jsonl") {
		got, err := x509.DecodeBase64(row.In)
		if row.Out == nil {
			if err == nil {
				t.Errorf("DecodeBase64(%q) = %x, want an error (%s)", row.In, got, row.Raises)
			}
			continue
		}
		if err != nil || hex.EncodeToString(got) != *row.Out {
			t.Errorf("DecodeBase64(%q) = %x, %v; want %s", row.In, got, err, *row.Out)
		}
	}
}

// The original's field certificate holds the block of the file and nothing else.
func TestVectorsCertificateDress(t *testing.T) {
	dir := fedmsgtest.VectorDir(t)
	for _, row := range fedmsgtest.Vectors[signedRow](t, "signed_x509.jsonl") {
		if row.Name != "plain-cryptography" && row.Name != "plain-m2crypto-api" {
			continue
		}
		var message struct{ Certificate string }
		if err := json.Unmarshal([]byte(row.Wire), &message); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"certs/shell-app01.phx2.fedoraproject.org.crt", "shell-app01_with_text_header.crt"} {
			text, err := os.ReadFile(filepath.Join(dir, "pki", file))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := x509.DressCertificate(text); err != nil || got != message.Certificate {
				t.Errorf("%s: certificate of %s = %q, %v; want %q", row.Name, file, got, err, message.Certificate)
			}
		}
	}
}

// refused are the rows that the original accepts and we do not, with the reason
// word; docs/deviations.md has the reasons in full.
var refused = map[string]fedmsg.Reason{
	"policy-string-instead-of-list": fedmsg.NotAuthorized, // there a substring test
}

// refusedAtGate are those that do not get in from outside either, by the strict
// decoder or the strict verifier.
var refusedAtGate = map[string]fedmsg.Reason{
	"policy-string-instead-of-list": fedmsg.NotAuthorized,
	"base64-junk-chars-ignored":     fedmsg.BadField,
	"base64-data-after-padding":     fedmsg.BadCert,
	"duplicate-key-last-wins-good":  fedmsg.DupKey,
	"lone-surrogate-body":           fedmsg.BadUTF8,
	"minimal":                       fedmsg.MissingField,
	"msg-is-list":                   fedmsg.BadField,
	"msg-is-string":                 fedmsg.BadField,
	"nan-infinity":                  fedmsg.BadJSON,
	"policy-topic-number":           fedmsg.BadField,
}

// signedRow is a line of signed_x509.jsonl.
type signedRow struct {
	Name       string
	Wire       string
	Valid      bool
	Reason     string
	Config     map[string]any
	Preprocess string
	SignedBy   string `json:"validate_signed_by"`
}

// config is what a row's configuration says.
func (row signedRow) config(pki string) x509.Config {
	text := func(key string) string {
		s, _ := row.Config[key].(string)
		return strings.ReplaceAll(s, "$PKI", pki)
	}
	cfg := x509.Config{CA: text("ca_cert_location"), CRL: text("crl_location"), LegacySHA1: true, Faithful: true}
	cfg.Policy.Nitpicky, _ = row.Config["routing_nitpicky"].(bool)
	cfg.Policy.Routing = map[fedmsg.Topic][]string{}
	if routing, ok := row.Config["routing_policy"].(map[string]any); ok {
		for topic, names := range routing {
			cfg.Policy.Routing[fedmsg.Topic(topic)] = stringsOf(names)
		}
	}
	cfg.Backends = stringsOf(row.Config["crypto_validate_backends"])
	if len(cfg.Backends) == 0 {
		cfg.Backends = []string{cmp.Or(text("crypto_backend"), "x509")}
	}
	return cfg
}

func stringsOf(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		list := []string{}
		for _, s := range v {
			list = append(list, s.(string))
		}
		return list
	}
	return nil
}

// verdict decodes and judges a row.
func (row signedRow) verdict(t *testing.T, pki string) error {
	v, err := x509.NewVerifier(row.config(pki), nil)
	if err != nil {
		return err
	}
	m, err := fedmsg.DecodeHistory([]byte(row.Wire))
	if err != nil {
		return err
	}
	if row.Preprocess != "" {
		if m, err = x509.FixDatagrepper(m); err != nil {
			return err
		}
	}
	if row.SignedBy != "" {
		return v.ValidateSignedBy(t.Context(), m, row.SignedBy)
	}
	_, err = v.Verify(t.Context(), m)
	return err
}

func TestVectorsSignedX509(t *testing.T) {
	dir := fedmsgtest.VectorDir(t)
	seen := 0
	for _, row := range fedmsgtest.Vectors[signedRow](t, "signed_x509.jsonl") {
		t.Run(row.Name, func(t *testing.T) {
			seen++
			err := row.verdict(t, filepath.Join(dir, "pki"))
			if want, ok := refused[row.Name]; ok {
				if fedmsg.ReasonOf(err) != want || !row.Valid {
					t.Errorf("verdict %v, want the deliberate refusal %s of a row that is valid (%t)", err, want, row.Valid)
				}
				return
			}
			if (err == nil) != row.Valid {
				t.Errorf("verdict %v, want valid = %t: %s", err, row.Valid, row.Reason)
			}
			if err != nil && fedmsg.ReasonOf(err) == "" && !strings.Contains(err.Error(), "ca: ") {
				t.Errorf("verdict %v has no reason word", err)
			}
		})
	}
	if seen < 151 {
		t.Errorf("saw %d rows, want at least 151", seen)
	}
}

// At the gate every row is as valid as it was to the original, but for the short
// list.
func TestVectorsSignedX509AtTheGate(t *testing.T) {
	dir := fedmsgtest.VectorDir(t)
	for _, row := range fedmsgtest.Vectors[signedRow](t, "signed_x509.jsonl") {
		if row.SignedBy != "" || row.Preprocess != "" {
			continue // not for what comes in now
		}
		cfg := row.config(filepath.Join(dir, "pki"))
		cfg.Faithful = false
		m, err := fedmsg.Decode([]byte(row.Wire))
		var v *x509.Verifier
		if err == nil {
			v, err = x509.NewVerifier(cfg, nil)
		}
		if err == nil {
			_, err = v.Verify(t.Context(), m)
		}
		if want, ok := refusedAtGate[row.Name]; ok {
			if fedmsg.ReasonOf(err) != want || !row.Valid {
				t.Errorf("%s: verdict %v, want the deliberate refusal %s of a row that is valid (%t)", row.Name, err, want, row.Valid)
			}
		} else if (err == nil) != row.Valid {
			t.Errorf("%s: verdict %v, want valid = %t: %s", row.Name, err, row.Valid, row.Reason)
		}
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
