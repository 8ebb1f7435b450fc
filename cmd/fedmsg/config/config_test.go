package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/config"
)

// load loads files, written under their names, and variables.
func load(t *testing.T, files map[string]string, environ ...string) (*config.Loaded, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := config.Load(config.Sources{Paths: []string{dir}, Environ: environ})
	if err != nil {
		err = errors.New(strings.ReplaceAll(err.Error(), dir+"/", ""))
	}
	return l, err
}

func TestDefaults(t *testing.T) {
	l, err := load(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if l.TopicPrefix != "org.fedoraproject" || l.MaxAge != 24*time.Hour || l.Log.KeepBytes != 8<<30 || l.Log.KeepFor != 720*time.Hour ||
		len(l.RelayInbound) != 1 || !l.Validate || l.Web.Listen != "127.0.0.1:8330" || l.Linger != time.Second || !l.Archive.Enabled {
		t.Errorf("%+v", l.Config)
	}
	if l.IsSet("topic_prefix") {
		t.Error("a default is no word of somebody's")
	}
	if err := l.CheckBus(); err != nil {
		t.Error(err)
	}
}

// TestLaterWins merges files, variables and flags.
func TestLaterWins(t *testing.T) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	said := config.AddFlags(flags)
	if err := flags.Parse([]string{"--log-level=debug", "--endpoint=tcp://127.0.0.1:9", "--no-archive", "--gateway=", "--keep-for=-1ns", "--rule-setting=a=b"}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"10.toml": "environment = \"dev\"\nlog_level = \"warn\"\n[endpoints]\nx = \"tcp://127.0.0.1:1\"\ny = [\"tcp://127.0.0.1:2\"]\n[log]\nkeep_bytes = \"1GiB\"\n",
		"20.yaml": "environment: prod\nendpoints:\n  y: tcp://127.0.0.1:3\nmoksha.livesocket.websocket.port: 9939\n",
		"30.toml": "[fedmsg.consumers.gateway]\nport = 9941\n",
		"a.toml~": "environment = \"evil\"\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := config.Load(config.Sources{Paths: []string{dir}, Environ: []string{"FEDMSG_LOG_LEVEL=error", "FEDMSG_HTTP=127.0.0.1:1", "FEDMSG_MAX_AGE=90", "HOME=/"}, Flags: said})
	if err != nil {
		t.Fatal(err)
	}
	if l.Environment != "prod" || l.LogLevel != "debug" || l.Web.Listen != "127.0.0.1:1" || l.MaxAge != 90*time.Second || l.Archive.Enabled ||
		len(l.Gateway) != 0 || l.Log.KeepBytes != 1<<30 || l.Log.KeepFor != -1 || l.Words.Settings["a"] != "b" || l.WebsocketPort != 9939 || l.GatewayPort != 9941 {
		t.Errorf("%+v", l.Config)
	}
	if got, want := strings.Join(l.Subscribed(), " "), "tcp://127.0.0.1:1 tcp://127.0.0.1:3 tcp://127.0.0.1:9"; got != want {
		t.Errorf("subscribed to %s, want %s", got, want)
	}
	for key, want := range map[string]string{
		"environment": dir + "/20.yaml:1", "log_level": "--log-level", "web.listen": "FEDMSG_HTTP", "log.keep_bytes": dir + "/10.toml:7", "topic_prefix": "default",
	} {
		if got := l.Origin(key).String(); got != want {
			t.Errorf("origin of %s: %s, want %s", key, got, want)
		}
	}
}

// TestProblems shows every kind of mistake with its place.
func TestProblems(t *testing.T) {
	for _, test := range []struct{ file, text, want string }{
		{"a.toml", "topic_prefix = org.x\n", `a.toml:1: `},
		{"a.toml", "\nenvironment='a'\nenvironment='b'\n", `a.toml:3: `},
		{"a.toml", "topic_prefx = 'x'\n", "a.toml:1: topic_prefx: there is no such key; did you mean topic_prefix?"},
		{"a.toml", "[web]\nlisten = '127.0.0.1:1'\nlisen = 2\n", "a.toml:3: web.lisen: there is no such key; did you mean web.listen?"},
		{"a.toml", "[moksha.monitoring]\nsoket = 2\n", "a.toml:2: moksha.monitoring.soket: there is no such key; did you mean moksha.monitoring.socket?"},
		{"a.toml", "high_water_mark = 'lots'\n", "a.toml:1: high_water_mark: must be a whole number, not a text"},
		{"a.toml", "zmq_linger = -1\n", "a.toml:1: zmq_linger: must be at least 0, not -1"},
		{"a.toml", "validate_signatures = 'no'\n", `a.toml:1: validate_signatures: must be true or false, not the text "no"`},
		{"a.toml", "io_threads = 1.5\n", "a.toml:1: io_threads: must be a whole number, not 1.5"},
		{"a.toml", "max_age = '3 weeks'\n", `a.toml:1: max_age: "3 weeks" is no duration; write one as 90s, 1m30s, 720h or 30d`},
		{"a.toml", "relay_inbound = [\n 'tcp://127.0.0.1:1',\n 3]\n", "a.toml:3: relay_inbound[1]: must be a text, not a whole number"},
		{"a.toml", "[endpoints]\na = ['tcp://127.0.0.1:1']\nb = 'tcp://localhost:2'\n", "a.toml:3: endpoints.b: tcp://localhost:2: write 127.0.0.1: localhost is another address on some machines"},
		{"a.toml", "[routing_policy]\n'org.x.y' = 'one'\n", `a.toml:2: routing_policy.org.x.y: must be a list, not a text; write ["one"]`},
		{"a.toml", "[[irc]]\nchannel = 'x'\n[[irc]]\nport = 'y'\nchanel = 'z'\n",
			"a.toml:4: irc[1].port: must be a whole number, not a text\na.toml:5: irc[1].chanel: there is no such key; did you mean irc[1].channel?"},
		{"a.toml", "[[irc]]\nchannel = 'x'\n[irc.filters]\ntopic = ['(']\n", `a.toml:1: irc[0].filters.topic: "(", character 1`},
		{"a.toml", "stomp_pas = 'hunter2'\nx = \n", "a.toml:2: toml: incomplete number"},
		{"a.yaml", "a:\n  b: [1\n", "a.yaml:1: did not find expected ',' or ']'"},
		{"a.yaml", "environment: no\n", `a.yaml:1: environment: no is a text to some readers of YAML, and true or false to others; write true or false, or "no" with quotes`},
		{"a.yaml", "- a\n", "a.yaml: must be keys and values, and is a list"},
		{"a.yaml", "a: &a [x]\nb: *a\n", "a.yaml:2: b: aliases are not read; write it twice"},
	} {
		_, err := load(t, map[string]string{test.file: test.text})
		if err == nil || !strings.HasPrefix(err.Error(), strings.TrimSuffix(test.want, "toml: incomplete number")) {
			t.Errorf("%q:\n%v, want\n%s", test.text, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the secret is in %v", err)
		}
	}
	_, err := load(t, nil, "FEDMSG_HIGH_WATER_MARK=lots", "FEDMSG_TOPIC_PREFX=x", "FEDMSG_GATEWAY=")
	if want := "FEDMSG_HIGH_WATER_MARK: \"lots\" is no whole number\nFEDMSG_TOPIC_PREFX: there is no such variable; did you mean FEDMSG_TOPIC_PREFIX?"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestWriteTOML writes what was said, and reads it again.
func TestWriteTOML(t *testing.T) {
	const text = `
relay_inbound = ["tcp://127.0.0.1:2003", "tcp://[::1]:2003"]
max_age = 90
"moksha.monitoring.socket" = "ipc:///run/x"
line_of_nothing_in_particular = 1
[endpoints]
"hub.a" = ["tcp://127.0.0.1:3000"]
[certnames]
"shell.a" = "shell-a.example.org"
[logging]
version = 1
[[irc]]
channel = "fedora-fedmsg"
filters = {topic = ["a\"b"], body = ["lub-dub"]}
[log]
keep_for = "2.5s"
[web.tls]
min_version = "1.3"
`
	first, err := load(t, map[string]string{"a.toml": strings.ReplaceAll(text, "line_of_nothing_in_particular = 1\n", "")})
	if err != nil {
		t.Fatal(err)
	}
	for _, defaults := range []bool{false, true} {
		var written strings.Builder
		if err := first.WriteTOML(&written, defaults, true); err != nil {
			t.Fatal(err)
		}
		second, err := load(t, map[string]string{"a.toml": written.String()})
		if err != nil {
			t.Fatalf("%v in\n%s", err, &written)
		}
		var again strings.Builder
		if err := second.WriteTOML(&again, defaults, false); err != nil {
			t.Fatal(err)
		}
		third, err := load(t, map[string]string{"a.toml": again.String()})
		if err != nil {
			t.Fatal(err)
		}
		var last strings.Builder
		if err := third.WriteTOML(&last, defaults, false); err != nil || last.String() != again.String() {
			t.Errorf("%v\n%s\nand then\n%s", err, &again, &last)
		}
		if second.Endpoints["hub.a"][0] != "tcp://127.0.0.1:3000" || second.IRC[0].Filters.Topic[0] != `a"b` || second.Log.KeepFor != 2500*time.Millisecond || second.Web.TLS.MinVersion != "1.3" {
			t.Errorf("%+v of\n%s", second.Config, &written)
		}
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.toml")
	if err := os.WriteFile(file, []byte("stomp_pass = 'hunter2'\n[web]\nsession_key = 'abc'\n[[irc]]\nchannel = 'x'\nchannel_key = 'hunter3'\n[logging]\nsmtp_password = 'hunter4'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := config.Load(config.Sources{Paths: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	if err := l.WriteTOML(&shown, true, true); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter", `"abc"`} {
		if strings.Contains(shown.String(), secret) || strings.Contains(l.Warnings.Error(), secret) {
			t.Errorf("%s is shown in\n%s\n%v", secret, &shown, l.Warnings)
		}
	}
	if !strings.Contains(l.Warnings.Error(), "stomp_pass_file") {
		t.Errorf("warnings %v", l.Warnings)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("environment = 'dev'\n[[irc]]\nport = 1\n[a.b]\nc = [{d = 1}]\n", false)
	f.Add("a: &a [1]\nb: *a\n", true)
	f.Add("environment: \"dev\"\nlog: {dir: x}\n", true)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string, yaml bool) {
		name := filepath.Join(dir, "a.toml")
		if yaml {
			name = filepath.Join(dir, "a.yaml")
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := config.Load(config.Sources{Paths: []string{name}})
		var shown strings.Builder
		if wrote := l.WriteTOML(&shown, true, true); wrote != nil {
			t.Fatal(wrote)
		}
		if err != nil {
			return
		}
		if err := os.WriteFile(filepath.Join(dir, "b.toml"), []byte(shown.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(config.Sources{Paths: []string{filepath.Join(dir, "b.toml")}}); err != nil {
			t.Fatalf("%v in\n%s", err, &shown)
		}
	})
}
