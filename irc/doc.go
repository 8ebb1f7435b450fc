// Package irc tells channels on IRC what happens on the bus.
//
// [Bot] is the firehose: a [fedmsg.Sink] that says every message, or what filters leave of
// them, as fedmsg's IRC bot did. The connections are those of package
// [github.com/fedora-infra/fedmsg-go/irc/client], which knows nothing of the bus:
//
//	entries -> Bot.Deliver -> a queue for each channel -> Client.Say -> server
//
// # Promises
//
// Nothing of a message can become a command, or more lines than its own.
//
// Deliver never waits. If more is waiting for a channel than can be said, the oldest
// are not said but counted, in a line of their own, and the newest are. What was on its way
// when a connection was lost is said again. What waits when the program is killed is not
// said; a stop says what it can in five seconds, and counts the rest.
//
// This package may change without notice; see the README for what is stable.
package irc
