package fedmsg

import (
	"context"
	"net/netip"
)

// Origin says from where a message came to an edge of the bus, as the edge
// itself knows it: nothing in it is the publisher's word.
type Origin struct {
	// Edge is the short name of the edge: zmq, http, memory, ...
	Edge string
	// Addr is the peer's address; the zero Addr for a caller in this process.
	Addr netip.Addr
	// Identity is who the edge found the peer to be and allowed to publish on
	// the message's topic: "token:NAME" or "mtls:CN". Empty if it does not know.
	Identity string
}

type originKey struct{}

// WithOrigin returns a context that tells [Publisher] implementations who asks.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginFrom returns the origin in ctx. Without one the caller is in this
// process: edge "memory".
func OriginFrom(ctx context.Context) Origin {
	if o, ok := ctx.Value(originKey{}).(Origin); ok {
		return o
	}
	return Origin{Edge: "memory"}
}
