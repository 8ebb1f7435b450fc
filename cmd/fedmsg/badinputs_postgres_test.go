package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/client"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/pgserver"
)

// postgresCase is one line of archive.jsonl about PostgreSQL.
type postgresCase struct {
	Name string
	Must struct {
		LogHas     string `json:"log_has"`
		LogLacks   string `json:"log_must_not_contain"`
		RetryMax   int    `json:"retry_max_per_min"`
		Status     int
		Code       string
		Within     int `json:"within_s"`
		Duplicates *int
	}
}

// TestBadInputsPostgres has a bus with its archive in a database that is not as it
// should be. The bus goes on in every case.
func TestBadInputsPostgres(t *testing.T) {
	server := pgserver.Start(t)
	tests := map[string]func(*testing.T, *pgserver.Server, postgresCase){
		"pg-serialization-failure": pgSerialization, "pg-read-only-standby": pgStandby, "pg-password-wrong": pgPassword,
		"pg-slow-query-timeout": pgSlow, "pg-jsonb-nul": pgNUL,
		"pg-down-10min": nil, // stops its server: see TestPostgresOutage
	}
	for _, c := range fedmsgtest.Rows[postgresCase](t, filepath.Join(fedmsgtest.BadInputDir(t), "archive.jsonl")) {
		if !strings.HasPrefix(c.Name, "pg-") {
			continue
		}
		test, known := tests[c.Name]
		if !known {
			t.Errorf("nothing tests %s", c.Name)
		}
		if delete(tests, c.Name); test != nil {
			t.Run(c.Name, func(t *testing.T) { test(t, server, c) })
		}
	}
	if len(tests) > 0 {
		t.Errorf("%d cases are not in the collection any more", len(tests))
	}
	t.Run("import-nul-in-string", func(t *testing.T) {
		cases := archiveCases(t, "import-")
		c, dsn := cases["import-nul-in-string"], server.DSN("postgres")+"?search_path=imported"
		if got, line := importFile(t, dsn, c.write(t)); got.status != c.Must.Exit || line.Imported != 1 {
			t.Fatalf("import: %+v, %+v", got, line)
		}
		c.checkKept(t, dsn, cases)
	})
}

// wellIs verifies an archive that must have so many messages.
func wellIs(t *testing.T, dsn string, messages fedmsg.Seq) {
	t.Helper()
	if got := fedmsgWith(t, new(fakeBus), "", nil, "archive", "verify", "--archive", dsn); got.status != 0 || got.stdout != fmt.Sprintf("%d messages are well\n", messages) {
		t.Errorf("verify: %+v, want %d messages", got, messages)
	}
}

func pgSerialization(t *testing.T, server *pgserver.Server, c postgresCase) {
	dsn := server.DSN("postgres") + "?search_path=serial"
	addrs, told, stop := startServeLogged(t, t.TempDir(), "--archive", dsn)
	archives(t, addrs, say(t, addrs, 3), told)
	table := server.Query(t, "postgres", "SELECT max(tablename) FROM pg_tables WHERE schemaname = 'serial' AND tablename LIKE 'm%msg'")
	server.Query(t, "postgres", `SET search_path = serial; CREATE SEQUENCE tries;
		CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF nextval('tries') <= 7 THEN RAISE 'made to fail' USING ERRCODE = '40001'; END IF; RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON `+table+` DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()`)
	last := say(t, addrs, 5)
	archives(t, addrs, last, told)
	if tries := server.Query(t, "postgres", "SELECT last_value >= 8 FROM serial.tries"); tries != "t" {
		t.Error("no transaction failed")
	}
	if got := metrics(t, addrs, "fedmsg_archive_duplicates_total"); got != fmt.Sprint(*c.Must.Duplicates) {
		t.Errorf("%s duplicates, want %d", got, *c.Must.Duplicates)
	}
	stop()
	wellIs(t, dsn, last)
}

func pgStandby(t *testing.T, server *pgserver.Server, c postgresCase) {
	standby := server.Standby(t)
	addrs, told, _ := startServeLogged(t, t.TempDir(), "--archive", standby.DSN("postgres"))
	say(t, addrs, 3)
	if up := metrics(t, addrs, "fedmsg_archive_up"); up != "0" || !strings.Contains(told.String(), c.Must.LogHas) {
		t.Errorf("archive_up %s, and the log says %s", up, told.String())
	}
}

func pgPassword(t *testing.T, server *pgserver.Server, c postgresCase) {
	const wrong = "Open-barley-2"
	before := strings.Count(server.Log(), "password authentication failed")
	addrs, told, _ := startServeLogged(t, t.TempDir(), "--archive", strings.Replace(server.DSN("postgres"), pgserver.Password, wrong, 1))
	const watched = 12 * time.Second // beyond the first try after the one at the start
	for end := time.Now().Add(watched); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		say(t, addrs, 1)
		if status, _ := get(t, addrs, "/api/v1/messages?q=user:x"); status != http.StatusServiceUnavailable {
			t.Fatalf("a search without an archive is answered with %d, want 503", status)
		}
	}
	most := 1 + int(watched/(time.Minute/time.Duration(c.Must.RetryMax)))
	if tries := strings.Count(server.Log(), "password authentication failed") - before; tries < 1 || tries > most {
		t.Errorf("%d tries in %s, want at most %d", tries, watched, most)
	}
	if log := told.String(); strings.Contains(log, c.Must.LogLacks) || strings.Contains(log, wrong) || !strings.Contains(log, "28P01") {
		t.Errorf("the log says %s", log)
	}
	if up := metrics(t, addrs, "fedmsg_archive_up"); up != "0" {
		t.Errorf("archive_up %s, want 0", up)
	}
}

// get asks a bus over HTTP.
func get(t *testing.T, addrs map[string]string, path string) (status int, body string) {
	t.Helper()
	resp, err := http.Get("http://" + addrs["http"] + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func pgSlow(t *testing.T, server *pgserver.Server, c postgresCase) {
	addrs, told, _ := startServeLogged(t, t.TempDir(), "--archive", server.DSN("postgres")+"?search_path=slow")
	last := say(t, addrs, 3)
	archives(t, addrs, last, told)
	table := server.Query(t, "postgres", "SELECT max(tablename) FROM pg_tables WHERE schemaname = 'slow' AND tablename LIKE 'm%msg'")
	release := server.Hold(t, "postgres", "LOCK TABLE slow."+table) // which is in the way as pg_sleep would be
	began := time.Now()
	status, body := get(t, addrs, "/api/v1/messages?q=category:exam")
	var problem struct{ Code string }
	if json.Unmarshal([]byte(body), &problem) != nil || status != c.Must.Status || problem.Code != c.Must.Code {
		t.Errorf("a slow answer is %d %s, want %d %s", status, body, c.Must.Status, c.Must.Code)
	}
	if took := time.Since(began); took > time.Duration(c.Must.Within)*time.Second {
		t.Errorf("it took %s, want at most %d s", took, c.Must.Within)
	}
	release()
	if status, body := get(t, addrs, "/api/v1/messages?q=category:exam"); status != 200 {
		t.Errorf("after it: %d %s", status, body)
	}
	archives(t, addrs, say(t, addrs, 3), told)
}

func pgNUL(t *testing.T, server *pgserver.Server, _ postgresCase) {
	dsn := server.DSN("postgres") + "?search_path=nul"
	addrs, told, _ := startServeLogged(t, t.TempDir(), "--archive", dsn)
	b, err := client.Open(t.Context(), "http://"+addrs["http"])
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	const text = "a\x00b \x00nul"
	receipt, err := b.Publish(t.Context(), "exam", "free", map[string]any{"s": text, "\x00": nil})
	if err != nil {
		t.Fatal(err)
	}
	archives(t, addrs, 1, told)
	_, logged := get(t, addrs, "/api/v1/messages/"+receipt.ID)
	got := fedmsgWith(t, new(fakeBus), "", nil, "history", "--json", "--archive", dsn, "a", "b", "nul")
	var kept struct{ Message json.RawMessage }
	if err := json.Unmarshal([]byte(got.stdout), &kept); err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	m, err := fedmsg.DecodeHistory(kept.Message)
	if err != nil || string(m.Body) != `{"\u0000":null,"s":"a\u0000b \u0000nul"}` {
		t.Errorf("kept %s, %v", kept.Message, err)
	}
	if !strings.Contains(logged, string(kept.Message)) {
		t.Errorf("the archive has %s, and the log %s", kept.Message, logged)
	}
}

// TestPostgresOutage is pg-down-10min, for as long as FEDMSG_TEST_OUTAGE says: the bus
// takes 50 messages a second while its archive's server is gone, tells how far behind
// the archive is, and in the end the archive has what the log has.
func TestPostgresOutage(t *testing.T) {
	outage := 4 * time.Second
	if text := os.Getenv("FEDMSG_TEST_OUTAGE"); text != "" {
		var err error
		if outage, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	server := pgserver.Start(t)
	dsn := server.DSN("postgres")
	addrs, told, stop := startServeLogged(t, t.TempDir(), "--archive", dsn)
	archives(t, addrs, say(t, addrs, 1), told)
	stopTalking, talked := make(chan struct{}), make(chan fedmsg.Seq)
	var ids []string
	var slowest time.Duration
	go func() {
		var last fedmsg.Seq
		defer func() { talked <- last }()
		b, err := client.Open(t.Context(), "http://"+addrs["http"])
		if err != nil {
			t.Error(err)
			return
		}
		defer b.Close()
		for tick := time.Tick(20 * time.Millisecond); ; {
			select {
			case <-stopTalking:
				return
			case <-tick:
			}
			began := time.Now()
			r, err := b.Publish(t.Context(), "exam", "free", map[string]any{"n": last})
			if err != nil {
				t.Errorf("publish while the archive's server is away: %v", err)
				return
			}
			slowest = max(slowest, time.Since(began))
			last, ids = r.Seq, append(ids, r.ID)
		}
	}()
	server.Stop()
	down := time.Now()
	fedmsgtest.Eventually(t, 20*time.Second, "the archive's lag is told", func() bool {
		lag := metrics(t, addrs, `fedmsg_consumer_lag_messages{consumer="archive"}`)
		return lag != "" && lag != "0"
	})
	if status, body := get(t, addrs, "/api/v1/messages?q=category:exam"); status != http.StatusServiceUnavailable {
		t.Errorf("a search: %d %s, want 503", status, body)
	}
	fedmsgtest.Eventually(t, 20*time.Second, "the status page tells of it", func() bool {
		_, page := get(t, addrs, "/status")
		_, archive, _ := strings.Cut(page, "archive")
		return strings.Contains(archive, "fails") || strings.Contains(archive, "behind")
	})
	for time.Since(down) < outage {
		time.Sleep(50 * time.Millisecond)
	}
	server.Start(t)
	close(stopTalking)
	last := <-talked
	fedmsgtest.Eventually(t, 2*time.Minute, "the archive catches up; it says "+told.String(), func() bool {
		return metrics(t, addrs, "fedmsg_archive_last_sequence") == fmt.Sprint(last)
	})
	if got := metrics(t, addrs, "fedmsg_archive_messages"); got != fmt.Sprint(last) {
		t.Errorf("it has %s messages, and the log %d", got, last)
	}
	stop()
	wellIs(t, dsn, last)
	month := "fedmsg." + strings.TrimSuffix(server.Query(t, "postgres", "SELECT max(tablename) FROM pg_tables WHERE schemaname = 'fedmsg' AND tablename LIKE 'm%msg'"), "msg")
	kept := strings.Fields(server.Query(t, "postgres", strings.ReplaceAll(`SELECT count(*), (SELECT count(DISTINCT uid) FROM (SELECT uid FROM {known UNION ALL SELECT uid FROM {fresh) ids),
		count(DISTINCT place), max(place) - min(place) + 1 FROM {msg`, "{", month)))
	if want := []string{strings.TrimSuffix(strings.Repeat(fmt.Sprint(last)+"|", 4), "|")}; !slices.Equal(kept, want) {
		t.Errorf("rows, IDs, places, from first to last: %s, want %s", kept, want)
	}
	got := fedmsgWith(t, new(fakeBus), "", nil, "history", "--json", "--all", "--oldest", "--archive", dsn)
	at := 0
	for line := range strings.Lines(got.stdout) {
		if at < len(ids) && strings.Contains(line, ids[at]) {
			at++
		}
	}
	if at != len(ids) {
		t.Errorf("of %d messages published meanwhile %d are there in their order", len(ids), at)
	}
	t.Logf("away for %s: %d messages; the slowest publish took %s", time.Since(down).Round(time.Second), len(ids), slowest)
}
