package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// pingTimeout limits the check whether PostgreSQL responds.
	pingTimeout = 2 * time.Second
	// connectPause is the pause after a failed connection.
	connectPause = 200 * time.Millisecond
)

var (
	// errStale is returned if the catalog has changed since builds were looked up.
	errStale = errors.New("releases change faster than reports can be recorded")
	// errUnreplicated is returned if a commit did not wait for the standby.
	errUnreplicated = errors.New("PostgreSQL stopped waiting for its synchronous standby")
)

// postgresWriter writes reports to PostgreSQL, each batch in one round trip. Its
// connection is a node of its own, because transactions that an earlier connection has
// sent may be committed long after it was lost.
type postgresWriter struct {
	store   *Store
	engine  *postgres
	conn    *sql.Conn
	seq     int64 // the last one that was assigned
	builds  *builds
	rows    []reportRow
	counts  []checkRow
	counted installationCounts // of the batch

	connectErrAt time.Time // when the last connection failed
	connectErr   error     // and how
}

type reportRow struct {
	buildID
	*entry
}

type checkRow struct {
	buildID
	count int64
}

func (p *postgres) newBatchWriter(s *Store) (batchWriter, error) {
	l := &postgresWriter{store: s, engine: p, builds: newBuilds(), counted: installationCounts{}}
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if err := l.connect(ctx); err != nil {
		return nil, postgresError(s.name, err)
	}
	return l, nil
}

// connect takes a connection and makes a node of it. After a failure it pauses, so that a
// failing database is not dialled for each batch.
func (l *postgresWriter) connect(ctx context.Context) error {
	if l.conn != nil {
		return nil
	}
	if l.connectErr != nil && time.Since(l.connectErrAt) < connectPause {
		return l.connectErr
	}
	if l.connectErr = l.dial(ctx); l.connectErr != nil {
		l.connectErrAt = time.Now()
		l.engine.rotateHosts()
	}
	return l.connectErr
}

func (l *postgresWriter) dial(ctx context.Context) (err error) {
	if l.conn, err = l.store.main.Conn(ctx); err != nil {
		l.conn = nil
		return connectError{err}
	}
	l.conn.Raw(func(driver any) error { // left by another transaction
		delete(driver.(*stdlib.Conn).Conn().PgConn().CustomData(), unreplicated)
		return nil
	})
	var node int64
	err = checkDurable(ctx, l.conn)
	if err == nil {
		node, err = next(ctx, l.conn, "node")
	}
	if err != nil {
		l.disconnect()
		return connectError{err}
	}
	l.seq = node << nodeBits
	return nil
}

// connectError is an error of connect, which is not repeated at once.
type connectError struct{ error }

func (c connectError) Unwrap() error { return c.error }

// disconnect returns the connection. The pool keeps it only if it can be used.
func (l *postgresWriter) disconnect() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}

func (l *postgresWriter) close() error {
	l.disconnect()
	return nil
}

// noteUnreplicated marks a connection whose commit did not wait for the synchronous
// standby: if the wait is canceled, COMMIT succeeds with a warning.
func noteUnreplicated(c *pgconn.PgConn, n *pgconn.Notice) {
	if n.Routine == "SyncRepWaitForLSN" {
		c.CustomData()[unreplicated] = true
	}
}

const unreplicated = "unreplicated"

// probe pings PostgreSQL. After a failure it writes, because only that waits for a
// synchronous standby.
func (l *postgresWriter) probe(failed bool) error {
	timeout := pingTimeout
	if failed {
		timeout = writeTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return l.withConn(ctx, func() error {
		if !failed {
			return l.conn.Raw(func(driver any) error { return driver.(*stdlib.Conn).Conn().Ping(ctx) })
		}
		_, err := l.conn.ExecContext(ctx, "UPDATE setting SET value = value WHERE name = 'schema'")
		return err
	})
}

func (l *postgresWriter) write(b *batch, checks map[buildKey]int64, now time.Time) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	return l.withConn(ctx, func() error {
		if err := l.prepare(ctx, b, checks, now); err != nil {
			return err
		}
		return l.insert(ctx, now)
	})
}

// withConn runs f with a connection, and repeats it while it certainly had no effect and
// may succeed next time.
func (l *postgresWriter) withConn(ctx context.Context, f func() error) error {
	err := retry(ctx, l.retryable, func() error {
		if err := l.connect(ctx); err != nil {
			return err
		}
		err := f()
		l.resetConn(ctx, &err)
		return err
	})
	if pgCode(err) == pgDiskFull {
		return full{err}
	}
	return explainPostgres(err)
}

// retryable reports whether to try again at once. What cannot connect is left for the
// next batch: its callers have waited for long enough.
func (l *postgresWriter) retryable(err error) bool {
	if errors.As(err, new(connectError)) {
		return false
	}
	return errors.Is(err, errStale) || l.store.retryable(err)
}

// resetConn makes the connection usable for the next batch, or closes it. Each closed one
// costs one of 8 million nodes.
func (l *postgresWriter) resetConn(ctx context.Context, err *error) {
	usable := false
	l.conn.Raw(func(driver any) error {
		c := driver.(*stdlib.Conn).Conn()
		if c.PgConn().CustomData()[unreplicated] == true {
			delete(c.PgConn().CustomData(), unreplicated)
			*err = cmp.Or(*err, errUnreplicated)
		}
		if *err != nil && !c.IsClosed() && c.PgConn().TxStatus() != 'I' {
			c.Exec(ctx, "ROLLBACK")
		}
		usable = !c.IsClosed() && c.PgConn().TxStatus() == 'I'
		return nil
	})
	if *err == nil {
		return
	}
	if usable && (errors.Is(*err, errStale) || pgCode(*err) == pgSerializationFailure) {
		l.builds.stale = true
		return
	}
	l.builds.forget()
	if !usable || pgCode(*err) == pgReadOnly {
		l.disconnect()
	}
	if ctx.Err() != nil {
		l.engine.rotateHosts()
	}
}

// fill prepares the rows of a batch, ordered by their keys.
func (l *postgresWriter) fill(b *batch, checks map[buildKey]int64, find func(buildKey) (buildID, error)) error {
	l.rows, l.counts, b.entryErrs, b.others = l.rows[:0], l.counts[:0], nil, 0
	for i := range b.entries {
		e := &b.entries[i]
		id, err := find(e.build)
		if errors.Is(err, ErrNotFound) {
			b.setEntryErr(i, err)
			continue
		}
		if err != nil {
			return err
		}
		if id.other {
			b.others++
		}
		l.rows = append(l.rows, reportRow{id, e})
	}
	sums := map[buildID]int64{} // unreleased versions share a build
	for _, key := range inOrder(checks) {
		id, err := find(key)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if id.other {
			b.others += checks[key]
		}
		sums[id] += checks[key]
	}
	for id, count := range sums {
		l.counts = append(l.counts, checkRow{id, count})
	}
	slices.SortStableFunc(l.rows, func(a, b reportRow) int { return cmp.Compare(a.product, b.product) })
	slices.SortFunc(l.counts, func(a, b checkRow) int {
		return cmp.Or(cmp.Compare(a.product, b.product), cmp.Compare(a.build, b.build))
	})
	return nil
}

// All insert only if the catalog has not changed since builds were looked up: the
// transaction, being serializable, then precedes any change of the catalog.
const (
	insertReports = `INSERT INTO report (product, seq, at, build, instance, heap, first)
		SELECT row.product, row.seq, row.at, row.build, row.instance, row.heap, row.first
		FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bigint[], $8::boolean[]) AS row (product, seq, at, build, instance, heap, first)
		WHERE (SELECT value FROM setting WHERE name = 'catalog') = $1`
	insertInstallations = `INSERT INTO installation_count (product, build, day, node, daily, weekly, monthly, new, back7, back28)
		SELECT row.product, row.build, $2, $3, row.daily, row.weekly, row.monthly, row.new, row.back7, row.back28
		FROM unnest($4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])
			AS row (product, build, daily, weekly, monthly, new, back7, back28)
		WHERE (SELECT value FROM setting WHERE name = 'catalog') = $1` + addInstallations
	insertChecks = `INSERT INTO checks (product, build, day, count)
		SELECT row.product, row.build, $2, row.count
		FROM unnest($3::bigint[], $4::bigint[], $5::bigint[]) AS row (product, build, count)
		WHERE (SELECT value FROM setting WHERE name = 'catalog') = $1` + addCount
)

// insert sends the prepared rows with BEGIN and COMMIT at once, and then waits.
func (l *postgresWriter) insert(ctx context.Context, now time.Time) error {
	if len(l.rows)+len(l.counts) == 0 {
		return nil
	}
	var batch pgx.Batch
	stale := false
	clear(l.counted)
	inserted := func(n int) func(pgconn.CommandTag) error {
		return func(tag pgconn.CommandTag) error {
			stale = stale || tag.RowsAffected() != int64(n)
			return nil
		}
	}
	batch.Queue("BEGIN ISOLATION LEVEL SERIALIZABLE")
	if len(l.rows) > 0 {
		batch.Queue(insertReports, l.reportColumns(now)...).Exec(inserted(len(l.rows)))
	}
	if len(l.counted) > 0 {
		batch.Queue(insertInstallations, l.installationColumns()...).Exec(inserted(len(l.counted)))
	}
	if len(l.counts) > 0 {
		batch.Queue(insertChecks, l.checkColumns()...).Exec(inserted(len(l.counts)))
	}
	batch.Queue("COMMIT").Exec(func(tag pgconn.CommandTag) error {
		if tag.String() != "COMMIT" {
			return fmt.Errorf("PostgreSQL answers COMMIT with %s", tag)
		}
		return nil
	})
	err := send(ctx, l.conn, &batch)
	if err == nil && stale {
		err = errStale
	}
	return err
}

// send sends all statements of a batch at once, and then waits for their results.
func send(ctx context.Context, c *sql.Conn, batch *pgx.Batch) error {
	return c.Raw(func(driver any) error {
		return driver.(*stdlib.Conn).Conn().SendBatch(ctx, batch).Close()
	})
}

func (l *postgresWriter) reportColumns(now time.Time) []any {
	n := len(l.rows)
	product, seq, at, build := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	instance, heap, first := make([][]byte, n), make([]*int64, n), make([]*bool, n)
	for i, r := range l.rows {
		l.seq++
		product[i], seq[i], at[i], build[i] = r.product, l.seq, cmp.Or(r.at, now.Unix()), r.buildID.build
		logged := r.on(l.builds.day)
		instance[i], heap[i] = r.instance[:], logged.heap
		if logged.remembers {
			daily := logged.first()
			first[i] = &daily
			l.counted.add(r.buildID, logged.installations)
		}
	}
	return []any{l.builds.revision.Changes, product, seq, at, build, instance, heap, first}
}

// installationColumns returns the counts in the order of their keys. It must be called after
// reportColumns.
func (l *postgresWriter) installationColumns() []any {
	ids := slices.SortedFunc(maps.Keys(l.counted), func(a, b buildID) int {
		return cmp.Or(cmp.Compare(a.product, b.product), cmp.Compare(a.build, b.build))
	})
	columns := make([][]int64, 8)
	for _, id := range ids {
		n := l.counted[id]
		for i, value := range []int64{id.product, id.build, n.Daily, n.Weekly, n.Monthly, n.New, n.Back7, n.Back28} {
			columns[i] = append(columns[i], value)
		}
	}
	args := []any{l.builds.revision.Changes, l.builds.day, l.seq >> nodeBits}
	for _, c := range columns {
		args = append(args, c)
	}
	return args
}

func (l *postgresWriter) checkColumns() []any {
	n := len(l.counts)
	product, build, count := make([]int64, n), make([]int64, n), make([]int64, n)
	for i, c := range l.counts {
		product[i], build[i], count[i] = c.product, c.build, c.count
	}
	return []any{l.builds.revision.Changes, l.builds.day, product, build, count}
}
