package http

import (
	nethttp "net/http"
	"sync"

	"github.com/klauspost/compress/gzhttp"
)

// leastPacked is from how many bytes on an answer is packed: below that it fits into
// one packet of a network anyway.
const leastPacked = 1 << 10

// packer packs what has one of these types. Tables and lines of JSON can be had packed
// by a parameter of their own.
var packer = sync.OnceValue(func() func(nethttp.Handler) nethttp.HandlerFunc {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(leastPacked), gzhttp.ContentTypes([]string{
		"text/html", "text/css", "text/javascript", "image/svg+xml", "application/json", "application/problem+json", "application/javascript",
		"application/atom+xml", "application/rss+xml", "application/feed+json",
	}))
	if err != nil {
		panic(err) // cannot be: the options are constants
	}
	return wrap
})

// Packed packs the answers of h with zstd or gzip, as the reader's Accept-Encoding
// has it, and sets Vary. h must answer as a whole: it cannot flush, so that it is not for
// streams. An ETag that it sets must be weak (RFC 9110, 8.8.1), since the bytes differ
// with the packing.
func Packed(h nethttp.HandlerFunc) nethttp.HandlerFunc { return packer()(h) }
