package client

import (
	"context"
	"fmt"
	"iter"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
)

// overHTTP talks to a bus over HTTP.
type overHTTP struct{ client *http.Client }

func (h overHTTP) publish(ctx context.Context, m *fedmsg.Message) (Receipt, error) {
	p, err := h.client.PublishMessage(ctx, m)
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{ID: p.ID, Topic: p.Topic, Seq: p.Seq, Confirmed: true}, nil
}

func (h overHTTP) tail(ctx context.Context, cfg TailConfig) iter.Seq2[fedmsg.Entry, error] {
	notice := func(format string, args ...any) {
		if cfg.Notice != nil {
			cfg.Notice(fmt.Sprintf(format, args...))
		}
	}
	return h.client.Tail(ctx, http.TailConfig{
		Topics: cfg.Topics, After: cfg.After,
		OnLost: func(err error, wait time.Duration) {
			notice("connection lost, will reconnect in %s: %v", wait.Round(time.Millisecond), err)
		},
		OnReconnect: func() { notice("reconnected") },
		OnGap:       func(g http.Gap) { notice("%s", gapText(g)) },
	})
}

// gapText says what a gap means to who reads.
func gapText(g http.Gap) string {
	switch g.Reason {
	case http.GapEpoch:
		return "the bus has a new log, so messages may be missing; going on with all of it"
	case http.GapTooOld:
		return fmt.Sprintf("messages are missing: the log keeps only those from %d on; going on there", g.First)
	}
	return fmt.Sprintf("the log has no such place, it ends at %d; going on with what comes from now on", g.Last)
}

func (h overHTTP) close() error {
	h.client.Close()
	return nil
}
