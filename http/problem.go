package http

import (
	"context"
	"encoding/json"
	"errors"
	nethttp "net/http"
	"strconv"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/query"
)

// Codes of problems that only this edge has.
const (
	// BadQuery is a parameter that is not what it should be.
	BadQuery fedmsg.Reason = "bad_query"
	// QueryTimeout is a question that takes too long.
	QueryTimeout fedmsg.Reason = "query_timeout"
	// BadOrigin is a page of another site that acts in the name of who looks at it.
	BadOrigin fedmsg.Reason = "bad_origin"
	// ReaderBusy is a named reader that another instance has.
	ReaderBusy fedmsg.Reason = "reader_busy"
	// ReaderMoved is a named reader that is no longer where an instance began.
	ReaderMoved      fedmsg.Reason = "reader_moved"
	notFound         fedmsg.Reason = "not_found"
	tooOld           fedmsg.Reason = "too_old"
	methodNotAllowed fedmsg.Reason = "method_not_allowed"
	mediaType        fedmsg.Reason = "unsupported_media_type"
	crossSite        fedmsg.Reason = "cross_site"
	internal         fedmsg.Reason = "internal"
)

// statuses are the HTTP status codes of the reasons that are not simply the
// sender's mistake, 400.
var statuses = map[fedmsg.Reason]int{
	fedmsg.Unsigned:           nethttp.StatusUnauthorized,
	fedmsg.Unauthenticated:    nethttp.StatusUnauthorized,
	fedmsg.InvalidToken:       nethttp.StatusUnauthorized,
	fedmsg.TokenExpired:       nethttp.StatusUnauthorized,
	fedmsg.NotAuthorized:      nethttp.StatusForbidden,
	crossSite:                 nethttp.StatusForbidden,
	BadOrigin:                 nethttp.StatusForbidden,
	notFound:                  nethttp.StatusNotFound,
	methodNotAllowed:          nethttp.StatusMethodNotAllowed,
	fedmsg.MsgIDConflict:      nethttp.StatusConflict,
	ReaderBusy:                nethttp.StatusConflict,
	ReaderMoved:               nethttp.StatusConflict,
	tooOld:                    nethttp.StatusGone,
	fedmsg.TooLarge:           nethttp.StatusRequestEntityTooLarge,
	mediaType:                 nethttp.StatusUnsupportedMediaType,
	fedmsg.RateLimited:        nethttp.StatusTooManyRequests,
	fedmsg.TooManyConnections: nethttp.StatusTooManyRequests,
	internal:                  nethttp.StatusInternalServerError,
	fedmsg.LogUnavailable:     nethttp.StatusServiceUnavailable,
	fedmsg.CRLUnavailable:     nethttp.StatusServiceUnavailable,
	fedmsg.CRLExpired:         nethttp.StatusServiceUnavailable,
	fedmsg.StorageFull:        nethttp.StatusInsufficientStorage,
	QueryTimeout:              nethttp.StatusGatewayTimeout,
}

// problem is the body of an answer that is not what was asked for: RFC 9457.
type problem struct {
	Type   string        `json:"type"`
	Title  string        `json:"title"`
	Status int           `json:"status"`
	Code   fedmsg.Reason `json:"code"`
	Detail string        `json:"detail,omitempty"`
	Field  string        `json:"field,omitempty"`
	// First is the oldest place that the log keeps, with the code too_old.
	First fedmsg.Seq `json:"first,omitempty"`
	// Line is what was read of a query, Position and Length, in bytes, what is wrong
	// in it; Length is 0 where something is missing. Hint says what to do.
	Line     string `json:"line,omitempty"`
	Position *int   `json:"position,omitempty"`
	Length   *int   `json:"length,omitempty"`
	Hint     string `json:"hint,omitempty"`
}

// A trimmed error says that the log no longer keeps what was asked for.
type trimmed struct{ first fedmsg.Seq }

func (e trimmed) Error() string {
	return "the log keeps nothing older than " + strconv.FormatUint(uint64(e.first), 10) + "; go on after " + strconv.FormatUint(uint64(e.first-1), 10)
}

func (e trimmed) Unwrap() error { return fedmsg.ErrTooOld }

// problemOf says what to answer. What is nobody's business is not in it.
func problemOf(err error) problem {
	p := problem{Type: "about:blank", Detail: err.Error()}
	if r, ok := errors.AsType[*fedmsg.Refusal](err); ok {
		p.Code, p.Field, p.Detail, p.Hint = r.Reason, r.Field, r.Detail, fedmsg.Hint(err)
	} else if wrong, ok := errors.AsType[*query.Error](err); ok {
		p.Code, p.Field, p.Detail, p.Hint = BadQuery, clip(wrong.Param), wrong.Error(), wrong.Hint
		p.Line, p.Position, p.Length = wrong.Line, &wrong.Pos, &wrong.Len
	} else if old, ok := errors.AsType[trimmed](err); ok {
		p.Code, p.First = tooOld, old.first
	} else if errors.Is(err, fedmsg.ErrTooOld) {
		p.Code = tooOld
	} else if errors.Is(err, fedmsg.ErrNotFound) {
		p.Code, p.Detail = notFound, "there is no such thing here"
	} else if errors.Is(err, fedmsg.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		p.Code, p.Detail = fedmsg.LogUnavailable, "the log did not answer in time; what was sent may have been stored, and sending it again is safe"
	} else {
		p.Code, p.Detail = internal, "internal error"
	}
	var ok bool
	if p.Status, ok = statuses[p.Code]; !ok {
		p.Status = nethttp.StatusBadRequest
	}
	p.Title = nethttp.StatusText(p.Status)
	return p
}

// judged is an error that the gate has counted already.
type judged struct{ error }

func (j judged) Unwrap() error { return j.error }

// lingerTimeout is how long a refused body may go on coming.
const lingerTimeout = 500 * time.Millisecond

// refuse answers with the problem that err is, and counts it. A request whose
// body was not read ends its connection, so that no byte of it can be taken for
// another request.
func (s *Server) refuse(w nethttp.ResponseWriter, r *nethttp.Request, err error) {
	p := problemOf(err)
	if _, counted := errors.AsType[judged](err); !counted {
		s.rejected.Add(1, edge, string(p.Code))
	}
	if p.Code == internal {
		s.logger.ErrorContext(r.Context(), "request failed", "route", r.Pattern, "err", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	switch p.Code {
	case fedmsg.Unauthenticated, fedmsg.Unsigned:
		h.Set("WWW-Authenticate", "Bearer")
	case fedmsg.InvalidToken, fedmsg.TokenExpired:
		h.Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	case fedmsg.LogUnavailable, fedmsg.RateLimited, fedmsg.TooManyConnections, fedmsg.CRLUnavailable, fedmsg.CRLExpired, fedmsg.StorageFull:
		if h.Get("Retry-After") == "" {
			h.Set("Retry-After", "1")
		}
	}
	if a, ok := w.(*answer); r.ContentLength != 0 && !(ok && a.bodyRead) {
		h.Set("Connection", "close")
		// What is on its way may come, so that the answer is not lost in a reset;
		// but nobody waits for it.
		_ = nethttp.NewResponseController(w).SetReadDeadline(time.Now().Add(lingerTimeout))
	}
	writeJSON(w, p.Status, p)
}

// writeJSON answers with v, which can be encoded. The Content-Type is JSON's
// unless it is set already.
func writeJSON(w nethttp.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // cannot be: our own structs
	}
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // if the peer is gone, nobody is left to tell
}
