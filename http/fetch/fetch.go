// Package fetch gets pages of other sites for rules that ask for some.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Limits of a page that is fetched.
const (
	maxPage = 1 << 20 // bytes
	timeout = 10 * time.Second
)

// A refusal is an answer with another status than 200.
type refusal struct {
	url, status string
	code        int
}

func (r *refusal) Error() string   { return "fetch: " + r.url + ": " + r.status }
func (r *refusal) StatusCode() int { return r.code }

// New returns a function that gets pages of other sites, for rules that
// ask for some. It follows redirects within a site only, and takes at most a
// megabyte. The error says which page and why; if the site's answer is what is wrong, it
// has a method StatusCode.
func New() func(ctx context.Context, url string) ([]byte, error) {
	client := &http.Client{
		Timeout: timeout,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
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
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, fmt.Errorf("fetch: %w", err)
		}
		answer, err := client.Do(r)
		if err != nil {
			return nil, fmt.Errorf("fetch: %w", err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return nil, &refusal{url, answer.Status, answer.StatusCode}
		}
		body, err := io.ReadAll(io.LimitReader(answer.Body, maxPage+1))
		if err != nil {
			return nil, fmt.Errorf("fetch: %s: %w", url, err)
		}
		if len(body) > maxPage {
			return nil, fmt.Errorf("fetch: %s: more than %d bytes", url, maxPage)
		}
		return body, nil
	}
}
