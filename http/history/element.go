package history

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/route"
	"github.com/fedora-infra/fedmsg-go/internal/body"
)

// envelope are the fields of a message that can be asked for one by one.
var envelope = []string{"topic", "msg_id", "timestamp", "i", "username", "msg", "headers", "crypto", "signature", "certificate"}

// around are the fields that the bus adds.
var around = []string{"seq", "at", "verified"}

// A shape says what is told of each message.
type shape struct {
	fields []string // nil: everything
	meta   []string // nil: nothing
}

// shape reads the parameters fields and meta.
func (a *API) shape(r *route.Request) (shape, error) {
	s := shape{r.List("fields"), r.List("meta")}
	if s.meta != nil && a.words == nil {
		return s, route.Wrong("meta", strings.Join(s.meta, ","), "", "this bus has no words for messages")
	}
	return s, nil
}

// appendElement appends what is told of a message: all as the log's pages have it, or
// the fields that were asked for.
func (a *API) appendElement(ctx context.Context, dst []byte, e fedmsg.Entry, s shape) []byte {
	if s.fields == nil {
		dst = http.AppendElement(dst, e)
	} else {
		dst = appendFields(dst, e, s.fields)
	}
	if s.meta == nil {
		return dst
	}
	dst = dst[:len(dst)-1]
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, `"meta":`...)
	return append(a.words.Describe(ctx, e.Message).AppendJSON(dst, s.meta...), '}')
}

// appendFields appends an element with some fields: what the bus adds, a message
// with those of its own, and what lies at paths under values.
func appendFields(dst []byte, e fedmsg.Entry, fields []string) []byte {
	dst = append(dst, '{')
	member := func(name string) {
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), name...), '"', ':')
	}
	for _, name := range around {
		if slices.Contains(fields, name) {
			member(name)
			dst = append(dst, route.JSON(bare(e, name))...)
		}
	}
	var names, paths []string
	for _, name := range fields {
		if slices.Contains(envelope, name) {
			names = append(names, name)
		} else if _, ok := route.ColumnPath(name); ok {
			paths = append(paths, name)
		}
	}
	if len(names) > 0 {
		member("message")
		dst = append(dst, '{')
		for i, value := range messageFields(e.Message, names...) {
			if value != nil {
				member(names[i])
				dst = append(dst, value...)
			}
		}
		dst = append(dst, '}')
	}
	if len(paths) > 0 {
		values := make(map[string][]string)
		for _, path := range paths {
			values[path] = append([]string{}, valuesAt(e.Message, path)...)
		}
		member("values")
		dst = append(dst, route.JSON(values)...)
	}
	return append(dst, '}')
}

// messageFields returns the JSON texts of fields, each in one line; nil for one that
// is not there.
func messageFields(m *fedmsg.Message, names ...string) []json.RawMessage {
	if !bytes.Equal(m.Compact(), m.Bytes()) {
		if oneLine, err := fedmsg.DecodeStored(bytes.Clone(m.Compact())); err == nil {
			m = oneLine
		}
	}
	return m.Fields(names...)
}

// valuesAt returns what lies at body.PATH or header.PATH.
func valuesAt(m *fedmsg.Message, column string) []string {
	path, _ := route.ColumnPath(column)
	if strings.HasPrefix(column, "header.") {
		return body.Values(m.Fields("headers")[0], path)
	}
	return body.Values(m.Body, path)
}

// bare returns a field that the bus adds.
func bare(e fedmsg.Entry, name string) any {
	switch name {
	case "seq":
		return e.Seq
	case "at":
		return json.RawMessage(`"` + formatMicros(e.At) + `"`)
	}
	return e.Verified
}

// formatMicros writes a time as elements have it.
func formatMicros(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }
