// Package x509 signs messages with certificates, and verifies them, as fedmsg
// 1.x does: RSA PKCS#1 v1.5 with SHA-1 over the canonical text, the certificate
// in the message, one trusted root, one revocation list, and a routing policy by
// the certificate's first CN.
//
// The chain check is our own. crypto/x509 parses; but it cannot verify what old
// deployments use (certificates signed with SHA-1, version 1 revocation lists),
// and it wants key usages that fedmsg's certificates do not have.
//
// A [Verifier] is strict: it refuses what the original let pass by accident, such
// as two certificates in one field. With [Config.Faithful] it gives the original's
// verdict, for judging history; docs/deviations.md lists what it refuses even
// then. Files are read when verifier or signer are made and when they change, never
// because a stranger's message came; while a new file is broken, what the old one
// said stays in force.
package x509
