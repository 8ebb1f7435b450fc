package zmq

import (
	"fmt"
	"slices"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Mode is a way to read the topics of a subscription. The original had three.
type Mode string

// The modes, by who used them.
const (
	// Tail is fedmsg-tail and tail_messages: a plain prefix; stars are letters.
	Tail Mode = "tail"
	// Hub is a consumer with zmq_strict off: all stars are taken out, and the
	// rest is a prefix.
	Hub Mode = "hub"
	// HubStrict is a consumer with zmq_strict on: all stars are taken out, and
	// the rest is the whole topic.
	HubStrict Mode = "hub_strict"
)

// Filter says what a consumer of the original gets. One message that several
// patterns match is one message.
type Filter struct {
	Mode     Mode
	Patterns []string
}

// Validate returns an error that wraps [fedmsg.ErrInvalid] if there is no such mode.
func (f Filter) Validate() error {
	if !slices.Contains([]Mode{Tail, Hub, HubStrict}, f.Mode) {
		return fmt.Errorf("subscription mode %q: %w: choose %s, %s or %s", f.Mode, fedmsg.ErrInvalid, Tail, Hub, HubStrict)
	}
	return nil
}

// Match reports whether one of the patterns asks for the topic.
func (f Filter) Match(topic string) bool {
	return slices.ContainsFunc(f.Patterns, func(pattern string) bool {
		switch f.Mode {
		case Hub:
			return strings.HasPrefix(topic, withoutStars(pattern))
		case HubStrict:
			return topic == withoutStars(pattern)
		default:
			return strings.HasPrefix(topic, pattern)
		}
	})
}

// Prefixes returns what to subscribe to so that every topic that matches comes
// in. In the mode HubStrict more than that comes in.
func (f Filter) Prefixes() []string {
	var all []string
	for _, pattern := range f.Patterns {
		if f.Mode != Tail {
			pattern = withoutStars(pattern)
		}
		all = append(all, pattern)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func withoutStars(pattern string) string { return strings.ReplaceAll(pattern, "*", "") }
