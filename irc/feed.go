package irc

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/irc/client"
)

const (
	// keep is how many messages may wait for a channel. Of more the newest are kept,
	// and the others counted.
	keep = 10
	// remember is how many messages of a channel can be asked for again.
	remember = 20
	// maxCategories is how many kinds of messages a count tells apart.
	maxCategories = 50
)

// A feed is what waits for one channel.
type feed struct {
	in     Instance
	client *client.Client
	filter filter
	style  style

	mu     sync.Mutex
	round  []fedmsg.Entry // being said, one after the other
	queue  []fedmsg.Entry // the newest that wait for their round
	folded map[string]int // what was not kept since, by category
	latest []fedmsg.Entry // that passed, oldest first
	wake   chan struct{}  // has one place; full if there may be something
	busy   bool           // something is being said
}

// put adds a message; it returns how many are not kept.
func (f *feed) put(e fedmsg.Entry) (folded int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latest = push(f.latest, e, remember)
	if len(f.queue) == keep {
		category := categoryOf(f.queue[0].Message.Topic)
		if _, known := f.folded[category]; !known && len(f.folded) >= maxCategories {
			category = "others"
		}
		f.folded[category]++
		folded = 1
	}
	f.queue = push(f.queue, e, keep)
	select {
	case f.wake <- struct{}{}:
	default:
	}
	return folded
}

// push appends to a list that keeps the last few.
func push(list []fedmsg.Entry, e fedmsg.Entry, limit int) []fedmsg.Entry {
	if len(list) == limit {
		copy(list, list[1:])
		list = list[:limit-1]
	}
	return append(list, e)
}

// categoryOf is the word of a topic that names the service.
func categoryOf(topic fedmsg.Topic) string {
	words := strings.SplitN(string(topic), ".", 5)
	if len(words) < 4 {
		return "others"
	}
	return words[3]
}

// next takes what is to be said next: a message, or the count of those that are not.
// It reports false if there is nothing.
func (f *feed) next() (e fedmsg.Entry, count string, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy = true
	if len(f.round) == 0 {
		f.round, f.queue = f.queue, nil
		if len(f.folded) > 0 {
			count = summary(f.folded)
			clear(f.folded)
			return e, count, true
		}
	}
	if len(f.round) == 0 {
		f.busy = false
		return e, "", false
	}
	e, f.round = f.round[0], f.round[1:]
	return e, "", true
}

// waiting is how many messages wait, and whether one is being said.
func (f *feed) waiting() (n int, busy bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.round) + len(f.queue), f.busy
}

// summary words a count: the most frequent first.
func summary(folded map[string]int) string {
	total := 0
	for _, n := range folded {
		total += n
	}
	names := slices.SortedFunc(maps.Keys(folded), func(a, b string) int {
		return cmp.Or(cmp.Compare(folded[b], folded[a]), cmp.Compare(a, b))
	})
	var parts []string
	for _, name := range names[:min(5, len(names))] {
		parts = append(parts, fmt.Sprintf("%s %d", client.Clean(name), folded[name]))
	}
	if len(names) > 5 {
		parts = append(parts, "…")
	}
	noun := "messages"
	if total == 1 {
		noun = "message"
	}
	return fmt.Sprintf("* … %d more %s: %s", total, noun, strings.Join(parts, ", "))
}

// found returns up to n of the newest messages whose topic has a word, newest first.
func (f *feed) found(word string, n int) (found []fedmsg.Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range slices.Backward(f.latest) {
		if len(found) < n && (word == "" || slices.Contains(strings.Split(string(e.Message.Topic), "."), word)) {
			found = append(found, e)
		}
	}
	return found
}

// wait waits until there may be something to say.
func (f *feed) wait(ctx context.Context) bool {
	select {
	case <-f.wake:
		return true
	case <-ctx.Done():
		return false
	}
}
