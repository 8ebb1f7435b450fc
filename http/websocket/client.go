package websocket

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	ws "github.com/coder/websocket"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/sse"
)

// maxPatterns is how many patterns one client may ask for.
const maxPatterns = 64

// unknownOp is a word of another dialect.
const unknownOp fedmsg.Reason = "unknown_op"

var (
	errUTF8   = errors.New("a text that is not UTF-8")
	errBinary = errors.New("a message that is no text")
)

// A client is one reader.
type client struct {
	feed   *Feed
	conn   *ws.Conn
	wire   *wire
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	prefixes []string
	from     chan fedmsg.Seq // gets the place at which the first subscription came
}

// run talks to the client until one of them has enough.
func (c *client) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, part := range []func(context.Context) error{c.listen, c.tell, c.beat} {
		wg.Go(func() {
			defer c.recovered(ctx)
			c.cancel(part(ctx))
		})
	}
	<-ctx.Done()
	code, reason := closing(context.Cause(ctx))
	switch reason {
	case fedmsg.SlowConsumer:
		c.feed.slow.Add(1, edge)
		c.feed.logger.InfoContext(ctx, "reader cut: it does not read")
	case fedmsg.TooLarge, fedmsg.RateLimited, fedmsg.BadUTF8:
		c.feed.rejected.Add(1, edge, string(reason))
	}
	if errors.Is(context.Cause(ctx), errGone) {
		_ = c.conn.CloseNow() // there is nobody to say it to
	}
	_ = c.conn.Close(code, string(reason)) // if there is somebody
	wg.Wait()
}

// recovered ends the panic of a client's goroutine; to be deferred. A defect that one
// client's bytes can reach must not cost the others.
func (c *client) recovered(ctx context.Context) {
	if what := recover(); what != nil {
		c.feed.panics.Add(1, edge)
		c.feed.logger.ErrorContext(ctx, "a defect: a socket's goroutine panicked", "err", fmt.Sprint(what), "stack", string(debug.Stack()))
		c.cancel(errDefect)
	}
}

// listen does what the client says. It ends with an error.
func (c *client) listen(ctx context.Context) error {
	// The library ends the connection together with its context, without a word; so it
	// gets one that does not end. Closing ends the read.
	for ctx.Err() == nil {
		kind, text, err := c.conn.Read(context.WithoutCancel(ctx))
		switch {
		case err != nil:
			return err
		case kind != ws.MessageText:
			return errBinary
		case !utf8.Valid(text):
			return errUTF8
		}
		if err := c.hear(ctx, text); err != nil {
			c.feed.rejected.Add(1, edge, string(fedmsg.ReasonOf(err)))
			if err := c.conn.Write(context.WithoutCancel(ctx), ws.MessageText, errorText(err)); err != nil {
				return err
			}
		}
	}
	return context.Cause(ctx)
}

// hear does what one text says. The error is a refusal for the client to see.
func (c *client) hear(ctx context.Context, text []byte) error {
	members, err := fedmsg.DecodeObject(text)
	if err != nil {
		return err
	}
	said := make(map[string][]byte)
	for _, m := range members {
		said[m.Name] = m.JSON
	}
	if said["op"] != nil {
		return fedmsg.RefuseField(unknownOp, "op", "there are no operations here but to subscribe")
	}
	if said["topic"] == nil {
		return fedmsg.RefuseField(fedmsg.MissingField, "topic", "there is none")
	}
	topic, ok := fedmsg.DecodeString(said["topic"])
	if !ok {
		return fedmsg.RefuseField(fedmsg.BadField, "topic", "must be a text")
	}
	if topic != "__topic_subscribe__" {
		return fedmsg.Refuse(fedmsg.NotAuthorized, "what is said here is not published: it would be nobody's; publish with POST /api/v1/publish")
	}
	pattern, ok := fedmsg.DecodeString(said["body"])
	if !ok || len(pattern) > fedmsg.MaxTopicLength {
		return fedmsg.RefuseField(fedmsg.BadField, "body", "must be a text of at most %d bytes: what topics begin with", fedmsg.MaxTopicLength)
	}
	return c.subscribe(ctx, strings.ReplaceAll(pattern, "*", ""))
}

// subscribe adds what topics may begin with. What comes after it returned is told.
func (c *client) subscribe(ctx context.Context, prefix string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case slices.Contains(c.prefixes, prefix):
		return nil
	case len(c.prefixes) == maxPatterns:
		return fedmsg.Refuse(fedmsg.TooManySubscriptions, "there are %d, the most that are allowed", maxPatterns)
	}
	if len(c.prefixes) == 0 {
		state, err := c.feed.log.State(ctx)
		if err != nil {
			return fedmsg.Refuse(fedmsg.LogUnavailable, "the log does not answer; try again")
		}
		c.from <- state.Last
	}
	c.prefixes = append(c.prefixes, prefix)
	return nil
}

func (c *client) wants(topic fedmsg.Topic) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.prefixes, func(prefix string) bool { return strings.HasPrefix(string(topic), prefix) })
}

// tell sends what the log gets from the first subscription on. It ends with an error.
func (c *client) tell(ctx context.Context) error {
	var after fedmsg.Seq
	select {
	case after = <-c.from:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for batch, err := range c.feed.log.Read(ctx, after) {
		if errors.Is(err, fedmsg.ErrTooOld) { // so slow that the log dropped what it has yet to read
			return errSlow
		}
		if err != nil {
			return err
		}
		if err := c.send(ctx, batch); err != nil {
			return err
		}
		if err := sse.Pause(ctx, c.feed.places.Taken()); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// send sends what is wanted of a batch, together.
func (c *client) send(ctx context.Context, batch []fedmsg.Entry) (err error) {
	c.wire.hold()
	defer func() { err = errors.Join(err, c.wire.release()) }()
	for _, e := range batch {
		if !c.wants(e.Message.Topic) {
			continue
		}
		if err := c.conn.Write(context.WithoutCancel(ctx), ws.MessageText, c.feed.textOf(e)); err != nil {
			return err
		}
		c.feed.delivered.Add(1, edge)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// beat asks whether the client is there. It ends with an error.
func (c *client) beat(ctx context.Context) error {
	tick := time.NewTicker(c.feed.cfg.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		limited, cancel := context.WithTimeout(ctx, c.feed.cfg.Heartbeat)
		err := c.conn.Ping(limited)
		cancel()
		if err != nil && ctx.Err() == nil {
			return errGone
		}
	}
}
