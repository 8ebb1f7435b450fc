package feed

import (
	_ "embed" // the element
	nethttp "net/http"
	"time"
)

// elementPath is where the element is. It stays: pages of others name it.
const elementPath = "/feed.js"

//go:embed feed.js
var elementCode []byte

// element serves the code of <fedmsg-feed>.
func element(w nethttp.ResponseWriter, r *nethttp.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*") // for <script crossorigin integrity>
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Cache-Control", "public, max-age=3600")
	h.Set("ETag", weakTag(elementCode))
	answer(w, r, elementCode, time.Time{})
}
