package zmq_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// patterns is a string or a list of strings.
type patterns []string

func (p *patterns) UnmarshalJSON(b []byte) error {
	if b[0] == '[' {
		return json.Unmarshal(b, (*[]string)(p))
	}
	*p = patterns{""}
	return json.Unmarshal(b, &(*p)[0])
}

func TestVectorsSubscriptions(t *testing.T) {
	seen := make(map[zmq.Mode]int)
	for i, row := range fedmsgtest.Vectors[struct {
		Mode      zmq.Mode
		Pattern   patterns
		Topic     string
		Delivered bool
		Times     int
	}](t, "subscriptions.jsonl") {
		f := zmq.Filter{Mode: row.Mode, Patterns: row.Pattern}
		if f.Validate() != nil {
			continue // backlog and stomp, which are not ZeroMQ
		}
		seen[row.Mode]++
		if got := f.Match(row.Topic); got != row.Delivered {
			t.Errorf("row %d: %s %q Match(%q) = %v, want %v", i+1, row.Mode, row.Pattern, row.Topic, got, row.Delivered)
		}
		if row.Times > 1 && len(row.Pattern) < 2 {
			t.Errorf("row %d: delivered %d times for one pattern", i+1, row.Times) // else listed in docs/deviations.md
		}
		subscribed := slices.ContainsFunc(f.Prefixes(), func(p string) bool { return strings.HasPrefix(row.Topic, p) })
		if row.Delivered && !subscribed {
			t.Errorf("row %d: %s %q: prefixes %q do not let %q in", i+1, row.Mode, row.Pattern, f.Prefixes(), row.Topic)
		}
	}
	for _, mode := range []zmq.Mode{zmq.Tail, zmq.Hub, zmq.HubStrict} {
		if seen[mode] == 0 {
			t.Errorf("no row of mode %s", mode)
		}
	}
}

// What a relay takes it forwards. The original spelled bodies anew; we forward
// the bytes, which mean the same. What Decode refuses is not forwarded; these
// deviations are listed in docs/deviations.md by reason.
func TestVectorsRelayTransform(t *testing.T) {
	b := new(bus)
	s, addr := source(t, zmq.SourceConfig{}, b, nil)
	in := connected(t, addr)
	refused := make(map[fedmsg.Reason]int)
	for i, row := range fedmsgtest.Vectors[struct {
		Topic  string   `json:"in_topic"`
		Body   string   `json:"in_body"`
		Frames []string `json:"in_frames_hex"`
		Out    string   `json:"out_body"`
	}](t, "relay_transform.jsonl") {
		if row.Frames != nil {
			continue // broken framing, never forwarded: see TestSourceRefuses
		}
		seen, rejected := b.count(), fedmsgtest.Value(s, "messages_rejected_total")
		in.Send(row.Topic, []byte(row.Body))
		fedmsgtest.Eventually(t, 5*time.Second, fmt.Sprintf("an answer to row %d", i+1), func() bool {
			return b.count() > seen || fedmsgtest.Value(s, "messages_rejected_total") > rejected
		})
		if b.count() == seen {
			_, err := fedmsg.Decode([]byte(row.Body))
			refused[cmp.Or(fedmsg.ReasonOf(err), fedmsg.TopicMismatch)]++
			continue
		}
		m := b.got[seen]
		if string(m.Bytes()) != row.Body {
			t.Errorf("row %d: forwards %.200s, came %.200s", i+1, m.Bytes(), row.Body)
		}
		if got, err := fedmsg.AppendRelayed(nil, m.Bytes()); err != nil || string(got) != row.Out {
			t.Errorf("row %d: means %.200s, %v; the original forwards %.200s", i+1, got, err, row.Out)
		}
	}
	want := map[fedmsg.Reason]int{
		fedmsg.BadField: 3, fedmsg.BadJSON: 5, fedmsg.BadTopic: 2, fedmsg.BadUTF8: 1, fedmsg.DupKey: 1,
		fedmsg.MissingField: 9, fedmsg.NotObject: 7,
	}
	if !maps.Equal(refused, want) {
		t.Errorf("refused, by reason: %v, want %v", refused, want)
	}
}

// capture is one scenario of wire_capture.json: what libzmq and another side
// said to each other.
type capture struct {
	Scenario string
	Events   []struct{ Dir, Hex string }
}

// said is a piece of one side's stream behind its handshake.
type said struct {
	dir   string
	bytes []byte
}

// handshakeSize is the greeting and READY with a socket type of three letters.
const handshakeSize = 64 + 27

// load returns the two handshakes of a capture, and what follows, in order.
func load(t *testing.T, scenario string) (handshake map[string][]byte, rest []said) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(fedmsgtest.VectorDir(t), "wire_capture.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []capture
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(c capture) bool { return c.Scenario == scenario })
	if i < 0 {
		t.Fatalf("no capture %s", scenario)
	}
	handshake = make(map[string][]byte)
	for _, e := range all[i].Events {
		b := unhex(t, e.Hex)
		n := min(len(b), handshakeSize-len(handshake[e.Dir]))
		handshake[e.Dir] = append(handshake[e.Dir], b[:n]...)
		if n < len(b) {
			rest = append(rest, said{e.Dir, b[n:]})
		}
	}
	return handshake, rest
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// frame is a frame of a capture, taken apart by hand so that the tests do not
// lean on what they test.
type frame struct {
	flags byte
	body  []byte
}

func frames(b []byte) (all []frame) {
	for len(b) > 0 {
		head, size := 2, int(b[1])
		if b[0]&2 != 0 {
			head, size = 9, int(b[7])<<8|int(b[8])
		}
		all = append(all, frame{b[0], b[head : head+size]})
		b = b[head+size:]
	}
	return all
}

// expect reads from a connection exactly what is wanted.
func expect(t *testing.T, nc net.Conn, what string, want []byte) {
	t.Helper()
	if err := nc.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if n, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%s:\n got %x, %v\nwant %x", what, got[:n], err, want)
	}
}

func write(t *testing.T, nc net.Conn, b []byte) {
	t.Helper()
	if _, err := nc.Write(b); err != nil {
		t.Fatal(err)
	}
}

// settle waits until the peer has read what was sent before: a PING comes back
// behind it.
func settle(t *testing.T, nc net.Conn) {
	t.Helper()
	write(t, nc, unhex(t, "0409"+"0450494e47"+"0000"+"6869"))
	expect(t, nc, "the answer to a PING", unhex(t, "0407"+"04504f4e47"+"6869"))
}

// Our PUB in the place of libzmq's writes what libzmq wrote.
func TestVectorsWireCapturePub(t *testing.T) {
	const in, out = "sub->pub", "pub->sub"
	for _, scenario := range []string{"pub-bind_sub-connect", "zmtp3.0-sub_vs_libzmq-pub", "zmtp3.1-sub_vs_libzmq-pub"} {
		t.Run(scenario, func(t *testing.T) {
			handshake, rest := load(t, scenario)
			p := publisher(t, zmq.PubConfig{}, nil)
			nc := dial(t, p.Addrs()[0])
			expect(t, nc, "the signature, sent at once", handshake[out][:10])
			write(t, nc, handshake[in])
			expect(t, nc, "the handshake", handshake[out][10:])
			for _, piece := range rest {
				if piece.dir == in {
					write(t, nc, piece.bytes)
					if !bytes.Contains(piece.bytes, []byte("PING")) {
						settle(t, nc)
					}
					continue
				}
				if fs := frames(piece.bytes); fs[0].flags&4 == 0 {
					p.Send(string(fs[0].body), fs[1].body)
				}
				expect(t, nc, "what follows", piece.bytes)
			}
		})
	}
}

// Our SUB in the place of libzmq's writes what libzmq wrote, but that it keeps
// its subscriptions, and reads what libzmq's read.
func TestVectorsWireCaptureSub(t *testing.T) {
	const in, out = "pub->sub", "sub->pub"
	for scenario, prefixes := range map[string][]string{
		"active-pub-connect_sub-bind": {""},
		"libzmq-sub_vs_zmtp3.0-pub":   {"", "org.a"},
		"libzmq-sub_vs_zmtp3.1-pub":   {"", "org.a"},
	} {
		t.Run(scenario, func(t *testing.T) {
			handshake, rest := load(t, scenario)
			s, err := zmq.NewSub(zmq.SubConfig{Bind: []string{"tcp://127.0.0.1:0"}, Prefixes: prefixes}, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := make(chan [][]byte)
			fedmsgtest.Start(t, "sub", func(ctx context.Context) error {
				return s.Run(ctx, func(_ netip.AddrPort, frames [][]byte) {
					var copied [][]byte
					for _, f := range frames {
						copied = append(copied, bytes.Clone(f))
					}
					got <- copied
				})
			})
			nc := dial(t, s.Addrs()[0])
			expect(t, nc, "the signature, sent at once", handshake[out][:10])
			write(t, nc, handshake[in])
			expect(t, nc, "the handshake", handshake[out][10:])
			for i, piece := range rest {
				if piece.dir == out {
					if i == 0 { // what comes later is a cancellation
						expect(t, nc, "the subscriptions", piece.bytes)
					}
					continue
				}
				write(t, nc, piece.bytes)
				var want [][]byte
				for _, f := range frames(piece.bytes) {
					if want = append(want, f.body); f.flags&1 == 0 {
						if frames := <-got; !slices.EqualFunc(frames, want, bytes.Equal) {
							t.Errorf("got %q, want %q", frames, want)
						}
						want = nil
					}
				}
			}
		})
	}
}
