package fedmsgtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// TestCursors checks what package fedmsg says of Cursors. open makes new ones
// for each part.
func TestCursors(t *testing.T, open func(t *testing.T) fedmsg.Cursors) {
	t.Run("values", func(t *testing.T) {
		c := open(t)
		for _, step := range []struct {
			name string
			at   fedmsg.Seq
		}{
			{"irc", 1}, {"irc", 2}, {"irc", 2},
			{"archive", math.MaxInt64}, // no log gets there, so there need be no room for more
			{"irc", 1},                 // back, by an operator's wish
			{"irc", 0},
			{"Irc", 7}, // another name
			{"zmq tcp://127.0.0.1:4001 \u00e9", 8},
		} {
			if err := c.Save(t.Context(), step.name, step.at); err != nil {
				t.Fatalf("Save(%q, %d): %v", step.name, step.at, err)
			}
			if got, err := c.Load(t.Context(), step.name); got != step.at || err != nil {
				t.Errorf("Load(%q) after Save(%d) = %d, %v", step.name, step.at, got, err)
			}
		}
		if got, err := c.Load(t.Context(), "nobody"); got != 0 || err != nil {
			t.Errorf("Load of an unknown name = %d, %v; want 0, nil", got, err)
		}
	})
	t.Run("concurrency", func(t *testing.T) {
		c := open(t)
		var wg sync.WaitGroup
		for reader := range 8 {
			wg.Go(func() {
				name := fmt.Sprint("reader ", reader)
				for at := fedmsg.Seq(1); at <= 20; at++ {
					if err := c.Save(t.Context(), name, at); err != nil {
						t.Errorf("Save(%q, %d): %v", name, at, err)
						return
					}
					if got, err := c.Load(t.Context(), name); got != at || err != nil {
						t.Errorf("Load(%q) = %d, %v; want %d", name, got, err, at)
					}
				}
			})
		}
		wg.Wait()
	})
	t.Run("cancellation", func(t *testing.T) {
		c := open(t)
		cause := errors.New("the caller went home")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		if err := c.Save(ctx, "irc", 1); !errors.Is(err, cause) {
			t.Errorf("Save with a cancelled context: %v, want its cause", err)
		}
		if at, err := c.Load(ctx, "irc"); !errors.Is(err, cause) {
			t.Errorf("Load with a cancelled context = %d, %v, want its cause", at, err)
		}
	})
}

// TestNotes checks what package fedmsg says of Notes. open makes new ones for each
// part.
func TestNotes(t *testing.T, open func(t *testing.T) fedmsg.Notes) {
	t.Run("values", func(t *testing.T) {
		n := open(t)
		for _, step := range []struct {
			note   map[string][]byte
			prefix string
			want   string
		}{
			{nil, "", "map[]"},
			{map[string][]byte{"reader/a": []byte(`{"at":1}`), "reader/b": []byte("\x00\xff")}, "reader/", `map["reader/a":"{\"at\":1}" "reader/b":"\x00\xff"]`},
			{map[string][]byte{"reader/a": {}, "dead/a/1": []byte("x")}, "reader/a", `map["reader/a":""]`}, // empty is not removed
			{map[string][]byte{"reader/b": nil, "nobody": nil, "readers": []byte("r")}, "reader", `map["reader/a":"" "readers":"r"]`},
			{nil, "dead/a/", `map["dead/a/1":"x"]`},
			{map[string][]byte{"dead/\u00e9_%/1": []byte("u")}, "dead/\u00e9_%", "map[\"dead/\u00e9_%/1\":\"u\"]"}, // no wildcard
			{nil, "epoch", "map[]"}, // nor is anything else of the log a note
		} {
			if err := n.Note(t.Context(), step.note); err != nil {
				t.Fatalf("Note(%q): %v", step.note, err)
			}
			if got, err := n.Notes(t.Context(), step.prefix); fmt.Sprintf("%q", got) != step.want || err != nil {
				t.Errorf("Notes(%q) after Note(%q) = %q, %v, want %s", step.prefix, step.note, got, err, step.want)
			}
		}
	})
	t.Run("cancellation", func(t *testing.T) {
		n := open(t)
		cause := errors.New("the caller went home")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		if err := n.Note(ctx, map[string][]byte{"a": []byte("1")}); !errors.Is(err, cause) {
			t.Errorf("Note with a cancelled context: %v, want its cause", err)
		}
		if got, err := n.Notes(ctx, ""); !errors.Is(err, cause) {
			t.Errorf("Notes with a cancelled context = %q, %v, want its cause", got, err)
		}
	})
}
