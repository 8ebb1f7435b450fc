package sqlite_test

import (
	"errors"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// A log that takes the place of another gives places after those of the other, knows
// nothing of what it held, and is the same after it was closed.
func TestResume(t *testing.T) {
	const epoch = "00112233445566ff"
	dir := t.TempDir()
	log := open(t, sqlite.Config{Dir: dir})
	for i := range 5 {
		appendOne(t, log, i)
	}
	own := stateOf(t, log).Epoch
	for _, tt := range []struct {
		epoch    string
		last, to fedmsg.Seq
	}{{epoch, 4, 1000}, {epoch, 5, 4}, {epoch, 5, 1 << 63}, {"short", 5, 1000}} {
		if err := log.Resume(t.Context(), tt.epoch, tt.last, tt.to); !errors.Is(err, fedmsg.ErrInvalid) {
			t.Errorf("Resume(%q, %d, %d) of a log that ends at 5: %v, want ErrInvalid", tt.epoch, tt.last, tt.to, err)
		}
	}
	if s := stateOf(t, log); s.Epoch != own || s.First != 1 || s.Last != 5 {
		t.Errorf("a refusal changed the log: %+v", s)
	}
	if err := log.Resume(t.Context(), epoch, 5, 70_000); err != nil {
		t.Fatal(err)
	}
	check := func(when string, first, last fedmsg.Seq) {
		t.Helper()
		if s := stateOf(t, log); s.Epoch != epoch || s.First != first || s.Last != last || s.Problem != nil {
			t.Errorf("%s: %+v, want %d to %d", when, s, first, last)
		}
		for _, after := range []fedmsg.Seq{0, 3, 69_999} {
			if page, _, err := log.Page(t.Context(), after, 10); !errors.Is(err, fedmsg.ErrTooOld) {
				t.Errorf("%s: Page after %d = %d entries, %v; want ErrTooOld", when, after, len(page), err)
			}
		}
	}
	check("resumed", 70_001, 70_000)
	shut(t, log)
	log = open(t, sqlite.Config{Dir: dir})
	check("opened again", 70_001, 70_000)
	if r := appendOne(t, log, 3); r.Seq != 70_001 || r.Duplicate {
		t.Errorf("a message that was given up comes again: %+v, want place 70001", r)
	}
	if r := appendOne(t, log, 3); r.Seq != 70_001 || !r.Duplicate {
		t.Errorf("and again: %+v, want a duplicate", r)
	}
	check("with an entry", 70_001, 70_001)
	shut(t, log)
	log = open(t, sqlite.Config{Dir: dir})
	if got := readAll(t, log, 70_000); len(got) != 1 || got[0].Seq != 70_001 {
		t.Errorf("%d entries are left", len(got))
	}
	shut(t, log)
}

func appendOne(t *testing.T, log *sqlite.Log, n int) fedmsg.Receipt {
	t.Helper()
	r := log.Append(t.Context(), fedmsg.Entry{Verified: fedmsg.Unverified, Message: fedmsgtest.Message(n)})[0]
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	return r
}
