package meta_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/meta"
	"github.com/fedora-infra/fedmsg-go/meta/template"
)

// withRules makes an engine of which the only built-in file is SERVICE.toml with
// these rules; files of an operator, NAME and text by turns, come before.
func withRules(t testing.TB, rules string, own ...string) *meta.Engine {
	t.Helper()
	cfg := meta.Config{Files: fstest.MapFS{"shop.toml": {Data: []byte("service = \"shop\"\n" + rules)}}}
	if len(own) > 0 {
		cfg.Dir = t.TempDir()
		write(t, cfg.Dir, own...)
	}
	engine := newEngine(t, cfg)
	for _, p := range engine.Problems() {
		t.Error(p)
	}
	for _, p := range meta.Lint("shop.toml", []byte("service = \"shop\"\n"+rules)) {
		t.Error(p)
	}
	return engine
}

// A wordsRow is a message, and a field of its words as it should be.
type wordsRow struct{ title, body, field, want string }

func checkWords(t *testing.T, engine *meta.Engine, rows []wordsRow) {
	t.Helper()
	for _, r := range rows {
		got := wordsField(describe(engine, r.title, r.body), r.field)
		if list, ok := got.([]string); ok {
			got = strings.Join(list, ",")
		}
		if got != r.want {
			t.Errorf("%s of %s %s\n = %q\nwant %q", r.field, r.title, r.body, got, r.want)
		}
	}
}

const ladderRules = `
people    = "example.org"
link      = 'https://example.org/{{$what}}'
subtitle  = '{{$who}} did {{$what}} ({{$detail}})'
usernames = ['{{$who}}', '{{.helpers}}']
packages  = []

[vars]
who    = '{{or .agent .user.name}}'
what   = '{{or .what $event}}'
detail = '{{if $rare}}rare{{else}}usual{{end}}'
rare   = '{{false}}'

[[rule]]
topic = "thing.*"
[rule.vars]
what = 'a thing'

[[rule]]
topic    = "thing.new"
when     = '{{$rare}}'
subtitle = 'a rare thing of {{$who}}'

[[rule]]
topic    = "thing.new"
when     = '{{eq .kind "x" "y"}}'
subtitle = 'a thing of kind {{.kind}}'
packages = ['{{.package}}']
[rule.vars]
rare = '{{.rare}}'

[[rule]]
topic    = ["thing.new", "thing.*.sold"]
subtitle = 'a thing: {{$what}}'
link     = ''

[[rule]]
topic = "thing.#"
agent = '{{.seller}}'
[rule.vars]
rare = '{{eq .kind "r"}}'
`

// The first rule that matches and sets a field, or a variable, gives it; the top
// of the file comes last.
func TestLadder(t *testing.T) {
	checkWords(t, withRules(t, ladderRules), []wordsRow{
		{"shop.other", `{"agent": "alice"}`, "subtitle", "alice did other (usual)"},
		{"shop.other", `{"user": {"name": "bob"}, "what": "it"}`, "subtitle", "bob did it (usual)"},
		{"shop.other", `{"agent": "alice"}`, "link", "https://example.org/other"},
		{"shop.a.b.c", `{"agent": "alice"}`, "link", "https://example.org/a.b.c"},
		{"shop.thing.old", `{"agent": "alice"}`, "subtitle", "alice did a thing (usual)"}, // a variable of a rule, the sentence of the top
		{"shop.thing.old", `{"agent": "alice", "kind": "r"}`, "subtitle", "alice did a thing (rare)"},
		{"shop.thing.old", `{"agent": "alice"}`, "link", "https://example.org/a thing"},
		{"shop.thing.new", `{"kind": "x"}`, "subtitle", "a thing of kind x"},
		{"shop.thing.new", `{"kind": "x"}`, "link", ""}, // the next rule says none
		{"shop.thing.new", `{"kind": "x", "agent": "bob", "rare": 1}`, "subtitle", "a rare thing of bob"},
		{"shop.thing.new", `{"kind": "x", "package": "bash"}`, "packages", "bash"},
		{"shop.thing.new", `{"kind": "q", "package": "bash"}`, "packages", ""}, // none, says the top
		{"shop.thing.new", `{"kind": "q"}`, "subtitle", "a thing: a thing"},
		{"shop.thing.new", `{"kind": "r", "agent": "bob"}`, "subtitle", "a rare thing of bob"}, // a condition by a variable of a later rule
		{"shop.thing.big.sold", `{"kind": "r"}`, "subtitle", "a thing: thing.big.sold"},        // * is one word
		{"shop.thing.new", `{"agent": "alice", "helpers": ["carol", "bob", null, ["bob"]]}`, "usernames", "alice,bob,carol"},
		{"shop.other", `{"agent": "carol", "helpers": ["alice"]}`, "agent", "carol"}, // the first named, not the first sorted
		{"shop.thing.new", `{"agent": "carol", "seller": "bob"}`, "agent", "bob"},
		{"shop", `{"agent": "alice", "what": "x"}`, "subtitle", "alice did x (usual)"}, // no event at all
	})
}

func TestListFields(t *testing.T) {
	checkWords(t, withRules(t, `
usernames = ['{{.a}}', 'text {{.b}}', '{{pluck .users "name"}}']
objects   = [
  { each = '{{.builds}}', where = '{{ne .state "x"}}', emit = 'builds/{{nvr .nvr}}/{{$.id}}{{$event}}' },
  { each = '{{.map}}', emit = '{{list "m" .}}' },
  'all',
]
packages = [{ each = '{{.builds}}', emit = '{{nvr .nvr}}' }]
`), []wordsRow{
		{"shop.x", `{}`, "usernames", ""},
		{"shop.x", `{"a": "alice"}`, "usernames", "alice"}, // the others drop out by themselves
		{"shop.x", `{"a": "", "b": ""}`, "usernames", "text"},
		{"shop.x", `{"a": ["c", ["a", "a"]], "users": [{"name": "b"}, {}, {"name": null}]}`, "usernames", "a,b,c"},
		{"shop.x", `{"a": [" x ", "\n", "y\u0000"]}`, "usernames", `x,y\u0000`},
		{"shop.x", `{"id": 1, "builds": [{"nvr": "b-1-1"}, {"nvr": "a-1-1", "state": "x"}, {"nvr": "c"}]}`, "objects", "all,builds/b/1x"},
		{"shop.x", `{"map": {"k": "v", "l": "w"}}`, "objects", "all,m,v,w"},
		{"shop.x", `{"builds": "text"}`, "objects", "all"},
		{"shop.x", `{"id": 1, "builds": [{"nvr": "b-1-1"}, {"nvr": "a-1-1", "state": "x"}, {"nvr": "c"}]}`, "packages", "a,b"},
	})
}

// An operator's file has the first word, but only where it says something.
func TestOperatorFirst(t *testing.T) {
	engine := withRules(t, `
people = "example.org"
link = 'https://example.org/built-in'
[[rule]]
topic = "#"
subtitle = 'built-in: {{$what}}'
usernames = ['alice']
icon = 'https://example.org/built-in.png'
[rule.vars]
what = 'built-in'
`, "mine.toml", `
service = "shop"
prefix = "org.fedoraproject"
[[rule]]
topic = "mine"
subtitle = 'mine: {{or .what "nothing"}}'
usernames = []
[[rule]]
topic = "cond"
when = '{{.yes}}'
subtitle = 'mine on condition'
[[rule]]
topic = "broken"
subtitle = 'mine {{.nope}}'
`, "new.toml", "service = \"new\"\nsubtitle = 'a new service'\n", "other.toml", "service = \"shop\"\nprefix = [\"io.pagure\", \"org.centos\"]\nsubtitle = 'elsewhere'\n")
	checkWords(t, engine, []wordsRow{
		{"shop.mine", `{}`, "subtitle", "mine: nothing"}, // variables are of their file
		{"shop.mine", `{}`, "link", "https://example.org/built-in"},
		{"shop.mine", `{}`, "icon", "https://example.org/built-in.png"},
		{"shop.mine", `{}`, "usernames", ""}, // none, said explicitly
		{"shop.other", `{}`, "subtitle", "built-in: built-in"},
		{"shop.other", `{}`, "usernames", "alice"},
		{"shop.cond", `{"yes": true}`, "subtitle", "mine on condition"},
		{"shop.cond", `{}`, "subtitle", "built-in: built-in"},
		{"new.x", `{}`, "subtitle", "a new service"},
		{"shop.broken", `{}`, "link", "https://example.org/built-in"},
	})
	w := describe(engine, "shop.other", `{}`)
	if !maps.Equal(w.Emails, map[string]string{"alice@example.org": "alice"}) || w.Avatars["alice"] != template.Avatar("alice", "example.org") {
		t.Errorf("emails %v, avatars %v", w.Emails, w.Avatars)
	}
	for topic, want := range map[fedmsg.Topic]string{
		"io.pagure.prod.shop.x":           "elsewhere",
		"org.centos.stg.shop.x":           "elsewhere",
		"org.fedoraproject.stg.shop.x":    "built-in: built-in",
		"org.example.prod.shop.mine":      "built-in: built-in",
		"org.fedoraproject.dev.shop.mine": "mine: nothing",
	} {
		if got := engine.Describe(context.Background(), fedmsgtest.MessageOf(1, topic, `{}`)).Subtitle; got != want {
			t.Errorf("%s: %q, want %q", topic, got, want)
		}
	}
	if got := engine.Services(); !slices.Equal(got, []string{"new", "shop"}) {
		t.Errorf("services: %q", got)
	}
}

// What fails empties its own field; a sentence is never blank.
func TestFailingFields(t *testing.T) {
	engine := withRules(t, `
subtitle  = '{{.who}} did it'
link      = 'https://example.org/{{.nope}}'
icon      = '{{.nope}}'
long_form = 'more: {{.nope}}'
agent     = '{{.list}}'
usernames = ['{{.who}}{{.nope}}', 'bob']
objects   = ['things/{{.nope}}']
[[rule]]
topic = "blank"
subtitle = ' {{.empty}} '
[[rule]]
topic = "value"
subtitle = '{{.who}}'
[[rule]]
topic = "burns"
subtitle = '{{range .l}}{{range $.l}}{{range $.l}}{{range $.l}}x{{end}}{{end}}{{end}}{{end}}'
`)
	w := describe(engine, "shop.x", `{"who": "alice", "list": ["a"]}`)
	if w.Subtitle != "alice did it" || w.Link != "" || w.Icon != "" || w.LongForm != w.Subtitle || !slices.Equal(w.Usernames, []string{"bob"}) || len(w.Objects) > 0 || w.Agent != "bob" {
		t.Errorf("%+v", w)
	}
	none := newEngine(t, meta.Config{Files: fstest.MapFS{}})
	burns := `{"l": [` + strings.Repeat("1,", 99) + `1]}`
	for title, body := range map[string]string{"shop.x": `{"agent": "bob", "package": "bash"}`, "shop.blank": `{"empty": ""}`, "shop.value": `{}`, "shop.burns": burns} {
		generic, got := describe(none, title, body).Subtitle, describe(engine, title, body).Subtitle
		if got != generic || strings.TrimSpace(got) == "" {
			t.Errorf("%s: %q, want the generic %q", title, got, generic)
		}
	}
	start := time.Now()
	if describe(engine, "shop.burns", burns); time.Since(start) > maxDescribe {
		t.Errorf("took %s", time.Since(start))
	}
}

func TestAgent(t *testing.T) {
	checkWords(t, withRules(t, `
usernames = ['{{.names}}']
[[rule]]
topic = "none"
agent = ''
[[rule]]
topic = "named"
agent = '{{.agent}}'
[[rule]]
topic = "nobody"
usernames = []
`), []wordsRow{
		{"shop.x", `{"names": ["carol", "alice"]}`, "agent", "carol"},
		{"shop.none", `{"names": ["carol", "alice"]}`, "agent", ""},
		{"shop.none", `{"names": ["carol", "alice"]}`, "usernames", "alice,carol"},
		{"shop.named", `{"names": ["carol"], "agent": "bob"}`, "agent", "bob"},
		{"shop.nobody", `{"names": ["carol"], "agent": "bob"}`, "agent", ""},
		{"shop.x", `{"agent": "bob"}`, "agent", ""}, // the rules name nobody
		{"unknown.x", `{"agent": "bob"}`, "agent", "bob"},
	})
}

func TestLinkSchemes(t *testing.T) {
	engine := withRules(t, "link = '{{.l}}'\nicon = '{{.l}}'\nsecondary_icon = '{{.l}}'\n")
	tests := []struct {
		link string // as in JSON
		kept bool
	}{
		{"https://example.org/a?b=c:d#e", true}, {"HTTP://example.org/", true}, {"ftp://example.org/x", true}, {"irc://irc.example.org/fedora", true}, {"ircs://irc.example.org/", true}, {"mailto:a@example.org", true},
		{"/relative/a:b", true}, {"//example.org/x", true}, {"?q=a:b", true}, {"#a:b", true}, {"plain", true},
		{"javascript:alert(1)", false}, {"JavaScript:alert(1)", false}, {"data:text/html,x", false}, {"vbscript:x", false}, {"file:///etc/passwd", false}, {"blob:https://example.org/", false},
		{`java\tscript:alert(1)`, false}, {`java\nscript:alert(1)`, false}, {` javascript:alert(1)`, false}, {`\u0001javascript:alert(1)`, false}, {`\u0000javascript:x`, false}, {":x", false}, {"java\u200bscript:x", false},
	}
	for _, tt := range tests {
		w := describe(engine, "shop.x", `{"l": "`+tt.link+`"}`)
		want := tt.link
		if !tt.kept {
			want = ""
		}
		if w.Link != want || w.Icon != want || w.SecondaryIcon != want {
			t.Errorf("%q: link %q, icon %q, secondary icon %q; want %q", tt.link, w.Link, w.Icon, w.SecondaryIcon, want)
		}
	}
}

// What would move the cursor, or turn the direction of text, is spelled; lines are
// one line, but for the long form.
func TestCleaning(t *testing.T) {
	engine := withRules(t, "subtitle = '{{.s}}'\nlong_form = '{{.s}}'\nusernames = ['{{.s}}']\n")
	tests := []struct{ json, line, paragraphs string }{
		{`a\nb\r\nc\td`, "a b  c d", "a\nb\nc\td"},
		{`  a  b  `, "a  b", "a  b"},
		{`\u001b[31mred\u001b[0m`, `\u001b[31mred\u001b[0m`, `\u001b[31mred\u001b[0m`},
		{`a\u0000\u0007\u007f\u0085\u009bb`, `a\u0000\u0007\u007f\u0085\u009bb`, `a\u0000\u0007\u007f\u0085\u009bb`},
		{`a\u202eb\u2066c\u200fd\u061ce`, `a\u202eb\u2066c\u200fd\u061ce`, `a\u202eb\u2066c\u200fd\u061ce`},
		{`a\u2028b\u2029c`, `a\u2028b\u2029c`, `a\u2028b\u2029c`},
		{`größe 日本語 🎩`, `größe 日本語 🎩`, `größe 日本語 🎩`},
	}
	for _, tt := range tests {
		w := describe(engine, "shop.x", `{"s": "`+tt.json+`"}`)
		if w.Subtitle != tt.line || strings.TrimSpace(w.LongForm) != tt.paragraphs || len(w.Usernames) != 1 || w.Usernames[0] != tt.line {
			t.Errorf("%s: subtitle %q, long form %q, usernames %q", tt.json, w.Subtitle, w.LongForm, w.Usernames)
		}
		for _, wrong := range unfit(w) {
			t.Errorf("%s: %s", tt.json, wrong)
		}
	}
}

// A line has 4 KiB at most, a long form or a list 64, and all characters are whole.
func TestFieldLimits(t *testing.T) {
	engine := withRules(t, "people = \"example.org\"\nsubtitle = '{{.s}}'\nlink = 'https://example.org/{{.s}}'\nlong_form = '{{.s}}'\nusernames = ['{{.l}}', '{{.s}}']\npackages = ['{{.l}}']\nobjects = ['{{.l}}']\n")
	var list strings.Builder
	for i := range 20_000 {
		list.WriteString(`,"name` + strings.Repeat("z", i%7) + string(rune('a'+i%26)) + fedmsgtest.ID(i)[5:13] + `"`)
	}
	w := describe(engine, "shop.x", `{"s": "`+strings.Repeat("ö", 100_000)+`", "l": [`+list.String()[1:]+`]}`)
	for _, wrong := range unfit(w) {
		t.Error(wrong[:min(len(wrong), 200)])
	}
	for field, most := range map[string]int{w.Subtitle: 4 << 10, w.Link: 4 << 10, w.LongForm: 64 << 10} {
		if len(field) > most || len(field) < most-4 || !strings.HasSuffix(field, "ö…") {
			t.Errorf("%d bytes: %.30q...", len(field), field)
		}
	}
	if len(w.Usernames) == 0 || len(w.Packages) < 1000 || len(w.Objects) < 1000 {
		t.Errorf("%d usernames, %d packages, %d objects", len(w.Usernames), len(w.Packages), len(w.Objects))
	}
}

func TestBuiltinVariables(t *testing.T) {
	checkWords(t, withRules(t, `
subtitle = '{{$topic}} {{$title}} {{$event}} {{$prefix}} {{$env}} {{$service}} {{$sender}} {{$time}} {{$message.topic}} {{eq $id $message.msg_id}} {{$own}}'
[vars]
own = '{{.own}}'
[[rule]]
topic = "mine"
subtitle = '{{$env}}'
[rule.vars]
env = 'own {{.own}}'
`), []wordsRow{
		{"shop.a.b", `{"own": 7}`, "subtitle", "org.fedoraproject.prod.shop.a.b shop.a.b a.b org.fedoraproject prod shop tester 1767225601 org.fedoraproject.prod.shop.a.b true 7"},
		{"shop.mine", `{"own": 1}`, "subtitle", "own 1"},
	})
}

// Pages come only from where the file says, and only once.
func TestFetching(t *testing.T) {
	asked := make(map[string]int)
	engine := newEngine(t, meta.Config{
		Files: fstest.MapFS{"shop.toml": {Data: []byte("service = \"shop\"\nfetch = [\"https://example.org/api/\"]\nsubtitle = '{{or (fetchJSON .url).name \"none\"}}'\nlong_form = '{{or (fetch .url) \"none\"}}'\n")}},
		Fetch: func(_ context.Context, url string) ([]byte, error) {
			asked[url]++
			if strings.HasSuffix(url, "bad") {
				return nil, errors.New("refused")
			}
			return []byte(`{"name": "bash"}`), nil
		},
	})
	checkWords(t, engine, []wordsRow{
		{"shop.x", `{"url": "https://example.org/api/x"}`, "subtitle", "bash"},
		{"shop.x", `{"url": "https://example.org/api/x"}`, "long_form", `{"name": "bash"}`},
		{"shop.x", `{"url": "https://example.org/api/bad"}`, "subtitle", "none"},
		{"shop.x", `{"url": "https://example.org/apix"}`, "subtitle", "none"},
		{"shop.x", `{"url": "https://example.com/api/"}`, "subtitle", "none"},
		{"shop.x", `{"url": "http://example.org/api/x"}`, "subtitle", "none"},
		{"shop.x", `{"url": "https://example.org/api/../x"}`, "subtitle", "none"},
		{"shop.x", `{"url": "https://example.org/api/%2e%2e/x"}`, "subtitle", "none"},
	})
	if want := map[string]int{"https://example.org/api/x": 1, "https://example.org/api/bad": 1}; !maps.Equal(asked, want) {
		t.Errorf("asked for %v, want %v", asked, want)
	}
}
