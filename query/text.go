package query

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/body"
)

// String returns the line of a query, for permalinks and checksums: [Parse] makes
// the same query of it at any time. Times are in it as such, even if they were given
// as so long ago; Limit and Cursor are not. Two lines that differ in spelling alone
// have one String: order of keys stays, names, quotes and parentheses do not matter.
func String(q fedmsg.Query) string {
	var b strings.Builder
	f := normal(q.Filter)
	bounded := !q.Since.IsZero() || !q.Until.IsZero() || q.OldestFirst
	switch {
	case f.Op == fedmsg.Any && bounded:
		writeAll(&b, []fedmsg.Filter{f})
	case !isAll(f) || !bounded:
		write(&b, f)
	}
	for _, bound := range []struct {
		key string
		at  time.Time
	}{{"after:", q.Since}, {"before:", q.Until}} {
		if !bound.at.IsZero() {
			part(&b, bound.key+formatTime(ceil(bound.at)))
		}
	}
	if q.OldestFirst {
		part(&b, "order:oldest")
	}
	return b.String()
}

func part(b *strings.Builder, text string) {
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(text)
}

// write writes a filter in normal form, as what stands in parentheses or alone.
func write(b *strings.Builder, f fedmsg.Filter) {
	switch f.Op {
	case fedmsg.All:
		writeAll(b, f.Of)
	case fedmsg.Any:
		if len(f.Of) == 0 {
			b.WriteString("-()")
			return
		}
		for i := 0; i < len(f.Of); {
			if i > 0 {
				b.WriteString(" OR ")
			}
			n := 1
			for f.Of[i].Op == fedmsg.Has && i+n < len(f.Of) && sameKey(f.Of[i:i+n+1]) {
				n++
			}
			if n > 1 {
				writeTests(b, f.Of[i:i+n])
			} else {
				write(b, f.Of[i])
			}
			i += n
		}
	case fedmsg.Not:
		b.WriteByte('-')
		writeItem(b, f.Of[0])
	case fedmsg.Has:
		writeTests(b, []fedmsg.Filter{f})
	}
}

func writeAll(b *strings.Builder, all []fedmsg.Filter) {
	for i, f := range all {
		if i > 0 {
			b.WriteByte(' ')
		}
		writeItem(b, f)
	}
}

// writeItem writes a filter so that - can stand before it.
func writeItem(b *strings.Builder, f fedmsg.Filter) {
	switch {
	case f.Op == fedmsg.Any && len(f.Of) > 0 && sameKey(f.Of):
		writeTests(b, f.Of)
	case f.Op == fedmsg.All || f.Op == fedmsg.Any && len(f.Of) > 0:
		b.WriteByte('(')
		write(b, f)
		b.WriteByte(')')
	default:
		write(b, f)
	}
}

// writeTests writes tests of one key.
func writeTests(b *strings.Builder, tests []fedmsg.Filter) {
	first := tests[0].Test
	k, _ := keyOf(first.Field)
	switch {
	case hasPath(first.Field):
		b.WriteString(k.Name)
		if isBarePath(first.Path) {
			b.WriteString(first.Path)
		} else {
			quote(b, first.Path)
		}
		b.WriteByte(':')
	case first.Field == fedmsg.TextField && len(tests) == 1 && !isKeyword(first.Value):
	default:
		b.WriteString(k.Name + ":")
	}
	for i, f := range tests {
		if i > 0 {
			b.WriteByte(',')
		}
		t := f.Test
		for _, r := range relations {
			if hasPath(t.Field) && r.relation == t.Relation {
				b.WriteString(r.sign)
			}
		}
		if t.Relation == fedmsg.Phrase || !isBareValue(t) {
			quote(b, t.Value)
		} else {
			b.WriteString(t.Value)
		}
	}
}

func isKeyword(word string) bool { return word == "OR" || word == "AND" || word == "NOT" }

func isBarePath(path string) bool {
	for name := range strings.SplitSeq(path, ".") {
		if name == "" {
			return false
		}
	}
	return !strings.ContainsFunc(path, func(r rune) bool { return r == ':' || isEnd(r) || !unicode.IsPrint(r) })
}

// isBareValue reports whether a value is read back as it is without quotes.
func isBareValue(t fedmsg.Test) bool {
	switch {
	case t.Value == "":
		return false
	case t.Field == fedmsg.TextField:
		return true // one word
	case strings.ContainsRune("<>", rune(t.Value[0])), hasPath(t.Field) && strings.HasPrefix(t.Value, "!="):
		return false
	}
	return !strings.ContainsFunc(t.Value, func(r rune) bool { return r == ',' || r == '\\' || isEnd(r) || !unicode.IsPrint(r) })
}

// quote writes text in quotes, on one line and printable.
func quote(b *strings.Builder, text string) {
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			fmt.Fprintf(b, `\U%08x`, r)
		default:
			fmt.Fprintf(b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
}

func isAll(f fedmsg.Filter) bool  { return f.Op == fedmsg.All && len(f.Of) == 0 }
func isNone(f fedmsg.Filter) bool { return f.Op == fedmsg.Any && len(f.Of) == 0 }

// normal returns the normal form of a filter: it passes the same messages.
func normal(f fedmsg.Filter) fedmsg.Filter {
	switch f.Op {
	case fedmsg.All, fedmsg.Any:
		return join(f.Op, f.Of)
	case fedmsg.Not:
		below := join(fedmsg.All, f.Of)
		switch {
		case isAll(below):
			return fedmsg.Filter{Op: fedmsg.Any}
		case isNone(below):
			return fedmsg.Filter{}
		case below.Op == fedmsg.Not:
			return below.Of[0]
		}
		return fedmsg.Filter{Op: fedmsg.Not, Of: []fedmsg.Filter{below}}
	case fedmsg.Has:
		return normalTest(f.Test)
	}
	return fedmsg.Filter{Op: fedmsg.Any} // unknown: nothing passes
}

// join makes one All, or Any, of normal branches.
func join(op fedmsg.Op, branches []fedmsg.Filter) fedmsg.Filter {
	joined := fedmsg.Filter{Op: op}
	for _, branch := range branches {
		branch = normal(branch)
		switch {
		case op == fedmsg.All && isNone(branch) || op == fedmsg.Any && isAll(branch):
			return branch
		case branch.Op == op:
			joined.Of = append(joined.Of, branch.Of...)
		default:
			joined.Of = append(joined.Of, branch)
		}
	}
	if len(joined.Of) == 1 {
		return joined.Of[0]
	}
	return joined
}

func normalTest(t fedmsg.Test) fedmsg.Filter {
	switch {
	case t.Field == fedmsg.TopicField && strings.HasSuffix(t.Value, ">"):
		if t.Value == ">" || strings.HasSuffix(t.Value, ".>") {
			t.Value = strings.TrimSuffix(t.Value, ">") + "#"
		}
	case t.Field == fedmsg.TextField && t.Relation == fedmsg.Phrase:
		if len(body.Runs(t.Value)) == 0 {
			return fedmsg.Filter{Op: fedmsg.Any}
		}
		t = textTest(t.Value, true)
	case t.Field == fedmsg.TextField:
		words := body.WordsIn(t.Value)
		if len(words) == 1 && strings.ToLower(t.Value) == words[0] {
			break
		}
		all := fedmsg.Filter{}
		for _, w := range words {
			all.Of = append(all.Of, fedmsg.Filter{Op: fedmsg.Has, Test: fedmsg.Test{Field: fedmsg.TextField, Value: w}})
		}
		if len(all.Of) == 1 {
			return all.Of[0]
		}
		return all
	}
	return fedmsg.Filter{Op: fedmsg.Has, Test: t}
}
