package body

import (
	"strconv"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// maxListDepth is how deep lists are expanded; json.loads of Python, which read
// what is oldest in an archive, goes no deeper.
const maxListDepth = 1000

// Values returns the values in a JSON text at a dotted path, in their order: texts
// as they are meant, numbers as they are spelled, true and false. Null is no value,
// nor is an object. A list stands for all that is in it, wherever it is met; a
// number in the path is a place in a list, counted from 0, or a key. A key that
// has dots itself is found by them. Of equal keys the last counts.
func Values(json []byte, path string) []string {
	if len(json) == 0 {
		return nil
	}
	w := walk{src: string(json)}
	w.value(skipSpace(w.src, 0), strings.Split(path, "."), 0)
	return w.found
}

type walk struct {
	src   string
	found []string
}

// value collects what lies at the rest of a path below the value that begins at i,
// and returns where that ends.
func (w *walk) value(i int, path []string, depth int) (end int) {
	if i >= len(w.src) {
		return i
	}
	switch c := w.src[i]; {
	case c == '{' && len(path) > 0:
		return w.object(i, path, depth)
	case c == '[' && depth < maxListDepth:
		return w.list(i, path, depth)
	case c == '{' || c == '[' || len(path) > 0:
		return valueEnd(w.src, i)
	case c == '"':
		end, escaped := stringEnd(w.src, i)
		w.found = append(w.found, unquote(w.src[i:end], escaped))
		return end
	default:
		end := valueEnd(w.src, i)
		if text := w.src[i:end]; text != "null" && text != "" {
			w.found = append(w.found, text)
		}
		return end
	}
}

func (w *walk) list(i int, path []string, depth int) (end int) {
	place, numbered := 0, false
	if len(path) > 0 && isDigits(path[0]) {
		var err error
		place, err = strconv.Atoi(path[0])
		numbered = err == nil
	}
	i = skipSpace(w.src, i+1)
	for n := 0; i < len(w.src) && w.src[i] != ']'; n++ {
		start := i
		switch {
		case !numbered:
			i = w.value(i, path, depth+1)
		case n == place:
			i = w.value(i, path[1:], depth+1)
		default:
			i = valueEnd(w.src, i)
		}
		if i = skipSpace(w.src, i); i < len(w.src) && w.src[i] == ',' {
			i = skipSpace(w.src, i+1)
		} else if i == start || i < len(w.src) && w.src[i] != ']' {
			return len(w.src) // no JSON
		}
	}
	return i + 1
}

// A step is a member of an object that a path leads through: where its value
// begins, and how many words of the path its key takes.
type step struct{ at, words int }

func (w *walk) object(i int, path []string, depth int) (end int) {
	var steps [4]step
	taken := steps[:0]
	i = skipSpace(w.src, i+1)
	for i < len(w.src) && w.src[i] == '"' {
		keyEnd, escaped := stringEnd(w.src, i)
		words := covers(unquote(w.src[i:keyEnd], escaped), path)
		if i = skipSpace(w.src, keyEnd); i >= len(w.src) || w.src[i] != ':' {
			return len(w.src)
		}
		i = skipSpace(w.src, i+1)
		if words > 0 {
			taken = take(taken, step{i, words})
		}
		i = skipSpace(w.src, valueEnd(w.src, i))
		if i < len(w.src) && w.src[i] == ',' {
			i = skipSpace(w.src, i+1)
		}
	}
	for _, s := range taken {
		w.value(s.at, path[s.words:], depth)
	}
	return i + 1
}

func take(taken []step, s step) []step {
	for i := range taken {
		if taken[i].words == s.words {
			taken[i] = s
			return taken
		}
	}
	return append(taken, s)
}

// covers returns how many words of a path a key takes; 0 if it is not on it.
func covers(key string, path []string) int {
	if key == path[0] {
		return 1
	}
	words := 1 + strings.Count(key, ".")
	if words == 1 || words > len(path) || key != strings.Join(path[:words], ".") {
		return 0
	}
	return words
}

// Holds reports whether one of the values stands in a relation to want. Equal is by
// spelling. The others compare by value if both are numbers as JSON spells them,
// even inside of a string, else by bytes; whole numbers that int64 holds exactly,
// others as float64.
func Holds(values []string, relation fedmsg.Relation, want string) bool {
	for _, v := range values {
		if relation == fedmsg.Equal {
			if v == want {
				return true
			}
			continue
		}
		switch order := compare(v, want); relation {
		case fedmsg.Less:
			if order < 0 {
				return true
			}
		case fedmsg.AtMost:
			if order <= 0 {
				return true
			}
		case fedmsg.More:
			if order > 0 {
				return true
			}
		case fedmsg.AtLeast:
			if order >= 0 {
				return true
			}
		}
	}
	return false
}
