// Package fedmsg is the vocabulary of a message bus: what a message is, where it
// stands in the one log, and what may put messages in or take them out.
//
// # One line
//
// Everything the bus does is one straight line:
//
//	Source -> Gate -> Log -> Pump -> Sink
//
// A [Source] takes messages in from the outside world. The gate (package bus)
// verifies them and appends them to the [Log], which gives each a [Seq]. From
// there on nobody pushes: every reader, whether it is the archive, a ZeroMQ
// socket, a browser or a chat bot, reads the log at its own pace, from its own
// cursor.
//
// # Words
//
//   - Message: what a publisher said. Signed, and never changed afterwards.
//   - Entry: a Message with the place, the time and the verdict that this bus
//     added to it.
//   - Seq: a place in this bus's log, counted from 1. 0 stands before the first.
//   - Cursor: the Seq of the last Entry that a named reader has dealt with.
//   - Topic, Pattern: a message's dotted name, and a way to ask for many of them.
//   - Refusal: why something was not taken, in one of a fixed set of words.
//   - Origin: from where, and from whom, a message came to an edge.
//
// # Promises
//
// Delivery is at least once and in Seq order. A reader must tolerate the same
// Entry twice; it can tell by [Message.ID]. Nothing in this package does I/O,
// starts a goroutine or reads the clock, and it imports the standard library
// only.
package fedmsg
