package generic

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
)

// regular are verbs in the form that topics have them; with -ed they are past.
var regular = strings.Fields(`abort accept add approve archive assign award block branch change close complete
	confirm connect create decline delete deploy deprecate disable disconnect discard download edit enable end
	expire export fail finish follow fork import install invite join launch like lock mark merge migrate modify
	move obsolete open orphan pause promote publish push queue register reject release remove rename reopen report
	request resolve restart restore resume retire retract revert revoke schedule sign start suspend sync test trigger
	unblock uninstall unlock unretire update upgrade upload verify`)

// irregular are verbs with another past tense, and words that mean one.
var irregular = map[string]string{
	"ban": "banned", "begin": "began", "build": "built", "cancel": "cancelled", "comment": "commented on", "commented": "commented on",
	"done": "finished", "drop": "dropped", "failure": "failed", "flag": "flagged", "leave": "left", "lend": "lent", "new": "created", "rebuild": "rebuilt",
	"replied": "replied to", "reply": "replied to", "send": "sent", "skip": "skipped", "stop": "stopped", "submit": "submitted",
	"success": "succeeded", "tag": "tagged", "transfer": "transferred", "unban": "unbanned", "untag": "untagged", "vote": "voted on", "voted": "voted on",
}

// same are past already, though they do not end in -ed.
var same = strings.Fields("bought built cast found left lent lost made paid rebuilt reset sent sold won")

// Verbs that need nobody who did it: a build failed, but was created. Results and
// states tell how a thing fares, not what somebody did to it.
var (
	alone   = strings.Fields("began connected crashed disconnected joined left restarted started stopped")
	results = strings.Fields("completed ended expired failed finished passed succeeded")
	states  = strings.Fields("available broken down full idle low offline online ready unavailable unreachable unstable up")
)

// past is the past tense of a word that is a verb; empty if it is none.
func past(word string) string {
	switch {
	case isPast(word) && irregular[word] == "":
		return word
	case !slices.Contains(regular, word):
		return irregular[word]
	case strings.HasSuffix(word, "e"):
		return word + "d"
	case strings.HasSuffix(word, "fy"):
		return strings.TrimSuffix(word, "y") + "ied"
	}
	return word + "ed"
}

func isPast(word string) bool {
	return slices.Contains(same, word) || len(word) > 4 && strings.HasSuffix(word, "ed") && (!strings.HasSuffix(word, "eed") || word == "agreed")
}

// A noun is a word of the event, and how the body calls that thing.
type noun struct{ word, label string }

// nouns are the words of the event, those taken apart that were written together.
func (g *Guess) nouns() (all []noun) {
	for _, word := range g.words {
		pieces := splitWord(word)
		for i, piece := range pieces {
			n := noun{word: piece, label: g.label(piece)}
			if n.label == "" && i == len(pieces)-1 {
				n.label = g.label(word)
			}
			if strings.EqualFold(n.label, word) || len(all) > 0 && n.label == all[len(all)-1].label {
				n.label = ""
			}
			all = append(all, n)
		}
	}
	return all
}

// splitWord splits snake_case, kebab-case and CamelCase.
func splitWord(word string) []string {
	var b strings.Builder
	var before rune
	for _, r := range word {
		if unicode.IsLower(before) && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
		before = r
	}
	pieces := strings.FieldsFunc(b.String(), func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("_-/", r) })
	if len(pieces) > 1 {
		for i, s := range pieces {
			pieces[i] = strings.ToLower(s)
		}
	}
	return pieces
}

// findVerb finds what was done, in the past tense, and at which word: the last one
// if it is a verb, else the last that is past.
func findVerb(nouns []noun) (verb string, at int) {
	for i, n := range slices.Backward(nouns) {
		word := strings.ToLower(n.word)
		last := i == len(nouns)-1
		if last && slices.Contains(states, word) {
			return "is " + word, i
		}
		if last || isPast(word) {
			if verb := past(word); verb != "" {
				return verb, i
			}
		}
	}
	return "", -1
}

// Sentence says what happened as well as it can. It is never empty.
func (g *Guess) Sentence() string {
	nouns := g.nouns()
	verb, at := findVerb(nouns)
	if g.msg.Service == "" || verb == "" {
		return g.plainSentence(nouns)
	}
	thing, detail := g.thing(slices.Concat(nouns[:at], nouns[at+1:]), verb)
	service := g.msg.Service
	isResult := slices.Contains(results, verb) || strings.HasPrefix(verb, "is ")
	switch {
	case g.Agent != "" && !g.passive && isResult && thing != "":
		return g.Agent + "'s " + thing + " " + verb + " (" + service + ")" + detail
	case g.Agent != "" && !g.passive && thing == "" && slices.Contains(alone, verb):
		return g.Agent + " " + verb + " " + service + detail
	case g.Agent != "" && !g.passive && !isResult:
		if thing == "" {
			thing = "something"
		}
		return g.Agent + " " + verb + " " + thing + " (" + service + ")" + detail
	case isResult || slices.Contains(alone, verb):
		return service + unlessEmpty(": ", thing) + " " + verb + detail
	}
	if thing == "" {
		thing = "something"
	}
	was := " was "
	if at > 0 && isPlural(nouns[at-1].word) {
		was = " were "
	}
	return service + ": " + thing + was + verb + detail
}

func isPlural(word string) bool {
	return len(word) > 3 && strings.HasSuffix(word, "s") && !strings.ContainsAny(word[len(word)-2:len(word)-1], "sui")
}

// plainSentence says what there is if no word is a verb.
func (g *Guess) plainSentence(nouns []noun) string {
	words, about := []string{g.msg.Service}, []string{}
	for _, n := range nouns {
		words = append(words, n.word)
		if n.label != "" && n.label != g.Agent {
			about = append(about, n.label)
		}
	}
	head := strings.Join(words, " ")
	if g.msg.Service == "" {
		head = g.msg.Title
	}
	if strings.TrimSpace(head) == "" {
		head = "message"
	}
	if len(about) == 0 {
		object, _ := g.object()
		about = append(about, object)
	}
	if g.Agent != "" {
		return head + unlessEmpty(": ", strings.Join(about, ", ")) + " (" + g.Agent + ")"
	}
	return head + unlessEmpty(": ", strings.Join(about, ", "))
}

// thing names what something was done to: "state of bug 101". What does not
// belong to its words for sure stands at the end of the sentence, as detail.
func (g *Guess) thing(nouns []noun, verb string) (thing, detail string) {
	var parts, part []string
	labelled := false
	for _, n := range nouns {
		part = append(part, n.word)
		if n.label != "" && (n.label != g.Agent || g.passive) {
			labelled = true
			parts = append(parts, strings.Join(append(part, n.label), " "))
			part = nil
		}
	}
	if len(part) > 0 {
		parts = append(parts, strings.Join(part, " "))
	}
	slices.Reverse(parts)
	of := cmp.Or(map[string]string{"added": " to ", "removed": " from "}[verb], " of ")
	thing = strings.Join(parts, of)
	if labelled {
		return thing, ""
	}
	object, sure := g.object()
	if sure || thing == "" {
		return strings.TrimSpace(thing + " " + object), ""
	}
	return thing, unlessEmpty(": ", object)
}

func unlessEmpty(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}
