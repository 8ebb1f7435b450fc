package figure

import (
	"sync"
	"time"
)

// Kept is a value that is made anew when it is old.
type Kept[T any] struct {
	mu    sync.Mutex
	value T
	till  time.Time
}

// Get returns the value, or makes it. A failed one is not kept.
func (k *Kept[T]) Get(now time.Time, life time.Duration, make func() (T, error)) (T, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Before(k.till) {
		return k.value, nil
	}
	v, err := make()
	if err == nil {
		k.value, k.till = v, now.Add(life)
	}
	return v, err
}
