package route

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Sheet is an answer for a spreadsheet. Cells are texts, numbers, times, or nil.
type Sheet struct {
	Head []string
	Rows [][]any
}

// Add adds a row.
func (t *Sheet) Add(cells ...any) { t.Rows = append(t.Rows, cells) }

// CSV writes a sheet as RFC 4180 has it.
func (t *Sheet) CSV() []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	_ = w.Write(t.Head) // a buffer takes everything
	for _, row := range t.Rows {
		_ = w.Write(Texts(row))
	}
	w.Flush()
	return b.Bytes()
}

// Texts writes cells as texts.
func Texts(row []any) []string {
	cells := make([]string, len(row))
	for i, cell := range row {
		switch v := cell.(type) {
		case string:
			cells[i] = Harmless(v)
		case time.Time:
			if !v.IsZero() {
				cells[i] = v.UTC().Format(time.RFC3339Nano)
			}
		case float64:
			cells[i] = strconv.FormatFloat(v, 'g', 6, 64)
		case nil:
		default:
			cells[i] = fmt.Sprint(v)
		}
	}
	return cells
}

// Harmless puts an apostrophe before what a spreadsheet would take for a formula.
// The words of a message are anybody's.
func Harmless(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}
