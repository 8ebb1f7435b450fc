package generic_test

import (
	"strings"
	"testing"

	"github.com/fedora-infra/fedmsg-go/meta/generic"
)

// loanSchema describes bodies whose keys say nothing to those who do not know the
// service, as message packages do.
const loanSchema = `{
	"id": "http://example.org/message-schema/library.json#",
	"$schema": "http://json-schema.org/draft-04/schema#",
	"description": "Sent when a book leaves the house",
	"type": "object",
	"required": ["desk", "work"],
	"properties": {
		"entry_icon": {"type": "string", "format": "uri", "description": "The name of a picture"},
		"authors": {"type": "array", "description": "The name of each who wrote it", "items": {"type": "string"}},
		"count": {"type": "integer", "description": "The number of the account who asked for it last"},
		"shelf": {"type": "string", "description": "The name of the shelf"},
		"cover": {"type": "string", "format": "uri", "description": "A picture of it"},
		"desk": {"type": ["string", "null"], "description": "The account that handed it out"},
		"work": {"type": "string", "description": "The title of the book"},
		"shown_at": {"type": "string", "format": "uri"}
	}
}`

const loan = `{"entry_icon":"https://example.org/i.png","shelf":"S5","cover":"https://example.org/c.jpg","authors":["f.h."],"count":3,"desk":"alice","work":"Dune","shown_at":"https://example.org/dune"}`

func readSchema(t *testing.T, src string) *generic.Schema {
	t.Helper()
	s, err := generic.ReadSchema([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A schema finds what is under keys that nobody could guess.
func TestSchemaHelps(t *testing.T) {
	without := guess("library.loan.new", loan, nil)
	if without.Agent != "" || strings.Contains(without.Sentence(), "Dune") {
		t.Fatalf("without the schema: agent %q, %q; the keys are not unusual enough", without.Agent, without.Sentence())
	}
	for name, src := range map[string]string{
		"body":           loanSchema,
		"message, body":  `{"type":"object","properties":{"topic":{"type":"string"},"body":` + loanSchema + `}}`,
		"message, msg":   `{"type":"object","properties":{"i":{"type":"integer"},"msg":` + loanSchema + `},"required":["i"]}`,
		"without wishes": strings.Replace(loanSchema, `"required": ["desk", "work"],`, "", 1),
	} {
		t.Run(name, func(t *testing.T) {
			g := guess("library.loan.new", loan, readSchema(t, src))
			want := "alice created loan Dune (library)"
			if name == "without wishes" {
				want = "alice created loan S5 (library)" // the shelf has a name too, and comes first
			}
			if g.Agent != "alice" || g.Sentence() != want {
				t.Errorf("agent %q, sentence %q, want alice, %q", g.Agent, g.Sentence(), want)
			}
			if got, want := g.Link(), "https://example.org/c.jpg"; got != want {
				t.Errorf("link %q, want %q, the first that is no icon", got, want)
			}
		})
	}
}

// What the schema says must stand in the message too; else the usual places count.
func TestSchemaBesideTheMessage(t *testing.T) {
	s := readSchema(t, loanSchema)
	for _, tt := range []struct{ name, body, agent, link, sentence string }{
		{"missing", `{"user":"bob","name":"Emma","url":"https://example.org/e"}`, "bob", "https://example.org/e", "bob created loan Emma (library)"},
		{"null", `{"desk":null,"work":null,"cover":null,"agent":"bob"}`, "bob", "", "bob created loan (library)"},
		{"other types", `{"desk":5,"work":["Dune"],"cover":{}}`, "", "", "library: loan was created"},
		{"unsafe", `{"cover":"javascript:alert(1)","desk":"the desk at the door"}`, "", "", "library: loan was created: javascript:alert(1)"},
		{"no object", `[1]`, "", "", "library: loan was created"},
	} {
		g := guess("library.loan.new", tt.body, s)
		if g.Agent != tt.agent || g.Link() != tt.link || g.Sentence() != tt.sentence {
			t.Errorf("%s: agent %q, link %q, sentence %q; want %q, %q, %q", tt.name, g.Agent, g.Link(), g.Sentence(), tt.agent, tt.link, tt.sentence)
		}
	}
}

// Which property plays which part.
func TestSchemaParts(t *testing.T) {
	const body = `{"a":"alice","b":"https://example.org/b","c":"Dune","d":"https://example.org/d"}`
	for _, tt := range []struct{ name, a, b, c, d, agent, link, sentence string }{
		{"descriptions", `"description":"Who did it"`, `"description":"The URL of the page"`, `"title":"Name"`, ``, "alice", "https://example.org/b", "alice tested c Dune (x)"},
		{"the username of", `"description":"The username of the submitter"`, ``, `"description":"its identifier"`, ``, "alice", "https://example.org/b", "alice tested c Dune (x)"},
		{"a person's page is no person", `"description":"user who did it"`, ``, ``, `"format":"uri","description":"page of the user who did it"`, "alice", "https://example.org/d", "alice tested c Dune (x)"},
		{"formats", ``, ``, ``, `"format":"uri"`, "", "https://example.org/d", "x: c Dune was tested"},
		{"a number is no address", ``, `"type":"string"`, ``, `"type":"integer","description":"link count"`, "", "https://example.org/b", "x: c Dune was tested"},
		{"a second person is no thing", `"description":"user who did it"`, ``, `"description":"name of the user who asked"`, ``, "alice", "https://example.org/b", "alice tested c Dune (x)"},
	} {
		src := `{"properties":{"a":{` + tt.a + `},"b":{` + tt.b + `},"c":{` + tt.c + `},"d":{` + tt.d + `}}}`
		g := guess("x.c.test", body, readSchema(t, src))
		if g.Agent != tt.agent || g.Link() != tt.link || g.Sentence() != tt.sentence {
			t.Errorf("%s: agent %q, link %q, sentence %q; want %q, %q, %q", tt.name, g.Agent, g.Link(), g.Sentence(), tt.agent, tt.link, tt.sentence)
		}
	}
}

func TestReadSchemaRefuses(t *testing.T) {
	for _, src := range []string{
		"", "null", "{}", "[]", `"properties"`, "properties: {}", `{"properties":[]}`, `{"properties":{"a":{}`,
		`{"type":"array","items":{"properties":{"a":{}}}}`, "\x00\xff",
	} {
		if _, err := generic.ReadSchema([]byte(src)); err == nil || !strings.Contains(err.Error(), "properties") {
			t.Errorf("%q: %v, want an error about properties", src, err)
		}
	}
	// Odd, but schemas: they say nothing, or little.
	for _, src := range []string{`{"properties":{}}`, `{"properties":{"a":true,"b":null,"c":[]},"required":"a"}`} {
		if g := guess("x.y", `{"a":"b"}`, readSchema(t, src)); g.Sentence() != "x y: b" {
			t.Errorf("%s: %q", src, g.Sentence())
		}
	}
}
