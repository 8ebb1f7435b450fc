package past

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// A shelfOf is a log in memory.
type shelfOf struct {
	first   fedmsg.Seq
	entries []fedmsg.Entry
}

func newShelf(t *testing.T, count int) *shelfOf {
	s := &shelfOf{first: 1}
	for i := range count {
		m, err := fedmsg.Draft{Topic: "org.x.prod.a.b", ID: fedmsg.NewID(time.Unix(1764000000, 0)), Time: time.Unix(1764000000+int64(i), 0)}.Message()
		if err != nil {
			t.Fatal(err)
		}
		s.entries = append(s.entries, fedmsg.Entry{Seq: fedmsg.Seq(i + 1), Verified: fedmsg.Unverified, Message: m})
	}
	return s
}

func (s *shelfOf) State(context.Context) (fedmsg.LogState, error) {
	return fedmsg.LogState{Epoch: "e", First: s.first, Last: fedmsg.Seq(len(s.entries))}, nil
}

func (s *shelfOf) Page(_ context.Context, after fedmsg.Seq, limit int, _ ...fedmsg.Pattern) ([]fedmsg.Entry, fedmsg.Seq, error) {
	if after+1 < s.first {
		return nil, after, fedmsg.ErrTooOld
	}
	page := s.entries[after:]
	page = page[:min(limit, len(page))]
	if len(page) > 0 {
		after = page[len(page)-1].Seq
	}
	return page, after, nil
}

func (s *shelfOf) Resume(context.Context, string, fedmsg.Seq, fedmsg.Seq) error {
	return errors.ErrUnsupported
}

// A listOf is an archive that only notes what it is given.
type listOf struct {
	Opened
	given  []fedmsg.Seq
	closed bool
}

func (l *listOf) Deliver(_ context.Context, batch []fedmsg.Entry) (int, error) {
	for _, e := range batch {
		l.given = append(l.given, e.Seq)
	}
	return len(batch), nil
}

func (l *listOf) Last() fedmsg.Seq {
	if len(l.given) == 0 {
		return 0
	}
	return l.given[len(l.given)-1]
}
func (l *listOf) Close() error  { l.closed = true; return nil }
func (l *listOf) Epoch() string { return "e" }
func (l *listOf) Tend(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// What is missing before a batch is taken from the log, as far as that has it.
func TestKeeperFills(t *testing.T) {
	for _, first := range []fedmsg.Seq{1, 4} {
		log, list := newShelf(t, 2500), new(listOf)
		log.first = first
		k := NewKeeper(t.Context(), func(context.Context, string) (Opened, error) { return list, nil }, log, nil)
		if n, err := k.Deliver(t.Context(), log.entries[2400:2410]); n != 10 || err != nil {
			t.Fatalf("Deliver: %d, %v", n, err)
		}
		if len(list.given) != 2410-int(first)+1 || list.given[0] != first || list.Last() != 2410 {
			t.Errorf("it has %d entries from %d to %d, want all from %d to 2410", len(list.given), list.given[0], list.Last(), first)
		}
		if _, err := k.Deliver(t.Context(), log.entries[2410:2411]); err != nil || list.Last() != 2411 {
			t.Errorf("and then: %v, %d", err, list.Last())
		}
	}
}

type savedAt fedmsg.Seq

func (s savedAt) Load(context.Context, string) (fedmsg.Seq, error) { return fedmsg.Seq(s), nil }
func (savedAt) Save(context.Context, string, fedmsg.Seq) error     { return nil }

func TestKeeperCursors(t *testing.T) {
	list := &listOf{given: []fedmsg.Seq{7}}
	k := NewKeeper(t.Context(), func(context.Context, string) (Opened, error) { return list, nil }, newShelf(t, 20), nil)
	for saved, want := range map[savedAt]fedmsg.Seq{0: 0, 5: 5, 7: 7, 12: 7} {
		if at, err := k.Cursors(saved).Load(t.Context(), "archive"); at != want || err != nil {
			t.Errorf("saved at %d: Load gives %d, %v, want %d", saved, at, err, want)
		}
	}
}

// An archive that does not open is tried again; who delivers waits, who asks is told.
func TestKeeperWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, list, tries := newShelf(t, 3), new(listOf), 0
		var told fedmsgtest.LogBook
		k := NewKeeper(t.Context(), func(context.Context, string) (Opened, error) {
			if tries++; tries < 4 {
				return nil, io.ErrUnexpectedEOF
			}
			return list, nil
		}, log, told.Logger(0))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 2)
		go func() { done <- k.Run(ctx) }()
		if _, err := k.Search(ctx, fedmsg.Query{}); !errors.Is(err, fedmsg.ErrUnavailable) {
			t.Errorf("Search: %v, want ErrUnavailable", err)
		}
		for _, err := range k.Read(ctx, 0) {
			if !errors.Is(err, fedmsg.ErrTooOld) {
				t.Errorf("Read: %v, want ErrTooOld", err)
			}
		}
		if fedmsgtest.Value(k, "archive_up") != 0 || k.Last() != 0 {
			t.Error("it says that it is open")
		}
		began := time.Now()
		if n, err := k.Deliver(ctx, log.entries); n != 3 || err != nil {
			t.Errorf("Deliver: %d, %v", n, err)
		}
		if took := time.Since(began); took < 60*time.Second || took > 80*time.Second {
			t.Errorf("it was open after %s, want 10 + 20 + 40 seconds", took)
		}
		stop()
		if err := <-done; err != nil || !list.closed {
			t.Errorf("Run: %v, closed %v", err, list.closed)
		}
	})
}
