package http

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	nethttp "net/http"
	"net/url"
	"strconv"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// ClientConfig says how to reach a server. Only URL is required.
type ClientConfig struct {
	// URL is where the bus is: http://HOST:PORT or https://HOST:PORT.
	URL string
	// Token is the secret of a bearer token. Default: none is sent.
	Token string
	// CA is a PEM file of the CAs that may speak for the server. Default: those
	// of the system.
	CA string
	// Cert and Key are PEM files of a client certificate. Default: none.
	Cert string
	Key  string
	// Patience is how long a publisher, or a reader that has just begun, tries
	// to reach a server that does not answer. Default 2s.
	Patience time.Duration
	// Silence is after how long a stream without a sign of life is taken for
	// dead. It must be longer than the server's heartbeat. Default 45s.
	Silence time.Duration
}

func (c ClientConfig) withDefaults() ClientConfig {
	c.Patience = cmp.Or(c.Patience, 2*time.Second)
	c.Silence = cmp.Or(c.Silence, 45*time.Second)
	return c
}

// Validate reports everything that is wrong with c, joined, or nil.
func (c ClientConfig) Validate() error {
	var errs []error
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.User != nil {
		errs = append(errs, fmt.Errorf("url: %q is not http://HOST:PORT or https://HOST:PORT: %w", c.URL, fedmsg.ErrInvalid))
	}
	if (c.Cert == "") != (c.Key == "") {
		errs = append(errs, fmt.Errorf("cert, key: one is given without the other: %w", fedmsg.ErrInvalid))
	}
	return errors.Join(errs...)
}

// Client talks to a [Server]. It may be used by several goroutines at once.
type Client struct {
	cfg  ClientConfig
	base *url.URL
	http *nethttp.Client
}

// New makes a client. It does not wait for the server to be there.
func New(cfg ClientConfig) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("http client: %w", err)
	}
	cfg = cfg.withDefaults()
	base, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("http client: %w", err)
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CA != "" {
		if secure.RootCAs, err = readPool(cfg.CA); err != nil {
			return nil, fmt.Errorf("http client: ca: %w", err)
		}
	}
	if cfg.Cert != "" {
		pair, err := tls.LoadX509KeyPair(cfg.Cert, cfg.Key)
		if err != nil {
			return nil, fmt.Errorf("http client: certificate: %w", err)
		}
		secure.Certificates = []tls.Certificate{pair}
	}
	return &Client{cfg: cfg, base: base, http: &nethttp.Client{
		Transport: &nethttp.Transport{
			Proxy:                 nethttp.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 3 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
			TLSClientConfig:       secure,
			TLSHandshakeTimeout:   3 * time.Second,
			ResponseHeaderTimeout: 10 * time.Second,
			IdleConnTimeout:       60 * time.Second,
			MaxIdleConnsPerHost:   256,
			DisableCompression:    true,
		},
		// A token goes to nobody but whom it was meant for.
		CheckRedirect: func(*nethttp.Request, []*nethttp.Request) error { return nethttp.ErrUseLastResponse },
	}}, nil
}

// Close closes the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// PublishRequest is a message for the server to make.
type PublishRequest struct {
	// Topic and Modname are joined after the server's prefix and environment.
	// Without a Modname Topic must be a whole one.
	Topic   string
	Modname string
	// Msg is the JSON text of an object; empty stands for {}.
	Msg json.RawMessage
	// ID is the message's own. Default: a fresh one.
	ID string
	// User is the publisher's login name. It does not count if the server knows
	// the publisher.
	User string
}

// Published tells what became of a message. It is on disk.
type Published struct {
	ID    string
	Seq   fedmsg.Seq
	Topic fedmsg.Topic
	// Duplicate says that the same message was there already.
	Duplicate bool
}

// Publish has the server make and publish a message. The error wraps
// [fedmsg.ErrUnavailable] if trying again may help, and then the same ID must be
// used; else it is a [fedmsg.Refusal].
func (c *Client) Publish(ctx context.Context, p PublishRequest) (Published, error) {
	fields := map[string]any{"topic": p.Topic, "msg": p.Msg, "msg_id": cmp.Or(p.ID, fedmsg.NewID(time.Now()))}
	if len(p.Msg) == 0 {
		fields["msg"] = struct{}{}
	}
	if p.Modname != "" {
		fields["modname"] = p.Modname
	}
	if p.User != "" {
		fields["username"] = p.User
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return Published{}, fmt.Errorf("publish: msg: %w", errors.Join(err, fedmsg.ErrInvalid))
	}
	return c.publish(ctx, body)
}

// PublishMessage publishes a whole message, signed or not. Errors are those of
// [Client.Publish].
func (c *Client) PublishMessage(ctx context.Context, m *fedmsg.Message) (Published, error) {
	return c.publish(ctx, m.Bytes())
}

// publish sends body until there is an answer that will not change, or patience
// ends. Every body has an ID, so sending it twice does no harm.
func (c *Client) publish(ctx context.Context, body []byte) (Published, error) {
	end := time.Now().Add(c.cfg.Patience)
	for pause := firstPause; ; pause *= 2 {
		p, after, err := c.post(ctx, body)
		if err == nil {
			return p, nil
		}
		if wait := max(jitter(pause), after); isFinal(err) || time.Now().Add(wait).After(end) || !sleep(ctx, wait) {
			return Published{}, fmt.Errorf("publish: %w", err)
		}
	}
}

// post sends body once. after is how long the server asks to be left alone.
func (c *Client) post(ctx context.Context, body []byte) (p Published, after time.Duration, err error) {
	req, err := c.request(ctx, nethttp.MethodPost, "/api/v1/publish", nil, bytes.NewReader(body))
	if err != nil {
		return p, 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.do(req)
	if err != nil {
		return p, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != nethttp.StatusCreated && resp.StatusCode != nethttp.StatusOK {
		if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
			after = time.Duration(s) * time.Second
		}
		return p, after, problemError(resp)
	}
	var r receipt
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&r); err != nil {
		return p, 0, fmt.Errorf("answer: %w: %w", fedmsg.ErrUnavailable, err)
	}
	_, _ = io.Copy(io.Discard, resp.Body) // so that the connection can be used again
	return Published{r.ID, r.Seq, r.Topic, resp.StatusCode == nethttp.StatusOK}, 0, nil
}

// MessagePage is a part of the log.
type MessagePage struct {
	Entries []fedmsg.Entry
	// Next is the place after which to go on. It is that after which this page
	// began if there is nothing more now.
	Next fedmsg.Seq
}

// An Element is an entry as the server writes it; see [AppendElement].
type Element struct {
	Seq      fedmsg.Seq      `json:"seq"`
	At       time.Time       `json:"at"`
	Verified string          `json:"verified"`
	Message  json.RawMessage `json:"message"`
}

// Entry returns the entry.
func (e Element) Entry() (fedmsg.Entry, error) {
	decode := fedmsg.Decode
	if len(e.Message) > fedmsg.MaxMessageSize {
		decode = fedmsg.DecodeHistory // it was taken: escapes made it longer
	}
	m, err := decode(e.Message)
	if err != nil {
		return fedmsg.Entry{}, fmt.Errorf("entry %d: %w", e.Seq, err)
	}
	return fedmsg.Entry{Seq: e.Seq, At: e.At, Verified: e.Verified, Message: m}, nil
}

// maxPage bounds what is read of a page, in bytes: one message more than
// pageBytes, all of whose characters were escaped.
const maxPage = pageBytes + 6*fedmsg.MaxMessageSize + 1<<20

// Messages returns entries after a place, at most limit (0 leaves that to the
// server) and perhaps fewer. The error wraps [fedmsg.ErrTooOld] if the log no
// longer keeps what follows the place.
func (c *Client) Messages(ctx context.Context, after fedmsg.Seq, limit int, topics ...fedmsg.Pattern) (MessagePage, error) {
	query := topicQuery(topics)
	query.Set("after", strconv.FormatUint(uint64(after), 10))
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	var body struct {
		Messages []Element  `json:"messages"`
		Next     fedmsg.Seq `json:"next"`
	}
	if err := c.get(ctx, "/api/v1/messages", query, &body); err != nil {
		return MessagePage{}, fmt.Errorf("messages after %d: %w", after, err)
	}
	page := MessagePage{Next: body.Next}
	for _, e := range body.Messages {
		entry, err := e.Entry()
		if err != nil {
			return MessagePage{}, fmt.Errorf("messages after %d: %w", after, err)
		}
		page.Entries = append(page.Entries, entry)
	}
	return page, nil
}

// Message returns one message by its ID, or [fedmsg.ErrNotFound].
func (c *Client) Message(ctx context.Context, id string) (fedmsg.Entry, error) {
	var e Element
	if err := c.get(ctx, "/api/v1/messages/"+url.PathEscape(id), nil, &e); err != nil {
		return fedmsg.Entry{}, fmt.Errorf("message %s: %w", id, err)
	}
	return e.Entry()
}

func topicQuery(topics []fedmsg.Pattern) url.Values {
	query := make(url.Values)
	for _, t := range topics {
		query.Add("topic", string(t))
	}
	return query
}

// Get reads the JSON that a path answers with into v, for what has no method here.
// Errors are those of [Client.Message].
func (c *Client) Get(ctx context.Context, path string, query url.Values, v any) error {
	return c.get(ctx, path, query, v)
}

// get reads JSON from a path into v.
func (c *Client) get(ctx context.Context, path string, query url.Values, v any) error {
	return c.Send(ctx, nethttp.MethodGet, path, query, nil, v)
}

// Send sends what in becomes as JSON, if it is not nil, and reads the JSON of the answer
// into out, if that is not nil. It is for what has no method here; it tries once. Errors
// are those of [Client.Message].
func (c *Client) Send(ctx context.Context, method, path string, query url.Values, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%w: %w", fedmsg.ErrInvalid, err)
		}
		body = bytes.NewReader(text)
	}
	req, err := c.request(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return problemError(resp)
	}
	if out == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxPage)).Decode(out); err != nil {
		return fmt.Errorf("answer: %w: %w", fedmsg.ErrUnavailable, err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, method, path string, query url.Values, body io.Reader) (*nethttp.Request, error) {
	u := c.base.JoinPath(path)
	u.RawQuery = query.Encode()
	req, err := nethttp.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fedmsg.ErrInvalid, err)
	}
	if c.cfg.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	}
	return req, nil
}

// do sends a request. The error wraps [fedmsg.ErrUnavailable] unless trying
// again is useless.
func (c *Client) do(req *nethttp.Request) (*nethttp.Response, error) {
	resp, err := c.http.Do(req)
	if err == nil {
		return resp, nil
	}
	if cause := context.Cause(req.Context()); cause != nil {
		return nil, cause
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return nil, &fedmsg.HintError{Err: err, Hint: "name the CA of the server's certificate, or the host as the certificate has it"}
	}
	return nil, &fedmsg.HintError{
		Err:  fmt.Errorf("%w: %w", fedmsg.ErrUnavailable, err),
		Hint: "is the bus running? start one with: fedmsg serve",
	}
}

// problemError reads the problem that an answer is.
func problemError(resp *nethttp.Response) error {
	var p problem
	err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&p)
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	kind := fedmsg.ErrInvalid
	if resp.StatusCode >= 500 {
		kind = fedmsg.ErrUnavailable
	}
	switch {
	case err != nil || p.Code == "":
		return fmt.Errorf("the server, or a proxy before it, answered %s: %w", resp.Status, kind)
	case p.Code == notFound:
		return fmt.Errorf("%s: %w", p.Detail, fedmsg.ErrNotFound)
	case p.Code == tooOld && p.First > 0:
		return trimmed{p.First}
	case p.Code == tooOld:
		return fmt.Errorf("%s: %w", p.Detail, fedmsg.ErrTooOld)
	case p.Code == internal:
		return fmt.Errorf("the server failed: %w", fedmsg.ErrUnavailable)
	}
	return &fedmsg.Refusal{Reason: p.Code, Field: p.Field, Detail: p.Detail}
}

// isFinal reports whether the same request will get the same answer.
func isFinal(err error) bool {
	return !errors.Is(err, fedmsg.ErrUnavailable) || fedmsg.ReasonOf(err) == fedmsg.StorageFull
}

// Pauses between attempts, before they are spread.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 10 * time.Second
)

// jitter spreads a pause from half of it to all of it, so that many clients do
// not come back at once.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// sleep waits; false means that ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
