package zmq_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// libzmq builds testdata/peer.c.
func libzmq(t testing.TB) string {
	t.Helper()
	cc := fedmsgtest.Peer(t, "cc", "gcc")
	program := filepath.Join(t.TempDir(), "peer")
	if out, err := exec.Command(cc, "-O2", "-o", program, "testdata/peer.c", "-lzmq").CombinedOutput(); err != nil {
		fedmsgtest.MissingPeer(t, fmt.Sprintf("libzmq to compile with (%v, %.200s)", err, out), "libzmq3-dev")
	}
	return program
}

// fanOut is one way to send to many subscribers of libzmq.
type fanOut struct {
	subs, count, size, rate int
	deliveries              float64 // a second
	p50, p99                float64 // µs
}

func (f *fanOut) read(b *testing.B, them *peer) {
	b.Helper()
	var elapsed, p50, p99 float64
	if _, err := fmt.Sscan(them.line(), &elapsed, &p50, &p99); err != nil {
		b.Fatal(err)
	}
	them.wait()
	f.deliveries += float64(f.subs*f.count) / (elapsed / 1e9)
	f.p50 += p50 / 1e3
	f.p99 += p99 / 1e3
}

func (f *fanOut) report(b *testing.B, rounds int) {
	b.Helper()
	n := float64(rounds)
	if f.rate == 0 {
		b.ReportMetric(f.deliveries/n, "deliveries/s")
	} else {
		b.ReportMetric(f.p50/n, "p50-µs")
		b.ReportMetric(f.p99/n, "p99-µs")
	}
	b.ReportMetric(0, "ns/op") // a burst is no unit
}

// ours sends from a Pub with the queue of a Sink's batches.
func (f *fanOut) ours(b *testing.B, program string) {
	p := publisher(b, zmq.PubConfig{Queue: f.count + 1, QueueBytes: 1 << 40}, nil)
	them := startPeer(b, program, "sub", p.Addrs()[0], strconv.Itoa(f.subs), strconv.Itoa(f.count))
	fedmsgtest.Eventually(b, 20*time.Second, "all subscriptions", func() bool { return p.Send("probe", nil) == f.subs })
	const topic = "org.fedoraproject.prod.exam.bench"
	next := time.Now()
	body := make([]byte, f.size)
	for range f.count {
		if f.rate > 0 {
			next = next.Add(time.Second / time.Duration(f.rate))
			time.Sleep(time.Until(next))
			body = make([]byte, f.size)
			binary.NativeEndian.PutUint64(body, uint64(time.Now().UnixNano()))
		}
		p.Send(topic, body)
	}
	f.read(b, them)
}

// theirs is libzmq's own publisher, in C.
func (f *fanOut) theirs(b *testing.B, program string) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := "tcp://" + free.Addr().String()
	free.Close()
	pub := startPeer(b, program, "pub", addr, strconv.Itoa(f.subs), strconv.Itoa(f.count), strconv.Itoa(f.size), strconv.Itoa(f.rate))
	them := startPeer(b, program, "sub", addr, strconv.Itoa(f.subs), strconv.Itoa(f.count))
	f.read(b, them)
	pub.wait()
}

// BenchmarkPubFanOut sends two frames to subscribers of libzmq, from ours and
// from libzmq's own PUB: a burst as fast as it goes, and a thousand messages a
// second, for how long they are on their way.
func BenchmarkPubFanOut(b *testing.B) {
	program := libzmq(b)
	for _, load := range []struct {
		name        string
		total, rate int
	}{{"burst", 400_000, 0}, {"steady", 0, 1000}} {
		for _, subs := range []int{1, 10, 100} {
			for _, side := range []string{"ours", "libzmq"} {
				b.Run(fmt.Sprintf("%s/subs=%d/%s", load.name, subs, side), func(b *testing.B) {
					f := fanOut{subs: subs, count: load.total / subs, size: 700, rate: load.rate}
					if load.rate > 0 {
						f.count = 2 * load.rate
					}
					rounds := 0
					for b.Loop() {
						rounds++
						if side == "ours" {
							f.ours(b, program)
						} else {
							f.theirs(b, program)
						}
					}
					f.report(b, rounds)
				})
			}
		}
	}
}

// BenchmarkSource takes messages from a PUB of ours in this process.
func BenchmarkSource(b *testing.B) {
	bus := new(bus)
	_, addr := source(b, zmq.SourceConfig{}, bus, nil)
	p := connected(b, addr)
	var all []*fedmsg.Message
	for n := range 10_000 {
		all = append(all, message(b, n))
	}
	for b.Loop() {
		was := bus.count()
		for _, m := range all {
			p.Send(string(m.Topic), m.Bytes())
		}
		fedmsgtest.Eventually(b, 10*time.Second, "all messages", func() bool { return bus.count() == was+len(all) })
	}
	b.ReportMetric(float64(bus.count())/b.Elapsed().Seconds(), "msgs/s")
	b.ReportMetric(0, "ns/op")
}
