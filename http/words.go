package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
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
		return nil, fedmsg.RefuseField(badQuery, "meta", "this bus has no words for messages")
	}
	return fields, nil
}

// A phrasebook finds the words for messages, once for all readers that are near
// the end of the log.
type phrasebook struct {
	describer fedmsg.Describer
	recent    [renderedEvents]atomic.Pointer[described]
}

type described struct {
	message *fedmsg.Message
	words   fedmsg.Words
}

func (p *phrasebook) describe(ctx context.Context, e fedmsg.Entry) fedmsg.Words {
	slot := &p.recent[e.Seq%renderedEvents]
	if have := slot.Load(); have != nil && have.message == e.Message {
		return have.words
	}
	words := p.describer.Describe(ctx, e.Message)
	slot.Store(&described{e.Message, words})
	return words
}

// appendWords puts the words for an entry, as meta, into its element.
func (s *Server) appendWords(ctx context.Context, element []byte, e fedmsg.Entry, fields []string) []byte {
	if fields == nil {
		return element
	}
	element = append(element[:len(element)-1], `,"meta":`...)
	return append(s.words.describe(ctx, e).AppendJSON(element, fields...), '}')
}

// Limits of a page that is fetched.
const (
	maxFetched   = 1 << 20 // bytes
	fetchTimeout = 10 * time.Second
)

// NewFetcher returns a function that gets pages of other sites, for rules that
// ask for some. It follows redirects within a site only, and takes at most a
// megabyte. The error says which page and why.
func NewFetcher() func(ctx context.Context, url string) ([]byte, error) {
	client := &nethttp.Client{
		Timeout: fetchTimeout,
		CheckRedirect: func(r *nethttp.Request, via []*nethttp.Request) error {
			if r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme {
				return fmt.Errorf("it leads to another site, %s", r.URL.Host)
			}
			if len(via) > 3 {
				return errors.New("it leads on and on")
			}
			return nil
		},
	}
	return func(ctx context.Context, url string) ([]byte, error) {
		r, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodGet, url, nil)
		if err != nil {
			return nil, fmt.Errorf("fetch: %w", err)
		}
		answer, err := client.Do(r)
		if err != nil {
			return nil, fmt.Errorf("fetch: %w", err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != nethttp.StatusOK {
			return nil, fmt.Errorf("fetch: %s: %s", url, answer.Status)
		}
		body, err := io.ReadAll(io.LimitReader(answer.Body, maxFetched+1))
		if err != nil {
			return nil, fmt.Errorf("fetch: %s: %w", url, err)
		}
		if len(body) > maxFetched {
			return nil, fmt.Errorf("fetch: %s: more than %d bytes", url, maxFetched)
		}
		return body, nil
	}
}
