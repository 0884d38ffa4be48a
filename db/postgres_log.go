package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// pingTimeout bounds how long a look whether PostgreSQL is there may take.
	pingTimeout = 2 * time.Second
	// connectPause is how long a failed connection is not tried again.
	connectPause = 200 * time.Millisecond
)

var (
	// errStale is that the catalog has changed since builds were looked up.
	errStale = errors.New("releases change faster than reports can be recorded")
	// errUnreplicated is that a commit did not wait for the standby.
	errUnreplicated = errors.New("PostgreSQL was told not to wait for its synchronous standby")
)

// postgresLog records reports in PostgreSQL, each batch in one round trip. Its
// connection is a node of its own: what an earlier one has sent may still be
// committed once its connection is long lost.
type postgresLog struct {
	store  *Store
	engine *postgres
	conn   *sql.Conn
	seq    int64 // the last one given out
	builds *builds
	rows   []reportRow
	counts []checkRow

	refused time.Time // when the last connection failed
	refusal error     // and how
}

type reportRow struct {
	buildID
	*entry
}

type checkRow struct {
	buildID
	count int64
}

func (p *postgres) recorder(s *Store) (recorder, error) {
	l := &postgresLog{store: s, engine: p, builds: newBuilds()}
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if err := l.connect(ctx); err != nil {
		return nil, postgresError(s.name, err)
	}
	return l, nil
}

// connect takes a connection, and makes a node of it. After a failure it waits
// for its next turn, so that a database in trouble is not dialled for each batch.
func (l *postgresLog) connect(ctx context.Context) error {
	if l.conn != nil {
		return nil
	}
	if l.refusal != nil && time.Since(l.refused) < connectPause {
		return l.refusal
	}
	if l.refusal = l.dial(ctx); l.refusal != nil {
		l.refused = time.Now()
		l.engine.elsewhere()
	}
	return l.refusal
}

func (l *postgresLog) dial(ctx context.Context) (err error) {
	if l.conn, err = l.store.main.Conn(ctx); err != nil {
		l.conn = nil
		return connectFailed{err}
	}
	l.conn.Raw(func(driver any) error { // what another transaction left behind
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
		return connectFailed{err}
	}
	l.seq = node << nodeBits
	return nil
}

// connectFailed is an error of connect. There is no trying again at once.
type connectFailed struct{ error }

func (c connectFailed) Unwrap() error { return c.error }

// disconnect gives the connection back. The pool keeps only one that is good.
func (l *postgresLog) disconnect() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}

func (l *postgresLog) close() error {
	l.disconnect()
	return nil
}

// noteUnreplicated notes at the connection that a commit has not waited for the
// synchronous standby: one whose wait is cancelled succeeds, with a warning.
func noteUnreplicated(c *pgconn.PgConn, n *pgconn.Notice) {
	if n.Routine == "SyncRepWaitForLSN" {
		c.CustomData()[unreplicated] = true
	}
}

const unreplicated = "unreplicated"

// sound knows nothing without asking PostgreSQL, which try does every second.
func (l *postgresLog) sound() error { return nil }

// try asks PostgreSQL whether it is there. After a failure it has to write, and
// so to wait for a synchronous standby, to tell.
func (l *postgresLog) try(failed bool) error {
	timeout := pingTimeout
	if failed {
		timeout = writeTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return l.attempt(ctx, func() error {
		if !failed {
			return l.conn.Raw(func(driver any) error { return driver.(*stdlib.Conn).Conn().Ping(ctx) })
		}
		_, err := l.conn.ExecContext(ctx, "UPDATE setting SET value = value WHERE name = 'schema'")
		return err
	})
}

func (l *postgresLog) write(b *batch, checks map[buildKey]int64, now time.Time) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	return l.attempt(ctx, func() error {
		if err := l.prepare(ctx, b, checks, now); err != nil {
			return err
		}
		return l.insert(ctx, now)
	})
}

// attempt runs f with a connection, and again as long as it is certain that
// nothing came of it and likely that it will go better.
func (l *postgresLog) attempt(ctx context.Context, f func() error) error {
	err := retry(ctx, l.again, func() error {
		if err := l.connect(ctx); err != nil {
			return err
		}
		err := f()
		l.mend(ctx, &err)
		return err
	})
	if pgCode(err) == pgDiskFull {
		return full{err}
	}
	return explainPostgres(err)
}

// Clone tells whether to try again at once. What cannot connect is left for the
// next batch: its callers have waited for long enough.
func (l *postgresLog) again(err error) bool {
	if errors.As(err, new(connectFailed)) {
		return false
	}
	return errors.Is(err, errStale) || l.store.again(err)
}

// mend brings the connection back to where the next batch can use it, or
// gives it up. Each that is given up costs a node, of which there are 8 million.
func (l *postgresLog) mend(ctx context.Context, err *error) {
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
		l.engine.elsewhere()
	}
}

// prepare finds the builds of a batch. It takes a transaction only when there
// are some that it has not seen.
func (l *postgresLog) prepare(ctx context.Context, b *batch, checks map[buildKey]int64, now time.Time) error {
	l.builds.turn(now)
	if !l.builds.stale {
		err := l.fill(b, checks, func(key buildKey) (buildID, error) {
			if id, ok := l.builds.known(key); ok {
				return id, nil
			}
			return buildID{}, errUnknown
		})
		if err != errUnknown {
			return err
		}
	}
	return retry(ctx, l.store.again, func() error {
		err := transact(ctx, l.conn, func(tx *sql.Tx) error {
			if err := l.builds.refresh(ctx, tx); err != nil {
				return err
			}
			return l.fill(b, checks, func(key buildKey) (buildID, error) { return l.builds.id(ctx, tx, key) })
		})
		if err != nil {
			l.builds.forget() // what was found was taken back
		}
		return err
	})
}

// errUnknown is that the store has to be asked for a build.
var errUnknown = errors.New("a build that was not seen yet")

// fill makes the rows of a batch, in the order of their keys.
func (l *postgresLog) fill(b *batch, checks map[buildKey]int64, find func(buildKey) (buildID, error)) error {
	l.rows, l.counts, b.lost, b.others = l.rows[:0], l.counts[:0], nil, 0
	for i := range b.entries {
		e := &b.entries[i]
		id, err := find(e.build)
		if errors.Is(err, ErrNotFound) {
			b.lose(i, err)
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
	sums := map[buildID]int64{} // invented versions share a build
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

// Each inserts only if the catalog is still the one by which builds were found:
// the transaction, being serializable, then comes before any change of it.
const (
	insertReports = `INSERT INTO report (product, seq, at, build, instance, heap)
		SELECT row.product, row.seq, row.at, row.build, row.instance, row.heap
		FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bigint[]) AS row (product, seq, at, build, instance, heap)
		WHERE (SELECT value FROM setting WHERE name = 'catalog') = $1`
	insertChecks = `INSERT INTO checks (product, build, day, count)
		SELECT row.product, row.build, $2, row.count
		FROM unnest($3::bigint[], $4::bigint[], $5::bigint[]) AS row (product, build, count)
		WHERE (SELECT value FROM setting WHERE name = 'catalog') = $1` + addCount
)

// insert sends the rows that were prepared, from BEGIN to COMMIT, and then waits.
func (l *postgresLog) insert(ctx context.Context, now time.Time) error {
	if len(l.rows)+len(l.counts) == 0 {
		return nil
	}
	var batch pgx.Batch
	stale := false
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
	if len(l.counts) > 0 {
		batch.Queue(insertChecks, l.checkColumns()...).Exec(inserted(len(l.counts)))
	}
	batch.Queue("COMMIT").Exec(func(tag pgconn.CommandTag) error {
		if tag.String() != "COMMIT" {
			return fmt.Errorf("PostgreSQL answers COMMIT with %s", tag)
		}
		return nil
	})
	err := l.conn.Raw(func(driver any) error {
		return driver.(*stdlib.Conn).Conn().SendBatch(ctx, &batch).Close()
	})
	if err == nil && stale {
		err = errStale
	}
	return err
}

func (l *postgresLog) reportColumns(now time.Time) []any {
	n := len(l.rows)
	product, seq, at, build := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	instance, heap := make([][]byte, n), make([]*int64, n)
	for i, r := range l.rows {
		l.seq++
		product[i], seq[i], at[i], build[i] = r.product, l.seq, cmp.Or(r.at, now.Unix()), r.buildID.build
		instance[i], heap[i] = r.instance[:], r.heap
	}
	return []any{l.builds.revision.Changes, product, seq, at, build, instance, heap}
}

func (l *postgresLog) checkColumns() []any {
	n := len(l.counts)
	product, build, count := make([]int64, n), make([]int64, n), make([]int64, n)
	for i, c := range l.counts {
		product[i], build[i], count[i] = c.product, c.build, c.count
	}
	return []any{l.builds.revision.Changes, l.builds.day, product, build, count}
}
