package bus_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/mem"
)

// noWords knows nothing of messages.
type noWords struct{}

func (noWords) Describe(context.Context, *fedmsg.Message) fedmsg.Words { return fedmsg.Words{} }

// appendOdd appends messages, of which every tenth is about something seldom.
func appendOdd(t *testing.T, log fedmsg.Log, from, n int) {
	t.Helper()
	for i := from; i < from+n; i++ {
		topic := fedmsg.Topic("org.example.test.often")
		if i%10 == 0 {
			topic = "org.example.test.seldom"
		}
		if r := log.Append(t.Context(), fedmsg.Entry{Message: fedmsgtest.MessageOf(i, topic, `{}`)})[0]; r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}

// A reader gets every entry once, in order, from wherever it begins: while the
// archive lags, and while the log drops what the reader has yet to read.
func TestTieredReadsAll(t *testing.T) {
	for _, tt := range []struct {
		want  []fedmsg.Pattern
		every int
	}{{nil, 1}, {[]fedmsg.Pattern{"#.seldom"}, 10}, {[]fedmsg.Pattern{"#.seldom", "#.never"}, 10}} {
		t.Run(fmt.Sprint(tt.want), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := mem.NewLog()
				log.Limit = 50
				window := newWindow(t, bus.WindowConfig{Bytes: 4 << 10}, log)
				archive := mem.NewArchive(nil, noWords{})
				pump, err := bus.NewPump(bus.PumpConfig{Name: "archive"}, window, new(mem.Cursors), archive, nil)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- pump.Run(ctx) }()
				const all, more = 300, 40
				for i := 0; i < all; i += 20 {
					appendOdd(t, window, i+1, 20)
					synctest.Wait() // the archive has them
				}
				tiered := bus.NewTiered(window, archive)
				seen := fedmsg.Seq(0)
				for e, err := range fedmsg.Each(tiered.Read(t.Context(), 0, tt.want...)) {
					if err != nil {
						t.Fatal(err)
					}
					if e.Seq != seen+fedmsg.Seq(tt.every) {
						t.Fatalf("entry %d follows %d, want each %d", e.Seq, seen, tt.every)
					}
					if seen = e.Seq; seen >= all+more {
						break
					}
					if seen == 100 {
						appendOdd(t, window, all+1, more) // the log moves on
						synctest.Wait()
					}
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A reader that asks for what is in neither is told so.
func TestTieredErrors(t *testing.T) {
	log := mem.NewLog()
	log.Limit = 5
	window := newWindow(t, bus.WindowConfig{Bytes: 1}, log)
	appendOdd(t, window, 1, 20)
	tiered := bus.NewTiered(window, mem.NewArchive(nil, noWords{}))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for after, want := range map[fedmsg.Seq]error{10: fedmsg.ErrTooOld, 100: fedmsg.ErrInvalid} {
		for batch, err := range tiered.Read(ctx, after) {
			if !errors.Is(err, want) {
				t.Errorf("Read(%d) = %d entries, %v, want %v", after, len(batch), err, want)
			}
		}
	}
}
