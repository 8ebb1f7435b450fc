package pyconfig_test

import (
	"testing"

	"github.com/fedora-infra/fedmsg-go/pyconfig"
)

// What configurations are written with, each beside what CPython makes of it. None of
// these may be refused.
var constructs = []string{
	`config = dict(a=1, b='x', c=None, d=True, e=1.5, f=[1, 2], g=(3, 4), h={'i': {}})`,
	`config = {'a.b': 1, "a.c": u'x', 'r': r'\.', 'ur': R"\d", 'b': 2,}`,
	`config = dict(a="x" 'y'
   """z""", b=('p'
 'q' "r"))`,
	`config = dict(a='''one
two''', b="""t\tt""", c='a\
b', d='\x41\u00e9\101')`,
	`config = dict(a='\.\d\-\ ', b='\\', c='\'', d="\"", e='\q', f='\a\b\f\v\r')`,
	"import os, socket\nimport os.path\nconfig = dict(h=socket.gethostname(), f=socket.getfqdn(), d=os.getcwd(), p=os.path.join('/a', 'b', 'c'))",
	"from socket import gethostname as g, getfqdn\nfrom os import path, environ\nconfig = dict(a=g().split('.')[0], b=path.sep.join(['', 'x', 'y']), c=environ.get('DEPLOYMENT', 'x'), d=environ['DEPLOYMENT'], f=getfqdn())",
	"import os as o\nhere = o.getcwd()\nconfig = dict(a=here + '/' + 'x', b=o.sep, c=o.environ.get('NOT_SET'), d=o.getenv('NOT_SET', 'y'))",
	"import os\nconfig = dict(a=[os.path.dirname('/a/b'), os.path.basename('/a/b'), os.path.normpath('/a/../b//c/'), os.path.abspath('x'), os.path.split('/a/b'), os.path.splitext('a/b.c.d'), os.path.splitext('.x'), os.path.isabs('/x')])",
	"from __future__ import division, print_function\nconfig = dict(a=7/2, b=7//2, c=-7//2, d=-7%3, e=7.5%2)\nprint('done')",
	`config = dict(endpoints=dict([("a.%s" % h, ["tcp://%s:30%02i" % (h, i) for i in range(3)]) for h in ('x', 'y')]))`,
	`config = dict([('a', 1)] + [('b%d' % i, i) for i in range(3) if i % 2 == 0])`,
	`config = dict((k, v) for k, v in [('a', 1), ('b', 2)])`,
	`config = {k: v for k, v in zip('abc', range(3))}`,
	`config = dict(a=[x for y in [[1, 2], [3]] for x in y], b=sorted({3, 1, 2}), c=[c for c in 'abc'], d=len({1, 1}))`,
	`config = {'a': 1, 'b': 2, 'a': 3}`,
	`config = {1: 'x', '2': 'y', None: 'z'}`,
	`base = {'a': 1, 'b': 2}` + "\nconfig = {**base, 'b': 3, **{'c': 4}}\nconfig.update(d=5)\nconfig.update({'e': 6}, f=7)",
	`base = dict(a=1)` + "\nconfig = dict(base, b=2, **{'c.d': 3})",
	"config = {}\nconfig['a'] = {}\nconfig['a']['b'] = [1]\nconfig['a']['b'] += [2]\nconfig['a']['b'].append(3)\nconfig['n'] = 1\nconfig['n'] += 2\ndel config['a']['b'][0]\nconfig['x'] = config.pop('n')",
	"env = 'stg'\nif env == 'prod':\n    suffix = ''\nelif env in ('stg', 'dev'):\n    suffix = '.' + env\nelse:\n    suffix = None\nconfig = dict(s=suffix)",
	"config = dict(l=[])\nfor i in range(3):\n    if i == 1: continue\n    config['l'].append(i)\nelse_ = 1",
	"i = 0\nwhile i < 3:\n    i += 1\nconfig = dict(i=i)",
	"def endpoint(host, n=2, *more, **other):\n    '''doc'''\n    return ['tcp://%s:%d' % (host, 3000 + i) for i in range(n)]\nconfig = dict(e=endpoint('a'), f=endpoint('b', n=1))",
	"f = lambda x, y=2: x * y\nconfig = dict(a=f(3), b=list(map(lambda x: x + 1, [1, 2])), c=list(filter(None, [0, 1, 2])), d=sorted(['b', 'A'], key=lambda s: s.lower()))",
	"a = b = 'x'\nconfig = c = {'a': a, 'b': b}\nc['z'] = 1",
	"a, b = 1, 2\n(c, d), e = (3, 4), 5\nconfig = dict(a=a, b=b, c=c, d=d, e=e)",
	"config = dict(a=1 if True else 2, b=not 0, c=1 and 2, d=0 or 'x', e=None is None, f=1 is not None, g='a' in 'cat', h=2 not in [1])",
	"x = None\nif x is None: x = 'y'; z = 1\nconfig = dict(x=x, z=z);",
	"config = dict(a=True + 1, b=True == 1, c=[True] == [1], d=1 == 1.0, e='a' * 3, f=3 * [0], g=(1,) * 2, h=-True + 0 if False else 0)",
	"config = dict(a='abc'[1], b='abc'[-1], c='abc'[::-1], f=len('äöü'), g=[1, 2, 3][:2], h=(1, 2)[1:])",
	"config = dict(a=1000000, b=0x1F, c=0o17, d=0b11, e=1_000, f=1e3, g=.5, h=5., i=1E-7)" + "\nconfig['j'] = 123456789012345678901234567890",
	"config = dict(a=1)\nclass Thing(object):\n    x = 1\n    def f(self): return 1\nconfig['b'] = 2",
	"config = dict(a=1)\nwith open('/dev/null') as f:\n    pass\nconfig['b'] = 2",
	"try:\n    import socket\nexcept ImportError:\n    import nosuch as socket\nconfig = dict(h=socket.gethostname())",
	"load = 1\nconfig = dict(load=load, a={'load': load})",
	"config = dict(a='%s %r %d %i %5.2f %-5s| %05d %x %X %o %e %g %% %c %+d' % ('x', 'y', 3, 4.7, 2.5, 'z', 42, 255, 255, 8, 12345.678, 0.0001, 'q', 5))",
	"config = dict(a='%(x)s-%(y)03d' % {'x': 1, 'y': 2}, b='%s' % [1, 'a', None, 1.0, (1,), {'k': True}], c='100%%' % (), d='%s' % 'x', e='%*d' % (5, 3), f='%.3s' % 'abcdef')",
	"config = dict(a='{} {}'.format(1, 'x'), b='{1} {0}'.format(1, 2), c='{n:>5}|{m:<5}|{k:^5}'.format(n=1, m='a', k='b'), d='{:03d} {:.2f} {:x} {:,}'.format(5, 1.5, 255, 1234567), f='{{}}'.format(), g='{!r}'.format('x'))",
	"config = dict(a='a,b,c'.split(','), b=' x  y '.split(), c='a.b.c'.rsplit('.', 1), d='a.b.c'.split('.', 1), e='x'.join(['a', 'b']), f=' a '.strip(), g='xax'.strip('x'), h='abc'.replace('b', 'd'), i='AbC'.lower(), j='abc'.upper(), k='a-b'.partition('-'), l='abc'.startswith(('a', 'b')), m='7'.zfill(3), n='hello world'.title(), o='a'.center(4, '*'), p='abc'.find('c'), q='x'.ljust(3), r='ab\\ncd'.splitlines(), s='abc'.endswith('c'), t='aXb'.capitalize())",
	"config = dict(a=str(1), b=str(1.0), c=str(None), d=str([1, 'x']), e=int('42'), f=int(3.9), g=float('1.5'), h=bool([]), i=int('ff', 16), j=str(True), k=int(' 7 '), l=repr('x'), m=abs(-3), n=max(1, 2), o=min([3, 1]), p=sum([1, 2]), q=ord('a'), r=chr(98))",
	"config = dict(a=list(range(5)), b=list(enumerate(['x', 'y'], 1)), c=list(zip([1, 2], 'ab')), d=list(reversed([1, 2])), e=tuple([1]), f=sorted([3, 1], reverse=True), g=any([0, 1]), h=all([1, 0]), i=list('abc'), j=list(set([1])))",
	"d = {'b': 1, 'a': 2}\nconfig = dict(k=sorted(d.keys()), v=list(d.values()), i=list(d.items()), g=d.get('x', 3), s=d.setdefault('z', 4), c=d.copy(), n='b' in d, l=[k for k in d])",
	"l = [3, 1, 2]\nl.sort()\nl.reverse()\nl.insert(0, 9)\nl.extend((7, 8))\nl.remove(7)\nl.pop()\nconfig = dict(l=l, c=l.count(9), i=l.index(2), m=l.copy(), e=l == [9, 3, 2, 1])",
	"config = dict(a=[1, [2]] < [1, [3]], b=(1, 2) < (1, 2, 3), c='a' < 'b', d=1 < 2.5, e=not [], f={1, 2} == {2, 1}, g={'a': [1]} == {'a': [1.0]}, h=[] == ())",
	"config = dict(\r\n\ta=1,\r\n        b=2,\r\n)\r\n",
	"\ufeffconfig = dict(a='é')",
	"# -*- coding: utf-8 -*-\nconfig = dict(a='é', b='日本', c='\\U0001F600')",
	"config = dict(a=1, # comment\n  # another\n  b='#no', c=2)\n# end",
	"x = 1 + \\\n  2\nconfig = dict(x=x)",
	"if True:\n\tx = 1\n\tif x:\n\t\ty = 2\nconfig = dict(x=x, y=y)",
	"config = dict(logging=dict(version=1, formatters=dict(bare={'datefmt': '%Y-%m-%d %H:%M:%S', 'format': '[%(asctime)s][%(name)10s %(levelname)7s] %(message)s'})))",
	"irc = []\nfor name, filters in (('a', ['^((?!(x|y)).)*$']), ('b', [])):\n    irc.append(dict(network='irc.example.org', channel='c-%s' % name, filters=dict(topic=filters, body=[])))\nconfig = {'irc': irc}",
	"config = dict(a=\"it's\", b='%r' % \"it's\", c='%s' % ('x',), d=('a' 'b') + 'c', e=[] or {}, f=[[]] * 2)",
	"config = dict(a='%s' % True, b='%d' % True, c='%s' % 1e20, d='%s' % 1.5e-7, e=1e16, f=100000000000000000000.0, g='%.0f' % 0.5, h=-0.0)",
	"import logging\nconfig = dict(level=logging.DEBUG)",
	"import os\nif os.environ.get('DEPLOYMENT') == 'staging':\n    x = 1\nelse:\n    x = 2\nconfig = dict(x=x)",
	"config = dict(a=[i for i in range(10) if i > 3 if i < 6], b={i: j for i in 'ab' for j in (1, 2)}, c={c for c in 'aab'})",
	"x = ['a']; y = x; y += ['b']; x = x + ['c']\nconfig = dict(x=x, y=y)",
	"config = dict(a=5 & 3, b=5 | 3, c=5 ^ 3, d=1 << 4, e=~5, f=256 >> 2, g=True & False, h=True | 1)",
	"hosts = {'web': 2}\nconfig = dict(('%s%02d' % (n, i + 1), [p for p in range(3000, 3003)]) for n, c in sorted(hosts.items()) for i in range(c))",
	"def f():\n    x = {}\n    for i in range(3):\n        x['k%s' % i] = i\n    return x\nconfig = f()",
	"config = {}\nfor k, v in {'a': 1}.items():\n    config[k] = v\n    config['%s2' % k] = [v, v]",
	"config = dict(a=1)\nconfig['s'] = ','.join(sorted(set('banana')))",
	"config = dict(a={'x': lambda: 1}['x'](), b=(lambda *a: len(a))(*[1, 2]), c=dict(**dict(z=1)))",
	"if 1:\n  config = dict(\n a=1,\n     b=[\n2]\n)\n",
}

func TestConstructsAreCPythons(t *testing.T) {
	var folders []map[string]string
	for _, text := range constructs {
		folders = append(folders, map[string]string{"x.py": text})
	}
	for i, python := range ask(t, folders) {
		text := folders[i]["x.py"]
		values, _, err := pyconfig.Read(sortedFiles(folders[i]), world)
		if python.Error != "" {
			t.Errorf("CPython itself fails: %s\n%s", python.Error, text)
		} else if v := verdict(values, err, python); v != "" {
			t.Errorf("%s\n%s", text, v)
		}
	}
}
