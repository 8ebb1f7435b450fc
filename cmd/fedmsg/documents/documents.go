// Package documents reads JSON texts from files and from standard input.
package documents

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// maxDocument is the longest JSON text that is read from a file, in bytes. It is
// more than a message may have, since history is not bound by that.
const maxDocument = 16 << 20

// A Document is one JSON text of a file: a line, or as many as its brackets
// reach over.
type Document struct {
	Place string // file and line, for people
	Text  []byte
}

// Read yields the JSON texts of files, one after the other, of stdin if there are none or the name is "-". With objects a line that begins
// with "{" begins a new text, so that one that was cut off spoils no other. It
// ends with at most one error.
func Read(ctx context.Context, stdin io.Reader, files []string, objects bool) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		if len(files) == 0 {
			files = []string{"-"}
		}
		for _, name := range files {
			if !readFile(ctx, stdin, name, objects, yield) {
				return
			}
		}
	}
}

// readFile reads one file; false means that there is no more to do.
func readFile(ctx context.Context, stdin io.Reader, name string, objects bool, yield func(Document, error) bool) bool {
	var r io.Reader
	if name == "-" {
		name, r = "standard input", Interruptible(ctx, stdin)
	} else {
		f, err := os.Open(name)
		if err != nil {
			yield(Document{}, err)
			return false
		}
		defer f.Close()
		r = f
	}
	d := splitter{name: name, yield: yield}
	buffered := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := buffered.ReadSlice('\n')
		if len(line) > 0 && !d.take(line, objects) {
			return false
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull): // the rest of the line comes
		case errors.Is(err, io.EOF):
			return d.flush()
		case err != nil:
			yield(Document{}, fmt.Errorf("%s: %w", name, err))
			return false
		}
	}
}

// A splitter finds the ends of JSON texts without reading them otherwise.
type splitter struct {
	name   string
	yield  func(Document, error) bool
	text   []byte
	line   int  // lines before the piece that comes
	start  int  // the line where text begins
	depth  int  // open brackets
	quoted bool // in a string
	escape bool // behind a backslash in it
	middle bool // of a line
}

// take takes a line or, if it is too long for that, a piece of one.
func (d *splitter) take(piece []byte, objects bool) bool {
	if !d.middle && objects && piece[0] == '{' && !d.flush() {
		return false
	}
	if len(d.text) == 0 {
		d.start = d.line + 1
	}
	if len(d.text)+len(piece) > maxDocument {
		d.yield(Document{}, fmt.Errorf("%s: line %d: %w", d.name, d.start, fedmsg.Refuse(fedmsg.TooLarge, "more than %d bytes", maxDocument)))
		return false
	}
	d.text = append(d.text, piece...)
	for _, c := range piece {
		switch {
		case d.escape:
			d.escape = false
		case d.quoted:
			d.escape = c == '\\'
			d.quoted = c != '"' && c != '\n' // no string goes on in the next line
		case c == '"':
			d.quoted = true
		case c == '{' || c == '[':
			d.depth++
		case c == '}' || c == ']':
			d.depth--
		}
	}
	d.middle = piece[len(piece)-1] != '\n'
	if d.middle {
		return true
	}
	d.line++
	return d.depth > 0 || d.flush()
}

// flush yields the text that was gathered, if there is any.
func (d *splitter) flush() bool {
	text := bytes.TrimSpace(d.text)
	doc := Document{fmt.Sprintf("%s: line %d", d.name, max(1, d.start)), bytes.Clone(text)}
	d.text, d.depth, d.quoted, d.escape = d.text[:0], 0, false, false
	return len(text) == 0 || d.yield(doc, nil)
}

// Interruptible returns a reader of r that ends with the cause of ctx, even while
// r waits for somebody to type.
func Interruptible(ctx context.Context, r io.Reader) io.Reader {
	out, in := io.Pipe()
	go func() {
		_, err := io.Copy(in, r)
		in.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { in.CloseWithError(context.Cause(ctx)) })
	return out
}
