package exports

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"io"
	"strconv"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/parquet"
)

// Formats are what an export can be in.
var Formats = []string{"jsonl", "csv", "parquet"}

// A Writer writes messages in a format. Flush hands on what was written, Close what is
// at the end.
type Writer struct {
	Write        func(context.Context, fedmsg.Entry) error
	Flush, Close func() error
}

// NewWriter makes what writes in a format. appendElement spells a message as JSON. A
// table has a head unless it goes on.
func NewWriter(format string, to io.Writer, words fedmsg.Describer, appendElement func([]byte, fedmsg.Entry) []byte, goesOn bool) (Writer, error) {
	out := bufio.NewWriterSize(to, 64<<10)
	switch format {
	case "csv":
		rows := csv.NewWriter(out)
		flush := func() error {
			rows.Flush()
			return cmp.Or(rows.Error(), out.Flush())
		}
		write := func(ctx context.Context, e fedmsg.Entry) error {
			return rows.Write(csvRow(e, words.Describe(ctx, e.Message)))
		}
		if goesOn {
			return Writer{write, flush, flush}, nil
		}
		return Writer{write, flush, flush}, rows.Write(csvColumns)
	case "parquet":
		rows := parquet.New(out, words)
		return Writer{rows.Write, out.Flush, func() error { return cmp.Or(rows.Close(), out.Flush()) }}, nil
	}
	var line []byte
	return Writer{func(_ context.Context, e fedmsg.Entry) error {
		line = append(appendElement(line[:0], e), '\n')
		_, err := out.Write(line)
		return err
	}, out.Flush, out.Flush}, nil
}

var csvColumns = []string{"time", "id", "topic", "sentence", "agent", "users", "packages", "link", "verified", "seq", "msg"}

func csvRow(e fedmsg.Entry, w fedmsg.Words) []string {
	row := []string{
		e.Message.Time.Format("2006-01-02T15:04:05.000Z"), e.Message.ID, string(e.Message.Topic), w.Subtitle, w.Agent,
		strings.Join(w.Usernames, " "), strings.Join(w.Packages, " "), w.Link, e.Verified, strconv.FormatUint(uint64(e.Seq), 10), string(e.Message.Body),
	}
	for i, cell := range row {
		if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
			row[i] = "'" + cell // a spreadsheet would compute it
		}
	}
	return row
}
