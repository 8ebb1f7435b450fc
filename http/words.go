package http

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// meta reads which words a reader wants of each message: parameters meta, each a
// field or a list of fields with commas between.
func (s *Server) meta(values url.Values) ([]string, error) {
	var fields []string
	for _, list := range values["meta"] {
		for name := range strings.SplitSeq(list, ",") {
			if err := fedmsg.ValidateWordsField(clip(name)); err != nil {
				return nil, err
			}
			if !slices.Contains(fields, name) {
				fields = append(fields, name)
			}
		}
	}
	if fields != nil && s.cfg.Describer == nil {
		return nil, fedmsg.RefuseField(BadQuery, "meta", "this bus has no words for messages")
	}
	return fields, nil
}

// A phrasebook finds the words for messages, once for all readers that are near
// the end of the log.
type phrasebook struct {
	describer fedmsg.Describer
	recent    [renderedEvents]atomic.Pointer[described]
}

// wordsLife is how long words are kept: rules change, and "in 5 minutes" with the
// clock.
const wordsLife = 2 * time.Second

// described are the words for a message, once found is closed. They do not count
// if the reader for whom they were looked for left meanwhile.
type described struct {
	message *fedmsg.Message
	till    time.Time
	found   chan struct{}
	words   fedmsg.Words
	counts  bool
}

// describe finds the words for an entry, or waits for another reader who does.
func (p *phrasebook) describe(ctx context.Context, e fedmsg.Entry) fedmsg.Words {
	if len(e.Message.Compact()) > renderedBytes { // 512 of them would be too much to keep
		return p.describer.Describe(ctx, e.Message)
	}
	slot := &p.recent[e.Seq%renderedEvents]
	now := time.Now()
	have := slot.Load()
	if have == nil || have.message != e.Message || now.After(have.till) {
		mine := &described{message: e.Message, till: now.Add(wordsLife), found: make(chan struct{})}
		if slot.CompareAndSwap(have, mine) {
			defer close(mine.found)
			mine.words = p.describer.Describe(ctx, e.Message)
			mine.counts = ctx.Err() == nil
			if !mine.counts {
				slot.CompareAndSwap(mine, nil)
			}
			return mine.words
		}
		have = slot.Load()
	}
	if have != nil && have.message == e.Message {
		select {
		case <-have.found:
			if have.counts {
				return have.words
			}
		case <-ctx.Done():
		}
	}
	return p.describer.Describe(ctx, e.Message)
}

// appendWords puts the words for an entry, as meta, into its element.
func (s *Server) appendWords(ctx context.Context, element []byte, e fedmsg.Entry, fields []string) []byte {
	if fields == nil {
		return element
	}
	element = append(element[:len(element)-1], `,"meta":`...)
	return append(s.words.describe(ctx, e).AppendJSON(element, fields...), '}')
}
