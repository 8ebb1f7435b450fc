package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/client"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/topics"
	"github.com/fedora-infra/fedmsg-go/http"
)

// tailFlags are the flags of tail.
type tailFlags struct {
	busFlags
	wordsConfig
	formats
	topics.Flags
	Users, Packages string
	Validate        bool
	NoValidate      bool
	Since, After    string
	UntilNow        bool
	Count           int
	Color           string

	filter   topics.Filter
	patterns []fedmsg.Pattern
	after    *fedmsg.Seq
	watch    func(context.Context) error // puts changed rules in force
}

func newTail(env environ) *cobra.Command {
	var t tailFlags
	cmd := &cobra.Command{
		Use:   "tail [PATTERN...]",
		Short: "Show what is published",
		Long: `Show what is published, from now on or from any place in the log. PATTERN is a
topic in which * stands for one word and # for any number of them.

Without a format each message is one line, a Python literal, as fedmsg-tail had it.
Messages that nobody vouched for are marked: "unsigned", or "unverified" if they
are signed and nobody looked. A lost connection is made again, and nothing is
missed meanwhile.`,
		Example: `  fedmsg tail --really-pretty

  fedmsg tail 'org.fedoraproject.*.bodhi.#' --terse --since 2h

  fedmsg tail --query topic,msg.log

  # what the log has, and no more, for a program
  fedmsg tail --json --after 0 --until-now | jq -c .message`,
		RunE: func(cmd *cobra.Command, patterns []string) error {
			if done, err := t.resolve(cmd.Flags(), env); done || err != nil {
				return err
			}
			notices := &notices{w: env.stderr, name: cmd.CommandPath()}
			if err := t.prepare(cmd.Context(), env, patterns, notices); err != nil {
				return err
			}
			return t.run(cmd.Context(), env, notices)
		},
	}
	t.addTail(cmd.Flags())
	t.wordsConfig.flags(cmd.Flags(), env)
	t.add(cmd.Flags())
	cmd.Flags().Lookup("timeout").Hidden = true // it never meant anything here
	return cmd
}

func (t *tailFlags) addTail(f *pflag.FlagSet) {
	t.Flags.Add(f, "show")
	f.StringVar(&t.Query, "query", "", "show these values of each message: a comma list of dotted PATHS")
	f.BoolVar(&t.Pretty, "pretty", false, "lay messages out, as Python's pprint does")
	f.BoolVar(&t.ReallyPretty, "really-pretty", false, "indented and coloured JSON")
	f.BoolVar(&t.Terse, "terse", false, "one line in plain words")
	f.BoolVar(&t.Cowsay, "cowsay", false, "the same, said by a cow")
	f.BoolVar(&t.JSON, "json", false, "for programs: one JSON object a line, with seq, at, verified and message")
	f.StringVar(&t.Users, "users", "", "show only messages about one of these users: a comma LIST")
	f.StringVar(&t.Packages, "packages", "", "show only messages about one of these packages: a comma LIST")
	f.BoolVar(&t.Validate, "validate", false, "leave out messages that the bus did not verify")
	f.BoolVar(&t.NoValidate, "no-validate", false, "show them all (the default)")
	f.StringVar(&t.Since, "since", "", "begin with what came since TIME: 90m, 2h, 3d, or a date")
	f.StringVar(&t.After, "after", "", "begin after place SEQ in the log; 0 is the beginning")
	f.BoolVar(&t.UntilNow, "until-now", false, "end where the log ends now, with --since or --after")
	f.IntVarP(&t.Count, "count", "n", 0, "end after N messages (default: go on)")
	f.StringVar(&t.Color, "color", "auto", "colour --really-pretty: auto, always, never")
}

// prepare checks the flags, and finds the place to begin.
func (t *tailFlags) prepare(ctx context.Context, env environ, patterns []string, notices *notices) (err error) {
	if t.filter, t.patterns, err = t.Read(patterns); err != nil {
		return usageError{err}
	}
	if t.Count < 0 {
		return usageError{fmt.Errorf("--count: must not be negative, is %d", t.Count)}
	}
	if t.UntilNow && t.After == "" && t.Since == "" {
		return usageError{&fedmsg.HintError{Err: errors.New("--until-now needs a place to begin"), Hint: "add --after 0 for all that the log has, or --since 2h"}}
	}
	if t.UntilNow && !strings.HasPrefix(t.URL, "http") {
		return usageError{fmt.Errorf("--until-now: %s has no past to show; read from a bus over http://", t.URL)}
	}
	if t.Validate && t.NoValidate {
		return usageError{errors.New("--validate and --no-validate do not go together")}
	}
	if t.color, err = wantsColor(t.Color, env); err != nil {
		return err
	}
	if t.Cowsay {
		t.say = newCowsay(notices.tell)
	}
	if t.Cowsay || t.Terse || t.Users != "" || t.Packages != "" {
		engine, err := t.engineFor(env)
		if err != nil {
			return err
		}
		t.describer, t.watch = engine, engine.Watch
	}
	t.after, err = t.findPlace(ctx, t.After, t.Since)
	return err
}

// findPlace turns --after and --since into a place in the log; nil if both are empty.
func (b *busFlags) findPlace(ctx context.Context, after, since string) (*fedmsg.Seq, error) {
	switch {
	case after != "" && since != "":
		return nil, usageError{errors.New("--after and --since do not go together")}
	case after != "":
		n, err := strconv.ParseUint(after, 10, 63)
		if err != nil {
			return nil, usageError{fmt.Errorf("--after: %q is no place in a log, from 0 to %d", after, uint64(math.MaxInt64))}
		}
		return new(fedmsg.Seq(n)), nil
	case since != "":
		at, err := parseSince(since, time.Now())
		if err != nil {
			return nil, usageError{fmt.Errorf("--since: %w", err)}
		}
		if !strings.HasPrefix(b.URL, "http") {
			return nil, usageError{fmt.Errorf("--since: %s has no past to begin with; read from a bus over http://", b.URL)}
		}
		first, err := httpFirstAfter(b.URL, b.Token)
		if err != nil {
			return nil, err
		}
		place, err := placeBefore(ctx, first, at)
		if err != nil {
			return nil, fmt.Errorf("--since: %w", err)
		}
		return &place, nil
	}
	return nil, nil
}

// An arrival is what an iteration yields.
type arrival struct {
	entry fedmsg.Entry
	err   error
}

// run shows messages until there were enough, or ctx ends.
func (t *tailFlags) run(parent context.Context, env environ, notices *notices) (err error) {
	ctx, cancel := context.WithCancel(parent)
	bus, err := t.open(ctx, env, nil)
	if err != nil {
		cancel()
		return err
	}
	came := make(chan arrival, 256)
	entries := bus.Tail(ctx, client.TailConfig{Topics: t.patterns, After: t.after, Notice: notices.tell})
	if t.UntilNow {
		entries = t.past(ctx, notices)
	}
	if t.watch != nil {
		go t.watch(ctx) // it ends with ctx, and without an error
	}
	go func() {
		defer close(came)
		for e, err := range entries {
			select {
			case came <- arrival{e, err}:
			case <-ctx.Done(): // and so the iteration ends by itself
			}
		}
	}()
	out := bufio.NewWriterSize(output{env.stdout}, 64<<10)
	defer func() {
		cancel()
		for range came { // until the reader has ended
		}
		err = cmp.Or(err, out.Flush(), bus.Close())
	}()
	for shown := 0; ; {
		if len(came) == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		var a arrival
		select {
		case <-parent.Done():
			return context.Cause(parent)
		case next, ok := <-came:
			if a = next; !ok {
				return nil
			}
		}
		if a.err != nil {
			return a.err
		}
		if !t.wants(ctx, a.entry, notices) {
			continue
		}
		if err := t.print(ctx, out, a.entry); err != nil {
			return err
		}
		if shown++; shown == t.Count {
			return nil
		}
	}
}

// past yields what the log has now after the place to begin, and ends.
func (t *tailFlags) past(ctx context.Context, notices *notices) iter.Seq2[fedmsg.Entry, error] {
	return func(yield func(fedmsg.Entry, error) bool) {
		err := t.readPast(ctx, notices, func(e fedmsg.Entry) bool { return yield(e, nil) })
		if err != nil {
			yield(fedmsg.Entry{}, fmt.Errorf("--until-now: %w", err))
		}
	}
}

func (t *tailFlags) readPast(ctx context.Context, notices *notices, yield func(fedmsg.Entry) bool) error {
	bus, err := http.New(http.ClientConfig{URL: t.URL, Token: t.Token})
	if err != nil {
		return err
	}
	defer bus.Close()
	first := pageFirst(bus)
	last, err := placeBefore(ctx, first, endOfTime)
	if err != nil {
		return err
	}
	if *t.after > last {
		notices.tell(fmt.Sprintf("the log has no such place, it ends at %d", last))
	}
	for at := *t.after; at < last; {
		page, err := bus.Messages(ctx, at, 0, t.patterns...)
		if errors.Is(err, fedmsg.ErrTooOld) {
			if at, err = placeBefore(ctx, first, time.Time{}); err == nil {
				notices.tell(fmt.Sprintf("messages are missing: the log keeps only those from %d on; going on there", at+1))
				continue
			}
		}
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			if e.Seq > last || !yield(e) {
				return nil
			}
		}
		if page.Next == at {
			return nil // nothing more that is wanted
		}
		at = page.Next
	}
	return nil
}

// endOfTime is later than any message.
var endOfTime = time.Unix(math.MaxInt32*1000, 0)

// wants reports whether an entry is to be shown.
func (t *tailFlags) wants(ctx context.Context, e fedmsg.Entry, notices *notices) bool {
	if !t.filter.Match(e.Message.Topic) {
		return false
	}
	if t.Validate && mark(e) != "" {
		notices.once("leaving out messages that the bus did not verify; --no-validate shows them")
		return false
	}
	if t.Users == "" && t.Packages == "" {
		return true
	}
	w := t.describer.Describe(ctx, e.Message)
	return mentions(t.Users, w.Usernames) && mentions(t.Packages, w.Packages)
}

func (t *tailFlags) print(ctx context.Context, out *bufio.Writer, e fedmsg.Entry) error {
	text, err := t.show(ctx, e)
	if err != nil || text == "" {
		return err
	}
	_, err = out.WriteString(text + "\n")
	return err
}

// noticesPerMinute bounds what one command tells.
const noticesPerMinute = 8

// notices tells people on standard error what happens to their tail or trigger, and not
// too often.
type notices struct {
	w    io.Writer
	name string // of the command

	mu      sync.Mutex
	minute  time.Time // when the present minute began
	told    int       // in it
	skipped int
	before  map[string]bool
}

func (n *notices) tell(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := time.Now(); now.Sub(n.minute) > time.Minute {
		if n.skipped > 0 {
			fmt.Fprintf(n.w, "%s: %d notices were not shown\n", n.name, n.skipped)
		}
		n.minute, n.told, n.skipped = now, 0, 0
	}
	if n.told == noticesPerMinute {
		n.skipped++
		return
	}
	n.told++
	fmt.Fprintf(n.w, "%s: %s\n", n.name, cleanLine(text))
}

// once tells a text that was not told before.
func (n *notices) once(text string) {
	n.mu.Lock()
	known := n.before[text]
	if n.before == nil {
		n.before = make(map[string]bool)
	}
	n.before[text] = true
	n.mu.Unlock()
	if !known {
		n.tell(text)
	}
}
