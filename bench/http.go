package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// overHTTP measures readers: many that follow over server-sent events, and one
// that starts from the beginning.
func overHTTP(ctx context.Context, l *lab) error {
	return errors.Join(follow(ctx, l), catchUp(ctx, l))
}

// follow has readers listen to a real fedmsg serve, into which messages go over
// ZeroMQ at 200 a second. Readers and server share the processors.
func follow(ctx context.Context, l *lab) error {
	const perSecond, seconds = 200, 5
	t := newTable(l.out, fmt.Sprintf("SSE, %d messages of 256 bytes a second: from the publisher's send to each reader", perSecond),
		"readers", "events/s", "missed", "p50", "p99")
	defer t.flush()
	for _, readers := range []int{100, 1000} {
		dir, err := l.fresh()
		if err != nil {
			return err
		}
		s, err := l.serve(ctx, filepath.Join(dir, "bus"))
		if err != nil {
			return err
		}
		took, err := followOnce(ctx, s.bound, readers, perSecond, perSecond*seconds)
		s.stop()
		if err != nil {
			return fmt.Errorf("%d readers: %w", readers, err)
		}
		t.row(fmt.Sprint(readers), perSecondText(len(took), seconds), fmt.Sprint(readers*perSecond*seconds-len(took)),
			short(percentile(took, .5)), short(percentile(took, .99)))
	}
	return nil
}

func perSecondText(n, seconds int) string { return thousands(float64(n) / float64(seconds)) }

// followOnce returns how long each event took to each reader.
func followOnce(ctx context.Context, at bound, readers, perSecond, n int) ([]time.Duration, error) {
	conns := make([]net.Conn, readers)
	for i := range conns {
		// From many addresses, as readers come: one address has a limit.
		dial := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%200))}}
		c, err := dial.DialContext(ctx, "tcp", at.HTTP)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		if _, err := fmt.Fprintf(c, "GET /api/v1/events HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n\r\n", at.HTTP); err != nil {
			return nil, err
		}
		conns[i] = c
	}
	pub, err := connectPub(ctx, at)
	if err != nil {
		return nil, err
	}

	all := make([][]time.Duration, readers)
	var arrived atomic.Int64
	var wg sync.WaitGroup
	for i, c := range conns {
		wg.Go(func() {
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				return
			}
			for lines := bufio.NewReader(res.Body); ; {
				line, err := lines.ReadSlice('\n')
				if err != nil {
					return // closed below
				}
				if took, ok := age(line); ok {
					all[i] = append(all[i], took)
					arrived.Add(1)
				}
			}
		})
	}
	time.Sleep(500 * time.Millisecond) // responses to all have begun
	if err := sendPaced(pub, "org.fedoraproject.dev.bench.message", n, float64(perSecond)); err != nil {
		return nil, err
	}
	for wait := time.Now(); arrived.Load() < int64(readers*n) && time.Since(wait) < 10*time.Second; {
		time.Sleep(10 * time.Millisecond)
	}
	for _, c := range conns {
		c.Close()
	}
	wg.Wait()
	var took []time.Duration
	for _, some := range all {
		took = append(took, some...)
	}
	return took, nil
}

// connectPub returns a publisher that is connected to a bus and subscribed to.
func connectPub(ctx context.Context, at bound) (*zmq.Pub, error) {
	pub, err := zmq.NewPub(zmq.PubConfig{Connect: []string{string(at.RelayInbound)}, Queue: 1_000_000, QueueBytes: 1 << 30}, nil)
	if err != nil {
		return nil, err
	}
	go pub.Run(ctx)
	wait, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return pub, pub.WaitSubscribed(wait)
}

// age reads from a line of a stream how long ago its message was sent.
func age(line []byte) (time.Duration, bool) {
	_, rest, ok := bytes.Cut(line, []byte(`"msg_id":"t`))
	if !ok || len(rest) < 19 || !bytes.HasPrefix(line, []byte("data:")) {
		return 0, false
	}
	sent, err := strconv.ParseInt(string(rest[:19]), 10, 64)
	return time.Duration(time.Now().UnixNano() - sent), err == nil
}

// catchUp reads everything from the beginning, as a new archive would.
func catchUp(ctx context.Context, l *lab) error {
	const n = 200_000
	t := newTable(l.out, fmt.Sprintf("Catch-up, %s messages of 1 kB from the first one; per second", thousands(n)), "ours", "JetStream's ordered consumer", "ours/JetStream")
	defer t.flush()
	ours, err := catchUpOurs(ctx, l, n)
	if err != nil {
		return fmt.Errorf("catch-up, ours: %w", err)
	}
	theirs, err := catchUpJetStream(ctx, l, n)
	if err != nil {
		return fmt.Errorf("catch-up, JetStream: %w", err)
	}
	t.row(thousands(ours), thousands(theirs), ratio(ours, theirs))
	return nil
}

// fill stores n messages of about size bytes.
func fill(ctx context.Context, dir string, n, size int) error {
	_, _, log, err := openBus(ctx, dir)
	if err != nil {
		return err
	}
	for done := 0; done < n && err == nil; {
		batch := make([]fedmsg.Entry, min(2000, n-done))
		for i := range batch {
			m, err := message(fedmsg.NewID(time.Now()), size)
			if err != nil {
				return errors.Join(err, log.Close())
			}
			batch[i] = fedmsg.Entry{Verified: fedmsg.Unverified, Message: m}
		}
		for _, r := range log.Append(ctx, batch...) {
			err = errors.Join(err, r.Err)
		}
		done += len(batch)
	}
	return errors.Join(err, log.Close())
}

func catchUpOurs(ctx context.Context, l *lab, n int) (perSecond float64, err error) {
	dir, err := l.fresh()
	if err != nil {
		return 0, err
	}
	if err := fill(ctx, dir, n, 1024); err != nil {
		return 0, err
	}
	_, window, log, err := openBus(ctx, dir)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	start, read := time.Now(), 0
	for batch, err := range window.Read(ctx, 0) {
		if err != nil {
			return 0, err
		}
		if read += len(batch); read >= n {
			break
		}
	}
	return rate(read, time.Since(start)), nil
}

func catchUpJetStream(ctx context.Context, l *lab, n int) (perSecond float64, err error) {
	dir, err := l.fresh()
	if err != nil {
		return 0, err
	}
	j, err := startJet(ctx, dir, false) // writing is not what is measured
	if err != nil {
		return 0, err
	}
	defer j.Close()
	payload := make([]byte, 1024)
	for range n {
		if _, err := j.js.PublishAsync("bench.message", payload); err != nil {
			return 0, err
		}
	}
	select {
	case <-j.js.PublishAsyncComplete():
	case <-time.After(time.Minute):
		return 0, errors.New("not stored after a minute")
	}
	consumer, err := j.stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return 0, err
	}
	start, read := time.Now(), 0
	messages, err := consumer.Messages(jetstream.PullMaxMessages(2000))
	if err != nil {
		return 0, err
	}
	defer messages.Stop()
	for ; read < n; read++ {
		if _, err := messages.Next(); err != nil {
			return 0, err
		}
	}
	return rate(read, time.Since(start)), nil
}
