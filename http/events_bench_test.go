package http_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// BenchmarkEvents measures the wait from publish to reader: messages of 500
// bytes, 200 a second for two seconds, to 1, 100 and 1,000 readers in the same
// process.
func BenchmarkEvents(b *testing.B) {
	for _, readers := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) {
			for b.Loop() {
				waits := fanOut(b, readers, 400, 5*time.Millisecond)
				b.ReportMetric(float64(waits[len(waits)/2].Microseconds())/1000, "p50-ms")
				b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds())/1000, "p99-ms")
			}
			b.ReportMetric(0, "ns/op") // the pace is fixed
		})
	}
}

// fanOut returns the wait of each reader for each message, sorted.
func fanOut(b *testing.B, readers, n int, pace time.Duration) []time.Duration {
	r := start(b, func(s *setup) { s.cfg.Heartbeat = time.Hour })
	ready := make(chan struct{}, readers)
	all := make([][]time.Duration, readers)
	var wg sync.WaitGroup
	for i := range readers {
		wg.Go(func() { all[i] = waits(b, r.Addr(), n, ready) })
	}
	for range readers {
		<-ready
	}
	padding := strings.Repeat("x", 400)
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for range n {
		<-tick.C
		now := time.Now()
		body := fmt.Sprintf(`{"p":"%s","sent":"%019d"}`, padding, now.UnixNano())
		m, err := fedmsg.Draft{Topic: freeTopic, Body: []byte(body), ID: fedmsg.NewID(now), Time: now}.Message()
		if err != nil {
			b.Fatal(err)
		}
		if r := r.bus.Publish(b.Context(), m)[0]; r.Err != nil {
			b.Fatal(r.Err)
		}
	}
	wg.Wait()
	flat := slices.Concat(all...)
	slices.Sort(flat)
	return flat
}

// waits reads n events from a stream and returns how long each was on its way.
func waits(b *testing.B, addr string, n int, ready chan<- struct{}) (waits []time.Duration) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Error(err)
		ready <- struct{}{}
		return []time.Duration{0}
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /api/v1/events HTTP/1.1\r\nHost: %s\r\n\r\n", addr)
	lines := bufio.NewScanner(conn)
	lines.Buffer(make([]byte, 4096), 1<<20)
	for lines.Scan() {
		line := lines.Bytes()
		if bytes.HasPrefix(line, []byte(": epoch")) {
			ready <- struct{}{}
		}
		i := bytes.Index(line, []byte(`"sent":"`))
		if i < 0 {
			continue
		}
		var sent int64
		for _, c := range line[i+8 : i+8+19] {
			sent = sent*10 + int64(c-'0')
		}
		if waits = append(waits, time.Since(time.Unix(0, sent))); len(waits) == n {
			return waits
		}
	}
	b.Errorf("a reader got %d of %d events: %v", len(waits), n, lines.Err())
	return append(waits, 0)
}
