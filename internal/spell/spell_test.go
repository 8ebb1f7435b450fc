package spell_test

import (
	"testing"

	"github.com/fedora-infra/fedmsg-go/internal/spell"
)

func TestNearest(t *testing.T) {
	names := []string{"tail", "token", "verify"}
	for word, want := range map[string]string{
		"tial": "tail", "tokn": "token", "verifyy": "verify", "tail": "tail", "publish": "", "": "",
	} {
		if got := spell.Nearest(word, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
