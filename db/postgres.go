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

// dialTimeout is how long a connection to one host may take unless the URL
// says connect_timeout.
const dialTimeout = 3 * time.Second

// minConns is how many connections a server takes at least: one that records,
// and some that read.
const minConns = 4

// postgres is the engine of a store in PostgreSQL.
type postgres struct {
	name   string
	pool   *pgxpool.Pool
	pooled bool         // connections go through a pooler such as PgBouncer
	first  atomic.Int64 // how many hosts of the URL to pass over before the first that is tried
}

func isPostgres(name string) bool {
	return strings.HasPrefix(name, "postgres://") || strings.HasPrefix(name, "postgresql://")
}

var (
	// notAFile matches what is meant for PostgreSQL, though not as the URL that
	// relcheck takes. As the name of a file it might have a password in it.
	notAFile = regexp.MustCompile(`(?i)^\s*postgres(ql)?:|://|\b(host|user|password|dbname)\s*=`)

	postgresURL = regexp.MustCompile(`(?is)^\s*postgres(?:ql)?:/*(.*)`)
	keywords    = regexp.MustCompile(`(?i)\b(host|user|dbname)\s*=`)
)

// HasPassword reports whether the name of a store has a password in it, or looks
// as if it might. Such a name does not belong on a command line, which other
// users can read.
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

var errURL = errors.New("the URL of the PostgreSQL database cannot be read; it looks like postgres://USER@HOST:PORT/DATABASE, " +
	"with %40 for @, %2F for / and so on in its parts; a password is better kept in PGPASSWORD or ~/.pgpass")

// dial makes a store of a database, whatever is in it.
func dial(ctx context.Context, dsn string) (*Store, error) {
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
	return &Store{name: p.name, main: db, read: db, folded: new(foldMemory), reading: new(sync.RWMutex), turn: everyone{}, who: CommandLine, engine: p}, nil
}

// connect makes the pool of connections. Behind a pooler such as PgBouncer, which gives
// each transaction another connection to PostgreSQL, statements that were prepared in
// one transaction are missing in the next: queries are sent without preparing them.
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

// lookForPooler reports whether connections go through a pooler: a pooler makes up the
// process number that it gives to a client, and a process with another number runs the
// queries. It is an error if the pooler does not allow transactions.
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

// everyone has those who write wait for nobody: PostgreSQL itself sees to what may
// be done at the same time.
type everyone struct{}

func (everyone) Lock()   {}
func (everyone) Unlock() {}

// elsewhere makes new connections begin with another host. One that was the
// primary may not know yet that it is not, and keep those waiting who come to it.
func (p *postgres) elsewhere() {
	p.first.Add(1)
	p.pool.Reset()
}

// rotate moves the first n hosts, with and without TLS, behind the others.
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
	s, err := dial(ctx, dsn)
	if err != nil {
		return nil, err
	}
	err = checkDurable(ctx, s.main)
	if err == nil {
		err = checkSchema(ctx, s.main)
	}
	if pgCode(err) == pgUndefinedTable {
		err = errEmpty
		if schema != "" {
			s.created, err = s.createPostgres(ctx, schema, addPresets)
		}
	}
	if err == nil {
		err = s.upgrade(ctx)
	}
	if err != nil {
		s.Close()
		return nil, postgresError(s.name, err)
	}
	return s, nil
}

// postgresConfig reads a URL, and adds what relcheck needs to have. The error
// does not repeat the URL: what cannot be read may have a password anywhere.
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

// publicName is the database's URL as people may see it: who, where and what.
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

// createPostgres makes the tables of a new store, all or none. Several servers
// may try at once: PostgreSQL lets one of them do it, and the others find that
// it is done.
func (s *Store) createPostgres(ctx context.Context, schema string, fill fill) (created bool, err error) {
	err = retry(ctx, s.again, func() error {
		return transact(ctx, s.main, func(tx *sql.Tx) error {
			created = false
			var tables, stores int64
			err := tx.QueryRowContext(ctx, `SELECT count(*), count(*) FILTER (WHERE table_name = 'setting')
				FROM information_schema.tables WHERE table_schema = current_schema()`).Scan(&tables, &stores)
			switch {
			case err != nil:
				return err
			case stores > 0: // another one was quicker
				return checkSchema(ctx, tx)
			case tables > 0:
				return dbfile.ErrForeign
			}
			if _, err := tx.ExecContext(ctx, schema); err != nil {
				return err
			}
			created = true
			return fill(ctx, tx)
		})
	})
	return created, err
}

// checkDurable refuses a database that acknowledges what a crash would lose.
func checkDurable(ctx context.Context, q querier) error {
	var synchronous, fsync string
	err := q.QueryRowContext(ctx, "SELECT current_setting('synchronous_commit'), COALESCE(current_setting('fsync', true), 'on')").
		Scan(&synchronous, &fsync)
	if err != nil || (synchronous == "on" || synchronous == "remote_apply") && fsync == "on" {
		return err
	}
	return fmt.Errorf("PostgreSQL runs with synchronous_commit %s and fsync %s; relcheck needs both on to keep what it acknowledges", synchronous, fsync)
}

// sound leaves it to the database to report that it is gone.
func (p *postgres) sound() error { return nil }

func (p *postgres) again(err error) bool {
	switch pgCode(err) {
	case pgSerializationFailure, pgDeadlock:
		return true
	case pgUniqueViolation, pgDuplicateTable, pgDuplicateObject: // so another one did the same at the same time
		return true
	case pgReadOnly: // what was the primary is one no longer
		p.pool.Reset()
		return true
	}
	return pgconn.SafeToRetry(err)
}

func (p *postgres) explain(err error) error { return explainPostgres(err) }

// explainPostgres leaves of an error what matters. One of a connection tells of
// every attempt, with and without TLS, in lines of their own.
func explainPostgres(err error) error {
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) && errors.As(err, new(*pgconn.ConnectError)) {
		return e
	}
	if errors.As(err, new(*pgconn.ConnectError)) {
		return unreachable{err}
	}
	if c := pgCode(err); c == pgNoStatement || c == pgDuplicateStatement {
		return fmt.Errorf("%w; if a connection pooler is in between, add default_query_exec_mode=exec to the URL", err)
	}
	return err
}

// retire has nothing to do: every connection that records is a new node.
func (p *postgres) retire(context.Context, *sql.Tx, int64) error { return nil }

// shred leaves it to VACUUM, which frees the place of what was deleted.
func (p *postgres) shred(context.Context) error { return nil }

// trim leaves it to PostgreSQL, which needs nobody to be away for it.
func (p *postgres) trim(context.Context, sync.Locker) error { return nil }

func (p *postgres) ddl(text string) string { return text }

// contended is false: PostgreSQL locks rows, and reports are new ones.
func (p *postgres) contended() bool { return false }

func (p *postgres) numbered() bool { return true }

func (p *postgres) now(ctx context.Context) (now time.Time, known bool, err error) {
	err = p.pool.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&now)
	return now, true, err
}

func (p *postgres) productCond() string { return "product = $1 AND" }

func (p *postgres) byProduct() bool { return true }

func (p *postgres) in(placeholder string, list any) (string, any) {
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
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// unreachable is an error of a failed connection, on one line.
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

// postgresError names the database, and tells what to do about an error.
func postgresError(name string, err error) error {
	hint := ""
	err = explainPostgres(err)
	switch pgCode(err) {
	case pgUndefinedColumn:
		err = dbfile.ErrForeign
	case pgInvalidPassword:
		hint = "; relcheck takes the password from PGPASSWORD or ~/.pgpass"
	case pgNoDatabase:
		hint = "; create it first, with createdb"
	case pgNoPrivilege:
		hint = "; the user needs the right to create tables there"
	case "":
		if errors.As(err, new(unreachable)) {
			hint = "; is PostgreSQL running there, as a primary?"
		}
	}
	switch {
	case errors.Is(err, errEmpty):
		hint = "; name another one with --db, or create it with relcheck serve"
	case errors.Is(err, errNotEmpty):
		hint = "; a copy needs an empty database"
	case errors.Is(err, dbfile.ErrForeign):
		hint = "; it was left as it is, name another one with --db"
	case errors.Is(err, errNewer):
		hint = "; install that version, or name another one with --db"
	}
	return fmt.Errorf("open %s: %w%s", name, err, hint)
}
