package irc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/irc"
)

// onNetwork runs a client on a network in memory, in fake time. prepare may be nil.
func onNetwork(t *testing.T, cfg irc.ClientConfig, prepare func(n *network), test func(t *testing.T, n *network, c *irc.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		if prepare != nil {
			prepare(n)
		}
		cfg.Dial = n.dial
		if cfg.Server == "" {
			cfg.Server = "127.0.0.1:6667"
		}
		if cfg.Nick == "" {
			cfg.Nick = "bot"
		}
		book := new(fedmsgtest.LogBook)
		c, err := irc.NewClient(cfg, book.Logger(-8))
		if err != nil {
			t.Fatal(err)
		}
		stop := run(t, c.Run)
		synctest.Wait()
		test(t, n, c)
		stop()
		for _, secret := range []string{"secret", cfg.AccountPassword, cfg.Password} {
			if secret != "" && strings.Contains(book.String(), secret) {
				t.Errorf("the log tells the password:\n%s", book)
			}
		}
		fedmsgtest.NoControls(t, book.String())
	})
}

func say(t *testing.T, c *irc.Client, to, text string) {
	t.Helper()
	if err := c.Say(t.Context(), irc.Privmsg, to, text); err != nil {
		t.Fatalf("Say(%q, %.40q): %v", to, text, err)
	}
}

func TestClientGreetsAndSays(t *testing.T) {
	cfg := irc.ClientConfig{Password: "secret", Channels: []irc.Channel{{Name: "#a"}, {Name: "#b", Key: "sesame"}}}
	onNetwork(t, cfg, func(n *network) { n.keys["#b"] = "sesame"; n.caps = "multi-prefix chghost" }, func(t *testing.T, n *network, c *irc.Client) {
		say(t, c, "#a", "hello")
		say(t, c, "#b", "other channel")
		say(t, c, "alice", "in private")
		want := []string{"CAP LS 302", "PASS secret", "NICK bot", "USER bot 0 * bot", "CAP REQ chghost", "CAP END", "MODE bot +B"}
		if !slices.Equal(n.lines[:len(want)], want) {
			t.Errorf("the client begins with %q, want %q", n.lines[:len(want)], want)
		}
		if got := slices.Sorted(slices.Values(n.got("JOIN"))); !slices.Equal(got, []string{"JOIN #a", "JOIN #b sesame"}) {
			t.Errorf("it joins with %q", got)
		}
		if a, p := n.texts("#a"), n.texts("alice"); !slices.Equal(a, []string{"hello"}) || !slices.Equal(p, []string{"in private"}) {
			t.Errorf("it said %q and %q", a, p)
		}
		if got := c.Shared("ALICE"); !slices.Equal(got, []string{"#a", "#b"}) || c.Shared("carol") != nil {
			t.Errorf("Shared(alice) = %q, Shared(carol) = %q", got, c.Shared("carol"))
		}
		n.says(":alice!a@a NICK carol", ":bob!b@b PART #a", ":bob!b@b QUIT :bye", ":dave!d@d JOIN #a")
		if c.Shared("alice") != nil || len(c.Shared("carol")) != 2 || c.Shared("bob") != nil || len(c.Shared("dave")) != 1 {
			t.Errorf("Shared after changes: alice %q, carol %q, bob %q, dave %q", c.Shared("alice"), c.Shared("carol"), c.Shared("bob"), c.Shared("dave"))
		}
	})
}

// Whatever a text holds, it is lines of PRIVMSG to its target, and nothing else.
func TestClientSaysNothingElse(t *testing.T) {
	onNetwork(t, irc.ClientConfig{Channels: []irc.Channel{{Name: "#a"}}, LineRate: time.Millisecond}, nil, func(t *testing.T, n *network, c *irc.Client) {
		say(t, c, "#a", "warm up") // and learn our host
		texts := []string{"a\r\nQUIT :b", "\nJOIN #x", "a\x00b", "\x01DCC SEND x 2130706433 1\x01", strings.Repeat("é日", 400), "", "\r\n", ":x", "\x03"}
		for _, text := range texts {
			say(t, c, "#a", text)
		}
		for _, line := range n.lines[slices.Index(n.lines, "PRIVMSG #a :warm up"):] {
			if !strings.HasPrefix(line, "PRIVMSG #a :") && !strings.HasPrefix(line, "PING ") || strings.ContainsAny(line, "\x00\x01\r\n") {
				t.Errorf("it sends %q", line)
			}
		}
		longest := 0
		for _, s := range n.all("#a") {
			longest = max(longest, len(s.wire))
		}
		if longest < 507 || longest > 512 {
			t.Errorf("the longest line that others get has %d bytes; of characters of 2 and 3 bytes it should have 507 to 512", longest)
		}
		if err := c.Say(t.Context(), irc.Privmsg, "#a x\r\nQUIT", "hi"); err == nil {
			t.Error("Say to a target with a line end: no error")
		}
	})
}

func TestClientSplitsToTheByte(t *testing.T) {
	onNetwork(t, irc.ClientConfig{Channels: []irc.Channel{{Name: "#a"}}}, nil, func(t *testing.T, n *network, c *irc.Client) {
		for _, host := range []string{host, "a.much.longer.host.than.before.example.org", "h"} {
			n.do(func() { n.host = host })
			n.says(":bot!~u@old CHGHOST ~u " + host)
			say(t, c, "#a", strings.Repeat("x", 600))
		}
		n.do(func() { n.host = "hidden" })
		n.says(":srv 396 bot hidden :is now your displayed host")
		say(t, c, "#a", strings.Repeat("x", 600))
		for i, s := range n.all("#a") {
			if i%2 == 0 && len(s.wire) != 512 {
				t.Errorf("line %d has %d bytes for others, want 512", i, len(s.wire))
			}
		}
	})
}

func TestClientSASL(t *testing.T) {
	plain := irc.ClientConfig{SASL: irc.SASLPlain, Account: "acct", AccountPassword: "secret", Channels: []irc.Channel{{Name: "#a"}}}
	long := plain
	long.AccountPassword = strings.Repeat("p", 286) // with two accounts and two NULs 296 bytes: 396 and a bit in base64
	full := plain
	full.AccountPassword = strings.Repeat("p", 290) // 300 bytes: 400 in base64, and an empty chunk behind
	for name, tt := range map[string]struct {
		cfg   irc.ClientConfig
		caps  string
		proof string
		in    bool
	}{
		"good":           {plain, "sasl=PLAIN,EXTERNAL", plainProof("acct", "secret"), true},
		"no list":        {plain, "sasl", plainProof("acct", "secret"), true},
		"long":           {long, "sasl=PLAIN", plainProof("acct", long.AccountPassword), true},
		"a full chunk":   {full, "sasl=PLAIN", plainProof("acct", full.AccountPassword), true},
		"wrong password": {plain, "sasl=PLAIN", plainProof("acct", "other"), false},
		"not offered":    {plain, "multi-prefix", "", false},
		"not this one":   {plain, "sasl=EXTERNAL", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			onNetwork(t, tt.cfg, func(n *network) { n.caps, n.password = tt.caps, tt.proof }, func(t *testing.T, n *network, c *irc.Client) {
				later(time.Minute)
				joins, dials := len(n.got("JOIN")), len(n.dials)
				if tt.in && (joins != 1 || dials != 1) || !tt.in && (joins != 0 || dials < 3 || dials > 6) {
					t.Errorf("after a minute: %d connections, %d joins; in is %v", dials, joins, tt.in)
				}
			})
		})
	}
	// A server that knows no capabilities lets us in at once; we do not go.
	onNetwork(t, plain, nil, func(t *testing.T, n *network, c *irc.Client) {
		n.says(":srv 001 bot :Welcome", ":srv 376 bot :End")
		if len(n.got("JOIN")) > 0 {
			t.Error("it goes on without SASL")
		}
	})
	// Services that were away offer it again, and get it.
	onNetwork(t, plain, func(n *network) { n.caps, n.password = "sasl=PLAIN", plainProof("acct", "secret") }, func(t *testing.T, n *network, c *irc.Client) {
		n.says(":srv CAP bot DEL :sasl", ":srv 901 bot bot!u@h :You are now logged out")
		n.do(func() { n.current.auth = "" })
		n.says(":srv CAP bot NEW :sasl=PLAIN")
		if got := n.got("AUTHENTICATE PLAIN"); len(got) != 2 || len(n.dials) != 1 || len(n.got("CAP END")) != 1 {
			t.Errorf("after services came back: %q in %d connections", got, len(n.dials))
		}
	})
}

// The pause doubles from 5 s to 10 min, half of it by chance, and is short again when a
// connection had stood.
func TestClientReconnects(t *testing.T) {
	onNetwork(t, irc.ClientConfig{}, func(n *network) { n.down = true }, func(t *testing.T, n *network, c *irc.Client) {
		later(time.Hour)
		wait := 5 * time.Second
		for i := 1; i < len(n.dials); i++ {
			if pause := n.dials[i] - n.dials[i-1]; pause < wait/2 || pause > wait+time.Millisecond {
				t.Errorf("pause %d is %s, want %s to %s", i, pause, wait/2, wait)
			}
			wait = min(2*wait, 10*time.Minute)
		}
		n.do(func() { n.down = false })
		later(15 * time.Minute)
		if c.Nick() != "bot" {
			t.Fatalf("not connected a quarter of an hour after the network came back")
		}
		before := len(n.dials)
		n.cut()
		later(5 * time.Second)
		if c.Nick() != "bot" || len(n.dials) != before+1 {
			t.Errorf("a connection that had stood is not back after 5 s")
		}
	})
}

func TestClientNoticesSilence(t *testing.T) {
	onNetwork(t, irc.ClientConfig{Timeout: time.Minute}, nil, func(t *testing.T, n *network, c *irc.Client) {
		later(10 * time.Minute)
		if asked := len(n.got("PING")); asked < 15 || asked > 25 || len(n.dials) != 1 {
			t.Errorf("in ten quiet minutes: %d PINGs, %d connections; want about 20, and 1", asked, len(n.dials))
		}
		n.do(func() { n.mute = true })
		later(90 * time.Second)
		if len(n.dials) < 2 {
			t.Error("a server that says nothing is not left")
		}
	})
	onNetwork(t, irc.ClientConfig{Timeout: time.Minute}, func(n *network) { n.mute = true }, func(t *testing.T, n *network, c *irc.Client) {
		later(70 * time.Second)
		if len(n.dials) != 2 {
			t.Errorf("%d connections to a server that does not greet, want the second after a minute", len(n.dials))
		}
	})
}

func TestClientNick(t *testing.T) {
	taken := func(n *network) { n.taken["bot"] = true }
	t.Run("is waited for", func(t *testing.T) {
		onNetwork(t, irc.ClientConfig{}, taken, func(t *testing.T, n *network, c *irc.Client) {
			later(3 * time.Minute)
			if c.Nick() != "bot_" {
				t.Fatalf("our nick is %q, want bot_", c.Nick())
			}
			n.do(func() { delete(n.taken, "bot") })
			later(time.Minute)
			if c.Nick() != "bot" {
				t.Errorf("a minute after it is free our nick is %q", c.Nick())
			}
		})
	})
	t.Run("is taken when who had it leaves", func(t *testing.T) {
		onNetwork(t, irc.ClientConfig{Channels: []irc.Channel{{Name: "#a"}}}, taken, func(t *testing.T, n *network, c *irc.Client) {
			n.do(func() { delete(n.taken, "bot") })
			n.says(":Bot!x@y QUIT :bye")
			if c.Nick() != "bot" {
				t.Errorf("our nick is %q", c.Nick())
			}
		})
	})
	t.Run("is asked of NickServ", func(t *testing.T) {
		cfg := irc.ClientConfig{Account: "acct", AccountPassword: "secret", Regain: "GHOST"}
		onNetwork(t, cfg, taken, func(t *testing.T, n *network, c *irc.Client) {
			later(5 * time.Second)
			if got := n.got("PRIVMSG NickServ"); c.Nick() != "bot" || !slices.Equal(got, []string{"PRIVMSG NickServ :IDENTIFY acct secret", "PRIVMSG NickServ :GHOST bot secret"}) {
				t.Errorf("our nick is %q after %q", c.Nick(), got)
			}
		})
	})
	t.Run("is taken from us", func(t *testing.T) {
		onNetwork(t, irc.ClientConfig{}, nil, func(t *testing.T, n *network, c *irc.Client) {
			n.says(":bot!~u@" + host + " NICK Guest123")
			n.do(func() { n.current.nick = "Guest123" })
			if c.Nick() != "Guest123" {
				t.Errorf("our nick is %q", c.Nick())
			}
			later(time.Minute)
			if c.Nick() != "bot" {
				t.Errorf("a minute later our nick is %q", c.Nick())
			}
		})
	})
	t.Run("is never free", func(t *testing.T) {
		all := func(n *network) {
			for _, nick := range []string{"bot", "bot_", "bot2", "bot3", "bot4", "bot5", "bot6"} {
				n.taken[nick] = true
			}
		}
		onNetwork(t, irc.ClientConfig{}, all, func(t *testing.T, n *network, c *irc.Client) {
			later(time.Minute)
			if tries := len(n.got("NICK")); len(n.dials) > 6 || tries > 6*len(n.dials) {
				t.Errorf("in a minute %d connections and %d tries", len(n.dials), tries)
			}
		})
	})
}

// Who is kicked comes back, slower each time, and what was to be said is said then.
func TestClientRejoins(t *testing.T) {
	onNetwork(t, irc.ClientConfig{Channels: []irc.Channel{{Name: "#a"}, {Name: "#b"}}}, nil, func(t *testing.T, n *network, c *irc.Client) {
		kick := func() {
			n.do(func() {
				n.current.channels = slices.DeleteFunc(n.current.channels, func(ch string) bool { return ch == "#a" })
			})
			n.says(":op!o@o KICK #a bot :out")
		}
		for i, wait := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second} {
			kick()
			done := make(chan error, 1)
			go func() { done <- c.Say(t.Context(), irc.Notice, "#a", fmt.Sprint("message ", i)) }()
			say(t, c, "#b", "not held up")
			later(wait - 3*time.Second)
			if joins := len(n.got("JOIN #a")); joins != 1+i || len(n.texts("#a")) != i {
				t.Errorf("kick %d: %d joins and %q just before %s", i, joins, n.texts("#a"), wait)
			}
			later(3 * time.Second)
			if err := <-done; err != nil || len(n.got("JOIN #a")) != 2+i {
				t.Errorf("kick %d: Say = %v, %d joins after %s", i, err, len(n.got("JOIN #a")), wait)
			}
		}
		if got := n.texts("#a"); !slices.Equal(got, []string{"message 0", "message 1", "message 2"}) {
			t.Errorf("said %q", got)
		}
		later(2 * time.Hour) // well behaved
		kick()
		later(10 * time.Second)
		if joins := len(n.got("JOIN #a")); joins != 5 {
			t.Errorf("%d joins, 10 s after a kick after two good hours; want 5", joins)
		}
		kick()
		n.says(":op!o@o INVITE bot #a") // makes up for it
		if joins := len(n.got("JOIN #a")); joins != 6 {
			t.Errorf("%d joins after an invitation, want 6", joins)
		}
		n.says(":op!o@o INVITE bot #elsewhere")
		if got := n.got("JOIN #elsewhere"); got != nil {
			t.Errorf("it follows to channels that are not ours: %q", got)
		}
	})
	onNetwork(t, irc.ClientConfig{Channels: []irc.Channel{{Name: "#a"}}}, func(n *network) { n.refuse = "474" }, func(t *testing.T, n *network, c *irc.Client) {
		later(2 * time.Hour)
		if joins := len(n.got("JOIN")); joins < 5 || joins > 12 {
			t.Errorf("%d joins in two hours of a ban", joins)
		}
		n.do(func() { n.refuse = "" })
		later(time.Hour)
		say(t, c, "#a", "forgiven")
	})
}

func TestClientColours(t *testing.T) {
	const text = "\x037title\x03 -- words"
	onNetwork(t, irc.ClientConfig{Channels: []irc.Channel{{Name: "#plain"}, {Name: "#later"}, {Name: "#unseen"}}}, func(n *network) { n.modes["#plain"] = "+cnt" }, func(t *testing.T, n *network, c *irc.Client) {
		say(t, c, "#plain", text)
		say(t, c, "#later", text)
		n.says(":op!o@o MODE #later +lc 50")
		say(t, c, "#later", text)
		n.says(":op!o@o MODE #later +s-c")
		say(t, c, "#later", text)
		n.do(func() { n.modes["#unseen"] = "+c" }) // we did not see it, and are refused
		say(t, c, "#unseen", text)
		say(t, c, "#unseen", text)
		plain := irc.Plain(text)
		if got := n.texts("#plain"); !slices.Equal(got, []string{plain}) {
			t.Errorf("in a channel with +c: %q", got)
		}
		if got := n.texts("#later"); !slices.Equal(got, []string{text, plain, text}) {
			t.Errorf("in a channel that changes: %q", got)
		}
		if got := n.texts("#unseen"); !slices.Equal(got, []string{plain, plain}) || len(n.got("PRIVMSG #unseen :\x03")) != 1 {
			t.Errorf("in a channel that refuses colours: %q", got)
		}
		n.do(func() { n.silent["#plain"] = true })
		if err := c.Say(t.Context(), irc.Privmsg, "#plain", "moderated"); !errors.Is(err, irc.ErrRefused) {
			t.Errorf("Say where we may not = %v, want ErrRefused", err)
		}
	})
}

// Lines to one channel come at least 2 s apart, lines to several in bursts of 4.
func TestClientPace(t *testing.T) {
	var channels []irc.Channel
	for i := range 6 {
		channels = append(channels, irc.Channel{Name: fmt.Sprint("#", i)})
	}
	onNetwork(t, irc.ClientConfig{Channels: channels}, nil, func(t *testing.T, n *network, c *irc.Client) {
		later(time.Minute)
		began := time.Since(n.start)
		done := make(chan error)
		for i := range 6 {
			go func() {
				for k := range 5 {
					if err := c.Say(t.Context(), irc.Notice, channels[i].Name, fmt.Sprint(k)); err != nil {
						t.Errorf("Say: %v", err)
					}
				}
				done <- nil
			}()
		}
		for range 6 {
			<-done
		}
		var all []time.Duration
		for i := range 6 {
			var last time.Duration
			for _, s := range n.all(channels[i].Name) {
				if s.at-last < 2*time.Second {
					t.Errorf("two lines to %s within %s", channels[i].Name, s.at-last)
				}
				last = s.at
				all = append(all, s.at-began)
			}
		}
		slices.Sort(all)
		if len(all) != 30 || all[3] != 0 || all[4] != 2*time.Second || all[29] != 52*time.Second {
			t.Errorf("30 lines at %v; want 4 at once, and then one each 2 s", all)
		}
	})
}

// What the server had not worked off when the connection was lost is said again.
func TestClientSaysAgain(t *testing.T) {
	onNetwork(t, irc.ClientConfig{Channels: []irc.Channel{{Name: "#a"}}}, nil, func(t *testing.T, n *network, c *irc.Client) {
		n.do(func() { n.mute = true })
		done := make(chan error, 1)
		go func() { done <- c.Say(t.Context(), irc.Notice, "#a", "did you hear?") }()
		later(time.Second)
		n.cut()
		n.do(func() { n.mute = false })
		later(time.Minute)
		if err := <-done; err != nil || !slices.Equal(n.texts("#a"), []string{"did you hear?", "did you hear?"}) {
			t.Errorf("Say = %v, said %q; want it twice", err, n.texts("#a"))
		}
	})
	onNetwork(t, irc.ClientConfig{Channels: []irc.Channel{{Name: "#a"}}}, func(n *network) { n.down = true }, func(t *testing.T, n *network, c *irc.Client) {
		cause := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, cause)
		defer cancel()
		if err := c.Say(ctx, irc.Notice, "#a", "nobody is there"); !errors.Is(err, cause) {
			t.Errorf("Say without a network = %v, want the cause of its context", err)
		}
	})
}

// A server may say anything.
func TestClientBearsTheServer(t *testing.T) {
	onNetwork(t, irc.ClientConfig{Channels: []irc.Channel{{Name: "#a"}}}, nil, func(t *testing.T, n *network, c *irc.Client) {
		n.says("", ":", "nonsense", "PRIVMSG", "JOIN", "KICK", "KICK #a", "MODE", "MODE #a", "NICK", ":bot NICK", "CAP", "CAP * LS", "CAP * ACK :sasl", "AUTHENTICATE +",
			"001", "005", "353", "324", "404", "433", "PONG", "INVITE", ":x!y@z QUIT", "CHGHOST", "396", ":\x1b[31m!a@b JOIN #a", strings.Repeat("x", 20_000)+" ERROR :no", "@"+strings.Repeat("a=b;", 2000)+" PING :tagged")
		if len(n.dials) != 1 || len(n.got("PONG tagged")) != 1 {
			t.Errorf("%d connections, and %q to a PING with many tags", len(n.dials), n.got("PONG"))
		}
		n.says("ERROR :Closing link: \x1b[31m excess flood")
		later(10 * time.Second)
		if len(n.dials) != 2 {
			t.Errorf("%d connections after an ERROR, want 2", len(n.dials))
		}
	})
}
