package template_test

import (
	"testing"

	"github.com/fedora-infra/fedmsg-go/meta/template"
)

// One action alone is a value; anything else is a text.
func TestSingleActions(t *testing.T) {
	check(t, []row{
		{`{{.list}}`, `["a","b","c"]`},
		{`{{- .list -}}`, `["a","b","c"]`},
		{`{{/* which */}}{{.list}}`, `["a","b","c"]`},
		{`{{.list | reverse | first}}`, `"c"`},
		{`{{.one}}`, `1`},
		{`{{.yes}}`, `true`},
		{`{{.nope}}`, `(missing)`},
		{`{{.null}}`, `(missing)`},
		{`{{$things}}`, `["p","q"]`},
		{`{{(first .items).n}}`, `"foo"`},
		{`{{$who}}{{.empty}}`, `"bob"`},
		{` {{.list}}`, "(missing)"},
		{"{{.list}}\n", "(missing)"},
		{`{{if .yes}}{{.one}}{{end}}`, `"1"`}, // no action of its own
		{``, `""`},
		{`{{/* nothing */}}`, `""`},
		{`$5 and $who`, `"$5 and $who"`},
	})
}

// What is missing makes no text; in conditions it is false.
func TestMissing(t *testing.T) {
	check(t, []row{
		{`x{{.nope}}`, `(missing)`},
		{`x{{.user.nope.deeper}}`, `(missing)`},
		{`x{{.null}}`, `(missing)`},
		{`x{{.text.name}}`, `(missing)`}, // a text has no members
		{`x{{lower .nope}}`, `(missing)`},
		{`x{{$gone}}`, `(missing)`},
		{`x{{or .nope .null $gone}}`, `(missing)`},
		{`x{{.empty}}`, `"x"`}, // is there
		{`x{{.no}} {{.none}}`, "(missing)"},
		{`x{{.no}} {{.nothing}}`, "(missing)"},
		{`x{{or .nope "y"}}`, `"xy"`},
		{`x{{if .nope}}{{.nope}}{{end}}`, `"x"`},
		{`x{{if not .nope}}y{{end}}`, `"xy"`},
		{`x{{if eq .nope ""}}y{{end}}`, `"x"`},
		{`x{{if eq .nope .null}}y{{end}}`, `"xy"`},
		{`x{{len .nope}}`, `"x0"`},
		{`x{{range .nope}}y{{else}}z{{end}}`, `"xz"`},
		{`x{{with .nope}}y{{else}}z{{end}}`, `"xz"`},
		{`x{{range .mixed}}{{if .}}y{{else}}z{{end}}{{end}}`, `"xyzyyyy"`},
		{`x{{join .mixed ","}}`, `"xx,,1,{"k": "v"},["y"],true"`},
		{`x{{$y := .nope}}{{if $y}}y{{end}}`, `"x"`},
		{`x{{$y := .nope}}{{$y}}`, `(missing)`},
		{`{{list .nope .null}}`, `[]`},
	})
}

func TestWhy(t *testing.T) {
	tests := []row{
		{`{{.user.name}} {{.user.nope.deeper}}`, `.user.nope is not there`},
		{`x{{.null}}`, `.null is not there`},
		{`x{{lower (part .text "-" 1)}}`, `lower (part .text "-" 1) is not there`},
		{`x{{$gone}}`, `$gone is not there`},
		{`x{{$.nope}}`, `$.nope is not there`},
		{`x{{with .user}}{{.nope}}{{end}}`, `.nope is not there`},
		{`x{{$l := .list}}{{$l.n}}`, `$l.n is not there`},
		{`x{{.text}}`, ``},
		{`{{.nope}}`, `.nope is not there`},
		{`x{{range .items}}{{.nope.deeper}}{{end}}`, `.nope is not there`},
		{`x{{range .items}}{{.n.deeper}}{{end}}`, `.n.deeper is not there`},
		{`x{{date .text "15:04"}}`, `"Some text" is no time: neither seconds since 1970 nor like 2026-01-31T23:59:59Z`},
		{`x{{ago .text}}{{until .text}}{{epoch .text}}`, `"Some text" is no time: neither seconds since 1970 nor like 2026-01-31T23:59:59Z`},
		{`x{{date .nope "15:04"}}`, `date .nope "15:04" is not there`},
	}
	for _, tt := range tests {
		if _, why := eval(t, tt.src); why != tt.want {
			t.Errorf("%s: Why() = %q, want %q", tt.src, why, tt.want)
		}
	}
}

func TestForget(t *testing.T) {
	tmpl, err := template.Compile(`x{{.nope}}`, testFile())
	if err != nil {
		t.Fatal(err)
	}
	run := newRun(testFile(), template.Value{})
	tmpl.Value(run, run.Body)
	restore := run.Forget()
	if why := run.Why(); why != "" {
		t.Errorf("after Forget: Why() = %q", why)
	}
	if restore(); run.Why() != ".nope is not there" {
		t.Errorf("restored: Why() = %q", run.Why())
	}
}

func TestNumbersKeepTheirSpelling(t *testing.T) {
	check(t, []row{
		{`{{.spelled}} {{.long}} {{.huge}} {{.minus}} {{.tiny}}`, `"1.10 12345678901234567890 1e400 -3 1e-400"`},
		{`{{first (list .spelled)}}`, `1.10`},
		{`{{json (list .long .huge)}}`, "\"[\n    12345678901234567890,\n    1e400\n]\""},
		{`x{{1.50}}{{-0}}{{1e3}}`, `"x1.50-01e3"`}, // those of templates too
		{`{{if .huge}}y{{end}}{{if .tiny}}y{{end}}{{if .half}}z{{end}}`, `"yz"`},
	})
}

func TestControl(t *testing.T) {
	check(t, []row{
		{`{{if .no}}a{{else if .zero}}b{{else if .one}}c{{else}}d{{end}}`, `"c"`},
		{`{{if .no}}a{{else if .zero}}b{{else}}d{{end}}`, `"d"`},
		{`{{if $x := .one}}{{$x}}{{end}}`, `"1"`},
		{`{{if $x := .zero}}{{else}}{{$x}}{{end}}`, `"0"`},
		{`{{with .user}}{{.name}} {{$.text}}{{end}} {{.one}}`, `"alice Some text 1"`},
		{`{{with $u := .user}}{{$u.name}}{{.name}}{{end}}`, `"alicealice"`},
		{`{{with .no}}a{{else with .user}}{{.name}}{{else}}b{{end}}`, `"alice"`},
		{`{{with .zero}}a{{else}}{{.text}}{{end}}`, `"Some text"`}, // dot stays
		{`{{range .list}}{{.}},{{end}}{{.one}}`, `"a,b,c,1"`},
		{`{{range .list}}{{.}}{{$.one}}{{end}}`, `"a1b1c1"`}, // $ is the body
		{`{{range $i, $x := .list}}{{$i}}{{$x}} {{end}}`, `"0a 1b 2c "`},
		{`{{range $k, $v := (first .items)}}{{$k}}={{$v}};{{end}}`, `"n=foo;s=1;"`},
		{`{{range $x := .list}}{{$x}}{{.}}{{end}}`, `"aabbcc"`},
		{`{{range .none}}a{{else}}b{{.one}}{{end}}`, `"b1"`},
		{`{{range .text}}a{{else}}b{{end}}`, `"b"`},
		{`{{range 3}}a{{else}}b{{end}}`, `"b"`}, // numbers cannot be walked through
		{`{{range .list}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}`, `"ac"`},
		{`{{range .list}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}z`, `"az"`},
		{`{{range .numbers}}{{range $.list}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}{{.}}{{end}}`, `"a3a10a2a10"`},
		{`{{range .list}}{{range $.none}}{{else}}{{break}}{{end}}{{.}}{{end}}z`, `"z"`}, // the break is the outer loop's
		{`{{range .list}}{{with .}}{{continue}}{{end}}{{.}}{{end}}z`, `"z"`},
	})
}

func TestScopes(t *testing.T) {
	check(t, []row{
		{`{{$x := .one}}{{$x}}{{$x = .two}}{{$x}}`, `"12"`},
		{`{{$x := .one}}{{if .yes}}{{$x = .two}}{{end}}{{$x}}`, `"2"`},
		{`{{$x := .one}}{{if .yes}}{{$x := .two}}{{$x}}{{end}}{{$x}}`, `"21"`},
		{`{{$last := ""}}{{range .list}}{{$last = .}}{{end}}{{$last}}`, `"c"`},
		{`{{range .list}}{{$x := .}}{{$x}}{{end}}`, `"abc"`},
		{`{{$who}} {{$who := "carol"}}{{$who}}`, `"bob carol"`}, // the file's is shadowed
		{`{{if .yes}}{{$who := "carol"}}{{$who}}{{end}} {{$who}}`, `"carol bob"`},
		{`{{range $who := .list}}{{$who}}{{end}}{{$who}}`, `"abcbob"`},
		{`{{range $who, $x := .list}}{{$who}}{{end}}{{$who}}`, `"012bob"`},
		{`{{with $who := "x"}}{{$who}}{{end}}{{$who}}`, `"xbob"`},
		{`{{$u := .user}}{{$u.name}} {{len $u.deep.er}}`, `"alice 2"`},
		{`{{$x := 1}}{{range .list}}{{$x := .}}{{end}}{{$x}}`, `"1"`},
		{`{{$x := 1}}{{range .list}}{{range $.list}}{{$x = .}}{{break}}{{end}}{{end}}{{$x}}`, `"a"`},
	})
}

func TestSyntax(t *testing.T) {
	check(t, []row{
		{`{{"A-b" | lower | upperFirst}}`, `"A-b"`},
		{`{{.list | series}}`, `"a, b, and c"`},
		{"{{`raw \\n \"text\"`}}", `"raw \n "text""`},
		{`{{"esc \n \u00e9"}}`, "\"esc \n é\""},
		{"a \n {{- .one -}} \n b", `"a1b"`},
		{"a {{- /* no */ -}} b", `"ab"`},
		{`a{{"\n"}}b`, "\"a\nb\""},
		{`{{print (print "a" (upper "b")) "c"}}`, `"aBc"`},
		{`{{ and (eq .one 1)
			(not .no) }}`, `true`},
		{`{{get . "umlaut"}} {{.umlaut}}`, `"Größe ¼ 日本語 🎩 Größe ¼ 日本語 🎩"`},
		{`{{list true false nil "x"}}`, `[true,false,"x"]`},
		{`}} {`, `"}} {"`},
	})
}

// Dot and the body are what the caller says; they need not be the same.
func TestDot(t *testing.T) {
	tmpl, err := template.Compile(`{{.}} of {{$.text}}`, testFile())
	if err != nil {
		t.Fatal(err)
	}
	run := newRun(testFile(), template.ReadJSON([]byte(testBody)))
	if got := tmpl.Value(run, template.NewText("part")).String(); got != "part of Some text" {
		t.Errorf("got %q", got)
	}
	if tmpl.IsValue() {
		t.Error("IsValue: a text is one")
	}
	if one, err := template.Compile(`{{.}}`, testFile()); err != nil || !one.IsValue() {
		t.Errorf("IsValue: one action is none (%v)", err)
	}
}

func TestIsName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "a1": true, "_x": true, "größe": true, "a_b": true,
		"": false, "1a": false, "a-b": false, "a b": false, "a.b": false, "$a": false,
	} {
		if template.IsName(name) != want {
			t.Errorf("IsName(%q) = %v", name, !want)
		}
	}
}
