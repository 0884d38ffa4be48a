package db

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"

	"relcheck/db/dbfile"
)

// applicationID identifies a relcheck store: "RelC". In SQLite it is also in the file's
// header, where it can be read without reading a table.
const applicationID = 0x52656c43

// Query parameters with which files are opened. Settings are in the DSN so that every
// pooled connection has them; mode prevents SQLite from creating files.
const (
	settings = "&_txlock=immediate&_busy_timeout=10000&_foreign_keys=on&_synchronous=FULL&_dqs=0&_defensive=1&_error_rc=1&_pragma=secure_delete(1)&_pragma=temp_store(2)" +
		"&_pragma=journal_size_limit(67108864)" // MaxWAL

	readWriteCreate = "mode=rwc" + settings
	readWrite       = "mode=rw" + settings
	readOnly        = "mode=rw&_query_only=1" + settings
	untouched       = "mode=ro&immutable=1" // reads only the file: no locks, no WAL, no shared memory
	withLog         = "mode=ro&_busy_timeout=10000"
)

type sqliteFile struct {
	path      string
	main      *sql.DB
	unchanged bool                        // opened by OpenUnchanged
	hadWAL    bool                        // there was a WAL with data before the file was opened
	lock      atomic.Pointer[dbfile.Lock] // while there is a Writer
	read      *sql.DB                     // of the store
	handle    *dbfile.Handle
	files     atomic.Pointer[dbfile.Watcher] // while there is a Writer
	// writeMu is held by connections that write. SQLite lets others sleep and try again,
	// which costs time and may starve them.
	writeMu sync.Mutex
}

func openSQLite(ctx context.Context, name, schema string) (*Store, error) {
	path := dbfile.Resolve(name)
	s, err := openFile(ctx, path)
	if err != nil && schema != "" && errors.Is(probe(ctx, path), errNoFile) {
		// There was no store, or opening has rolled back an interrupted creation.
		var created bool
		if created, err = createSQLite(ctx, path, schema, addPresets); err == nil {
			s, err = openFile(ctx, path)
		}
		if err == nil {
			s.created = created
		}
	}
	if err != nil {
		return nil, openError(name, err)
	}
	return s, nil
}

func openFile(ctx context.Context, path string) (*Store, error) {
	handle, err := dbfile.Open(path, dbfile.ReadWrite)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, cmp.Or(probe(ctx, path), dbfile.ErrReplaced)
	}
	if err == nil {
		err = probe(ctx, path)
	}
	if err != nil {
		handle.Release()
		return nil, err
	}
	logged := dbfile.Size(path+"-wal") > 0
	main := connect(path, readWrite)
	main.SetMaxOpenConns(1) // SQLite has one writer at a time anyway
	read := connect(path, readOnly)
	read.SetMaxOpenConns(4)
	f := &sqliteFile{path: path, main: main, read: read, hadWAL: logged, handle: handle}
	s := &Store{name: path, main: main, read: read, folded: new(foldCache), readMu: new(sync.RWMutex), writeMu: &f.writeMu, actor: CommandLine, engine: f, dialect: sqliteDialect}
	err = verifySQLite(ctx, main)
	if err == nil {
		err = checkSchema(ctx, main) // reads, which opens the WAL
	}
	if err == nil {
		err = handle.WALOpened()
	}
	if err == nil {
		err = s.upgrade(ctx)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// vfsQuery selects the VFS for a file. Tests replace it.
var vfsQuery = func(path string) (query string) { return "" }

func connect(path, mode string) *sql.DB {
	connector, err := sqlite.NewConnector(fileURL(path, mode))
	if err != nil {
		panic(err) // the query is one of the constants above
	}
	return sql.OpenDB(connector)
}

func fileURL(path, mode string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	abs = filepath.ToSlash(abs)
	if !strings.HasPrefix(abs, "/") { // C:/folder/relcheck.db
		abs = "/" + abs
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: mode + vfsQuery(path)}
	return u.String()
}

// probe examines a file without changing it. It returns errNoFile if there is no store,
// errLogAlone if there is only a WAL, and ErrForeign if the file belongs to another
// program.
func probe(ctx context.Context, path string) error {
	path = dbfile.Resolve(path)            // SQLite keeps the WAL beside the target of links
	logged := dbfile.Size(path+"-wal") > 0 // first: a new store has its file before its WAL
	info, err := os.Stat(path)
	missing := errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 && info.Mode().IsRegular()
	switch {
	case missing && logged:
		return errLogAlone
	case missing:
		return errNoFile
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return dbfile.ErrForeign
	}
	id, err := readApplicationID(ctx, path, untouched)
	damaged := code(err) == codeCorrupt || code(err) == codeNotADB
	if damaged && logged {
		// While the WAL is being checkpointed, or if that was interrupted, the file alone
		// may look truncated.
		id, err = readApplicationID(ctx, path, withLog)
	}
	switch {
	case (damaged && err != nil || id == 0) && isUnfinished(path):
		if info.Size() < maxCreated {
			return errNoFile // SQLite rolls it back
		}
		return errUnfinished
	case err != nil:
		return err
	case id != applicationID:
		return dbfile.ErrForeign
	}
	return nil
}

// isUnfinished reports whether the journal shows that the file is the result of an
// incomplete transaction that began with an empty file
// (https://www.sqlite.org/fileformat.html#the_rollback_journal).
func isUnfinished(path string) bool {
	const magic, pages = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", 16 // offset of the number of pages
	f, err := os.OpenFile(path+"-journal", os.O_RDONLY|dbfile.NoFollow, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	var header [pages + 4]byte
	_, err = io.ReadFull(f, header[:])
	return err == nil && string(header[:len(magic)]) == magic && [4]byte(header[pages:]) == [4]byte{}
}

// maxCreated is the maximum size of a file whose creation was interrupted. An interrupted
// copy is larger than SQLite's cache, and must not be mistaken for a new store.
const maxCreated = 1 << 20

func readApplicationID(ctx context.Context, path, mode string) (id int64, err error) {
	file := connect(path, mode)
	defer file.Close()
	return queryValue[int64](ctx, file, "PRAGMA application_id")
}

// createSQLite creates a store in one transaction with a rollback journal: a crash leaves
// an empty file, and the next start creates the store. If several processes try at
// once, one creates it.
func createSQLite(ctx context.Context, path, schema string, fill fill) (created bool, err error) {
	path = dbfile.Resolve(path)
	_, missing := os.Stat(path)
	handle, err := dbfile.Open(path, dbfile.Create)
	if err != nil {
		return false, err
	}
	defer handle.Release()
	file := connect(path, readWriteCreate)
	defer file.Close()
	file.SetMaxOpenConns(1)
	err = transact(ctx, file, func(tx *sql.Tx) error {
		if errors.Is(missing, os.ErrNotExist) { // other users must not read table secret
			if err := os.Chmod(path, 0o600); err != nil {
				return err
			}
		}
		var id, tables int64
		err := tx.QueryRowContext(ctx, "SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id").Scan(&id, &tables)
		if err != nil {
			return err
		}
		if id == applicationID {
			return nil
		}
		if id != 0 || tables != 0 {
			return dbfile.ErrForeign
		}
		if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, forSQLite.Replace(schema)); err != nil {
			return fmt.Errorf("create the schema: %w", err)
		}
		created = true
		return fill(ctx, tx)
	})
	return created, (&sqliteFile{path: path}).explain(err)
}

// forSQLite adapts schema.sql: SQLite keeps a table in the order of its key only if the
// key is one INTEGER column or the table is WITHOUT ROWID. Any other key becomes an index,
// half as large again as the log. The log is keyed by seq, which is unique in SQLite
// without the product.
var forSQLite = strings.NewReplacer("BIGINT", "INTEGER", "PRIMARY KEY (product, seq)", "PRIMARY KEY (seq)",
	"PRIMARY KEY (product, span, day, build)\n)", "PRIMARY KEY (product, span, day, build)\n) WITHOUT ROWID",
	"PRIMARY KEY (product, id)\n)", "PRIMARY KEY (product, id)\n) WITHOUT ROWID")

// verifySQLite enables the WAL, and returns an error if commits would not wait for the
// disk or the schema is unknown.
func verifySQLite(ctx context.Context, db *sql.DB) error {
	if err := checkSchema(ctx, db); err != nil {
		return err
	}
	var synchronous int64
	var journal string
	// SQLite does not wait for a lock here if another process has the file open.
	err := retry(ctx, func(err error) bool { return code(err) == codeBusy }, func() error {
		return db.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&journal)
	})
	err = errors.Join(err, db.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous))
	if err == nil && (journal != "wal" || synchronous != 2) {
		err = fmt.Errorf("SQLite runs with journal_mode %s and synchronous %d; relcheck needs wal and 2 to keep acknowledged reports", journal, synchronous)
	}
	return err
}

// retryable returns false because SQLite has already waited for the lock.
func (f *sqliteFile) retryable(error) bool { return false }

func (f *sqliteFile) explain(err error) error {
	if code(err) == codeBusy {
		err = fmt.Errorf("change %s: locked by another process, try again: %w", f.path, err)
	}
	return err
}

func (f *sqliteFile) reserveSeqs(ctx context.Context, tx *sql.Tx, last int64) error {
	_, err := tx.ExecContext(ctx, "UPDATE setting SET value = $1 WHERE name = 'removed' AND value < $1", last)
	if err == nil {
		_, err = next(ctx, tx, "shred")
	}
	return err
}

func (f *sqliteFile) ddl(text string) string { return forSQLite.Replace(text) }

func (f *sqliteFile) writerWaits() bool {
	holder, err := dbfile.LockHolder(f.path)
	return holder != "" || err != nil
}

func (f *sqliteFile) inList(placeholder string, list any) (string, any) {
	text, err := json.Marshal(list)
	if err != nil {
		panic(err) // list contains numbers or strings
	}
	return "IN (SELECT value FROM json_each(" + placeholder + "))", string(text)
}

// close is called after main and read are closed. A transaction whose context has ended
// may return its connection later.
func (f *sqliteFile) close() error {
	busy := func() bool { return f.main.Stats().OpenConnections+f.read.Stats().OpenConnections > 0 }
	for deadline := time.Now().Add(time.Second / 2); busy(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return nil // a query is still running and would lose its locks
		}
	}
	f.handle.Release()
	return nil
}
