// Package irc speaks the client's side of IRC, and tells channels what happens on the
// bus.
//
// A [Client] is one connection: RFC 1459 and 2812, of IRCv3 what helps (CAP, SASL,
// message tags, CHGHOST). It keeps its nick and its channels through collisions, kicks,
// netsplits and lost connections, and keeps below what servers take for a flood. [Bot]
// is the firehose: a [fedmsg.Sink] that says every message, or what filters leave of
// them, in channels, as fedmsg's IRC bot did. The client knows nothing of it:
//
//	entries -> Bot.Deliver -> a queue for each channel -> Client.Say -> server
//
// # Promises
//
// One call of [Client.Say] makes PRIVMSG or NOTICE lines and nothing else, whatever is
// in its text: line ends, NUL and CTCP's frame do not pass. A line has at most 512
// bytes when it arrives at others, who see our name, user and host before it, and is
// never broken within a character.
//
// Say returns when the server has worked off the line: a PING behind it was answered.
// If the connection ends before, the text is said again on the next one. So nothing is
// lost by a lost connection, and the last message before it may be seen twice.
//
// Deliver never waits. If more is waiting for a channel than can be said, the oldest
// are not said but counted, in a line of their own, and the newest are. What waits when
// the program is killed is not said; a stop says what it can in [drainFor].
//
// This package may change without notice; see the README for what is stable.
package irc
