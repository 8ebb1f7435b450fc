package http

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	nethttp "net/http"
	"slices"
	"strconv"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Limits of a page of messages.
const (
	defaultLimit = 100
	maxLimit     = 1000
	// pageBytes is the size from which on a page gets no more messages.
	pageBytes = 4 << 20
	// maxSteps is how often the log is asked for one page; who wants more comes
	// again with next.
	maxSteps = 64
)

// AppendElement appends an entry as JSON, in one line of ASCII but for a name in
// verified.
func AppendElement(dst []byte, e fedmsg.Entry) []byte {
	dst = append(dst, `{"seq":`...)
	dst = strconv.AppendUint(dst, uint64(e.Seq), 10)
	dst = append(dst, `,"at":"`...)
	dst = e.At.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000Z")
	dst = append(dst, `","verified":`...)
	verified, err := json.Marshal(e.Verified)
	if err != nil {
		panic(err) // cannot be: a string
	}
	dst = append(append(dst, verified...), `,"message":`...)
	return append(append(dst, e.Message.Compact()...), '}')
}

// public lets pages of other sites read an answer, without credentials.
func public(w nethttp.ResponseWriter) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Cache-Control", "no-store")
}

// messages answers with a page of the log.
func (s *Server) messages(w nethttp.ResponseWriter, r *nethttp.Request) {
	if s.cfg.Search != nil && asksForHistory(r) {
		s.cfg.Search.ServeHTTP(w, r)
		return
	}
	public(w)
	body, err := func() ([]byte, error) {
		values, err := readQuery(r, "after", "limit", "topic", "meta")
		if err != nil {
			return nil, err
		}
		after, err := number(values, "after", 0, 0, math.MaxInt64)
		if err != nil {
			return nil, err
		}
		limit, err := number(values, "limit", defaultLimit, 1, maxLimit)
		if err != nil {
			return nil, err
		}
		want, err := topics(values)
		if err != nil {
			return nil, err
		}
		fields, err := s.meta(values)
		if err != nil {
			return nil, err
		}
		if _, err := s.identify(r); err != nil {
			return nil, err
		}
		return s.page(r.Context(), fedmsg.Seq(after), int(limit), want, fields)
	}()
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	writeBytes(w, body)
}

// asksForHistory reports whether a request wants more than a part of the log.
func asksForHistory(r *nethttp.Request) bool {
	for name := range r.URL.Query() {
		if !slices.Contains([]string{"after", "limit", "topic", "meta"}, name) {
			return true
		}
	}
	return false
}

// page makes the body of a page. It holds fewer messages than asked for if they
// are large, or far apart; next says where to go on.
func (s *Server) page(ctx context.Context, after fedmsg.Seq, limit int, want []fedmsg.Pattern, meta []string) ([]byte, error) {
	body := append(make([]byte, 0, 64<<10), `{"messages":[`...)
	found := 0
	step := 32 // a message may have a megabyte
	for range maxSteps {
		entries, next, err := s.bus.Page(ctx, after, min(step, limit-found), want...)
		if err != nil {
			return nil, s.pageError(ctx, after, err)
		}
		for _, e := range entries {
			if found > 0 {
				body = append(body, ',')
			}
			body = s.appendWords(ctx, AppendElement(body, e), e, meta)
			found++
			if len(body) > pageBytes {
				next = e.Seq
				break
			}
		}
		done := next == after || found >= limit || len(body) > pageBytes
		after = next
		if done {
			break
		}
		if len(body) < pageBytes/8 {
			step = maxLimit
		}
	}
	s.delivered.Add(uint64(found), edge)
	body = append(body, `],"next":`...)
	return append(strconv.AppendUint(body, uint64(after), 10), '}', '\n'), nil
}

// pageError says what a reader can do about an error of the log.
func (s *Server) pageError(ctx context.Context, after fedmsg.Seq, err error) error {
	if errors.Is(err, fedmsg.ErrInvalid) {
		return fedmsg.RefuseField(BadQuery, "after", "parameter %q: %d is beyond the end of the log", "after", after)
	}
	if !errors.Is(err, fedmsg.ErrTooOld) {
		return err
	}
	state, stateErr := s.bus.State(ctx)
	if stateErr != nil {
		return fmt.Errorf("state of the log: %w", stateErr)
	}
	return trimmed{state.First}
}

// message answers with one message, by its ID.
func (s *Server) message(w nethttp.ResponseWriter, r *nethttp.Request) {
	public(w)
	var fields []string
	e, err := func() (fedmsg.Entry, error) {
		values, err := readQuery(r, "meta")
		if err != nil {
			return fedmsg.Entry{}, err
		}
		if fields, err = s.meta(values); err != nil {
			return fedmsg.Entry{}, err
		}
		if _, err := s.identify(r); err != nil {
			return fedmsg.Entry{}, err
		}
		id := r.PathValue("id")
		if fedmsg.ValidateID(id) != nil {
			return fedmsg.Entry{}, fedmsg.ErrNotFound
		}
		e, err := s.bus.Find(r.Context(), id)
		if s.cfg.Older != nil && errors.Is(err, fedmsg.ErrNotFound) {
			return s.cfg.Older.Find(r.Context(), id)
		}
		return e, err
	}()
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.delivered.Add(1, edge)
	writeBytes(w, append(s.appendWords(r.Context(), AppendElement(nil, e), e, fields), '\n'))
}

// writeBytes answers with JSON that is made already.
func writeBytes(w nethttp.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // if the peer is gone, nobody is left to tell
}
