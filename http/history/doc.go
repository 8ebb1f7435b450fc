// Package history is the part of the HTTP interface that asks an archive: search,
// counts and statistics, export, and streams that begin in the past.
//
//	GET /api/v1/messages?q=user:ralph -category:ansible after:2d
//	GET /api/v1/histogram?q=category:bodhi after:30d&by=topic
//	GET /api/v1/export?package=kernel&since=2026&format=csv
//	GET /api/v1/stream?q=package:kernel after:1h
//
// # One table
//
// All routes stand in one table, with their parameters. It says what is served, what
// a request may ask, and what /openapi.json tells of it; so these cannot differ.
//
// # Promises
//
//   - Parameters are strict: one that is unknown, empty, doubled or out of bounds is
//     refused with a problem document that names it, and shows the place in a search line.
//   - No answer waits for a question without end: what an archive found within its
//     budget is the answer, says that it is not complete, and where to go on.
//   - Answers name the times that they are about, also where they were asked for as so
//     long ago; their links hold tomorrow what they held today.
//   - Exports and streams take as much memory for a million messages as for a thousand.
package history
