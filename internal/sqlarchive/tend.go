package sqlarchive

import (
	"context"
	"errors"
	"maps"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/segment"
)

// Epoch is that of the log that the archive is fed from; "" if there was none yet.
func (a *Archive) Epoch() string { return a.cfg.Epoch }

// Skip notes that the log goes on after a place, and that nothing is between that place
// and what is stored.
func (a *Archive) Skip(ctx context.Context, to fedmsg.Seq) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	upto, all := segment.MakePlace(a.epoch, to), a.all()
	if upto <= a.last.Load() || len(all) == 0 {
		return nil
	}
	_, err := segment.Transact(ctx, &a.commits, segment.Change{In: all[0], Do: func(w *segment.Writer) error {
		return w.SetPlace("upto", a.epoch, a.cfg.Epoch, upto)
	}})
	if err != nil {
		return unavailable(ctx, err)
	}
	a.publish(upto)
	return nil
}

// How the archive looks after itself.
const (
	tendEvery = 2 * time.Second
	// tendAgain is how long it waits after something failed.
	tendAgain = time.Minute
	// quietPart is how many messages are revised in one transaction beside others: few,
	// so that no delivery waits for more than some milliseconds.
	quietPart = 100
	// restShare is how many times as long as it works it rests then, between restMin
	// and restMax; much is how many messages were delivered meanwhile if it is to rest
	// for that long.
	restShare = 4
	restMin   = 20 * time.Millisecond
	restMax   = time.Second
	much      = 200
)

// Tend looks after the archive until ctx ends, and then returns nil: messages that were
// found by other rules than those of the Describer now are found anew, and months that
// have ended are made small. Both are done slowly, and stand back behind deliveries.
func (a *Archive) Tend(ctx context.Context) error {
	var known rules
	looked, before := time.Now(), a.stored.Load()
	for wait := time.Duration(0); ; wait = tendEvery {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		if time.Since(looked) > compactEvery {
			a.tendMonths(ctx, a.stored.Load()-before)
			looked, before = time.Now(), a.stored.Load()
		}
		now := a.rules()
		if now == nil || known != nil && maps.Equal(known, now) {
			continue
		}
		switch err := a.tendWords(ctx, now); {
		case err == nil:
			known = now
		case ctx.Err() != nil:
			return nil
		case !errors.Is(err, errOtherRules):
			a.logger.WarnContext(ctx, "words were not found anew, will try again", "wait", tendAgain, "err", err)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(tendAgain):
			}
		}
	}
}

// tendWords finds anew what was found by other rules.
func (a *Archive) tendWords(ctx context.Context, by rules) error {
	a.revising.Lock()
	defer a.revising.Unlock()
	list, left, err := a.tasks(ctx, by)
	if err != nil || left == 0 {
		return err
	}
	began := time.Now()
	a.stale.Store(left)
	defer a.stale.Store(0)
	a.logger.InfoContext(ctx, "messages in the archive were found by other rules; finding them anew", "messages", left)
	before := a.stored.Load()
	rest := func(took time.Duration) {
		pause := min(max(restShare*took, restMin), restMax)
		if now := a.stored.Load(); now-before > much {
			pause, before = restMax, now
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	changed, err := a.work(ctx, list, pace{part: quietPart, workers: 1, rest: rest}, func(done int64) { a.stale.Store(max(left-done, 1)) })
	if err == nil {
		a.logger.InfoContext(ctx, "messages in the archive are found by the rules that are in force", "messages", left, "changed", changed, "took", time.Since(began).Round(time.Second))
	}
	return err
}
