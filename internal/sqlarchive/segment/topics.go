package segment

import (
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Category is the fourth word of a topic, or empty.
func Category(t fedmsg.Topic) string {
	for range 3 {
		_, rest, _ := strings.Cut(string(t), ".")
		t = fedmsg.Topic(rest)
	}
	word, _, _ := strings.Cut(string(t), ".")
	return word
}

// FromFourth is a topic without its first three words.
func FromFourth(topic string) string {
	for range 3 {
		_, topic, _ = strings.Cut(topic, ".")
	}
	return topic
}
