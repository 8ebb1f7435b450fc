package template_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fedora-infra/fedmsg-go/meta/template"
)

// largeBodies are as large as a message can be: many texts, one long text, many keys.
func largeBodies() map[string]template.Value {
	var keys strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&keys, `,"k%d":1`, i)
	}
	list := func(n int, item string) string { return `"list":[` + strings.Repeat(item+",", n-1) + item + `]` }
	bodies := make(map[string]template.Value)
	for name, text := range map[string]string{
		"texts": `{` + list(70_000, `"some words"`) + `,"text":"x","o":{}}`,
		"long":  `{` + list(1000, `1`) + `,"text":"` + strings.Repeat("x-", 500_000) + `","o":{}}`,
		"keys":  `{` + list(3000, `{}`) + `,"text":"x","o":{"k":1` + keys.String() + `}}`,
		"lists": `{` + list(10_000, `[{"a":1},[2,"b"],{"c":{"d":[]}}]`) + `,"text":"x","o":{}}`,
	} {
		bodies[name] = template.ReadJSON([]byte(text))
	}
	return bodies
}

// greedy are templates that want too much: of time, of memory or of both.
var greedy = []string{
	`{{range .list}}{{range $.list}}{{range $.list}}x{{end}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{if $.o.nope}}x{{end}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{if has $.o "nope"}}x{{end}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{pluck $.list "nope" | len}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{if contains $.list "x"}}x{{end}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{if contains $.text "nope"}}x{{end}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{len $.text}}{{prefix $.text 1}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{truncate $.text 3}}{{nvr $.text}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{if eq $ $}}x{{end}}{{if lt $ $}}x{{end}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{len (where $.list "nope" $)}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{len (where (list $ $ $) "list" $.list)}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{len (unique $.list)}}{{len (sort $.list)}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{len (without $.list $.list)}}{{len (intersect $.list $.list)}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{series $.list}}{{join $.list ""}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{$}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{$.text}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{json $}}{{quote $.text}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{len (keys $.o)}}{{len (items $.o)}}{{len (values $.o)}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{len (split $.text "")}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{part $.text "-" 0}}{{len (fields $.text)}}{{len (lines $.text)}}{{end}}{{end}}`,
	"{{range .list}}{{range $.list}}{{len (matches $.text ``)}}{{match $.text `y`}}{{end}}{{end}}",
	`{{range .list}}{{range $.list}}{{sha256 $.text}}{{upper $.text}}{{urlquery $.text}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{len (mentions $.text)}}{{len (urls $.text)}}{{avatarEmail $.text}}{{end}}{{end}}`,
	`{{$x := "0123456789"}}{{range .list}}{{$x = print $x $x}}{{end}}{{$x}}`,
	`{{$x := "aa"}}{{range .list}}{{$x = replace $x "a" "aaaa"}}{{end}}{{$x}}`,
	`{{$x := .text}}{{range .list}}{{$x = json (list $x $x)}}{{end}}{{$x}}`,
	`{{$x := list $}}{{range .list}}{{$x = concat $x $x}}{{end}}{{len $x}}`,
	`{{$x := list $}}{{range .list}}{{$x = list $x $x}}{{end}}{{$x}}{{len (concat $x)}}`,
	`{{$x := list .text}}{{range .list}}{{$x = list $x $x}}{{end}}{{join $x ""}}`,
	`{{unique (list ` + strings.Repeat("$ ", 8000) + `)}}`,
	`{{join (list ` + strings.Repeat("$ ", 8000) + `) ""}}`,
	`{{print ` + strings.Repeat("$ ", 8000) + `}}`,
	`{{concat ` + strings.Repeat("$.list ", 2000) + `}}`,
	`{{range .list}}` + strings.Repeat("long text ", 1500) + `{{end}}`,
	`{{range .list}}{{range $.list}}{{$.text` + strings.Repeat(".a", 8000) + `}}{{end}}{{end}}`,
	`{{range .list}}{{range $.list}}{{if or ` + strings.Repeat("$.nope ", 2000) + `}}{{end}}{{end}}{{end}}`,
	`{{` + strings.Repeat("(", 5000) + `.text` + strings.Repeat(")", 5000) + `}}`,
}

// No template costs much, whatever it wants and whatever it is given; if it could
// not have what it wanted, it says so.
func TestFuel(t *testing.T) {
	const atMost, allocated = time.Second * slowdown, 200 << 20
	bodies := largeBodies()
	for _, src := range greedy {
		tmpl, err := template.Compile(src, testFile())
		if err != nil {
			if strings.Contains(err.Error(), "too deep") || strings.Contains(err.Error(), "nest") {
				continue
			}
			t.Errorf("%.60s: %v", src, err)
			continue
		}
		for name, body := range bodies {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			v, run, took := within(atMost, tmpl, body)
			runtime.ReadMemStats(&after)
			if took > atMost {
				t.Errorf("%.90s, %s: took %s", src, name, took)
			}
			if made := after.TotalAlloc - before.TotalAlloc; made > allocated {
				t.Errorf("%.90s, %s: allocated %d MiB", src, name, made>>20)
			}
			if *run.Fuel <= 0 && run.Why() != "the rules take too much work for this message" {
				t.Errorf("%.90s, %s: Why() = %q", src, name, run.Why())
			}
			if !tmpl.IsValue() && len(v.String()) > template.MaxField {
				t.Errorf("%.90s, %s: %d bytes of text", src, name, len(v.String()))
			}
		}
	}
}

// A list that holds too much is none: whoever walks through it need not count.
func TestMaxList(t *testing.T) {
	body := largeBodies()["texts"]
	for n, ok := range map[int]bool{1: true, 3: false, 8000: false} {
		tmpl, err := template.Compile(`{{list `+strings.Repeat("$ ", n)+`}}`, testFile())
		if err != nil {
			t.Fatal(err)
		}
		run := newRun(testFile(), body)
		if v := tmpl.Value(run, body); (v.Kind() == template.List) != ok || (run.Why() == "") != ok {
			t.Errorf("a list of %d large values: kind %v, Why() = %q", n, v.Kind(), run.Why())
		}
	}
}

// Fuel is of the message: what one template has burnt another lacks.
func TestFuelIsShared(t *testing.T) {
	body := template.ReadJSON([]byte(testBody))
	run := newRun(testFile(), body)
	*run.Fuel = 100
	tmpl, err := template.Compile(`{{.text}} {{.one}}`, testFile())
	if err != nil {
		t.Fatal(err)
	}
	if v := tmpl.Value(run, body); v.String() != "Some text 1" || run.Why() != "" {
		t.Errorf("first: %q, %q", v, run.Why())
	}
	if v := tmpl.Value(run, body); v.Kind() != template.Missing || run.Why() != "the rules take too much work for this message" {
		t.Errorf("second: %q, %q", v, run.Why())
	}
}

// What one template makes is cut at MaxField bytes; what fits is whole.
func TestMaxField(t *testing.T) {
	body := template.ReadJSON([]byte(`{"text":"` + strings.Repeat("y", template.MaxField-1) + `","list":[1,2,3,4,5,6,7,8]}`))
	for src, want := range map[string]int{
		`x{{.text}}`:  template.MaxField,
		`xx{{.text}}`: template.MaxField,
		`{{.text}}x`:  template.MaxField,
		`{{.text}}xx`: template.MaxField,
		`{{range .list}}` + strings.Repeat("x", 16_000) + `{{end}}`: template.MaxField,
		`{{range .list}}` + strings.Repeat("x", 8_000) + `{{end}}`:  64_000,
	} {
		tmpl, err := template.Compile(src, testFile())
		if err != nil {
			t.Fatal(err)
		}
		if v := tmpl.Value(newRun(testFile(), body), body); len(v.String()) != want {
			t.Errorf("%.30s: %d bytes, want %d", src, len(v.String()), want)
		}
	}
}
