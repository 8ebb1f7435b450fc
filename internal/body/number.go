package body

import (
	"cmp"
	"strconv"
	"strings"
)

// compare orders two values: as numbers if both are, else by bytes.
func compare(a, b string) int {
	if !IsNumber(a) || !IsNumber(b) {
		return strings.Compare(a, b)
	}
	i, err := strconv.ParseInt(a, 10, 64)
	if err == nil {
		if j, err := strconv.ParseInt(b, 10, 64); err == nil {
			return cmp.Compare(i, j)
		}
	}
	x, _ := strconv.ParseFloat(a, 64) // beyond the range it is an infinity of the right sign
	y, _ := strconv.ParseFloat(b, 64)
	return cmp.Compare(x, y)
}

// IsNumber reports whether s is spelled as JSON spells numbers.
func IsNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole := digits(s)
	if whole == 0 || whole > 1 && s[0] == '0' {
		return false
	}
	s = s[whole:]
	if fraction, ok := strings.CutPrefix(s, "."); ok {
		n := digits(fraction)
		if n == 0 {
			return false
		}
		s = fraction[n:]
	}
	if s != "" && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		if s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		n := digits(s)
		return n > 0 && n == len(s)
	}
	return s == ""
}

func digits(s string) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n
}
