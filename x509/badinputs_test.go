package x509_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/x509"
)

// A badInput is a line of badinputs/zmq.jsonl, as far as signatures go.
type badInput struct {
	Name  string
	Input struct {
		Frames  [][]byte `json:"frames_b64"`
		Gzipped []string `json:"frames_gz_b64"`
		Config  struct {
			CA       string `json:"ca_cert_location"`
			CRL      string `json:"crl_location"`
			Nitpicky bool   `json:"routing_nitpicky"`
			Legacy   bool   `json:"legacy_sha1_certs"`
			Validate *bool  `json:"validate_signatures"`
		}
	}
	Must struct {
		Outcome, Reason, Field string
		Times                  int    `json:"send_times"`
		Loads                  uint64 `json:"max_ca_crl_loads"`
	}
}

// frames returns topic and message, or nil if the case is of another kind.
func (b badInput) frames(t *testing.T) [][]byte {
	frames := b.Input.Frames
	for _, text := range b.Input.Gzipped {
		zipped, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		unzip, err := gzip.NewReader(bytes.NewReader(zipped))
		if err != nil {
			t.Fatal(err)
		}
		frame, err := io.ReadAll(unzip)
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, frame)
	}
	return frames
}

// others are the reasons of checks that the gate and the edges do; Verify has
// nothing against such a message, or is not asked.
var others = map[fedmsg.Reason]bool{
	fedmsg.FrameCount: true, fedmsg.TopicMismatch: true, fedmsg.TopicPrefix: true,
	fedmsg.Stale: true, fedmsg.Future: true, fedmsg.MsgIDConflict: true,
}

// What decodes is refused for its signature with the reason wanted, or accepted.
func TestBadInputsCertificates(t *testing.T) {
	dir := cmp.Or(os.Getenv("FEDMSG_BADINPUTS"), "../../shared/badinputs")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no bad inputs: set FEDMSG_BADINPUTS to their folder: %v", err)
	}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	judged, reasons := 0, map[fedmsg.Reason]bool{}
	for _, c := range rows[badInput](t, filepath.Join(dir, "zmq.jsonl")) {
		frames, config, want := c.frames(t), c.Input.Config, fedmsg.Reason(c.Must.Reason)
		if len(frames) != 2 || others[want] || config.Validate != nil && !*config.Validate {
			continue
		}
		m, err := fedmsg.Decode(frames[1])
		if err != nil {
			continue // that is for the decoder's own test
		}
		if want == fedmsg.BadTopic {
			continue // of the first frame
		}
		judged++
		reasons[want] = true
		t.Run(c.Name, func(t *testing.T) {
			v, err := x509.NewVerifier(x509.Config{
				CA:  filepath.Join(dir, "pki", cmp.Or(config.CA, "ca.crt")),
				CRL: filepath.Join(dir, "pki", cmp.Or(config.CRL, "crl.pem")),
				Policy: fedmsg.Policy{
					Routing:  map[fedmsg.Topic][]string{"org.fedoraproject.prod.bodhi.update.request.stable": {"bodhi-app01.example.com"}},
					Nitpicky: config.Nitpicky,
				},
				LegacySHA1: config.Legacy,
				Clock:      func() time.Time { return now },
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			for range max(1, c.Must.Times) {
				stamp, err := v.Verify(t.Context(), m)
				if fedmsg.ReasonOf(err) != want || (err == nil) != (c.Must.Outcome == "accept") {
					t.Fatalf("Verify = %q, %v; want %s %q", stamp, err, c.Must.Outcome, want)
				}
				if err != nil && bytes.Contains([]byte(err.Error()), []byte("BEGIN")) {
					t.Errorf("the error shows the certificate: %v", err)
				}
			}
			if n := v.Loads(); c.Must.Loads > 0 && n > c.Must.Loads {
				t.Errorf("the files were read %d times, at most %d wanted", n, c.Must.Loads)
			}
		})
	}
	if judged < 50 || len(reasons) < 15 {
		t.Errorf("judged only %d cases, %d reasons", judged, len(reasons))
	}
}
