package config

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// CheckBus finds what a bus cannot run with, on this machine: values that contradict
// each other, files that are not there or not what they should be, doors that are open
// to everybody. The error is [Problems].
func (l *Loaded) CheckBus() error {
	var problems Problems
	wrong := func(key, format string, args ...any) {
		problems = append(problems, at(l.origins[key], key, format, args...))
	}
	c := &l.Config
	for _, pair := range [][2]string{{"web.tls.cert", "web.tls.key"}, {"sign_cert", "sign_key"}} {
		if l.text(pair[0]) == "" && l.text(pair[1]) != "" {
			wrong(pair[1], "is nothing without %s", pair[0])
		} else if l.text(pair[0]) != "" && l.text(pair[1]) == "" {
			wrong(pair[0], "is nothing without %s", pair[1])
		}
	}
	if c.TrustedCA() == "" {
		for _, key := range []string{"crl_location", "routing_policy", "routing_policy_file", "routing_nitpicky"} {
			if l.IsSet(key) && !l.isZero(key) && c.Validate {
				wrong(key, "means nothing without a CA to check signatures with: ca_cert_location (--ca)")
			}
		}
	}
	if len(c.OnlyEnvironments) > 0 && !l.IsSet("topic_prefix") {
		wrong("only_environments", "means nothing without topic_prefix")
	}
	if !c.Archive.Enabled && c.Archive.URL != "" {
		wrong("archive.url", "says where the archive is, and %s that there is none", l.origins["archive.enabled"])
	}
	if c.Log.Sync == "interval" {
		l.warn(l.origins["log.sync"], "log.sync", "the last messages that publishers were told are safe are lost when the power fails")
	}
	problems = append(problems, l.checkPorts()...)
	problems = append(problems, l.exposed()...)
	problems = append(problems, l.checkFiles()...)
	problems = append(problems, l.checkSigning()...)
	l.Warnings = append(l.Warnings, l.Unneeded()...)
	everyField(reflect.ValueOf(c).Elem(), nil, func(f *field) {
		if f.later && l.IsSet(f.key()) {
			l.warn(l.origins[f.key()], f.key(), "is checked, and not used yet")
		}
	})
	problems.Sort()
	l.Warnings.Sort()
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// TrustedCA is the CA that signatures are checked with; empty if none are.
func (c *Config) TrustedCA() string {
	if !c.Validate {
		return ""
	}
	return c.CA
}

// field finds a key's field.
func (l *Loaded) field(key string) (found *field) {
	everyField(reflect.ValueOf(&l.Config).Elem(), nil, func(f *field) {
		if f.key() == key {
			found = f
		}
	})
	return found
}

func (l *Loaded) text(key string) string { return l.field(key).value.String() }
func (l *Loaded) isZero(key string) bool { return l.field(key).value.IsZero() }

// checkPorts finds two listeners on one port.
func (l *Loaded) checkPorts() (problems Problems) {
	owner := make(map[string]string)
	listeners := l.Listeners()
	for _, key := range []string{"relay_inbound", "relay_outbound", "gateway", "web.listen", "web.websocket_port"} {
		for _, addr := range listeners[key] {
			port := addr[strings.LastIndex(addr, ":")+1:]
			if strings.HasPrefix(addr, "tcp://") && port != "0" && owner[port] != "" && owner[port] != key {
				problems = append(problems, at(l.origins[key], key, "%s: port %s is that of %s", addr, port, owner[port]))
			}
			owner[port] = key
		}
	}
	return problems
}

// exposed finds listeners that others can reach although nothing would tell a good
// message from a bad one.
func (l *Loaded) exposed() (problems Problems) {
	if l.TrustedCA() != "" || len(l.Unauthenticated) > 0 {
		return nil
	}
	for key, addrs := range l.Listeners() {
		for _, addr := range addrs {
			if !IsLoopback(addr) && !strings.HasPrefix(addr, "ipc://") {
				problems = append(problems, at(l.origins[key], key, "%s is open to the network, and signatures are not checked; give a CA with ca_cert_location (--ca), "+
					"or name the networks that may speak unsigned with allow_unauthenticated_inbound (--allow-unauthenticated-inbound), or listen on 127.0.0.1", strings.TrimPrefix(addr, "tcp://")))
			}
		}
	}
	return problems
}

// checkFiles looks at the files that are named.
func (l *Loaded) checkFiles() (problems Problems) {
	everyText(reflect.ValueOf(&l.Config).Elem(), nil, func(f *field, name, file string) {
		if file == "" || !slices.Contains([]string{"pem", "file", "dir"}, f.check) || f.check == "pem" && checkLocation(file) != nil {
			return
		}
		if err := checkFile(file, f.check); err != nil {
			problems = append(problems, at(l.origins[f.key()], name, "%s", err.Error()))
		}
	})
	return problems
}

func checkFile(file, kind string) error {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %s", file, fileProblem(file, err).Text)
	case kind == "dir" && !info.IsDir():
		return fmt.Errorf("%s: is no directory", file)
	case kind != "dir" && info.IsDir():
		return fmt.Errorf("%s: is a directory", file)
	case kind != "pem":
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%s: %s", file, fileProblem(file, err).Text)
	}
	if block, _ := pem.Decode(text); block == nil {
		return fmt.Errorf("%s: has no PEM block, -----BEGIN …", file)
	}
	return nil
}

// checkSigning looks at the key that the bus signs with.
func (l *Loaded) checkSigning() (problems Problems) {
	cert, key := l.SigningFiles("")
	switch {
	case l.SignCert != "":
		return l.checkKey("sign_key", l.SignKey)
	case !l.Sign:
		return nil
	case cert == "":
		problems = append(problems, at(l.origins["sign_messages"], "sign_messages", "%s", "neither certname nor certnames tell which certificate to sign with"))
	default:
		if err := checkFile(cert, "pem"); err != nil {
			problems = append(problems, at(l.origins["ssldir"], "ssldir", "%s", err.Error()))
		}
		problems = append(problems, l.checkKey("ssldir", key)...)
	}
	keys, _ := filepath.Glob(filepath.Join(l.SSLDir, "*.key"))
	for _, file := range keys {
		if file != key {
			problems = append(problems, l.checkKey("ssldir", file)...)
		}
	}
	return problems
}

// checkKey: a key that others can read is theirs too.
func (l *Loaded) checkKey(name, file string) Problems {
	info, err := os.Stat(file)
	if err != nil {
		return Problems{at(l.origins[name], name, "%s: %s", file, fileProblem(file, err).Text)}
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return Problems{at(l.origins[name], name, "%s: has mode %04o, so everybody can use the key; run: chmod o= %s", file, mode, file)}
	}
	return nil
}

// SigningFiles are the certificate and the key that messages published here are signed
// with; empty if they are not signed. host is this machine's name, short or not; empty
// means to ask the system.
func (c *Config) SigningFiles(host string) (cert, key string) {
	if c.SignCert != "" {
		return c.SignCert, c.SignKey
	}
	if !c.Sign || c.Backend != "x509" {
		return "", ""
	}
	if host == "" {
		host, _ = os.Hostname()
	}
	name := c.CertName
	short, _, _ := strings.Cut(host, ".")
	for _, program := range []string{"bus", "fedmsg", "shell"} {
		for _, h := range []string{host, short} {
			if name == "" {
				name = c.CertNames[program+"."+h]
			}
		}
	}
	if name == "" {
		return "", ""
	}
	return filepath.Join(c.SSLDir, name+".crt"), filepath.Join(c.SSLDir, name+".key")
}

// Policy is who may sign for which topics, of the file or as it stands here. The error
// is [Problems].
func (l *Loaded) Policy() (map[string][]string, error) {
	if l.RoutingFile == "" {
		return l.Routing, nil
	}
	policy, err := ReadPolicy(l.RoutingFile)
	if err != nil {
		return nil, Problems{at(l.origins["routing_policy_file"], "routing_policy_file", "%v", err)}
	}
	return policy, nil
}

// ReadPolicy reads a routing policy: a JSON object of topics and lists of names.
func ReadPolicy(file string) (policy map[string][]string, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &policy); err != nil {
		return nil, fmt.Errorf("%s: %w; it is a JSON object of topics and lists of names: "+
			`{"org.example.prod.git.receive": ["git01.example.org"]}`, file, err)
	}
	return policy, nil
}

// SecretIn reads a secret from a file: one line, and nothing else. The error is that of
// the file, or [Problems].
func SecretIn(file string) (Secret, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" || strings.ContainsAny(secret, " \n\r\t") {
		return "", Problems{{Origin: Origin{Name: file}, Text: "must hold one secret and nothing else"}}
	}
	return Secret(secret), nil
}
