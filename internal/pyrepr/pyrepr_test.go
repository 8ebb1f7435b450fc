package pyrepr

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// text reads a JSON string of a vector.
func text(t *testing.T, literal json.RawMessage) string {
	t.Helper()
	v, err := Parse(literal)
	if err != nil || v.kind != '"' {
		t.Fatalf("Parse(%s) = %v, %v, want a string", literal, v, err)
	}
	return string(v.str)
}

func TestVectorsPythonRepr(t *testing.T) {
	rows := fedmsgtest.Vectors[struct {
		ID                string
		In, Repr, Pformat json.RawMessage
	}](t, "python_repr.jsonl")
	for _, row := range rows {
		in := text(t, row.In)
		v, err := Parse([]byte(in))
		if err != nil {
			t.Errorf("%s: Parse(%s): %v", row.ID, in, err)
			continue
		}
		if got, want := string(v.AppendRepr(nil)), text(t, row.Repr); got != want {
			t.Errorf("%s: repr of %s\n got %s\nwant %s", row.ID, in, got, want)
		} else if v.reprWidth() != utf8.RuneCountInString(want) {
			t.Errorf("%s: width of %s = %d, want %d", row.ID, in, v.reprWidth(), utf8.RuneCountInString(want))
		}
		if got, want := string(v.AppendPretty(nil)), text(t, row.Pformat); got != want {
			t.Errorf("%s: pprint of %s\n got %s\nwant %s", row.ID, in, got, want)
		}
	}
	if len(rows) < 200 {
		t.Errorf("%d rows, want more than 200", len(rows))
	}
}

func TestVectorsDictQuery(t *testing.T) {
	var file struct {
		Document json.RawMessage
		Cases    []struct {
			Query string
			Line  string `json:"tail_line"`
		}
	}
	in, err := os.ReadFile(filepath.Join(fedmsgtest.VectorDir(t), "dict_query.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(in, &file); err != nil {
		t.Fatal(err)
	}
	document, err := Parse(file.Document)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range file.Cases {
		if got := document.Query(c.Query); got != c.Line {
			t.Errorf("Query(%q) = %q, want %q", c.Query, got, c.Line)
		}
	}
	if len(file.Cases) < 30 {
		t.Errorf("%d cases, want 31", len(file.Cases))
	}
}

func TestRepr(t *testing.T) {
	tests := []struct{ in, want string }{
		{`{"b":null,"a":[true,false]}`, `{'b': None, 'a': [True, False]}`},
		{`{"a":1,"b":2,"a":3}`, `{'a': 3, 'b': 2}`}, // the place of the first, the value of the last
		{`[1e16,1e-7,-0.0,1.50,1e400,NaN,12345678901234567890123]`, `[1e+16, 1e-07, -0.0, 1.5, inf, nan, 12345678901234567890123]`},
		{`"it's"`, `"it's"`},
		{`"it's \"so\""`, `'it\'s "so"'`},
		{`"\u007f\u00a0\u00ad\u200b\ud83d\ude00\u00e9\n"`, `'\x7f\xa0\xad\u200b😀é\n'`},
		{`"\ud800"`, `'\ud800'`},
	}
	for _, tt := range tests {
		v, err := Parse([]byte(tt.in))
		if got := string(v.AppendRepr(nil)); err != nil || got != tt.want {
			t.Errorf("repr of %s = %s, %v, want %s", tt.in, got, err, tt.want)
		}
	}
}

func TestPretty(t *testing.T) {
	tests := []struct{ in, want string }{
		{`{"b":1,"a":{"d":1,"c":2}}`, `{'a': {'c': 2, 'd': 1}, 'b': 1}`},
		{
			`["` + strings.Repeat("word ", 20) + `",""]`,
			"['word word word word word word word word word word word word word word word '\n 'word word word word word ',\n '']",
		},
		{ // a string that stands alone is put into parentheses
			`"` + strings.Repeat("a", 50) + " " + strings.Repeat("b", 50) + `"`,
			"('" + strings.Repeat("a", 50) + " '\n '" + strings.Repeat("b", 50) + "')",
		},
		{`"` + strings.Repeat("x", 100) + `"`, "'" + strings.Repeat("x", 100) + "'"},
	}
	for _, tt := range tests {
		v, err := Parse([]byte(tt.in))
		if got := string(v.AppendPretty(nil)); err != nil || got != tt.want {
			t.Errorf("pprint of %s\n got %s, %v\nwant %s", tt.in, got, err, tt.want)
		}
	}
}

func TestWithAndWithout(t *testing.T) {
	v, err := Parse([]byte(`{"signature":"s","timestamp":1,"x":2}`))
	if err != nil {
		t.Fatal(err)
	}
	got := v.Without("signature", "nope").With("timestamp", String("now")).With("nope", String(""))
	if want := `{'timestamp': 'now', 'x': 2}`; string(got.AppendRepr(nil)) != want || got.width != len(want) {
		t.Errorf("Without, With = %s with width %d, want %s with %d", got.AppendRepr(nil), got.width, want, len(want))
	}
	if got, want := string(v.AppendRepr(nil)), `{'signature': 's', 'timestamp': 1, 'x': 2}`; got != want {
		t.Errorf("the first value became %s, want %s", got, want)
	}
}

// FuzzParse holds for any input: what Python cannot read is refused; else no
// layout panics, the repr has the width that it is said to have, and neither
// holds a character that a terminal would obey.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,2.5,null,true,"x"],"b":{"":""}}`, `"\ud83d\ude00\ud83d"`, `"\r\n\u2028 a"`, `[[[]],{}]`, `1e400`, `"`, ``,
		`"` + strings.Repeat("it's \\\" so ", 20) + `"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		v, err := Parse(in)
		if err != nil {
			if fedmsg.ReasonOf(err) == "" {
				t.Fatalf("Parse(%q): %v has no reason", in, err)
			}
			return
		}
		repr := v.AppendRepr(nil)
		if n := utf8.RuneCount(repr); n != v.reprWidth() {
			t.Errorf("repr of %q is %s, of %d characters; width says %d", in, repr, n, v.reprWidth())
		}
		for _, out := range [][]byte{repr, bytes.ReplaceAll(v.AppendPretty(nil), []byte("\n"), nil)} {
			if i := bytes.IndexFunc(out, func(r rune) bool { return r < ' ' || 0x7F <= r && r < 0xA0 || 0x200B <= r && r <= 0x200F }); i >= 0 {
				t.Errorf("%q is written as %q", in, out)
			}
		}
	})
}
