package bus_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fedora-infra/fedmsg-go/bus"
)

// Stages stop one after another, the first one first.
func TestRunStopsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var stopped []string
		runner := func(name string, takes time.Duration) bus.Runner {
			return bus.RunnerFunc(func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(takes) // fake
				mu.Lock()
				defer mu.Unlock()
				stopped = append(stopped, name)
				return nil
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := bus.Run(ctx,
			bus.Stage{Name: "sources", Runners: []bus.Runner{runner("slow source", 2*time.Second), runner("source", time.Second)}},
			bus.Stage{Name: "sinks", Runners: []bus.Runner{runner("sink", time.Second)}},
			bus.Stage{Name: "log", Runners: []bus.Runner{runner("log", 0)}})
		if err != nil {
			t.Errorf("Run: %v, want nil", err)
		}
		if want := []string{"source", "slow source", "sink", "log"}; !slices.Equal(stopped, want) {
			t.Errorf("stopped in the order %q, want %q", stopped, want)
		}
	})
}

// The first failure stops everything, and everything that went wrong is told.
func TestRunFailure(t *testing.T) {
	waits := bus.RunnerFunc(func(ctx context.Context) error { <-ctx.Done(); return nil })
	tests := []struct {
		name   string
		stages []bus.Stage
		want   []string
	}{
		{"an error", []bus.Stage{
			{Name: "sources", Runners: []bus.Runner{waits}},
			{Name: "log", Runners: []bus.Runner{bus.RunnerFunc(func(context.Context) error { return errors.New("disk on fire") })}},
		}, []string{"log: bus.RunnerFunc: disk on fire"}},
		{"an early end", []bus.Stage{
			{Name: "sources", Runners: []bus.Runner{waits, bus.RunnerFunc(func(context.Context) error { return nil })}},
		}, []string{"sources: bus.RunnerFunc: ended before it was asked to"}},
		{"one that stays", []bus.Stage{
			{Name: "sinks", Grace: time.Second, Runners: []bus.Runner{bus.RunnerFunc(func(context.Context) error { time.Sleep(time.Hour); return nil })}},
			{Name: "log", Runners: []bus.Runner{bus.RunnerFunc(func(context.Context) error { return errors.New("disk on fire") })}},
		}, []string{"disk on fire", "sinks: 1 of 1 did not stop within 1s"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				err := bus.Run(t.Context(), tt.stages...)
				for _, want := range tt.want {
					if err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("Run: %v, want it to tell of %q", err, want)
					}
				}
				time.Sleep(2 * time.Hour) // fake: lets the one that stays go
			})
		})
	}
}
