package meta_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/meta"
	"github.com/fedora-infra/fedmsg-go/meta/example"
)

// A fingerprint changes with the files of its service and with what is of all services,
// and with nothing else.
func TestFingerprints(t *testing.T) {
	builtin := fstest.MapFS{"shop.toml": {Data: []byte(says("shop", "built in"))}, "bar.toml": {Data: []byte(says("bar", "built in"))}}
	prints := func(cfg meta.Config) map[string]string {
		t.Helper()
		cfg.Files = builtin
		return newEngine(t, cfg).Fingerprints()
	}
	plain := prints(meta.Config{})
	if got := slices.Sorted(maps.Keys(plain)); !slices.Equal(got, []string{"", "bar", "shop"}) {
		t.Fatalf("fingerprints of %q", got)
	}
	seen := make(map[string]string)
	for service, print := range plain {
		if len(print) != 16 || seen[print] != "" {
			t.Errorf("%q has %q, and so has %q", service, print, seen[print])
		}
		seen[print] = "another"
	}
	if again := prints(meta.Config{}); !maps.Equal(again, plain) {
		t.Errorf("the same rules: %v, and %v", plain, again)
	}
	dir := t.TempDir()
	for _, tt := range []struct {
		name    string
		cfg     meta.Config
		files   []string
		changed []string
	}{
		{"a file of a service", meta.Config{Dir: dir}, []string{"shop.toml", says("shop", "own")}, []string{"shop"}},
		{"its text", meta.Config{Dir: dir}, []string{"shop.toml", says("shop", "own, otherwise")}, []string{"shop"}},
		{"a service of its own", meta.Config{Dir: dir}, []string{"pub.toml", says("pub", "own")}, []string{"pub"}},
		{"a schema", meta.Config{Dir: dir}, []string{"inn.schema.json", `{"type": "object"}`}, []string{"", "bar", "pub", "shop"}},
		{"a setting", meta.Config{Dir: dir, Settings: map[string]string{"a": "b"}}, nil, []string{"", "bar", "pub", "shop"}},
		{"the accounts", meta.Config{Dir: dir, Settings: map[string]string{"a": "b"}, Revision: "2"}, nil, []string{"", "bar", "pub", "shop"}},
	} {
		before := plain
		write(t, dir, tt.files...)
		plain = prints(tt.cfg)
		var changed []string
		for service, print := range plain {
			if before[service] != print {
				changed = append(changed, service)
			}
		}
		if slices.Sort(changed); !slices.Equal(changed, tt.changed) {
			t.Errorf("%s: other fingerprints of %q, want of %q", tt.name, changed, tt.changed)
		}
	}
}

// Rules that are put in force while the engine runs have other fingerprints.
func TestFingerprintsFollow(t *testing.T) {
	w := watch(t, "shop.toml", says("shop", "one"))
	before := w.Fingerprints()["shop"]
	write(t, w.dir, "shop.toml", says("shop", "two, changed"))
	w.saying("shop", "two, changed")
	if w.Fingerprints()["shop"] == before {
		t.Error("the fingerprint is that of the former rules")
	}
	write(t, w.dir, "shop.toml", says("shop", "one"))
	fedmsgtest.Eventually(t, soon, "the former fingerprint", func() bool { return w.Fingerprints()["shop"] == before })
}

// Without rules, all examples mean what they meant. If this fails the constant wording
// has to go up with the change, so that archives find their messages anew; then put the
// new sum here.
func TestWordingOfGenericMessages(t *testing.T) {
	const want = "68a3b7dc95f5300a"
	engine := newEngine(t, meta.Config{Files: fstest.MapFS{}})
	files, err := filepath.Glob(filepath.Join("rules", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		examples, _ := example.Read(file, text)
		for _, ex := range examples {
			for _, m := range ex.Messages {
				w := engine.Describe(context.Background(), m)
				fmt.Fprintln(&all, m.ID, w.Agent, w.Usernames, w.Packages, w.Objects)
			}
		}
	}
	if got := fmt.Sprintf("%.8x", sha256.Sum256(all.Bytes())); got != want {
		t.Errorf("the words of the examples have the sum %s, want %s", got, want)
	}
}
