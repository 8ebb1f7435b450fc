package irc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/fedora-infra/fedmsg-go/irc/client"
)

const (
	// maxQuestions is how many questions may wait for their answer.
	maxQuestions = 8
	// askEvery and askBurst are how often one person may ask.
	askEvery, askBurst = 10 * time.Second, 3
	// maxAskers is how many people are remembered for that.
	maxAskers = 1000
	// maxLatest is how many messages one question gets.
	maxLatest = 3
)

// A question is a command that somebody may give.
type question struct {
	client *client.Client
	from   string
	words  []string
	shared []string // channels of both
}

// askers hold people to their rate, by host.
type askers struct {
	mu    sync.Mutex
	rates map[string]*rate.Limiter
}

func newAskers() askers { return askers{rates: make(map[string]*rate.Limiter)} }

func (a *askers) allow(who string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.rates[who]
	if l == nil {
		if len(a.rates) >= maxAskers {
			clear(a.rates)
		}
		l = rate.NewLimiter(rate.Every(askEvery), askBurst)
		a.rates[who] = l
	}
	return l.Allow()
}

// heard takes a command: said in private, no notice, no CTCP, by somebody who is in one
// of our channels, and not too often. All else gets no answer, so that nobody has us
// flood anybody.
func (b *Bot) heard(from *client.Client, h client.Heard) {
	words := strings.Fields(h.Text)
	if !h.Private || h.Notice || len(words) == 0 || strings.HasPrefix(h.Text, "\x01") {
		return
	}
	shared := from.Shared(h.From.Name)
	switch {
	case len(shared) == 0:
		b.commands.Add(1, "stranger")
		return
	case !b.askers.allow(h.From.Host):
		b.commands.Add(1, "too_often")
		return
	}
	select {
	case b.asked <- question{from, h.From.Name, words, shared}:
	default:
		b.commands.Add(1, "too_often")
	}
}

// answer answers one question after the other, by notices.
func (b *Bot) answer(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case q := <-b.asked:
			for _, line := range b.reply(ctx, q) {
				if err := q.client.Say(ctx, client.Notice, q.from, line); err != nil {
					b.logger.DebugContext(ctx, "an answer was not taken", "err", err)
					break
				}
			}
			b.commands.Add(1, "answered")
		}
	}
}

// reply words an answer.
func (b *Bot) reply(ctx context.Context, q question) []string {
	switch strings.ToLower(q.words[0]) {
	case "help":
		return []string{"help; status: how I am; latest [WORD]: the newest messages of our channel, those with WORD in their topic: latest git"}
	case "status":
		return []string{b.status(q)}
	case "latest":
		word := ""
		if len(q.words) > 1 {
			word = q.words[1]
		}
		return b.latest(ctx, q, word)
	}
	return []string{"I know help, status and latest."}
}

func (b *Bot) status(q question) string {
	waiting := 0
	for _, f := range b.feeds {
		if slices.Contains(q.shared, f.in.Channel) && f.client == q.client {
			n, _ := f.waiting()
			waiting += n
		}
	}
	return fmt.Sprintf("up %s; %d messages said, %d counted only, %d refused; %d waiting; in %s",
		time.Since(b.started).Round(time.Second), b.sent.Value("irc", "said"), b.sent.Value("irc", "folded"),
		b.sent.Value("irc", "refused"), waiting, strings.Join(q.shared, " "))
}

// latest tells the newest messages of a channel that the asker can read anyway.
func (b *Bot) latest(ctx context.Context, q question, word string) (lines []string) {
	for _, f := range b.feeds {
		if f.client != q.client || !slices.Contains(q.shared, f.in.Channel) {
			continue
		}
		for _, e := range f.found(word, maxLatest-len(lines)) {
			lines = append(lines, f.in.Channel+" "+e.Message.Time.UTC().Format("15:04:05")+" "+f.style.line(ctx, b.describer, e))
		}
		if len(lines) >= maxLatest {
			break
		}
	}
	if lines == nil {
		lines = []string{"nothing yet"}
		if word != "" {
			lines = []string{fmt.Sprintf("nothing with %q in its topic, of the last %d", cut(client.Clean(word), 40), remember)}
		}
	}
	return lines
}
