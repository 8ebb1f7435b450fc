// Package query is the one language for asking which messages: of a history, of a
// stream, of a feed. It makes a [fedmsg.Query] of a search line ([Parse]) or of the
// parameters of a URL ([FromURL]), and a line of a query again ([String]).
//
//	topic:*.build.* user:ralph -category:ansible after:2d "free text" body.build_id:123
//
// docs/query.md has the whole grammar.
//
// # Two readings
//
// A [fedmsg.Filter] is read twice: an archive plans by it, and a [Matcher] tests
// single messages as they pass. What both find is the same; what a test looks at in
// a body is for internal/body to say.
//
// # Promises
//
// What Parse and FromURL return is in normal form: no All in an All, no Any in an
// Any, none with one branch, no Not of a Not, words of a text one by one, times
// whole milliseconds in UTC. Parse(String(q)) is q for each of them. Bad input is an
// [Error], which points at the place; it is never a query that asks for something
// else. Nothing here reads the clock.
package query
