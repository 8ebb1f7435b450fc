package meta_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// A sentence of ours need not be worded as the corpus has it, but it must carry
// the same facts. A fact is a value of the message, any string or number of at
// least two characters, that stands in the sentence of the corpus: whole, or in
// one of the short forms below. It must stand in ours in the same form.

// minCut is the length in characters from which on a part of a value is known to
// be of that value: seven are what git shows of a hash, and six of a title are no
// accident.
const minCut = 6

// messageValues returns the strings and numbers of JSON texts, as spelled there.
func messageValues(texts ...json.RawMessage) []string {
	var found []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			found = append(found, v)
		case json.Number:
			found = append(found, v.String())
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			for _, item := range v {
				walk(item)
			}
		}
	}
	for _, text := range texts {
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		var v any
		if dec.Decode(&v) == nil {
			walk(v)
		}
	}
	found = slices.DeleteFunc(found, func(s string) bool {
		s = strings.TrimSpace(s)
		return utf8.RuneCountInString(s) < 2 || !strings.ContainsFunc(s, isWordRune)
	})
	slices.Sort(found)
	return slices.Compact(found)
}

// facts returns the forms in which values stand in a text, sorted.
func facts(values []string, text string) []string {
	text = squeeze(text)
	var found []string
	for _, value := range values {
		if form := factForm(value, text); form != "" {
			found = append(found, form)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// factForm returns how a value stands in a text; "" if it does not.
func factForm(value, text string) string {
	short := squeeze(value)
	if stands(text, short) {
		return short
	}
	if form := cutForm(short, text); form != "" {
		return form
	}
	if isHash(short) {
		for _, word := range hashPrefix.FindAllString(text, -1) {
			if strings.HasPrefix(short, word) && stands(text, word) {
				return word
			}
		}
	}
	first, _, _ := strings.Cut(strings.TrimSpace(value), "\n")
	if first = squeeze(first); utf8.RuneCountInString(first) >= minCut && stands(text, first) {
		return first
	}
	if base := short[strings.LastIndexByte(short, '/')+1:]; base != short && !strings.ContainsAny(short, " :") &&
		utf8.RuneCountInString(base) >= minCut && stands(text, base) {
		return base // of a path; the last word of a URL may be any
	}
	return ""
}

// cutForm returns the longest beginning of a value that stands in a text right
// before a mark that says that there was more; "..." is part of the form.
func cutForm(value, text string) string {
	best := ""
	for _, mark := range []string{"...", "…", "(..more)"} {
		for from := 0; ; {
			i := strings.Index(text[from:], mark)
			if i < 0 {
				break
			}
			before := strings.TrimRight(text[:from+i], " ")
			from += i + len(mark)
			for n := min(len(value), len(before)); n > 0; n-- {
				cut := value[:n]
				if utf8.RuneCountInString(cut) < minCut {
					break
				}
				if !strings.HasSuffix(before, cut) || !startsWord(before, len(before)-n) {
					continue
				}
				if mark != "(..more)" {
					cut += text[len(before) : from-len(mark)]
					cut += mark
				}
				if len(cut) > len(best) {
					best = cut
				}
				break
			}
		}
	}
	return best
}

var hashPrefix = regexp.MustCompile(`\b[0-9a-f]{6,40}\b`)

// isHash reports whether a value may be the hash of something.
func isHash(s string) bool {
	return len(s) >= 20 && strings.Trim(s, "0123456789abcdef") == ""
}

// squeeze makes any white space one space.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

func isWordRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// stands reports whether part is in text, and not within a longer word.
func stands(text, part string) bool {
	if part == "" {
		return false
	}
	last, _ := utf8.DecodeLastRuneInString(part)
	for from := 0; ; {
		i := strings.Index(text[from:], part)
		if i < 0 {
			return false
		}
		i += from
		next, _ := utf8.DecodeRuneInString(text[i+len(part):])
		if startsWord(text, i) && !(isWordRune(last) && isWordRune(next)) {
			return true
		}
		from = i + 1
	}
}

// startsWord reports whether the character at i is not within a word; a minus sign
// before digits belongs to them.
func startsWord(text string, i int) bool {
	at, size := utf8.DecodeRuneInString(text[i:])
	before, _ := utf8.DecodeLastRuneInString(text[:i])
	if at == '-' {
		at, _ = utf8.DecodeRuneInString(text[i+size:])
	}
	return !(isWordRune(at) && isWordRune(before))
}

// sentenceMisses says what is wrong with got where want is what the corpus has.
func sentenceMisses(values []string, want, got string) []string {
	if strings.TrimSpace(got) == "" && strings.TrimSpace(want) != "" {
		return []string{"is blank"}
	}
	var misses []string
	squeezed := squeeze(got)
	for _, fact := range facts(values, want) {
		if !stands(squeezed, fact) {
			misses = append(misses, fmt.Sprintf("lacks %q", fact))
		}
	}
	limit := int(math.Floor(1.3*float64(utf8.RuneCountInString(want)))) + 20
	if n := utf8.RuneCountInString(got); n > limit {
		misses = append(misses, fmt.Sprintf("has %d characters, at most %d", n, limit))
	}
	return misses
}

// A counted is a number that stands alone, which a sentence may have counted.
var counted = regexp.MustCompile(`\b\d+\b`)

// missingCounts returns the numbers that stand alone in want and not in got.
func missingCounts(want, got string) []string {
	var misses []string
	for _, at := range counted.FindAllStringIndex(want, -1) {
		number := want[at[0]:at[1]]
		alone := strings.Trim(wordAround(want, at[0], at[1]), `.,:;!?"'()`) == number
		if alone && !stands(got, number) {
			misses = append(misses, fmt.Sprintf("lacks the count %s", number))
		}
	}
	return misses
}

// wordAround returns what is between white space around text[from:to].
func wordAround(text string, from, to int) string {
	from = strings.LastIndexFunc(text[:from], unicode.IsSpace) + 1
	if end := strings.IndexFunc(text[to:], unicode.IsSpace); end >= 0 {
		return text[from : to+end]
	}
	return text[from:]
}

func TestFacts(t *testing.T) {
	const hash = "54af38590b2a3c4d5e6f708192a3b4c5d6e7f809"
	tests := []struct {
		value, text, want string
	}{
		{"alice", "alice's update", "alice"},
		{"in", "alice pinged bob in #fedora", "in"},
		{"in", "pingou wrote", ""}, // within a word
		{"foo", "foo_bar", ""},
		{"foo", "foo-1.0-1 and rpms/foo", "foo"},
		{"-1", "gave it karma -1", "-1"},
		{"-1", "foo-1", ""},
		{"A long title of some bug that nobody can reproduce", "filed 'A long title of some bug...'", "A long title of some bug..."},
		{"A long title of some bug", "filed 'A long tale of some bug...'", ""},
		{"Clear the flags.\n\nThey were wrong.", `pushed. "Clear the flags. (..more)"`, "Clear the flags."},
		{"First line\nsecond line", `said "First line"`, "First line"},
		{hash, "flagged the commit 54af3859 of foo", "54af3859"},
		{hash, "flagged the commit 54af385 of foo", "54af385"},
		{hash, "flagged the commit 54af of foo", ""},
		{"playbooks/groups/proxies.yml", "ran proxies.yml", "proxies.yml"},
		{"https://example.org/projects", "shared by 3 projects", ""},
		{"two  words\n", "some two words here", "two words"},
		{"größe", "die größere", ""},
		{"größe", "die größe!", "größe"},
	}
	for _, tt := range tests {
		if got := factForm(tt.value, squeeze(tt.text)); got != tt.want {
			t.Errorf("factForm(%q, %q) = %q, want %q", tt.value, tt.text, got, tt.want)
		}
	}
}

func TestSentenceMisses(t *testing.T) {
	values := messageValues(json.RawMessage(`{"a": ["alice", "!!", "x", true], "n": {"n": 1234, "m": 1.50}}`))
	if want := []string{"1.50", "1234", "alice"}; !slices.Equal(values, want) {
		t.Errorf("messageValues: %q, want %q", values, want)
	}
	tests := []struct {
		want, got string
		misses    int
	}{
		{"alice did it to #1234", "alice has done it (1234)", 0},
		{"alice did it to #1234", "alice has done it", 1},
		{"alice did it to #1234", "alicea has done it to 12345", 2},
		{"alice did it to #1234", " ", 1},
		{"it", strings.Repeat("x", 22), 0},
		{"it", strings.Repeat("x", 23), 1},
	}
	for _, tt := range tests {
		if got := sentenceMisses(values, tt.want, tt.got); len(got) != tt.misses {
			t.Errorf("sentenceMisses(%q, %q) = %q, want %d", tt.want, tt.got, got, tt.misses)
		}
	}
	if got := missingCounts("ran f21.yml and x-2 7 times (of 9), and 13 others", "7 times"); len(got) != 2 {
		t.Errorf("missingCounts: %q, want those of 9 and 13", got)
	}
}
