package irc_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/ircserver"
	"github.com/fedora-infra/fedmsg-go/irc"
	"github.com/fedora-infra/fedmsg-go/irc/client"
)

// hostile are sentences in turn: what must not become a command, and long ones.
var hostile = []string{
	"an ordinary sentence", "hi\r\nQUIT :bye", "x\nPRIVMSG NickServ :DROP fedbot", "\x01DCC SEND x 2130706433 1\x01", "a\x00b", "\x0304,01red\x02",
	"/msg NickServ DROP", strings.Repeat("é", 700), strings.Repeat("日本", 300), ":leading colon", "\x03", strings.Repeat("word ", 250),
}

// checkHeard checks what a watcher heard from the bot: notices to the channel, of at most
// 512 bytes, valid, and of one line each.
func checkHeard(t *testing.T, w *ircserver.Watcher, nick, channel string) (count int) {
	t.Helper()
	longest := 0
	for _, line := range w.Lines(":" + nick) {
		m, err := client.ParseMessage(line)
		if err != nil || m.Source.Name != nick {
			continue
		}
		longest = max(longest, len(line))
		switch m.Command {
		case "NOTICE":
			count++
		case "JOIN", "MODE", "NICK":
			continue
		default:
			t.Errorf("the bot did %q", line)
		}
		text := m.Params[1]
		if m.Params[0] != channel || len(line) > 512 || !utf8.ValidString(line) || strings.ContainsAny(client.Plain(text), "\x00\x01\r\n") {
			t.Errorf("the bot said %q, %d bytes", line, len(line))
		}
	}
	t.Logf("%d notices; the longest line has %d bytes", count, longest)
	return count
}

func connection(address string) irc.Connection {
	host, port, _ := net.SplitHostPort(address)
	n, _ := strconv.Atoi(port)
	return irc.Connection{Network: host, Port: n, Nickname: "fedbot"}
}

func startBot(t *testing.T, cfg irc.Config) (*irc.Bot, *fedmsgtest.LogBook) {
	t.Helper()
	book := new(fedmsgtest.LogBook)
	b, err := irc.New(cfg, titled, book.Logger(-4))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", book)
		}
		fedmsgtest.NoControls(t, book.String())
	})
	fedmsgtest.Start(t, "bot", b.Run)
	return b, book
}

func inChannels(b *irc.Bot, n int) func() bool {
	return func() bool { return int(fedmsgtest.Value(b, "irc_channels", "state", "in")) == n }
}

// Five hundred messages to ngIRCd, as fast as it lets us: all are said or counted, over
// TCP and TLS, by a bot that keeps its connection.
func TestPeerNgIRCd(t *testing.T) {
	t.Parallel() // both wait for their servers more than they work
	server := ircserver.NgIRCd(t)
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			channel := fmt.Sprintf("#bus-%v", secure)
			w := ircserver.Watch(t, server.Addr(), "watcher")
			w.Send("JOIN %s", channel)
			w.Send("MODE %s +k sesame", channel)
			in := irc.Instance{Connection: connection(server.Addr()), Channel: channel, ChannelKey: "sesame", MakeTerse: true, MakePretty: true, LineRate: 20 * time.Millisecond}
			if secure {
				in.Connection = connection(server.TLSAddr())
				in.SSL, in.CA = true, server.CA
			}
			b, _ := startBot(t, irc.Config{Instances: []irc.Instance{in}})
			fedmsgtest.Eventually(t, time.Minute, "the bot is in", inChannels(b, 1))
			for i := range 500 {
				one := entry(t, i, topic, hostile[i%len(hostile)])
				if n, err := b.Deliver(t.Context(), []fedmsg.Entry{one}); n != 1 || err != nil {
					t.Fatalf("Deliver = %d, %v", n, err)
				}
				time.Sleep(5 * time.Millisecond) // so that some are said, and some counted
			}
			outcome := func(word string) int { return int(fedmsgtest.Value(b, "notifier_sent_total", "outcome", word)) }
			fedmsgtest.Eventually(t, time.Minute, "all are said or counted", func() bool { return outcome("said")+outcome("folded") == 500 })
			fedmsgtest.Eventually(t, 10*time.Second, "the watcher has the last", func() bool { return len(w.Lines(hostile[499%len(hostile)][:4])) > 0 })
			if said := outcome("said"); checkHeard(t, w, "fedbot", channel) < said || said < 20 {
				t.Errorf("%d messages said, and fewer heard", said)
			}
			t.Logf("%d said, %d counted", outcome("said"), outcome("folded"))
			if lost := fedmsgtest.Value(b, "irc_reconnects_total"); lost != 0 {
				t.Errorf("%v connections lost", lost)
			}
			if secure {
				bad := in
				bad.CA, bad.Nickname = "", "stranger"
				other, book := startBot(t, irc.Config{Instances: []irc.Instance{bad}})
				fedmsgtest.Eventually(t, time.Minute, "a certificate of nobody we know is refused", func() bool { return fedmsgtest.Value(other, "irc_reconnects_total") > 0 })
				if !strings.Contains(book.String(), "certificate signed by unknown authority") {
					t.Errorf("it says %s", book)
				}
			}
		})
	}
}

// With InspIRCd and Atheme, at the usual rate: SASL, our nick back from who took it, a
// channel that takes no colours and bans who says more than five lines in ten seconds,
// a kick, and services that are away.
func TestPeerInspIRCd(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute, of waiting")
	}
	t.Parallel()
	server := ircserver.InspIRCd(t)
	server.Services(t)
	const password = "correct horse"
	squatter := ircserver.Watch(t, server.Addr(), "fedbot")
	fedmsgtest.Eventually(t, time.Minute, "an account", func() bool {
		squatter.Send("PRIVMSG NickServ :REGISTER %s a@example.org", strings.ReplaceAll(password, " ", "-"))
		time.Sleep(500 * time.Millisecond) // for the answer
		return len(squatter.Lines("is now registered")) > 0
	})
	w := ircserver.Watch(t, server.Addr(), "watcher")
	w.Send("JOIN #bus")
	w.Send("MODE #bus +cf *5:10")
	w.Await("its modes", "MODE #bus +")

	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte(strings.ReplaceAll(password, " ", "-")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	conn := connection(server.TLSAddr())
	conn.SSL, conn.CA, conn.SASL, conn.Regain, conn.AccountPasswordFile = true, server.CA, client.SASLPlain, "GHOST", secret
	b, _ := startBot(t, irc.Config{Instances: []irc.Instance{{Connection: conn, Channel: "#bus", MakeTerse: true, MakePretty: true}}})
	fedmsgtest.Eventually(t, time.Minute, "the bot is in", inChannels(b, 1))
	w.Await("our nick is ours again", ":fedbot_!fedbot@127.0.0.1 NICK :fedbot")

	deliver := func(from, n int) {
		for i := range n {
			one := entry(t, from+i, topic, hostile[i%len(hostile)])
			if k, err := b.Deliver(context.Background(), []fedmsg.Entry{one}); k != 1 || err != nil {
				t.Fatalf("Deliver = %d, %v", k, err)
			}
		}
	}
	deliver(0, 500)
	w.Await("the count", "more messages: git ")
	fedmsgtest.Eventually(t, time.Minute, "six lines", func() bool { return len(w.Lines("NOTICE #bus")) >= 6 })
	if colours := w.Lines("\x03"); colours != nil {
		t.Errorf("colours in a channel without: %q", colours)
	}

	w.Send("KICK #bus fedbot :go away")
	w.Await("the kick", "KICK #bus fedbot")
	server.StopServices()
	before := len(w.Lines("NOTICE #bus"))
	fedmsgtest.Eventually(t, time.Minute, "it is back", func() bool { return len(w.Lines("fedbot!fedbot@127.0.0.1 JOIN")) == 1 && inChannels(b, 1)() })
	server.Services(t)
	fedmsgtest.Eventually(t, time.Minute, "it goes on", func() bool { return len(w.Lines("NOTICE #bus")) >= before+2 })

	checkHeard(t, w, "fedbot", "#bus")

	w.Send("PRIVMSG fedbot :status")
	w.Await("an answer", "NOTICE watcher :up ")
	if kicked, lost := fedmsgtest.Value(b, "irc_kicks_total"), fedmsgtest.Value(b, "irc_reconnects_total"); kicked != 1 || lost != 0 {
		t.Errorf("%v kicks, %v connections lost; want the one of ours, and none", kicked, lost)
	}
	for _, line := range w.Lines(" KICK ") {
		if !strings.Contains(line, "go away") {
			t.Errorf("kicked for %q", line)
		}
	}

	wrong := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(wrong, []byte("wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	conn.AccountPasswordFile, conn.Account, conn.Nickname, conn.Regain = wrong, "fedbot", "other", ""
	fedmsgtest.Eventually(t, time.Minute, "services offer SASL again", func() bool {
		w.Send("PRIVMSG NickServ :HELP")
		time.Sleep(200 * time.Millisecond) // for the answer
		return len(w.Lines(":NickServ!")) > 0
	})
	other, book := startBot(t, irc.Config{Instances: []irc.Instance{{Connection: conn, Channel: "#bus", MakeTerse: true}}})
	fedmsgtest.Eventually(t, time.Minute, "a wrong password is refused", func() bool { return strings.Contains(book.String(), "SASL: 904") })
	if fedmsgtest.Value(other, "irc_connections", "state", "up") != 0 {
		t.Error("it went in with a wrong password")
	}
}
