package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// Runner is anything that lives: it runs until its context ends.
type Runner interface {
	Run(ctx context.Context) error
}

// RunnerFunc is a function that runs until its context ends.
type RunnerFunc func(ctx context.Context) error

// Run calls f.
func (f RunnerFunc) Run(ctx context.Context) error { return f(ctx) }

// Stage is a group of runners that stop together.
type Stage struct {
	// Name stands in errors.
	Name string
	// Runners all start at once. None may return before it is asked to.
	Runners []Runner
	// Grace is how long they may take to stop. Default 10s.
	Grace time.Duration
}

// result is how a runner ended.
type result struct {
	stage  int
	runner Runner
	err    error
}

// Run starts all stages and waits until ctx ends or a runner returns. Then it
// stops the stages one after another, first to last, so that what feeds the log
// stops before what the log feeds. It returns nil after a clean stop, else
// everything that went wrong, joined. A stage that outlives its grace is
// reported and left behind.
func Run(ctx context.Context, stages ...Stage) error {
	results := make(chan result)
	done := make(chan struct{}) // nobody listens to results any more
	defer close(done)
	left := make([]int, len(stages))
	stops := make([]context.CancelCauseFunc, len(stages))
	for i, stage := range stages {
		sctx, stop := context.WithCancelCause(context.WithoutCancel(ctx))
		defer stop(nil)
		stops[i], left[i] = stop, len(stage.Runners)
		for _, r := range stage.Runners {
			go func() {
				err := r.Run(sctx)
				select {
				case results <- result{i, r, err}:
				case <-done:
				}
			}()
		}
	}

	var errs []error
	early := func(r result) {
		left[r.stage]--
		if r.err == nil {
			r.err = errors.New("ended before it was asked to")
		}
		errs = append(errs, fmt.Errorf("%s: %T: %w", stages[r.stage].Name, r.runner, r.err))
	}
	select {
	case <-ctx.Done():
	case r := <-results:
		early(r)
	}
	for i, stage := range stages {
		stops[i](context.Cause(ctx))
		grace := time.NewTimer(cmp.Or(stage.Grace, 10*time.Second))
		for left[i] > 0 {
			select {
			case r := <-results:
				switch {
				case r.stage > i:
					early(r)
				case r.err != nil:
					left[r.stage]--
					errs = append(errs, fmt.Errorf("%s: %T: %w", stages[r.stage].Name, r.runner, r.err))
				default:
					left[r.stage]--
				}
			case <-grace.C:
				errs = append(errs, fmt.Errorf("%s: %d of %d did not stop within %s", stage.Name, left[i], len(stage.Runners), cmp.Or(stage.Grace, 10*time.Second)))
				left[i] = 0
			}
		}
		grace.Stop()
	}
	return errors.Join(errs...)
}
