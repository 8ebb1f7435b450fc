// Package client is an IRC client for programs that have something to say: one connection
// to one network, made again whenever it is lost. It speaks RFC 1459 and 2812, and of IRCv3
// what helps: CAP, SASL, message tags, CHGHOST. It keeps its nick and its channels through
// collisions, kicks, netsplits and lost connections, and keeps below what servers take for
// a flood.
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
// lost by a lost connection, and the last text before it may be seen twice.
//
// This package may change without notice; see the README for what is stable.
package client
