package client_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fedora-infra/fedmsg-go/irc/client"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain é 日":                  "plain é 日",
		"a\r\nQUIT :b":               "a QUIT :b",
		"a\nb\rc\td\u2028e":          "a b c d e",
		"\x01ACTION x\x01":           "ACTION x",
		"\x0304,01red\x02\x16\x0f":   "04,01red",
		"a\x00b\x7f\u0085c\u202ed":   "abcd",
		"bad \xff\xfe utf-8":         "bad \uFFFD utf-8",
		"\x1b[31mred\x1b[0m":         "[31mred[0m",
		"/msg NickServ DROP":         "/msg NickServ DROP", // a server obeys no slash
		"\u200f\u2066right\u2069 to": "right to",
	} {
		if got := client.Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"\x037logger.log\x03 -- Hello":         "logger.log -- Hello",
		"\x0304,12a\x0312,b\x03123":            "a,b3",
		"\x04ff00aax\x04,\x02b\x1di\x0f\u00e9": "x,bié",
		"none":                                 "none",
		"\x03":                                 "",
	} {
		if got := client.Plain(in); got != want {
			t.Errorf("Plain(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		text string
		room int
		want []string
	}{
		{"", 20, []string{""}},
		{"fits", 20, []string{"fits"}},
		{"exactly twenty bytes", 20, []string{"exactly twenty bytes"}},
		{"exactly twenty bytes and more", 20, []string{"exactly twenty bytes", "and more"}},
		{"one two three four five six", 20, []string{"one two three four", "five six"}},
		{"a " + strings.Repeat("b", 30), 20, []string{"a " + strings.Repeat("b", 18), strings.Repeat("b", 12)}}, // a blank too early
		{strings.Repeat("é", 15), 21, []string{strings.Repeat("é", 10), strings.Repeat("é", 5)}},
		{strings.Repeat("日", 8), 20, []string{strings.Repeat("日", 6), strings.Repeat("日", 2)}},
		{strings.Repeat("a", 18) + "\x0312blue", 20, []string{strings.Repeat("a", 18), "\x0312blue"}},
		{strings.Repeat("a", 15) + "\x0304,12both", 20, []string{strings.Repeat("a", 15), "\x0304,12both"}},
		{"x" + strings.Repeat("b", 20), 1, []string{"x" + strings.Repeat("b", 13), strings.Repeat("b", 7)}}, // room is at least 14
	} {
		if got := client.Split(tt.text, tt.room); !slices.Equal(got, tt.want) {
			t.Errorf("Split(%q, %d) = %q, want %q", tt.text, tt.room, got, tt.want)
		}
	}
}

// FuzzSplit holds for every text and room: no piece is longer than the room, valid
// UTF-8 stays valid, nothing is lost but blanks at the breaks, and as lines they are
// lines: one PRIVMSG each, whatever is in the text.
func FuzzSplit(f *testing.F) {
	f.Add("one two three four five six", 20)
	f.Add(strings.Repeat("é", 300), 77)
	f.Add("a\r\nQUIT :b\x00\x01\x0304,01red\x02", 30)
	f.Add(strings.Repeat("\x0312,3日\x04ffffff,0000001", 50), 14)
	f.Fuzz(func(t *testing.T, text string, room int) {
		room = max(14+max(room, -room)%450, 14)
		pieces := client.Split(text, room)
		rest := text
		for i, piece := range pieces {
			if len(piece) > room {
				t.Fatalf("Split(%q, %d): piece %d has %d bytes", text, room, i, len(piece))
			}
			if utf8.ValidString(text) && !utf8.ValidString(piece) {
				t.Fatalf("Split(%q, %d): piece %q is not UTF-8", text, room, piece)
			}
			if i > 0 && !strings.HasPrefix(rest, piece) {
				rest = strings.TrimPrefix(rest, " ")
			}
			var ok bool
			if rest, ok = strings.CutPrefix(rest, piece); !ok {
				t.Fatalf("Split(%q, %d) = %q: piece %d does not follow", text, room, pieces, i)
			}
		}
		if strings.Trim(rest, " ") != "" {
			t.Fatalf("Split(%q, %d) loses %q", text, room, rest)
		}
		for _, piece := range client.Split(client.Clean(text), room) {
			line, err := client.FormatLine("PRIVMSG", "#c", piece)
			if err != nil || len(line) > 512 || strings.Count(line, "\n") != 1 || strings.ContainsAny(line, "\x00\x01\x02\x03") || !utf8.ValidString(line) {
				t.Fatalf("Clean(%q) makes the line %q, %v", text, line, err)
			}
			if m, err := client.ParseMessage(line); err != nil || m.Command != "PRIVMSG" || len(m.Params) != 2 || m.Params[1] != piece {
				t.Fatalf("Clean(%q) makes the line %q, which is %+v, %v", text, line, m, err)
			}
		}
	})
}
