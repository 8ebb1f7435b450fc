package roles

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/config"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

func role(t *testing.T, name string) Role {
	t.Helper()
	at := slices.IndexFunc(All, func(r Role) bool { return r.Name == name })
	if at < 0 {
		t.Fatalf("there is no role %s", name)
	}
	return All[at]
}

// What a role says goes before what files say, and flags before both.
func TestRolesPreset(t *testing.T) {
	environ := []string{"FEDMSG_RELAY_INBOUND=tcp://127.0.0.1:7001"}
	for _, tt := range []struct {
		role              string
		flags             []string
		inbound, outbound string
		web               bool
		archive           bool
		problem           string
	}{
		{role: "serve", inbound: "tcp://127.0.0.1:7001", outbound: "tcp://127.0.0.1:4001", web: true, archive: true},
		{role: "relay", inbound: "tcp://127.0.0.1:7001", outbound: "tcp://127.0.0.1:4001", web: true},
		{role: "gateway", flags: []string{"--endpoint", "tcp://127.0.0.1:9"}},
		{role: "gateway", problem: "no endpoints"},
		{role: "gateway", flags: []string{"--endpoint", "tcp://127.0.0.1:9", "--relay-inbound", "tcp://127.0.0.1:7002", "--gateway="}, inbound: "tcp://127.0.0.1:7002", problem: "no address"},
		{role: "hub", flags: []string{"--endpoint", "tcp://127.0.0.1:9"}, web: true, archive: true},
		{role: "irc", flags: []string{"--endpoint", "tcp://127.0.0.1:9"}, problem: "no channel"},
		{role: "signing-relay", inbound: "tcp://127.0.0.1:7001", outbound: "tcp://127.0.0.1:4001", web: true, problem: "no certificate"},
	} {
		r := role(t, tt.role)
		f := pflag.NewFlagSet(tt.role, pflag.ContinueOnError)
		from := config.Sources{Environ: environ, Preset: r.Preset, Flags: config.AddFlags(f)}
		if err := f.Parse(tt.flags); err != nil {
			t.Fatal(err)
		}
		l, err := config.Load(from)
		if err != nil {
			t.Errorf("%s %q: %v", tt.role, tt.flags, err)
			continue
		}
		if got := strings.Join(l.RelayInbound, " "); got != tt.inbound {
			t.Errorf("%s %q: takes messages at %q, want %q", tt.role, tt.flags, got, tt.inbound)
		}
		if got := strings.Join(l.Outbound(), " "); got != tt.outbound {
			t.Errorf("%s %q: hands on at %q, want %q", tt.role, tt.flags, got, tt.outbound)
		}
		if (l.Web.Listen != "") != tt.web || l.Archive.Enabled != tt.archive {
			t.Errorf("%s %q: HTTP at %q and archive %v", tt.role, tt.flags, l.Web.Listen, l.Archive.Enabled)
		}
		switch err := r.Check(l); {
		case tt.problem == "" && err != nil, tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem) || fedmsg.Hint(err) == ""):
			t.Errorf("%s %q: Check: %v, want %q", tt.role, tt.flags, err, tt.problem)
		}
	}
}

func TestRolesConsumers(t *testing.T) {
	for _, tt := range []struct {
		named   string
		irc     bool
		archive string
		problem string
	}{
		{named: "fedmsg.consumers.ircbot:IRCBotConsumer", irc: true, archive: "false"},
		{named: "datanommer.consumer:Nommer, fedmsg.consumers.dummy:DummyConsumer", archive: "true"},
		{named: "fedmsg.consumers.gateway:GatewayConsumer", archive: "false", problem: "of its own here"},
		{named: "tahrir.consumer:Badges", archive: "false", problem: "class of Python"},
	} {
		r := role(t, "hub")
		f := pflag.NewFlagSet("hub", pflag.ContinueOnError)
		adopt := r.Flags(f)
		if err := f.Parse([]string{"--with-consumers", tt.named}); err != nil {
			t.Fatal(err)
		}
		err := adopt()
		if tt.problem == "" && err != nil || tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)) {
			t.Errorf("%s: %v, want %q", tt.named, err, tt.problem)
		}
		if r.IRC != tt.irc || r.Preset["archive.enabled"] != tt.archive {
			t.Errorf("%s: IRC %v, archive %s", tt.named, r.IRC, r.Preset["archive.enabled"])
		}
	}
	if h := role(t, "hub"); !h.IRC || h.Preset["archive.enabled"] != "" {
		t.Error("what one hub was started with is what the next one has")
	}
}

// A noting publisher keeps what it is given.
type noting struct{ got []*fedmsg.Message }

func (n *noting) Publish(_ context.Context, messages ...*fedmsg.Message) []fedmsg.Receipt {
	receipts := make([]fedmsg.Receipt, len(messages))
	for i, m := range messages {
		n.got = append(n.got, m)
		receipts[i].Seq = fedmsg.Seq(len(n.got))
	}
	return receipts
}

// A stamping signer puts its word for a signature, but not under what is refused.
type stamping struct{}

func (stamping) Sign(_ context.Context, m *fedmsg.Message) (*fedmsg.Message, error) {
	if strings.Contains(string(m.Topic), "refused") {
		return nil, errors.New("the key is away")
	}
	return m.With(fedmsg.Member{Name: "signature", JSON: []byte(`"c2lnbmVk"`)})
}

func TestSigning(t *testing.T) {
	draft := func(topic fedmsg.Topic) *fedmsg.Message {
		m, err := fedmsg.Draft{Topic: topic, ID: "2026-" + string(topic[25:]), Time: time.Unix(1_790_000_000, 0), Body: []byte(`{}`)}.Message()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, tt := range []struct {
		edge, from string
		signed     bool
	}{{zmq.FileEdge, "127.0.0.1", true}, {"zmq", "10.1.2.3", true}, {"zmq", "::ffff:10.1.2.3", true}, {"zmq", "127.0.0.1", false}, {"zmq", "192.0.2.1", false}} {
		next := new(noting)
		s := &Signing{Next: next, Signer: stamping{}, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
		origin := fedmsg.Origin{Edge: tt.edge, Addr: netip.MustParseAddr(tt.from)}
		already, err := draft("org.fedoraproject.dev.git.already").With(fedmsg.Member{Name: "signature", JSON: []byte(`"b2xk"`)})
		if err != nil {
			t.Fatal(err)
		}
		receipts := s.Publish(fedmsg.WithOrigin(t.Context(), origin), draft("org.fedoraproject.dev.git.one"), draft("org.fedoraproject.dev.git.refused"), already)
		if tt.signed {
			if len(next.got) != 2 || next.got[0].Signature != "c2lnbmVk" || next.got[1].Signature != "b2xk" {
				t.Errorf("from %q: passed on %v", tt.from, next.got)
			}
			if receipts[0].Seq != 1 || receipts[1].Err == nil || receipts[2].Seq != 2 || receipts[2].Err != nil {
				t.Errorf("from %q: receipts %+v", tt.from, receipts)
			}
		} else if len(next.got) != 3 || next.got[0].Signature != "" {
			t.Errorf("from %q: passed on %v, want all as they were", tt.from, next.got)
		}
	}
}
