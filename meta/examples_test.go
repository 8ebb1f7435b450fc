package meta_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fedora-infra/fedmsg-go/meta"
	"github.com/fedora-infra/fedmsg-go/meta/example"
)

// Each built-in rule and group has an example, each example means what stands
// beside it, and lint has nothing to say.
//
// UPDATE=1 writes down what the rules make of the examples now. Then read it.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("rules", "*.toml"))
	if err != nil || len(files) < 54 {
		t.Fatalf("rules/*.toml: %d files, %v", len(files), err)
	}
	var now time.Time // the clock of an example stands at its first message's time
	engine := newEngine(t, meta.Config{Now: func() time.Time { return now }})
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(t *testing.T) { testExamples(t, engine, &now, file) })
	}
}

func testExamples(t *testing.T, engine *meta.Engine, now *time.Time, file string) {
	ctx := context.Background()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	service := strings.TrimSuffix(filepath.Base(file), ".toml")
	if !regexp.MustCompile(`(?m)^service *= *"` + service + `"`).Match(src) {
		t.Errorf("%s: a built-in file is named after its service", file)
	}
	for _, p := range meta.Lint(file, src) {
		t.Error(p)
	}
	beside := strings.TrimSuffix(file, ".toml") + ".jsonl"
	text, err := os.ReadFile(beside)
	if err != nil {
		t.Fatalf("each rule has an example: %v", err)
	}
	examples, problems := example.Read(beside, text)
	for _, p := range problems {
		t.Error(p)
	}
	lines := strings.Split(string(text), "\n")
	var coverage example.Coverage
	for _, ex := range examples {
		*now = ex.Messages[0].Time
		coverage.Add(ctx, engine, ex)
		if !ex.Group {
			for _, wrong := range unfit(engine.Describe(ctx, ex.Messages[0])) {
				t.Errorf("%s:%d: %s", beside, ex.Line, wrong)
			}
		}
		wrong := ex.Check(ctx, engine)
		if len(wrong) > 0 && os.Getenv("UPDATE") != "" {
			if lines[ex.Line-1], err = ex.Updated(ctx, engine); err != nil {
				t.Errorf("%s:%d: %v", beside, ex.Line, err)
			}
			t.Logf("%s:%d: now %s", beside, ex.Line, lines[ex.Line-1])
			continue
		}
		for _, err := range wrong {
			t.Errorf("%s:%d: %v", beside, ex.Line, err)
		}
	}
	for _, p := range coverage.Missing(engine, filepath.ToSlash(file)) {
		t.Error(p)
	}
	if now := []byte(strings.Join(lines, "\n")); !bytes.Equal(now, text) {
		if err := os.WriteFile(beside, now, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
