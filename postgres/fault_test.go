package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/naive"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/pgserver"
	"github.com/fedora-infra/fedmsg-go/postgres"
	"github.com/fedora-infra/fedmsg-go/sqlite"
)

// entries are those from place first on, an hour apart, so that months change.
func entries(first, count int) []fedmsg.Entry {
	batch := make([]fedmsg.Entry, count)
	for i := range batch {
		n := first + i
		m := fedmsgtest.MessageOf(n*3600, fedmsg.Topic(fmt.Sprintf("org.example.dev.exam.kind%d", n%7)),
			fmt.Sprintf(`{"agent":"user%d","users":["user%d","user%d"],"packages":["package%d"],"objects":["object/%d"],"text":"words number%d and others"}`, n%11, n%11, n%5, n%13, n, n))
		batch[i] = fedmsg.Entry{Seq: fedmsg.Seq(n), At: m.Time, Verified: "none", Message: m}
	}
	return batch
}

// fill delivers entries, which must all be taken.
func fill(t testing.TB, a *postgres.Archive, all []fedmsg.Entry) {
	t.Helper()
	for batch := range slices.Chunk(all, 100) {
		if n, err := a.Deliver(t.Context(), batch); n != len(batch) || err != nil {
			t.Fatalf("Deliver = %d, %v; want %d", n, err, len(batch))
		}
	}
}

// Random questions get the same pages of PostgreSQL and of SQLite, the cursors too.
func TestSamePagesAsSQLite(t *testing.T) {
	cfg := fresh(t)
	cfg.Describer = naive.Describer{}
	a := openArchive(t, cfg)
	b, err := sqlite.OpenArchive(t.Context(), sqlite.ArchiveConfig{Dir: t.TempDir(), Describer: naive.Describer{}, Budget: time.Minute}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	random := naive.NewRandom(21)
	for batch := range slices.Chunk(random.Entries(400), 100) {
		for _, archive := range []fedmsg.Sink{a, b} {
			if n, err := archive.Deliver(t.Context(), batch); n != len(batch) || err != nil {
				t.Fatalf("Deliver = %d, %v", n, err)
			}
		}
	}
	for range 150 {
		q := random.Query()
		q.Limit = min(max(q.Limit, 5), 40)
		for pages := 0; pages == 0 || q.Cursor != "" && pages < 4; pages++ {
			ours, err := a.Search(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := b.Search(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := spell(ours), spell(theirs); got != want {
				t.Fatalf("Search(%s):\n%s\nSQLite:\n%s", naive.Show(q), got, want)
			}
			q.Cursor = ours.Next
		}
	}
}

// spell is all of a page.
func spell(p fedmsg.Page) string {
	var b strings.Builder
	fmt.Fprintf(&b, "next %s, prev %s, looked to %s\n", p.Next, p.Prev, p.ScannedTo)
	for _, e := range p.Entries {
		fmt.Fprintf(&b, "%d %s %s %s\n", e.Seq, e.At, e.Verified, e.Message.Bytes())
	}
	return b.String()
}

// What is ended for the sake of another transaction is tried again, and stored once.
func TestSerializationFailure(t *testing.T) {
	cfg := fresh(t)
	cfg.Describer = naive.Describer{}
	a := openArchive(t, cfg)
	fill(t, a, entries(1, 50))
	failing(t, server(t), cfg.Schema, "AFTER INSERT ON", "m2026_01_msg", "nextval('tries') <= 3", "40001")
	fill(t, a, entries(51, 50))
	if tried := server(t).Query(t, "postgres", "SELECT last_value FROM "+cfg.Schema+".tries"); tried < "4" {
		t.Errorf("the transaction was tried %s times, want 4 or more", tried)
	}
	sound(t, a, 100)
	if got := fedmsgtest.Value(a, "archive_messages"); got != 100 {
		t.Errorf("it counts %v messages, want 100", got)
	}
	server(t).Query(t, "postgres", "ALTER SEQUENCE "+cfg.Schema+".tries RESTART INCREMENT -1 MINVALUE -1000") // for ever
	if n, err := a.Deliver(t.Context(), entries(101, 50)); n != 0 || !errors.Is(err, fedmsg.ErrUnavailable) {
		t.Errorf("Deliver that always fails = %d, %v; want ErrUnavailable", n, err)
	}
	server(t).Query(t, "postgres", "DROP TRIGGER fail ON "+cfg.Schema+".m2026_01_msg")
	fill(t, a, entries(101, 50))
	sound(t, a, 150)
}

// failing has what a table is given fail at the end of the transaction.
func failing(t *testing.T, s *pgserver.Server, schema, when, table, condition, code string) {
	t.Helper()
	s.Query(t, "postgres", fmt.Sprintf(`SET search_path = %s; CREATE SEQUENCE tries MINVALUE 0 START 1;
		CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF %s THEN RAISE 'made to fail' USING ERRCODE = '%s'; END IF; RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER fail %s %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()`, schema, condition, code, when, table))
}

// A connection may break when the server has committed, or has not: the batch comes
// again, and is stored once. A server that is gone is waited for.
func TestServerGone(t *testing.T) {
	s := pgserver.Start(t)
	cfg := postgres.Config{DSN: s.DSN("postgres"), Describer: naive.Describer{}, Budget: time.Minute}
	a := openArchive(t, cfg)
	fill(t, a, entries(1, 100))
	s.Stop()
	began := time.Now()
	if n, err := a.Deliver(t.Context(), entries(101, 10)); n != 0 || !errors.Is(err, fedmsg.ErrUnavailable) {
		t.Errorf("Deliver without a server = %d, %v; want ErrUnavailable", n, err)
	}
	if _, err := a.Search(t.Context(), fedmsg.Query{}); !errors.Is(err, fedmsg.ErrUnavailable) {
		t.Errorf("Search without a server: %v, want ErrUnavailable", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s to see that there is no server", took)
	}
	s.Start(t)
	fill(t, a, entries(101, 10))

	proxy := newProxy(t, s.Port)
	behind := cfg
	behind.DSN = strings.Replace(cfg.DSN, fmt.Sprint(s.Port), fmt.Sprint(proxy.port), 1)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = openArchive(t, behind)
	topics := 0
	for at := 111; at < 211; at += 10 {
		batch := entries(at, 10)
		batch[3].Message = fedmsgtest.MessageOf((at+3)*3600, fedmsg.Topic(fmt.Sprintf("org.example.dev.exam.fresh%d", at)), `{}`)
		topics++
		proxy.breakAtCommit(at%20 == 11) // after the server has it, or before
		n, err := a.Deliver(t.Context(), batch)
		if n != 0 || !errors.Is(err, fedmsg.ErrUnavailable) {
			t.Fatalf("Deliver over a connection that breaks at COMMIT = %d, %v; want ErrUnavailable", n, err)
		}
		fill(t, a, batch)
	}
	sound(t, a, 210)
	if got := fedmsgtest.Value(a, "archive_messages"); got != 210 {
		t.Errorf("it counts %v messages, want 210", got)
	}
	page, err := a.Search(t.Context(), fedmsg.Query{Limit: 100, Filter: fedmsg.Filter{Op: fedmsg.Has, Test: fedmsg.Test{Field: fedmsg.TopicField, Value: "org.example.dev.exam.fresh*"}}})
	if err != nil || len(page.Entries) != 0 { // a * is a whole word
		t.Errorf("Search(fresh*) = %d, %v", len(page.Entries), err)
	}
	for at := 111; at < 211; at += 10 {
		topic := fmt.Sprintf("org.example.dev.*.fresh%d", at)
		page, err := a.Search(t.Context(), fedmsg.Query{Filter: fedmsg.Filter{Op: fedmsg.Has, Test: fedmsg.Test{Field: fedmsg.TopicField, Value: topic}}})
		if err != nil || len(page.Entries) != 1 {
			t.Errorf("Search(topic:%s) = %d found, %v; want 1", topic, len(page.Entries), err)
		}
	}
}

// A proxy stands before a server, and breaks a connection when it is told.
type proxy struct {
	port int
	at   chan bool // break at the next COMMIT: after the server has answered, or before it hears
}

func newProxy(t *testing.T, to int) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &proxy{port: l.Addr().(*net.TCPAddr).Port, at: make(chan bool, 1)}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", to))
			if err != nil {
				client.Close()
				continue
			}
			go func() { _, _ = io.Copy(client, server); client.Close() }()
			go p.forward(client, server)
		}
	}()
	return p
}

func (p *proxy) breakAtCommit(after bool) { p.at <- after }

// forward passes on what a client says.
func (p *proxy) forward(client, server net.Conn) {
	defer server.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if strings.HasSuffix(string(buf[:n]), "COMMIT\x00") {
			select {
			case after := <-p.at:
				client.Close()
				if after {
					_, _ = server.Write(buf[:n]) // which it acts upon before it sees the end
				}
				return
			default:
			}
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

// Who is not let in is not let in, and hears why, but for the password.
func TestOpenRefused(t *testing.T) {
	s := server(t)
	cfg := fresh(t)
	a := openArchive(t, cfg)
	fill(t, a, entries(1, 3))
	s.Query(t, "postgres", "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
	newer := fresh(t)
	b := openArchive(t, newer)
	fill(t, b, entries(1, 3))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	s.Query(t, "postgres", "UPDATE "+newer.Schema+".m2026_01_meta SET value = '99' WHERE name = 'schema'")
	empty, wrong := filepath.Join(t.TempDir(), "none"), filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(wrong, []byte("Open-barley-2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		cfg   postgres.Config
		want  error
		has   string
		quick bool
	}{
		{"another writes", cfg, postgres.ErrLocked, "another process", true},
		{"newer", newer, postgres.ErrNewerSchema, "newer", false},
		{"wrong password", postgres.Config{DSN: strings.Replace(s.DSN("postgres"), pgserver.Password, "Open-barley-2", 1)}, fedmsg.ErrUnavailable, "28P01", true},
		{"wrong password in a file", postgres.Config{DSN: s.DSN("postgres"), PasswordFile: wrong}, fedmsg.ErrUnavailable, "28P01", true},
		{"no password file", postgres.Config{DSN: s.DSN("postgres"), PasswordFile: empty}, os.ErrNotExist, "password file", true},
		{"no such database", postgres.Config{DSN: s.DSN("nowhere")}, fedmsg.ErrUnavailable, "nowhere", true},
		{"not UTF-8", postgres.Config{DSN: s.DSN("latin")}, fedmsg.ErrInvalid, "LATIN1", true},
		{"nobody there", postgres.Config{DSN: "postgres://u:Open-barley-2@127.0.0.1:1/x"}, fedmsg.ErrUnavailable, "refused", true},
		{"no DSN", postgres.Config{DSN: "postgres://u:Open-barley-2@host:port/x?sslmode=maybe"}, fedmsg.ErrInvalid, "cannot be read", false},
		{"all wrong", postgres.Config{Schema: `"; DROP`, DSN: s.DSN("postgres"), Budget: -1, Candidates: -1, Readers: -1}, nil, "readers", false},
	} {
		_, err := postgres.OpenArchive(t.Context(), tt.cfg, nil)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.has) || tt.quick && fedmsg.Hint(err) == "" {
			t.Errorf("%s: OpenArchive: %v (hint %q), want %v, %q, and a hint %v", tt.name, err, fedmsg.Hint(err), tt.want, tt.has, tt.quick)
		}
		for _, secret := range []string{pgserver.Password, "Open-barley-2", "password="} {
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the password is in the error: %v", tt.name, err)
			}
		}
	}
	if got := postgres.Redacted("postgres://u:pw@h/d?passfile=/x&sslmode=disable&search_path=other"); got != "postgres://u@h:5432/d?search_path=other" {
		t.Errorf("Redacted = %s", got)
	}
	if err := (postgres.Config{}).Validate(); err == nil {
		t.Error("Validate of nothing = nil")
	}
}

// After a password was refused nobody knocks for a while, however many want to.
func TestRefusedPasswordIsNotTriedOften(t *testing.T) {
	s := pgserver.Start(t)
	s.Query(t, "postgres", "CREATE ROLE r LOGIN PASSWORD 'one'; GRANT CREATE ON DATABASE postgres TO r")
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := new(fedmsgtest.LogBook)
	a, err := postgres.OpenArchive(t.Context(), postgres.Config{DSN: fmt.Sprintf("postgres://r@127.0.0.1:%d/postgres", s.Port), PasswordFile: file}, log.Logger(slog.LevelDebug))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	fill(t, a, entries(1, 3))
	s.Query(t, "postgres", "ALTER ROLE r PASSWORD 'two'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'r'")
	before := strings.Count(s.Log(), "password authentication failed")
	for range 40 {
		if _, err := a.Search(t.Context(), fedmsg.Query{}); !errors.Is(err, fedmsg.ErrUnavailable) {
			t.Fatalf("Search with a wrong password: %v, want ErrUnavailable", err)
		}
		if _, err := a.Deliver(t.Context(), entries(4, 1)); !errors.Is(err, fedmsg.ErrUnavailable) {
			t.Fatalf("Deliver with a wrong password: %v, want ErrUnavailable", err)
		}
	}
	if tries := strings.Count(s.Log(), "password authentication failed") - before; tries > 2 {
		t.Errorf("%d tries at once, want 1 or 2", tries)
	}
}

// A standby takes nothing, and says so; where there is a primary beside it, that one
// is found.
func TestStandby(t *testing.T) {
	s := pgserver.Start(t)
	standby := s.Standby(t)
	if _, err := postgres.OpenArchive(t.Context(), postgres.Config{DSN: standby.DSN("postgres")}, nil); !errors.Is(err, fedmsg.ErrUnavailable) ||
		!strings.Contains(err.Error(), "read-only") || !strings.Contains(fedmsg.Hint(err), "primary") {
		t.Errorf("OpenArchive on a standby: %v (hint %q)", err, fedmsg.Hint(err))
	}
	both := fmt.Sprintf("postgres://postgres:%s@127.0.0.1:%d,127.0.0.1:%d/postgres", pgserver.Password, standby.Port, s.Port)
	a := openArchive(t, postgres.Config{DSN: both})
	fill(t, a, entries(1, 3))
	fedmsgtest.Eventually(t, 20*time.Second, "the standby has it", func() bool {
		return standby.Query(t, "postgres", "SELECT to_regclass('fedmsg.m2026_01_msg') IS NOT NULL") == "t" && standby.Query(t, "postgres", "SELECT count(*) FROM fedmsg.m2026_01_msg") == "3"
	})
	reader := openArchive(t, postgres.Config{DSN: standby.DSN("postgres"), LockLate: true})
	if page, err := reader.Search(context.Background(), fedmsg.Query{}); err != nil || len(page.Entries) != 3 {
		t.Errorf("Search on a standby: %d found, %v", len(page.Entries), err)
	}
}

// Months are removed by dropping their tables.
func TestPrune(t *testing.T) {
	cfg := fresh(t)
	cfg.Describer, cfg.Epoch = naive.Describer{}, "e"
	a := openArchive(t, cfg)
	fill(t, a, entries(1, 1500)) // three months
	removed, err := a.Prune(t.Context(), time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC))
	if err != nil || !slices.Equal(removed, []string{"2026-01"}) {
		t.Fatalf("Prune: %q, %v", removed, err)
	}
	if left := server(t).Query(t, "postgres", "SELECT count(*) FROM pg_tables WHERE schemaname = '"+cfg.Schema+"' AND tablename LIKE 'm2026\\_01%'"); left != "0" {
		t.Errorf("%s tables are left", left)
	}
	for _, err := range a.Read(t.Context(), 5) {
		if !errors.Is(err, fedmsg.ErrTooOld) {
			t.Errorf("Read of what was removed: %v, want ErrTooOld", err)
		}
		break
	}
	if err := a.Compact(t.Context(), "2026-02"); err != nil {
		t.Error(err)
	}
	sound(t, a, -1)
}
