// Package pytext writes numbers and texts as Python's two ways of formatting do, %
// and str.format, and takes their formats apart. What it does not know it refuses with
// an [Obstacle]; it never writes something else.
package pytext

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxWidth bounds the width and precision that a format may ask for.
const MaxWidth = 10_000

// maxPieces bounds the values in one format.
const maxPieces = 1000

var tooMany = Obstacle{fmt.Sprintf("a format of more than %d values", maxPieces), "cut it into several"}

// An Obstacle is what cannot be read or written, with what to do about it.
type Obstacle struct{ What, Do string }

func (o Obstacle) Error() string { return o.What }

// A Piece of a format is text, or text and a value behind it.
type Piece struct {
	Text  string // stands before the value
	Value bool   // there is one
	// Name is the key or number of the value, if it has one.
	Name  string
	Named bool
	Spec  Spec
	// Repr asks for repr(value). Converted says that it is written as a text, whatever
	// it is.
	Repr, Converted bool
}

// A Spec says how a value is written. Verb 0 is str's way.
type Spec struct {
	Verb byte
	// Width and Precision are at most MaxWidth; Precision is -1 if there is none.
	// WidthStar and PrecisionStar say that a value gives it.
	Width, Precision         int
	WidthStar, PrecisionStar bool

	fill      rune
	align     byte // < > ^ = or 0
	sign      byte // + - or blank
	alternate bool
	comma     bool
}

// conversion is one of %'s: (key), flags, width, precision, an ignored length, verb.
var conversion = regexp.MustCompile(`^%(?:\(([^()]*)\))?([-#0 +]*)(\*|\d+)?(?:(\.)(\*|\d+)?)?[hlL]?([diuoxXeEfFgGcrsa%])`)

// ParsePercent takes the format of % apart.
func ParsePercent(format string) ([]Piece, error) {
	var pieces []Piece
	var before strings.Builder
	for {
		i := strings.IndexByte(format, '%')
		if i < 0 {
			before.WriteString(format)
			return append(pieces, Piece{Text: before.String()}), nil
		}
		before.WriteString(format[:i])
		rest := format[i:]
		m := conversion.FindStringSubmatchIndex(rest)
		if m == nil {
			return nil, Obstacle{"a % that begins no conversion", "write %% for the character itself"}
		}
		part := func(n int) string { return rest[max(0, m[2*n]):max(0, m[2*n+1])] }
		format = rest[m[1]:]
		if part(6) == "%" && m[1] == 2 {
			before.WriteByte('%')
			continue
		}
		if part(6) == "%" {
			return nil, Obstacle{"a % that begins no conversion", "write %% for the character itself"}
		}
		p := Piece{Text: before.String(), Value: true, Name: part(1), Named: m[2] >= 0, Repr: part(6) == "r" || part(6) == "a"}
		p.Spec = flags(part(2), part(6)[0])
		var err error
		if p.Spec.Width, p.Spec.WidthStar, err = size(part(3)); err != nil {
			return nil, err
		}
		if part(4) != "" {
			if p.Spec.Precision, p.Spec.PrecisionStar, err = size(part(5)); err != nil {
				return nil, err
			}
		}
		if pieces = append(pieces, p); len(pieces) > maxPieces {
			return nil, tooMany
		}
		before.Reset()
	}
}

func flags(set string, verb byte) Spec {
	s := Spec{Verb: verb, Precision: -1, fill: ' ', align: '>', sign: '-', alternate: strings.Contains(set, "#")}
	switch {
	case strings.Contains(set, "+"):
		s.sign = '+'
	case strings.Contains(set, " "):
		s.sign = ' '
	}
	switch {
	case strings.Contains(set, "-"):
		s.align = '<'
	case strings.Contains(set, "0") && strings.IndexByte("crsa", verb) < 0:
		s.fill, s.align = '0', '='
	}
	return s
}

// size reads a width or precision. A star says that a value gives it.
func size(text string) (n int, star bool, err error) {
	if text == "*" || text == "" {
		return 0, text == "*", nil
	}
	n, err = strconv.Atoi(text)
	if err != nil || n > MaxWidth {
		return 0, false, Obstacle{fmt.Sprintf("a format with a width or precision of %.20s", text), fmt.Sprintf("at most %d", MaxWidth)}
	}
	return n, false, nil
}

// Sized sets the width and precision that values give; a nil one is none.
func (s Spec) Sized(width, precision *int) (Spec, error) {
	if width != nil {
		if s.Width = *width; s.Width < 0 {
			s.Width, s.align, s.fill = -s.Width, '<', ' '
		}
	}
	if precision != nil {
		s.Precision = max(0, *precision)
	}
	if s.Width > MaxWidth || s.Precision > MaxWidth {
		return s, Obstacle{"a format with a large width or precision", fmt.Sprintf("at most %d", MaxWidth)}
	}
	return s, nil
}

// field is a replacement field of str.format, without what is nested in it.
var field = regexp.MustCompile(`^\{([^{}!:\[\].]*)(?:!([rs]))?(?::([^{}]*))?\}`)

// specification is [[fill]align][sign][#][0][width][,][.precision][verb].
var specification = regexp.MustCompile(`^(?:([^{}])?([<>=^]))?([-+ ])?(#)?(0)?(\d+)?(,)?(?:\.(\d+))?([bdoxXeEfFgGs])?$`)

// ParseFormat takes the format of str.format apart. Fields without a name get their
// numbers.
func ParseFormat(format string) ([]Piece, error) {
	var pieces []Piece
	var before strings.Builder
	auto, manual := 0, false
	for {
		i := strings.IndexAny(format, "{}")
		if i < 0 {
			before.WriteString(format)
			return append(pieces, Piece{Text: before.String()}), nil
		}
		before.WriteString(format[:i])
		if format = format[i:]; len(format) > 1 && format[1] == format[0] {
			before.WriteByte(format[0])
			format = format[2:]
			continue
		}
		m := field.FindStringSubmatch(format)
		if m == nil {
			return nil, Obstacle{"a { or } that is no simple field of format", "write it with %"}
		}
		p := Piece{Text: before.String(), Value: true, Name: m[1], Named: true, Repr: m[2] == "r", Converted: m[2] != ""}
		if p.Name == "" {
			p.Name = strconv.Itoa(auto)
			auto++
		} else if _, err := strconv.Atoi(p.Name); err == nil {
			manual = true
		}
		if auto > 0 && manual {
			return nil, Obstacle{"format cannot mix {} and {0}", "number all of them, or none"}
		}
		var err error
		if p.Spec, err = parseSpec(m[3]); err != nil {
			return nil, err
		}
		if p.Converted && p.Spec.Verb == 0 {
			p.Spec.Verb = 's'
		}
		if pieces = append(pieces, p); len(pieces) > maxPieces {
			return nil, tooMany
		}
		format = format[len(m[0]):]
		before.Reset()
	}
}

func parseSpec(text string) (Spec, error) {
	s := Spec{fill: ' ', sign: '-', Precision: -1}
	m := specification.FindStringSubmatch(text)
	if m == nil {
		return s, Obstacle{fmt.Sprintf("the format %.40q", text), "write it with %"}
	}
	s.alternate, s.comma = m[4] != "", m[7] != ""
	if m[2] != "" {
		s.align = m[2][0]
	}
	if m[3] != "" {
		s.sign = m[3][0]
	}
	if m[5] != "" {
		s.fill = '0'
		if s.align == 0 {
			s.align = '='
		}
	}
	if m[1] != "" {
		s.fill, _ = utf8.DecodeRuneInString(m[1])
	}
	var err error
	if s.Width, _, err = size(m[6]); err == nil && m[8] != "" {
		s.Precision, _, err = size(m[8])
	}
	if m[9] != "" {
		s.Verb = m[9][0]
	}
	return s, err
}

// IsPlain reports whether nothing is asked but to write the value.
func (s Spec) IsPlain() bool {
	return s.Verb == 0 && s.Width == 0 && s.Precision < 0 && s.sign == '-' && !s.alternate && !s.comma && s.align == 0
}

func (s Spec) refuse(what string) error {
	return Obstacle{"a format that does not fit " + what, "write it with %"}
}

// String writes a text.
func (s Spec) String(text string) (string, error) {
	if s.align == '=' || s.comma {
		return "", s.refuse("a text")
	}
	if all := []rune(text); s.Precision >= 0 && len(all) > s.Precision {
		text = string(all[:s.Precision])
	}
	return s.pad("", text), nil
}

// Int writes a whole number: by the verbs d (i, u), o, x, X, b and n, and as a float by
// the others.
func (s Spec) Int(n *big.Int) (string, error) {
	base := map[byte]int{0: 10, 'd': 10, 'i': 10, 'u': 10, 'b': 2, 'o': 8, 'x': 16, 'X': 16}[s.Verb]
	if base == 0 {
		f, _ := new(big.Float).SetInt(n).Float64()
		return s.Float(f)
	}
	digits := new(big.Int).Abs(n).Text(base)
	sign := s.signOf(n.Sign() < 0)
	if s.comma {
		if base != 10 || s.align == '=' {
			return "", s.refuse("a number")
		}
		digits = group(digits)
	}
	if s.alternate && base != 10 {
		sign += "0" + string(s.Verb)
	}
	if s.Verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	if missing := s.Precision - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	return s.numeric().pad(sign, digits), nil
}

// Float writes a number by the verbs e, f and g.
func (s Spec) Float(f float64) (string, error) {
	verb := s.Verb
	if verb == 'F' {
		verb = 'f'
	}
	if math.IsInf(f, 0) || math.IsNaN(f) || s.alternate || strings.IndexByte("eEfgG", verb) < 0 || s.comma && (s.align == '=' || verb != 'f') {
		return "", s.refuse("a number with a point")
	}
	precision := s.Precision
	if precision < 0 {
		precision = 6
	}
	if verb == 'g' || verb == 'G' {
		precision = max(1, precision)
	}
	text := strconv.FormatFloat(math.Abs(f), verb, precision, 64)
	if s.comma {
		whole, _, _ := strings.Cut(text, ".")
		text = group(whole) + strings.TrimPrefix(text, whole)
	}
	return s.numeric().pad(s.signOf(math.Signbit(f)), text), nil
}

// Rune writes one character.
func (s Spec) Rune(c rune) string { return s.pad("", string(c)) }

// numeric aligns to the right if nothing else is asked.
func (s Spec) numeric() Spec {
	if s.align == 0 {
		s.align = '>'
	}
	return s
}

func (s Spec) signOf(negative bool) string {
	switch {
	case negative:
		return "-"
	case s.sign != '-':
		return string(s.sign)
	}
	return ""
}

// group puts commas between the thousands.
func group(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// pad brings a text, with its sign or base before it, to the width, in characters.
func (s Spec) pad(sign, text string) string {
	missing := s.Width - utf8.RuneCountInString(sign) - utf8.RuneCountInString(text)
	if missing <= 0 {
		return sign + text
	}
	fill := func(n int) string { return strings.Repeat(string(s.fill), n) }
	switch s.align {
	case '>':
		return fill(missing) + sign + text
	case '^':
		return fill(missing/2) + sign + text + fill(missing-missing/2)
	case '=':
		return sign + fill(missing) + text
	}
	return sign + text + fill(missing)
}
