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

// sqliteWriter writes reports to a SQLite file. After an error it closes its connection,
// and the next write opens a new one: a row whose sync failed is invisible to the
// connection that wrote it and reappears after a crash.
type sqliteWriter struct {
	path    string
	files   *dbfile.Watcher
	lock    *dbfile.Lock
	handle  *dbfile.Handle
	writeMu sync.Locker // to write to the file
	db      *sql.DB
	conn    *sql.Conn
	begin   *sql.Stmt
	commit  *sql.Stmt
	catalog *sql.Stmt
	count   *sql.Stmt
	insert  []*sql.Stmt // of 1<<i rows
	builds  *builds
	seq     int64 // the last one that was assigned
	args    []any
	counts  installationCounts // of the batch
}

const (
	// insertSizes is the number of multi-row inserts, each with twice the rows of the
	// previous one: a batch of any size takes few statements.
	insertSizes = 8
	rowColumns  = 7
)

// newBatchWriter locks the file, because only one process may record.
func (f *sqliteFile) newBatchWriter(*Store) (batchWriter, error) {
	held, err := dbfile.AcquireLock(f.path, f.handle)
	if err != nil {
		return nil, openError(f.path, err)
	}
	if f.hadWAL {
		held.SetUnclean(true)
	}
	f.lock.Store(held)
	watch, err := dbfile.NewWatcher(f.path)
	l := &sqliteWriter{path: f.path, files: watch, lock: held, handle: f.handle.Clone(), writeMu: &f.writeMu, builds: newBuilds(), counts: installationCounts{}}
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

// checkFiles returns an error if a file was replaced. Without a Writer there is nothing to
// check.
func (f *sqliteFile) checkFiles() error {
	if files := f.files.Load(); files != nil {
		return files.Check()
	}
	return nil
}

// connect opens a connection and prepares the statements of every batch.
func (l *sqliteWriter) connect() (err error) {
	defer func() {
		if err != nil {
			l.disconnect()
		}
	}()
	ctx := context.Background()
	l.db = connect(l.path, readWrite)
	l.db.SetMaxOpenConns(1)
	if l.conn, err = l.db.Conn(ctx); err != nil {
		return err
	}
	prepare := func(text string) (stmt *sql.Stmt) {
		if err == nil {
			stmt, err = l.conn.PrepareContext(ctx, text)
		}
		return stmt
	}
	l.begin, l.commit = prepare("BEGIN IMMEDIATE"), prepare("COMMIT")
	l.catalog = prepare("SELECT value FROM setting WHERE name = 'catalog'")
	l.count = prepare("INSERT INTO installation_count (product, day, build, node, daily, weekly, monthly, new, back7, back28) VALUES (?,?,?,0,?,?,?,?,?,?)" + addInstallations)
	l.insert = make([]*sql.Stmt, insertSizes)
	for i := range l.insert {
		l.insert[i] = prepare(insertRows(1 << i))
	}
	l.builds.forget()
	if err == nil {
		l.seq, err = lastSeq(ctx, l.conn)
	}
	if err == nil {
		err = l.handle.WALOpened()
	}
	if err == nil {
		l.files.WALOpened()
	}
	return err
}

// lastSeq returns the highest seq of all reports, including removed ones.
func lastSeq(ctx context.Context, q querier) (int64, error) {
	last, err := queryValue[int64](ctx, q, "SELECT COALESCE(MAX(seq), 0) FROM report")
	removed, err2 := setting(ctx, q, "removed")
	return max(last, removed), errors.Join(err, err2)
}

// insertRows returns an insert of n rows. Its parameters have no numbers because modernc's
// driver searches all parameter names for each named placeholder.
func insertRows(n int) string {
	const row = ",(?,?,?,?,?,?,?)"
	return "INSERT INTO report (product, seq, at, build, instance, heap, first) VALUES " + strings.Repeat(row, n)[1:]
}

// disconnect closes the connection. Open statements would keep SQLite from closing the
// file. It may be called twice.
func (l *sqliteWriter) disconnect() {
	for _, stmt := range append(l.insert, l.begin, l.commit, l.catalog, l.count) {
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
	l.conn, l.db, l.begin, l.commit, l.catalog, l.count, l.insert = nil, nil, nil, nil, nil, nil, nil
	l.files.WALClosed()
}

func (l *sqliteWriter) close() error {
	l.disconnect()
	l.handle.Release()
	return l.lock.Release()
}

// probe returns an error if a file was replaced. After a failure it also writes.
func (l *sqliteWriter) probe(failed bool) error {
	err := l.files.Check()
	if err == nil && failed {
		err = failure(dbfile.CheckRoom(l.path))
	}
	if err == nil && failed {
		err = l.write(newBatch(nil), nil, time.Now())
	}
	return err
}

// write records the entries of b and the checks with the time now. Its transaction does
// not depend on the context of any caller.
func (l *sqliteWriter) write(b *batch, checks map[buildKey]int64, now time.Time) error {
	if err := l.files.Check(); err != nil {
		return err
	}
	if l.conn == nil {
		if err := l.connect(); err != nil {
			return failure(err)
		}
	}
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	before := l.seq
	err := l.transact(b, checks, now)
	if err == nil {
		l.files.WALOpened()
		return nil
	}
	switch code(err) {
	case codeBusy, codeFull: // nothing was written, and the connection can be used
		l.conn.ExecContext(context.Background(), "ROLLBACK") // fails if SQLite has rolled back
		l.seq = before
		l.builds.forget() // new builds were rolled back
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

func (l *sqliteWriter) transact(b *batch, checks map[buildKey]int64, now time.Time) error {
	ctx := context.Background()
	b.others = 0
	if _, err := l.begin.ExecContext(ctx); err != nil {
		return err
	}
	var revision int64
	if err := l.catalog.QueryRowContext(ctx).Scan(&revision); err != nil {
		return err
	}
	l.builds.startDay(now)
	if revision != l.builds.revision.Changes {
		if err := l.builds.refresh(ctx, l.conn); err != nil {
			return err
		}
	}
	if err := l.insertReports(ctx, b, now); err != nil {
		return err
	}
	if err := l.countInstallations(ctx); err != nil {
		return err
	}
	if err := l.countChecks(ctx, b, checks); err != nil {
		return err
	}
	if len(b.entries)+len(checks) == 0 { // a probe must write, and SQLite skips updates that change nothing
		if _, err := l.conn.ExecContext(ctx, "UPDATE setting SET value = value + 1 WHERE name = 'swept'; UPDATE setting SET value = value - 1 WHERE name = 'swept'"); err != nil {
			return err
		}
	}
	_, err := l.commit.ExecContext(ctx)
	return err
}

func (l *sqliteWriter) insertReports(ctx context.Context, b *batch, now time.Time) error {
	at := now.Unix()
	l.args = l.args[:0]
	clear(l.counts)
	for i := range b.entries {
		e := &b.entries[i]
		id, err := l.builds.id(ctx, l.conn, e.build, findOrCreateBuild)
		if errors.Is(err, ErrNotFound) {
			b.setEntryErr(i, err)
			continue
		}
		if err != nil {
			return err
		}
		l.seq++
		if id.other {
			b.others++
		}
		var heap, first any
		logged := e.on(l.builds.day)
		if logged.heap != nil {
			heap = *logged.heap
		}
		if logged.remembers {
			first = logged.first()
			l.counts.add(id, logged.installations)
		}
		l.args = append(l.args, id.product, l.seq, cmp.Or(e.at, at), id.build, e.instance[:], heap, first)
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

func (l *sqliteWriter) countInstallations(ctx context.Context) error {
	for id, n := range l.counts {
		_, err := l.count.ExecContext(ctx, id.product, l.builds.day, id.build, n.Daily, n.Weekly, n.Monthly, n.New, n.Back7, n.Back28)
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *sqliteWriter) countChecks(ctx context.Context, b *batch, checks map[buildKey]int64) error {
	for _, key := range inOrder(checks) {
		id, err := l.builds.id(ctx, l.conn, key, findOrCreateBuild)
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

const addCount = " ON CONFLICT (product, day, build) DO UPDATE SET count = checks.count + excluded.count"
