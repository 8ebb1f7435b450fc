// Package feed serves what is asked for as a feed: Atom (RFC 4287), RSS 2.0 and
// JSON Feed 1.1, for any query of package query.
//
//	/feed.atom?q=user:ralph+-category:ansible
//	/feed.rss?category=bodhi&category=git
//	/feed.json?package=kernel&limit=20
//
// It also serves /feed.js, the element <fedmsg-feed>, which shows a feed on the
// pages of others. docs/feeds.md is for those who use either.
//
// # Promises
//
// An entry keeps its ID for ever: a tag URI (RFC 4151) of the bus' host, the day and
// the ID of the message. What a reader would follow is http or https; what it would
// show is text, without control characters and without those that turn the
// direction of writing. A feed is well-formed whatever the messages hold.
//
// A feed whose entries are the same has the same ETag, even if the bounds of its
// query move with time. Last-Modified lies before the second of the answer, so that
// a message that comes in the same second is not missed.
package feed
