// Package zmq is ZeroMQ without ZeroMQ: PUB and SUB sockets of the protocol
// ZMTP 3.1 over TCP and Unix sockets (ipc) with the NULL mechanism, and the framing
// of fedmsg 1.x on them. It talks to libzmq, and to anything else that speaks
// ZMTP 3.0 or later.
//
// A [Pub] sends to all subscribers that asked for a topic, a [Sub] receives.
// [Source] and [Sink] are the two as edges of the bus: a message is two frames,
// the topic and the envelope, and the envelope passes byte by byte as it came.
//
// # Promises
//
// Nothing that a peer sends is believed before it is checked against a limit:
// memory grows with the bytes that came, never with the length that was
// announced. A peer that is silent, slow or hostile costs itself its connection
// or its messages, and others nothing.
//
// ZeroMQ has no acknowledgements. A message for a subscriber whose queue is full
// is dropped for that subscriber, and counted; one for which nobody has
// subscribed yet goes nowhere.
//
// This package may change without notice; see the README for what is stable.
package zmq
