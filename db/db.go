// Package db is the store: products, releases, tokens, the log of reports, and rollups. It
// is one SQLite file or a PostgreSQL database.
//
// A [Store] reads and changes all of them; any number of processes may open the same
// store. A [Writer] records reports; for a SQLite file, only one process at a time may
// have one.
//
// Both engines run the same queries. The interfaces engine and batchWriter contain what
// they do differently.
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
	"strings"
	"sync"
	"time"

	"relcheck/checker/stats/rollup"
	"relcheck/db/dbfile"
)

// SchemaVersion is the version of the schema that this code reads and writes.
const SchemaVersion = 7

// Store is an open store. It is safe for concurrent use.
type Store struct {
	name     string // the file, or the URL of the database without its password
	created  bool
	upgraded int64 // the older schema that was found, or 0
	main     *sql.DB
	read     *sql.DB
	folded   *foldCache
	readMu   *sync.RWMutex // locked for reading while totals are read
	writeMu  sync.Locker   // held during transactions that write
	actor    string        // of changes, for the audit log
	engine
	dialect
}

// engine contains what SQLite and PostgreSQL do differently.
type engine interface {
	// checkFiles returns an error if writes would not reach the store.
	checkFiles() error
	// retryable reports whether a failed transaction may succeed if repeated.
	retryable(error) bool
	// explain adds to an error what an operator can do about it.
	explain(error) error
	// reserveSeqs makes sure that the seqs of reports up to last, which are about to be
	// removed, are not assigned again.
	reserveSeqs(ctx context.Context, tx *sql.Tx, last int64) error
	// eraseDeleted overwrites deleted data, as far as the engine can.
	eraseDeleted(context.Context) error
	// truncateWAL empties a large WAL. It locks out the readers of
	// this process if necessary.
	truncateWAL(ctx context.Context, readers sync.Locker) error
	// ddl adapts a part of schema.sql to the engine.
	ddl(text string) string
	// inList returns a condition that a value is in a list, and the argument for its
	// placeholder.
	inList(placeholder string, list any) (condition string, arg any)
	// writerWaits reports whether a process records reports and has to wait while another
	// one writes.
	writerWaits() bool
	// newBatchWriter starts writing reports.
	newBatchWriter(*Store) (batchWriter, error)
	close() error
}

// dialect contains the differences between statements for the two engines.
type dialect struct {
	numbered     bool   // placeholders of long statements have numbers
	logByProduct bool   // the log is ordered by product and seq, not by seq alone
	productCond  string // beginning of a condition on seq, always true unless logByProduct
	buildsFirst  bool   // builds are created before the transactions that use them, see createBuilds
	lockChanges  string // first statement of inChange, or ""
	size         string // query for the size of the database in bytes
}

// For SQLite, placeholders have no numbers because modernc's driver searches all parameter
// names for each named one.
var (
	sqliteDialect   = dialect{productCond: "$1 = $1 AND", size: "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"}
	postgresDialect = dialect{numbered: true, logByProduct: true, productCond: "product = $1 AND", buildsFirst: true,
		lockChanges: "LOCK TABLE audit IN SHARE ROW EXCLUSIVE MODE", size: "SELECT pg_database_size(current_database())"}
)

// Open opens a store: the database at a postgres:// URL, or the SQLite file with that
// name. If there is no store yet (no file, an empty file, or a database without tables),
// Open creates one from schema, the text of schema.sql. It upgrades a store with an older
// schema. It changes nothing that belongs to another program or a newer relcheck, and
// returns an error. No error contains a password.
func Open(ctx context.Context, name, schema string) (*Store, error) {
	if isPostgres(name) {
		return openPostgres(ctx, name, schema)
	}
	if notAFile.MatchString(name) {
		return nil, errURL
	}
	return openSQLite(ctx, name, schema)
}

// OpenExisting is [Open] for commands that need an existing store: it creates nothing. It
// does upgrade, so that there is one schema to read.
func OpenExisting(ctx context.Context, name string) (*Store, error) {
	return Open(ctx, name, "")
}

// Name returns the name of the store for messages. It contains no password.
func (s *Store) Name() string { return s.name }

// Created reports whether Open has created the store.
func (s *Store) Created() bool { return s.created }

// Upgraded returns the schemas from and to which Open has upgraded the store; from is 0 if
// it was up to date.
func (s *Store) Upgraded() (from, to int64) { return s.upgraded, SchemaVersion }

// notAPath matches names that other programs give to SQLite.
var notAPath = regexp.MustCompile(`(?i)^(:memory:|file:|sqlite3?:)`)

// CheckName returns an error if the name of a store is one that other programs give to
// SQLite: as the name of a file, it would be a mistake.
func CheckName(name string) error {
	switch {
	case !notAPath.MatchString(name):
		return nil
	case name == ":memory:":
		return errors.New("a store keeps every report on disk: name a file, such as relcheck.db")
	}
	return errors.New("it is a URL: name the file by its path alone, such as relcheck.db or /var/lib/relcheck/relcheck.db")
}

// IsFile reports whether name is that of a SQLite file, not the URL of a database.
func IsFile(name string) bool { return !isPostgres(name) && !notAFile.MatchString(name) }

// ID returns the random ID of the store, or 0 if its schema is older than IDs.
func (s *Store) ID(ctx context.Context) (int64, error) {
	id, err := setting(ctx, s.read, "store")
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id, s.explain(err)
}

// Close closes the store. Its Writer must be closed before.
func (s *Store) Close() error {
	return errors.Join(s.read.Close(), s.main.Close(), s.engine.close())
}

const maxTries = 40

// inTx runs f in a transaction, and repeats it after a conflict with another one. f must
// not keep state from one run to the next.
//
// Transactions that write are serializable: SQLite has no other kind, and PostgreSQL
// aborts one of two that conflict.
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

// inChange is like inTx for transactions that change the catalog or write to the audit log.
func (s *Store) inChange(ctx context.Context, f func(*sql.Tx) error) error {
	return s.inTx(ctx, s.oneByOne(ctx, f))
}

// oneByOne makes f wait for other such transactions, which all update the same rows of table
// setting. PostgreSQL would otherwise abort all but one of those that meet, and a slow one
// again and again. Unlike a row, a table can be locked before the transaction takes its
// snapshot, so that f sees what the others have changed. Nothing else locks this table, so
// recording never waits for a change.
func (s *Store) oneByOne(ctx context.Context, f func(*sql.Tx) error) func(*sql.Tx) error {
	if s.lockChanges == "" {
		return f
	}
	return func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, s.lockChanges); err != nil {
			return err
		}
		return f(tx)
	}
}

func retry(ctx context.Context, again func(error) bool, f func() error) (err error) {
	for try := range maxTries {
		// The pause grows up to a quarter of a second.
		if err = f(); err == nil || !again(err) || sleep(ctx, mathrand.N(time.Millisecond<<min(try, 8))) != nil {
			return err
		}
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

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
		return closedBy(ctx, err)
	}
	return tx.Commit()
}

// closedBy adds the error of a context that is done to the errors of statements and
// transactions that database/sql has closed because of that.
func closedBy(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, sql.ErrTxDone) || strings.HasSuffix(err.Error(), "sql: statement is closed")) {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}

// inSnapshot runs f in a transaction that reads a snapshot of the store.
func (s *Store) inSnapshot(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return s.explain(err)
	}
	defer tx.Rollback()
	if err = f(tx); err != nil {
		err = closedBy(ctx, err)
	}
	return s.explain(err)
}

// checkSchema returns an error if the store is not relcheck's or has a newer schema. It
// accepts older ones.
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
		err = fmt.Errorf("written by a newer relcheck: its schema is %d, this version supports up to %d; install that version, or name another store with --db", schema, SchemaVersion)
	}
	return err
}

// fill writes the initial rows into the tables of a new store. It is not called if another
// process has created the store meanwhile.
type fill func(context.Context, *sql.Tx) error

// addPresets is the fill function of regular stores.
func addPresets(ctx context.Context, tx *sql.Tx) error {
	key := make([]byte, len(rollup.Key{}))
	rand.Read(key) // never fails
	if _, err := tx.ExecContext(ctx, "INSERT INTO secret (name, value) VALUES ('ids', $1)", key); err != nil {
		return err
	}
	if err := identify(ctx, tx); err != nil {
		return err
	}
	for _, p := range initialProducts {
		if _, err := insertProduct(ctx, tx, p); err != nil {
			return err
		}
	}
	return nil
}

// identify assigns a random ID to a store that has none: a new one, or one that was just
// upgraded from schema 2.
func identify(ctx context.Context, q querier) error {
	_, err := q.ExecContext(ctx, "UPDATE setting SET value = $1 WHERE name = 'store' AND value = 0", 1+mathrand.Int64N(math.MaxInt64))
	return err
}

var createTable = regexp.MustCompile(`(?m)^CREATE TABLE (\w+)`)

// tables lists the tables of a schema in an order that satisfies their foreign keys.
func tables(schema string) (names []string) {
	for _, m := range createTable.FindAllStringSubmatch(schema, -1) {
		names = append(names, m[1])
	}
	return names
}
