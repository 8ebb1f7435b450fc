package pyconfig_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/fedora-infra/fedmsg-go/pyconfig"
)

// production is a folder in the shape of those that a distribution runs on: a file for
// what all share, one for each service with the endpoints of its hosts and the names of
// their certificates, the routing policy, the bots. env is prod or stg.
func production(env string) map[string]string {
	folder := map[string]string{
		"base.py": `# This file is managed.
import socket

SEP = "-"
env = '` + env + `'
if env == 'prod':
    suffix, topic = 'phx2.fedoraproject.org', 'prod'
elif env == 'stg':
    suffix, topic = 'stg.phx2.fedoraproject.org', 'stg'
else:
    raise ValueError(env)
vpn_suffix = 'vpn.fedoraproject.org'

config = dict(
    # Set this to dev if you're hacking on fedmsg or an app.
    topic_prefix="org.fedoraproject",
    environment=topic,
    high_water_mark=0,
    io_threads=1,
    post_init_sleep=1.0,
    zmq_linger=2000,
    zmq_enabled=True,
    zmq_strict=False,
    zmq_tcp_keepalive=1,
    zmq_tcp_keepalive_cnt=3,
    zmq_tcp_keepalive_idle=60,
    zmq_tcp_keepalive_intvl=5,
    zmq_reconnect_ivl=100,
    zmq_reconnect_ivl_max=500,
    endpoints={
        "relay_outbound": ["tcp://busgateway01.%s:3999" % suffix],
    },
    relay_inbound=[
        "tcp://busgateway01.%s:9941" % suffix,
        "tcp://busgateway01.%s:9941" % vpn_suffix,
    ],
    persistent_store=None,
)
`,
		"logging.py": `bare_format = "[%(asctime)s][%(name)10s %(levelname)7s] %(message)s"
config = dict(
    logging=dict(
        version=1,
        formatters=dict(bare={"datefmt": "%Y-%m-%d %H:%M:%S", "format": bare_format}),
        handlers=dict(console={"class": "logging.StreamHandler", "formatter": "bare", "level": "INFO", "stream": "ext://sys.stdout"}),
        loggers=dict(
            fedmsg={"level": "INFO", "propagate": False, "handlers": ["console"]},
            moksha={"level": "INFO", "propagate": False, "handlers": ["console"]},
        ),
    ),
)
`,
		"gateway.py": "config = {\n" + ` "fedmsg.consumers.gateway.port": 9940, 'fedmsg.consumers.gateway.high_water_mark': 10000,
 "fedmsg.consumers.gateway.enabled": ` + "bool(1),\n}\n",
		"ssl.py": `import os
import socket

hostname = socket.gethostname().split('.', 1)[0]
here = os.getcwd()
config = dict(
    sign_messages=True, validate_signatures=True,
    ssldir=os.path.sep.join(['', 'etc', 'pki', 'fedmsg']),
    local_certs=os.path.join(here, "test_certs", 'keys'),
    crl_location="https://fedoraproject.org/fedmsg/crl.pem", crl_cache="/var/run/fedmsg/crl.pem", crl_cache_expiry=86400,
    ca_cert_location="https://fedoraproject.org/fedmsg/ca.crt", ca_cert_cache_expiry=0,
    certnames={"shell.%s" % hostname: "shell-%s.phx2.fedoraproject.org" % hostname},
)
config['certnames'].update([
    ("%s.%s%02d" % (program, kind, i + 1), "%s-%s%02d.phx2.fedoraproject.org" % (program, kind, i + 1))
    for program in ("shell", "scm", "bodhi")
    for kind, count in (("app", 8), ("web", 4), ("pkgs", 2))
    for i in range(count)
])
`,
		"policy.py": `suffix = "phx2.fedoraproject.org"
app_servers = ["app%02d.%s" % (i, suffix) for i in range(1, 9)]
config = dict(
    routing_nitpicky=False,
    routing_policy={
        # Only allow announcements from people on value01.
        "org.fedoraproject.` + env + `.announce.announcement": ["announce-lockbox.%s" % suffix],
        "org.fedoraproject.` + env + `.bodhi.update.request.unpush": ['bodhi-' + s for s in app_servers],
        'org.fedoraproject.` + env + `.git.branch': [
            "scm-pkgs01.%s" % suffix,
            "scm-pkgs02." + suffix],
    },
)
for event in ('testing', 'stable', 'obsolete', 'revoke'):
    config['routing_policy']['org.fedoraproject.` + env + `.bodhi.update.request.%s' % event] = [
        "bodhi-%s" % s for s in app_servers if not s.startswith('app08')]
`,
		"ircbot.py": `### Colors
NEWLINE = "\n"
make_short = lambda x: x
def channel(name, topics, short=False):
    """ One bot. """
    return dict(
        network='chat.freenode.net', port=6667, make_pretty=True, make_terse=True, line_rate=0.9,
        nickname='fedmsg-%s' % name, channel=name, make_short=short,
        filters=dict(topic=[
            '^((?!(' + '|'.join(topics) + ')).)*$', '\.stg\.', r"^((?!ci).)*$"], body=["^((?!(%s)).)*$" % name]),
    )

config = dict(
    irc=[
        channel('fedora-apps', ['planet', 'mailman', 'fedora_elections']),
        channel('fedora-releng', ['bodhi', "compose"], short=True),
    ] + [channel('fedora-%s' % c, [c]) for c in ('ask', 'docs', 'websites')],
    irc_color_lookup={
        "fas": "light blue", "bodhi": "green", "git": "red", "tagger": "brown", "wiki": "purple", "logger": "orange",
        "pkgdb": "teal", "buildsys": "yellow",
        # and again
        "planet": "light green", "fas": "blue",
    },
    irc_default_color='light grey', irc_method="notice",
)
`,
		"monitoring.py": `config = {'moksha.workers_per_consumer': 1, 'moksha.threadpool_size': 10, u"moksha.blocking_mode": True}
name = "fedmsg-hub"
config['moksha.monitoring.socket'] = 'ipc:///var/run/fedmsg/monitoring-%s.socket' % name
config["moksha.monitoring.socket.mode"] = '777'
`,
		"zz-overrides.py": `config = dict(
    post_init_sleep=0.5,
    endpoints={"relay_outbound": ["tcp://busgateway02:3999"], },
    logging=dict(loggers=dict(fedmsg=dict(level='DEBUG'))),
)
`,
	}
	services := []string{"anitya", "ansible", "askbot", "autocloud", "autoqa", "blockerbugs", "bodhi", "bugzilla2fedmsg", "busgateway",
		"coprs", "datanommer", "elections", "faf", "fas", "fedimg", "fedocal", "fedorainfra", "github2fedmsg", "hotness", "kerneltest",
		"koji", "koschei", "mailman", "mediawiki", "mirrormanager", "mbs", "nuancier", "pagure", "pdc", "planet", "releng", "summershum", "supybot"}
	for i, name := range services {
		hosts := fmt.Sprintf("['%s%%02d' %% i for i in range(1, %d)]", name, 2+i%3)
		var text string
		switch i % 4 {
		case 0: // endpoints by a comprehension in a comprehension
			text = fmt.Sprintf(`suffix = '%[3]sphx2.fedoraproject.org'
config = dict(
    endpoints=dict([
        ("%[1]s.%%s" %% host, [
            "tcp://%%s.%%s:30%%02i" %% (host, suffix, i) for i in range(20)
        ]) for host in %[2]s
    ]),
)
`, name, hosts, stage(env))
		case 1: // with certnames in the same file, and a name for what is repeated
			text = fmt.Sprintf(`import socket
hosts = %[2]s
suffix = "%[3]sphx2.fedoraproject.org"
config = {
    "endpoints": dict(("%[1]s." + h, ["tcp://%%s.%%s:%%d" %% (h, suffix, 3000 + i) for i in range(8)]) for h in hosts),
    "certnames": dict([("%[1]s." + h, '%[1]s-' + h + "." + suffix) for h in hosts]),
    "%[1]s.enabled": socket.gethostname().startswith("app"),
}
`, name, hosts, stage(env))
		case 2: // built up by statements
			text = fmt.Sprintf(`NUM_THREADS = 0%[4]o and 4
config = dict(endpoints={}, certnames={})
for n, host in enumerate(%[2]s):
    key = '%[1]s.{0}'.format(host)
    config['endpoints'][key] = []
    for thread in range(NUM_THREADS):
        if thread %% 2 == 0 and n > 1: continue
        config['endpoints'][key] += ['tcp://{h}.%[3]sphx2.fedoraproject.org:{port:d}'.format(h=host, port=4000 + thread)]
    config["certnames"][key] = "%[1]s-" \
        "%%s.%[3]sphx2.fedoraproject.org" %% host
`, name, hosts, stage(env), 0)
		default: // written out
			text = fmt.Sprintf(`config = dict(
    endpoints={
        "%[1]s.%[1]s01": [
            "tcp://%[1]s01.%[2]sphx2.fedoraproject.org:3000",
            "tcp://%[1]s01.%[2]sphx2.fedoraproject.org:3001", ],
    },
    %[1]s=dict(enabled=True, interval=60 * 5, weight=.5, tags=('a', 'b'), note=u'caf\xe9', nothing=None),
)
`, name, stage(env))
		}
		folder[name+".py"] = strings.ReplaceAll(text, "\n", []string{"\n", "\r\n"}[i%2])
	}
	return folder
}

func stage(env string) string {
	if env == "stg" {
		return "stg."
	}
	return ""
}

// The big one: forty files as a distribution has them, for production and staging, read
// together and one by one, are value by value what CPython makes of them.
func TestProductionIsCPythons(t *testing.T) {
	var folders []map[string]string
	for _, env := range []string{"prod", "stg"} {
		folder := production(env)
		if len(folder) < 40 {
			t.Fatalf("only %d files", len(folder))
		}
		folders = append(folders, folder)
		for _, name := range slices.Sorted(maps.Keys(folder)) {
			folders = append(folders, map[string]string{name: folder[name]})
		}
	}
	values := 0
	for i, python := range ask(t, folders) {
		read, report, err := pyconfig.Read(sortedFiles(folders[i]), world)
		if python.Error != "" {
			t.Fatalf("CPython itself fails: %s: %s", slices.Collect(maps.Keys(folders[i])), python.Error)
		}
		if v := verdict(read, err, python); v != "" {
			t.Errorf("%s: %s", slices.Sorted(maps.Keys(folders[i])), v)
		}
		for _, about := range []string{pyconfig.Skipped, pyconfig.NotImported, pyconfig.Guessed, pyconfig.Warning, pyconfig.Secret} {
			if notes := report.About(about); len(notes) > 0 {
				t.Errorf("%s: notes without need: %v", slices.Sorted(maps.Keys(folders[i])), notes)
			}
		}
		if text, err := read.MarshalJSON(); err != nil || len(folders[i]) > 1 && len(text) < 10000 {
			t.Errorf("a configuration of %d bytes, %v", len(text), err)
		}
		values += len(read.Entries)
	}
	t.Logf("%d folders, %d top-level values", len(folders), values)
}
