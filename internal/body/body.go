// Package body says what of a message's body is looked at in a search, and how.
// There is one owner for it because there are two readings of a query, the plan
// of an archive and the matcher in memory, and they must find the same.
//
// What it reads was parsed before, by fedmsg.Decode or fedmsg.DecodeHistory. Text
// that is no JSON is no fault here: what can be made out is looked at.
//
// # Words
//
// The texts of a message are its topic, the string values of its body, not the
// keys, and each whole number of 3 to 12 digits in it, without the sign. A run is
// a longest piece of a text that is made of letters and digits, with the marks
// upon them (Unicode's L, Nd and M). Where a script puts no spaces between words,
// as Chinese, Japanese and Thai, each letter is a run of its own. Runs compare in
// lower case; nothing else is folded. A word is a run of 2 to 40 bytes that is not
// 16 or more hexadecimal digits: those are names of commits and the like, each
// seen once or twice, of which an index would mostly consist.
package body

import (
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Limits of words, in bytes, and of the numbers that are texts, in digits.
const (
	minWord, maxWord     = 2, 40
	minDigits, maxDigits = 3, 12
	minHash              = 16
)

// Words yields the words of a message, each once, as they first occur; in lower
// case. The body is the JSON text of the field msg.
func Words(topic fedmsg.Topic, body []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		seen := make(map[string]struct{}, 64)
		eachWord(topic, body, func(run string, folded []byte) bool {
			if folded == nil {
				if _, known := seen[run]; known {
					return true
				}
			} else if _, known := seen[string(folded)]; known {
				return true
			} else {
				run = string(folded)
			}
			seen[run] = struct{}{}
			return yield(run)
		})
	}
}

// Find sets found[want[w]] for each word w of a message that is in want. It does
// in one pass what asking Words for each would do.
func Find(topic fedmsg.Topic, body []byte, want map[string]int, found []bool) {
	left := len(want)
	eachWord(topic, body, func(run string, folded []byte) bool {
		i, wanted := 0, false
		if folded == nil {
			i, wanted = want[run]
		} else {
			i, wanted = want[string(folded)]
		}
		if wanted && !found[i] {
			found[i] = true
			left--
		}
		return left > 0
	})
}

// eachWord calls yield for each word, as often as it occurs: with the run as it
// is spelled, and with it in lower case in a buffer if that is not the same.
func eachWord(topic fedmsg.Topic, body []byte, yield func(run string, folded []byte) bool) {
	var buffer []byte
	for text := range texts(topic, body) {
		for start, end := nextRun(text, 0); start < end; start, end = nextRun(text, end) {
			run := text[start:end]
			folded := appendLower(buffer[:0], run)
			if folded == nil {
				if isWord(run) && !yield(run, nil) {
					return
				}
				continue
			}
			buffer = folded
			if isWord(folded) && !yield(run, folded) {
				return
			}
		}
	}
}

// WordsIn returns the words of a search text, in lower case, each once: those of
// its runs that can be among [Words]. A message has all words of the text if it
// has these.
func WordsIn(text string) []string {
	var words []string
	for _, run := range Runs(text) {
		if isWord(run) && !slices.Contains(words, run) {
			words = append(words, run)
		}
	}
	return words
}

// Runs returns all runs of a text in their order, in lower case, words or not: what
// [HasPhrase] looks for.
func Runs(text string) []string {
	var runs []string
	for start, end := nextRun(text, 0); start < end; start, end = nextRun(text, end) {
		run := text[start:end]
		if folded := appendLower(nil, run); folded != nil {
			run = string(folded)
		}
		runs = append(runs, run)
	}
	return runs
}

// HasPhrase reports whether the runs of phrase follow one another in one text of
// the message, words or not: so it finds the name of a commit, which is no word,
// too. If it does, all of WordsIn(phrase) are among Words. No message has a phrase
// without runs.
func HasPhrase(topic fedmsg.Topic, body []byte, phrase string) bool {
	return HasRuns(topic, body, Runs(phrase))
}

// HasRuns is HasPhrase for what [Runs] returned.
func HasRuns(topic fedmsg.Topic, body []byte, runs []string) bool {
	if len(runs) == 0 {
		return false
	}
	// Knuth, Morris and Pratt 1977: back[i] is how many runs still fit when run i
	// does not, so that no text makes it slow.
	back := make([]int, len(runs))
	for i, fit := 1, 0; i < len(runs); i++ {
		back[i] = fit
		for fit > 0 && runs[fit] != runs[i] {
			fit = back[fit]
		}
		if runs[fit] == runs[i] {
			fit++
		}
	}
	for text := range texts(topic, body) {
		fit := 0
		for start, end := nextRun(text, 0); start < end; start, end = nextRun(text, end) {
			run := text[start:end]
			for fit > 0 && !isSame(run, runs[fit]) {
				fit = back[fit]
			}
			if isSame(run, runs[fit]) {
				if fit++; fit == len(runs) {
					return true
				}
			}
		}
	}
	return false
}

// isSame reports whether run is folded in lower case.
func isSame(run, folded string) bool {
	for i := range len(run) {
		c := run[i]
		if c >= utf8.RuneSelf {
			return strings.ToLower(run) == folded
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if i >= len(folded) || c != folded[i] {
			return false
		}
	}
	return len(run) == len(folded)
}

// appendLower appends run in lower case to dst; nil if run is so already.
func appendLower(dst []byte, run string) []byte {
	lower := true
	for i := range len(run) {
		if c := run[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			lower = false
			break
		}
	}
	if lower {
		return nil
	}
	changed := false
	for _, r := range run {
		l := unicode.ToLower(r)
		changed = changed || l != r
		dst = utf8.AppendRune(dst, l)
	}
	if !changed {
		return nil
	}
	return dst
}

// isWord reports whether a run in lower case is one to look things up by.
func isWord[T string | []byte](run T) bool {
	if len(run) < minWord || len(run) > maxWord {
		return false
	}
	if len(run) < minHash {
		return true
	}
	for i := range len(run) {
		if c := run[i]; !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return true
		}
	}
	return false
}

// nextRun finds the next run of text from a place on; start == end if there is
// none.
func nextRun(text string, from int) (start, end int) {
	for start = from; start < len(text); {
		c := text[start]
		if c < utf8.RuneSelf {
			if isAlnum(c) {
				break
			}
			start++
			continue
		}
		r, n := utf8.DecodeRuneInString(text[start:])
		if isAlone(r) {
			return start, afterMarks(text, start+n)
		}
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			break
		}
		start += n
	}
	for end = start; end < len(text); {
		c := text[end]
		if c < utf8.RuneSelf {
			if !isAlnum(c) {
				break
			}
			end++
			continue
		}
		r, n := utf8.DecodeRuneInString(text[end:])
		if isAlone(r) || !unicode.In(r, unicode.L, unicode.Nd, unicode.M) {
			break
		}
		end += n
	}
	return start, end
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// isAlone reports whether a letter is one of a script that puts no spaces between
// words.
func isAlone(r rune) bool {
	const firstThai = 0x0E00
	return r >= firstThai && unicode.IsLetter(r) &&
		unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

func afterMarks(text string, at int) int {
	for at < len(text) {
		r, n := utf8.DecodeRuneInString(text[at:])
		if !unicode.Is(unicode.M, r) {
			break
		}
		at += n
	}
	return at
}
