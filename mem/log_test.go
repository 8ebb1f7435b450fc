package mem_test

import (
	"errors"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/mem"
)

func TestLog(t *testing.T) {
	fedmsgtest.TestLog(t, func(*testing.T) fedmsg.Log { return mem.NewLog() })
}

func TestCursors(t *testing.T) {
	fedmsgtest.TestCursors(t, func(*testing.T) fedmsg.Cursors { return new(mem.Cursors) })
}

func TestLimit(t *testing.T) {
	log := mem.NewLog()
	log.Limit = 3
	log.Clock = func() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 1999, time.FixedZone("CEST", 7200)) }
	for i := range 5 {
		if r := log.Append(t.Context(), fedmsg.Entry{Message: fedmsgtest.Message(i)})[0]; r.Err != nil || r.Seq != fedmsg.Seq(i+1) {
			t.Fatalf("Append of message %d = %+v", i, r)
		}
	}
	state, err := log.State(t.Context())
	if err != nil || state.First != 3 || state.Last != 5 {
		t.Errorf("State = %+v, %v; want first 3, last 5", state, err)
	}
	if _, next, err := log.Page(t.Context(), 1, 10); !errors.Is(err, fedmsg.ErrTooOld) || next != 1 {
		t.Errorf("Page(1, 10): next %d, %v; want 1, ErrTooOld", next, err)
	}
	page, next, err := log.Page(t.Context(), 2, 10)
	if err != nil || len(page) != 3 || next != 5 {
		t.Fatalf("Page(2, 10) = %d entries, next %d, %v; want 3, 5, nil", len(page), next, err)
	}
	if want := time.Date(2026, 7, 1, 10, 0, 0, 1000, time.UTC); !page[0].At.Equal(want) {
		t.Errorf("At = %s, want %s", page[0].At, want)
	}
	if _, err := log.Find(t.Context(), fedmsgtest.ID(1)); !errors.Is(err, fedmsg.ErrNotFound) {
		t.Errorf("Find of what went: %v, want ErrNotFound", err)
	}
	if r := log.Append(t.Context(), fedmsg.Entry{Message: fedmsgtest.Message(1)})[0]; r.Duplicate || r.Seq != 6 {
		t.Errorf("Append of what went = %+v, want the new place 6", r)
	}
}

func TestNotes(t *testing.T) {
	fedmsgtest.TestNotes(t, func(*testing.T) fedmsg.Notes { return new(mem.Notes) })
}
