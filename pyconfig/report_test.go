package pyconfig_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/pyconfig"
)

func read(t *testing.T, text string, cfg pyconfig.Config) (pyconfig.Value, pyconfig.Report) {
	t.Helper()
	values, report, err := pyconfig.Read([]pyconfig.File{{Name: "x.py", Text: []byte(text)}}, cfg)
	if err != nil {
		t.Fatalf("Read(%q): %v", text, err)
	}
	return values, report
}

func asJSON(t *testing.T, v pyconfig.Value) string {
	t.Helper()
	text, err := v.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What Python 3 refuses and Python 2 took has the meaning of Python 2.
func TestPython2(t *testing.T) {
	tests := []struct{ text, want string }{
		{"config = dict(mode=0755, big=10L, hex=0xFFl, zero=00)", `{"mode":493,"big":10,"hex":255,"zero":0}`},
		{"config = dict(a=b'x', b='%s' % b'y', c=ur'z\\d', d=b'x' + 'y')", `{"a":"x","b":"y","c":"z\\d","d":"xy"}`},
		{"print 'hello'\nprint\nconfig = dict(a=1 <> 2, b=unicode(3), c=[x for x in xrange(2)])", `{"a":true,"b":"3","c":[0,1]}`},
		{"d = {'a': 1}\nconfig = dict(a=d.has_key('a'), b=[k for k, v in d.iteritems()], c=d.keys() + ['x'])", `{"a":true,"b":["a"],"c":["a","x"]}`},
		{"config = dict(a=map(str, [1]), b=range(2), c='x'.encode('utf-8'), d='y'.decode('ascii'))", `{"a":["1"],"b":[0,1],"c":"x","d":"y"}`},
	}
	for _, tt := range tests {
		values, _ := read(t, tt.text, world)
		if got := asJSON(t, values); got != tt.want {
			t.Errorf("Read(%q) = %s, want %s", tt.text, got, tt.want)
		}
	}
}

// Every statement that is left out and every key that cannot be known is told, with its
// line and why; what hangs on them has no value, and the rest is as ever.
func TestReport(t *testing.T) {
	const name = "notes"
	tests := []struct {
		text, want string
		notes      []string
	}{
		{"config = {'a': 1}\ntry:\n    import psutil\n    config['b'] = 1\n    x = 2\nexcept ImportError:\n    pass\nconfig['c'] = x",
			`{"a":1}`, []string{
				"x.py:1: taken: a",
				"x.py:2: skipped: the statement try (sets psutil, x, config[\"b\"])",
				"x.py:2: not imported: b (config[\"b\"] is not known: set by the statement try in line 2, which is left out)",
				"x.py:8: not imported: c (x is not known: set by the statement try in line 2, which is left out)"}},
		{"a = 'known'\nif a:\n  try:\n    a = 'perhaps'\n  finally:\n    b = 1\nconfig = dict(a='x.%s' % a, c=3)",
			`{"c":3}`, []string{
				"x.py:3: skipped: the statement try (sets a, b)",
				"x.py:7: taken: c",
				"x.py:7: not imported: a (a is not known: set by the statement try in line 3, which is left out)"}},
		{"import random, subprocess as sp\nfrom myapp.config import *\nconfig = dict(a=random.randint(1, 2), b=[sp.check_output(['id'])], c=STAR.x, d=1)",
			`{"d":1}`, []string{
				"x.py:2: skipped: the statement from myapp.config import *",
				"x.py:3: taken: d",
				"x.py:3: not imported: a (random.randint is not known: the module random is not here)",
				"x.py:3: not imported: b[0] (subprocess.check_output is not known: the module subprocess is not here)",
				"x.py:3: not imported: c (STAR.x is not known: a star import)"}},
		{"class Filter(object):\n    def filter(self, r): return True\n\n@decorated\ndef f(): return 1\nconfig = dict(logging={'filters': {'x': {'()': Filter, 'y': 2}}}, g=f(), h=lambda x: x)",
			`{"logging":{"filters":{"x":{"y":2}}}}`, []string{
				"x.py:1: skipped: the statement class (sets Filter)",
				"x.py:4: skipped: the statement @ (sets f)",
				"x.py:6: taken: logging",
				`x.py:6: not imported: logging.filters.x."()" (Filter is not known: set by the statement class in line 1, which is left out)`,
				"x.py:6: not imported: g (f is not known: set by the statement @ in line 4, which is left out)",
				"x.py:6: not imported: h (a function)"}},
		{"def f():\n  try:\n    return 1\n  except: return 2\nconfig = {'a': f(), 'b': 2}\nassert config\nimport os\nos.umask = 3\nwith open('/etc/passwd') as fd: config['b'] = fd.read()",
			`{}`, []string{
				"x.py:1: skipped: the statement def (sets f)",
				"x.py:5: not imported: a (f is not known: set by the statement def in line 1, which is left out)",
				"x.py:6: skipped: the statement assert",
				"x.py:8: skipped: the assignment to an attribute (umask)",
				"x.py:9: skipped: the statement with (sets fd, config[\"b\"])",
				"x.py:9: not imported: b (config[\"b\"] is not known: set by the statement with in line 9, which is left out)"}},
		{"import os, socket\nconfig = dict(a=os.environ.get('HOME', '/root'), b=os.getcwd(),\n  c=socket.getfqdn(), d=os.path.exists('/etc'), e=os.uname()[1])",
			`{"a":"/root","b":"/","c":"h","e":"h"}`, []string{
				"x.py:2: taken: a", "x.py:2: taken: b",
				"x.py:2: guessed: the environment variable HOME (not set)",
				"x.py:2: guessed: the working directory (/)",
				"x.py:3: taken: c", "x.py:3: taken: e",
				"x.py:3: guessed: socket.getfqdn() (h)",
				"x.py:3: not imported: d (os.path.exists(...) is not known: it asks the host)"}},
		{"config = dict(stomp_user='u', stomp_pass='hunter2', irc=[dict(nickname='n', password='p')],\n datagrepper_url='https://me:pw@example.org/raw', token='', certname='a', ssldir='/etc/pass')",
			`{"stomp_user":"u","stomp_pass":"hunter2","irc":[{"nickname":"n","password":"p"}],"datagrepper_url":"https://me:pw@example.org/raw","token":"","certname":"a","ssldir":"/etc/pass"}`, []string{
				"x.py:1: taken: stomp_user", "x.py:1: taken: stomp_pass", "x.py:1: taken: irc",
				"x.py:1: secret: stomp_pass (keep it in a file that only the bus can read)",
				"x.py:1: secret: irc[0].password (keep it in a file that only the bus can read)",
				"x.py:2: taken: datagrepper_url", "x.py:2: taken: token", "x.py:2: taken: certname", "x.py:2: taken: ssldir",
				"x.py:2: secret: datagrepper_url (a password or private key is part of the value)"}},
		{"settings = {}", `{}`, []string{"x.py: warning: no `config` is set (the original refuses such a file)"}},
	}
	for i, tt := range tests {
		t.Run(fmt.Sprint(name, i), func(t *testing.T) {
			values, report := read(t, tt.text, pyconfig.Config{Hostname: "h"})
			if got := asJSON(t, values); got != tt.want {
				t.Errorf("values %s, want %s", got, tt.want)
			}
			got, want := strings.Split(strings.TrimSpace(report.String()), "\n"), slices.Clone(tt.notes)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("notes\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if strings.Contains(report.String(), "hunter2") {
				t.Error("the report tells a secret")
			}
		})
	}
}

// What cannot be read is refused where it stands, with advice.
func TestErrors(t *testing.T) {
	tests := []struct {
		text string
		line int
		want string
	}{
		{"x = 1\nconfig = dict(a=f'{x}')", 2, `an f-string; write "…%s…" % name instead`},
		{"\nconfig = dict(a=1", 2, `"(" is never closed; close it`},
		{"config = 'abc", 1, "a string is never closed; close it with '"},
		{"config = '''abc\n\n", 1, "a string is never closed; close it with '''"},
		{"config = dict(a=1))", 1, `")" closes nothing; open it, or remove it`},
		{"config = dict(a=1?)", 1, "the character '?'; remove it, or put it into quotes"},
		{"config = dict(a=2**8)", 1, "the operator **; write the number"},
		{"x = 1\nconfig = dict(a=x is 1)", 2, "the operator is; use == or !="},
		{"config = dict(a=1 < 2 < 3)", 1, "a comparison of more than two values; write a < b and b < c"},
		{"config = dict(a=08)", 1, `the number "08"; write it as a whole number or with a decimal point`},
		{"config = dict(a='\\ud800')", 1, `the escape \ud800; write the character itself`},
		{"config = dict(a='\\N{BULLET}')", 1, `the escape \N; write the character itself`},
		{"# coding: latin-1\nconfig = dict(a='é')", 1, "the file is in latin-1; convert it: iconv -f latin-1 -t UTF-8, and change this line"},
		{"x = 1\nconfig = dict(a='\xe9')", 2, "not UTF-8; convert the file with iconv"},
		{"config = dict(a=undefined)", 1, "undefined is not known here; write its value into the file"},
		{"config = dict(a=open('/etc/passwd'))", 1, "open is not known here; write its value into the file"},
		{"import os\nconfig = dict(a=os.listdir('/'))", 2, "os.listdir is not known here; write its value into the file"},
		{"import os\n\nconfig = dict(a=os.environ['TOKEN'])", 3, "the environment variable TOKEN is not set; give its value, or write it into the file"},
		{"config = dict(a=getattr(1, 'real'))", 1, "the function getattr; write down what it gives"},
		{"config = dict(a=().__class__)", 1, "the attribute __class__ of a tuple; write down what it is"},
		{"config = dict(a=''.__class__)", 1, "the attribute __class__ of a text; write down what it gives"},
		{"import psutil\nif psutil.WINDOWS:\n  x = 1\nconfig = {}", 2, "what is done here depends on psutil.WINDOWS, which is not known (the module psutil is not here); write down what it is, or remove the condition"},
		{"import psutil\nconfig = dict(a=[x for x in psutil.pids()])", 2, "what is done here depends on psutil.pids, which is not known (the module psutil is not here); write down what it is, or remove the condition"},
		{"try:\n  config = {}\nexcept: pass", 1, "config is not known; what gives it is left out; set it to a dictionary"},
		{"config = [1]", 1, "config is a list; make it a dictionary: config = dict(...)"},
		{"config = {True: 1}", 1, "a bool as a key; use texts"},
		{"config = {1: 1, '1': 2}", 1, "1: two keys that are both written 1; write it as a text in quotes"},
		{"config = {}\nwhile 1: x = len('a')", 2, "the program does not come to an end; write down what it computes"},
		{"def f(x): return f(x)\nconfig = f(1)", 1, "function f called recursively; write down what it computes"},
		{"x = {'a': 1}\nconfig = {'b': x['c']}", 2, `key "c" not in dict`},
		{"config = {'a': 'é'[0]}", 1, "a letter or part of a text beyond ASCII; write it down"},
		{"config = {'a': 1e999}", 1, `the number "1e999"; write it as a whole number or with a decimal point`},
		{"if True:\nconfig = {}", 2, ""},
		{"raise ValueError('x')\nconfig = {}", 1, "the program raises an exception; the original stops here too"},
		{"config = dict(a='%d' % 'x')", 1, "%d does not fit a string"},
		{"config = dict(a='%y' % 1)", 1, "a % that begins no conversion; write %% for the character itself"},
		{"config = dict(a='%s %s' % 'x')", 1, "% has too few values"},
		{"config = dict(a='{0.real}'.format(1))", 1, "a { or } that is no simple field of format; write it with %"},
		{"__pyconfig_dict = 1\nconfig = {}", 1, "the name __pyconfig_dict; choose one that does not begin with __pyconfig_"},
	}
	for _, tt := range tests {
		_, _, err := pyconfig.Read([]pyconfig.File{{Name: "x.py", Text: []byte(tt.text)}}, pyconfig.Config{Hostname: "h"})
		e, ok := errors.AsType[*pyconfig.Error](err)
		if !ok || !errors.Is(err, fedmsg.ErrInvalid) {
			t.Errorf("Read(%q) = %v, want an Error that wraps ErrInvalid", tt.text, err)
			continue
		}
		got := strings.TrimPrefix(e.Error(), fmt.Sprintf("x.py:%d: ", tt.line))
		if e.Line != tt.line || tt.want != "" && got != tt.want {
			t.Errorf("Read(%q) = %v, want line %d: %s", tt.text, e, tt.line, tt.want)
		}
	}
	if _, _, err := pyconfig.Read([]pyconfig.File{{Name: "x.py", Text: []byte("import socket\nconfig = dict(h=socket.gethostname())")}}, pyconfig.Config{}); err == nil || !strings.Contains(err.Error(), "x.py:2: the name of the host is asked for; say for which host") {
		t.Errorf("Read without a name of the host = %v", err)
	}
}

// All that is wrong is told at once, and the good files are read all the same.
func TestErrorsAllAtOnce(t *testing.T) {
	values, report, err := pyconfig.Read([]pyconfig.File{
		{Name: "a.py", Text: []byte("config = dict(a=f'x', b=f'y',\n c=2**3)")},
		{Name: "b.py", Text: []byte("config = dict(b=2)")},
		{Name: "c.py", Text: []byte("config = dict(c=one,\n d=two)")},
	}, pyconfig.Config{})
	want := `a.py:1: an f-string; write "…%s…" % name instead
a.py:1: an f-string; write "…%s…" % name instead
c.py:1: one is not known here; write its value into the file
c.py:2: two is not known here; write its value into the file`
	if err == nil || err.Error() != want {
		t.Errorf("Read: %v\nwant %s", err, want)
	}
	if got := asJSON(t, values); got != `{"b":2}` || len(report.Notes) != 1 {
		t.Errorf("Read = %s, %v, want what b.py has", got, report)
	}
}

// A value knows its line, through dict, braces, assignments, updates, merges and copies.
func TestOrigins(t *testing.T) {
	values, _, err := pyconfig.Read([]pyconfig.File{
		{Name: "a.py", Text: []byte("base = dict(\n x=1,\n y=dict(z=2))\nconfig = {\n 'n':\n 3,\n **base}\nconfig['l'] = [1,\n 2]\nconfig.update(\n u=4)\nconfig['y']['w'] = 5\nconfig['n'] += 1\nconfig.setdefault('s', 6)\n")},
		{Name: "b.py", Text: []byte("\nconfig = dict(\n y=dict(\n  z=7), new=8)")},
	}, pyconfig.Config{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"x": "a.py:2", "y": "a.py:3", "y.z": "b.py:4", "y.w": "a.py:12", "n": "a.py:13", "l": "a.py:8", "u": "a.py:10", "s": "a.py:14", "new": "b.py:4"}
	var check func(path string, v pyconfig.Value)
	check = func(path string, v pyconfig.Value) {
		for _, e := range v.Entries {
			at := strings.TrimPrefix(path+"."+e.Key, ".")
			if got := e.Value.Origin.String(); got != want[at] {
				t.Errorf("%s comes from %s, want %s", at, got, want[at])
			}
			delete(want, at)
			check(at, e.Value)
		}
	}
	check("", values)
	if len(want) > 0 {
		t.Errorf("no values for %v", want)
	}
	if got := asJSON(t, values); got != `{"n":4,"x":1,"y":{"z":7,"w":5},"l":[1,2],"u":4,"s":6,"new":8}` {
		t.Errorf("values %s", got)
	}
}

// Only the *.py of a folder are read, in the order of their names.
func TestFiles(t *testing.T) {
	folder := fstest.MapFS{
		"20-b.py": {Data: []byte("config = dict(a=2, t=dict(y=2), l=[2])")}, "10-a.py": {Data: []byte("config = dict(a=1, t=dict(x=1), l=[1], s={})")},
		"c.py~": {Data: []byte("config = dict(a=3)")}, ".#d.py": {Data: []byte("config = dict(a=3)")}, "e.toml": {}, "f.py/g.py": {},
		"Z.py": {Data: []byte("config = dict(s='no table')")},
	}
	files, err := pyconfig.Files(folder)
	if err != nil {
		t.Fatal(err)
	}
	values, _, err := pyconfig.Read(files, pyconfig.Config{})
	if err != nil || asJSON(t, values) != `{"a":2,"t":{"x":1,"y":2},"l":[2],"s":"no table"}` {
		t.Errorf("Read = %s, %v", asJSON(t, values), err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	if want := []string{"10-a.py", "20-b.py", "Z.py"}; !slices.Equal(names, want) {
		t.Errorf("Files = %v, want %v", names, want)
	}
}

func TestCompare(t *testing.T) {
	values, _ := read(t, "config = dict(a=1, f=1.0, e='tcp://x:1',\n endpoints=dict(x='tcp://x:1', y=['a']), gone=2, l=[1, {'k': 2}], n=None)", world)
	tests := []struct {
		json string
		want []string
	}{
		{`{"n": null, "l": [1, {"k": 2}], "gone": 2, "a": 1, "f": 1.0, "e": "tcp://x:1", "endpoints": {"x": ["tcp://x:1"], "y": ["a"]}}`, nil},
		{`{"n": 0, "l": [1, {"k": 3}], "a": 1.0, "f": 1, "e": ["tcp://x:1"], "endpoints": {"x": ["tcp://x:2"], "y": "a", "z": []}, "topic_prefix": "org.fedoraproject", "environment": "prod", "topic_prefix_re": "x"}`, []string{
			"a: x.py:1 has 1, fedmsg-config 1.0",
			"f: x.py:1 has 1.0, fedmsg-config 1",
			`e: x.py:1 has "tcp://x:1", fedmsg-config ["tcp://x:1"]`,
			`endpoints.x: x.py:2 has "tcp://x:1", fedmsg-config ["tcp://x:2"]`,
			`endpoints.y: x.py:2 has ["a"], fedmsg-config "a"`,
			`endpoints.z: the files have nothing, fedmsg-config []`,
			"gone: x.py:2 has 2, fedmsg-config nothing",
			"l[1].k: x.py:2 has 2, fedmsg-config 3",
			"n: x.py:2 has null, fedmsg-config 0",
			`environment: the files have nothing, fedmsg-config "prod"`,
			`topic_prefix: the files have nothing, fedmsg-config "org.fedoraproject" (default)`,
			`topic_prefix_re: the files have nothing, fedmsg-config "x" (default)`}},
	}
	for _, tt := range tests {
		differences, err := pyconfig.Compare(values, []byte(tt.json))
		var got []string
		for _, d := range differences {
			line := d.String()
			if d.Default {
				line += " (default)"
			}
			got = append(got, line)
		}
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("Compare with %s =\n%s, %v\nwant\n%s", tt.json, strings.Join(got, "\n"), err, strings.Join(tt.want, "\n"))
		}
	}
	for _, bad := range []string{"", "[]", "{", `{"a": 1} {}`, "null"} {
		if _, err := pyconfig.Compare(values, []byte(bad)); !errors.Is(err, fedmsg.ErrInvalid) || fedmsg.Hint(err) == "" {
			t.Errorf("Compare with %q: %v, want ErrInvalid with a hint", bad, err)
		}
	}
}
