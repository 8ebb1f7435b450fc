package naive

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Began is about when the messages of a [Random] begin.
var Began = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// A Random makes messages and queries at random, and the same ones for the same
// seed, for comparing two readings of a query: of messages that passed a bus a
// few things are said very often, many seldom; and all that may be odd is.
type Random struct {
	rng   *rand.Rand
	clock time.Time
	made  []fedmsg.Entry
}

// NewRandom makes one.
func NewRandom(seed uint64) *Random {
	return &Random{rng: rand.New(rand.NewPCG(seed, 42)), clock: Began}
}

// What messages are made of, the frequent first.
var (
	randomTopics = strings.Fields(`org.fedoraproject.prod.buildsys.build.state.change org.fedoraproject.prod.git.receive
		org.fedoraproject.prod.bodhi.update.comment org.fedoraproject.stg.bodhi.update.comment org.fedoraproject.prod.copr.build.end
		org.fedoraproject.prod.logger.log org.centos.prod.git.receive org.fedoraproject.prod.git.branch.f44.receive logger bodhi.update.comment
		org.fedoraproject.prod org.fedoraproject.prod.git org.example.dev.GIT.Receive org.example.dev.git_receive.x org.example.a-b.c-d.e_f.0`)
	randomUsers = []string{"ralph", "puiterwijk", "toshio", "Ralph", "ralph2", "jean-éric", "o'brien", "a%b", "a_b", "axb",
		"100", "svc/host.example.org", "日本", "nul\x00nul", "*", strings.Repeat("long", 50), "x509"}
	randomPackages  = strings.Fields("kernel bash python3-requests rubygem-sinatra 0ad libstdc++ kernel-headers Kernel glibc emacs vim xz")
	randomObjects   = strings.Fields("packages/kernel packages/bash updates/FEDORA-2026-1 updates/FEDORA-2026-12 builds/1234567 users/ralph people/ralph/x//y")
	randomVerified  = strings.Fields("x509:bodhi.example.org none x509:koji token:ci mtls:gateway x509:a:b x509")
	randomPaths     = strings.Fields("update.alias update.karma builds.nvr builds.id builds.0.nvr builds.1.id builds.7.id tags tags.0 tags.1 n n.n text flag rev users users.0 agent 0 missing update update.missing")
	randomSeverity  = strings.Fields("20 10 30 40")
	randomNumbers   = strings.Fields("1 0 42 1.0 10e-1 100 1E+2 -7 0.1 1e-7 -0 99 123456 -123456 1000000007 123456789012 1234567890123 12345678901234567890123")
	randomSentences = []string{"Works for me, again and again.", "kernel-6.17.0-1.fc44 has been pushed to stable", "Rebuild of bash (kernel)",
		"Straße ΣΊΣΥΦΟΣ cafe\u0301 café", "Works for YOU", "a\x00b nul nul", "İstanbul x² ٣٤٥ Ⅷ", "日本語 テキスト2つ ภาษาไทย", "under_score CamelCase it's",
		"0123456789abcdef0123456789abcdef01234567 deadbeefdeadbee deadbeefdeadbeef", "", " ", "\"; DROP TABLE msg; --", "kernel AND bash OR NOT NEAR(kernel bash)",
		"https://example.org/a?b=c&d=<e>", strings.Repeat("x", 40) + " " + strings.Repeat("y", 41), "𝔘nicode 😀 \u2028\u202e", "7 of 9, 42 or 4242", "\\ % _ * ^ \""}
)

// often picks one of a list, by Zipf's law.
func (r *Random) often(list []string) string {
	return list[rand.NewZipf(r.rng, 1.3, 2, uint64(len(list)-1)).Uint64()]
}

// chance is true in so many of a hundred cases.
func (r *Random) chance(percent int) bool { return r.rng.IntN(100) < percent }

// quote spells a text in JSON: plainly, or with every character escaped.
func (r *Random) quote(s string) string {
	if r.chance(80) {
		text, _ := json.Marshal(s) // cannot fail for a string
		return string(text)
	}
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, `\u%04x`, unit)
	}
	return `"` + b.String() + `"`
}

// list spells a list of none to three texts, which may be alike.
func (r *Random) list(from []string) string {
	var items []string
	for range r.rng.IntN(4) {
		items = append(items, r.quote(r.often(from)))
	}
	return "[" + strings.Join(items, ",") + "]"
}

// Entries makes n more entries, in the order of their places. Their messages are
// not in the order of time: some are of the same millisecond, some come late.
func (r *Random) Entries(n int) []fedmsg.Entry {
	for range n {
		place := len(r.made) + 1
		r.made = append(r.made, fedmsg.Entry{Seq: fedmsg.Seq(place), At: Began.AddDate(0, 1, 0).Add(time.Duration(place) * time.Millisecond),
			Verified: r.often(randomVerified), Message: r.message(place)})
	}
	return slices.Clone(r.made[len(r.made)-n:])
}

func (r *Random) message(i int) *fedmsg.Message {
	if r.chance(70) {
		r.clock = r.clock.Add(time.Duration(r.rng.ExpFloat64() * float64(10*time.Minute)).Truncate(125 * time.Millisecond))
	}
	at := r.clock
	switch {
	case r.chance(15):
		at = at.Add(-time.Duration(r.rng.IntN(50_000)) * time.Second)
	case r.chance(1):
		at = time.Unix(r.rng.Int64N(2)*3_000_000_000, 0)
	}
	body, headers := r.body(), ""
	if r.chance(40) {
		headers = fmt.Sprintf(`,"headers":{"fedora_messaging_severity":%s,"schema":%s}`, r.often(randomSeverity), r.quote(r.often(randomPackages)))
	}
	text := fmt.Sprintf(`{"topic":%q,"msg_id":%q,"timestamp":%s,"msg":%s%s}`, r.often(randomTopics), id(i), r.timestamp(at), body, headers)
	m, err := fedmsg.Decode([]byte(text))
	if err != nil {
		panic(fmt.Sprintf("naive: %s: %v", text, err)) // written wrong here
	}
	return m
}

// id makes an ID as most are, or as some were.
func id(i int) string {
	u := sha256.Sum256(fmt.Append(nil, i))
	if i%10 == 0 {
		return fmt.Sprintf("id_%x.%d", u[:3], i)
	}
	return fmt.Sprintf("2026-%x-%x-4%03x-8%03x-%x", u[:4], u[4:6], u[6], u[7], u[10:16])
}

// timestamp spells a time, and sometimes part of a millisecond more.
func (r *Random) timestamp(at time.Time) string {
	seconds, part := at.Unix(), at.Nanosecond()/1e6
	switch {
	case part == 0 && r.chance(50):
		return fmt.Sprint(seconds)
	case r.chance(20):
		return fmt.Sprintf("%d.%03d25", seconds, part)
	case r.chance(20):
		return fmt.Sprintf("%de-3", at.UnixMilli())
	}
	return fmt.Sprintf("%d.%03d", seconds, part)
}

// body spells a body: with any of the members that queries ask for, or none.
func (r *Random) body() string {
	if r.chance(4) {
		return "{}"
	}
	var members []string
	put := func(percent int, name string, value func() string) {
		if r.chance(percent) {
			members = append(members, r.quote(name)+":"+value())
		}
	}
	number := func() string { return r.often(randomNumbers) }
	sentence := func() string { return r.quote(r.often(randomSentences)) }
	build := func() string {
		return fmt.Sprintf(`{"nvr":%s,"id":%s}`, r.quote(r.often(randomPackages)+"-1.0-1.fc44"), number())
	}
	put(60, "agent", func() string { return r.quote(r.often(randomUsers)) })
	put(50, "users", func() string { return r.list(randomUsers) })
	put(50, "packages", func() string { return r.list(randomPackages) })
	put(30, "objects", func() string { return r.list(randomObjects) })
	put(40, "update", func() string {
		return fmt.Sprintf(`{"alias":"FEDORA-2026-%d","karma":%s,"missing":null}`, r.rng.IntN(15), number())
	})
	put(30, "builds", func() string { return "[" + build() + "," + build() + "]" })
	put(30, "tags", func() string {
		return fmt.Sprintf(`[[%s,%s],[],%s,null,[[true]],{"tags":"deep"}]`, sentence(), number(), sentence())
	})
	put(50, "n", number)
	put(60, "text", sentence)
	put(20, "flag", func() string { return r.often([]string{"true", "false", "null"}) })
	put(10, "rev", func() string { return fmt.Sprintf(`"%040x"`, r.rng.IntN(3)) })
	put(5, "0", number)
	put(5, "update.karma", number)
	r.rng.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return "{" + strings.Join(members, ",") + "}"
}

// Query makes a query. What it asks for was said, for the most part, by entries
// made before: there must be some.
func (r *Random) Query() fedmsg.Query {
	q := fedmsg.Query{Filter: r.Filter(3), OldestFirst: r.chance(50), Limit: r.rng.IntN(40)}
	bound := func() time.Time {
		if r.chance(60) {
			return time.Time{}
		}
		return r.any().Message.Time.Truncate(time.Millisecond).Add(time.Duration(r.rng.IntN(3)-1) * time.Millisecond)
	}
	q.Since, q.Until = bound(), bound()
	if !q.Until.IsZero() && q.Until.Before(q.Since) && r.chance(80) {
		q.Since, q.Until = q.Until, q.Since
	}
	return q
}

func (r *Random) any() fedmsg.Entry { return r.made[r.rng.IntN(len(r.made))] }

// Filter makes a filter that nests at most so deep.
func (r *Random) Filter(depth int) fedmsg.Filter {
	op := fedmsg.Has
	if depth > 0 && r.chance(60) {
		op = fedmsg.Op(r.rng.IntN(3))
	}
	f := fedmsg.Filter{Op: op}
	switch {
	case op == fedmsg.Has:
		f.Test = r.test()
	case op == fedmsg.Not:
		f.Of = []fedmsg.Filter{r.Filter(depth - 1)}
	case !r.chance(5):
		for range 1 + r.rng.IntN(3) {
			f.Of = append(f.Of, r.Filter(depth-1))
		}
	}
	return f
}

// TermFields are the fields that messages are counted by.
var TermFields = []fedmsg.Field{fedmsg.TopicField, fedmsg.CategoryField, fedmsg.AgentField, fedmsg.UserField, fedmsg.PackageField, fedmsg.ObjectField}

var randomFields = append(TermFields[:6:6], fedmsg.IDField, fedmsg.VerifiedField, fedmsg.HeaderField,
	fedmsg.TextField, fedmsg.TextField, fedmsg.TextField, fedmsg.BodyField, fedmsg.BodyField, fedmsg.BodyField, fedmsg.BodyField)

// test makes a condition that a message made before fulfils, or none.
func (r *Random) test() fedmsg.Test {
	e := r.any()
	test := fedmsg.Test{Field: randomFields[r.rng.IntN(len(randomFields))]}
	var values []string
	switch test.Field {
	case fedmsg.TopicField:
		values = []string{r.pattern(e.Message.Topic)}
	case fedmsg.IDField:
		values = []string{e.Message.ID}
	case fedmsg.VerifiedField:
		kind, _, _ := strings.Cut(e.Verified, ":")
		values = []string{e.Verified, kind, "x509:a"}
	case fedmsg.TextField:
		return r.textTest(e.Message)
	case fedmsg.HeaderField:
		test.Path = []string{"fedora_messaging_severity", "schema", "missing"}[r.rng.IntN(3)]
	case fedmsg.BodyField:
		test.Path = randomPaths[r.rng.IntN(len(randomPaths))]
	default:
		values = terms(test.Field, e.Message, Describer{}.Describe(context.Background(), e.Message))
	}
	if test.Path != "" {
		test.Relation = fedmsg.Relation(r.rng.IntN(int(fedmsg.Phrase)))
		values = append(valuesOf(e.Message, test.Field, test.Path), r.often(randomNumbers))
	}
	if len(values) == 0 || r.chance(5) {
		values = []string{"nobody", r.often(randomUsers), r.often(randomPackages)}
	}
	test.Value = values[r.rng.IntN(len(values))]
	return test
}

// pattern makes a pattern that matches a topic, or nearly.
func (r *Random) pattern(t fedmsg.Topic) string {
	if tail := fromFourth(t); tail != "" && r.chance(40) {
		t = tail
	}
	words := strings.Split(string(t), ".")
	for range r.rng.IntN(3) {
		words[r.rng.IntN(len(words))] = r.often([]string{"*", "#", "git", "*"})
	}
	switch {
	case r.chance(20):
		words = append(words[:r.rng.IntN(len(words))], "#")
	case r.chance(10):
		words = append([]string{"#"}, words[len(words)-1])
	case r.chance(10):
		words = append(words, ">")
	}
	return strings.Join(words, ".")
}

// textTest asks for words or a phrase of a message.
func (r *Random) textTest(m *fedmsg.Message) fedmsg.Test {
	from := texts(m)
	slices.Sort(from) // members of an object come in any order
	runs := textRuns(from[r.rng.IntN(len(from))])
	if !slices.ContainsFunc(runs, isTextWord) {
		runs = textRuns(r.often(randomSentences[:5]))
	}
	test := fedmsg.Test{Field: fedmsg.TextField}
	if r.chance(30) {
		test.Relation = fedmsg.Phrase
		runs = runs[r.rng.IntN(len(runs)):]
		runs = runs[:1+r.rng.IntN(len(runs))]
	} else {
		r.rng.Shuffle(len(runs), func(i, j int) { runs[i], runs[j] = runs[j], runs[i] })
		runs = runs[:1+r.rng.IntN(min(3, len(runs)))]
	}
	if !slices.ContainsFunc(runs, isTextWord) {
		runs = append(runs, "works")
	}
	test.Value = strings.Join(runs, " ")
	if r.chance(20) {
		test.Value = "(" + strings.ToUpper(test.Value) + ")"
	}
	return test
}

// Grouping makes a way to count.
func (r *Random) Grouping() fedmsg.Grouping {
	return fedmsg.Grouping{
		Step:  []time.Duration{0, time.Minute, time.Hour, 3 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}[r.rng.IntN(6)],
		Field: append(TermFields[:6:6], "")[r.rng.IntN(7)],
		Limit: []int{0, 0, 1, 3, 1000}[r.rng.IntN(5)],
	}
}
