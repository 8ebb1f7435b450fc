package x509_test

import (
	"bytes"
	"path/filepath"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/x509"
)

// others are the reasons of checks that the gate and the edges do; Verify has
// nothing against such a message, or is not asked.
var others = map[fedmsg.Reason]bool{
	fedmsg.FrameCount: true, fedmsg.TopicMismatch: true, fedmsg.TopicPrefix: true,
	fedmsg.Stale: true, fedmsg.Future: true, fedmsg.MsgIDConflict: true,
}

// What decodes is refused for its signature with the reason wanted, or accepted.
func TestBadInputsCertificates(t *testing.T) {
	pki := filepath.Join(fedmsgtest.BadInputDir(t), "pki")
	judged, reasons := 0, map[fedmsg.Reason]bool{}
	for _, c := range fedmsgtest.ZMQCases(t) {
		frames, config, want := c.Input.Frames, c.Input.Config, c.Must.Reason
		if len(frames) != 2 || others[want] || !config.Validate {
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
				CA: filepath.Join(pki, config.CA), CRL: filepath.Join(pki, config.CRL),
				Policy: config.Policy(), LegacySHA1: config.Legacy, Clock: fedmsgtest.BadInputClock,
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
			if n := v.Loads(); c.Must.MaxLoads > 0 && n > c.Must.MaxLoads {
				t.Errorf("the files were read %d times, at most %d wanted", n, c.Must.MaxLoads)
			}
		})
	}
	if judged < 50 || len(reasons) < 15 {
		t.Errorf("judged only %d cases, %d reasons", judged, len(reasons))
	}
}
