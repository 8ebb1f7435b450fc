package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/meta"
)

const (
	wordsRounds  = 200  // how often each message is described
	furtherFiles = 1000 // rule files of other services
)

// words measures how long it takes to find the words for a message with all
// rules loaded: beside decoding its body with encoding/json, which any program
// that looks into messages has to do, and with a thousand further rule files.
func words(ctx context.Context, l *lab) error {
	dir, err := l.fresh()
	if err != nil {
		return err
	}
	for i := range furtherFiles {
		text := strings.ReplaceAll(furtherRules, "NUMBER", fmt.Sprint(i))
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("made%d.toml", i)), []byte(text), 0o600); err != nil {
			return err
		}
	}
	start := time.Now()
	few, err := meta.New(meta.Config{}, nil)
	if err != nil {
		return err
	}
	ready := time.Since(start)
	start = time.Now()
	many, err := meta.New(meta.Config{Dir: dir}, nil)
	if err != nil {
		return err
	}
	readyMany := time.Since(start)
	t := newTable(l.out, "Words for a message", "messages", "median", "p99", "allocations", "bytes", "encoding/json decodes the body", "ours/that", "1,000 more files", "ratio")
	defer t.flush()
	for _, from := range []struct {
		name     string
		messages func() ([]*fedmsg.Message, error)
	}{{"corpus", corpusMessages}, {"examples", exampleMessages}} {
		messages, err := from.messages()
		if err != nil {
			return err
		}
		if len(messages) == 0 {
			t.row(from.name, "-")
			continue
		}
		var ours, withMany, decoding []time.Duration
		var before, after runtime.MemStats
		for range 2 { // the first round compiles rules
			ours = ours[:0]
			runtime.ReadMemStats(&before)
			ours = timeEach(messages, ours, func(m *fedmsg.Message) { few.Describe(ctx, m) })
			runtime.ReadMemStats(&after)
		}
		for range 2 {
			withMany = timeEach(messages, withMany[:0], func(m *fedmsg.Message) { many.Describe(ctx, m) })
		}
		decoding = timeEach(messages, decoding, func(m *fedmsg.Message) {
			var body any
			_ = json.Unmarshal(m.Body, &body)
		})
		n := uint64(len(ours))
		p99, median := percentile(ours, .99), percentile(ours, .5)
		floor, loaded := percentile(decoding, .5), percentile(withMany, .5)
		t.row(from.name, micro(median), micro(p99), fmt.Sprint((after.Mallocs-before.Mallocs)/n), fmt.Sprint((after.TotalAlloc-before.TotalAlloc)/n),
			micro(floor), ratio(median.Seconds(), floor.Seconds()), micro(loaded), ratio(loaded.Seconds(), median.Seconds()))
	}
	t.row("rules ready", short(ready), "", "", "", "", "", short(readyMany))
	return nil
}

func micro(d time.Duration) string { return fmt.Sprintf("%.1f µs", float64(d.Nanoseconds())/1000) }

// timeEach does something with each message, often, and returns how long each time took.
func timeEach(messages []*fedmsg.Message, took []time.Duration, do func(*fedmsg.Message)) []time.Duration {
	for range wordsRounds {
		for _, m := range messages {
			start := time.Now()
			do(m)
			took = append(took, time.Since(start))
		}
	}
	return took
}

// corpusMessages are real messages, if there is a corpus beside the sources.
func corpusMessages() ([]*fedmsg.Message, error) {
	file := filepath.Join(cmp.Or(os.Getenv("FEDMSG_CORPUS"), "../../shared/corpus"), "corpus.jsonl")
	if _, err := os.Stat(file); err != nil {
		return nil, nil // then there are none
	}
	return readMessages(file)
}

// exampleMessages are those beside the built-in rules.
func exampleMessages() ([]*fedmsg.Message, error) {
	files, err := filepath.Glob("../meta/rules/*.jsonl")
	if err != nil {
		return nil, err
	}
	var all []*fedmsg.Message
	for _, file := range files {
		some, err := readMessages(file)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func readMessages(file string) ([]*fedmsg.Message, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []*fedmsg.Message
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var row struct{ Msg json.RawMessage }
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil || row.Msg == nil {
			continue // a blank line, or an example of a group
		}
		m, err := fedmsg.DecodeHistory(row.Msg)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, m)
	}
	return all, lines.Err()
}

// furtherRules is a rule file of some size.
const furtherRules = `
service = "madeNUMBER"
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
topic    = "#"
subtitle = 'something happened to the thing {{$thing}}'
packages = ['{{$thing}}']
`
