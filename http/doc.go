// Package http is the HTTP edge of the bus: a server to publish, page through
// and follow messages, and the client for it.
//
//	curl -d 'hello' http://127.0.0.1:8330/api/v1/publish/git.repo.update
//	curl -N http://127.0.0.1:8330/api/v1/events
//
// # Server
//
// A publish is answered when the message is on disk, with its place in the log.
// Whatever is refused is refused with a problem document (RFC 9457) whose code is
// a [fedmsg.Reason]; the words that only this edge has are beside the table of
// status codes in problem.go.
//
// A stream of events is the reader's own loop over the log. Its place is in the
// event IDs, EPOCH-SEQ, so a reader that was cut, or was too slow, comes back
// with its last ID and misses nothing. What cannot be had any more is said in an
// event of its own, gap.
//
// # Who may publish
//
// A bearer token (see [TokenFile]) or a client certificate says who speaks, and
// for which topics; the server signs for them. A message that its publisher
// signed needs neither: the gate behind the server verifies it. On a listener
// that only this machine can reach, and while there are no tokens, anybody may
// publish if [Config.AllowAnonymousLoopback] says so.
//
// Everything may be read by everybody.
package http
