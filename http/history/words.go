package history

import (
	"context"
	"hash/maphash"
	"sync/atomic"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// A memory is a Describer that remembers what it said last: streams ask about the
// same messages at nearly the same time, and each of them for its filter.
type memory struct {
	describer fedmsg.Describer
	recent    [remembered]atomic.Pointer[described]
}

const (
	remembered = 512
	// rememberedSize is the largest message that is remembered, in bytes.
	rememberedSize = 16 << 10
	// memoryLife is how long words are remembered: rules change, and with the clock
	// what happened some minutes ago.
	memoryLife = 2 * time.Second
)

type described struct {
	message *fedmsg.Message
	till    time.Time
	words   fedmsg.Words
}

var seed = maphash.MakeSeed()

// Describe finds the words for a message. See [fedmsg.Describer].
func (m *memory) Describe(ctx context.Context, message *fedmsg.Message) fedmsg.Words {
	slot, now := &m.recent[maphash.String(seed, message.ID)%remembered], time.Now()
	if have := slot.Load(); have != nil && have.message == message && now.Before(have.till) {
		return have.words
	}
	words := m.describer.Describe(ctx, message)
	if ctx.Err() == nil && len(message.Compact()) <= rememberedSize {
		slot.Store(&described{message, now.Add(memoryLife), words})
	}
	return words
}

// describer returns what finds words for a matcher; nil if there is none.
func (a *API) describer() fedmsg.Describer {
	if a.words == nil {
		return nil
	}
	return a.words
}
