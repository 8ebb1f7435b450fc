package client_test

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
	"github.com/fedora-infra/fedmsg-go/irc/client"
	"github.com/fedora-infra/fedmsg-go/irc/irctest"
)

// onNetwork runs a client on a network in memory, in fake time. prepare may be nil.
func onNetwork(t *testing.T, cfg client.Config, prepare func(n *irctest.Network), test func(t *testing.T, n *irctest.Network, c *client.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := irctest.NewNetwork(t)
		if prepare != nil {
			prepare(n)
		}
		cfg.Dial = n.Dial
		if cfg.Server == "" {
			cfg.Server = "127.0.0.1:6667"
		}
		if cfg.Nick == "" {
			cfg.Nick = "bot"
		}
		book := new(fedmsgtest.LogBook)
		c, err := client.New(cfg, book.Logger(-8))
		if err != nil {
			t.Fatal(err)
		}
		stop := irctest.Run(t, c.Run)
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

func say(t *testing.T, c *client.Client, to, text string) {
	t.Helper()
	if err := c.Say(t.Context(), client.Privmsg, to, text); err != nil {
		t.Fatalf("Say(%q, %.40q): %v", to, text, err)
	}
}

func TestClientGreetsAndSays(t *testing.T) {
	cfg := client.Config{Password: "secret", Channels: []client.Channel{{Name: "#a"}, {Name: "#b", Key: "sesame"}}}
	onNetwork(t, cfg, func(n *irctest.Network) { n.Keys["#b"] = "sesame"; n.Caps = "multi-prefix chghost" }, func(t *testing.T, n *irctest.Network, c *client.Client) {
		say(t, c, "#a", "hello")
		say(t, c, "#b", "other channel")
		say(t, c, "alice", "in private")
		want := []string{"CAP LS 302", "PASS secret", "NICK bot", "USER bot 0 * bot", "CAP REQ chghost", "CAP END", "MODE bot +B"}
		if !slices.Equal(n.Lines[:len(want)], want) {
			t.Errorf("the client begins with %q, want %q", n.Lines[:len(want)], want)
		}
		if got := slices.Sorted(slices.Values(n.Got("JOIN"))); !slices.Equal(got, []string{"JOIN #a", "JOIN #b sesame"}) {
			t.Errorf("it joins with %q", got)
		}
		if a, p := n.Texts("#a"), n.Texts("alice"); !slices.Equal(a, []string{"hello"}) || !slices.Equal(p, []string{"in private"}) {
			t.Errorf("it said %q and %q", a, p)
		}
		if got := c.Shared("ALICE"); !slices.Equal(got, []string{"#a", "#b"}) || c.Shared("carol") != nil {
			t.Errorf("Shared(alice) = %q, Shared(carol) = %q", got, c.Shared("carol"))
		}
		n.Says(":alice!a@a NICK carol", ":bob!b@b PART #a", ":bob!b@b QUIT :bye", ":dave!d@d JOIN #a")
		if c.Shared("alice") != nil || len(c.Shared("carol")) != 2 || c.Shared("bob") != nil || len(c.Shared("dave")) != 1 {
			t.Errorf("Shared after changes: alice %q, carol %q, bob %q, dave %q", c.Shared("alice"), c.Shared("carol"), c.Shared("bob"), c.Shared("dave"))
		}
	})
}

// Whatever a text holds, it is lines of PRIVMSG to its target, and nothing else.
func TestClientSaysNothingElse(t *testing.T) {
	onNetwork(t, client.Config{Channels: []client.Channel{{Name: "#a"}}, LineRate: time.Millisecond}, nil, func(t *testing.T, n *irctest.Network, c *client.Client) {
		say(t, c, "#a", "warm up") // and learn our host
		texts := []string{"a\r\nQUIT :b", "\nJOIN #x", "a\x00b", "\x01DCC SEND x 2130706433 1\x01", strings.Repeat("é日", 400), "", "\r\n", ":x", "\x03"}
		for _, text := range texts {
			say(t, c, "#a", text)
		}
		for _, line := range n.Lines[slices.Index(n.Lines, "PRIVMSG #a :warm up"):] {
			if !strings.HasPrefix(line, "PRIVMSG #a :") && !strings.HasPrefix(line, "PING ") || strings.ContainsAny(line, "\x00\x01\r\n") {
				t.Errorf("it sends %q", line)
			}
		}
		longest := 0
		for _, s := range n.All("#a") {
			longest = max(longest, len(s.Wire))
		}
		if longest < 507 || longest > 512 {
			t.Errorf("the longest line that others get has %d bytes; of characters of 2 and 3 bytes it should have 507 to 512", longest)
		}
		if err := c.Say(t.Context(), client.Privmsg, "#a x\r\nQUIT", "hi"); err == nil {
			t.Error("Say to a target with a line end: no error")
		}
	})
}

func TestClientSplitsToTheByte(t *testing.T) {
	onNetwork(t, client.Config{Channels: []client.Channel{{Name: "#a"}}}, nil, func(t *testing.T, n *irctest.Network, c *client.Client) {
		for _, host := range []string{irctest.Host, "a.much.longer.host.than.before.example.org", "h"} {
			n.Do(func() { n.Host = host })
			n.Says(":bot!~u@old CHGHOST ~u " + host)
			say(t, c, "#a", strings.Repeat("x", 600))
		}
		n.Do(func() { n.Host = "hidden" })
		n.Says(":srv 396 bot hidden :is now your displayed host")
		say(t, c, "#a", strings.Repeat("x", 600))
		for i, s := range n.All("#a") {
			if i%2 == 0 && len(s.Wire) != 512 {
				t.Errorf("line %d has %d bytes for others, want 512", i, len(s.Wire))
			}
		}
	})
}

func TestClientSASL(t *testing.T) {
	plain := client.Config{SASL: client.SASLPlain, Account: "acct", AccountPassword: "secret", Channels: []client.Channel{{Name: "#a"}}}
	long := plain
	long.AccountPassword = strings.Repeat("p", 286) // with two accounts and two NULs 296 bytes: 396 and a bit in base64
	full := plain
	full.AccountPassword = strings.Repeat("p", 290) // 300 bytes: 400 in base64, and an empty chunk behind
	for name, tt := range map[string]struct {
		cfg   client.Config
		caps  string
		proof string
		in    bool
	}{
		"good":           {plain, "sasl=PLAIN,EXTERNAL", irctest.PlainProof("acct", "secret"), true},
		"no list":        {plain, "sasl", irctest.PlainProof("acct", "secret"), true},
		"long":           {long, "sasl=PLAIN", irctest.PlainProof("acct", long.AccountPassword), true},
		"a full chunk":   {full, "sasl=PLAIN", irctest.PlainProof("acct", full.AccountPassword), true},
		"wrong password": {plain, "sasl=PLAIN", irctest.PlainProof("acct", "other"), false},
		"not offered":    {plain, "multi-prefix", "", false},
		"not this one":   {plain, "sasl=EXTERNAL", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			onNetwork(t, tt.cfg, func(n *irctest.Network) { n.Caps, n.Password = tt.caps, tt.proof }, func(t *testing.T, n *irctest.Network, c *client.Client) {
				irctest.Later(time.Minute)
				joins, dials := len(n.Got("JOIN")), len(n.Dials)
				if tt.in && (joins != 1 || dials != 1) || !tt.in && (joins != 0 || dials < 3 || dials > 6) {
					t.Errorf("after a minute: %d connections, %d joins; in is %v", dials, joins, tt.in)
				}
			})
		})
	}
	// A server that knows no capabilities lets us in at once; we do not go.
	onNetwork(t, plain, nil, func(t *testing.T, n *irctest.Network, c *client.Client) {
		n.Says(":srv 001 bot :Welcome", ":srv 376 bot :End")
		if len(n.Got("JOIN")) > 0 {
			t.Error("it goes on without SASL")
		}
	})
	// Services that were away offer it again, and get it.
	onNetwork(t, plain, func(n *irctest.Network) { n.Caps, n.Password = "sasl=PLAIN", irctest.PlainProof("acct", "secret") }, func(t *testing.T, n *irctest.Network, c *client.Client) {
		n.Says(":srv CAP bot DEL :sasl", ":srv 901 bot bot!u@h :You are now logged out")
		n.Says(":srv CAP bot NEW :sasl=PLAIN")
		if got := n.Got("AUTHENTICATE PLAIN"); len(got) != 2 || len(n.Dials) != 1 || len(n.Got("CAP END")) != 1 {
			t.Errorf("after services came back: %q in %d connections", got, len(n.Dials))
		}
	})
}

// The pause doubles from 5 s to 10 min, half of it by chance, and is short again when a
// connection had stood.
func TestClientReconnects(t *testing.T) {
	onNetwork(t, client.Config{}, func(n *irctest.Network) { n.Down = true }, func(t *testing.T, n *irctest.Network, c *client.Client) {
		irctest.Later(time.Hour)
		wait := 5 * time.Second
		for i := 1; i < len(n.Dials); i++ {
			if pause := n.Dials[i] - n.Dials[i-1]; pause < wait/2 || pause > wait+time.Millisecond {
				t.Errorf("pause %d is %s, want %s to %s", i, pause, wait/2, wait)
			}
			wait = min(2*wait, 10*time.Minute)
		}
		n.Do(func() { n.Down = false })
		irctest.Later(15 * time.Minute)
		if c.Nick() != "bot" {
			t.Fatalf("not connected a quarter of an hour after the network came back")
		}
		before := len(n.Dials)
		n.Cut()
		irctest.Later(5 * time.Second)
		if c.Nick() != "bot" || len(n.Dials) != before+1 {
			t.Errorf("a connection that had stood is not back after 5 s")
		}
	})
}

func TestClientNoticesSilence(t *testing.T) {
	onNetwork(t, client.Config{Timeout: time.Minute}, nil, func(t *testing.T, n *irctest.Network, c *client.Client) {
		irctest.Later(10 * time.Minute)
		if asked := len(n.Got("PING")); asked < 15 || asked > 25 || len(n.Dials) != 1 {
			t.Errorf("in ten quiet minutes: %d PINGs, %d connections; want about 20, and 1", asked, len(n.Dials))
		}
		n.Do(func() { n.Mute = true })
		irctest.Later(90 * time.Second)
		if len(n.Dials) < 2 {
			t.Error("a server that says nothing is not left")
		}
	})
	onNetwork(t, client.Config{Timeout: time.Minute}, func(n *irctest.Network) { n.Mute = true }, func(t *testing.T, n *irctest.Network, c *client.Client) {
		irctest.Later(70 * time.Second)
		if len(n.Dials) != 2 {
			t.Errorf("%d connections to a server that does not greet, want the second after a minute", len(n.Dials))
		}
	})
}

func TestClientNick(t *testing.T) {
	taken := func(n *irctest.Network) { n.Taken["bot"] = true }
	t.Run("is waited for", func(t *testing.T) {
		onNetwork(t, client.Config{}, taken, func(t *testing.T, n *irctest.Network, c *client.Client) {
			irctest.Later(3 * time.Minute)
			if c.Nick() != "bot_" {
				t.Fatalf("our nick is %q, want bot_", c.Nick())
			}
			n.Do(func() { delete(n.Taken, "bot") })
			irctest.Later(time.Minute)
			if c.Nick() != "bot" {
				t.Errorf("a minute after it is free our nick is %q", c.Nick())
			}
		})
	})
	t.Run("is taken when who had it leaves", func(t *testing.T) {
		onNetwork(t, client.Config{Channels: []client.Channel{{Name: "#a"}}}, taken, func(t *testing.T, n *irctest.Network, c *client.Client) {
			n.Do(func() { delete(n.Taken, "bot") })
			n.Says(":Bot!x@y QUIT :bye")
			if c.Nick() != "bot" {
				t.Errorf("our nick is %q", c.Nick())
			}
		})
	})
	t.Run("is asked of NickServ", func(t *testing.T) {
		cfg := client.Config{Account: "acct", AccountPassword: "secret", Regain: "GHOST"}
		onNetwork(t, cfg, taken, func(t *testing.T, n *irctest.Network, c *client.Client) {
			irctest.Later(5 * time.Second)
			if got := n.Got("PRIVMSG NickServ"); c.Nick() != "bot" || !slices.Equal(got, []string{"PRIVMSG NickServ :IDENTIFY acct secret", "PRIVMSG NickServ :GHOST bot secret"}) {
				t.Errorf("our nick is %q after %q", c.Nick(), got)
			}
		})
	})
	t.Run("is taken from us", func(t *testing.T) {
		onNetwork(t, client.Config{}, nil, func(t *testing.T, n *irctest.Network, c *client.Client) {
			n.Rename("Guest123")
			if c.Nick() != "Guest123" {
				t.Errorf("our nick is %q", c.Nick())
			}
			irctest.Later(time.Minute)
			if c.Nick() != "bot" {
				t.Errorf("a minute later our nick is %q", c.Nick())
			}
		})
	})
	t.Run("is never free", func(t *testing.T) {
		all := func(n *irctest.Network) {
			for _, nick := range []string{"bot", "bot_", "bot2", "bot3", "bot4", "bot5", "bot6"} {
				n.Taken[nick] = true
			}
		}
		onNetwork(t, client.Config{}, all, func(t *testing.T, n *irctest.Network, c *client.Client) {
			irctest.Later(time.Minute)
			if tries := len(n.Got("NICK")); len(n.Dials) > 6 || tries > 6*len(n.Dials) {
				t.Errorf("in a minute %d connections and %d tries", len(n.Dials), tries)
			}
		})
	})
}

// Who is kicked comes back, slower each time, and what was to be said is said then.
func TestClientRejoins(t *testing.T) {
	onNetwork(t, client.Config{Channels: []client.Channel{{Name: "#a"}, {Name: "#b"}}}, nil, func(t *testing.T, n *irctest.Network, c *client.Client) {
		kick := func() { n.Kick("#a") }
		for i, wait := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second} {
			kick()
			done := make(chan error, 1)
			go func() { done <- c.Say(t.Context(), client.Notice, "#a", fmt.Sprint("message ", i)) }()
			say(t, c, "#b", "not held up")
			irctest.Later(wait - 3*time.Second)
			if joins := len(n.Got("JOIN #a")); joins != 1+i || len(n.Texts("#a")) != i {
				t.Errorf("kick %d: %d joins and %q just before %s", i, joins, n.Texts("#a"), wait)
			}
			irctest.Later(3 * time.Second)
			if err := <-done; err != nil || len(n.Got("JOIN #a")) != 2+i {
				t.Errorf("kick %d: Say = %v, %d joins after %s", i, err, len(n.Got("JOIN #a")), wait)
			}
		}
		if got := n.Texts("#a"); !slices.Equal(got, []string{"message 0", "message 1", "message 2"}) {
			t.Errorf("said %q", got)
		}
		irctest.Later(2 * time.Hour) // well behaved
		kick()
		irctest.Later(10 * time.Second)
		if joins := len(n.Got("JOIN #a")); joins != 5 {
			t.Errorf("%d joins, 10 s after a kick after two good hours; want 5", joins)
		}
		kick()
		n.Says(":op!o@o INVITE bot #a") // makes up for it
		if joins := len(n.Got("JOIN #a")); joins != 6 {
			t.Errorf("%d joins after an invitation, want 6", joins)
		}
		n.Says(":op!o@o INVITE bot #elsewhere")
		if got := n.Got("JOIN #elsewhere"); got != nil {
			t.Errorf("it follows to channels that are not ours: %q", got)
		}
	})
	onNetwork(t, client.Config{Channels: []client.Channel{{Name: "#a"}}}, func(n *irctest.Network) { n.Refuse = "474" }, func(t *testing.T, n *irctest.Network, c *client.Client) {
		irctest.Later(2 * time.Hour)
		if joins := len(n.Got("JOIN")); joins < 5 || joins > 12 {
			t.Errorf("%d joins in two hours of a ban", joins)
		}
		n.Do(func() { n.Refuse = "" })
		irctest.Later(time.Hour)
		say(t, c, "#a", "forgiven")
	})
}

func TestClientColours(t *testing.T) {
	const text = "\x037title\x03 -- words"
	onNetwork(t, client.Config{Channels: []client.Channel{{Name: "#plain"}, {Name: "#later"}, {Name: "#unseen"}}}, func(n *irctest.Network) { n.Modes["#plain"] = "+cnt" }, func(t *testing.T, n *irctest.Network, c *client.Client) {
		say(t, c, "#plain", text)
		say(t, c, "#later", text)
		n.Says(":op!o@o MODE #later +lc 50")
		say(t, c, "#later", text)
		n.Says(":op!o@o MODE #later +s-c")
		say(t, c, "#later", text)
		n.Do(func() { n.Modes["#unseen"] = "+c" }) // we did not see it, and are refused
		say(t, c, "#unseen", text)
		say(t, c, "#unseen", text)
		plain := client.Plain(text)
		if got := n.Texts("#plain"); !slices.Equal(got, []string{plain}) {
			t.Errorf("in a channel with +c: %q", got)
		}
		if got := n.Texts("#later"); !slices.Equal(got, []string{text, plain, text}) {
			t.Errorf("in a channel that changes: %q", got)
		}
		if got := n.Texts("#unseen"); !slices.Equal(got, []string{plain, plain}) || len(n.Got("PRIVMSG #unseen :\x03")) != 1 {
			t.Errorf("in a channel that refuses colours: %q", got)
		}
		n.Do(func() { n.Silent["#plain"] = true })
		if err := c.Say(t.Context(), client.Privmsg, "#plain", "moderated"); !errors.Is(err, client.ErrRefused) {
			t.Errorf("Say where we may not = %v, want ErrRefused", err)
		}
	})
}

// Lines to one channel come at least 3 s apart; lines to several in bursts of 4, and
// then one each 2 s.
func TestClientPace(t *testing.T) {
	var channels []client.Channel
	for i := range 6 {
		channels = append(channels, client.Channel{Name: fmt.Sprint("#", i)})
	}
	onNetwork(t, client.Config{Channels: channels}, nil, func(t *testing.T, n *irctest.Network, c *client.Client) {
		irctest.Later(time.Minute)
		began := n.Now()
		done := make(chan error)
		for i := range 6 {
			go func() {
				for k := range 5 {
					if err := c.Say(t.Context(), client.Notice, channels[i].Name, fmt.Sprint(k)); err != nil {
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
			for _, s := range n.All(channels[i].Name) {
				if s.At-last < 3*time.Second {
					t.Errorf("two lines to %s within %s", channels[i].Name, s.At-last)
				}
				last = s.At
				all = append(all, s.At-began)
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
	onNetwork(t, client.Config{Channels: []client.Channel{{Name: "#a"}}}, nil, func(t *testing.T, n *irctest.Network, c *client.Client) {
		n.Do(func() { n.Mute = true })
		done := make(chan error, 1)
		go func() { done <- c.Say(t.Context(), client.Notice, "#a", "did you hear?") }()
		irctest.Later(time.Second)
		n.Cut()
		n.Do(func() { n.Mute = false })
		irctest.Later(time.Minute)
		if err := <-done; err != nil || !slices.Equal(n.Texts("#a"), []string{"did you hear?", "did you hear?"}) {
			t.Errorf("Say = %v, said %q; want it twice", err, n.Texts("#a"))
		}
	})
	onNetwork(t, client.Config{Channels: []client.Channel{{Name: "#a"}}}, func(n *irctest.Network) { n.Down = true }, func(t *testing.T, n *irctest.Network, c *client.Client) {
		cause := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, cause)
		defer cancel()
		if err := c.Say(ctx, client.Notice, "#a", "nobody is there"); !errors.Is(err, cause) {
			t.Errorf("Say without a network = %v, want the cause of its context", err)
		}
	})
}

// A server may say anything.
func TestClientBearsTheServer(t *testing.T) {
	onNetwork(t, client.Config{Channels: []client.Channel{{Name: "#a"}}}, nil, func(t *testing.T, n *irctest.Network, c *client.Client) {
		n.Says("", ":", "nonsense", "PRIVMSG", "JOIN", "KICK", "KICK #a", "MODE", "MODE #a", "NICK", ":bot NICK", "CAP", "CAP * LS", "CAP * ACK :sasl", "AUTHENTICATE +",
			"001", "005", "353", "324", "404", "433", "PONG", "INVITE", ":x!y@z QUIT", "CHGHOST", "396", ":\x1b[31m!a@b JOIN #a", strings.Repeat("x", 20_000)+" ERROR :no", "@"+strings.Repeat("a=b;", 2000)+" PING :tagged")
		if len(n.Dials) != 1 || len(n.Got("PONG tagged")) != 1 {
			t.Errorf("%d connections, and %q to a PING with many tags", len(n.Dials), n.Got("PONG"))
		}
		n.Says("ERROR :Closing link: \x1b[31m excess flood")
		irctest.Later(10 * time.Second)
		if len(n.Dials) != 2 {
			t.Errorf("%d connections after an ERROR, want 2", len(n.Dials))
		}
	})
}
