package sqlite

import (
	"context"
	"fmt"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Retention goes in small steps, so that no publisher waits for one.
const (
	// trimStep is how many entries one transaction deletes at most, and
	// trimBytes how many bytes of messages, roughly.
	trimStep  = 500
	trimBytes = 2 << 20
	// trimEvery is how often retention looks.
	trimEvery = time.Second
)

// Run keeps the log to its bounds until ctx ends; then it closes the log. See
// [Log.Close].
//
// Retention by age believes no clock blindly. It goes by the lesser of the
// clock and the time that passed since Run began, so a clock that leaps ahead
// does nothing; and it takes at most a quarter of the entries in each tenth of
// RetentionAge, so with a clock that is wrong from the start there is time to
// see it.
func (l *Log) Run(ctx context.Context) error {
	k := keeper{log: l, began: l.cfg.Clock(), start: time.Now()}
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.Close()
		case <-l.done:
			return l.Close()
		case <-tick.C:
		}
		if err := k.trim(ctx); err != nil && ctx.Err() == nil && l.problem() == nil {
			l.logger.WarnContext(ctx, "retention failed, will try again", "err", err)
		}
	}
}

// A keeper applies retention.
type keeper struct {
	log    *Log
	began  time.Time // by the clock
	start  time.Time // the same moment, by the monotonic clock
	period time.Time // when the present tenth of RetentionAge began, likewise
	budget uint64    // how many entries may still go by age in it
}

// trim deletes what has to go, step by step.
func (k *keeper) trim(ctx context.Context) error {
	if k.log.problem() != nil && fedmsg.ReasonOf(k.log.problem()) != fedmsg.StorageFull {
		return nil
	}
	for {
		first, last := fedmsg.Seq(k.log.first.Load()), fedmsg.Seq(k.log.last.Load())
		if first > last {
			return nil
		}
		upTo, err := k.expired(ctx, first, last)
		if err != nil {
			return err
		}
		if upTo == 0 {
			if upTo, err = k.excess(ctx, first, last); err != nil || upTo == 0 {
				return err
			}
		}
		if err := k.log.trim(ctx, upTo); err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
}

// expired returns the newest of the next few entries that is too old, 0 if none
// is.
func (k *keeper) expired(ctx context.Context, first, last fedmsg.Seq) (upTo fedmsg.Seq, err error) {
	age := k.log.cfg.RetentionAge
	if age < 0 {
		return 0, nil
	}
	now := k.log.cfg.Clock()
	if steady := k.began.Add(time.Since(k.start)); steady.Before(now) {
		now = steady
	}
	cut := now.Add(-age).UnixMicro()
	future := now.Add(24 * time.Hour).UnixMicro()
	if k.period.IsZero() || time.Since(k.period) > max(age/10, time.Second) {
		k.period, k.budget = time.Now(), max(uint64(last-first+1)/4, 1000)
	}
	step := min(trimStep, int64(k.budget))
	if step == 0 {
		return 0, nil
	}
	err = k.log.read(ctx, func(c *conn) error {
		for from := int64(first); from <= int64(last); from += step {
			to := min(from+step-1, int64(last))
			row, _, err := c.ints("SELECT max(CASE WHEN at < ? THEN seq END), min(at) FROM entries WHERE seq BETWEEN ? AND ?", cut, from, to)
			if err != nil {
				return err
			}
			upTo = min(fedmsg.Seq(row[0]), first+fedmsg.Seq(step)-1)
			if upTo > 0 || row[1] <= future {
				return nil
			}
			// All of these were stamped by a clock that ran ahead. They go when
			// the next sane one goes.
		}
		return nil
	})
	if upTo >= first && err == nil {
		k.budget -= uint64(upTo - first + 1)
	}
	return upTo, err
}

// excess returns up to where to delete while the log takes too much room, 0 if
// it does not. The newest entry stays.
func (k *keeper) excess(ctx context.Context, first, last fedmsg.Seq) (upTo fedmsg.Seq, err error) {
	if k.log.cfg.RetentionBytes < 0 || first == last {
		return 0, nil
	}
	err = k.log.read(ctx, func(c *conn) error {
		used, _, err := usage(c)
		over := used - k.log.cfg.RetentionBytes
		if err != nil || over <= 0 {
			return err
		}
		average := max(used/int64(last-first+1), 1)
		step := min(max(over/average, 1), max(trimBytes/average, 1), trimStep)
		upTo = min(first+fedmsg.Seq(step)-1, last-1)
		return nil
	})
	return upTo, err
}

// trim deletes the entries up to a place, and what is known of them.
func (l *Log) trim(ctx context.Context, upTo fedmsg.Seq) error {
	err := l.do(ctx, func(*writer) { l.setFirst(upTo + 1) }, func(c *conn) error {
		for _, step := range []struct {
			text string
			arg  int64
		}{
			// First the newest place, for when the last entry goes.
			{"UPDATE meta SET value = max(value, coalesce((SELECT max(seq) FROM entries), 0)) WHERE name = 'last' AND ? > 0", int64(upTo)},
			{"DELETE FROM entries WHERE seq <= ?", int64(upTo)},
			{"DELETE FROM ids WHERE bucket < ?", int64(upTo+1) >> runBits << 8},
		} {
			if err := c.exec(step.text, step.arg); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete up to %d: %w", upTo, err)
	}
	return nil
}
