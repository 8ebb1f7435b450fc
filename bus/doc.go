// Package bus is the machine between the edges and the log.
//
//	Source -> Gate -> Window -> Log
//	                    |
//	                    +-> Pump -> Sink
//	                    +-> a request's own loop
//
// A [Gate] is the only way in: it verifies each message, judges whether it may
// come from where it came, and appends it. A [Window] is a log that can be
// followed: it keeps the newest entries in memory, so that all readers near the
// end share them, and reads the log itself for those who are behind. A [Pump]
// feeds one sink from its own cursor, at the sink's pace. A [Tiered] log has an
// archive behind it for who reads further back. [Run] starts and stops
// everything in stages.
//
// The package may change; only fedmsg, client and x509 are under the
// compatibility promise.
package bus
