package irc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/irc"
	"github.com/fedora-infra/fedmsg-go/irc/client"
	"github.com/fedora-infra/fedmsg-go/irc/irctest"
)

// A describer words messages by a function.
type describer func(m *fedmsg.Message) fedmsg.Words

func (d describer) Describe(_ context.Context, m *fedmsg.Message) fedmsg.Words { return d(m) }

// titled has the topic's end as the title and the body's title as the sentence.
var titled = describer(func(m *fedmsg.Message) fedmsg.Words {
	var body struct{ Title string }
	_ = json.Unmarshal(m.Body, &body)
	return fedmsg.Words{Title: strings.Join(strings.Split(string(m.Topic), ".")[3:], "."), Subtitle: body.Title, Link: "https://example.org/" + m.ID[:8]}
})

var instance = irc.Instance{Connection: irc.Connection{Network: "127.0.0.1", Nickname: "bot"}, Channel: "a", MakeTerse: true, MakePretty: true}

func with(change func(in *irc.Instance)) irc.Instance {
	in := instance
	change(&in)
	return in
}

// onBot runs a bot on a network in memory, in fake time.
func onBot(t *testing.T, cfg irc.Config, d fedmsg.Describer, test func(t *testing.T, n *irctest.Network, b *irc.Bot, stop func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := irctest.NewNetwork(t)
		cfg.Dial = n.Dial
		b, err := irc.New(cfg, d, nil)
		if err != nil {
			t.Fatal(err)
		}
		stop := irctest.Run(t, b.Run)
		synctest.Wait()
		stopped := false
		test(t, n, b, func() { stopped = true; stop() })
		if !stopped {
			stop()
		}
	})
}

func entry(t *testing.T, i int, topic fedmsg.Topic, title string) fedmsg.Entry {
	t.Helper()
	body, err := json.Marshal(map[string]string{"title": title})
	if err != nil {
		t.Fatal(err)
	}
	return fedmsg.Entry{Seq: fedmsg.Seq(i + 1), Verified: fedmsg.Unverified, Message: fedmsgtest.MessageOf(i, topic, string(body))}
}

func deliver(t *testing.T, b *irc.Bot, entries ...fedmsg.Entry) {
	t.Helper()
	if n, err := b.Deliver(t.Context(), entries); n != len(entries) || err != nil {
		t.Fatalf("Deliver of %d entries = %d, %v", len(entries), n, err)
	}
	synctest.Wait()
}

const topic = "org.fedoraproject.prod.git.receive"

func TestVectorsIRCPrettify(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(fedmsgtest.VectorDir(t), "irc_prettify.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Colors map[string]int
		Cases  []struct {
			Title, Subtitle, Link, Out string
			Config                     struct {
				Lookup  map[string]string `json:"irc_color_lookup"`
				Default string            `json:"irc_default_color"`
			}
		}
	}
	if err := json.Unmarshal(text, &file); err != nil || len(file.Cases) < 9 {
		t.Fatalf("%d cases, %v", len(file.Cases), err)
	}
	e := entry(t, 0, topic, "")
	for _, c := range file.Cases {
		d := describer(func(*fedmsg.Message) fedmsg.Words {
			return fedmsg.Words{Title: c.Title, Subtitle: c.Subtitle, Link: c.Link}
		})
		cfg := irc.Config{Colors: c.Config.Lookup, DefaultColor: c.Config.Default}
		if got := irc.Line(cfg, true, true, d, e); got != c.Out {
			t.Errorf("%q: the line is %q, want %q", c.Title, got, c.Out)
		}
		if got, want := irc.Line(cfg, false, true, d, e), client.Plain(c.Out); got != want {
			t.Errorf("%q: without colours the line is %q, want %q", c.Title, got, want)
		}
	}
	for name, number := range file.Colors {
		d := describer(func(*fedmsg.Message) fedmsg.Words { return fedmsg.Words{Title: "x"} })
		got := irc.Line(irc.Config{DefaultColor: name}, true, true, d, e)
		if want := fmt.Sprintf("\x03%dx\x03 --  ", number); got != want {
			t.Errorf("%s: the line is %q, want %q", name, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	e := entry(t, 0, topic, "kernel")
	d := func(w fedmsg.Words) describer { return func(*fedmsg.Message) fedmsg.Words { return w } }
	raw := "org.fedoraproject.prod.git.receive {'i': 1, 'msg': {'title': 'kernel'}, 'msg_id': '" + e.Message.ID + "', 'timestamp': 'Thu Jan  1 00:00:00 2026', 'username': 'tester'}"
	if got := irc.Line(irc.Config{}, false, false, nil, e); got != raw {
		t.Errorf("raw: %q, want %q", got, raw)
	}
	if got := irc.Line(irc.Config{}, true, false, nil, e); got != raw {
		t.Errorf("pretty without terse: %q, want %q", got, raw)
	}
	for _, tt := range []struct {
		cfg   irc.Config
		words fedmsg.Words
		want  string
	}{
		{irc.Config{DefaultColor: "red"}, fedmsg.Words{Title: "7zip.build"}, "\x03047zip.build\x03 --  "}, // not colour 47
		{irc.Config{ValidateSignatures: true}, fedmsg.Words{Title: "t", Subtitle: "s", Link: "l"}, "\x0315t\x03 -- (unsigned) "},
		{irc.Config{}, fedmsg.Words{Title: "t\n\x02", Subtitle: "\x0304s\x01", Link: "http://x/\r\n"}, "\x0315t \x03 -- 04s \x0310http://x/ \x03"},
	} {
		if got := irc.Line(tt.cfg, true, true, d(tt.words), e); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.words, got, tt.want)
		}
	}
	long := irc.Line(irc.Config{}, true, true, d(fedmsg.Words{Title: "t", Subtitle: strings.Repeat("é", 5000), Link: "https://example.org/x"}), e)
	if len(long) > 1300 || !strings.HasSuffix(long, "é… \x0310https://example.org/x\x03") || !utf8.ValidString(long) {
		t.Errorf("a long sentence makes a line of %d bytes that ends %q", len(long), long[len(long)-40:])
	}
}

// The rows of the collection that are about IRC.
func TestBadInputsIRC(t *testing.T) {
	cases := 0
	for _, c := range fedmsgtest.Rows[struct {
		Name  string
		Input struct {
			Message struct {
				Msg    json.RawMessage
				Rate   int
				Server string `json:"server_sends"`
			} `json:"bus_message"`
			Sink string
		}
		Must struct {
			Sink       string
			Lines      int     `json:"irc_lines"`
			NotContain string  `json:"irc_must_not_contain"`
			NotMatch   string  `json:"irc_must_not_match"`
			Foreign    *bool   `json:"irc_foreign_formatting"`
			Bytes      int     `json:"line_bytes_max"`
			Rate       float64 `json:"lines_per_s_max"`
			Prefix     string  `json:"irc_prefix"`
			Reconnects int     `json:"reconnects_per_min_max"`
		}
	}](t, filepath.Join(fedmsgtest.BadInputDir(t), "notify.jsonl")) {
		if c.Must.Sink != "irc" {
			continue
		}
		cases++
		t.Run(c.Name, func(t *testing.T) {
			onBot(t, irc.Config{Instances: []irc.Instance{with(func(in *irc.Instance) { in.MakePretty = false })}, Method: "msg"}, titled, func(t *testing.T, n *irctest.Network, b *irc.Bot, stop func()) {
				switch {
				case c.Input.Message.Server != "":
					for range 60 { // each connection is told it
						n.Says(strings.Split(strings.TrimSpace(c.Input.Message.Server), "\r\n")...)
						irctest.Later(time.Second)
					}
				case c.Input.Message.Rate > 0:
					for i := range 20 * c.Input.Message.Rate {
						deliver(t, b, entry(t, i, topic, "flood"))
						irctest.Later(time.Second / time.Duration(c.Input.Message.Rate))
					}
				default:
					m := fedmsgtest.MessageOf(1, topic, string(c.Input.Message.Msg))
					deliver(t, b, fedmsg.Entry{Seq: 1, Message: m})
					irctest.Later(30 * time.Second)
				}
				lines := n.All("#a")
				if c.Input.Message.Server == "" && len(lines) == 0 {
					t.Fatal("nothing was said")
				}
				if len(n.Dials) > max(1, c.Must.Reconnects) {
					t.Errorf("%d connections in a minute", len(n.Dials))
				}
				if c.Must.Lines > 0 && len(lines) != c.Must.Lines {
					t.Errorf("%d lines, want %d", len(lines), c.Must.Lines)
				}
				if c.Must.Rate > 0 && float64(len(lines)) > 20*c.Must.Rate {
					t.Errorf("%d lines in 20 s", len(lines))
				}
				digest := regexp.MustCompile(`^\* … \d+ more messages: git \d+$`)
				if c.Must.Rate > 0 && !slices.ContainsFunc(lines, func(s irctest.Said) bool { return digest.MatchString(s.Text) }) {
					t.Error("no line counts the others")
				}
				for _, s := range lines {
					// As a word within the line it does nothing; it must not be a line of its own.
					if c.Must.NotContain != "" && strings.HasPrefix(s.Text, c.Must.NotContain) || c.Must.NotMatch != "" && regexp.MustCompile(c.Must.NotMatch).MatchString(s.Wire) {
						t.Errorf("it says %q", s.Wire)
					}
					if c.Must.Foreign != nil && client.Plain(s.Text) != s.Text {
						t.Errorf("it says, with formatting of others, %q", s.Text)
					}
					if c.Must.Prefix != "" && !regexp.MustCompile("^("+c.Must.Prefix+")$").MatchString(s.Verb) || len(s.Wire) > 512 || !utf8.ValidString(s.Wire) {
						t.Errorf("it says %q", s.Wire)
					}
				}
				if quits := n.Got("QUIT"); quits != nil {
					t.Errorf("it sends %q", quits)
				}
			})
		})
	}
	if cases < 8 {
		t.Errorf("only %d cases are about IRC", cases)
	}
}

// Of a backlog the newest are said, and the others counted.
func TestBotFolds(t *testing.T) {
	onBot(t, irc.Config{Instances: []irc.Instance{instance}}, titled, func(t *testing.T, n *irctest.Network, b *irc.Bot, stop func()) {
		n.Do(func() { n.Down = true })
		n.Cut()
		var batch []fedmsg.Entry
		for i := range 223 {
			at := fedmsg.Topic(topic)
			if i%10 == 0 {
				at = "org.fedoraproject.prod.bodhi.update.comment"
			}
			batch = append(batch, entry(t, i, at, fmt.Sprint("number ", i)))
		}
		deliver(t, b, batch[0]) // which is to be said already when the others come
		deliver(t, b, batch[1:]...)
		irctest.Later(time.Hour)
		n.Do(func() { n.Down = false })
		irctest.Later(15 * time.Minute)
		var got []string
		for _, text := range n.Texts("#a") {
			_, words, ok := strings.Cut(client.Plain(text), " -- ")
			if ok {
				text = strings.Fields(words)[1]
			}
			got = append(got, text)
		}
		want := []string{"0", "* … 212 more messages: git 191, bodhi 21", "213", "214", "215", "216", "217", "218", "219", "220", "221", "222"}
		if !slices.Equal(got, want) {
			t.Errorf("said %q\nwant %q", got, want)
		}
		for outcome, want := range map[string]float64{"said": float64(len(want) - 1), "folded": float64(224 - len(want)), "refused": 0} {
			if got := fedmsgtest.Value(b, "notifier_sent_total", "outcome", outcome); got != want {
				t.Errorf("%v are %s, want %v", got, outcome, want)
			}
		}
	})
}

func TestBotFilters(t *testing.T) {
	instances := []irc.Instance{
		with(func(in *irc.Instance) { in.Filters.Topic = []string{`^((?!(git|bodhi)).)*$`} }), // only these two
		with(func(in *irc.Instance) {
			in.Channel, in.Filters.Body = "#b", []string{"'title': 'lub-dub'"}
		}),
		with(func(in *irc.Instance) { in.Channel = "#all" }),
	}
	onBot(t, irc.Config{Instances: instances}, titled, func(t *testing.T, n *irctest.Network, b *irc.Bot, stop func()) {
		deliver(t, b, entry(t, 1, topic, "lub-dub"), entry(t, 2, "org.fedoraproject.prod.wiki.edit", "lub"), entry(t, 3, "org.fedoraproject.prod.bodhi.x", "dub"))
		irctest.Later(time.Minute)
		if a, b, all := len(n.Texts("#a")), len(n.Texts("#b")), len(n.Texts("#all")); a != 2 || b != 2 || all != 3 || len(n.Dials) != 1 {
			t.Errorf("%d, %d and %d messages, in %d connections; want 2, 2, 3 in 1", a, b, all, len(n.Dials))
		}
		if s := n.All("#a")[0]; s.Verb != "NOTICE" {
			t.Errorf("they are said by %s", s.Verb)
		}
	})
}

func TestBotAnswers(t *testing.T) {
	cfg := irc.Config{Instances: []irc.Instance{instance}}
	onBot(t, cfg, titled, func(t *testing.T, n *irctest.Network, b *irc.Bot, stop func()) {
		deliver(t, b, entry(t, 1, topic, "kernel"), entry(t, 2, "org.fedoraproject.prod.wiki.edit", "page"))
		irctest.Later(time.Minute)
		for _, line := range []string{"PRIVMSG bot :latest git", "PRIVMSG bot :HELP", "PRIVMSG bot :status", "PRIVMSG bot :latest", "PRIVMSG bot :latest"} {
			n.Says(":alice!a@a.example.org " + line)
			irctest.Later(20 * time.Second)
		}
		got := n.All("alice")
		for i, want := range []string{`^#a 00:00:01 .*git\.receive.* -- kernel`, "^help; status", `^up 1m40s; 2 messages said, 0 counted only, 0 refused; 0 waiting; in #a$`, " page ", " kernel "} {
			if i >= len(got) || got[i].Verb != "NOTICE" || !regexp.MustCompile(want).MatchString(got[i].Text) {
				t.Fatalf("answer %d of %q is not %q", i, n.Texts("alice"), want)
			}
		}
		n.Says(":mallory!m@m PRIVMSG bot :help", ":alice!a@a NOTICE bot :help", ":alice!a@a PRIVMSG bot :\x01VERSION\x01", ":alice!a@a PRIVMSG #a :help", ":alice!a@a PRIVMSG bot :", ":bot!b@b PRIVMSG bot :help")
		irctest.Later(time.Minute)
		if more := len(n.All("alice")) - len(got); more != 0 || len(n.All("mallory")) != 0 {
			t.Errorf("%d answers to what is no question, %d to a stranger", more, len(n.All("mallory")))
		}
		before := len(n.All("alice"))
		for range 100 {
			n.Says(":alice!a@a.example.org PRIVMSG bot :help")
		}
		irctest.Later(time.Minute)
		if answers := len(n.All("alice")) - before; answers < 1 || answers > 3 {
			t.Errorf("%d answers to a hundred questions at once, want 1 to 3", answers)
		}
	})
	cfg.Commands = "nobody"
	onBot(t, cfg, titled, func(t *testing.T, n *irctest.Network, b *irc.Bot, stop func()) {
		n.Says(":alice!a@a PRIVMSG bot :help")
		irctest.Later(time.Minute)
		if got := n.Texts("alice"); got != nil {
			t.Errorf("nobody may ask, and it answers %q", got)
		}
	})
}

// A bot that is stopped says for a few seconds what waits, and counts the rest.
func TestBotStops(t *testing.T) {
	onBot(t, irc.Config{Instances: []irc.Instance{instance}}, titled, func(t *testing.T, n *irctest.Network, b *irc.Bot, stop func()) {
		for i := range 8 {
			deliver(t, b, entry(t, i, topic, "x"))
		}
		began := time.Now()
		stop()
		said, unsaid := len(n.All("#a")), int(fedmsgtest.Value(b, "notifier_sent_total", "outcome", "unsaid"))
		if said != 2 || said+unsaid != 8 || time.Since(began) > 8*time.Second {
			t.Errorf("after %s: %d said, %d counted as unsaid; want 2 of 8 in 5 s", time.Since(began), said, unsaid)
		}
		if got := n.Got("QUIT"); len(got) != 1 {
			t.Errorf("it leaves with %q", got)
		}
	})
	onBot(t, irc.Config{Instances: []irc.Instance{instance}}, titled, func(t *testing.T, n *irctest.Network, b *irc.Bot, stop func()) {
		began := time.Now()
		stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("with nothing to say it stops after %s", took)
		}
	})
}

// A channel that does not let us speak is left alone for a minute, the others are told.
func TestBotIsRefused(t *testing.T) {
	instances := []irc.Instance{instance, with(func(in *irc.Instance) { in.Channel = "#b" })}
	onBot(t, irc.Config{Instances: instances}, titled, func(t *testing.T, n *irctest.Network, b *irc.Bot, stop func()) {
		n.Do(func() { n.Silent["#a"] = true })
		for i := range 5 {
			deliver(t, b, entry(t, i, topic, "x"))
		}
		irctest.Later(30 * time.Second)
		if tries := len(n.Got("NOTICE #a")); tries != 2 || len(n.All("#b")) != 5 { // with colours, and without
			t.Errorf("%d tries in #a, %d messages in #b; want 2 and 5", tries, len(n.All("#b")))
		}
		n.Do(func() { delete(n.Silent, "#a") })
		irctest.Later(time.Minute)
		if got := len(n.All("#a")); got != 4 || fedmsgtest.Value(b, "notifier_sent_total", "outcome", "refused") != 1 {
			t.Errorf("%d messages in #a, want the 4 that were not refused", got)
		}
	})
}

func TestConfigValidate(t *testing.T) {
	good := irc.Config{Instances: []irc.Instance{instance, with(func(in *irc.Instance) { in.Nickname = "other" })}}
	if err := good.Validate(); err != nil {
		t.Errorf("Validate: %v, want nil", err)
	}
	for want, change := range map[string]func(c *irc.Config){
		"no channel":                   func(c *irc.Config) { c.Instances = nil },
		"entry 1, : channel: required": func(c *irc.Config) { c.Instances[0].Channel = "" },
		"network: required":            func(c *irc.Config) { c.Instances[0].Network = "" },
		"port: must be a port, is -1":  func(c *irc.Config) { c.Instances[0].Port = -1 },
		`nickname: must be one word of at most 30 bytes that begins with a letter, is "a b"`: func(c *irc.Config) { c.Instances[0].Nickname = "a b" },
		`channel: must be one word of at most 64 bytes that begins with #, is "#a,#b"`:       func(c *irc.Config) { c.Instances[0].Channel = "#a,#b" },
		"key of channel #a":                        func(c *irc.Config) { c.Instances[0].ChannelKey = "a b" },
		`(?=": look-ahead is not`:                  func(c *irc.Config) { c.Instances[0].Filters.Topic = []string{"a(?=b)"} },
		"filters: body":                            func(c *irc.Config) { c.Instances[0].Filters.Body = []string{"("} },
		`irc_color_lookup: git: no colour "mauve"`: func(c *irc.Config) { c.Colors = map[string]string{"git": "mauve"} },
		"irc_default_color":                        func(c *irc.Config) { c.DefaultColor = "mauve" },
		"irc_method: must be notice":               func(c *irc.Config) { c.Method = "shout" },
		"commands: must be members":                func(c *irc.Config) { c.Commands = "all" },
		"sasl: plain needs":                        func(c *irc.Config) { c.Instances[0].SASL = "plain" },
		"sasl: external needs ssl":                 func(c *irc.Config) { c.Instances[0].SASL = "external" },
		"regain: must be":                          func(c *irc.Config) { c.Instances[0].Regain = "STEAL" },
		"certificate and key: both":                func(c *irc.Config) { c.Instances[0].SSL, c.Instances[0].Key = true, "k" },
		"need ssl":                                 func(c *irc.Config) { c.Instances[0].CA = "ca.crt" },
		"would pass to irc.example.org in clear text": func(c *irc.Config) {
			c.Instances[0].Network, c.Instances[0].PasswordFile = "irc.example.org", "file"
		},
		"line_rate: must not be negative": func(c *irc.Config) { c.Instances[0].LineRate = -1 },
		"timeout: must not be negative":   func(c *irc.Config) { c.Instances[0].Timeout = -1 },
		"differs in how to connect": func(c *irc.Config) {
			c.Instances[1].Nickname, c.Instances[1].SSL, c.Instances[1].Port = "bot", true, 6667
		},
		"has the same channel": func(c *irc.Config) { c.Instances[1].Nickname = "bot" },
	} {
		c := good
		c.Instances = slices.Clone(good.Instances)
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate = %v, want %q in it", err, want)
		}
		if _, err := irc.New(c, titled, nil); err == nil {
			t.Errorf("New takes what is wrong: %s", want)
		}
	}
	missing := with(func(in *irc.Instance) { in.AccountPasswordFile = filepath.Join(t.TempDir(), "none") })
	if _, err := irc.New(irc.Config{Instances: []irc.Instance{missing}}, titled, nil); err == nil || fedmsg.Hint(err) == "" {
		t.Errorf("New with a password file that is not there: %v, hint %q", err, fedmsg.Hint(err))
	}
}
