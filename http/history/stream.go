package history

import (
	"context"
	"errors"
	"fmt"
	nethttp "net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/route"
	"github.com/fedora-infra/fedmsg-go/http/sse"
	"github.com/fedora-infra/fedmsg-go/query"
)

const (
	// maxLastEventID is far beyond any that we make, in bytes.
	maxLastEventID = 512
	// pastPage is how many messages of the past are taken from the archive at once.
	pastPage = 200
	// briefPast is how far a stream may look back without counting as one out of the past:
	// a page that was just made asks for what came meanwhile.
	briefPast = time.Minute
)

// A spot is where a stream is. In the past, which is told in the order of time, it is
// on a page of a search; live is the place in the log from which it goes on then,
// and all that the archive had up to there belongs to the past. So each message is
// told once: in the past, or live.
type spot struct {
	epoch string
	live  fedmsg.Seq
	past  bool
	since time.Time
	// told is how many entries of the page at cursor were told. Those that came in
	// meanwhile, and lie between them, do not count: they will be told live.
	told   int
	cursor string
}

// String returns the ID of an event: EPOCH-SEQ for a live one, as all streams of this
// bus have it, and EPOCH-SEQ.SINCE.TOLD.CURSOR for one of the past.
func (s spot) String() string {
	id := s.epoch + "-" + strconv.FormatUint(uint64(s.live), 10)
	if s.past {
		id += fmt.Sprintf(".%d.%d.%s", s.since.UnixMilli(), s.told, s.cursor)
	}
	return id
}

// parseSpot reads what [spot.String] writes.
func parseSpot(text string) (s spot, ok bool) {
	parts := strings.Split(text, ".")
	if s.epoch, s.live, ok = http.ParseEventID(parts[0]); !ok || len(parts) == 1 {
		return s, ok
	}
	if len(parts) != 4 {
		return s, false
	}
	ms, err := strconv.ParseInt(parts[1], 10, 64)
	told, err2 := strconv.ParseUint(parts[2], 10, 16)
	s.past, s.since, s.told, s.cursor = true, time.UnixMilli(ms).UTC(), int(told), parts[3]
	return s, err == nil && err2 == nil && s.String() == text
}

// A following is one stream.
type following struct {
	*API
	r       *route.Request
	shape   shape
	matcher *query.Matcher
	st      *sse.Stream
	spot    spot
	marked  time.Time // when the reader last heard where it is
}

// stream tells what a query finds: what there was since a time or an event, and then
// what comes.
func (a *API) stream(w nethttp.ResponseWriter, r *route.Request) error {
	if a.cfg.Log == nil {
		return fedmsg.ErrNotFound
	}
	s, err := a.shape(r)
	if err != nil {
		return err
	}
	if !r.Query.Until.IsZero() || r.Query.OldestFirst {
		return route.Wrong("q", r.Text("q"), "leave out before:, on: and order:", "a stream has no end and one order")
	}
	state, err := a.cfg.Log.State(r.Context())
	if err != nil {
		return err
	}
	f := &following{API: a, r: r, shape: s, matcher: query.NewMatcher(r.Query.Filter, a.describer())}
	missing, err := f.begin(state)
	if err != nil {
		return err
	}
	leave, err := place(a.streams, r.Request)
	if err != nil {
		return err
	}
	defer leave()
	done := func() {}
	if f.spot.past && r.Now.Sub(f.spot.since) > briefPast {
		if done, err = place(a.exports, r.Request); err != nil {
			return err
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	if r.Method == nethttp.MethodHead {
		done()
		return nil
	}
	if err := f.run(w, state, missing, done); errors.Is(err, os.ErrDeadlineExceeded) {
		a.logger.InfoContext(r.Context(), "reader cut: it does not read", "route", r.Pattern)
	}
	return nil
}

// begin finds where the stream begins.
func (f *following) begin(state fedmsg.LogState) (missing http.GapReason, err error) {
	last, after := f.r.Header.Get("Last-Event-ID"), f.r.Text("after")
	if len(last) > maxLastEventID {
		return "", fedmsg.RefuseField(fedmsg.BadField, "Last-Event-ID", "has %d bytes, at most %d are allowed", len(last), maxLastEventID)
	}
	f.spot = spot{epoch: state.Epoch, live: state.Last}
	since := f.r.Query.Since
	if last == "" {
		last = after
		if _, ok := parseSpot(after); !ok && after != "" {
			q, err := query.FromURL(url.Values{"after": {after}}, f.r.Now)
			if err != nil {
				return "", err
			}
			last, since = "", q.Since
		}
	}
	if last == "" {
		if !since.IsZero() {
			f.spot.past, f.spot.since, f.spot.live = true, since, min(f.cfg.Archive.Last(), state.Last)
		}
		return "", nil
	}
	at, ok := parseSpot(last)
	switch {
	case !ok:
		return http.GapUnknown, nil
	case at.past && at.epoch != state.Epoch:
		at.epoch, at.live = state.Epoch, min(f.cfg.Archive.Last(), state.Last)
	case at.epoch != state.Epoch:
		f.spot.live = state.First - 1
		return http.GapEpoch, nil
	case at.live > state.Last:
		return http.GapUnknown, nil
	}
	f.spot = at
	if at.past { // a cursor that is none is refused before the stream begins
		_, err = f.cfg.Archive.Search(f.r.Context(), f.pageQuery(1))
	}
	return "", err
}

// pageQuery asks for the page on which the stream is.
func (f *following) pageQuery(limit int) fedmsg.Query {
	return fedmsg.Query{Filter: f.r.Query.Filter, Since: f.spot.since, OldestFirst: true, Limit: limit, Cursor: f.spot.cursor}
}

// run writes events until the reader leaves, is too slow, or the server stops.
func (f *following) run(w nethttp.ResponseWriter, state fedmsg.LogState, missing http.GapReason, done func()) error {
	ctx, cancel := context.WithCancelCause(f.r.Context())
	defer cancel(nil)
	f.st = sse.New(w, f.r.Request, f.cfg.Limits.WriteTimeout, f.cfg.Heartbeat, cancel)
	defer f.st.Close()
	go func() {
		select {
		case <-http.Stopping(f.r.Request):
			f.st.Hurry()
			cancel(errStopping)
		case <-ctx.Done():
		}
	}()
	err := f.st.Write([]byte("retry: " + sse.RetryHint() + "\n: epoch " + state.Epoch + " last " + strconv.FormatUint(uint64(state.Last), 10) + "\n\n"))
	if err == nil && f.spot.past {
		err = f.past(ctx)
	}
	done()
	for err == nil {
		if missing != "" {
			err = f.st.Write([]byte("id: " + f.spot.String() + "\nevent: gap\ndata: " + string(route.JSON(http.Gap{Reason: missing, First: state.First, Last: state.Last, After: f.spot.live})) + "\n\n"))
		}
		if err == nil {
			err = f.live(ctx)
		}
		if !errors.Is(err, fedmsg.ErrTooOld) {
			break
		}
		if state, err = f.cfg.Log.State(ctx); err == nil { // neither log nor archive has what comes next
			f.spot.live, missing = state.First-1, http.GapTooOld
		}
	}
	if cause := context.Cause(ctx); errors.Is(cause, errStopping) {
		return f.st.Write([]byte("retry: " + sse.RetryHint() + "\n\n"))
	} else if errors.Is(err, context.Canceled) {
		return cause // the heartbeat's error, perhaps
	}
	return err
}

// past tells what the archive has, up to the place where the stream goes on live.
func (f *following) past(ctx context.Context) error {
	for {
		page, err := f.cfg.Archive.Search(ctx, f.pageQuery(pastPage))
		if err != nil {
			return err
		}
		past := slices.DeleteFunc(slices.Clone(page.Entries), func(e fedmsg.Entry) bool { return e.Seq > f.spot.live })
		entries := past[min(f.spot.told, len(past)):]
		err = f.st.WriteAll(func(yield func([]byte) bool) {
			for _, e := range entries {
				f.spot.told++
				if !yield(f.event(ctx, e)) {
					return
				}
			}
		})
		if err != nil {
			return err
		}
		if page.Next == "" {
			f.spot.past = false
			return f.mark()
		}
		// What came in since the page was told first takes room on it, so that some of
		// what was told may stand on the next one now.
		f.spot.cursor, f.spot.told = page.Next, f.spot.told-len(past)
	}
}

// live tells what the log has, and goes on with what comes.
func (f *following) live(ctx context.Context) error {
	for batch, err := range f.cfg.Log.Read(ctx, f.spot.live, f.matcher.Patterns()...) {
		if err != nil {
			return err
		}
		var found []fedmsg.Entry
		for _, e := range batch {
			if f.matcher.Match(ctx, e) {
				found = append(found, e)
			}
		}
		if len(found) > 0 {
			err = f.st.WriteAll(func(yield func([]byte) bool) {
				for _, e := range found {
					f.spot.live = e.Seq
					if !yield(f.event(ctx, e)) {
						return
					}
				}
			})
		}
		f.spot.live = batch[len(batch)-1].Seq
		if len(found) == 0 && time.Since(f.marked) > f.cfg.Heartbeat {
			err = f.mark()
		}
		if err == nil {
			err = sse.Pause(ctx, f.streams.Taken())
		}
		if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// mark tells where the stream is, without an event: so that who comes back need not
// begin far behind.
func (f *following) mark() error {
	f.marked = time.Now()
	return f.st.Write([]byte("id: " + f.spot.String() + "\n\n"))
}

// event returns the text of an event.
func (f *following) event(ctx context.Context, e fedmsg.Entry) []byte {
	f.marked = time.Now()
	text := append(make([]byte, 0, len(e.Message.Compact())+256), "id: "...)
	text = append(append(text, f.spot.String()...), "\ndata: "...)
	return append(f.appendElement(ctx, text, e, f.shape), "\n\n"...)
}
