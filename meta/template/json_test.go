package template_test

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/meta/template"
)

func TestReadJSON(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := []row{
		{`"a\"\\\/\b\f\n\r\t\u00e9"`, "\"a\"\\/\b\f\n\r\té\""},
		{`"\ud83c\udfa9 hat"`, `"🎩 hat"`},
		{`"größe"`, `"größe"`},
		{`"half \ud83c of it"`, `"half \ud83c of it"`}, // stays as it is spelled
		{`""`, `""`},
		{` { "a" : [ 1 , { "b" : null } ] } `, `{"a": [1,{"b": null}]}`},
		{"\t[\r\n]\n", `[]`},
		{`{}`, `{}`},
		{`{"a": 1, "a": 2}`, `{"a": 1,"a": 2}`},
		{`{"": {"": 1}}`, `{"": {"": 1}}`},
		{`{"\u0061b": 1}`, `{"ab": 1}`},
		{`true`, `true`}, {`false`, `false`}, {`null`, `(missing)`},
		{`0`, `0`}, {`-0`, `-0`}, {`1.10`, `1.10`}, {`1E+5`, `1E+5`}, {`-1.5e-10`, `-1.5e-10`}, {`0.0`, `0.0`}, {`12345678901234567890`, `12345678901234567890`}, {`1e400`, `1e400`},
		{`NaN`, `NaN`}, {`-Infinity`, `-Infinity`}, // as history has them
		{nested(fedmsg.MaxDepth), nested(fedmsg.MaxDepth)},

		{nested(fedmsg.MaxDepth + 1), `(missing)`},
		{strings.Repeat(`{"a":`, 100_000), `(missing)`},
		{strings.Repeat(`[`, 100_000), `(missing)`},
		{``, `(missing)`}, {` `, `(missing)`},
		{`<html>`, `(missing)`}, {`nope`, `(missing)`}, {`True`, `(missing)`}, {`nullx`, `(missing)`},
		{`{"a": 1} x`, `(missing)`}, {`1 2`, `(missing)`}, {`{}{}`, `(missing)`}, {`[]]`, `(missing)`},
		{`{"a": 1`, `(missing)`}, {`{"a"`, `(missing)`}, {`{"a":`, `(missing)`}, {`{"a" 1}`, `(missing)`}, {`{a: 1}`, `(missing)`}, {`{1: 1}`, `(missing)`},
		{`{"a": 1,}`, `(missing)`}, {`{,}`, `(missing)`}, {`[1,]`, `(missing)`}, {`[,1]`, `(missing)`}, {`[1 2]`, `(missing)`}, {`[1`, `(missing)`}, {`[}`, `(missing)`},
		{`"a`, `(missing)`}, {`"a\`, `(missing)`}, {`"a\"`, `(missing)`}, {`{"a": "b}`, `(missing)`},
		{`01`, `(missing)`}, {`1.`, `(missing)`}, {`.5`, `(missing)`}, {`+1`, `(missing)`}, {`-`, `(missing)`}, {`1e`, `(missing)`}, {`1e+`, `(missing)`}, {`1e+-5`, `(missing)`}, {`1ex`, `(missing)`},
		{`0x10`, `(missing)`}, {`--1`, `(missing)`}, {`1-`, `(missing)`}, {`-x`, `(missing)`}, {`1"a"`, `(missing)`}, {`-NaN`, `(missing)`}, {`00`, `(missing)`}, {`-01`, `(missing)`},
	}
	for _, tt := range tests {
		if got := shown(template.ReadJSON([]byte(tt.src))); got != tt.want {
			t.Errorf("ReadJSON(%.40s) = %.60s, want %.60s", tt.src, got, tt.want)
		}
	}
}

// The last of equal names counts, as in Python.
func TestReadJSONEqualNames(t *testing.T) {
	v := template.ReadJSON([]byte(`{"a": 1, "b": 3, "a": 2}`))
	if got := v.Get("a").String(); got != "2" {
		t.Errorf("Get(a) = %s, want 2", got)
	}
}

// What is printed of a value can be read again, and is the same.
func TestValueString(t *testing.T) {
	for _, src := range []string{testBody, `["\u0000\u001f\"\\\n\t\u007f", {"a\"b": [[], {}]}]`} {
		v := template.ReadJSON([]byte(src))
		again := template.ReadJSON([]byte(v.String()))
		if v.String() != again.String() || v.Kind() != again.Kind() {
			t.Errorf("%s\nread again: %s", v, again)
		}
		if !json.Valid([]byte(v.String())) {
			t.Errorf("not JSON: %s", v)
		}
	}
	long := template.ReadJSON([]byte(`[["` + strings.Repeat("x", template.MaxField) + `", 1, 2], 3, {"a": 4}]`)).String()
	if !json.Valid([]byte(long)) || len(long) > template.MaxField+100 {
		t.Errorf("%d bytes: ...%s", len(long), long[len(long)-20:])
	}
}

func TestValueTruth(t *testing.T) {
	tests := []struct {
		src         string
		true, blank bool
	}{
		{`null`, false, true}, {`""`, false, true}, {`[]`, false, true}, {`{}`, false, true},
		{`0`, false, false}, {`-0.0`, false, false}, {`false`, false, false},
		{`" "`, true, false}, {`"false"`, true, false}, {`1e400`, true, false}, {`[null]`, true, false}, {`{"a": 0}`, true, false}, {`true`, true, false}, {`NaN`, true, false},
	}
	for _, tt := range tests {
		v := template.ReadJSON([]byte(tt.src))
		if v.IsTrue() != tt.true || v.IsBlank() != tt.blank {
			t.Errorf("%s: IsTrue %v, IsBlank %v", tt.src, v.IsTrue(), v.IsBlank())
		}
	}
}

func TestFlatten(t *testing.T) {
	v := template.ReadJSON([]byte(`["a", ["b", [null, "c"]], {"d": ["e"]}, []]`))
	got := template.Strings(template.Flatten(nil, v.Items()))
	if want := []string{"a", "b", "c", `{"d": ["e"]}`}; !slices.Equal(got, want) {
		t.Errorf("Flatten: %q, want %q", got, want)
	}
}

// differs says where a value is not what encoding/json makes of the same text.
func differs(got template.Value, want any) string {
	kind := template.Missing
	switch want := want.(type) {
	case bool:
		if kind = template.Bool; got.IsTrue() != want {
			return "bool " + got.String()
		}
	case json.Number:
		kind = template.Number
		x, errX := strconv.ParseFloat(got.String(), 64)
		y, errY := want.Float64()
		if got.String() != want.String() || x != y && !math.IsInf(x, 0) || (errX == nil) != (errY == nil) {
			return "number " + got.String()
		}
	case string:
		// What has halves of surrogate pairs in it we leave as it is spelled.
		if kind = template.Text; got.String() != want && !strings.ContainsRune(want, utf8.RuneError) {
			return "text " + got.String()
		}
	case []any:
		if kind = template.List; len(got.Items()) != len(want) {
			return "length of " + got.String()
		}
		for i, item := range want {
			if where := differs(got.Items()[i], item); where != "" {
				return strconv.Itoa(i) + ": " + where
			}
		}
	case map[string]any:
		if kind = template.Object; len(got.Keys()) < len(want) || len(got.Keys()) != len(got.Items()) {
			return "keys of " + got.String()
		}
		for key, item := range want {
			if strings.ContainsRune(key, utf8.RuneError) {
				continue
			}
			if where := differs(got.Get(key), item); where != "" {
				return strconv.Quote(key) + ": " + where
			}
		}
	}
	if got.Kind() != kind {
		return "kind of " + got.String()
	}
	return ""
}

// depth is how deep a text nests, at most: brackets in strings count, too.
func depth(src []byte) (deepest int) {
	now := 0
	for _, c := range src {
		switch c {
		case '{', '[':
			now++
			deepest = max(deepest, now)
		case '}', ']':
			now--
		}
	}
	return deepest
}

// FuzzReadJSON: what is JSON is what encoding/json says that it is; what is none
// does no harm, and what is printed of it is JSON.
func FuzzReadJSON(f *testing.F) {
	for _, seed := range []string{
		testBody, `{"a": "\ud83c\udfa9\ud83c", "a": [1e400, -0.0, 12345678901234567890]}`, `[[[[]]], {}, "\u0000"]`, `1`, `"`, `{"a":`, `[1,]`, ` null `,
		`{"\u00e9": "\\\"", "b": true}`, `NaN`, `"\ud800\"x"`, `-`, "[1\x002]", `{"a":1}{`, `"\x"`, strings.Repeat("[", 129),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		got := template.ReadJSON(src)
		if text := got.String(); got.Kind() >= template.List && utf8.Valid(src) && !strings.Contains(text, "N") && !strings.Contains(text, "Inf") && !json.Valid([]byte(text)) {
			t.Errorf("%q is printed as %q, which is no JSON", src, text)
		}
		dec := json.NewDecoder(bytes.NewReader(src))
		dec.UseNumber()
		var want any
		if !json.Valid(src) || !utf8.Valid(src) || depth(src) > fedmsg.MaxDepth || dec.Decode(&want) != nil {
			return
		}
		if where := differs(got, want); where != "" {
			t.Errorf("ReadJSON(%q) = %s\nwant %v: %s", src, got, want, where)
		}
	})
}
