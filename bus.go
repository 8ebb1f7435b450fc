package fedmsg

import (
	"context"
	"iter"
	"log/slog"
	"time"
)

// Seq is a place in this bus's log, counted from 1. 0 is before the first.
type Seq uint64

// Entry is a message with what this bus adds to it.
type Entry struct {
	// Seq is the place in the log; 0 in an entry that has none yet.
	Seq Seq
	// At is when the log took the message, to the microsecond, in UTC.
	At time.Time
	// Verified says what the message was checked against at the gate:
	// "x509:CN" for a good signature, "token:NAME" or "mtls:CN" for a publisher
	// that the edge knew, "none" for an unsigned one from an allowed address.
	Verified string
	// Message is what the publisher said.
	Message *Message
}

// Unverified is the stamp of a message that nobody vouched for.
const Unverified = "none"

// LogValue keeps bodies and signatures out of logs.
func (e Entry) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Uint64("seq", uint64(e.Seq)),
		slog.String("id", e.Message.ID),
		slog.String("topic", string(e.Message.Topic)))
}

// Receipt is the answer to one published message.
type Receipt struct {
	// Seq is the message's place in the log. It is a promise: the message is on
	// disk and will reach every reader. 0 if Err is set.
	Seq Seq
	// At is when the log took the message, as in [Entry.At].
	At time.Time
	// Duplicate says that the same message, by ID and content, had this place
	// already.
	Duplicate bool
	// Err says why the message has no place. A message that got an error was
	// not stored, or is stored once: publishing it again does no harm.
	Err error
}

// Publisher is the way into the bus.
type Publisher interface {
	// Publish puts messages into the log, in the order given, and returns one
	// receipt for each, in the same order. It returns when all are on disk or
	// refused. Messages given together share one disk write. The [Origin] in
	// ctx says who asks.
	Publish(ctx context.Context, messages ...*Message) []Receipt
}

// Reader is the way out of the bus.
type Reader interface {
	// Read yields all entries after the given place whose topic matches one of
	// the patterns (none means all), in Seq order, and then goes on with new
	// ones as they come. A batch holds at least one entry and must not be
	// changed. The iteration ends with the caller's break, or with one error:
	// the cause of ctx; [ErrTooOld] if the log no longer holds what follows
	// after, or ErrInvalid if after lies beyond the end of the log.
	Read(ctx context.Context, after Seq, want ...Pattern) iter.Seq2[[]Entry, error]
}

// Finder finds one message.
type Finder interface {
	// Find returns the entry of the message with this ID, or [ErrNotFound].
	Find(ctx context.Context, id string) (Entry, error)
}

// Log is the one ordered record of everything that was published.
type Log interface {
	Finder

	// Append gives each entry the next place and the present time, and returns
	// when all are safe on disk. The caller's Seq and At are not looked at. An
	// entry whose ID the log holds already keeps its old place if its
	// [Message.Digest] is the same (Receipt.Duplicate), else its receipt has a
	// [Refusal] with [MsgIDConflict]. Other errors: StorageFull below the
	// free-space floor, LogUnavailable when the disk does not answer in time.
	Append(ctx context.Context, batch ...Entry) []Receipt

	// Page returns at once with the entries after the given place, at most
	// limit of them, whose topic matches one of the patterns (none means all).
	// It may look at a bounded number of entries only: next is the last place
	// that it looked at (at least after), from where to go on. next == after
	// means that there is nothing more now. It returns [ErrTooOld] if entries after
	// the given place were there and are no longer.
	Page(ctx context.Context, after Seq, limit int, want ...Pattern) (page []Entry, next Seq, err error)

	// State tells how the log is.
	State(ctx context.Context) (LogState, error)
}

// LogState describes a log.
type LogState struct {
	// Epoch is a random word made with the log: a Seq means something only
	// together with it. It has the form [0-9a-f]{16}.
	Epoch string
	// First and Last are the places of the oldest and newest entries. An empty
	// log has First == Last+1.
	First, Last Seq
	// Bytes is the size of the log; Free is what the file system has left for
	// it. Both in bytes; -1 if it is not known.
	Bytes, Free int64
	// Problem is nil while the log takes messages, else why it does not.
	Problem error
}

// Cursors remembers how far each named reader has come.
type Cursors interface {
	// Load returns the place saved under name, 0 if there is none.
	Load(ctx context.Context, name string) (Seq, error)
	// Save stores a place under a name, durably.
	Save(ctx context.Context, name string, at Seq) error
}

// Notes keeps small documents beside cursors: what else there is to know of readers.
type Notes interface {
	// Notes returns the documents whose names begin with prefix.
	Notes(ctx context.Context, prefix string) (map[string][]byte, error)
	// Note stores documents under their names, durably, all of them or none. One that
	// is nil is removed.
	Note(ctx context.Context, documents map[string][]byte) error
}

// Source is an in-edge.
type Source interface {
	// Run publishes what comes from outside until ctx ends, and then returns
	// nil. What it cannot publish it counts and drops: bad input never stops a
	// source.
	Run(ctx context.Context, p Publisher) error
}

// Sink is an out-edge.
type Sink interface {
	// Deliver passes a batch on, in order. It is io.Writer for entries:
	// n < len(batch) if and only if err != nil, and the rest comes again later.
	Deliver(ctx context.Context, batch []Entry) (n int, err error)
}

// Signer signs messages.
type Signer interface {
	// Sign returns a signed copy of m.
	Sign(ctx context.Context, m *Message) (*Message, error)
}

// Verifier judges signatures and routing policy.
type Verifier interface {
	// Verify returns the stamp for [Entry.Verified], such as "x509:CN", or a
	// [Refusal]: [Unsigned] if m has no signature at all.
	Verify(ctx context.Context, m *Message) (string, error)
}

// Each flattens batches for a reader that wants single entries.
func Each(batches iter.Seq2[[]Entry, error]) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for batch, err := range batches {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, e := range batch {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}
