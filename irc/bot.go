package irc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/irc/client"
)

const (
	// drainFor is how long a bot that is stopped goes on saying what waits.
	drainFor = 5 * time.Second
	// refusedFor is how long a channel is left alone that did not let us speak.
	refusedFor = time.Minute
)

// Bot is the firehose. [Bot.Run] connects; a pump calls [Bot.Deliver].
type Bot struct {
	cfg       Config
	describer fedmsg.Describer
	logger    *slog.Logger
	verb      client.Verb
	clients   []*client.Client
	feeds     []*feed
	asked     chan question
	askers    askers
	sent      *fedmsg.Counters
	commands  *fedmsg.Counters
	started   time.Time
}

var (
	_ fedmsg.Sink  = (*Bot)(nil)
	_ fedmsg.Meter = (*Bot)(nil)
)

// New makes a bot, and reads the files that cfg names. describer finds the words for
// channels that want them (make_terse). logger may be nil.
func New(cfg Config, describer fedmsg.Describer, logger *slog.Logger) (*Bot, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	b := &Bot{
		cfg: cfg.withDefaults(), describer: describer, logger: logger.With("edge", "irc"), verb: client.Notice,
		asked: make(chan question, maxQuestions), askers: newAskers(),
		sent:     fedmsg.NewCounters("notifier_sent_total", "sink", "outcome"),
		commands: fedmsg.NewCounters("irc_commands_total", "outcome"),
	}
	if b.cfg.Method == "msg" {
		b.verb = client.Privmsg
	}
	clients := make(map[Connection]*client.Client)
	for _, in := range b.cfg.Instances {
		shared := clients[in.Connection]
		if shared == nil {
			var err error
			if shared, err = b.newClient(in.Connection); err != nil {
				return nil, err
			}
			clients[in.Connection] = shared
			b.clients = append(b.clients, shared)
		}
		f, _ := newFilter(in.Filters) // Validate has seen the error
		b.feeds = append(b.feeds, &feed{
			in: in, client: shared, filter: f, style: style{b.cfg, in.MakePretty, in.MakeTerse},
			folded: make(map[string]int), wake: make(chan struct{}, 1),
		})
		if in.MakeShort {
			b.logger.Warn("make_short does nothing: links are never shortened", "channel", in.Channel)
		}
	}
	return b, nil
}

// newClient makes the client of a connection, for all the channels that share it.
func (b *Bot) newClient(conn Connection) (made *client.Client, err error) {
	var errs []error
	cfg := conn.config(func(file string) string {
		secret, err := readSecret(file)
		errs = append(errs, err)
		return secret
	})
	if err := errors.Join(errs...); err != nil {
		return nil, &fedmsg.HintError{
			Err:  fmt.Errorf("irc %s: password: %w", cfg.Server, err),
			Hint: "the file must be readable for this user and hold the password as its only line",
		}
	}
	cfg.Dial = b.cfg.Dial
	for _, in := range b.cfg.Instances {
		if in.Connection == conn {
			cfg.Channels = append(cfg.Channels, client.Channel{Name: in.Channel, Key: in.ChannelKey})
			if cfg.LineRate == 0 || in.LineRate < cfg.LineRate {
				cfg.LineRate = in.LineRate
			}
		}
	}
	if b.cfg.Commands == "members" {
		cfg.Heard = func(h client.Heard) { b.heard(made, h) }
	}
	made, err = client.New(cfg, b.logger)
	return made, err
}

// Deliver queues the entries for the channels whose filters let them pass. It never
// fails and never waits.
func (b *Bot) Deliver(_ context.Context, batch []fedmsg.Entry) (int, error) {
	for _, e := range batch {
		spelled := sync.OnceValue(func() string { return literal(e.Message) })
		for _, f := range b.feeds {
			if !f.filter.passes(string(e.Message.Topic), spelled) {
				b.count("filtered", 1)
				continue
			}
			b.count("folded", f.put(e))
		}
	}
	return len(batch), nil
}

func (b *Bot) count(outcome string, n int) {
	if n > 0 {
		b.sent.Add(uint64(n), "irc", outcome)
	}
}

// Run connects, says what is delivered and answers who asks, until ctx ends. Then it
// says for a few seconds more what waits, takes leave, and returns nil.
func (b *Bot) Run(ctx context.Context) error {
	b.started = time.Now()
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() {
		b.drain()
		stop()
	})()
	var all sync.WaitGroup
	for _, c := range b.clients {
		all.Go(func() { _ = c.Run(working) }) // it returns nil
	}
	for _, f := range b.feeds {
		all.Go(func() { b.tell(working, f) })
	}
	all.Go(func() { b.answer(working) })
	all.Wait()
	for _, f := range b.feeds {
		n, _ := f.waiting()
		b.count("unsaid", n)
	}
	return nil
}

// drain waits until nothing waits any more in channels that we are in, for a while.
func (b *Bot) drain() {
	end := time.NewTimer(drainFor)
	defer end.Stop()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		idle := true
		for _, f := range b.feeds {
			n, busy := f.waiting()
			idle = idle && (n == 0 && !busy || f.client.Nick() == "")
		}
		if idle {
			return
		}
		select {
		case <-end.C:
			return
		case <-look.C:
		}
	}
}

// tell says what waits for a channel.
func (b *Bot) tell(ctx context.Context, f *feed) {
	for {
		e, text, ok := f.next()
		if !ok {
			if !f.wait(ctx) {
				return
			}
			continue
		}
		isMessage := text == ""
		if isMessage {
			text = f.style.line(ctx, b.describer, e)
		}
		err := f.client.Say(ctx, b.verb, f.in.Channel, text)
		outcome := "said"
		switch {
		case ctx.Err() != nil && err != nil:
			outcome = "unsaid"
		case err != nil:
			outcome = "refused"
			b.logger.WarnContext(ctx, "a channel does not let us speak", "channel", f.in.Channel, "wait", refusedFor, "err", err)
		}
		if isMessage {
			b.count(outcome, 1)
		}
		switch outcome {
		case "unsaid":
			return
		case "refused":
			select {
			case <-time.After(refusedFor):
			case <-ctx.Done():
				return
			}
		}
	}
}

// Samples yields what became of messages and commands, and how connections and channels
// are.
func (b *Bot) Samples() iter.Seq[fedmsg.Sample] {
	return fedmsg.Meters{b.sent, b.commands, fedmsg.MeterFunc(func(yield func(fedmsg.Sample) bool) {
		var up, in, waiting int
		var failed, kicked, repeated uint64
		for _, c := range b.clients {
			st := c.State()
			if st.Connected {
				up++
			}
			in += st.Joined
			failed, kicked, repeated = failed+st.Failed, kicked+st.Kicked, repeated+st.Repeated
		}
		for _, f := range b.feeds {
			n, _ := f.waiting()
			waiting += n
		}
		_ = yield(fedmsg.Sample{Name: "irc_connections", Labels: []string{"state", "up"}, Value: float64(up)}) &&
			yield(fedmsg.Sample{Name: "irc_connections", Labels: []string{"state", "down"}, Value: float64(len(b.clients) - up)}) &&
			yield(fedmsg.Sample{Name: "irc_channels", Labels: []string{"state", "in"}, Value: float64(in)}) &&
			yield(fedmsg.Sample{Name: "irc_channels", Labels: []string{"state", "out"}, Value: float64(len(b.feeds) - in)}) &&
			yield(fedmsg.Sample{Name: "irc_waiting", Value: float64(waiting)}) &&
			yield(fedmsg.Sample{Name: "irc_reconnects_total", Value: float64(failed)}) &&
			yield(fedmsg.Sample{Name: "irc_kicks_total", Value: float64(kicked)}) &&
			yield(fedmsg.Sample{Name: "irc_repeated_total", Value: float64(repeated)})
	})}.Samples()
}
