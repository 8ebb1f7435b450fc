package fedmsg_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// The vectors hold the whole contract; these rows hold what must be true
// without them, too.
func TestAppendCanonical(t *testing.T) {
	tests := []struct{ in, want string }{
		{`{"b":1,"a":2}`, `{"a":2,"b":1}`},
		{" { \"a\" :\t[ 1 , 2 ] }\r\n", `{"a":[1,2]}`},
		{`{"a":1,"a":2}`, `{"a":2}`}, // the last one counts
		{`{"a":{"x":1},"b":0,"a":{"y":1}}`, `{"a":{"y":1},"b":0}`},
		{`"é😀\u007f"`, `"\u00e9\ud83d\ude00\u007f"`},
		{`"\u003c\/\u0026<>&"`, `"</&<>&"`},
		{`"\ud800"`, `"\ud800"`}, // half a pair stays
		{`"\udc00\ud800"`, `"\udc00\ud800"`},
		{`"\b\f\n\r\t\"\\"`, `"\b\f\n\r\t\"\\"`},
		{`{"\uff5e":1,"😀":2,"\ud800":3,"\ue000":4}`, `{"\ud800":3,"\ue000":4,"\uff5e":1,"\ud83d\ude00":2}`}, // by code point, not by UTF-16 unit
		{`[-0,-0.0,0.0,1.50,1E2]`, `[0,-0.0,0.0,1.5,100.0]`},
		{`[1e-5,0.0001,1e15,1e16,1e22,1.5e-7,5e-324]`, `[1e-05,0.0001,1000000000000000.0,1e+16,1e+22,1.5e-07,5e-324]`},
		{`[123456789012345678901234567890]`, `[123456789012345678901234567890]`},
		{`[NaN,Infinity,-Infinity,1e400,-1e400]`, `[NaN,Infinity,-Infinity,Infinity,-Infinity]`},
		{`[true,false,null,"",{},[]]`, `[true,false,null,"",{},[]]`},
		{`{"":1}`, `{"":1}`},
	}
	for _, tt := range tests {
		got, err := fedmsg.AppendCanonical([]byte("before "), []byte(tt.in))
		if err != nil || string(got) != "before "+tt.want {
			t.Errorf("AppendCanonical(%q)\n = %s, %v\nwant before %s", tt.in, got, err, tt.want)
		}
	}
}

func TestAppendCanonicalRefuses(t *testing.T) {
	for _, in := range []string{
		``, ` `, `{`, `}`, `[1,]`, `{"a":1,}`, `{a:1}`, `{'a':1}`, `{"a"}`, `{"a":}`, `1 2`, `{} {}`, `[] ,`, `nul`, `tru`, `+1`, `01`, `1.`, `.5`, `1e`, `1e+`, `0x10`, `-`, `- 1`, `--1`,
		`"`, `"a`, `"\x"`, `"\u12"`, `"\u12g4"`, `"\ud800\u12"`, "\"\n\"", "\"\x00\"", "\xef\xbb\xbf{}", "\"\xff\"", "\"\xed\xa0\x80\"", "\"\xc0\xaf\"",
		`nan`, `inf`, `-NaN`, `+Infinity`, `{"a":1 "b":2}`, `[1 2]`, "\v1", "1\x00", `{null:1}`, `{1:1}`,
		strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 100_000), strings.Repeat("9", 4301),
	} {
		before := []byte("before")
		got, err := fedmsg.AppendCanonical(before, []byte(in))
		if !errors.Is(err, fedmsg.ErrInvalid) || fedmsg.ReasonOf(err) == "" {
			t.Errorf("AppendCanonical(%.40q) = %.40q, %v, want a refusal", in, got, err)
			continue
		}
		if string(got) != "before" {
			t.Errorf("AppendCanonical(%.40q) with an error returns %.40q, want what it was given", in, got)
		}
		checkPrintable(t, err.Error())
	}
}

// FuzzAppendCanonical holds for any input whatever: either it is refused as
// ErrInvalid, or the result is ASCII, means the same JSON, and is its own
// canonical form.
func FuzzAppendCanonical(f *testing.F) {
	for _, seed := range []string{
		`{"topic":"org.fedoraproject.prod.git.receive","msg":{"n":1.50}}`,
		`[-0.0,1e400,"\ud800",{"a":{"b":null}}]`, `"\u2028<&>"`, `{"a":1,"a":2}`, `{} {}`, ``,
		`{"\ud800":1,"\ud801":2}`, `{"\u0061":1,"a":2}`, `[1E+2,1e-7,123456789012345678901234567890]`, "\"\xff\"", `[NaN]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := fedmsg.AppendCanonical(nil, in)
		if err != nil {
			if !errors.Is(err, fedmsg.ErrInvalid) {
				t.Fatalf("error %v does not wrap ErrInvalid", err)
			}
			return
		}
		if i := bytes.IndexFunc(got, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
			t.Fatalf("byte %d of %q is not printable ASCII", i, got)
		}
		again, err := fedmsg.AppendCanonical(nil, got)
		if err != nil || !bytes.Equal(again, got) {
			t.Fatalf("not its own canonical form:\n first %s\nsecond %s, %v", got, again, err)
		}
		checkSameMeaning(t, in, got)
		for name, respell := range map[string]func(dst, src []byte) ([]byte, error){
			"AppendRelayed": fedmsg.AppendRelayed, "AppendPretty": fedmsg.AppendPretty,
		} {
			other, err := respell(nil, in)
			if err != nil {
				t.Fatalf("%s refuses what AppendCanonical takes: %v", name, err)
			}
			if back, err := fedmsg.AppendCanonical(nil, other); err != nil || !bytes.Equal(back, got) {
				t.Fatalf("%s(%s)\n = %s,\nof which the canonical form is %s, %v\nwant %s", name, in, other, back, err, got)
			}
		}
	})
}

// checkSameMeaning compares two JSON texts by encoding/json, as far as that is a
// judge: not of numbers beyond float64, and not of halves of surrogate pairs.
func checkSameMeaning(t *testing.T, a, b []byte) {
	t.Helper()
	var before, after any
	if bytes.Contains(bytes.ToLower(a), []byte(`\ud`)) || json.Unmarshal(a, &before) != nil {
		return
	}
	if err := json.Unmarshal(b, &after); err != nil || !reflect.DeepEqual(before, after) {
		t.Fatalf("%s\nmeans %v,\n%s\nmeans %v, %v", a, before, b, after, err)
	}
}

// The canonical form is defined by what Python writes, so ask Python.
func TestAppendCanonicalAgreesWithPython(t *testing.T) {
	python := fedmsgtest.PythonWith(t, "json", "python3")
	rng := rand.New(rand.NewPCG(1, 2))
	var in bytes.Buffer
	var docs []string
	for range 20_000 {
		d := randomJSON(rng, 4)
		docs = append(docs, d)
		in.WriteString(d + "\n")
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", `
import sys, json
for line in sys.stdin.buffer:
    print(json.dumps(json.loads(line.decode("utf-8")), sort_keys=True, separators=(",", ":")))`)
	cmd.Stdin = &in
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(docs) {
		t.Fatalf("Python answers %d lines to %d documents", len(lines), len(docs))
	}
	for i, want := range lines {
		got, err := fedmsg.AppendCanonical(nil, []byte(docs[i]))
		if err != nil || string(got) != want {
			t.Fatalf("AppendCanonical(%s)\n = %s, %v\nPython %s", docs[i], got, err, want)
		}
	}
}

// randomJSON writes a document in as many spellings as JSON, and Python, know.
func randomJSON(rng *rand.Rand, depth int) string {
	space := func() string {
		if rng.IntN(4) > 0 {
			return ""
		}
		return []string{" ", "\t", "  "}[rng.IntN(3)]
	}
	kind := rng.IntN(9)
	if depth == 0 {
		kind = rng.IntN(5)
	}
	switch {
	case kind < 2:
		return randomNumber(rng)
	case kind < 4:
		return randomString(rng)
	case kind == 4:
		return []string{"true", "false", "null", "NaN", "Infinity", "-Infinity"}[rng.IntN(6)]
	}
	open, shut := "[", "]"
	var items []string
	for range rng.IntN(6) {
		item := randomJSON(rng, depth-1)
		if kind > 6 {
			open, shut = "{", "}"
			item = randomString(rng) + space() + ":" + space() + item
		}
		items = append(items, space()+item+space())
	}
	return open + strings.Join(items, ",") + shut
}

func randomNumber(rng *rand.Rand) string {
	switch rng.IntN(6) {
	case 0:
		return strconv.FormatInt(rng.Int64()>>rng.IntN(64), 10)
	case 1:
		return "-" + strconv.FormatUint(rng.Uint64(), 10) + strings.Repeat("0", rng.IntN(30))
	case 2:
		return strconv.FormatFloat(rng.NormFloat64(), "efg"[rng.IntN(3)], rng.IntN(20), 64)
	case 3:
		return fmt.Sprintf("%d%s%s%d", rng.IntN(100)-50, []string{"e", "E"}[rng.IntN(2)], []string{"", "+", "-"}[rng.IntN(3)], rng.IntN(420))
	case 4:
		return fmt.Sprintf("%d.%0*d", rng.IntN(1000)-500, 1+rng.IntN(20), rng.IntN(1000))
	}
	return []string{"0", "-0", "0.0", "-0.0", "1e-5", "1e15", "1e16", "123456789012345680.0", "5e-324", "1.7976931348623157e308", "2.2250738585072014e-308"}[rng.IntN(11)]
}

func randomString(rng *rand.Rand) string {
	var s strings.Builder
	s.WriteByte('"')
	for range rng.IntN(5) {
		switch rng.IntN(9) {
		case 0:
			fmt.Fprintf(&s, `\u%04x`, rng.IntN(0x10000)) // half a pair, at times
		case 1:
			fmt.Fprintf(&s, `\uD8%02x\uDC%02X`, rng.IntN(256), rng.IntN(256))
		case 2:
			s.WriteString([]string{`\"`, `\\`, `\/`, `\b`, `\f`, `\n`, `\r`, `\t`, "\x7f", "é", "\u2028", "😀", "\uffff", "</script>"}[rng.IntN(14)])
		default:
			s.WriteByte("abc"[rng.IntN(3)]) // so that keys come twice
		}
	}
	s.WriteByte('"')
	return s.String()
}

func BenchmarkAppendCanonical(b *testing.B) {
	in, err := fedmsg.AppendRelayed(nil, kilobyte(b))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	var out []byte
	for b.Loop() {
		if out, err = fedmsg.AppendCanonical(out[:0], in); err != nil {
			b.Fatal(err)
		}
	}
}
