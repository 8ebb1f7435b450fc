package rewrite

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits on one file.
const (
	// MaxFile is the largest file, in bytes.
	MaxFile = 1 << 20
	// maxOpen is how deep brackets nest; CPython has the same limit.
	maxOpen = 200
	// maxPending bounds the tokens since the last comma, summed over the open
	// brackets: that is how deep an expression can nest.
	maxPending = 5000
	// maxElif bounds the branches of all conditions, which nest in Starlark.
	maxElif = 1000
	// maxDigits is CPython's limit on the digits of a number.
	maxDigits = 4300
	// maxIndent is how deep blocks nest; CPython has the same limit.
	maxIndent = 100
)

type kind int

const (
	name kind = iota
	number
	text // a string; token.text is its value
	operator
)

type token struct {
	kind kind
	text string
	line int
}

func (t token) is(op string) bool {
	return t.kind == operator && t.text == op || t.kind == name && t.text == op
}

// A logical is one logical line: a statement, the header of a block, or several
// statements between semicolons. It has at least one token.
type logical struct {
	indent int
	tokens []token
}

func (l logical) first() token { return l.tokens[0] }

// A scanner cuts a file into logical lines.
type scanner struct {
	src      string
	line     int
	lines    []logical
	open     []token // brackets
	pending  []int   // tokens since the last comma, for each open bracket and the statement
	problems []Problem
}

func (s *scanner) problem(line int, what, do string) {
	s.problems = append(s.problems, Problem{line, what, do})
}

var (
	blank    = regexp.MustCompile(`^(?:[ \t\f]|\\\n)*`)
	wordText = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*`)
	prefix   = regexp.MustCompile(`^(?:[uUbBfF]?[rR]?|[rR][bBfF])("""|'''|"|')`)
	digits   = regexp.MustCompile(`^(?:0[xXoObB]\w*|(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?\w*)`)
	symbol   = regexp.MustCompile(`^(?:\*\*=|//=|>>=|<<=|\.\.\.|[-+*/%&|^=!<>]=|<>|->|:=|\*\*|//|>>|<<|[-+*/%&|^~<>=.,:;()\[\]{}@])`)
	cookie   = regexp.MustCompile(`^[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)`)
)

// scan reads the whole file.
func (s *scanner) scan(src []byte) {
	s.src = strings.TrimPrefix(string(src), "\ufeff")
	s.src = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s.src)
	s.line = 1
	if s.checkEncoding(); len(s.problems) > 0 {
		return
	}
	for s.src != "" && len(s.problems) < maxProblems {
		l := logical{indent: s.indentation()}
		s.pending = []int{0}
		s.open = nil
		s.logicalLine(&l)
		if len(l.tokens) > 0 {
			s.lines = append(s.lines, l)
		}
	}
}

func (s *scanner) checkEncoding() {
	for i, line := range strings.SplitN(s.src, "\n", 3) {
		if m := cookie.FindStringSubmatch(line); m != nil && i < 2 {
			switch strings.ToLower(strings.ReplaceAll(m[1], "_", "-")) {
			case "utf-8", "utf8", "ascii", "us-ascii":
			default:
				if strings.ContainsFunc(s.src, func(r rune) bool { return r > 127 }) {
					s.problem(i+1, "the file is in "+m[1], "convert it: iconv -f "+m[1]+" -t UTF-8, and change this line")
				}
			}
		}
	}
	for i, line := range strings.Split(s.src, "\n") {
		if !utf8.ValidString(line) {
			s.problem(i+1, "not UTF-8", "convert the file with iconv")
			return
		}
		if strings.Contains(line, "\x00") {
			s.problem(i+1, "a NUL byte", "this is no Python file")
			return
		}
	}
}

// indentation takes the blanks that begin a line; a tab goes to the next multiple
// of eight.
func (s *scanner) indentation() int {
	column := 0
	for i := range len(s.src) {
		switch s.src[i] {
		case ' ':
			column++
		case '\t':
			column += 8 - column%8
		case '\f':
			column = 0
		default:
			s.src = s.src[i:]
			return column
		}
	}
	s.src = ""
	return column
}

// logicalLine appends the tokens up to the line's end outside of brackets.
func (s *scanner) logicalLine(l *logical) {
	for {
		gap := blank.FindString(s.src)
		s.line += strings.Count(gap, "\n")
		s.src = s.src[len(gap):]
		switch {
		case s.src == "":
			if n := len(s.open); n > 0 {
				s.problem(s.open[n-1].line, fmt.Sprintf("%q is never closed", s.open[n-1].text), "close it")
			}
			return
		case s.src[0] == '#':
			if i := strings.IndexByte(s.src, '\n'); i >= 0 {
				s.src = s.src[i:]
			} else {
				s.src = ""
			}
		case s.src[0] == '\n':
			s.line++
			s.src = s.src[1:]
			if len(s.open) == 0 {
				return
			}
		default:
			t, ok := s.token()
			if !ok || !s.nest(t) {
				s.src = "" // what follows would be misread
				return
			}
			l.tokens = append(l.tokens, t)
		}
	}
}

// nest keeps account of brackets and of how deep the expression may nest.
func (s *scanner) nest(t token) bool {
	top := len(s.pending) - 1
	s.pending[top]++
	if t.kind == operator {
		switch t.text {
		case ",", ";":
			s.pending[top] = 0
		case "(", "[", "{":
			s.open = append(s.open, t)
			s.pending = append(s.pending, 0)
		case ")", "]", "}":
			n := len(s.open) - 1
			if n < 0 || strings.Index("([{", s.open[n].text) != strings.Index(")]}", t.text) {
				s.problem(t.line, fmt.Sprintf("%q closes nothing", t.text), "open it, or remove it")
				return false
			}
			s.open, s.pending = s.open[:n], s.pending[:top]
		}
	}
	sum := 0
	for _, n := range s.pending {
		sum += n
	}
	if len(s.open) > maxOpen || sum > maxPending {
		s.problem(t.line, "an expression that nests too deep", "cut it into several")
		return false
	}
	return true
}

func (s *scanner) token() (token, bool) {
	t := token{line: s.line}
	if m := prefix.FindString(s.src); m != "" {
		t.kind = text
		var ok bool
		t.text, ok = s.str(m)
		return t, ok
	}
	if m := wordText.FindString(s.src); m != "" {
		t.kind, t.text = name, m
		s.src = s.src[len(m):]
		if strings.HasPrefix(m, Prefix) {
			s.problem(t.line, "the name "+m, "choose one that does not begin with "+Prefix)
		}
		return t, true
	}
	if m := digits.FindString(s.src); m != "" {
		t.kind = number
		s.src = s.src[len(m):]
		var ok bool
		if t.text, ok = spellNumber(m); !ok {
			s.problem(t.line, fmt.Sprintf("the number %.40q", m), "write it as a whole number or with a decimal point")
		}
		return t, true
	}
	if m := symbol.FindString(s.src); m != "" {
		t.kind, t.text = operator, m
		s.src = s.src[len(m):]
		return t, true
	}
	r, _ := utf8.DecodeRuneInString(s.src)
	s.problem(t.line, fmt.Sprintf("the character %q", r), "remove it, or put it into quotes")
	return t, false
}

var (
	wholeNumber = regexp.MustCompile(`^(?:0+|[1-9][0-9]*|0o[0-7]+|0x[0-9a-f]+|0b[01]+)$`)
	oldOctal    = regexp.MustCompile(`^0[0-7]+$`)
	realNumber  = regexp.MustCompile(`^(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?$`)
)

// spellNumber gives Starlark's spelling of a number: 0755 and 10L of Python 2 and
// 1_000 of Python 3 are foreign to it.
func spellNumber(py string) (string, bool) {
	n := strings.ToLower(py)
	if strings.Contains(n, "__") || strings.HasSuffix(n, "_") || len(n) > maxDigits {
		return "", false
	}
	n = strings.ReplaceAll(n, "_", "")
	whole := strings.TrimSuffix(n, "l")
	switch {
	case strings.Trim(whole, "0") == "" && whole != "":
		return "0", true
	case wholeNumber.MatchString(whole):
		return whole, true
	case oldOctal.MatchString(whole):
		return "0o" + strings.TrimLeft(whole, "0"), true
	case strings.ContainsAny(n, ".e") && realNumber.MatchString(n):
		f, err := strconv.ParseFloat(n, 64)
		return strconv.FormatFloat(f, 'e', -1, 64), err == nil
	}
	return "", false
}

// str reads a string that begins with the prefix and quotes of start.
func (s *scanner) str(start string) (string, bool) {
	line := s.line
	prefix := strings.ToLower(strings.TrimRight(start, `"'`))
	quote := start[len(prefix):]
	s.src = s.src[len(start):]
	if strings.Contains(prefix, "f") {
		s.problem(line, "an f-string", `write "…%s…" % name instead`)
	}
	end := 0
	for !strings.HasPrefix(s.src[end:], quote) {
		switch {
		case end == len(s.src), len(quote) == 1 && s.src[end] == '\n':
			s.problem(line, "a string is never closed", "close it with "+quote)
			return "", false
		case s.src[end] == '\\' && end+1 < len(s.src):
			end++
		}
		end++
	}
	body := s.src[:end]
	s.src = s.src[end+len(quote):]
	s.line += strings.Count(body, "\n")
	if strings.Contains(prefix, "f") || strings.Contains(prefix, "r") {
		return body, true
	}
	value, wrong := unescape(body, strings.Contains(prefix, "b"))
	if wrong != "" {
		s.problem(line, "the escape "+wrong, "write the character itself")
	}
	return value, true
}

var escapes = regexp.MustCompile(`(?s)\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{1,3}|.)`)

var shortEscapes = map[byte]string{'\n': "", '\\': `\`, '\'': `'`, '"': `"`, 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v"}

// unescape resolves escapes as Python 3 does, which keeps those that it does not
// know. What is no text is named in wrong.
func unescape(body string, bytes bool) (value, wrong string) {
	value = escapes.ReplaceAllStringFunc(body, func(e string) string {
		if plain, ok := shortEscapes[e[1]]; ok {
			return plain
		}
		digits, base := e[2:], 16
		switch {
		case e[1] >= '0' && e[1] <= '7':
			digits, base = e[1:], 8
		case bytes && strings.IndexByte("uUN", e[1]) >= 0:
			return e
		case len(e) == 2 && strings.IndexByte("xuUN", e[1]) >= 0: // cut short, or a name
			wrong = e
			return e
		case strings.IndexByte("xuU", e[1]) < 0:
			return e
		}
		r, err := strconv.ParseUint(digits, base, 32)
		if err != nil || !utf8.ValidRune(rune(r)) || bytes && r > 127 {
			wrong = e
			return e
		}
		return string(rune(r))
	})
	return value, wrong
}
