package pyconfig

import (
	"errors"
	"path"
	"strings"

	"go.starlark.net/starlark"
)

// A module is one that is known here. Its members are made when they are asked for, as
// some of them are worth a note.
type module struct {
	name    string
	members map[string]func(r *run) (starlark.Value, error)
}

var _ starlark.Value = (*module)(nil)

func (m *module) String() string        { return m.name }
func (m *module) Type() string          { return "module" }
func (m *module) Freeze()               {}
func (m *module) Truth() starlark.Bool  { return true }
func (m *module) Hash() (uint32, error) { return 0, errors.New("a module as a key") }

func (m *module) member(r *run, name string) (starlark.Value, error) {
	f, ok := m.members[name]
	if !ok {
		return nil, obstacle{What: m.name + "." + name + " is not known here", Do: "write its value into the file"}
	}
	return f(r)
}

// imported is an import: of a module, or of what is in one. What is not known here is
// missing.
func (r *run) imported(a arguments) (starlark.Value, error) {
	name := string(a.args[0].(starlark.String))
	unknown := func(name string) starlark.Value {
		return &missing{r, name, "the module " + name + " is not here"}
	}
	m, ok := modules()[name]
	if !ok && len(a.args) == 1 {
		return unknown(name), nil
	}
	if !ok {
		from := string(a.args[1].(starlark.String))
		return &missing{r, from, "the module " + name + " is not here"}, nil
	}
	if len(a.args) == 1 {
		return m, nil
	}
	return m.member(r, string(a.args[1].(starlark.String)))
}

func value(v starlark.Value) func(*run) (starlark.Value, error) {
	return func(*run) (starlark.Value, error) { return v, nil }
}

func text1(s string) func(*run) (starlark.Value, error) { return value(starlark.String(s)) }

// texts is a function of texts.
func onTexts(least, most int, f func(r *run, args []string) (starlark.Value, error)) func(*run) (starlark.Value, error) {
	return func(r *run) (starlark.Value, error) {
		return r.builtin("function", func(a arguments) (starlark.Value, error) {
			if m := missingAmong(a.args...); m != nil {
				return m, nil
			}
			if err := a.check(least, most); err != nil || len(a.kwargs) > 0 {
				return nil, errors.Join(err, errors.New("arguments by name"))
			}
			args := make([]string, len(a.args))
			for i := range args {
				var err error
				if args[i], err = a.text(i, ""); err != nil {
					return nil, err
				}
			}
			return f(r, args)
		}), nil
	}
}

// onPath is a function from path to path.
func onPath(f func(r *run, p string) string) func(*run) (starlark.Value, error) {
	return onTexts(1, 1, func(r *run, args []string) (starlark.Value, error) {
		return starlark.String(f(r, args[0])), nil
	})
}

// asksHost is a function whose answer only the host has.
func asksHost(name string) func(*run) (starlark.Value, error) {
	return func(r *run) (starlark.Value, error) {
		return r.builtin(name, func(arguments) (starlark.Value, error) {
			return &missing{r, name + "(...)", "it asks the host"}, nil
		}), nil
	}
}

func (r *run) hostname() (starlark.Value, error) {
	if r.cfg.Hostname == "" {
		return nil, obstacle{What: "the name of the host is asked for", Do: "say for which host the configuration is"}
	}
	return starlark.String(r.cfg.Hostname), nil
}

func (r *run) guess(what, answer string) starlark.Value {
	r.note(r.line(), Guessed, what, answer)
	return starlark.String(answer)
}

func (r *run) fqdn() (starlark.Value, error) {
	if r.cfg.FQDN != "" {
		return starlark.String(r.cfg.FQDN), nil
	}
	if _, err := r.hostname(); err != nil || strings.Contains(r.cfg.Hostname, ".") {
		return starlark.String(r.cfg.Hostname), err
	}
	return r.guess("socket.getfqdn()", r.cfg.Hostname), nil
}

func (r *run) dir() string {
	if r.cfg.Dir != "" {
		return r.cfg.Dir
	}
	r.note(r.line(), Guessed, "the working directory", "/")
	return "/"
}

// environ is os.environ[name], .get(name, otherwise) and so on.
func (r *run) environ(name string, otherwise starlark.Value) (starlark.Value, error) {
	if v, ok := r.cfg.Environ[name]; ok {
		return starlark.String(v), nil
	}
	r.note(r.line(), Guessed, "the environment variable "+name, "not set")
	if otherwise == nil {
		return nil, obstacle{What: "the environment variable " + name + " is not set", Do: "give its value, or write it into the file"}
	}
	return otherwise, nil
}

// environment is os.environ.
type environment struct {
	*module
	r *run
}

var _ starlark.Mapping = environment{}

func (e environment) Get(k starlark.Value) (starlark.Value, bool, error) {
	name, ok := k.(starlark.String)
	if !ok {
		return nil, false, errors.New("os.environ has texts only")
	}
	v, err := e.r.environ(string(name), nil)
	return v, err == nil, err
}

func getenv(r *run) (starlark.Value, error) {
	return r.builtin("getenv", func(a arguments) (starlark.Value, error) {
		name, err := a.text(0, "key")
		if err != nil || a.check(1, 2) != nil {
			return nil, errors.Join(err, a.check(1, 2))
		}
		otherwise := a.take(1, "default")
		if otherwise == nil {
			otherwise = starlark.None
		}
		return r.environ(name, otherwise)
	}), nil
}

// joinPaths is os.path.join.
func joinPaths(parts []string) string {
	out := parts[0]
	for _, p := range parts[1:] {
		switch {
		case strings.HasPrefix(p, "/"):
			out = p
		case out == "" || strings.HasSuffix(out, "/"):
			out += p
		default:
			out += "/" + p
		}
	}
	return out
}

// splitPath is os.path.split.
func splitPath(p string) (dir, file string) {
	i := strings.LastIndexByte(p, '/') + 1
	dir, file = p[:i], p[i:]
	if trimmed := strings.TrimRight(dir, "/"); trimmed != "" {
		dir = trimmed
	}
	return dir, file
}

func splitExt(p string) (root, ext string) {
	_, file := splitPath(p)
	i := strings.LastIndexByte(file, '.')
	if i <= 0 || strings.Trim(file[:i], ".") == "" {
		return p, ""
	}
	return p[:len(p)-len(file)+i], file[i:]
}

func pair(a, b string) starlark.Value {
	return starlark.Tuple{starlark.String(a), starlark.String(b)}
}

// modules are the ones known here: what a configuration asks of them, without asking
// the host.
func modules() map[string]*module {
	type members = map[string]func(*run) (starlark.Value, error)
	osPath := &module{"os.path", members{
		"sep": text1("/"), "pardir": text1(".."), "curdir": text1("."), "pathsep": text1(":"), "extsep": text1("."),
		"join":     onTexts(1, 100, func(r *run, a []string) (starlark.Value, error) { return r.limited(joinPaths(a)) }),
		"basename": onPath(func(_ *run, p string) string { _, f := splitPath(p); return f }),
		"dirname":  onPath(func(_ *run, p string) string { d, _ := splitPath(p); return d }),
		"normpath": onPath(func(_ *run, p string) string { return cleanPath(p) }),
		"abspath": onPath(func(r *run, p string) string {
			if !path.IsAbs(p) {
				p = r.dir() + "/" + p
			}
			return cleanPath(p)
		}),
		"isabs":    onTexts(1, 1, func(_ *run, a []string) (starlark.Value, error) { return starlark.Bool(path.IsAbs(a[0])), nil }),
		"split":    onTexts(1, 1, func(_ *run, a []string) (starlark.Value, error) { return pair(splitPath(a[0])), nil }),
		"splitext": onTexts(1, 1, func(_ *run, a []string) (starlark.Value, error) { return pair(splitExt(a[0])), nil }),
	}}
	for _, name := range []string{"exists", "isfile", "isdir", "islink", "expanduser", "expandvars", "realpath", "getmtime"} {
		osPath.members[name] = asksHost("os.path." + name)
	}
	environ := &module{"os.environ", members{"get": getenv}}
	all := []*module{osPath, environ, {"os", members{
		"path": value(osPath), "sep": text1("/"), "linesep": text1("\n"), "name": text1("posix"), "getenv": getenv,
		"environ": func(r *run) (starlark.Value, error) { return environment{environ, r}, nil },
		"getcwd":  func(r *run) (starlark.Value, error) { return onTexts(0, 0, cwd)(r) },
		"uname": onTexts(0, 0, func(r *run, _ []string) (starlark.Value, error) {
			h, err := r.hostname()
			other := func(what string) starlark.Value { return &missing{r, "os.uname()", "it asks the host"} }
			return starlark.Tuple{starlark.String("Linux"), h, other("release"), other("version"), other("machine")}, err
		}),
	}}, {"socket", members{
		"gethostname": onTexts(0, 0, func(r *run, _ []string) (starlark.Value, error) { return r.hostname() }),
		"getfqdn":     onTexts(0, 0, func(r *run, _ []string) (starlark.Value, error) { return r.fqdn() }),
	}}, {"platform", members{
		"node":   onTexts(0, 0, func(r *run, _ []string) (starlark.Value, error) { return r.hostname() }),
		"system": onTexts(0, 0, func(*run, []string) (starlark.Value, error) { return starlark.String("Linux"), nil }),
	}}, {"logging", members{
		"NOTSET": value(starlark.MakeInt(0)), "DEBUG": value(starlark.MakeInt(10)), "INFO": value(starlark.MakeInt(20)),
		"WARN": value(starlark.MakeInt(30)), "WARNING": value(starlark.MakeInt(30)), "ERROR": value(starlark.MakeInt(40)),
		"CRITICAL": value(starlark.MakeInt(50)), "FATAL": value(starlark.MakeInt(50)),
	}}}
	byName := make(map[string]*module, len(all))
	for _, m := range all {
		byName[m.name] = m
	}
	return byName
}

func cwd(r *run, _ []string) (starlark.Value, error) { return starlark.String(r.dir()), nil }

func (r *run) limited(s string) (starlark.Value, error) { return starlark.String(s), r.bytes(len(s)) }

// cleanPath is os.path.normpath, which keeps two slashes at the beginning.
func cleanPath(p string) string {
	if strings.HasPrefix(p, "//") && !strings.HasPrefix(p, "///") {
		return "/" + path.Clean(p)
	}
	return path.Clean(p)
}
