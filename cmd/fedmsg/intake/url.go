package intake

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/dumps"
)

// HarvestConfig says what is taken from another bus over HTTP: its address with
// parameters, more parameters, from Since to Until, so many requests a second, and
// who is told of pauses and of what is missing.
type HarvestConfig struct {
	URL          string
	Params       url.Values
	Since, Until time.Time
	Rate         float64
	Tell, Warn   func(string)
}

// Harvest takes what another bus has.
type Harvest interface {
	// Name is what is asked, without a time.
	Name() string
	// Run gives rows, and where to go on behind them: as a text for Run, and as the
	// time that is reached.
	Run(ctx context.Context, from string, take func(from string, rows [][]byte, state string, reached time.Time) error) error
}

// IsURL reports whether an argument is the address of another bus.
func IsURL(name string) bool {
	return strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://")
}

// Selection are the flags that say which messages of another bus are taken.
type Selection struct {
	// Open makes a harvest.
	Open func(HarvestConfig) (Harvest, error)
	// Time reads a point in time, or how long ago it is.
	Time func(text string, now time.Time) (time.Time, error)
	// Usage marks errors of the command line.
	Usage func(error) error
	// Pauses says that pauses are told.
	Pauses bool

	since, until string
	rate         float64
	lists        map[string]*[]string // by parameter
}

// Flags defines the flags.
func (s *Selection) Flags(f *pflag.FlagSet) {
	f.StringVar(&s.since, "since", "", "of a URL: not what is older than TIME, or so long ago: 2020-01-01, 30d (default: everything)")
	f.StringVar(&s.until, "until", "", "of a URL: only what is older than TIME")
	f.Float64Var(&s.rate, "rate", 2, "of a URL: at most N requests a second")
	s.lists = make(map[string]*[]string)
	for _, name := range []string{"topic", "category", "user", "package", "agent", "contains"} {
		s.lists[name] = f.StringArray(name, nil, "of a URL: only what has this "+name+"; several times: one of them")
	}
	for _, name := range []string{"topic", "category", "user", "package", "agent"} {
		s.lists["not_"+name] = f.StringArray("not-"+name, nil, "of a URL: nothing that has this "+name)
	}
	f.Lookup("contains").Usage = "of a URL: only what has these words in it"
}

// IsGiven reports whether a flag says something.
func (s *Selection) IsGiven() bool {
	for _, list := range s.lists {
		if len(*list) > 0 {
			return true
		}
	}
	return s.since != "" || s.until != ""
}

// A mark is how far an import of a URL is. Its bounds are those of when it began.
type mark struct {
	SinceFlag string    `json:"since_flag,omitempty"`
	UntilFlag string    `json:"until_flag,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	Until     time.Time `json:"until"`
	State     string    `json:"state"`
	Reached   time.Time `json:"reached"`
}

// part is how many seconds of the whole are behind at a time.
func (m mark) part(t time.Time) int64 { return max(0, int64(t.Sub(m.Since)/time.Second)) }

// beginning is before the first message of any bus.
var beginning = time.Date(2012, 1, 1, 0, 0, 0, 0, time.UTC)

// bounds reads from when until when. Flags come before parameters of the URL.
func (s *Selection) bounds(values url.Values, now time.Time) (m mark, err error) {
	m = mark{SinceFlag: s.since, UntilFlag: s.until, Since: beginning, Until: now}
	for _, b := range []struct {
		flag, text string
		also       []string
		to         *time.Time
	}{{"--since", s.since, []string{"start", "since", "after"}, &m.Since}, {"--until", s.until, []string{"end", "until", "before"}, &m.Until}} {
		for _, name := range b.also {
			if b.text == "" {
				b.flag, b.text = name+"=", values.Get(name)
			}
		}
		if b.text == "" {
			continue
		}
		if seconds, err := strconv.ParseFloat(b.text, 64); err == nil && seconds >= 0 && seconds < 1e11 && len(b.text) > 4 { // as datagrepper has it; else a year
			*b.to = time.UnixMicro(int64(seconds * 1e6)).UTC()
		} else if *b.to, err = s.Time(b.text, now); err != nil {
			return m, s.Usage(fmt.Errorf("%s: %w", b.flag, err))
		}
	}
	if delta, err := strconv.ParseFloat(values.Get("delta"), 64); err == nil && delta > 0 && delta < 1e10 && m.Since.Equal(beginning) {
		m.Since = m.Until.Add(-time.Duration(delta * float64(time.Second)))
	}
	return m, nil
}

// URL imports what another bus has, from where it was broken off.
func (im *Importer) URL(ctx context.Context, address string, s *Selection) error {
	u, err := url.Parse(address)
	if err != nil {
		return s.Usage(err)
	}
	m, err := s.bounds(u.Query(), time.Now().UTC().Truncate(time.Second))
	if err != nil {
		return err
	}
	params := make(url.Values)
	for name, list := range s.lists {
		if len(*list) > 0 {
			params[name] = *list
		}
	}
	cfg := HarvestConfig{URL: address, Params: params, Since: m.Since, Until: m.Until, Rate: s.rate, Warn: im.cfg.Progress.Say, Tell: func(text string) {
		if s.Pauses {
			im.cfg.Progress.Say(text)
		}
	}}
	h, err := s.Open(cfg)
	if err != nil {
		return s.Usage(err)
	}
	marks := make(map[string]mark)
	if _, err := im.cfg.URLs.Load(&marks); err != nil {
		return &fedmsg.HintError{Err: err, Hint: "remove the file; then it begins anew, which does no harm"}
	}
	if before, ok := marks[h.Name()]; ok && before.SinceFlag == m.SinceFlag && before.UntilFlag == m.UntilFlag {
		m, cfg.Since, cfg.Until = before, before.Since, before.Until
		if h, err = s.Open(cfg); err != nil {
			return s.Usage(err)
		}
		im.cfg.Progress.Say("going on with " + h.Name() + " at " + m.Reached.Format(time.RFC3339))
	}
	im.cfg.Progress.Whole(m.part(m.Until), m.part(m.Reached))
	gather := func(ctx context.Context, batches chan<- batch) error { return im.reap(ctx, h, m, batches) }
	err = im.transfer(ctx, gather, func(b batch) error {
		m.State, m.Reached = b.state, b.reached
		marks[h.Name()] = m
		return im.cfg.URLs.Save(marks)
	})
	if err != nil {
		return err
	}
	if delete(marks, h.Name()); len(marks) == 0 {
		return im.cfg.URLs.Remove()
	}
	return im.cfg.URLs.Save(marks)
}

// reap makes batches of what a harvest gives.
func (im *Importer) reap(ctx context.Context, h Harvest, m mark, batches chan<- batch) error {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return h.Run(ctx, m.State, func(from string, rows [][]byte, state string, reached time.Time) error {
		b := batch{from: from, state: state, reached: reached, taken: m.part(reached)}
		for i, text := range rows {
			im.convert(ctx, &b, dumps.Record{Line: i + 1, Text: text}, now)
		}
		select {
		case batches <- b:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}
