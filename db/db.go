// Package db is the store: products, releases, and the log of reports, in one
// SQLite file.
//
// A [Store] reads and changes products and releases and reads the log; any
// number of processes may hold one on the same file. A [Writer] records
// reports; one process at a time may hold it.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
)

// schemaVersion is the data model that this code reads and writes.
const schemaVersion = 1

// Store is an open store. It is safe for concurrent use.
type Store struct {
	path string
	main *sql.DB // one connection: SQLite has one writer at a time anyway
	read *sql.DB
}

// Open opens the store at path, and creates it from schema, the text of
// schema.sql, when the file is missing or empty. It leaves a file alone that
// is not relcheck's, or that a newer relcheck wrote, and returns an error.
func Open(ctx context.Context, path, schema string) (*Store, error) {
	err := probe(ctx, path)
	if errors.Is(err, errMissing) {
		err = create(ctx, path, schema)
	}
	s, err := open(ctx, path, err)
	if err != nil && errors.Is(probe(ctx, path), errMissing) {
		// Opening has rolled back a creation that was killed.
		return open(ctx, path, create(ctx, path, schema))
	}
	return s, err
}

// OpenExisting is [Open] for commands that only read: it creates nothing.
func OpenExisting(ctx context.Context, path string) (*Store, error) {
	return open(ctx, path, probe(ctx, path))
}

func open(ctx context.Context, path string, err error) (*Store, error) {
	if err != nil {
		return nil, openError(path, err)
	}
	given := path
	path = resolve(path)
	s := &Store{path: path, main: connect(path, readWrite), read: connect(path, readOnly)}
	s.main.SetMaxOpenConns(1)
	s.read.SetMaxOpenConns(4)
	if err := s.verify(ctx); err != nil {
		s.Close()
		return nil, openError(given, err)
	}
	return s, nil
}

// Close closes the store. Its Writer is closed before it.
func (s *Store) Close() error {
	return errors.Join(s.read.Close(), s.main.Close())
}

// resolve follows symbolic links: one file has one lock, whatever it is called.
func resolve(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// inTx runs f in a transaction that holds the write lock from its start.
func (s *Store) inTx(ctx context.Context, f func(*sql.Tx) error) error {
	err := s.transact(ctx, f)
	if code(err) == codeBusy {
		err = fmt.Errorf("change %s: another process keeps it locked; try again: %w", s.path, err)
	}
	return err
}

func (s *Store) transact(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.main.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}
