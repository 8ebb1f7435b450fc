package shelves

import (
	"context"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/meta"
)

// offline finds words without fetching pages: an archive describes many messages, again
// when rules change, and must not wait for other machines, nor ask them for each.
type offline struct{ *meta.Engine }

func (o offline) Describe(ctx context.Context, m *fedmsg.Message) fedmsg.Words {
	return o.Engine.Describe(meta.WithoutFetching(ctx), m)
}

func withoutFetching(words fedmsg.Describer) fedmsg.Describer {
	if engine, ok := words.(*meta.Engine); ok {
		return offline{engine}
	}
	return words
}
