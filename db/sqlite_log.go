package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"syscall"
	"time"

	"relcheck/db/dbfile"
)

// sqliteLog records reports in a SQLite file. After an error it has no
// connection, and the next write makes a new one: a row whose sync failed is
// invisible to the connection that wrote it, and comes back after a crash.
type sqliteLog struct {
	path    string
	files   *dbfile.Watcher
	lock    *dbfile.Lock
	held    *dbfile.Handle
	turn    sync.Locker // to write to the file
	db      *sql.DB
	conn    *sql.Conn
	begin   *sql.Stmt
	commit  *sql.Stmt
	catalog *sql.Stmt
	insert  []*sql.Stmt // of 1<<i rows
	builds  *builds
	seq     int64 // the last one given out
	args    []any
}

const (
	// insertSizes is how many sizes of multi-row inserts there are, each twice
	// the one before: a batch of any size takes few statements.
	insertSizes = 8
	rowColumns  = 6
)

// recorder locks the file, for it has one recorder at a time.
func (f *sqliteFile) recorder(*Store) (recorder, error) {
	held, err := dbfile.AcquireLock(f.path, f.held)
	if err != nil {
		return nil, openError(f.path, err)
	}
	if f.logged {
		held.SetUnclean(true)
	}
	f.lock.Store(held)
	watch, err := dbfile.NewWatcher(f.path)
	l := &sqliteLog{path: f.path, files: watch, lock: held, held: f.held.Clone(), turn: &f.turn, builds: newBuilds()}
	if err == nil {
		err = l.connect()
	}
	if err != nil {
		l.close()
		return nil, openError(f.path, err)
	}
	f.files.Store(l.files)
	return l, nil
}

// sound reports whether the files are still those that were opened, as far as there is
// a recorder.
func (f *sqliteFile) sound() error {
	if files := f.files.Load(); files != nil {
		return files.Check()
	}
	return nil
}

func (l *sqliteLog) connect() error {
	ctx := context.Background()
	l.db = connect(l.path, readWrite)
	l.db.SetMaxOpenConns(1)
	var err error
	if l.conn, err = l.db.Conn(ctx); err != nil {
		l.disconnect()
		return err
	}
	for _, p := range l.statements() {
		if *p.stmt, err = l.conn.PrepareContext(ctx, p.text); err != nil {
			l.disconnect()
			return err
		}
	}
	l.builds.forget()
	l.seq, err = lastSeq(ctx, l.conn)
	if err != nil {
		l.disconnect()
		return err
	}
	if err := l.held.WALOpened(); err != nil {
		l.disconnect()
		return err
	}
	l.files.WALOpened()
	return nil
}

// lastSeq returns the highest seq that a report has or, being removed, had.
func lastSeq(ctx context.Context, q querier) (int64, error) {
	var last int64
	err := q.QueryRowContext(ctx, "SELECT COALESCE(MAX(seq), 0) FROM report").Scan(&last)
	removed, err2 := setting(ctx, q, "removed")
	return max(last, removed), errors.Join(err, err2)
}

type statement struct {
	stmt **sql.Stmt
	text string
}

// statements are those that every batch runs, and so are prepared once.
func (l *sqliteLog) statements() []statement {
	l.insert = make([]*sql.Stmt, insertSizes)
	all := []statement{{&l.begin, "BEGIN IMMEDIATE"}, {&l.commit, "COMMIT"},
		{&l.catalog, "SELECT value FROM setting WHERE name = 'catalog'"}}
	for i := range l.insert {
		all = append(all, statement{&l.insert[i], insertRows(1 << i)})
	}
	return all
}

// insertRows is an insert of n rows. Its parameters have no numbers: modernc's
// driver looks up the name of each one that does by going through all of them.
func insertRows(n int) string {
	const row = ",(?,?,?,?,?,?)"
	return "INSERT INTO report (product, seq, at, build, instance, heap) VALUES " + strings.Repeat(row, n)[1:]
}

// disconnect drops the connection. Statements that are left open would keep
// SQLite from closing the file. Doing it twice does no harm.
func (l *sqliteLog) disconnect() {
	for _, stmt := range append(l.insert, l.begin, l.commit, l.catalog) {
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
	l.conn, l.db, l.begin, l.commit, l.catalog, l.insert = nil, nil, nil, nil, nil, nil
	l.files.WALClosed()
}

func (l *sqliteLog) close() error {
	l.disconnect()
	l.held.Release()
	return l.lock.Release()
}

func (l *sqliteLog) sound() error { return l.files.Check() }

// try looks whether the files are those that were opened. After a failure it
// has to write to tell.
func (l *sqliteLog) try(failed bool) error {
	err := l.files.Check()
	if err == nil && failed {
		err = failure(dbfile.CheckRoom(l.path))
	}
	if err == nil && failed {
		err = l.write(newBatch(nil), nil, time.Now())
	}
	return err
}

// write records the entries of b and the checks at the time of now. Its
// transaction is bound by no caller's context.
func (l *sqliteLog) write(b *batch, checks map[buildKey]int64, now time.Time) error {
	if err := l.files.Check(); err != nil {
		return err
	}
	if l.conn == nil {
		if err := l.connect(); err != nil {
			return failure(err)
		}
	}
	l.turn.Lock()
	defer l.turn.Unlock()
	before := l.seq
	err := l.transact(b, checks, now)
	if err == nil {
		l.files.WALOpened()
		return nil
	}
	switch code(err) {
	case codeBusy, codeFull: // nothing was written, and the connection is good
		l.conn.ExecContext(context.Background(), "ROLLBACK") // fails if SQLite did it already
		l.seq = before
		l.builds.forget() // those that were made are gone again
	default:
		l.disconnect()
	}
	return failure(err)
}

func failure(err error) error {
	if code(err) == codeFull || errors.Is(err, syscall.ENOSPC) {
		return full{err}
	}
	return err
}

func (l *sqliteLog) transact(b *batch, checks map[buildKey]int64, now time.Time) error {
	ctx := context.Background()
	b.others = 0
	if _, err := l.begin.ExecContext(ctx); err != nil {
		return err
	}
	var revision int64
	if err := l.catalog.QueryRowContext(ctx).Scan(&revision); err != nil {
		return err
	}
	l.builds.turn(now)
	if revision != l.builds.revision.Changes {
		if err := l.builds.refresh(ctx, l.conn); err != nil {
			return err
		}
	}
	if err := l.insertReports(ctx, b, now); err != nil {
		return err
	}
	if err := l.countChecks(ctx, b, checks); err != nil {
		return err
	}
	if len(b.entries)+len(checks) == 0 { // a trial: it has to write to tell, and SQLite leaves out what changes no byte
		if _, err := l.conn.ExecContext(ctx, "UPDATE setting SET value = value + 1 WHERE name = 'swept'; UPDATE setting SET value = value - 1 WHERE name = 'swept'"); err != nil {
			return err
		}
	}
	_, err := l.commit.ExecContext(ctx)
	return err
}

func (l *sqliteLog) insertReports(ctx context.Context, b *batch, now time.Time) error {
	at := now.Unix()
	l.args = l.args[:0]
	for i := range b.entries {
		e := &b.entries[i]
		id, err := l.builds.id(ctx, l.conn, e.build)
		if errors.Is(err, ErrNotFound) {
			b.lose(i, err)
			continue
		}
		if err != nil {
			return err
		}
		l.seq++
		if id.other {
			b.others++
		}
		var heap any
		if e.heap != nil {
			heap = *e.heap
		}
		l.args = append(l.args, id.product, l.seq, cmp.Or(e.at, at), id.build, e.instance[:], heap)
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

func (l *sqliteLog) countChecks(ctx context.Context, b *batch, checks map[buildKey]int64) error {
	for _, key := range inOrder(checks) {
		id, err := l.builds.id(ctx, l.conn, key)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err == nil {
			_, err = l.conn.ExecContext(ctx, "INSERT INTO checks (product, build, day, count) VALUES ($1, $2, $3, $4)"+addCount,
				id.product, id.build, l.builds.day, checks[key])
		}
		if id.other {
			b.others += checks[key]
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addCount adds to what was counted before.
const addCount = " ON CONFLICT (product, day, build) DO UPDATE SET count = checks.count + excluded.count"
