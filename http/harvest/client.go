package harvest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net"
	nethttp "net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"golang.org/x/time/rate"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// How failures are borne.
const (
	// maxAttempts is how often the same is asked for before it is given up; progress
	// begins to count anew.
	maxAttempts = 8
	// firstAttempts is the same while nothing has come yet: the address may be wrong.
	firstAttempts = 4
	firstPause    = time.Second
	maxPause      = time.Minute
	// maxWait is the longest pause that the other side may ask for.
	maxWait = 15 * time.Minute
	// maxSilence is how long nothing may come, and maxAnswer how long a page may take.
	maxSilence = time.Minute
	maxAnswer  = 3 * time.Minute
	// maxRedirects is how many redirects are followed, within one site.
	maxRedirects = 3
)

// A client asks one question after another.
type client struct {
	http    *nethttp.Client
	limiter *rate.Limiter
	tell    func(string)
	// maxBody is how long a page may be, and maxPages how many one second may have.
	maxBody  int64
	maxPages int
	pause    time.Duration // after the first failure
	worked   bool
}

func newClient(cfg Config) *client {
	return &client{
		http: &nethttp.Client{Transport: transport(), CheckRedirect: stay}, tell: cfg.Tell,
		limiter: rate.NewLimiter(rate.Limit(cfg.Rate), 1), maxBody: maxBody, maxPages: maxPages, pause: firstPause,
	}
}

// stay follows redirects within a site only: elsewhere nobody meant to ask.
func stay(r *nethttp.Request, via []*nethttp.Request) error {
	to, from := *r.URL, via[0].URL
	isSame := to.Scheme == from.Scheme && to.Port() == from.Port() || from.Scheme == "http" && to.Scheme == "https"
	switch {
	case to.Hostname() != from.Hostname() || !isSame:
		to.RawQuery = ""
		return final{&fedmsg.HintError{Err: fmt.Errorf("it leads to another site, %s: %w", to.Host, fedmsg.ErrInvalid), Hint: "if that is right, import from there: " + to.Redacted()}}
	case len(via) > maxRedirects:
		return final{fmt.Errorf("it leads on and on: %w", fedmsg.ErrInvalid)}
	}
	return nil
}

// A final error will be the same if the same is asked again.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// A busy error says how long the other side asks to be left alone.
type busy struct {
	error
	wait time.Duration
}

func (b busy) Unwrap() error { return b.error }

func isFinal(err error) bool { _, ok := errors.AsType[final](err); return ok }

// once asks once, and has the answer read. The error is final, or it may be tried again.
func (c *client) once(ctx context.Context, u *url.URL, media []string, most time.Duration, read func(*nethttp.Response) error) error {
	if err := c.limiter.Wait(ctx); err != nil {
		return final{err}
	}
	asked := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if most > 0 {
		var done context.CancelFunc
		ctx, done = context.WithTimeoutCause(ctx, most, fmt.Errorf("the answer took more than %s: %w", most, fedmsg.ErrUnavailable))
		defer done()
	}
	silence := time.AfterFunc(maxSilence, func() { cancel(fmt.Errorf("nothing came for %s: %w", maxSilence, fedmsg.ErrUnavailable)) })
	defer silence.Stop()
	err := c.ask(ctx, u, media, func(resp *nethttp.Response) error {
		silence.Stop()
		resp.Body = &heard{resp.Body, silence}
		return read(resp)
	})
	switch cause := context.Cause(asked); {
	case cause != nil:
		return final{cause}
	case err != nil && context.Cause(ctx) != nil && !isFinal(err):
		return context.Cause(ctx)
	}
	return err
}

// heard waits for each piece for so long only. How long its reader takes does not
// matter.
type heard struct {
	io.ReadCloser
	silence *time.Timer
}

func (h *heard) Read(b []byte) (int, error) {
	h.silence.Reset(maxSilence)
	defer h.silence.Stop()
	return h.ReadCloser.Read(b)
}

func (c *client) ask(ctx context.Context, u *url.URL, media []string, read func(*nethttp.Response) error) error {
	req, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodGet, u.String(), nil)
	if err != nil {
		return final{err}
	}
	req.Header.Set("User-Agent", "fedmsg-import (one request at a time)")
	req.Header.Set("Accept", media[0])
	resp, err := c.http.Do(req)
	if err != nil {
		if isFinal(err) {
			return err
		}
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			return final{fmt.Errorf("%w: %w", fedmsg.ErrInvalid, err)}
		}
		if unknown, ok := errors.AsType[*net.DNSError](err); ok && unknown.IsNotFound {
			return final{fmt.Errorf("%w: %w", fedmsg.ErrUnavailable, err)}
		}
		return fmt.Errorf("%w: %w", fedmsg.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != nethttp.StatusOK {
		return refused(resp)
	}
	if got, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || !slices.Contains(media, got) {
		return fmt.Errorf("it answers with %.60q where %s should be; is this the right address? %w", resp.Header.Get("Content-Type"), media[0], fedmsg.ErrUnavailable)
	}
	if err = read(resp); err == nil {
		c.worked = true
	}
	return err
}

// refused says what an answer means that is not what was asked for.
func refused(resp *nethttp.Response) error {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	err := fmt.Errorf("it answers %s", resp.Status)
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media == "application/json" || media == "application/problem+json" {
		err = fmt.Errorf("it answers %s: %.300s", resp.Status, text)
	}
	switch s := resp.StatusCode; {
	case s == nethttp.StatusRequestTimeout || s == nethttp.StatusTooEarly || s == nethttp.StatusTooManyRequests || s >= 500 && s != nethttp.StatusNotImplemented:
		return busy{fmt.Errorf("%w: %w", err, fedmsg.ErrUnavailable), retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	case s == nethttp.StatusUnauthorized || s == nethttp.StatusForbidden:
		return final{fmt.Errorf("%w: %w", err, fedmsg.ErrNotAllowed)}
	}
	if bytes.Contains(text, []byte(`"field":"rows_per_page"`)) { // a bus of our kind: more than it gives at once
		err = fmt.Errorf("%w: %w", errTooMuch, err)
	}
	return final{fmt.Errorf("%w: %w", err, fedmsg.ErrInvalid)}
}

// retryAfter reads a header that has seconds or a date; 0 if there is none.
func retryAfter(text string, now time.Time) time.Duration {
	if s, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if t, err := nethttp.ParseTime(text); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}

// A patience counts failures in a row.
type patience struct{ failed int }

// bear waits after a failure until it may be tried again, or returns an error if it is
// final, or the last that is borne.
func (c *client) bear(ctx context.Context, p *patience, u *url.URL, err error) error {
	if isFinal(err) {
		return fmt.Errorf("%s: %w", u.Redacted(), err)
	}
	asked, _ := errors.AsType[busy](err)
	most := maxAttempts
	if !c.worked {
		most = firstAttempts
	}
	if p.failed++; p.failed >= most || asked.wait > maxWait {
		why := fmt.Sprintf("asked %d times", p.failed)
		if asked.wait > maxWait {
			why = "it asks to be left alone for " + asked.wait.String()
		}
		return &fedmsg.HintError{Err: fmt.Errorf("%s: %s: %w", u.Redacted(), why, err), Hint: "what came is kept; the same command goes on from there"}
	}
	pause := min(c.pause<<(p.failed-1), maxPause)
	pause = max(pause/2+rand.N(pause/2+1), asked.wait)
	c.tell(fmt.Sprintf("%v; trying again in %s", err, pause.Round(time.Second)))
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
