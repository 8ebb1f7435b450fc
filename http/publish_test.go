package http_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	nethttp "net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/http"
)

// stored returns what the bus has under an ID.
func (r *rig) stored(t *testing.T, id string) fedmsg.Entry {
	t.Helper()
	e, err := r.log.Find(t.Context(), id)
	if err != nil {
		t.Fatalf("Find(%q): %v", id, err)
	}
	return e
}

func TestPublishMakesTopics(t *testing.T) {
	r := start(t, nil)
	tests := []struct {
		path, media, body string
		topic             fedmsg.Topic
		msg               string
	}{
		{"", isJSON, `{"topic":"repo.update","modname":"git","msg":{"a":1}}`, "org.fedoraproject.dev.git.repo.update", `{"a":1}`},
		{"", isJSON + `; charset="UTF-8"`, `{"modname":"git","msg":{}}`, "org.fedoraproject.dev.git.unspecified", `{}`},
		{"", isJSON, `{"topic":"org.fedoraproject.prod.x","msg":{}}`, "org.fedoraproject.prod.x", `{}`},
		{"", isJSON, `{"topic":"x","modname":"git","msg":null}`, "org.fedoraproject.dev.git.x", `{}`},
		{"/git.repo.update", "application/x-www-form-urlencoded", "hello", "org.fedoraproject.dev.git.repo.update", `{"log":"hello"}`},
		{"/git.repo.update", "", "two\nlines\n", "org.fedoraproject.dev.git.repo.update", `{"log":"two\nlines"}`},
		{"/org.fedoraproject.stg.git.x", "text/plain; charset=utf-8", "é<", "org.fedoraproject.stg.git.x", `{"log":"\u00e9<"}`},
		{"/logger", isJSON, `{"b":2}`, "org.fedoraproject.dev.logger.unspecified", `{"b":2}`},
	}
	for _, tt := range tests {
		var header []string
		if tt.media != "" {
			header = []string{"Content-Type", tt.media}
		}
		a := r.do(t, "POST", "/api/v1/publish"+tt.path, tt.body, header...)
		if a.status != 201 || a.Topic != string(tt.topic) || a.header.Get("Location") != "/api/v1/messages/"+a.ID {
			t.Errorf("POST %s %s = %d %s, want 201 and %s", tt.path, tt.body, a.status, a, tt.topic)
			continue
		}
		e := r.stored(t, a.ID)
		if e.Seq != a.Seq || e.Message.Topic != tt.topic || string(e.Message.Body) != tt.msg || e.Verified != "none" || time.Since(e.Message.Time) > time.Minute {
			t.Errorf("POST %s %s stored %s with %s as %q, want %s", tt.path, tt.body, e.Message, e.Message.Body, e.Verified, tt.msg)
		}
	}
	if n := r.state(t).Last; n != fedmsg.Seq(len(tests)) {
		t.Errorf("%d messages are stored, want %d", n, len(tests))
	}
}

func TestPublishRefuses(t *testing.T) {
	r := start(t, func(s *setup) { s.cfg.AllowAnonymousLoopback, s.gate = false, bus.GateConfig{} })
	r.token(t, "gone", "publish:#")
	if err := r.tokens.Revoke("gone"); err != nil {
		t.Fatal(err)
	}
	writer := "Bearer " + r.token(t, "writer", "publish:org.fedoraproject.dev.exam.#")
	reader := "Bearer " + r.token(t, "reader", "read:#")
	good := `{"topic":"` + freeTopic + `","msg":{}}`
	tests := []struct {
		name, path, auth, media, body string
		status                        int
		code, field                   string
	}{
		{"nobody", "", "", isJSON, good, 401, "unauthenticated", ""},
		{"nobody, a whole message", "", "", isJSON, `{"topic":"` + freeTopic + `","msg":{},"msg_id":"a","timestamp":1}`, 401, "unauthenticated", ""},
		{"token in the address", "?token=" + strings.TrimPrefix(writer, "Bearer "), "", isJSON, good, 401, "unauthenticated", ""},
		{"token in the address beside one in the header", "?x=" + strings.TrimPrefix(writer, "Bearer "), writer, isJSON, good, 401, "unauthenticated", ""},
		{"a parameter", "?x=1", writer, isJSON, good, 400, "bad_query", "x"},
		{"a reader", "", reader, isJSON, good, 403, "not_authorized", ""},
		{"another's topic", "", writer, isJSON, `{"topic":"org.fedoraproject.dev.examine.x","msg":{}}`, 403, "not_authorized", ""},
		{"another's topic, whole", "", writer, isJSON, `{"topic":"org.fedoraproject.dev.examine.x","msg":{},"msg_id":"a","timestamp":1}`, 403, "not_authorized", ""},
		{"a form", "", writer, "application/x-www-form-urlencoded", "topic=x", 415, "unsupported_media_type", ""},
		{"latin-1 text", "/exam.free", writer, "text/plain; charset=latin-1", "x", 415, "unsupported_media_type", ""},
		{"two equal keys", "", writer, isJSON, `{"topic":"x","topic":"y","msg":{}}`, 400, "dup_key", ""},
		{"no topic", "", writer, isJSON, `{"msg":{}}`, 400, "missing_field", "topic"},
		{"a topic that is no string", "", writer, isJSON, `{"topic":1,"msg":{}}`, 400, "bad_field", "topic"},
		{"an empty modname", "", writer, isJSON, `{"topic":"x","modname":"","msg":{}}`, 400, "bad_field", "modname"},
		{"a bad modname", "", writer, isJSON, `{"topic":"x","modname":"a b","msg":{}}`, 400, "bad_topic", ""},
		{"a short topic", "", writer, isJSON, `{"topic":"git.x","msg":{}}`, 400, "topic_prefix", "topic"},
		{"msg is text", "", writer, isJSON, `{"topic":"` + freeTopic + `","msg":"x"}`, 400, "bad_field", "msg"},
		{"a bad ID", "", writer, isJSON, `{"topic":"` + freeTopic + `","msg":{},"msg_id":"a\nb"}`, 400, "bad_field", "msg_id"},
		{"half a message", "", writer, isJSON, `{"topic":"` + freeTopic + `","msg":{},"timestamp":1}`, 400, "missing_field", "msg_id"},
		{"a certificate alone", "", writer, isJSON, `{"topic":"` + freeTopic + `","msg":{},"msg_id":"a","timestamp":1,"certificate":"AAAA"}`, 400, "bad_signature", "signature"},
		{"a signature that is none", "", "", isJSON, `{"topic":"` + freeTopic + `","msg":{},"msg_id":"a","timestamp":1,"signature":null}`, 400, "bad_signature", "signature"},
		{"signed, and no verifier", "", "", isJSON, `{"topic":"` + freeTopic + `","msg":{},"msg_id":"a","timestamp":1,"signature":"AAAA"}`, 401, "unsigned", ""},
		{"signed, with a bad token", "", "Bearer x", isJSON, `{"topic":"` + freeTopic + `","msg":{},"msg_id":"a","timestamp":1,"signature":"AAAA"}`, 401, "invalid_token", ""},
		{"text that is not UTF-8", "/exam.free", writer, "text/plain", "\xff", 400, "bad_utf8", ""},
		{"no topic in the path", "/", writer, "", "x", 400, "bad_topic", ""},
		{"a slash in the topic", "/a/b", writer, "", "x", 400, "bad_topic", ""},
		{"a list for a topic", "/exam.free", writer, isJSON, "[1]", 400, "not_object", ""},
		{"too large a message", "/exam.free", writer, "", strings.Repeat("x", 1<<20), 413, "too_large", ""},
		{"too large a body", "/exam.free", writer, "", strings.Repeat("x", 1<<20+64<<10+1), 413, "too_large", ""},
	}
	for _, tt := range tests {
		header := []string{"Content-Type", tt.media}
		if tt.auth != "" {
			header = append(header, "Authorization", tt.auth)
		}
		a := r.do(t, "POST", "/api/v1/publish"+tt.path, tt.body, header...)
		if a.status != tt.status || a.Code != tt.code || tt.field != "" && a.Field != tt.field {
			t.Errorf("%s = %d %s, want %d %s %s", tt.name, a.status, a, tt.status, tt.code, tt.field)
		}
		if a.status == 401 && !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: WWW-Authenticate is %q", tt.name, a.header.Get("WWW-Authenticate"))
		}
	}
	if n := r.state(t).Last; n > 0 {
		t.Errorf("%d messages are stored", n)
	}
	if strings.Contains(r.logged.String(), "fmt_") {
		t.Errorf("a token is in the log: %s", r.logged)
	}
}

// A message sent again under an ID or key that the publisher chose is the same
// one, though it was made at another time; another message is not.
func TestPublishIsIdempotent(t *testing.T) {
	now := time.Now()
	var mu sync.Mutex
	r := start(t, func(s *setup) {
		s.cfg.Clock = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			now = now.Add(time.Second)
			return now
		}
	})
	auth := []string{"Content-Type", isJSON, "Authorization", "Bearer " + r.token(t, "alice", "publish:#")}
	other := []string{"Content-Type", isJSON, "Authorization", "Bearer " + r.token(t, "bob", "publish:#")}
	body := func(id, msg string) string { return `{"topic":"x","modname":"git","msg":` + msg + id + `}` }
	const id = `,"msg_id":"2026-1"`
	keyed := append([]string{"Idempotency-Key", "k-1"}, auth...)
	tests := []struct {
		name   string
		header []string
		body   string
		status int
		seq    fedmsg.Seq
	}{
		{"first", auth, body(id, `{"a":1.0}`), 201, 1},
		{"again", auth, body(id, `{"a":1.0}`), 200, 1},
		{"again, spelled anew", auth, body(id, `{ "a" : 1.0 }`), 200, 1},
		{"other body", auth, body(id, `{"a":1}`), 409, 0},
		{"other publisher", other, body(id, `{"a":1.0}`), 409, 0},
		{"key", keyed, body("", `{}`), 201, 2},
		{"key again", keyed, body("", `{}`), 200, 2},
		{"key, other body", keyed, body("", `{"b":1}`), 409, 0},
		{"key of another", append([]string{"Idempotency-Key", "k-1"}, other...), body("", `{}`), 201, 3},
		{"bad key", append([]string{"Idempotency-Key", "é"}, auth...), body("", `{}`), 400, 0},
	}
	for _, tt := range tests {
		if a := r.do(t, "POST", "/api/v1/publish", tt.body, tt.header...); a.status != tt.status || a.Seq != tt.seq {
			t.Errorf("%s = %d %s, want %d, seq %d", tt.name, a.status, a, tt.status, tt.seq)
		}
	}
	var wg sync.WaitGroup
	created := make(chan int, 8)
	for range cap(created) {
		wg.Go(func() {
			a := r.do(t, "POST", "/api/v1/publish", body(`,"msg_id":"race"`, `{}`), auth...)
			created <- a.status
		})
	}
	wg.Wait()
	close(created)
	statuses := map[int]int{}
	for s := range created {
		statuses[s]++
	}
	if statuses[201] != 1 || statuses[200] != 7 {
		t.Errorf("eight at once = %v, want one 201 and seven 200", statuses)
	}
}

// Whoever the server knows does not choose the user name.
func TestPublishPutsTheKnownName(t *testing.T) {
	signer := &fakeSigner{}
	r := start(t, func(s *setup) { s.cfg.Signer = signer })
	anonymous := r.do(t, "POST", "/api/v1/publish", `{"topic":"x","modname":"git","msg":{},"username":"ralph"}`, "Content-Type", isJSON)
	if e := r.stored(t, anonymous.ID); e.Message.User != "ralph" || e.Verified != "none" {
		t.Errorf("anonymous publish stored user %q, %s; want ralph, none", e.Message.User, e.Verified)
	}
	auth := []string{"Content-Type", isJSON, "Authorization", "Bearer " + r.token(t, "alice", "publish:#")}
	now := time.Now()
	m, err := fedmsg.Draft{Topic: freeTopic, ID: fedmsg.NewID(now), Time: now, User: "root"}.Message()
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"made here": `{"topic":"x","modname":"git","msg":{},"username":"root"}`,
		"whole":     string(m.Bytes()),
	} {
		a := r.do(t, "POST", "/api/v1/publish", body, auth...)
		if a.status != 201 {
			t.Fatalf("%s = %s", name, a)
		}
		if e := r.stored(t, a.ID); e.Message.User != "alice" || e.Verified != "token:alice" || e.Message.Signature != "AAAA" {
			t.Errorf("%s stored user %q, %s, signature %q; want alice, token:alice, AAAA", name, e.Message.User, e.Verified, e.Message.Signature)
		}
	}
	if a := r.do(t, "POST", "/api/v1/publish", string(m.Bytes()), auth...); a.status != 200 {
		t.Errorf("the whole message again = %d %s, want 200", a.status, a)
	}
	// From now on there are tokens, and nobody is anonymous.
	if a := r.do(t, "POST", "/api/v1/publish/exam.free", "x"); a.status != 401 {
		t.Errorf("anonymous publish beside tokens = %d, want 401", a.status)
	}
	if err := r.tokens.Revoke("alice"); err != nil {
		t.Fatal(err)
	}
	if a := r.do(t, "POST", "/api/v1/publish/exam.free", "x"); a.status != 401 {
		t.Errorf("anonymous publish after the last token was revoked = %d, want 401", a.status)
	}
}

// A fakeSigner puts a signature on messages that is none.
type fakeSigner struct{}

func (*fakeSigner) Sign(_ context.Context, m *fedmsg.Message) (*fedmsg.Message, error) {
	return m.With(fedmsg.Member{Name: "signature", JSON: []byte(`"AAAA"`)}, fedmsg.Member{Name: "certificate", JSON: []byte(`"AAAA"`)})
}

// Anonymous is who is on this machine, not who was led or passed on to it.
func TestPublishAnonymousIsDirect(t *testing.T) {
	r := start(t, nil)
	for _, tt := range []struct {
		host, name, value string
		status            int
	}{
		{"", "X-Any", "x", 201},
		{"localhost:8330", "X-Any", "x", 201},
		{"evil.example", "X-Any", "x", 401}, // a name that was made to mean 127.0.0.1
		{"", "X-Forwarded-For", "6.6.6.6", 401},
		{"", "Forwarded", "for=6.6.6.6", 401},
		{"", "Sec-Fetch-Site", "cross-site", 403},
		{"", "Origin", "https://evil.example", 403},
	} {
		req, err := nethttp.NewRequestWithContext(t.Context(), "POST", r.url+"/api/v1/publish/exam.free", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = tt.host
		req.Header.Set(tt.name, tt.value)
		if a := send(t, nethttp.DefaultClient, req); a.status != tt.status {
			t.Errorf("Host %q, %s: %s = %d %s, want %d", tt.host, tt.name, tt.value, a.status, a, tt.status)
		}
	}
}

// A token with a wide scope does not open a topic that the policy keeps.
func TestPublishTokenAndPolicy(t *testing.T) {
	r := start(t, func(s *setup) {
		s.cfg.Policy = fedmsg.Policy{Nitpicky: true, Routing: map[fedmsg.Topic][]string{
			"org.fedoraproject.dev.a.x": {"app01"}, "org.fedoraproject.dev.a.y": {"token:ci"},
		}}
	})
	auth := []string{"Authorization", "Bearer " + r.token(t, "ci", "publish:org.fedoraproject.#")}
	for topic, want := range map[string]int{"a.x": 403, "a.y": 201, "A.y": 403, "a.z": 201} {
		if a := r.do(t, "POST", "/api/v1/publish/"+topic, "x", auth...); a.status != want {
			t.Errorf("token ci on %s = %d %s, want %d", topic, a.status, a, want)
		}
	}
}

func TestPublishRate(t *testing.T) {
	r := start(t, func(s *setup) { s.cfg.Limits.PublishRate, s.cfg.Limits.PublishBurst = 0.1, 3 })
	alice := []string{"Authorization", "Bearer " + r.token(t, "alice", "publish:#")}
	bob := []string{"Authorization", "Bearer " + r.token(t, "bob", "publish:#")}
	for i := range 5 {
		a := r.do(t, "POST", "/api/v1/publish/exam.free", "x", alice...)
		if want := 201; i >= 3 {
			want = 429
			if a.status != want || a.Code != "rate_limited" || a.header.Get("Retry-After") == "" {
				t.Errorf("publish %d = %d %s, Retry-After %q; want 429", i, a.status, a, a.header.Get("Retry-After"))
			}
		} else if a.status != want {
			t.Errorf("publish %d = %d %s, want 201", i, a.status, a)
		}
	}
	if a := r.do(t, "POST", "/api/v1/publish/exam.free", "x", bob...); a.status != 201 {
		t.Errorf("another's publish = %d %s, want 201", a.status, a)
	}
}

func TestPublishWaitsForTheLogNotForEver(t *testing.T) {
	r := start(t, func(s *setup) {
		s.cfg.Limits.PublishTimeout = 50 * time.Millisecond
		s.bus = func(b whole) any { return stuckBus{b} }
	})
	if a := r.do(t, "POST", "/api/v1/publish/exam.free", "x"); a.status != 503 || a.Code != "log_unavailable" || a.header.Get("Retry-After") == "" {
		t.Errorf("publish to a log that hangs = %d %s, want 503", a.status, a)
	}
}

// A ca makes certificates, for a test.
type ca struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCA(t *testing.T) *ca {
	c := &ca{dir: t.TempDir()}
	c.issue(t, "ca", pkix.Name{CommonName: "test CA"})
	return c
}

// issue writes name.crt and name.key. The first one is the CA.
func (c *ca) issue(t *testing.T, name string, subject pkix.Name) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: subject,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: c.cert == nil,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	parent, signer := c.cert, c.key
	if parent == nil {
		parent, signer = template, private
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &private.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	if c.cert == nil {
		if c.cert, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		c.key = private
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(c.dir, name+".crt"), filepath.Join(c.dir, name+".key")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// A client certificate says who publishes, under the policy that holds for
// signatures. Its first CN counts.
func TestPublishWithClientCertificate(t *testing.T) {
	authority := newCA(t)
	serverCert, serverKey := authority.issue(t, "server", pkix.Name{CommonName: "server"})
	stranger := newCA(t)
	r := start(t, func(s *setup) {
		s.cfg.AllowAnonymousLoopback = false
		s.cfg.TLSCert, s.cfg.TLSKey, s.cfg.ClientCA = serverCert, serverKey, filepath.Join(authority.dir, "ca.crt")
		s.cfg.Policy = fedmsg.Policy{Routing: map[fedmsg.Topic][]string{freeTopic: {"app01"}}}
		s.gate = bus.GateConfig{AllowUnsigned: []netip.Prefix{}}
	})
	cn := func(names ...string) (subject pkix.Name) {
		for _, name := range names {
			subject.ExtraNames = append(subject.ExtraNames, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: name})
		}
		return subject
	}
	tests := []struct {
		name    string
		ca      *ca
		subject pkix.Name
		reason  fedmsg.Reason
		stamp   string
	}{
		{"allowed", authority, cn("app01"), "", "mtls:app01"},
		{"the first CN counts", authority, cn("app01", "app02"), "", "mtls:app01"},
		{"another", authority, cn("app02", "app01"), fedmsg.NotAuthorized, ""},
		{"no CN", authority, pkix.Name{Organization: []string{"x"}}, fedmsg.Unauthenticated, ""},
		{"a CN with a line break", authority, cn("app01\n"), fedmsg.Unauthenticated, ""},
	}
	for i, tt := range tests {
		cert, key := tt.ca.issue(t, "client"+string(rune('a'+i)), tt.subject)
		c, err := http.New(http.ClientConfig{URL: r.url, CA: filepath.Join(authority.dir, "ca.crt"), Cert: cert, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Publish(t.Context(), http.PublishRequest{Topic: freeTopic, User: "root"})
		if fedmsg.ReasonOf(err) != tt.reason || (err == nil) != (tt.reason == "") {
			t.Errorf("%s: Publish = %v, want %q", tt.name, err, tt.reason)
		} else if err == nil {
			if e := r.stored(t, p.ID); e.Verified != tt.stamp || e.Message.User != "app01" {
				t.Errorf("%s: stored %s of user %s, want %s of app01", tt.name, e.Verified, e.Message.User, tt.stamp)
			}
		}
		c.Close()
	}
	cert, key := stranger.issue(t, "client", cn("app01"))
	c, err := http.New(http.ClientConfig{URL: r.url, CA: filepath.Join(authority.dir, "ca.crt"), Cert: cert, Key: key, Patience: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if p, err := c.Publish(t.Context(), http.PublishRequest{Topic: freeTopic}); err == nil {
		t.Errorf("a certificate of another CA published %+v", p)
	}
}

// A certificate that was replaced on disk is in use within a second or two; one
// that cannot be read is not.
func TestCertificatesAreReadAgain(t *testing.T) {
	authority := newCA(t)
	cert, key := authority.issue(t, "server", pkix.Name{CommonName: "old"})
	r := start(t, func(s *setup) { s.cfg.TLSCert, s.cfg.TLSKey, s.cfg.AllowAnonymousLoopback = cert, key, false })
	shown := func() string {
		conn, err := tls.Dial("tcp", r.Addr(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if cn := shown(); cn != "old" {
		t.Fatalf("the server shows %q, want old", cn)
	}
	authority.issue(t, "server", pkix.Name{CommonName: "new"})
	fedmsgtest.Eventually(t, 10*time.Second, "the new certificate is shown", func() bool { return shown() == "new" })
	if err := os.WriteFile(cert, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	fedmsgtest.Eventually(t, 10*time.Second, "the broken file is reported", func() bool { shown(); return strings.Contains(r.logged.String(), "cannot be used") })
	if cn := shown(); cn != "new" {
		t.Errorf("the server shows %q, want new", cn)
	}
}

// FuzzPublish holds for any body: it is stored and has a receipt with an ID, or
// is refused by name; never is it the server's fault.
func FuzzPublish(f *testing.F) {
	for _, seed := range []string{
		`{"topic":"x","modname":"git","msg":{}}`, `{"topic":"org.fedoraproject.dev.x","msg":{"a":[1]},"msg_id":"a","username":"b"}`,
		`{"topic":"org.fedoraproject.dev.x","msg":{},"msg_id":"a","timestamp":1795348800,"i":1}`,
		`{"topic":"org.fedoraproject.dev.x","msg":{},"msg_id":"a","timestamp":1795348800,"signature":"AAAA"}`,
		`{"topic":"x","msg":"}\"`, `[]`, ``, "\xff",
	} {
		f.Add([]byte(seed))
	}
	log := &fuzzBus{}
	h, err := http.Handler(http.Config{AllowAnonymousLoopback: true}, log)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, path := range []string{"/api/v1/publish", "/api/v1/publish/git.push"} {
			status, answer := h.Post(path, body)
			var a reply
			if err := json.Unmarshal(answer, &a); err != nil {
				t.Fatalf("POST %s %q answers %q: %v", path, body, answer, err)
			}
			if status >= 500 || status < 300 && fedmsg.ValidateID(a.ID) != nil || status >= 300 && a.Code == "" {
				t.Fatalf("POST %s %q = %d %s", path, body, status, answer)
			}
		}
	})
}

// A fuzzBus takes everything and keeps nothing.
type fuzzBus struct{ whole }

func (*fuzzBus) Publish(context.Context, ...*fedmsg.Message) []fedmsg.Receipt {
	return []fedmsg.Receipt{{Seq: 1}}
}

func (*fuzzBus) Find(context.Context, string) (fedmsg.Entry, error) {
	return fedmsg.Entry{}, fedmsg.ErrNotFound
}
