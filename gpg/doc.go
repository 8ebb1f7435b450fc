// Package gpg signs messages with OpenPGP keys, and verifies them, as fedmsg 1.x does
// with GnuPG: a detached signature of the canonical form of the field msg, in base64.
//
// # Body only
//
// Nothing but the body is signed. Topic, ID, time and user name are whatever the last
// one who had the message in hand wrote, so a good signature says that its signer once
// wrote this body; not when, and not about what. That is why the stamp is
// "gpg-body-only:FINGERPRINT", why a topic that a routing policy names, or every topic
// that a nitpicky one does not, is closed to such messages, and why a [Verifier] at the
// gate wants the signature itself to be fresh: its own time is the only one that is
// signed.
//
// # Which keys
//
// Whoever is in the keyring may sign; there is no web of trust. Files hold public keys
// as gpg --export writes them, armored or not; GnuPG's own databases are not read. A
// Verifier refuses short keys, DSA and SHA-1. With [Config.Faithful] it takes them, and
// keys that have ended since, for judging history; docs/deviations.md lists what it
// refuses even then.
//
// Keys are of version 4, as every GnuPG makes them, or 6 (RFC 9580), as none does; those
// of version 5, and GnuPG's post-quantum ones, are not known.
//
// gpg itself is never run, and files are read when verifier or signer are made and
// when they change, never because a stranger's message came.
package gpg
