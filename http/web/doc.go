// Package web is the pages of the bus, for people: what passes now (/), what has
// passed (/history, /messages/{id}), what it adds up to (/statistics, /topics) and
// how the bus itself is (/status).
//
//	pages, err := web.New(web.Config{Archive: archive, Counter: archive, Describer: words}, logger)
//	http.Config{Front: pages.Front(), Routes: []func(*nethttp.ServeMux){pages.Routes}}
//
// # How they are made
//
// The server writes whole pages, from an archive and the words of a describer. They
// work without scripts; the modules among the assets add live rows, the brush over
// the histogram, completion and keys. Every state of a page is in its address.
// Assets have a checksum in theirs, and may be kept for ever.
//
// # Promises
//
// Nothing here comes from another site, and nothing is inline, so that the policy
// default-src 'self' holds. What publishers say is text: control characters and those
// that turn the direction of writing are shown as escapes, and links lead to http and
// https alone. A page is bounded whatever a message holds.
package web
