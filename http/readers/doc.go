// Package readers keeps the places of named readers for programs that read over HTTP, so
// that a program which was away goes on where it was, without files of its own.
//
//	PUT    /api/v1/readers/mirror        makes a reader: what it wants, and from where
//	GET    /api/v1/readers/mirror/next   gives what comes after its place
//	POST   /api/v1/readers/mirror/ack    moves its place, when the work is done
//
// # Words
//
//   - Reader: a name, what it wants, and a place in the log.
//   - Instance: a program that works for a reader. One at a time: by asking it gets a
//     lease, which ends some time after it was last heard of. Others are told who it is.
//   - Turn: changes whenever somebody moves a reader by hand, or the log is another one. An
//     instance that began before is told so, and begins anew.
//   - Dead letter: a message that a reader gave up, kept with the reason.
//
// # Promises
//
//   - A place moves only by an ack or a person's wish, and the answer to that is given when
//     it is on disk. What was not acknowledged is given again.
//   - A dead letter is on disk before the place passes it.
//   - A reader holds back neither the log nor other readers. What the log and the archive
//     behind it no longer have is told as a gap, and counted.
//   - A reader that nobody works for is told, in the log and in the list. It is not removed.
//
// This package may change without notice; see the README for what is stable.
package readers
