package sqlite

import (
	"context"
	"fmt"
	"math"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Resume makes a log that lost what it had go on after a place, under an epoch: that of
// the log that it takes the place of. What it holds is given up, and its readers are told
// [fedmsg.ErrTooOld]; the caller has it elsewhere. last is the newest place that the
// caller knows of: if the log has a later one nothing is done, and the error wraps
// [fedmsg.ErrInvalid].
func (l *Log) Resume(ctx context.Context, epoch string, last, to fedmsg.Seq) error {
	resumed := func(w *writer) {
		l.epoch.Store(&epoch)
		w.last = to
		l.last.Store(uint64(to))
		l.setFirst(to + 1)
	}
	err := l.do(ctx, resumed, func(c *conn) error {
		_, newest, err := readBounds(c)
		if err != nil {
			return err
		}
		if newest > last || to < newest || to >= math.MaxInt64 || len(epoch) != 16 {
			return fmt.Errorf("the log ends at %d, not at %d: %w", newest, last, fedmsg.ErrInvalid)
		}
		for _, text := range []string{"DELETE FROM entries", "DELETE FROM ids"} {
			if err := c.exec(text); err != nil {
				return err
			}
		}
		if err := c.exec("UPDATE meta SET value = ? WHERE name = 'last'", int64(to)); err != nil {
			return err
		}
		return c.exec("UPDATE meta SET value = ? WHERE name = 'epoch'", epoch)
	})
	if err != nil {
		return fmt.Errorf("resume after %d: %w", to, err)
	}
	return nil
}
