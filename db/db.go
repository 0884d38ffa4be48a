// Package db is the store: products, releases, and the log of reports. It is
// one SQLite file, or a PostgreSQL database.
//
// A [Store] reads and changes products and releases and reads the log; any
// number of processes may hold one on the same store. A [Writer] records
// reports; one process at a time may hold it on a SQLite file, any number on
// PostgreSQL.
//
// Both engines run the same queries. What they do differently stands behind
// two interfaces, engine and recorder.
package db

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"regexp"
	"sync"
	"time"

	"relcheck/checker/stats/rollup"
	"relcheck/db/dbfile"
)

// SchemaVersion is the data model that this code reads and writes.
const SchemaVersion = 3

// Store is an open store. It is safe for concurrent use.
type Store struct {
	name     string // for people: the file, or the database's URL without its password
	created  bool
	upgraded int64 // the schema that opening it found, if that was an older one
	main     *sql.DB
	read     *sql.DB
	folded   *foldCache
	readMu   *sync.RWMutex // held by who reads figures
	writeMu  sync.Locker   // held by who writes, but for single statements
	actor    string        // makes changes, for the audit log
	engine
}

// engine is what SQLite and PostgreSQL do each in their own way.
type engine interface {
	// sound returns an error if what is written would not be in the store.
	checkFiles() error
	// Clone tells whether a transaction that failed may succeed when tried again.
	retryable(error) bool
	// explain says in relcheck's words what a person can do about an error.
	explain(error) error
	// retire keeps the seqs of reports that are about to be removed, up to last,
	// from being given out again.
	reserveSeqs(ctx context.Context, tx *sql.Tx, last int64) error
	// shred overwrites what was deleted, as far as the engine can.
	eraseDeleted(context.Context) error
	// trim gives back the space that the engine's own log has taken, if that is much.
	// It holds reading where readers would be in its way.
	truncateWAL(ctx context.Context, reading sync.Locker) error
	// ddl writes a part of schema.sql as the engine keeps it best.
	ddl(text string) string
	// numbered tells whether placeholders of long statements have numbers.
	numberedParams() bool
	// now reads the engine's own clock, if it has one.
	now(ctx context.Context) (now time.Time, known bool, err error)
	// byProduct tells whether the log lies together by product, or as a whole.
	logByProduct() bool
	// ofProduct begins a condition on seq where the log lies together by product
	// ($1), and is one that always holds where it lies together as a whole.
	productCond() string
	// in is a condition that a value is among those of a list, and the list as the
	// argument of its placeholder.
	inList(placeholder string, list any) (condition string, arg any)
	// copyToFile copies the store into an empty file, which it makes a SQLite store.
	copyToFile(ctx context.Context, s *Store, path, schema string, progress func(done, total int64)) error
	// contended reports whether a process records that waits while another one writes.
	writerWaits() bool
	// recorder prepares to write reports.
	newBatchWriter(*Store) (batchWriter, error)
	close() error
}

// Open opens a store: that at a postgres:// URL, or else the SQLite file of
// that name. It creates it from schema, the text of schema.sql, where there is
// nothing yet: no file, an empty one, or a database without tables. One that an
// older relcheck has made is upgraded. What is not relcheck's, or was written by a
// newer relcheck, is left alone, and the error says so. No error has a password
// in it.
func Open(ctx context.Context, name, schema string) (*Store, error) {
	if isPostgres(name) {
		return openPostgres(ctx, name, schema)
	}
	if notAFile.MatchString(name) {
		return nil, errURL
	}
	return openSQLite(ctx, name, schema)
}

// OpenExisting is [Open] for what makes no sense without a store: it creates
// nothing. To upgrade it does as well, so that there is one schema to read.
func OpenExisting(ctx context.Context, name string) (*Store, error) {
	return Open(ctx, name, "")
}

// Name tells people which store this is. It holds no password.
func (s *Store) Name() string { return s.name }

// Created reports whether opening the store has made it.
func (s *Store) Created() bool { return s.created }

// Upgraded returns the schema from which opening the store has upgraded it, and
// to which; from is 0 if there was nothing to do.
func (s *Store) Upgraded() (from, to int64) { return s.upgraded, SchemaVersion }

// IsFile reports whether name is that of a SQLite file, not the URL of a database.
func IsFile(name string) bool { return !isPostgres(name) && !notAFile.MatchString(name) }

// ID returns the random ID of the store, or 0 if its schema is older than IDs.
func (s *Store) ID(ctx context.Context) (int64, error) {
	id, err := storeID(ctx, s.read)
	return id, s.explain(err)
}

// Close closes the store. Its Writer is closed before it.
func (s *Store) Close() error {
	return errors.Join(s.read.Close(), s.main.Close(), s.engine.close())
}

// maxTries is how often a transaction is tried that others got in the way of.
const maxTries = 40

// inTx runs f in a transaction, once more when another one that ran at the same
// time got in its way. f may not keep anything from one run to the next.
//
// Transactions that write are serializable: SQLite has no other kind, and
// PostgreSQL refuses one of two that contradict each other.
func (s *Store) inTx(ctx context.Context, f func(*sql.Tx) error) error {
	err := retry(ctx, s.retryable, func() error {
		if err := s.checkFiles(); err != nil {
			return err
		}
		s.writeMu.Lock()
		defer s.writeMu.Unlock()
		return transact(ctx, s.main, f)
	})
	return s.explain(err)
}

func retry(ctx context.Context, again func(error) bool, f func() error) (err error) {
	for try := range maxTries {
		if err = f(); err == nil || !again(err) {
			return err
		}
		select { // the others get longer to be done, up to a quarter of a second
		case <-ctx.Done():
			return err
		case <-time.After(mathrand.N(time.Millisecond << min(try, 8))):
		}
	}
	return err
}

// beginner is what *sql.DB and *sql.Conn have in common to make transactions.
type beginner interface {
	BeginTx(context.Context, *sql.TxOptions) (*sql.Tx, error)
}

func transact(ctx context.Context, b beginner, f func(*sql.Tx) error) error {
	tx, err := b.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// inSnapshot runs f in a transaction that reads the store as of one moment.
func (s *Store) inSnapshot(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return s.explain(err)
	}
	defer tx.Rollback()
	return s.explain(f(tx))
}

// querier is what *sql.DB, *sql.Conn and *sql.Tx have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// query returns what scan makes of each row.
func query[T any](ctx context.Context, q querier, scan func(*sql.Rows) (T, error), text string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// setting reads a fact about the store.
func setting(ctx context.Context, q querier, name string) (value int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT value FROM setting WHERE name = $1", name).Scan(&value)
	return value, err
}

// storeID returns the ID of a store, or 0 if its schema is older than IDs.
func storeID(ctx context.Context, q querier) (id int64, err error) {
	id, err = setting(ctx, q, "store")
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return id, err
}

// next gives out the next number of a setting.
func next(ctx context.Context, q querier, name string) (value int64, err error) {
	err = q.QueryRowContext(ctx, "UPDATE setting SET value = value + 1 WHERE name = $1 RETURNING value", name).Scan(&value)
	return value, err
}

// checkSchema refuses a store that is not relcheck's, or newer than this code.
// It may be older.
func checkSchema(ctx context.Context, q querier) error {
	application, err := setting(ctx, q, "application")
	if err == nil && application != applicationID || errors.Is(err, sql.ErrNoRows) {
		return dbfile.ErrForeign
	}
	if err != nil {
		return err
	}
	schema, err := setting(ctx, q, "schema")
	switch {
	case err == nil && schema < 1 || errors.Is(err, sql.ErrNoRows):
		err = dbfile.ErrForeign
	case err == nil && schema > SchemaVersion:
		err = fmt.Errorf("%w: its schema is %d, this one knows %d", errNewer, schema, SchemaVersion)
	}
	return err
}

// fill puts into a new store, whose tables were just made, what it begins with.
// It is not called for one that another process made in the meantime.
type fill func(context.Context, *sql.Tx) error

// addPresets fills a store for daily use.
func addPresets(ctx context.Context, tx *sql.Tx) error {
	key := make([]byte, len(rollup.Key{}))
	rand.Read(key) // never fails
	if _, err := tx.ExecContext(ctx, "INSERT INTO secret (name, value) VALUES ('ids', $1)", key); err != nil {
		return err
	}
	if err := identify(ctx, tx); err != nil {
		return err
	}
	for _, p := range presets {
		if _, err := insertProduct(ctx, tx, p); err != nil {
			return err
		}
	}
	return nil
}

// identify gives a store that has no ID yet a random one: a new store, or one that
// was just upgraded from schema 2.
func identify(ctx context.Context, q querier) error {
	_, err := q.ExecContext(ctx, "UPDATE setting SET value = $1 WHERE name = 'store' AND value = 0", 1+mathrand.Int64N(math.MaxInt64))
	return err
}

var createTable = regexp.MustCompile(`(?m)^CREATE TABLE (\w+)`)

// tables lists those of a schema, each after those that it refers to.
func tables(schema string) (names []string) {
	for _, m := range createTable.FindAllStringSubmatch(schema, -1) {
		names = append(names, m[1])
	}
	return names
}
