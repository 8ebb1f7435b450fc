package pyconfig_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/pyconfig"
)

// Whatever a file holds: Read ends, says where what is wrong, and what it gives is JSON
// that Compare finds equal to itself, with lines that the file has.
func FuzzRead(f *testing.F) {
	for _, text := range constructs {
		f.Add(text)
	}
	for _, folder := range []string{"prod", "stg"} {
		for _, text := range production(folder) {
			f.Add(text)
		}
	}
	for _, text := range []string{
		"", "config", "config = {", "try:\n", "class", "def f(", "if x:", "a = b = ", "import", "from . import (a as", "del config[", "@x\n",
		"config = {**", "x = 'a' 'b' b'", "\\", "#", "config = dict(a=0777L)", "config = {lambda: 1}", "(" + strings.Repeat("[", 50), "x is not", "a;;b", "else:",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		values, report, err := pyconfig.Read([]pyconfig.File{{Name: "x.py", Text: []byte(text)}}, world)
		if err != nil {
			if !errors.Is(err, fedmsg.ErrInvalid) || !strings.HasPrefix(err.Error(), "x.py:") {
				t.Fatalf("Read(%q) = %v, want ErrInvalid and a line", text, err)
			}
			return
		}
		lines := strings.Count(text, "\n") + strings.Count(text, "\r") + 1
		for _, n := range report.Notes {
			if n.Line > lines {
				t.Fatalf("Read(%q): %v, and the file has %d lines", text, n, lines)
			}
		}
		out, err := values.MarshalJSON()
		if err != nil || !json.Valid(out) {
			t.Fatalf("Read(%q) gives %q, %v, which is no JSON", text, out, err)
		}
		if differences, err := pyconfig.Compare(values, out); err != nil || len(differences) > 0 {
			t.Fatalf("Read(%q) gives %s, which is not equal to itself: %v, %v", text, out, differences, err)
		}
	})
}
