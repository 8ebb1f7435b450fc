package bus_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/mem"
)

// now is the clock of these tests.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// nameVerifier takes the signature field for the signer's name; "bad" is a bad one.
type nameVerifier struct{}

func (nameVerifier) Verify(_ context.Context, m *fedmsg.Message) (string, error) {
	switch m.Signature {
	case "":
		return "", fedmsg.Refuse(fedmsg.Unsigned, "no signature")
	case "badd":
		return "", fedmsg.Refuse(fedmsg.BadSignature, "it does not fit")
	}
	return "x509:" + m.Signature, nil
}

// message makes a message of these tests; signature may be empty.
func message(t testing.TB, id, topic string, at time.Time, signature string) *fedmsg.Message {
	t.Helper()
	m, err := fedmsg.Draft{Topic: fedmsg.Topic(topic), ID: id, Time: at, Counter: 1}.Message()
	if err == nil && signature != "" {
		m, err = m.With(fedmsg.Member{Name: "signature", JSON: []byte(`"` + signature + `"`)})
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestGateJudges(t *testing.T) {
	const topic = "org.fedoraproject.prod.bodhi.update.comment"
	local := fedmsg.Origin{Edge: "zmq", Addr: netip.MustParseAddr("127.0.0.1")}
	remote := fedmsg.Origin{Edge: "zmq", Addr: netip.MustParseAddr("192.0.2.1")}
	token := fedmsg.Origin{Edge: "http", Addr: netip.MustParseAddr("192.0.2.1"), Identity: "token:ci"}
	open := bus.GateConfig{AllowUnsigned: loopback}
	strict := bus.GateConfig{Verifier: nameVerifier{}, TopicPrefix: "org.fedoraproject", Environments: []string{"prod", "stg"}}
	both := bus.GateConfig{Verifier: nameVerifier{}, AllowUnsigned: loopback}

	tests := []struct {
		name      string
		cfg       bus.GateConfig
		origin    fedmsg.Origin
		topic     string
		at        time.Time
		signature string
		want      string // stamp or reason
	}{
		{"without configuration, from here", open, local, topic, now, "", "none"},
		{"without configuration, v4 in v6", open, fedmsg.Origin{Edge: "zmq", Addr: netip.MustParseAddr("::ffff:127.0.0.1")}, topic, now, "", "none"},
		{"without configuration, from this process", open, fedmsg.Origin{Edge: "memory"}, topic, now, "", "none"},
		{"without configuration, from elsewhere", open, remote, topic, now, "", "unsigned"},
		{"nothing configured takes nothing", bus.GateConfig{}, local, topic, now, "", "unsigned"},
		{"signed", strict, remote, topic, now, "bodhi001", "x509:bodhi001"},
		{"unsigned", strict, local, topic, now, "", "unsigned"},
		{"badly signed", strict, local, topic, now, "badd", "bad_signature"},
		{"badly signed is not unsigned", both, local, topic, now, "badd", "bad_signature"},
		{"unsigned from an allowed place", both, local, topic, now, "", "none"},
		{"known to the edge", strict, token, topic, now, "", "token:ci"},
		{"known to the edge, wrong prefix", strict, token, "com.example.prod.x", now, "", "topic_prefix"},
		{"prefix is whole words", strict, token, "org.fedoraprojects.prod.x", now, "", "topic_prefix"},
		{"prefix alone", strict, token, "org.fedoraproject", now, "", "topic_prefix"},
		{"wrong environment", strict, token, "org.fedoraproject.dev.x", now, "", "wrong_environment"},
		{"an unsigned message of another prefix is unsigned first", strict, local, "com.example.prod.x", now, "", "unsigned"},
		{"a day old", strict, token, topic, now.Add(-24 * time.Hour), "", "token:ci"},
		{"more than a day old", strict, token, topic, now.Add(-24*time.Hour - time.Second), "", "stale"},
		{"five minutes ahead", strict, token, topic, now.Add(5 * time.Minute), "", "token:ci"},
		{"more than five minutes ahead", strict, token, topic, now.Add(5*time.Minute + time.Second), "", "future"},
		{"milliseconds for seconds", strict, token, topic, time.Unix(now.UnixMilli(), 0), "", "future"},
		{"no limit of age", bus.GateConfig{AllowUnsigned: loopback, MaxAge: -1}, local, topic, time.Unix(1, 0), "", "none"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			log := mem.NewLog()
			tt.cfg.Clock = func() time.Time { return now }
			gate, err := bus.NewGate(tt.cfg, log, nil)
			if err != nil {
				t.Fatal(err)
			}
			ctx := fedmsg.WithOrigin(t.Context(), tt.origin)
			r := gate.Publish(ctx, message(t, "2026-1", tt.topic, tt.at, tt.signature))[0]
			if r.Err != nil {
				if got := string(fedmsg.ReasonOf(r.Err)); got != tt.want {
					t.Errorf("Publish: %v, want %s", r.Err, tt.want)
				}
				if state, _ := log.State(t.Context()); state.Last != 0 {
					t.Errorf("refused, but the log has %d entries", state.Last)
				}
				return
			}
			e, err := log.Find(t.Context(), "2026-1")
			if err != nil || e.Verified != tt.want {
				t.Errorf("stored with stamp %q, %v; want %q", e.Verified, err, tt.want)
			}
		})
	}
}

// A batch keeps its order; each message gets the receipt of its own place in it,
// and what is refused does not hold up the rest.
func TestGateBatch(t *testing.T) {
	log := mem.NewLog()
	gate, err := bus.NewGate(bus.GateConfig{Verifier: nameVerifier{}, Clock: func() time.Time { return now }}, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	var batch []*fedmsg.Message
	for i := range 20 {
		signature := "good"
		if i%5 == 3 {
			signature = "badd"
		}
		batch = append(batch, message(t, fmt.Sprintf("2026-%d", i), "org.example.x", now, signature))
	}
	batch = append(batch, batch[0], message(t, "2026-1", "org.example.other", now, "good"))
	receipts := gate.Publish(fedmsg.WithOrigin(t.Context(), fedmsg.Origin{Edge: "zmq"}), batch...)
	want := fedmsg.Seq(0)
	for i, r := range receipts[:20] {
		if i%5 == 3 {
			if fedmsg.ReasonOf(r.Err) != fedmsg.BadSignature {
				t.Errorf("receipt %d: %v, want %s", i, r.Err, fedmsg.BadSignature)
			}
			continue
		}
		if want++; r.Seq != want || r.Err != nil || r.Duplicate {
			t.Errorf("receipt %d: %+v, want seq %d", i, r, want)
		}
	}
	if r := receipts[20]; r.Seq != 1 || !r.Duplicate {
		t.Errorf("the same again: %+v, want the old place 1", r)
	}
	if r := receipts[21]; !errors.Is(r.Err, fedmsg.ErrConflict) {
		t.Errorf("same ID, other topic: %+v, want a conflict", r)
	}
	counts := map[string]float64{}
	for s := range gate.Samples() {
		counts[strings.Join(s.Labels, " ")] = s.Value
	}
	for label, n := range map[string]float64{
		"edge zmq reason bad_signature": 4, "edge zmq reason duplicate": 1, "edge zmq reason msg_id_conflict": 1,
	} {
		if counts[label] != n {
			t.Errorf("counted %v for %q, want %v; all: %v", counts[label], label, n, counts)
		}
	}
}

// However many come at once, the log gets them in the order given.
func TestGateKeepsOrderOfManySigned(t *testing.T) {
	log := mem.NewLog()
	gate, err := bus.NewGate(bus.GateConfig{Verifier: nameVerifier{}, Clock: func() time.Time { return now }}, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, count := range []int{0, 1, 127, 128, 129, 1000} {
		var batch []*fedmsg.Message
		for i := range count {
			batch = append(batch, message(t, fmt.Sprintf("2026-%d-%d", count, i), "org.example.x", now, "good"))
		}
		state, _ := log.State(t.Context())
		receipts := gate.Publish(t.Context(), batch...)
		if len(receipts) != count {
			t.Fatalf("%d receipts for %d messages", len(receipts), count)
		}
		for i, r := range receipts {
			if want := state.Last + fedmsg.Seq(i) + 1; r.Err != nil || r.Seq != want {
				t.Fatalf("message %d of %d: %+v, want seq %d", i, count, r, want)
			}
		}
	}
}

func TestGateConfigValidate(t *testing.T) {
	_, err := bus.NewGate(bus.GateConfig{TopicPrefix: "org.*", Environments: []string{"a.b", ""}}, mem.NewLog(), nil)
	if err == nil || strings.Count(err.Error(), "\n") != 2 || !strings.Contains(err.Error(), "topic_prefix") {
		t.Errorf("NewGate: %v, want three errors, one a line", err)
	}
}

// BenchmarkGate measures the gate alone: 1 kB messages, no signature, a log in
// memory.
func BenchmarkGate(b *testing.B) {
	gate, err := bus.NewGate(bus.GateConfig{AllowUnsigned: loopback, MaxAge: -1, MaxSkew: -1}, mem.NewLog(), nil)
	if err != nil {
		b.Fatal(err)
	}
	var n int
	for b.Loop() {
		if r := gate.Publish(b.Context(), fedmsgtest.Message(n))[0]; r.Err != nil {
			b.Fatal(r.Err)
		}
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "msgs/s")
}
