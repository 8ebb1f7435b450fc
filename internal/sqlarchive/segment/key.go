package segment

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// A time key, k, is where a message stands in time: milliseconds since 1970, and
// below them a serial number that tells in which order messages of the same
// millisecond came. It is the primary key of messages and the tail of every
// posting list, so lists need no sorting, and a time range is a range of keys.
const (
	SerialBits = 20
	// maxMillis keeps keys positive, in the year 2248. Messages are stamped by
	// their publishers; what lies beyond counts as this moment, and what lies
	// before 1970 as 1970. Their own times are in them, unchanged.
	maxMillis = 1<<(63-SerialBits) - 2
)

// FirstKey returns the first key of the millisecond that t is in.
func FirstKey(t time.Time) int64 { return ClampMillis(t) << SerialBits }

// Bounds returns the range of keys from since, included, to until, not included;
// to the millisecond. A zero time is no bound.
func Bounds(since, until time.Time) (from, to int64) {
	to = MaxKey
	if !since.IsZero() {
		from = FirstKey(since)
	}
	if !until.IsZero() && ClampMillis(until) < maxMillis {
		to = FirstKey(until)
	}
	return from, to
}

// maxKey is beyond all keys.
const MaxKey = 1<<63 - 1

func ClampMillis(t time.Time) int64 {
	if seconds := t.Unix(); seconds < 0 {
		return 0
	} else if seconds >= maxMillis/1000 {
		return maxMillis
	}
	return t.UnixMilli()
}

// KeyTime returns the time of a key.
func KeyTime(k int64) time.Time { return time.UnixMilli(k >> SerialBits).UTC() }

// An hour and a day are numbers of them since 1970, in UTC.
const (
	HourMillis = 3600 * 1000
	DayMillis  = 24 * HourMillis
)

func hourOf(k int64) int64 { return k >> SerialBits / HourMillis }
func dayOf(k int64) int64  { return k >> SerialBits / DayMillis }

// monthLayout is how months are named: 2026-03.
const monthLayout = "2006-01"

// MonthOf returns the name of the month that a key is in.
func MonthOf(k int64) string { return KeyTime(k).Format(monthLayout) }

// monthKeys returns the first key of a month and the first one after it.
func monthKeys(month string) (from, to int64, err error) {
	t, err := time.Parse(monthLayout, month)
	if err != nil {
		return 0, 0, err
	}
	from, to = Bounds(t, t.AddDate(0, 1, 0))
	return from, to, nil
}

// A place is a Seq together with the log that it means something in: the number
// of the log's epoch above, the Seq below.
const SeqBits = 46

// MakePlace returns the place of a Seq; 0 if it has none.
func MakePlace(epoch int64, seq fedmsg.Seq) int64 {
	if seq == 0 {
		return 0
	}
	return epoch<<SeqBits | int64(seq)
}

// PlaceSeq returns the Seq of a place in an epoch; 0 if it is of another.
func PlaceSeq(epoch, place int64) fedmsg.Seq {
	if place>>SeqBits != epoch {
		return 0
	}
	return fedmsg.Seq(place & (1<<SeqBits - 1))
}

// uid is what an ID is found by: 8 bytes of its hash, as a number. Two IDs may
// share one; who looks compares the IDs themselves.
func UID(id string) int64 {
	sum := sha256.Sum256([]byte(id))
	return int64(binary.BigEndian.Uint64(sum[:]))
}

// appendIDs appends lists of term IDs, each after its length.
func appendIDs(dst []byte, lists ...[]int64) []byte {
	for _, list := range lists {
		dst = binary.AppendUvarint(dst, uint64(len(list)))
		for _, id := range list {
			dst = binary.AppendUvarint(dst, uint64(id))
		}
	}
	return dst
}

// readIDs reads lists that appendIDs wrote; what is cut off is left out.
func readIDs(src []byte, lists ...*[]int64) {
	next := func() uint64 {
		v, n := binary.Uvarint(src)
		if n <= 0 {
			src = nil
			return 0
		}
		src = src[n:]
		return v
	}
	for _, list := range lists {
		*list = (*list)[:0]
		for n := next(); n > 0 && len(src) > 0; n-- {
			*list = append(*list, int64(next()))
		}
	}
}
