package history

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/route"
	"github.com/fedora-infra/fedmsg-go/internal/parquet"
	"github.com/fedora-infra/fedmsg-go/query"
)

const (
	// exportPage is how many messages are taken from the archive at once, and how far
	// apart the cursors in an export are.
	exportPage = 500
	// exportWindow is how far back compression looks, in bytes: what one export takes
	// in memory goes with it.
	exportWindow = 1 << 20
	maxExport    = 1_000_000_000
)

// exportFormats are what an export can be in.
var exportFormats = []string{"jsonl", "csv", "parquet", "jsonl.zst", "csv.zst", "parquet.zst"}

// exportMedia are their media types, unpacked.
var exportMedia = map[string]string{"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}

// Trailers of an export.
const (
	trailerCursor   = "Fedmsg-Cursor"
	trailerComplete = "Fedmsg-Complete"
	trailerMessages = "Fedmsg-Messages"
)

// errStopping ends what has no end of its own when the server stops.
var errStopping = errors.New("the server is stopping")

// An exporter writes messages, one after the other.
type exporter interface {
	// write writes an entry. cursor is empty, or where to go on after this one.
	write(ctx context.Context, e fedmsg.Entry, cursor string) error
	// flush hands on what was written.
	flush() error
}

// export writes all that a query finds. What breaks off ends without an end, as HTTP
// has it; the last cursor that came is where to go on.
func (a *API) export(w nethttp.ResponseWriter, r *route.Request) error {
	s, err := a.shape(r)
	if err != nil {
		return err
	}
	if strings.HasPrefix(r.Text("format"), "parquet") && (s.fields != nil || s.meta != nil) {
		return route.Wrong("format", r.Text("format"), "leave out fields and meta, or take csv", "has columns of its own")
	}
	q := r.Query
	q.Limit = exportPage
	left := cmp.Or(r.Number("limit"), maxExport)
	q.Limit = min(q.Limit, left)
	leave, err := place(a.exports, r.Request)
	if err != nil {
		return err
	}
	defer leave()
	page, err := a.cfg.Archive.Search(r.Context(), q) // what is wrong is said before anything is written
	if err != nil {
		return err
	}

	format, isPacked := strings.CutSuffix(r.Text("format"), ".zst")
	h := w.Header()
	h.Set("Trailer", strings.Join([]string{trailerCursor, trailerComplete, trailerMessages}, ", "))
	h.Set("Access-Control-Expose-Headers", "Retry-After, "+h.Get("Trailer"))
	h.Set("Content-Disposition", `attachment; filename="`+fmt.Sprintf("fedmsg-%s.%s", r.Now.UTC().Format("20060102-150405"), r.Text("format"))+`"`)
	h.Set("Fedmsg-Query", strings.Map(ascii, query.String(q)))
	h.Set("Content-Type", exportMedia[format])
	if isPacked {
		h.Set("Content-Type", "application/zstd")
	}
	if r.Method == nethttp.MethodHead {
		return nil
	}
	control := nethttp.NewResponseController(w)
	out, closeOut, err := a.exporter(w, control, s, format, isPacked)
	if err != nil {
		return err
	}
	n, next, err := a.exportPages(r, q, page, left, out, func() {
		_ = control.SetWriteDeadline(time.Now().Add(a.cfg.Limits.WriteTimeout)) // it can
	})
	if err == nil {
		err = closeOut()
	}
	if err != nil {
		if r.Context().Err() == nil && !errors.Is(err, errStopping) {
			a.logger.WarnContext(r.Context(), "export broken off", "route", r.Pattern, "err", err)
		}
		_ = control.SetWriteDeadline(time.Now().Add(-time.Second)) // so that nobody takes it for a whole one
		return nil
	}
	h.Set(trailerCursor, next)
	h.Set(trailerComplete, strconv.FormatBool(next == ""))
	h.Set(trailerMessages, strconv.Itoa(n))
	return nil
}

// ascii keeps what may stand in a header.
func ascii(r rune) rune {
	if r < ' ' || r > '~' {
		return '?'
	}
	return r
}

// exportPages writes page after page, and returns how many messages that were and
// where to go on, if there is more.
func (a *API) exportPages(r *route.Request, q fedmsg.Query, page fedmsg.Page, left int, out exporter, soon func()) (n int, next string, err error) {
	for {
		soon()
		for i, e := range page.Entries {
			cursor := ""
			if i == len(page.Entries)-1 {
				cursor = page.Next
			}
			if err := out.write(r.Context(), e, cursor); err != nil {
				return n, "", err
			}
		}
		n, left = n+len(page.Entries), left-len(page.Entries)
		if err := out.flush(); err != nil || page.Next == "" || left == 0 {
			return n, page.Next, err
		}
		select {
		case <-http.Stopping(r.Request):
			return n, "", errStopping
		default:
		}
		q.Cursor, q.Limit = page.Next, min(exportPage, left)
		if page, err = a.cfg.Archive.Search(r.Context(), q); err != nil {
			return n, "", err
		}
	}
}

// exporter makes what writes in a format. closeOut must be called at the end.
func (a *API) exporter(w nethttp.ResponseWriter, control *nethttp.ResponseController, s shape, format string, isPacked bool) (out exporter, closeOut func() error, err error) {
	buffered := bufio.NewWriterSize(w, 64<<10)
	var to io.Writer = buffered
	push := func() error { return errors.Join(buffered.Flush(), control.Flush()) }
	closeOut = push
	if isPacked {
		packer, err := zstd.NewWriter(buffered, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault),
			zstd.WithWindowSize(exportWindow), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return nil, nil, fmt.Errorf("export: %w", err)
		}
		inner := push
		push = func() error { return errors.Join(packer.Flush(), inner()) }
		closeOut = func() error { return errors.Join(packer.Close(), inner()) }
		to = packer
	}
	if format == "parquet" {
		p := &parquetExport{parquet.New(to, a.describer()), push}
		whole := closeOut
		return p, func() error { return errors.Join(p.w.Close(), whole()) }, nil
	}
	if format == "csv" {
		t := &csvExport{a: a, w: csv.NewWriter(to), shape: s, columns: s.columns(), push: push}
		t.w.UseCRLF = true
		return t, closeOut, t.w.Write(append(slices.Clone(t.columns), "cursor"))
	}
	return &lineExport{a: a, w: to, shape: s, push: push}, closeOut, nil
}

// A lineExport writes a line of JSON for each message.
type lineExport struct {
	a     *API
	w     io.Writer
	shape shape
	push  func() error
	line  []byte
}

func (x *lineExport) write(ctx context.Context, e fedmsg.Entry, cursor string) error {
	x.line = x.a.appendElement(ctx, x.line[:0], e, x.shape)
	if cursor != "" {
		x.line = append(x.line[:len(x.line)-1], `,"cursor":"`+cursor+`"}`...)
	}
	x.line = append(x.line, '\n')
	_, err := x.w.Write(x.line)
	return err
}

func (x *lineExport) flush() error { return x.push() }

// A csvExport writes a row for each message.
type csvExport struct {
	a       *API
	w       *csv.Writer
	shape   shape
	columns []string
	push    func() error
}

func (x *csvExport) write(ctx context.Context, e fedmsg.Entry, cursor string) error {
	row := make([]any, 0, len(x.columns)+1)
	var words fedmsg.Words
	if x.shape.meta != nil {
		words = x.a.words.Describe(ctx, e.Message)
	}
	for _, name := range x.columns {
		row = append(row, cell(e, words, name))
	}
	return x.w.Write(append(route.Texts(row), cursor)) // a cursor is letters, digits, - and _
}

func (x *csvExport) flush() error {
	x.w.Flush()
	return errors.Join(x.w.Error(), x.push())
}

// A parquetExport writes a row group for some thousand messages.
type parquetExport struct {
	w    *parquet.Writer
	push func() error
}

func (x *parquetExport) write(ctx context.Context, e fedmsg.Entry, _ string) error {
	return x.w.Write(ctx, e)
}

func (x *parquetExport) flush() error { return x.push() }

// columns are those of a table of messages.
func (s shape) columns() []string {
	columns := s.fields
	if columns == nil {
		columns = []string{"seq", "at", "verified", "topic", "msg_id", "timestamp", "username", "msg"}
	}
	columns = slices.Clone(columns)
	for _, name := range s.meta {
		columns = append(columns, "meta."+name)
	}
	return columns
}

// cell is what a message has in a column.
func cell(e fedmsg.Entry, words fedmsg.Words, name string) any {
	switch {
	case name == "seq":
		return uint64(e.Seq)
	case name == "at":
		return formatMicros(e.At)
	case name == "verified":
		return e.Verified
	case name == "timestamp":
		return e.Message.Time
	case strings.HasPrefix(name, "meta."):
		return metaCell(words, strings.TrimPrefix(name, "meta."))
	case slices.Contains(envelope, name):
		value := messageFields(e.Message, name)[0]
		if s, ok := fedmsg.DecodeString(value); ok {
			return s
		}
		return string(value)
	}
	return strings.Join(valuesAt(e.Message, name), " ")
}

// metaCell is a field of the words for a message: a text, a list with blanks between,
// or an object in JSON.
func metaCell(words fedmsg.Words, name string) string {
	object := words.AppendJSON(nil, name)
	members, err := fedmsg.DecodeObject(object)
	if err != nil || len(members) != 1 {
		return ""
	}
	value := members[0].JSON
	if s, ok := fedmsg.DecodeString(value); ok {
		return s
	}
	switch name {
	case "usernames":
		return strings.Join(words.Usernames, " ")
	case "packages":
		return strings.Join(words.Packages, " ")
	case "objects":
		return strings.Join(words.Objects, " ")
	}
	if string(value) == "null" || string(value) == "{}" {
		return ""
	}
	return string(value)
}
