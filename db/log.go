package db

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"
)

// reportLog writes batches of reports, one transaction each. Only the writing
// goroutine uses it. After an error it has no connection, and the next write
// makes a new one: a row whose sync failed is invisible to the connection that
// wrote it, and comes back after a crash.
type reportLog struct {
	path   string
	db     *sql.DB
	conn   *sql.Conn
	begin  *sql.Stmt
	commit *sql.Stmt
	insert []*sql.Stmt // of 1<<i rows
	builds *builds
	seq    int64 // the last one given out
	args   []any
}

const (
	// insertSizes is how many sizes of multi-row inserts there are, each twice
	// the one before: a batch of any size takes few statements.
	insertSizes = 8
	rowColumns  = 5
)

func (l *reportLog) connect() error {
	ctx := context.Background()
	l.db = connect(l.path, readWrite)
	l.db.SetMaxOpenConns(1)
	var err error
	if l.conn, err = l.db.Conn(ctx); err != nil {
		l.close()
		return err
	}
	for _, p := range l.statements() {
		if *p.stmt, err = l.conn.PrepareContext(ctx, p.text); err != nil {
			l.close()
			return err
		}
	}
	if l.builds == nil {
		l.builds = newBuilds()
	}
	l.builds.forget()
	err = l.conn.QueryRowContext(ctx, "SELECT COALESCE(MAX(seq), 0) FROM report").Scan(&l.seq)
	if err == nil {
		l.seq, err = l.afterRemoved(ctx)
	}
	if err != nil {
		l.close()
	}
	return err
}

// afterRemoved returns a seq that no report has had, be it removed since.
func (l *reportLog) afterRemoved(ctx context.Context) (int64, error) {
	var removed int64
	err := l.conn.QueryRowContext(ctx, "SELECT value FROM setting WHERE name = 'removed'").Scan(&removed)
	return max(l.seq, removed), err
}

type statement struct {
	stmt **sql.Stmt
	text string
}

// statements are those that every batch runs, and so are prepared once.
func (l *reportLog) statements() []statement {
	l.insert = make([]*sql.Stmt, insertSizes)
	all := []statement{{&l.begin, "BEGIN IMMEDIATE"}, {&l.commit, "COMMIT"}}
	for i := range l.insert {
		all = append(all, statement{&l.insert[i], insertRows(1 << i)})
	}
	return all
}

func insertRows(n int) string {
	var q strings.Builder
	q.WriteString("INSERT INTO report (seq, at, build, instance, heap) VALUES ")
	for i := range n {
		if i > 0 {
			q.WriteByte(',')
		}
		q.WriteString(placeholders(i*rowColumns, rowColumns))
	}
	return q.String()
}

// close drops the connection. Statements that are left open would keep SQLite
// from closing the file. Closing twice does no harm.
func (l *reportLog) close() {
	for _, stmt := range append(l.insert, l.begin, l.commit) {
		if stmt != nil {
			stmt.Close()
		}
	}
	if l.conn != nil {
		l.conn.Close()
	}
	if l.db != nil {
		l.db.Close()
	}
	l.conn, l.db, l.begin, l.commit, l.insert = nil, nil, nil, nil, nil
}

// write records the entries of b and the checks at the time of now. Its
// transaction is bound by no caller's context.
func (l *reportLog) write(b *batch, checks map[buildKey]int64, now time.Time) error {
	if l.conn == nil {
		if err := l.connect(); err != nil {
			return failure(err)
		}
	}
	before := l.seq
	err := l.transact(b, checks, now)
	if err == nil {
		return nil
	}
	switch code(err) {
	case codeBusy, codeFull: // nothing was written, and the connection is good
		l.conn.ExecContext(context.Background(), "ROLLBACK") // fails if SQLite did it already
		l.seq = before
		l.builds.forget() // those that were made are gone again
	default:
		l.close()
	}
	return failure(err)
}

func failure(err error) error {
	if code(err) == codeFull {
		return full{err}
	}
	return err
}

func (l *reportLog) transact(b *batch, checks map[buildKey]int64, now time.Time) error {
	ctx := context.Background()
	if _, err := l.begin.ExecContext(ctx); err != nil {
		return err
	}
	if err := l.builds.refresh(ctx, l.conn, now); err != nil {
		return err
	}
	if err := l.insertReports(ctx, b, now); err != nil {
		return err
	}
	if err := l.countChecks(ctx, checks); err != nil {
		return err
	}
	if len(b.entries)+len(checks) == 0 { // a trial: it has to write to tell
		if _, err := l.conn.ExecContext(ctx, "UPDATE setting SET value = value WHERE name = 'schema'"); err != nil {
			return err
		}
	}
	_, err := l.commit.ExecContext(ctx)
	return err
}

func (l *reportLog) insertReports(ctx context.Context, b *batch, now time.Time) error {
	at := now.Unix()
	l.args = l.args[:0]
	for i := range b.entries {
		e := &b.entries[i]
		build, err := l.builds.id(ctx, l.conn, e.build)
		if errors.Is(err, ErrNotFound) {
			b.lose(i, err)
			continue
		}
		if err != nil {
			return err
		}
		l.seq++
		var heap any
		if e.heap != nil {
			heap = *e.heap
		}
		l.args = append(l.args, l.seq, at, build, e.instance[:], heap)
	}
	defer clear(l.args)
	rest := l.args
	for i := insertSizes - 1; len(rest) > 0; {
		n := rowColumns << i
		if len(rest) < n {
			i--
			continue
		}
		if _, err := l.insert[i].ExecContext(ctx, rest[:n]...); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

func (b *batch) lose(i int, err error) {
	if b.lost == nil {
		b.lost = map[int]error{}
	}
	b.lost[i] = err
}

func (l *reportLog) countChecks(ctx context.Context, checks map[buildKey]int64) error {
	for key, n := range checks {
		build, err := l.builds.id(ctx, l.conn, key)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err == nil {
			_, err = l.conn.ExecContext(ctx, `INSERT INTO checks (day, build, count) VALUES ($1, $2, $3)
				ON CONFLICT (build, day) DO UPDATE SET count = checks.count + excluded.count`, l.builds.day, build, n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
