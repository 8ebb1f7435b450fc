package readers

import (
	"context"
	"fmt"
	nethttp "net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
)

// sender is what is needed of a client: http.Client has it.
type sender interface {
	Send(ctx context.Context, method, path string, query url.Values, in, out any) error
}

// Client asks a bus about readers. Each method asks once. Errors wrap
// [fedmsg.ErrUnavailable] if trying again may help, and [fedmsg.ErrNotFound] if there is no
// such reader; a [fedmsg.Refusal] with [http.ReaderBusy] says that another instance has
// it, with [http.ReaderMoved] that it was put elsewhere.
type Client struct{ bus sender }

// NewClient makes a client.
func NewClient(bus sender) Client { return Client{bus} }

func path(name string, more ...string) string {
	var p strings.Builder
	p.WriteString(listPath + "/" + url.PathEscape(name))
	for _, word := range more {
		p.WriteString("/" + word)
	}
	return p.String()
}

// List returns all readers by name.
func (c Client) List(ctx context.Context) ([]Reader, error) {
	var answer struct{ Readers []Reader }
	if err := c.bus.Send(ctx, nethttp.MethodGet, listPath, nil, nil, &answer); err != nil {
		return nil, fmt.Errorf("readers: %w", err)
	}
	return answer.Readers, nil
}

func (c Client) reader(ctx context.Context, method, path, name string, in any) (r Reader, err error) {
	if err := c.bus.Send(ctx, method, path, nil, in, &r); err != nil {
		return Reader{}, fmt.Errorf("reader %s: %w", name, err)
	}
	return r, nil
}

// Show returns one reader.
func (c Client) Show(ctx context.Context, name string) (Reader, error) {
	return c.reader(ctx, nethttp.MethodGet, path(name), name, nil)
}

// Make makes a reader, or has one want something else.
func (c Client) Make(ctx context.Context, name string, wish Wish) (Reader, error) {
	return c.reader(ctx, nethttp.MethodPut, path(name), name, wish)
}

// Move puts a reader somewhere else; see [Wish.From].
func (c Client) Move(ctx context.Context, name, to string) (Reader, error) {
	return c.reader(ctx, nethttp.MethodPost, path(name, "seek"), name, map[string]string{"to": to})
}

// send sends what needs no answer.
func (c Client) send(ctx context.Context, method, path, name string, in any) error {
	if err := c.bus.Send(ctx, method, path, nil, in, nil); err != nil {
		return fmt.Errorf("reader %s: %w", name, err)
	}
	return nil
}

// Forget removes a reader.
func (c Client) Forget(ctx context.Context, name string) error {
	return c.send(ctx, nethttp.MethodDelete, path(name), name, nil)
}

// Next returns what comes next for a reader, and waits for it. after and turn are those of
// the batch before; both are zero at the beginning.
func (c Client) Next(ctx context.Context, name, instance, turn string, after fedmsg.Seq, limit int, wait time.Duration) (Batch, error) {
	var b Batch
	query := url.Values{"instance": {instance}, "limit": {strconv.Itoa(limit)}, "wait": {strconv.Itoa(int(wait / time.Second))}}
	if turn != "" {
		query.Set("turn", turn)
		query.Set("after", strconv.FormatUint(uint64(after), 10))
	}
	if err := c.bus.Send(ctx, nethttp.MethodGet, path(name, "next"), query, nil, &b); err != nil {
		return Batch{}, fmt.Errorf("reader %s: %w", name, err)
	}
	return b, nil
}

// Ack moves the place of a reader, or keeps or gives back the lease.
func (c Client) Ack(ctx context.Context, name string, ack Ack) error {
	return c.send(ctx, nethttp.MethodPost, path(name, "ack"), name, ack)
}

// GiveUp makes a dead letter of a message.
func (c Client) GiveUp(ctx context.Context, name string, g GiveUp) error {
	return c.send(ctx, nethttp.MethodPost, path(name, "dead"), name, g)
}

// Dead returns the dead letters of a reader, oldest first.
func (c Client) Dead(ctx context.Context, name string) ([]Letter, error) {
	var answer struct{ Dead []Letter }
	if err := c.bus.Send(ctx, nethttp.MethodGet, path(name, "dead"), nil, nil, &answer); err != nil {
		return nil, fmt.Errorf("reader %s: %w", name, err)
	}
	return answer.Dead, nil
}

// Retry has a dead letter tried again, and Drop removes it.
func (c Client) Retry(ctx context.Context, name string, seq fedmsg.Seq) error {
	return c.send(ctx, nethttp.MethodPost, path(name, "dead", strconv.FormatUint(uint64(seq), 10)), name, nil)
}

// Drop removes a dead letter.
func (c Client) Drop(ctx context.Context, name string, seq fedmsg.Seq) error {
	return c.send(ctx, nethttp.MethodDelete, path(name, "dead", strconv.FormatUint(uint64(seq), 10)), name, nil)
}

var _ sender = (*http.Client)(nil)
