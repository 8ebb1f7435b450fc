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

var cookie = regexp.MustCompile(`^[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)`)

// symbols are the operators of each length, between blanks.
var symbols = [...]string{
	1: " + - * / % & | ^ ~ < > = . , : ; ( ) [ ] { } @ ",
	2: " += -= *= /= %= &= |= ^= == != <= >= <> -> := ** // >> << ",
	3: " **= //= >>= <<= ... ",
}

// symbolLength is the length of the operator that begins a text, or 0.
func symbolLength(text string) int {
	for n := min(3, len(text)); n > 0; n-- {
		if text[0] != ' ' && strings.Contains(symbols[n], " "+text[:n]+" ") {
			return n
		}
	}
	return 0
}

func isWord(c rune) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// wordLength is the length of the name or keyword that begins a text, or 0.
func wordLength(text string) int {
	n := strings.IndexFunc(text, func(c rune) bool { return !isWord(c) })
	switch {
	case text == "" || text[0] >= '0' && text[0] <= '9':
		return 0
	case n < 0:
		return len(text)
	}
	return n
}

// numberLength is the length of what begins a text as a number does, or 0. It takes
// letters and points as they come; spellNumber knows what is a number.
func numberLength(text string) int {
	isDigit := func(i int) bool { return i < len(text) && text[i] >= '0' && text[i] <= '9' }
	if !isDigit(0) && (text[0] != '.' || !isDigit(1)) {
		return 0
	}
	isHex := len(text) > 1 && (text[1] == 'x' || text[1] == 'X')
	n := 1
	for ; n < len(text); n++ {
		isExponent := !isHex && (text[n] == '+' || text[n] == '-') && (text[n-1] == 'e' || text[n-1] == 'E')
		if !isExponent && text[n] != '.' && !isWord(rune(text[n])) {
			break
		}
	}
	return n
}

// openingQuote is the prefix and the quotes that begin a string, or "".
func openingQuote(text string) string {
	n := wordLength(text[:min(len(text), 3)])
	switch strings.ToLower(text[:n]) {
	case "", "u", "b", "f", "r", "ur", "br", "fr", "rb", "rf":
	default:
		return ""
	}
	quote := text[n:]
	if quote == "" || quote[0] != '"' && quote[0] != '\'' {
		return ""
	}
	if triple := strings.Repeat(quote[:1], 3); strings.HasPrefix(quote, triple) {
		return text[:n+3]
	}
	return text[:n+1]
}

// blanks is the length of the blanks and line continuations that begin a text.
func blanks(text string) int {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == ' ' || text[i] == '\t' || text[i] == '\f':
		case strings.HasPrefix(text[i:], "\\\n"):
			i++
		default:
			return i
		}
	}
	return len(text)
}

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
		gap := blanks(s.src)
		s.line += strings.Count(s.src[:gap], "\n")
		s.src = s.src[gap:]
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
	if m := openingQuote(s.src); m != "" {
		t.kind = text
		var ok bool
		t.text, ok = s.str(m)
		return t, ok
	}
	if n := wordLength(s.src); n > 0 {
		t.kind, t.text = name, s.src[:n]
		s.src = s.src[n:]
		if strings.HasPrefix(t.text, Prefix) {
			s.problem(t.line, fmt.Sprintf("the name %.80s", t.text), "choose one that does not begin with "+Prefix)
		}
		return t, true
	}
	if n := numberLength(s.src); n > 0 {
		t.kind = number
		spelled := s.src[:n]
		s.src = s.src[n:]
		var ok bool
		if t.text, ok = spellNumber(spelled); !ok {
			s.problem(t.line, fmt.Sprintf("the number %.40q", spelled), "write it as a whole number or with a decimal point")
		}
		return t, true
	}
	if n := symbolLength(s.src); n > 0 {
		t.kind, t.text = operator, s.src[:n]
		s.src = s.src[n:]
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
	if strings.Contains(py, "__") || strings.HasSuffix(py, "_") || len(py) > maxDigits {
		return "", false
	}
	n := strings.ToLower(py)
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
