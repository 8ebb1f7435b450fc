package query

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Limits of a line.
const (
	MaxLine  = 4 << 10 // bytes
	MaxTests = 256     // conditions, without times
	MaxDepth = 32      // of parentheses
)

// Parse reads a search line. Times that it gives as so long ago are before now. The
// empty line asks for all. The error is an [Error].
//
// The query has no Limit and no Cursor: they are no part of what is asked for.
func Parse(line string, now time.Time) (fedmsg.Query, error) {
	p := parser{line: line, now: now}
	return p.query()
}

type parser struct {
	line  string
	pos   int
	now   time.Time
	tests int
	depth int

	whole  whole
	bounds []item // the conditions on the whole line
	top    []item // what stands outside of all parentheses
	or     bool   // OR stands there
}

// An item is one condition with all that belongs to it, line[start:end].
type item struct {
	start, end int
	key        string // canonical; empty for parentheses
	not        bool
	bound      bool // times and order
	filter     fedmsg.Filter
}

func (p *parser) fail(start, end int, hint, format string, args ...any) error {
	return &Error{Line: p.line, Pos: start, Len: end - start, Text: fmt.Sprintf(format, args...), Hint: hint}
}

func (p *parser) query() (fedmsg.Query, error) {
	if len(p.line) > MaxLine {
		return fedmsg.Query{}, p.fail(MaxLine, len(p.line), "", "the line has %d bytes, at most %d are allowed", len(p.line), MaxLine)
	}
	for i, r := range p.line {
		if _, n := utf8.DecodeRuneInString(p.line[i:]); r == utf8.RuneError && n == 1 {
			return fedmsg.Query{}, p.fail(i, i+1, "", "a byte that is not UTF-8")
		}
		if unicode.IsControl(r) && !unicode.IsSpace(r) {
			return fedmsg.Query{}, p.fail(i, i+utf8.RuneLen(r), `in quotes it is written \u00XX`, "a control character")
		}
	}
	if p.space(); p.pos == len(p.line) {
		return fedmsg.Query{}, nil
	}
	f, err := p.alternatives(true)
	if err != nil {
		return fedmsg.Query{}, err
	}
	if p.pos < len(p.line) { // only this ends alternatives early
		return fedmsg.Query{}, p.fail(p.pos, p.pos+1, `to search for the sign itself, put it in quotes`, "this parenthesis was never opened")
	}
	if p.or && len(p.bounds) > 0 {
		b := p.bounds[0]
		return fedmsg.Query{}, p.fail(b.start, b.end, "put what stands around OR in parentheses: (a OR b) after:2d", "%s: holds for the whole line, and here it is part of an OR", b.key)
	}
	q := p.whole.query
	q.Filter = normal(f)
	if len(p.line) > MaxLine/8 { // writing it out makes it at most six times as long
		if n := len(String(q)); n > MaxLine {
			return fedmsg.Query{}, p.fail(0, len(p.line), "", "the line has %d bytes once it is written out, at most %d are allowed", n, MaxLine)
		}
	}
	return q, nil
}

func (p *parser) space() {
	for p.pos < len(p.line) {
		r, n := utf8.DecodeRuneInString(p.line[p.pos:])
		if !unicode.IsSpace(r) {
			return
		}
		p.pos += n
	}
}

// at reports whether a byte comes next.
func (p *parser) at(c byte) bool { return p.pos < len(p.line) && p.line[p.pos] == c }

// keyword reads a word in capitals if it comes next and stands alone.
func (p *parser) keyword(word string) bool {
	rest, found := strings.CutPrefix(p.line[p.pos:], word)
	if !found {
		return false
	}
	if r, _ := utf8.DecodeRuneInString(rest); rest != "" && r != '(' && r != ')' && !unicode.IsSpace(r) {
		return false
	}
	p.pos += len(word)
	return true
}

// alternatives reads what is parted by OR, until the line or the parenthesis ends.
func (p *parser) alternatives(top bool) (fedmsg.Filter, error) {
	var branches []fedmsg.Filter
	for {
		f, err := p.together(top)
		if err != nil {
			return fedmsg.Filter{}, err
		}
		branches = append(branches, f)
		start := p.pos
		if !p.keyword("OR") {
			if len(branches) == 1 {
				return branches[0], nil
			}
			return fedmsg.Filter{Op: fedmsg.Any, Of: branches}, nil
		}
		p.or = p.or || top
		if p.space(); p.pos == len(p.line) || p.at(')') || p.keyword("OR") {
			return fedmsg.Filter{}, p.fail(start, start+len("OR"), `to search for the word itself, put it in quotes: "or"`, "nothing follows OR")
		}
	}
}

// together reads conditions that must all hold, until OR, or the end.
func (p *parser) together(top bool) (fedmsg.Filter, error) {
	var all []fedmsg.Filter
	for n := 0; ; n++ {
		p.space()
		start := p.pos
		switch {
		case p.pos == len(p.line) || p.at(')'):
			return fedmsg.Filter{Op: fedmsg.All, Of: all}, nil
		case p.keyword("OR"):
			if n == 0 {
				return fedmsg.Filter{}, p.fail(start, p.pos, `to search for the word itself, put it in quotes: "or"`, "nothing stands before OR")
			}
			p.pos = start
			return fedmsg.Filter{Op: fedmsg.All, Of: all}, nil
		case p.keyword("AND"):
			if p.space(); n == 0 || p.pos == len(p.line) || p.at(')') || p.keyword("OR") || p.keyword("AND") {
				return fedmsg.Filter{}, p.fail(start, start+len("AND"), "leave it out: what stands side by side must all hold", "AND stands between two conditions")
			}
		}
		it, err := p.item(top)
		if err != nil {
			return fedmsg.Filter{}, err
		}
		if top {
			p.top = append(p.top, it)
		}
		if !it.bound {
			all = append(all, it.filter)
		}
	}
}

// item reads one condition, with what denies it.
func (p *parser) item(top bool) (item, error) {
	it := item{start: p.pos}
	for {
		sign := p.pos
		if p.at('-') {
			p.pos++
			if r, _ := utf8.DecodeRuneInString(p.line[p.pos:]); p.pos == len(p.line) || r == ')' || unicode.IsSpace(r) {
				return it, p.fail(sign, p.pos, "write it right before what must not hold: -category:ansible", "nothing follows -")
			}
		} else if p.keyword("NOT") {
			if p.space(); p.pos == len(p.line) || p.at(')') {
				return it, p.fail(sign, sign+len("NOT"), `to search for the word itself, put it in quotes: "not"`, "nothing follows NOT")
			}
		} else {
			break
		}
		it.not = !it.not
	}
	if at := p.pos; p.keyword("OR") || p.keyword("AND") {
		return it, p.fail(at, p.pos, "to search for the word itself, put it in quotes", "a condition is missing before %s", p.line[at:p.pos])
	}
	var err error
	if p.at('(') {
		it.filter, err = p.group()
	} else {
		err = p.condition(&it, top)
	}
	if err != nil {
		return it, err
	}
	if it.not {
		it.filter = fedmsg.Filter{Op: fedmsg.Not, Of: []fedmsg.Filter{it.filter}}
	}
	it.end = p.pos
	return it, nil
}

// group reads what stands in parentheses.
func (p *parser) group() (fedmsg.Filter, error) {
	open := p.pos
	p.pos++
	if p.depth++; p.depth > MaxDepth {
		return fedmsg.Filter{}, p.fail(open, p.pos, "", "parentheses nest more than %d deep", MaxDepth)
	}
	f, err := p.alternatives(false)
	if err != nil {
		return fedmsg.Filter{}, err
	}
	if p.pos == len(p.line) {
		return fedmsg.Filter{}, p.fail(open, open+1, `close it with ), or put it in quotes to search for it`, "this parenthesis is never closed")
	}
	p.pos++
	p.depth--
	return f, nil
}

// condition reads KEY:VALUE,VALUE or text.
func (p *parser) condition(it *item, top bool) error {
	start := p.pos
	name, path, found, err := p.key()
	if err != nil {
		return err
	}
	if !found {
		it.key = "text"
		return p.freeText(it)
	}
	k, known := keyNamed(name)
	if !known {
		return p.fail(start, p.pos-1, hintKey(name), "there is no key %q", name)
	}
	it.key = strings.TrimSuffix(k.Name, ".")
	if k.Field == "" {
		it.bound = true
		return p.bound(it, k, start, top)
	}
	var any []fedmsg.Filter
	for {
		f, err := p.value(k, path)
		if err != nil {
			return err
		}
		any = append(any, f)
		if !p.at(',') {
			break
		}
		p.pos++
	}
	it.filter = fedmsg.Filter{Op: fedmsg.Any, Of: any}
	return nil
}

// key reads what stands before a colon, and the colon. Only a word that begins with
// a letter is one; the path of body and header may be in quotes.
func (p *parser) key() (name, path string, found bool, err error) {
	start := p.pos
	if first, _ := utf8.DecodeRuneInString(p.line[start:]); first == ':' {
		return "", "", false, p.fail(start, start+1, "write key:value, or put it in quotes to search for it", "no key stands before the colon")
	} else if !unicode.IsLetter(first) {
		return "", "", false, nil
	}
	end := wordEnd(p.line, start, func(r rune) bool { return r == ':' || isEnd(r) })
	word := p.line[start:end]
	if head, tail, dotted := strings.Cut(word, "."); dotted {
		if k, known := keyNamed(head + "."); known && tail == "" && strings.HasPrefix(p.line[end:], `"`) {
			p.pos = end
			if path, err = p.quoted(); err != nil {
				return "", "", false, err
			}
			if !p.at(':') {
				return "", "", false, p.fail(end, p.pos, "write "+k.Name+`"the path":value`, "no colon follows the path")
			}
			if err := p.checkPath(path, end, p.pos); err != nil {
				return "", "", false, err
			}
			p.pos++
			return head + ".", path, true, nil
		} else if known && strings.HasPrefix(p.line[end:], ":") {
			if err := p.checkPath(tail, start+len(head)+1, end); err != nil {
				return "", "", false, err
			}
			p.pos = end + 1
			return head + ".", tail, true, nil
		}
	}
	if !strings.HasPrefix(p.line[end:], ":") {
		return "", "", false, nil
	}
	if k, known := keyNamed(word + "."); known {
		return "", "", false, p.fail(start, end, "write "+k.Example, "%s needs a path: where the value is", word)
	}
	p.pos = end + 1
	return word, "", true, nil
}

func (p *parser) checkPath(path string, start, end int) error {
	if text, hint := wrongPath(path); text != "" {
		return p.fail(start, end, hint, "%s", text)
	}
	if p.line[start] == '"' {
		return nil
	}
	for word := range strings.SplitSeq(path, ".") {
		if word == "" {
			return p.fail(start, start, "an empty name must be in quotes with the whole path", "the path has an empty name")
		}
		start += len(word) + 1
	}
	return nil
}
