package pyconfig

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/fedora-infra/fedmsg-go/pyconfig/pytext"
	"github.com/fedora-infra/fedmsg-go/pyconfig/rewrite"
	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Limits on what one program may do.
const (
	maxSteps    = 1_000_000 // of Starlark's machine
	maxElements = 1 << 16   // in one list, table or range
	maxText     = 1 << 20   // bytes of one string
	maxMemory   = 32 << 20  // bytes of everything that was ever made
	maxKey      = 4096      // bytes of a key
	maxWork     = 64 << 20  // bytes of texts and long numbers looked at
	maxVisits   = 1_000_000 // values looked into by comparing and printing
	maxSpread   = 1000      // arguments of one call that come from a list
	maxBits     = 14_000    // of a number: about CPython's 4300 digits
)

// A run is the program of one file.
type run struct {
	name   string
	cfg    Config
	thread *starlark.Thread
	lines  map[*starlark.Dict]map[string]int // where keys were set
	errs   []*Error
	notes  []Note

	configLine                   int
	memory, work, visits, values int
}

func newRun(name string, cfg Config) *run {
	return &run{name: name, cfg: cfg, lines: make(map[*starlark.Dict]map[string]int)}
}

func (r *run) fail(line int, what, do string) {
	r.errs = append(r.errs, &Error{Origin{r.name, line}, what, do})
}

func (r *run) note(line int, about, what, why string) {
	r.notes = append(r.notes, Note{Origin{r.name, line}, about, what, why})
}

// line is where the program stands.
func (r *run) line() int {
	for depth := range r.thread.CallStackDepth() {
		if line := r.thread.CallFrame(depth).Pos.Line; line > 0 {
			return int(line)
		}
	}
	return 0
}

// An obstacle is an error with advice.
type obstacle = pytext.Obstacle

func tooMuch(what string, n, limit int) error {
	return obstacle{What: fmt.Sprintf("%s: %d, at most %d", what, n, limit), Do: "no configuration is that large; cut it"}
}

// charge accounts for memory that is about to be taken. Nothing is ever given back.
func (r *run) charge(bytes int) error {
	if r.memory += bytes; r.memory > maxMemory {
		return tooMuch("bytes of values", r.memory, maxMemory)
	}
	return nil
}

// elements accounts for n elements in one place.
func (r *run) elements(n int) error {
	if n > maxElements {
		return tooMuch("elements", n, maxElements)
	}
	return r.charge(n * 16)
}

// bytes accounts for a string.
func (r *run) bytes(n int) error {
	if n > maxText {
		return tooMuch("bytes of text", n, maxText)
	}
	return r.charge(n)
}

// look accounts for the time that it takes to look at values: steps do not tell how
// long a text is.
func (r *run) look(values ...starlark.Value) error {
	for _, v := range values {
		switch v := v.(type) {
		case starlark.String:
			r.work += len(v)
		case starlark.Int:
			if _, small := v.Int64(); !small {
				r.work += 16 * (v.BigInt().BitLen() + 1)
			}
		}
	}
	if r.work > maxWork {
		return tooMuch("bytes looked at", r.work, maxWork)
	}
	return nil
}

func (r *run) visit() error {
	if r.visits++; r.visits > maxVisits {
		return tooMuch("values looked at", r.visits, maxVisits)
	}
	return nil
}

// execute runs a rewritten file and returns what it has set.
func (r *run) execute(file rewrite.Result) starlark.StringDict {
	options := &syntax.FileOptions{Set: true, While: true, TopLevelControl: true, GlobalReassign: true}
	f, err := options.Parse(r.name, file.Text, 0)
	if err != nil {
		r.explain(err)
		return nil
	}
	tree{r}.statements(f.Stmts)
	predeclared := r.predeclared()
	program, err := starlark.FileProgram(f, func(name string) bool {
		if file.Star && !predeclared.Has(name) && !starlark.Universe.Has(name) {
			predeclared[name] = &missing{r: r, name: name, why: "a star import"}
		}
		return predeclared.Has(name)
	})
	if err != nil {
		r.explain(err)
		return nil
	}
	r.thread = &starlark.Thread{Name: r.name, Print: func(*starlark.Thread, string) {}}
	r.thread.SetMaxExecutionSteps(maxSteps)
	globals, err := program.Init(r.thread, predeclared)
	if err != nil {
		r.explain(err)
	}
	return globals
}

// advice tells what to do about errors of Starlark.
var advice = []struct{ pattern, what, do string }{
	{`too many steps`, "the program does not come to an end", "write down what it computes"},
	{`^undefined: (.*)`, "${1} is not known here", "write its value into the file"},
	{`^what is done here depends on.*`, "${0}", "write down what it is, or remove the condition"},
	{`does not associate`, "a comparison of more than two values", "write a < b and b < c"},
	{`unparenthesized tuple with trailing comma`, "a comma at the end", "remove it, or write (a,)"},
	{`.*called recursively.*`, "${0}", "write down what it computes"},
	{`^got (.*)`, "what stands here is not read: got ${1}", "write it in a simpler way"},
	{`.*`, "${0}", ""},
}

// explain turns an error of Starlark into errors with a place and advice.
func (r *run) explain(err error) {
	if list, ok := errors.AsType[resolve.ErrorList](err); ok {
		for _, e := range list {
			r.advise(int(e.Pos.Line), e.Msg)
		}
		return
	}
	if e, ok := errors.AsType[syntax.Error](err); ok {
		r.advise(int(e.Pos.Line), e.Msg)
		return
	}
	line := 0
	if e, ok := errors.AsType[*starlark.EvalError](err); ok {
		for _, frame := range slices.Backward(e.CallStack) {
			if line = int(frame.Pos.Line); line > 0 {
				break
			}
		}
	}
	if o, ok := errors.AsType[obstacle](err); ok {
		r.fail(line, o.What, o.Do)
		return
	}
	r.advise(line, err.Error())
}

var inner = regexp.MustCompile(rewrite.Prefix + `\w+`)

func (r *run) advise(line int, msg string) {
	msg = strings.TrimPrefix(msg, "Starlark computation cancelled: ")
	for _, a := range advice {
		re := regexp.MustCompile("(?s)" + a.pattern)
		if m := re.FindStringSubmatchIndex(msg); m != nil {
			what := re.ExpandString(nil, strings.NewReplacer("${0}", "${0}", "$1", "${1}").Replace(a.what), msg, m)
			r.fail(line, inner.ReplaceAllStringFunc(string(what), rewrite.PythonName), a.do)
			return
		}
	}
}

// A missing value stands for one that is not known. What is made of it is missing,
// too; a condition or loop that hangs on it ends the program.
type missing struct {
	r    *run
	name string
	why  string
}

var (
	_ starlark.Callable  = (*missing)(nil)
	_ starlark.Mapping   = (*missing)(nil)
	_ starlark.Sliceable = (*missing)(nil)
	_ starlark.Iterable  = (*missing)(nil)
)

func (m *missing) String() string        { return m.name }
func (m *missing) Name() string          { return m.name }
func (m *missing) Type() string          { return "unknown value" }
func (m *missing) Freeze()               {}
func (m *missing) Hash() (uint32, error) { return 0, m.depends() }
func (m *missing) Len() int              { return 0 }

func (m *missing) CallInternal(*starlark.Thread, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
	return m, nil
}
func (m *missing) Get(starlark.Value) (starlark.Value, bool, error) { return m, true, nil }
func (m *missing) Index(int) starlark.Value                         { return m }
func (m *missing) Slice(int, int, int) starlark.Value               { return m }

// Truth is asked by conditions. It cannot fail, so it stops the program.
func (m *missing) Truth() starlark.Bool {
	m.r.thread.Cancel(m.depends().Error())
	return false
}

// Iterate is asked by loops; as Truth.
func (m *missing) Iterate() starlark.Iterator {
	m.r.thread.Cancel(m.depends().Error())
	return starlark.Tuple(nil).Iterate()
}

func (m *missing) depends() error {
	return obstacle{What: "what is done here depends on " + m.name + ", which is not known (" + m.why + ")",
		Do: "write down what it is, or remove the condition"}
}

// missingAmong returns the first value that is not known.
func missingAmong(values ...starlark.Value) *missing {
	for _, v := range values {
		if m, ok := v.(*missing); ok {
			return m
		}
	}
	return nil
}

// convert makes a Value of one of Starlark. What is not known in it is noted, and ok is
// false if v itself is not known or holds such an item.
func (r *run) convert(v starlark.Value, path string, at Origin, depth int) (value Value, ok bool) {
	if r.values++; r.values > maxValues || depth > maxDepth {
		if len(r.errs) == 0 {
			r.fail(at.Line, "config holds too many values, or nests too deep", fmt.Sprintf("at most %d values, %d deep", maxValues, maxDepth))
		}
		return Value{}, false
	}
	value.Origin = at
	switch v := v.(type) {
	case starlark.NoneType:
		return value, true
	case starlark.Bool:
		value.Kind, value.Text = Bool, strings.ToLower(v.String())
	case starlark.Int:
		value.Kind, value.Text = Int, v.String()
	case starlark.Float:
		if value.Kind, value.Text = Float, floatText(v); strings.Trim(value.Text, "-infa") == "" {
			r.fail(at.Line, path+" is "+value.Text, "write a number")
			return value, false
		}
	case starlark.String:
		value.Kind, value.Text = String, string(v)
		if err := r.charge(len(v)); err != nil {
			r.fail(at.Line, err.Error(), "cut it")
			return value, false
		}
	case *starlark.Dict:
		return r.convertDict(v, path, at, depth)
	case *starlark.List, starlark.Tuple, *starlark.Set:
		value.Kind = List
		_, isSet := v.(*starlark.Set)
		for item := range starlark.Elements(v.(starlark.Iterable)) {
			i, ok := r.convert(item, fmt.Sprintf("%s[%d]", path, len(value.Items)), at, depth+1)
			if !ok {
				return value, false
			}
			value.Items = append(value.Items, i)
		}
		if isSet {
			slices.SortFunc(value.Items, func(a, b Value) int { return strings.Compare(a.json(), b.json()) })
		}
	default:
		if seq, ok := v.(starlark.Sequence); ok && v.Type() == "range" { // a list for Python 2
			return r.convert(starlark.NewList(slices.Collect(starlark.Elements(seq))), path, at, depth)
		}
		what := "a " + v.Type()
		if m, ok := v.(*missing); ok {
			what = m.name + " is not known: " + m.why
		}
		r.note(at.Line, NotImported, path, what)
		return value, false
	}
	return value, true
}

func (r *run) convertDict(d *starlark.Dict, path string, at Origin, depth int) (Value, bool) {
	table := Value{Kind: Table, Origin: at}
	seen := make(map[string]bool)
	for k, v := range starlark.Entries(d) {
		here := at
		if line := r.lines[d][k.String()]; line > 0 {
			here.Line = line
		}
		key, err := keyText(k)
		if err == nil && seen[key] {
			err = obstacle{What: "two keys that are both written " + key, Do: "remove one"}
		}
		if err != nil {
			r.fail(here.Line, joinPath(path, key)+": "+err.Error(), "write it as a text in quotes")
			return table, false
		}
		seen[key] = true
		value, ok := r.convert(v, joinPath(path, key), here, depth+1)
		if len(r.errs) > 0 {
			return table, false
		}
		if ok {
			table.Entries = append(table.Entries, Entry{key, value})
		}
	}
	return table, true
}

// keyText spells a key as Python's json module does.
func keyText(k starlark.Value) (string, error) {
	switch k := k.(type) {
	case starlark.String:
		return string(k), nil
	case starlark.Int:
		return k.String(), nil
	case starlark.NoneType:
		return "null", nil
	}
	return k.String(), errors.New("a key that is a " + k.Type())
}
