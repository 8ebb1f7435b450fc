package sqlite

import (
	"context"
	"time"
)

// Retention returns the function that Run calls every second.
func (l *Log) Retention() func(ctx context.Context) error {
	k := &keeper{log: l, began: l.cfg.Clock(), start: time.Now()}
	return k.trim
}
