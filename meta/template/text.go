package template

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// onText makes a helper of a function from text to text.
func onText(usage string, f func(string) string) helper {
	return helper{group: textGroup, usage: usage, min: 1, max: 1, f: func(_ *scope, a []Value) Value { return NewText(f(a[0].String())) }}
}

// onTwo makes a helper of a function of two texts.
func onTwo(usage string, f func(s, t string) Value) helper {
	return helper{group: textGroup, usage: usage, min: 2, max: 2, f: func(_ *scope, a []Value) Value { return f(a[0].String(), a[1].String()) }}
}

// sure makes a helper false if its second argument is missing: without one, any text
// would begin and end with it.
func (h helper) sure() helper {
	f := h.f
	h.f = func(s *scope, a []Value) Value {
		if a[1].kind == Missing {
			return truth(false)
		}
		return f(s, a)
	}
	return h
}

var textHelpers = map[string]helper{
	"lower":      onText("lower S - in small letters", strings.ToLower),
	"upper":      onText("upper S - in capital letters", strings.ToUpper),
	"trim":       onText("trim S - without white space at its ends", strings.TrimSpace),
	"capitalize": onText("capitalize S - the first letter large, the others small", capitalize),
	"upperFirst": onText("upperFirst S - the first letter large, the others as they are", func(s string) string {
		r, n := utf8.DecodeRuneInString(s)
		if n == 0 {
			return s
		}
		return string(unicode.ToUpper(r)) + s[n:]
	}),
	"quote":    onText(`quote S - in "quotes", as JSON has it`, func(s string) string { return string(appendQuoted(nil, s)) }),
	"urlquery": onText("urlquery S - escaped for the query of a URL", url.QueryEscape),
	"urlpath":  onText("urlpath S - escaped for the path of a URL", url.PathEscape),

	"sha256":     onText("sha256 S - its SHA-256, in hexadecimal", func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }),
	"trimChars":  onTwo("trimChars S CHARS - without these characters at its ends", func(s, t string) Value { return NewText(strings.Trim(s, t)) }),
	"trimPrefix": onTwo("trimPrefix S P - without P at its beginning", func(s, t string) Value { return NewText(strings.TrimPrefix(s, t)) }),
	"trimSuffix": onTwo("trimSuffix S P - without P at its end", func(s, t string) Value { return NewText(strings.TrimSuffix(s, t)) }),
	"hasPrefix":  onTwo("hasPrefix S P - whether S begins with P", func(s, t string) Value { return truth(strings.HasPrefix(s, t)) }).sure(),
	"hasSuffix":  onTwo("hasSuffix S P - whether S ends with P", func(s, t string) Value { return truth(strings.HasSuffix(s, t)) }).sure(),
	"before":     onTwo("before S SEP - what stands before the first SEP; missing without one", func(s, t string) Value { return cut(s, strings.Index(s, t), 0, true) }),
	"after":      onTwo("after S SEP - what stands after the first SEP; missing without one", func(s, t string) Value { return cut(s, strings.Index(s, t), len(t), false) }),
	"beforeLast": onTwo("beforeLast S SEP - what stands before the last SEP; missing without one", func(s, t string) Value { return cut(s, strings.LastIndex(s, t), 0, true) }),
	"afterLast":  onTwo("afterLast S SEP - what stands after the last SEP; missing without one", func(s, t string) Value { return cut(s, strings.LastIndex(s, t), len(t), false) }),
	"contains": {group: textGroup, usage: "contains IN X - whether a text has the part X, a list the value X, an object the key X", min: 2, max: 2, f: func(s *scope, a []Value) Value {
		switch a[0].kind {
		case List:
			x := a[1].String()
			return truth(slices.ContainsFunc(a[0].Items(), func(v Value) bool { return v.String() == x }))
		case Object:
			return truth(a[0].Get(a[1].String()).kind != Missing)
		}
		return truth(a[1].kind != Missing && strings.Contains(a[0].String(), a[1].String()))
	}},
	"replace": {group: textGroup, usage: "replace S OLD NEW - with NEW for each OLD", min: 3, max: 3, f: func(s *scope, a []Value) Value {
		old, fresh := a[1].String(), a[2].String()
		if old == "" || !s.Spend(strings.Count(a[0].String(), old)*len(fresh)) {
			return a[0]
		}
		return NewText(strings.ReplaceAll(a[0].String(), old, fresh))
	}},

	"split":    {group: textGroup, usage: "split S SEP - a list of the pieces", min: 2, max: 2, f: func(s *scope, a []Value) Value { return s.pieces(strings.Split(a[0].String(), a[1].String())) }},
	"fields":   {group: textGroup, usage: "fields S - a list of the words between white space", min: 1, max: 1, f: func(s *scope, a []Value) Value { return s.pieces(strings.Fields(a[0].String())) }},
	"lines":    {group: textGroup, usage: "lines S - a list of the lines", min: 1, max: 1, f: func(s *scope, a []Value) Value { return s.pieces(strings.Split(a[0].String(), "\n")) }},
	"splitAny": {group: textGroup, usage: "splitAny S CHARS - a list of what stands between any of these characters", min: 2, max: 2, f: func(s *scope, a []Value) Value { return s.pieces(splitAny(a[0].String(), a[1].String())) }},
	"part": {group: textGroup, usage: "part S SEP N - the piece at place N from 0; -1 is the last", min: 3, max: 3, f: func(s *scope, a []Value) Value {
		return s.pieces(strings.Split(a[0].String(), a[1].String())).Get(a[2].String())
	}},
	"prefix": {group: textGroup, usage: "prefix S N - the first N characters", min: 2, max: 2, f: func(_ *scope, a []Value) Value {
		r := []rune(a[0].String())
		n, _ := a[1].int()
		return NewText(string(r[:place(n, len(r))]))
	}},
	"suffix": {group: textGroup, usage: "suffix S N - the last N characters", min: 2, max: 2, f: func(_ *scope, a []Value) Value {
		r := []rune(a[0].String())
		n, _ := a[1].int()
		return NewText(string(r[len(r)-place(n, len(r)):]))
	}},
	"truncate": {group: textGroup, usage: `truncate S N [MARK] - if S is longer than N characters: the first N, and MARK ("...")`, min: 2, max: 3, f: func(_ *scope, a []Value) Value {
		s, mark := a[0].String(), "..."
		if len(a) == 3 {
			mark = a[2].String()
		}
		n, _ := a[1].int()
		if n < 0 || utf8.RuneCountInString(s) <= n {
			return NewText(s)
		}
		return NewText(string([]rune(s)[:n]) + mark)
	}},
	"match": {group: textGroup, usage: "match S REGEX - what matches first: the first group, if there is one", min: 2, max: 2, prepare: func(_ Names, args []expr) (func(*scope, []Value) Value, error) {
		re, err := constantRegexp(args[1])
		return func(s *scope, a []Value) Value {
			if !s.Spend(2 * len(a[0].String())) {
				return none
			}
			m := re.FindStringSubmatch(a[0].String())
			if m == nil {
				return none
			}
			return NewText(m[min(1, len(m)-1)])
		}, err
	}},
	"matches": {group: textGroup, usage: "matches S REGEX - a list of all that match", min: 2, max: 2, prepare: func(_ Names, args []expr) (func(*scope, []Value) Value, error) {
		re, err := constantRegexp(args[1])
		return func(s *scope, a []Value) Value { return s.allMatches(re, a[0].String()) }, err
	}},
	"print": {group: textGroup, usage: "print A B ... - all of them, one after the other; missing if one is", min: 1, max: -1, tolerant: true, f: func(s *scope, a []Value) Value {
		for _, v := range a {
			if v.kind == Missing {
				return none
			}
		}
		return s.joined(mapped(a, Value.String), "")
	}},
	"json": {group: textGroup, usage: "json V - laid out as JSON, four blanks a level", min: 1, max: 1, f: func(_ *scope, a []Value) Value {
		return NewText(string(a[0].appendJSON(nil, "    ", 0)))
	}},
	"plural": {group: textGroup, usage: "plural N ONE MANY - ONE if N is 1, else MANY", min: 3, max: 3, f: func(_ *scope, a []Value) Value {
		if n, _ := a[0].int(); n == 1 {
			return a[1]
		}
		return a[2]
	}},
	"query": {group: textGroup, usage: "query K V K V ... - the query of a URL; without those of which the value is missing", min: 2, max: -1, tolerant: true, f: func(s *scope, a []Value) Value {
		var pairs []string
		for ; len(a) >= 2; a = a[2:] {
			if a[1].kind != Missing {
				pairs = append(pairs, url.QueryEscape(a[0].String())+"="+url.QueryEscape(a[1].String()))
			}
		}
		return s.joined(pairs, "&")
	}},
	"mentions": {group: textGroup, usage: "mentions S - a list of the names that stand as @name in a text", min: 1, max: 1, f: func(s *scope, a []Value) Value { return s.allMatches(mentionPattern, a[0].String()) }},
	"urls":     {group: textGroup, usage: "urls S - a list of the web addresses in a text", min: 1, max: 1, f: func(s *scope, a []Value) Value { return s.allMatches(urlPattern, a[0].String()) }},
}

var (
	mentionPattern = regexp.MustCompile(`(?:^|[^\w.@/])@(\w+(?:-\w+)*)`)
	urlPattern     = regexp.MustCompile(`https?://[^\s<>"']*[^\s<>"'.,;:!?)\]]`)
)

func constantRegexp(e expr) (*regexp.Regexp, error) {
	c, ok := e.(constant)
	if !ok || c.v.kind != Text {
		return nil, errors.New("the expression must be given in quotes")
	}
	return regexp.Compile(c.v.text)
}

func (s *scope) allMatches(re *regexp.Regexp, in string) Value {
	if !s.Spend(2 * len(in)) {
		return none
	}
	var found []string
	for _, m := range re.FindAllStringSubmatch(in, 1+*s.Fuel/StepFuel) {
		found = append(found, m[min(1, len(m)-1)])
	}
	return s.pieces(found)
}

func (s *scope) pieces(parts []string) Value {
	if !s.Spend(len(parts) * StepFuel) {
		return none
	}
	return NewTexts(parts...)
}

func splitAny(s, chars string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(chars, r) })
}

// cut returns the part of s before or after place at; missing if at is -1.
func cut(s string, at, size int, before bool) Value {
	switch {
	case at < 0:
		return none
	case before:
		return NewText(s[:at])
	}
	return NewText(s[at+size:])
}

func capitalize(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + strings.ToLower(s[n:])
}

// calculate makes a helper of a function of two whole numbers; ok is false if its
// result is none that can be told.
func calculate(usage string, f func(a, b int) (int, bool)) helper {
	return helper{group: numberGroup, usage: usage, min: 2, max: 2, f: func(_ *scope, args []Value) Value {
		a, okA := args[0].int()
		b, okB := args[1].int()
		if n, ok := f(a, b); ok && okA && okB {
			return NewNumber(n)
		}
		return none
	}}
}

var numberHelpers = map[string]helper{
	"add": calculate("add A B - A and B together", func(a, b int) (int, bool) { return a + b, (a+b > a) == (b > 0) }),
	"sub": calculate("sub A B - A without B", func(a, b int) (int, bool) { return a - b, (a-b < a) == (b > 0) }),
	"mul": calculate("mul A B - A times B", func(a, b int) (int, bool) {
		return a * b, a == 0 || a*b/a == b && (a != -1 || b != math.MinInt)
	}),
	"div": calculate("div A B - how often B goes into A", func(a, b int) (int, bool) {
		if b == 0 || a == math.MinInt && b == -1 {
			return 0, false
		}
		return a / b, true
	}),
	"sum": {group: numberGroup, usage: "sum L - of the whole numbers in a list", min: 1, max: 1, f: func(_ *scope, a []Value) Value {
		total := 0
		for _, v := range a[0].Items() {
			n, _ := v.int()
			if (total+n > total) != (n > 0) {
				return none
			}
			total += n
		}
		return NewNumber(total)
	}},
	"int": {group: numberGroup, usage: "int V - the whole number in a number or text", min: 1, max: 1, f: func(_ *scope, a []Value) Value {
		if n, ok := a[0].int(); ok {
			return NewNumber(n)
		}
		return none
	}},
	"digits": {group: numberGroup, usage: "digits S - whether S is made of digits only", min: 1, max: 1, f: func(_ *scope, a []Value) Value {
		s := a[0].String()
		return truth(s != "" && strings.Trim(s, "0123456789") == "")
	}},
	"pad": {group: numberGroup, usage: "pad N WIDTH - with zeros before it, up to WIDTH digits", min: 2, max: 2, f: func(_ *scope, a []Value) Value {
		width, _ := a[1].int()
		s := a[0].String()
		return NewText(strings.Repeat("0", max(0, min(width, 64)-len(s))) + s)
	}},
	"until": {group: numberGroup, ofTime: true, usage: `until TIME - "in 59 minutes", by the clock; TIME is seconds since 1970, or ISO text`, min: 1, max: 1, f: func(s *scope, a []Value) Value {
		t, ok := parseTime(a[0])
		if !ok {
			return none
		}
		return NewText(Relative(t.Sub(s.World.Now())))
	}},
	"ago": {group: numberGroup, ofTime: true, usage: `ago TIME - "3 days ago", by the clock`, min: 1, max: 1, f: func(s *scope, a []Value) Value {
		t, ok := parseTime(a[0])
		if !ok {
			return none
		}
		return NewText(Relative(t.Sub(s.World.Now())))
	}},
	"date": {group: numberGroup, ofTime: true, usage: `date TIME LAYOUT [ZONE] - TIME in the form of LAYOUT, which is how you would write Monday 2006-01-02 15:04:05, such as "2 Jan 15:04"; in UTC, or in a ZONE such as "Europe/Prague"; in the zone in which it is written if ZONE is "own"`, min: 2, max: 3, prepare: prepareDate},
	"epoch": {group: numberGroup, ofTime: true, usage: "epoch TIME - whole seconds since 1970", min: 1, max: 1, f: func(_ *scope, a []Value) Value {
		t, ok := parseTime(a[0])
		if !ok {
			return none
		}
		return NewText(strconv.FormatInt(t.Unix(), 10))
	}},
}

func prepareDate(_ Names, args []expr) (func(*scope, []Value) Value, error) {
	layout, ok := args[1].(constant)
	if ok && isNoLayout(layout.v.String()) {
		return nil, fmt.Errorf(`layout %q has no part of a time in it: write it as you would write the time 2006-01-02 15:04:05, such as "2 Jan 2006"`, layout.v.String())
	}
	zone, own := time.UTC, false
	if len(args) == 3 {
		name, ok := args[2].(constant)
		if !ok || name.v.kind != Text {
			return nil, errors.New(`the zone must be given in quotes: "own", or a name such as "Europe/Prague"`)
		}
		if own = name.v.text == "own"; !own {
			var err error
			if zone, err = time.LoadLocation(name.v.text); err != nil {
				return nil, fmt.Errorf(`this machine knows no zone %q: write "own", or a name such as "Europe/Prague"`, name.v.text)
			}
		}
	}
	return func(_ *scope, a []Value) Value {
		t, ok := parseTime(a[0])
		switch {
		case !ok:
			return none
		case !own:
			t = t.In(zone)
		}
		return NewText(t.Format(a[1].String()))
	}, nil
}

// isNoLayout reports whether a layout has nothing that stands for a part of a time.
func isNoLayout(layout string) bool {
	other := time.Date(2031, time.November, 26, 23, 58, 57, 123456789, time.FixedZone("XYZ", -3*3600))
	return other.Format(layout) == layout
}

// layouts are how the services of Fedora write times.
var layouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999", "2006-01-02 15:04:05.999999", "2006-01-02 15:04:05.999999-07:00",
	"2006-01-02 15:04:05.999999 UTC", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly, time.RFC1123Z, time.RFC1123,
}

// parseTime reads seconds since 1970, or text, in the zone that it names; without
// one it is UTC.
func parseTime(v Value) (time.Time, bool) {
	if f, err := strconv.ParseFloat(v.text, 64); err == nil && f > -1e11 && f < 1e12 {
		seconds := int64(f)
		return time.Unix(seconds, int64((f-float64(seconds))*1e9)).UTC(), true
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, v.text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// Relative words a stretch of time; of its units the largest that fits, rounded down.
func Relative(d time.Duration) string {
	const day = 24 * time.Hour
	amount, unit := d.Abs(), "second"
	n := int(amount / time.Second)
	switch {
	case n < 10:
		return "just now"
	case amount < time.Minute:
	case amount < time.Hour:
		n, unit = int(amount/time.Minute), "minute"
	case amount < day:
		n, unit = int(amount/time.Hour), "hour"
	case amount < 30*day:
		n, unit = int(amount/day), "day"
	case amount < 365*day:
		n, unit = int(amount/(30*day)), "month"
	default:
		n, unit = int(amount/(365*day)), "year"
	}
	words := fmt.Sprintf("%d %s", n, plural(n, unit, unit+"s"))
	if d < 0 {
		return words + " ago"
	}
	return "in " + words
}
