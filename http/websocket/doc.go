// Package websocket tells what is published over WebSockets, in the dialect of the live
// socket of moksha, fedmsg 1.x's hub. A client says which topics it wants:
//
//	{"topic": "__topic_subscribe__", "body": "org.fedoraproject.*"}
//
// and gets a text for each message from then on:
//
//	{"topic": "org.fedoraproject.prod.git.receive", "body": {"msg": …}}
//
// The pattern is a hub's: all stars are taken out of it, and the rest is what a topic
// must begin with. One message that several patterns ask for is told once. Clients say
// nothing else; what they cannot say is answered with a text that has an error, and
// nothing that they say is published.
//
// # Promises
//
// Readers are fed from the log, each at its own pace; nothing is queued for them. Who
// does not read is cut with the code 4008, and who sends too much, or too fast, with 1009
// or 1008, before memory is taken for it. There is no place to go on from: who must miss
// nothing reads server-sent events.
package websocket
