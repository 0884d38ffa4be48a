package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
)

// applicationID marks a file as relcheck's: "RelC".
const applicationID = 0x52656c43

// How a file is opened. The settings stand in the DSN so that each pooled
// connection has them; mode keeps SQLite from creating a file by accident.
const (
	lockTimeout = 10 * time.Second // _busy_timeout below, in milliseconds

	settings = "&_txlock=immediate&_busy_timeout=10000&_foreign_keys=on&_synchronous=FULL&_dqs=0&_defensive=1&_error_rc=1&_pragma=secure_delete(1)"

	creating  = "mode=rwc" + settings
	readWrite = "mode=rw" + settings
	readOnly  = "mode=rw&_query_only=1" + settings
	untouched = "mode=ro&immutable=1" // reads the file alone: no lock, no log, no shared memory
)

func connect(path, mode string) *sql.DB {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	abs = filepath.ToSlash(abs)
	if !strings.HasPrefix(abs, "/") { // C:/folder/relcheck.db
		abs = "/" + abs
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: mode}
	connector, err := sqlite.NewConnector(u.String())
	if err != nil {
		panic(err) // the query is one of the constants above
	}
	return sql.OpenDB(connector)
}

// probe looks at a file without touching it. It returns errMissing when there
// is nothing yet and errForeign when the file is somebody else's.
func probe(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 && info.Mode().IsRegular():
		return errMissing
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errForeign
	}
	file := connect(path, untouched)
	defer file.Close()
	var id int64
	if err := file.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return err
	}
	if id != applicationID {
		return errForeign
	}
	return nil
}

// create makes a new store in one transaction of SQLite's rollback journal: a
// crash leaves an empty file, which the next start creates anew. Several
// processes may try at once; the first one does it.
func create(ctx context.Context, path, schema string) error {
	s := &Store{path: path, main: connect(path, creating), read: connect(path, creating)}
	defer s.Close()
	return s.inTx(ctx, func(tx *sql.Tx) error {
		var id, tables int64
		err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables)
		if err := errors.Join(err, tx.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id)); err != nil {
			return err
		}
		if id == applicationID {
			return nil
		}
		if id != 0 || tables != 0 {
			return errForeign
		}
		if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, rowKeys(schema)); err != nil {
			return fmt.Errorf("create the schema: %w", err)
		}
		for _, p := range presets {
			if err := insertProduct(ctx, tx, p); err != nil {
				return err
			}
		}
		return nil
	})
}

// rowKeys lets SQLite keep a table by its integer key. It does so only for the
// type name INTEGER, which has 64 bits there and 32 in PostgreSQL; with any
// other name it adds an index of its own, half as large again as the log.
func rowKeys(schema string) string {
	return strings.ReplaceAll(schema, "BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY")
}

// verify switches a store to write-ahead logging and makes sure that a commit
// will reach the disk and that the schema is one that this code knows.
func (s *Store) verify(ctx context.Context) error {
	var schema, synchronous int64
	var journal string
	if err := s.main.QueryRowContext(ctx, "SELECT value FROM setting WHERE name = 'schema'").Scan(&schema); err != nil {
		return err
	}
	if schema > schemaVersion {
		return fmt.Errorf("%w: its schema is %d, this one knows %d", errNewer, schema, schemaVersion)
	}
	err := retryBusy(ctx, func() error {
		return s.main.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&journal)
	})
	err = errors.Join(err, s.main.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous))
	if err == nil && (journal != "wal" || synchronous != 2) {
		err = fmt.Errorf("SQLite runs with journal_mode %s and synchronous %d; relcheck needs wal and 2 to keep what it acknowledges", journal, synchronous)
	}
	return err
}

// retryBusy waits for a lock where SQLite does not: changing the journal mode
// of a file that somebody else has open fails at once.
func retryBusy(ctx context.Context, f func() error) error {
	deadline := time.Now().Add(lockTimeout)
	for {
		err := f()
		if code(err) != codeBusy || time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}
