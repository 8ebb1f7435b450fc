// Package parquet writes messages as an Apache Parquet file, which DuckDB, pandas, Spark
// and others read: a table with a row a message, packed column by column.
package parquet

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Bounds of a row group: what is held in memory until it is written.
const (
	groupRows  = 10_000
	groupBytes = 8 << 20 // of bodies and sentences
	batchRows  = 250
)

// A row is the table's columns. Times are in microseconds, UTC.
type row struct {
	Seq      uint64    `parquet:"seq"`
	ID       string    `parquet:"id"`
	Topic    string    `parquet:"topic,dict"`
	Category string    `parquet:"category,dict"`
	Time     time.Time `parquet:"time,timestamp(microsecond)"`
	Received time.Time `parquet:"received,timestamp(microsecond)"`
	Agent    string    `parquet:"agent,dict"`
	Users    []string  `parquet:"users,list"`
	Packages []string  `parquet:"packages,list"`
	Sentence string    `parquet:"sentence"`
	Verified string    `parquet:"verified,dict"`
	Body     string    `parquet:"body,json"`
}

// Writer writes one file. It must be closed: the list of what is where is at the end.
type Writer struct {
	w     *parquet.GenericWriter[row]
	words fedmsg.Describer
	rows  []row // not handed on yet
	count int   // of the row group
	size  int
}

// New makes a writer. words may be nil; then agent, users, packages and sentence are
// empty.
func New(w io.Writer, words fedmsg.Describer) *Writer {
	return &Writer{words: words, w: parquet.NewGenericWriter[row](w,
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}), parquet.CreatedBy("fedmsg", "", ""),
		parquet.PageBufferSize(256<<10), parquet.SkipPageBounds("body"), parquet.SkipPageBounds("sentence"), parquet.ColumnIndexSizeLimit(func([]string) int { return 64 }),
	)}
}

// Write adds a message. What is written reaches the file a row group at a time.
func (p *Writer) Write(ctx context.Context, e fedmsg.Entry) error {
	m := e.Message
	var words fedmsg.Words
	if p.words != nil {
		words = p.words.Describe(ctx, m)
	}
	p.rows = append(p.rows, row{
		Seq: uint64(e.Seq), ID: m.ID, Topic: string(m.Topic), Category: category(m.Topic), Time: m.Time.UTC(), Received: e.At.UTC(), Agent: words.Agent,
		Users: words.Usernames, Packages: words.Packages, Sentence: words.Subtitle, Verified: e.Verified, Body: string(m.Body),
	})
	p.count++
	p.size += len(m.Body) + len(words.Subtitle)
	if len(p.rows) < batchRows && p.size < groupBytes {
		return nil
	}
	if err := p.hand(); err != nil {
		return err
	}
	if p.count < groupRows && p.size < groupBytes {
		return nil
	}
	p.count, p.size = 0, 0
	return wrap(p.w.Flush())
}

// category is the fourth word of a topic.
func category(t fedmsg.Topic) string {
	words := strings.SplitN(string(t), ".", 5)
	if len(words) < 4 {
		return ""
	}
	return words[3]
}

func (p *Writer) hand() error {
	_, err := p.w.Write(p.rows)
	clear(p.rows) // so that messages can go
	p.rows = p.rows[:0]
	return wrap(err)
}

// Close writes what is left, and the list of what is where.
func (p *Writer) Close() error {
	if err := p.hand(); err != nil {
		return err
	}
	return wrap(p.w.Close())
}

func wrap(err error) error {
	if err != nil {
		return fmt.Errorf("parquet: %w", err)
	}
	return nil
}
