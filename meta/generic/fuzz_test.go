package generic_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fedora-infra/fedmsg-go/meta/generic"
	"github.com/fedora-infra/fedmsg-go/meta/template"
)

// Whatever the body and the schema are: there is a sentence, names are names, and
// a link can be followed.
func FuzzGuess(f *testing.F) {
	f.Add("library.loan.new", loan, loanSchema)
	f.Add("x.user.suspend", `{"user":{"name":"alice"},"package":["bash",{"name":"zsh"}],"nvr":"a-1-1","url":"http://example.org"}`, `{}`)
	f.Add("x", `"text"`, `{"properties":{"a":{"format":"uri"}}}`)
	f.Add("..", `[{"user":"alice"}]`, ``)
	f.Add("", `{"":"","user":"\ud800","name":"\u202e"}`, `[]`)
	f.Add("a._-/ .Bé", strings.Repeat(`{"a":`, 100)+"1"+strings.Repeat("}", 100), `{"properties":{"body":{"properties":{}}}}`)
	f.Fuzz(func(t *testing.T, title, body, schemaText string) {
		schema, err := generic.ReadSchema([]byte(schemaText))
		if (schema == nil) != (err != nil) {
			t.Fatalf("schema %v, err %v", schema, err)
		}
		service, event, _ := strings.Cut(title, ".")
		g := generic.New(generic.Message{Body: template.ReadJSON([]byte(body)), Title: title, Service: service, Event: event}, schema)
		if strings.TrimSpace(g.Sentence()) == "" {
			t.Errorf("the sentence is %q", g.Sentence())
		}
		if strings.ContainsAny(g.Agent, " \n\t@/") || utf8.RuneCountInString(g.Agent) > 64 {
			t.Errorf("agent %q", g.Agent)
		}
		if link := g.Link(); link != "" && !strings.HasPrefix(link, "http://") && !strings.HasPrefix(link, "https://") {
			t.Errorf("link %q", link)
		}
		for _, p := range g.Packages {
			if p.Kind() != template.Text || p.IsBlank() || strings.ContainsAny(p.String(), " \n\t/") {
				t.Errorf("package %q", p.String())
			}
		}
	})
}
