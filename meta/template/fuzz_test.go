package template_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"text/template"
	"time"

	ours "github.com/fedora-infra/fedmsg-go/meta/template"
)

// FuzzCompile: a text either is a template or is refused, with a line that it has;
// what a template makes of some values, it makes soon, and within the limits.
func FuzzCompile(f *testing.F) {
	for _, src := range greedy {
		f.Add(src)
	}
	for _, src := range []string{
		`{{$who}} did {{.text}}`, `{{range $i, $x := .list}}{{if $i}}, {{end}}{{$x}}{{else}}{{break}}{{end}}`, `{{with $u := .user}}{{$u.name | upper | printf}}{{end}}`,
		`{{define "x"}}{{template "x"}}{{end}}`, "{{match .text `(a*)*b`}}{{lookup \"state\" .one}}", `{{$who = 1}}{{$x := 2}}{{$x = $x}}`, `{{- /* c */ -}} {{"\x00"}} }}{{`,
		`{{if and (lt .minus .huge) (not .nope)}}{{date .long "Mon"}}{{until .one}}{{end}}`, `{{div .one .zero}}{{slice .list .minus .long}}{{pad .one .long}}{{mul .long .long}}`,
		`{{block "b" .}}{{end}}`, `{{.a.b.c}}{{$.x}}{{(list 1 2).y}}`, `{{series .list -1}}{{truncate .umlaut 1}}{{prefix .umlaut -1}}{{items .user | json}}`, "{{nil}}{{1e5}}{{'a'}}",
		`{{fetchJSON "https://example.org/json" | json}}{{avatar .text}}{{mentions .lines}}{{query "a"}}{{date .zero "2006-01-02T15:04:05.999999999Z07:00"}}`,
	} {
		f.Add(src)
	}
	values := []ours.Value{
		ours.ReadJSON([]byte(testBody)), {}, ours.NewText("a \xff\x00\u202e b"),
		ours.ReadJSON([]byte(`{"list": [` + strings.Repeat(`{"n": "a-1-2"}, `, 1000) + `1], "text": "` + strings.Repeat("a ", 20_000) + `", "user": [], "one": "x", "zero": {}}`)),
	}
	f.Fuzz(func(t *testing.T, src string) {
		tmpl, err := ours.Compile(src, testFile())
		if err != nil {
			at, ok := errors.AsType[*ours.Error](err)
			if !ok || at.Text == "" || at.Line < 0 || at.Line > strings.Count(src, "\n") {
				t.Fatalf("Compile(%q): %#v", src, err)
			}
			return
		}
		for _, body := range values {
			v, run, took := within(time.Second*slowdown, tmpl, body)
			if took > time.Second*slowdown {
				t.Errorf("%q took %s", src, took)
			}
			if size := len(v.String()); size > ours.MaxFuel || !tmpl.IsValue() && size > ours.MaxField {
				t.Errorf("%q made %d bytes", src, size)
			}
			if !tmpl.IsValue() && v.Kind() == ours.Missing && run.Why() == "" {
				t.Errorf("%q has no value, and does not say why", src)
			}
		}
	})
}

// One typical sentence by ours and by the library's text/template: of a body that
// was read before, by us or by encoding/json, and (read) of one that comes as JSON.
func BenchmarkTemplate(b *testing.B) {
	const (
		body = `{"agent": "alice", "update": {"title": "bash-5.2-1.fc44 readline-8.2-1.fc44", "alias": "FEDORA-2026-abcdef", "status": "testing", "karma": 3,
			"user": {"name": "alice", "id": 12345, "groups": ["packager", "provenpackager"]}, "builds": [{"nvr": "bash-5.2-1.fc44", "epoch": 0}, {"nvr": "readline-8.2-1.fc44", "epoch": null}]},
			"comment": {"author": "bob", "text": "Works for me: no regressions noted", "karma": 1, "timestamp": "2026-01-01 00:00:00"}}`
		src  = `{{if .comment}}{{.comment.author}} commented on {{.update.title}} ({{if eq .comment.karma 1}}works{{else}}fails{{end}}: {{len .update.builds}}){{range .update.builds}} {{.nvr}}{{end}}{{end}}`
		want = `bob commented on bash-5.2-1.fc44 readline-8.2-1.fc44 (works: 2) bash-5.2-1.fc44 readline-8.2-1.fc44`
	)
	check := func(b *testing.B, got string, err error) {
		if got != want || err != nil {
			b.Fatalf("got %q, %v", got, err)
		}
	}
	f := testFile()
	mine, err := ours.Compile(src, f)
	if err != nil {
		b.Fatal(err)
	}
	theirs := template.Must(template.New("").Parse(strings.Replace(src, "karma 1", "karma 1.0", 1))) // numbers are float64 there
	run := newRun(f, ours.Value{})
	tell := func(b *testing.B, v ours.Value) {
		*run.Fuel, run.Body = ours.MaxFuel, v
		check(b, mine.Value(run, v).String(), nil)
	}
	decode := func(b *testing.B) (v any) {
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			b.Fatal(err)
		}
		return v
	}
	execute := func(b *testing.B, v any) {
		var out strings.Builder
		err := theirs.Execute(&out, v)
		check(b, out.String(), err)
	}
	v, decoded := ours.ReadJSON([]byte(body)), decode(b)
	for _, bb := range []struct {
		name string
		work func(b *testing.B)
	}{
		{"ours", func(b *testing.B) { tell(b, v) }},
		{"library", func(b *testing.B) { execute(b, decoded) }},
		{"read/ours", func(b *testing.B) { tell(b, ours.ReadJSON([]byte(body))) }},
		{"read/library", func(b *testing.B) { execute(b, decode(b)) }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bb.work(b)
			}
		})
	}
}
