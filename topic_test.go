package fedmsg_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

func TestPatternMatch(t *testing.T) {
	const comment = "org.fedoraproject.prod.bodhi.update.comment"
	tests := []struct {
		pattern fedmsg.Pattern
		topic   fedmsg.Topic
		want    bool
	}{
		{comment, comment, true},
		{"org.fedoraproject.prod.bodhi", comment, false},            // no prefix match, unlike ZeroMQ
		{"org.fedoraproject.prod.bodhi.update.com", comment, false}, // nor within a word
		{"org.fedoraproject.prod.bodhi.#", comment, true},
		{"org.fedoraproject.prod.bodhi.>", comment, true},
		{"org.fedoraproject.*.bodhi.#", comment, true},
		{"org.fedoraproject.*.bodhi.*", comment, false}, // * is one word
		{"org.fedoraproject.*.bodhi.*.*", comment, true},
		{"#", comment, true},
		{">", comment, true},
		{"#.comment", comment, true},
		{"#.update", comment, false},
		{"#.bodhi.#", comment, true},
		{"org.#.comment", comment, true},
		{"org.#.prod.#.comment", comment, true},
		{"org.#.comment.#", comment, true},
		{comment + ".#", comment, true}, // # may stand for nothing
		{"#." + comment, comment, true},
		{"#.#", "logger", true},
		{"#.*", "logger", true},
		{"#.*.*", "logger", false},
		{"*.#.*", "a.b", true},
		{"*.#.*", "a", false},
		{"*", "logger", true},
		{"*", comment, false},
		{"a.#.b.#.b", "a.b.b", true},
		{"a.#.b.#.b", "a.b", false},
		{"a.#.b", "a.b.b.c.b", true},
		{"a.#.b.c", "a.b.b.c", true},            // the first b is taken back by #
		{"a.#.b.c", "a.b.c.b.c.b", false},       // ends otherwise
		{"ORG.fedoraproject.#", comment, false}, // case counts
	}
	for _, tt := range tests {
		t.Run(string(tt.pattern), func(t *testing.T) {
			if got := tt.pattern.Match(tt.topic); got != tt.want {
				t.Errorf("Pattern(%q).Match(%q) = %v, want %v", tt.pattern, tt.topic, got, tt.want)
			}
			if err := tt.pattern.Validate(); err != nil {
				t.Errorf("Pattern(%q).Validate() = %v", tt.pattern, err)
			}
		})
	}
}

// matchWords is the meaning of a pattern, written down as one would say it.
func matchWords(pattern, topic []string) bool {
	switch {
	case len(pattern) == 0:
		return len(topic) == 0
	case pattern[0] == "#", pattern[0] == ">" && len(pattern) == 1:
		return matchWords(pattern[1:], topic) || len(topic) > 0 && matchWords(pattern, topic[1:])
	case len(topic) == 0:
		return false
	}
	return (pattern[0] == "*" || pattern[0] == topic[0]) && matchWords(pattern[1:], topic[1:])
}

// Few words, many wildcards: all ways to go wrong come up within 200,000 tries.
func TestPatternMatchMeansWhatItSays(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func(from []string, most int) []string {
		words := make([]string, 1+rng.IntN(most))
		for i := range words {
			words[i] = from[rng.IntN(len(from))]
		}
		return words
	}
	matched := 0
	for range 200_000 {
		pattern, topic := pick([]string{"a", "b", "*", "#", "#"}, 6), pick([]string{"a", "b"}, 7)
		if rng.IntN(8) == 0 {
			pattern[len(pattern)-1] = ">"
		}
		p, top := fedmsg.Pattern(strings.Join(pattern, ".")), fedmsg.Topic(strings.Join(topic, "."))
		want := matchWords(pattern, topic)
		if got := p.Match(top); got != want {
			t.Fatalf("Pattern(%q).Match(%q) = %v, want %v", p, top, got, want)
		}
		if want {
			matched++
		}
	}
	if matched < 20_000 {
		t.Errorf("only %d of 200,000 pairs match; the test asks too little", matched)
	}
}

// A hostile pattern must not make matching slow: with naive backtracking this
// one would take 2^15 times as long as it does.
func TestPatternMatchDoesNotBacktrack(t *testing.T) {
	p := fedmsg.Pattern(strings.TrimSuffix(strings.Repeat("#.a.", 15), ".") + ".b")
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	topic := fedmsg.Topic(strings.TrimSuffix(strings.Repeat("a.", 32), "."))
	allocs := testing.AllocsPerRun(10_000, func() {
		if p.Match(topic) {
			t.Fatalf("Pattern(%q).Match(%q) = true", p, topic)
		}
	})
	if allocs != 0 {
		t.Errorf("Match allocates %v times", allocs)
	}
}

func TestMatchAny(t *testing.T) {
	tests := []struct {
		patterns []fedmsg.Pattern
		want     bool
	}{
		{nil, true},
		{[]fedmsg.Pattern{"a.*"}, false},
		{[]fedmsg.Pattern{"a.*", "#.c"}, true},
	}
	for _, tt := range tests {
		if got := fedmsg.MatchAny(tt.patterns, "a.b.c"); got != tt.want {
			t.Errorf("MatchAny(%q, a.b.c) = %v, want %v", tt.patterns, got, tt.want)
		}
	}
}

func TestTopicValidate(t *testing.T) {
	words := func(n int) string { return strings.TrimSuffix(strings.Repeat("a.", n), ".") }
	tests := []struct {
		topic string
		ok    bool
	}{
		{"org.fedoraproject.prod.bodhi.update.comment", true},
		{"logger", true},
		{"org.fedoraproject.prod.copr.build-end_2", true},
		{"a.-b", true},
		{"a._b", true}, // only the first word is reserved
		{words(fedmsg.MaxTopicWords), true},
		{strings.Repeat("a", fedmsg.MaxTopicLength), true},
		{"", false},
		{".", false},
		{".a", false},
		{"a.", false},
		{"a..b", false},
		{"_INBOX.a", false},
		{"$SYS.a", false},
		{"a.*", false},
		{"a.#", false},
		{"a.>", false},
		{"a b", false},
		{"a.b ", false},
		{"a.b\n", false},
		{"a.\x1b[2J", false},
		{"a/b", false},
		{"a.ö", false},
		{"org.fedoraproject.prod.b\u043edhi", false}, // a Cyrillic o
		{"a.\u202eb", false},
		{"a.\xff", false},
		{"a.\x00", false},
		{words(fedmsg.MaxTopicWords + 1), false},
		{strings.Repeat("a", fedmsg.MaxTopicLength+1), false},
	}
	for _, tt := range tests {
		err := fedmsg.Topic(tt.topic).Validate()
		if (err == nil) != tt.ok || !tt.ok && (fedmsg.ReasonOf(err) != fedmsg.BadTopic || !errors.Is(err, fedmsg.ErrInvalid)) {
			t.Errorf("Topic(%q).Validate() = %v, want ok %v", tt.topic, err, tt.ok)
		}
		if err != nil {
			checkPrintable(t, err.Error())
		}
	}
}

// checkPrintable fails if text would do anything to a terminal.
func checkPrintable(t *testing.T, text string) {
	t.Helper()
	if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' && r < 0xA0 || r == '\u202e' || r == '\uFFFD' }); i >= 0 {
		t.Errorf("text with a control character at byte %d: %q", i+1, text)
	}
}

func TestPatternValidate(t *testing.T) {
	tests := []struct {
		pattern string
		ok      bool
	}{
		{"#", true},
		{"*", true},
		{">", true},
		{"a.*.b.#", true},
		{"a.>", true},
		{"_INBOX.#", true}, // asks for what no topic can be
		{"", false},
		{"a.", false},
		{".#", false},
		{"a..b", false},
		{">.a", false},
		{"a*", false},
		{"a.b#", false},
		{"**", false},
		{"a.ö", false},
		{"a b", false},
		{"a.\n", false},
		{strings.TrimSuffix(strings.Repeat("*.", fedmsg.MaxTopicWords+1), "."), false},
		{strings.Repeat("a", fedmsg.MaxTopicLength+1), false},
	}
	for _, tt := range tests {
		err := fedmsg.Pattern(tt.pattern).Validate()
		if (err == nil) != tt.ok || !tt.ok && fedmsg.ReasonOf(err) != fedmsg.BadTopicPattern {
			t.Errorf("Pattern(%q).Validate() = %v, want ok %v", tt.pattern, err, tt.ok)
		}
		if err != nil {
			checkPrintable(t, err.Error())
		}
	}
}

func TestTopicUnder(t *testing.T) {
	tests := []struct {
		topic, prefix fedmsg.Topic
		want          bool
	}{
		{"org.fedoraproject.prod", "org.fedoraproject", true},
		{"org.fedoraproject", "org.fedoraproject", true},
		{"ORG.FedoraProject.prod", "org.fedoraproject", true},
		{"org.fedoraproject2.prod", "org.fedoraproject", false}, // a word ends at a dot
		{"org", "org.fedoraproject", false},
		{"com.example", "org.fedoraproject", false},
		{"com.example", "", true},
	}
	for _, tt := range tests {
		if got := tt.topic.Under(tt.prefix); got != tt.want {
			t.Errorf("Topic(%q).Under(%q) = %v, want %v", tt.topic, tt.prefix, got, tt.want)
		}
	}
}

func TestJoinTopic(t *testing.T) {
	tests := []struct {
		prefix, environment, modname, topic string
		want                                fedmsg.Topic
	}{
		{"org.fedoraproject", "dev", "logger", "log", "org.fedoraproject.dev.logger.log"},
		{"org.fedoraproject", "dev", "logger", "", "org.fedoraproject.dev.logger.unspecified"},
		{"org.fedoraproject", "dev", "org", "fedoraproject.stg.a.b", "org.fedoraproject.stg.a.b"},
		{"org", "dev", "organic", "food", "organic.food"}, // a plain string test, as of old
		{"", "dev", "git", "push", "git.push"},
	}
	for _, tt := range tests {
		if got := fedmsg.JoinTopic(tt.prefix, tt.environment, tt.modname, tt.topic); got != tt.want {
			t.Errorf("JoinTopic(%q, %q, %q, %q) = %q, want %q", tt.prefix, tt.environment, tt.modname, tt.topic, got, tt.want)
		}
	}
}

func TestPolicyAllow(t *testing.T) {
	policy := fedmsg.Policy{Routing: map[fedmsg.Topic][]string{
		"org.x.prod.bodhi.stable": {"bodhi-app01", "bodhi-app02"},
		"org.x.prod.closed":       {},
	}}
	nitpicky := fedmsg.Policy{Routing: policy.Routing, Nitpicky: true}
	tests := []struct {
		policy fedmsg.Policy
		topic  fedmsg.Topic
		name   string
		ok     bool
	}{
		{policy, "org.x.prod.bodhi.stable", "bodhi-app02", true},
		{policy, "org.x.prod.bodhi.stable", "shell-app01", false},
		{policy, "org.x.prod.bodhi.stable", "Bodhi-app01", false}, // names compare exactly
		{policy, "org.x.prod.bodhi.stable", "", false},
		{policy, "org.x.prod.closed", "bodhi-app01", false},
		{policy, "org.x.prod.free", "shell-app01", true},
		{policy, "org.x.prod.Bodhi.stable", "shell-app01", false},     // looks like a protected one
		{policy, "org.x.prod.Bodhi.stable", "bodhi-app01", false},     // for everybody
		{policy, "org.x.prod.bodhi.stable.more", "shell-app01", true}, // topics are no prefixes
		{nitpicky, "org.x.prod.free", "shell-app01", false},
		{nitpicky, "org.x.prod.bodhi.stable", "bodhi-app01", true},
		{fedmsg.Policy{}, "a.b", "anybody", true},
		{fedmsg.Policy{Nitpicky: true}, "a.b", "anybody", false},
	}
	for _, tt := range tests {
		err := tt.policy.Allow(tt.topic, tt.name)
		if (err == nil) != tt.ok || !tt.ok && (fedmsg.ReasonOf(err) != fedmsg.NotAuthorized || !errors.Is(err, fedmsg.ErrNotAllowed)) {
			t.Errorf("Policy{%d topics, nitpicky %v}.Allow(%q, %q) = %v, want ok %v", len(tt.policy.Routing), tt.policy.Nitpicky, tt.topic, tt.name, err, tt.ok)
		}
	}
}

// FuzzTopic holds for any text: what is a topic matches itself and "#", is
// nobody's wildcard, and can be printed as it is.
func FuzzTopic(f *testing.F) {
	for _, seed := range []string{"org.fedoraproject.prod.git.receive", "a..b", "*", "#", "_x", "a.\x00", ".", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		topic := fedmsg.Topic(text)
		if err := topic.Validate(); err != nil {
			if fedmsg.ReasonOf(err) != fedmsg.BadTopic {
				t.Fatalf("Topic(%q).Validate() = %v, want %s", text, err, fedmsg.BadTopic)
			}
			return
		}
		if strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" {
			t.Fatalf("Topic(%q) is valid", text)
		}
		if err := fedmsg.Pattern(text).Validate(); err != nil {
			t.Fatalf("a topic is no pattern: %v", err)
		}
		for _, p := range []fedmsg.Pattern{fedmsg.Pattern(text), "#", ">", fedmsg.Pattern(text + ".#")} {
			if !p.Match(topic) {
				t.Fatalf("Pattern(%q).Match(%q) = false", p, topic)
			}
		}
		if !topic.Under(topic) || !topic.Under("") || topic.Under(topic+".a") {
			t.Fatalf("Topic(%q).Under is no order", topic)
		}
	})
}

// FuzzPattern holds for any pair: a valid pattern matches a valid topic exactly
// if the plain recursive reading of it does.
func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{
		{"a.*.#", "a.b.c"}, {"#.a.#.a", "a.b.a"}, {">", "a"}, {"a.#.b.c", "a.b.b.c"}, {"#.#.#", "a"}, {"*.#", "a"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, topic string) {
		p, top := fedmsg.Pattern(pattern), fedmsg.Topic(topic)
		got := p.Match(top) // ends, whatever it is given
		if p.Validate() != nil || top.Validate() != nil || strings.Count(pattern, "#") > 6 {
			return
		}
		if want := matchWords(strings.Split(pattern, "."), strings.Split(topic, ".")); got != want {
			t.Fatalf("Pattern(%q).Match(%q) = %v, want %v", pattern, topic, got, want)
		}
	})
}
