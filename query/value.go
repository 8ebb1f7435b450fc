package query

import (
	"strings"
	"unicode"
	"unicode/utf8"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// isEnd reports whether a character ends a word that is not in quotes.
func isEnd(r rune) bool { return unicode.IsSpace(r) || r == '(' || r == ')' || r == '"' }

// wordEnd returns the place of the first character from start on that ends a word.
func wordEnd(s string, start int, ends func(rune) bool) int {
	if n := strings.IndexFunc(s[start:], ends); n >= 0 {
		return start + n
	}
	return len(s)
}

// bare reads a word that is not in quotes, up to a comma if there may be several.
func (p *parser) bare(list bool) (string, error) {
	start := p.pos
	p.pos = wordEnd(p.line, start, func(r rune) bool { return isEnd(r) || list && r == ',' })
	if p.pos > start && (p.at('"') || p.at('(')) {
		return "", p.fail(p.pos, p.pos+1, `put all of it in quotes: "… \" …"`, "%q stands inside of a word", p.line[p.pos:p.pos+1])
	}
	return p.line[start:p.pos], nil
}

// escapes are what may follow a backslash in quotes; u and U are followed by four
// and eight hexadecimal digits.
var escapes = map[byte]rune{'"': '"', '\\': '\\', 'n': '\n', 't': '\t', 'r': '\r'}

// quoted reads text in quotes.
func (p *parser) quoted() (string, error) {
	open := p.pos
	var b strings.Builder
	for p.pos++; p.pos < len(p.line); p.pos++ {
		c := p.line[p.pos]
		if c == '"' {
			p.pos++
			return b.String(), nil
		}
		if c != '\\' {
			b.WriteByte(c)
			continue
		}
		at := p.pos
		if p.pos++; p.pos == len(p.line) {
			break
		}
		r, known := escapes[p.line[p.pos]]
		if n := map[byte]int{'u': 4, 'U': 8}[p.line[p.pos]]; n > 0 {
			r, known = hexadecimal(p.line[p.pos+1:], n)
			p.pos += n
		}
		if !known {
			return "", p.fail(at, at+2, `a backslash itself is \\, a quote \"`, `this is no escape; there are \" \\ \n \t \r and \u with four digits`)
		}
		b.WriteRune(r)
	}
	return "", p.fail(open, open+1, `close it with another "; a quote inside is \"`, "this quote is never closed")
}

func hexadecimal(s string, n int) (r rune, ok bool) {
	if len(s) < n {
		return 0, false
	}
	for i := range n {
		digit := strings.IndexByte("0123456789abcdef", s[i]|0x20)
		if digit < 0 || r > utf8.MaxRune {
			return 0, false
		}
		r = r<<4 | rune(digit)
	}
	return r, utf8.ValidRune(r)
}

// afterQuote checks what comes after a value in quotes.
func (p *parser) afterQuote(list bool) error {
	r, n := utf8.DecodeRuneInString(p.line[p.pos:])
	if n == 0 || r == ')' || unicode.IsSpace(r) || list && r == ',' {
		return nil
	}
	return p.fail(p.pos, p.pos+n, `put a space here; a quote inside of quotes is \"`, "something follows the quote directly")
}

// freeText reads a condition without a key.
func (p *parser) freeText(it *item) error {
	start := p.pos
	value, isQuoted, err := p.text(false)
	if err != nil {
		return err
	}
	it.filter, err = p.test(fedmsg.Test{Field: fedmsg.TextField, Value: value}, isQuoted, start)
	return err
}

// text reads a value, in quotes or not.
func (p *parser) text(list bool) (value string, isQuoted bool, err error) {
	if p.at('"') {
		if value, err = p.quoted(); err == nil {
			err = p.afterQuote(list)
		}
		return value, true, err
	}
	value, err = p.bare(list)
	return value, false, err
}

// relations in a line, the longer ones first.
var relations = []struct {
	sign     string
	relation fedmsg.Relation
}{{">=", fedmsg.AtLeast}, {"<=", fedmsg.AtMost}, {">", fedmsg.More}, {"<", fedmsg.Less}}

// value reads one value of a condition.
func (p *parser) value(k Key, path string) (fedmsg.Filter, error) {
	t := fedmsg.Test{Field: k.Field, Path: path}
	signed := p.pos
	for _, r := range relations {
		if !strings.HasPrefix(p.line[p.pos:], r.sign) {
			continue
		}
		if !hasPath(k.Field) {
			return fedmsg.Filter{}, p.fail(p.pos, p.pos+len(r.sign), "only values of body and header are compared; put the sign in quotes if it is part of the value", "%s is not compared", k.Name)
		}
		t.Relation = r.relation
		p.pos += len(r.sign)
		break
	}
	if hasPath(k.Field) && strings.HasPrefix(p.line[p.pos:], "!=") {
		return fedmsg.Filter{}, p.fail(p.pos, p.pos+2, "put - before the whole: -"+k.Name+path+":…", "there is no !=")
	}
	start := p.pos
	value, isQuoted, err := p.text(true)
	if err != nil {
		return fedmsg.Filter{}, err
	}
	if value == "" && !isQuoted {
		return fedmsg.Filter{}, p.empty(k, signed)
	}
	t.Value = value
	return p.test(t, isQuoted, start)
}

// empty says that a value is missing here.
func (p *parser) empty(k Key, start int) error {
	hint := "write " + k.Example
	switch {
	case p.at('('):
		hint = "several values are parted by commas: category:git,bodhi"
	case p.at(','):
		hint = "a comma that is part of a value must be in quotes with it"
	case p.pos < len(p.line) && !p.at(')'):
		hint = "no space stands behind the colon: " + k.Example
	}
	return p.fail(start, p.pos, hint, "a value for %s is missing", strings.TrimSuffix(k.Name, "."))
}

// test makes a leaf, if nothing is wrong with it.
func (p *parser) test(t fedmsg.Test, isQuoted bool, start int) (fedmsg.Filter, error) {
	if p.tests++; p.tests > MaxTests {
		return fedmsg.Filter{}, p.fail(start, p.pos, "", "more than %d conditions", MaxTests)
	}
	if t.Field == fedmsg.TextField {
		t = textTest(t.Value, isQuoted)
	}
	if w := wrong(t); w.text != "" {
		end := p.pos
		if w.to > 0 && !isQuoted {
			start, end = start+w.from, start+w.to
		}
		return fedmsg.Filter{}, p.fail(start, end, w.hint, "%s", w.text)
	}
	return fedmsg.Filter{Op: fedmsg.Has, Test: t}, nil
}

// bound reads a time or the order.
func (p *parser) bound(it *item, k Key, start int, top bool) error {
	valueAt := p.pos
	value, isQuoted, err := p.text(false)
	if err != nil {
		return err
	}
	if value == "" && !isQuoted {
		return p.empty(k, valueAt)
	}
	if !top {
		return p.fail(start, p.pos, "move it out of the parentheses", "%s: holds for the whole line, and cannot stand in parentheses", k.Name)
	}
	if it.not {
		hint := map[string]string{"after": "write before:" + value, "before": "write after:" + value, "order": "write order:newest or order:oldest"}[k.Name]
		return p.fail(it.start, p.pos, hint, "%s: cannot be denied", k.Name)
	}
	p.bounds = append(p.bounds, item{start: start, end: p.pos, key: k.Name})
	if w := p.whole.set(k.Name, value, p.now); w.text != "" {
		return p.fail(valueAt, p.pos, w.hint, "%s", w.text)
	}
	return nil
}
