package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/client"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/madeup"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// A bus under load is told 200 times to read its configuration, every fifth of which
// is broken. No stream breaks, no message is lost, and what is in force is what was
// read last of those that are right.
func TestReloadUnderLoad(t *testing.T) {
	const times = 200
	file := filepath.Join(t.TempDir(), "bus.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("max_age = 86400\n")
	addrs, told, _ := startServeLogged(t, t.TempDir(), "--config", file)
	b, err := client.Open(t.Context(), "http://"+addrs["http"])
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()

	const messages = 2000
	published := make(chan error, 1)
	go func() {
		for n := range messages {
			if _, err := b.Publish(t.Context(), "load", "test", map[string]int{"n": n}); err != nil {
				published <- err
				return
			}
		}
		published <- nil
	}()
	read := make(chan int, 1)
	begin := fedmsg.Seq(0)
	go func() {
		n := 0
		for _, err := range b.Tail(t.Context(), client.TailConfig{After: &begin}) {
			if err != nil {
				break
			}
			if n++; n == messages {
				break
			}
		}
		read <- n
	}()

	for i := 1; i <= times; i++ {
		broken := i%5 == 0
		text, want := fmt.Sprintf("max_age = %d\nlog_level = \"info\"\n", 86400+i), "the configuration was read again\" changed"
		if broken {
			text, want = "max_age = \n", "bus.toml:1"
		}
		write(text)
		before := strings.Count(told.String(), want)
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		fedmsgtest.Eventually(t, 20*time.Second, "the configuration is read", func() bool { return strings.Count(told.String(), want) > before })
		if i%40 == 0 {
			if well := metrics(t, addrs, "fedmsg_config_last_reload_successful"); well != "0" {
				t.Errorf("after a broken one the metric is %v", well)
			}
		}
	}
	if err := <-published; err != nil {
		t.Errorf("publish: %v", err)
	}
	if n := <-read; n != messages {
		t.Errorf("%d messages came, want %d", n, messages)
	}
	if wrong := strings.Count(told.String(), "that of before stays in force"); wrong != times/5 {
		t.Errorf("%d broken configurations were told, want %d", wrong, times/5)
	}
}

// What is in force changes: an unsigned message of this machine is refused once the
// networks that may speak unsigned are others, and what needs a restart is said.
func TestReloadChangesTheGate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bus.toml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, []byte("topic_prefix = \"org.example\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	addrs, told, _ := startServeLogged(t, t.TempDir(), "--config", file)
	publish := func() error {
		b, err := client.New(t.Context(), client.Config{URL: "http://" + addrs["http"], TopicPrefix: "org.example"})
		if err != nil {
			return err
		}
		defer b.Close()
		_, err = b.Publish(t.Context(), "git", "receive", map[string]int{"n": 1})
		return err
	}
	if err := publish(); err != nil {
		t.Fatal(err)
	}
	write("topic_prefix = \"org.example\"\nonly_environments = [\"prod\"]\n[log]\nkeep_for = \"1h\"\n")
	fedmsgtest.Eventually(t, 20*time.Second, "another environment is refused", func() bool {
		return fedmsg.ReasonOf(publish()) == fedmsg.WrongEnvironment
	})
	if !strings.Contains(told.String(), "needs a restart") || !strings.Contains(told.String(), "log.keep_for") {
		t.Errorf("nothing is said of what needs a restart: %s", told)
	}

	// a CA that would not be asked must not seem to be
	ca, _, _, err := madeup.CA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	write(fmt.Sprintf("topic_prefix = \"org.example\"\nca_cert_location = %q\n", ca))
	fedmsgtest.Eventually(t, 20*time.Second, "the CA is refused", func() bool { return strings.Contains(told.String(), "checking them needs a restart") })
	if well := metrics(t, addrs, "fedmsg_config_last_reload_successful"); well != "0" {
		t.Errorf("the metric is %s", well)
	}
}
