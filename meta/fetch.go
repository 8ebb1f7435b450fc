package meta

import (
	"context"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Limits of what is fetched for rules.
const (
	maxPages    = 256     // kept at once
	maxPageSize = 1 << 20 // bytes of one
	pageLife    = 10 * time.Minute
	failureLife = time.Minute // before a page that could not be had is tried again
)

// pages keeps what was fetched for a while, and that something could not be.
type pages struct {
	now  func() time.Time
	mu   sync.Mutex
	kept map[string]page
}

type page struct {
	body []byte
	ok   bool
	till time.Time
}

func newPages(now func() time.Time) *pages { return &pages{now: now, kept: make(map[string]page)} }

func (p *pages) get(url string) (page, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept, ok := p.kept[url]
	return kept, ok && p.now().Before(kept.till)
}

func (p *pages) put(url string, got page) {
	got.till = p.now().Add(failureLife)
	if got.ok {
		got.till = p.now().Add(pageLife)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for known := range p.kept {
		if len(p.kept) < maxPages {
			break
		}
		delete(p.kept, known) // whichever: it can be fetched again
	}
	p.kept[url] = got
}

// fetch gets a page for a rule, if the operator allows it and the file names it.
func (r *run) fetch(url string) (body []byte, ok bool) {
	if r.engine.cfg.Fetch == nil || r.ctx.Value(withoutPages{}) != nil || !r.mayFetch(url) {
		return nil, false
	}
	if kept, ok := r.engine.pages.get(url); ok {
		return kept.body, kept.ok && r.Spend(len(kept.body))
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.engine.cfg.FetchTimeout)
	defer cancel()
	body, err := r.engine.cfg.Fetch(ctx, url)
	if err != nil {
		r.engine.logger.Debug("a page for a rule could not be fetched", "err", err)
	}
	got := page{body: body[:min(len(body), maxPageSize)], ok: err == nil}
	if r.ctx.Err() == nil {
		r.engine.pages.put(url, got)
	}
	return got.body, got.ok && r.Spend(len(got.body))
}

// mayFetch reports whether the file names the beginning of a URL. What a message
// says goes into URLs, so nothing may lead out of what was named.
func (r *run) mayFetch(url string) bool {
	path := strings.NewReplacer("%2e", ".", "%2f", "/", "%5c", "/").Replace(strings.ToLower(url))
	if strings.ContainsAny(url, ` \@`) || strings.ContainsFunc(url, unicode.IsControl) || strings.Contains(path, "/..") {
		return false
	}
	for _, beginning := range r.p.fetch {
		if strings.HasPrefix(url, beginning) && strings.HasPrefix(beginning, "http") && strings.Count(beginning, "/") >= 3 {
			return true
		}
	}
	return false
}
