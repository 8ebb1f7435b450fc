package roles

import (
	"context"
	"net/netip"
	"slices"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

// Signing signs what comes unsigned from those whom the edge or the operator knows, before
// it goes on: over a socket in a file, or from a network that is named. All else it leaves
// as it is.
type Signing struct {
	Next   fedmsg.Publisher
	Signer fedmsg.Signer
	// Networks are those whose unsigned messages are signed.
	Networks []netip.Prefix
}

// Publish implements [fedmsg.Publisher]. What cannot be signed is refused.
func (s *Signing) Publish(ctx context.Context, messages ...*fedmsg.Message) []fedmsg.Receipt {
	if !s.knows(fedmsg.OriginFrom(ctx)) {
		return s.Next.Publish(ctx, messages...)
	}
	receipts := make([]fedmsg.Receipt, len(messages))
	ready, places := make([]*fedmsg.Message, 0, len(messages)), make([]int, 0, len(messages))
	for i, m := range messages {
		if m.Signature == "" {
			if m, receipts[i].Err = s.Signer.Sign(ctx, m); receipts[i].Err != nil {
				continue
			}
		}
		ready, places = append(ready, m), append(places, i)
	}
	if len(ready) > 0 {
		for i, r := range s.Next.Publish(ctx, ready...) {
			receipts[places[i]] = r
		}
	}
	return receipts
}

func (s *Signing) knows(from fedmsg.Origin) bool {
	return from.Edge == zmq.FileEdge || slices.ContainsFunc(s.Networks, func(p netip.Prefix) bool { return p.Contains(from.Addr.Unmap()) })
}
