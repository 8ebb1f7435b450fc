package client_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/irc/client"
)

func TestParseMessage(t *testing.T) {
	tests := []struct {
		line string
		want client.Message
	}{
		{"PING :client.example.org\r\n", client.Message{Command: "PING", Params: []string{"client.example.org"}}},
		{"ping x", client.Message{Command: "PING", Params: []string{"x"}}},
		{":srv 001 bot :Welcome to IRC\n", client.Message{Source: client.Source{Name: "srv"}, Command: "001", Params: []string{"bot", "Welcome to IRC"}}},
		{":n!u@h JOIN #c", client.Message{Source: client.Source{Name: "n", User: "u", Host: "h"}, Command: "JOIN", Params: []string{"#c"}}},
		{":n@h QUIT :", client.Message{Source: client.Source{Name: "n", Host: "h"}, Command: "QUIT", Params: []string{""}}},
		{":n!u@h PRIVMSG #c ::)", client.Message{Source: client.Source{Name: "n", User: "u", Host: "h"}, Command: "PRIVMSG", Params: []string{"#c", ":)"}}},
		{":n   PRIVMSG   #c   a:b", client.Message{Source: client.Source{Name: "n"}, Command: "PRIVMSG", Params: []string{"#c", "a:b"}}},
		{"CAP * LS", client.Message{Command: "CAP", Params: []string{"*", "LS"}}},
		{"LIST ", client.Message{Command: "LIST"}},
		{"X 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", client.Message{Command: "X",
			Params: []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15 16"}}}, // the last takes the rest
		{`@a=b\:\s\\\r\n;+x.y/z=;d;e=\q\ :n X`, client.Message{
			Tags:   map[string]string{"a": "b; \\\r\n", "+x.y/z": "", "d": "", "e": "q"},
			Source: client.Source{Name: "n"}, Command: "X"}},
		{`@a=1;a=2 X`, client.Message{Tags: map[string]string{"a": "2"}, Command: "X"}}, // the last counts
	}
	for _, tt := range tests {
		got, err := client.ParseMessage(tt.line)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("ParseMessage(%q)\n = %#v, %v\nwant %#v", tt.line, got, err, tt.want)
		}
	}
	for _, line := range []string{"", "\r\n", ":only", "@tag", ":n ", "12 x", "1234", "A1 x", "PING\x00", "PING a\rb", "PING a\nb", strings.Repeat("x", 9000)} {
		if m, err := client.ParseMessage(line); !errors.Is(err, fedmsg.ErrInvalid) {
			t.Errorf("ParseMessage(%.20q) = %+v, %v; want ErrInvalid", line, m, err)
		}
	}
}

func TestFormatLine(t *testing.T) {
	for _, tt := range []struct {
		command string
		params  []string
		want    string // "" if it is refused
	}{
		{"NICK", []string{"bot"}, "NICK bot\r\n"},
		{"JOIN", []string{"#c", "key"}, "JOIN #c key\r\n"},
		{"PRIVMSG", []string{"#c", "hi"}, "PRIVMSG #c :hi\r\n"},
		{"USER", []string{"u", "0", "*", "a name"}, "USER u 0 * :a name\r\n"},
		{"QUIT", []string{""}, "QUIT :\r\n"},
		{"PRIVMSG", []string{"#c", ":)"}, "PRIVMSG #c ::)\r\n"},
		{"PRIVMSG", []string{"#c", "hi\r\nQUIT"}, ""},
		{"PRIVMSG", []string{"#c", "hi\nQUIT"}, ""},
		{"PRIVMSG", []string{"#c", "a\x00b"}, ""},
		{"PRIVMSG", []string{"#c x", "hi"}, ""},
		{"PRIVMSG", []string{"", "hi"}, ""},
		{"JOIN", []string{":c", "x"}, ""},
		{"PRIVMSG x", []string{"hi"}, ""},
		{"PRIVMSG", []string{"#c", strings.Repeat("x", 500)}, ""},
		{"X", make([]string, 16), ""},
	} {
		got, err := client.FormatLine(tt.command, tt.params...)
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("formatLine(%q, %.40q) = %q, %v; want %q", tt.command, tt.params, got, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "hi") {
			t.Errorf("formatLine(%q, %q): the error %q tells the text", tt.command, tt.params, err)
		}
	}
}

// FuzzParseMessage holds for every line: it is refused as invalid, or what was read
// makes a line that reads the same.
func FuzzParseMessage(f *testing.F) {
	for _, seed := range []string{"PING :x", ":a!b@c PRIVMSG #c :text", "@a=b;c :s 001 n :w", ": X", "@ X", "433 * bot :in use", ":n X  a  :b c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		m, err := client.ParseMessage(line)
		if err != nil {
			if !errors.Is(err, fedmsg.ErrInvalid) {
				t.Fatalf("ParseMessage(%q): %v does not wrap ErrInvalid", line, err)
			}
			return
		}
		if len(m.Params) > 15 {
			t.Fatalf("ParseMessage(%q) has %d parameters", line, len(m.Params))
		}
		for _, p := range m.Params {
			if strings.ContainsAny(p, "\r\n\x00") {
				t.Fatalf("ParseMessage(%q) has the parameter %q", line, p)
			}
		}
		again, err := client.FormatLine(m.Command, m.Params...)
		if err != nil { // too long, in what we would send
			return
		}
		m2, err := client.ParseMessage(again)
		if err != nil || m2.Command != m.Command || !reflect.DeepEqual(m2.Params, m.Params) {
			t.Fatalf("ParseMessage(%q) = %+v makes %q, which is %+v, %v", line, m, again, m2, err)
		}
	})
}
