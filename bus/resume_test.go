package bus_test

import (
	"context"
	"errors"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/mem"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// A window whose log goes on after other places does so too: who follows is told, and what
// comes then is read; an archive behind it has what is before, in pages as well.
func TestResume(t *testing.T) {
	log, err := sqlite.Open(t.Context(), sqlite.Config{Dir: t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	window := newWindow(t, bus.WindowConfig{}, log)
	appendOdd(t, window, 1, 5)
	state, err := window.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	following := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		for batch, err := range window.Read(t.Context(), 4) {
			if err != nil {
				following <- err
				return
			}
			if batch[0].Seq == 5 {
				close(begun)
			}
		}
	}()
	<-begun
	if err := window.Resume(t.Context(), state.Epoch, 4, 1000); !errors.Is(err, fedmsg.ErrInvalid) || window.Last() != 5 {
		t.Errorf("Resume of a log that goes on meanwhile: %v, last %d", err, window.Last())
	}
	if err := window.Resume(t.Context(), state.Epoch, 5, 1000); err != nil || window.Last() != 1000 {
		t.Fatalf("Resume: %v, last %d", err, window.Last())
	}
	if err := <-following; !errors.Is(err, fedmsg.ErrTooOld) {
		t.Errorf("who follows gets %v, want ErrTooOld", err)
	}
	appendOdd(t, window, 6, 2)
	for batch, err := range window.Read(t.Context(), 1000) {
		if err != nil || batch[0].Seq != 1001 {
			t.Errorf("Read after 1000: %v, %v", batch, err)
		}
		break
	}
	archive := pagedArchive{mem.NewArchive(nil, noWords{}), 5}
	tiered := bus.NewTiered(window, archive)
	for after, want := range map[fedmsg.Seq]fedmsg.Seq{1: 2, 3: 4, 1000: 1001} {
		page, next, err := tiered.Page(t.Context(), after, 1)
		if err != nil || len(page) != 1 || page[0].Seq != want || next != want {
			t.Errorf("Page after %d = %d entries, next %d, %v; want %d", after, len(page), next, err, want)
		}
	}
	if page, _, err := tiered.Page(t.Context(), 7, 1); !errors.Is(err, fedmsg.ErrTooOld) {
		t.Errorf("Page after what neither has = %d entries, %v; want ErrTooOld", len(page), err)
	}
	if err := newWindow(t, bus.WindowConfig{}, mem.NewLog()).Resume(t.Context(), state.Epoch, 0, 10); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Resume of a log that cannot: %v, want ErrUnsupported", err)
	}
}

// A pagedArchive has the places up to one, and gives pages of one.
type pagedArchive struct {
	fedmsg.Reader
	last fedmsg.Seq
}

func (a pagedArchive) Page(_ context.Context, after fedmsg.Seq, _ int, _ ...fedmsg.Pattern) ([]fedmsg.Entry, fedmsg.Seq, error) {
	if after >= a.last {
		return nil, after, nil
	}
	return []fedmsg.Entry{{Seq: after + 1}}, after + 1, nil
}
