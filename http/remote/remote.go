// Package remote is the archive of a bus that is asked over HTTP.
package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/query"
)

// getter is what is needed of a client: http.Client has it.
type getter interface {
	// Get reads the JSON at a path into v.
	Get(ctx context.Context, path string, query url.Values, v any) error
}

// Archive asks a bus. [New] makes one.
type Archive struct{ bus getter }

// New makes an archive of a client.
func New(bus getter) *Archive { return &Archive{bus} }

// Search returns a page. See [fedmsg.Archive]; a page has at most [query.MaxLimit]
// messages.
func (a *Archive) Search(ctx context.Context, q fedmsg.Query) (fedmsg.Page, error) {
	values := url.Values{"q": {query.String(q)}}
	if q.Limit > 0 {
		values.Set("limit", strconv.Itoa(min(q.Limit, query.MaxLimit)))
	}
	if q.Cursor != "" {
		values.Set("cursor", q.Cursor)
	}
	var body struct {
		Messages []struct {
			Seq      fedmsg.Seq      `json:"seq"`
			At       time.Time       `json:"at"`
			Verified string          `json:"verified"`
			Message  json.RawMessage `json:"message"`
		} `json:"messages"`
		Next      string    `json:"next"`
		Prev      string    `json:"prev"`
		ScannedTo time.Time `json:"scanned_to"`
	}
	if err := a.bus.Get(ctx, "/api/v1/messages", values, &body); err != nil {
		return fedmsg.Page{}, fmt.Errorf("search: %w", err)
	}
	page := fedmsg.Page{Next: body.Next, Prev: body.Prev, ScannedTo: body.ScannedTo}
	for _, e := range body.Messages {
		m, err := fedmsg.DecodeHistory(e.Message)
		if err != nil {
			return fedmsg.Page{}, fmt.Errorf("search: entry %d: %w", e.Seq, err)
		}
		page.Entries = append(page.Entries, fedmsg.Entry{Seq: e.Seq, At: e.At, Verified: e.Verified, Message: m})
	}
	return page, nil
}

// maxFacet is how many values of a field a bus tells at once.
const maxFacet = 1000

// Count counts all, or by a field; by time it cannot count. See [fedmsg.Counter].
func (a *Archive) Count(ctx context.Context, q fedmsg.Query, by fedmsg.Grouping) (fedmsg.Counts, error) {
	if by.Step != 0 {
		return fedmsg.Counts{}, fmt.Errorf("count by time over HTTP: %w", fedmsg.ErrInvalid)
	}
	q.OldestFirst = false
	values := url.Values{"q": {query.String(q)}}
	if by.Field != "" {
		values.Set("field", string(by.Field))
		values.Set("limit", strconv.Itoa(min(max(by.Limit, 1), maxFacet)))
	}
	var body struct {
		Total    int64 `json:"total"`
		Complete bool  `json:"complete"`
		Facets   []struct {
			Values []struct {
				Value string `json:"value"`
				N     int64  `json:"n"`
			} `json:"values"`
			Other int64 `json:"other"`
		} `json:"facets"`
	}
	if err := a.bus.Get(ctx, "/api/v1/facets", values, &body); err != nil {
		return fedmsg.Counts{}, fmt.Errorf("count: %w", err)
	}
	counts := fedmsg.Counts{Estimate: !body.Complete}
	if by.Field == "" {
		counts.Rows = []fedmsg.Count{{N: body.Total}}
		return counts, nil
	}
	for _, f := range body.Facets {
		for _, v := range f.Values {
			counts.Rows = append(counts.Rows, fedmsg.Count{Value: v.Value, N: v.N})
		}
		if f.Other > 0 {
			counts.Rows = append(counts.Rows, fedmsg.Count{N: f.Other})
		}
	}
	return counts, nil
}
