package http_test

import (
	"context"
	"errors"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// wordVerifier says of a message what the word in its signature wants.
type wordVerifier struct{}

func (wordVerifier) Verify(_ context.Context, m *fedmsg.Message) (string, error) {
	switch m.Signature {
	case "":
		return "", fedmsg.Refuse(fedmsg.Unsigned, "there is no signature")
	case "good":
		return "x509:app01", nil
	case "list":
		return "", fedmsg.Refuse(fedmsg.CRLExpired, "the list has run out")
	case "fail":
		return "", errors.New("secret path")
	}
	return "", fedmsg.Refuse(fedmsg.CertExpired, "it ended")
}

func TestVerifyMessages(t *testing.T) {
	message := func(signature string) string {
		if signature != "" {
			signature = `,"signature":"` + signature + `"`
		}
		return `{"topic":"org.fedoraproject.prod.exam","msg":{},"msg_id":"2014-1","timestamp":1400000000` + signature + `}`
	}
	isJSON := []string{"Content-Type", "application/json"}
	with := start(t, func(s *setup) { s.cfg.Verifier = wordVerifier{} })
	without := start(t, nil)
	for _, tt := range []struct {
		name   string
		r      *rig
		body   string
		header []string
		status int
		code   string
	}{
		{"good, and ten years old", with, message("good"), isJSON, 200, ""},
		{"bad", with, message("bad0"), isJSON, 403, "cert_expired"},
		{"unsigned", with, message(""), isJSON, 403, "unsigned"},
		{"no verdict", with, message("list"), isJSON, 503, "crl_expired"},
		{"a fault", with, message("fail"), isJSON, 500, "internal"},
		{"no message", with, `{"msg":{}}`, isJSON, 400, "missing_field"},
		{"no JSON", with, `{`, isJSON, 400, "bad_json"},
		{"a form", with, message("good"), []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"},
		{"too large", with, `"` + string(make([]byte, 2<<20)), isJSON, 413, "too_large"},
		{"a wrong token", with, message("good"), append(isJSON, "Authorization", "Bearer x"), 401, "invalid_token"},
		{"from another site", with, message("good"), append(isJSON, "Sec-Fetch-Site", "cross-site"), 403, "cross_site"},
		{"signed, and nothing to check it with", without, message("good"), isJSON, 403, "crypto_backend"},
		{"unsigned, and nothing to check it with", without, message(""), isJSON, 403, "unsigned"},
	} {
		a := tt.r.do(t, "POST", "/api/v1/verify", tt.body, tt.header...)
		if a.status != tt.status || a.Code != tt.code {
			t.Errorf("%s: %d %s, want %d %q", tt.name, a.status, a, tt.status, tt.code)
		}
		if tt.code != "" && a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: Content-Type %q", tt.name, a.header.Get("Content-Type"))
		}
	}
	if a := with.do(t, "POST", "/api/v1/verify", message("good"), isJSON...); string(a.body) != `{"id":"2014-1","verified":"x509:app01"}`+"\n" {
		t.Errorf("a good one is answered with %s", a.body)
	}
	if a := with.do(t, "POST", "/api/v1/verify?x=1", message("good"), isJSON...); a.status != 400 || a.Code != "bad_query" {
		t.Errorf("with a parameter: %d %s, want 400", a.status, a)
	}
	if state, err := with.log.State(t.Context()); err != nil || state.Last != 0 {
		t.Errorf("a message was published: %+v, %v", state, err)
	}
	if n := fedmsgtest.Value(with.Server, "messages_received_total") + fedmsgtest.Value(with.Server, "messages_rejected_total", "reason", "cert_expired"); n != 0 {
		t.Errorf("verdicts are counted as messages: %v", n)
	}
}

// Who asks for verdicts is held to the same rate as who publishes.
func TestVerifyRate(t *testing.T) {
	r := start(t, func(s *setup) {
		s.cfg.Verifier = wordVerifier{}
		s.cfg.Limits.PublishRate, s.cfg.Limits.PublishBurst = 0.001, 2
	})
	auth := []string{"Content-Type", "application/json", "Authorization", "Bearer " + r.token(t, "alice", "publish:#")}
	for i := range 3 {
		a := r.do(t, "POST", "/api/v1/verify", `{"topic":"a.b","msg":{},"msg_id":"1","timestamp":1,"signature":"good"}`, auth...)
		if want := []int{200, 200, 429}[i]; a.status != want || want == 429 && a.header.Get("Retry-After") == "" {
			t.Errorf("verdict %d: %d %s, want %d", i, a.status, a, want)
		}
	}
}
