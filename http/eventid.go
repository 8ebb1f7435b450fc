package http

import (
	"strconv"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// An eventID is a place in one log: EPOCH-SEQ, as in 0123456789abcdef-42.
type eventID struct {
	epoch string
	seq   fedmsg.Seq
}

func (id eventID) String() string {
	return id.epoch + "-" + strconv.FormatUint(uint64(id.seq), 10)
}

// parseEventID reads what [eventID.String] writes, and nothing else.
func parseEventID(text string) (id eventID, ok bool) {
	epoch, digits, found := strings.Cut(text, "-")
	if !found || len(epoch) != 16 || strings.Trim(epoch, "0123456789abcdef") != "" {
		return eventID{}, false
	}
	seq, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || digits[0] == '+' || digits[0] == '0' && digits != "0" {
		return eventID{}, false
	}
	return eventID{epoch, fedmsg.Seq(seq)}, true
}

// ParseEventID reads the ID of an event: the epoch of a log and a place in it. ok is
// false for anything else.
func ParseEventID(text string) (epoch string, seq fedmsg.Seq, ok bool) {
	id, ok := parseEventID(text)
	return id.epoch, id.seq, ok
}

// A GapReason says why a stream does not go on where its reader was.
type GapReason string

// The reasons of gaps.
const (
	// GapEpoch: the reader was on another log. It gets all of this one.
	GapEpoch GapReason = "epoch"
	// GapTooOld: the log no longer keeps what follows. It gets what is kept.
	GapTooOld GapReason = "too_old"
	// GapUnknown: there never was such a place. It gets what comes from now on.
	GapUnknown GapReason = "unknown"
)

// A Gap says that messages may be missing before what follows in a stream. It is
// the data of the event gap.
type Gap struct {
	Reason GapReason `json:"reason"`
	// First and Last are the oldest and newest places that the log has.
	First fedmsg.Seq `json:"first"`
	Last  fedmsg.Seq `json:"last"`
	// After is the place after which the stream goes on.
	After fedmsg.Seq `json:"after"`
}

// place finds where a reader goes on that was at id, given as text, and whether
// that leaves a gap.
func place(text string, state fedmsg.LogState) (after fedmsg.Seq, gap GapReason) {
	id, ok := parseEventID(text)
	switch {
	case !ok:
		return state.Last, GapUnknown
	case id.epoch != state.Epoch:
		return state.First - 1, GapEpoch
	}
	return placeOf(id.seq, state)
}

// placeOf is place for a number that is of this log.
func placeOf(seq fedmsg.Seq, state fedmsg.LogState) (after fedmsg.Seq, gap GapReason) {
	switch {
	case seq > state.Last:
		return state.Last, GapUnknown
	case seq+1 < state.First:
		return state.First - 1, GapTooOld
	}
	return seq, ""
}
