package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// fanoutSize is the length of the second frame, in bytes.
const fanoutSize = 256

// fanout measures one publisher's socket alone: two frames, to ever more
// subscribers of libzmq, ours beside libzmq's own. First with queues that hold
// everything, so that nothing is dropped and the rate is the socket's; then at
// 1,000 messages a second, for the time of the way; then ours with its ordinary
// bounded queues and a publisher that is faster than its readers.
func fanout(ctx context.Context, l *lab) error {
	zpeer, err := l.compilePeer(ctx)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ours := func(queue int) []string { return []string{self, "-publisher", fmt.Sprint(queue)} }
	libzmq := []string{zpeer, "pub", "tcp://127.0.0.1:*", fmt.Sprint(fanoutSize), "0"}

	t := newTable(l.out, fmt.Sprintf("PUB fan-out to libzmq subscribers, topic and %d bytes", fanoutSize),
		"subscribers", "ours, deliveries/s", "libzmq", "ours/libzmq", "lost", "at 1,000/s ours p50", "p99", "libzmq p50", "p99")
	defer t.flush()
	for _, c := range []struct{ subscribers, burst, paced int }{{1, 600_000, 3000}, {10, 100_000, 3000}, {100, 10_000, 3000}} {
		a, err := measureFanout(ctx, zpeer, ours(c.burst+1000), c.subscribers, c.burst, c.paced)
		if err != nil {
			return fmt.Errorf("ours, %d subscribers: %w", c.subscribers, err)
		}
		b, err := measureFanout(ctx, zpeer, libzmq, c.subscribers, c.burst, c.paced)
		if err != nil {
			return fmt.Errorf("libzmq, %d subscribers: %w", c.subscribers, err)
		}
		t.row(fmt.Sprint(c.subscribers), thousands(a.rate()), thousands(b.rate()), ratio(a.rate(), b.rate()), fmt.Sprint(a.lost),
			a.paced.p50(), a.paced.p99(), b.paced.p50(), b.paced.p99())
	}
	t.flush()

	const burst = 400_000
	r, err := measureFanout(ctx, zpeer, ours(0), 1, burst, 0)
	if err != nil {
		return fmt.Errorf("bounded: %w", err)
	}
	_, err = fmt.Fprintf(l.out, "  ours with bounded queues, %s at once to 1 subscriber: %s delivered, %s dropped, %s counted as dropped\n",
		thousands(burst), thousands(float64(r.burst.Delivered)), thousands(float64(r.lost)), thousands(float64(r.dropped)))
	return err
}

// arrived is what subscribers tell in the end.
type arrived struct {
	Delivered int     `json:"delivered"`
	Seconds   float64 `json:"seconds"`
	P50       float64 `json:"p50_us"`
	P99       float64 `json:"p99_us"`
	Ended     int     `json:"ended"`
}

func (a arrived) p50() string { return micros(a.P50) }
func (a arrived) p99() string { return micros(a.P99) }

func micros(us float64) string { return short(time.Duration(us * float64(time.Microsecond))) }

type fanned struct {
	burst, paced  arrived
	lost, dropped int
}

func (f fanned) rate() float64 {
	if f.burst.Seconds <= 0 {
		return 0
	}
	return float64(f.burst.Delivered) / f.burst.Seconds
}

// measureFanout runs a burst, and then, to new subscribers, a paced second or more.
func measureFanout(ctx context.Context, zpeer string, publisher []string, subscribers, burst, paced int) (f fanned, err error) {
	for _, run := range []struct {
		order string
		n     int
		into  *arrived
	}{{fmt.Sprintf("data %d", burst), burst, &f.burst}, {fmt.Sprintf("rate %d 1000", paced), paced, &f.paced}} {
		if run.n == 0 {
			continue
		}
		dropped, err := fanoutOnce(ctx, zpeer, publisher, subscribers, run.order, run.into)
		if err != nil {
			return f, err
		}
		f.lost += run.n*subscribers - run.into.Delivered
		f.dropped += dropped
	}
	return f, nil
}

func fanoutOnce(ctx context.Context, zpeer string, publisher []string, subscribers int, order string, into *arrived) (dropped int, err error) {
	pub, err := start(ctx, publisher[0], publisher[1:]...)
	if err != nil {
		return 0, err
	}
	defer pub.stop()
	var at struct {
		Endpoint string `json:"endpoint"`
	}
	if err := pub.next(5*time.Second, &at); err != nil {
		return 0, err
	}
	subs, err := start(ctx, zpeer, "subs", strings.Replace(at.Endpoint, "0.0.0.0", "127.0.0.1", 1), fmt.Sprint(subscribers))
	if err != nil {
		return 0, err
	}
	defer subs.stop()

	// Published again and again until every subscriber has one; so all are there.
	var done struct {
		Seconds float64 `json:"seconds"`
		Dropped int     `json:"dropped"`
	}
	repeat := func(what string, until any) error {
		for range 400 {
			if err := pub.tell(what); err != nil {
				return err
			}
			if err := pub.next(5*time.Second, &done); err != nil {
				return err
			}
			select {
			case line, ok := <-subs.lines:
				if !ok {
					return fmt.Errorf("the subscribers ended: %w", subs.cmd.Wait())
				}
				return json.Unmarshal(line, until)
			case <-time.After(50 * time.Millisecond):
			}
		}
		return fmt.Errorf("the subscribers never saw all of %q", what)
	}
	if err := repeat("sync", new(any)); err != nil {
		return 0, err
	}
	time.Sleep(200 * time.Millisecond) // what is left of sync goes its way
	if err := pub.tell("%s", order); err != nil {
		return 0, err
	}
	if err := pub.next(60*time.Second, &done); err != nil {
		return 0, err
	}
	dropped = done.Dropped
	return dropped, repeat("end", into)
}

// bePublisher is the publisher of fanout with our socket: it does for each line
// of in what zpeer's pub does.
func bePublisher(ctx context.Context, queue int, in io.Reader, out io.Writer) error {
	pub, err := zmq.NewPub(zmq.PubConfig{Bind: []string{"tcp://127.0.0.1:0"}, Queue: queue, QueueBytes: queue * 2 * fanoutSize}, nil)
	if err != nil {
		return err
	}
	go pub.Run(ctx)
	if _, err := fmt.Fprintf(out, "{\"endpoint\":%q}\n", pub.Addrs()[0]); err != nil {
		return err
	}
	scan := bufio.NewScanner(in)
	for scan.Scan() {
		var word string
		n, perSecond := 1, 0.0
		if k, _ := fmt.Sscan(scan.Text(), &word, &n, &perSecond); k == 0 {
			continue
		}
		before, began := dropped(pub), time.Now()
		topic := "bench." + word
		var err error
		if perSecond > 0 {
			err = sendPaced(pub, topic, n, perSecond)
		} else {
			err = sendAtOnce(ctx, pub, topic, n)
		}
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "{\"seconds\":%.4f,\"dropped\":%d}\n", time.Since(began).Seconds(), dropped(pub)-before); err != nil {
			return err
		}
	}
	return scan.Err()
}

// sendAtOnce delivers one message n times, in the batches that a pump makes.
func sendAtOnce(ctx context.Context, pub *zmq.Pub, topic string, n int) error {
	m, err := message("t0000000000000000000", fanoutSize)
	if err != nil {
		return err
	}
	m.Topic = fedmsg.Topic(topic)
	batch := slices.Repeat([]fedmsg.Entry{{Message: m}}, 1000)
	for sink := zmq.NewSink(pub); n > 0; n -= len(batch) {
		batch = batch[:min(n, len(batch))]
		if _, err := sink.Deliver(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// sendPaced sends messages whose ID is the time at which they were sent.
func sendPaced(pub *zmq.Pub, topic string, n int, perSecond float64) error {
	began := time.Now()
	for k := range n {
		time.Sleep(time.Until(began.Add(time.Duration(float64(k) / perSecond * float64(time.Second)))))
		m, err := message(fmt.Sprintf("t%019d", time.Now().UnixNano()), fanoutSize)
		if err != nil {
			return err
		}
		pub.Send(topic, m.Bytes())
	}
	return nil
}

func dropped(pub *zmq.Pub) int {
	n := 0.0
	for s := range pub.Samples() {
		if s.Name == "messages_dropped_total" {
			n += s.Value
		}
	}
	return int(n)
}
