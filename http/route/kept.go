package route

import (
	"context"
	"sync"
	"time"
)

// kept are answers that are told again for a moment: a page that many look at asks
// the same for each of them. Who asks while the answer is looked for waits for it.
type kept struct {
	mu      sync.Mutex
	answers map[string]*keptAnswer
}

const (
	maxKept = 256
	// maxKeptBytes is the largest answer that is kept.
	maxKeptBytes = 256 << 10
)

type keptAnswer struct {
	found  chan struct{} // closed when it is there
	answer *Answer       // nil if there is none to be told again
	till   time.Time
}

// answer answers a request, or tells again what was answered to the same.
func (k *kept) answer(ctx context.Context, rt *Route, r *Request) (*Answer, error) {
	if rt.Keep == 0 {
		return rt.Answer(ctx, r)
	}
	key := r.URL.RequestURI()
	k.mu.Lock()
	have := k.answers[key]
	if have == nil || have.done() && (have.answer == nil || time.Now().After(have.till)) {
		if k.answers == nil || len(k.answers) >= maxKept {
			k.answers = make(map[string]*keptAnswer)
		}
		mine := &keptAnswer{found: make(chan struct{})}
		k.answers[key] = mine
		k.mu.Unlock()
		defer close(mine.found) // whatever happens, nobody waits for ever
		ans, err := rt.Answer(ctx, r)
		if err == nil && len(ans.Body) <= maxKeptBytes {
			mine.answer, mine.till = ans, time.Now().Add(rt.Keep)
		}
		return ans, err
	}
	k.mu.Unlock()
	select {
	case <-have.found:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if have.answer != nil {
		return have.answer, nil
	}
	return rt.Answer(ctx, r)
}

func (a *keptAnswer) done() bool {
	select {
	case <-a.found:
		return true
	default:
		return false
	}
}
