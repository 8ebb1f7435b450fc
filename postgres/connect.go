package postgres

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

const (
	// readTime is how long the server works on one statement of a question. Who asks over
	// HTTP has 12 seconds in all.
	readTime = 8 * time.Second
	// writeTime is the same for one that writes, of which none is large.
	writeTime = time.Minute
	// lockTime is how long a new connection waits for the lock: a process that was killed
	// holds it until its last statement has ended.
	lockTime = 3 * time.Second
	// dialTime is how long to wait for the server to answer.
	dialTime = 5 * time.Second
	// barTime is how long nobody knocks again after a password was refused.
	barTime = 12 * time.Second
	// statementsKept is how many statements a connection keeps prepared: those of a month
	// are some forty.
	statementsKept = 500
)

// A target is a database, and a schema in it.
type target struct {
	config       *pgx.ConnConfig
	schema       string
	passwordFile string
	anyServer    bool // will do to read from

	connections atomic.Int64 // for writing, made so far

	mu      sync.Mutex
	refused time.Time // when a password was refused
	why     error
}

// withSecret finds what may hold a password in a DSN that cannot be read.
var withSecret = regexp.MustCompile(`:[^/@]*@|password`)

func parse(cfg Config) (*target, error) {
	config, err := pgx.ParseConfig(cfg.DSN)
	if err != nil {
		why := "it cannot be read"
		if inner := errors.Unwrap(err); inner != nil && !withSecret.MatchString(cfg.DSN) {
			why = inner.Error()
		}
		return nil, fmt.Errorf("dsn: %s: want postgres://USER@HOST:PORT/DATABASE: %w", why, fedmsg.ErrInvalid)
	}
	t := &target{config: config, schema: cfg.Schema, passwordFile: cfg.PasswordFile, anyServer: cfg.LockLate}
	for _, otherwise := range []string{config.RuntimeParams["search_path"], "fedmsg"} {
		if t.schema == "" {
			t.schema = otherwise
		}
	}
	config.StatementCacheCapacity = statementsKept
	config.ConnectTimeout = dialTime
	config.DialFunc = (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext
	defaults := map[string]string{"application_name": "fedmsg", "synchronous_commit": "on"}
	maps.Copy(defaults, config.RuntimeParams)
	defaults["search_path"] = t.schema
	defaults["bytea_output"], defaults["client_encoding"] = "hex", "UTF8"
	config.RuntimeParams = defaults
	return t, nil
}

// Redacted names the database of a DSN without what nobody else should know: user,
// host, port, database and schema are left.
func Redacted(dsn string) string {
	t, err := parse(Config{DSN: dsn})
	if err != nil {
		return "postgres://(cannot be read)"
	}
	u := url.URL{Scheme: "postgres", User: url.User(t.config.User), Host: net.JoinHostPort(t.config.Host, strconv.Itoa(int(t.config.Port))), Path: t.config.Database}
	if strings.HasPrefix(t.config.Host, "/") { // a socket
		u.Host, u.RawQuery = "", "host="+t.config.Host
	}
	if t.schema != "fedmsg" {
		u.RawQuery = strings.TrimPrefix(u.RawQuery+"&search_path="+t.schema, "&")
	}
	return u.String()
}

// reading returns what makes connections that read. Each of their transactions sees
// one moment.
func (t *target) reading() driver.Connector {
	config := t.config.Copy()
	config.RuntimeParams["default_transaction_isolation"] = "repeatable read"
	config.RuntimeParams["default_transaction_read_only"] = "on"
	config.RuntimeParams["statement_timeout"] = strconv.FormatInt(readTime.Milliseconds(), 10)
	config.RuntimeParams["jit"] = "off" // what it costs once is more than a question takes
	if !t.anyServer && config.ValidateConnect == nil {
		config.ValidateConnect = refuseIf("SELECT pg_is_in_recovery()") // a standby lacks what was just stored
	}
	return &connector{t, stdlib.GetConnector(*config, stdlib.OptionBeforeConnect(t.password))}
}

// writing returns what makes connections that write, of which there is one at a time:
// it holds the lock.
func (t *target) writing() driver.Connector {
	config := t.config.Copy()
	config.RuntimeParams["default_transaction_isolation"] = "read committed"
	config.RuntimeParams["statement_timeout"] = strconv.FormatInt(writeTime.Milliseconds(), 10)
	config.ValidateConnect = refuseIf("SELECT current_setting('transaction_read_only')::bool")
	return &connector{t, stdlib.GetConnector(*config, stdlib.OptionBeforeConnect(t.password), stdlib.OptionAfterConnect(t.settle))}
}

// password reads the password anew, which may have been changed.
func (t *target) password(_ context.Context, config *pgx.ConnConfig) error {
	if t.passwordFile == "" {
		return nil
	}
	text, err := os.ReadFile(t.passwordFile)
	if err != nil {
		return fmt.Errorf("password file: %w", err)
	}
	config.Password = strings.TrimRight(string(text), "\r\n")
	return nil
}

// refuseIf refuses a server that answers yes, so that another host is tried if there
// are several.
func refuseIf(question string) pgconn.ValidateConnectFunc {
	return func(ctx context.Context, conn *pgconn.PgConn) error {
		result, err := conn.Exec(ctx, question).ReadAll()
		if err != nil {
			return err
		}
		if len(result) == 1 && len(result[0].Rows) == 1 && string(result[0].Rows[0][0]) == "t" {
			return &pgconn.PgError{Severity: "ERROR", Code: readOnlyTransaction, Message: "the server is read-only: a standby, or told to be"}
		}
		return nil
	}
}

// settle takes the lock for a new connection that writes, and makes the schema.
func (t *target) settle(ctx context.Context, conn *pgx.Conn) error {
	var encoding string
	if err := conn.QueryRow(ctx, "SELECT getdatabaseencoding()").Scan(&encoding); err != nil {
		return err
	}
	if encoding != "UTF8" {
		return &fedmsg.HintError{Err: fmt.Errorf("the encoding of the database is %s, want UTF8: %w", encoding, fedmsg.ErrInvalid),
			Hint: "make another one: createdb -E UTF8 --locale=C -T template0"}
	}
	sum := sha256.Sum256([]byte("fedmsg archive " + t.schema))
	_, err := conn.Exec(ctx, fmt.Sprintf("SET lock_timeout = %d; SELECT pg_advisory_lock(%d); SET lock_timeout = %d",
		lockTime.Milliseconds(), int64(binary.BigEndian.Uint64(sum[:])), writeTime.Milliseconds()/6))
	if code(err) == lockNotAvailable {
		return &fedmsg.HintError{Err: fmt.Errorf("schema %s: %w", t.schema, ErrLocked), Hint: "is a bus running with this archive already? give each its own: ?search_path=NAME"}
	}
	if err != nil {
		return err
	}
	var missing bool
	if err := conn.QueryRow(ctx, "SELECT to_regnamespace($1) IS NULL", t.schema).Scan(&missing); err != nil {
		return err
	}
	if missing { // to ask needs fewer rights than IF NOT EXISTS
		if _, err := conn.Exec(ctx, "CREATE SCHEMA "+pgx.Identifier{t.schema}.Sanitize()); err != nil {
			return err
		}
	}
	t.connections.Add(1)
	return nil
}

// A connector makes connections. After the server refused a password nobody knocks for
// a while, however many want to: it would be locked, or log it each time.
type connector struct {
	*target
	driver.Connector
}

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	c.mu.Lock()
	why, since := c.why, c.refused
	c.mu.Unlock()
	if why != nil && time.Since(since) < barTime {
		return nil, fmt.Errorf("not tried again yet: %w", why)
	}
	made, err := c.Connector.Connect(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why = nil; strings.HasPrefix(code(err), authorization) {
		c.why, c.refused = err, time.Now()
	}
	if err != nil {
		return nil, err
	}
	return conn{made.(*stdlib.Conn)}, nil // as documented
}

// A conn sends strings as bytes: they are stored in columns of bytes, and may hold
// what is no text to the server.
type conn struct{ *stdlib.Conn }

func (c conn) CheckNamedValue(v *driver.NamedValue) error {
	if text, ok := v.Value.(string); ok {
		v.Value = []byte(text)
	}
	return c.Conn.CheckNamedValue(v)
}
