package fedmsg

import "context"

// Words are what a message means to people.
type Words struct {
	Title    string // what kind of message it is: its topic from the fourth word on
	Subtitle string // what happened, in one sentence; never empty
	LongForm string // the same in paragraphs; the sentence, if there is no more to say

	Link          string // where to see more
	Icon          string // the address of the service's picture
	SecondaryIcon string // that of who, or what, it is about

	Agent     string   // who did it; empty if nobody is named
	Usernames []string // whom it concerns; sorted, as the other two
	Packages  []string // names of source packages
	Objects   []string // what was acted on, as paths: packages/bash

	Emails  map[string]string // accounts by mail address
	Avatars map[string]string // addresses of pictures by account
}

// Describer finds the words for messages.
type Describer interface {
	// Describe returns the words for m. It does not fail: what it does not know it
	// words as well as it can. ctx bounds what it asks others for.
	Describe(ctx context.Context, m *Message) Words
}
