package meta_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/meta"
	"github.com/fedora-infra/fedmsg-go/meta/example"
)

// corpusMessages are real ones; without the corpus the benchmark is skipped.
func corpusMessages(b *testing.B) []*fedmsg.Message {
	b.Helper()
	var all []*fedmsg.Message
	for _, row := range fedmsgtest.Rows[struct{ Msg json.RawMessage }](b, filepath.Join(fedmsgtest.CorpusDir(b), "corpus.jsonl")) {
		m, err := fedmsg.DecodeHistory(row.Msg)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// exampleMessages are those beside the rules, which are there anywhere.
func exampleMessages(b testing.TB) []*fedmsg.Message {
	b.Helper()
	files, err := filepath.Glob(filepath.Join("rules", "*.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	var all []*fedmsg.Message
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		examples, _ := example.Read(file, text)
		for _, ex := range examples {
			all = append(all, ex.Messages...)
		}
	}
	if len(all) == 0 {
		b.Skip("no examples")
	}
	return all
}

// sources are where the messages to measure come from.
var sources = []struct {
	name     string
	messages func(*testing.B) []*fedmsg.Message
}{{"corpus", corpusMessages}, {"examples", func(b *testing.B) []*fedmsg.Message { return exampleMessages(b) }}}

// measure describes messages one after another, an operation each, and returns
// the median of what they took.
func measure(b *testing.B, engine *meta.Engine, messages []*fedmsg.Message) time.Duration {
	b.Helper()
	took := make([]time.Duration, 0, 1<<20) // enough for a median
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		engine.Describe(context.Background(), messages[i%len(messages)])
		if len(took) < cap(took) {
			took = append(took, time.Since(start))
		}
	}
	return median(took)
}

func median(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)/2]
}

// How long the words for one message take, all rules loaded.
func BenchmarkDescribe(b *testing.B) {
	for _, source := range sources {
		b.Run(source.name, func(b *testing.B) {
			messages := source.messages(b)
			engine := newEngine(b, meta.Config{})
			b.ReportMetric(float64(measure(b, engine, messages)), "median-ns")
		})
	}
}

// What a thousand further rule files cost a message that none of them is about:
// ratio is the median with them over the median without, measured by turns.
func BenchmarkDescribeThousandFiles(b *testing.B) {
	dir := b.TempDir()
	for i := range 1000 {
		text := strings.ReplaceAll(madeRules, "NUMBER", fmt.Sprintf("%03d", i))
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("made%03d.toml", i)), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	few, many := newEngine(b, meta.Config{}), newEngine(b, meta.Config{Dir: dir})
	if more := len(many.Rules()) - len(few.Rules()); more != 3000 {
		b.Fatalf("%d further rules are loaded, want 3000", more)
	}
	for _, source := range sources {
		b.Run(source.name, func(b *testing.B) {
			messages := source.messages(b)
			var took [2][]time.Duration // with the few, with the many
			for i := 0; b.Loop(); i++ {
				m := messages[i%len(messages)]
				for turn := range 2 {
					which := (i + i/len(messages) + turn) % 2 // the second finds the message in the cache
					start := time.Now()
					[]*meta.Engine{few, many}[which].Describe(context.Background(), m)
					took[which] = append(took[which], time.Since(start))
				}
			}
			fast, slow := median(took[0]), median(took[1])
			b.ReportMetric(0, "ns/op") // of both together: says nothing
			b.ReportMetric(float64(slow), "median-ns")
			b.ReportMetric(float64(slow)/float64(fast), "ratio")
		})
	}
}

// madeRules is a rule file of some size.
const madeRules = `
service = "madeNUMBER"
name    = "Made NUMBER"
people  = "example.org"
link    = 'https://example.org/NUMBER/{{$thing}}'
usernames = ['{{$user}}']
objects = ['things/{{$thing}}']

[vars]
user  = '{{or .agent .user.name}}'
thing = '{{or .thing.name .thing}}'

[tables.state]
0 = "started"
1 = "finished"

[[rule]]
topic    = "thing.state.#"
when     = '{{has . "state"}}'
subtitle = '{{$user}} {{lookup "state" .state "changed"}} the thing {{$thing}}'

[[rule]]
topic    = "thing.*"
subtitle = '{{$user}} did something to the thing {{$thing}}'

[[rule]]
topic    = "#"
subtitle = 'something happened to the thing {{$thing}}'
packages = ['{{$thing}}']
`
