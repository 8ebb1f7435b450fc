package pyconfig_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fedora-infra/fedmsg-go/pyconfig"
)

// An author writes random configurations in the Python that is understood here. Most
// of them run.
type author struct {
	rng   *rand.Rand
	depth int
	// The names that hold a value of a kind.
	names map[byte][]string
	lines []string
}

func (a *author) pick(all ...string) string { return all[a.rng.IntN(len(all))] }

func (a *author) n(n int) int { return a.rng.IntN(n) }

// expr is an expression of a kind: i(nt), f(loat), s(tr), b(ool), l(ist of int), t
// (list of str) or d(ict of str to int).
func (a *author) expr(kind byte) string {
	if a.depth++; a.depth > 4 {
		a.depth--
		return a.leaf(kind)
	}
	defer func() { a.depth-- }()
	e := a.expr
	forms := map[byte][]func() string{
		'i': {
			func() string { return "(" + e('i') + a.pick(" + ", " - ", " * ", " & ", " | ", " ^ ") + e('i') + ")" },
			func() string { return "(" + e('i') + a.pick(" // ", " % ") + a.pick("3", "-7", "10", e('i')) + ")" },
			func() string { return "len(" + e(a.pick("s", "l", "t", "d")[0]) + ")" },
			func() string { return a.pick("abs", "int") + "(" + e('i') + ")" },
			func() string { return "int(" + a.pick("'%d'", "' 7 '", "'-%i'", "str(%d)") + ")" },
			func() string { return a.pick("min", "max") + "(" + e('i') + ", " + e('i') + ")" },
			func() string { return "sum(" + e('l') + ")" },
			func() string { return "(" + e('i') + " if " + e('b') + " else " + e('i') + ")" },
			func() string { return e('s') + "." + a.pick("find", "rfind", "count") + "(" + e('s') + ")" },
			func() string { return e('d') + ".get(" + e('s') + ", " + e('i') + ")" },
			func() string { return "(-" + e('i') + ")" },
			func() string { return "(" + e('b') + " + " + e('i') + ")" },
			func() string { return "(" + e('l') + " + [1])[" + a.pick("0", "-1") + "]" },
			func() string { return "ord(" + a.pick("'a'", "'é'", "' '") + ")" },
		},
		'f': {
			func() string { return "(" + e('f') + a.pick(" + ", " - ", " * ") + e(a.pick("f", "i")[0]) + ")" },
			func() string { return "(" + e('i') + " / " + a.pick("3", "4.0", "-8", e('i')) + ")" },
			func() string { return "float(" + a.pick(e('i'), "'1.5'", "' -2e3 '") + ")" },
			func() string { return "(" + e('f') + a.pick(" // ", " % ") + "2.5)" },
		},
		's': {
			func() string { return "(" + e('s') + " + " + e('s') + ")" },
			func() string { return "(" + e('s') + " * " + a.pick("2", "0", "-1", "3") + ")" },
			func() string { return "str(" + e(a.pick("i", "f", "b", "l", "t", "d")[0]) + ")" },
			func() string { return "repr(" + e(a.pick("s", "t", "d")[0]) + ")" },
			a.percent, a.percent, a.percent, a.format, a.format,
			func() string { return e('s') + "[" + a.pick(":2", "1:", "::-1", "-3:-1", "::2", "1:5:2") + "]" },
			func() string {
				return e('s') + "." + a.pick("upper()", "lower()", "title()", "capitalize()", "strip()", "lstrip()", "rstrip('x. ')", "strip('a')", "zfill(6)", "ljust(7)", "rjust(5, '*')", "center(8)", "center(7, '-')")
			},
			func() string { return e('s') + ".replace(" + a.pick("'a'", "'.'", "''", e('s')) + ", " + e('s') + ")" },
			func() string { return a.pick("', '", "''", "'.'") + ".join(" + e('t') + ")" },
			func() string { return "(" + e('s') + a.pick(" or ", " and ") + e('s') + ")" },
			func() string {
				return e('s') + "." + a.pick("partition", "rpartition") + "('.')[" + a.pick("0", "1", "2") + "]"
			},
		},
		'b': {
			func() string {
				return "(" + e('i') + a.pick(" < ", " <= ", " > ", " == ", " != ") + e(a.pick("i", "f", "b")[0]) + ")"
			},
			func() string { return "(" + e('s') + a.pick(" < ", " >= ", " == ", " in ", " not in ") + e('s') + ")" },
			func() string { return "(" + e('l') + a.pick(" < ", " == ", " != ") + e('l') + ")" },
			func() string { return "(" + e('i') + a.pick(" in ", " not in ") + e('l') + ")" },
			func() string { return "(" + e('s') + a.pick(" in ", " not in ") + e(a.pick("t", "d")[0]) + ")" },
			func() string { return "(not " + e(a.pick("i", "s", "b", "l", "d", "f")[0]) + ")" },
			func() string { return "(" + e('b') + a.pick(" and ", " or ") + e('b') + ")" },
			func() string {
				return "(" + e(a.pick("i", "b", "s")[0]) + a.pick(" is ", " is not ") + a.pick("None", "True", "False") + ")"
			},
			func() string { return a.pick("any", "all") + "(" + e('l') + ")" },
			func() string { return e('s') + a.pick(".startswith(", ".endswith(") + e('s') + ")" },
			func() string {
				return e('s') + "." + a.pick("isdigit()", "isalpha()", "isalnum()", "isupper()", "islower()", "isspace()")
			},
			func() string { return "bool(" + e(a.pick("i", "s", "l")[0]) + ")" },
			func() string { return "(" + e('d') + " == " + e('d') + ")" },
		},
		'l': {
			func() string { return "[" + e('i') + ", " + e('i') + a.pick("", ",") + "]" },
			func() string { return "[" + e('i') + " for x in " + e('l') + a.pick("", " if x", " if "+e('b')) + "]" },
			func() string { return "list(range(" + a.pick("5", "2, 7", "9, 0, -2", "0") + "))" },
			func() string { return "sorted(" + e('l') + a.pick("", ", reverse=True", ", key=lambda v: -v") + ")" },
			func() string { return "(" + e('l') + " + " + e('l') + ")" },
			func() string { return "(" + e('l') + " * 2)" },
			func() string { return e('l') + "[" + a.pick("1:", ":-1", "::-1", "::2") + "]" },
			func() string {
				return "list(" + a.pick("map(len, "+e('t')+")", "filter(None, "+e('l')+")", "reversed("+e('l')+")", e('d')+".values()", "set([3])") + ")"
			},
			func() string { return "[x * y for x in " + e('l') + "[:3] for y in (1, 2)]" },
			func() string { return "[i for i, c in enumerate(" + e('s') + a.pick("", ", 1") + ")]" },
			func() string { return "sorted({" + e('i') + ", " + e('i') + "})" },
		},
		't': {
			func() string { return "[" + e('s') + ", " + e('s') + "]" },
			func() string { return e('s') + ".split(" + a.pick("", "'a'", "'.'", "'.', 1", "None, 1", "' '") + ")" },
			func() string { return e('s') + ".rsplit(" + a.pick("", "'.', 1", "None, 1", "'a'") + ")" },
			func() string { return "list(" + e('s') + ")" },
			func() string { return "sorted(" + e(a.pick("t", "d")[0]) + ")" },
			func() string {
				return "['%s-%02d' % (c, i) for c in " + a.pick("'ab'", "('x', 'y')") + " for i in range(2)]"
			},
			func() string { return "[a + b for a, b in zip(" + e('t') + ", 'xyz')]" },
			func() string { return "list(" + e('d') + ")" },
			func() string { return e('s') + ".splitlines()" },
		},
		'd': {
			func() string { return "{" + e('s') + ": " + e('i') + ", " + e('s') + ": " + e('i') + "}" },
			func() string { return "dict(a=" + e('i') + ", b=" + e('i') + a.pick("", ", **{'c.d': 1}") + ")" },
			func() string { return "dict([(" + e('s') + ", " + e('i') + ")])" },
			func() string { return "dict((s, len(s)) for s in " + e('t') + ")" },
			func() string { return "{s: i for i, s in enumerate(" + e('t') + ")}" },
			func() string { return "{**" + e('d') + ", 'k': " + e('i') + "}" },
			func() string { return "dict(" + e('d') + ", z=" + e('i') + ")" },
		},
	}
	all := forms[kind]
	text := all[a.n(len(all))]()
	for strings.Contains(text, "('%d')") || strings.Contains(text, "('-%i')") || strings.Contains(text, "str(%d)") {
		text = strings.NewReplacer("'%d'", fmt.Sprintf("'%d'", a.n(99)), "'-%i'", "'-12'", "str(%d)", "str(345)").Replace(text)
	}
	return text
}

func (a *author) leaf(kind byte) string {
	if names := a.names[kind]; len(names) > 0 && a.n(2) == 0 {
		return names[a.n(len(names))]
	}
	switch kind {
	case 'i':
		return a.pick("0", "1", "2", "7", "42", "3000", "0x1F", "0o17", "0b101", "1_000", "12345678901234567890")
	case 'f':
		return a.pick("0.5", "1.0", "2.", ".25", "1e3", "3.14159", "1E-7", "123456.789", "1e16")
	case 's':
		return a.pick(`'a'`, `"app01.phx2"`, `u'x'`, `r'\.\d'`, `'\.'`, `''`, `'a.b.c'`, `"it's"`, `'''t"q'''`, `"""two
lines"""`, `'a' "b"`, `'tab\t\x41\u0042'`, `'é'`, `' pad '`, `'%s'`, `'{}'`, `'a\
b'`, `"Hello World"`, `'9'`)
	case 'b':
		return a.pick("True", "False")
	case 'l':
		return a.pick("[]", "[1]", "[3, 1, 2]", "[0, 0]", "list((5, 4))")
	case 't':
		return a.pick("[]", "['a']", "['b', 'a']", "['x.y', '']")
	}
	return a.pick("{}", "{'a': 1}", "dict(a=1, b=2)", "{'b': 2, 'a': 1, 'b': 3}")
}

// percent is a use of the operator %.
func (a *author) percent() string {
	flags := a.pick("", "", "-", "0", "+", " ", "#", "-0", "0+") + a.pick("", "", "2", "5", "12") + a.pick("", "", "", ".0", ".1", ".3")
	verb, kind := "", byte(0)
	switch a.n(4) {
	case 0:
		verb, kind = a.pick("d", "i", "u", "x", "X", "o"), 'i'
	case 1:
		flags = strings.ReplaceAll(flags, "#", "")
		verb, kind = a.pick("f", "e", "g", "E", "G", "F", "d"), 'f'
	default:
		verb, kind = a.pick("s", "s", "r"), a.pick("s", "i", "f", "b", "l", "t", "d")[0]
	}
	value := a.expr(kind)
	switch a.n(4) {
	case 0:
		return "('%(k)" + flags + verb + "' % {'k': " + value + "})"
	case 1:
		return "('%s|%" + flags + verb + "%%' % (" + a.expr('s') + ", " + value + "))"
	case 2:
		return "('%*d.%" + flags + verb + "' % (" + a.pick("4", "-4", "0") + ", " + a.expr('i') + ", " + value + "))"
	}
	return "('x%" + flags + verb + "' % (" + value + ",))"
}

// format is a use of str.format.
func (a *author) format() string {
	spec := a.pick("", "", ":>8", ":<8", ":^9", ":*^7", ":.2", ":5", ":!<4", ":10s")
	kind := byte('s')
	switch a.n(3) {
	case 0:
		kind, spec = 'i', a.pick("", ":d", ":05d", ":+d", ":x", ":#x", ":,", ":>6", ":<4d", ":^7", ":08b", ": d", ":=+6d", ":e", ":.1f")
	case 1:
		kind, spec = 'f', a.pick("", ":.2f", ":10.3e", ":+.1f", ":g", ":08.2f", ":,.2f", ":<9.1f")
	}
	value := a.expr(kind)
	return a.pick("'{"+spec+"}'.format("+value+")", "'{0"+spec+"}-{0}'.format("+value+")", "'{k"+spec+"}{{}}'.format(k="+value+")",
		"'{!r}'.format("+value+")", "'{} {"+spec+"}'.format("+a.expr('s')+", "+value+")")
}

func (a *author) line(indent int, format string, args ...any) {
	a.lines = append(a.lines, strings.Repeat("    ", indent)+fmt.Sprintf(format, args...))
}

func (a *author) statement(indent int) {
	kind := "ifsbltd"[a.n(7)]
	name := fmt.Sprintf("%c%d", kind, a.n(3))
	known := len(a.names[kind]) > 0
	switch n := a.n(12); {
	case n == 0 && indent == 0:
		a.line(0, "if %s:", a.expr('b'))
		a.line(1, "%s = %s", name, a.expr(kind))
		a.line(0, "elif %s: %s = %s", a.expr('b'), name, a.expr(kind))
		a.line(0, "else:")
		a.line(1, "%s = %s", name, a.expr(kind))
	case n == 1 && indent == 0:
		a.line(0, "%s = %s", name, a.expr(kind))
		a.line(0, "for x in %s:", a.expr('l'))
		a.line(1, "if x > 2: %s", a.pick("break", "continue"))
		a.line(1, "%s = %s", name, a.expr(kind))
	case n == 2 && indent == 0:
		a.line(0, "def f(x, y=%s):", a.expr('i'))
		a.line(1, "if x: return %s", a.expr(kind))
		a.line(1, "return %s", a.expr(kind))
		a.line(0, "%s = f(%s)", name, a.expr('i'))
	case n == 3:
		a.line(indent, "%s = same = %s", name, a.expr(kind))
	case n == 4 && known:
		name = a.names[kind][0]
		a.line(indent, "%s", map[byte]string{'i': name + " += 3", 'f': name + " *= 2", 's': name + " += 'z'", 'b': name + " = not " + name,
			'l': name + " += [9]; " + name + ".append(8)", 't': name + ".insert(0, 'n')", 'd': name + "['n'] = " + a.expr('i')}[kind])
	case n == 5:
		a.line(indent, "%s, (spare, _) = %s, ('s', 1)", name, a.expr(kind))
	case n == 6:
		a.line(indent, "%s = (lambda v, w=1: v)(%s)", name, a.expr(kind))
	default:
		a.line(indent, "%s = %s", name, a.expr(kind))
	}
	a.names[kind] = append(a.names[kind], name)
}

// program is a whole file.
func (a *author) program() string {
	a.names, a.lines = map[byte][]string{}, nil
	for range 1 + a.n(5) {
		a.statement(0)
	}
	a.line(0, "config = dict(")
	for i := range 1 + a.n(5) {
		a.line(1, "k%d=%s,  # line %d", i, a.expr("ifsbltd"[a.n(7)]), i)
	}
	a.line(0, ")")
	a.line(0, "config['a.b'] = %s", a.expr("ifsbltd"[a.n(7)]))
	return strings.Join(a.lines, "\n") + "\n"
}

// What is read of a random configuration is what CPython makes of it, value by value.
// What CPython refuses is refused; what is refused beyond that is rare.
func TestRandomProgramsAreCPythons(t *testing.T) {
	const programs = 600
	a := author{rng: rand.New(rand.NewPCG(20, 26))}
	var folders []map[string]string
	for range programs {
		folders = append(folders, map[string]string{"x.py": a.program()})
	}
	good, refused, wrong := 0, 0, 0
	for i, python := range ask(t, folders) {
		values, _, err := pyconfig.Read(sortedFiles(folders[i]), world)
		v := verdict(values, err, python)
		switch {
		case v == "" && python.Error == "":
			good++
		case v != "" && err != nil && strings.Contains(err.Error(), "beyond ASCII"): // documented
		case v != "" && err != nil:
			refused++
			t.Logf("refused: %v", err)
		case v != "":
			if wrong++; wrong <= 5 {
				t.Errorf("%s\n%s", folders[i]["x.py"], v)
			}
		}
	}
	t.Logf("%d programs: %d the same as CPython, %d refused, %d wrong", programs, good, refused, wrong)
	if good < programs/2 || refused > programs/100 {
		t.Errorf("%d of %d programs came out, %d were refused without need", good, programs, refused)
	}
}
