package fedmsg_test

import (
	"encoding/json"
	"errors"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

func TestWordsJSON(t *testing.T) {
	full := fedmsg.Words{
		Title: "a.b", Subtitle: "alice did <it>", LongForm: "long", Link: "https://example.org/", Icon: "i", SecondaryIcon: "s", Agent: "alice",
		Usernames: []string{"alice"}, Packages: []string{"bash"}, Objects: []string{"packages/bash"},
		Emails: map[string]string{"alice@example.org": "alice"}, Avatars: map[string]string{"alice": "https://example.org/a.png"},
	}
	tests := []struct {
		words  fedmsg.Words
		fields []string
		want   string
	}{
		{full, []string{"link", "subtitle"}, `{"link":"https://example.org/","subtitle":"alice did <it>"}`},
		{full, []string{"emails", "avatars", "packages"}, `{"emails":{"alice@example.org":"alice"},"avatars":{"alice":"https://example.org/a.png"},"packages":["bash"]}`},
		{fedmsg.Words{}, nil, `{"title":"","subtitle":"","link":"","icon":null,"secondary_icon":null,"usernames":[],"packages":[],"objects":[],"long_form":"","agent":null,"emails":{},"avatars":{}}`},
	}
	for _, tt := range tests {
		if got := string(tt.words.AppendJSON(nil, tt.fields...)); got != tt.want {
			t.Errorf("AppendJSON(%q) = %s, want %s", tt.fields, got, tt.want)
		}
	}
	if all := full.AppendJSON([]byte("x")); !json.Valid(all[1:]) || all[0] != 'x' {
		t.Errorf("AppendJSON: %s", all)
	}
	if got, want := full.String(), "a.b -- alice did <it> https://example.org/"; got != want {
		t.Errorf("String: %q, want %q", got, want)
	}
}

func TestValidateWordsField(t *testing.T) {
	for _, name := range fedmsg.WordsFields {
		if err := fedmsg.ValidateWordsField(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := fedmsg.ValidateWordsField("lexer"); !errors.Is(err, fedmsg.ErrInvalid) {
		t.Errorf("lexer: %v", err)
	}
}
