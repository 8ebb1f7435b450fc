package readers

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// afterID begins a place that is behind a message.
const afterID = "id:"

// resolve finds a place: now, begin, a number, a time as RFC 3339 has it (what the log took
// from then on comes next), or id: and the ID of the message behind which it is.
func (a *API) resolve(ctx context.Context, to string) (at fedmsg.Seq, epoch string, err error) {
	state, err := a.cfg.Log.State(ctx)
	if err != nil {
		return 0, "", err
	}
	wrong := func(format string, args ...any) (fedmsg.Seq, string, error) {
		return 0, "", &fedmsg.HintError{Err: fedmsg.RefuseField(fedmsg.BadField, "to", format, args...),
			Hint: "it is now, begin, a place, a time such as 2026-11-24T10:00:00Z, or id: and the ID of a message"}
	}
	switch {
	case to == "now" || to == "":
		return state.Last, state.Epoch, nil
	case to == "begin":
		at, err := a.search(ctx, state, func(fedmsg.Entry) bool { return true })
		return at, state.Epoch, err
	case strings.HasPrefix(to, afterID):
		id := strings.TrimPrefix(to, afterID)
		if fedmsg.ValidateID(id) != nil {
			return wrong("is not the ID of a message")
		}
		e, err := a.cfg.Find.Find(ctx, id)
		if errors.Is(err, fedmsg.ErrNotFound) || err == nil && e.Seq == 0 {
			return wrong("there is no message %s in the log", id)
		}
		return e.Seq, state.Epoch, err
	}
	if seq, err := strconv.ParseUint(to, 10, 63); err == nil {
		if fedmsg.Seq(seq) > state.Last {
			return wrong("%d is beyond the end of the log, %d", seq, state.Last)
		}
		return fedmsg.Seq(seq), state.Epoch, nil
	}
	when, err := time.Parse(time.RFC3339, to)
	if err != nil {
		return wrong("%q is no place", strings.ToValidUTF8(to[:min(len(to), 64)], "?"))
	}
	at, err = a.search(ctx, state, func(e fedmsg.Entry) bool { return !e.At.Before(when) })
	return at, state.Epoch, err
}

// search returns the place before the oldest entry for which is holds, which must hold
// for all that follow: log time goes on from entry to entry.
func (a *API) search(ctx context.Context, state fedmsg.LogState, is func(fedmsg.Entry) bool) (fedmsg.Seq, error) {
	low, high := fedmsg.Seq(0), state.Last // the answer is in here, both included
	for low < high {
		middle := low + (high-low)/2
		page, _, err := a.cfg.Log.Page(ctx, middle, 1)
		switch {
		case err != nil && !errors.Is(err, fedmsg.ErrTooOld):
			return 0, err
		case len(page) > 0 && is(page[0]):
			high = middle
		default: // too early, or no longer there
			low = middle + 1
		}
	}
	return low, nil
}
