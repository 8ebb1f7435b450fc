package meta_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/meta"
)

// shopRules have a kind of group of each sort.
const shopRules = `
service   = "shop"
people    = "example.org"
icon      = "https://shop.example.org/icon.png"
link      = 'https://shop.example.org/{{.order}}'
usernames = ['{{.user}}']
packages  = ['{{.package}}']

[vars]
user = '{{.user}}'

[[rule]]
topic    = "#"
subtitle = '{{.user}} did {{$event}}'

[[group]]
topic    = ["order.*", "refund"]
when     = '{{ne .state "draft"}}'
by       = ['{{.order}}', '{{$user}}']
subtitle = '{{$count}} on {{.order}}: {{join $items "+"}} by {{join $usernames "+"}} of {{join $packages "+"}} in {{join $topics "+"}}, last {{(last $members).item}}'
[group.collect]
items = '{{or .items .item}}'

[[group]]
topic    = ["#"]
by       = ['{{.order}}']
subtitle = 'order {{.order}}: {{$count}}'
link     = 'https://shop.example.org/all/{{.order}}'
secondary_icon = 'https://shop.example.org/{{$count}}.png'

[[group]]
topic    = ["parcel"]
overlap  = '{{.tags}}'
subtitle = '{{$count}} with {{join .tags "+"}}'

[[group]]
topic    = ["silent"]
by       = ['{{.a}}']
subtitle = '{{.missing}}'
`

// rulesEngine makes an engine that has one file of rules only.
func rulesEngine(t testing.TB, service, rules string, cfg meta.Config) *meta.Engine {
	t.Helper()
	for _, p := range meta.Lint(service+".toml", []byte(rules)) {
		if !strings.Contains(p.Text, "not used") {
			t.Fatal(p)
		}
	}
	cfg.Files = fstest.MapFS{service + ".toml": {Data: []byte(rules)}}
	return newEngine(t, cfg)
}

// sayings makes messages of lines like "order.paid BODY", a second after another.
func sayings(service string, lines ...string) []*fedmsg.Message {
	var all []*fedmsg.Message
	for i, line := range lines {
		event, body, _ := strings.Cut(line, " ")
		all = append(all, fedmsgtest.MessageOf(i, fedmsg.Topic("org.example.prod."+service+"."+event), body))
	}
	return all
}

// digest shows the groups of messages of the shop: members, and what is said.
func digest(groups []meta.Group) []string {
	var lines []string
	for _, g := range groups {
		lines = append(lines, fmt.Sprint(g.Members, " ", g.Words.Subtitle))
	}
	return lines
}

// A groupCase is messages of the shop, and the lines that become of them.
type groupCase struct {
	name           string
	messages, want []string
}

func testGroups(t *testing.T, cases []groupCase) {
	t.Helper()
	engine := rulesEngine(t, "shop", shopRules, meta.Config{})
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			got := digest(engine.Group(context.Background(), sayings("shop", tt.messages...)))
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(tt.want, "\n\t"))
			}
		})
	}
}

// A group takes what matches its first message, kind after kind.
func TestGroupBy(t *testing.T) {
	testGroups(t, []groupCase{
		{"none", nil, nil},
		{"one", []string{`order.new {"order":1,"user":"alice"}`}, []string{"[0] alice did order.new"}},
		{"by, and all that a sentence may use", []string{
			`order.new {"order":1,"user":"alice","item":"pear","package":"zsh"}`,
			`refund {"order":1,"user":"alice","items":["fig","apple","fig"],"item":"kiwi","package":"bash"}`,
			`order.new {"order":1,"user":"alice","item":"fig"}`,
		}, []string{"[0 1 2] 3 on 1: apple+fig+pear by alice of bash+zsh in org.example.prod.shop.order.new+org.example.prod.shop.refund, last fig"}},
		{"one key of two is another", []string{
			`order.new {"order":1,"user":"alice"}`,
			`order.new {"order":1,"user":"bob"}`,
		}, []string{"[0 1] order 1: 2"}},
		{"what is missing is not equal", []string{
			`silent {"user":"alice"}`,
			`silent {"user":"alice"}`,
			`silent {"user":"alice","order":null}`,
			`silent {"user":"alice","order":""}`,
			`silent {"user":"alice","order":[]}`,
		}, []string{"[0] alice did silent", "[1] alice did silent", "[2] alice did silent", "[3] alice did silent", "[4] alice did silent"}},
		{"zero and false are values", []string{
			`silent {"order":0}`,
			`silent {"order":false}`,
			`silent {"order":0}`,
			`silent {"order":false}`,
		}, []string{"[0 2] order 0: 2", "[1 3] order false: 2"}},
		{"a condition", []string{
			`order.new {"order":1,"user":"alice","state":"draft","item":"a"}`,
			`order.new {"order":1,"user":"alice","state":"paid","item":"b"}`,
			`order.new {"order":1,"user":"alice","item":"c"}`,
		}, []string{"[0] alice did order.new", "[1 2] 2 on 1: b+c by alice of  in org.example.prod.shop.order.new, last c"}},
		{"an earlier kind takes all that it can", []string{
			`silent {"order":1,"user":"alice"}`,
			`order.new {"order":1,"user":"alice","item":"b"}`,
			`silent {"order":1,"user":"alice"}`,
			`order.new {"order":1,"user":"alice","item":"c"}`,
		}, []string{"[0 2] order 1: 2", "[1 3] 2 on 1: b+c by alice of  in org.example.prod.shop.order.new, last c"}},
		{"another topic", []string{
			`parcel {"tags":["a"],"user":"alice"}`,
			`order.new.late {"tags":["a"],"user":"alice"}`,
		}, []string{"[0] alice did parcel", "[1] alice did order.new.late"}},
	})
}

func TestGroupOverlap(t *testing.T) {
	testGroups(t, []groupCase{
		{"overlap is with the first", []string{
			`parcel {"tags":["a","b"]}`,
			`parcel {"tags":["b","c"]}`,
			`parcel {"tags":["c"],"user":"carol"}`,
			`parcel {"tags":["a"]}`,
		}, []string{"[0 1 3] 3 with a+b", "[2] carol did parcel"}},
		{"the first that finds others", []string{
			`parcel {"tags":["a"],"user":"alice"}`,
			`parcel {"tags":["b"]}`,
			`parcel {"tags":["c","b"]}`,
			`parcel {"tags":["c"],"user":"carol"}`,
		}, []string{"[0] alice did parcel", "[1 2] 2 with b", "[3] carol did parcel"}},
		{"several groups of a kind", []string{
			`parcel {"tags":["a"]}`,
			`parcel {"tags":["b"]}`,
			`parcel {"tags":["b","a"]}`,
			`parcel {"tags":["b"]}`,
		}, []string{"[0 2] 2 with a", "[1 3] 2 with b"}},
		{"nothing to overlap", []string{
			`parcel {"tags":[],"user":"alice"}`,
			`parcel {"tags":[],"user":"alice"}`,
			`parcel {"user":"alice"}`,
			`parcel {"user":"alice"}`,
		}, []string{"[0] alice did parcel", "[1] alice did parcel", "[2] alice did parcel", "[3] alice did parcel"}},
		{"an overlap with itself", []string{
			`parcel {"tags":["a","a"],"user":"alice"}`,
			`parcel {"tags":["b","b"],"user":"alice"}`,
		}, []string{"[0] alice did parcel", "[1] alice did parcel"}},
		{"a sentence that fails", []string{
			`silent {"a":1,"user":"alice"}`,
			`silent {"a":1,"user":"bob"}`,
			`silent {"a":1,"user":"carol"}`,
		}, []string{"[0 1 2] alice did silent (and 2 more)"}},
		{"places", []string{
			`order.new {"order":1,"user":"alice","item":"a"}`,
			`parcel {"user":"bob","tags":["x"]}`,
			`silent {"user":"bob"}`,
			`silent {"a":1,"user":"carol"}`,
			`parcel {"user":"bob","tags":["x"]}`,
			`order.new {"order":1,"user":"alice","item":"a"}`,
			`silent {"a":1,"user":"carol"}`,
		}, []string{
			"[0 5] 2 on 1: a by alice of  in org.example.prod.shop.order.new, last a",
			"[1 4] 2 with x", "[2] bob did silent", "[3 6] carol did silent (and 1 more)",
		}},
	})
}

// What a line has besides its sentence.
func TestGroupFields(t *testing.T) {
	engine := rulesEngine(t, "shop", shopRules, meta.Config{})
	messages := sayings("shop",
		`order.new {"order":1,"user":"bob","package":"zsh"}`,
		`order.new {"order":1,"user":"bob"}`,
		`silent {"order":2,"user":"bob"}`,
		`silent {"order":2,"user":"alice","package":"bash"}`,
		`other {"order":3,"user":"carol"}`,
	)
	groups := engine.Group(context.Background(), messages)
	if len(groups) != 3 {
		t.Fatalf("%d groups, want 3: %q", len(groups), digest(groups))
	}
	unset, set, single := groups[0], groups[1], groups[2]
	if w := unset.Words; w.Link != "https://shop.example.org/1" || w.Icon != "https://shop.example.org/icon.png" || w.SecondaryIcon != w.Icon {
		t.Errorf("unset: link %q, icon %q, secondary icon %q", w.Link, w.Icon, w.SecondaryIcon)
	}
	if w := set.Words; w.Link != "https://shop.example.org/all/2" || w.SecondaryIcon != "https://shop.example.org/2.png" {
		t.Errorf("set: link %q, secondary icon %q", w.Link, w.SecondaryIcon)
	}
	if w := set.Words; !slices.Equal(w.Usernames, []string{"alice", "bob"}) || !slices.Equal(w.Packages, []string{"bash"}) {
		t.Errorf("usernames %q, packages %q", w.Usernames, w.Packages)
	}
	if w := set.Words; w.Title != "" || w.LongForm != "" || w.Agent != "" || w.Objects != nil || w.Emails != nil || w.Avatars != nil {
		t.Errorf("several messages have a field of one: %+v", w)
	}
	if !slices.Equal(set.Topics, []string{"org.example.prod.shop.silent"}) || !slices.Equal(set.Categories, []string{"shop"}) {
		t.Errorf("topics %q, categories %q", set.Topics, set.Categories)
	}
	if len(set.Each) != 2 || set.Each[0].Subtitle != "bob did silent" || set.Each[1].Agent != "alice" {
		t.Errorf("each: %+v", set.Each)
	}
	lines := strings.Split(shopRules, "\n")
	for i, want := range []int{1 + slices.Index(lines, "[[group]]"), set.Line, 0} {
		if groups[i].Line != want {
			t.Errorf("group %d: line %d, want %d", i, groups[i].Line, want)
		}
	}
	if set.Line <= unset.Line || lines[set.Line-1] != "[[group]]" {
		t.Errorf("group 1: line %d", set.Line)
	}
	// A message that stands alone has all its words.
	want := engine.Describe(context.Background(), messages[4])
	if got := single.Words; got.String() != want.String() || got.Title != "shop.other" || got.Agent != "carol" || got.Emails["carol@example.org"] != "carol" {
		t.Errorf("alone: %+v, want %+v", got, want)
	}
	if len(single.Each) != 1 || !slices.Equal(single.Topics, []string{"org.example.prod.shop.other"}) {
		t.Errorf("alone: each %+v, topics %q", single.Each, single.Topics)
	}
}

// Services do not mix, be their rules and messages ever so alike.
func TestGroupServices(t *testing.T) {
	files := fstest.MapFS{
		"shop.toml": {Data: []byte(shopRules)},
		"mall.toml": {Data: []byte(strings.Replace(shopRules, `service   = "shop"`, `service = "mall"`, 1))},
	}
	engine := newEngine(t, meta.Config{Files: files})
	var messages []*fedmsg.Message
	for i := range 6 {
		service := []string{"mall", "shop", "kiosk"}[i%3] // the last has no rules
		messages = append(messages, fedmsgtest.MessageOf(i, fedmsg.Topic("org.example.prod."+service+".silent"), `{"order":1,"user":"alice"}`))
	}
	got := digest(engine.Group(context.Background(), messages))
	want := []string{"[0 3] order 1: 2", "[1 4] order 1: 2", "[2] kiosk silent (alice)", "[5] kiosk silent (alice)"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Times are those of the messages, to the fraction, in whatever order they come.
func TestGroupTimes(t *testing.T) {
	at := func(seconds string) *fedmsg.Message {
		m, err := fedmsg.DecodeHistory([]byte(`{"topic":"org.example.prod.shop.silent","msg_id":"2026-` + seconds + `","timestamp":` + seconds + `,"msg":{"order":1}}`))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	now := time.Unix(1767225601, 0)
	engine := rulesEngine(t, "shop", shopRules, meta.Config{Now: func() time.Time { return now }})
	for _, tt := range []struct {
		name             string
		times            []string
		start, end, mean float64
	}{
		{"one", []string{"1767225600.75"}, 1767225600.75, 1767225600.75, 1767225600.75},
		{"two", []string{"1767225600.25", "1767225601"}, 1767225600.25, 1767225601, 1767225600.625},
		{"the last first", []string{"1767225604.5", "1767225600", "1767225603.5"}, 1767225600, 1767225604.5, 1767225602.666667},
		{"far apart", []string{"0.5", "1767225600"}, 0.5, 1767225600, 883612800.25},
	} {
		var messages []*fedmsg.Message
		for _, s := range tt.times {
			messages = append(messages, at(s))
		}
		groups := engine.Group(context.Background(), messages)
		if len(groups) != 1 {
			t.Errorf("%s: %d groups", tt.name, len(groups))
			continue
		}
		g := groups[0]
		for _, pair := range []struct {
			what string
			got  time.Time
			want float64
		}{{"start", g.Start, tt.start}, {"end", g.End, tt.end}, {"mean", g.Mean, tt.mean}} {
			if diff := seconds(pair.got) - pair.want; diff > 1e-5 || diff < -1e-5 {
				t.Errorf("%s: %s %f, want %f", tt.name, pair.what, seconds(pair.got), pair.want)
			}
		}
	}

	pair := []*fedmsg.Message{at("1767225600"), at("1767225602")} // the mean is at 01
	for after, want := range map[time.Duration]string{
		0: "just now", 59 * time.Second: "59 seconds ago", time.Minute: "1 minute ago", 5 * time.Hour: "5 hours ago",
		48 * time.Hour: "2 days ago", 800 * 24 * time.Hour: "2 years ago", -time.Hour: "in 1 hour",
	} {
		now = time.Unix(1767225601, 0).Add(after)
		if got := engine.Group(context.Background(), pair)[0].Age; got != want {
			t.Errorf("after %s: %q, want %q", after, got, want)
		}
	}
}

// Ten thousand messages of a kind are a matter of seconds, whether all or none of
// them belong together.
func TestGroupMany(t *testing.T) {
	const n = 4_000 // comparing each with each would take minutes under the race detector
	engine := rulesEngine(t, "shop", shopRules, meta.Config{})
	for name, tt := range map[string]struct {
		body   func(i int) string
		groups int
	}{
		"all by":            {func(int) string { return `{"order":1}` }, 1},
		"none by":           {func(i int) string { return fmt.Sprintf(`{"order":%d}`, i) }, n},
		"pairs by":          {func(i int) string { return fmt.Sprintf(`{"order":%d}`, i/2) }, n / 2},
		"halves by":         {func(i int) string { return fmt.Sprintf(`{"order":%d}`, i%(n/2)) }, n / 2},
		"all overlapping":   {func(i int) string { return fmt.Sprintf(`{"tags":["all",%d]}`, i) }, 1},
		"none overlapping":  {func(i int) string { return fmt.Sprintf(`{"tags":[%d]}`, i) }, n},
		"chain overlapping": {func(i int) string { return fmt.Sprintf(`{"tags":[%d,%d]}`, i, i+1) }, n / 2},
	} {
		t.Run(name, func(t *testing.T) {
			messages := make([]*fedmsg.Message, n)
			for i := range messages {
				messages[i] = fedmsgtest.MessageOf(i, "org.example.prod.shop.parcel", tt.body(i))
			}
			start := time.Now()
			groups := engine.Group(context.Background(), messages)
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %s", took)
			}
			if len(groups) != tt.groups {
				t.Errorf("%d groups, want %d", len(groups), tt.groups)
			}
			seen := make([]bool, n)
			for _, g := range groups {
				if !slices.IsSorted(g.Members) {
					t.Fatalf("members %v are not in order", g.Members)
				}
				for _, m := range g.Members {
					if seen[m] {
						t.Fatalf("message %d is in two groups", m)
					}
					seen[m] = true
				}
			}
			if slices.Contains(seen, false) {
				t.Error("a message is in no group")
			}
		})
	}
}

func TestSubjective(t *testing.T) {
	for _, tt := range []struct{ sentence, subject, want string }{
		{"alice pushed 3 commits", "alice", "You pushed 3 commits"},
		{"alice's build failed", "alice", "Your build failed"},
		{"alice was added to a group", "alice", "You were added to a group"},
		{"alice is away", "alice", "You are away"},
		{"alice has left", "alice", "You have left"},
		{"alice wasted time", "alice", "You wasted time"},
		{"alice", "alice", "alice"},

		{"bob thanked alice", "alice", "bob thanked alice"},
		{"alice2 pushed", "alice", "alice2 pushed"},
		{"alice, bob, and carol pushed", "alice", "alice, bob, and carol pushed"},
		{"bob's alice build failed", "alice", "bob's alice build failed"},
		{"Alice pushed", "alice", "Alice pushed"},
		{" pushed", "", " pushed"},
		{"'s build", "", "'s build"},
		{"", "alice", ""},
	} {
		if got := meta.Subjective(tt.sentence, tt.subject); got != tt.want {
			t.Errorf("Subjective(%q, %q) = %q, want %q", tt.sentence, tt.subject, got, tt.want)
		}
	}
}

// An explanation says whether a message can be in a group, with what, and why not.
func TestExplainGroups(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "shop.toml", `service = "shop"
[[group]]
topic = "sold"
when  = '{{.by}}'
by    = ['{{.by}}', '{{.place}}']
subtitle = '{{.by}} sold {{$what}}'
[group.collect]
what = '{{.what}}'
[[group]]
topic = "sold"
overlap = '{{.tags}}'
subtitle = '{{.nothing}} sold'
`)
	engine := newEngine(t, meta.Config{Dir: dir, Files: fstest.MapFS{}})
	tests := []struct{ topic, body, want string }{
		{"shop.sold", `{"by": "alice", "place": "here", "what": ["b", "a"], "tags": ["x", "y"]}`, `2 [["alice" "here"]] [{what b, a}] ; 9 [x y] [] `},
		{"shop.sold", `{"by": "alice"}`, `2 [] [{what }] by, or overlap, has nothing here: .place is not there; 9 [] [] by, or overlap, has nothing here: .tags is not there`},
		{"shop.sold", `{"tags": []}`, `2 [] [{what }] its condition, when, does not hold; 9 [] [] by, or overlap, has nothing here`},
		{"shop.bought", `{}`, `2 [] [] no group of the file is for this topic`},
		{"bar.x", `{}`, ``},
	}
	for _, tt := range tests {
		var got []string
		for _, g := range engine.Explain(t.Context(), fedmsgtest.MessageOf(1, fedmsg.Topic("org.fedoraproject.prod."+tt.topic), tt.body)).Groups {
			got = append(got, fmt.Sprint(g.Line, " ", g.Keys, " ", g.Collected, " ", g.Why))
		}
		if got := strings.Join(got, "; "); got != tt.want {
			t.Errorf("%s %s:\n%s\nwant\n%s", tt.topic, tt.body, got, tt.want)
		}
	}
	m := fedmsgtest.MessageOf(1, "org.fedoraproject.prod.shop.sold", `{"tags": ["x"]}`)
	groups := engine.Group(t.Context(), []*fedmsg.Message{m, m})
	if len(groups) != 1 || groups[0].Why != ".nothing is not there" || groups[0].File != filepath.Join(dir, "shop.toml") || groups[0].Line != 9 {
		t.Errorf("a group of which the sentence fails: %+v", groups)
	}
}
