package http_test

import (
	"bytes"
	"compress/gzip"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/fedora-infra/fedmsg-go/http"
)

func TestPacked(t *testing.T) {
	long := strings.Repeat("<p>the same again and again</p>", 200)
	tests := []struct {
		accept, media, body string
		want                string // Content-Encoding
	}{
		{"gzip, deflate, br, zstd", "text/html; charset=utf-8", long, "zstd"},
		{"gzip, deflate", "text/html; charset=utf-8", long, "gzip"},
		{"deflate, gzip;q=0.5, zstd;q=0", "application/json", long, "gzip"},
		{"gzip;q=0, zstd;q=0.0", "text/html", long, ""},
		{"br", "text/html", long, ""},
		{"", "text/html", long, ""},
		{"gzip", "text/html", "short", ""},
		{"gzip", "application/jsonl", long, ""}, // an export has a parameter for it
		{"gzip", "image/png", long, ""},
	}
	for _, tt := range tests {
		h := http.Packed(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
			w.Header().Set("Content-Type", tt.media)
			w.Header().Set("ETag", `W/"same"`)
			_, _ = io.WriteString(w, tt.body)
		})
		r, w := httptest.NewRequest(nethttp.MethodGet, "/", nil), httptest.NewRecorder()
		r.Header.Set("Accept-Encoding", tt.accept)
		h(w, r)
		var got []byte
		var err error
		switch packed := bytes.NewReader(w.Body.Bytes()); w.Header().Get("Content-Encoding") {
		case "gzip":
			var z *gzip.Reader
			if z, err = gzip.NewReader(packed); err == nil {
				got, err = io.ReadAll(z)
			}
		case "zstd":
			var z *zstd.Decoder
			if z, err = zstd.NewReader(packed); err == nil {
				got, err = io.ReadAll(z)
			}
		default:
			got, err = io.ReadAll(packed)
		}
		head := w.Header()
		if head.Get("Content-Encoding") != tt.want || string(got) != tt.body || err != nil || head.Get("Vary") != "Accept-Encoding" || head.Get("ETag") != `W/"same"` {
			t.Errorf("Accept-Encoding %q, %s: %v, %v, %d bytes; want %q", tt.accept, tt.media, head, err, len(got), tt.want)
		}
		if tt.want != "" && (w.Body.Len() > len(tt.body)/4 || head.Get("Content-Length") != "") {
			t.Errorf("Accept-Encoding %q: %d bytes packed, Content-Length %q", tt.accept, w.Body.Len(), head.Get("Content-Length"))
		}
	}
}

// Events reach who could unpack them, too, one by one and as they are.
func TestStreamIsNotPacked(t *testing.T) {
	r := start(t, nil)
	stream := follow(t, r, "", "Accept-Encoding", "gzip, zstd")
	if first := stream.block(t); !strings.Contains(first.comment, "epoch") {
		t.Errorf("the stream begins %+v", first)
	}
}
