// Package client is the front door for Go programs: open a bus by its URL,
// publish, and read what others publish.
//
//	bus, err := client.Open(ctx, "http://127.0.0.1:8330")
//	bus.Publish(ctx, "git", "repo.update", map[string]any{"repo": "kernel"})
//
//	for entry, err := range bus.Tail(ctx, client.TailConfig{}) { ... }
//
// Over http:// and https:// a publish that returned is on disk, and a tail goes
// on where it stopped after a break. Over tcp:// it is ZeroMQ, as fedmsg 1.x
// speaks it: a publish is sent and not confirmed, and what a tail misses is gone.
package client
