package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"relcheck/db/dbfile"
)

// dialTimeout limits a connection attempt to one host, unless the URL has connect_timeout.
const dialTimeout = 3 * time.Second

// minConns is the minimum size of the pool: one connection that records, and some that
// read.
const minConns = 4

type postgres struct {
	name   string
	pool   *pgxpool.Pool
	pooled bool         // connections go through a pooler such as PgBouncer
	first  atomic.Int64 // index of the host in the URL that is tried first
}

func isPostgres(name string) bool {
	return strings.HasPrefix(name, "postgres://") || strings.HasPrefix(name, "postgresql://")
}

var (
	// notAFile matches names that are meant for PostgreSQL, but not in the form that
	// relcheck accepts. As file names, they might reveal a password.
	notAFile = regexp.MustCompile(`(?i)^\s*postgres(ql)?:|://|\b(host|user|password|dbname)\s*=`)

	postgresURL = regexp.MustCompile(`(?is)^\s*postgres(?:ql)?:/*(.*)`)
	keywords    = regexp.MustCompile(`(?i)\b(host|user|dbname)\s*=`)
)

// HasPassword reports whether the name of a store contains a password, or might. Such a
// name does not belong on a command line, which other users can read.
func HasPassword(name string) bool {
	m := postgresURL.FindStringSubmatch(name)
	if m == nil {
		return strings.Contains(strings.ToLower(name), "password") && keywords.MatchString(name)
	}
	_, query, _ := strings.Cut(m[1], "?")
	values, err := url.ParseQuery(query)
	for key := range values {
		if strings.Contains(strings.ToLower(key), "password") {
			return true
		}
	}
	user := m[1][:max(0, strings.LastIndexByte(m[1], '@'))]
	return err != nil || strings.Contains(user, ":")
}

var errURL = errors.New("invalid URL of the PostgreSQL database: use the form postgres://USER@HOST:PORT/DATABASE, " +
	"with %40 for @ and %2F for / in its parts; keep the password in PGPASSWORD or ~/.pgpass")

// dial connects to a database and calls prepare for the store in it.
func dial(ctx context.Context, dsn string, prepare func(*Store) error) (*Store, error) {
	config, err := postgresConfig(dsn)
	if err != nil {
		return nil, err
	}
	p := &postgres{name: publicName(config.ConnConfig)}
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		rotate(&c.Config, p.first.Load())
		return nil
	}
	if err := p.connect(ctx, config); err != nil {
		return nil, postgresError(p.name, err)
	}
	db := stdlib.OpenDBFromPool(p.pool)
	s := &Store{name: p.name, main: db, read: db, folded: new(foldCache), readMu: new(sync.RWMutex), writeMu: noopLocker{}, actor: CommandLine, engine: p, dialect: postgresDialect}
	if err := prepare(s); err != nil {
		s.Close()
		return nil, postgresError(s.name, err)
	}
	return s, nil
}

// connect creates the pool of connections. A pooler such as PgBouncer runs each
// transaction on another PostgreSQL connection, where statements that were prepared in an
// earlier transaction are missing: behind one, queries are sent without preparing them.
func (p *postgres) connect(ctx context.Context, config *pgxpool.Config) (err error) {
	if p.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return err
	}
	p.pooled, err = p.lookForPooler(ctx)
	mode := config.ConnConfig.DefaultQueryExecMode
	if err == nil && p.pooled && mode != pgx.QueryExecModeExec && mode != pgx.QueryExecModeSimpleProtocol {
		p.pool.Close()
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
		p.pool, err = pgxpool.NewWithConfig(ctx, config)
	}
	if err != nil {
		p.pool.Close()
	}
	return err
}

// lookForPooler reports whether connections go through a pooler: a pooler invents the
// process ID that it reports to a client, and a process with another ID runs the queries.
// It is an error if the pooler does not allow transactions.
func (p *postgres) lookForPooler(ctx context.Context) (pooled bool, err error) {
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Release()
	var pid uint32
	err = conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	if err != nil || pid == conn.Conn().PgConn().PID() {
		return false, err
	}
	err = pgx.BeginFunc(ctx, conn, func(pgx.Tx) error { return nil })
	if err != nil {
		err = fmt.Errorf("the connection pooler refuses transactions: %w; set its pool_mode to transaction or session", err)
	}
	return true, err
}

// noopLocker is used for PostgreSQL, which coordinates writers itself.
type noopLocker struct{}

func (noopLocker) Lock()   {}
func (noopLocker) Unlock() {}

// rotateHosts makes new connections start with the next host. A former primary may not
// know yet that it was replaced, and keep its clients waiting.
func (p *postgres) rotateHosts() {
	p.first.Add(1)
	p.pool.Reset()
}

// rotate moves the first n hosts, with and without TLS, to the end.
func rotate(c *pgconn.Config, n int64) {
	all := append([]*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}, c.Fallbacks...)
	var hosts [][]*pgconn.FallbackConfig
	for i, f := range all {
		if i == 0 || f.Host != all[i-1].Host || f.Port != all[i-1].Port {
			hosts = append(hosts, nil)
		}
		hosts[len(hosts)-1] = append(hosts[len(hosts)-1], f)
	}
	n %= int64(len(hosts))
	all = slices.Concat(slices.Concat(hosts[n:], hosts[:n])...)
	c.Host, c.Port, c.TLSConfig, c.Fallbacks = all[0].Host, all[0].Port, all[0].TLSConfig, all[1:]
}

func openPostgres(ctx context.Context, dsn, schema string) (*Store, error) {
	return dial(ctx, dsn, func(s *Store) error {
		err := checkDurable(ctx, s.main)
		if err == nil {
			err = checkSchema(ctx, s.main)
		}
		switch {
		case pgCode(err) != pgUndefinedTable:
		case schema != "":
			s.created, err = s.createPostgres(ctx, schema, addPresets)
		default:
			if empty, failed := isEmpty(ctx, s.main); !empty {
				err = failed
			}
		}
		if err == nil {
			err = s.upgrade(ctx)
		}
		return err
	})
}

// postgresConfig parses a URL and adds the settings that relcheck needs. The error does
// not contain the URL, because a password could be anywhere in it.
func postgresConfig(dsn string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(dsn)
	_, rest, _ := strings.Cut(dsn, "://")
	at, path := strings.LastIndexByte(rest, '@'), strings.IndexAny(rest, "/?#")
	if err != nil || strings.Count(rest, "@") > 1 || path >= 0 && at > path {
		return nil, errURL // with an @ or a / in a password, the rest of it would be taken for a host
	}
	if config.ConnConfig.ValidateConnect == nil { // target_session_attrs=any, or not given
		config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = dialTimeout
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "relcheck"
	}
	config.ConnConfig.OnNotice = noteUnreplicated
	config.MaxConns = max(config.MaxConns, minConns)
	return config, nil
}

// PublicName returns the name of a store without a password, and whether it is a database of
// PostgreSQL.
func PublicName(name string) (shown string, database bool, err error) {
	if !isPostgres(name) {
		return name, false, nil
	}
	config, err := postgresConfig(name)
	if err != nil {
		return "", true, err
	}
	return publicName(config.ConnConfig), true, nil
}

// publicName returns the URL of the database without password: user, hosts and database.
func publicName(c *pgx.ConnConfig) string {
	var hosts []string
	add := func(host string, port uint16) {
		if at := net.JoinHostPort(host, strconv.Itoa(int(port))); !slices.Contains(hosts, at) {
			hosts = append(hosts, at)
		}
	}
	add(c.Host, c.Port)
	for _, f := range c.Fallbacks {
		add(f.Host, f.Port)
	}
	return fmt.Sprintf("postgres://%s@%s/%s", c.User, strings.Join(hosts, ","), c.Database)
}

// checkDurable returns an error if the database acknowledges commits that a crash would
// lose.
func checkDurable(ctx context.Context, q querier) error {
	var synchronous, fsync string
	err := q.QueryRowContext(ctx, "SELECT current_setting('synchronous_commit'), COALESCE(current_setting('fsync', true), 'on')").
		Scan(&synchronous, &fsync)
	if err != nil || (synchronous == "on" || synchronous == "remote_apply") && fsync == "on" {
		return err
	}
	return fmt.Errorf("PostgreSQL runs with synchronous_commit %s and fsync %s; relcheck needs both on to keep acknowledged reports", synchronous, fsync)
}

// checkFiles returns nil: probe asks the database.
func (p *postgres) checkFiles() error { return nil }

func (p *postgres) retryable(err error) bool {
	switch pgCode(err) {
	case pgSerializationFailure, pgDeadlock:
		return true
	case pgUniqueViolation, pgDuplicateTable, pgDuplicateObject: // another transaction did the same at the same time
		return true
	case pgReadOnly: // the former primary was demoted
		p.pool.Reset()
		return true
	}
	return pgconn.SafeToRetry(err)
}

func (p *postgres) explain(err error) error { return explainPostgres(err) }

// explainPostgres shortens an error. Connection errors list every attempt, with and without
// TLS, on a line of its own.
func explainPostgres(err error) error {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && errors.As(err, new(*pgconn.ConnectError)) {
		return e
	}
	if errors.As(err, new(*pgconn.ConnectError)) {
		return unreachable{err}
	}
	if c := pgCode(err); c == pgNoStatement || c == pgDuplicateStatement {
		return fmt.Errorf("%w; if there is a connection pooler, add default_query_exec_mode=exec to the URL", err)
	}
	return err
}

// reserveSeqs does nothing: every recording connection is a new node.
func (p *postgres) reserveSeqs(context.Context, *sql.Tx, int64) error { return nil }

// eraseDeleted leaves it to VACUUM, which frees the space of deleted rows.
func (p *postgres) eraseDeleted(context.Context) error { return nil }

func (p *postgres) truncateWAL(context.Context, sync.Locker) error { return nil }

func (p *postgres) ddl(text string) string { return text }

// writerWaits returns false: PostgreSQL locks rows, and reports are new rows.
func (p *postgres) writerWaits() bool { return false }

func (p *postgres) inList(placeholder string, list any) (string, any) {
	return "= ANY(" + placeholder + ")", list
}

func (p *postgres) close() error {
	p.pool.Close()
	return nil
}

// SQLSTATEs, https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	pgUniqueViolation      = "23505"
	pgReadOnly             = "25006"
	pgNoStatement          = "26000"
	pgInvalidPassword      = "28P01"
	pgNoDatabase           = "3D000"
	pgSerializationFailure = "40001"
	pgDeadlock             = "40P01"
	pgNoPrivilege          = "42501"
	pgUndefinedColumn      = "42703"
	pgDuplicateObject      = "42710"
	pgDuplicateStatement   = "42P05"
	pgUndefinedTable       = "42P01"
	pgDuplicateTable       = "42P07"
	pgDiskFull             = "53100"
)

// pgCode returns the SQLSTATE of an error that PostgreSQL reported, or "".
func pgCode(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// unreachable is an error of a failed connection, written on one line.
type unreachable struct{ error }

func (u unreachable) Unwrap() error { return u.error }

func (u unreachable) Error() string {
	var lines []string
	for line := range strings.Lines(u.error.Error()) {
		if line = strings.TrimSpace(line); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	if len(lines) > 1 {
		lines = lines[1:]
	}
	return strings.Join(lines, ", ")
}

// postgresError adds the name of the database and what to do to an error.
func postgresError(name string, err error) error {
	hint := ""
	err = explainPostgres(err)
	switch pgCode(err) {
	case pgUndefinedTable:
		err = errEmpty
	case pgUndefinedColumn:
		err = dbfile.ErrForeign
	case pgInvalidPassword:
		hint = "; relcheck takes the password from PGPASSWORD or ~/.pgpass"
	case pgNoDatabase:
		hint = "; create it first, with createdb"
	case pgNoPrivilege:
		hint = "; the user needs the right to create tables there"
	}
	if errors.As(err, new(unreachable)) {
		hint = "; check that PostgreSQL is running there as a primary"
	}
	return fmt.Errorf("open %s: %w%s", name, err, hint)
}
