package readers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	nethttp "net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/readers"
	"github.com/fedora-infra/fedmsg-go/mem"
)

// A clock is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) pass(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

// A rig is a bus with named readers, over a log of ten messages.
type rig struct {
	window *bus.Window
	clock  *clock
	api    *readers.API
	url    string
	readers.Client
}

func start(t *testing.T, log *mem.Log, notes fedmsg.Notes, tokens *http.TokenFile) *rig {
	t.Helper()
	window, err := bus.NewWindow(t.Context(), bus.WindowConfig{}, log)
	if err != nil {
		t.Fatal(err)
	}
	gate, err := bus.NewGate(bus.GateConfig{AllowUnsigned: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, window, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{window: window, clock: &clock{now: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)}}
	r.api, err = readers.New(t.Context(), readers.Config{Log: window, Last: window.Last, Find: window, Notes: notes, Now: r.clock.read, Dead: 2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	server, err := http.Listen(http.Config{Addr: "127.0.0.1:0", AllowAnonymousLoopback: true, Tokens: tokens, Routes: []func(*nethttp.ServeMux){r.api.Mount}}, struct {
		*bus.Window
		fedmsg.Publisher
	}{window, gate}, fedmsg.Meters{r.api}, nil)
	if err != nil {
		t.Fatal(err)
	}
	fedmsgtest.Start(t, "server", server.Run)
	r.url = "http://" + server.Addr()
	r.Client = r.as(t, "")
	return r
}

func (r *rig) as(t *testing.T, token string) readers.Client {
	t.Helper()
	c, err := http.New(http.ClientConfig{URL: r.url, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return readers.NewClient(c)
}

func logOf(t *testing.T, n int) *mem.Log {
	t.Helper()
	log := mem.NewLog()
	for i := range n {
		if r := log.Append(t.Context(), fedmsg.Entry{Message: fedmsgtest.Message(i)}); r[0].Err != nil {
			t.Fatal(r[0].Err)
		}
	}
	return log
}

// next asks for what is next, and returns the places of what came.
func (r *rig) next(t *testing.T, name, instance, turn string, after fedmsg.Seq, limit int) (b readers.Batch, places string) {
	t.Helper()
	b, err := r.Next(t.Context(), name, instance, turn, after, limit, 0)
	if err != nil {
		t.Fatalf("Next(%s, %s, %q, %d): %v", name, instance, turn, after, err)
	}
	var seqs []fedmsg.Seq
	for _, text := range b.Messages {
		var e http.Element
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, e.Seq)
	}
	return b, fmt.Sprint(seqs)
}

func wantReason(t *testing.T, what string, err error, want fedmsg.Reason) {
	t.Helper()
	if got := fedmsg.ReasonOf(err); got != want {
		t.Errorf("%s: %v (reason %q), want %q", what, err, got, want)
	}
}

// What is not acknowledged comes again, to whoever has the reader; after a new start, too.
func TestPlaceMovesByAck(t *testing.T) {
	log, notes := logOf(t, 10), new(mem.Notes)
	r := start(t, log, notes, nil)
	if made, err := r.Make(t.Context(), "a", readers.Wish{From: "begin"}); err != nil || made.Lag != 10 {
		t.Fatalf("Make = %+v, %v", made, err)
	}
	b, got := r.next(t, "a", "one", "", 0, 4)
	if got != "[1 2 3 4]" || b.Next != 4 || b.At != 0 || b.Lag != 6 {
		t.Fatalf("first batch %s, %+v", got, b)
	}
	if _, got := r.next(t, "a", "one", b.Turn, b.Next, 2); got != "[5 6]" {
		t.Errorf("going on: %s, want [5 6]", got)
	}
	if err := r.Ack(t.Context(), "a", readers.Ack{Instance: "one", Turn: b.Turn, Seq: 3}); err != nil {
		t.Fatal(err)
	}
	if _, got := r.next(t, "a", "one", "", 0, 2); got != "[4 5]" {
		t.Errorf("after ack 3: %s, want [4 5]", got)
	}
	again := start(t, log, notes, nil)
	if _, got := again.next(t, "a", "two", "", 0, 2); got != "[4 5]" {
		t.Errorf("after a new start: %s, want [4 5]", got)
	}
	if err := again.Ack(t.Context(), "a", readers.Ack{Instance: "two", Turn: b.Turn, Seq: 11}); fedmsg.ReasonOf(err) != fedmsg.BadField {
		t.Errorf("Ack beyond the end: %v, want bad_field", err)
	}
	if err := again.Ack(t.Context(), "a", readers.Ack{Instance: "two", Turn: b.Turn, Seq: 2}); err != nil {
		t.Errorf("a late Ack: %v", err)
	}
	if shown, err := again.Show(t.Context(), "a"); err != nil || shown.At != 3 || shown.Instance != "two" {
		t.Errorf("Show = %+v, %v, want place 3: it never goes back by an ack", shown, err)
	}
}

// One instance has a reader for as long as it is heard of, or until it gives it back.
func TestLease(t *testing.T) {
	r := start(t, logOf(t, 3), new(mem.Notes), nil)
	if _, err := r.Make(t.Context(), "a", readers.Wish{From: "begin"}); err != nil {
		t.Fatal(err)
	}
	b, _ := r.next(t, "a", "one", "", 0, 1)
	try := func(instance string) error {
		_, err := r.Next(t.Context(), "a", instance, "", 0, 1, 0)
		return err
	}
	wantReason(t, "the second at once", try("two"), http.ReaderBusy)
	r.clock.pass(20 * time.Second)
	if err := r.Ack(t.Context(), "a", readers.Ack{Instance: "one", Turn: b.Turn}); err != nil {
		t.Fatal(err)
	}
	r.clock.pass(20 * time.Second)
	wantReason(t, "the second, after the first was heard of", try("two"), http.ReaderBusy)
	r.clock.pass(10 * time.Second)
	if err := try("two"); err != nil {
		t.Errorf("the second, 30 s later: %v", err)
	}
	wantReason(t, "the first, late", r.Ack(t.Context(), "a", readers.Ack{Instance: "one", Turn: b.Turn, Seq: 1}), http.ReaderBusy)
	if err := r.Ack(t.Context(), "a", readers.Ack{Instance: "two", Turn: b.Turn, Seq: 1, Release: true}); err != nil {
		t.Fatal(err)
	}
	if err := try("one"); err != nil {
		t.Errorf("the first, after the second gave it back: %v", err)
	}
	r.clock.pass(8 * 24 * time.Hour)
	if list, err := r.List(t.Context()); err != nil || len(list) != 1 || !list[0].Away || list[0].Instance != "" {
		t.Errorf("List after a week = %+v, %v, want it away", list, err)
	}
}

// Who is moved is told, and does not undo it by an ack.
func TestMove(t *testing.T) {
	r := start(t, logOf(t, 10), new(mem.Notes), nil)
	if _, err := r.Make(t.Context(), "a", readers.Wish{}); err != nil {
		t.Fatal(err)
	}
	b, got := r.next(t, "a", "one", "", 0, 5)
	if got != "[]" || b.At != 10 {
		t.Errorf("a reader from now on gets %s at %d", got, b.At)
	}
	page, _, err := r.window.Page(t.Context(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		to   string
		want fedmsg.Seq
	}{{"begin", 0}, {"now", 10}, {"7", 7}, {"id:" + page[4].Message.ID, 5}, {"2000-01-01T00:00:00Z", 0}, {"2200-01-01T00:00:00+02:00", 10}} {
		if moved, err := r.Move(t.Context(), "a", tt.to); err != nil || moved.At != tt.want {
			t.Errorf("Move(%q) = %d, %v, want %d", tt.to, moved.At, err, tt.want)
		}
	}
	for _, to := range []string{"", "11", "-1", "soon", "id:", "id:nobody"} {
		if _, err := r.Move(t.Context(), "a", to); fedmsg.ReasonOf(err) != fedmsg.BadField {
			t.Errorf("Move(%q): %v, want bad_field", to, err)
		}
	}
	wantReason(t, "an ack of before", r.Ack(t.Context(), "a", readers.Ack{Instance: "one", Turn: b.Turn, Seq: 10}), http.ReaderMoved)
}

// What the log has no longer is told, once, and the reader goes on.
func TestGap(t *testing.T) {
	log, notes := logOf(t, 10), new(mem.Notes)
	r := start(t, log, notes, nil)
	for _, name := range []string{"a", "b"} {
		if _, err := r.Make(t.Context(), name, readers.Wish{From: "2"}); err != nil {
			t.Fatal(err)
		}
	}
	log.Limit = 4
	log.Append(t.Context(), fedmsg.Entry{Message: fedmsgtest.Message(11)})
	b, got := r.next(t, "a", "one", "", 0, 2)
	if b.Gap == nil || b.Gap.Reason != http.GapTooOld || got != "[]" || b.Next != b.Gap.After {
		t.Fatalf("after the log was trimmed: %s, %+v, want a gap", got, b)
	}
	if b, got := r.next(t, "a", "one", b.Turn, b.Next, 2); b.Gap != nil || got == "[]" {
		t.Errorf("after the gap: %s, %+v", got, b.Gap)
	}
	other := start(t, logOf(t, 4), notes, nil)
	b, got = other.next(t, "b", "one", "", 0, 9)
	if b.Gap == nil || b.Gap.Reason != http.GapEpoch || got != "[1 2 3 4]" {
		t.Errorf("with another log: %s, %+v, want a gap and all of it", got, b.Gap)
	}
}

// Patterns and a query choose; what nobody wants is passed by.
func TestChoice(t *testing.T) {
	log := mem.NewLog()
	for i, topic := range []fedmsg.Topic{"org.fedoraproject.dev.git.receive", "org.fedoraproject.dev.bodhi.update", "org.fedoraproject.dev.git.receive", "org.fedoraproject.dev.wiki.edit"} {
		log.Append(t.Context(), fedmsg.Entry{Message: fedmsgtest.MessageOf(i, topic, fmt.Sprintf(`{"n":%d}`, i))})
	}
	r := start(t, log, new(mem.Notes), nil)
	for _, tt := range []struct {
		wish readers.Wish
		want string
	}{
		{readers.Wish{}, "[1 2 3 4]"},
		{readers.Wish{Topics: []fedmsg.Pattern{"#.git.#"}}, "[1 3]"},
		{readers.Wish{Topics: []fedmsg.Pattern{"#.git.#", "#.edit"}, Query: "body.n:2"}, "[3]"},
		{readers.Wish{Query: "category:koji"}, "[]"},
	} {
		tt.wish.From = "begin"
		if _, err := r.Make(t.Context(), "a", tt.wish); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Move(t.Context(), "a", "begin"); err != nil {
			t.Fatal(err)
		}
		if b, got := r.next(t, "a", "one", "", 0, 100); got != tt.want || b.Next != 4 {
			t.Errorf("%+v gets %s up to %d, want %s up to 4", tt.wish, got, b.Next, tt.want)
		}
	}
	if shown, err := r.Show(t.Context(), "a"); err != nil || shown.At != 4 {
		t.Errorf("a reader that wants none of it is at %d, %v, want 4", shown.At, err)
	}
	if err := r.Forget(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Show(t.Context(), "a"); !errors.Is(err, fedmsg.ErrNotFound) {
		t.Errorf("Show of a forgotten reader: %v", err)
	}
}

// There is room for a few dead letters; then a reader has to wait.
func TestDeadLettersAreBounded(t *testing.T) {
	log, notes := logOf(t, 10), new(mem.Notes)
	r := start(t, log, notes, nil)
	if _, err := r.Make(t.Context(), "a", readers.Wish{From: "begin"}); err != nil {
		t.Fatal(err)
	}
	b, _ := r.next(t, "a", "one", "", 0, 5)
	give := func(seq fedmsg.Seq) error {
		return r.GiveUp(t.Context(), "a", readers.GiveUp{Instance: "one", Turn: b.Turn, Seq: seq, Reason: "no", Tries: 3})
	}
	for _, seq := range []fedmsg.Seq{1, 2, 2} {
		if err := give(seq); err != nil {
			t.Fatalf("GiveUp(%d): %v", seq, err)
		}
	}
	wantReason(t, "a third one", give(3), fedmsg.StorageFull)
	dead, err := start(t, log, notes, nil).Dead(t.Context(), "a")
	if err != nil || len(dead) != 2 || dead[1].Tries != 6 {
		t.Errorf("after a new start: %+v, %v, want two, the second of 6 attempts", dead, err)
	}
	if err := r.Drop(t.Context(), "a", 1); err != nil {
		t.Fatal(err)
	}
	if err := give(99); fedmsg.ReasonOf(err) != fedmsg.BadField {
		t.Errorf("GiveUp of no message: %v, want bad_field", err)
	}
	if err := r.Forget(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if left, err := notes.Notes(context.Background(), ""); len(left) != 0 || err != nil {
		t.Errorf("a forgotten reader leaves %q, %v", left, err)
	}
}

// A token reads what its scopes say, and works for readers of its own; an admin's for all.
// With tokens nobody else does.
func TestTokens(t *testing.T) {
	tokens, err := http.OpenTokens(filepath.Join(t.TempDir(), "tokens.json"))
	if err != nil {
		t.Fatal(err)
	}
	secrets := make(map[string]string)
	for name, scope := range map[string]string{"git": "read:#.git.#", "all": "read:#", "root": "admin", "ci": "publish:#"} {
		if secrets[name], _, err = tokens.Create(name, []string{scope}, 0); err != nil {
			t.Fatal(err)
		}
	}
	log := mem.NewLog()
	for i, topic := range []fedmsg.Topic{"org.fedoraproject.dev.git.receive", "org.fedoraproject.dev.wiki.edit"} {
		log.Append(t.Context(), fedmsg.Entry{Message: fedmsgtest.MessageOf(i, topic, `{}`)})
	}
	r := start(t, log, new(mem.Notes), tokens)
	ctx := t.Context()
	if _, err := r.as(t, secrets["git"]).Make(ctx, "a", readers.Wish{From: "begin"}); err != nil {
		t.Fatal(err)
	}
	b, err := r.as(t, secrets["git"]).Next(ctx, "a", "one", "", 0, 10, 0)
	if err != nil || len(b.Messages) != 1 || b.Next != 2 {
		t.Errorf("Next with read:#.git.# = %d messages up to %d, %v, want the one of git", len(b.Messages), b.Next, err)
	}
	for name, want := range map[string]fedmsg.Reason{"all": fedmsg.NotAuthorized, "ci": fedmsg.NotAuthorized, "": fedmsg.Unauthenticated, "root": ""} {
		_, err := r.as(t, secrets[name]).Show(ctx, "a")
		wantReason(t, "Show with the token "+name, err, want)
	}
	if list, err := r.as(t, secrets["all"]).List(ctx); len(list) != 0 || err != nil {
		t.Errorf("List with another token = %+v, %v, want none", list, err)
	}
}

// A page of another site cannot take a reader, and no page can read what it says.
func TestOtherSites(t *testing.T) {
	r := start(t, logOf(t, 1), new(mem.Notes), nil)
	if _, err := r.Make(t.Context(), "a", readers.Wish{From: "begin"}); err != nil {
		t.Fatal(err)
	}
	for site, want := range map[string]int{"cross-site": 403, "same-origin": 200} {
		req, err := nethttp.NewRequestWithContext(t.Context(), "GET", r.url+"/api/v1/readers/a/next?instance=page", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Sec-Fetch-Site", site)
		resp, err := nethttp.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %s, allowed for %q, want %d", site, resp.Status, resp.Header.Get("Access-Control-Allow-Origin"), want)
		}
	}
}
